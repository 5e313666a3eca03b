//! Files, read. Every error names its file.

use std::io::{BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use questions::finding::{self, NotFound};
use questions::log::{self, Counts, Line};
use questions::marked::Node;
use questions::named;
use questions::setup::Setup;
use world::World;

use super::Fault;

/// The bytes of a file; of standard input for `-`.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    read(path).map_err(|error| unreadable(path, &error))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    Fault(named::unreadable(&path.display().to_string(), error))
}

/// Names the log that is asked where none is named.
const LOG_VARIABLE: &str = "JOBSCOPE_LOG";

/// Where `make run` leaves what it needs, a folder for each port.
const DEMOS: &str = ".run";

/// The log that is meant where none is named: that of the environment, or those of the demos that were started in this folder.
pub(crate) fn log_here() -> Result<Vec<PathBuf>, Fault> {
    if let Some(named) = std::env::var_os(LOG_VARIABLE).filter(|named| !named.is_empty()) {
        return Ok(vec![named.into()]);
    }
    let folders = std::fs::read_dir(DEMOS).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> =
        folders.map(|folder| folder.path().join("access.log")).filter(|log| log.is_file()).collect();
    logs.sort();
    if logs.is_empty() {
        return Err(Fault(format!(
            "there is no log here: expected `{DEMOS}/*/access.log` of a demo that `make run` started in this folder; name \
             another one with `--log FILE` or {LOG_VARIABLE}"
        )));
    }
    Ok(logs)
}

/// After so many decisions a terminal is told how far it is.
const STEP: u64 = 20_000;

/// Reads logs, one after the other, as long as `go_on` says so. Who waits at a terminal sees how far it is.
pub(crate) fn logs(paths: &[PathBuf], mut look: impl FnMut(&Line) -> bool) -> Result<Counts, Fault> {
    let is_watched = std::io::stderr().is_terminal();
    let mut read: u64 = 0;
    let show = |text: &str| {
        if is_watched {
            anstream::eprint!("\r\x1b[K{text}");
        }
    };
    let mut go_on = |line: &Line| {
        read = read.saturating_add(1);
        if read.is_multiple_of(STEP) {
            show(&format!("{read} decisions read"));
        }
        look(line)
    };
    let counts = each(paths, &mut go_on);
    if read >= STEP {
        show("");
    }
    counts
}

fn each(paths: &[PathBuf], mut go_on: impl FnMut(&Line) -> bool) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    for path in paths {
        let read = if path == Path::new("-") {
            log::read(std::io::stdin().lock(), &mut counts, &mut go_on)
        } else {
            std::fs::File::open(path).and_then(|file| log::read(BufReader::new(file), &mut counts, &mut go_on))
        };
        if !read.map_err(|error| unreadable(path, &error))? {
            break;
        }
    }
    Ok(counts)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, Fault> {
    named::text(&path.display().to_string(), read(path)).map_err(Fault)
}

pub(crate) fn world(path: &Path) -> Result<World, Fault> {
    named::world(&path.display().to_string(), &text(path)?).map_err(Fault)
}

/// The documents of a file.
pub(crate) fn documents(path: &Path) -> Result<Vec<Node>, Fault> {
    finding::documents(&text(path)?).map_err(|error| unread(path, &error))
}

/// The filter's configuration in a file, whatever else stands there.
pub(crate) fn setup(path: &Path) -> Result<Setup, Fault> {
    setup_of(path, &documents(path)?)
}

/// The same in the documents of a file: what is no file to come back to is read once.
pub(crate) fn setup_of(path: &Path, documents: &[Node]) -> Result<Setup, Fault> {
    named::of_documents(&path.display().to_string(), documents).map_err(Fault)
}

pub(crate) fn unread(path: &Path, error: &NotFound) -> Fault {
    Fault(named::unread(&path.display().to_string(), error))
}
