use std::vec;
use std::vec::Vec;

use super::*;
use crate::access::Action;
use crate::facts::{
    Admission, Affiliation, Context, Entry, Features, Grants, GroupPath, Invalid, JobId, JobPush, Link, Origin,
    Outbound, ProjectId, ProjectPath, Role, Secret, Target, User, UserId, Visibility,
};

mod enforcing;
mod holders;
mod slots;

const PROJECT: Admission = Admission::Listed(Entry { link: Link::Project, grants: Grants::Default });
const GROUP: Admission = Admission::Listed(Entry { link: Link::Group, grants: Grants::Default });

fn config(mode: &str) -> Config {
    let document = std::format!(
        r#"{{"mode": "{mode}", "forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn job() -> Job {
    let user = Some(User { id: UserId(11), name: "dana".into() });
    let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
    Job { id: JobId(1001), user, origin, context: Context::default() }
}

fn path(path: &str) -> TargetRef {
    TargetRef::Path(ProjectPath::parse(path).unwrap())
}

fn standing(name: &str, role: Role, admission: Admission) -> Found {
    let target = Target {
        id: Some(ProjectId(2)),
        path: ProjectPath::parse(name),
        visibility: Some(Visibility::Private),
        features: Features::OPEN,
        job_push: JobPush::Off,
        public_jobs: false,
        archived: false,
    };
    let affiliation = Affiliation::Internal;
    Found::Standing(Standing { role: Some(role), affiliation, admission, outbound: Outbound::Open, target })
}

fn request(protocol: Protocol, accesses: Vec<Access>) -> JobRequest {
    JobRequest::new(Secret::new(b"glcbt-1"), protocol, accesses)
}

fn known(targets: &[(&str, Found)]) -> Facts {
    Facts {
        token: Some(Token::Running(job())),
        targets: targets.iter().map(|(name, found)| (path(name), found.clone())).collect(),
        dependencies: Vec::new(),
    }
}

fn decided(step: Step) -> Decision {
    let Step::Decided(decision) = step else { panic!("{step:?}") };
    decision
}

fn reply(decision: Decision) -> Reply {
    let Outcome::Reply(reply) = decision.outcome else { panic!("{decision:?}") };
    reply
}

#[test]
fn what_names_no_project_and_no_package_is_never_looked_up_and_the_answer_says_what_to_ask() {
    let group = GroupPath::parse("libs").unwrap();
    let targets = [(TargetRef::Group(group), "group libs"), (TargetRef::None, "-")];
    for (target, name) in targets {
        let request = request(Protocol::Api, vec![Access::new(Action::ReadNpm, target)]);
        let decision = decided(decide(&config("enforce"), &request, &known(&[])));
        assert_eq!((decision.record.reason, &*decision.record.rule), ("target.many", "one-target"));
        assert_eq!(decision.record.target, name);
        let reply = reply(decision);
        assert!(reply.status == 403 && reply.body.contains("ask the project's own endpoint"), "{reply:?}");
    }
}

#[test]
fn a_dependency_that_the_forge_named_is_left_to_it_and_any_other_job_is_told_the_way_out() {
    let config = config("enforce");
    let by_number = |number| {
        request(
            Protocol::Runner,
            vec![Access::new(Action::DownloadOwnArtifact, TargetRef::ProjectOfJob(JobId(number)))],
        )
    };
    let facts = |number, found| Facts {
        targets: vec![(TargetRef::ProjectOfJob(JobId(number)), found)],
        dependencies: vec![JobId(501), JobId(502)],
        ..known(&[])
    };
    let step = decide(&config, &by_number(501), &Facts { targets: Vec::new(), ..facts(501, Found::Nothing) });
    assert!(matches!(step, Step::NeedsTargets(..)), "the job may be one of the own project: {step:?}");
    let decision = decided(decide(&config, &by_number(502), &facts(502, Found::Nothing)));
    assert_eq!((&*decision.record.rule, decision.record.reason), ("dependency", "forge.decides"));
    assert_eq!((decision.record.verdict, decision.record.target.as_str()), ("allow", "job #502"));
    // Where its project is known, it is judged as any.
    let elsewhere =
        decided(decide(&config, &by_number(501), &facts(501, standing("a/b", Role::Owner, Admission::Unlisted))));
    assert_eq!((&*elsewhere.record.rule, elsewhere.record.verdict), ("inbound", "deny"));
    let other = decided(decide(&config, &by_number(503), &facts(503, Found::Nothing)));
    assert_eq!((&*other.record.rule, other.record.reason), ("target-exists", "target.unknown"));
    let reply = reply(other);
    assert_eq!(reply.status, 404);
    assert!(
        reply.body.contains("needs:project") && reply.body.contains("/projects/:id/jobs/:job_id/artifacts"),
        "{reply:?}"
    );
}

#[test]
fn what_is_missing_is_asked_for_once() {
    use crate::access::Action::{PullImage, PushImage};
    let asks = vec![
        Access::new(PullImage, path("a/b")),
        Access::new(PushImage, path("a/b")),
        Access::new(PullImage, path("a/c")),
    ];
    let request = request(Protocol::RegistryToken, asks);
    let config = config("enforce");
    assert_eq!(decide(&config, &request, &Facts::default()), Step::NeedsToken);
    assert_eq!(decide(&config, &request, &known(&[])), Step::NeedsTargets(job(), vec![path("a/b"), path("a/c")]));
    let half = known(&[("a/b", standing("a/b", Role::Owner, Admission::Own))]);
    assert_eq!(decide(&config, &request, &half), Step::NeedsTargets(job(), vec![path("a/c")]));
}

#[test]
fn all_that_is_asked_must_be_allowed() {
    use crate::access::Action::ReadCode;
    let config = config("enforce");
    let request = request(Protocol::Git, vec![Access::new(ReadCode, path("a/b")), Access::new(ReadCode, path("a/c"))]);
    let listed = standing("a/b", Role::Reporter, PROJECT);
    for other in
        [standing("a/c", Role::Reporter, Admission::Unlisted), standing("a/c", Role::None, PROJECT), Found::Nothing]
    {
        let decision = decided(decide(&config, &request, &known(&[("a/b", listed.clone()), ("a/c", other)])));
        assert_eq!((decision.record.verdict, decision.record.target.as_str()), ("deny", "a/c"));
        assert!(matches!(decision.outcome, Outcome::Reply(_)));
    }
    let both = known(&[("a/b", listed), ("a/c", standing("a/c", Role::Reporter, GROUP))]);
    let decision = decided(decide(&config, &request, &both));
    assert_eq!((decision.record.verdict, &*decision.record.rule), ("allow", "role"));
}

#[test]
fn a_hidden_target_is_answered_like_none_in_every_protocol_and_for_every_action() {
    let config = config("enforce");
    for protocol in Protocol::ALL {
        for (action, name, _) in crate::access::Action::ALL {
            let request = request(protocol, vec![Access::new(*action, path("a/b"))]);
            let nothing = decided(decide(&config, &request, &known(&[("a/b", Found::Nothing)])));
            for admission in [PROJECT, GROUP, Admission::Open, Admission::Unlisted] {
                let hidden =
                    decided(decide(&config, &request, &known(&[("a/b", standing("a/b", Role::None, admission))])));
                if hidden.record.verdict == "deny" {
                    assert_eq!(reply(hidden), reply(nothing.clone()), "{protocol:?} {name}");
                }
            }
        }
    }
}

#[test]
fn a_token_that_is_no_running_jobs_is_answered_as_the_protocol_does() {
    let status = |protocol, token| {
        let request = request(protocol, vec![Access::new(crate::access::Action::ReadCode, path("a/b"))]);
        let facts = Facts { token: Some(token), ..Facts::default() };
        reply(decided(decide(&config("enforce"), &request, &facts))).status
    };
    let all = Invalid::ALL.iter().map(|(invalid, _)| Token::Invalid(*invalid)).chain([Token::Ended(None)]);
    for token in all {
        for protocol in [Protocol::Git, Protocol::Lfs, Protocol::Registry, Protocol::RegistryToken, Protocol::Web] {
            assert_eq!(status(protocol, token.clone()), 401, "{protocol:?} {token:?}");
        }
        assert_eq!(status(Protocol::Runner, token.clone()), 403, "a runner stops at 403 and at nothing else");
    }
    let invalid = |protocol, invalid| status(protocol, Token::Invalid(invalid));
    assert_eq!(invalid(Protocol::Api, Invalid::Unknown), 401);
    assert_eq!(invalid(Protocol::Api, Invalid::UserBlocked), 403, "the API knows the user and says so");
    assert_eq!(invalid(Protocol::Trigger, Invalid::Unknown), 404);
    assert_eq!(invalid(Protocol::Trigger, Invalid::Erased), 401);
}

#[test]
fn who_sent_what_cannot_be_read_is_recorded_and_changes_nothing() {
    let unread = Claim::Unread(Malformed::EmptySegment);
    let request = JobRequest {
        claim: unread,
        ..request(Protocol::Git, vec![Access::new(crate::access::Action::ReadCode, path("a/b"))])
    };
    let config = config("enforce");
    assert_eq!(decide(&config, &request, &Facts::default()), Step::NeedsToken);
    let nobody = ["-", "-", "-", "a/b"];
    let dana = ["1001", "dana", "apps/web", "a/b"];
    for (token, recorded) in [
        (Some(Token::Running(job())), dana),
        (Some(Token::Ended(Some(job()))), dana),
        (Some(Token::Ended(None)), nobody),
        (Some(Token::Invalid(Invalid::Unknown)), nobody),
        (Some(Token::Invalid(Invalid::Foreign)), nobody),
        (None, nobody),
    ] {
        let facts = Facts { token, ..Facts::default() };
        // It is refused for the same where the token cannot be looked up.
        let decision = match facts.token {
            None => missed(&config, &request, &facts, Failure::LookupTimeout),
            Some(_) => decided(decide(&config, &request, &facts)),
        };
        let Record { job, user, origin, target, reason, .. } = &decision.record;
        assert_eq!(([job, user, origin, target].map(String::as_str), *reason), (recorded, "path.empty-segment"));
        assert_eq!(reply(decision), reply::malformed(Protocol::Git, Malformed::EmptySegment));
    }
}

#[test]
fn a_fact_that_cannot_be_had_is_recorded_with_whose_request_it_is() {
    let request = request(Protocol::Git, vec![Access::new(crate::access::Action::ReadCode, path("a/b"))]);
    let missed = |facts| missed(&config("enforce"), &request, &facts, Failure::LookupTimeout).record;
    let known = missed(known(&[]));
    assert_eq!([known.job, known.user, known.origin, known.target].join(" "), "1001 dana apps/web a/b");
    let unknown = missed(Facts::default());
    assert_eq!([unknown.job, unknown.user, unknown.origin, unknown.target].join(" "), "- - - a/b");
    assert_eq!((unknown.action, unknown.reason), ("git.read", "lookup.timeout"));
}

#[test]
fn observing_forwards_every_denial_and_says_so() {
    let request = request(Protocol::Git, vec![Access::new(crate::access::Action::ReadCode, path("a/b"))]);
    let unreadable = Refused::new(Protocol::Git, Malformed::DotSegment);
    for (mode, verdict) in [("enforce", "deny"), ("observe", "observe-deny")] {
        let config = config(mode);
        for decision in [
            decided(decide(&config, &request, &known(&[("a/b", Found::Nothing)]))),
            refused(&config, &unreadable),
            failed(&config, Protocol::Git, Failure::LookupTimeout),
        ] {
            assert_eq!(decision.record.verdict, verdict);
            assert_eq!(matches!(decision.outcome, Outcome::Forward(_)), mode == "observe");
        }
    }
}

#[test]
fn a_rule_or_a_target_can_be_observed_alone() {
    use crate::access::Action::{ReadCode, ReadPipelines};
    let with = |observe: &str| {
        let document = std::format!(
            r#"{{"observe": {observe}, "forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        Config::parse(document.as_bytes()).unwrap()
    };
    let says = |config: &Config, action, role, admission| {
        let request = request(Protocol::Api, vec![Access::new(action, path("a/b"))]);
        let decision = decided(decide(config, &request, &known(&[("a/b", standing("a/b", role, admission))])));
        (decision.record.verdict, decision.record.reason, matches!(decision.outcome, Outcome::Forward(_)))
    };
    let inbound = with(r#"{"rules": ["inbound"]}"#);
    assert_eq!(says(&inbound, ReadCode, Role::Owner, Admission::Unlisted), ("observe-deny", "allowlist.missing", true));
    // What stands behind the observed rule is enforced.
    assert_eq!(says(&inbound, ReadPipelines, Role::Guest, Admission::Unlisted), ("deny", "role.too-low", false));
    assert_eq!(says(&inbound, ReadCode, Role::Owner, PROJECT), ("allow", "allowlist.project", true));
    let target = with(r#"{"targets": ["a/**"]}"#);
    assert_eq!(says(&target, ReadCode, Role::Owner, Admission::Unlisted), ("observe-deny", "allowlist.missing", true));
    let other = with(r#"{"targets": ["a/c"]}"#);
    assert_eq!(says(&other, ReadCode, Role::Owner, Admission::Unlisted), ("deny", "allowlist.missing", false));
}

#[test]
fn no_two_causes_share_a_code() {
    let reasons = Reason::ALL.iter().map(|(reason, _, _)| Cause::Rule(*reason));
    let malformed = Malformed::ALL.iter().map(|(malformed, _, _, _)| Cause::Malformed(*malformed));
    let failures = Failure::ALL.iter().map(|(failure, _, _)| Cause::Failure(*failure));
    let codes: Vec<&str> = reasons.chain(malformed).chain(failures).map(Cause::code).collect();
    let unique: std::collections::BTreeSet<_> = codes.iter().collect();
    assert_eq!(unique.len(), codes.len());
}

#[test]
fn only_a_credential_without_a_mark_can_be_somebody_elses() {
    let foreign = Facts { token: Some(Token::Invalid(Invalid::Foreign)), ..Facts::default() };
    let access = || vec![Access::new(crate::access::Action::ReadCode, path("a/b"))];
    let marked = request(Protocol::Git, access());
    assert_eq!(decided(decide(&config("enforce"), &marked, &foreign)).record.reason, "token.unknown");
    for claim in [Claim::Unmarked(None), Claim::Unmarked(Some(Malformed::EmptySegment))] {
        let unmarked = JobRequest { claim, ..request(Protocol::Git, access()) };
        assert_eq!(decide(&config("enforce"), &unmarked, &Facts::default()), Step::NeedsToken);
        assert_eq!(decide(&config("enforce"), &unmarked, &foreign), Step::NotAJob);
    }
}

#[test]
fn what_cannot_be_read_is_refused_once_the_credential_is_not_somebody_elses() {
    let claim = Claim::Unmarked(Some(Malformed::EmptySegment));
    let unread = JobRequest { claim, ..request(Protocol::Git, Vec::new()) };
    for token in [
        Token::Running(job()),
        Token::Ended(None),
        Token::Invalid(Invalid::Unknown),
        Token::Invalid(Invalid::UserRefused),
    ] {
        let facts = Facts { token: Some(token), ..Facts::default() };
        let decision = decided(decide(&config("enforce"), &unread, &facts));
        assert_eq!((decision.record.reason, reply(decision).status), ("path.empty-segment", 400));
    }
}

fn stripping(mode: &str) -> Config {
    let document = std::format!(
        r#"{{"mode": "{mode}", "forge": {{"hosts": ["h"], "unlisted_endpoints": "strip"}},
             "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn unlisted(bare: Option<crate::request::Bare>) -> JobRequest {
    let access = Access::new(Action::Unlisted, TargetRef::None);
    JobRequest { bare, ..request(Protocol::Api, vec![access]) }
}

fn bare() -> Option<crate::request::Bare> {
    Some(crate::request::Bare { headers: vec!["job-token".into()], path: Some(b"/x".to_vec()) })
}

#[test]
fn an_unlisted_endpoint_gets_the_request_without_its_token() {
    let decision = decided(decide(&stripping("enforce"), &unlisted(bare()), &known(&[])));
    assert_eq!((decision.record.verdict, decision.record.reason), ("allow", "unlisted.stripped"));
    assert!(!decision.denies());
    let Outcome::Forward(grant) = decision.outcome else { panic!() };
    assert_eq!((grant.without(), grant.path()), (&["job-token".into()][..], Some(&b"/x"[..])));

    let denied = decided(decide(&config("enforce"), &unlisted(bare()), &known(&[])));
    assert_eq!((denied.record.reason, reply(denied).status), ("action.never", 403), "the default");
    let in_body = decided(decide(&stripping("enforce"), &unlisted(None), &known(&[])));
    assert_eq!((in_body.record.reason, reply(in_body).status), ("unlisted.token-in-body", 403));
    for token in [Token::Invalid(Invalid::Unknown), Token::Ended(None)] {
        let facts = Facts { token: Some(token), ..Facts::default() };
        let dead = decided(decide(&stripping("enforce"), &unlisted(bare()), &facts));
        assert_eq!(reply(dead).status, 401, "a dead token does not become anonymous");
    }
}

#[test]
fn nothing_is_stripped_but_unlisted_endpoints_and_nothing_while_only_observed() {
    let catalog =
        JobRequest { bare: bare(), ..request(Protocol::Registry, vec![Access::new(Action::Catalog, TargetRef::None)]) };
    assert_eq!(decided(decide(&stripping("enforce"), &catalog, &known(&[]))).record.reason, "action.never");
    let observed = decided(decide(&stripping("observe"), &unlisted(bare()), &known(&[])));
    assert_eq!((observed.record.verdict, observed.record.reason), ("observe-deny", "unlisted.stripped"));
    let Outcome::Forward(grant) = observed.outcome else { panic!() };
    assert!(grant.without().is_empty() && grant.path().is_none());
}

/// A push to the own project that hopes for a mount from another.
fn push_with_mount(config: &Config) -> JobRequest {
    use crate::request::{Body, Head, Reading, read};
    let path = "/jwt/auth?service=container_registry&scope=repository:apps/web:pull,push&scope=repository:a/b:pull";
    // `gitlab-ci-token:glcbt-1`
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":authority", b"h"),
        (b":path", path.as_bytes()),
        (b"authorization", b"Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTE="),
    ];
    let Reading::Job(request) = read(&config.forge, &Head::new(&fields, Body::None)) else { panic!("{path}") };
    request
}

#[test]
fn what_is_observed_is_forwarded_as_it_came_and_no_more_than_that() {
    let image = |name: &str| TargetRef::Image([ProjectPath::parse(name).unwrap()].into());
    let facts = Facts {
        token: Some(Token::Running(job())),
        targets: vec![
            (image("apps/web"), standing("apps/web", Role::Developer, Admission::Own)),
            (image("a/b"), standing("a/b", Role::Owner, Admission::Unlisted)),
        ],
        ..Facts::default()
    };
    let forwarded = |config: &Config| {
        let decision = decided(decide(config, &push_with_mount(config), &facts));
        let Outcome::Forward(grant) = decision.outcome else { panic!("{decision:?}") };
        (decision.record.verdict, grant.path().is_some())
    };
    let observing = |observe: &str| {
        let document = std::format!(
            r#"{{"observe": {observe}, "forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        Config::parse(document.as_bytes()).unwrap()
    };
    assert_eq!(forwarded(&config("enforce")), ("allow", true), "the source that is refused is dropped");
    assert_eq!(forwarded(&config("observe")), ("allow", false));
    assert_eq!(forwarded(&observing(r#"{"targets": ["a/b"]}"#)), ("allow", false));
    assert_eq!(forwarded(&observing(r#"{"targets": ["a/c"]}"#)), ("allow", true));
    assert_eq!(forwarded(&observing(r#"{"rules": ["inbound"]}"#)), ("observe-deny", false), "and it is told");
}

#[test]
fn a_role_that_is_only_observed_denies_nothing() {
    use crate::access::Action::ReadReleases;
    let document = r#"{"observe": {"rules": ["role"]}, "forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#;
    let observing = Config::parse(document.as_bytes()).unwrap();
    let request = request(Protocol::Api, vec![Access::new(ReadReleases, path("a/b"))]);
    let decision = decided(decide(&observing, &request, &known(&[("a/b", standing("a/b", Role::None, PROJECT))])));
    assert_eq!((decision.record.verdict, decision.record.reason), ("observe-deny", "role.none"));
    assert!(matches!(decision.outcome, Outcome::Forward(_)));
    for rule in ["target-exists", "never-for-jobs", "nothing-matched"] {
        let document = document.replace("\"role\"", &std::format!("\"{rule}\""));
        assert!(Config::parse(document.as_bytes()).is_err(), "{rule}");
    }
}

/// A request with what is signed of a JWT.
fn minted(claims: &str, protocol: Protocol, malformed: Option<Malformed>) -> JobRequest {
    use base64::Engine;
    let signed = std::format!("eyJh.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
    let access = Access::new(crate::access::Action::PullImage, path("a/b"));
    let request = JobRequest::new(Secret::new(signed.as_bytes()), protocol, vec![access]);
    JobRequest { claim: Claim::Minted(malformed), ..request }
}

const OF_A_JOB: &str = r#"{"sub":"dana","auth_type":"build"}"#;
const OF_SOMEBODY: &str = r#"{"sub":"dana","auth_type":"personal"}"#;

#[test]
fn what_was_not_seen_being_made_is_a_persons_unless_it_says_otherwise() {
    let unseen = |claims, malformed| {
        decide(&config("enforce"), &minted(claims, Protocol::Registry, malformed), &Facts::default())
    };
    for claims in [OF_SOMEBODY, "{}", "[]", "", r#"{"auth_type":["build"]}"#, r#"{"deep":{"auth_type":"build"}}"#] {
        for malformed in [None, Some(Malformed::EmptySegment)] {
            assert_eq!(unseen(claims, malformed), Step::NotAJob, "{claims}");
        }
    }
    let decision = decided(unseen(OF_A_JOB, None));
    assert_eq!((decision.record.verdict, decision.record.reason), ("deny", "token.unrecorded"));
    let Outcome::Forward(grant) = decision.outcome else { panic!("the registry says how to get another one") };
    assert_eq!((grant.without(), grant.path()), (&["authorization".into()][..], None));
    let unread = decided(unseen(OF_A_JOB, Some(Malformed::EmptySegment)));
    assert_eq!((unread.record.reason, reply(unread).status), ("path.empty-segment", 400));
    let foreign = Facts { token: Some(Token::Invalid(Invalid::Foreign)), ..Facts::default() };
    let somebodys = minted(OF_A_JOB, Protocol::Registry, None);
    assert_eq!(decide(&config("enforce"), &somebodys, &foreign), Step::NotAJob);
}

#[test]
fn a_jwt_of_jobs_user_is_nobody_elses_where_the_forge_is_gitea() {
    let of = |kind: &str, claims: &str, malformed, invalid| {
        let document = std::format!(
            r#"{{"forge": {{"kind": "{kind}", "hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        let config = Config::parse(document.as_bytes()).unwrap();
        let minted = minted(claims, Protocol::Registry, None);
        let request = JobRequest { claim: Claim::Unmarked(malformed), ..minted };
        let facts = Facts { token: Some(Token::Invalid(invalid)), ..Facts::default() };
        decide(&config, &request, &facts)
    };
    let jobs = r#"{"UserID":-2,"ActionsUserTaskID":0}"#;
    for invalid in [Invalid::Foreign, Invalid::Unknown] {
        let challenged = decided(of("gitea", jobs, None, invalid));
        assert_eq!((challenged.record.verdict, challenged.record.reason), ("deny", "token.unrecorded"), "{invalid:?}");
        assert!(matches!(challenged.outcome, Outcome::Forward(grant) if grant.without() == ["authorization"]));
        let unread = decided(of("gitea", jobs, Some(Malformed::EmptySegment), invalid));
        assert_eq!(reply(unread).status, 400, "{invalid:?}");
    }
    for (kind, claims) in [("gitea", r#"{"UserID":11}"#), ("gitea", r#"{"UserID":"-2"}"#), ("generic", jobs)] {
        assert_eq!(of(kind, claims, None, Invalid::Foreign), Step::NotAJob, "{kind} {claims}");
        let unknown = decided(of(kind, claims, None, Invalid::Unknown));
        assert_eq!((reply(unknown).status, kind), (401, kind), "{claims}");
    }
}

#[test]
fn a_jwt_that_names_a_user_and_nothing_else_may_be_a_jobs_where_jobs_use_the_dependency_proxy() {
    let proxy = |on| {
        let document = std::format!(
            r#"{{"forge": {{"hosts": ["h"], "dependency_proxy": "{on}"}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        Config::parse(document.as_bytes()).unwrap()
    };
    let (off, on) = (proxy("off"), proxy("on"));
    let unseen =
        |config, claims, malformed| decide(config, &minted(claims, Protocol::Registry, malformed), &Facts::default());
    for claims in [
        r#"{"user_id":11,"jti":"x","iat":1,"nbf":1,"exp":2}"#,
        r#"{"user_id":11}"#,
        r#"{"user_id":null,"of_a_later_version":"x"}"#,
        r#"{"user_id":11,"deploy_token":null}"#,
        r#"{"user_id":11,"personal_access_token":""}"#,
    ] {
        assert_eq!(unseen(&off, claims, None), Step::NotAJob, "{claims}");
        let challenged = decided(unseen(&on, claims, None));
        assert_eq!(challenged.record.reason, "token.unrecorded", "{claims}");
        assert!(matches!(challenged.outcome, Outcome::Forward(grant) if grant.without() == ["authorization"]));
        let unread = decided(unseen(&on, claims, Some(Malformed::EncodedSlash)));
        assert_eq!(reply(unread).status, 400, "{claims}");
        let foreign = Facts { token: Some(Token::Invalid(Invalid::Foreign)), ..Facts::default() };
        let somebodys = minted(claims, Protocol::Registry, None);
        assert_eq!(decide(&on, &somebodys, &foreign), Step::NotAJob, "it was seen being made: {claims}");
    }
    for claims in [
        r#"{"user_id":11,"personal_access_token":"glpat-1"}"#,
        r#"{"user_id":11,"group_access_token":"glpat-1"}"#,
        r#"{"deploy_token":"gldt-1"}"#,
        OF_SOMEBODY,
    ] {
        assert_eq!(unseen(&on, claims, None), Step::NotAJob, "{claims}");
    }
}

#[test]
fn the_rules_of_the_configuration_take_the_dependency_proxy_for_the_own_projects() {
    let decision = |access: &str, group: &str| {
        let document = std::format!(
            r#"{{"access": {access}, "forge": {{"hosts": ["h"], "dependency_proxy": "on"}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        let config = Config::parse(document.as_bytes()).unwrap();
        let target = TargetRef::Group(GroupPath::parse(group).unwrap());
        let request = request(Protocol::Registry, vec![Access::new(Action::DependencyProxy, target)]);
        decided(decide(&config, &request, &known(&[])))
    };
    let says = |access: &str, group| {
        let decision = decision(access, group);
        (decision.record.verdict, decision.record.reason, decision.record.rule.to_string())
    };
    let said = |verdict, reason, rule: &str| (verdict, reason, rule.to_string());
    assert_eq!(says("{}", "apps"), said("allow", "dependency-proxy.above", "dependency-proxy"));
    assert_eq!(says("{}", "libs"), said("deny", "dependency-proxy.elsewhere", "dependency-proxy"));
    let deny = |targets: &str| {
        std::format!(r#"{{"deny": [{{"id": "r", "targets": ["{targets}"], "actions": ["dependency-proxy.read"]}}]}}"#)
    };
    assert_eq!(says(&deny("apps/web"), "apps"), said("deny", "configuration.deny", "configured-deny:r"));
    assert_eq!(says(&deny("libs/**"), "apps"), said("allow", "dependency-proxy.above", "dependency-proxy"));
    let limit = r#"{"limit": [{"id": "r", "targets": ["**"], "actions": ["git.read"]}]}"#;
    assert_eq!(says(limit, "apps"), said("deny", "configuration.limit", "configured-limit:r"));
    let elsewhere = decision("{}", "libs");
    assert_eq!(elsewhere.record.target, "group libs");
    let reply = reply(elsewhere);
    assert!(reply.status == 403 && reply.body.contains("groups above their own project"), "{reply:?}");
}

#[test]
fn what_was_made_for_a_job_that_is_forgotten_is_never_a_persons() {
    let forgotten = Facts { token: Some(Token::Forgotten), ..Facts::default() };
    let decision = |mode, protocol| decided(decide(&config(mode), &minted(OF_SOMEBODY, protocol, None), &forgotten));
    let registry = decision("enforce", Protocol::Registry);
    assert!(registry.denies());
    assert!(matches!(registry.outcome, Outcome::Forward(grant) if grant.without() == ["authorization"]));
    for protocol in [Protocol::Git, Protocol::Lfs, Protocol::Web] {
        let refused = decision("enforce", protocol);
        assert_eq!((refused.record.reason, reply(refused).status), ("token.unrecorded", 401), "{protocol:?}");
    }
    let observed = decision("observe", Protocol::Registry);
    assert_eq!(observed.record.verdict, "observe-deny");
    assert!(matches!(observed.outcome, Outcome::Forward(grant) if grant.without().is_empty()));
}

#[test]
fn what_was_made_from_a_jobs_token_is_judged_like_it() {
    let seen = |token, malformed| {
        let facts = Facts { token: Some(token), ..known(&[("a/b", standing("a/b", Role::Owner, PROJECT))]) };
        let request = minted(OF_SOMEBODY, Protocol::Registry, malformed);
        decided(decide(&config("enforce"), &request, &facts)).record.reason
    };
    assert_eq!(seen(Token::Running(job()), None), "allowlist.project");
    assert_eq!(seen(Token::Running(job()), Some(Malformed::EmptySegment)), "path.empty-segment");
    assert_eq!(seen(Token::Ended(None), None), "token.ended");
    assert_eq!(seen(Token::Invalid(Invalid::Unknown), None), "token.unknown");
}

#[test]
fn a_runners_report_on_a_job_that_is_not_known_to_run_goes_on_and_nothing_else_does() {
    use crate::access::Action::{ReadOwnJob, TraceJob, UpdateJob, UploadArtifact};
    let of_job = |action| request(Protocol::Runner, vec![Access::new(action, TargetRef::Job(JobId(1001)))]);
    let invalid = Invalid::ALL.iter().map(|(invalid, _)| Some(Token::Invalid(*invalid)));
    for token in invalid.chain([None, Some(Token::Ended(None)), Some(Token::Ended(Some(job())))]) {
        let facts = Facts { token: token.clone(), ..Facts::default() };
        for mode in ["enforce", "observe"] {
            for action in [UpdateJob, TraceJob] {
                let decision = decided(decide(&config(mode), &of_job(action), &facts));
                assert_eq!(decision.outcome, Outcome::Forward(Grant::default()), "{token:?}");
                assert_eq!((decision.record.verdict, decision.record.reason), ("allow", "runner.report"));
                let is_known = matches!(token, Some(Token::Ended(Some(_))));
                assert_eq!(decision.record.job, if is_known { "1001" } else { "-" });
            }
            for action in [ReadOwnJob, UploadArtifact] {
                let step = decide(&config(mode), &of_job(action), &facts);
                let denies = matches!(&step, Step::Decided(decision) if decision.denies());
                assert!(denies || (token.is_none() && step == Step::NeedsToken), "{step:?}");
            }
        }
        let both = [UpdateJob, UploadArtifact].map(|action| Access::new(action, TargetRef::Job(JobId(1001))));
        let step = decide(&config("enforce"), &request(Protocol::Runner, both.to_vec()), &facts);
        assert!(!matches!(step, Step::Decided(decision) if !decision.denies()));
    }
    // One that runs reports on itself alone.
    let other = request(Protocol::Runner, vec![Access::new(UpdateJob, TargetRef::Job(JobId(1002)))]);
    assert_eq!(decided(decide(&config("enforce"), &other, &known(&[]))).record.reason, "job.foreign");
    // What was made from a token is no runner's, nor is what may be a person's.
    for claim in [Claim::Unmarked(None), Claim::Minted(None)] {
        let other = JobRequest { claim, ..of_job(UpdateJob) };
        let step = decide(&config("enforce"), &other, &Facts { token: Some(Token::Ended(None)), ..Facts::default() });
        assert!(decided(step).denies(), "{claim:?}");
    }
}
