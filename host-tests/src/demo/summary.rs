//! What a run comes to: decisions by verdict, what was refused most, and what to ask of its log.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::stack::decisions::Entry;

/// So many refusals are told.
const MOST: usize = 5;

/// The summary of the decisions in `entries`, which are those of `log`. Empty without any.
pub(super) fn summary(entries: &[Entry], log: &Path) -> String {
    let decisions = || entries.iter().filter(|entry| entry.is_decision());
    let verdicts = counted(decisions().map(|entry| word(&entry.verdict).to_owned()));
    let refused = decisions().filter(|entry| entry.verdict.as_deref() != Some("allow"));
    let ways = counted(
        refused
            .clone()
            .map(|entry| format!("{} -> {}  {}", word(&entry.origin), word(&entry.target), word(&entry.reason))),
    );
    let mut text = String::new();
    if verdicts.is_empty() {
        return text;
    }
    let verdicts: Vec<String> = verdicts.iter().map(|(verdict, times)| format!("{times} {verdict}")).collect();
    let _ = writeln!(text, "\nDecisions: {}", verdicts.join(", "));
    if let Some(last) = refused.filter_map(|entry| entry.decision.as_deref()).next_back() {
        text.push_str("Refused most:\n");
        for (way, times) in ways.iter().take(MOST) {
            let _ = writeln!(text, "{times:>6} x {way}");
        }
        // Between quotes, since it is typed into a shell.
        let log = format!("'{}'", log.display().to_string().replace('\'', r"'\''"));
        let _ = writeln!(
            text,
            "Ask the log:\n  jobscope explain --decision {last} --log {log}\n  jobscope suggest --log {log}"
        );
    }
    text
}

/// How often each comes, the most frequent first.
fn counted(all: impl Iterator<Item = String>) -> Vec<(String, u64)> {
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for one in all {
        *times.entry(one).or_default() += 1;
    }
    let mut sorted: Vec<_> = times.into_iter().collect();
    sorted.sort_by_key(|(_, times)| Reverse(*times));
    sorted
}

fn word(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &str, verdict: &str, decision: &str) -> Entry {
        Entry::parse(&format!(
            r#"{{"start_time":"","origin":"a/b","target":"{target}","verdict":{verdict},"reason":"allowlist.missing","decision":"{decision}"}}"#
        ))
        .unwrap()
    }

    #[test]
    fn decisions_are_counted_and_what_is_refused_most_stands_first() {
        let entries = [
            entry("c/rare", r#""deny""#, "1"),
            entry("d/often", r#""deny""#, "2"),
            entry("d/often", r#""deny""#, "3"),
            entry("a/b", r#""allow""#, "4"),
            entry("-", "null", "5"),
        ];
        assert_eq!(
            summary(&entries, Path::new("/it's/access.log")),
            "\nDecisions: 3 deny, 1 allow\nRefused most:\n     2 x a/b -> d/often  allowlist.missing\n     1 x a/b -> c/rare  \
             allowlist.missing\nAsk the log:\n  jobscope explain --decision 3 --log '/it'\\''s/access.log'\n  jobscope suggest \
             --log '/it'\\''s/access.log'\n"
        );
    }

    #[test]
    fn where_nothing_is_refused_nothing_is_to_be_asked() {
        assert_eq!(summary(&[entry("a/b", r#""allow""#, "1")], Path::new("/l")), "\nDecisions: 1 allow\n");
        assert_eq!(summary(&[entry("-", "null", "1")], Path::new("/l")), "");
    }
}
