use std::string::ToString;

use super::*;
use crate::facts::{ProjectId, ProjectPath};
use crate::rules::{Needed, need};

fn known() -> (Origin, ProjectPath) {
    let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
    (origin, ProjectPath::parse("infra/secrets").unwrap())
}

fn denied(protocol: Protocol, reason: Reason) -> Denied<'static> {
    let (kind, answers, action, role) = (Kind::Gitlab, Answers::Gitlab17, Action::ReadReleases, Role::Guest);
    Denied { protocol, kind, answers, action, role, reason, written: None }
}

fn every_reply() -> Vec<Reply> {
    let (origin, target) = known();
    let mut all = Vec::new();
    for protocol in Protocol::ALL {
        for (reason, _, _) in Reason::ALL {
            for (action, _, _) in Action::ALL {
                for answers in [Answers::Gitlab17, Answers::BeforeGitlab17] {
                    let denied =
                        Denied { answers, action: *action, written: Some("rule-1"), ..denied(protocol, *reason) };
                    all.push(rule(
                        &denied,
                        &Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) },
                    ));
                }
            }
            all.push(rule(&denied(protocol, *reason), &Subject::Hidden));
            all.push(rule(&denied(protocol, *reason), &Subject::None));
            all.push(token(protocol, *reason));
        }
        all.extend(Malformed::ALL.iter().map(|(one, _, _, _)| malformed(protocol, *one)));
        all.extend(Failure::ALL.iter().map(|(one, _, _)| failure(protocol, *one)));
    }
    all
}

#[test]
fn every_answer_is_printable_and_is_not_kept() {
    for reply in every_reply() {
        assert!(reply.body.bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\n'), "{}", reply.body);
        assert!((400..=503).contains(&reply.status));
        assert!(reply.headers.contains(&("cache-control", "no-store")));
    }
}

#[test]
fn what_is_hidden_looks_like_what_is_not_there_whatever_the_reason() {
    for protocol in Protocol::ALL {
        for (action, _, _) in Action::ALL {
            let none = Denied { action: *action, ..denied(protocol, Reason::TargetUnknown) };
            let none = rule(&none, &Subject::Hidden);
            for (reason, _, _) in Reason::ALL {
                let hidden = Denied { action: *action, written: Some("rule-1"), ..denied(protocol, *reason) };
                assert_eq!(rule(&hidden, &Subject::Hidden), none, "{reason:?}");
            }
        }
    }
}

#[test]
fn git_shows_why_and_who_can_change_it() {
    let (origin, target) = known();
    let reply = rule(
        &Denied { action: Action::ReadCode, ..denied(Protocol::Git, Reason::NotListed) },
        &Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) },
    );
    assert_eq!(reply.status, 403);
    assert_eq!(
        reply.body,
        "Authentication by CI/CD job token not allowed from web to project #103.\n\
         The job token allowlist of infra/secrets does not name apps/web.\n\
         A maintainer of infra/secrets can add apps/web under Settings > CI/CD > Job token permissions.\n\
         Decision <decision>.\n"
    );
}

#[test]
fn a_page_of_gitlabs_is_named_before_gitlab_alone() {
    let (origin, target) = known();
    let subject = Subject::Known { origin: &origin, target: &target, id: None };
    for (reason, _, _) in Reason::ALL {
        for kind in [Kind::Gitea, Kind::Generic] {
            let body =
                rule(&Denied { kind, action: Action::ReadCode, ..denied(Protocol::Git, *reason) }, &subject).body;
            assert!(!body.contains("Settings"), "{body}");
        }
    }
    let denied = Denied { kind: Kind::Generic, action: Action::WriteCode, ..denied(Protocol::Git, Reason::PushOff) };
    assert!(rule(&denied, &subject).body.contains("\nA maintainer of infra/secrets can allow it.\n"));
}

#[test]
fn the_api_answers_in_the_forges_words() {
    let (origin, target) = known();
    let reply = rule(
        &denied(Protocol::Api, Reason::NotListed),
        &Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) },
    );
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["message"], "403 Forbidden - Authentication by CI/CD job token not allowed from web to secrets.");
    assert_eq!(
        rule(&denied(Protocol::Api, Reason::NotMember), &Subject::Hidden).body,
        r#"{"message":"404 Project Not Found","error":"Check the name; if it is there, the team that runs the ingress can say why you do not see it. Decision <decision>."}"#
    );
    assert_eq!(token(Protocol::Api, Reason::TokenEnded).status, 401);
    assert_eq!(token(Protocol::Runner, Reason::TokenEnded).status, 403);
}

#[test]
fn a_failure_says_when_to_come_back() {
    for protocol in Protocol::ALL {
        let reply = failure(protocol, Failure::LookupTimeout);
        assert_eq!((reply.status, reply.retry_after), (503, Some(2)));
    }
}

