//! The store of one replica, in its own memory: for a service that is one process, and for tests. What it forgets when it
//! ends, every Envoy learns by a cursor that is no longer known.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use policy::bindings::{Cursor, Moment};
use policy::facts::{Hash, JobId, Known, ProjectId};
use policy::lookup::PartKey;
use tokio::sync::watch;

use super::{
    Aged, Asked, Changes, Lease, Limits, MOST_CHANGES, Reply, Store, StoreError, Ticket, TokenState, ends_job, life,
    lives, owner,
};
use crate::clock;

/// The store of one replica.
pub struct Memory {
    limits: Limits,
    capacity: usize,
    /// Which one it is: another has other cursors.
    life: String,
    state: Mutex<State>,
    news: watch::Sender<u64>,
}

/// Something, since when it is known, and until when it is remembered.
struct Kept<T> {
    value: T,
    since: Moment,
    until: Moment,
}

struct KnownJob {
    /// `None` when it ended.
    running: Option<ProjectId>,
    first: Moment,
    /// When a sweep last saw it.
    seen: Moment,
    until: Moment,
}

#[derive(Default)]
struct State {
    tokens: HashMap<Hash, Kept<TokenState>>,
    jobs: HashMap<JobId, KnownJob>,
    parts: HashMap<Hash, Kept<Known>>,
    /// When what parts are about changed.
    changed: HashMap<Hash, Moment>,
    leases: HashMap<Vec<u8>, (String, Moment)>,
    /// The list of ended jobs by their places in it, and when each came.
    ended: BTreeMap<u64, (JobId, Moment)>,
    /// The last place that was given, and the last that was forgotten.
    last: u64,
    floor: u64,
    /// How many unknown tokens are asked for in which second.
    unknown: (u64, u32),
    /// When what is over was last taken out.
    forgot: u64,
}

impl Memory {
    /// An empty one, of so many things of each kind at most.
    #[must_use]
    pub fn new(limits: Limits, capacity: usize) -> Self {
        Self { limits, capacity, life: owner(), state: Mutex::default(), news: watch::Sender::new(0) }
    }

    fn state(&self) -> (MutexGuard<'_, State>, Moment) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        if now.0.saturating_sub(state.forgot) > 1000 {
            state.forgot = now.0;
            state.forget(now);
        }
        (state, now)
    }

    fn ticket(&self, owner: String, at: Moment) -> Ticket {
        Ticket { at, life: self.life.clone(), owner }
    }

    fn has_room(&self, entries: usize) -> Result<(), StoreError> {
        if entries < self.capacity { Ok(()) } else { Err(StoreError::Full) }
    }

    fn cursor(&self, place: u64) -> Result<Cursor, StoreError> {
        Cursor::parse(&format!("{}.{place}", self.life)).ok_or_else(|| StoreError::Away("no cursor".into()))
    }

    fn end_in(&self, state: &mut State, jobs: &[JobId], now: Moment) {
        for job in jobs {
            let known = state.jobs.get(job);
            let first = known.map_or(now, |known| known.first);
            if known.is_none_or(|known| known.running.is_some()) {
                state.last += 1;
                let place = state.last;
                state.ended.insert(place, (*job, now));
            }
            let ended = KnownJob { running: None, first, seen: Moment(0), until: now.after(life::ENDED) };
            state.jobs.insert(*job, ended);
        }
        let _ = self.news.send_replace(state.last);
    }
}

impl State {
    /// Takes out what is over.
    fn forget(&mut self, now: Moment) {
        self.tokens.retain(|_, kept| kept.until > now);
        self.jobs.retain(|_, job| job.until > now);
        self.parts.retain(|_, kept| kept.until > now);
        self.changed.retain(|_, at| at.after(life::CHANGED) > now);
        self.leases.retain(|_, (_, until)| *until > now);
        while let Some(first) = self.ended.first_entry().filter(|entry| now.since(entry.get().1) > life::ENDED) {
            self.floor = *first.key();
            first.remove();
        }
    }

    fn is_leased(&self, name: &[u8], now: Moment) -> bool {
        self.leases.get(name).is_some_and(|(_, until)| *until > now)
    }

    /// Takes a lease, and says what its owner is called.
    fn take_lease(&mut self, name: &[u8], time: Duration, now: Moment) -> String {
        let owner = owner();
        self.leases.insert(name.to_vec(), (owner.clone(), now.after(time)));
        owner
    }

    /// When something of this last changed.
    fn changed(&self, about: &[Hash]) -> Option<Moment> {
        about.iter().filter_map(|subject| self.changed.get(subject)).max().copied()
    }

    fn unknown_in(&mut self, now: Moment) -> &mut u32 {
        let second = now.0 / 1000;
        if self.unknown.0 != second {
            self.unknown = (second, 0);
        }
        &mut self.unknown.1
    }

