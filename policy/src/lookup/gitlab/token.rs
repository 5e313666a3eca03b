//! Whose token it is, and in which circumstances its job runs.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::{JOB, SERVICE_ACCOUNT, encoded, get, path_of};
use crate::Config;
use crate::decision::Failure;
use crate::facts::{Context, Invalid, Job, JobId, Origin, ProjectId, ProjectPath, Secret, Token};
use crate::lookup::answer::{Answer, Fields, Said};
use crate::lookup::{Call, Progress, Value as Fact};

/// Looks up whose token it is.
#[derive(Debug)]
pub(in crate::lookup) struct TokenFlight {
    root: String,
    token: Secret,
    credential: Option<Secret>,
    /// What a rule of the configuration looks at beyond the first answer.
    wanted: Vec<Asked>,
    /// What each call asked, by its number.
    asked: Vec<Asked>,
    outstanding: usize,
    /// Whether its ref is one of the `branches` or of the `tags`.
    refs: &'static str,
    /// The job as far as it is known.
    job: Option<Job>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Job,
    /// Whether its ref is protected.
    Protected,
    /// Its environment.
    Environment,
    /// Whether its merge request comes from a fork.
    Fork,
}

impl TokenFlight {
    pub(in crate::lookup) fn start(config: &Config, credential: Option<&Secret>, token: &Secret) -> (Self, Progress) {
        let root = config.forge.relative_url_root.clone();
        let call = get(&root, "/job", JOB, token);
        let access = &config.access;
        let wanted = [
            (Asked::Protected, access.needs_protected()),
            (Asked::Environment, access.needs_environment()),
            (Asked::Fork, access.needs_fork()),
        ];
        let flight = Self {
            root,
            token: token.clone(),
            credential: credential.cloned(),
            wanted: wanted.into_iter().filter_map(|(asked, is_wanted)| is_wanted.then_some(asked)).collect(),
            asked: vec![Asked::Job],
            outstanding: 1,
            refs: "branches",
            job: None,
        };
        (flight, Progress::Going(vec![(0, call)]))
    }

    pub(in crate::lookup) fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
        self.take(call, answer).unwrap_or_else(|failure| Progress::Landed(Err(failure)))
    }

    fn take(&mut self, call: usize, answer: &Answer<'_>) -> Result<Progress, Failure> {
        let asked = *self.asked.get(call).ok_or(Failure::Doubt)?;
        self.outstanding = self.outstanding.checked_sub(1).ok_or(Failure::Doubt)?;
        let said = answer.said()?;
        if asked == Asked::Job {
            match self.read_job(said)? {
                Token::Running(job) => {
                    let more = self.ask_more(&job)?;
                    self.job = Some(job);
                    if !more.is_empty() {
                        return Ok(Progress::Going(more));
                    }
                }
                token @ (Token::Invalid(_) | Token::Ended(_)) => return Ok(Progress::Landed(Ok(Fact::Token(token)))),
            }
        } else {
            let job = self.job.as_mut().ok_or(Failure::Doubt)?;
            read_circumstance(job, asked, said)?;
        }
        if self.outstanding > 0 {
            return Ok(Progress::Going(Vec::new()));
        }
        let job = self.job.take().ok_or(Failure::Doubt)?;
        Ok(Progress::Landed(Ok(Fact::Token(Token::Running(job)))))
    }

    fn read_job(&mut self, said: Said) -> Result<Token, Failure> {
        match said {
            Said::Yes(body) => {
                let is_tag = body.get("tag").and_then(Value::as_bool) == Some(true);
                self.refs = if is_tag { "tags" } else { "branches" };
                job(&body, &self.root)
            }
            // 404: the token is a person's, which is no running job's either.
            Said::Unauthorized | Said::NotFound => Ok(Token::Invalid(Invalid::Unknown)),
            Said::Forbidden => Ok(Token::Invalid(Invalid::UserRefused)),
            Said::Moved(_) => Err(Failure::LookupAnswer),
        }
    }

    /// The calls for what the first answer does not tell.
    fn ask_more(&mut self, job: &Job) -> Result<Vec<(usize, Call)>, Failure> {
        let mut calls = Vec::new();
        for asked in core::mem::take(&mut self.wanted) {
            let of_origin = |path: Option<String>| -> Result<Option<Call>, Failure> {
                let Some(path) = path else { return Ok(None) };
                let credential = self.credential.as_ref().ok_or(Failure::LookupRights)?;
                let path = format!("/projects/{}/{path}", job.origin.id.0);
                Ok(Some(get(&self.root, &path, SERVICE_ACCOUNT, credential)))
            };
            let call = match asked {
                Asked::Job => None,
                Asked::Environment => Some(get(&self.root, "/job/allowed_agents", JOB, &self.token)),
                Asked::Protected => {
                    of_origin(undecided(&job.context).map(|name| format!("repository/{}/{name}", self.refs)))?
                }
                Asked::Fork => of_origin(merge_request(&job.context).map(|number| format!("merge_requests/{number}")))?,
            };
            if let Some(call) = call {
                calls.push((self.asked.len(), call));
                self.asked.push(asked);
            }
        }
        self.outstanding = self.outstanding.saturating_add(calls.len());
        Ok(calls)
    }
}

