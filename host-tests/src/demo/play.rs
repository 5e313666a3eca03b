//! Plays the story, and compares each step with what must come of it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use super::client::{Clients, Outcome};
use super::story::{Exit, Expected, Step, Story};
use crate::stack::decisions::{AccessLog, Entry};
use crate::stack::{Stack, checkout};

/// How long Envoy may take to write a line of its log.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// What came of a step.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// The heading of its part.
    pub part: String,
    /// Its sentence.
    pub say: String,
    /// Its script.
    pub run: String,
    /// What the client showed, with the names of the story's variables for their values.
    pub output: String,
    /// What jobscope decided meanwhile.
    pub decisions: Vec<Entry>,
    /// What was expected and found, for each surprise.
    pub surprises: Vec<String>,
}

/// What came of the story.
#[derive(Debug)]
pub struct Report {
    /// The steps, in order.
    pub steps: Vec<StepReport>,
}

impl Report {
    /// The steps that surprised.
    #[must_use]
    pub fn surprises(&self) -> Vec<&StepReport> {
        self.steps.iter().filter(|step| !step.surprises.is_empty()).collect()
    }
}

/// Plays the whole story. `tell` hears of each step as it ends.
///
/// # Errors
///
/// When a client cannot be started or the log cannot be read; a step that surprises is no error.
pub fn play(story: &Story, stack: &Stack, mut tell: impl FnMut(&StepReport)) -> Result<Report> {
    let mut variables = story.credentials(&checkout())?;
    variables.extend(story.id_tokens(stack)?);
    let clients = Clients::new(variables, story.programs.clone(), stack)?;
    let mut log = stack.access_log()?;
    prepare(&story.before, &clients)?;
    let mut steps = Vec::new();
    for part in &story.parts {
        for step in &part.steps {
            let mut decisions = Decisions { stack, log: &mut log, entries: Vec::new() };
            // What came before this step belongs to it no longer.
            decisions.catch_up()?;
            decisions.entries.clear();
            let missing = step.needs.as_ref().filter(|program| !clients.have(program));
            let (outcome, surprises) = if let Some(program) = missing {
                (Outcome::left_out(program), Vec::new())
            } else {
                let outcome = clients.script(&step.run)?;
                let surprises = compare(step, &clients, &outcome, &mut decisions)?;
                (outcome, surprises)
            };
            let report = StepReport {
                part: part.title.clone(),
                say: step.say.clone(),
                run: step.run.trim_end().to_owned(),
                output: clients.fold(&outcome.output),
                decisions: decisions.entries,
                surprises,
            };
            tell(&report);
            steps.push(report);
        }
    }
    Ok(Report { steps })
}

/// Does what people do before any job runs.
pub(super) fn prepare(before: &[Step], clients: &Clients) -> Result<()> {
    for step in before {
        let outcome = clients.script(&step.run)?;
        if outcome.exit != Exit::Zero {
            bail!("before all else: {} ({}):\n{}", step.say, outcome.code, outcome.output);
        }
    }
    Ok(())
}

/// The decisions of one step.
struct Decisions<'a> {
    stack: &'a Stack,
    log: &'a mut AccessLog,
    entries: Vec<Entry>,
}

