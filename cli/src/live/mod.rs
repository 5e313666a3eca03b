//! What is asked of a forge that runs: the filter's own calls, one after the other, and what came of each.
//!
//! Nobody here opens a connection. Who does gives a [`Service`].

pub mod caller;
pub mod doctor;
pub mod endpoint;
pub mod names;
pub mod reach;
mod secrets;
pub mod targets;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use policy::Config;
use policy::failure::Failure;
use policy::lookup::{Account, Answer, Call, Fact, Flight, Progress, Value, version};
use serde_json::Value as Json;

use secrets::Secrets;

/// An answer, as far as it is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The number of the next page.
    pub next_page: Option<Vec<u8>>,
    /// Where it leads.
    pub location: Option<String>,
    /// What kind of thing the body is.
    pub content_type: Option<String>,
    /// When it was written, by the clock of who wrote it: since 1970.
    pub date: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether it says that a project is elsewhere now.
    fn is_moved_project(&self) -> bool {
        self.status == 301 && self.location.as_deref().is_some_and(|place| place.contains("/api/v4/projects/"))
    }
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No machine has this name.
    #[error("no machine is called `{0}`")]
    Name(String),
    /// Nobody takes a connection.
    #[error("nobody takes a connection there ({0})")]
    Connection(String),
    /// It took too long.
    #[error("nothing was answered in {} s", .0.as_secs())]
    Time(Duration),
    /// It is no TLS, or not of whom it should be.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Who took the connection ended it.
    #[error("the connection ended before an answer came")]
    Ended,
    /// It is no HTTP.
    #[error("what was answered is no HTTP/1.1 ({0})")]
    Protocol(String),
    /// The filter takes no answer so long.
    #[error("the answer is longer than 4 MiB, more than the filter takes")]
    Length,
}

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When, since 1970.
    pub began: Duration,
    /// How long it took until the answer was there.
    pub took: Duration,
    /// What came of it.
    pub reply: Result<Reply, Trouble>,
}

/// Who makes calls.
pub trait Service {
    /// Makes one, and waits for its answer.
    fn send(&mut self, call: &Call) -> Sent;
}

/// A lookup service, and what it was asked.
pub struct Live<'a> {
    config: &'a Config,
    account: Option<&'a Account>,
    service: &'a mut dyn Service,
    secrets: Secrets,
    /// Every call that was made, in their order.
    pub asked: Vec<(Call, Sent)>,
    /// Where calls with a path and a body stand in it.
    places: HashMap<(String, Vec<u8>), Vec<usize>>,
}

/// A flight that landed.
#[derive(Debug)]
pub struct Flown {
    /// What it brought.
    pub landed: Result<Value, Failure>,
    /// Its calls, by their places in [`Live::asked`].
    pub calls: Vec<usize>,
}

/// What is answered here, and not asked.
type Known<'a> = &'a dyn Fn(&Call) -> Option<Json>;

impl<'a> Live<'a> {
    /// A service of which nothing was asked yet. In the service account's name nothing is asked where there is none.
    pub fn new(config: &'a Config, account: Option<&'a Account>, service: &'a mut dyn Service) -> Self {
        Self { config, account, service, secrets: Secrets::of(account), asked: Vec::new(), places: HashMap::new() }
    }

    /// Makes a call, unless the same was made before, and gives its place in [`Self::asked`].
    pub fn call(&mut self, call: &Call) -> usize {
        let alike = self.places.entry((call.path.clone(), call.body.clone())).or_default();
        let is_it = |at: &&usize| self.asked.get(**at).is_some_and(|(made, _)| made == call);
        if let Some(before) = alike.iter().find(is_it) {
            return *before;
        }
        let at = self.asked.len();
        alike.push(at);
        let sent = self.service.send(call);
        self.asked.push((call.clone(), sent));
        at
    }

    /// A call of GitLab's API in the name of the service account: the one that asks for the version, with another path.
    /// `None` without a service account.
    pub fn get(&mut self, path: &str) -> Option<usize> {
        let asked = version::ask(self.config, self.account?);
        let root = asked.path.strip_suffix("/version")?;
        let call = Call { path: format!("{root}{path}"), ..asked };
        Some(self.call(&call))
    }

    /// The answer to a call.
    #[must_use]
    pub fn reply(&self, at: usize) -> Option<&Reply> {
        self.asked.get(at)?.1.reply.as_ref().ok()
    }

    /// What a call was answered with, where that is JSON with the status 200.
    #[must_use]
    pub fn json(&self, at: usize) -> Option<Json> {
        self.reply(at).filter(|reply| reply.status == 200).and_then(|reply| serde_json::from_slice(&reply.body).ok())
    }

    /// Looks a fact up as the filter does, under the service's own configuration or another one.
    pub fn fly(&mut self, config: Option<&Config>, fact: Fact) -> Flown {
        self.fly_knowing(config, fact, &|_| None)
    }

    /// The same, where some calls are answered here.
    pub fn fly_knowing(&mut self, config: Option<&Config>, fact: Fact, known: Known<'_>) -> Flown {
        if let Fact::Token(secret) = &fact {
            self.secrets.add(secret);
        }
        let (mut flight, mut progress) = Flight::start(config.unwrap_or(self.config), self.account, fact, &|_| None);
        let (mut open, mut calls) = (VecDeque::new(), Vec::new());
        let landed = loop {
            match progress {
                Progress::Landed(landed) => break landed,
                Progress::Going(more) => open.extend(more),
            }
            let Some((number, call)) = open.pop_front() else { break Err(Failure::Doubt) };
            progress = match known(&call) {
                Some(body) => {
                    let body = body.to_string();
                    let answer = Answer { status: Some(200), next_page: None, location: None, body: body.as_bytes() };
                    flight.answer(number, &answer)
                }
                None => {
                    let at = self.call(&call);
                    calls.push(at);
                    self.asked
                        .get(at)
                        .map_or(Progress::Landed(Err(Failure::Doubt)), |(_, sent)| flight.answer(number, &answer(sent)))
                }
            };
        };
        // The filter sends these side by side, and so they are made where one of them failed, too.
        calls.extend(open.iter().filter(|(_, call)| known(call).is_none()).map(|(_, call)| self.call(call)));
        Flown { landed, calls }
    }
}

/// An answer as a flight reads it. What did not come stands there as Envoy would say it.
fn answer(sent: &Sent) -> Answer<'_> {
    match &sent.reply {
        Ok(reply) => Answer {
            status: Some(reply.status),
            next_page: reply.next_page.as_deref(),
            location: reply.location.as_deref().map(str::as_bytes),
            body: &reply.body,
        },
        Err(trouble) => {
            let status = if matches!(trouble, Trouble::Time(_)) { Some(504) } else { None };
            Answer { status, next_page: None, location: None, body: &[] }
        }
    }
}
