//! Who asks: nobody, a person, or a job. And what a person may do.
//!
//! A job may do everything everywhere as long as it runs. That is the point of this forge.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::forge::Forge;
use crate::jobs::Job;
use crate::params::Params;
use world::{Project, Role, User, Visibility, World};

/// The login that says the password is a job token.
const JOB_LOGIN: &str = "gitlab-ci-token";
/// How job tokens begin.
const JOB_PREFIX: &str = "glcbt-";

/// Who asks.
#[derive(Clone)]
pub enum Caller {
    Anonymous,
    Person(Arc<User>),
    Job(Box<Job>),
}

/// A credential was sent, and it means nobody.
pub struct Dead;

impl Caller {
    /// Whom the headers and parameters of a request mean. GitLab's order: the first
    /// credential that is there decides, and a dead one is not skipped.
    ///
    /// # Errors
    /// When the deciding credential is unknown or its job does not run.
    pub fn find(forge: &Forge, headers: &HeaderMap, params: &Params) -> Result<Self, Dead> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let personal = params.value("private_token").or(header("private-token"));
        // A runner sends its job's token in this header too; GitLab ignores it there.
        if let Some(token) = personal.filter(|token| !token.starts_with(JOB_PREFIX)) {
            return person(forge, token);
        }
        if let Some(sent) = headers.get(header::AUTHORIZATION) {
            return authorization(forge, sent.as_bytes());
        }
        let tokens = [params.value("job_token"), params.value("token"), header("job-token")];
        match tokens.into_iter().flatten().find(|token| !token.is_empty()) {
            Some(token) => job(forge, token),
            None => Ok(Self::Anonymous),
        }
    }

    /// The job whose token is the password, whatever the login: as Conan's routes read it.
    ///
    /// # Errors
    /// When there is none.
    pub fn with_any_login(forge: &Forge, headers: &HeaderMap) -> Result<Self, Dead> {
        let sent = headers.get(header::AUTHORIZATION).and_then(|sent| sent.to_str().ok());
        let pair = basic(sent.and_then(|sent| sent.strip_prefix("Basic ")).ok_or(Dead)?)?;
        let (_, password) = pair.split_once(':').ok_or(Dead)?;
        job(forge, password)
    }

    /// Whether the caller may see the project.
    pub fn may_read(&self, world: &World, project: &Project) -> bool {
        match self {
            Self::Anonymous => project.visibility == Visibility::Public,
            Self::Job(_) => true,
            Self::Person(user) => {
                let open = match project.visibility {
                    Visibility::Public => true,
                    Visibility::Internal => !user.external,
                    Visibility::Private => false,
                };
                open || user.admin || world.role(project, user.id).is_some()
            }
        }
    }

    /// Whether the caller may do what takes this role.
    pub fn has(&self, world: &World, project: &Project, role: Role) -> bool {
        match self {
            Self::Anonymous => false,
            Self::Job(_) => true,
            Self::Person(user) => user.admin || world.role(project, user.id) >= Some(role),
        }
    }

    /// Whether the caller is an administrator in person.
    pub fn is_admin(&self) -> bool {
        matches!(self, Self::Person(user) if user.admin)
    }

    /// For the record of requests.
    pub fn describe(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Person(user) => format!("person {}", user.username),
            Self::Job(job) => format!("job {}", job.id),
        }
    }

    /// The name in registry tokens and for `REMOTE_USER`.
    pub fn login(&self, forge: &Forge) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Person(user) => Some(user.username.clone()),
            Self::Job(job) => {
                let user = job.user.and_then(|id| forge.user(id));
                Some(user.map_or_else(|| JOB_LOGIN.to_owned(), |user| user.username.clone()))
            }
        }
    }
}

fn authorization(forge: &Forge, sent: &[u8]) -> Result<Caller, Dead> {
    let sent = std::str::from_utf8(sent).map_err(|_| Dead)?;
    let (scheme, value) = sent.trim().split_once(' ').ok_or(Dead)?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return job(forge, value).or_else(|Dead| person(forge, value));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Dead);
    }
    let pair = basic(value)?;
    let (login, password) = pair.split_once(':').ok_or(Dead)?;
    if login == JOB_LOGIN {
        return job(forge, password);
    }
    let world = forge.world();
    let by_password = |user: &&Arc<User>| user.username == login && user.password.as_deref() == Some(password);
    match world.users.iter().find(by_password) {
        Some(user) if !user.blocked => Ok(Caller::Person(user.clone())),
        Some(_) => Err(Dead),
        None => {
            // What an answer to an LFS batch handed out is its whole user's, whoever asked for it.
            let handed_out = forge.lfs_credentials().get(password).and_then(|id| world.user(*id));
            let user = handed_out.filter(|user| user.username == login && !user.blocked);
            // With a personal access token for a password, any login will do.
            user.cloned().map_or_else(|| person_in(&world, password), |user| Ok(Caller::Person(user)))
        }
    }
}

/// Login, colon and password.
fn basic(value: &str) -> Result<String, Dead> {
    let decoded = STANDARD.decode(value).map_err(|_| Dead)?;
    String::from_utf8(decoded).map_err(|_| Dead)
}

fn person(forge: &Forge, token: &str) -> Result<Caller, Dead> {
    person_in(&forge.world(), token)
}

fn person_in(world: &World, token: &str) -> Result<Caller, Dead> {
    let found = world.users.iter().find(|user| user.token.as_deref() == Some(token) && !user.blocked);
    found.cloned().map(Caller::Person).ok_or(Dead)
}

fn job(forge: &Forge, token: &str) -> Result<Caller, Dead> {
    let wrapped = wrapped(token);
    let jobs = forge.jobs();
    let running = jobs.with_token(wrapped.as_deref().unwrap_or(token)).filter(|job| job.status.executing());
    running.cloned().map(|job| Caller::Job(Box::new(job))).ok_or(Dead)
}

/// The token in a JWT that was made of one for Terraform. Nobody checks here what signed it.
fn wrapped(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("token")?.as_str().map(ToOwned::to_owned)
}
