use std::string::ToString;
use std::vec;
use std::vec::Vec;

use serde_json::Value;

use super::*;
use crate::Config;
use crate::access::{Access, Action, Holding, Package, Protocol, Registry, Sought, TargetRef};
use crate::decision::{Ages, Facts, why};
use crate::facts::{
    Admission, Affiliation, Context, Credential, Entry, Feature, Features, Found, Grants, GroupId, GroupPath, GroupRef,
    Holders, Invalid, Job, JobId, JobPush, Level, Link, Origin, Outbound, Permission, Permissions, ProjectId,
    ProjectPath, Role, RunnerId, Secret, Standing, Target, Token, User, UserId, Visibility,
};
use crate::request::{Bare, Claim, JobRequest, Malformed, endpoints};

fn config() -> Config {
    let document =
        r#"{"forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#;
    Config::parse(document.as_bytes()).unwrap()
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

fn job(user: Option<&str>) -> Job {
    let user = user.map(|name| User { id: UserId(11), name: name.into() });
    Job {
        id: JobId(1001),
        user,
        origin: Origin { id: ProjectId(101), path: path("apps/web") },
        context: Context::default(),
    }
}

fn standing() -> Standing {
    let target = Target {
        id: Some(ProjectId(2)),
        path: Some(path("a/b")),
        visibility: Some(Visibility::Private),
        features: Features::OPEN,
        job_push: JobPush::Off,
        public_jobs: false,
        archived: false,
    };
    let (affiliation, admission, outbound) = (Affiliation::Internal, Admission::Unlisted, Outbound::Open);
    Standing { role: Some(Role::Guest), affiliation, admission, outbound, target }
}

fn request(accesses: Vec<Access>) -> JobRequest {
    JobRequest::new(Secret::new(b"glcbt-64_secret"), Protocol::Api, accesses)
}

/// What is read of what is written.
fn again(request: &JobRequest, facts: &Facts) -> Option<Evidence> {
    let account = why(&config(), Some((request, facts)), &Ages::default());
    assert!(!account.contains("glcbt-") && account.len() <= 32 << 10, "{account}");
    let value: Value = serde_json::from_str(&account).unwrap();
    // Members are in the order of their names.
    assert_eq!(value.to_string(), account);
    evidence(&value)
}

fn same(request: &JobRequest, facts: &Facts) {
    let Evidence { request: read, facts: known, looked_up } = again(request, facts).unwrap();
    assert_eq!(
        (&read.accesses, read.protocol, read.bare.is_some()),
        (&request.accesses, request.protocol, request.bare.is_some())
    );
    assert_eq!(&known, facts);
    assert_eq!(looked_up, ["facts.membership", "facts.external", "facts.visibility", "facts.allowlists"]);
}

#[test]
fn every_way_to_name_a_target_and_every_action_is_read_as_it_was_written() {
    let package = || Package::new(Registry::Pypi, ["some-Package".into(), "other".into()]);
    let held = |group, sought| TargetRef::Held(Holding { group, sought }.into());
    let group = || GroupPath::parse("libs/x").unwrap();
    let named = vec![
        TargetRef::None,
        TargetRef::Own,
        TargetRef::Job(JobId(5)),
        TargetRef::ProjectOfJob(JobId(6)),
        TargetRef::Path(path("a/b")),
        TargetRef::Id(ProjectId(u64::MAX)),
        TargetRef::Image([path("a/b/c"), path("a/b")].into()),
        TargetRef::Image([].into()),
        TargetRef::Group(group()),
        held(GroupRef::Path(group()), Sought::Everything),
        held(GroupRef::Path(group()), Sought::Owned),
        held(GroupRef::Namespace(group()), Sought::Package(package())),
        held(GroupRef::Id(GroupId(7)), Sought::File(package())),
    ];
    let running = Facts { token: Some(Token::Running(job(Some("dana")))), ..Facts::default() };
    for target in named {
        let targets = vec![(target.clone(), Found::Nothing)];
        same(&request(vec![Access::new(Action::ReadNpm, target)]), &Facts { targets, ..running.clone() });
    }
    for (action, _, _) in Action::ALL {
        same(&request(vec![Access::new(*action, TargetRef::Own)]), &running);
    }
    for endpoint in endpoints() {
        let access =
            Access { open: endpoint.open, least: endpoint.least, ..Access::new(endpoint.action, TargetRef::Own) };
        same(&request(vec![access]), &running);
    }
    let bare = Some(Bare { headers: Vec::new(), path: None });
    same(&JobRequest { bare, ..request(vec![Access::new(Action::Unlisted, TargetRef::None)]) }, &running);
}

#[test]
fn every_fact_is_read_as_it_was_written() {
    let listed = |link, grants| Admission::Listed(Entry { link, grants });
    let some = Grants::Only(Permissions::of(&[Permission::ReadJobs, Permission::AdminPackages]));
    let mut all = vec![standing()];
    let mut vary = |change: &dyn Fn(&mut Standing)| {
        let mut one = standing();
        change(&mut one);
        all.push(one);
    };
    for (role, _, _) in Role::ALL {
        vary(&|one| one.role = Some(role));
    }
    for admission in [
        Admission::Own,
        Admission::Open,
        Admission::LeftToForge,
        listed(Link::Project, Grants::Default),
        listed(Link::Group, some),
        listed(Link::Group, Grants::Only(Permissions::default())),
    ] {
        vary(&|one| one.admission = admission);
    }
    for (feature, (_, _)) in (0..).zip(Feature::ALL) {
        vary(&|one| one.target.features.0[feature] = Level::Disabled);
        vary(&|one| one.target.features.0[feature] = Level::Members);
    }
    for (visibility, _) in Visibility::ALL {
        vary(&|one| one.target.visibility = Some(visibility));
    }
    for (push, _) in JobPush::ALL {
        vary(&|one| one.target.job_push = push);
    }
    vary(&|one| one.outbound = Outbound::Unlisted);
    vary(&|one| one.affiliation = Affiliation::External);
    vary(&|one| one.target.public_jobs = true);
    vary(&|one| one.target.archived = true);
    vary(&|one| {
        (one.role, one.affiliation) = (None, Affiliation::LeftToForge);
        (one.target.id, one.target.path, one.target.visibility) = (None, None, None);
    });
    let asked = request(vec![Access::new(Action::ReadNpm, TargetRef::Path(path("a/b")))]);
    let found = all.into_iter().map(Found::Standing);
    let holders =
        [Holders::All(vec![ProjectId(1), ProjectId(2)]), Holders::TooMany(None), Holders::TooMany(Some(ProjectId(3)))];
    for found in found.chain(holders.into_iter().map(Found::Holders)) {
        let targets = vec![(TargetRef::Path(path("a/b")), found), (TargetRef::Id(ProjectId(9)), Found::Nothing)];
        let token = Some(Token::Running(job(Some("dana"))));
        same(&asked, &Facts { token, targets, dependencies: vec![JobId(3)] });
    }
    let mut known = job(Some("dana"));
    known.context = Context {
        git_ref: Some("main\"\u{1}".into()),
        protected: Some(false),
        environment: Some("".into()),
        source: Some("push".into()),
        fork: Some(true),
        on_behalf_of: Some(UserId(12)),
        runner: Some(RunnerId(9)),
        credential: Credential::Service,
        until: None,
    };
    let invalid = Invalid::ALL.into_iter().map(|(invalid, _)| Token::Invalid(invalid));
    let others = [
        Token::Running(known.clone()),
        Token::Running(job(None)),
        Token::Ended(Some(known)),
        Token::Ended(None),
        Token::Forgotten,
    ];
    for token in invalid.chain(others) {
        same(&asked, &Facts { token: Some(token), ..Facts::default() });
    }
    same(&asked, &Facts::default());
}

#[test]
fn what_is_not_understood_whole_is_not_read_and_what_is_too_long_is_not_written() {
    let one = || Access::new(Action::ReadNpm, TargetRef::Path(path("a/b")));
    let targets = vec![(TargetRef::Path(path("a/b")), Found::Standing(standing()))];
    let facts = Facts { token: Some(Token::Running(job(Some("dana")))), targets, dependencies: Vec::new() };
    let account: Value =
        serde_json::from_str(&why(&config(), Some((&request(vec![one()]), &facts)), &Ages::default())).unwrap();
    assert!(evidence(&account).is_some());
    for (place, other) in [
        ("/protocol", "smtp"),
        ("/token/state", "new"),
        ("/origin/path", "web"),
        ("/user/id", "11"),
        ("/evidence/asked/0/action", "api.new"),
        ("/evidence/asked/0/target", "all"),
        ("/evidence/targets/0/found", "something"),
        ("/evidence/targets/0/found/project/role", "king"),
        ("/evidence/targets/0/found/project/inbound", "perhaps"),
        ("/evidence/targets/0/found/project/path", "b"),
        ("/evidence/targets/0/found/project/visibility", "secret"),
        ("/evidence/targets/0/found/project/push", "all"),
        ("/evidence/targets/0/found/project/archived", "no"),
    ] {
        let mut account = account.clone();
        *account.pointer_mut(place).unwrap() = Value::from(other);
        assert_eq!(evidence(&account), None, "{place}");
    }
    let unread = JobRequest { claim: Claim::Unread(Malformed::DotSegment), ..request(vec![one()]) };
    assert!(again(&unread, &facts).is_none(), "that it cannot be read is all that decides");
    assert!(again(&request(vec![one(); 16]), &facts).is_some());
    assert!(again(&request(vec![one(); 17]), &facts).is_none());
    let long = |number| (TargetRef::Id(ProjectId(number)), facts.targets[0].1.clone());
    assert!(again(&request(vec![one()]), &Facts { targets: (0..33).map(long).collect(), ..facts.clone() }).is_some());
    assert!(again(&request(vec![one()]), &Facts { targets: (0..300).map(long).collect(), ..facts.clone() }).is_none());
    assert_eq!(evidence(&Value::Null), None);
}
