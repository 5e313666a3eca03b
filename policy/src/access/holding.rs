//! What a group is asked for where no project is named: a package by its name, or all there are.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::facts::{GroupRef, Hash};

/// Something that projects of a group may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The group, whose descendants count.
    pub group: GroupRef,
    /// What is wanted of it.
    pub sought: Sought,
}

/// What is wanted of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sought {
    /// Whatever its projects hold: an index.
    Everything,
    /// What is its own and no project's: Gitea's packages. Whoever may read all of its projects may read that.
    Owned,
    /// A package.
    Package(Package),
    /// A file, by whose name it is a package's. A file may have been uploaded under another name.
    File(Package),
}

/// A package by its name, or by each name that the forge may read in the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Package {
    /// In which kind of registry.
    pub registry: Registry,
    names: Vec<String>,
}

/// A kind of package registry whose packages are asked of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Registry {
    /// PHP.
    Composer,
    /// Java.
    Maven,
    /// JavaScript.
    Npm,
    /// .NET.
    Nuget,
    /// Python.
    Pypi,
    /// Terraform modules.
    Terraform,
}

/// Shorter words than this the forge's search finds only as a whole name.
const SHORTEST_WORD: usize = 3;

/// What is longer is looked for by its beginning.
const LONGEST_WORD: usize = 255;

impl Registry {
    /// All of them, with their names in the forge's API.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Composer, "composer"),
        (Self::Maven, "maven"),
        (Self::Npm, "npm"),
        (Self::Nuget, "nuget"),
        (Self::Pypi, "pypi"),
        (Self::Terraform, "terraform_module"),
    ];

    /// Its name in the forge's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// A name as it is compared. More are alike here than some registries hold alike, and then all of them count.
    fn folded(self, name: &str) -> String {
        let lower = name.to_ascii_lowercase();
        if self != Self::Pypi {
            return lower;
        }
        // PEP 503: runs of these are one hyphen.
        let mut folded = String::with_capacity(lower.len());
        for letter in lower.chars() {
            match letter {
                '-' | '_' | '.' if folded.ends_with('-') => {}
                '-' | '_' | '.' => folded.push('-'),
                _ => folded.push(letter),
            }
        }
        folded
    }
}

impl Package {
    /// A package that has one of these names.
    #[must_use]
    pub fn new(registry: Registry, names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(|name| registry.folded(&name)).collect();
        names.sort_unstable();
        names.dedup();
        Self { registry, names }
    }

    /// The names, as they are compared.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a package of this name is meant.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.names.contains(&self.registry.folded(name))
    }

    /// A word that is part of every name that is meant, however it is spelled; `None` where there is none by which the
    /// forge's search would find them all.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        let is_of_all = |word: &&str| self.names.iter().all(|name| name.contains(*word));
        let is_word =
            |word: &&str| word.len() >= SHORTEST_WORD && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        let first = self.names.iter().min_by_key(|name| name.len())?;
        let parts = match self.registry {
            // Between the hyphens nothing is folded but case, which the search passes over.
            Registry::Pypi => first.split('-').collect(),
            Registry::Composer | Registry::Maven | Registry::Npm | Registry::Nuget | Registry::Terraform => {
                vec![first.as_str()]
            }
        };
        let words = parts.into_iter().filter(|word| is_word(word) && is_of_all(word));
        words.max_by_key(|word| word.len()).and_then(|word| word.get(..word.len().min(LONGEST_WORD)))
    }
}

impl Holding {
    /// A key that nothing else has that is sought.
    #[must_use]
    pub fn key(&self) -> Hash {
        let id;
        let group: [&[u8]; 2] = match &self.group {
            GroupRef::Path(path) | GroupRef::Namespace(path) => [b"path", path.as_str().as_bytes()],
            GroupRef::Id(number) => {
                id = number.0.to_be_bytes();
                [b"id", &id]
            }
        };
        let (kind, package): (&[u8], _) = match &self.sought {
            Sought::Everything => (b"everything", None),
            Sought::Owned => (b"owned", None),
            Sought::Package(package) => (b"package", Some(package)),
            Sought::File(package) => (b"file", Some(package)),
        };
        let registry = package.map_or(&b""[..], |package| package.registry.name().as_bytes());
        let names = package.map_or(&[][..], Package::names).iter().map(String::as_bytes);
        let fields: Vec<&[u8]> =
            [&b"holding"[..]].into_iter().chain(group).chain([kind, registry]).chain(names).collect();
        Hash::of(&fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{GroupId, GroupPath};
    use alloc::borrow::ToOwned;
    use std::collections::HashSet;

    fn package(registry: Registry, names: &[&str]) -> Package {
        Package::new(registry, names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_name_is_compared_as_its_registry_does_or_more_generously() {
        let python = package(Registry::Pypi, &["My_.Tool"]);
        assert!(["my-tool", "my.tool", "MY--tool", "my_tool"].iter().all(|name| python.is_named(name)));
        assert!(!python.is_named("mytool") && !python.is_named("my-tool-2"));
        for (registry, _) in Registry::ALL {
            assert!(package(registry, &["Tool"]).is_named("tOOL"), "{registry:?}");
            assert!(!package(registry, &["tool"]).is_named("tools"), "{registry:?}");
        }
        assert!(!package(Registry::Npm, &["my-tool"]).is_named("my_tool"));
    }

    #[test]
    fn the_search_finds_every_spelling_of_every_name() {
        let word = |registry, names: &[&str]| package(registry, names).word().map(ToOwned::to_owned);
        let found = |word: &str| Some(word.to_owned());
        assert_eq!(word(Registry::Npm, &["@Libs/tool"]), found("@libs/tool"));
        assert_eq!(word(Registry::Maven, &["com/example/app/1.0", "com/example/app"]), found("com/example/app"));
        assert_eq!(word(Registry::Pypi, &["my_longer.tool"]), found("longer"));
        assert_eq!(word(Registry::Pypi, &["tool-kit", "tool"]), found("tool"));
        assert_eq!(word(Registry::Npm, &[&"n".repeat(10_000)]), found(&"n".repeat(255)));
        // The forge looks for a short word as for a whole name.
        for (registry, names) in [
            (Registry::Pypi, &["a-b"][..]),
            (Registry::Maven, &["ab/1", "ab"]),
            (Registry::Npm, &["two words"]),
            (Registry::Npm, &["\"quoted\""]),
            (Registry::Nuget, &["tool", "other"]),
        ] {
            assert_eq!(word(registry, names), None, "{names:?}");
        }
    }

    #[test]
    fn what_is_sought_has_a_key_of_its_own() {
        let groups = [GroupRef::Path(GroupPath::parse("libs").unwrap()), GroupRef::Id(GroupId(7))];
        let mut all = Vec::new();
        for group in groups {
            all.push(Holding { group: group.clone(), sought: Sought::Everything });
            all.push(Holding { group: group.clone(), sought: Sought::Owned });
            for (registry, _) in Registry::ALL {
                for names in [&["tool"][..], &["tool", "kit"], &["tools"]] {
                    for sought in [Sought::Package, Sought::File] {
                        let sought = sought(package(registry, names));
                        all.push(Holding { group: group.clone(), sought });
                    }
                }
            }
        }
        let keys: HashSet<[u8; 32]> = all.iter().map(|one| one.key().0).collect();
        assert_eq!(keys.len(), all.len());
    }
}
