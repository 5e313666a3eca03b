//! `docs/hosts.md`: what the filter finds out of a host, and what hosts do, as the code and the table have it.

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
