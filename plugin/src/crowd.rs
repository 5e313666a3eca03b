//! The requests of one worker that wait: for what, until when, and what is there to tell them.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use policy::bindings::{Freshness, Moment};
use policy::decision::{Facts, Failure};
use policy::facts::{Hash, Token};
use policy::lookup::{Value, target_key};
use policy::request::{JobRequest, Refused};

use crate::judging::Denial;
use crate::stream::BODY_PATIENCE;

/// The most requests that wait at a time. A proxy has some thousand connections, and each may wait when the lookup service
/// is away; who comes when so many wait is told to come back.
const MOST: usize = 16_384;

/// How many bytes the heads of those may have that wait for facts. What the filter makes of a head takes some times as much.
const MOST_BYTES: usize = 32 << 20;

/// How many bytes of requests, heads and bodies, are kept at a time while a body is awaited.
const MOST_HELD: usize = 64 << 20;

/// What a request takes beside its bytes.
const OF_EACH: usize = 1 << 10;

/// Those who wait, by their streams.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    members: HashMap<u32, Member>,
    /// How many of them wait for facts, and how many bytes their heads have.
    waiting: usize,
    bytes: usize,
    /// How many bytes are kept of those whose body is awaited, or waits with them.
    held: usize,
    /// News that was not told yet, the oldest first.
    news: VecDeque<(u32, News)>,
}

#[derive(Debug, Default)]
struct Member {
    standing: Standing,
    /// Until when it waits; none once its time is up.
    deadline: Option<Moment>,
    /// How many bytes of it are kept beside what waits for facts.
    held: usize,
}

/// Where a request stands.
#[derive(Debug, Default)]
enum Standing {
    /// It is being decided on, or was answered.
    #[default]
    Decided,
    /// Its body is awaited.
    Body(Awaited),
    /// Facts are awaited.
    Facts(Box<Parked>),
    /// It waited, and was let go.
    Released,
}

/// A request whose body is awaited.
#[derive(Debug)]
pub(crate) struct Awaited {
    /// What is said where it does not come in time.
    pub(crate) late: Refused,
    /// Whether nothing that came of it can be a job's: it goes on once it is awaited no longer.
    pub(crate) is_nobodys: bool,
}

/// A request that waits for facts.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) request: JobRequest,
    pub(crate) facts: Facts,
    /// How old the oldest of them is.
    pub(crate) oldest: Freshness,
    /// The facts that are under way for it.
    pub(crate) missing: Vec<Hash>,
    pub(crate) deadline: Moment,
    /// How many bytes its head has.
    pub(crate) head: usize,
    /// What it would be denied, while facts are looked up once more.
    pub(crate) denial: Denial,
}

/// A fact that was looked up and how old it is, or why it is not to be had.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) key: Hash,
    pub(crate) result: Result<(Value, Freshness), Failure>,
}

#[derive(Debug)]
enum News {
    Landed(Rc<Landed>),
    /// Its time is up.
    Late,
    /// Its place is needed.
    Crowded,
}

/// A request that waits no longer.
#[derive(Debug)]
pub(crate) enum Woken {
    /// Its body did not come in time.
    WithoutBody(Awaited),
    /// Its body may not be waited for any longer.
    Crowded(Awaited),
    /// Its facts are there.
    WithFacts(Box<Parked>),
    /// They are not to be had.
    WithoutFacts(Box<Parked>, Failure),
}

impl Crowd {
    /// A request waits for its body. `false` when there is no room for it.
    pub(crate) fn await_body(&mut self, stream: u32, awaited: Awaited, deadline: Moment, head: usize) -> bool {
        self.stand(stream, Standing::Body(awaited), Some(deadline));
        self.hold(stream, head)
    }

    /// Some of an awaited body came.
    pub(crate) fn body_comes(&mut self, stream: u32, is_nobodys: bool) {
        if let Some(Standing::Body(awaited)) = self.members.get_mut(&stream).map(|member| &mut member.standing) {
            awaited.is_nobodys = is_nobodys;
        }
    }

