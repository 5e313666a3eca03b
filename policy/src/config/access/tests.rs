use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::Config;
use crate::choices::Mode;
use crate::facts::{Context, JobId, Origin, ProjectId};

fn parse(access: &str) -> Result<Config, String> {
    let document = format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}, "access": {access}}}"#
    );
    Config::parse(document.as_bytes()).map_err(|errors| errors.to_string())
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

fn job(origin: &str) -> Job {
    let origin = Origin { id: ProjectId(1), path: path(origin) };
    Job { id: JobId(1), user: None, origin, context: Context::default() }
}

#[test]
fn all_errors_at_once_each_with_its_path() {
    let errors = parse(
        r#"{
            "allow": [{"id": "a", "targets": [], "origins": ["apps/web", "apps", 5], "mode": "observe"}, 7],
            "deny": [{"id": "a"}, {"id": "-x", "actions": ["oci.pul", "pakages.*", 1]}, {"id": "c", "target": ["a/b"]}],
            "limit": [{"id": "d"}, {"id": "e", "actions": []}, {"id": "f", "actions": ["oci.pull"], "id": "g"}],
            "outbound": [{"id": "h", "origins": ["**"], "targets": ["apps/web", "**"]}],
            "outbund": [],
            "deny": []
        }"#,
    )
    .unwrap_err();
    let expected = [
        "17 errors in the configuration",
        "access.outbund: unknown key, did you mean `outbound`",
        "access.deny: stands twice",
        "access.allow[0].mode: unknown key",
        "access.allow[0].targets: expected a list of one or more projects such as `apps/web`, `apps/**` or `**`, found `[]`",
        "access.allow[0].origins[1]: expected a project such as `apps/web`, `apps/**` or `**`, found `\"apps\"`",
        "access.allow[0].origins[2]: expected a project such as `apps/web`, `apps/**` or `**`, found `5`",
        "access.allow[1]: expected a rule, found `7`",
        "access.deny[0].id: expected an id that no other rule has, found `\"a\"`",
        "access.deny[1].id: expected 1 to 63 of `a` to `z`, `0` to `9` and `-`, not first a `-`, found `\"-x\"`",
        "access.deny[1].actions[0]: expected an action (nearest is `oci.pull`), found `\"oci.pul\"`",
        "access.deny[1].actions[1]: expected an action (nearest is `packages.*`), found `\"pakages.*\"`",
        "access.deny[1].actions[2]: expected an action such as `oci.pull` or `packages.*`, found `1`",
        "access.deny[2].target: unknown key, did you mean `targets`",
        "access.limit[0].actions: missing, expected a list of one or more actions such as `oci.pull` or `packages.*`",
        "access.limit[1].actions: expected a list of one or more actions such as `oci.pull` or `packages.*`, found `[]`",
        "access.limit[2].id: stands twice",
        "access.outbound[0].targets: expected fewer than all projects, found `all`",
    ];
    for line in &expected[1..] {
        assert!(errors.lines().any(|found| found == *line), "{line}\nis not in\n{errors}");
    }
    assert_eq!(errors.lines().count(), expected.len(), "{errors}");
}

