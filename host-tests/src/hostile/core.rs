//! A message, read by the core.

use policy::Config;
use policy::access::{Protocol, TargetRef};
use policy::decision::{Cause, Decision, Facts, Outcome, Step, decide};
use policy::facts::{Found, GroupRef, Secret, Token};
use policy::lookup::{Answer, Fact, Flight, Progress, Value};
use policy::request::{BODY_LIMIT, Body, Head, JobRequest, Malformed, Reading, Refused, Scan, read};

use super::expected::Asked;
use super::forge::Forge;
use super::message::Message;
use super::seen::{End, Seen};

/// Who answers lookups: takes the path and the body of a call, and gives a status and JSON.
pub(crate) type Lookups<'a> = &'a dyn Fn(&str, &[u8]) -> (u16, String);

/// Reads a message, and judges it in the world of `forge`.
pub fn seen(config: &Config, forge: &Forge, message: &Message) -> Seen {
    match reading(config, message) {
        Reading::NotAJob | Reading::Passing(_) => Seen::Passed,
        Reading::Refused(refused) => {
            Seen::Refused { status: refused.malformed.status(), code: refused.malformed.code().into() }
        }
        Reading::Body(_) => Seen::Broken("the whole body was read and another one is wanted".into()),
        Reading::Job(mut job) => match job.scan.take().map_or(Ok(()), |scan| looked(scan, &message.body)) {
            Ok(()) => judged(config, forge, &job),
            Err(refused) => Seen::Refused { status: refused.malformed.status(), code: refused.malformed.code().into() },
        },
    }
}

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

fn judged(config: &Config, forge: &Forge, job: &JobRequest) -> Seen {
    let asked: Asked =
        job.accesses.iter().map(|access| (notation(forge, &access.target), access.action.name().to_owned())).collect();
    end(config, forge, job).map_or_else(Seen::Broken, |end| match end {
        Ended::Judged(end) => Seen::Judged { protocol: Some(name(job.protocol)), asked, end },
        Ended::Refused { status, code } => Seen::Refused { status, code },
        Ended::Passed => Seen::Passed,
    })
}

/// A target in the notation of the rows.
fn notation(forge: &Forge, target: &TargetRef) -> String {
    match target {
        TargetRef::None => "null".into(),
        TargetRef::Own => "own-job".into(),
        TargetRef::Job(job) | TargetRef::ProjectOfJob(job) => format!("job:{}", job.0),
        TargetRef::Path(path) => path.to_string(),
        TargetRef::Id(id) => format!("id:{}", id.0),
        TargetRef::Group(path) => format!("group:{path}"),
        TargetRef::Held(holding) => match &holding.group {
            GroupRef::Path(path) => format!("group:{path}"),
            GroupRef::Id(id) => format!("group:{}", id.0),
            GroupRef::Namespace(path) => format!("namespace:{path}"),
        },
        TargetRef::Image(candidates) => {
            let image = forge.image(candidates.iter().map(policy::facts::ProjectPath::as_str));
            image.unwrap_or_else(|| "no project".into())
        }
    }
}

/// A protocol's name in the rows.
fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Git => "git",
        Protocol::Lfs => "lfs",
        Protocol::Registry => "oci",
        Protocol::RegistryToken => "oci-token",
        // A trigger is a call of the API that is answered in words of its own.
        Protocol::Api | Protocol::Trigger => "api",
        Protocol::Runner => "runner-api",
        Protocol::Web => "web",
    }
}

/// What came of a request with a credential.
enum Ended {
    /// It is a job's, and was judged.
    Judged(End),
    /// It is a job's, and cannot be read.
    Refused { status: u16, code: String },
    /// It is somebody else's.
    Passed,
}

fn end(config: &Config, forge: &Forge, job: &JobRequest) -> Result<Ended, String> {
    let Some(decision) = decided(config, &|path, body| forge.answer(path, body), job)? else {
        return Ok(Ended::Passed);
    };
    match (decision.outcome, decision.cause) {
        (Outcome::Forward(_), _) => Ok(Ended::Judged(End::Forwarded)),
        (Outcome::Reply(reply), Cause::Rule(reason)) => {
            Ok(Ended::Judged(End::Denied { status: reply.status, code: reason.code().into() }))
        }
        (Outcome::Reply(reply), Cause::Malformed(malformed)) => {
            Ok(Ended::Refused { status: reply.status, code: malformed.code().into() })
        }
        (Outcome::Reply(_), Cause::Failure(failure)) => Err(format!("no decision: {}", failure.code())),
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
    let (mut flight, mut progress) = Flight::start(config, Some(&Secret::new(b"glpat-service")), fact, &|_| None);
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
