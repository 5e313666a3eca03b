//! What the forge is told while nobody waits for its answer: calls that are made one after the other.

use std::collections::{BTreeMap, VecDeque};

use policy::bindings::Moment;
use policy::lookup::Call;
use policy::request::TraceContext;

use super::send;
use crate::host::{Host, Level};
use crate::setup::Setup;

/// The errands of one worker.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    /// Errands that go on as soon as the worker departs.
    departing: Vec<VecDeque<Call>>,
    /// What is left of an errand once a call of the host is answered, and when that was sent.
    under_way: BTreeMap<u32, (Moment, VecDeque<Call>)>,
}

impl Errands {
    /// Begins one.
    pub(crate) fn begin(&mut self, calls: Vec<Call>) {
        self.departing.push(calls.into());
    }

    /// Whether calls are to be sent.
    pub(crate) fn has_departures(&self) -> bool {
        !self.departing.is_empty()
    }

    /// Sends what is to be sent.
    pub(crate) fn depart<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) {
        for mut errand in std::mem::take(&mut self.departing) {
            // A call that cannot be sent is as good as one that failed: the next may come through.
            while let Some(call) = errand.pop_front() {
                if let Some(id) = send(host, setup, &call, &TraceContext::NONE, setup.config.lookup.timeout) {
                    self.under_way.insert(id, (now, errand));
                    break;
                }
            }
        }
    }

    /// Takes the answer to a call. `false` when the call is none of these.
    pub(crate) fn answer<H: Host>(&mut self, setup: &Setup<H>, call: u32, status: Option<u16>) -> bool {
        let Some((_, errand)) = self.under_way.remove(&call) else { return false };
        if !status.is_some_and(|status| (200..300).contains(&status)) {
            let answered = status.map_or_else(|| "no answer came".into(), |status| format!("it answered {status}"));
            complain(setup, &answered);
        }
        self.departing.push(errand);
        true
    }

    /// Goes on with errands whose answer was lost.
    pub(crate) fn tick<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) {
        let patience = setup.config.lookup.timeout.saturating_mul(4);
        let is_lost = |sent: Moment| now < sent || now.since(sent) > patience;
        let lost = self.under_way.extract_if(.., |_, (sent, _)| is_lost(*sent)).map(|(_, (_, errand))| errand);
        let begun = self.departing.len();
        self.departing.extend(lost);
        if self.departing.len() > begun {
            complain(setup, "its answer was lost");
        }
        self.depart(host, setup, now);
    }
}

fn complain<H: Host>(setup: &Setup<H>, why: &str) {
    setup.journal.note(Level::Error, "the forge would not be told that a job failed", why);
}
