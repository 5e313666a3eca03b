//! A request that cannot be read, and whose it is all the same: for logs, and for nothing else.

use alloc::vec;
use alloc::vec::Vec;

use super::credential::{self, Carrier};
use super::head::{Body, Head};
use super::malformed::Malformed;
use super::{Claim, JobRequest, Reading, generic, git, protocol_of, target_on_forge, with_job};
use crate::access::{Access, Protocol};
use crate::choices::Kind;
use crate::config::Forge;
use crate::facts::Secret;

/// A request that carries a job's token, or could not be told, and cannot be read in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// In whose words it is answered.
    pub protocol: Protocol,
    /// Why.
    pub malformed: Malformed,
    /// The first token that can be made out.
    pub token: Option<Secret>,
    /// What it seems to ask with that.
    pub seems: Vec<Access>,
}

impl Refused {
    /// One of which no more is known.
    #[must_use]
    pub fn new(protocol: Protocol, malformed: Malformed) -> Self {
        Self { protocol, malformed, token: None, seems: Vec::new() }
    }

    /// One whose head cannot be read.
    pub(super) fn of_head(forge: &Forge, head: &Head<'_>, malformed: Malformed) -> Self {
        let refused = Self::new(protocol_of(forge, head), malformed);
        match credential::readable(head) {
            Some(token) => Self { seems: seems(forge, head, refused.protocol, &token), ..refused }.by(Some(&token)),
            None => refused,
        }
    }

    /// The same, and this token can be made out.
    pub(super) fn by(self, token: Option<&Secret>) -> Self {
        Self { token: token.cloned().or(self.token), ..self }
    }

    /// The same, and it seems to ask this.
    pub(super) fn seeming(self, access: Option<&Access>) -> Self {
        Self { seems: access.into_iter().cloned().collect(), ..self }
    }

    /// The same as a job's request, whose token is looked up as any other is before it is refused.
    ///
    /// # Errors
    /// No token can be made out.
    pub fn into_request(self) -> Result<JobRequest, Self> {
        let Self { protocol, malformed, token: Some(token), seems } = self else { return Err(self) };
        Ok(JobRequest { accesses: seems, ..JobRequest::unread(token, protocol, Claim::Unread(malformed)) })
    }
}

/// What a head would ask if nothing stood in it but its method and path, and a token where that protocol takes it.
fn seems(forge: &Forge, head: &Head<'_>, protocol: Protocol, token: &Secret) -> Vec<Access> {
    let carrier = match protocol {
        Protocol::Api | Protocol::Trigger | Protocol::Runner => Carrier::JobToken,
        Protocol::Git | Protocol::Lfs | Protocol::Registry | Protocol::RegistryToken | Protocol::Web => Carrier::Basic,
    };
    let mut fields: Vec<(&[u8], &[u8])> = Vec::new();
    fields.extend(head.fields().iter().filter(|(name, _)| name.starts_with(b":")));
    let read = |fields: &[(&[u8], &[u8])]| {
        let head = Head::new(fields, Body::None);
        let read = match forge.kind {
            Kind::Gitlab => with_job(forge, &head, &[carrier], token.clone()),
            Kind::Gitea | Kind::Generic => generic::with_job(forge, &head, &[carrier], token.clone()),
        };
        match read {
            Ok(Reading::Job(request)) => Some(request.accesses),
            Ok(Reading::NotAJob | Reading::Passing(_) | Reading::Body(_) | Reading::Refused(_)) | Err(_) => None,
        }
    };
    let whole = read(&fields);
    // A query may be what is wrong with it.
    for (_, path) in fields.iter_mut().filter(|(name, _)| *name == b":path") {
        *path = path.split(|b| *b == b'?').next().unwrap_or_default();
    }
    let in_repository = || {
        let path = target_on_forge(forge, head)?.path;
        Some(vec![git::seems_to_read(forge.kind, head.method()?, path)?])
    };
    whole.or_else(|| read(&fields)).or_else(in_repository).unwrap_or_default()
}
