//! Packages that a group is asked for.

use alloc::sync::Arc;

use super::*;
use crate::access::Sought;
use crate::access::{Holding, Package, Registry};
use crate::facts::Holders;

fn held(sought: Sought) -> TargetRef {
    let group = GroupRef::Path(GroupPath::parse("libs").unwrap());
    TargetRef::Held(Arc::new(Holding { group, sought }))
}

fn tool() -> Package {
    Package::new(Registry::Pypi, ["tool".into()])
}

fn package() -> TargetRef {
    held(Sought::Package(tool()))
}

fn with(extra: &str) -> Config {
    let document = std::format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}{extra}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn ask(config: &Config, action: Action, target: &TargetRef, facts: &Facts) -> Step {
    decide(config, &request(Protocol::Api, vec![Access::new(action, target.clone())]), facts)
}

/// What is known when these projects hold what is asked.
fn holders(target: &TargetRef, of: &[Found]) -> Facts {
    let projects = || (1..).map(ProjectId).zip(of);
    let all = Found::Holders(Holders::All(projects().map(|(id, _)| id).collect()));
    let standings = projects().map(|(id, found)| (TargetRef::Id(id), found.clone()));
    Facts {
        token: Some(Token::Running(job())),
        targets: [(target.clone(), all)].into_iter().chain(standings).collect(),
        ..Facts::default()
    }
}

fn record(config: &Config, target: &TargetRef, of: &[Found]) -> (&'static str, &'static str, String) {
    let Record { verdict, reason, target, .. } =
        decided(ask(config, Action::ReadPypi, target, &holders(target, of))).record;
    (verdict, reason, target)
}

fn said(verdict: &'static str, reason: &'static str, target: &str) -> (&'static str, &'static str, String) {
    (verdict, reason, target.into())
}

#[test]
fn who_holds_it_is_asked_first_and_then_what_each_is_to_the_job() {
    let config = with("");
    let step = |facts| ask(&config, Action::ReadPypi, &package(), &facts);
    assert_eq!(step(known(&[])), Step::NeedsTargets(job(), vec![package()]));
    let open = standing("libs/a", Role::Reporter, PROJECT);
    let mut facts = holders(&package(), &[open.clone(), open]);
    facts.targets.truncate(2);
    assert_eq!(step(facts), Step::NeedsTargets(job(), vec![TargetRef::Id(ProjectId(2))]));
}

#[test]
fn it_goes_on_where_every_project_that_holds_it_lets_the_job_read_packages() {
    let admits = |path| standing(path, Role::Reporter, PROJECT);
    let says = |of: &[Found]| record(&with(""), &package(), of);
    assert_eq!(says(&[admits("libs/a")]), said("allow", "allowlist.project", "libs/a"));
    assert_eq!(says(&[admits("libs/a"), admits("libs/b")]), said("allow", "allowlist.project", "libs/a"));
    let narrow = Grants::Only(crate::facts::Permissions::of(&[crate::facts::Permission::ReadJobs]));
    let narrow = Admission::Listed(Entry { link: Link::Project, grants: narrow });
    for (other, reason) in [
        (standing("libs/b", Role::Reporter, Admission::Unlisted), "allowlist.missing"),
        (standing("libs/b", Role::None, PROJECT), "role.none"),
        (standing("libs/b", Role::Guest, PROJECT), "role.too-low"),
        (standing("libs/b", Role::Owner, narrow), "allowlist.permission"),
    ] {
        for of in [&[admits("libs/a"), other.clone(), admits("libs/c")][..], std::slice::from_ref(&other)] {
            assert_eq!(says(of), said("deny", reason, "libs/b"), "{of:?}");
        }
    }
    assert_eq!(says(&[admits("libs/a"), Found::Nothing]), said("deny", "target.unknown", "group libs"));
}

#[test]
fn who_may_know_a_project_is_told_that_it_does_not_let_the_job_in_and_nobody_else() {
    let answer = |role| {
        let of = [standing("libs/a", Role::Reporter, PROJECT), standing("libs/b", role, Admission::Unlisted)];
        reply(decided(ask(&with(""), Action::ReadPypi, &package(), &holders(&package(), &of))))
    };
    let known = answer(Role::Reporter);
    assert!(known.status == 403 && known.body.contains("libs/b"), "{known:?}");
    let hidden = answer(Role::None);
    let nowhere = Facts { targets: vec![(package(), Found::Nothing)], ..known_job() };
    assert_eq!(hidden, reply(decided(ask(&with(""), Action::ReadPypi, &package(), &nowhere))));
    assert_eq!(hidden.status, 404);
}

fn known_job() -> Facts {
    known(&[])
}