    /// What is known of a token: an ended job's is ended, whatever was answered.
    fn token(&self, key: &Hash, now: Moment) -> Option<Aged<TokenState>> {
        let kept = self.tokens.get(key).filter(|kept| kept.until > now)?;
        let TokenState::Running(running) = &kept.value else {
            return Some(Aged { value: kept.value.clone(), age: now.since(kept.since) });
        };
        let job = self.jobs.get(&running.job);
        if job.is_some_and(|job| job.running.is_none()) {
            return Some(Aged { value: TokenState::Ended, age: Duration::ZERO });
        }
        let since = kept.since.max(job.map_or(Moment(0), |job| job.seen));
        Some(Aged { value: kept.value.clone(), age: now.since(since) })
    }
}

fn answer<'a, T: Send + 'a>(value: Result<T, StoreError>) -> Reply<'a, T> {
    ready(value).boxed()
}

impl Store for Memory {
    fn ask_token<'a>(&'a self, key: &'a Hash, max_age: Duration) -> Reply<'a, Asked<Option<Aged<TokenState>>>> {
        let (mut state, now) = self.state();
        let known = state.token(key, now);
        let serves = |known: &Aged<TokenState>| known.value == TokenState::Ended || known.age <= max_age;
        let lease = if known.as_ref().is_some_and(serves) {
            Lease::Needless
        } else if state.is_leased(&key.0, now) {
            Lease::Theirs(self.ticket(String::new(), now))
        } else if known.is_none() && *state.unknown_in(now) >= self.limits.unknown_per_second {
            Lease::TooMany
        } else {
            if known.is_none() {
                *state.unknown_in(now) += 1;
            }
            Lease::Yours(self.ticket(state.take_lease(&key.0, self.limits.lease, now), now))
        };
        answer(Ok(Asked { known, lease }))
    }

