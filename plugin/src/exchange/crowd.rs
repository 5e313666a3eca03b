//! Where each request of a worker stands, who waits for what, and what is there to tell them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use policy::bindings::Moment;
use policy::facts::Hash;
use policy::failure::Failure;
use policy::memo::Hashes;
use policy::request::{Pending, Scan};

use super::answer::Answering;
use super::parked::Parked;
use crate::host::Stream;
use crate::lookups::Found;
use crate::worker::Load;

/// How long a body that must be read may take to come.
pub(super) const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The most requests that wait at a time. A proxy has some thousand connections, and each may wait when the lookup service
/// is away; who comes when so many wait is told to come back.
const MOST: usize = 16_384;

/// The most of them that wait for one fact, so that no token takes the place of all others.
const MOST_FOR_ONE: usize = 12_288;

/// How many bytes the heads of those may have that wait for facts. What the filter makes of a head takes some times as much.
const MOST_HEADS: usize = 32 << 20;

/// How many bytes of requests, heads and bodies, are kept at a time while a body is awaited.
const MOST_HELD: usize = 64 << 20;

/// What a request takes beside its bytes.
const OF_EACH: usize = 1 << 10;

/// A request, from its head until it is gone.
#[derive(Debug)]
pub(super) struct Exchange {
    stands: Standing,
    /// How many bytes its head has.
    pub(super) head: usize,
    /// All of it has come.
    has_ended: bool,
    /// What looks at each piece of its body before that goes on.
    pub(super) scan: Option<Box<Scan>>,
    /// How much of what the host holds of the body was looked at.
    pub(super) seen: usize,
    /// Whether something of its body was shown.
    pub(super) is_shown: bool,
    /// What is done with the forge's answer.
    pub(super) answering: Answering,
    /// How many bytes of it are kept beside what waits for facts.
    held: usize,
    /// Its time is up, or its place is needed, and there is news for it that says so.
    is_told: bool,
}

/// Where a request stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is being decided on.
    Read,
    /// It is a report to the webhook, whose body is awaited. Who sends it knows the secret, and may take its time.
    Report,
    /// Its body is awaited, until then.
    Body(Box<Pending>, Moment),
    /// Facts are awaited.
    Facts(Box<Parked>),
    /// It goes on.
    Going,
    /// It was answered: whatever still comes of it goes nowhere.
    Answered,
}

/// The requests of one worker.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// The host counts its streams, so they stand in the order in which they came.
    exchanges: BTreeMap<Stream, Exchange>,
    /// Who is to be told of a fact: an index of what the exchanges wait for, which [`Crowd::stand`] and [`Crowd::tell`] keep.
    /// Without it all of a crowd would be asked for each fact that lands. It is not the flights' own, either: a request waits for
    /// several facts and leaves all of them at once, and has to know what it still waits for.
    listeners: BTreeMap<Hash, BTreeSet<Stream>>,
    /// How many wait for facts, and how many bytes their heads have.
    waiting: usize,
    heads: usize,
    /// How many bytes are kept of those whose body is awaited, or waits with them.
    held: usize,
    /// News that was not told yet, the oldest first.
    news: VecDeque<(Stream, News)>,
}

/// A fact that was looked up and how old it is, or why it is not to be had.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) key: Hash,
    pub(crate) found: Found,
    /// Whether it was as new as can be when it was asked for, with no part that was remembered anywhere.
    pub(crate) is_new: bool,
}

#[derive(Debug)]
enum News {
    Landed(Rc<Landed>),
    /// Its time is up.
    Late,
    /// Its place is needed.
    Crowded,
    /// The host does not show it.
    Unshown,
}

/// A request that waits no longer.
#[derive(Debug)]
pub(super) enum Woken {
    /// Its body did not come in time, or may not be waited for any longer.
    WithoutBody(Box<Pending>, Failure),
    /// Its facts are there, or are not to be had.
    Facts(Box<Parked>, Result<(), Failure>),
}

impl Crowd {
    /// A request comes, whose head has so many bytes, and may be all of it.
    pub(super) fn enter(&mut self, stream: Stream, head: usize, has_ended: bool) -> &mut Exchange {
        self.leave(stream);
        self.exchanges.entry(stream).or_insert(Exchange {
            stands: Standing::Read,
            head,
            has_ended,
            scan: None,
            seen: 0,
            is_shown: false,
            answering: Answering::Unseen,
            held: 0,
            is_told: false,
        })
    }

