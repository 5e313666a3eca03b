//! Answers as values, for programs and for pages.

use policy::decision::{Cause, Decision, Outcome};
use serde_json::{Value, json};
use world::World;

use crate::changes::Flip;
use crate::deciding::{Answer, Answers, bytes};
use crate::job::Caller;

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
    let speaks = answers.speaks().and_then(|answer| answer.decision.as_ref());
    json!({
        "verdict": answers.verdict().word(),
        "job": caller.label(),
        "reason": speaks.map(|decision| decision.record.reason),
        "rule": speaks.map(|decision| decision.record.rule.clone()),
        "requests": answers.0.iter().map(request).collect::<Vec<_>>(),
        "changes": flips,
    })
}

fn request(answer: &Answer) -> Value {
    let mut shown = json!({
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
            "facts": facts(answer).map(|(name, is)| (name.to_owned(), is.clone())).collect::<serde_json::Map<_, _>>(),
            "walk": rules,
            "answer": bytes(answer),
            "status": match &decision.outcome {
                Outcome::Reply(reply) => Some(reply.status),
                Outcome::Forward(_) => None,
            },
        });
        if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
            shown.extend(more);
        }
    }
    shown
}
