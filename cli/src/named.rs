//! What stands in a file, read: each error with the name of the file and its line.

use world::World;

use crate::check::Names;
use crate::check::{Weight, of_configuration};
use crate::finding::{self, NotFound};
use crate::marked::Node;
use crate::setup::Setup;

/// The text of the file with this name, of what came of reading it.
///
/// # Errors
/// It could not be read, or is no text.
pub fn text(name: &str, read: std::io::Result<Vec<u8>>) -> Result<String, String> {
    let bytes = read.map_err(|error| unreadable(name, &error))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| format!("`{name}` is no text"))
}

/// Why the file with this name could not be read, without the number that only programmers read.
#[must_use]
pub fn unreadable(name: &str, error: &std::io::Error) -> String {
    format!("cannot read `{name}`: {}", plain(error))
}

/// What went wrong, without the number that only programmers read.
#[must_use]
pub fn plain(error: &std::io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
}

/// The world in the text of the file with this name.
///
/// # Errors
/// Every mistake in it, a line for each.
pub fn world(name: &str, text: &str) -> Result<World, String> {
    World::parse(text).map_err(|errors| {
        let lines = errors.0.iter().map(|error| line(name, error.line, &error.path, &error.text));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// The filter's configuration in the text of the file with this name, whatever else stands there.
///
/// # Errors
/// Every mistake in it, a line for each; or there is none, or there are several that differ.
pub fn setup(name: &str, text: &str) -> Result<Setup, String> {
    let documents = finding::documents(text).map_err(|error| unread(name, &error))?;
    of_documents(name, &documents)
}

/// The filter's configuration in the documents of the file with this name.
///
/// # Errors
/// As [`setup`].
pub fn of_documents(name: &str, documents: &[Node]) -> Result<Setup, String> {
    checked_documents(name, documents, None).map(|(setup, _)| setup)
}

/// The same, and a line for each warning: what is legal and probably not meant, and names that a world does not have.
///
/// # Errors
/// As [`setup`].
pub fn checked(name: &str, text: &str, world: Option<&World>) -> Result<(Setup, Vec<String>), String> {
    let documents = finding::documents(text).map_err(|error| unread(name, &error))?;
    checked_documents(name, &documents, world)
}

fn checked_documents(name: &str, documents: &[Node], world: Option<&World>) -> Result<(Setup, Vec<String>), String> {
    let found = finding::only(documents).map_err(|error| unread(name, &error))?;
    let setup = found.setup();
    let mut findings = of_configuration(&found, &setup, world.map(|world| -> &dyn Names { world }));
    if setup.is_err() {
        findings.retain(|one| one.weight == Weight::Error);
    }
    let lines = findings.into_iter().map(|one| line(name, Some(one.line), &one.about, &one.text)).collect::<Vec<_>>();
    match setup {
        Ok(setup) => Ok((setup, lines)),
        Err(_) => Err(lines.join("\n")),
    }
}

/// Why there is no configuration in the file with this name.
#[must_use]
pub fn unread(name: &str, error: &NotFound) -> String {
    let at = match error {
        NotFound::Unreadable(unreadable) => unreadable.line,
        NotFound::Nowhere | NotFound::Another(_) | NotFound::Several(_) => None,
    };
    line(name, at, "", &error.to_string())
}

fn line(name: &str, at: Option<u64>, about: &str, text: &str) -> String {
    let at = at.map_or_else(String::new, |at| format!(":{at}"));
    let about = if about.is_empty() { String::new() } else { format!("{about}: ") };
    format!("{name}{at}: {about}{text}")
}
