//! What `ARCHITECTURE.md` says of this crate's files.

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn one_file_names_hostcalls_two_know_the_sdk_and_lookups_know_no_request() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let (name, text) =
            (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&file).unwrap());
        assert_eq!(text.contains("hostcalls::") || text.contains("unsafe {"), name == "abi.rs", "{name}");
        assert_eq!(text.contains("proxy_wasm::"), ["abi.rs", "contexts.rs"].contains(&&*name), "{name}");
        let is_of_lookups = file.parent().is_some_and(|folder| folder.ends_with("lookups"));
        assert!(!is_of_lookups || !text.contains("Stream"), "{name}");
        assert!(text.lines().count() <= 350, "{name} is long");
    }
}
