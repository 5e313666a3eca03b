//! A forge that knows no job tokens: jobs come with the ID tokens of their CI (OpenID Connect), and what projects are to each
//! other says the configuration.
//!
//! A token is believed when it is signed with a key of an issuer of the configuration, made for this installation alone, of a
//! project that the configuration has by its id, and when the CI says that its job runs now.

mod jwt;
mod keyring;
pub mod keys;
mod liveness;
pub mod projects;
mod refusal;
pub mod vendors;

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::{Authority, Scheme};
use futures_util::FutureExt;
use futures_util::future::ready;
use policy::bindings::Inquiry;
use policy::facts::{Context, Hash, Invalid, Job, JobId, Origin, ProjectId, Secret, Token, User, UserId, Version};
use policy::failure::Failure;
use policy::lookup::{Fact, Value};
use rustls::ClientConfig;

use super::budget::Budget;
use super::calls::{self, Calls, Manner};
use super::client::Client;
use super::{AtHand, Credential, Forge, Landed, Recalled, Reply, Status, Terms};
use crate::clock;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::webhooks::{Delivery, Event, Refused};
use jwt::{Claims, Jwt};
use keyring::Keyring;
use keys::{Algorithm, Keys};
use liveness::{Ask, Question, State, Told};
use projects::Projects;
use refusal::Refusal;
use vendors::Vendor;

/// By how much the clocks of issuers and ours may differ, in seconds.
const LEEWAY: u64 = 30;

/// Where something is served.
#[derive(Debug, Clone)]
pub struct Address {
    /// In TLS or not.
    pub scheme: Scheme,
    /// By whom.
    pub authority: Authority,
    /// The path, without a slash at its end.
    pub path: String,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In a file, which was read.
    File(Keys),
    /// There.
    Server(Address),
}

/// An issuer of the configuration.
pub struct IssuerSettings {
    /// What it is called here.
    pub name: String,
    /// What kind of CI it is.
    pub vendor: &'static Vendor,
    /// What its tokens call it, byte for byte.
    pub issuer: String,
    /// How it signs.
    pub algorithms: Vec<Algorithm>,
    /// For how long its tokens may be valid.
    pub max_lifetime: Duration,
    /// Claims that must have one of these values each.
    pub pins: Vec<(String, Vec<String>)>,
    /// Where its keys are.
    pub keys: KeySource,
    /// Where it is asked whether jobs run.
    pub api: Address,
    /// In whose name.
    pub credential: Secret,
    /// What its reports have, where it makes some.
    pub webhook_secrets: Vec<Secret>,
}

/// What job identities are judged by.
pub struct Settings {
    /// For whom tokens must be made.
    pub audience: String,
    /// Which credential goes on to the forge.
    pub credential: Credential,
    /// Who makes tokens.
    pub issuers: Vec<IssuerSettings>,
    /// Whose JWTs are somebody else's credential, and no matter of ours.
    pub foreign: Vec<String>,
    /// The projects.
    pub projects: Projects,
    /// How servers are called.
    pub manner: Manner,
    /// How they are spoken to in TLS.
    pub tls: ClientConfig,
    /// Which configuration it is.
    pub inquiry: Inquiry,
}

/// Job identities.
pub struct Oidc {
    audience: String,
    credential: Credential,
    issuers: Vec<Issuer>,
    foreign: Vec<String>,
    projects: Projects,
    /// Tells the time of day in Unix seconds.
    now: fn() -> u64,
    journal: Journal,
}

struct Issuer {
    settings: IssuerSettings,
    keyring: Keyring,
    calls: Calls,
}

/// Whose token it is, before anybody was asked whether it runs.
struct Identity {
    job: Job,
    until: u64,
}

/// Why a token is none of a running job.
enum Wrong {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Oidc {
    /// The job identities of these settings.
    #[must_use]
    pub fn new(settings: Settings, metrics: &Metrics) -> Self {
        let Settings { audience, credential, issuers, foreign, projects, manner, tls, inquiry: _ } = settings;
        let budget = Arc::new(Budget::new(manner.max_per_second));
        let client =
            |at: &Address| Client::new(at.scheme.clone(), at.authority.clone(), tls.clone(), manner.timeout / 2);
        let issuer = |settings: IssuerSettings| Issuer {
            keyring: Keyring::new(match &settings.keys {
                KeySource::File(keys) => keyring::Origin::File(Arc::new(keys.clone())),
                KeySource::Server(at) => keyring::Origin::Server {
                    client: Box::new(client(at)),
                    path: at.path.clone(),
                    timeout: manner.timeout / 2,
                    metrics: metrics.clone(),
                },
            }),
            calls: Calls::new(client(&settings.api), Arc::clone(&budget), manner.clone(), metrics.clone()),
            settings,
        };
        let issuers = issuers.into_iter().map(issuer).collect();
        Self { audience, credential, issuers, foreign, projects, now: clock::unix, journal: Journal::default() }
    }

