//! The life of a job, as the forge's answers tell it: what to look for in the answer to a request, and what it says.

mod batch;
mod birth;
mod end;
mod exchange;
mod payload;
mod pull_policy;
mod refusal;
mod router;
mod runner;
mod start;

use alloc::vec::Vec;
use core::time::Duration;

pub use birth::Birth;
pub use end::Report;
pub use router::discovery;
pub use runner::Runner;
pub use start::Remark;

use crate::access::Protocol;
use crate::bindings::Forgotten;
use crate::choices::{Kind, LfsCredentials, Mode};
use crate::config::Concern;
use crate::decision::{self, Outcome, Record};
use crate::facts::{Hash, JobId, ProjectPath, Secret};
use crate::failure::Failure;
use crate::lookup::Call;
use crate::reply::Reply;
use crate::request::{Head, JobRequest, Mints, Reading};
use crate::{Config, Decision};

/// The longest body of an answer that is read, in bytes: what a runner gets of its job is some KiB, and more only where
/// its variables are. Where a body is copied, the copy lives while the answer passes.
pub const ANSWER_LIMIT: usize = 1 << 20;

/// What to look for in the forge's answer to a request that went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// This runner asks for a job: the answer may hand it one.
    JobRequest(Runner),
    /// A runner reports on the job behind this token.
    Report(End, Report),
    /// A credential is exchanged for others: the job's token with this hash, or somebody else's.
    Exchange(Option<Hash>),
    /// A job asks where LFS objects are. The answer's credentials are recorded under this hash of its token, and nothing is
    /// changed.
    ObservedBatch(Hash),
    /// The same, and an answer that cannot be read goes nowhere.
    Batch(Hash),
    /// In the place of the answer's credentials comes this token.
    OwnBatch(Secret),
}

/// The head of the forge's answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHead<'a> {
    fields: &'a [(&'a [u8], &'a [u8])],
}

/// What is to be done with the body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// It goes on unseen.
    Unseen,
    /// It goes on as it comes, and a copy is read at its end.
    Copied,
    /// It is held back until it was read whole.
    Held,
}

/// What an answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The forge handed out a job: from here on its token is known.
    Born(Birth),
    /// A job is over.
    Ended(End),
    /// A job may be over: it is looked up before it serves again.
    Doubted(End),
    /// The forge made a credential of a kind that it makes from jobs' tokens.
    Minted {
        /// What is signed of it.
        signed: Secret,
        /// The hash of the job's token; `None` where it was made from somebody else's.
        parent: Option<Hash>,
        /// How long the forge takes it.
        lifetime: Duration,
        /// What becomes of it where it is not remembered.
        forgotten: Forgotten,
    },
    /// Something was decided on the answer.
    Judged(Record),
    /// An answer that should have been looked into cannot be read.
    Unread(Record),
    /// A job fails before it began: these calls tell the forge, one after the other.
    Failed(Vec<Call>),
}

/// Whose end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The token with which it was reported.
    pub token: Hash,
    /// The job that was reported on, which is the token's.
    pub job: Option<JobId>,
}

/// What becomes of a body that was held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it came.
    Kept,
    /// This goes on in its place.
    Replaced(Vec<u8>),
    /// It goes nowhere, and the client is answered so.
    Refused(Reply),
}

/// What the body of an answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What happened, in its order.
    pub events: Vec<Event>,
    /// What becomes of the body, where it was held back.
    pub fate: Fate,
}

impl<'a> AnswerHead<'a> {
    /// The fields of the head, names in small letters.
    #[must_use]
    pub fn new(fields: &'a [(&'a [u8], &'a [u8])]) -> Self {
        Self { fields }
    }

    fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value)
    }

    fn status(&self) -> Option<u16> {
        core::str::from_utf8(self.field(":status")?).ok()?.parse().ok()
    }

    /// Whether its body is JSON as it stands: not compressed, which is what nobody asked for.
    fn is_json(&self) -> bool {
        let media = self.field("content-type").unwrap_or_default();
        let media = media.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let is_plain = self.field("content-encoding").is_none_or(|encoding| encoding.eq_ignore_ascii_case(b"identity"));
        media.eq_ignore_ascii_case(b"application/json") && is_plain
    }
}

impl Watch {
    /// What to look for in the answer to a request that is no job's.
    #[must_use]
    pub fn of_head(config: &Config, head: &Head<'_>, reading: &Reading) -> Option<Self> {
        match reading {
            _ if birth::is_asked_for(config, head) => Some(Self::JobRequest(Runner::of_head(head))),
            Reading::NotAJob if exchange::is_asked_for(config, head) => Some(Self::Exchange(None)),
            Reading::NotAJob | Reading::Passing(_) | Reading::Job(_) | Reading::Body(_) | Reading::Refused(_) => None,
        }
    }

