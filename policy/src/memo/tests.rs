use std::vec;
use std::vec::Vec;

use super::*;
use crate::access::{Access, Action, TargetRef};
use crate::decision::{Facts, decide};
use crate::facts::{
    Admission, Affiliation, Context, Features, Found, Hash, Job, JobId, JobPush, Origin, Outbound, ProjectId,
    ProjectPath, Role, Secret, Standing, Target, Token, User, UserId, Visibility,
};
use crate::request::{Bare, Body, Malformed, Mints, read};
use crate::{Config, Step};

fn config(more: &str) -> Config {
    let document = std::format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}{more}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn hashes() -> Hashes {
    Hashes::new((3, 4))
}

fn request(token: &str, action: Action, target: &str) -> JobRequest {
    let target = TargetRef::Path(ProjectPath::parse(target).unwrap());
    JobRequest::new(Secret::new(token.as_bytes()), Protocol::Git, vec![Access::new(action, target)])
}

/// What is decided where the job's user has this role in the target, which admits its project or not.
fn decided(config: &Config, request: &JobRequest, role: Role, admission: Admission) -> Rc<Decision> {
    let path = ProjectPath::parse("apps/web").unwrap();
    let user = Some(User { id: UserId(11), name: "dana".into() });
    let job = Job { id: JobId(1), user, origin: Origin { id: ProjectId(101), path }, context: Context::default() };
    let target = Target {
        id: Some(ProjectId(2)),
        path: ProjectPath::parse("libs/common"),
        visibility: Some(Visibility::Private),
        features: Features::OPEN,
        job_push: JobPush::Off,
        public_jobs: false,
        archived: false,
    };
    let standing =
        Standing { role: Some(role), affiliation: Affiliation::Internal, admission, outbound: Outbound::Open, target };
    let targets = request.accesses.iter().map(|one| (one.target.clone(), Found::Standing(standing.clone()))).collect();
    let facts = Facts { token: Some(Token::Running(job)), targets, dependencies: Vec::new() };
    let Step::Decided(decision) = decide(config, request, &facts) else { panic!() };
    Rc::new(decision)
}

fn bare() -> Bare {
    Bare { headers: vec!["authorization".into()], path: None }
}

fn kept(decision: &Rc<Decision>, made: u64, until: u64) -> Kept {
    let (decision, stripe) = (Rc::clone(decision), Stripe::of(&Hash([0; 32]), 64));
    Kept { decision, protocol: Protocol::Git, stripe, version: Some(1), made: Moment(made), until: Moment(until) }
}

#[test]
fn a_decision_is_found_from_when_it_was_made_until_something_comes_due() {
    let (config, mut memo) = (config(""), Memo::new((1, 2)));
    let request = request("glcbt-1", Action::ReadCode, "libs/common");
    let asked = memo.asked(&config, &request, &hashes()).unwrap();
    let allowed = decided(&config, &request, Role::Developer, Admission::Open);
    memo.keep(&config, &request, asked, kept(&allowed, 10, 20));
    for (now, is_found) in [(10, true), (19, true), (20, false), (19, false)] {
        assert_eq!(memo.find(asked, Moment(now)).is_some(), is_found, "{now}: what was set back is forgotten");
    }
}

#[test]
fn only_what_is_allowed_and_changes_nothing_is_kept() {
    let (config, mut memo) = (config(""), Memo::new((1, 2)));
    let read = request("glcbt-1", Action::ReadCode, "libs/common");
    let report = request("glcbt-1", Action::UpdateJob, "apps/web");
    let mut is_kept = |request: &JobRequest, decision: &Rc<Decision>| {
        let asked = memo.asked(&config, request, &hashes()).unwrap();
        memo.keep(&config, request, asked, kept(decision, 10, 20));
        memo.find(asked, Moment(10)).is_some()
    };
    let denied = decided(&config, &read, Role::Developer, Admission::Unlisted);
    assert!(denied.denies() && !is_kept(&read, &denied));
    let allowed = decided(&config, &read, Role::Developer, Admission::Open);
    let public = JobRequest { bare: Some(bare()), ..request("glcbt-1", Action::ReadPublic, "libs/common") };
    let stripped = decided(&config, &public, Role::Developer, Admission::Open);
    assert!(!stripped.denies() && !is_kept(&read, &stripped), "it goes on without its token");
    assert!(!is_kept(&report, &allowed), "the answer to it is looked at");
    assert!(is_kept(&read, &allowed));
}