    /// More of a request comes, and perhaps its end. `false` where its end has come before.
    pub(super) fn more(&mut self, stream: Stream, ends: bool) -> bool {
        let Some(exchange) = self.exchanges.get_mut(&stream) else { return true };
        let had_ended = exchange.has_ended;
        exchange.has_ended |= ends;
        !had_ended
    }

    /// The request of this stream.
    #[inline]
    pub(super) fn find(&mut self, stream: Stream) -> Option<&mut Exchange> {
        self.exchanges.get_mut(&stream)
    }

    /// Where a request stands from here on; where it stood before.
    pub(super) fn stand(&mut self, stream: Stream, standing: Standing) -> Option<Standing> {
        let exchange = self.exchanges.get_mut(&stream)?;
        exchange.is_told = false;
        let stood = std::mem::replace(&mut exchange.stands, standing);
        if let Standing::Facts(parked) = &stood {
            self.waiting = self.waiting.saturating_sub(1);
            self.heads = self.heads.saturating_sub(exchange.head).saturating_sub(OF_EACH);
            for key in &parked.missing {
                if let Entry::Occupied(mut listeners) = self.listeners.entry(*key) {
                    listeners.get_mut().remove(&stream);
                    if listeners.get().is_empty() {
                        listeners.remove();
                    }
                }
            }
        }
        match &exchange.stands {
            Standing::Facts(parked) => {
                self.waiting = self.waiting.saturating_add(1);
                self.heads = self.heads.saturating_add(exchange.head).saturating_add(OF_EACH);
                for key in &parked.missing {
                    self.listeners.entry(*key).or_default().insert(stream);
                }
            }
            Standing::Going | Standing::Answered => {
                self.held = self.held.saturating_sub(std::mem::take(&mut exchange.held));
            }
            Standing::Read | Standing::Report | Standing::Body(..) => {}
        }
        Some(stood)
    }

    /// The body that a request waits for is there, or is not waited for any longer.
    pub(super) fn take_pending(&mut self, stream: Stream) -> Option<Box<Pending>> {
        self.exchanges.get_mut(&stream)?.pending()?;
        let Standing::Body(pending, _) = self.stand(stream, Standing::Read)? else { return None };
        Some(pending)
    }

    /// A stream is gone: nothing may wake it from here on.
    pub(super) fn leave(&mut self, stream: Stream) {
        self.stand(stream, Standing::Answered);
        self.exchanges.remove(&stream);
    }

    /// What requests come to.
    pub(crate) fn load(&self) -> Load {
        Load { waiting: self.waiting, heads: self.heads, held: self.held, ..Load::default() }
    }

