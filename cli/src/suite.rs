//! Policy tests: what somebody expects of a configuration, in a file beside it.

use std::collections::BTreeSet;

use policy::decision::Decision;
use policy::rules::RULES;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use world::World;

use crate::deciding::{Verdict, answers};
use crate::job::Caller;
use crate::lines::{self, LineError, Setting};
use crate::marked::Unreadable;
use crate::reach::{Asks, asked};
use crate::setup::Setup;

/// A file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The configuration: where its file is from here, or itself.
    pub config: Value,
    /// The world: where its file is from here, or itself.
    pub world: Value,
    /// The tests.
    tests: Vec<Spanned<Test>>,
}

/// One test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it says, in words.
    name: String,
    /// Which job asks, as `--job` of the command says it.
    job: String,
    /// What it asks: a client's command, a request on the wire, or an action and a target such as `git.read libs/common`.
    request: String,
    /// How it ends.
    expect: Expected,
    /// The rule that decides, if that is wanted.
    rule: Option<String>,
    /// The reason's code, if that is wanted.
    reason: Option<String>,
}

/// How a test ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Allow,
    Deny,
    ObserveDeny,
    Untouched,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What was expected.
    Passed,
    /// Something else.
    Failed(String),
    /// It cannot be played.
    Broken(String),
}

impl Outcome {
    /// Its word, and why where it did not pass.
    #[must_use]
    pub fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Passed => ("passed", None),
            Self::Failed(why) => ("failed", Some(why)),
            Self::Broken(why) => ("broken", Some(why)),
        }
    }
}

/// A test that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// What it says, in words.
    pub name: String,
    /// Where it begins in its file.
    pub line: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// Rules, and which of them no test reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// How many rules of jobscope decided a test, and how many there are.
    pub own: (usize, usize),
    /// How many rules the configuration has.
    pub written: usize,
    /// Those of them that decided no test.
    pub unreached: Vec<String>,
}

impl Suite {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// It is no YAML, or has something else in it.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        serde_saphyr::from_str(text).map_err(|error| Unreadable::of(&error))
    }

    /// Plays every test. A command line may name files, which are read by `file`.
    #[must_use]
    pub fn play(
        &self,
        setup: &Setup,
        world: &World,
        file: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> (Vec<Played>, Coverage) {
        let mut reached = BTreeSet::new();
        let play = |test: &Spanned<Test>| {
            let outcome = match decided(&test.value, setup, world, file) {
                Ok(ended) => {
                    let rule = ended.1.as_ref().map(|decision| decision.record.rule.to_string());
                    reached.extend(rule.iter().flat_map(|rule| rule.split(':')).map(str::to_owned));
                    test.value.compare(ended.0, ended.1.as_ref())
                }
                Err(text) => Outcome::Broken(text),
            };
            Played { name: test.value.name.clone(), line: test.referenced.line(), outcome }
        };
        let played = self.tests.iter().map(play).collect();
        let written = written(&setup.document);
        let unreached = written.iter().filter(|id| !reached.contains(*id)).cloned().collect();
        let own = RULES.iter().filter(|rule| reached.contains(rule.id)).count();
        (played, Coverage { own: (own, RULES.len()), written: written.len(), unreached })
    }
}

impl Test {
    /// What came of it, and what was expected where that is something else.
    fn compare(&self, verdict: Verdict, decision: Option<&Decision>) -> Outcome {
        let expected = match self.expect {
            Expected::Allow => Verdict::Allow,
            Expected::Deny => Verdict::Deny,
            Expected::ObserveDeny => Verdict::ObserveDeny,
            Expected::Untouched => Verdict::Untouched,
        };
        let (rule, reason) =
            decision.map_or((String::from("-"), "-"), |one| (one.record.rule.to_string(), one.record.reason));
        // A rule of the configuration may be named by itself, or behind the one of ours that asks for it.
        let is_rule = |wanted: &String| *wanted == rule || rule.split(':').any(|part| part == wanted);
        let wanted = [
            (expected != verdict).then(|| format!("`{}`", expected.word())),
            self.rule.as_ref().filter(|wanted| !is_rule(wanted)).map(|wanted| format!("the rule `{wanted}`")),
            self.reason.as_ref().filter(|wanted| *wanted != reason).map(|wanted| format!("the reason `{wanted}`")),
        ];
        let wanted: Vec<String> = wanted.into_iter().flatten().collect();
        if wanted.is_empty() {
            return Outcome::Passed;
        }
        Outcome::Failed(format!(
            "expected {}, found `{}` by `{rule}`, `{reason}`",
            wanted.join(" and "),
            verdict.word()
        ))
    }
}

