//! The answer to one lookup call.

use alloc::string::String;
use alloc::string::ToString;

use crate::facts::{ProjectPath, User, UserId, Version};
use crate::failure::Failure;
use crate::tree::{Members, Tree};

/// The head and body of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// The number of the next page, where the answer names one.
    pub next_page: Option<&'a [u8]>,
    /// Where a moved thing is now, where the answer says so.
    pub location: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
}

/// What an answer says once it is clear that the lookup service spoke.
#[derive(Debug, Clone)]
pub(super) enum Said<'a> {
    /// 200 with this JSON.
    Yes(Tree<'a>),
    /// 401: not this credential.
    Unauthorized,
    /// 403: not for this credential.
    Forbidden,
    /// 404: no such thing.
    NotFound,
    /// 301: a project that moved, by its number.
    Moved(u64),
}

impl<'a> Answer<'a> {
    /// The JSON that it has.
    pub(super) fn json(&self) -> Result<Tree<'a>, Failure> {
        Tree::read(self.body).ok_or(Failure::LookupAnswer)
    }

    /// What was said. A status without the JSON that the forge's API gives with it may come from any proxy between.
    pub(super) fn said(&self) -> Result<Said<'a>, Failure> {
        let status = self.status.ok_or(Failure::LookupUnreachable)?;
        let refusal = |said: Said<'a>| {
            self.json().and_then(|body| {
                if body.get("message").and_then(Tree::as_str).is_some() { Ok(said) } else { Err(Failure::LookupAnswer) }
            })
        };
        match status {
            200 => self.json().map(Said::Yes),
            401 => refusal(Said::Unauthorized),
            403 => refusal(Said::Forbidden),
            404 => refusal(Said::NotFound),
            429 => Err(Failure::LookupThrottled),
            301 => self.moved().map(Said::Moved).ok_or(Failure::LookupAnswer),
            // Envoy's own words for a cluster that does not answer.
            504 => Err(Failure::LookupTimeout),
            502 | 503 => Err(Failure::LookupUnreachable),
            _ => Err(Failure::LookupAnswer),
        }
    }

    /// The same where a refusal ends a job. GitLab writes the status into its message too, and gateways that stand between
    /// and answer in JSON do not.
    pub(super) fn said_of_job(&self) -> Result<Said<'a>, Failure> {
        let said = self.said()?;
        let is_forges = || {
            let body = Tree::read(self.body);
            let message = body.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or_default();
            self.status.is_some_and(|status| message.starts_with(&status.to_string()))
        };
        match &said {
            Said::Unauthorized | Said::Forbidden | Said::NotFound if !is_forges() => Err(Failure::LookupAnswer),
            Said::Yes(_) | Said::Unauthorized | Said::Forbidden | Said::NotFound | Said::Moved(_) => Ok(said),
        }
    }

    /// The project's number in `https://host/below/api/v4/projects/7...`.
    fn moved(&self) -> Option<u64> {
        let location = core::str::from_utf8(self.location?).ok()?;
        let (_, rest) = location.split_once("/api/v4/projects/")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest.get(..digits)?.parse().ok()
    }
}

/// A JSON object's members by name, each a failure of the lookup when it is not what it must be.
pub(super) struct Fields<'a>(pub &'a Members<'a>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Tree<'a>) -> Result<Self, Failure> {
        value.as_object().map(Self).ok_or(Failure::LookupAnswer)
    }

    pub(super) fn object(&self, name: &str) -> Result<Fields<'a>, Failure> {
        Fields::of(self.0.get(name).ok_or(Failure::LookupAnswer)?)
    }

    /// `None` for `null`, which must stand there.
    pub(super) fn nullable(&self, name: &str) -> Result<Option<Fields<'a>>, Failure> {
        match self.0.get(name) {
            Some(Tree::Null) => Ok(None),
            Some(value) => Fields::of(value).map(Some),
            None => Err(Failure::LookupAnswer),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, Failure> {
        self.0.get(name).and_then(Tree::as_str).ok_or(Failure::LookupAnswer)
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Failure> {
        self.0.get(name).and_then(Tree::as_u64).ok_or(Failure::LookupAnswer)
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        self.0.get(name).and_then(Tree::as_bool).ok_or(Failure::LookupAnswer)
    }

    pub(super) fn version(&self, name: &str) -> Result<Version, Failure> {
        Version::parse(self.text(name)?).ok_or(Failure::LookupAnswer)
    }

    pub(super) fn project_path(&self, name: &str) -> Result<ProjectPath, Failure> {
        ProjectPath::parse(self.text(name)?).ok_or(Failure::LookupAnswer)
    }

    /// A user whose name stands under `name`.
    pub(super) fn user(&self, name: &str) -> Result<User, Failure> {
        let id = self.number("id")?;
        Ok(User { id: UserId(id), name: printable(self.text(name)?, id) })
    }
}

/// A name fit for logs and for the store: printable ASCII without spaces and at most 128 bytes, else the number.
fn printable(name: &str, id: u64) -> String {
    let fits = (1..=128).contains(&name.len()) && name.bytes().all(|b| (0x21..0x7f).contains(&b));
    if fits { name.to_string() } else { alloc::format!("user-{id}") }
}