#[test]
fn conditions_are_checked_like_keys() {
    let errors = parse(
        r#"{"deny": [
            {"id": "a", "when": {}},
            {"id": "b", "when": {"ref": [], "protected": "yes", "source": ["*x"], "branch": ["main"], "refs": ["main"]}},
            {"id": "c", "when": {"ref": ["refs/heads/main", "refs/merge-requests/*"], "environment": ["refs/heads/x"]}},
            {"id": "d", "when": ["main"]}
        ]}"#,
    )
    .unwrap_err();
    let expected = [
        "access.deny[0].when: expected an object of one or more conditions, found `{}`",
        "access.deny[1].when.branch: unknown key",
        "access.deny[1].when.refs: unknown key, did you mean `ref`",
        "access.deny[1].when.ref: expected a list of one or more texts such as `main` or `release/*`, found `[]`",
        "access.deny[1].when.protected: expected `true` or `false`, found `\"yes\"`",
        "access.deny[1].when.source[0]: expected a text such as `main` or `release/*`, without `refs/heads/` and `refs/tags/`, found `\"*x\"`",
        "access.deny[2].when.ref[0]: expected a text such as `main` or `release/*`, without `refs/heads/` and `refs/tags/`, found `\"refs/heads/main\"`",
        "access.deny[3].when: expected an object of one or more conditions, found `[\"main\"]`",
    ];
    assert_eq!(errors.lines().skip(1).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_no_list_of_rules_is_refused() {
    let lines = |access: &str| parse(access).unwrap_err().lines().skip(1).collect::<Vec<_>>().join("\n");
    assert_eq!(lines("[]"), "access: expected an object with lists of rules, found `[]`");
    assert_eq!(lines("null"), "access: expected an object with lists of rules, found `null`");
    assert_eq!(lines(r#"{"deny": {}}"#), "access.deny: expected a list of rules, found `{}`");
    assert_eq!(lines(r#"{"limit": [{"id": "x", "actions": ["oci.pull", "nothing.*"]}]}"#).lines().count(), 1);
    let every = Action::ALL.iter().map(|(_, name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    assert_eq!(
        lines(&format!(r#"{{"limit": [{{"id": "x", "actions": [{every}]}}]}}"#)),
        "access.limit[0].actions: expected fewer than all actions, found `all`"
    );
}

#[test]
fn names_are_read_as_json_and_without_regard_to_case() {
    let config =
        parse(r#"{"allow": [{"id": "a", "targets": ["Libs\/Common"], "origins": ["\u0061pps/**", "Apps/Web"]}]}"#);
    let written = config.as_ref().unwrap().access.say(&job("APPS/web"), Some(&path("libs/COMMON")), Action::ReadCode);
    assert_eq!(written.admitted.map(|rule| (rule.id, rule.mode)), Some(("a", Mode::Enforce)));
    assert_eq!(config.unwrap().access.say(&job("apps/web"), None, Action::ReadCode), Written::default());
}

/// How many rules a decision looks at.
fn looked_at(config: &Config, origin: &str, target: &str) -> usize {
    let (job, rules) = (job(origin), &config.access);
    let asked = rules.asked(&job, &path(target), Action::PullImage);
    [&rules.allow, &rules.deny, &rules.limit, &rules.outbound]
        .map(|index| index.candidates(&asked).count())
        .iter()
        .sum()
}

/// So many targets, each with rules of every kind for so many origins.
fn many(targets: usize, entries: usize) -> Config {
    let list = |kind: &str, extra: &str| {
        let rule = |target: usize| {
            let origins =
                (0..entries).map(|entry| format!("\"team-{entry}/app-{target}\"")).collect::<Vec<_>>().join(",");
            format!(r#"{{"id": "{kind}-{target}", "targets": ["libs/t-{target}"], "origins": [{origins}]{extra}}}"#)
        };
        format!("\"{kind}\": [{}]", (0..targets).map(rule).collect::<Vec<_>>().join(","))
    };
    let actions = r#", "actions": ["git.read"]"#;
    let lists = [list("allow", ""), list("deny", actions), list("limit", actions), list("outbound", "")];
    parse(&format!("{{{}}}", lists.join(","))).unwrap()
}

#[test]
fn a_decision_looks_at_no_more_rules_however_many_targets_and_entries_there_are() {
    let (one, all) = (many(1, 1), many(500, 20));
    assert_eq!(looked_at(&one, "team-0/app-0", "libs/t-0"), 4);
    assert_eq!(looked_at(&all, "team-0/app-0", "libs/t-0"), 4);
    assert_eq!(looked_at(&all, "team-19/app-499", "libs/t-499"), 4);
    // Of the target's rules those of three kinds, and none of the origin's: it has none.
    assert_eq!(looked_at(&all, "other/app", "libs/t-7"), 3);
    assert_eq!(looked_at(&all, "other/app", "libs/other"), 0);
}

#[test]
fn rules_for_all_targets_are_found_by_their_origins() {
    let rule = |at: usize| format!(r#"{{"id": "r-{at}", "origins": ["apps/a-{at}"], "when": {{"fork": true}}}}"#);
    let config = parse(&format!("{{\"deny\": [{}]}}", (0..300).map(rule).collect::<Vec<_>>().join(","))).unwrap();
    assert_eq!(looked_at(&config, "apps/a-7", "libs/x"), 1);
    assert_eq!(looked_at(&config, "apps/b", "libs/x"), 0);
}

#[test]
fn every_key_of_a_rule_is_documented_and_stands_somewhere() {
    for key in RULE_KEYS {
        assert!(key.doc.ends_with('.'), "{}", key.path);
        assert!(RuleKind::ALL.iter().any(|(kind, _)| key.use_in(*kind) != Use::Never), "{}", key.path);
        assert_eq!(RULE_KEYS.iter().filter(|other| other.path == key.path).count(), 1, "{}", key.path);
    }
}

#[test]
fn what_is_legal_and_probably_not_meant_is_told() {
    let warnings = |access: &str| parse(access).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let everything = r#"denies this in every project, to its own jobs too; say `targets: ["**"]` where that is meant"#;
    assert_eq!(warnings(r#"{"deny": [{"id": "a"}]}"#), [format!("access.deny[0]: {everything}")]);
    assert_eq!(
        warnings(r#"{"deny": [{"id": "a", "actions": ["oci.push"]}]}"#),
        [format!("access.deny[0]: {everything}")]
    );
    for meant in [
        r#"{"deny": [{"id": "a", "targets": ["**"]}]}"#,
        r#"{"deny": [{"id": "a", "origins": ["apps/**"]}]}"#,
        r#"{"deny": [{"id": "a", "when": {"fork": true}}]}"#,
        r#"{"limit": [{"id": "a", "actions": ["git.read"]}]}"#,
    ] {
        assert_eq!(warnings(meant), Vec::<String>::new(), "{meant}");
    }
    let both = |allow: &str, deny: &str| {
        warnings(&format!(r#"{{"allow": [{{"id": "in", {allow}}}], "deny": [{{"id": "out", {deny}}}]}}"#))
    };
    let (targets, origins) = (r#""targets": ["libs/a", "libs/b/**"]"#, r#""origins": ["apps/web"]"#);
    let shadowed = ["access.allow[in]: lets nobody in: the rule `out` of `access.deny` denies all of it"];
    let allow = format!(r#"{targets}, {origins}, "actions": ["git.read"]"#);
    for deny in [
        r#""targets": ["libs/**"]"#,
        r#""targets": ["**"], "origins": ["apps/**"]"#,
        r#""targets": ["libs/a", "libs/b/**"], "actions": ["git.*"]"#,
    ] {
        assert_eq!(both(&allow, deny), shadowed, "{deny}");
    }
    for deny in [
        r#""targets": ["libs/b/**"]"#,
        r#""targets": ["libs/**"], "origins": ["apps/other"]"#,
        r#""targets": ["libs/**"], "actions": ["git.write"]"#,
        r#""targets": ["libs/**"], "mode": "observe""#,
        r#""targets": ["libs/**"], "when": {"fork": true}"#,
    ] {
        assert_eq!(both(&allow, deny), Vec::<String>::new(), "{deny}");
    }
    let nested = r#"{"deny": [{"id": "a", "targets": ["apps/web"]}, {"id": "b", "targets": ["apps/web/**"]}]}"#;
    assert_eq!(
        warnings(nested),
        [
            "access.deny[b]: `apps/web/**` lies below `apps/web`, which a rule names as a project: no project lies in another, so one of the two matches nothing"
        ]
    );
}
