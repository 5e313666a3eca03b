//! Jobs whose tokens the forge does not know: what is granted to them goes on with a slot and without any credential.

use std::format;
use std::string::String;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::facts::Credential;
use crate::request::{Body, Head, Reading, read};

/// An ID token: to the reader it is somebody's JWT.
const ID_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqb2IifQ.c2lnbmF0dXJl";

fn config(more: &str, mode: &str) -> Config {
    let document = format!(
        r#"{{"mode": "{mode}", "forge": {{"kind": "generic", "hosts": ["h"], "registry_hosts": ["r"]{more}}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

const ON: &str = r#", "credential_slots": "on""#;

fn basic() -> (&'static str, String) {
    ("authorization", format!("Basic {}", STANDARD.encode(format!("job:{ID_TOKEN}"))))
}

fn bearer() -> (&'static str, String) {
    ("authorization", format!("Bearer {ID_TOKEN}"))
}

fn reading(config: &Config, asked: (&str, &str, &str), fields: &[(&str, String)]) -> Reading {
    let (method, host, path) = asked;
    let head = [(":method", method), (":authority", host), (":path", path)].into_iter();
    let fields: Vec<(&[u8], &[u8])> = head
        .chain(fields.iter().map(|(name, value)| (*name, value.as_str())))
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    read(&config.forge, &Head::new(&fields, if method == "GET" { Body::None } else { Body::Follows }))
}

fn request(config: &Config, asked: (&str, &str, &str), fields: &[(&str, String)]) -> JobRequest {
    let read = reading(config, asked, fields);
    let Reading::Job(request) = read else { panic!("{asked:?} {read:?}") };
    request
}

/// What the job of an ID token is told: it is the maintainer of everything that it asks for, unless it is `elsewhere`.
fn facts(request: &JobRequest, credential: Credential) -> Facts {
    let job = Job { context: Context { credential, ..Context::default() }, ..job() };
    let found = |target: &TargetRef| match target {
        TargetRef::Path(path) if path.as_str().starts_with("elsewhere") => Found::Nothing,
        TargetRef::None
        | TargetRef::Own
        | TargetRef::Job(_)
        | TargetRef::ProjectOfJob(_)
        | TargetRef::Path(_)
        | TargetRef::Id(_)
        | TargetRef::Image(_)
        | TargetRef::Group(_)
        | TargetRef::Held(_) => {
            let Found::Standing(standing) = standing("apps/web", Role::Maintainer, Admission::Own) else { panic!() };
            let target = Target { id: Some(ProjectId(101)), job_push: JobPush::Own, ..standing.target };
            Found::Standing(Standing { target, ..standing })
        }
    };
    let targets = request.accesses.iter().map(|access| (access.target.clone(), found(&access.target))).collect();
    Facts { token: Some(Token::Running(job)), targets, dependencies: Vec::new() }
}

fn decision(config: &Config, asked: (&str, &str, &str), fields: &[(&str, String)]) -> Decision {
    let request = request(config, asked, fields);
    decided(decide(config, &request, &facts(&request, Credential::Service)))
}

const FETCH: (&str, &str, &str) = ("GET", "h", "/apps/web.git/info/refs?service=git-upload-pack");

#[test]
fn what_is_granted_goes_on_without_any_credential_and_with_the_slot_of_its_action() {
    let config = config(ON, "enforce");
    for (asked, slot) in [
        (FETCH, "read"),
        (("POST", "h", "/apps/web.git/git-upload-pack"), "read"),
        (("GET", "h", "/apps/web.git/info/refs?service=git-receive-pack"), "write"),
        (("POST", "h", "/apps/web.git/git-receive-pack"), "write"),
        (("GET", "r", "/v2/"), "read"),
        (("GET", "r", "/v2/apps/web/manifests/v1"), "read"),
        (("PUT", "r", "/v2/apps/web/manifests/v1"), "write"),
        (("DELETE", "r", "/v2/apps/web/manifests/v1"), "write"),
        (
            (
                "POST",
                "r",
                "/v2/apps/web/blobs/uploads/?mount=sha256:0123456789012345678901234567890123456789012345678901234567890123&from=apps/web",
            ),
            "write",
        ),
    ] {
        for token in [basic(), bearer()] {
            let media = asked.2.rsplit_once("/git-").map(|(_, service)| format!("application/x-git-{service}-request"));
            let beside = [
                ("cookie", "session=1".into()),
                ("proxy-authorization", "Basic eA==".into()),
                ("accept", "*/*".into()),
            ];
            let media = media.map(|media| ("content-type", media));
            let fields: Vec<_> = beside.into_iter().chain(media).chain([token]).collect();
            let decision = decision(&config, asked, &fields);
            let Outcome::Forward(grant) = &decision.outcome else { panic!("{asked:?} {decision:?}") };
            assert_eq!((decision.record.verdict, grant.slot().map(Slot::name)), ("allow", Some(slot)), "{asked:?}");
            assert_eq!(
                (grant.without(), grant.path()),
                (&["cookie", "proxy-authorization", "authorization"].map(String::from)[..], None)
            );
        }
    }
}

#[test]
fn nothing_has_a_slot_that_is_not_allowed_or_whose_token_the_forge_knows() {
    let elsewhere = ("GET", "h", "/elsewhere/web.git/info/refs?service=git-upload-pack");
    let slot = |decision: &Decision| match &decision.outcome {
        Outcome::Forward(grant) => Some(grant.clone()),
        Outcome::Reply(_) => None,
    };
    let denied = decision(&config(ON, "enforce"), elsewhere, &[basic()]);
    assert_eq!((denied.record.reason, slot(&denied)), ("target.unknown", None));
    // Observed it goes on as it came: nothing was granted.
    let observed = decision(&config(ON, "observe"), elsewhere, &[basic()]);
    assert_eq!((observed.record.verdict, slot(&observed)), ("observe-deny", Some(Grant::default())));
    let observed = decision(&config(ON, "observe"), FETCH, &[basic()]);
    assert_eq!(slot(&observed).unwrap().slot(), Some(Slot::Read), "what is allowed is granted all the same");

    for more in ["", ON] {
        let config = config(more, "enforce");
        let request = request(&config, FETCH, &[basic()]);
        let own = decided(decide(&config, &request, &facts(&request, Credential::Own)));
        assert_eq!((own.record.verdict, slot(&own)), ("allow", Some(Grant::default())), "{more}");
    }
}

#[test]
fn a_rule_that_is_only_observed_grants_nothing_either() {
    let document = br#"{"forge": {"kind": "generic", "hosts": ["h"], "credential_slots": "on"},
        "access": {"deny": [{"id": "r", "targets": ["apps/**"], "mode": "observe"}]},
        "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#;
    let config = Config::parse(document).unwrap();
    let decision = decision(&config, FETCH, &[basic()]);
    assert_eq!((decision.record.verdict, &decision.outcome), ("observe-deny", &Outcome::Forward(Grant::default())));
}

#[test]
fn what_no_credential_is_added_to_is_refused_with_a_reason_of_its_own() {
    let batch = ("GET", "h", "/apps/web.git/info/lfs/locks");
    let objects = ("GET", "h", "/api/v1/repos/search");
    let public = ("GET", "h", "/.well-known/x");
    let twice = ("GET", "h", "/apps/web.git/info/refs?service=git-upload-pack");
    for (more, asked, fields, reason) in [
        ("", FETCH, vec![basic()], "credential.off"),
        (ON, batch, vec![basic()], "credential.action"),
        (ON, objects, vec![bearer()], "credential.action"),
        (ON, public, vec![bearer()], "credential.action"),
        (ON, ("GET", "r", "/v2/token"), vec![basic()], "credential.action"),
        (ON, ("GET", "r", "/v2/_catalog"), vec![basic()], "credential.action"),
    ] {
        let decision = decision(&config(more, "enforce"), asked, &fields);
        assert_eq!((decision.record.verdict, decision.record.reason), ("deny", reason), "{asked:?}");
        let reply = reply(decision);
        assert!(reply.status == 403 || asked.2 == "/v2/token", "{reply:?}");
    }
    // What cannot be made bare is not sent on under another name.
    let config = config(ON, "enforce");
    let plain = request(&config, twice, &[basic()]);
    let with_query = crate::request::Bare { path: Some(b"/x".to_vec()), headers: Vec::new() };
    for request in [
        JobRequest { bare: None, ..plain.clone() },
        JobRequest { bare: Some(with_query), ..plain.clone() },
        JobRequest { claim: Claim::Minted(None), ..plain.clone() },
    ] {
        let decision = decided(decide(&config, &request, &facts(&request, Credential::Service)));
        assert_eq!((decision.record.verdict, decision.record.reason), ("deny", "credential.carrier"), "{request:?}");
    }
}

#[test]
fn a_token_in_a_query_is_refused_wherever_the_other_stands() {
    let config = config(ON, "enforce");
    for asked in [
        ("GET", "h", &*format!("/apps/web.git/info/refs?service=git-upload-pack&access_token={ID_TOKEN}")),
        ("GET", "r", &*format!("/v2/apps/web/manifests/v1?token={ID_TOKEN}")),
    ] {
        for fields in [vec![], vec![basic()]] {
            let request = match reading(&config, asked, &fields) {
                Reading::Refused(_) => continue,
                Reading::Job(request) => request,
                read @ (Reading::NotAJob | Reading::Passing(_) | Reading::Body(_)) => panic!("{read:?}"),
            };
            let decision = decided(decide(&config, &request, &facts(&request, Credential::Service)));
            assert!(matches!(decision.outcome, Outcome::Reply(_)), "{asked:?} {decision:?}");
        }
    }
}

#[test]
fn a_redirect_with_a_login_is_known() {
    for location in ["https://user:secret@h/x", "//user@h", "HTTPS://:secret@h?x"] {
        assert!(names_login(location.as_bytes()), "{location}");
    }
    for location in ["https://h/x@y", "/x//user@h", "/x?to=https://user:secret@h", "x@y", "", "https://h?a=@b"] {
        assert!(!names_login(location.as_bytes()), "{location}");
    }
}
