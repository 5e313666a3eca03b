//! A forge that answers 429 wants to be left alone for a while.

use core::time::Duration;

/// How long it is where the forge does not say.
const USUAL: Duration = Duration::from_secs(2);

/// The longest time that it is left alone, whatever it says.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// For how long nothing more is asked after an answer with this status, and this in its `Retry-After`; `None` where the
/// answer does not say so.
#[must_use]
pub fn pause(status: Option<u16>, retry_after: Option<&[u8]>) -> Option<Duration> {
    let said = || core::str::from_utf8(retry_after?).ok()?.trim().parse().ok().map(Duration::from_secs);
    (status == Some(429)).then(|| said().unwrap_or(USUAL).clamp(Duration::from_secs(1), LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_that_has_had_too_much_is_left_alone_as_long_as_it_says_and_not_for_ever() {
        let seconds = |status, value: Option<&[u8]>| pause(Some(status), value).map(|pause| pause.as_secs());
        for (value, expected) in [
            (None, 2),
            (Some(&b"17"[..]), 17),
            (Some(b" 17 "), 17),
            (Some(b"0"), 1),
            (Some(b"86400"), 60),
            (Some(b"99999999999999999999999"), 2),
            (Some(b"Fri, 31 Dec 2027 23:59:59 GMT"), 2),
            (Some(b"-1"), 2),
            (Some(b"\xff"), 2),
        ] {
            assert_eq!(seconds(429, value), Some(expected), "{value:?}");
        }
        assert_eq!(seconds(503, Some(b"17")), None, "that is an outage");
        assert_eq!(pause(None, None), None);
    }
}
