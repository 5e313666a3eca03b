//! What becomes of a request whose body would decide, where bodies are left unread: its head alone says what it may.
//!
//! A host that passes a head on before its body can hold none back, so what only the body can say is taken at its narrowest,
//! refused, or left to the forge. The table stands in `docs/configuration.md`.

use super::super::api::Route;
use super::super::head::Head;
use super::super::look::{Counts, Look};
use super::super::malformed::Malformed;
use super::super::params::Media;
use super::super::scan::Scan;
use super::super::{JobRequest, Mints, Reading, Refused, protocol_of_route};
use super::{Pending, Want};
use crate::access::{Access, Action, Protocol};

impl Pending {
    /// Reads it by its head.
    pub(in crate::request) fn by_head(self, head: &Head<'_>) -> Reading {
        let Self { protocol, want, look, unmarked, bare } = self;
        let reading = match want {
            // GitLab has uploads ask for their own leave, object by object. Elsewhere the batch itself may write.
            Want::LfsBatch(token, target) => {
                let action = if unmarked.is_some() { Action::UploadLfs } else { Action::DownloadLfs };
                let accesses = alloc::vec![Access::new(action, target)];
                let request = JobRequest::new(token, Protocol::Lfs, accesses);
                Reading::Job(JobRequest { mints: Some(Mints::LfsCredentials), ..request })
            }
            // A runner's report: the forge compares its token with the job's.
            Want::Parameters(None, _, Ok(route)) | Want::Untyped(None, Ok(route)) if is_report(&route) => {
                Reading::NotAJob
            }
            Want::Parameters(Some(token), media, Ok(route)) if media != Media::Form => {
                let protocol = protocol_of_route(&route);
                let broken =
                    |malformed| Refused::new(protocol, malformed).by(Some(&token)).seeming(Some(&route.access));
                let scan = match &media {
                    // It says its token once more.
                    _ if is_report(&route) => None,
                    Media::Multipart(boundary) => {
                        Some(Scan::new(boundary, Some(token.clone()), broken(Malformed::MultipartSyntax)))
                    }
                    Media::Json | Media::Form => {
                        Look::of(head, Counts::Usual).map(|look| Scan::generous(look, broken(Malformed::HeadAndBody)))
                    }
                };
                let accesses = alloc::vec![route.access];
                Reading::Job(JobRequest { scan, bare, ..JobRequest::new(token, protocol, accesses) })
            }
            Want::Form(reading) => with_form(protocol, reading.by_head(head), look),
            // A form may name another method and another token, so by its head it is anything.
            want @ (Want::TokenForm(_) | Want::Untyped(..) | Want::Parameters(..)) => {
                let is_token_form = matches!(want, Want::TokenForm(_));
                let malformed = if is_token_form { Malformed::TokenForm } else { Malformed::BodyLeft };
                Self { protocol, want, look, unmarked: None, bare }.let_go(malformed)
            }
        };
        match unmarked {
            Some(token) => reading.unmarked(token),
            None => reading,
        }
    }
}

fn is_report(route: &Route) -> bool {
    matches!(route.access.action, Action::UpdateJob | Action::TraceJob)
}

impl Reading {
    /// What it is where its body is left unread.
    pub(in crate::request) fn by_head(self, head: &Head<'_>) -> Self {
        match self {
            Self::Body(pending) => pending.by_head(head),
            Self::NotAJob | Self::Passing(_) | Self::Job(_) | Self::Refused(_) => self,
        }
    }
}

/// Another forge takes a token from a form before any of the head, so none may stand in it.
fn with_form(protocol: Protocol, by_head: Reading, look: Option<(Look, usize)>) -> Reading {
    match (by_head, look) {
        (Reading::Job(request), Some((look, _))) => {
            let broken = Refused::new(protocol, Malformed::Multiple).by(Some(&request.token));
            Reading::Job(JobRequest { scan: Some(Scan::generous(look, broken)), ..request })
        }
        (Reading::Job(request), None) => {
            Reading::Refused(Refused::new(protocol, Malformed::BodyLeft).by(Some(&request.token)))
        }
        (Reading::NotAJob | Reading::Passing(_) | Reading::Body(_), Some((look, _))) => {
            Reading::Passing(Scan::generous(look, Refused::new(protocol, Malformed::BodyLeft)))
        }
        (Reading::NotAJob | Reading::Passing(_) | Reading::Body(_), None) => {
            Reading::Refused(Refused::new(protocol, Malformed::BodyLeft))
        }
        (refused @ Reading::Refused(_), _) => refused,
    }
}
