//! A message, read and decided by the core.

use policy::Config;
use policy::decision::{Decision, Facts, Step, decide};
use policy::facts::{Found, Secret, Token};
use policy::lookup::{Account, Answer, Fact, Flight, Progress, Value};
use policy::request::{BODY_LIMIT, Body, Head, JobRequest, Malformed, Reading, Refused, Scan, read};

use super::message::Message;

/// Who answers lookups: takes the path and the body of a call, and gives a status and JSON.
pub(crate) type Lookups<'a> = &'a dyn Fn(&str, &[u8]) -> (u16, String);

/// Looks through a body that streams.
pub(crate) fn looked(mut scan: Scan, body: &[u8]) -> Result<(), Refused> {
    scan.feed(body)?;
    scan.finish()
}

/// Reads a message with its whole body.
pub(crate) fn reading(config: &Config, message: &Message) -> Reading {
    let fields = message.fields();
    let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    let body = if message.head.end_of_stream { Body::None } else { Body::Follows };
    match read(&config.forge, &Head::new(&fields, body)) {
        Reading::Body(mut pending) if message.body.len() > BODY_LIMIT => {
            pending.feed(&message.body);
            pending.let_go(Malformed::BodyTooLarge)
        }
        other => other.finish(&message.body),
    }
}

/// The decision on a job's request, every fact looked up; `None` for a credential that is somebody else's.
pub(crate) fn decided(config: &Config, lookups: Lookups<'_>, job: &JobRequest) -> Result<Option<Decision>, String> {
    decided_from(config, lookups, job, Facts::default())
}

/// The same where the token is known already.
pub(crate) fn decided_of_known(
    config: &Config,
    lookups: Lookups<'_>,
    job: &JobRequest,
) -> Result<Option<Decision>, String> {
    let token = Some(token(config, lookups, &job.token)?);
    decided_from(config, lookups, job, Facts { token, ..Facts::default() })
}

/// The same where this is known already.
pub(crate) fn decided_from(
    config: &Config,
    lookups: Lookups<'_>,
    job: &JobRequest,
    mut facts: Facts,
) -> Result<Option<Decision>, String> {
    // The token, then who holds a package, then the targets, then the decision.
    for _ in 0..4 {
        match decide(config, job, &facts) {
            Step::NeedsToken => {
                facts.token = Some(token(config, lookups, &job.token)?);
            }
            Step::NeedsTargets(whose, targets) => {
                for target in targets {
                    let found = look_up(config, lookups, Fact::Target(whose.clone(), target.clone()))?;
                    let Value::Target(found) = found else { return Err("a target was looked up as a token".into()) };
                    facts.targets.push((target, Found::clone(&found)));
                }
            }
            Step::NotAJob => return Ok(None),
            Step::Decided(decision) => return Ok(Some(decision)),
        }
    }
    Err("facts are missing after every lookup".into())
}

fn token(config: &Config, lookups: Lookups<'_>, token: &Secret) -> Result<Token, String> {
    match look_up(config, lookups, Fact::Token(token.clone()))? {
        Value::Token(token) => Ok(token),
        Value::Target(_) => Err("a token was looked up as a target".into()),
    }
}

fn look_up(config: &Config, lookups: Lookups<'_>, fact: Fact) -> Result<Value, String> {
    let (mut flight, mut progress) =
        Flight::start(config, Some(&Account::Token(Secret::new(b"glpat-service"))), fact, &|_| None);
    let mut calls = Vec::new();
    loop {
        match progress {
            Progress::Landed(landed) => {
                return landed.map_err(|failure| format!("a lookup failed: {}", failure.code()));
            }
            Progress::Going(more) => calls.extend(more),
        }
        let Some((number, call)) = calls.pop() else { return Err("a lookup waits for nothing".into()) };
        let (status, body) = lookups(&call.path, &call.body);
        progress = flight
            .answer(number, &Answer { status: Some(status), next_page: None, location: None, body: body.as_bytes() });
    }
}
