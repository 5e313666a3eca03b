//! Facts as `v1` tells them. What is written here, the filter's reader reads as the same fact: a test asks it.

use policy::facts::{
    Admission, Affiliation, Context, Entry, Feature, Found, Grants, Holders, Job, Level, Link, Outbound, Standing,
    Target,
};
use serde_json::{Map, Value, json};

use crate::forge::{Credential, Terms};
use crate::store::TokenState;

/// What is answered of a running job's token.
#[must_use]
pub fn running(job: &Job, terms: &Terms) -> Value {
    let user = job.user.as_ref().map(|user| {
        let mut object = json!({"id": user.id.0, "name": user.name});
        if let (Some(other), Value::Object(members)) = (job.context.on_behalf_of, &mut object) {
            members.insert("on_behalf_of".into(), json!({"id": other.0}));
        }
        object
    });
    let mut object = json!({
        "id": job.id.0,
        "user": user,
        "origin": {"id": job.origin.id.0, "path": job.origin.path.as_str()},
    });
    if let Value::Object(members) = &mut object {
        circumstances(members, &job.context);
    }
    let mut answer = json!({"version": 1, "token": "running", "job": object});
    if let Value::Object(members) = &mut answer {
        members.extend(terms.until.map(|until| ("until".to_owned(), json!(until))));
        let named = Credential::ALL.iter().find(|(credential, _)| *credential == terms.credential);
        let other = named.filter(|(credential, _)| *credential != Credential::Own);
        members.extend(other.map(|(_, name)| ("credential".to_owned(), json!(name))));
    }
    answer
}

/// Whether what is answered of a running job's token is no longer true at this Unix second.
#[must_use]
pub fn is_over(answer: &str, now: u64) -> bool {
    let answer: Option<Value> = serde_json::from_str(answer).ok();
    let until = answer.as_ref().and_then(|answer| answer.get("until")).and_then(Value::as_u64);
    until.is_some_and(|until| until <= now)
}

/// What is not known is left out.
fn circumstances(members: &mut Map<String, Value>, context: &Context) {
    let known = [
        ("ref", context.git_ref.as_ref().map(|name| json!(name))),
        ("protected", context.protected.map(|is| json!(is))),
        ("environment", context.environment.as_ref().map(|name| json!(name))),
        ("source", context.source.as_ref().map(|name| json!(name))),
        ("fork", context.fork.map(|is| json!(is))),
        ("runner", context.runner.map(|runner| json!(runner.0))),
    ];
    members.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
}

/// What is answered of a token.
#[must_use]
pub fn token(state: &TokenState) -> Option<Value> {
    match state {
        TokenState::Running(running) => serde_json::from_str(&running.answer).ok(),
        TokenState::Ended => Some(json!({"version": 1, "token": "ended"})),
        TokenState::Refused(invalid) => Some(json!({"version": 1, "token": invalid.name()})),
    }
}

/// What is answered of a target, or of who holds something. `None` for what `v1` cannot say.
#[must_use]
pub fn found(found: &Found, wants_holders: bool) -> Option<Value> {
    match found {
        Found::Nothing if wants_holders => Some(json!({"version": 1, "holders": null})),
        Found::Nothing => Some(json!({"version": 1, "target": null})),
        Found::Holders(Holders::TooMany(_)) => Some(json!({"version": 1, "holders": "too-many"})),
        Found::Holders(Holders::All(projects)) => {
            let ids: Vec<u64> = projects.iter().map(|project| project.0).collect();
            Some(json!({"version": 1, "holders": ids}))
        }
        Found::Standing(standing) => self::standing(standing),
    }
}

fn standing(standing: &Standing) -> Option<Value> {
    let (admission, permissions) = match standing.admission {
        Admission::Own => ("own", None),
        Admission::Open => ("open", None),
        Admission::Unlisted => ("unlisted", None),
        Admission::Listed(Entry { link, grants }) => {
            let link = match link {
                Link::Project => "project",
                Link::Group => "group",
            };
            let granted = match grants {
                Grants::Default => None,
                Grants::Only(permissions) => Some(permissions.names().collect::<Vec<_>>()),
            };
            (link, granted)
        }
        // The service has everything looked up.
        Admission::LeftToForge => return None,
    };
    let external = match standing.affiliation {
        Affiliation::Internal => false,
        Affiliation::External => true,
        Affiliation::LeftToForge => return None,
    };
    let mut answer = json!({
        "version": 1,
        "target": target(&standing.target)?,
        "role": standing.role?.name(),
        "external": external,
        "admission": admission,
        "outbound": match standing.outbound { Outbound::Open => "open", Outbound::Unlisted => "unlisted" },
    });
    if let (Some(permissions), Value::Object(members)) = (permissions, &mut answer) {
        members.insert("permissions".into(), json!(permissions));
    }
    Some(answer)
}

fn target(target: &Target) -> Option<Value> {
    let features = Feature::ALL.iter().filter_map(|(feature, _)| {
        // What is open to whoever sees the project is left out, as `v1` has it.
        let level = Some(target.features.set(*feature)).filter(|level| *level != Level::Enabled)?;
        Some((feature.part().to_owned(), json!(level.name())))
    });
    Some(json!({
        "id": target.id?.0,
        "path": target.path.as_ref()?.as_str(),
        "visibility": target.visibility?.name(),
        "push_by_job_token": target.job_push.name(),
        "features": features.collect::<Map<String, Value>>(),
        "public_jobs": target.public_jobs,
        "archived": target.archived,
    }))
}