    /// What to look for in the answer to a job's request that was decided so. A report that only goes on because its
    /// denial is observed may be on another job than the token's: what the forge answers ends nothing. `hash` hashes its token.
    #[must_use]
    pub fn of_job(
        config: &Config,
        request: &JobRequest,
        decision: &Decision,
        hash: impl FnOnce(&Secret) -> Hash,
    ) -> Option<Self> {
        if end::is_report(request) {
            return (!decision.denies())
                .then(|| Self::Report(end::of(request, hash(&request.token)), end::report(request)));
        }
        let mints = mints(config, request)?;
        // Nothing is changed while decisions are only observed, nor in the answer of a target that is.
        let is_observed = || {
            let target = ProjectPath::parse(&decision.record.target);
            target.map_or(config.mode, |target| config.mode_of(Concern::Project(&target))) == Mode::Observe
        };
        Some(match (mints, config.forge.lfs_credentials) {
            (Mints::RegistryToken, _) => Self::Exchange(Some(hash(&request.token))),
            (Mints::LfsCredentials, _) if is_observed() => Self::ObservedBatch(hash(&request.token)),
            (Mints::LfsCredentials, LfsCredentials::Own) => Self::OwnBatch(request.token.clone()),
            (Mints::LfsCredentials, LfsCredentials::Forge) => Self::Batch(hash(&request.token)),
        })
    }

    /// Whether there is anything to look for in it.
    #[must_use]
    pub fn is_of_job(config: &Config, request: &JobRequest, decision: &Decision) -> bool {
        if end::is_report(request) { !decision.denies() } else { mints(config, request).is_some() }
    }

    /// Takes in what the body of the request says.
    pub fn read_request(&mut self, body: &[u8]) {
        match self {
            Self::JobRequest(runner) => *runner = runner.with_body(body),
            Self::Report(..) | Self::Exchange(_) | Self::ObservedBatch(_) | Self::Batch(_) | Self::OwnBatch(_) => {}
        }
    }

    /// Whether the answer's body is read, and so must come as it is and not compressed.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        match self {
            Self::JobRequest(_) | Self::Exchange(_) | Self::ObservedBatch(_) | Self::Batch(_) | Self::OwnBatch(_) => {
                true
            }
            Self::Report(..) => false,
        }
    }

    /// Reads the head of the answer.
    #[must_use]
    pub fn head(&self, config: &Config, answer: &AnswerHead<'_>) -> (Option<Event>, Body) {
        match self {
            Self::JobRequest(runner) => start::head(config, *runner, answer),
            Self::Report(end, report) => (end::read(*end, *report, answer), Body::Unseen),
            Self::Exchange(_) => (None, Body::copied_where(exchange::is_granted(answer))),
            Self::ObservedBatch(_) => (None, Body::copied_where(batch::is_given(answer))),
            Self::Batch(_) | Self::OwnBatch(_) => {
                (None, if batch::is_given(answer) { Body::Held } else { Body::Unseen })
            }
        }
    }

    /// Reads the body of the answer; `None` when it is too long, or cannot be had.
    #[must_use]
    pub fn body(&self, config: &Config, body: Option<&[u8]>) -> Told {
        let kept = |events| Told { events, fate: Fate::Kept };
        match self {
            Self::JobRequest(runner) => start::body(config, *runner, body),
            Self::Report(..) => kept(Vec::new()),
            Self::Exchange(parent) => kept(body.into_iter().flat_map(|body| exchange::read(*parent, body)).collect()),
            Self::ObservedBatch(parent) => kept(body.and_then(|body| batch::read(*parent, body)).unwrap_or_default()),
            Self::Batch(parent) => body
                .and_then(|body| batch::read(*parent, body))
                .map_or_else(|| refused(config, Protocol::Lfs, Failure::Answer), kept),
            Self::OwnBatch(token) => {
                let new = body.and_then(|body| batch::with_own(&config.forge.hosts, token, body));
                new.map_or_else(
                    || refused(config, Protocol::Lfs, Failure::Answer),
                    |new| Told { events: Vec::new(), fate: Fate::Replaced(new) },
                )
            }
        }
    }
}

/// Which credentials the answer to a request hands out that are told from others.
fn mints(config: &Config, request: &JobRequest) -> Option<Mints> {
    request.mints.filter(|mints| match config.forge.kind {
        Kind::Gitlab => true,
        // A batch's credentials are not told from their users'.
        Kind::Gitea => *mints == Mints::RegistryToken,
        Kind::Generic => false,
    })
}

/// The client gets none of an answer that hands out what cannot be remembered, where it would then be a person's.
#[must_use]
pub fn unrecorded(config: &Config) -> Told {
    refused(config, Protocol::Lfs, Failure::AnswerUnrecorded)
}

/// The client gets none of an answer that may hand out what it must not have.
fn refused(config: &Config, protocol: Protocol, failure: Failure) -> Told {
    let failed = decision::failed(config, protocol, failure);
    let fate = match failed.outcome {
        Outcome::Reply(reply) => Fate::Refused(reply),
        // It is only observed.
        Outcome::Forward(_) => Fate::Kept,
    };
    Told { events: alloc::vec![Event::Judged(failed.record)], fate }
}

impl Body {
    fn copied_where(tells: bool) -> Self {
        if tells { Self::Copied } else { Self::Unseen }
    }
}
