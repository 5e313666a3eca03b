//! Answers as values, for programs and for pages.

use policy::decision::{Cause, Decision, Outcome};
use serde_json::{Value, json};
use world::World;

use crate::changes::Flip;
use crate::deciding::{Answer, Answers, bytes};
use crate::job::Caller;
use crate::marked::object;
use crate::reach::{Difference, Way};

/// Why a decision fell, in a sentence.
#[must_use]
pub fn why(decision: &Decision) -> &'static str {
    match decision.cause {
        Cause::Rule(reason) => reason.text(),
        Cause::Malformed(malformed) => malformed.text(),
        Cause::Failure(failure) => failure.text(),
    }
}

/// The rules that were tried by an account, what each said, and why.
pub fn walk(account: &Value) -> impl Iterator<Item = (&str, &str, &str)> {
    let rules = account.pointer("/asked/0/rules").and_then(Value::as_array).into_iter().flatten();
    rules.map(|rule| (text(rule, "rule"), text(rule, "answer"), text(rule, "says")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A value as it is read by people.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// What was known of the target.
pub fn facts(answer: &Answer) -> impl Iterator<Item = (&str, &Value)> {
    let facts = answer.account.pointer("/asked/0/facts").and_then(Value::as_object).into_iter().flatten();
    facts.filter_map(|(name, fact)| Some((name.as_str(), fact.get("is")?)))
}

/// A command's requests, decided, with what would turn that around.
#[must_use]
pub fn decided(answers: &Answers, caller: &Caller, flips: &[Flip], world: &World) -> Value {
    let flips: Vec<Vec<Value>> =
        flips.iter().map(|flip| flip.0.iter().map(|change| change.json(world)).collect()).collect();
    with(verdict(answers, caller), json!({"changes": flips}))
}

/// A command's requests, decided.
#[must_use]
pub fn verdict(answers: &Answers, caller: &Caller) -> Value {
    let speaks = answers.speaks().and_then(|answer| answer.decision.as_ref());
    json!({
        "verdict": answers.verdict().word(),
        "job": caller.label(),
        "reason": speaks.map(|decision| decision.record.reason),
        "rule": speaks.map(|decision| decision.record.rule.clone()),
        "requests": answers.0.iter().map(request).collect::<Vec<_>>(),
    })
}

/// An object with the members of another one added.
#[must_use]
pub fn with(mut shown: Value, more: Value) -> Value {
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}

fn request(answer: &Answer) -> Value {
    let shown = json!({
        "method": answer.request.method,
        "authority": answer.request.authority,
        "path": crate::setup::masked(&answer.request.path),
        "verdict": answer.verdict().word(),
    });
    if let Some(decision) = &answer.decision {
        let record = &decision.record;
        let rules: Vec<Value> =
            walk(&answer.account).map(|(rule, said, why)| json!({"rule": rule, "said": said, "why": why})).collect();
        let more = json!({
            "action": record.action,
            "target": record.target,
            "reason": record.reason,
            "rule": record.rule,
            "why": why(decision),
            "facts": object(&mut facts(answer).map(|(name, is)| (name.to_owned(), is.clone()))),
            "walk": rules,
            "answer": bytes(answer),
            "status": match &decision.outcome {
                Outcome::Reply(reply) => Some(reply.status),
                Outcome::Forward(_) => None,
            },
        });
        return with(shown, more);
    }
    shown
}

/// Ways to do something.
#[must_use]
pub fn ways(ways: &[Way]) -> Value {
    json!({"ways": ways.iter().map(way).collect::<Vec<_>>()})
}

/// What ends otherwise.
#[must_use]
pub fn differing(found: &[Difference]) -> Value {
    let each = |one: &Difference| json!({"old": way(&one.old), "new": way(&one.new)});
    json!({"differences": found.iter().map(each).collect::<Vec<_>>()})
}

fn way(way: &Way) -> Value {
    json!({"origin": way.origin, "user": way.user, "target": way.target, "action": way.action.name(),
        "verdict": way.verdict.word(), "reason": way.reason})
}

/// Which facts of an account, by name, each rule looks at beside the action, what that needs, the job and the configuration.
const LOOKS_AT: &[(&str, &[&str])] = &[
    ("configured-outbound", &["inbound"]),
    ("feature-on", &["part"]),
    ("archived", &["archived"]),
    ("push-code", &["push", "inbound"]),
    ("own-project-only", &["inbound"]),
    ("no-user", &["inbound"]),
    ("own-registry", &["inbound"]),
    ("outbound", &["outbound", "inbound", "visibility"]),
    ("inbound", &["inbound", "visibility", "part", "external"]),
    ("entry", &["inbound", "visibility", "part", "external"]),
    ("external", &["external", "role", "visibility", "part"]),
    ("role", &["role", "visibility", "part", "external"]),
];

/// The names of the facts that a rule looks at; none where it looks at the request, the job and the configuration alone.
#[must_use]
pub fn looks_at(rule: &str) -> &'static [&'static str] {
    LOOKS_AT.iter().find(|(known, _)| *known == rule).map_or(&[], |(_, facts)| facts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use policy::rules::RULES;
    use serde_json::json;

    use super::*;
    use crate::job::Caller;
    use crate::setup::Setup;

    const WORLDS: [&str; 2] = [include_str!("../../envoy/demo/world.yaml"), include_str!("../tests/data/world.yaml")];

    /// What is asked of each project, `{}`.
    const LINES: [&str; 6] = [
        "git clone https://f.invalid/{}.git",
        "git push https://f.invalid/{}.git",
        "git lfs fetch https://f.invalid/{}.git",
        "docker pull r.invalid/{}:1",
        "docker push r.invalid/{}:1",
        "curl --header 'JOB-TOKEN: $CI_JOB_TOKEN' https://f.invalid/api/v4/projects/{%}/releases",
    ];

    /// The account of each thing that somebody's job may ask in the worlds.
    fn accounts() -> Vec<Value> {
        let setup = Setup::of(json!({"forge": {"hosts": ["f.invalid"], "registry_hosts": ["r.invalid"]},
            "facts": {"outbound": "lookup"},
            "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}))
        .unwrap();
        let mut accounts = Vec::new();
        for world in WORLDS.map(|text| World::parse(text).unwrap()) {
            let people = world.users.iter().map(|user| user.username.as_str()).chain(["nobody"]);
            let jobs: Vec<Caller> = people
                .flat_map(|user| world.projects.iter().map(move |origin| format!("{} as {user}", origin.path)))
                .map(|job| Caller::of(&job, &world).unwrap())
                .collect();
            for (caller, target) in jobs.iter().flat_map(|job| world.projects.iter().map(move |one| (job, one))) {
                for line in LINES {
                    let line = line.replace("{}", &target.path).replace("{%}", &target.path.replace('/', "%2F"));
                    let answers = crate::deciding::line(&setup.config, &world, caller, &line, &|_| None).unwrap();
                    accounts.extend(answers.0.into_iter().map(|answer| answer.account));
                }
            }
        }
        accounts
    }

    #[test]
    fn what_a_rule_says_hangs_on_the_facts_that_it_is_said_to_look_at() {
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        let accounts = accounts();
        for account in &accounts {
            let at = |path: &str| account.pointer(path).cloned().unwrap_or_default();
            let common = [at("/asked/0/action"), at("/asked/0/entry/permissions"), at("/asked/0/needs/anonymous")];
            for (rule, answer, _) in walk(account) {
                let facts: Vec<Value> =
                    looks_at(rule).iter().map(|name| at(&format!("/asked/0/facts/{name}/is"))).collect();
                let has_none = at("/asked/0/id").is_null();
                let key = format!("{rule} {} {has_none} {common:?} {facts:?}", at("/user").is_null());
                let before = said.entry(key.clone()).or_insert_with(|| answer.to_owned());
                // The last rule speaks where no other did, and so hangs on all that they look at.
                assert!(*before == answer || rule == "nothing-matched", "{key}: {before} and {answer}");
            }
        }
        assert!(said.len() > 200, "{}", said.len());
        for (rule, facts) in LOOKS_AT {
            assert!(RULES.iter().any(|known| known.id == *rule), "{rule}");
            for fact in *facts {
                let place = format!("/asked/0/facts/{fact}");
                assert!(accounts.iter().any(|account| account.pointer(&place).is_some()), "{rule}: {fact}");
            }
        }
    }
}
