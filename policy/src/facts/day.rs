//! A day of the calendar, in UTC.

/// The days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u64);

/// The milliseconds of a day.
const MILLISECONDS: u64 = 24 * 3600 * 1000;

impl Day {
    /// Reads `2027-01-31`; `None` for what is no day from 1970 on.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |number: &&str| number.bytes().all(|b| b.is_ascii_digit());
        let mut numbers = text.splitn(3, '-').zip([4, 2, 2]);
        let mut number = || {
            let (number, length) = numbers.next()?;
            Some(number).filter(|number| number.len() == length).filter(digits)?.parse::<u64>().ok()
        };
        let (year, month, day) = (number()?, number()?, number()?);
        let mut lengths = lengths(year);
        let length = lengths.nth(usize::try_from(month.checked_sub(1)?).ok()?)?;
        if year < 1970 || !(1..=length).contains(&day) {
            return None;
        }
        let years: u64 = (1970..year).map(|year| self::lengths(year).sum::<u64>()).sum();
        let months: u64 = self::lengths(year).zip(1..month).map(|(length, _)| length).sum();
        years.checked_add(months)?.checked_add(day)?.checked_sub(1).map(Self)
    }

    /// The day of a time in milliseconds since 1970.
    #[must_use]
    pub fn of(milliseconds: u64) -> Self {
        Self(milliseconds.div_euclid(MILLISECONDS))
    }

    /// When it begins, in seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.saturating_mul(MILLISECONDS / 1000)
    }
}

/// The lengths of a year's months.
fn lengths(year: u64) -> impl Iterator<Item = u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_date_says_it() {
        // `date -u -d 2027-01-31 +%s`
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1972-02-29", 68_169_600),
            ("1999-12-31", 946_598_400),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2027-01-31", 1_801_353_600),
            ("2100-03-01", 4_107_542_400),
            ("9999-12-31", 253_402_214_400),
        ] {
            let day = Day::parse(text).unwrap();
            assert_eq!(day.seconds(), seconds, "{text}");
            assert_eq!(Day::of(seconds * 1000 + 86_399_999), day, "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "",
            "2027",
            "2027-01",
            "2027-1-31",
            "2027-13-01",
            "2027-00-01",
            "2027-02-29",
            "2100-02-29",
            "2027-04-31",
            "2027-01-00",
            "1969-12-31",
            "27-01-31",
            "2027-01-31T00:00:00Z",
            "+027-01-31",
            "2027-01-3x",
            "-027-01-31",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