    /// The same at another time of day.
    #[cfg(test)]
    pub(crate) fn at(self, now: fn() -> u64) -> Self {
        Self { now, ..self }
    }

    async fn token(&self, token: &Secret) -> Result<Landed, Failure> {
        let since = clock::now();
        let landed = |token, terms| Landed { value: Value::Token(token), learned: Vec::new(), since, terms };
        let jwt = match Jwt::read(token.expose()) {
            Ok(Some(jwt)) if self.foreign.contains(&jwt.issuer) => None,
            Ok(jwt) => jwt.map(Ok),
            Err(refusal) => Some(Err(refusal)),
        };
        let Some(jwt) = jwt else { return Ok(landed(Token::Invalid(Invalid::Foreign), Terms::default())) };
        let judged = match jwt {
            Ok(jwt) => self.judge(&jwt, token).await,
            Err(refusal) => Err(Wrong::Refused(refusal)),
        };
        match judged {
            Ok((Identity { job, until }, State::Running)) => {
                let terms = Terms { until: Some(until), credential: self.credential, of_token_alone: false };
                Ok(landed(Token::Running(job), terms))
            }
            Ok((Identity { job, .. }, State::Ended)) => Ok(landed(Token::Ended(Some(job)), Terms::default())),
            Ok((_, State::Gone)) => Ok(landed(Token::Invalid(Invalid::Unknown), Terms::default())),
            Err(Wrong::Failed(failure)) => Err(failure),
            Err(Wrong::Refused(refusal)) => {
                if self.journal.may_note() {
                    tracing::info!(why = %refusal, "an ID token was refused");
                }
                // Another token of the same job may be good: that one is not says nothing about the job.
                let terms = Terms { of_token_alone: true, ..Terms::default() };
                Ok(landed(Token::Invalid(Invalid::Unknown), terms))
            }
        }
    }

    async fn judge(&self, jwt: &Jwt<'_>, token: &Secret) -> Result<(Identity, State), Wrong> {
        let issuer = self.issuers.iter().find(|issuer| issuer.settings.issuer == jwt.issuer).ok_or(Refusal::Issuer)?;
        issuer.verify(jwt).await?;
        let until = issuer.settings.check(&jwt.claims, &self.audience, (self.now)())?;
        let job = issuer.settings.job(&jwt.claims, &self.projects)?;
        let state = issuer.ask(&jwt.claims, token, &self.audience).await?;
        Ok((Identity { job, until }, state))
    }
}

impl Issuer {
    /// Checks the signature by the issuer's own keys and algorithms, whatever the token proposes.
    async fn verify(&self, jwt: &Jwt<'_>) -> Result<(), Wrong> {
        let algorithm = Algorithm::named(&jwt.algorithm).filter(|named| self.settings.algorithms.contains(named));
        let algorithm = algorithm.ok_or(Refusal::Algorithm)?;
        let keys = self.keyring.keys(&jwt.kid, algorithm).await?.ok_or(Refusal::Key)?;
        let is_good = keys.verify(&jwt.kid, algorithm, jwt.signed, &jwt.signature);
        is_good.then_some(()).ok_or(Wrong::Refused(Refusal::Signature))
    }

    /// Asks whether the job runs. Who does not know says neither "it runs" nor "it is over".
    async fn ask(&self, claims: &Claims, token: &Secret, audience: &str) -> Result<State, Wrong> {
        let IssuerSettings { vendor, api, credential, .. } = &self.settings;
        let ask = Ask { claims, root: &api.path, credential, token, audience };
        let Question(call) = (vendor.ask)(&ask).ok_or(Refusal::Claims)?;
        let said = async { calls::body(&self.calls.send(&call).await.answer()) };
        let answer = self.calls.in_time(said).await?;
        let told = Told { claims, audience, answer: &answer };
        (vendor.told)(&told).ok_or(Wrong::Failed(Failure::LookupAnswer))
    }
}

impl IssuerSettings {
    /// Checks what is signed; until when it is valid, in Unix seconds.
    fn check(&self, claims: &Claims, audience: &str, now: u64) -> Result<u64, Refusal> {
        if !claims.is_for(audience) {
            return Err(Refusal::Audience);
        }
        let (Some(until), Some(issued)) = (claims.number("/exp"), claims.number("/iat")) else {
            return Err(Refusal::Times);
        };
        let begins = if claims.has("/nbf") { claims.number("/nbf").ok_or(Refusal::Times)? } else { issued };
        if until.saturating_add(LEEWAY) <= now {
            return Err(Refusal::Expired);
        }
        if issued.max(begins) > now.saturating_add(LEEWAY) {
            return Err(Refusal::Early);
        }
        if until.saturating_sub(issued) > self.max_lifetime.as_secs() {
            return Err(Refusal::Lifetime);
        }
        let is_pinned = |(claim, values): &(String, Vec<String>)| {
            claims.text(&format!("/{claim}")).is_some_and(|value| values.contains(&value))
        };
        self.pins.iter().all(is_pinned).then_some(until).ok_or(Refusal::Pin)
    }