#[test]
fn what_nobody_holds_is_left_to_the_forge_unless_a_files_name_alone_says_what_it_is() {
    let config = with(r#", "access": {"deny": [{"id": "r", "targets": ["libs/**"]}]}"#);
    assert_eq!(record(&config, &package(), &[]), said("allow", "holders.none", "group libs"));
    let file = held(Sought::File(tool()));
    assert_eq!(record(&config, &file, &[]), said("deny", "target.unknown", "group libs"));
    let admits = standing("apps/a", Role::Reporter, PROJECT);
    assert_eq!(record(&config, &file, std::slice::from_ref(&admits)).0, "allow");
    // A rule of the configuration is about each project by its path.
    let denied = [admits, standing("libs/a", Role::Reporter, PROJECT)];
    assert_eq!(record(&config, &package(), &denied), said("deny", "configuration.deny", "libs/a"));
}

#[test]
fn an_index_is_denied_unless_the_configuration_lets_jobs_ask_and_then_it_takes_every_project() {
    // What is an owner's own is there without any project, and then nobody lets the job in.
    let nobody = [(Sought::Everything, "allow", "holders.none"), (Sought::Owned, "deny", "target.unknown")];
    for (sought, verdict, reason) in nobody {
        let index = held(sought);
        let decision = decided(ask(&with(""), Action::ReadPypi, &index, &known_job()));
        assert_eq!(decision.record.reason, "packages.index-off");
        let refused = reply(decision);
        assert!(refused.status == 403 && refused.body.contains("`packages.index`"), "{refused:?}");
        let on = with(r#", "packages": {"index": "all-admitted"}"#);
        assert_eq!(ask(&on, Action::ReadPypi, &index, &known_job()), Step::NeedsTargets(job(), vec![index.clone()]));
        let admits = standing("libs/a", Role::Reporter, GROUP);
        let closed = standing("libs/b", Role::Reporter, Admission::Unlisted);
        assert_eq!(record(&on, &index, std::slice::from_ref(&admits)), said("allow", "allowlist.group", "libs/a"));
        assert_eq!(record(&on, &index, &[admits, closed]), said("deny", "allowlist.missing", "libs/b"));
        assert_eq!(record(&on, &index, &[]), said(verdict, reason, "group libs"));
    }
}

#[test]
fn what_is_more_than_is_looked_at_is_denied_and_named_to_who_may_know_one_of_it() {
    let facts = |one: Option<ProjectId>, of: Found| {
        let too_many = Found::Holders(Holders::TooMany(one));
        Facts { targets: vec![(package(), too_many), (TargetRef::Id(ProjectId(1)), of)], ..known_job() }
    };
    let answer = |facts| {
        let decision = decided(ask(&with(""), Action::ReadPypi, &package(), &facts));
        assert_eq!(decision.record.reason, "holders.too-many");
        reply(decision)
    };
    let one = Some(ProjectId(1));
    let known = answer(facts(one, standing("libs/a", Role::Reporter, PROJECT)));
    assert!(known.status == 403 && known.body.contains("libs/a among them"), "{known:?}");
    for hidden in
        [facts(one, standing("libs/a", Role::None, PROJECT)), facts(one, Found::Nothing), facts(None, Found::Nothing)]
    {
        assert_eq!(answer(hidden).status, 404);
    }
}

#[test]
fn a_write_and_a_configuration_that_looks_nothing_up_ask_nobody() {
    let asked = |config: &Config, action| decided(ask(config, action, &package(), &known_job())).record.reason;
    for action in [Action::PublishPypi, Action::PublishNpm, Action::DeletePackages] {
        assert_eq!(asked(&with(r#", "packages": {"index": "all-admitted"}"#), action), "target.many");
    }
    let forge = r#", "facts": {"membership": "forge", "external": "forge", "visibility": "forge", "allowlists": "forge", "outbound": "forge"}"#;
    assert_eq!(asked(&with(forge), Action::ReadPypi), "target.many");
}

#[test]
fn where_one_project_is_only_observed_another_still_denies() {
    let config = with(r#", "observe": {"targets": ["libs/a"]}"#);
    let closed = |path| standing(path, Role::Reporter, Admission::Unlisted);
    let admits = standing("libs/c", Role::Reporter, PROJECT);
    let says = |of: &[Found]| record(&config, &package(), of);
    assert_eq!(says(&[closed("libs/a"), admits]), said("observe-deny", "allowlist.missing", "libs/a"));
    for of in [[closed("libs/a"), closed("libs/b")], [closed("libs/b"), closed("libs/a")]] {
        assert_eq!(says(&of), said("deny", "allowlist.missing", "libs/b"));
    }
}
