//! A set of projects, as a configuration names them: `apps/web`, `apps/**` for all below a group, `**` for all.
//!
//! A name stands for a key: a project's path, a group's path and a slash, or nothing for all. A project is in what its
//! path begins with, up to a slash, and in itself.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter::once;

use crate::facts::ProjectPath;

/// A set of projects. Asking it costs a search for each segment of a path, however many it names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Projects {
    /// Sorted.
    keys: Vec<Box<str>>,
}

impl Projects {
    /// The set of some names; `None` when one of them is no name of projects.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let keys: Option<Vec<Box<str>>> = names.map(|name| Some(sound(spelled(name)?)?.into())).collect();
        let mut keys = keys?;
        keys.sort_unstable();
        Some(Self { keys })
    }

    /// Whether a project is in the set.
    #[must_use]
    pub fn hold(&self, path: &ProjectPath) -> bool {
        keys_of(path).any(|key| self.has(key))
    }

    /// Whether a project is named by its own path.
    #[must_use]
    pub fn name(&self, path: &ProjectPath) -> bool {
        self.has(path.as_str())
    }

    fn has(&self, key: &str) -> bool {
        self.keys.binary_search_by(|known| (**known).cmp(key)).is_ok()
    }
}

/// The key that a name is spelled for, before anybody checked and folded it.
pub(super) fn spelled(name: &str) -> Option<&str> {
    match name.strip_suffix("**") {
        Some(head) => (head.is_empty() || head.ends_with('/')).then_some(head),
        None => (!name.is_empty() && !name.ends_with('/')).then_some(name),
    }
}

/// A key as it is kept, ASCII case folded; `None` when no project can be in it.
pub(super) fn sound(key: &str) -> Option<Cow<'_, str>> {
    let is_sound = match key.strip_suffix('/') {
        None => key.is_empty() || ProjectPath::is_sound(key),
        // A group's path is that of a project in it, without the project.
        Some(_) => ProjectPath::is_sound(&[key, "p"].concat()),
    };
    let folded = |key: &str| key.bytes().all(|b| !b.is_ascii_uppercase());
    is_sound.then(|| if folded(key) { Cow::Borrowed(key) } else { Cow::Owned(key.to_ascii_lowercase()) })
}

/// Every key that a project is in.
pub(super) fn keys_of(path: &ProjectPath) -> impl Iterator<Item = &str> {
    let path = path.as_str();
    let groups = path.match_indices('/').filter_map(move |(at, _)| path.get(..=at));
    once("").chain(groups).chain(once(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> Projects {
        Projects::of(names.iter().copied()).unwrap()
    }

    fn path(path: &str) -> ProjectPath {
        ProjectPath::parse(path).unwrap()
    }

    #[test]
    fn a_project_is_named_by_itself_or_by_a_group_above_it() {
        let some = set(&["apps/web", "libs/**", "Apps/Team/**"]);
        for inside in ["apps/web", "Apps/Web", "libs/common", "libs/a/b/c", "apps/team/x"] {
            assert!(some.hold(&path(inside)), "{inside}");
        }
        for outside in ["apps/webs", "apps/web/x", "lib/common", "libsx/common", "apps/teams/x"] {
            assert!(!some.hold(&path(outside)), "{outside}");
        }
        assert!(set(&["**"]).hold(&path("a/b")));
        assert!(!set(&[]).hold(&path("a/b")));
        assert!(some.name(&path("Apps/Web")) && !some.name(&path("libs/common")), "by its own path");
    }

    #[test]
    fn what_names_no_projects_is_refused() {
        for bad in [
            "web",
            "apps/*",
            "/apps/web",
            "apps/web/",
            "*",
            "",
            "/**",
            "apps//**",
            "**/web",
            "apps/**/web",
            "apps**",
            "apps/",
        ] {
            assert_eq!(Projects::of(core::iter::once(bad)), None, "{bad}");
        }
    }
}
