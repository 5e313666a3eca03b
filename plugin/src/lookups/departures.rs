//! Calls of lookups: which are to be sent, which were, and which flights wait for their answers.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::bindings::Moment;
use policy::facts::{Hash, JobId};
use policy::lookup::Call;

/// The most calls of one job's lookups at a time. What lies beyond waits its turn: clusters let some hundred calls
/// through, and these are everybody's.
const CALLS_OF_ONE: usize = 16;

/// A call, and how often it was sent before.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) call: Call,
    /// The flights that wait for its answer, and its number in each.
    pub(super) flights: Vec<(Hash, usize)>,
    pub(super) job: Option<JobId>,
    pub(super) attempt: u32,
}

/// The calls of one worker.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// What is to be sent as soon as the worker departs.
    departing: Vec<Departure>,
    /// What is to be sent when other calls of its job were answered, the oldest first.
    queued: Vec<Departure>,
    /// What did not reach the service, and when it is sent again.
    delayed: Vec<(Moment, Departure)>,
    /// What was sent and when, by the host's numbers. It is a call of its job until its answer comes, also when no flight
    /// waits for that any longer.
    sent: BTreeMap<u32, (Moment, Departure)>,
}

/// How many calls of each job are under way.
#[derive(Debug)]
pub(super) struct Shares(BTreeMap<JobId, usize>);

impl Shares {
    /// Takes one more call of a job; `false` when it has its share.
    pub(super) fn take(&mut self, job: Option<JobId>) -> bool {
        let Some(calls) = job.map(|job| self.0.entry(job).or_default()) else { return true };
        let has_room = *calls < CALLS_OF_ONE;
        *calls = calls.saturating_add(usize::from(has_room));
        has_room
    }
}

impl Departures {
    /// A flight asks for calls. What another one of its job asks too is sent once for both: images of one project are
    /// looked for in the same places.
    pub(super) fn add(&mut self, flight: Hash, job: Option<JobId>, calls: Vec<(usize, Call)>) {
        for (number, call) in calls {
            let mut others = self.departing.iter_mut().chain(&mut self.queued);
            match others.find(|other| other.job == job && other.call == call) {
                Some(other) => other.flights.push((flight, number)),
                None => {
                    self.departing.push(Departure { call, flights: vec![(flight, number)], job, attempt: 0 });
                }
            }
        }
    }

    /// Whether there is something new to be sent.
    pub(super) fn has_some(&self) -> bool {
        !self.departing.is_empty()
    }

    /// Takes out what may be sent now, those that have waited longest first.
    pub(super) fn take_due(&mut self, now: Moment) -> Vec<Departure> {
        let mut due = std::mem::take(&mut self.queued);
        due.append(&mut self.departing);
        due.extend(self.delayed.extract_if(.., |(then, _)| *then <= now).map(|(_, departure)| departure));
        due
    }

    /// How many calls of each job are under way.
    pub(super) fn shares(&self) -> Shares {
        let mut shares = BTreeMap::new();
        for job in self.sent.values().filter_map(|(_, departure)| departure.job) {
            let calls: &mut usize = shares.entry(job).or_default();
            *calls = calls.saturating_add(1);
        }
        Shares(shares)
    }

    /// A call waits until others of its job were answered.
    pub(super) fn queue(&mut self, departure: Departure) {
        self.queued.push(departure);
    }

    /// A call is sent again at a time.
    pub(super) fn delay(&mut self, then: Moment, departure: Departure) {
        self.delayed.push((then, departure));
    }

    /// A call was sent, and has this number.
    pub(super) fn sent(&mut self, number: u32, departure: Departure, now: Moment) {
        self.sent.insert(number, (now, departure));
    }

    /// The call of this number.
    pub(super) fn under_way(&self, number: u32) -> Option<&Departure> {
        self.sent.get(&number).map(|(_, departure)| departure)
    }

    /// The answer to a call came: when it was sent, and which it is.
    pub(super) fn answered(&mut self, number: u32) -> Option<(Moment, Departure)> {
        self.sent.remove(&number)
    }

    /// A flight is over: what was still to be sent, or comes in late, belongs to none that may begin next.
    pub(super) fn forget(&mut self, flight: &Hash) {
        let is_asked = |departure: &mut Departure| {
            departure.flights.retain(|(waiting, _)| waiting != flight);
            !departure.flights.is_empty()
        };
        self.departing.retain_mut(is_asked);
        self.queued.retain_mut(is_asked);
        self.delayed.retain_mut(|(_, departure)| is_asked(departure));
        for (_, departure) in self.sent.values_mut() {
            is_asked(departure);
        }
    }

    /// Gives up what nobody waits for, and was not answered for so long.
    pub(super) fn forget_lost(&mut self, patience: Duration, now: Moment) {
        let may_come = |sent: Moment| sent <= now && now.since(sent) <= patience;
        self.sent.retain(|_, (sent, departure)| !departure.flights.is_empty() || may_come(*sent));
    }
}
