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
        !self.keys.is_empty() && keys_of(path).any(|key| self.has(key))
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

/// The mark of a name that takes projects out of a list.
const BUT: char = '!';

/// A set of projects, less those of names behind a `!`, wherever these stand in the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    some: Projects,
    but: Projects,
}

impl Selection {
    /// The set of some names; `None` when one of them is no name of projects.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (but, some): (Vec<&str>, Vec<&str>) = names.partition(|name| name.starts_with(BUT));
        let but = but.into_iter().filter_map(|name| name.strip_prefix(BUT));
        Some(Self { some: Projects::of(some.into_iter())?, but: Projects::of(but)? })
    }

    /// Whether a project is in the set.
    #[must_use]
    pub fn hold(&self, path: &ProjectPath) -> bool {
        self.some.hold(path) && !self.but.hold(path)
    }

    /// Whether no name puts anything in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.some.keys.is_empty()
    }

    /// Whether every project is in it but for those that are taken out.
    #[must_use]
    pub fn names_all(&self) -> bool {
        self.some.has("")
    }

    /// Names behind a `!` that take nothing out.
    pub(super) fn idle(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let overlaps = |but: &str| {
            let above = but.match_indices('/').filter_map(|(at, _)| but.get(..=at));
            let is_within = once("").chain(above).chain(once(but)).any(|key| self.some.has(key));
            is_within || (but.is_empty() || but.ends_with('/')) && self.some.keys.iter().any(|key| key.starts_with(but))
        };
        let idle = self.but.keys.iter().filter(move |but| !overlaps(but));
        idle.map(|key| {
            if key.is_empty() || key.ends_with('/') { Cow::Owned([key, "**"].concat()) } else { Cow::Borrowed(&**key) }
        })
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
    let slashes = path.bytes().enumerate().filter(|(_, b)| *b == b'/');
    once("").chain(slashes.filter_map(move |(at, _)| path.get(..=at))).chain(once(path))
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
    fn what_stands_behind_a_mark_is_taken_out_wherever_it_stands() {
        let of = |names: &[&str]| Selection::of(names.iter().copied());
        for names in [["apps/**", "!apps/legacy/**", "!apps/old"], ["!apps/old", "!Apps/Legacy/**", "apps/**"]] {
            let some = of(&names).unwrap();
            for (name, is_in) in [
                ("apps/web", true),
                ("apps/old", false),
                ("apps/older", true),
                ("apps/legacy/x/y", false),
                ("libs/x", false),
            ] {
                assert_eq!(some.hold(&path(name)), is_in, "{name}");
            }
            assert!(!some.is_empty() && !some.names_all() && some.idle().next().is_none());
        }
        // A name that is let in again stays out: the order of a list means nothing.
        assert!(!of(&["**", "!apps/**", "apps/web"]).unwrap().hold(&path("apps/web")));
        assert!(of(&["!apps/web"]).unwrap().is_empty());
        let idle = of(&["apps/**", "libs/x", "!libs/**", "!infra/**", "!infra/y", "!apps/z"]).unwrap();
        assert_eq!(idle.idle().collect::<Vec<_>>(), ["infra/**", "infra/y"]);
        for bad in ["!", "!!apps/web", "! apps/web", "!apps", "apps/!web"] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
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
