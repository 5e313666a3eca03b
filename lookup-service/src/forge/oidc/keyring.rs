//! The keys of one issuer, as they are known: from a file, or fetched from where the configuration says, and nowhere else.
//!
//! A token cannot make the service fetch more often than is good for an issuer: whatever it shows, keys are fetched once in 30 s.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::bindings::Moment;
use policy::failure::Failure;
use policy::lookup::{Call, Principal};

use super::keys::{Algorithm, Keys};
use crate::clock;
use crate::forge::client::Client;
use crate::metrics::Metrics;

/// The shortest time between two fetches, also of those that failed.
const APART: Duration = Duration::from_secs(30);

/// From which age on keys are fetched anew while they serve: what an issuer takes back counts no longer than that while it answers.
const DUE: Duration = Duration::from_secs(300);

/// From which age on keys serve no more.
const STALE: Duration = Duration::from_secs(3600);

/// The largest set of keys.
const LIMIT: usize = 256 << 10;

/// Where keys are.
pub(super) enum Origin {
    File(Arc<Keys>),
    Server { client: Client, path: String, timeout: Duration, metrics: Metrics },
}

/// The keys of one issuer.
pub(super) struct Keyring {
    origin: Origin,
    known: Mutex<Known>,
    /// Who fetches has it.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// What was fetched last, and when it was asked for.
    keys: Option<(Arc<Keys>, Moment)>,
    /// When it was tried last, and whether that failed.
    tried: Option<(Moment, bool)>,
}

impl Keyring {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Keys that have one of this name, or `None` where the issuer has none of it.
    ///
    /// # Errors
    /// Where keys are not to be had, and it may be among them.
    pub(super) async fn keys(&self, kid: &str, algorithm: Algorithm) -> Result<Option<Arc<Keys>>, Failure> {
        let (client, path, timeout, metrics) = match &self.origin {
            Origin::File(keys) => return Ok(Some(Arc::clone(keys)).filter(|keys| keys.has(kid, algorithm))),
            Origin::Server { client, path, timeout, metrics } => (client, path, *timeout, metrics),
        };
        let found = |most: Duration| self.found(kid, algorithm, most);
        if let Some(keys) = found(DUE) {
            return Ok(Some(keys));
        }
        let _turn = match (found(STALE), self.turn.try_lock()) {
            (_, Ok(turn)) => turn,
            // One fetches, and others go on by what is known.
            (Some(keys), Err(_)) => return Ok(Some(keys)),
            (None, Err(_)) => self.turn.lock().await,
        };
        // Whoever had the turn before may have brought it.
        if let Some(keys) = found(DUE) {
            return Ok(Some(keys));
        }
        if self.begin(clock::now()) {
            let asked = clock::now();
            // Shorter than a look: that there are none is told as such.
            let fetched = tokio::time::timeout(timeout, fetch(client, path, metrics)).await.unwrap_or(None);
            let mut known = self.known();
            known.tried = Some((asked, fetched.is_none()));
            if let Some(keys) = fetched {
                known.keys = Some((Arc::new(keys), asked));
            }
        }
        if let Some(keys) = found(STALE) {
            return Ok(Some(keys));
        }
        let known = self.known();
        let is_fresh = known.keys.as_ref().is_some_and(|(_, asked)| clock::now().since(*asked) <= STALE);
        match known.tried {
            Some((_, false)) if is_fresh => Ok(None),
            _ => Err(Failure::LookupUnreachable),
        }
    }

    /// Whether it is time to fetch; then it counts as tried, and failed where nothing comes of it.
    fn begin(&self, now: Moment) -> bool {
        let mut known = self.known();
        let is_time = known.tried.is_none_or(|(last, _)| now.since(last) >= APART);
        if is_time {
            known.tried = Some((now, true));
        }
        is_time
    }

    /// Keys of at most this age with one of this name.
    fn found(&self, kid: &str, algorithm: Algorithm, most: Duration) -> Option<Arc<Keys>> {
        let known = self.known();
        let (keys, asked) = known.keys.as_ref()?;
        let serves = clock::now().since(*asked) <= most && keys.has(kid, algorithm);
        serves.then(|| Arc::clone(keys))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As if all that is known had been learned so much earlier.
    #[cfg(test)]
    pub(super) fn grow_old(&self, by: Duration) {
        let mut known = self.known();
        let known = &mut *known;
        if let Some((_, asked)) = &mut known.keys {
            *asked = asked.before(by);
        }
        if let Some((tried, _)) = &mut known.tried {
            *tried = tried.before(by);
        }
    }
}

async fn fetch(client: &Client, path: &str, metrics: &Metrics) -> Option<Keys> {
    let headers = vec![("accept", b"application/json".to_vec())];
    let call =
        Call { method: "GET", path: path.to_owned(), headers, body: Vec::new(), principal: Principal::ServiceAccount };
    let response = client.send(&call).await;
    metrics.called(response.status);
    let body = (response.status == Some(200) && response.body.len() <= LIMIT).then_some(response.body)?;
    // A set without a key that serves is rather a mistake than the end of all tokens.
    Keys::parse(&body).filter(|keys| !keys.is_empty())
}
