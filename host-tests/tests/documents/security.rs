//! The tables of statuses and reasons in SECURITY.md are those of the code.

use policy::access::{Action, Protocol};
use policy::choices::{Answers, Kind};
use policy::facts::{Origin, ProjectId, ProjectPath, Role};
use policy::failure::Failure;
use policy::reply::{self, Denied, Subject};
use policy::rules::Reason;

const PAGE: &str = include_str!("../../../SECURITY.md");

fn rows(head: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let start = PAGE.find(&format!("\n| {head} |")).unwrap_or_else(|| panic!("no table `{head}`"));
    PAGE[start + 1..]
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).expect("a sound path")
}

#[test]
fn the_statuses_of_each_protocol() {
    let origin = Origin { id: ProjectId(101), path: path("apps/web") };
    let target = path("libs/common");
    let mut protocols = 0;
    for row in rows("protocol") {
        let protocol = match row[0] {
            "Git" => Protocol::Git,
            "LFS" => Protocol::Lfs,
            "registry" => Protocol::Registry,
            "registry token" => Protocol::RegistryToken,
            "API" => Protocol::Api,
            "trigger" => Protocol::Trigger,
            "runner" => Protocol::Runner,
            "anything else" => Protocol::Web,
            other => panic!("`{other}` is no known protocol"),
        };
        let failure = reply::failure(protocol, Failure::LookupTimeout);
        assert!(PAGE.contains("and always with `Retry-After: 2`") && failure.retry_after == Some(2));
        let known = Subject::Known { origin: &origin, target: &target, id: Some(ProjectId(102)) };
        let denied = |reason| Denied {
            protocol,
            kind: Kind::Gitlab,
            answers: Answers::Gitlab17,
            action: Action::ReadReleases,
            role: Role::None,
            reason,
            written: None,
        };
        let statuses = [
            reply::token(protocol, Reason::TokenEnded).status,
            reply::rule(&denied(Reason::NotListed), &known).status,
            reply::rule(&denied(Reason::NeverForJobs), &Subject::None).status,
            reply::rule(&denied(Reason::NotListed), &Subject::Hidden).status,
            failure.status,
        ];
        let written: Vec<u16> = row[1..].iter().map(|cell| cell.parse().expect("a status")).collect();
        assert_eq!(written, statuses, "{}", row[0]);
        protocols += 1;
    }
    assert_eq!(protocols, 8);
}

#[test]
fn the_reasons_of_failures() {
    let written: Vec<&str> = rows("reason").map(|row| row[0].trim_matches('`')).collect();
    let expected: Vec<&str> = Failure::ALL.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(written, expected);
}
