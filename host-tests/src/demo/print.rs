//! How the demo looks on a terminal.

use std::io::IsTerminal;

use questions::log::explain;

use crate::demo::StepReport;
use crate::stack::decisions::Entry;

/// How much of a client's output is shown.
const SHOWN_LINES: usize = 10;
const SHOWN_COLUMNS: usize = 150;

/// For whom the demo prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: JSON lines.
    Json,
}

/// Whether there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Escape sequences.
    Colour,
    /// None.
    Plain,
}

impl Paint {
    /// Colour on a terminal, unless NO_COLOR is set (<https://no-color.org>).
    #[must_use]
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused { Self::Colour } else { Self::Plain }
    }

    fn apply(self, code: &str, text: &str) -> String {
        match self {
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }

    fn faint(self, text: &str) -> String {
        self.apply("2", text)
    }

    fn bold(self, text: &str) -> String {
        self.apply("1", text)
    }

    fn verdict(self, verdict: &str, text: &str) -> String {
        let code = match verdict {
            "allow" => "32",
            "deny" => "31",
            _ => "33",
        };
        self.apply(code, text)
    }
}

/// What stands above decisions.
pub(super) const HEADINGS: &str =
    "time      job   user    origin -> target               action           verdict and reason";

/// How wide a terminal is taken to be.
const WIDTH: usize = 100;

/// How far what belongs to a decision is set in.
const INDENT: usize = 10;

/// A decision on one line: time, job, user, origin -> target, action, verdict, reason.
#[must_use]
pub fn decision_line(entry: &Entry, paint: Paint) -> String {
    // `2026-01-01T12:34:56.789Z`
    let time = entry.start_time.get(11..19).unwrap_or("--:--:--");
    let way = format!("{} -> {}", word(&entry.origin), word(&entry.target));
    let verdict = word(&entry.verdict);
    format!(
        "{}  {:<5} {:<7} {:<30} {:<16} {} {}",
        paint.faint(time),
        word(&entry.job),
        word(&entry.user),
        way,
        word(&entry.action),
        paint.verdict(verdict, &format!("{verdict:<5}")),
        word(&entry.reason),
    )
}

/// Below a denial: what the client was told where that is known, else its reason in a sentence; and its number.
pub(super) fn refusal(entry: &Entry, told: Option<&str>, paint: Paint) -> Option<String> {
    let is_refusal = entry.verdict.as_deref().is_some_and(|verdict| verdict != "allow");
    let code = entry.reason.as_deref().filter(|_| is_refusal)?;
    let mut says = told.unwrap_or_else(|| explain::sentence(code)).to_owned();
    let decision = word(&entry.decision);
    if !says.contains(decision) {
        says = format!("{}. Decision {decision}.", says.trim_end_matches('.'));
    }
    let lines = wrapped(&says, INDENT).into_iter().map(|line| format!("{:INDENT$}{}", "", paint.faint(&line)));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// A text in lines that fit behind an indent.
pub(super) fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if indent + line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn word(value: &Option<String>) -> &str {
    value.as_deref().filter(|text| !text.is_empty()).unwrap_or("-")
}

/// A step: its sentence, what was typed, what the client showed, what jobscope decided.
pub fn print_step(step: &StepReport, paint: Paint) {
    let mark = if step.surprises.is_empty() { paint.verdict("allow", "✓") } else { paint.verdict("deny", "✗") };
    println!("{mark} {}", paint.bold(&step.say));
    let mut continues = false;
    for line in step.run.lines() {
        let prompt = if continues { " " } else { "$" };
        println!("    {}", paint.faint(&format!("{prompt} {line}")));
        continues = line.ends_with('\\') || line.ends_with("||");
    }
    // What went wrong may hide in what is usually cut.
    let shown = if step.surprises.is_empty() { SHOWN_LINES } else { usize::MAX };
    let lines: Vec<String> = step.output.lines().map(printable).collect();
    for line in lines.iter().take(shown) {
        println!("    {line}");
    }
    if lines.len() > shown {
        println!("    {}", paint.faint(&format!("({} more lines)", lines.len() - shown)));
    }
    let mut before = String::new();
    for entry in &step.decisions {
        // One request after the other for the same thing is said once.
        let same = format!("{:?}{:?}{:?}{:?}{:?}", entry.job, entry.target, entry.action, entry.verdict, entry.reason);
        if same != before {
            println!("  {} {}", paint.faint("jobscope"), decision_line(entry, paint));
        }
        before = same;
    }
    for surprise in &step.surprises {
        println!("  {}", paint.verdict("deny", surprise));
    }
    println!();
}

/// A line of foreign output, cut, without control characters.
fn printable(line: &str) -> String {
    // A progress meter overwrites its own line.
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut shown: String = line.chars().filter(|c| !c.is_control() || *c == '\t').take(SHOWN_COLUMNS).collect();
    if line.chars().count() > SHOWN_COLUMNS {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_aligned_line() {
        let entry = Entry::parse(
            r#"{"start_time":"2026-01-01T12:34:56.789Z","job":"1001","user":"dana","origin":"apps/web",
                "target":"libs/common","action":"git.read","verdict":"allow","reason":"in-allowlist"}"#,
        )
        .unwrap();
        assert_eq!(
            decision_line(&entry, Paint::Plain),
            "12:34:56  1001  dana    apps/web -> libs/common        git.read         allow in-allowlist"
        );
    }

    #[test]
    fn a_usual_decision_fits_a_terminal_below_its_headings() {
        let line = |verdict: &str, reason: &str| {
            let line = format!(
                r#"{{"start_time":"2026-01-01T12:34:56.789Z","job":"1001","user":"dana","origin":"apps/web",
                    "target":"containers/poetry","action":"packages.generic.read","verdict":"{verdict}","reason":"{reason}"}}"#
            );
            decision_line(&Entry::parse(&line).unwrap(), Paint::Plain)
        };
        assert!(line("deny", "allowlist.missing").chars().count() <= WIDTH);
        assert!(line("allow", "allowlist.project").chars().count() <= WIDTH);
        for (heading, value) in [("job", "1001"), ("user", "dana"), ("origin", "apps/web"), ("action", "packages")] {
            assert_eq!(HEADINGS.find(heading), line("deny", "x").find(value), "{heading}");
        }
    }

    #[test]
    fn a_denial_says_what_the_client_was_told_and_has_its_number() {
        let entry = |verdict: &str, reason: &str| {
            let line = format!(r#"{{"start_time":"","verdict":"{verdict}","reason":"{reason}","decision":"5a5c"}}"#);
            Entry::parse(&line).unwrap()
        };
        let denied = entry("deny", "allowlist.missing");
        let told = "No entry. A maintainer can add one. Decision 5a5c.";
        assert_eq!(refusal(&denied, Some(told), Paint::Plain).unwrap(), format!("          {told}"));
        let unknown = refusal(&denied, None, Paint::Plain).unwrap();
        let says = unknown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(says.ends_with("a maintainer of the target can add it. Decision 5a5c."), "{says}");
        assert!(unknown.lines().count() > 1 && unknown.lines().all(|line| line.chars().count() <= WIDTH), "{unknown}");
        assert!(refusal(&entry("observe-deny", "role.none"), None, Paint::Plain).is_some());
        assert_eq!(refusal(&entry("allow", "own-project"), None, Paint::Plain), None);
    }

    #[test]
    fn escape_sequences_of_others_are_not_printed() {
        assert_eq!(printable("a\x1b[31mb\u{7}"), "a[31mb");
    }
}
