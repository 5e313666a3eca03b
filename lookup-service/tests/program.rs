//! The program: what it says of a configuration, how it begins, and how it ends.

#![expect(clippy::unwrap_used, reason = "what a test cannot set up, it fails at")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SOUND: &str = r"
api: {listen: '127.0.0.1:0', callers_env: [CALLER]}
operations: {listen: '127.0.0.1:0'}
forge: {url: 'http://127.0.0.1:9', credential_env: FORGE}
store: {kind: memory}
";

fn written(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lookup.yaml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn program(config: &PathBuf) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobscope-lookup"));
    command.arg("--config").arg(config).env("CALLER", "caller-secret-of-now").env("FORGE", "glpat-secret");
    command
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

#[test]
fn a_configuration_that_is_wrong_is_told_whole_and_starts_nothing() {
    let (_directory, path) =
        written(&SOUND.replace("kind: memory", "kind: disk, capacity: 1").replace("FORGE", "NONE"));
    for check in [false, true] {
        let output = program(&path).args(check.then_some("--check")).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = said(&output);
        for path in ["store.kind: ", "store.capacity: ", "forge.credential_env: "] {
            assert!(said.contains(path), "{path} is not in {said}");
        }
        assert!(!said.contains("secret"), "{said}");
    }
    let missing = program(&path.with_extension("not-there")).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    let (_directory, path) = written(SOUND);
    let sound = program(&path).arg("--check").output().unwrap();
    assert_eq!(sound.status.code(), Some(0), "{}", said(&sound));
}

#[test]
fn told_to_end_it_ends_well_and_its_log_is_lines_of_json() {
    let (_directory, path) = written(SOUND);
    let mut process = program(&path).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(first["fields"]["message"].as_str().is_some_and(|message| message.contains("http://")), "{first}");
    let next: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next["fields"]["message"], "answering");
    assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(line["level"].is_string(), "{line}");
    }
    assert_eq!(process.wait().unwrap().code(), Some(0));
}
