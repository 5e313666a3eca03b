//! Lookups under way, one per fact and worker, and the requests that wait for them.

use std::collections::HashMap;
use std::time::Duration;

use policy::Config;
use policy::bindings::Moment;
use policy::decision::Failure;
use policy::facts::{Hash, Secret};
use policy::lookup::{Answer, Call, Fact, Flight, Progress, Value};

use crate::host::{self, Level};

/// The lookups of one worker.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    under_way: HashMap<Hash, UnderWay>,
    /// Which flight, and which of its calls, a call of the host belongs to.
    calls: HashMap<u32, (Hash, usize)>,
    /// Calls that are to be sent as soon as the root context is entered.
    departing: Vec<(Hash, usize, Call)>,
}

#[derive(Debug)]
struct UnderWay {
    flight: Flight,
    waiting: Vec<u32>,
    asked: Moment,
    /// An answer that came before anything was sent.
    landed: Option<Result<Value, Failure>>,
}

/// A flight that is over.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) key: Hash,
    pub(crate) result: Result<Value, Failure>,
    pub(crate) waiting: Vec<u32>,
    /// When it was asked: the fact is as old as that.
    pub(crate) asked: Moment,
}

impl Flights {
    /// Looks a fact up unless that is under way, and lets `waiter` wait for it.
    pub(crate) fn ask(
        &mut self,
        config: &Config,
        credential: Option<&Secret>,
        fact: Fact,
        waiter: Option<u32>,
        now: Moment,
    ) {
        let key = fact.key();
        let under_way = self.under_way.entry(key).or_insert_with(|| {
            let (flight, progress) = Flight::start(config, credential, fact);
            let landed = match progress {
                Progress::Landed(result) => Some(result),
                Progress::Going(calls) => {
                    self.departing.extend(calls.into_iter().map(|(number, call)| (key, number, call)));
                    None
                }
            };
            UnderWay { flight, waiting: Vec::new(), asked: now, landed }
        });
        under_way.waiting.extend(waiter);
    }

    /// Whether calls are to be sent.
    pub(crate) fn has_departures(&self) -> bool {
        !self.departing.is_empty()
    }

    /// Sends what is to be sent. On the root context alone: the answers are delivered to the context that sends.
    pub(crate) fn depart(&mut self, config: &Config) {
        for (key, number, call) in std::mem::take(&mut self.departing) {
            let Some(under_way) = self.under_way.get_mut(&key) else { continue };
            match send(config, &call, patience(config, under_way.asked)) {
                Some(id) => {
                    self.calls.insert(id, (key, number));
                }
                None => under_way.landed = Some(Err(Failure::LookupUnreachable)),
            }
        }
    }

    /// Takes the answer to a call. Calls that it leads to are sent at once: this is the root context.
    pub(crate) fn answer(&mut self, config: &Config, call: u32, answer: &Answer<'_>) -> Option<Landing> {
        let (key, number) = self.calls.remove(&call)?;
        // A flight that landed early leaves answers behind that nobody waits for.
        let under_way = self.under_way.get_mut(&key)?;
        match under_way.flight.answer(number, answer) {
            Progress::Landed(result) => self.land(key, result),
            Progress::Going(calls) => {
                self.departing.extend(calls.into_iter().map(|(number, call)| (key, number, call)));
                self.depart(config);
                None
            }
        }
    }

    /// Flights that are over without an answer having come: nothing had to be sent, or nothing could be, or their
    /// answers were lost.
    pub(crate) fn overdue(&mut self, config: &Config, now: Moment) -> Vec<Landing> {
        let patience = config.lookup.timeout.saturating_mul(4);
        let over: Vec<(Hash, Result<Value, Failure>)> = self
            .under_way
            .iter_mut()
            .filter_map(|(key, under_way)| {
                let lost = (now.since(under_way.asked) > patience).then_some(Err(Failure::LookupTimeout));
                under_way.landed.take().or(lost).map(|result| (*key, result))
            })
            .collect();
        over.into_iter().filter_map(|(key, result)| self.land(key, result)).collect()
    }

    /// Nobody waits for a stream that left.
    pub(crate) fn leave(&mut self, waiter: u32) {
        for under_way in self.under_way.values_mut() {
            under_way.waiting.retain(|waiting| *waiting != waiter);
        }
    }

    fn land(&mut self, key: Hash, result: Result<Value, Failure>) -> Option<Landing> {
        let under_way = self.under_way.remove(&key)?;
        self.calls.retain(|_, (of, _)| *of != key);
        Some(Landing { key, result, waiting: under_way.waiting, asked: under_way.asked })
    }
}

/// How long a call of a flight may take. A little less than is left of `lookup.timeout`, so that who waits for the
/// flight is answered within it.
fn patience(config: &Config, asked: Moment) -> Duration {
    let whole = config.lookup.timeout.saturating_sub(config.lookup.timeout.checked_div(10).unwrap_or_default());
    let gone = host::now().map_or(Duration::ZERO, |now| now.since(asked));
    whole.saturating_sub(gone).max(Duration::from_millis(1))
}

/// Sends one call; `None` when the host would not.
fn send(config: &Config, call: &Call, timeout: Duration) -> Option<u32> {
    let mut headers = vec![
        (":method", call.method),
        (":path", call.path.as_str()),
        (":authority", config.lookup.authority.as_str()),
        ("user-agent", "jobscope"),
    ];
    for (name, value) in &call.headers {
        headers.push((name, std::str::from_utf8(value).ok()?));
    }
    match host::call(&config.lookup.cluster, headers, &call.body, timeout) {
        Ok(id) => Some(id),
        Err(error) => {
            host::log(
                Level::Error,
                &format!("jobscope: the lookup cluster `{}` cannot be called: {error:?}", config.lookup.cluster),
            );
            None
        }
    }
}
