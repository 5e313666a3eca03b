//! A set of projects, as a configuration names them: `apps/web`, `apps/**` for all below a group, `**` for all.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::facts::ProjectPath;

/// A set of projects. Asking it costs a search for each segment of a path, however many it names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Projects {
    all: bool,
    /// Full paths, sorted.
    exact: Vec<Box<str>>,
    /// Full paths of groups, sorted.
    groups: Vec<Box<str>>,
}

impl Projects {
    /// The set of some names; `None` when one of them is no name of projects.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut set = Self::default();
        for name in names {
            match name.strip_suffix("/**") {
                _ if name == "**" => set.all = true,
                // A group's path is that of a project in it, without the project.
                Some(group) => set.groups.push(group_path(group)?),
                None => set.exact.push(ProjectPath::parse(name)?.as_str().into()),
            }
        }
        set.exact.sort_unstable();
        set.groups.sort_unstable();
        Some(set)
    }

    /// Whether a project is in the set.
    #[must_use]
    pub fn hold(&self, path: &ProjectPath) -> bool {
        let has = |sorted: &[Box<str>], name: &str| sorted.binary_search_by(|known| (**known).cmp(name)).is_ok();
        self.all || has(&self.exact, path.as_str()) || path.groups().any(|group| has(&self.groups, group))
    }

    /// Whether a project is named by its own path.
    #[must_use]
    pub fn name(&self, path: &ProjectPath) -> bool {
        self.exact.binary_search_by(|known| (**known).cmp(path.as_str())).is_ok()
    }
}

fn group_path(group: &str) -> Option<Box<str>> {
    let project = ProjectPath::parse(&[group, "p"].join("/"))?;
    let group = project.as_str().rsplit_once('/')?.0;
    Some(group.to_string().into_boxed_str())
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
    }

    #[test]
    fn what_names_no_projects_is_refused() {
        for bad in ["web", "apps/*", "/apps/web", "apps/web/", "*", "", "/**", "apps//**", "**/web", "apps/**/web"] {
            assert_eq!(Projects::of(core::iter::once(bad)), None, "{bad}");
        }
    }
}
