//! `jobscope replay`.

use std::collections::{BTreeMap, BTreeSet};

use questions::log::replay::{Change, Entries, Lack, Replay};
use questions::setup::Setup;
use serde_json::{Value, json};

use super::arguments::{self, FailOn};
use super::decide::section;
use super::log::read_so_far;
use super::print::{HEADING, out, out_json, styled, table};
use super::{End, Fault, files};

/// More lines nobody reads; JSON has all of them.
const MOST: usize = 200;

pub(crate) fn run(asked: &arguments::Replay) -> Result<End, Fault> {
    let new = files::setup(&asked.config)?;
    let old: Option<Setup> = asked.against.as_deref().map(files::setup).transpose()?;
    let entries = asked.suggested.as_deref().map_or(Ok(Entries::default()), |path| {
        let document: Option<Value> = serde_json::from_slice(&files::bytes(path)?).ok();
        let entries = document.as_ref().and_then(Entries::of);
        entries.ok_or_else(|| Fault(format!("`{}` is not what `jobscope suggest --json` prints", path.display())))
    })?;
    let mut replay = Replay::new(&new.config, old.as_ref().map(|old| &old.config), &entries);
    let counts = files::logs(&asked.log, |line| {
        replay.note(line);
        true
    })?;
    if replay.replayed() == 0 {
        let why: Vec<String> = lacking(&replay).into_iter().map(|row| row.join(" ")).collect();
        let read = read_so_far(counts);
        return Err(Fault(
            [format!("nothing can be decided on again among {read}")]
                .into_iter()
                .chain(why)
                .collect::<Vec<_>>()
                .join("\n"),
        ));
    }
    if asked.json {
        let mut value = replay.json();
        if let Some(members) = value.as_object_mut() {
            members.insert("decisions".to_owned(), json!(counts.decisions));
            members.insert("damaged".to_owned(), json!(counts.damaged));
        }
        out_json(&value)?;
    } else {
        out(&format!("{}Read {}.\n", told(&replay), read_so_far(counts)))?;
    }
    let happened = |on: &FailOn| match on {
        FailOn::Deny => !replay.refused.is_empty(),
        FailOn::Allow => !replay.let_in.is_empty(),
        FailOn::Unknown => replay.lacking.keys().any(|lack| *lack != Lack::Other),
        FailOn::Never => false,
    };
    Ok(if asked.fail_on.iter().any(happened) { End::Bad } else { End::Good })
}

fn told(replay: &Replay<'_>) -> String {
    let mut text = String::new();
    for (head, changes, arrow) in [
        ("Goes on today, and would be refused", &replay.refused, "->"),
        ("Is refused today, and would go on", &replay.let_in, "<-"),
    ] {
        let more = changes.len().saturating_sub(MOST);
        if changes.is_empty() {
            continue;
        }
        text.push_str(&format!("{}\n{}", styled(HEADING, head), table(2, &rows(changes, arrow))));
        if more > 0 {
            text.push_str(&format!("  and {more} more pairs of projects: `--json` has them\n"));
        }
        text.push('\n');
    }
    if replay.beyond > 0 {
        text.push_str(&format!("{} more changes are between other projects.\n\n", replay.beyond));
    }
    if !replay.lacking.is_empty() {
        text.push_str(section("Not decided on again", &table(2, &lacking(replay))).trim_start());
        text.push('\n');
    }
    let changed = if replay.refused.is_empty() && replay.let_in.is_empty() { "All" } else { "Else" };
    let nouns = if replay.same == 1 { "decision ends" } else { "decisions end" };
    let recorded = match replay.recorded {
        0 => String::new(),
        some => format!(", and {some} of them all are only recorded as denied"),
    };
    text.push_str(&format!("{changed} {} {nouns} as before{recorded}.\n", replay.same));
    text
}

fn rows(changes: &BTreeMap<(String, String), Change>, arrow: &str) -> Vec<Vec<String>> {
    let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let row = |((first, second), change): (&(String, String), &Change)| {
        vec![
            format!("{first} {arrow} {second}"),
            change.times.to_string(),
            format!("{}: {}, by {}", list(&change.actions), list(&change.reasons), list(&change.users)),
        ]
    };
    changes.iter().take(MOST).map(row).collect()
}

fn lacking(replay: &Replay<'_>) -> Vec<Vec<String>> {
    replay.lacking.iter().map(|(lack, times)| vec![times.to_string(), lack.says().to_owned()]).collect()
}
