//! Who follows the list of ended jobs, for all workers of a proxy, and how far it has come.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Moment;
use super::row::{Reader, Writer};

/// How long a follower counts as alive after its last sign.
const LEASE: Duration = Duration::from_secs(10);

/// The bytes of a key, which nothing here has, and of a follower.
const SIZE: usize = 32 + 8 + 8 + 1 + 1 + Cursor::LIMIT;

/// A place in the list of changes. What it says is the service's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The longest one.
    pub const LIMIT: usize = 128;

    /// A cursor that can be kept, and sent as it is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        ((1..=Self::LIMIT).contains(&text.len()) && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// The cursor as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The one who follows the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    id: u64,
    until: Moment,
    /// How far it has come.
    pub cursor: Option<Cursor>,
}

impl Follower {
    /// What `id` has to write to follow, or to go on following; `None` while another does. A new one goes on from where
    /// the last one came.
    #[must_use]
    pub fn next(known: Option<Self>, id: u64, now: Moment) -> Option<Self> {
        let cursor = match known {
            Some(known) if known.id != id && now < known.until && known.until <= now.after(LEASE) => return None,
            Some(known) => known.cursor,
            None => None,
        };
        Some(Self { id, until: now.after(LEASE), cursor })
    }

    /// The same, further on.
    #[must_use]
    pub fn at(self, cursor: Option<Cursor>) -> Self {
        Self { cursor, ..self }
    }

    /// The same, whom anybody may follow upon.
    #[must_use]
    pub fn retired(self, now: Moment) -> Self {
        Self { until: now, ..self }
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(SIZE, crate::facts::Hash([0; 32]));
        writer.number(self.id);
        writer.number(self.until.0);
        writer.known_text(self.cursor.as_ref().map(Cursor::as_str), Cursor::LIMIT)?;
        writer.finish()
    }

    /// Reads what was kept; `None` for bytes that no follower wrote.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.key()?;
        let (id, until) = (reader.number()?, Moment(reader.number()?));
        let cursor = match reader.known_text()? {
            Some(text) => Some(Cursor::parse(text)?),
            None => None,
        };
        Some(Self { id, until, cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_follows_until_it_gives_no_sign_and_the_next_goes_on_from_there() {
        let at = |seconds: u64| Moment(seconds * 1000);
        let first = Follower::next(None, 1, at(0)).unwrap().at(Cursor::parse("c-7"));
        assert_eq!(Follower::next(Some(first.clone()), 2, at(9)), None);
        let first = Follower::next(Some(first), 1, at(9)).unwrap();
        assert_eq!(Follower::next(Some(first.clone()), 2, at(18)), None);
        let second = Follower::next(Some(first.clone()), 2, at(19)).unwrap();
        assert_eq!(second.cursor, first.cursor);
        assert_eq!(Follower::next(Some(second.clone()), 1, at(20)), None);
        let third = Follower::next(Some(second.retired(at(20))), 1, at(20)).unwrap();
        assert_eq!(third.cursor, first.cursor);
        assert!(Follower::next(Some(first), 2, at(8)).is_some(), "a clock that went back holds nobody up");
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for cursor in [None, Cursor::parse(&"c".repeat(Cursor::LIMIT))] {
            let follower = Follower { id: u64::MAX, until: Moment(5), cursor };
            assert_eq!(Follower::read(&follower.write().unwrap()), Some(follower));
        }
        assert_eq!(Follower::read(b""), None);
        assert_eq!(Follower::read(&[7; 99]), None);
    }
}
