//! Under which configuration facts were looked up. Tables are the same whatever the configuration, so that ends survive it;
//! what was looked up under another one is not found, or is looked up again before it serves.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Config;
use crate::facts::Hash;

/// Whom lookups ask, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inquiry {
    forge: Hash,
    all: Hash,
}

/// An [`Inquiry`] as a binding remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub(super) u64);

impl Inquiry {
    /// The one of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let forge =
            Hash::of(&[b"forge", config.lookup.authority.as_bytes(), config.forge.relative_url_root.as_bytes()]);
        let wanted: Vec<String> = config.facts.looked_up().map(String::from).collect();
        let wanted = format!("{:?} {wanted:?} {:?}", config.lookup.api, config.access.needs());
        Self { forge, all: Hash::of(&[&forge.0, wanted.as_bytes()]) }
    }

    /// Under which key a fact is remembered.
    #[must_use]
    pub fn fact(&self, key: &Hash) -> Hash {
        both(key, &self.all)
    }

    /// Under which key something of a job is remembered: its number is the forge's, whatever is looked up there.
    #[must_use]
    pub fn job(&self, key: &Hash) -> Hash {
        both(key, &self.forge)
    }

    /// As a binding remembers it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.all.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first)))
    }
}

/// A key for a key and what it is of. Both are hashes, so no two pairs meet.
fn both(key: &Hash, of: &Hash) -> Hash {
    let mut both = key.0;
    both.iter_mut().zip(of.0).for_each(|(byte, of)| *byte ^= of);
    Hash(both)
}
