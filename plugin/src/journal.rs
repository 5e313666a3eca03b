//! Log lines that requests bring about: one a second for each cause, and how many more there were.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use policy::bindings::Moment;

use crate::host::{Host, Level};

/// How long nothing more is written of the same cause.
const PAUSE: Duration = Duration::from_secs(1);

/// What one worker has written. Causes are written down in the code, so there are not many.
#[derive(Debug)]
pub(crate) struct Journal<H> {
    host: H,
    said: RefCell<BTreeMap<&'static str, Said>>,
}

/// What was written of one cause, and what was not.
#[derive(Debug)]
struct Said {
    level: Level,
    at: Moment,
    left_out: u64,
}

impl<H: Host> Journal<H> {
    pub(crate) fn new(host: H) -> Self {
        Self { host, said: RefCell::default() }
    }

    /// Writes what happened and some detail of it, unless the same was written a moment ago.
    pub(crate) fn note(&self, level: Level, what: &'static str, detail: impl Display) {
        let now = self.host.now().unwrap_or(Moment(0));
        let mut said = self.said.borrow_mut();
        match said.get_mut(what) {
            Some(said) if said.is_recent(now) => said.left_out = said.left_out.saturating_add(1),
            _ => {
                self.host.log(level, &format!("jobscope: {what}: {detail}"));
                said.insert(what, Said { level, at: now, left_out: 0 });
            }
        }
    }

    /// Writes how often what was left out has happened since.
    pub(crate) fn sum_up(&self, now: Moment) {
        for (what, said) in self.said.borrow_mut().iter_mut() {
            if said.left_out > 0 && !said.is_recent(now) {
                self.host.log(said.level, &format!("jobscope: {what}: {} times more", said.left_out));
                (said.at, said.left_out) = (now, 0);
            }
        }
    }
}

impl Said {
    fn is_recent(&self, now: Moment) -> bool {
        // Where the clock was set back it is not.
        self.at <= now && now.since(self.at) < PAUSE
    }
}
