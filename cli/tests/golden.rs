//! The command as a person sees it: each file in `golden/` is what was typed and what came of it.
//!
//! A block begins with `$ jobscope ...` and holds standard output, standard error, and how it ended. `UPDATE_GOLDEN=1`
//! writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jobscope");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What comes of a line that begins with `jobscope`.
fn played(line: &str) -> String {
    let words = shlex::split(line).expect("a line without an open quote");
    let ran = Command::new(PROGRAM)
        .args(words.iter().skip(1))
        .current_dir(root())
        .env_remove("CI_JOB_TOKEN")
        .env_remove("JOBSCOPE_LOG")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    format!("$ {line}\n{out}{err}exit {}\n", ran.status.code().unwrap())
}

#[test]
fn what_is_typed_gives_what_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let told = fs::read_to_string(file).unwrap();
        let lines = told.lines().filter_map(|line| line.strip_prefix("$ "));
        let now = lines.map(played).collect::<Vec<_>>().join("\n");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(file, &now).unwrap();
        } else if now != told {
            wrong.push(format!("{}:\n{now}", file.display()));
        }
    }
    assert!(files.len() > 3 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_that_is_printed_looks_like_a_token_or_is_too_wide() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut is_quoted = false;
        for line in text.lines().filter(|line| !line.starts_with("$ ") && !line.starts_with("jobscope: ")) {
            assert!(!["glcbt-", "glpat-", "Basic Z2"].iter().any(|mark| line.contains(mark)), "{line}");
            // What a client gets, what is to be copied, and JSON are not broken.
            is_quoted = line == "The client gets" || is_quoted && (line.is_empty() || line.starts_with(' '));
            let is_whole = [" how  ", "admit '", "\": ", "=\"", "  message: ", "forge.example.com/"]
                .iter()
                .any(|part| line.contains(part));
            assert!(is_quoted || is_whole || line.chars().count() <= 100, "{line}");
        }
    }
}
