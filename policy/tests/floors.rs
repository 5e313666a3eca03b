//! The rooms of this crate stand on floors, and what stands on one uses only what is below.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

use std::fs;
use std::path::Path;

/// From the ground.
const FLOORS: [&[&str]; 13] = [
    &["coded", "json", "tree"],
    &["facts", "choices", "failure", "pattern"],
    &["access"],
    &["rules"],
    &["config"],
    &["request"],
    &["reply"],
    &["decision"],
    &["bindings"],
    &["lookup"],
    &["lifecycle"],
    &["webhook"],
    &["memo"],
];

/// What `lib.rs` gives another name, and where it is from.
const RENAMED: [(&str, &str); 5] = [
    ("Config", "config"),
    ("Decision", "decision"),
    ("Facts", "decision"),
    ("Step", "decision"),
    ("decide", "decision"),
];

fn floor(room: &str) -> Option<usize> {
    let room = RENAMED.iter().find(|(name, _)| *name == room).map_or(room, |(_, room)| room);
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// A file below `src`: its path, the modules that it is in, the room first, and its code.
struct File {
    path: String,
    modules: Vec<String>,
    code: String,
}

/// Each file below `src`, but for tests.
fn files(folder: &Path, modules: &[String], found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem == "tests" || stem == "lib" {
            continue;
        }
        let inner = if stem == "mod" { modules.to_vec() } else { [modules, &[stem]].concat() };
        if path.is_dir() {
            files(&path, &inner, found);
            continue;
        }
        let code = code(&fs::read_to_string(&path).unwrap());
        found.push(File { path: path.display().to_string(), modules: inner, code });
    }
}

/// What is no comment and no test.
fn code(text: &str) -> String {
    let mut is_test = false;
    let lines = text.lines().filter(|line| {
        is_test |= *line == "#[cfg(test)]";
        let is_code = !is_test && !line.trim_start().starts_with("//");
        is_test &= !(*line == "}" || (line.ends_with(';') && !line.starts_with(' ')));
        is_code
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms that code in these modules uses, by whatever path it names them.
fn used(code: &str, modules: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (base, word) in [(&[][..], "crate"), (parent(modules), "super")] {
        for (at, _) in code.match_indices(&format!("{word}::")) {
            // A path is read from its first word on.
            if !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                names(&code[at + word.len() + 2..], base, &mut found);
            }
        }
        assert!(!code.contains(&format!("use {word} as")), "`{word}` has another name");
    }
    found
}

fn parent<'a, 'b>(modules: &'a [&'b str]) -> &'a [&'b str] {
    &modules[..modules.len().saturating_sub(1)]
}

/// The rooms that a path names which goes on so below these modules, or each path of a list in braces.
fn names(path: &str, base: &[&str], found: &mut Vec<String>) {
    let path = path.trim_start();
    if let Some(list) = path.strip_prefix('{') {
        let (mut depth, mut from) = (1_usize, 0);
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && letter == ',') {
                names(&list[from..at], base, found);
                from = at + 1;
            }
            if depth == 0 {
                return;
            }
        }
    }
    if let Some(rest) = path.strip_prefix("super::") {
        return names(rest, parent(base), found);
    }
    if !base.is_empty() {
        return;
    }
    let name = path.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '*')).next().unwrap_or_default();
    if !matches!(name, "" | "self") {
        found.push(name.to_owned());
    }
}

/// Who may read into `serde_json::Value`: what an operator wrote, and what we wrote ourselves. `tree.rs` says why nobody else.
const OWN: [&str; 3] = ["config", "decision", "json"];

#[test]
fn what_others_wrote_is_read_as_a_tree_of_ours() {
    let mut found = Vec::new();
    files(Path::new("src"), &[], &mut found);
    let reads = |line: &str| line.contains("serde_json::") && line.replace("RawValue", "").contains("Value");
    let rooms: Vec<_> =
        found.iter().filter(|file| file.code.lines().any(reads)).map(|file| &*file.modules[0]).collect();
    assert!(rooms.contains(&"config"), "{rooms:?}");
    assert_eq!(rooms.iter().find(|room| !OWN.contains(room)), None);
}

#[test]
fn no_room_uses_what_stands_above_it() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    assert!(found.len() > 50, "only {} files", found.len());
    let mut wrong = Vec::new();
    for File { path, modules, code } in &found {
        let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
        let room = modules[0];
        let Some(own) = floor(room) else {
            wrong.push(format!("{path}: `{room}` stands on no floor"));
            continue;
        };
        for name in used(code, &modules) {
            match floor(&name) {
                Some(other) if other < own || name == room => {}
                Some(_) => wrong.push(format!("{path}: `{room}` uses `{name}`")),
                None => wrong.push(format!("{path}: `{name}` stands on no floor")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn behind_a_test_code_is_read_on() {
    let text = "#[cfg(test)]\nmod tests {\n    a;\n    }\n}\nuse b;\n#[cfg(test)]\nmod tests;\n// c\nfn d() {\n}";
    assert_eq!(code(text), "use b;\nfn d() {\n}");
}

#[test]
fn what_is_used_is_found_in_whatever_spelling() {
    let modules = ["rules", "table"];
    for (code, expected) in [
        ("use crate::facts::{Job, User};\nuse crate::{Config, rules};", &["facts", "Config", "rules"][..]),
        (
            "use crate::{facts::{Job, User}, config::{self, Forge}};\npub use crate::reply;",
            &["facts", "config", "reply"],
        ),
        ("let x = crate::reply::failure(crate::memo::NONE); macro::x!($crate::json::y)", &["reply", "memo", "json"]),
        ("use super::need; fn f() -> super::super::config::Config {}", &["config"]),
        (
            "use super::{self, need, super::{lookup, memo::Memo}}; pub(crate) use super::super::*;",
            &["lookup", "memo", "*"],
        ),
        ("let supercrate::x = my_crate::y;", &[]),
    ] {
        let mut found = used(code, &modules);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{code}");
    }
    assert_eq!(used("use super::config;", &["rules"]), ["config"]);
}
