//! What one worker of a proxy asks for all of them, and asks again: which version the forge is, and when the service
//! account's token expires.

use alloc::vec::Vec;
use core::time::Duration;

use super::Moment;
use super::row::{Reader, Writer};
use crate::facts::{Day, Hash, Version};

/// How long nobody else asks where one has asked.
const ASKED: Duration = Duration::from_secs(30);

/// The bytes of a key, which nothing here has, and of what was learned.
const SIZE: usize = 32 + 8 + 8 + 1 + 8 + 8;

/// Something that the forge is asked for.
pub trait Told: Copy {
    /// What it is called in shared data.
    const NAME: &'static str;

    /// How long it is believed.
    const BELIEVED: Duration;

    /// As two numbers.
    fn numbers(self) -> [u64; 2];

    /// Of two numbers; `None` where nothing was written so.
    fn of_numbers(numbers: [u64; 2]) -> Option<Self>;
}

impl Told for Version {
    const NAME: &'static str = "release";

    /// Until then an endpoint that an upgrade brought is refused.
    const BELIEVED: Duration = Duration::from_secs(10 * 60);

    fn numbers(self) -> [u64; 2] {
        [u64::from(self.0), u64::from(self.1)]
    }

    fn of_numbers([major, minor]: [u64; 2]) -> Option<Self> {
        Some(Self(u16::try_from(major).ok()?, u16::try_from(minor).ok()?))
    }
}

/// When the service account's token expires; none where it does not, or the forge does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(pub Option<Day>);

impl Told for Expiry {
    const NAME: &'static str = "expiry";

    /// Until then another token, which may last longer, is not noticed.
    const BELIEVED: Duration = Duration::from_secs(3600);

    fn numbers(self) -> [u64; 2] {
        [u64::from(self.0.is_some()), self.0.map_or(0, |day| day.0)]
    }

    fn of_numbers([has_end, day]: [u64; 2]) -> Option<Self> {
        Some(Self((has_end == 1).then_some(Day(day))))
    }
}

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned<T> {
    /// What was told last. It serves while nobody tells anything else.
    pub told: Option<T>,
    /// Until when it is believed.
    until: Moment,
    /// Until when nobody asks again.
    asked: Moment,
}

impl<T: Told> Learned<T> {
    /// What to write for who asks now; `None` while nobody need ask.
    #[must_use]
    pub fn due(known: Option<Self>, now: Moment) -> Option<Self> {
        let Some(known) = known else { return Some(Self { told: None, until: now, asked: now.after(ASKED) }) };
        let is_due = known.until.has_come(T::BELIEVED, now) && known.asked.has_come(ASKED, now);
        is_due.then_some(Self { asked: now.after(ASKED), ..known })
    }

    /// This was told now.
    #[must_use]
    pub fn told(told: T, now: Moment) -> Self {
        Self { told: Some(told), until: now.after(T::BELIEVED), asked: now }
    }

    /// The day on which it was told; none where nothing was.
    #[must_use]
    pub fn day(&self) -> Option<Day> {
        let believed = u64::try_from(T::BELIEVED.as_millis()).ok()?;
        self.told.and(self.until.0.checked_sub(believed)).map(Day::of)
    }

    /// The bytes to be kept.
    #[must_use]
    pub fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(SIZE, Hash([0; 32]));
        writer.number(self.until.0);
        writer.number(self.asked.0);
        writer.byte(u8::from(self.told.is_some()));
        self.told.map_or([0; 2], Told::numbers).into_iter().for_each(|number| writer.number(number));
        writer.finish()
    }

    /// Reads what was kept; `None` for bytes that nothing here wrote.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.key()?;
        let (until, asked) = (Moment(reader.number()?), Moment(reader.number()?));
        let is_known = reader.byte()? == 1;
        let told = T::of_numbers([reader.number()?, reader.number()?])?;
        Some(Self { told: is_known.then_some(told), until, asked })
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
        let asks = Learned::<Version>::due(None, at(0)).unwrap();
        assert_eq!((asks.told, Learned::due(Some(asks), at(29))), (None, None));
        assert_eq!(Learned::due(Some(asks), at(30)).unwrap().told, None, "nobody answered");
        let told = Learned::told(Version(18, 8), at(31));
        assert_eq!(Learned::due(Some(told), at(630)), None);
        let again = Learned::due(Some(told), at(631)).unwrap();
        assert_eq!((again.told, Learned::due(Some(again), at(660))), (told.told, None), "the last one serves");
        assert!(Learned::due(Some(again), at(661)).is_some());
        assert!(Learned::due(Some(told), Moment(0)).is_some(), "a clock that went back holds nobody up");
    }

    #[test]
    fn it_is_known_on_which_day_it_was_told() {
        let (last, first) = (Moment(86_400_000 * 7 - 1), Moment(86_400_000 * 7));
        assert_eq!([last, first].map(|now| Learned::told(Expiry(None), now).day()), [Some(Day(6)), Some(Day(7))]);
        let asks = Learned::due(Some(Learned::told(Expiry(None), last)), last.after(Expiry::BELIEVED)).unwrap();
        assert_eq!(asks.day(), Some(Day(6)), "to ask again changes nothing");
        assert_eq!(Learned::<Expiry>::due(None, first).unwrap().day(), None);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for learned in [Learned::told(Version(18, 11), at(5)), Learned::due(None, at(6)).unwrap()] {
            assert_eq!(Learned::read(&learned.write().unwrap()), Some(learned));
        }
        for expiry in [Expiry(None), Expiry(Some(Day(20_000)))] {
            let learned = Learned::told(expiry, at(7));
            assert_eq!(Learned::read(&learned.write().unwrap()), Some(learned));
        }
        assert_eq!(Learned::<Version>::read(b""), None);
        assert_eq!(Learned::<Version>::read(&[7; 99]), None);
    }
}
