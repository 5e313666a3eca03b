//! Access rules of the configuration: what they say is what a slow scan over all of them says, what they do to a
//! decision only narrows it, and what is only observed denies nothing.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail loudly")]

use policy::Config;
use policy::access::{Access, Action, Protocol, TargetRef};
use policy::choices::Mode;
use policy::config::RuleKind;
use policy::decision::{Decision, Facts, Outcome, Step, decide};
use policy::facts::{
    Admission, Affiliation, Context, Features, Found, Job, JobId, JobPush, Origin, Outbound, ProjectId, ProjectPath,
    Role, Secret, Standing, Target, Token, User, UserId, Visibility,
};
use policy::request::JobRequest;
use policy::rules::Named;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

const NAMES: &[&str] = &["apps/web", "apps/team/api", "Apps/**", "apps/team/**", "libs/**", "Libs/Common", "**"];
const PATHS: &[&str] = &["apps/web", "apps/team/api", "libs/common", "libs/a/b", "other/x"];
const PATTERNS: &[&str] = &["git.read", "oci.*", "oci.pull", "packages.*", "packages.npm.*"];
const ASKED: &[Action] = &[Action::ReadCode, Action::PullImage, Action::ReadNpm, Action::ReadPackages];
const TEXTS: &[&str] = &["main", "ma*", "release/*", "push", "production", "*"];
const KNOWN: &[&str] = &["", "main", "release/1", "push", "production"];

/// A rule as the test knows it.
#[derive(Debug, Clone)]
struct Row {
    kind: RuleKind,
    observed: bool,
    targets: Option<Vec<&'static str>>,
    origins: Option<Vec<&'static str>>,
    actions: Option<Vec<&'static str>>,
    texts: [Option<Vec<&'static str>>; 3],
    flags: [Option<bool>; 2],
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(NAMES, 1..3)
}

fn row(kind: RuleKind) -> impl Strategy<Value = Row> {
    let texts = || option::weighted(0.2, subsequence(TEXTS, 1..3));
    let flag = || option::weighted(0.2, any::<bool>());
    let actions = option::of(subsequence(PATTERNS, 1..3));
    let parts = (any::<bool>(), option::of(names()), option::of(names()), actions);
    (parts, [texts(), texts(), texts()], [flag(), flag()]).prop_map(
        move |((observed, targets, origins, actions), texts, flags)| {
            let must = |names: Option<Vec<&'static str>>| Some(names.unwrap_or(vec!["apps/**"]));
            let row = Row { kind, observed, targets, origins, actions, texts, flags };
            match kind {
                RuleKind::Allow => {
                    Row { observed: false, targets: must(row.targets), origins: must(row.origins), ..row }
                }
                RuleKind::Deny => row,
                RuleKind::Limit => Row { actions: Some(row.actions.unwrap_or(vec!["oci.pull"])), ..row },
                RuleKind::Outbound => {
                    let some = |names: Vec<&'static str>| names.into_iter().filter(|name| *name != "**").collect();
                    let targets: Option<Vec<_>> = row.targets.map(some);
                    Row { targets: must(targets), origins: must(row.origins), actions: None, ..row }
                }
            }
        },
    )
}

fn any_row() -> impl Strategy<Value = Row> {
    select(RuleKind::ALL.map(|(kind, _)| kind).to_vec()).prop_flat_map(row)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    vec(any_row(), 0..8)
}

/// The rows, each with a name that stays with it wherever it stands.
fn named(rows: Vec<Row>) -> Vec<(String, Row)> {
    rows.into_iter().enumerate().map(|(at, row)| (format!("r-{at}"), row)).collect()
}

fn config(rows: &[(String, Row)]) -> Config {
    let list = |kind: RuleKind| -> Vec<Value> {
        rows.iter().filter(|(_, row)| row.kind == kind).map(|(id, row)| written(id, row)).collect()
    };
    let access: Map<String, Value> =
        RuleKind::ALL.iter().map(|(kind, name)| ((*name).into(), list(*kind).into())).collect();
    parse(&json!({}), &access.into())
}

fn written(id: &str, row: &Row) -> Value {
    let mut rule = json!({"id": id});
    if row.observed {
        rule["mode"] = "observe".into();
    }
    for (key, names) in [("targets", &row.targets), ("origins", &row.origins), ("actions", &row.actions)] {
        if let Some(names) = names {
            rule[key] = json!(names);
        }
    }
    for (key, texts) in ["ref", "environment", "source"].iter().zip(&row.texts) {
        if let Some(texts) = texts {
            rule["when"][key] = json!(texts);
        }
    }
    for (key, flag) in ["protected", "fork"].iter().zip(row.flags) {
        if let Some(flag) = flag {
            rule["when"][key] = flag.into();
        }
    }
    rule
}

fn parse(observe: &Value, access: &Value) -> Config {
    let document = json!({
        "forge": {"hosts": ["h"]},
        "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"},
        "observe": observe,
        "access": access,
    });
    Config::parse(document.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}\n{document}"))
}

