//! One clock for ages. It never goes back, and says nothing about the time of day: what several replicas compare is the
//! store's time. Beside it the time of day, for tokens that say until when they are valid.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use policy::bindings::Moment;

/// What the clock shows when it is first looked at: before it there is room for what is older than the process.
const BEGINNING: u64 = 1 << 40;

/// Now.
#[must_use]
pub fn now() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    Moment(BEGINNING).after(START.get_or_init(Instant::now).elapsed())
}

/// The time of day in Unix seconds, for what others date: nothing of our own is counted by it.
#[must_use]
pub fn unix() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

/// A time in whole milliseconds.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_and_has_room_for_what_is_older_than_the_process() {
        let first = now();
        assert!(now() >= first);
        assert_eq!(first.since(first.before(Duration::from_secs(86_400))), Duration::from_secs(86_400));
    }
}
