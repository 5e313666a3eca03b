//! What stands in a file, read: each error with the name of the file and its line.

use world::World;

use crate::check::of_errors;
use crate::finding::{self, NotFound};
use crate::setup::Setup;

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
    let found = finding::only(&documents).map_err(|error| unread(name, &error))?;
    found.setup().map_err(|errors| {
        let lines = of_errors(&found, &errors).into_iter().map(|one| line(name, Some(one.line), &one.about, &one.text));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Why there is no configuration in the file with this name.
#[must_use]
pub fn unread(name: &str, error: &NotFound) -> String {
    let at = match error {
        NotFound::Unreadable(unreadable) => unreadable.line,
        NotFound::Nowhere | NotFound::Several(_) => None,
    };
    line(name, at, "", &error.to_string())
}

fn line(name: &str, at: Option<u64>, about: &str, text: &str) -> String {
    let at = at.map_or_else(String::new, |at| format!(":{at}"));
    let about = if about.is_empty() { String::new() } else { format!("{about}: ") };
    format!("{name}{at}: {about}{text}")
}