/// A thing asked.
#[derive(Debug, Clone)]
struct Case {
    job: Job,
    standing: Standing,
    action: Action,
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

fn case() -> impl Strategy<Value = Case> {
    let text = || option::of(select(KNOWN).prop_map(String::from));
    let flag = || option::of(any::<bool>());
    let context =
        (text(), flag(), text(), text(), flag()).prop_map(|(git_ref, protected, environment, source, fork)| Context {
            git_ref,
            protected,
            environment,
            source,
            fork,
            ..Context::default()
        });
    let admission = select(vec![Admission::Open, Admission::Unlisted, Admission::LeftToForge]);
    let role = select(vec![None, Some(Role::None), Some(Role::Developer)]);
    let visibility = select(vec![Visibility::Private, Visibility::Public]);
    (context, select(PATHS), select(PATHS), select(ASKED), admission, role, visibility).prop_map(
        |(context, from, to, action, admission, role, visibility)| {
            let admission = if from == to { Admission::Own } else { admission };
            let mut case = ask(from, to, action);
            case.job.context = context;
            case.standing = Standing { role, admission, ..case.standing };
            case.standing.target.visibility = Some(visibility);
            case
        },
    )
}

/// A developer's job, asking a private target that admits everybody.
fn ask(from: &str, to: &str, action: Action) -> Case {
    let job = Job {
        id: JobId(1),
        user: Some(User { id: UserId(1), name: "dana".into() }),
        origin: Origin { id: ProjectId(1), path: path(from) },
        context: Context::default(),
    };
    let target = Target {
        id: Some(ProjectId(2)),
        path: Some(path(to)),
        visibility: Some(Visibility::Private),
        features: Features::OPEN,
        job_push: JobPush::Off,
        public_jobs: true,
        archived: false,
    };
    let standing = Standing {
        role: Some(Role::Developer),
        affiliation: Affiliation::Internal,
        admission: Admission::Open,
        outbound: Outbound::Open,
        target,
    };
    Case { job, standing, action }
}

fn decided(config: &Config, case: &Case) -> Decision {
    let target = TargetRef::Path(case.standing.target.path.clone().unwrap());
    let request =
        JobRequest::new(Secret::new(b"glcbt-1"), Protocol::Api, vec![Access::new(case.action, target.clone())]);
    let facts = Facts {
        token: Some(Token::Running(case.job.clone())),
        targets: vec![(target, Found::Standing(case.standing.clone()))],
        ..Facts::default()
    };
    let Step::Decided(decision) = decide(config, &request, &facts) else { panic!("all is known") };
    decision
}

fn is_allowed(rows: &[(String, Row)], case: &Case) -> bool {
    matches!(decided(&config(rows), case).outcome, Outcome::Forward(_))
}

/// What a rule says, told slowly.
fn speaks(row: &Row, case: &Case) -> bool {
    let covered = row.actions.as_ref().is_none_or(|actions| {
        actions.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(group) => case.action.name().starts_with(group),
            None => case.action.name() == *pattern,
        })
    });
    let here = holds(row.targets.as_ref(), case.standing.target.path.as_ref().unwrap());
    let doubt = row.kind != RuleKind::Allow;
    let says = match row.kind {
        RuleKind::Allow | RuleKind::Deny => here && covered,
        RuleKind::Limit => here && !covered,
        RuleKind::Outbound => !here,
    };
    let context = &case.job.context;
    let texts = [&context.git_ref, &context.environment, &context.source];
    says && holds(row.origins.as_ref(), &case.job.origin.path)
        && row.texts.iter().zip(texts).all(|(wanted, known)| match (wanted, known) {
            (None, _) => true,
            (Some(_), None) => doubt,
            (Some(wanted), Some(known)) => wanted.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(head) => !known.is_empty() && known.starts_with(head),
                None => wanted == known,
            }),
        })
        && row.flags.iter().zip([context.protected, context.fork]).all(|(wanted, known)| match (wanted, known) {
            (None, _) => true,
            (Some(_), None) => doubt,
            (Some(wanted), Some(known)) => *wanted == known,
        })
}

