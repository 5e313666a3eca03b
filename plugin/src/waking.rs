//! Lookups that end, deadlines that pass, and the requests that waited.
//!
//! Everything here runs on the root context and acts for streams by making them the effective context. A stream that
//! left is no longer among those who wait: to wake one that is gone is to touch freed memory of the host.

use policy::bindings::{Freshness, Moment};
use policy::decision::{self, Failure};
use policy::facts::{Found, Hash, Token};
use policy::lookup::{Answer, Value, target_key};
use policy::request::{Malformed, Protocol, Refused};

use crate::flights::Landing;
use crate::host::{self, Level};
use crate::shared::{Now, Parked, Setup, Shared};

impl Shared {
    /// Sends what is to be sent; on the root context.
    pub(crate) fn depart(&self) {
        if let Some(setup) = self.setup() {
            self.flights.borrow_mut().depart(&setup.config);
        }
    }

    /// Takes the answer to a call; on the root context.
    pub(crate) fn answer(&self, call: u32, answer: &Answer<'_>) {
        let Some(setup) = self.setup() else { return };
        let landing = self.flights.borrow_mut().answer(&setup.config, call, answer);
        if let Some(landing) = landing {
            self.land(&setup, landing);
        }
    }

    /// A fact is there, or is not to be had: remembers it, and wakes those who wait.
    pub(crate) fn land(&self, setup: &Setup, landing: Landing) {
        let now = match host::now() {
            Ok(now) => now,
            Err(error) => {
                host::log(Level::Error, &format!("jobscope: the proxy does not tell the time: {error:?}"));
                self.wake_all(setup, &landing.waiting, landing.asked, |_| Err(Failure::Host));
                return;
            }
        };
        let result = match landing.result {
            Ok(Value::Token(token)) => setup.store.learn_token(landing.key, token, landing.asked).map(Value::Token),
            Ok(Value::Target(found)) => {
                setup.store.learn_target(landing.key, &found, landing.asked).map(|()| Value::Target(found))
            }
            Err(failure) => {
                host::log(Level::Warn, &format!("jobscope: a lookup failed: {}: {}", failure.code(), failure.text()));
                self.wake_all(setup, &landing.waiting, now, |_| Err(failure));
                return;
            }
        };
        match result {
            Err(error) => {
                host::log(Level::Error, &format!("jobscope: a fact cannot be remembered: {error:?}"));
                self.wake_all(setup, &landing.waiting, now, |_| Err(Failure::Host));
            }
            Ok(value) => self.wake_all(setup, &landing.waiting, now, |parked| {
                parked.missing.retain(|missing| *missing != landing.key);
                match &value {
                    Value::Token(token) => parked.facts.token = Some(token.clone()),
                    Value::Target(found) => learn_target(parked, landing.key, found),
                }
                Ok(())
            }),
        }
    }

    /// Gives each of those who wait the news, and has those that miss nothing more go on or be answered.
    pub(crate) fn wake_all(
        &self,
        setup: &Setup,
        waiting: &[u32],
        now: Moment,
        tell: impl Fn(&mut Parked) -> Result<(), Failure>,
    ) {
        for stream in waiting {
            let Some(mut parked) = self.parked.borrow_mut().remove(stream) else { continue };
            let told = tell(&mut parked);
            if told.is_ok() && !parked.missing.is_empty() {
                self.parked.borrow_mut().insert(*stream, parked);
                continue;
            }
            // A stream that left is no longer among those who wait, so this context lives.
            if let Err(error) = host::act_as(*stream) {
                host::log(Level::Error, &format!("jobscope: a waiting request is gone: {error:?}"));
                continue;
            }
            let outcome = match told {
                Ok(()) => {
                    // The token is known now: what is remembered of its targets need not be looked up.
                    let known = std::mem::take(&mut parked.facts);
                    match self.recall(setup, &parked.request, known.clone(), Freshness::Fresh, now) {
                        Ok((facts, _)) => parked.facts = facts,
                        Err(_) => parked.facts = known,
                    }
                    self.step(setup, *stream, parked, now)
                }
                Err(failure) => {
                    self.carry_out(*stream, None, &decision::failed(&setup.config, parked.request.protocol, failure))
                }
            };
            self.release(*stream, &outcome);
        }
        let _ = host::act_as(self.root);
        self.depart();
    }

    /// Lets a request go that waited, if that is what was decided. It is the effective context.
    fn release(&self, stream: u32, outcome: &Now) {
        let (Now::Forward(_) | Now::NotAJob) = outcome else { return };
        self.released.borrow_mut().insert(stream);
        if let Err(error) = host::resume_request() {
            host::log(Level::Error, &format!("jobscope: a request cannot be resumed: {error:?}"));
        }
    }

    /// Answers those who have waited too long, and lands flights that nobody will answer; on the root context.
    pub(crate) fn tick(&self) {
        let Some(setup) = self.setup() else { return };
        // Without the time there are no deadlines; every request that asks for it is refused meanwhile.
        let Ok(now) = host::now() else { return };
        let overdue = self.flights.borrow_mut().overdue(&setup.config, now);
        for landing in overdue {
            self.land(&setup, landing);
        }
        let late: Vec<u32> = self
            .parked
            .borrow()
            .iter()
            .filter(|(_, parked)| now >= parked.deadline)
            .map(|(stream, _)| *stream)
            .collect();
        for stream in &late {
            self.flights.borrow_mut().leave(*stream);
        }
        self.wake_all(&setup, &late, now, |_| Err(Failure::LookupTimeout));
        let slow: Vec<(u32, Protocol)> = self
            .bodies
            .borrow()
            .iter()
            .filter(|(_, (_, deadline))| now >= *deadline)
            .map(|(stream, (protocol, _))| (*stream, *protocol))
            .collect();
        for (stream, protocol) in slow {
            self.bodies.borrow_mut().remove(&stream);
            if host::act_as(stream).is_ok() {
                let refused = Refused { protocol, malformed: Malformed::BodyTimeout };
                let outcome = self.carry_out(stream, None, &decision::refused(&setup.config, refused));
                self.release(stream, &outcome);
            }
        }
        let _ = host::act_as(self.root);
    }
}

/// Files a target's fact under the target, for every access that means it.
fn learn_target(parked: &mut Parked, key: Hash, found: &Found) {
    let Some(Token::Running(job)) = &parked.facts.token else { return };
    let target =
        parked.request.accesses.iter().map(|access| &access.target).find(|target| target_key(job, target) == key);
    if let Some(target) = target.cloned() {
        parked.facts.targets.push((target, found.clone()));
    }
}
