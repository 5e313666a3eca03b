//! Following the list of ended jobs: one root context of the whole proxy asks, whichever took the task, and another takes
//! over when it gives no more sign. Everything here runs on the root context.

use std::time::Duration;

use policy::bindings::{Cursor, Moment};
use policy::choices::Changes;
use policy::failure::Failure;
use policy::lookup::Answer;
use policy::lookup::changes::{self, News, PATIENCE};
use policy::request::TraceContext;

use super::{chance, send};
use crate::counters::Counted;
use crate::host::{Host, HostError, Level};
use crate::setup::Setup;

/// How often it is looked who follows; also the shortest time between two questions.
const LOOKS: Duration = Duration::from_secs(1);

/// After which time an answer counts as lost.
const LOST: Duration = PATIENCE.saturating_mul(2);

/// One root context's part in following.
#[derive(Debug)]
pub(crate) struct Following {
    me: u64,
    state: State,
    next_look: Moment,
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// Nothing is asked before then.
    Rests(Moment),
    /// This was asked.
    Asked { call: u32, at: Moment, after: Option<Cursor> },
    /// The list begins at this cursor: bindings that were confirmed before then are made to be looked up again, a few at
    /// a time, from this bucket on.
    Ages { cursor: Cursor, before: Moment, from: u32 },
}

impl Following {
    pub(crate) fn new(me: u64) -> Self {
        Self { me, state: State::Rests(Moment(0)), next_look: Moment(0), failures: 0 }
    }

    /// Does what is due.
    pub(crate) fn tick<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) {
        let ages = matches!(self.state, State::Ages { .. });
        // A look that lies further ahead was planned before the clock was set back.
        let is_early = now < self.next_look && self.next_look <= now.after(LOOKS);
        if setup.config.lookup.changes == Changes::Off || (is_early && !ages) {
            return;
        }
        self.next_look = now.after(LOOKS);
        match setup.store.follow(self.me, now, |me| me) {
            Ok(Some(follower)) => self.go_on(host, setup, follower.cursor, now),
            // Another follows.
            Ok(None) => self.state = State::Rests(now),
            Err(error) => self.fail(setup, &failed(error), now),
        }
    }

    fn go_on<H: Host>(&mut self, host: &H, setup: &Setup<H>, after: Option<Cursor>, now: Moment) {
        let patience = setup.config.lookup.timeout;
        match &mut self.state {
            State::Rests(until) if now < *until && *until <= now.after(changes::LONGEST_PAUSE) => {}
            State::Rests(_) => {
                let Some(account) = &setup.account else { return };
                let call = changes::ask(account, after.as_ref());
                match send(host, setup, &call, &TraceContext::NONE, PATIENCE) {
                    Some(call) => self.state = State::Asked { call, at: now, after },
                    None => {
                        // Another thread may be able to send.
                        if let Err(error) = setup.store.follow(self.me, now, |me| me.retired(now)) {
                            setup.journal.note(Level::Error, "the host refused a call", error);
                        }
                        self.fail(setup, &told(Failure::LookupUnreachable), now);
                    }
                }
            }
            State::Asked { at, .. } if at.after(LOST).has_come(LOST, now) => {
                self.fail(setup, &told(Failure::LookupTimeout), now);
            }
            State::Asked { .. } => {}
            // What was asked before then lands first, and is aged with the rest.
            State::Ages { before, .. } if !before.after(patience).has_come(patience, now) => {}
            State::Ages { cursor, before, from } => match setup.store.age(*from, *before) {
                Ok(Some(next)) => *from = next,
                Ok(None) => {
                    let cursor = cursor.clone();
                    self.arrive(setup, Some(cursor), now);
                }
                Err(error) => self.fail(setup, &failed(error), now),
            },
        }
    }

    /// Takes the answer to a call, if it is to the one that was sent here.
    /// `false` when it is not.
    pub(crate) fn answer<H: Host>(&mut self, host: &H, setup: &Setup<H>, call: u32, answer: &Answer<'_>) -> bool {
        let State::Asked { call: mine, after, .. } = &self.state else { return false };
        if *mine != call {
            return false;
        }
        // Without the time the question counts as lost, as soon as the time is told again.
        let Ok(now) = host.now() else { return true };
        match changes::read(after.as_ref(), answer) {
            Ok(News::Ended(jobs, cursor)) => {
                setup.counters.add(Counted::Ends, &["list"], i64::try_from(jobs.len()).unwrap_or(i64::MAX));
                // The list goes on only behind ends that are remembered.
                let ended = jobs.into_iter().try_for_each(|job| setup.store.end_job(job, now));
                match ended {
                    Ok(()) => {
                        self.failures = 0;
                        self.arrive(setup, Some(cursor), now);
                    }
                    Err(error) => self.fail(setup, &failed(error), now),
                }
            }
            Ok(News::Begins(cursor)) => self.state = State::Ages { cursor, before: now, from: 0 },
            Ok(News::Lost) => {
                self.arrive(setup, None, now);
                // A service that forgets each cursor it gives is not asked without end.
                self.fail(setup, "the service no longer knows the cursor", now);
            }
            Err(failure) => self.fail(setup, &told(failure), now),
        }
        true
    }

    /// The list has been followed up to here.
    fn arrive<H: Host>(&mut self, setup: &Setup<H>, cursor: Option<Cursor>, now: Moment) {
        match setup.store.follow(self.me, now, |me| me.at(cursor)) {
            Ok(_) => self.state = State::Rests(now),
            Err(error) => self.fail(setup, &failed(error), now),
        }
    }

    fn fail<H: Host>(&mut self, setup: &Setup<H>, why: &str, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let pause = changes::pause(self.failures, chance(self.me, now.0));
        let detail = format_args!("asked again in {pause:?}: {why}");
        setup.journal.note(Level::Warn, "the list of ended jobs cannot be followed", detail);
        self.state = State::Rests(now.after(pause));
    }
}

fn told(failure: Failure) -> String {
    format!("{}: {}", failure.code(), failure.text())
}

fn failed(error: HostError) -> String {
    format!("the host refused a call: {error}")
}
