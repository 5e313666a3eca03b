//! Facts that are looked up: each once at a time, in this process by a place to wait at, in the fleet by a lease.
//!
//! An answer counts for whoever asks when it is no older than they take. A question that was asked while a flight was under
//! way may be about what changed since, so it takes that flight's answer only where it takes memory of that age.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::access::TargetRef;
use policy::bindings::Moment;
use policy::facts::{Found, Hash, Invalid, JobId, Part, Secret, Token};
use policy::failure::Failure;
use policy::lookup::{Fact, PartKey, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::api::answers;
use crate::clock;
use crate::forge::{AtHand, Forge, Landed, Recalled};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::store::{Aged, Asked, Lease, Running, Store, StoreError, Ticket, TokenState};
use crate::subject::{Subject, keys};
use crate::webhooks::{Delivery, Event, Refused};

/// How soon it is looked again whether another replica's flight has landed.
const AGAIN: Duration = Duration::from_millis(15);

/// The most flights of one process at a time.
const MOST: usize = 4096;

/// To which age what is remembered serves, however old an answer may be.
#[derive(Debug, Clone)]
pub struct Ages {
    /// Of whose token it is: a blocked user shows nowhere else.
    pub tokens: Duration,
    /// Of each part of what a target is to a job.
    pub parts: [(Part, Duration); 6],
}

impl Ages {
    fn of(&self, part: Part) -> Duration {
        self.parts.iter().find(|(known, _)| *known == part).map_or(Duration::ZERO, |(_, age)| *age)
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// Of a token.
    Token(TokenState),
    /// Of a target, or of who holds something.
    Found(Found),
}

/// What is known, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What it is.
    pub known: Known,
    /// Since when, by our own clock; the oldest of its parts.
    pub since: Moment,
}

/// What a flight brought, and what was remembered before.
#[derive(Debug, Clone)]
struct Outcome {
    result: Result<Answered, Failure>,
    older: Option<Answered>,
}

struct UnderWay {
    /// A flight of its own number, so that none takes out another one.
    number: u64,
    landing: watch::Receiver<Option<Outcome>>,
}

/// All flights of a process.
pub struct Flights {
    store: Arc<dyn Store>,
    forge: Arc<dyn Forge>,
    ages: Ages,
    timeout: Duration,
    metrics: Metrics,
    journal: Journal,
    under_way: Mutex<HashMap<Hash, UnderWay>>,
}

impl Flights {
    /// None yet. A question is answered within `timeout`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        forge: Arc<dyn Forge>,
        ages: Ages,
        timeout: Duration,
        metrics: Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            forge,
            ages,
            timeout,
            metrics,
            journal: Journal::default(),
            under_way: Mutex::default(),
        })
    }

    /// What is known of a fact, by a memory that is no older than `max_age`. Where the forge is away, and memory of some age
    /// is taken, an older one: its age is told.
    ///
    /// # Errors
    /// A failure, never a "no", where nothing is to be had.
    pub async fn ask(self: &Arc<Self>, fact: &Fact, max_age: Duration) -> Result<Answered, Failure> {
        let least = clock::now().before(max_age);
        let deadline = Instant::now() + self.timeout;
        loop {
            let mut landing = self.join(fact, least, deadline)?;
            let outcome = match timeout_at(deadline, landing.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => outcome.clone().ok_or(Failure::Doubt)?,
                Ok(Err(_)) => return Err(Failure::Doubt),
                Err(_) => return Err(Failure::LookupTimeout),
            };
            match outcome.result {
                Ok(answered) if answered.since >= least || is_final(&answered) => return Ok(answered),
                Ok(_) => {}
                Err(failure) => return outcome.older.filter(|_| !max_age.is_zero()).ok_or(failure),
            }
        }
    }

    /// Which version the forge is.
    ///
    /// # Errors
    /// A failure, where it does not say.
    pub async fn version(&self) -> Result<policy::facts::Version, Failure> {
        self.forge.version().await
    }

    /// What a report says that came to an address of this name.
    ///
    /// # Errors
    /// Why it is none.
    pub fn reported(&self, from: &str, delivery: &Delivery<'_>) -> Result<Event<JobId>, Refused> {
        self.forge.reported(from, delivery)
    }

    /// For how long the forge wants to be left alone.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.forge.pause()
    }

    /// Waits for a flight that is under way, or begins one.
    fn join(
        self: &Arc<Self>,
        fact: &Fact,
        least: Moment,
        deadline: Instant,
    ) -> Result<watch::Receiver<Option<Outcome>>, Failure> {
        let key = fact.key();
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = under_way.get(&key) {
            return Ok(known.landing.clone());
        }
        if under_way.len() >= MOST {
            return Err(Failure::LookupBusy);
        }
        let (land, landing) = watch::channel(None);
        let number = next_number();
        under_way.insert(key, UnderWay { number, landing: landing.clone() });
        let (flights, fact) = (Arc::clone(self), fact.clone());
        // A task of its own: it lands, and is remembered, also where its client has gone.
        tokio::spawn(async move {
            // Taken out also where the flight does not come to its end.
            let place = Place { flights: &flights, key, number };
            let outcome = timeout_at(deadline, flights.fly(fact, key, least, deadline)).await;
            let timed_out = Outcome { result: Err(Failure::LookupTimeout), older: None };
            drop(place);
            let _ = land.send(Some(outcome.unwrap_or(timed_out)));
        });
        Ok(landing)
    }

    async fn fly(&self, fact: Fact, key: Hash, least: Moment, deadline: Instant) -> Outcome {
        let mut older = None;
        // What was learned, or is told in its place, takes some of the time as well.
        let by = deadline - self.timeout / 10;
        let result = match fact {
            Fact::Token(token) => self.token(&token, &key, least, by, &mut older).await,
            Fact::Target(_, TargetRef::Held(_)) => {
                self.look(fact, &Recalled::new(), by).await.and_then(|landed| found(&landed))
            }
            Fact::Target(..) => self.target(&fact, &key, least, by, &mut older).await,
        };
        Outcome { result, older }
    }

    async fn token(
        &self,
        token: &Secret,
        key: &Hash,
        least: Moment,
        by: Instant,
        older: &mut Option<Answered>,
    ) -> Result<Answered, Failure> {
        let began = Instant::now();
        let ticket = loop {
            let before = clock::now();
            let max_age = before.since(least).min(self.ages.tokens);
            let Some(Asked { known, lease }) = self.told("ask", self.store.ask_token(key, max_age).await) else {
                break None;
            };
            let known = known
                .map(|Aged { value, age }| Answered { known: Known::Token(today(value)), since: before.before(age) });
            match lease {
                Lease::Needless => return known.ok_or(Failure::Doubt),
                Lease::Yours(ticket) => {
                    *older = known;
                    break Some(ticket);
                }
                Lease::Theirs(ticket) if self.waited(began) => {
                    *older = known;
                    break Some(ticket);
                }
                Lease::TooMany if self.waited(began) => return Err(Failure::LookupBusy),
                Lease::Theirs(_) | Lease::TooMany => sleep(AGAIN).await,
            }
        };
        let looked = self.look(Fact::Token(token.clone()), &Recalled::new(), by).await;
        let answered = match looked {
            Ok(landed) => self.learn_token(key, landed, ticket.as_ref()).await,
            Err(failure) => Err(failure),
        };
        self.release(key, ticket.as_ref()).await;
        answered
    }

    /// Remembers what the forge said of a token, and tells what holds.
    async fn learn_token(&self, key: &Hash, landed: Landed, ticket: Option<&Ticket>) -> Result<Answered, Failure> {
        let said = match landed.value {
            Value::Token(Token::Running(job)) => TokenState::Running(Running {
                job: job.id,
                project: job.origin.id,
                answer: answers::running(&job, &landed.terms).to_string(),
            }),
            Value::Token(Token::Ended(_)) => TokenState::Ended,
            Value::Token(Token::Invalid(invalid)) => TokenState::Refused(invalid),
            Value::Token(Token::Forgotten) | Value::Target(_) => return Err(Failure::Doubt),
        };
        let stands = match (ticket, &said) {
            (None, _) => None,
            // It would end the job, whose other tokens are as good as ever.
            (Some(_), TokenState::Refused(Invalid::Unknown)) if landed.terms.of_token_alone => None,
            (Some(ticket), TokenState::Running(running)) => {
                self.told("put", self.store.put_running(key, running, ticket).await)
            }
            (Some(ticket), _) => self.told("put", self.store.put_refused(key, &said, ticket).await),
        };
        if stands == Some(TokenState::Ended) && said != TokenState::Ended {
            self.metrics.ended("token", 1);
        }
        Ok(Answered { known: Known::Token(stands.unwrap_or(said)), since: landed.since })
    }

    async fn target(
        &self,
        fact: &Fact,
        key: &Hash,
        least: Moment,
        by: Instant,
        older: &mut Option<Answered>,
    ) -> Result<Answered, Failure> {
        let (found, holds) = self.target_once(fact, key, least, by, older).await?;
        // Something changed meanwhile: whoever came to wait after that takes nothing from before.
        if holds { Ok(found) } else { self.target_once(fact, key, least, by, older).await.map(|(found, _)| found) }
    }

    /// Looks a target up, and says whether nothing changed meanwhile.
    async fn target_once(
        &self,
        fact: &Fact,
        key: &Hash,
        least: Moment,
        by: Instant,
        older: &mut Option<Answered>,
    ) -> Result<(Answered, bool), Failure> {
        let holds = |answered| (answered, true);
        let mut parts = match self.forge.at_hand(fact, &Recalled::new()) {
            AtHand::Whole(landed) => return found(&landed).map(holds),
            AtHand::Failed(failure) => return Err(failure),
            AtHand::Parts(parts) => once_each(parts),
        };
        let began = Instant::now();
        let mut about = Subject::of(fact);
        let (ticket, recalled) = loop {
            let before = clock::now();
            let max_age = before.since(least);
            let wanted: Vec<(PartKey, Duration)> =
                parts.iter().map(|part| (*part, self.ages.of(part.part).min(max_age))).collect();
            let Some(Asked { known, lease }) =
                self.told("ask", self.store.ask_parts(key, &wanted, &keys(&about)).await)
            else {
                break (None, Recalled::new());
            };
            let (mut serve, mut all) = (Recalled::new(), Recalled::new());
            for ((part, max_age), known) in wanted.iter().zip(known) {
                let Some(Aged { value, age }) = known.filter(|known| known.value.part() == part.part) else { continue };
                let since = before.before(age);
                if age <= *max_age {
                    serve.insert(part.hash, (value.clone(), since));
                }
                all.insert(part.hash, (value, since));
            }
            let sizes = (parts.len(), about.len());
            learn(&mut about, all.values().map(|(known, _)| known));
            // Not every part that may matter does: of an image's paths only the first at which there is a project.
            if about.len() == sizes.1
                && let AtHand::Whole(landed) = self.forge.at_hand(fact, &serve)
            {
                if let Lease::Yours(ticket) = &lease {
                    self.release(key, Some(ticket)).await;
                }
                return found(&landed).map(holds);
            }
            *older = match self.forge.at_hand(fact, &all) {
                AtHand::Whole(landed) => found(&landed).ok(),
                AtHand::Failed(_) => None,
                AtHand::Parts(looked_for) => {
                    parts = once_each(parts.into_iter().chain(looked_for));
                    None
                }
            };
            // Which parts there are, and what they are about, may be known by others alone: a role is its project's by the number.
            if (parts.len(), about.len()) != sizes {
                if let Lease::Yours(ticket) = &lease {
                    self.release(key, Some(ticket)).await;
                }
                continue;
            }
            match lease {
                Lease::Yours(ticket) => break (Some(ticket), serve),
                Lease::Theirs(ticket) if self.waited(began) => break (Some(ticket), serve),
                Lease::Theirs(_) => sleep(AGAIN).await,
                // All is there, and the forge must be asked all the same.
                Lease::Needless | Lease::TooMany => break (None, serve),
            }
        };
        let looked = self.look(fact.clone(), &recalled, by).await;
        let mut stands = None;
        if let (Ok(landed), Some(ticket)) = (&looked, &ticket) {
            learn(&mut about, landed.learned.iter().map(|(_, known)| known));
            let learned = landed
                .learned
                .iter()
                .map(|(part, known)| (*part, known.clone(), self.ages.of(part.part).saturating_mul(2)));
            stands = self.told("put", self.store.put_parts(&learned.collect::<Vec<_>>(), &keys(&about), ticket).await);
        }
        self.release(key, ticket.as_ref()).await;
        Ok((found(&looked?)?, stands != Some(false)))
    }

    async fn look(&self, fact: Fact, recalled: &Recalled, by: Instant) -> Result<Landed, Failure> {
        timeout_at(by, self.forge.look(fact, recalled)).await.unwrap_or(Err(Failure::LookupTimeout))
    }

    async fn release(&self, key: &Hash, ticket: Option<&Ticket>) {
        if let Some(ticket) = ticket.filter(|ticket| !ticket.owner.is_empty()) {
            self.told("release", self.store.release(key, ticket).await);
        }
    }

    /// Whether another's flight was awaited so long that there is just time for one of our own.
    fn waited(&self, began: Instant) -> bool {
        began.elapsed() >= self.timeout / 2
    }

    /// What the store said. Where it says nothing, the forge is asked as if there were none.
    fn told<T>(&self, operation: &'static str, said: Result<T, StoreError>) -> Option<T> {
        said.inspect_err(|error| {
            self.metrics.store_failed(operation);
            if self.journal.may_note() {
                tracing::warn!(operation, %error, "the store failed");
            }
        })
        .ok()
    }
}

