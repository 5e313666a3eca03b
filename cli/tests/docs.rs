//! `docs/command.md` has the help of each command, as it is printed. `make docs` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;
use std::process::Command;

fn help(words: &[&str]) -> String {
    let ran =
        Command::new(env!("CARGO_BIN_EXE_jobscope")).args(words).arg("--help").env("COLUMNS", "100").output().unwrap();
    assert!(ran.status.success(), "{words:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// The names of the commands, as the help of all lists them.
fn commands() -> Vec<String> {
    let all = help(&[]);
    let (_, list) = all.split_once("Commands:\n").expect("a list of commands");
    // What a command does may go on in a second line, which is set in further.
    let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn each_command_is_described_as_it_describes_itself() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/command.md");
    let mut page = fs::read_to_string(&path).unwrap();
    let stands = page.clone();
    for name in commands() {
        let begin = format!("<!-- {name}: made by `make docs` -->\n");
        let end = format!("<!-- end of {name} -->");
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("docs/command.md has no mark `{begin}`"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("docs/command.md has no mark `{end}`"));
        page = format!("{before}{begin}```\n{}```\n{end}{after}", help(&[&name]));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    } else {
        assert!(stands == page, "docs/command.md is not what the commands say; write it anew with `make docs`");
    }
}

#[test]
fn each_command_shows_an_example_that_it_takes_and_its_exit_codes() {
    for name in commands() {
        let text = help(&[&name]);
        assert!(text.contains("Example:\n  jobscope "), "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{name}");
    }
}