    fn put_running<'a>(
        &'a self,
        key: &'a Hash,
        running: &'a super::Running,
        ticket: &'a Ticket,
    ) -> Reply<'a, TokenState> {
        let (mut state, now) = self.state();
        if state.unknown.0 == ticket.at.0 / 1000 {
            state.unknown.1 = state.unknown.1.saturating_sub(1);
        }
        let has_room = self.has_room(state.tokens.len());
        let known = state.jobs.entry(running.job).or_insert(KnownJob {
            running: Some(running.project),
            first: ticket.at,
            seen: Moment(0),
            until: now.after(life::RUNNING),
        });
        let is_over = known.running.is_none();
        if is_over || state.tokens.get(key).is_some_and(|kept| kept.value == TokenState::Ended && kept.until > now) {
            let ended = Kept { value: TokenState::Ended, since: now, until: now.after(life::ENDED) };
            state.tokens.insert(*key, ended);
            return answer(Ok(TokenState::Ended));
        }
        let value = TokenState::Running(running.clone());
        let is_newer = state.tokens.get(key).is_none_or(|kept| kept.since <= ticket.at || kept.until <= now);
        if is_newer {
            if let Err(full) = has_room {
                return answer(Err(full));
            }
            let until = ticket.at.after(lives(&value, self.limits.tokens));
            state.tokens.insert(*key, Kept { value: value.clone(), since: ticket.at, until });
        }
        answer(Ok(value))
    }

    fn put_refused<'a>(&'a self, key: &'a Hash, refused: &'a TokenState, ticket: &'a Ticket) -> Reply<'a, TokenState> {
        let (mut state, now) = self.state();
        let known = state.tokens.get(key).filter(|kept| kept.until > now);
        let stands = match known.map(|kept| (&kept.value, kept.since)) {
            Some((TokenState::Ended, _)) => TokenState::Ended,
            Some((TokenState::Running(running), since)) if since > ticket.at => TokenState::Running(running.clone()),
            Some((TokenState::Running(running), _)) if ends_job(refused) => {
                let job = running.job;
                self.end_in(&mut state, &[job], now);
                TokenState::Ended
            }
            _ => refused.clone(),
        };
        if !matches!(stands, TokenState::Running(_)) {
            if let Err(full) = self.has_room(state.tokens.len()) {
                return answer(Err(full));
            }
            let until = now.after(lives(&stands, self.limits.tokens));
            state.tokens.insert(*key, Kept { value: stands.clone(), since: ticket.at, until });
        }
        answer(Ok(stands))
    }

    fn ask_parts<'a>(
        &'a self,
        fact: &'a Hash,
        parts: &'a [(PartKey, Duration)],
        about: &'a [Hash],
    ) -> Reply<'a, Asked<Vec<Option<Aged<Known>>>>> {
        let (mut state, now) = self.state();
        let changed = state.changed(about);
        let kept = |(part, _): &(PartKey, Duration)| {
            let kept = state.parts.get(&part.hash).filter(|kept| kept.until > now && Some(kept.since) > changed)?;
            Some(Aged { value: kept.value.clone(), age: now.since(kept.since) })
        };
        let known: Vec<Option<Aged<Known>>> = parts.iter().map(kept).collect();
        let serves = known
            .iter()
            .zip(parts)
            .all(|(known, (_, max_age))| known.as_ref().is_some_and(|known| known.age <= *max_age));
        let lease = if serves {
            Lease::Needless
        } else if state.is_leased(&fact.0, now) {
            Lease::Theirs(self.ticket(String::new(), now))
        } else {
            Lease::Yours(self.ticket(state.take_lease(&fact.0, self.limits.lease, now), now))
        };
        answer(Ok(Asked { known, lease }))
    }

    fn put_parts<'a>(
        &'a self,
        parts: &'a [(PartKey, Known, Duration)],
        about: &'a [Hash],
        ticket: &'a Ticket,
    ) -> Reply<'a, bool> {
        let (mut state, now) = self.state();
        if state.changed(about) >= Some(ticket.at) {
            return answer(Ok(false));
        }
        for (part, known, time) in parts {
            let older = state.parts.get(&part.hash);
            if older.is_some_and(|kept| kept.until > now && kept.since > ticket.at) {
                continue;
            }
            if older.is_none()
                && let Err(full) = self.has_room(state.parts.len())
            {
                return answer(Err(full));
            }
            let kept = Kept { value: known.clone(), since: ticket.at, until: ticket.at.after(*time) };
            state.parts.insert(part.hash, kept);
        }
        answer(Ok(true))
    }

    fn change<'a>(&'a self, subjects: &'a [Hash]) -> Reply<'a, ()> {
        let (mut state, now) = self.state();
        let full = self.has_room(state.changed.len());
        if full.is_ok() {
            state.changed.extend(subjects.iter().map(|subject| (*subject, now)));
        }
        answer(full)
    }

    fn release<'a>(&'a self, fact: &'a Hash, ticket: &'a Ticket) -> Reply<'a, ()> {
        let (mut state, _) = self.state();
        if state.leases.get(&fact.0[..]).is_some_and(|(owner, _)| *owner == ticket.owner) {
            state.leases.remove(&fact.0[..]);
        }
        answer(Ok(()))
    }

    fn end<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, ()> {
        let (mut state, now) = self.state();
        let full = self.has_room(state.ended.len());
        if full.is_ok() {
            self.end_in(&mut state, jobs, now);
        }
        answer(full)
    }

    fn changes<'a>(&'a self, after: Option<&'a Cursor>) -> Reply<'a, Changes> {
        let (state, _) = self.state();
        let Some(after) = after else {
            return answer(self.cursor(state.last).map(|cursor| Changes::Since(Vec::new(), cursor)));
        };
        let place = after.as_str().strip_prefix(&self.life).and_then(|rest| rest.strip_prefix('.')?.parse().ok());
        let Some(place) = place.filter(|place| (state.floor..=state.last).contains(place)) else {
            return answer(Ok(Changes::Lost));
        };
        let since = state.ended.range(place + 1..).take(MOST_CHANGES);
        let (places, jobs): (Vec<u64>, Vec<JobId>) = since.map(|(place, (job, _))| (*place, *job)).unzip();
        let last = places.last().copied().unwrap_or(place);
        answer(self.cursor(last).map(|cursor| Changes::Since(jobs, cursor)))
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn lease<'a>(&'a self, name: &'a str, time: Duration) -> Reply<'a, Option<Ticket>> {
        let (mut state, now) = self.state();
        let is_free = !state.is_leased(name.as_bytes(), now);
        answer(Ok(is_free.then(|| self.ticket(state.take_lease(name.as_bytes(), time, now), now))))
    }

    fn renew<'a>(&'a self, name: &'a str, ticket: &'a Ticket, time: Duration) -> Reply<'a, bool> {
        let (mut state, now) = self.state();
        let held = state.leases.get(name.as_bytes()).filter(|(_, until)| *until > now);
        let is_ours = held.is_none_or(|(owner, _)| *owner == ticket.owner);
        if is_ours {
            let until = held.map_or(now, |(_, until)| *until).max(now.after(time));
            state.leases.insert(name.as_bytes().to_vec(), (ticket.owner.clone(), until));
        }
        answer(Ok(is_ours))
    }

    fn running<'a>(&'a self, before: &'a Ticket) -> Reply<'a, Vec<JobId>> {
        let (state, _) = self.state();
        let runs = |job: &KnownJob| job.running.is_some() && job.first < before.at;
        answer(Ok(state.jobs.iter().filter(|(_, job)| runs(job)).map(|(id, _)| *id).collect()))
    }

    fn project(&self, job: JobId) -> Reply<'_, Option<ProjectId>> {
        let (state, _) = self.state();
        answer(Ok(state.jobs.get(&job).and_then(|job| job.running)))
    }

    fn seen<'a>(&'a self, jobs: &'a [JobId], ticket: &'a Ticket, lag: Duration) -> Reply<'a, ()> {
        let (mut state, _) = self.state();
        for job in jobs {
            if let Some(known) = state.jobs.get_mut(job).filter(|known| known.running.is_some()) {
                known.seen = known.seen.max(ticket.at.before(lag));
            }
        }
        answer(Ok(()))
    }
}