#[test]
fn an_entry_that_is_too_narrow_names_what_it_lacks() {
    let (origin, target) = known();
    let subject = Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) };
    let says = |action, reason| {
        let body = rule(&Denied { action, ..denied(Protocol::Api, reason) }, &subject).body;
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["message"].as_str().unwrap().to_string()
    };
    assert_eq!(
        says(Action::CreateDeployments, Reason::EntryTooNarrow),
        "403 Forbidden - Insufficient permissions to access this resource in project secrets. The following token \
         permissions are required: admin_deployments and admin_environments."
    );
    assert_eq!(
        says(Action::ReadReleases, Reason::EntryTooNarrow),
        "403 Forbidden - Insufficient permissions to access this resource in project secrets. The following token \
         permission is required: read_releases."
    );
    assert_eq!(
        says(Action::ReadRegistryApi, Reason::NoPermission),
        "403 Forbidden - This action is unauthorized for CI/CD job tokens."
    );
}

#[test]
fn before_gitlab_17_git_and_the_api_say_not_found() {
    let (origin, target) = known();
    let subject = Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) };
    for protocol in [Protocol::Git, Protocol::Api] {
        let old = Denied {
            answers: Answers::BeforeGitlab17,
            action: Action::ReadCode,
            ..denied(protocol, Reason::NotListed)
        };
        let reply = rule(&old, &subject);
        assert_eq!(reply.status, 404);
        assert!(reply.body.contains("allowlist of infra/secrets"), "who may know is told why: {}", reply.body);
    }
}

#[test]
fn what_no_job_may_push_is_refused_in_the_words_of_a_push() {
    let wiki = Denied { action: Action::WriteWiki, ..denied(Protocol::Git, Reason::NeverForJobs) };
    let reply = rule(&wiki, &Subject::None);
    assert_eq!(reply.status, 403);
    assert!(reply.body.starts_with("You are not allowed to write to this project's wiki.\n"), "{}", reply.body);
    let snippet = Denied { action: Action::Snippet, ..wiki };
    assert!(rule(&snippet, &Subject::None).body.starts_with("403 Forbidden\n"));
}

#[test]
fn lfs_says_what_the_forge_says_and_then_why() {
    let (origin, target) = known();
    let subject = Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) };
    let says = |action| rule(&Denied { action, ..denied(Protocol::Lfs, Reason::NotListed) }, &subject);
    let download = says(Action::DownloadLfs);
    assert_eq!(download.status, 404);
    assert!(
        download.body.starts_with(r#"{"message":"Not found. The job token allowlist of infra/secrets"#),
        "{}",
        download.body
    );
    let upload = says(Action::UploadLfs);
    assert_eq!(upload.status, 403);
    assert!(
        upload.body.starts_with(r#"{"message":"Access forbidden. Check your access level. The job"#),
        "{}",
        upload.body
    );
}

#[test]
fn a_project_whose_number_nobody_knows_is_called_by_its_name() {
    let (origin, target) = known();
    for (reason, said) in [
        (Reason::NotListed, "Authentication by CI/CD job token not allowed from web to secrets."),
        (Reason::NotMember, "Insufficient permissions to pull from the repository of secrets."),
    ] {
        let subject = Subject::Known { origin: &origin, target: &target, id: None };
        let denied = Denied { action: Action::ReadCode, ..denied(Protocol::Git, reason) };
        assert!(rule(&denied, &subject).body.starts_with(said), "{reason:?}");
    }
}

#[test]
fn every_answer_names_its_decision() {
    for reply in every_reply() {
        let text = reply.text("0123456789abcdef");
        assert!(text.contains("0123456789abcdef") && !text.contains(DECISION), "{text}");
    }
}

#[test]
fn a_client_of_the_registry_shows_what_is_said_of_a_hidden_image() {
    for protocol in [Protocol::Registry, Protocol::RegistryToken] {
        let hidden = rule(&denied(protocol, Reason::NotMember), &Subject::Hidden).body;
        let body: serde_json::Value = serde_json::from_str(&hidden).unwrap();
        let message = body["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(IMAGE_NOT_FOUND), "{hidden}");
        assert_ne!(message, DENIED, "docker shows the code alone beside its usual text");
    }
}

#[test]
fn a_client_that_knows_no_projects_endpoint_is_not_told_of_one() {
    let says = |action| rule(&Denied { action, ..denied(Protocol::Api, Reason::ManyTargets) }, &Subject::None).body;
    for (action, said) in [(Action::ReadTerraform, "git::https://"), (Action::ReadComposer, "the type `vcs`")] {
        assert!(says(action).contains(said) && !says(action).contains("ask the project's own"), "{}", says(action));
    }
    assert!(says(Action::ReadNpm).contains("ask the project's own endpoint"));
}

#[test]
fn what_is_switched_off_says_who_can_switch_it_on() {
    for (action, reason, key) in [
        (Action::DependencyProxy, Reason::ProxyOff, "forge.dependency_proxy"),
        (Action::UseAgent, Reason::AgentOff, "forge.kubernetes_agent"),
    ] {
        let reply = rule(&Denied { action, ..denied(Protocol::Api, reason) }, &Subject::None);
        assert!(reply.status == 403 && reply.body.contains(key), "{}", reply.body);
    }
}

/// The reasons that let something pass, of which no client is told.
fn lets_pass(reason: Reason) -> bool {
    use Reason::{
        Agent, Anonymous, Configured, GroupAbove, GroupListed, LeftToForge, Listed, Login, NotLimited, OwnJob,
        OwnProject, RoleSuffices, RunnerReport,
    };
    [
        Agent,
        Anonymous,
        Configured,
        GroupAbove,
        GroupListed,
        LeftToForge,
        RoleSuffices,
        Listed,
        Login,
        NotLimited,
        OwnJob,
        OwnProject,
        RunnerReport,
    ]
    .contains(&reason)
}

/// What a client shows of an answer.
fn shown(protocol: Protocol, reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let text = match protocol {
        Protocol::Git | Protocol::Web => return reply.body.trim_end().replace('\n', " "),
        // The client shows the number behind it.
        Protocol::Lfs => format!("{} Decision {DECISION}.", body["message"].as_str().unwrap_or_default()),
        Protocol::Registry | Protocol::RegistryToken => {
            return body["errors"][0]["message"].as_str().unwrap_or_default().into();
        }
        Protocol::Api | Protocol::Trigger | Protocol::Runner => {
            return body["error"].as_str().unwrap_or_default().into();
        }
    };
    assert_eq!(body["request_id"], DECISION);
    text
}

/// Every sentence that a client may get, in every protocol, and what it is about.
fn every_sentence() -> Vec<(String, String)> {
    let (origin, target) = known();
    let mut all = Vec::new();
    for protocol in Protocol::ALL {
        let mut add =
            |what: &str, reply: &Reply| all.push((format!("{} {what}", protocol.name()), shown(protocol, reply)));
        for (reason, code, _) in Reason::ALL.iter().filter(|(reason, _, _)| !lets_pass(*reason)) {
            for (action, name, _) in Action::ALL {
                if (*reason, need(*action).permission) == (Reason::EntryTooNarrow, Needed::NoneThere) {
                    // That is `allowlist.no-permission`.
                    continue;
                }
                let denied = Denied { action: *action, written: Some("rule-1"), ..denied(protocol, *reason) };
                let subject = Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(103)) };
                add(&format!("{code} of a known target, {name}"), &rule(&denied, &subject));
                add(&format!("{code} without a target, {name}"), &rule(&denied, &Subject::None));
            }
            add(&format!("{code} of a hidden target"), &rule(&denied(protocol, *reason), &Subject::Hidden));
            add(&format!("{code} of a token"), &token(protocol, *reason));
        }
        for (one, _, code, _) in Malformed::ALL {
            add(code, &malformed(protocol, *one));
        }
        for (one, code, _) in Failure::ALL {
            add(code, &failure(protocol, *one));
        }
    }
    all
}

