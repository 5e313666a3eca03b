//! What a run comes to: decisions by verdict, what was refused most, and what to ask of its log.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::path::Path;

use crate::stack::decisions::Entry;

/// So many refusals are told.
const MOST: usize = 5;

/// How the log is asked: in words that can be typed where this was started.
pub(super) struct Command {
    /// The command.
    pub(super) name: String,
    /// The log.
    log: String,
    /// Whether the command finds the log by itself.
    is_found: bool,
}

impl Command {
    pub(super) fn here(log: &Path) -> Self {
        let here = env::current_dir().unwrap_or_default();
        let shown = |path: &Path| quoted(path.strip_prefix(&here).unwrap_or(path));
        let paths = env::var_os("PATH").unwrap_or_default();
        let is_installed = env::split_paths(&paths).any(|dir| dir.join("jobscope").is_file());
        // It is built with the demo, and stands beside it.
        let beside = env::current_exe().map(|program| program.with_file_name("jobscope")).unwrap_or_default();
        Self {
            name: if is_installed { "jobscope".to_owned() } else { shown(&beside) },
            log: shown(log),
            is_found: log.starts_with(here.join(".run")),
        }
    }
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    shlex::try_quote(&text).map_or_else(|_| text.clone(), Into::into)
}

/// The summary of the decisions in `entries`, which `command` can be asked about. Empty without any.
pub(super) fn summary(entries: &[Entry], command: &Command) -> String {
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
        let Command { name, log, is_found } = command;
        let which = if *is_found { String::new() } else { format!(" --log {log}") };
        let _ = writeln!(text, "Ask the log:\n  {name} explain {last}{which}\n  {name} suggest --log {log}");
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
        let mut command =
            Command { name: "jobscope".into(), log: quoted(Path::new("/it's/access.log")), is_found: false };
        let told = "\nDecisions: 3 deny, 1 allow\nRefused most:\n     2 x a/b -> d/often  allowlist.missing\n     \
                    1 x a/b -> c/rare  allowlist.missing\nAsk the log:\n";
        let asked = |more: &str| {
            let log = r#""/it's/access.log""#;
            format!("{told}  jobscope explain 3{more}\n  jobscope suggest --log {log}\n")
        };
        assert_eq!(summary(&entries, &command), asked(r#" --log "/it's/access.log""#));
        command.is_found = true;
        assert_eq!(summary(&entries, &command), asked(""));
    }

    #[test]
    fn where_nothing_is_refused_nothing_is_to_be_asked() {
        let command = Command { name: String::new(), log: String::new(), is_found: false };
        assert_eq!(summary(&[entry("a/b", r#""allow""#, "1")], &command), "\nDecisions: 1 allow\n");
        assert_eq!(summary(&[entry("-", "null", "1")], &command), "");
    }
}