#[cfg(test)]
mod tests {
    use policy::access::{Holding, Package, Registry, Sought, TargetRef};
    use policy::facts::*;
    use policy::lookup::{Answer, Fact, Flight, Progress, Value as Read};

    use super::*;
    use crate::forge::Credential;

    fn read(fact: Fact, answer: &Value) -> Read {
        let document = br#"{"forge": {"hosts": ["h"]},
            "lookup": {"cluster": "c", "authority": "h", "credential_env": "E", "api": "v1"},
            "facts": {"outbound": "lookup"}}"#;
        let config = policy::Config::parse(document).unwrap();
        let (mut flight, _) =
            Flight::start(&config, Some(&policy::lookup::Account::Token(Secret::new(b"s"))), fact, &|_| None);
        let body = answer.to_string();
        let answer = Answer { status: Some(200), next_page: None, location: None, body: body.as_bytes() };
        match flight.answer(0, &answer) {
            Progress::Landed(value) => value.unwrap(),
            Progress::Going(_) => panic!("one call"),
        }
    }

    fn job(context: Context) -> Job {
        let user = User { id: UserId(11), name: "dana".into() };
        let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
        Job { id: JobId(u64::MAX), user: Some(user), origin, context }
    }

    #[test]
    fn the_filter_reads_of_tokens_what_was_meant() {
        let whole = Context {
            git_ref: Some("main".into()),
            protected: Some(false),
            environment: Some(String::new()),
            source: Some("push".into()),
            fork: Some(true),
            on_behalf_of: Some(UserId(12)),
            runner: Some(RunnerId(3)),
            ..Context::default()
        };
        for job in [job(whole), job(Context::default()), Job { user: None, ..job(Context::default()) }] {
            let token = Fact::Token(Secret::new(b"glcbt-1"));
            assert_eq!(read(token, &running(&job, &Terms::default())), Read::Token(Token::Running(job)));
        }
        // What it does not know yet it passes over.
        let terms = Terms { until: Some(1), credential: Credential::Service, ..Terms::default() };
        let answer = running(&job(Context::default()), &terms);
        assert_eq!((&answer["until"], &answer["credential"]), (&json!(1), &json!("service")));
        let Read::Token(Token::Running(known)) = read(Fact::Token(Secret::new(b"h.p.s")), &answer) else {
            panic!("a running job")
        };
        assert_eq!(known.id, JobId(u64::MAX));
        assert!(is_over(&answer.to_string(), 1) && !is_over(&answer.to_string(), 0));
        let states = Invalid::ALL.map(|(invalid, _)| (TokenState::Refused(invalid), Token::Invalid(invalid)));
        for (state, expected) in [(TokenState::Ended, Token::Ended(None))].into_iter().chain(states) {
            let answer = token(&state).unwrap();
            assert_eq!(read(Fact::Token(Secret::new(b"glcbt-1")), &answer), Read::Token(expected));
        }
    }

    #[test]
    fn the_filter_reads_of_targets_what_was_meant() {
        let only = Grants::Only(Permissions::of(&[Permission::ReadJobs, Permission::AdminPackages]));
        let listed = |link, grants| Admission::Listed(Entry { link, grants });
        let admissions = [
            Admission::Open,
            Admission::Unlisted,
            listed(Link::Project, Grants::Default),
            listed(Link::Group, only),
            listed(Link::Group, Grants::Only(Permissions::default())),
        ];
        let job = job(Context::default());
        let mut features = Features::OPEN;
        features.0[1] = Level::Disabled;
        features.0[3] = Level::Members;
        for (admission, (role, _, _)) in admissions.into_iter().zip(Role::ALL) {
            for (visibility, _) in Visibility::ALL {
                for (job_push, _) in JobPush::ALL {
                    let is_even = role > Role::Guest;
                    let target = Target {
                        id: Some(ProjectId(102)),
                        path: ProjectPath::parse("libs/common"),
                        visibility: Some(visibility),
                        features,
                        job_push,
                        public_jobs: is_even,
                        archived: !is_even,
                    };
                    let affiliation = if is_even { Affiliation::External } else { Affiliation::Internal };
                    let outbound = if is_even { Outbound::Unlisted } else { Outbound::Open };
                    let standing =
                        Found::Standing(Standing { role: Some(role), affiliation, admission, outbound, target });
                    let fact = Fact::Target(job.clone(), TargetRef::Id(ProjectId(102)));
                    assert_eq!(read(fact, &found(&standing, false).unwrap()), Read::Target(standing));
                }
            }
        }
        let fact = Fact::Target(job, TargetRef::Id(ProjectId(102)));
        assert_eq!(read(fact, &found(&Found::Nothing, false).unwrap()), Read::Target(Found::Nothing));
    }

    #[test]
    fn the_filter_reads_of_holders_what_was_meant() {
        let package = Package::new(Registry::Npm, ["a".to_owned()]);
        let holding = Holding { group: GroupRef::Id(GroupId(7)), sought: Sought::Package(package) };
        let fact = Fact::Target(job(Context::default()), TargetRef::Held(std::sync::Arc::new(holding)));
        let all = Holders::All(vec![ProjectId(3), ProjectId(9)]);
        for holders in [Found::Holders(all), Found::Holders(Holders::TooMany(None)), Found::Nothing] {
            assert_eq!(read(fact.clone(), &found(&holders, true).unwrap()), Read::Target(holders));
        }
    }
}