#[test]
fn every_sentence_says_what_to_do_and_which_decision_it_was_in_words_that_are_the_clients() {
    // What we call things among ourselves.
    const OURS: [&str; 14] = [
        "jobscope",
        "filter",
        "plugin",
        "wasm",
        "hostcall",
        "binding",
        "flight",
        "lookup",
        "carrier",
        "standing",
        "origin",
        "malformed",
        "unclassif",
        "allowlist.",
    ];
    for (what, text) in every_sentence() {
        let said = text.strip_suffix(&format!(". Decision {DECISION}."));
        let said = said.unwrap_or_else(|| panic!("{what}: {text}"));
        assert!(said.len() > 20 && (said.contains("; ") || said.contains(". ")), "{what} says nothing to do: {text}");
        assert!(
            !said.ends_with(['.', ';', ',', ' '])
                && !said.contains("  ")
                && !said.contains(" ;")
                && !said.contains(".. "),
            "{what}: {text}"
        );
        // A path begins no sentence: it would be written with a capital.
        assert!(!said.contains("Apps/web") && !said.contains("Infra/secrets"), "{what}: {text}");
        let lower = said.to_ascii_lowercase();
        assert_eq!(OURS.iter().find(|word| lower.contains(**word)), None, "{what}: {text}");
    }
}

#[test]
fn every_reason_of_a_refusal_is_what_is_wrong_and_what_to_do() {
    let reasons = Reason::ALL.iter().filter(|(reason, _, _)| !lets_pass(*reason)).map(|(_, code, text)| (code, text));
    let malformed = Malformed::ALL.iter().map(|(_, _, code, text)| (code, text));
    let failures = Failure::ALL.iter().map(|(_, code, text)| (code, text));
    for (code, text) in reasons.chain(malformed).chain(failures) {
        let parts: Vec<&str> = text.split("; ").collect();
        assert!(parts.len() == 2 && parts.iter().all(|part| part.len() > 4 && !part.ends_with('.')), "{code}: {text}");
    }
}

#[test]
fn the_number_stands_wherever_the_body_names_it() {
    for body in ["", "<", "<decision", DECISION, "a<b <decision> <<decision>\u{e9}", "<decision><decision>"] {
        let reply = Reply { status: 403, headers: Vec::new(), retry_after: None, body: body.into() };
        assert_eq!(reply.text("0123"), body.replace(DECISION, "0123"), "{body}");
    }
}