    /// Whether one more may wait for facts.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < MOST && self.heads < MOST_HEADS
    }

    /// Whether one more may wait for this fact.
    pub(super) fn has_room_for(&self, key: &Hash) -> bool {
        self.listeners.get(key).is_none_or(|listeners| listeners.len() < MOST_FOR_ONE)
    }

    /// So many bytes are kept of a request whose body is awaited, or waits with it. `false` when that is too much.
    pub(super) fn hold(&mut self, stream: Stream, bytes: usize) -> bool {
        let Some(exchange) = self.exchanges.get_mut(&stream) else { return true };
        let bytes = bytes.saturating_add(OF_EACH);
        self.held = self.held.saturating_sub(std::mem::replace(&mut exchange.held, bytes)).saturating_add(bytes);
        self.held <= MOST_HELD
    }

    /// The same, and of its head too.
    pub(super) fn hold_with_head(&mut self, stream: Stream, bytes: usize) -> bool {
        let head = self.exchanges.get(&stream).map_or(0, |exchange| exchange.head);
        self.hold(stream, bytes.saturating_add(head))
    }

    /// The requests that wait for a fact, in the order in which they came.
    pub(crate) fn waiting_for(&self, key: &Hash) -> impl Iterator<Item = &Parked> {
        let listeners = self.listeners.get(key).into_iter().flatten();
        listeners.filter_map(|stream| {
            let Standing::Facts(parked) = &self.exchanges.get(stream)?.stands else { return None };
            Some(&**parked)
        })
    }

    /// There is news for those who wait for a fact.
    pub(crate) fn tell(&mut self, landed: Landed) {
        let listeners = self.listeners.remove(&landed.key).unwrap_or_default();
        let landed = Rc::new(landed);
        self.news.extend(listeners.into_iter().map(|stream| (stream, News::Landed(Rc::clone(&landed)))));
    }

    /// There is news for those who have waited too long: for facts no longer than this.
    pub(crate) fn expire(&mut self, lookups: Duration, now: Moment) {
        for (stream, exchange) in &mut self.exchanges {
            if exchange.is_late(lookups, now) {
                exchange.is_told = true;
                self.news.push_back((*stream, News::Late));
            }
        }
        if self.held > MOST_HELD / 2 {
            self.make_room();
        }
    }

    /// So that a few slow bodies do not take the place of all others, those that have been awaited longest are not awaited
    /// any longer once half of the place is taken.
    fn make_room(&mut self) {
        // Those that are told already are as good as gone.
        let told = self.exchanges.values().filter(|exchange| exchange.is_told);
        let gone = told.fold(0_usize, |gone, exchange| gone.saturating_add(exchange.held));
        let mut held = self.held.saturating_sub(gone);
        for (stream, exchange) in &mut self.exchanges {
            if held <= MOST_HELD / 2 {
                break;
            }
            if matches!(exchange.stands, Standing::Body(..)) && !exchange.is_told {
                held = held.saturating_sub(exchange.held);
                exchange.is_told = true;
                self.news.push_back((*stream, News::Crowded));
            }
        }
    }

    /// All requests, in the order in which they came.
    pub(super) fn each(&mut self) -> impl Iterator<Item = (Stream, &mut Exchange)> {
        self.exchanges.iter_mut().map(|(stream, exchange)| (*stream, exchange))
    }

    /// There is news for those whose bodies will not be shown.
    pub(super) fn give_bodies_up(&mut self) {
        for (stream, exchange) in &mut self.exchanges {
            if matches!(exchange.stands, Standing::Body(..)) && !exchange.is_shown && !exchange.is_told {
                exchange.is_told = true;
                self.news.push_back((*stream, News::Unshown));
            }
        }
    }

    /// Whether there is news that was not told yet.
    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// The next request that waits no longer. What is told to one that left, or that waits for more, wakes nobody.
    pub(super) fn wake(&mut self, hashes: &Hashes) -> Option<(Stream, Woken)> {
        loop {
            let (stream, news) = self.news.pop_front()?;
            if let Some(woken) = self.hear(hashes, stream, &news) {
                return Some((stream, woken));
            }
        }
    }

    fn hear(&mut self, hashes: &Hashes, stream: Stream, news: &News) -> Option<Woken> {
        let exchange = self.exchanges.get_mut(&stream)?;
        let heard = match (&mut exchange.stands, news) {
            (Standing::Facts(parked), News::Landed(landed)) => parked.hear(hashes, landed)?,
            // Who waits for something else by now has time again.
            (Standing::Facts(_) | Standing::Body(..), News::Late) if exchange.is_told => Err(Failure::LookupTimeout),
            (Standing::Body(..), News::Crowded) if exchange.is_told => Err(Failure::Busy),
            (Standing::Body(..), News::Unshown) if exchange.is_told => Err(Failure::Bodies),
            _ => return None,
        };
        match (self.stand(stream, Standing::Read)?, heard) {
            (Standing::Body(pending, _), Err(failure)) => Some(Woken::WithoutBody(pending, failure)),
            (Standing::Facts(parked), heard) => Some(Woken::Facts(parked, heard)),
            (Standing::Body(..) | Standing::Read | Standing::Report | Standing::Going | Standing::Answered, _) => None,
        }
    }
}

impl Exchange {
    /// Where it stands.
    pub(super) fn stands(&self) -> &Standing {
        &self.stands
    }

    /// What awaits its body.
    pub(super) fn pending(&mut self) -> Option<&mut Pending> {
        let Standing::Body(pending, _) = &mut self.stands else { return None };
        Some(pending)
    }

    fn is_late(&self, lookups: Duration, now: Moment) -> bool {
        let deadline = match &self.stands {
            Standing::Body(_, deadline) => deadline.has_come(BODY_PATIENCE, now),
            Standing::Facts(parked) => parked.deadline.has_come(lookups, now),
            Standing::Read | Standing::Report | Standing::Going | Standing::Answered => false,
        };
        deadline && !self.is_told
    }
}
