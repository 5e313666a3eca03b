//! When a forge that answered 429 is asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::bindings::Moment;
use policy::facts::Hash;
use policy::lookup::{Call, LONGEST_PAUSE, Principal};

/// How long nobody asks where it was a job's own call that was too much. That job waits for as long as the forge says, but
/// it keeps the others waiting no longer than this.
const SHARED: Duration = Duration::from_secs(2);

/// For how many facts it is remembered by itself.
const MOST: usize = 1024;

/// The pauses of one worker.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    until: Option<Moment>,
    facts: BTreeMap<Hash, Moment>,
}

impl Throttle {
    /// This call for a fact was too much, and the forge wants a pause.
    pub(crate) fn note(&mut self, key: Hash, call: &Call, pause: Duration, now: Moment) {
        let mut shared = pause;
        // The forge may have had too much of that job's user, and of nobody else.
        if call.principal == Principal::Job {
            shared = pause.min(SHARED);
            if self.facts.len() >= MOST {
                self.facts.retain(|_, until| !until.has_come(LONGEST_PAUSE, now));
            }
            if self.facts.len() < MOST {
                self.facts.insert(key, now.after(pause));
            }
        }
        self.until = self.until.filter(|until| !until.has_come(LONGEST_PAUSE, now)).max(Some(now.after(shared)));
    }

    /// For how long a fact is not asked for; `None` where it may be.
    pub(crate) fn pause(&self, key: &Hash, now: Moment) -> Option<Duration> {
        let until = self.until.iter().chain(self.facts.get(key)).max()?;
        (!until.has_come(LONGEST_PAUSE, now)).then(|| until.since(now))
    }
}