fn holds(names: Option<&Vec<&str>>, path: &ProjectPath) -> bool {
    names.is_none_or(|names| {
        names.iter().any(|name| match name.strip_suffix("/**") {
            Some(group) => path.is_below(group),
            None => *name == "**" || name.eq_ignore_ascii_case(path.as_str()),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_index_says_what_a_slow_scan_says(rows in rows(), case in case()) {
        let rows = named(rows);
        let config = config(&rows);
        let written = config.access.say(&case.job, case.standing.target.path.as_ref(), case.action);
        for (kind, said) in RuleKind::ALL.map(|(kind, _)| kind).into_iter().zip([
            written.admitted, written.denied, written.limited, written.kept,
        ]) {
            let those = rows.iter().filter(|(_, row)| row.kind == kind && speaks(row, &case));
            let first = those.min_by_key(|(id, row)| (row.observed, id)).map(|(id, row)| {
                Named { id, mode: if row.observed { Mode::Observe } else { Mode::Enforce } }
            });
            prop_assert_eq!(said, first, "{:?}", kind);
        }
    }

    #[test]
    fn a_deny_a_limit_or_an_outbound_rule_more_never_allows_more(
        rows in rows(),
        more in prop_oneof![row(RuleKind::Deny), row(RuleKind::Limit), row(RuleKind::Outbound)],
        case in case(),
    ) {
        let mut rows = named(rows);
        let before = is_allowed(&rows, &case);
        rows.push(("more".into(), more));
        prop_assert!(before || !is_allowed(&rows, &case));
    }

    #[test]
    fn an_allow_less_never_allows_more(rows in rows(), less in row(RuleKind::Allow), case in case()) {
        let mut rows = named(rows);
        rows.push(("less".into(), less));
        let before = is_allowed(&rows, &case);
        rows.pop();
        prop_assert!(before || !is_allowed(&rows, &case));
    }

    #[test]
    fn the_order_of_rules_changes_nothing((rows, shuffled) in rows().prop_map(named).prop_flat_map(|rows| {
        (Just(rows.clone()), Just(rows).prop_shuffle())
    }), case in case()) {
        let (one, other) = (decided(&config(&rows), &case), decided(&config(&shuffled), &case));
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in ".{0,80}", list in "(allow|deny|limit|outbound)") {
        let access = format!(r#"{{"forge": {{"hosts": ["h"]}}, "access": {{"{list}": [{bytes}]}}}}"#);
        prop_assert!(Config::parse(access.as_bytes()).is_err());
    }
}

/// The verdict, the reason and the rule that are recorded.
fn record(config: &Config, case: &Case) -> (&'static str, &'static str, String) {
    let decision = decided(config, case);
    let is_forwarded = matches!(decision.outcome, Outcome::Forward(_));
    assert_eq!(is_forwarded, decision.record.verdict != "deny");
    (decision.record.verdict, decision.record.reason, decision.record.rule.to_string())
}

fn says(verdict: &'static str, reason: &'static str, rule: &str) -> (&'static str, &'static str, String) {
    (verdict, reason, rule.into())
}

#[test]
fn each_kind_of_rule_decides_and_is_named() {
    let case = ask("apps/web", "libs/common", Action::PullImage);
    let mut unlisted = case.clone();
    unlisted.standing.admission = Admission::Unlisted;
    let both = json!([{"id": "ours", "targets": ["libs/**"], "origins": ["apps/**"]}]);
    let config = parse(&json!({}), &json!({"allow": both}));
    assert_eq!(record(&config, &unlisted), says("allow", "configuration.allow", "role:ours"));
    let config = parse(&json!({}), &json!({"allow": both, "deny": [{"id": "never", "targets": ["libs/common"]}]}));
    assert_eq!(record(&config, &unlisted), says("deny", "configuration.deny", "configured-deny:never"));
    let config = parse(&json!({}), &json!({"limit": [{"id": "code", "actions": ["git.read"]}]}));
    assert_eq!(record(&config, &case), says("deny", "configuration.limit", "configured-limit:code"));
    let config =
        parse(&json!({}), &json!({"outbound": [{"id": "home", "origins": ["apps/**"], "targets": ["apps/**"]}]}));
    assert_eq!(record(&config, &case), says("deny", "configuration.outbound", "configured-outbound:home"));
}

#[test]
fn every_ceiling_and_every_outbound_rule_must_hold() {
    let case = ask("apps/web", "libs/common", Action::PullImage);
    let limits = json!([{"id": "wide", "actions": ["oci.*"]}, {"id": "narrow", "targets": ["libs/**"], "actions": ["git.read"]}]);
    assert_eq!(record(&parse(&json!({}), &json!({"limit": limits})), &case).2, "configured-limit:narrow");
    let outbound = json!([
        {"id": "wide", "origins": ["**"], "targets": ["libs/**"]},
        {"id": "narrow", "origins": ["apps/web"], "targets": ["libs/other"]},
    ]);
    assert_eq!(record(&parse(&json!({}), &json!({"outbound": outbound})), &case).2, "configured-outbound:narrow");
    let mut own = ask("apps/web", "apps/web", Action::ReadCode);
    own.standing.admission = Admission::Own;
    assert_eq!(record(&parse(&json!({}), &json!({"outbound": outbound})), &own).0, "allow");
    let nowhere = parse(&json!({}), &json!({"outbound": [{"id": "home", "origins": ["**"], "targets": []}]}));
    assert_eq!((record(&nowhere, &own).0, record(&nowhere, &case).0), ("allow", "deny"));
}

#[test]
fn a_rule_that_is_observed_denies_nothing_and_the_rules_behind_it_still_do() {
    let case = ask("apps/web", "libs/common", Action::PullImage);
    let deny = json!([{"id": "soon", "mode": "observe", "targets": ["libs/**"]}]);
    let observed = parse(&json!({}), &json!({"deny": deny}));
    assert_eq!(record(&observed, &case), says("observe-deny", "configuration.deny", "configured-deny:soon"));
    let behind = parse(&json!({}), &json!({"deny": deny, "limit": [{"id": "code", "actions": ["git.read"]}]}));
    assert_eq!(record(&behind, &case), says("deny", "configuration.limit", "configured-limit:code"));
    let both = json!([deny[0], {"id": "zz", "targets": ["libs/common"]}]);
    assert_eq!(record(&parse(&json!({}), &json!({"deny": both})), &case).2, "configured-deny:zz");
}

#[test]
fn targets_that_are_observed_are_forwarded_and_no_others() {
    let config = parse(&json!({"targets": ["libs/**"]}), &json!({}));
    for (to, verdict) in [("libs/common", "observe-deny"), ("infra/common", "deny")] {
        let mut case = ask("apps/web", to, Action::PullImage);
        case.standing.admission = Admission::Unlisted;
        assert_eq!(record(&config, &case), says(verdict, "allowlist.missing", "inbound"), "{to}");
    }
}

#[test]
fn a_rule_of_the_table_that_is_observed_denies_nothing_and_the_rules_behind_it_still_do() {
    let config = parse(&json!({"rules": ["inbound"]}), &json!({}));
    let mut case = ask("apps/web", "libs/common", Action::PullImage);
    case.standing.admission = Admission::Unlisted;
    assert_eq!(record(&config, &case), says("observe-deny", "allowlist.missing", "inbound"));
    case.standing.role = Some(Role::None);
    assert_eq!(record(&config, &case), says("deny", "role.none", "role"));
}
