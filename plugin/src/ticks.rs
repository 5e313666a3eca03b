//! How often the host calls the root context: as often as deadlines need it, and at once while requests are to be woken.
//!
//! Envoy does what a call asks for, an answer or a release, when that call has returned, and the next of them inside the
//! one before: its filter chain runs, calls the filter again, and what is still to be done is done when that call returns.
//! So each is a level deeper on the VM's stack, which overflows at some 300 of them, and takes the whole worker's filter
//! with it. What wakes many therefore wakes some and leaves the others to the ticks that follow.
//!
//! A shared queue would call sooner, but Envoy serves what was put into it before it looks at a socket again: the answers
//! of a crowd would not be written before the last of them was given, and connections that are to be closed close without.

use std::time::Duration;

use policy::bindings::Moment;

use crate::host::{Host, Level, Result};
use crate::journal::Journal;

/// How many requests one call of the host lets go or answers.
pub(crate) const AT_ONCE: usize = 64;

/// How exactly deadlines are kept: to a tenth of `lookup.timeout`, within these bounds.
const USUAL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// The shortest time that a host knows.
const SOON: Duration = Duration::from_millis(1);

/// How many ticks in a row may show the same time. Two may well: a host's clock need not be finer than its ticks.
const ALIKE: u32 = 32;

/// How long the first tick may take, whatever the clock is set to meanwhile.
const FIRST_TICK: Duration = Duration::from_secs(60);

/// The ticks of one worker.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    usual: Duration,
    hurries: bool,
    /// When the last one came, or the host was told to tick; whether one came; and how many before it showed the same time.
    last: Option<Moment>,
    have_come: bool,
    alike: u32,
}

impl Ticks {
    /// Has the host tick as often as the deadlines of such lookups need it.
    pub(crate) fn begin(&mut self, host: &impl Host, timeout: Duration) -> Result<()> {
        self.usual = timeout.checked_div(10).unwrap_or_default().clamp(USUAL.0, USUAL.1);
        (self.last, self.have_come, self.alike) = (Some(host.now()?), false, 0);
        host.tick_every(self.usual)
    }

    /// One came. Whether the clock moves: from one that hurries to the next it need not.
    pub(crate) fn came(&mut self, now: Moment) -> bool {
        let is_alike = self.have_come && self.last == Some(now) && !self.hurries;
        self.alike = if is_alike { self.alike.saturating_add(1) } else { 0 };
        (self.last, self.have_come) = (Some(now), true);
        self.alike < ALIKE
    }

    /// Whether they come, as far as that can be known by now.
    pub(crate) fn come(&self, now: Moment) -> bool {
        self.have_come || self.last.is_none_or(|begun| now.since(begun) < FIRST_TICK)
    }

    /// Has it tick at once, again and again, as long as there is something left to do.
    pub(crate) fn hurry<H: Host>(&mut self, host: &H, journal: &Journal<H>, is_left: bool) {
        if self.hurries == is_left {
            return;
        }
        match host.tick_every(if is_left { SOON } else { self.usual }) {
            Ok(()) => self.hurries = is_left,
            Err(error) => journal.note(Level::Warn, "the proxy does not tick as it should", error),
        }
    }
}
