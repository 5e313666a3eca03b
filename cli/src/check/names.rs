//! Projects and users that a configuration names, and that are not there.

use world::World;

use super::{Finding, Weight};
use crate::finding::Written;
use crate::marked::Node;

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// A project.
    Project,
    /// A group.
    Group,
    /// A user.
    User,
}

/// Who knows what is there.
pub trait Names {
    /// Who that is, and how it says that something is not.
    fn denial(&self) -> &'static str;

    /// Whether something is there.
    ///
    /// # Errors
    /// It cannot be told, and why.
    fn has(&self, noun: Noun, name: &str) -> Result<bool, String>;
}

impl Names for World {
    fn denial(&self) -> &'static str {
        "the world has no"
    }

    fn has(&self, noun: Noun, name: &str) -> Result<bool, String> {
        Ok(match noun {
            Noun::Project => self.project_at(name).is_some(),
            Noun::Group => self.group_at(name).is_some(),
            Noun::User => self.user_named(name).is_some(),
        })
    }
}

/// Every name of something that is not there, where it stands. After the first that cannot be told none is asked for.
pub(super) fn unknown(one: &Written<'_>, names: &dyn Names) -> Vec<Finding> {
    let mut named = Vec::new();
    walk(one.node(), "", &mut |path, key, name| named.push((path.to_owned(), key.to_owned(), name.to_owned())));
    let mut findings = Vec::new();
    for (path, key, name) in named {
        let (noun, found) = match key.as_str() {
            "targets" | "origins" => ("project or group", is_there(&name, names)),
            "user" | "external_users" => ("user", names.has(Noun::User, &name)),
            _ => continue,
        };
        let mut finding = |weight, text| {
            findings.push(Finding { weight, line: one.line_of(&path), about: path.clone(), text });
        };
        match found {
            Ok(true) => {}
            Ok(false) => finding(Weight::Warning, format!("{} {noun} `{name}`", names.denial())),
            Err(why) => {
                finding(Weight::Unseen, format!("whether there is a {noun} `{name}`, and the names behind it: {why}"));
                break;
            }
        }
    }
    findings
}

/// Every text with its path and the nearest key above it.
fn walk(node: &Node, path: &str, found: &mut dyn FnMut(&str, &str, &str)) {
    for (key, _, value) in node.entries() {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some(text) = value.text() {
            found(&below, key, text);
        }
        for (at, item) in value.items().enumerate() {
            let below = format!("{below}[{at}]");
            match item.text() {
                Some(text) => found(&below, key, text),
                None => walk(item, &below, found),
            }
        }
        walk(value, &below, found);
    }
}

/// Whether a name of projects, `apps/web`, `apps/**` or `**`, holds one.
fn is_there(name: &str, names: &dyn Names) -> Result<bool, String> {
    let name = name.trim_start_matches('!');
    match name.strip_suffix("**") {
        Some("") => Ok(true),
        Some(group) => names.has(Noun::Group, group.trim_end_matches('/')),
        None => names.has(Noun::Project, name),
    }
}
