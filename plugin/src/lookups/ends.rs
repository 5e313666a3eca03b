//! Jobs whose end a runner reported through this proxy, told to the service that tells all others of them. Everything here but
//! to keep one runs on the root context.

use std::collections::VecDeque;
use std::time::Duration;

use policy::bindings::Moment;
use policy::choices::Api;
use policy::facts::JobId;
use policy::failure::Failure;
use policy::lookup::ended::{self, Heard};
use policy::lookup::{Answer, changes};
use policy::request::TraceContext;

use super::{chance, send};
use crate::counters::Counted;
use crate::host::{Host, Level};
use crate::setup::Setup;

/// The most jobs of one worker that are yet to be told. The oldest makes room: its end is the likeliest to be known by now.
const MOST: usize = 10_000;

/// How long nothing is told to a service that takes no reports.
const DEAF: Duration = Duration::from_secs(600);

/// The ends that one worker tells.
#[derive(Debug)]
pub(crate) struct Ends {
    seed: u64,
    untold: VecDeque<JobId>,
    telling: Option<Telling>,
    failures: u32,
    /// Nothing is told before then, which was so long away when it was set.
    rests: Option<(Moment, Duration)>,
    /// Whether the service took no reports when it was told last.
    is_deaf: bool,
}

/// A report under way.
#[derive(Debug)]
struct Telling {
    call: u32,
    at: Moment,
    jobs: Vec<JobId>,
}

impl Ends {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, untold: VecDeque::new(), telling: None, failures: 0, rests: None, is_deaf: false }
    }

    /// Has the end of a job told, with the others that come before the next tick. A job that reports its end again and again
    /// takes the place of no other.
    pub(crate) fn add<H: Host>(&mut self, setup: &Setup<H>, job: JobId) {
        if setup.config.lookup.api == Api::V1 && setup.account.is_some() && !self.untold.contains(&job) {
            self.untold.push_back(job);
            let most = if self.is_deaf && self.rests.is_some() { 0 } else { MOST };
            self.drop_beyond(setup, most);
        }
    }

    fn drop_beyond<H: Host>(&mut self, setup: &Setup<H>, most: usize) {
        let over = self.untold.len().saturating_sub(most);
        self.untold.drain(..over);
        count(setup, "dropped", over);
    }

    /// Tells what is to be told by now.
    pub(crate) fn tick<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) {
        let lost = setup.config.lookup.timeout.saturating_mul(4);
        if let Some(telling) = self.telling.take_if(|telling| telling.at.after(lost).has_come(lost, now)) {
            self.fail(setup, telling.jobs, Failure::LookupTimeout, now);
        }
        self.rests.take_if(|(until, within)| until.has_come(*within, now));
        if self.untold.is_empty() || self.telling.is_some() || self.rests.is_some() {
            return;
        }
        let Some(account) = &setup.account else { return };
        let jobs: Vec<JobId> = self.untold.drain(..self.untold.len().min(ended::MOST)).collect();
        let call = ended::tell(account, jobs.iter().copied());
        match send(host, setup, &call, &TraceContext::NONE, setup.config.lookup.timeout) {
            Some(call) => self.telling = Some(Telling { call, at: now, jobs }),
            None => self.fail(setup, jobs, Failure::LookupUnreachable, now),
        }
    }

    /// Takes the answer to a call, if it is to the one that was sent here. `false` when it is not.
    pub(crate) fn answer<H: Host>(&mut self, host: &H, setup: &Setup<H>, call: u32, answer: &Answer<'_>) -> bool {
        if self.telling.as_ref().is_none_or(|telling| telling.call != call) {
            return false;
        }
        // Without the time the answer counts as lost, as soon as the time is told again.
        let Ok(now) = host.now() else { return true };
        let jobs = self.telling.take().map(|telling| telling.jobs).unwrap_or_default();
        match ended::read(answer) {
            Ok(Heard::Noted) => {
                count(setup, "told", jobs.len());
                (self.failures, self.is_deaf) = (0, false);
            }
            Ok(Heard::Unknown) => {
                self.untold.extend(jobs);
                self.drop_beyond(setup, 0);
                self.rests = Some((now.after(DEAF), DEAF));
                if !std::mem::replace(&mut self.is_deaf, true) {
                    let detail = format_args!("it answers 404, and is told none for {DEAF:?}");
                    setup.journal.note(Level::Warn, "the lookup service takes no reports of ended jobs", detail);
                }
            }
            Err(failure) => self.fail(setup, jobs, failure, now),
        }
        true
    }

    /// These are to be told again.
    fn fail<H: Host>(&mut self, setup: &Setup<H>, jobs: Vec<JobId>, failure: Failure, now: Moment) {
        count(setup, "failed", jobs.len());
        jobs.into_iter().rev().for_each(|job| self.untold.push_front(job));
        self.drop_beyond(setup, MOST);
        self.failures = self.failures.saturating_add(1);
        let pause = changes::pause(self.failures, chance(self.seed, now.0));
        self.rests = Some((now.after(pause), pause));
        let detail = format_args!("told again in {pause:?}: {}: {}", failure.code(), failure.text());
        setup.journal.note(Level::Warn, "the lookup service was not told which jobs ended", detail);
    }
}

fn count<H: Host>(setup: &Setup<H>, outcome: &str, jobs: usize) {
    setup.counters.add(Counted::Told, &[outcome], i64::try_from(jobs).unwrap_or(i64::MAX));
}
