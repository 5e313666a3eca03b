//! `docs/hosts.md`: what the filter finds out of a host, and what hosts do, as the code and the table have it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use host_tests::behaviours;
use jobscope::{Found, Promise};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hosts.md")
}

/// Compares a table with the page's, or writes it there.
fn compare(name: &str, head: &str, rows: impl Iterator<Item = String>) {
    let columns = head.split('|').count();
    let rows: String = rows.fold(String::new(), |rows, row| rows + "| " + &row + " |\n");
    let table = format!("| {head} |\n{}|\n{rows}", "|---".repeat(columns));
    let (begin, end) = (format!("<!-- {name}: made by `make docs` -->\n"), format!("<!-- end of {name} -->"));
    let text = fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no mark `{begin}`"));
    let (stands, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no mark `{end}`"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(), format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(stands, table, "docs/hosts.md: `{name}` is another; write it anew with `make docs`");
    }
}

#[test]
fn tables_say_what_the_filter_finds_out_and_what_hosts_do() {
    let promises = Promise::ALL.iter().map(|(_, found, does)| {
        let when = match found {
            Found::AtStart => "at the start",
            Found::AtWork => "at work",
        };
        format!("{does} | {when}")
    });
    compare("promises", "a host that | is found out", promises);
    let rows = behaviours::table().unwrap();
    let behaviours = rows.iter().map(|row| format!("{} | {} | `{}`", row.about, row.holds, row.name));
    compare("behaviours", "about | what holds | row", behaviours);
}

#[test]
fn every_promise_is_broken_by_a_test() {
    let tests = include_str!("../filter/hosts.rs");
    for (promise, _, does) in Promise::ALL {
        assert!(tests.contains(&format!("\"{does}\"")), "{promise:?}");
    }
}

/// By which words of the table each method of the host is played.
const METHODS: [(&str, &[&str]); 29] = [
    ("log", &["say"]),
    ("name", &["name"]),
    ("now", &["clock"]),
    ("random", &["random"]),
    ("variable", &["variable"]),
    ("tick_every", &["ticks"]),
    ("headers", &["request", "answer", "called"]),
    ("remove_header", &["remove", "remove-answer"]),
    ("replace_request_header", &["set"]),
    ("choose_route", &["choose-route"]),
    ("buffer", &["body", "answer-body", "called-body"]),
    ("replace_buffer", &["replace-body", "replace-answer-body"]),
    ("source_address", &["source"]),
    ("body_size", &["body-size"]),
    ("log_property", &["log"]),
    ("logged", &["logged"]),
    ("declare", &["declare"]),
    ("row", &["row", "grow"]),
    ("set_row", &["write", "grow"]),
    ("act_for", &["for"]),
    ("resume", &["resume"]),
    ("resume_answer", &["resume-answer"]),
    ("reply", &["reply"]),
    ("hold_body", &["hold"]),
    ("call", &["call"]),
    ("define", &["count", "record"]),
    ("count", &["count"]),
    ("record", &["record"]),
    // What the host shows unasked.
    ("", &["answer-pieces", "pause"]),
];

/// What stands between two marks, as often as they come.
fn between<'a>(text: &'a str, begin: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
}

#[test]
fn every_method_of_the_host_and_every_word_of_the_probe_is_in_a_row() {
    let (_, methods) = include_str!("../../../plugin/src/host.rs").split_once("pub trait Host").unwrap();
    let (methods, _) = methods.split_once("\n}\n").unwrap();
    // A method with a body is made of the others.
    let needed = methods.split_inclusive([';', '{']).filter(|declared| declared.ends_with(';'));
    let needed: BTreeSet<&str> = needed.flat_map(|declared| between(declared, "fn ", '(')).collect();
    assert_eq!(
        METHODS.iter().map(|(method, _)| *method).filter(|method| !method.is_empty()).collect::<BTreeSet<_>>(),
        needed
    );
    let words: BTreeSet<&str> = METHODS.iter().flat_map(|(_, words)| *words).copied().collect();
    let known = between(include_str!("../../probe/src/commands.rs"), "            [\"", '"');
    assert_eq!(known.chain(["pause"]).collect::<BTreeSet<_>>(), words, "what the probe does, and by which word");
    let rows = behaviours::table().unwrap();
    let said = rows.iter().flat_map(|row| row.does.values().flatten());
    assert_eq!(
        said.filter_map(|said| said.split(' ').next()).collect::<BTreeSet<_>>(),
        words,
        "what rows say, and may say"
    );
}
