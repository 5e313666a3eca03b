//! A row, in its two worlds.

use std::fmt;

use anyhow::{Context, Result, anyhow};
use policy::Config;
use policy::decision::{Outcome as Fate, refused};
use policy::facts::Secret;
use policy::request::{Claim, JobRequest, Reading};

use super::document::{self, Exceptions, Expected, Row};
use super::filter::Filters;
use super::message::{TOKEN, message, shows_registry_jwt};
use super::world::{Access, World};
use crate::cases::core::{decided, decided_of_known, looked, reading};
use crate::cases::message::Message;
use crate::cases::{Found, Kind, Outcome, Rows};
use crate::host::Filter;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It went on as it came, as nobody's or a person's.
    Untouched,
    /// It was judged, and went on as this.
    Forwarded(String),
    /// It was denied, and went on without its token.
    Stripped(String),
    /// It was answered.
    Refused { status: u16, reason: String },
    /// Neither.
    Broken(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched => f.write_str("untouched"),
            Self::Forwarded(action) => write!(f, "forwarded as {action}"),
            Self::Stripped(reason) => write!(f, "goes on without its token ({reason})"),
            Self::Refused { status, reason } => write!(f, "refused with {status} ({reason})"),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

/// Rows of what real clients send.
#[derive(Debug)]
pub struct Clients {
    /// Why requests of some kinds go on in no world.
    pub exceptions: Exceptions,
}

impl Kind for Clients {
    type Row = Row;

    fn parse(rows: &str, exceptions: Option<&str>) -> Result<(Self, Rows<Row>)> {
        let exceptions = exceptions.map(Exceptions::parse).transpose()?.unwrap_or_default();
        Ok((Self { exceptions }, document::parse(rows)?))
    }

    fn reader<'a>(&'a self, filter: &'a Filter) -> impl FnMut(&Row) -> Result<Found> + 'a {
        let mut filters = Filters::new(filter);
        move |row| compared(row, &self.exceptions, &mut filters)
    }
}

fn compared(row: &Row, exceptions: &Exceptions, filters: &mut Filters<'_>) -> Result<Found> {
    let message = message(row);
    let denying = match &row.expected {
        Expected::Asks(action) => Access::denying(action).0,
        Expected::Untouched | Expected::Refused(_) => Access::Closed,
    };
    let mut told = Vec::new();
    let mut wrong = Vec::new();
    for (name, access) in [("open", Access::Open), ("closed", denying)] {
        if access == Access::Ended && shows_registry_jwt(&message) {
            // It was made before the end, and is over with the job: the filter's own tests show that.
            continue;
        }
        let world = World::of(row, access);
        let core = seen(&world, &message)?;
        let filter = filters.seen(&world, &message)?;
        if core != filter {
            wrong.push(format!("{name}: core and filter disagree"));
            told.push(("filter", Some(filter.to_string())));
        }
        if !is_right(&row.expected, access, &core) {
            wrong.push(format!("{name}: not as expected"));
        }
        told.push((name, Some(core.to_string())));
    }
    let outcome = match &row.expected {
        _ if !wrong.is_empty() => Outcome::Failed(format!("{}; expected {:?}", wrong.join("; "), row.expected)),
        Expected::Refused(reason) => match exceptions.kinds.get(reason) {
            Some(why) => Outcome::Differs(why.clone()),
            None => Outcome::Failed(format!("no exception says why `{reason}` may be")),
        },
        Expected::Untouched | Expected::Asks(_) => Outcome::Passed,
    };
    Ok((outcome, told))
}

fn is_right(expected: &Expected, access: Access, seen: &Seen) -> bool {
    match (expected, seen) {
        (Expected::Untouched, Seen::Untouched) => true,
        (Expected::Asks(action), Seen::Forwarded(asked)) => access == Access::Open && action == asked,
        (Expected::Asks(action), Seen::Refused { status, reason }) => {
            access != Access::Open && *status != 400 && Access::denying(action).1 == reason
        }
        (Expected::Asks(action), Seen::Stripped(reason)) => {
            access != Access::Open && action == "go-get" && Access::denying(action).1 == reason
        }
        (Expected::Refused(expected), Seen::Refused { reason, .. }) => expected == reason,
        _ => false,
    }
}

/// What the core makes of a message.
fn seen(world: &World, message: &Message) -> Result<Seen> {
    let config = Config::parse(world.configuration().as_bytes()).map_err(|errors| anyhow!("{errors}"))?;
    let decision = match reading(&config, message) {
        Reading::NotAJob | Reading::Passing(_) => return Ok(Seen::Untouched),
        Reading::Refused(unread) => refused(&config, &unread),
        Reading::Body(_) => return Ok(Seen::Broken("the whole body was read and another one is wanted".into())),
        Reading::Job(job) if shows_registry_jwt(message) => {
            // It was seen being made, so it is known whose it is.
            let job = JobRequest { claim: Claim::Marked, token: Secret::new(TOKEN.as_bytes()), ..job };
            decided(&config, &|path, body| world.answer(path, body), &job)
                .map_err(|why| anyhow!(why))?
                .context("nobody's")?
        }
        Reading::Job(mut job) => match job.scan.take().map_or(Ok(()), |scan| looked(scan, &message.body)) {
            Err(unread) => refused(&config, &unread),
            // Other rows of its world went before.
            Ok(()) => match decided_of_known(&config, &|path, body| world.answer(path, body), &job) {
                Err(why) => return Ok(Seen::Broken(why)),
                Ok(None) => return Ok(Seen::Untouched),
                Ok(Some(decision)) => decision,
            },
        },
    };
    Ok(match decision.outcome {
        Fate::Forward(_) if decision.record.verdict == "deny" => Seen::Stripped(decision.record.reason.into()),
        Fate::Forward(_) => Seen::Forwarded(decision.record.action.into()),
        Fate::Reply(reply) => Seen::Refused { status: reply.status, reason: decision.record.reason.into() },
    })
}
