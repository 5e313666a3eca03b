//! The API of Gitea and Forgejo: which endpoint a path is, and whose.
//!
//! Their router takes away slashes at the end and repeated ones, and some versions undo encoded ones before they look for a
//! route, and others behind it. So none of these is read, but for one slash behind what a package registry is asked, and an encoded
//! one in the name of an npm package: all below a registry is its owner's.

mod table;

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::api::{Route, check_value};
use super::malformed::Malformed;
use super::{git, path, registry};
use crate::access::{Access, Action, Holding, Sought, TargetRef};
use crate::choices::Kind;
use crate::facts::{GroupPath, GroupRef};
use crate::pattern;
use table::{Family, ON_WEB};

pub use table::{GITEA, REGISTRIES};

/// Below which a job's own artifacts are asked for, with the token of its runtime. The forge answers for no other run's.
pub(super) const ARTIFACTS: &str = "/twirp/github.actions.results.api.v1.ArtifactService/";

/// What no repository's name ends in, since pages and other repositories do.
const SUFFIXES: [&str; 4] = [".atom", ".git", ".rss", ".wiki"];

/// Whether a project's path is an owner's and a repository's name.
pub(super) fn has_two_names(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.split('/').count() == 2 && !SUFFIXES.iter().any(|suffix| lower.ends_with(suffix))
}

/// Reads a path that begins with `/api/` or as those of artifacts do.
pub(super) fn read(method: &[u8], path: &str) -> Result<Route, Malformed> {
    if let Some(registry) = path.strip_prefix("/api/packages/") {
        return in_registry(method, registry);
    }
    let own = |action| Access::new(action, TargetRef::Own);
    let segments = path::segments(path)?;
    let access = match segments.as_slice() {
        ["twirp", _, _] if method == b"POST" => own(Action::UploadArtifact),
        ["api", "actions_pipeline", "_apis", "pipelines", "workflows", _, "artifacts", ..] => {
            own(if is_read(method) { Action::ReadOwnJob } else { Action::UploadArtifact })
        }
        ["api", "v1", "version"] if is_read(method) => Access::new(Action::ReadPublic, TargetRef::None),
        // A search over all repositories.
        ["api", "v1", "repos", "issues", "search"] => Access::new(Action::Unlisted, TargetRef::None),
        ["api", "v1", "repos", owner, name, rest @ ..] => {
            Access::new(action(GITEA, method, rest), repository(owner, name)?)
        }
        ["api", "v1", "packages", owner, ..] => {
            let action = if is_read(method) { Action::ReadPackages } else { Action::Unlisted };
            Access::new(action, owned(owner)?)
        }
        _ => return Ok(Route::unlisted(TargetRef::None)),
    };
    Ok(Route::of(access))
}

/// Reads what is asked of a package registry. Packages are their owner's and no repository's.
fn in_registry(method: &[u8], path: &str) -> Result<Route, Malformed> {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = bare.split('/').collect();
    let [owner, kind, rest @ ..] = segments.as_slice() else { return Ok(Route::unlisted(TargetRef::None)) };
    if path::has_encoded_slash(bare) && (*kind != "npm" || path::has_encoded_slash(owner)) {
        return Err(Malformed::EncodedSlash);
    }
    rest.iter().try_for_each(|segment| check_value(segment))?;
    // Modules of whatever owner.
    if *owner == "go" {
        return Ok(Route::unlisted(TargetRef::None));
    }
    let registry = REGISTRIES.iter().find(|(name, _)| name == kind).filter(|_| is_read(method));
    Ok(Route::of(Access::new(registry.map_or(Action::Unlisted, |(_, action)| *action), owned(owner)?)))
}

/// What a path outside the API asks, where a job's token is for it.
pub(super) fn on_web(method: &[u8], path: &str) -> Result<Option<Access>, Malformed> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let [owner, name, rest @ ..] = segments.as_slice() else { return Ok(None) };
    let action = action(ON_WEB, method, rest);
    if action == Action::Unlisted {
        return Ok(None);
    }
    path::check_segments(path)?;
    Ok(Some(Access::new(action, repository(owner, name)?)))
}

/// What is asked with this behind a repository.
fn action(families: &[Family], method: &[u8], rest: &[&str]) -> Action {
    let method = if method == b"HEAD" { b"GET" } else { method };
    let covers = |family: &&Family| {
        family.method.as_bytes() == method && family.paths.iter().any(|path| pattern::fit(path.parts(), rest).is_some())
    };
    families.iter().find(covers).map_or(Action::Unlisted, |family| family.action)
}

fn is_read(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD")
}

/// Whose an image is: its name begins with its owner's. Which repository it is linked to is said nowhere in a request.
pub(super) fn image(name: &str) -> Result<TargetRef, Malformed> {
    let owner = name.split_once('/').filter(|_| registry::is_name(name)).map(|(owner, _)| owner);
    owned(owner.ok_or(Malformed::RegistryName)?)
}

fn repository(owner: &str, name: &str) -> Result<TargetRef, Malformed> {
    git::project(Kind::Gitea, &alloc::format!("{owner}/{name}")).map(TargetRef::Path)
}

/// What is an owner's. It is asked of all of its repositories.
fn owned(owner: &str) -> Result<TargetRef, Malformed> {
    let owner = GroupPath::parse(owner).filter(|_| !owner.contains('%')).ok_or(Malformed::ProjectPath)?;
    Ok(TargetRef::Held(Arc::new(Holding { group: GroupRef::Path(owner), sought: Sought::Owned })))
}