/// The place of a flight among those under way, left when it is dropped.
struct Place<'a> {
    flights: &'a Flights,
    key: Hash,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.get(&self.key).is_some_and(|known| known.number == self.number) {
            under_way.remove(&self.key);
        }
    }
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What holds of a token today: one that said until when it is valid is nobody's from then on.
fn today(known: TokenState) -> TokenState {
    match known {
        TokenState::Running(running) if answers::is_over(&running.answer, clock::unix()) => {
            TokenState::Refused(Invalid::Unknown)
        }
        known => known,
    }
}

/// An end does not grow old.
fn is_final(answered: &Answered) -> bool {
    answered.known == Known::Token(TokenState::Ended)
}

fn found(landed: &Landed) -> Result<Answered, Failure> {
    match &landed.value {
        Value::Target(found) => Ok(Answered { known: Known::Found(found.clone()), since: landed.since }),
        Value::Token(_) => Err(Failure::Doubt),
    }
}

/// Adds the projects that parts tell of.
fn learn<'a>(about: &mut Vec<Subject>, parts: impl Iterator<Item = &'a policy::facts::Known>) {
    for subject in parts.filter_map(Subject::told) {
        if !about.contains(&subject) {
            about.push(subject);
        }
    }
}

fn once_each(parts: impl IntoIterator<Item = PartKey>) -> Vec<PartKey> {
    let mut seen = std::collections::HashSet::new();
    parts.into_iter().filter(|part| seen.insert(part.hash)).collect()
}
