//! The pull policies of a job's images: how a payload is read for them, and what it is with allowed ones.
//!
//! With `if-not-present` or `never` a runner starts what is on its machine and asks no registry, so that a job gets an
//! image that another job left there, and that it may not have. The list of policies is tried in its order, and runners
//! are content when one of it is among those that they allow; so whatever is not allowed is taken out of the list.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde_json::value::RawValue;

use super::payload::{members, place, value};
use crate::config::PullPolicy;

/// A payload that cannot be read whole: what its runner would read in it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unread;

/// The payload with allowed pull policies, and not a byte of it different besides. `None` where it has no others.
pub(super) fn narrowed(payload: &str, allowed: &[PullPolicy]) -> Result<Option<String>, Unread> {
    let mut edits = Vec::new();
    for image in images(payload).ok_or(Unread)? {
        edits.extend(edit(payload, image, allowed).ok_or(Unread)?);
    }
    edits.sort_unstable_by_key(|edit| edit.place.start);
    if edits.is_empty() { Ok(None) } else { edited(payload, &edits).map(Some).ok_or(Unread) }
}

/// The image of a job and those of its services. A job without an image has its runner's, with the runner's policy.
fn images(payload: &str) -> Option<Vec<&str>> {
    let [image, services] = members(payload, ["image", "services"])?;
    let services: Option<Vec<&RawValue>> = services.map_or(Some(None), value)?;
    let images = image.into_iter().chain(services.unwrap_or_default()).map(RawValue::get);
    Some(images.filter(|image| *image != "null").collect())
}

/// Text that takes the place of other text.
struct Edit {
    place: Range<usize>,
    text: String,
}

/// What an image needs, which is often nothing; the outer `None` where it cannot be read.
fn edit(payload: &str, image: &str, allowed: &[PullPolicy]) -> Option<Option<Edit>> {
    let [policies] = members(image, ["pull_policy"])?;
    let Some(chosen) = chosen(policies, allowed) else { return Some(None) };
    let list = list(&chosen);
    let edit = match policies {
        Some(policies) => Edit { place: place(payload, policies.get())?, text: list },
        None => {
            let inside = image.strip_prefix('{')?;
            let place = place(payload, inside)?;
            let comma = if inside.trim_start().starts_with('}') { "" } else { "," };
            let text = [r#""pull_policy":"#, &list, comma].concat();
            Edit { place: place.start..place.start, text }
        }
    };
    Some(Some(edit))
}

/// The policies that an image is to have, where those that it has are not all allowed. Without any it has those of its
/// runner, which nobody knows here.
fn chosen(policies: Option<&RawValue>, allowed: &[PullPolicy]) -> Option<Vec<PullPolicy>> {
    let asked: Vec<String> = policies.and_then(value).unwrap_or_default();
    let policies = asked.iter().filter_map(|name| PullPolicy::named(name));
    let kept: Vec<PullPolicy> = policies.filter(|policy| allowed.contains(policy)).collect();
    match (asked.len() == kept.len(), kept.is_empty()) {
        (true, false) => None,
        (false, false) => Some(kept),
        (_, true) => Some(allowed.first().copied().into_iter().collect()),
    }
}

fn list(policies: &[PullPolicy]) -> String {
    let names: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
    [r#"[""#, &names.join(r#"",""#), r#""]"#].concat()
}

/// A text with edits, which stand in their order and apart.
fn edited(text: &str, edits: &[Edit]) -> Option<String> {
    let mut new = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits {
        new.push_str(text.get(done..edit.place.start)?);
        new.push_str(&edit.text);
        done = edit.place.end;
    }
    new.push_str(text.get(done..)?);
    Some(new)
}

#[cfg(test)]
mod tests;
