//! What is carried out where only some of it is.

use super::*;
use crate::access::{Holding, Package, Registry, Sought};
use crate::facts::GroupRef;

/// Everything that concerns no single project is only recorded, but for this.
fn enforcing(targets: &str, but: &str) -> Config {
    let family = |name: &str| std::format!(r#""{name}": "{}""#, if name == but { "enforce" } else { "observe" });
    let families = ["unreadable", "unlisted", "many"].map(family).join(", ");
    with(&std::format!(r#""enforce": {{"targets": [{targets}], {families}}}"#))
}

fn with(keys: &str) -> Config {
    let document = std::format!(
        r#"{{{keys}, "forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn asks(action: Action, target: TargetRef) -> JobRequest {
    request(Protocol::Api, vec![Access::new(action, target)])
}

fn verdict(config: &Config, request: &JobRequest, facts: &Facts) -> &'static str {
    let decision = decided(decide(config, request, facts));
    assert_eq!(matches!(decision.outcome, Outcome::Forward(_)), decision.record.verdict != "deny", "{decision:?}");
    decision.record.verdict
}

fn closed(name: &str) -> Found {
    standing(name, Role::Owner, Admission::Unlisted)
}

#[test]
fn to_enforce_one_project_touches_one_project() {
    let config = enforcing(r#""a/b""#, "");
    let each = |name: &str, facts: Facts| verdict(&config, &asks(Action::ReadCode, path(name)), &facts);
    for (name, expected) in [("a/b", "deny"), ("a/c", "observe-deny"), ("a/b/c", "observe-deny")] {
        assert_eq!(each(name, known(&[(name, closed(name))])), expected, "{name}: a denial");
        assert_eq!(each(name, known(&[(name, Found::Nothing)])), expected, "{name}: nothing there");
        for token in [Token::Invalid(Invalid::Unknown), Token::Ended(Some(job())), Token::Forgotten] {
            assert_eq!(each(name, Facts { token: Some(token), ..Facts::default() }), expected, "{name}: no token");
        }
        let missed = missed(&config, &asks(Action::ReadCode, path(name)), &known(&[]), Failure::LookupTimeout);
        assert_eq!(missed.record.verdict, expected, "{name}: a fact that cannot be had");
        let crowded = super::missed(&config, &asks(Action::ReadCode, path(name)), &known(&[]), Failure::LookupBusy);
        assert_eq!(crowded.record.verdict, "deny", "{name}: clients choose when too much is asked");
    }
    // A project counts by its path of today, whatever the request calls it.
    assert_eq!(each("old/name", known(&[("old/name", closed("a/b"))])), "deny");
    assert_eq!(each("a/b", known(&[("a/b", closed("moved/to"))])), "observe-deny");
}

#[test]
fn what_concerns_no_single_project_has_switches_of_its_own() {
    let holding = Holding {
        group: GroupRef::Path(GroupPath::parse("a").unwrap()),
        sought: Sought::Package(Package::new(Registry::Pypi, ["x".to_string()])),
    };
    let held = TargetRef::Held(holding.into());
    let too_many = |one| Facts {
        targets: vec![
            (held.clone(), Found::Holders(Holders::TooMany(one))),
            (TargetRef::Id(ProjectId(2)), closed("a/c")),
        ],
        ..known(&[])
    };
    let nothing = |target: &TargetRef| Facts { targets: vec![(target.clone(), Found::Nothing)], ..known(&[]) };
    let (number, other_job) = (TargetRef::Id(ProjectId(7)), TargetRef::ProjectOfJob(JobId(7)));
    let rows: Vec<(&str, JobRequest, Facts)> = vec![
        ("unlisted", asks(Action::Unlisted, TargetRef::None), known(&[])),
        ("unlisted", asks(Action::WriteWiki, path("a/c")), known(&[])),
        ("unlisted", asks(Action::DependencyProxy, TargetRef::None), known(&[])),
        ("unlisted", asks(Action::Unlisted, TargetRef::None), Facts { token: Some(Token::Forgotten), ..known(&[]) }),
        ("many", asks(Action::ReadNpm, TargetRef::Group(GroupPath::parse("a").unwrap())), known(&[])),
        ("many", asks(Action::ReadPypi, held.clone()), too_many(None)),
        // The one that is known is one of many.
        ("many", asks(Action::ReadPypi, held.clone()), too_many(Some(ProjectId(2)))),
        ("many", asks(Action::ReadCode, number.clone()), nothing(&number)),
        ("many", asks(Action::DownloadOwnArtifact, other_job.clone()), nothing(&other_job)),
        ("many", asks(Action::UpdateJob, TargetRef::Job(JobId(7))), known(&[])),
        ("many", asks(Action::ReadNpm, number.clone()), Facts { token: Some(Token::Forgotten), ..known(&[]) }),
        (
            "unreadable",
            JobRequest { claim: Claim::Unread(Malformed::DotSegment), ..asks(Action::ReadCode, path("a/c")) },
            known(&[]),
        ),
    ];
    for (family, request, facts) in rows {
        for enforced in ["unreadable", "unlisted", "many"] {
            // Whatever project is enforced, and also where all are.
            for targets in [r#""a/b""#, r#""**""#] {
                let expected = if family == enforced { "deny" } else { "observe-deny" };
                assert_eq!(verdict(&enforcing(targets, enforced), &request, &facts), expected, "{request:?}");
            }
        }
        assert_eq!(
            verdict(&with(r#""enforce": {"targets": ["a/b"]}"#), &request, &facts),
            "deny",
            "unless one asks for it"
        );
    }
    let unread = Refused::new(Protocol::Git, Malformed::DotSegment);
    assert_eq!(refused(&enforcing(r#""**""#, "many"), &unread).record.verdict, "observe-deny");
    assert_eq!(refused(&enforcing("", "unreadable"), &unread).record.verdict, "deny");
    // It may be about the one project that is enforced: nobody has read it.
    assert_eq!(failed(&enforcing(r#""a/b""#, ""), Protocol::Git, Failure::Busy).record.verdict, "deny");
}

#[test]
fn of_several_targets_one_that_is_enforced_is_enough_to_refuse_and_it_speaks() {
    let config = enforcing(r#""a/b""#, "");
    let both = request(
        Protocol::RegistryToken,
        vec![Access::new(Action::PullImage, path("a/b")), Access::new(Action::PushImage, path("a/c"))],
    );
    let says = |found: &[(&str, Found)]| {
        let record = decided(decide(&config, &both, &known(found))).record;
        (record.verdict, record.target)
    };
    // The push weighs more, and is only recorded.
    assert_eq!(says(&[("a/b", closed("a/b")), ("a/c", closed("a/c"))]), ("deny", "a/b".into()));
    let admits = standing("a/b", Role::Owner, PROJECT);
    assert_eq!(says(&[("a/b", admits), ("a/c", closed("a/c"))]), ("observe-deny", "a/c".into()));
    for token in [Token::Forgotten, Token::Ended(Some(job()))] {
        let facts = Facts { token: Some(token), ..Facts::default() };
        assert_eq!(verdict(&config, &both, &facts), "deny", "a/b is one of the two");
    }
    // Of an image it is not known which part of its name is the project's.
    let image: TargetRef = TargetRef::Image(["a/b/c", "a/b"].map(|name| ProjectPath::parse(name).unwrap()).into());
    let facts = Facts { targets: vec![(image.clone(), Found::Nothing)], ..known(&[]) };
    assert_eq!(verdict(&config, &asks(Action::PullImage, image), &facts), "deny");
}

#[test]
fn what_is_observed_stays_observed_where_it_is_named_to_be_enforced() {
    let config = with(r#""enforce": {"targets": ["a/**", "!a/legacy/**"]}, "observe": {"targets": ["a/c", "!a/b"]}"#);
    for (name, expected) in
        [("a/b", "deny"), ("a/c", "observe-deny"), ("a/legacy/x", "observe-deny"), ("b/x", "observe-deny")]
    {
        let asked = asks(Action::ReadCode, path(name));
        assert_eq!(verdict(&config, &asked, &known(&[(name, closed(name))])), expected, "{name}");
    }
    // What has always been refused of a target that is observed still is.
    let dead = Facts { token: Some(Token::Forgotten), ..Facts::default() };
    let observed = with(r#""observe": {"targets": ["a/**"]}"#);
    assert_eq!(verdict(&observed, &asks(Action::ReadCode, path("a/c")), &dead), "deny");
}

#[test]
fn the_dependency_proxy_is_the_own_projects_matter() {
    let login = |target| asks(Action::DependencyProxy, target);
    let config = |targets: &str| {
        let mut config = enforcing(targets, "");
        config.forge.dependency_proxy = crate::choices::DependencyProxy::On;
        config
    };
    let elsewhere = login(TargetRef::Group(GroupPath::parse("libs").unwrap()));
    assert_eq!(verdict(&config(r#""apps/web""#), &elsewhere, &known(&[])), "deny");
    assert_eq!(verdict(&config(r#""libs/**""#), &elsewhere, &known(&[])), "observe-deny");
}
