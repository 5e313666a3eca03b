//! What the job's user may not know is not told: a denial about a target that the user could not see without any job is
//! byte for byte the answer for a target that does not exist, whatever is asked, in every protocol, for all facts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "a test may fail loudly")]

use std::io::Write;

use policy::access::{Access, Action, Protocol, TargetRef};
use policy::decision::{Outcome, decide};
use policy::facts::{
    Admission, Affiliation, Context, Entry, Feature, Features, Found, Grants, Job, JobId, JobPush, Level, Link, Origin,
    Outbound, Permissions, ProjectId, ProjectPath, Role, Secret, Standing, Target, Token, User, UserId, Visibility,
};
use policy::request::{Body, Head, JobRequest, Reading, read};
use policy::{Config, Decision, Facts, Step};

const ANSWERS: [&str; 2] = ["gitlab-17", "before-gitlab-17"];

fn config(answers: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"hosts": ["h"], "answers": "{answers}"}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn job(has_user: bool) -> Job {
    Job {
        id: JobId(7),
        user: has_user.then(|| User { id: UserId(3), name: "dana".into() }),
        origin: Origin { id: ProjectId(1), path: ProjectPath::parse("apps/web").unwrap() },
        context: Context::default(),
    }
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

/// Whether the user could see the target without any job: it is public, or internal and the user known to be from
/// inside, or the user is a member known to have a role in the project.
fn is_visible(has_user: bool, standing: &Standing) -> bool {
    match standing.target.visibility {
        Some(Visibility::Public) => true,
        Some(Visibility::Internal) if has_user && standing.affiliation == Affiliation::Internal => true,
        _ => has_user && standing.role.is_some_and(|role| role >= Role::Guest),
    }
}

/// Every standing of a job's user to a target that this user could not see.
fn hidden_standings(has_user: bool) -> Vec<Standing> {
    let entry = |grants| Admission::Listed(Entry { link: Link::Project, grants });
    let admissions = [
        Admission::Own,
        entry(Grants::Default),
        entry(Grants::Only(Permissions::default())),
        Admission::Open,
        Admission::Unlisted,
        Admission::LeftToForge,
    ];
    // Nobody has no role, and comes from nowhere.
    let every_role: Vec<_> = std::iter::once(None).chain(Role::ALL.map(|(role, _, _)| Some(role))).collect();
    let roles = if has_user { every_role.as_slice() } else { &[None, Some(Role::None)] };
    let every_affiliation = [Affiliation::Internal, Affiliation::External, Affiliation::LeftToForge];
    let affiliations = if has_user { every_affiliation.as_slice() } else { &[Affiliation::Internal] };
    let mut all = Vec::new();
    for visibility in [None, Some(Visibility::Private), Some(Visibility::Internal), Some(Visibility::Public)] {
        for level in [Level::Disabled, Level::Members, Level::Enabled] {
            for job_push in [JobPush::Off, JobPush::Admitted] {
                for &role in roles {
                    for &affiliation in affiliations {
                        for admission in admissions {
                            for outbound in [Outbound::Open, Outbound::Unlisted] {
                                let target = Target {
                                    id: Some(ProjectId(2)),
                                    path: Some(path("a/b")),
                                    visibility,
                                    features: Features([level; Feature::ALL.len()]),
                                    job_push,
                                    public_jobs: job_push == JobPush::Off,
                                    archived: job_push == JobPush::Admitted,
                                };
                                all.push(Standing { role, affiliation, admission, outbound, target });
                            }
                        }
                    }
                }
            }
        }
    }
    all.retain(|standing| !is_visible(has_user, standing));
    all
}

fn decision(config: &Config, request: &JobRequest, job: &Job, targets: Vec<(TargetRef, Found)>) -> Decision {
    let facts = Facts { token: Some(Token::Running(job.clone())), targets, ..Facts::default() };
    let Step::Decided(decision) = decide(config, request, &facts) else { panic!("{request:?} lacks a fact") };
    decision
}

fn request(protocol: Protocol, access: Access) -> JobRequest {
    JobRequest::new(Secret::new(b"glcbt-1"), protocol, vec![access])
}

/// All the ways to name a target that some lookup has to find.
fn names() -> [TargetRef; 4] {
    [
        TargetRef::Path(path("a/b")),
        TargetRef::Id(ProjectId(2)),
        TargetRef::Image([path("a/b/c"), path("a/b")].into()),
        TargetRef::ProjectOfJob(JobId(9)),
    ]
}

fn compare(has_user: bool, answers: &str) -> u64 {
    let (config, job, hidden) = (config(answers), job(has_user), hidden_standings(has_user));
    let mut compared = 0;
    let mut names = names().into_iter().cycle();
    for protocol in Protocol::ALL {
        for (action, name, _) in Action::ALL {
            // Which fact was looked up how is not seen in an answer: one name for each action, by turns.
            let target = names.next().unwrap();
            let request = request(protocol, Access::new(*action, target.clone()));
            let nothing = decision(&config, &request, &job, vec![(target.clone(), Found::Nothing)]);
            for standing in &hidden {
                let found = Found::Standing(standing.clone());
                let decided = decision(&config, &request, &job, vec![(target.clone(), found)]);
                if decided.denies() {
                    assert_eq!(decided.outcome, nothing.outcome, "{protocol:?} {name} {standing:?}");
                    compared += 1;
                }
            }
        }
    }
    compared
}

/// Prints a count past the harness, which keeps the output of a test that passes to itself.
fn say(count: u64, what: &str) {
    std::io::stderr().write_all(format!("{count} {what}\n").as_bytes()).unwrap();
}

#[test]
fn a_hidden_target_is_answered_like_none_for_every_protocol_action_and_fact() {
    let mut compared = 0;
    for answers in ANSWERS {
        for has_user in [true, false] {
            compared += compare(has_user, answers);
        }
    }
    say(compared, "denials compared with those of nothing");
}

/// A request for a registry token, as a client sends it.
fn scopes(config: &Config, scopes: &[&str]) -> JobRequest {
    let path = format!("/jwt/auth?service=container_registry&scope={}", scopes.join("&scope="));
    // `gitlab-ci-token:glcbt-1`
    let fields: [(&[u8], &[u8]); 4] = [
        (b":authority", b"h"),
        (b":method", b"GET"),
        (b":path", path.as_bytes()),
        (b"authorization", b"Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTE="),
    ];
    let reading = read(&config.forge, &Head::new(&fields, Body::None));
    let Reading::Job(request) = reading else { panic!("{path}: {reading:?}") };
    request
}

/// Several targets in one request: what is answered does not depend on whether a hidden one is there, beside whatever
/// else is asked for.
#[test]
fn a_hidden_target_among_several_scopes_is_answered_like_none() {
    let seen = |admission, role| {
        let target = Target {
            id: Some(ProjectId(4)),
            path: Some(path("s/t")),
            visibility: Some(Visibility::Private),
            features: Features::OPEN,
            job_push: JobPush::Off,
            public_jobs: true,
            archived: false,
        };
        let (role, affiliation, outbound) = (Some(role), Affiliation::Internal, Outbound::Open);
        Found::Standing(Standing { role, affiliation, admission, outbound, target })
    };
    let beside = [
        Found::Nothing,
        seen(Admission::Own, Role::Owner),
        seen(Admission::Open, Role::Reporter),
        seen(Admission::Open, Role::Guest),
        seen(Admission::Unlisted, Role::Owner),
    ];
    let asked: [&[&str]; 7] = [
        &["repository:a/b:pull", "repository:s/t:pull"],
        &["repository:s/t:pull", "repository:a/b:pull"],
        &["repository:a/b:push,pull", "repository:s/t:pull"],
        &["repository:a/b:pull", "repository:s/t:push,pull"],
        &["repository:s/t:push,pull", "repository:a/b:pull"],
        &["repository:a/b:delete", "repository:s/t:delete"],
        &["repository:a/b:push,pull", "repository:a/b:delete", "repository:s/t:pull,push"],
    ];
    let mut compared = 0_u64;
    for answers in ANSWERS {
        let config = config(answers);
        for has_user in [true, false] {
            let job = job(has_user);
            let hidden = hidden_standings(has_user);
            for scope in asked {
                let request = scopes(&config, scope);
                let name = |part: &str| {
                    let names_it = |target: &TargetRef| matches!(target, TargetRef::Image(paths) if paths.iter().any(|path| path.as_str() == part));
                    let ours = |access: &&Access| names_it(&access.target);
                    request.accesses.iter().find(ours).unwrap().target.clone()
                };
                let (ours, other) = (name("a/b"), name("s/t"));
                for found in &beside {
                    let with = |target: Found| vec![(ours.clone(), target), (other.clone(), found.clone())];
                    let nothing = decision(&config, &request, &job, with(Found::Nothing));
                    for standing in &hidden {
                        // Where any of it is granted, its being there is no secret.
                        let all_denied = request.accesses.iter().filter(|access| access.target == ours).all(|access| {
                            let one = request_of(access);
                            let alone = vec![(ours.clone(), Found::Standing(standing.clone()))];
                            decision(&config, &one, &job, alone).denies()
                        });
                        if all_denied {
                            let decided = decision(&config, &request, &job, with(Found::Standing(standing.clone())));
                            assert_eq!(decided.outcome, nothing.outcome, "{scope:?} {standing:?} beside {found:?}");
                            compared += 1;
                        }
                    }
                }
            }
        }
    }
    say(compared, "denials among several compared with those of nothing");
}

/// One of several accesses, asked alone.
fn request_of(access: &Access) -> JobRequest {
    request(Protocol::RegistryToken, access.clone())
}

/// The comparison above would hold of an answer that never says anything: who may know is told why.
#[test]
fn who_may_know_is_told_more() {
    let target = TargetRef::Path(path("a/b"));
    for answers in ANSWERS {
        let config = config(answers);
        for protocol in Protocol::ALL {
            let request = request(protocol, Access::new(Action::WriteReleases, target.clone()));
            let known = Standing {
                role: Some(Role::Guest),
                affiliation: Affiliation::Internal,
                admission: Admission::Unlisted,
                outbound: Outbound::Open,
                target: Target {
                    id: Some(ProjectId(2)),
                    path: Some(path("a/b")),
                    visibility: Some(Visibility::Private),
                    features: Features::OPEN,
                    job_push: JobPush::Off,
                    public_jobs: true,
                    archived: false,
                },
            };
            let job = job(true);
            let nothing = decision(&config, &request, &job, vec![(target.clone(), Found::Nothing)]);
            let told = decision(&config, &request, &job, vec![(target.clone(), Found::Standing(known))]);
            let (Outcome::Reply(told), Outcome::Reply(nothing)) = (told.outcome, nothing.outcome) else {
                panic!("{protocol:?} {answers} was not answered here")
            };
            assert!(told.body.contains("a/b"), "{protocol:?} {answers} {}", told.body);
            assert!(!nothing.body.contains("a/b"), "{protocol:?} {answers} {}", nothing.body);
        }
    }
}