impl Decisions<'_> {
    fn read(&mut self) -> Result<Vec<Entry>> {
        let entries: Vec<Entry> = self.log.new_lines()?.iter().map(|line| Entry::parse(line)).collect::<Result<_>>()?;
        self.entries.extend(entries.iter().filter(|entry| entry.is_decision()).cloned());
        Ok(entries)
    }

    /// Reads what was logged up to now. Envoy writes late; a request of ours marks the place up to which it has written.
    fn catch_up(&mut self) -> Result<()> {
        let mark = format!("/mark/{:?}", Instant::now()).replace(|c: char| !c.is_ascii_alphanumeric() && c != '/', "");
        let request = format!("GET {mark} HTTP/1.1\r\nHost: nobody.invalid\r\nConnection: close\r\n\r\n");
        self.stack.raw(request.as_bytes(), LOG_PATIENCE)?;
        let begin = Instant::now();
        loop {
            let entries = self.read()?;
            if entries.iter().any(|entry| entry.path.as_ref() == Some(&mark)) {
                return Ok(());
            }
            if begin.elapsed() > LOG_PATIENCE {
                bail!("Envoy does not write its access log");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What surprises about a step.
fn compare(step: &Step, clients: &Clients, outcome: &Outcome, decisions: &mut Decisions<'_>) -> Result<Vec<String>> {
    let mut surprises = Vec::new();
    if outcome.exit != step.exit {
        surprises.push(match step.exit {
            Exit::Zero => format!("expected success, found {}", outcome.code),
            Exit::Nonzero => "expected failure, found success".to_owned(),
        });
    }
    for text in &step.shows {
        if !outcome.output.contains(&clients.expand(text)) {
            surprises.push(format!("expected output with `{text}`, found none"));
        }
    }
    for text in &step.hides {
        if outcome.output.contains(&clients.expand(text)) {
            surprises.push(format!("expected output without `{text}`, found it"));
        }
    }
    decisions.catch_up()?;
    if let Some(expected) = &step.decisions {
        // A connection on the other worker may be logged after the mark.
        let begin = Instant::now();
        while !expected.is_empty()
            && expected.iter().any(|one| !decisions.entries.iter().any(|entry| one.is_met_by(entry)))
            && begin.elapsed() < Duration::from_secs(1)
        {
            std::thread::sleep(Duration::from_millis(20));
            decisions.catch_up()?;
        }
        surprises.extend(compare_decisions(expected, &decisions.entries));
    }
    Ok(surprises)
}

/// Each expected decision is there, and each that is there is expected; a client may ask for the same several times.
fn compare_decisions(expected: &[Expected], found: &[Entry]) -> Vec<String> {
    let missing = expected
        .iter()
        .filter(|one| !found.iter().any(|entry| one.is_met_by(entry)))
        .map(|one| format!("expected the decision `{one}`, found none"));
    let unexpected = found
        .iter()
        .filter(|entry| !expected.iter().any(|one| one.is_met_by(entry)))
        .map(|entry| format!("expected no other decision, found `{}`", summary(entry)));
    missing.chain(unexpected).collect()
}

fn summary(entry: &Entry) -> String {
    Expected {
        action: entry.action.clone(),
        target: entry.target.clone(),
        verdict: entry.verdict.clone(),
        reason: entry.reason.clone(),
    }
    .to_string()
}

impl Expected {
    fn is_met_by(&self, entry: &Entry) -> bool {
        [
            (&self.action, &entry.action),
            (&self.target, &entry.target),
            (&self.verdict, &entry.verdict),
            (&self.reason, &entry.reason),
        ]
        .into_iter()
        .all(|(expected, found)| expected.is_none() || expected == found)
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = [&self.action, &self.target, &self.verdict, &self.reason]
            .into_iter()
            .filter_map(Option::as_deref)
            .collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &str, verdict: &str) -> Entry {
        Entry::parse(&format!(r#"{{"start_time":"","action":"git.read","target":"{target}","verdict":"{verdict}"}}"#))
            .unwrap()
    }

    fn expected(target: &str) -> Expected {
        Expected { action: None, target: Some(target.to_owned()), verdict: Some("allow".to_owned()), reason: None }
    }

    #[test]
    fn repeated_decisions_are_one_expectation() {
        let found = [entry("a/b", "allow"), entry("a/b", "allow")];
        assert!(compare_decisions(&[expected("a/b")], &found).is_empty());
    }

    #[test]
    fn a_missing_and_an_unexpected_decision_both_surprise() {
        let surprises = compare_decisions(&[expected("a/b")], &[entry("a/b", "deny")]);
        assert_eq!(
            surprises,
            ["expected the decision `a/b allow`, found none", "expected no other decision, found `git.read a/b deny`"]
        );
    }

    #[test]
    fn an_empty_list_expects_ordinary_traffic() {
        assert!(compare_decisions(&[], &[]).is_empty());
        assert_eq!(compare_decisions(&[], &[entry("a/b", "allow")]).len(), 1);
    }
}
