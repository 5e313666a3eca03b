//! What became of a request, in the core and in the compiled filter.

use std::fmt;

use anyhow::{Result, anyhow};
use policy::Config;
use policy::decision::{self, Cause, Decision};
use policy::reply::DECISION;
use policy::request::Reading;

use super::asking::Question;
use super::forge::{self, Source};
use crate::cases::core::{decided_from, reading};
use crate::cases::filter::sent_after;
use crate::host::{Filter, Outcome, Reply};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It went on as nobody's.
    Untouched,
    /// It went on as a job's, to this path.
    Forwarded { path: String },
    /// It was answered.
    Answered { status: u16, body: String, code: String },
    /// Neither.
    Broken(String),
}

/// What the core makes of a question.
///
/// # Errors
/// The configuration is refused.
pub(super) fn by_core(question: &Question, source: Source, answers: &str) -> Result<Seen> {
    let config = Config::parse(source.configuration(&question.given, answers).as_bytes())
        .map_err(|errors| anyhow!("{errors}"))?;
    let lookups = |path: &str, body: &[u8]| forge::answer(&question.given, path, body);
    let decision = match reading(&config, &question.message) {
        Reading::NotAJob => return Ok(Seen::Untouched),
        Reading::Refused(refused) => decision::refused(&config, &refused),
        Reading::Body(_) | Reading::Passing(_) => {
            return Ok(Seen::Broken("the whole body was read and another one is wanted".into()));
        }
        Reading::Job(job) => match decided_from(&config, &lookups, &job, question.known()) {
            Ok(Some(decision)) => decision,
            Ok(None) => return Ok(Seen::Untouched),
            Err(why) => return Ok(Seen::Broken(why)),
        },
    };
    Ok(of_decision(question, decision))
}

fn of_decision(question: &Question, decision: Decision) -> Seen {
    match (decision.outcome, decision.cause) {
        (decision::Outcome::Forward(grant), _) => {
            let came = question.message.fields().into_iter().find(|(name, _)| name == b":path");
            let path = grant.path().map(<[u8]>::to_vec).or(came.map(|(_, path)| path)).unwrap_or_default();
            Seen::Forwarded { path: String::from_utf8_lossy(&path).into_owned() }
        }
        (decision::Outcome::Reply(_), Cause::Failure(failure)) => Seen::Broken(failure.code().into()),
        (decision::Outcome::Reply(reply), cause) => {
            Seen::Answered { status: reply.status, body: reply.body, code: cause.code().into() }
        }
    }
}

/// What the filter makes of a question.
///
/// # Errors
/// The filter does not start.
pub(super) fn by_filter(filter: &Filter, question: &Question, source: Source, answers: &str) -> Result<Seen> {
    let lookups = |path: &str, body: &[u8]| forge::answer(&question.given, path, body);
    let (host, stream) = match sent_after(
        question.birth(),
        filter,
        &source.configuration(&question.given, answers),
        &lookups,
        &question.message,
    )? {
        Ok(sent) => sent,
        Err(why) => return Ok(Seen::Broken(why)),
    };
    let outcome = host.outcome(stream);
    Ok(match &outcome {
        Outcome::Forwarded { .. } if host.properties(stream).is_empty() => Seen::Untouched,
        Outcome::Forwarded { .. } => Seen::Forwarded { path: outcome.forwarded_header(":path").unwrap_or_default() },
        Outcome::Replied(reply) => Seen::Answered {
            status: u16::try_from(reply.status).unwrap_or_default(),
            body: numberless(reply),
            code: reply.details.strip_prefix("jobscope:").unwrap_or(&reply.details).to_owned(),
        },
        other => Seen::Broken(format!("{other:?}")),
    })
}

/// The body of an answer as the core gives it, which does not know the decision's number.
fn numberless(reply: &Reply) -> String {
    let number = reply.header("x-jobscope-decision").unwrap_or_default();
    String::from_utf8_lossy(&reply.body).replace(&number, DECISION)
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Untouched => f.write_str("goes on as nobody's"),
            Seen::Forwarded { path } => write!(f, "allowed: {path}"),
            Seen::Answered { status, body, code } => write!(f, "denied with {status} ({code}): {}", body.trim_end()),
            Seen::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}
