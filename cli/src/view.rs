//! Answers as values, for programs and for pages.

use policy::decision::{Cause, Decision, Outcome};
use policy::rules::{Answer as Said, Verdict as Ruled};
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

/// What a rule said of a question, in a word.
#[must_use]
pub fn said(answer: Said) -> &'static str {
    match answer {
        Said::Aside => "aside",
        Said::Left => "left",
        Said::Verdict(Ruled::Allow(_)) => "allow",
        Said::Verdict(Ruled::Deny(_)) => "deny",
    }
}

/// The rules that were tried, what each said, and why.
pub fn walk(decision: &Decision) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let tried = decision.walk.into_iter().flat_map(|walk| walk.tried().collect::<Vec<_>>());
    tried.map(|(rule, answer)| (rule.id, said(answer), answer.why(rule)))
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
            walk(decision).map(|(rule, said, why)| json!({"rule": rule, "said": said, "why": why})).collect();
        let more = json!({
            "action": record.action,
            "target": record.target,
            "reason": record.reason,
            "rule": record.rule,
            "why": why(decision),
            "facts": decision.seen.map(|seen| seen.to_string()),
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
