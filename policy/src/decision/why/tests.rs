use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use serde_json::{Value, json};

use super::super::{Decision, Outcome, Step, decide, shape::SHAPE};
use super::*;
use crate::access::{Action, Protocol};
use crate::facts::{
    Context, Credential, Entry, Features, Found, Invalid, JobId, JobPush, Origin, Permission, Permissions, ProjectId,
    ProjectPath, Role, RunnerId, Secret, Target, User, UserId, Visibility,
};
use crate::request::{self, Body, Claim, Head, Malformed, Reading};
use crate::rules::{Denials, RULES};

fn config(keys: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}{keys}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

fn job() -> Job {
    let context = Context {
        git_ref: Some("main".into()),
        protected: Some(true),
        environment: Some("production".into()),
        source: Some("push".into()),
        fork: Some(false),
        on_behalf_of: Some(UserId(12)),
        runner: Some(RunnerId(3)),
        ..Context::default()
    };
    let user = Some(User { id: UserId(11), name: "dana".into() });
    Job { id: JobId(1001), user, origin: Origin { id: ProjectId(101), path: path("apps/web") }, context }
}

fn standing(role: Role, admission: Admission, visibility: Visibility) -> Standing {
    Standing {
        role: Some(role),
        affiliation: Affiliation::Internal,
        admission,
        outbound: Outbound::Open,
        target: Target {
            id: Some(ProjectId(103)),
            path: Some(path("infra/secrets")),
            visibility: Some(visibility),
            features: Features::OPEN,
            job_push: JobPush::Off,
            public_jobs: false,
            archived: false,
        },
    }
}

fn secrets() -> TargetRef {
    TargetRef::Path(path("infra/secrets"))
}

fn asks(action: Action) -> JobRequest {
    JobRequest::new(Secret::new(b"glcbt-64_secret"), Protocol::Git, vec![Access::new(action, secrets())])
}

fn facts(standing: Standing) -> Facts {
    Facts {
        token: Some(Token::Running(job())),
        targets: vec![(secrets(), Found::Standing(standing))],
        ..Facts::default()
    }
}

fn ages() -> Ages {
    let ages = [(Lifetime::Projects, 20), (Lifetime::Members, 30), (Lifetime::Allowlists, 40)];
    let ages = ages.map(|(lifetime, seconds)| (lifetime, Duration::from_secs(seconds)));
    Ages { token: Some(Duration::from_secs(10)), targets: vec![(secrets(), ages)] }
}

fn told(config: &Config, request: &JobRequest, facts: &Facts) -> Value {
    let account = why(config, Some((request, facts)), &ages());
    let value: Value = serde_json::from_str(&account).unwrap();
    // Members are in the order of their names, and each stands there once.
    assert_eq!(value.to_string(), account);
    value
}

fn decided(config: &Config, request: &JobRequest, facts: &Facts) -> Decision {
    let step = decide(config, request, facts);
    let Step::Decided(decision) = step else { panic!("{step:?}") };
    decision
}

/// What docker asks for before it pushes an image and takes layers of another.
fn pushes_and_mounts() -> JobRequest {
    let path =
        "/jwt/auth?service=container_registry&scope=repository:infra/secrets:push&scope=repository:infra/secrets:pull";
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":authority", b"h"),
        (b":path", path.as_bytes()),
        (b"authorization", b"Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTE="),
    ];
    let read = request::read(&config("").forge, &Head::new(&fields, Body::None));
    let Reading::Job(request) = read else { panic!("{read:?}") };
    request
}

const LISTED: Admission = Admission::Listed(Entry { link: Link::Group, grants: Grants::Default });

/// A group's entry that grants this alone.
fn only(permission: Permission) -> Admission {
    Admission::Listed(Entry { link: Link::Group, grants: Grants::Only(Permissions::of(&[permission])) })
}

