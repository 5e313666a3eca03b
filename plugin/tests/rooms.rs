//! What `ARCHITECTURE.md` says of this crate's files.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that stand in the code of these files, and of no others: hostcalls and what only they need; the SDK; the machine's own
/// clock, chance and environment, which a simulation could not draw; what would be a worker's and is in no worker.
const WORDS: [(&[&str], &[&str]); 4] = [
    (&["hostcalls", "unsafe", "extern"], &["abi.rs"]),
    (&["proxy_wasm"], &["abi.rs", "contexts.rs"]),
    (&["SystemTime", "Instant", "RandomState", "env"], &["abi.rs"]),
    (&["thread_local", "OnceLock", "OnceCell", "LazyLock", "Mutex", "AtomicU64"], &[]),
];

/// What is done to a request or to its answer, and where alone that is.
const EFFECTS: [(&str, &[&str]); 9] = [
    ("host.reply(", &["settling.rs"]),
    ("host.remove_header(Map::Request", &["settling.rs"]),
    ("host.replace_request_header(", &["settling.rs"]),
    ("host.choose_route(", &["settling.rs"]),
    ("host.resume(", &["waking.rs"]),
    ("host.remove_header(Map::Response", &["answer.rs"]),
    ("host.replace_buffer(", &["answer.rs"]),
    ("host.resume_answer(", &["answer.rs"]),
    ("host.unavailable(", &["settling.rs", "answer.rs"]),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The words of what is no comment, and no macro of the compiler's environment.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '!')))
}

#[test]
fn one_file_names_hostcalls_two_know_the_sdk_lookups_know_no_request_and_effects_have_their_place() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 20, "{files:?}");
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let (name, text) =
            (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(file).unwrap());
        for (known, stand_in) in WORDS {
            let found = words(&text).find(|word| known.contains(word));
            assert_eq!(found.filter(|_| !stand_in.contains(&&*name)), None, "{name}");
        }
        for (effect, stand_in) in EFFECTS {
            assert!(name == "abi.rs" || text.contains(effect) == stand_in.contains(&&*name), "{effect} in {name}");
        }
        let is_of_lookups = file.parent().is_some_and(|folder| folder.ends_with("lookups"));
        assert!(!is_of_lookups || !text.contains("Stream"), "{name}");
        assert!(text.lines().count() <= 350, "{name} is long");
    }
}
