//! A group, or another namespace, of the forge.

use alloc::string::String;
use core::fmt;

use super::path::{PATH_LIMIT, segment_is_sound, segments};

/// The number the forge knows a group by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// A group's full path, `group/subgroup`, ASCII case folded. A user's namespace is spelled alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupPath(String);

impl GroupPath {
    /// Parses a full path: one to twenty segments of a project's path. At most 255 bytes.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let depth = segments(path).count();
        let sound = path.len() <= PATH_LIMIT && (1..=20).contains(&depth) && segments(path).all(segment_is_sound);
        sound.then(|| Self(path.to_ascii_lowercase()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a group is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupRef {
    /// By its full path.
    Path(GroupPath),
    /// By its full path, as packages name it: it may be a user's namespace too, of which nothing is looked up.
    Namespace(GroupPath),
    /// By its number.
    Id(GroupId),
}

impl fmt::Display for GroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_folded_and_checked() {
        assert_eq!(GroupPath::parse("Apps").unwrap().as_str(), "apps");
        assert_eq!(GroupPath::parse("Apps/Team").unwrap().as_str(), "apps/team");
        assert!(GroupPath::parse(&["g"; 20].join("/")).is_some());
        let deep = ["g"; 21].join("/");
        let long = "g".repeat(256);
        for bad in ["", "/g", "g/", "g//s", "g/..", "-g", "g.git", "g s", "@g", &deep, &long] {
            assert_eq!(GroupPath::parse(bad), None, "{bad}");
        }
    }
}
