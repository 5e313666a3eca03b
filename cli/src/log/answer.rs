//! What a client was told, by a line of the log: its decision is made again from what it was made from.

use policy::Config;
use policy::decision::{self, Decision, Outcome, Step, decide};
use policy::failure::Failure;
use serde_json::Value;

use super::Line;

/// The sentence that the client of a refused request got, under the configuration that decided it. `None` where the line does
/// not hold what the decision was made from, or nothing was refused.
#[must_use]
pub fn sentence(config: &Config, line: &Line) -> Option<String> {
    let decision::Evidence { request, facts, .. } = decision::evidence(&line.account())?;
    let failure = Failure::ALL.iter().find(|(_, code, _)| *code == line.reason).map(|(failure, ..)| *failure);
    let decision = match failure {
        Some(failure) => decision::missed(config, &request, &facts, failure),
        None => match decide(config, &request, &facts) {
            Step::Decided(decision) => decision,
            Step::NotAJob | Step::NeedsToken | Step::NeedsTargets(..) => return None,
        },
    };
    told(&decision, line)
}

fn told(decision: &Decision, line: &Line) -> Option<String> {
    let Outcome::Reply(reply) = &decision.outcome else { return None };
    // Decided otherwise now: that is not what the client got.
    let is_same = decision.record.reason == line.reason;
    is_same.then(|| plain(&reply.text(line.decision())))
}

/// The sentences of a body, whatever protocol it is for.
fn plain(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |pointer| document.pointer(pointer).and_then(Value::as_str);
    let said = text("/error").or_else(|| text("/errors/0/message")).or_else(|| text("/message")).unwrap_or(body);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::read;
    use crate::setup::Setup;

    const CONFIG: &str = r#"{"forge": {"hosts": ["forge.example.com"], "registry_hosts": ["registry.example.com"]},
        "lookup": {"cluster": "c", "authority": "forge.example.com", "credential_env": "E"}}"#;

    #[test]
    fn what_the_client_got_is_told_of_each_denial_with_an_account() {
        let config = Setup::of(serde_json::from_str(CONFIG).unwrap()).unwrap().config;
        let (mut told, mut allowed) = (Vec::new(), 0);
        let log = include_bytes!("../../tests/data/full.log");
        let ended = read(&log[..], &mut Default::default(), |line| {
            match sentence(&config, line) {
                Some(text) => told.push((line.target.clone(), line.decision.clone(), text)),
                None => allowed += usize::from(line.verdict == "allow"),
            }
            true
        });
        ended.unwrap();
        assert!(allowed > 0 && !told.is_empty(), "{allowed} {told:?}");
        for (target, decision, text) in &told {
            assert!(text.contains(decision), "{text}");
            assert!(!text.contains(['{', '\n']), "{target}: {text}");
        }
        assert!(told.iter().any(|(_, _, text)| text.contains("allowlist of ")), "{told:?}");
    }
}
