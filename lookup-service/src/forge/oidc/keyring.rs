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
    Server { client: Box<Client>, path: String, timeout: Duration, metrics: Metrics },
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::issuer::{OTHER_RSA, RSA, StandInCi};

    async fn ring(ci: &StandInCi) -> Keyring {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let (authority, timeout) = (ci.address.to_string().parse().unwrap(), Duration::from_secs(1));
        let client = Client::new(axum::http::uri::Scheme::HTTP, authority, tls, timeout);
        let client = Box::new(client);
        Keyring::new(Origin::Server { client, path: "/keys".into(), timeout, metrics: Metrics::default() })
    }

    /// Whether a key is known: `None` where keys are not to be had.
    async fn knows(ring: &Keyring, kid: &str) -> Option<bool> {
        ring.keys(kid, Algorithm::Rs256).await.ok().map(|keys| keys.is_some())
    }

    fn shows(ci: &StandInCi, keys: Value) {
        ci.with(|ci| ci.keys = json!({ "keys": keys }));
    }

    #[tokio::test]
    async fn an_issuer_may_exchange_its_keys() {
        let ci = StandInCi::start().await;
        let ring = ring(&ci).await;
        assert_eq!(knows(&ring, "rsa-1").await, Some(true));
        shows(&ci, json!([RSA.named("rsa-1"), OTHER_RSA.named("rsa-2")]));
        assert_eq!((knows(&ring, "rsa-2").await, ci.count("/keys")), (Some(false), 1), "it was asked just now");
        ring.grow_old(APART);
        assert_eq!((knows(&ring, "rsa-2").await, ci.count("/keys")), (Some(true), 2));
        shows(&ci, json!([OTHER_RSA.named("rsa-2")]));
        assert_eq!((knows(&ring, "rsa-1").await, ci.count("/keys")), (Some(true), 2));
        ring.grow_old(DUE + Duration::from_secs(1));
        assert_eq!((knows(&ring, "rsa-1").await, ci.count("/keys")), (Some(false), 3), "what is taken back is over");
        assert_eq!((knows(&ring, "rsa-2").await, ci.count("/keys")), (Some(true), 3));
    }

    #[tokio::test]
    async fn keys_serve_for_an_hour_while_the_issuer_is_away() {
        let ci = StandInCi::start().await;
        let ring = ring(&ci).await;
        assert_eq!(knows(&ring, "rsa-1").await, Some(true));
        ci.with(|ci| ci.fault = Some(503));
        ring.grow_old(Duration::from_secs(600));
        assert_eq!((knows(&ring, "rsa-1").await, ci.count("/keys")), (Some(true), 2));
        assert_eq!(knows(&ring, "rsa-2").await, None, "it may be a new one");
        assert_eq!(ci.count("/keys"), 2, "of which nobody asks so soon");
        ring.grow_old(STALE);
        assert_eq!((knows(&ring, "rsa-1").await, ci.count("/keys")), (None, 3));
        ci.with(|ci| ci.fault = None);
        assert_eq!(knows(&ring, "rsa-1").await, None);
        ring.grow_old(APART);
        assert_eq!(knows(&ring, "rsa-1").await, Some(true));
    }

    #[tokio::test]
    async fn what_is_no_set_of_keys_takes_none_away() {
        let ci = StandInCi::start().await;
        for keys in [
            json!({"keys": []}),
            json!({"keys": [{"kty": "oct", "kid": "rsa-1", "k": "AQAB"}]}),
            json!([RSA.named("rsa-1")]),
            json!({"keys": [RSA.named("rsa-1")], "x": "x".repeat(LIMIT)}),
        ] {
            let ring = ring(&ci).await;
            ci.with(|ci| ci.keys = keys.clone());
            assert_eq!(knows(&ring, "rsa-1").await, None, "{:?}", keys.to_string().get(..30));
        }
        let mut other = RSA.named("rsa-1");
        other["use"] = json!("enc");
        let mut another = RSA.named("rsa-3");
        another["alg"] = json!("PS256");
        shows(&ci, json!([other, another, OTHER_RSA.named("rsa-2")]));
        let ring = ring(&ci).await;
        for (kid, known) in [("rsa-1", false), ("rsa-2", true), ("rsa-3", false), ("", false)] {
            assert_eq!(knows(&ring, kid).await, Some(known), "{kid}");
        }
        assert!(ring.keys("rsa-2", Algorithm::Es256).await.unwrap().is_none(), "a key is for one algorithm");
    }

    #[tokio::test]
    async fn of_many_who_need_keys_one_fetches() {
        let ci = StandInCi::start().await;
        let ring = Arc::new(ring(&ci).await);
        let all = (0..50).map(|at| {
            let ring = Arc::clone(&ring);
            tokio::spawn(async move { knows(&ring, if at % 2 == 0 { "rsa-1" } else { "rsa-9" }).await })
        });
        for (at, known) in all.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(known.await.unwrap(), Some(at % 2 == 0));
        }
        assert_eq!(ci.count("/keys"), 1);
    }
}
