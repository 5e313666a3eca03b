//! When the service account's token expires: a token that nobody exchanges in time ends every lookup.

use std::time::Duration;

use policy::bindings::{Expiry, Moment};
use policy::facts::Day;
use policy::failure::Failure;
use policy::lookup::Answer;
use policy::lookup::account::{self, NOTICE};

use super::question::Question;
use crate::counters::Counted;
use crate::host::{Host, Level, Result};
use crate::setup::Setup;

/// An Envoy that was just started has other things to ask.
const FIRST: Duration = Duration::from_secs(60);

/// One root context's part in it.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    question: Question<Expiry>,
    begun: Option<Moment>,
}

impl Expiries {
    /// Asks where that is due.
    pub(crate) fn tick<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) {
        let begun = *self.begun.get_or_insert(now);
        let Some(account) = setup.account.as_ref().filter(|_| begun.after(FIRST).has_come(FIRST, now)) else { return };
        self.question.tick(host, setup, || account::ask(&setup.config, account), now);
    }

    /// Takes the answer to a call, if it is to the one that was sent here. `false` when it is not.
    pub(crate) fn answer<H: Host>(
        &mut self,
        setup: &Setup<H>,
        call: u32,
        answer: &Answer<'_>,
        now: Result<Moment>,
    ) -> bool {
        if !self.question.awaits(call) {
            return false;
        }
        match account::read(&setup.config, answer) {
            Ok(expires) => {
                let told_before = self.question.learn(setup, Expiry(expires), now);
                setup.counters.set(Counted::Expires, &[], expires.map_or(0, Day::seconds));
                // Once a day is often enough for the log.
                let today = now.ok().map(|now| Day::of(now.0)).filter(|today| told_before != Some(*today));
                if let Some((expires, today)) = expires.zip(today) {
                    remind(setup, expires, today);
                }
            }
            Err(Failure::LookupRights) => {
                let detail = "the forge answers 401: it is wrong, expired or revoked, or Envoy adds none";
                setup.journal.note(Level::Error, "the service account's token is not taken", detail);
            }
            Err(failure) => {
                let what = "it cannot be looked up when the service account's token expires";
                setup.journal.note(Level::Warn, what, failure.text());
            }
        }
        true
    }
}

/// Tells of a token that expires soon.
fn remind<H: Host>(setup: &Setup<H>, expires: Day, today: Day) {
    let left = expires.0.saturating_sub(today.0);
    if left <= NOTICE {
        let days = if left == 1 { "day" } else { "days" };
        let what = "the service account's token expires soon";
        let detail = format_args!("{left} {days} are left. Exchange it as docs/operations.md says");
        setup.journal.note(Level::Warn, what, detail);
    }
}
