//! What a forge has by a name: projects, groups and users. Only GitLab's own API tells.

use std::cell::RefCell;

use policy::choices::Api;
use policy::facts::{Origin, ProjectId, ProjectPath};
use serde_json::Value;

use super::{Live, Reply, doctor};
use crate::check::{Names, Noun};

/// Why it is not known whether the forge has something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// A service of the platform team knows no names.
    #[error("a service that answers `v1` is not asked for names")]
    Service,
    /// Nobody may ask.
    #[error("without a service account the forge is asked nothing but whose a job's token is")]
    Nobody,
    /// The forge answers something else.
    #[error("{0}")]
    Answer(String),
}

impl Live<'_> {
    /// What stands at a path of the API, or below its query; `None` where the forge has no such thing.
    pub(super) fn named(&mut self, path: &str) -> Result<Option<Value>, Untold> {
        if self.config.lookup.api == Api::V1 {
            return Err(Untold::Service);
        }
        let at = self.get(path).ok_or(Untold::Nobody)?;
        match (self.reply(at).map(|reply| reply.status), self.json(at)) {
            (Some(200), Some(body)) => Ok(Some(body)),
            // A project that moved is no longer there.
            (Some(301), _) if self.reply(at).is_some_and(Reply::is_moved_project) => Ok(None),
            (Some(404), _)
                if self.reply(at).is_some_and(|reply| serde_json::from_slice::<Value>(&reply.body).is_ok()) =>
            {
                Ok(None)
            }
            _ => Err(Untold::Answer(
                self.asked.get(at).map(|(call, sent)| doctor::complaint(self, call, sent)).unwrap_or_default(),
            )),
        }
    }

    /// A project.
    ///
    /// # Errors
    /// The forge does not tell.
    pub fn project(&mut self, path: &str) -> Result<Option<Origin>, Untold> {
        let found = self.named(&format!("/projects/{}", segment(path)))?;
        Ok(found.as_ref().and_then(project))
    }

    /// Whether there is a group.
    ///
    /// # Errors
    /// The forge does not tell.
    pub fn has_group(&mut self, path: &str) -> Result<bool, Untold> {
        Ok(self.named(&format!("/groups/{}?with_projects=false", segment(path)))?.is_some())
    }

    /// A user, as the forge shows it.
    ///
    /// # Errors
    /// The forge does not tell.
    pub fn user(&mut self, name: &str) -> Result<Option<Value>, Untold> {
        let found = self.named(&format!("/users?username={}", segment(name)))?;
        let is_it = |user: &&Value| {
            user.get("username").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
        };
        Ok(found.as_ref().and_then(Value::as_array).and_then(|users| users.iter().find(is_it)).cloned())
    }
}

/// A forge that is asked for names.
pub struct Naming<'a, 'b> {
    live: RefCell<&'a mut Live<'b>>,
    untold: RefCell<Option<Untold>>,
}

impl<'a, 'b> Naming<'a, 'b> {
    /// A forge of which no name was asked yet.
    pub fn of(live: &'a mut Live<'b>) -> Self {
        Self { live: RefCell::new(live), untold: RefCell::default() }
    }

    /// Why it did not tell, where it did not.
    #[must_use]
    pub fn untold(self) -> Option<Untold> {
        self.untold.into_inner()
    }
}

impl Names for Naming<'_, '_> {
    fn denial(&self) -> &'static str {
        "the forge shows the service account no"
    }

    fn has(&self, noun: Noun, name: &str) -> Result<bool, String> {
        let mut live = self.live.borrow_mut();
        let found = match noun {
            Noun::Project => live.project(name).map(|found| found.is_some()),
            Noun::Group => live.has_group(name),
            Noun::User => live.user(name).map(|found| found.is_some()),
        };
        found.map_err(|untold| {
            let why = untold.to_string();
            self.untold.borrow_mut().get_or_insert(untold);
            why
        })
    }
}

/// A project as the API shows it.
pub(super) fn project(body: &Value) -> Option<Origin> {
    let path = body.get("path_with_namespace")?.as_str()?;
    Some(Origin { id: ProjectId(body.get("id")?.as_u64()?), path: ProjectPath::parse(path)? })
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(one).collect()
}
