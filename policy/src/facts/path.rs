//! A project's full path.

use alloc::string::String;
use core::fmt;

/// A project's full path, `group/subgroup/project`, ASCII case folded: the forge finds projects without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectPath(String);

/// Longest full path the forge itself accepts (GitLab: `routes.path` is at most 255 characters).
pub const PATH_LIMIT: usize = 255;

impl ProjectPath {
    /// Parses a full path: two to twenty-one segments of `[A-Za-z0-9_.][A-Za-z0-9_.-]*`, none of which ends in `.git`
    /// or `.atom`, is a dot segment, or in a dot. At most 255 bytes.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        Self::is_sound(path).then(|| Self(path.to_ascii_lowercase()))
    }

    /// Whether a text is a full path.
    pub(crate) fn is_sound(path: &str) -> bool {
        let slashes = path.bytes().filter(|b| *b == b'/').count();
        path.len() <= PATH_LIMIT && (1..=20).contains(&slashes) && segments(path).all(segment_is_sound)
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment, which is what the forge's messages call the project.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The groups above it, nearest first.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        core::iter::successors(self.0.rsplit_once('/'), |(group, _)| group.rsplit_once('/')).map(|(group, _)| group)
    }

    /// Whether this project lies in `group` or in one of its descendants. `group` is a group's full path.
    #[must_use]
    pub fn is_below(&self, group: &str) -> bool {
        let Some((head, tail)) = self.0.split_at_checked(group.len()) else { return false };
        !group.is_empty() && head.eq_ignore_ascii_case(group) && tail.starts_with('/')
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands between the slashes of a path. A path is short: to go through it costs less than to set up a search.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    core::iter::from_fn(move || next_segment(&mut rest))
}

#[inline(never)]
fn next_segment<'a>(rest: &mut Option<&'a str>) -> Option<&'a str> {
    let path = (*rest)?;
    let (segment, behind) = match path.bytes().position(|b| b == b'/') {
        Some(at) => (path.get(..at)?, path.get(at.saturating_add(1)..)),
        None => (path, None),
    };
    *rest = behind;
    Some(segment)
}

/// Whether this may be one segment of a project's or a group's path.
pub(super) fn segment_is_sound(segment: &str) -> bool {
    let lower_ends = |suffix: &str| {
        segment
            .len()
            .checked_sub(suffix.len())
            .and_then(|at| segment.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    !segment.is_empty()
        && !segment.starts_with('-')
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && segment != "."
        && segment != ".."
        && !lower_ends(".git")
        && !lower_ends(".atom")
        && !segment.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_folded_and_checked() {
        assert_eq!(ProjectPath::parse("Apps/Web").unwrap().as_str(), "apps/web");
        for bad in [
            "web",
            "apps/",
            "/web",
            "apps//web",
            "apps/..",
            "apps/web.git",
            "apps/Web.GIT",
            "apps./web",
            "apps/web..",
            "a/b c",
            "-/web",
            "a/b\n",
        ] {
            assert_eq!(ProjectPath::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn segments_are_what_a_split_gives() {
        for path in ["", "/", "a", "a/b", "/a//b/", "\u{e9}/\u{2044}/x"] {
            assert!(segments(path).eq(path.split('/')), "{path}");
        }
    }

    #[test]
    fn the_nearest_group_comes_first() {
        let path = ProjectPath::parse("a/b/c").unwrap();
        assert!(path.groups().eq(["a/b", "a"]));
    }

    #[test]
    fn a_group_admits_whole_segments_only() {
        let path = ProjectPath::parse("apps/team/web").unwrap();
        assert!(path.is_below("apps") && path.is_below("Apps/Team"));
        for other in ["app", "apps/te", "apps/team/web", "", "team"] {
            assert!(!path.is_below(other), "{other}");
        }
    }
}