fn job(body: &Value, root: &str) -> Result<Token, Failure> {
    let fields = Fields::of(body)?;
    match fields.text("status")? {
        "running" | "canceling" => {}
        "success" | "failed" | "canceled" => return Ok(Token::Ended(None)),
        _ => return Ok(Token::Invalid(Invalid::NotStarted)),
    }
    if fields.0.get("erased_at").is_some_and(|at| !at.is_null()) {
        return Ok(Token::Invalid(Invalid::Erased));
    }
    let id = fields.number("id")?;
    let user = fields.nullable("user")?;
    if let Some(invalid) = user.as_ref().and_then(refused_user) {
        return Ok(Token::Invalid(invalid));
    }
    let user = user.map(|user| user.user("username")).transpose()?;
    // The answer has no project of its own: the number stands with the pipeline, the path in the job's address.
    let project = fields.object("pipeline")?.number("project_id")?;
    let path = path_of_job(fields.text("web_url")?, root, id).ok_or(Failure::LookupAnswer)?;
    let origin = Origin { id: ProjectId(project), path };
    Ok(Token::Running(Job { id: JobId(id), user, origin, context: context(&fields) }))
}

/// Why the forge lets a user do nothing, by the state that it shows.
fn refused_user(user: &Fields<'_>) -> Option<Invalid> {
    if user.0.get("locked").and_then(Value::as_bool) == Some(true) {
        return Some(Invalid::UserRefused);
    }
    match user.0.get("state").and_then(Value::as_str) {
        None | Some("active") => None,
        Some("deactivated") => Some(Invalid::UserDeactivated),
        Some("blocked" | "ldap_blocked" | "blocked_pending_approval" | "banned") => Some(Invalid::UserBlocked),
        Some(_) => Some(Invalid::UserRefused),
    }
}

/// `https://host/below/group/project/-/jobs/7` is a job of `group/project`.
fn path_of_job(address: &str, root: &str, id: u64) -> Option<ProjectPath> {
    let path = path_of(address, root)?;
    ProjectPath::parse(path.strip_suffix(&format!("/-/jobs/{id}"))?)
}

/// The job's circumstances, as far as the first answer tells them.
fn context(fields: &Fields<'_>) -> Context {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(String::from);
    let pipeline = fields.0.get("pipeline");
    let git_ref = text(fields.0.get("ref"));
    let source = text(pipeline.and_then(|pipeline| pipeline.get("source")));
    let mut context = Context { git_ref, source, ..Context::default() };
    // A merge request's own ref is nobody's to protect, and what works on no merge request works on none from a fork.
    if merge_request(&context).is_some() {
        context.protected = Some(false);
    } else if context.source.as_deref().is_some_and(|source| source != "merge_request_event") {
        context.fork = Some(false);
    }
    context
}

/// The job's ref as one segment, where it is not known yet whether it is protected.
fn undecided(context: &Context) -> Option<String> {
    context.git_ref.as_deref().filter(|_| context.protected.is_none()).map(encoded)
}

/// The number of the merge request that the job works on: its ref is `refs/merge-requests/7/head`, or `.../merge`.
fn merge_request(context: &Context) -> Option<u64> {
    let rest = context.git_ref.as_deref()?.strip_prefix("refs/merge-requests/")?;
    rest.split_once('/')?.0.parse().ok()
}

/// Reads one of the circumstances that the first answer does not tell.
fn read_circumstance(job: &mut Job, asked: Asked, said: Said) -> Result<(), Failure> {
    let body = match (asked, said) {
        (_, Said::Yes(body)) => body,
        // A ref that is no longer there is nobody's to protect.
        (Asked::Protected, Said::NotFound) => {
            job.context.protected = Some(false);
            return Ok(());
        }
        (_, Said::Moved(_)) => return Err(Failure::LookupAnswer),
        (_, Said::Unauthorized | Said::Forbidden | Said::NotFound) => return Err(Failure::LookupRights),
    };
    let fields = Fields::of(&body)?;
    match asked {
        Asked::Job => return Err(Failure::Doubt),
        Asked::Protected => job.context.protected = Some(fields.flag("protected")?),
        Asked::Environment => {
            // A positive sign that this is about the job: not every job has an environment.
            if fields.object("job")?.number("id")? != job.id.0 {
                return Err(Failure::LookupAnswer);
            }
            let environment = fields.0.get("environment").filter(|environment| !environment.is_null());
            let slug = environment.map(|environment| Fields::of(environment)?.text("slug").map(String::from));
            job.context.environment = Some(slug.transpose()?.unwrap_or_default());
        }
        Asked::Fork => job.context.fork = Some(fields.number("source_project_id")? != job.origin.id.0),
    }
    Ok(())
}
