//! The requests of one worker that wait: for what, until when, and what is there to tell them.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use policy::bindings::Moment;
use policy::decision::{Facts, Failure};
use policy::facts::{Hash, Token};
use policy::lookup::{Value, target_key};
use policy::request::{JobRequest, Protocol};

/// Those who wait, by their streams.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    members: HashMap<u32, Member>,
    /// News that was not told yet, the oldest first.
    news: VecDeque<(u32, News)>,
}

#[derive(Debug, Default)]
struct Member {
    standing: Standing,
    /// Until when it waits; none once its time is up.
    deadline: Option<Moment>,
}

/// Where a request stands.
#[derive(Debug, Default)]
enum Standing {
    /// It is being decided on, or was answered.
    #[default]
    Decided,
    /// Its body is awaited.
    Body(Protocol),
    /// Facts are awaited.
    Facts(Box<Parked>),
    /// It waited, and was let go.
    Released,
}

/// A request that waits for facts.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) request: JobRequest,
    pub(crate) facts: Facts,
    /// The facts that are under way for it.
    pub(crate) missing: Vec<Hash>,
    pub(crate) deadline: Moment,
}

/// A fact that was looked up, or why it is not to be had.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) key: Hash,
    pub(crate) result: Result<Value, Failure>,
}

#[derive(Debug)]
enum News {
    Landed(Rc<Landed>),
    /// Its time is up.
    Late,
}

/// A request that waits no longer.
#[derive(Debug)]
pub(crate) enum Woken {
    /// Its body did not come in time.
    WithoutBody(Protocol),
    /// Its facts are there.
    WithFacts(Box<Parked>),
    /// They are not to be had.
    WithoutFacts(Box<Parked>, Failure),
}

impl Crowd {
    /// A request waits for its body.
    pub(crate) fn await_body(&mut self, stream: u32, protocol: Protocol, deadline: Moment) {
        self.wait(stream, Standing::Body(protocol), deadline);
    }

    /// A request waits for facts.
    pub(crate) fn await_facts(&mut self, stream: u32, parked: Parked) {
        let deadline = parked.deadline;
        self.wait(stream, Standing::Facts(Box::new(parked)), deadline);
    }

    fn wait(&mut self, stream: u32, standing: Standing, deadline: Moment) {
        let member = self.members.entry(stream).or_default();
        *member = Member { standing, deadline: Some(deadline) };
    }

    /// The awaited body is there. `false` when it came too late and the request has been answered.
    pub(crate) fn body_arrived(&mut self, stream: u32) -> bool {
        let member = self.members.get_mut(&stream).filter(|member| matches!(member.standing, Standing::Body(_)));
        member.map(|member| member.standing = Standing::Decided).is_some()
    }

    /// A request is let go.
    pub(crate) fn release(&mut self, stream: u32) {
        self.members.entry(stream).or_default().standing = Standing::Released;
    }

    /// Whether a request that waited was let go.
    pub(crate) fn was_released(&self, stream: u32) -> bool {
        self.members.get(&stream).is_some_and(|member| matches!(member.standing, Standing::Released))
    }

    /// The request that waits for facts in this stream.
    pub(crate) fn parked(&self, stream: u32) -> Option<&Parked> {
        match &self.members.get(&stream)?.standing {
            Standing::Facts(parked) => Some(parked),
            Standing::Decided | Standing::Body(_) | Standing::Released => None,
        }
    }

    /// A stream is gone, and is told nothing from here on. Gives the facts that it waited for.
    pub(crate) fn leave(&mut self, stream: u32) -> Vec<Hash> {
        match self.members.remove(&stream).map(|member| member.standing) {
            Some(Standing::Facts(parked)) => parked.missing,
            Some(Standing::Decided | Standing::Body(_) | Standing::Released) | None => Vec::new(),
        }
    }

    /// There is news for those who wait for a fact.
    pub(crate) fn tell(&mut self, waiting: impl IntoIterator<Item = u32>, landed: Landed) {
        let landed = Rc::new(landed);
        self.news.extend(waiting.into_iter().map(|stream| (stream, News::Landed(Rc::clone(&landed)))));
    }

    /// There is news for those who have waited too long.
    pub(crate) fn expire(&mut self, now: Moment) {
        let is_late = |member: &mut Member| member.deadline.take_if(|deadline| now >= *deadline).is_some();
        let mut late: Vec<u32> =
            self.members.iter_mut().filter_map(|(stream, member)| is_late(member).then_some(*stream)).collect();
        // In the order in which they came.
        late.sort_unstable();
        self.news.extend(late.into_iter().map(|stream| (stream, News::Late)));
    }

    /// Whether there is news that was not told yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// The next request that waits no longer. What is told to one that left, or that waits for more, wakes nobody.
    pub(crate) fn wake(&mut self) -> Option<(u32, Woken)> {
        loop {
            let (stream, news) = self.news.pop_front()?;
            if let Some(woken) = self.members.get_mut(&stream).and_then(|member| member.hear(&news)) {
                return Some((stream, woken));
            }
        }
    }
}

impl Member {
    fn hear(&mut self, news: &News) -> Option<Woken> {
        let failure = match (&mut self.standing, news) {
            (Standing::Facts(parked), News::Landed(landed)) => parked.hear(landed)?.err(),
            // Who waits for something else by now has time again.
            (Standing::Facts(_) | Standing::Body(_), News::Late) if self.deadline.is_none() => {
                Some(Failure::LookupTimeout)
            }
            _ => return None,
        };
        match (std::mem::take(self).standing, failure) {
            (Standing::Body(protocol), _) => Some(Woken::WithoutBody(protocol)),
            (Standing::Facts(parked), None) => Some(Woken::WithFacts(parked)),
            (Standing::Facts(parked), Some(failure)) => Some(Woken::WithoutFacts(parked, failure)),
            (Standing::Decided | Standing::Released, _) => None,
        }
    }
}

impl Parked {
    /// Takes a fact that it waits for; `None` while it waits for more.
    fn hear(&mut self, landed: &Landed) -> Option<Result<(), Failure>> {
        let key = landed.key;
        if !self.missing.contains(&key) {
            return None;
        }
        match &landed.result {
            Ok(value) => {
                self.missing.retain(|missing| *missing != key);
                self.learn(key, value);
                self.missing.is_empty().then_some(Ok(()))
            }
            Err(failure) => Some(Err(*failure)),
        }
    }

    /// Takes a fact; a target's is filed under the target, for every access that means it.
    pub(crate) fn learn(&mut self, key: Hash, value: &Value) {
        let found = match value {
            Value::Token(token) => {
                self.facts.token = Some(token.clone());
                return;
            }
            Value::Target(found) => found,
        };
        let Some(Token::Running(job)) = &self.facts.token else { return };
        let targets = self.request.accesses.iter().map(|access| &access.target);
        for target in targets.filter(|target| target_key(job, target) == key) {
            if !self.facts.targets.iter().any(|(known, _)| known == target) {
                self.facts.targets.push((target.clone(), found.clone()));
            }
        }
    }
}
