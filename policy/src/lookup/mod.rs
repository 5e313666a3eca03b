//! Which HTTP calls find a missing fact, and what their answers say. Nobody here sends anything.
//!
//! A [`Flight`] is one fact under way: it names calls, is fed their answers in whatever order they come, may name more
//! calls, and ends with a value or an error. An answer counts only with a positive sign that the lookup service spoke:
//! a proxy's own error page is a failure, never a "no".

pub mod account;
mod answer;
pub mod changes;
pub mod ended;
mod gitlab;
mod part;
mod source;
mod throttle;
mod v1;
pub mod version;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

pub use account::{Account, Principal};
pub use answer::Answer;
pub use part::{PartKey, Recall};
pub use throttle::{LONGEST_PAUSE, pause};

use source::Course;

use crate::Config;
use crate::access::TargetRef;
use crate::bindings::{Confirmed, Moment};
use crate::facts::{Found, Hash, Job, Known, Secret, Token, UserId};
use crate::failure::Failure;
use crate::request::token;

/// A fact that somebody needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are few at a time, and a box would be one more allocation for each"
)]
pub enum Fact {
    /// Whose token this is.
    Token(Secret),
    /// What a target is to a job.
    Target(Job, TargetRef),
}

impl Fact {
    /// The key under which the fact is remembered. A token's is its plain SHA-256; a target's names user, origin and
    /// target, so that all jobs of one user in one project share it, and all jobs who holds something.
    #[must_use]
    pub fn key(&self) -> Hash {
        match self {
            Self::Token(token) => token.hash(),
            Self::Target(job, target) => target_key(job, target),
        }
    }
}

/// The key of what a target is to a job.
#[must_use]
pub fn target_key(job: &Job, target: &TargetRef) -> Hash {
    // Who holds something is the same for every job.
    if let TargetRef::Held(holding) = target {
        return Hash::of(&[b"holders", &holding.key().0]);
    }
    let mut fields: Vec<&[u8]> = Vec::with_capacity(4);
    let (people, count) = job.people_key();
    let people = people.get(..count).unwrap_or_default().as_flattened();
    let (origin, target_hash) = (job.origin.id.0.to_be_bytes(), target.key());
    fields.extend([&b"target"[..], people, &origin, &target_hash.0]);
    // The path decides which groups stand above the origin.
    fields.push(job.origin.path.as_str().as_bytes());
    Hash::of(&fields)
}

/// For whom the user of a token's job works, as the token itself says.
fn on_behalf_of(token: &Secret) -> Result<Option<UserId>, Failure> {
    token::scoped_user(token).map(|user| user.map(UserId)).map_err(|_| Failure::LookupAnswer)
}

/// What a flight brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Whose token it is.
    Token(Token),
    /// What the target is to the job.
    Target(Found),
}

/// One HTTP call to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// In whose name it goes.
    pub principal: Principal,
    /// The method.
    pub method: &'static str,
    /// The path with its query.
    pub path: String,
    /// Header fields besides the pseudo-headers.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The body, empty for none.
    pub body: Vec<u8>,
}

impl Call {
    /// What is called, for a log: without the query, and without the paths of projects, which clients choose.
    #[must_use]
    pub fn outline(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let segments = path.split('/').map(|segment| if segment.contains('%') { ":path" } else { segment });
        format!("{} {}", self.method, segments.collect::<Vec<_>>().join("/"))
    }
}

/// Where a flight stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Answers are outstanding; these calls are to be made now (often none).
    Going(Vec<(usize, Call)>),
    /// It is over.
    Landed(Result<Value, Failure>),
}

/// One fact under way.
pub struct Flight(Box<dyn Course>);

/// What it holds is not written out: `dyn` would bring the text of every type in it along.
impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

impl Flight {
    /// Starts to look a fact up. A configuration that is sound has a service
    /// account where a call needs one. What `recall` knows of parts is not asked.
    #[must_use]
    pub fn start(config: &Config, account: Option<&Account>, fact: Fact, recall: Recall<'_>) -> (Self, Progress) {
        Self::start_taking(Duration::ZERO, config, account, fact, recall)
    }

    /// The same, where who is asked may answer from a memory that is no older than `max_age`, in whole seconds.
    #[must_use]
    pub fn start_taking(
        max_age: Duration,
        config: &Config,
        account: Option<&Account>,
        fact: Fact,
        recall: Recall<'_>,
    ) -> (Self, Progress) {
        let (course, progress) = config.lookup.api.source().start(max_age, config, account, fact, recall);
        (Self(course), progress)
    }

    /// Takes the answer to the call of this number.
    #[must_use]
    pub fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
        self.0.answer(call, answer)
    }

    /// The job, once it is known while its circumstances are still asked for: what it needs of targets can be asked
    /// beside them.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        self.0.job()
    }

    /// What a flight that landed learned of parts, to be remembered.
    #[must_use]
    pub fn learned(&self) -> Vec<(PartKey, Known)> {
        self.0.learned()
    }

    /// How old what it brought is, when it began then: what was remembered is older.
    #[must_use]
    pub fn confirmed(&self, began: Moment) -> Confirmed {
        self.0.confirmed(began)
    }
}

#[cfg(test)]
mod tests;
