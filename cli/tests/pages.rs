//! Completions and manual pages are made of what the command takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::process::{Command, Output};

fn jobscope(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobscope")).args(words).output().unwrap()
}

fn text(words: &[&str]) -> String {
    let ran = jobscope(words);
    assert_eq!(ran.status.code(), Some(0), "{words:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn each_shell_gets_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&["completions", shell]);
        assert!(
            ["who-can", "decide", "--everybody"].iter().all(|word| script.contains(word.trim_start_matches('-'))),
            "{shell}"
        );
    }
    let script = text(&["completions", "bash"]);
    let mut checked =
        Command::new("bash").args(["-n", "/dev/stdin"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut checked.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(checked.wait().unwrap().success(), "bash reads it");
    assert_eq!(jobscope(&["completions", "cmd"]).status.code(), Some(2));
}

#[test]
fn each_command_has_a_manual_page() {
    assert!(text(&["man"]).starts_with(".ie"), "roff");
    for (command, word) in [("decide", "request"), ("check", "strict"), ("who-can", "everybody"), ("test", "junit")] {
        let page = text(&["man", command]);
        assert!(
            page.contains(&format!("jobscope-{command}").replace('-', "\\-")) && page.contains(word),
            "{command}: {page}"
        );
        assert!(page.contains("Example:"), "{command}");
    }
    let none = jobscope(&["man", "explode"]);
    assert_eq!(none.status.code(), Some(2));
    assert_eq!(String::from_utf8(none.stderr).unwrap(), "jobscope: there is no command `explode`\n");
}

#[test]
fn who_stops_reading_ends_nothing_with_a_panic() {
    let piped = std::process::Stdio::piped;
    let mut ran = Command::new(env!("CARGO_BIN_EXE_jobscope"))
        .args(["completions", "zsh"])
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    drop(ran.stdout.take());
    let ended = ran.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}