/// Every member of a value, as the table has them.
fn members(value: &Value, at: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                all.insert(path.clone());
                let is_fact = at == "asked[].facts";
                // Its form is its own: what is written there is read again by us alone.
                if path == "evidence" {
                    continue;
                }
                members(value, if is_fact { "asked[].facts.*" } else { &path }, all);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| members(value, &format!("{at}[]"), all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The same of a job whose token the forge does not know.
fn of_service(mut facts: Facts) -> Facts {
    if let Some(Token::Running(job)) = &mut facts.token {
        job.context.credential = Credential::Service;
    }
    facts
}

#[test]
fn every_member_is_in_the_table_and_every_row_of_it_is_told_somewhere() {
    let allow = r#", "access": {"allow": [{"id": "a", "targets": ["infra/**"], "origins": ["apps/web"]}],
        "deny": [{"id": "d", "targets": ["infra/**"], "mode": "observe"}]}"#;
    let scopes = pushes_and_mounts();
    let image = scopes.accesses.iter().map(|access| access.target.clone());
    let narrow = standing(Role::Guest, only(Permission::ReadJobs), Visibility::Private);
    let of_image = Facts {
        targets: image.map(|target| (target, Found::Standing(narrow.clone()))).collect(),
        ..facts(narrow.clone())
    };
    let many = JobRequest { accesses: vec![asks(Action::ReadCode).accesses.remove(0); 20], ..asks(Action::ReadCode) };
    let mut all = BTreeSet::new();
    for (config, request, facts) in [
        (config(""), asks(Action::ReadReleases), facts(narrow.clone())),
        (config(allow), asks(Action::ReadCode), facts(standing(Role::Owner, Admission::Unlisted, Visibility::Public))),
        (config(""), scopes, of_image),
        (config(""), many, facts(narrow.clone())),
        (config(""), asks(Action::ReadCode), of_service(facts(narrow))),
    ] {
        members(&told(&config, &request, &facts), "", &mut all);
    }
    let table: BTreeSet<String> = SHAPE.iter().map(|(path, _)| String::from(*path)).collect();
    assert_eq!(all, table);
}

#[test]
fn facts_come_with_their_source_and_their_age() {
    let told = |keys: &str, standing| told(&config(keys), &asks(Action::ReadReleases), &facts(standing));
    let narrow = standing(Role::Guest, only(Permission::ReadJobs), Visibility::Internal);
    let looked_up = told("", narrow.clone());
    let asked = &looked_up["asked"][0];
    assert_eq!(looked_up["token"], json!({"state": "running", "source": "lookup", "age": 10}));
    assert_eq!(asked["facts"]["visibility"], json!({"is": "internal", "source": "lookup", "age": 20}));
    assert_eq!(asked["facts"]["role"], json!({"is": "guest", "source": "lookup", "age": 30}));
    assert_eq!(asked["facts"]["inbound"], json!({"is": "listed", "source": "lookup", "age": 40}));
    assert_eq!(asked["facts"]["outbound"], json!({"source": "forge"}));
    assert_eq!(asked["entry"], json!({"names": "group", "permissions": ["read_jobs"]}));
    assert_eq!(asked["needs"]["permissions"], json!(["read_releases"]));
    assert_eq!(
        (&asked["id"], &asked["path"], &asked["named"]),
        (&json!(103), &json!("infra/secrets"), &json!("infra/secrets"))
    );
    let configured = told(
        r#", "facts": {"membership": "configuration", "members": [{"user": "dana", "targets": ["infra/**"], "role": "owner"}], "external": "forge"}"#,
        narrow,
    );
    // Of whom the job's user works for the configuration knows nothing.
    assert_eq!(configured["asked"][0]["facts"]["role"], json!({"is": "none", "source": "configuration"}));
    assert_eq!(configured["asked"][0]["facts"]["external"], json!({"source": "forge"}));
    let own = told("", standing(Role::Guest, Admission::Own, Visibility::Private));
    assert_eq!(own["asked"][0]["facts"]["inbound"], json!({"is": "own", "source": "job"}));
}

#[test]
fn whoever_lifts_all_denials_that_are_told_is_denied_nothing() {
    let roles = Role::ALL.iter().map(|(role, _, _)| *role);
    for (role, (action, name, _)) in roles.flat_map(|role| Action::ALL.iter().map(move |action| (role, action))) {
        for admission in [Admission::Unlisted, Admission::Open, LISTED, only(Permission::ReadJobs)] {
            let mut standing = standing(role, admission, Visibility::Private);
            standing.outbound = Outbound::Unlisted;
            standing.target.archived = true;
            let (request, facts) = (asks(*action), facts(standing));
            let decision = decided(&config(""), &request, &facts);
            let told = told(&config(""), &request, &facts);
            // What goes on without its token is decided on by what the request is without it.
            if *action == Action::ReadPublic {
                continue;
            }
            let denials: Vec<&Value> = told["asked"][0]["denials"].as_array().into_iter().flatten().collect();
            assert_eq!(denials.is_empty(), !decision.denies(), "{name} {told}");
            let Some(first) = denials.first() else { continue };
            assert_eq!(told["asked"][0]["verdict"], decision.record.verdict, "{name}");
            assert_eq!(
                (&first["rule"], &first["reason"]),
                (&json!(decision.record.rule), &json!(decision.record.reason))
            );
            let rules: Vec<&str> = denials.iter().map(|denial| denial["rule"].as_str().unwrap()).collect();
            let is_fundamental =
                |id: &&str| RULES.iter().any(|rule| rule.id == *id && rule.denials == Denials::Fundamental);
            if rules.iter().any(is_fundamental) {
                continue;
            }
            let observed = config(&format!(r#", "observe": {{"rules": {}}}"#, json!(rules)));
            let lifted = decided(&observed, &request, &facts);
            assert!(matches!(lifted.outcome, Outcome::Forward(_)), "{name} {rules:?}: {lifted:?}");
            let told = serde_json::from_str::<Value>(&why(&observed, Some((&request, &facts)), &ages())).unwrap();
            assert!(told["asked"][0]["denials"].as_array().unwrap().iter().all(|denial| denial["mode"] == "observe"));
        }
    }
}

#[test]
fn every_rule_of_the_configuration_that_denies_is_told_and_whether_it_is_enforced() {
    let keys = r#", "access": {"deny": [{"id": "one", "targets": ["infra/**"]}, {"id": "two", "targets": ["infra/secrets"]},
        {"id": "other", "targets": ["libs/**"]}, {"id": "watched", "targets": ["**"], "mode": "observe"}],
        "limit": [{"id": "ceiling", "targets": ["infra/secrets"], "actions": ["oci.pull"]}]}"#;
    let facts = facts(standing(Role::None, Admission::Unlisted, Visibility::Private));
    let denials = |keys: &str| {
        let told = told(&config(keys), &asks(Action::ReadCode), &facts);
        let of = |denial: &Value| {
            ["rule", "configured", "mode"].map(|name| String::from(denial[name].as_str().unwrap_or("-")))
        };
        told["asked"][0]["denials"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let row = |rule: &str, configured: &str, mode: &str| [rule, configured, mode].map(String::from);
    assert_eq!(
        denials(keys),
        [
            row("configured-deny", "one", "enforce"),
            row("configured-deny", "two", "enforce"),
            row("configured-deny", "watched", "observe"),
            row("configured-limit", "ceiling", "enforce"),
            row("inbound", "-", "enforce"),
            row("role", "-", "enforce"),
        ]
    );
    for observed in [r#", "mode": "observe""#, r#", "observe": {"targets": ["infra/**"]}"#] {
        let denials = denials(&format!("{keys}{observed}"));
        assert!(denials.len() == 6 && denials.iter().all(|[_, _, mode]| mode == "observe"), "{denials:?}");
    }
}

#[test]
fn what_no_rule_judged_is_told_without_a_verdict() {
    let unread = JobRequest { claim: Claim::Unmarked(Some(Malformed::EmptySegment)), ..asks(Action::ReadCode) };
    let running = facts(standing(Role::Owner, LISTED, Visibility::Private));
    let unknown = Facts { targets: Vec::new(), ..running.clone() };
    let dead = |token| Facts { token: Some(token), ..Facts::default() };
    for (request, facts, token, job) in [
        (unread, &running, json!({"state": "running", "source": "lookup", "age": 10}), json!(1001)),
        (
            asks(Action::ReadCode),
            &of_service(running.clone()),
            json!({"state": "running", "source": "lookup", "age": 10}),
            json!(1001),
        ),
        (asks(Action::ReadCode), &unknown, json!({"state": "running", "source": "lookup", "age": 10}), json!(1001)),
        (
            asks(Action::ReadCode),
            &dead(Token::Ended(Some(super::tests::job()))),
            json!({"state": "ended", "source": "end", "age": 10}),
            json!(1001),
        ),
        (
            asks(Action::ReadCode),
            &dead(Token::Invalid(Invalid::UserBlocked)),
            json!({"state": "user-blocked", "source": "lookup", "age": 10}),
            Value::Null,
        ),
        (asks(Action::ReadCode), &dead(Token::Forgotten), json!({"state": "forgotten"}), Value::Null),
        (asks(Action::ReadCode), &Facts::default(), Value::Null, Value::Null),
    ] {
        let told = told(&config(""), &request, facts);
        assert_eq!((&told["token"], &told["job"]["id"]), (&token, &job), "{told}");
        assert_eq!(told["asked"], json!([{"action": "git.read", "named": "infra/secrets"}]));
    }
    let nothing: Value = serde_json::from_str(&why(&config(""), None, &ages())).unwrap();
    assert_eq!((&nothing["mode"], &nothing["asked"]), (&json!("enforce"), &Value::Null));
}

/// Names as long as they may be, in letters that JSON escapes, many things asked and many rules that deny.
#[test]
fn an_account_has_an_end_and_no_token_whatever_is_asked() {
    let name = "r".repeat(59);
    let rule = |number| format!(r#"{{"id": "{name}{number}", "targets": ["**"]}}"#);
    let rules: Vec<String> = (1000..1500).map(rule).collect();
    let keys = format!(r#", "access": {{"deny": [{}]}}"#, rules.join(","));
    let mut job = job();
    job.context.git_ref = Some("\"\u{1}".repeat(127));
    job.context.environment = Some("\\".repeat(64));
    let long = path(&format!("g/{}", "p".repeat(253)));
    let mut standing = standing(Role::None, only(Permission::ReadJobs), Visibility::Private);
    standing.target.path = Some(long.clone());
    let target = TargetRef::Path(long);
    let accesses = vec![Access::new(Action::ReadReleases, target.clone()); 40];
    let request = JobRequest { accesses, ..asks(Action::ReadReleases) };
    let facts = Facts {
        token: Some(Token::Running(job)),
        targets: vec![(target, Found::Standing(standing))],
        ..Facts::default()
    };
    let text = why(&config(&keys), Some((&request, &facts)), &ages());
    assert!(text.len() < 32 << 10 && !text.contains("glcbt-"), "{} bytes", text.len());
    let told: Value = serde_json::from_str(&text).unwrap();
    let counts = |name: &str| told["asked"].as_array().unwrap().iter().filter(|one| one[name].is_array()).count();
    assert_eq!(
        (told["asked"].as_array().unwrap().len(), counts("rules"), counts("denials"), &told["more"]),
        (16, 1, 1, &json!(24))
    );
    assert_eq!(told["job"]["ref"], "\"\u{1}".repeat(127));
}

#[test]
fn who_stands_aside_is_written_as_every_other_rule() {
    for rule in RULES {
        let (mut short, mut long) = (String::new(), String::new());
        Answered(rule, Answer::Aside).write(&mut short);
        super::told(rule, Answer::Aside).write(&mut long);
        assert_eq!(short, long);
        // What it says needs no escape.
        assert_eq!(serde_json::from_str::<Value>(&short).unwrap()["says"], rule.aside);
    }
}
