//! A credential that the forge made from a job's token, under its own hash; and one that it made for somebody else, where
//! nothing but this tells the two apart.

use alloc::vec::Vec;

use super::row::{Reader, Writer};
use super::{Moment, Row};
use crate::config::Bindings;
use crate::facts::Hash;

/// What is remembered of a credential that the forge made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The hash of what is signed of it.
    pub key: Hash,
    /// The hash of the job's token that it was made from; `None` where it is no job's.
    pub parent: Option<Hash>,
    /// When the forge itself no longer takes it.
    pub until: Moment,
}

impl Row for Minted {
    const TABLE: &'static str = "minted";
    const SIZE: usize = 73;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(Self::SIZE, self.key);
        writer.number(self.until.0);
        writer.byte(u8::from(self.parent.is_some()));
        if let Some(parent) = self.parent {
            writer.key(parent);
        }
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (key, until) = (reader.key()?, Moment(reader.number()?));
        let parent = match reader.byte()? {
            0 => None,
            1 => Some(reader.key()?),
            _ => return None,
        };
        Some(Self { key, parent, until })
    }

    /// What the forge no longer takes goes first, then what it soon will not; and what is no job's pushes out nothing that
    /// is.
    fn rank(&self, _: &Bindings, now: Moment) -> (u8, u64) {
        let kind = match (self.until > now, self.parent) {
            (false, _) => 0,
            (true, None) => 1,
            (true, Some(_)) => 2,
        };
        (kind, self.until.0)
    }

    /// What was made from a job's token stays that.
    fn over(self, old: Self) -> Self {
        Self { parent: self.parent.or(old.parent), ..self }
    }
}
