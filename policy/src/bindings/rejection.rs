//! A token that no running job has. Kept apart from bindings, so that junk never pushes a living one out.

use core::time::Duration;

use super::row::{Reader, Writer, place};
use super::{Moment, Row};
use crate::config::Bindings;
use crate::facts::{Hash, Invalid};

/// How long a "no" is believed. Short: the forge may have been asked before the job was there to be found.
const BELIEVED: Duration = Duration::from_secs(5);

/// How long a token is believed to be no job's. Longer: what is somebody's credential does not become a job's.
const FOREIGN_BELIEVED: Duration = Duration::from_secs(60);

/// What is remembered of a token that is not a running job's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The token's hash.
    pub key: Hash,
    /// What the lookup said.
    pub invalid: Invalid,
    /// When it said so.
    pub confirmed: Moment,
}

impl Rejection {
    /// Whether it is still believed.
    #[must_use]
    pub fn serves(&self, now: Moment) -> bool {
        let believed = match self.invalid {
            Invalid::Foreign => FOREIGN_BELIEVED,
            Invalid::Unknown
            | Invalid::NotStarted
            | Invalid::Erased
            | Invalid::ProjectGone
            | Invalid::UserBlocked
            | Invalid::UserDeactivated
            | Invalid::UserRefused => BELIEVED,
        };
        now.since(self.confirmed) < believed
    }
}

impl Row for Rejection {
    const TABLE: &'static str = "rejection";
    const SIZE: usize = 48;

    fn rows(capacity: u32) -> u32 {
        capacity / 4
    }

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.confirmed.0);
        writer.byte(place(Invalid::ALL.iter().map(|(invalid, _)| *invalid), &self.invalid)?);
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let confirmed = Moment(reader.number()?);
        let invalid = Invalid::ALL.get(usize::from(reader.byte()?))?.0;
        Some(Self { key, invalid, confirmed })
    }

    fn rank(&self, _: &Bindings, _: Moment) -> (u8, u64) {
        (0, self.confirmed.0)
    }

    fn seen(self, now: Moment) -> Self {
        Self { confirmed: self.confirmed.seen(now), ..self }
    }

    /// The newer of two answers stands, whichever came last.
    fn over(self, old: Self) -> Self {
        if old.confirmed > self.confirmed { old } else { self }
    }
}
