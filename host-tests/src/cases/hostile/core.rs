//! A row's request, read by the core.

use policy::Config;
use policy::access::{Protocol, TargetRef};
use policy::decision::{Cause, Outcome};
use policy::facts::GroupRef;
use policy::request::{JobRequest, Reading};

use super::expected::Asked;
use super::forge::Forge;
use super::seen::{End, Seen};
use crate::cases::core::{decided, looked, reading};
use crate::cases::message::Message;

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