#[test]
fn nothing_is_kept_that_asks_for_more_than_one_plain_thing() {
    let (config, memo) = (config(""), Memo::new((1, 2)));
    let plain = || request("glcbt-1", Action::ReadCode, "libs/common");
    let minted = |malformed| JobRequest { claim: Claim::Minted(malformed), ..plain() };
    for request in [plain(), minted(None)] {
        assert!(memo.asked(&config, &request, &hashes()).is_some());
    }
    let access = || plain().accesses.remove(0);
    let by_job = Access::new(Action::ReadArtifacts, TargetRef::ProjectOfJob(JobId(7)));
    for (what, request) in [
        ("two accesses", JobRequest { accesses: vec![access(), access()], ..plain() }),
        ("none", JobRequest { accesses: Vec::new(), ..plain() }),
        ("whose it is depends on another", JobRequest { claim: Claim::Unmarked(None), ..plain() }),
        ("it is refused where it was made from a token", minted(Some(Malformed::Host))),
        ("the end of a job", JobRequest { progress: Progress::Final, ..plain() }),
        ("credentials", JobRequest { mints: Some(Mints::LfsCredentials), ..plain() }),
        ("a request without its token", JobRequest { bare: Some(bare()), ..plain() }),
        ("what a job left behind", JobRequest { accesses: vec![by_job], ..plain() }),
    ] {
        assert_eq!(memo.asked(&config, &request, &hashes()), None, "{what}");
    }
    let told = self::config(r#", "log": {"allows": "full"}"#);
    assert_eq!(memo.asked(&told, &plain(), &hashes()), None, "the age of each fact is told");
    assert_eq!(Memo::none().asked(&config, &plain(), &hashes()), None);
}

#[test]
fn whatever_a_decision_depends_on_makes_another_request_of_it() {
    let (config, memo) = (config(""), Memo::new((1, 2)));
    let plain = || request("glcbt-1", Action::ReadCode, "libs/common");
    let asked = |request: &JobRequest| memo.asked(&config, request, &hashes()).unwrap();
    let with = |access: Access| JobRequest { accesses: vec![access], ..plain() };
    let access = || plain().accesses.remove(0);
    let all = [
        plain(),
        request("glcbt-2", Action::ReadCode, "libs/common"),
        request("glcbt-1", Action::WriteCode, "libs/common"),
        request("glcbt-1", Action::ReadCode, "libs/commom"),
        with(Access { target: TargetRef::Id(ProjectId(2)), ..access() }),
        with(Access { target: TargetRef::Own, ..access() }),
        with(Access { least: Role::Developer, ..access() }),
        with(Access { open: &[crate::facts::Feature::Repository], ..access() }),
        JobRequest { protocol: Protocol::Api, ..plain() },
        JobRequest { claim: Claim::Minted(None), ..plain() },
    ];
    for (at, one) in all.iter().enumerate() {
        assert_eq!(asked(one), asked(&one.clone()));
        assert!(all.iter().skip(at + 1).all(|other| asked(other) != asked(one)), "{at}");
    }
    assert_ne!(
        Memo::new((1, 3)).asked(&config, &plain(), &hashes()),
        memo.asked(&config, &plain(), &hashes()),
        "nobody can tell which"
    );
}

#[test]
fn what_is_asked_again_and_again_outlives_whatever_else_is_asked_and_the_memory_has_an_end() {
    let (config, mut memo, hashes) = (config(""), Memo::new((1, 2)), hashes());
    let often = request("glcbt-often", Action::ReadCode, "libs/common");
    let allowed = decided(&config, &often, Role::Developer, Admission::Open);
    let busy = memo.asked(&config, &often, &hashes).unwrap();
    memo.keep(&config, &often, busy, kept(&allowed, 10, 20));
    for number in 0..4 * GENERATION {
        let seldom = request(&std::format!("glcbt-{number}"), Action::ReadCode, "libs/common");
        let asked = memo.asked(&config, &seldom, &hashes).unwrap();
        memo.keep(&config, &seldom, asked, kept(&allowed, 10, 20));
        assert!(number % 1_000 > 0 || memo.find(busy, Moment(10)).is_some(), "{number}");
        assert!(memo.decisions.len() <= 2 * GENERATION);
    }
    assert!(Rc::strong_count(&allowed) <= 2 * GENERATION + 1);
}

#[test]
fn what_was_told_of_a_jwt_is_known_of_that_one_alone() {
    let document = br#"{"forge": {"hosts": ["h"], "registry_hosts": ["r"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#;
    let (config, memo) = (Config::parse(document).unwrap(), Memo::new((1, 2)));
    let wrapping = "Bearer eyJ9.eyJ0b2tlbiI6ImdsY2J0LTEifQ.sig";
    let plain = "Bearer eyJ9.eyJ1c2VyX2lkIjo3fQ.sig";
    let odd = "Bearer eyJ9.eyJ1c2VyX2lkIjo3fQ=.sig";
    let values = [plain, wrapping, odd, "Bearer eyJ9.e30.sig", "Bearer eyJ9.e30.sih", "Bearer eyJ9.e30s.ig"];
    let heads = values.iter().flat_map(|first| [vec![*first], vec![*first, plain], vec![plain, *first]]);
    for values in heads.clone().chain(heads.rev()) {
        let mut fields: Vec<(&[u8], &[u8])> =
            vec![(b":method", b"GET"), (b":path", b"/v2/g/p/manifests/x"), (b":authority", b"r")];
        fields.extend(values.iter().map(|value| (&b"authorization"[..], value.as_bytes())));
        let head = Head::new(&fields, Body::None);
        let known = memo.knowing(head, memo.seen(&config, &head).as_ref());
        assert_eq!(read(&config.forge, &known), read(&config.forge, &head), "{values:?}");
    }
    assert_eq!(memo.jwts.len(), 6, "each was kept");
}
