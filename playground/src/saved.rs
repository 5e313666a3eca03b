//! A question and its answer as a test for `jobscope test`.

use questions::marked::Node;
use serde_json::json;

use crate::asked::Asked;

/// A file with this one test, configuration and world included.
pub(crate) fn test(asked: &Asked<'_>) -> Option<String> {
    let meant = asked.meant().ok()?;
    let answers = meant.answers();
    let record = answers.speaks()?.decision.as_ref().map(|decision| &decision.record);
    let (job, verdict) = (meant.caller.label(), answers.verdict().word());
    let name = match record {
        Some(record) => format!("{job}: {} of {}: {verdict}", record.action, record.target),
        None => format!("{job}: {verdict}"),
    };
    let mut tests = format!("tests:\n  - name: {}\n    job: {}\n", json!(name), json!(asked.job.trim()));
    tests.push_str(&format!("    request: {}\n    expect: {verdict}\n", json!(asked.line.trim())));
    if let Some(record) = record {
        tests.push_str(&format!("    rule: {}\n    reason: {}\n", json!(record.rule), record.reason));
    }
    let config = meant.situation.setup.document.to_string();
    let world = questions::finding::documents(asked.world).ok()?.into_iter().next()?.value();
    // As somebody wrote it, with its comments, if that means the same there.
    let file = |world: &str| format!("config: {config}\nworld:\n{world}\n{tests}");
    let indented: String = asked.world.lines().map(|line| format!("  {line}\n")).collect();
    let is_same = |text: &str| {
        let documents = Node::documents(text).unwrap_or_default();
        matches!(documents.as_slice(), [one] if one.get("world").map(Node::value).as_ref() == Some(&world))
    };
    let written = file(&indented);
    Some(if is_same(&written) { written } else { file(&format!("  {world}")) })
}
