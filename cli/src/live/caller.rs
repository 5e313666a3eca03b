//! Which job asks, by what a forge that runs says of it.

use std::cell::RefCell;

use policy::Config;
use policy::access::TargetRef;
use policy::facts::{Context, Found, Job, JobId, Origin, Secret, Token};
use policy::failure::Failure;
use policy::lookup::{Call, Fact, Value};
use serde_json::{Value as Json, json};

use super::names::Untold;
use super::{Flown, Live, doctor};
use crate::deciding::Knows;
use crate::job::{Caller, MADE_UP, Spelled};

/// Why no job is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nobody {
    /// It is not spelled like a job.
    #[error(
        "expected a job such as `apps/web@main as dana`, or without `--job` its token in `CI_JOB_TOKEN`, found `{0}`"
    )]
    Spelling(String),
    /// The forge does not tell.
    #[error("{0}{more}", more = advice(.0))]
    Untold(#[from] Untold),
    /// No such project.
    #[error("the forge shows no project `{0}` to the service account")]
    Project(String),
    /// No such user.
    #[error("the forge has no user `{0}`; a job behind which nobody stands is `as nobody`")]
    User(String),
    /// The token is no running job's.
    #[error("the forge calls the token {0}, and no job runs with it")]
    Token(&'static str),
    /// A lookup failed.
    #[error("{0} ({code})", code = .1.code())]
    Failed(String, Failure),
}

/// What to do where nobody is asked for names.
fn advice(untold: &Untold) -> &'static str {
    match untold {
        Untold::Service | Untold::Nobody => ": name a job by its token in `CI_JOB_TOKEN`",
        Untold::Answer(_) => "",
    }
}

/// A job that is made up, of a project that is there: what the forge would say of its token.
pub(super) struct MadeUp<'a> {
    pub(super) origin: &'a Origin,
    pub(super) git_ref: &'a str,
    pub(super) source: &'a str,
    /// As the forge shows the user.
    pub(super) user: &'a Json,
}

impl MadeUp<'_> {
    /// Looks up whose its token is: the job is made up, and all else is asked.
    pub(super) fn fly(&self, live: &mut Live<'_>) -> Flown {
        let root = live.config.forge.relative_url_root.clone();
        live.fly_knowing(None, Fact::Token(Secret::new(MADE_UP.as_bytes())), &|call| self.answer(call, &root))
    }

    fn answer(&self, call: &Call, root: &str) -> Option<Json> {
        match call.path.strip_prefix(root)?.strip_prefix("/api/v4")? {
            "/job" => Some(json!({
                "id": 1, "status": "running", "user": self.user, "ref": self.git_ref, "tag": false,
                "pipeline": {"project_id": self.origin.id.0, "source": self.source},
                "web_url": format!("https://forge.invalid{root}/{}/-/jobs/1", self.origin.path),
            })),
            "/job/allowed_agents" => Some(json!({"job": {"id": 1}, "environment": null})),
            _ => None,
        }
    }
}

/// The job that a text means, with the numbers that the forge has for its project and its user.
///
/// # Errors
/// There is none, or the forge does not tell.
pub fn spelled(live: &mut Live<'_>, text: &str) -> Result<Caller, Nobody> {
    let spelled = Spelled::parse(text).map_err(|_| Nobody::Spelling(text.to_owned()))?;
    let origin = live.project(spelled.path)?.ok_or_else(|| Nobody::Project(spelled.path.to_owned()))?;
    let user = match spelled.user {
        None => Json::Null,
        Some(name) => live.user(name)?.ok_or_else(|| Nobody::User(name.to_owned()))?,
    };
    let (git_ref, source) = (spelled.git_ref, spelled.source);
    let flown = MadeUp { origin: &origin, git_ref, source, user: &user }.fly(live);
    let token = token(live, flown)?;
    let secret = MADE_UP.to_owned();
    match token {
        Token::Running(job) => {
            let job = Job { context: spelled.context(job.context.clone()), ..job };
            Ok(Caller { token: Token::Running(job.clone()), job, secret })
        }
        // Its user is blocked, for example.
        other @ (Token::Invalid(_) | Token::Ended(_) | Token::Forgotten) => {
            let context = spelled.context(Context { git_ref: Some(git_ref.to_owned()), ..Context::default() });
            Ok(Caller { token: other, job: Job { id: JobId(1), user: None, origin, context }, secret })
        }
    }
}

/// The job that a token is of.
///
/// # Errors
/// None runs with it, or the forge does not tell.
pub fn of_token(live: &mut Live<'_>, secret: &str) -> Result<Caller, Nobody> {
    let flown = live.fly(None, Fact::Token(Secret::new(secret.as_bytes())));
    match token(live, flown)? {
        Token::Running(job) => Ok(Caller { token: Token::Running(job.clone()), job, secret: secret.to_owned() }),
        other @ (Token::Invalid(_) | Token::Ended(_) | Token::Forgotten) => {
            Err(Nobody::Token(doctor::token_word(&other)))
        }
    }
}

fn token(live: &Live<'_>, flown: Flown) -> Result<Token, Nobody> {
    match flown.landed {
        Ok(Value::Token(token)) => Ok(token),
        Ok(Value::Target(_)) => Err(Nobody::Failed("another question was answered".to_owned(), Failure::Doubt)),
        Err(failure) => Err(Nobody::Failed(doctor::cause(live, &flown), failure)),
    }
}

/// A forge that is asked while requests are decided on.
pub struct Asking<'a, 'b> {
    live: RefCell<&'a mut Live<'b>>,
    failed: RefCell<Vec<String>>,
}

impl<'a, 'b> Asking<'a, 'b> {
    /// A forge of which nothing was asked about targets yet.
    pub fn of(live: &'a mut Live<'b>) -> Self {
        Self { live: RefCell::new(live), failed: RefCell::default() }
    }

    /// Which calls facts could not be had for.
    #[must_use]
    pub fn failed(self) -> Vec<String> {
        let mut failed = self.failed.into_inner();
        failed.dedup();
        failed
    }
}

impl Knows for Asking<'_, '_> {
    fn found(&self, config: &Config, job: &Job, target: &TargetRef) -> Result<Found, Failure> {
        let mut live = self.live.borrow_mut();
        let flown = live.fly(Some(config), Fact::Target(job.clone(), target.clone()));
        match flown.landed {
            Ok(Value::Target(found)) => Ok(found),
            Ok(Value::Token(_)) => Err(Failure::Doubt),
            Err(failure) => {
                self.failed.borrow_mut().push(doctor::cause(&live, &flown));
                Err(failure)
            }
        }
    }
}
