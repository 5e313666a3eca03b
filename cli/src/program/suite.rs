//! `jobscope test`.

use std::io::IsTerminal;
use std::path::Path;

use questions::setup::Setup;
use questions::suite::{Coverage, Outcome, Played, Suite};
use serde_json::{Value, json};
use world::World;

use super::arguments::{Format, Test};
use super::print::{HEADING, clear, out, out_json, styled, word, wrapped};
use super::watch::Seen;
use super::{End, Fault, files};

/// What came of a file.
struct Told {
    file: String,
    played: Vec<Played>,
    coverage: Coverage,
}

pub(crate) fn run(asked: &Test) -> Result<End, Fault> {
    if asked.watch { watch(asked) } else { played(asked, &Seen::default()) }
}

/// Plays the tests again and again, until somebody ends the program.
fn watch(asked: &Test) -> Result<End, Fault> {
    loop {
        let seen = Seen::default();
        if std::io::stdout().is_terminal() {
            clear()?;
        }
        if let Err(fault) = played(asked, &seen) {
            fault.tell();
        }
        let noun = if seen.count() == 1 { "file" } else { "files" };
        out(&format!("Watching {} {noun}; Ctrl-C ends it.\n", seen.count()))?;
        seen.wait_for_change();
    }
}

fn played(asked: &Test, seen: &Seen) -> Result<End, Fault> {
    asked.files.iter().for_each(|path| seen.note(path));
    let told = asked.files.iter().map(|path| of_file(path, seen)).collect::<Result<Vec<_>, _>>()?;
    let format = if asked.json { Format::Json } else { asked.format };
    match format {
        Format::Text => out(&text(&told)),
        Format::Json => out_json(&json(&told)),
        Format::Junit => out(&junit(&told)),
        Format::Tap => out(&tap(&told)),
    }?;
    let all = || told.iter().flat_map(|told| &told.played).map(|played| &played.outcome);
    let broken = all().filter(|outcome| matches!(outcome, Outcome::Broken(_))).count();
    if broken > 0 {
        let noun = if broken == 1 { "test" } else { "tests" };
        return Err(Fault(format!("{broken} {noun} cannot be played")));
    }
    Ok(if all().all(|outcome| *outcome == Outcome::Passed) { End::Good } else { End::Bad })
}

fn of_file(path: &Path, seen: &Seen) -> Result<Told, Fault> {
    let suite = Suite::parse(&files::text(path)?).map_err(|error| {
        let place = error.line.map_or_else(String::new, |line| format!(":{line}"));
        Fault(format!("{}{place}: {}", path.display(), error.text))
    })?;
    // What a file names stands beside it.
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = |name: &str| {
        let file = folder.join(name);
        seen.note(&file);
        file
    };
    // All are noted before one turns out to be wrong.
    let (config, world) = (suite.config.as_str().map(beside), suite.world.as_str().map(beside));
    let setup = match &config {
        Some(file) => files::setup(file)?,
        None => Setup::of(suite.config.clone()).map_err(|errors| in_file(path, "config", &errors))?,
    };
    let world = match &world {
        Some(file) => files::world(file)?,
        None => World::parse(&suite.world.to_string()).map_err(|errors| in_file(path, "world", &errors))?,
    };
    let read = |name: &str| std::fs::read(beside(name)).ok();
    let (played, coverage) = suite.play(&setup, &world, &read);
    Ok(Told { file: path.display().to_string(), played, coverage })
}

fn in_file(path: &Path, key: &str, errors: &dyn std::fmt::Display) -> Fault {
    let lines: Vec<String> =
        errors.to_string().lines().map(|line| format!("{}: {key}: {line}", path.display())).collect();
    Fault(lines.join("\n"))
}

