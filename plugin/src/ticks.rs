//! How often the host calls the root context: as often as deadlines need it, and at once while requests are to be woken.
//!
//! Envoy does what a call asks for, an answer or a release, when that call has returned, and the next of them inside the
//! one before: its filter chain runs, calls the filter again, and what is still to be done is done when that call returns.
//! So each is a level deeper on the VM's stack, which overflows at some 300 of them, and takes the whole worker's filter
//! with it. What wakes many therefore wakes some and leaves the others to the ticks that follow.
//!
//! A shared queue would call sooner, but Envoy serves what was put into it before it looks at a socket again: the answers
//! of a crowd would not be written before the last of them was given, and connections that are to be closed close without.

use std::cell::Cell;
use std::time::Duration;

use crate::host::{self, HostError, Level};
use crate::journal;

/// How many requests one call of the host lets go or answers.
pub(crate) const AT_ONCE: usize = 64;

/// The shortest time that a host knows.
const SOON: Duration = Duration::from_millis(1);

/// The ticks of one root context.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    usual: Cell<Duration>,
    hurries: Cell<bool>,
}

impl Ticks {
    /// Has the host tick every so often.
    pub(crate) fn begin(&self, usual: Duration) -> Result<(), HostError> {
        self.usual.set(usual);
        host::tick_every(usual)
    }

    /// Has it tick at once, again and again, as long as there is something left to do.
    pub(crate) fn hurry(&self, is_left: bool) {
        if self.hurries.get() == is_left {
            return;
        }
        match host::tick_every(if is_left { SOON } else { self.usual.get() }) {
            Ok(()) => self.hurries.set(is_left),
            Err(error) => journal::note(Level::Warn, "the proxy does not tick as it should", error),
        }
    }
}
