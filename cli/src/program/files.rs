//! Files, read. Every error names its file.

use std::io::{BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use questions::check;
use questions::finding::{self, NotFound};
use questions::log::{self, Counts, Line};
use questions::marked::Node;
use questions::setup::Setup;
use world::World;

use super::Fault;

/// The bytes of a file; of standard input for `-`.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    read.map(|()| bytes).map_err(|error| Fault(format!("cannot read `{}`: {}", path.display(), plain(&error))))
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
        read.map_err(|error| Fault(format!("cannot read `{}`: {}", path.display(), plain(&error))))?;
    }
    Ok(counts)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, Fault> {
    let text = String::from_utf8(bytes(path)?).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| Fault(format!("`{}` is no text", path.display())))
}

pub(crate) fn world(path: &Path) -> Result<World, Fault> {
    World::parse(&text(path)?).map_err(|errors| {
        let line = |error: &world::WorldError| {
            let place = error.line.map_or_else(String::new, |line| format!(":{line}"));
            let key = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
            format!("{}{place}: {key}{}", path.display(), error.text)
        };
        Fault(errors.0.iter().map(line).collect::<Vec<_>>().join("\n"))
    })
}

/// The documents of a file.
pub(crate) fn documents(path: &Path) -> Result<Vec<Node>, Fault> {
    finding::documents(&text(path)?).map_err(|error| unread(path, &error))
}

/// The filter's configuration in a file, whatever else stands there.
pub(crate) fn setup(path: &Path) -> Result<Setup, Fault> {
    let documents = documents(path)?;
    let found = finding::only(&documents).map_err(|error| unread(path, &error))?;
    found.setup().map_err(|errors| {
        let lines = check::of_errors(&found, &errors).into_iter().map(|one| {
            let about = if one.about.is_empty() { String::new() } else { format!("{}: ", one.about) };
            format!("{}:{}: {about}{}", path.display(), one.line, one.text)
        });
        Fault(lines.collect::<Vec<_>>().join("\n"))
    })
}

pub(crate) fn unread(path: &Path, error: &NotFound) -> Fault {
    let line = match error {
        NotFound::Unreadable(unreadable) => unreadable.line,
        NotFound::Nowhere | NotFound::Several(_) => None,
    };
    let place = line.map_or_else(String::new, |line| format!(":{line}"));
    Fault(format!("{}{place}: {error}", path.display()))
}

/// What went wrong, without the number that only programmers read.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
}
