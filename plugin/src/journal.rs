//! Log lines that requests bring about: one a second for each cause, and how many more there were.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use policy::bindings::Moment;

use crate::host::{Host, Level};

/// How long nothing more is written of the same cause.
const PAUSE: Duration = Duration::from_secs(1);

/// What was written of one cause, and what was not.
struct Said {
    level: Level,
    at: Moment,
    left_out: u64,
}

thread_local! {
    /// Of the whole VM: causes are written down in the code, so there are not many.
    static SAID: RefCell<BTreeMap<&'static str, Said>> = const { RefCell::new(BTreeMap::new()) };
}

/// Writes what happened and some detail of it, unless the same was written a moment ago.
pub(crate) fn note(host: &impl Host, level: Level, what: &'static str, detail: impl Display) {
    let now = host.now().unwrap_or(Moment(0));
    SAID.with_borrow_mut(|said| match said.get_mut(what) {
        Some(said) if said.is_recent(now) => said.left_out = said.left_out.saturating_add(1),
        _ => {
            host.log(level, &format!("jobscope: {what}: {detail}"));
            said.insert(what, Said { level, at: now, left_out: 0 });
        }
    });
}

/// Writes how often what was left out has happened since.
pub(crate) fn sum_up(host: &impl Host, now: Moment) {
    SAID.with_borrow_mut(|said| {
        for (what, said) in said.iter_mut().filter(|(_, said)| said.left_out > 0 && !said.is_recent(now)) {
            host.log(said.level, &format!("jobscope: {what}: {} times more", said.left_out));
            (said.at, said.left_out) = (now, 0);
        }
    });
}

impl Said {
    fn is_recent(&self, now: Moment) -> bool {
        // Where the clock was set back it is not.
        self.at <= now && now.since(self.at) < PAUSE
    }
}
