//! Projects and users that a configuration names and a world does not have.

use world::World;

use super::{Finding, Weight};
use crate::finding::Written;
use crate::marked::Node;

/// Every such name, where it stands.
pub(super) fn unknown(one: &Written<'_>, world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(one.node(), "", &mut |path, key, name| {
        let noun = match key {
            "targets" | "origins" if !is_there(name, world) => "project or group",
            "user" | "external_users" if world.user_named(name).is_none() => "user",
            _ => return,
        };
        let text = format!("the world has no {noun} `{name}`");
        findings.push(Finding { weight: Weight::Warning, line: one.line_of(path), about: path.to_owned(), text });
    });
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
fn is_there(name: &str, world: &World) -> bool {
    let name = name.trim_start_matches('!');
    match name.strip_suffix("**") {
        Some("") => true,
        Some(group) => world.group_at(group.trim_end_matches('/')).is_some(),
        None => world.project_at(name).is_some(),
    }
}
