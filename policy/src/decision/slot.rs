//! Requests of jobs whose tokens the forge does not know: what is granted goes on without any credential, and names one of
//! the forge's own for the proxy to add. Which secret that is, nobody here knows.

use alloc::vec::Vec;

use super::Grant;
use crate::access::Action;
use crate::choices::CredentialSlots;
use crate::config::Config;
use crate::facts::{Credential, Job};
use crate::request::{Claim, JobRequest};
use crate::rules::Reason;

/// The field that names a slot. Whatever a client sends in it is removed before anything else.
pub const SLOT_FIELD: &str = "x-jobscope-credential";

/// Fields of an answer that could hand out to a job what is the account's whose credential was added.
pub const WITHHELD: [&str; 3] = ["set-cookie", "set-cookie2", "authorization"];

/// Which of the forge's own credentials the proxy adds: what it may at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// One that reads.
    Read,
    /// One that also writes.
    Write,
}

/// What a credential is added to. What is not here goes on with the job's own or not at all.
const SLOTS: [(Action, Slot); 7] = [
    (Action::ReadCode, Slot::Read),
    (Action::WriteCode, Slot::Write),
    (Action::ReadWiki, Slot::Read),
    (Action::RegistryLogin, Slot::Read),
    (Action::PullImage, Slot::Read),
    (Action::PushImage, Slot::Write),
    (Action::DeleteImage, Slot::Write),
];

impl Slot {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// Its name in [`SLOT_FIELD`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    fn of(action: Action) -> Option<Self> {
        SLOTS.iter().find(|(known, _)| *known == action).map(|(_, slot)| *slot)
    }
}

/// What a request of this job is granted where it is allowed, if not to go on as it is.
///
/// # Errors
/// Why it cannot be granted.
pub(super) fn exchanged(config: &Config, request: &JobRequest, job: &Job) -> Result<Option<Grant>, Reason> {
    if job.context.credential == Credential::Own {
        return Ok(None);
    }
    if config.forge.credential_slots == CredentialSlots::Off {
        return Err(Reason::SlotsOff);
    }
    let slots = request.accesses.iter().map(|access| Slot::of(access.action)).collect::<Option<Vec<_>>>();
    let slot = slots.and_then(|slots| slots.into_iter().max()).ok_or(Reason::SlotNone)?;
    // What was made of a token, and a body that has to be looked through, say that there may be more than the one credential.
    let is_plain = matches!(request.claim, Claim::Marked | Claim::Unmarked(None)) && request.scan.is_none();
    let bare = request.bare.as_ref().filter(|bare| is_plain && bare.path.is_none()).ok_or(Reason::SlotMixed)?;
    Ok(Some(Grant { path: None, without: bare.headers.clone(), slot: Some(slot) }))
}

/// Whether a `location` names somebody with a password: `https://user:secret@host/`.
#[must_use]
pub fn names_login(location: &[u8]) -> bool {
    let is_end = |b: &u8| matches!(b, b'/' | b'?' | b'#');
    let (scheme, rest) = location.split_at(location.iter().position(is_end).unwrap_or(location.len()));
    let authority = rest.strip_prefix(b"//").filter(|_| scheme.is_empty() || scheme.ends_with(b":"));
    authority.and_then(|rest| rest.split(is_end).next()).is_some_and(|authority| authority.contains(&b'@'))
}
