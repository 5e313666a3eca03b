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

/// What a line of the documentation prints, with this repository's files in the place of the reader's, and how it ends.
fn played(line: &str) -> (String, Option<i32>) {
    let line = line.split(['#', '>']).next().unwrap();
    let ours = |word: String| match word.as_str() {
        "envoy.yaml" | "new.yaml" => "envoy/envoy.yaml".to_owned(),
        "world.yaml" => "envoy/demo/world.yaml".to_owned(),
        "access.log" => "cli/tests/data/access.log".to_owned(),
        "212be24720491b45" => "00000000000000000000000000000003".to_owned(),
        "token" => "cli/tests/data/token".to_owned(),
        "policy-tests.yaml" => "cli/tests/data/policy-tests.yaml".to_owned(),
        "SHA256SUMS" | "jobscope.pub" => format!("cli/tests/data/release/{word}"),
        release if release.starts_with("jobscope-") => format!("cli/tests/data/release/{word}"),
        _ => word,
    };
    let words: Vec<String> = shlex::split(line).unwrap().into_iter().map(ours).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ran =
        Command::new(env!("CARGO_BIN_EXE_jobscope")).args(words.iter().skip(1)).current_dir(root).output().unwrap();
    (String::from_utf8(ran.stdout).unwrap(), ran.status.code())
}

#[test]
fn each_command_shows_an_example_that_it_takes() {
    for name in commands() {
        let text = help(&[&name]);
        let (_, example) = text.split_once("Example:\n").unwrap_or_else(|| panic!("{name}"));
        let example = example.split("\n\n").next().unwrap().replace("\\\n", " ");
        let (printed, end) = played(example.trim());
        assert!(!printed.is_empty() && end != Some(2), "{example}");
        assert!(text.contains("Exit codes: 0 ") && text.lines().all(|line| line.chars().count() <= 100), "{name}");
    }
}

#[test]
fn what_the_readme_shows_is_what_is_printed() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("jobscope ")).collect();
    let printed: Vec<_> = lines.iter().map(|line| played(line)).collect();
    assert!(lines.len() >= 3 && printed.iter().all(|(_, end)| matches!(end, Some(0 | 1))), "{lines:?}");
    let (_, shown) = page.split_once("Any of these would let it pass\n").unwrap();
    let shown = shown.split("```").next().unwrap();
    assert!(printed.iter().any(|(text, _)| text.contains(shown)), "{shown}");
}
