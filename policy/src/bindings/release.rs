//! Which version the forge is, for all workers of a proxy: one of them asks, and asks again.

use alloc::vec::Vec;
use core::time::Duration;

use super::Moment;
use super::row::{Reader, Writer};
use crate::facts::{Hash, Version};

/// How long a version is believed: until then an endpoint that an upgrade brought is refused.
const BELIEVED: Duration = Duration::from_secs(10 * 60);

/// How long nobody else asks where one has asked.
const ASKED: Duration = Duration::from_secs(30);

/// The bytes of a key, which nothing here has, and of a release.
const SIZE: usize = 32 + 8 + 8 + 1 + 8 + 8;

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The last version that was told. It serves while nobody tells another.
    pub version: Option<Version>,
    /// Until when it is believed.
    until: Moment,
    /// Until when nobody asks again.
    asked: Moment,
}

impl Release {
    /// What to write for who asks now; `None` while nobody need ask.
    #[must_use]
    pub fn due(known: Option<Self>, now: Moment) -> Option<Self> {
        let Some(known) = known else { return Some(Self { version: None, until: now, asked: now.after(ASKED) }) };
        let is_due = known.until.has_come(BELIEVED, now) && known.asked.has_come(ASKED, now);
        is_due.then_some(Self { asked: now.after(ASKED), ..known })
    }

    /// This version was told now.
    #[must_use]
    pub fn told(version: Version, now: Moment) -> Self {
        Self { version: Some(version), until: now.after(BELIEVED), asked: now }
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(SIZE, Hash([0; 32]));
        writer.number(self.until.0);
        writer.number(self.asked.0);
        writer.byte(u8::from(self.version.is_some()));
        let Version(major, minor) = self.version.unwrap_or(Version(0, 0));
        writer.number(u64::from(major));
        writer.number(u64::from(minor));
        writer.finish()
    }

    /// Reads what was kept; `None` for bytes that no release wrote.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.key()?;
        let (until, asked) = (Moment(reader.number()?), Moment(reader.number()?));
        let is_known = reader.byte()? == 1;
        let mut number = || u16::try_from(reader.number()?).ok();
        let version = Version(number()?, number()?);
        Some(Self { version: is_known.then_some(version), until, asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(1_000_000 + seconds * 1000)
    }

    #[test]
    fn one_asks_and_again_when_the_answer_is_lost_or_old() {
        let asks = Release::due(None, at(0)).unwrap();
        assert_eq!((asks.version, Release::due(Some(asks), at(29))), (None, None));
        assert_eq!(Release::due(Some(asks), at(30)).unwrap().version, None, "nobody answered");
        let told = Release::told(Version(18, 8), at(31));
        assert_eq!(Release::due(Some(told), at(630)), None);
        let again = Release::due(Some(told), at(631)).unwrap();
        assert_eq!((again.version, Release::due(Some(again), at(660))), (told.version, None), "the last one serves");
        assert!(Release::due(Some(again), at(661)).is_some());
        assert!(Release::due(Some(told), Moment(0)).is_some(), "a clock that went back holds nobody up");
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for release in [Release::told(Version(18, 11), at(5)), Release::due(None, at(6)).unwrap()] {
            assert_eq!(Release::read(&release.write().unwrap()), Some(release));
        }
        assert_eq!(Release::read(b""), None);
        assert_eq!(Release::read(&[7; 99]), None);
    }
}