    /// The number of what an issuer's ids name. Those of two issuers never meet.
    fn number(&self, kind: &str, ids: &[String]) -> u64 {
        let ids = ids.iter().map(String::as_bytes);
        let fields: Vec<&[u8]> = [kind.as_bytes(), self.issuer.as_bytes()].into_iter().chain(ids).collect();
        let Hash(hash) = Hash::of(&fields);
        hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// The job that claims are of.
    fn job(&self, claims: &Claims, projects: &Projects) -> Result<Job, Refusal> {
        let vendor = self.vendor;
        let ids = vendor.job(claims).ok_or(Refusal::Claims)?;
        let project = claims.text(vendor.project).ok_or(Refusal::Claims)?;
        let origin: Origin = projects.of_identity(&self.name, &project).ok_or(Refusal::Project)?.clone();
        let user = claims.text(vendor.user).map(|id| User {
            name: format!("{}:{id}", self.name),
            id: UserId(self.number("user", std::slice::from_ref(&id))),
        });
        let text = |claim: Option<&str>| claim.and_then(|claim| claims.text(claim));
        let fork = vendor.fork(claims);
        // The name of a fork's branch is no ref of the project.
        let own = fork == Some(false);
        let git_ref = text(vendor.git_ref).filter(|_| own).map(|name| {
            let short = ["refs/heads/", "refs/tags/"].iter().find_map(|before| name.strip_prefix(before));
            short.unwrap_or(&name).to_owned()
        });
        let context = Context {
            git_ref,
            protected: vendor.protected.filter(|_| own).and_then(|claim| claims.flag(claim)),
            environment: text(vendor.environment),
            source: text(vendor.source),
            fork,
            ..Context::default()
        };
        Ok(Job { id: JobId(self.number("job", &ids)), user, origin, context: context.bounded() })
    }
}

impl Forge for Oidc {
    fn at_hand(&self, fact: &Fact, _: &Recalled) -> AtHand {
        match fact {
            Fact::Target(job, target) => {
                let value = Value::Target(self.projects.find(job, target));
                let (learned, since) = (Vec::new(), clock::now());
                AtHand::Whole(Box::new(Landed { value, learned, since, terms: Terms::default() }))
            }
            Fact::Token(_) => AtHand::Failed(Failure::Doubt),
        }
    }

    fn look<'a>(&'a self, fact: Fact, recalled: &'a Recalled) -> Reply<'a, Landed> {
        async move {
            match &fact {
                Fact::Token(token) => self.token(token).await,
                Fact::Target(..) => match self.at_hand(&fact, recalled) {
                    AtHand::Whole(landed) => Ok(*landed),
                    AtHand::Failed(failure) => Err(failure),
                    AtHand::Parts(_) => Err(Failure::Doubt),
                },
            }
        }
        .boxed()
    }

    /// Nobody here knows which version the forge is.
    fn version(&self) -> Reply<'_, Version> {
        ready(Err(Failure::LookupAnswer)).boxed()
    }

    /// Whoever has the token is asked about the job; by its number alone nobody is.
    fn status(&self, _: JobId, _: ProjectId) -> Reply<'_, Status> {
        ready(Ok(Status::Unsure)).boxed()
    }

    fn reported(&self, from: &str, delivery: &Delivery<'_>) -> Result<Event<JobId>, Refused> {
        let issuer = self.issuers.iter().map(|issuer| &issuer.settings).find(|issuer| issuer.name == from);
        let issuer = issuer.ok_or(Refused::Unauthorized)?;
        let read = issuer.vendor.report.ok_or(Refused::Unauthorized)?;
        let event = read(&issuer.webhook_secrets, delivery)?.named(|ids| JobId(issuer.number("job", &ids)));
        // What projects are to each other says the configuration.
        Ok(if let Event::Changed(_) = event { Event::Nothing } else { event })
    }

    fn pause(&self) -> Option<Duration> {
        self.issuers.iter().filter_map(|issuer| issuer.calls.pause()).max()
    }
}