fn text(told: &[Told]) -> String {
    let mut text = String::new();
    for Told { file, played, coverage } in told {
        text.push_str(&format!("{}\n", styled(HEADING, file)));
        for Played { name, line, outcome } in played {
            let (said, why) = match outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Failed(why) => ("failed", Some(why)),
                Outcome::Broken(why) => ("broken", Some(why)),
            };
            text.push_str(&format!("  {}  {}\n", word(said), wrapped(name, 10)));
            let why = why.map(|why| format!("          {}\n", wrapped(&format!("line {line}: {why}"), 10)));
            text.push_str(&why.unwrap_or_default());
        }
        text.push_str(&covered(coverage));
    }
    let count = |word| told.iter().flat_map(|told| &told.played).filter(|one| one.outcome.told().0 == word).count();
    let broken = match count("broken") {
        0 => String::new(),
        broken => format!(", {broken} broken"),
    };
    format!("{text}{} passed, {} failed{broken}\n", count("passed"), count("failed"))
}

fn covered(coverage: &Coverage) -> String {
    let reached = coverage.written.saturating_sub(coverage.unreached.len());
    let mut text = format!("  {reached} of {} rules of the configuration decided", coverage.written);
    if !coverage.unreached.is_empty() {
        text.push_str(&format!(", not {}", coverage.unreached.join(", ")));
    }
    format!(
        "  {}\n  {} of {} rules of jobscope decided\n\n",
        wrapped(text.trim_start(), 4),
        coverage.own.0,
        coverage.own.1
    )
}

fn json(told: &[Told]) -> Value {
    let test = |one: &Played| {
        let (said, why) = one.outcome.told();
        json!({"name": one.name, "line": one.line, "outcome": said, "why": why})
    };
    let file = |one: &Told| {
        let Coverage { own: (decided, all), written, unreached } = &one.coverage;
        json!({"file": one.file, "tests": one.played.iter().map(test).collect::<Vec<_>>(), "coverage": {
            "own": {"decided": decided, "all": all}, "configuration": {"all": written, "unreached": unreached}
        }})
    };
    json!({"files": told.iter().map(file).collect::<Vec<_>>()})
}

fn junit(told: &[Told]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for Told { file, played, .. } in told {
        let count = |word| played.iter().filter(|one| one.outcome.told().0 == word).count();
        let (failures, errors) = (count("failed"), count("broken"));
        let (file, tests) = (escaped(file), played.len());
        text.push_str(&format!(
            "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n"
        ));
        for Played { name, line, outcome } in played {
            let case = format!(
                "    <testcase classname=\"{file}\" name=\"{}\" file=\"{file}\" line=\"{line}\"",
                escaped(name)
            );
            let wrong = |tag: &str, why: &str| {
                format!("{case}>\n      <{tag} message=\"{}\"/>\n    </testcase>\n", escaped(why))
            };
            text.push_str(&match outcome {
                Outcome::Passed => format!("{case}/>\n"),
                Outcome::Failed(why) => wrong("failure", why),
                Outcome::Broken(why) => wrong("error", why),
            });
        }
        text.push_str("  </testsuite>\n");
    }
    text + "</testsuites>\n"
}

/// A text as an attribute of XML.
fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        // XML has no way to write the other controls.
        c if c.is_control() => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

fn tap(told: &[Told]) -> String {
    let all: Vec<(&str, &Played)> =
        told.iter().flat_map(|told| told.played.iter().map(|one| (told.file.as_str(), one))).collect();
    let mut text = format!("TAP version 14\n1..{}\n", all.len());
    for (at, (file, Played { name, line, outcome })) in all.into_iter().enumerate() {
        let number = at.saturating_add(1);
        // What follows a `#` would be read as a directive.
        let name = name.replace('#', "\\#").replace('\n', " ");
        let why = outcome.told().1.map(|why| format!("  ---\n  at: {file}:{line}\n  message: {}\n  ...\n", json!(why)));
        let not = if why.is_some() { "not " } else { "" };
        text.push_str(&format!("{not}ok {number} - {name}\n{}", why.unwrap_or_default()));
    }
    text
}
