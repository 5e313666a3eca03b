//! A target that is not there. Kept apart from those that are: a job can ask for any number of such targets, and pushes
//! nobody's real ones out.

use core::time::Duration;

use super::row::{Reader, Writer};
use super::{Moment, Row};
use crate::config::Bindings;
use crate::facts::Hash;

/// How long a target is believed not to be there. Short: it may be created at any time.
const BELIEVED: Duration = Duration::from_secs(5);

/// What is remembered of a target that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The key of the fact.
    pub key: Hash,
    /// When a lookup said so.
    pub confirmed: Moment,
}

impl Missing {
    /// Whether it is still believed.
    #[must_use]
    pub fn serves(&self, now: Moment) -> bool {
        now.since(self.confirmed) < BELIEVED
    }
}

impl Row for Missing {
    const TABLE: &'static str = "missing";
    const SIZE: usize = 40;

    fn rows(capacity: u32) -> u32 {
        capacity / 4
    }

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.confirmed.0);
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { key, confirmed: Moment(reader.number()?) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{find, put, tests::config};

    #[test]
    fn what_is_not_there_is_believed_for_a_few_seconds_and_not_after_the_clock_was_set_back() {
        let row = Missing { key: Hash::of(&[b"target"]), confirmed: Moment(10_000) };
        let bucket = put(&[], row, &config(), Moment(10_000)).unwrap();
        assert_eq!(find::<Missing>(&bucket, &row.key, Moment(10_000)), Some(row));
        // The clocks of two workers may differ by a second.
        for (now, serves) in [(10_000, true), (14_999, true), (15_000, false), (9_000, true), (8_999, false)] {
            let now = Moment(now);
            assert_eq!(find::<Missing>(&bucket, &row.key, now).unwrap().serves(now), serves, "{now:?}");
        }
    }
}