    /// Whether one more may wait for facts.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting < MOST && self.bytes < MOST_BYTES
    }

    /// A request waits for facts.
    pub(crate) fn await_facts(&mut self, stream: u32, parked: Parked) {
        let deadline = parked.deadline;
        self.stand(stream, Standing::Facts(Box::new(parked)), Some(deadline));
    }

    /// So many bytes are kept of a request whose body is awaited, or waits with it. `false` when that is too much.
    pub(crate) fn hold(&mut self, stream: u32, bytes: usize) -> bool {
        let Some(member) = self.members.get_mut(&stream) else { return true };
        let bytes = bytes.saturating_add(OF_EACH);
        self.held = self.held.saturating_sub(std::mem::replace(&mut member.held, bytes)).saturating_add(bytes);
        self.held <= MOST_HELD
    }

    /// Nothing is kept of a request any longer.
    fn let_go(&mut self, stream: u32) {
        let held = self.members.get_mut(&stream).map(|member| std::mem::take(&mut member.held));
        self.held = self.held.saturating_sub(held.unwrap_or_default());
    }

    /// The awaited body is there, and its request waits no longer. `false` when it came too late and the request has been
    /// answered.
    pub(crate) fn body_arrived(&mut self, stream: u32) -> bool {
        let is_awaited = self.members.get(&stream).is_some_and(|member| matches!(member.standing, Standing::Body(_)));
        if is_awaited {
            self.leave(stream);
        }
        is_awaited
    }

    /// A request is let go, and with it what was held back.
    pub(crate) fn release(&mut self, stream: u32) {
        self.let_go(stream);
        self.stand(stream, Standing::Released, None);
    }

    /// Where a request stands from here on; where it stood before.
    fn stand(&mut self, stream: u32, standing: Standing, deadline: Option<Moment>) -> Standing {
        let member = self.members.entry(stream).or_default();
        member.deadline = deadline;
        let (waits, bytes) = standing.weighs();
        let stood = std::mem::replace(&mut member.standing, standing);
        let (waited, freed) = stood.weighs();
        self.waiting = self.waiting.saturating_add(waits).saturating_sub(waited);
        self.bytes = self.bytes.saturating_add(bytes).saturating_sub(freed);
        stood
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

    /// A stream is gone, or needs nothing from here on. Gives the facts that it waited for.
    pub(crate) fn leave(&mut self, stream: u32) -> Vec<Hash> {
        if !self.members.contains_key(&stream) {
            return Vec::new();
        }
        self.let_go(stream);
        let stood = self.stand(stream, Standing::Decided, None);
        self.members.remove(&stream);
        match stood {
            Standing::Facts(parked) => parked.missing,
            Standing::Decided | Standing::Body(_) | Standing::Released => Vec::new(),
        }
    }

    /// There is news for those who wait for a fact.
    pub(crate) fn tell(&mut self, waiting: impl IntoIterator<Item = u32>, landed: Landed) {
        let landed = Rc::new(landed);
        self.news.extend(waiting.into_iter().map(|stream| (stream, News::Landed(Rc::clone(&landed)))));
    }

    /// There is news for those who have waited too long: for facts no longer than this.
    pub(crate) fn expire(&mut self, lookups: Duration, now: Moment) {
        let is_late = |member: &mut Member| {
            let patience = member.standing.patience(lookups);
            member.deadline.take_if(|deadline| deadline.has_come(patience, now)).is_some()
        };
        let late = self.members.iter_mut().filter_map(|(stream, member)| is_late(member).then_some(*stream)).collect();
        self.announce(late, || News::Late);
        if self.held > MOST_HELD / 2 {
            self.make_room();
        }
    }

    /// So that a few slow bodies do not take the place of all others, those that have been awaited longest are not awaited
    /// any longer once half of the place is taken.
    fn make_room(&mut self) {
        let slow = |member: &Member| matches!(member.standing, Standing::Body(_)) && member.deadline.is_some();
        let mut slow: Vec<u32> =
            self.members.iter().filter(|(_, member)| slow(member)).map(|(stream, _)| *stream).collect();
        // The host counts its streams.
        slow.sort_unstable();
        // Those that are told already are as good as gone.
        let waits = self.members.values().filter(|member| member.deadline.is_some());
        let mut held = waits.fold(0_usize, |held, member| held.saturating_add(member.held));
        slow.retain(|stream| {
            let is_over = held > MOST_HELD / 2;
            if let Some(member) = self.members.get_mut(stream).filter(|_| is_over) {
                held = held.saturating_sub(member.held);
                member.deadline = None;
            }
            is_over
        });
        self.announce(slow, || News::Crowded);
    }

    /// There is news for these, in the order in which they came.
    fn announce(&mut self, mut streams: Vec<u32>, news: impl Fn() -> News) {
        streams.sort_unstable();
        self.news.extend(streams.into_iter().map(|stream| (stream, news())));
    }

    /// Whether there is news that was not told yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// The next request that waits no longer. What is told to one that left, or that waits for more, wakes nobody.
    pub(crate) fn wake(&mut self) -> Option<(u32, Woken)> {
        loop {
            let (stream, news) = self.news.pop_front()?;
            if let Some(woken) = self.hear(stream, &news) {
                return Some((stream, woken));
            }
        }
    }

    fn hear(&mut self, stream: u32, news: &News) -> Option<Woken> {
        let member = self.members.get_mut(&stream)?;
        let failure = match (&mut member.standing, news) {
            (Standing::Facts(parked), News::Landed(landed)) => parked.hear(landed)?.err(),
            // Who waits for something else by now has time again.
            (Standing::Facts(_) | Standing::Body(_), News::Late) if member.deadline.is_none() => {
                Some(Failure::LookupTimeout)
            }
            (Standing::Body(_), News::Crowded) if member.deadline.is_none() => Some(Failure::Busy),
            _ => return None,
        };
        match (self.stand(stream, Standing::Decided, None), failure) {
            (Standing::Body(awaited), Some(Failure::Busy)) => Some(Woken::Crowded(awaited)),
            (Standing::Body(awaited), _) => Some(Woken::WithoutBody(awaited)),
            (Standing::Facts(parked), None) => Some(Woken::WithFacts(parked)),
            (Standing::Facts(parked), Some(failure)) => Some(Woken::WithoutFacts(parked, failure)),
            (Standing::Decided | Standing::Released, _) => None,
        }
    }
}

impl Standing {
    /// How many wait for facts in it, and how many bytes their heads have.
    fn weighs(&self) -> (usize, usize) {
        match self {
            Self::Facts(parked) => (1, parked.head.saturating_add(OF_EACH)),
            Self::Decided | Self::Body(_) | Self::Released => (0, 0),
        }
    }

    /// How long a request may stand in it, where lookups may take this long.
    fn patience(&self, lookups: Duration) -> Duration {
        match self {
            Self::Body(_) => BODY_PATIENCE,
            Self::Decided | Self::Facts(_) | Self::Released => lookups,
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
            Ok((value, freshness)) => {
                self.missing.retain(|missing| *missing != key);
                self.learn(key, value, *freshness);
                self.missing.is_empty().then_some(Ok(()))
            }
            Err(failure) => Some(Err(*failure)),
        }
    }

    /// Takes a fact of this age; a target's is filed under the target, for every access that means it.
    pub(crate) fn learn(&mut self, key: Hash, value: &Value, freshness: Freshness) {
        self.oldest = self.oldest.max(freshness);
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