/// How what a test asks ends, and the decision that says so; or why it cannot be asked.
fn decided(
    test: &Test,
    setup: &Setup,
    world: &World,
    file: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<(Verdict, Option<Decision>), String> {
    let config = &setup.config;
    let caller = Caller::of(&test.job, world).map_err(|error| error.to_string())?;
    if let Some((action, target)) = test.request.trim().split_once(' ')
        && let Some(asks) = Asks::one(config, action)
    {
        let target = world.project_at(target).ok_or_else(|| format!("the world has no project `{target}`"))?;
        let decision = asked(config, world, &caller.token, target, &asks).pop().map(|(_, decision)| decision);
        return Ok((decision.as_ref().map_or(Verdict::Untouched, Verdict::of), decision));
    }
    let setting = Setting { config, job: &caller.job, token: &caller.secret, file };
    let requests = lines::text(&test.request, &setting).map_err(|error| {
        if let LineError::Program(found) = error {
            return format!(
                "expected `curl`, `git`, `docker` or `podman`, a request on the wire, or an action and a project such as \
                 `git.read libs/common` (docs/rules.md has all actions), found `{found}`"
            );
        }
        error.to_string()
    })?;
    let answers = answers(config, world, &caller, &requests);
    let decision = answers.speaks().and_then(|answer| answer.decision.clone());
    Ok((answers.verdict(), decision))
}

/// The ids of the rules of a configuration.
fn written(document: &Value) -> Vec<String> {
    let lists = document.get("access").and_then(Value::as_object).into_iter().flat_map(|access| access.values());
    let rules = lists.filter_map(Value::as_array).flatten();
    rules.filter_map(|rule| Some(rule.get("id")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WORLD: &str = "
users: [{id: 1, username: dana}]
groups: [{id: 1, path: apps, members: {dana: developer}}]
projects: [{id: 11, path: apps/web}, {id: 12, path: apps/api}]
";

    fn play(tests: &str) -> (Vec<Played>, Coverage) {
        let setup = Setup::of(json!({"forge": {"hosts": ["f.invalid"]},
            "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"},
            "access": {"deny": [{"id": "no-push", "actions": ["git.write"], "targets": ["apps/**"]},
                {"id": "idle", "targets": ["apps/none"]}]}}))
        .unwrap();
        let suite = Suite::parse(&format!("config: c\nworld: w\ntests:\n{tests}")).unwrap();
        suite.play(&setup, &World::parse(WORLD).unwrap(), &|_| None)
    }

    fn outcome(test: &str) -> Outcome {
        play(&format!("  - {{name: n, job: apps/web as dana, {test}}}")).0.remove(0).outcome
    }

    #[test]
    fn a_test_passes_where_all_that_it_expects_is_so() {
        for test in [
            "request: git clone https://f.invalid/apps/web.git, expect: allow",
            "request: git.read apps/web, expect: allow, reason: own-project, rule: role",
            "request: git.read apps/api, expect: deny, reason: allowlist.missing",
            "request: git push https://f.invalid/apps/web.git, expect: deny, rule: no-push",
            "request: git.write apps/web, expect: deny, rule: 'configured-deny:no-push'",
            "request: curl https://f.invalid/, expect: untouched",
            r#"request: "GET /api/v4/job HTTP/1.1\nHost: f.invalid\nJOB-TOKEN: $CI_JOB_TOKEN\n\n", expect: allow"#,
        ] {
            assert_eq!(outcome(test), Outcome::Passed, "{test}");
        }
    }

    #[test]
    fn what_is_otherwise_is_told() {
        let failed = |test: &str| outcome(test).told().1.unwrap_or_default().to_owned();
        assert_eq!(
            failed("request: git.read apps/api, expect: allow"),
            "expected `allow`, found `deny` by `inbound`, `allowlist.missing`"
        );
        assert_eq!(
            failed("request: git.read apps/web, expect: deny, rule: entry, reason: role.none"),
            "expected `deny` and the rule `entry` and the reason `role.none`, found `allow` by `role`, `own-project`"
        );
    }

    #[test]
    fn what_cannot_be_asked_is_neither() {
        let broken = |test: &str| matches!(outcome(test), Outcome::Broken(_));
        assert!(broken("request: git.read apps/none, expect: allow"));
        assert!(broken("request: npm install, expect: allow"));
        let nobody = "  - {name: n, job: apps/none as dana, request: git.read apps/web, expect: allow}";
        assert_eq!(play(nobody).0[0].outcome, Outcome::Broken("the world has no project `apps/none`".into()));
    }

    #[test]
    fn rules_that_no_test_reached_are_told() {
        let coverage = play("  - {name: n, job: apps/web as dana, request: git.write apps/web, expect: deny}").1;
        assert_eq!(coverage.unreached, ["idle"]);
        assert_eq!((coverage.own, coverage.written), ((1, RULES.len()), 2));
    }

    #[test]
    fn what_is_no_suite_is_one_sentence() {
        for text in [
            "",
            "tests: []",
            "config: c\nworld: w\ntests: [{name: n}]",
            "config: c\nworld: w\ntests: []\nmore: 1",
            "a: [",
        ] {
            let error = Suite::parse(text).unwrap_err();
            assert!(!error.text.is_empty() && !error.text.contains('\n'), "{error:?}");
        }
    }
}
