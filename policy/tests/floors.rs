//! The rooms of this crate stand on floors, and what stands on one uses only what is below.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;

/// From the ground.
const FLOORS: [&[&str]; 13] = [
    &["coded", "json"],
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

/// Each file below `src` with its room and its text, but for tests.
fn files(folder: &Path, room: Option<&str>, found: &mut Vec<(String, String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let name = room.unwrap_or(&stem);
        if stem == "tests" || stem == "lib" {
            continue;
        }
        if path.is_dir() {
            files(&path, Some(name), found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code: Vec<&str> = text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        found.push((path.display().to_string(), name.to_owned(), code.join("\n")));
    }
}

/// The names behind each `crate::`, those of a list in braces too.
fn used(code: &str) -> Vec<&str> {
    code.split("crate::")
        .skip(1)
        .flat_map(|behind| match behind.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![behind],
        })
        .filter_map(|path| path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn no_room_uses_what_stands_above_it() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut found);
    assert!(found.len() > 50, "only {} files", found.len());
    let mut wrong = Vec::new();
    for (path, room, code) in &found {
        let Some(own) = floor(room) else {
            wrong.push(format!("{path}: `{room}` stands on no floor"));
            continue;
        };
        for name in used(code) {
            match floor(name) {
                Some(other) if other < own || name == room => {}
                Some(_) => wrong.push(format!("{path}: `{room}` uses `{name}`")),
                None => wrong.push(format!("{path}: `{name}` stands on no floor")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_is_used_is_found_in_whatever_spelling() {
    let code = "use crate::facts::{Job, User};\nuse crate::{Config, rules};\nlet x = crate::reply::failure();";
    assert_eq!(used(code), ["facts", "Config", "rules", "reply"]);
}
