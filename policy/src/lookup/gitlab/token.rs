//! Whose token it is, and in which circumstances its job runs.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{encoded, get, get_as_job, path_of};
use crate::Config;
use crate::facts::{
    Context, FINAL_STATES, Invalid, Job, JobId, Origin, ProjectId, ProjectPath, RunnerId, Secret, Token, UserId,
};
use crate::failure::Failure;
use crate::lookup::answer::{Answer, Fields, Said};
use crate::lookup::source::Course;
use crate::lookup::{Account, Call, Progress, Value as Fact, on_behalf_of};
use crate::tree::Tree;

/// Looks up whose token it is.
#[derive(Debug)]
pub(super) struct TokenFlight {
    root: String,
    account: Option<Account>,
    /// For whom the job's user works, as the token says.
    on_behalf_of: Result<Option<UserId>, Failure>,
    /// What a rule of the configuration looks at that the job's first answer must be known for.
    wanted: Vec<Asked>,
    /// What each call asked, by its number.
    asked: Vec<Asked>,
    outstanding: usize,
    /// Whether its ref is one of the `branches` or of the `tags`.
    refs: &'static str,
    /// The job as far as it is known.
    job: Option<Job>,
    /// Whose environment it is and which, where that came before the job.
    environment: Option<Result<(JobId, String), Failure>>,
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
    pub(super) fn start(config: &Config, account: Option<&Account>, token: &Secret) -> (Self, Progress) {
        let root = config.forge.relative_url_root.clone();
        let needs = config.access.needs();
        let mut calls = vec![(0, get_as_job(&root, "/job", token))];
        let mut asked = vec![Asked::Job];
        // It takes the job's token alone, so nothing must be known for it.
        if needs.environment {
            calls.push((1, get_as_job(&root, "/job/allowed_agents", token)));
            asked.push(Asked::Environment);
        }
        let wanted = [(Asked::Protected, needs.protected), (Asked::Fork, needs.fork)];
        let flight = Self {
            root,
            account: account.cloned(),
            on_behalf_of: on_behalf_of(token),
            wanted: wanted.into_iter().filter_map(|(asked, is_wanted)| is_wanted.then_some(asked)).collect(),
            outstanding: asked.len(),
            asked,
            refs: "branches",
            job: None,
            environment: None,
        };
        (flight, Progress::Going(calls))
    }

    fn take(&mut self, call: usize, answer: &Answer<'_>) -> Result<Progress, Failure> {
        let asked = *self.asked.get(call).ok_or(Failure::Doubt)?;
        self.outstanding = self.outstanding.checked_sub(1).ok_or(Failure::Doubt)?;
        let said = if asked == Asked::Job { answer.said_of_job()? } else { answer.said()? };
        match (asked, self.job.as_mut()) {
            (Asked::Job, _) => match self.read_job(said)? {
                Token::Running(mut job) => {
                    job.context.on_behalf_of = self.on_behalf_of?;
                    if let Some(environment) = self.environment.take() {
                        take_environment(&mut job, environment?)?;
                    }
                    let more = self.ask_more(&job)?;
                    self.job = Some(job);
                    if !more.is_empty() {
                        return Ok(Progress::Going(more));
                    }
                }
                token @ (Token::Invalid(_) | Token::Ended(_) | Token::Forgotten) => {
                    return Ok(Progress::Landed(Ok(Fact::Token(token))));
                }
            },
            (asked, Some(job)) => read_circumstance(job, asked, said)?,
            // What it says counts only together with the job: a token that is nobody's gets a refusal here too.
            (_, None) => self.environment = Some(environment(said)),
        }
        if self.outstanding > 0 {
            return Ok(Progress::Going(Vec::new()));
        }
        let mut job = self.job.take().ok_or(Failure::Doubt)?;
        job.context = job.context.bounded();
        Ok(Progress::Landed(Ok(Fact::Token(Token::Running(job)))))
    }

    fn read_job(&mut self, said: Said<'_>) -> Result<Token, Failure> {
        match said {
            Said::Yes(body) => {
                let is_tag = body.get("tag").and_then(Tree::as_bool) == Some(true);
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
                let account = self.account.as_ref().ok_or(Failure::LookupRights)?;
                let path = format!("/projects/{}/{path}", job.origin.id.0);
                Ok(Some(get(&self.root, &path, account)))
            };
            let call = match asked {
                Asked::Job | Asked::Environment => None,
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

impl Course for TokenFlight {
    fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
        self.take(call, answer).unwrap_or_else(|failure| Progress::Landed(Err(failure)))
    }

    fn job(&self) -> Option<&Job> {
        self.job.as_ref()
    }
}

fn job(body: &Tree<'_>, root: &str) -> Result<Token, Failure> {
    let fields = Fields::of(body)?;
    match fields.text("status")? {
        "running" | "canceling" => {}
        state if FINAL_STATES.contains(&state) => return Ok(Token::Ended(None)),
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
    if user.0.get("locked").and_then(Tree::as_bool) == Some(true) {
        return Some(Invalid::UserRefused);
    }
    match user.0.get("state").and_then(Tree::as_str) {
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
    let text = |value: Option<&Tree<'_>>| value.and_then(Tree::as_str).map(String::from);
    let pipeline = fields.0.get("pipeline");
    let git_ref = text(fields.0.get("ref"));
    let source = text(pipeline.and_then(|pipeline| pipeline.get("source")));
    let runner = fields.0.get("runner").and_then(|runner| runner.get("id")?.as_u64()).map(RunnerId);
    let mut context = Context { git_ref, source, runner, ..Context::default() };
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
fn read_circumstance(job: &mut Job, asked: Asked, said: Said<'_>) -> Result<(), Failure> {
    match (asked, said) {
        (Asked::Job, _) => return Err(Failure::Doubt),
        (Asked::Environment, said) => return take_environment(job, environment(said)?),
        // A ref that is no longer there is nobody's to protect.
        (Asked::Protected, Said::NotFound) => job.context.protected = Some(false),
        (Asked::Protected, said) => job.context.protected = Some(Fields::of(&affirmed(said)?)?.flag("protected")?),
        (Asked::Fork, said) => {
            let source = Fields::of(&affirmed(said)?)?.number("source_project_id")?;
            job.context.fork = Some(source != job.origin.id.0);
        }
    }
    Ok(())
}

/// What was said, where that is no refusal.
fn affirmed(said: Said<'_>) -> Result<Tree<'_>, Failure> {
    match said {
        Said::Yes(body) => Ok(body),
        Said::Moved(_) => Err(Failure::LookupAnswer),
        Said::Unauthorized | Said::Forbidden | Said::NotFound => Err(Failure::LookupRights),
    }
}

/// The job that an answer about an environment is about, and its environment's name: not every job has one.
fn environment(said: Said<'_>) -> Result<(JobId, String), Failure> {
    let body = affirmed(said)?;
    let fields = Fields::of(&body)?;
    let job = JobId(fields.object("job")?.number("id")?);
    let environment = fields.0.get("environment").filter(|environment| !environment.is_null());
    let slug = environment.map(|environment| Fields::of(environment)?.text("slug").map(String::from));
    Ok((job, slug.transpose()?.unwrap_or_default()))
}

/// Takes a job's environment, with a positive sign that it is this one's.
fn take_environment(job: &mut Job, (of, slug): (JobId, String)) -> Result<(), Failure> {
    if of != job.id {
        return Err(Failure::LookupAnswer);
    }
    job.context.environment = Some(slug);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::ToString;

    use serde_json::{Value, json};

    use super::super::{JOB, SERVICE_ACCOUNT};
    use super::*;

    /// A configuration with a rule that looks at everything.
    const CURIOUS: &[u8] =
        br#"{"forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"},
            "access": {"deny": [{"id": "r", "when": {"protected": true, "environment": ["live"], "fork": true}}]}}"#;

    /// The job's context with these answers in either order, and the calls besides the job's own.
    fn fly(
        git_ref: &str,
        is_tag: bool,
        source: &str,
        world: &[(&str, u16, Value)],
    ) -> (Result<Context, Failure>, Vec<String>) {
        let (last, mut asked) = fly_in_order(git_ref, is_tag, source, world, true);
        let (first, _) = fly_in_order(git_ref, is_tag, source, world, false);
        assert_eq!(first, last, "the order of the answers changes nothing");
        asked.retain(|path| path != "/job");
        (first, asked)
    }

    fn fly_in_order(
        git_ref: &str,
        is_tag: bool,
        source: &str,
        world: &[(&str, u16, Value)],
        last_first: bool,
    ) -> (Result<Context, Failure>, Vec<String>) {
        let config = Config::parse(CURIOUS).unwrap();
        let account = Account::Token(Secret::new(b"service"));
        let (mut flight, mut progress) = TokenFlight::start(&config, Some(&account), &Secret::new(b"glcbt-1"));
        let job = json!({"id": 7, "status": "running", "user": null, "ref": git_ref, "tag": is_tag, "runner": {"id": 3},
            "pipeline": {"project_id": 101, "source": source}, "web_url": "https://h/apps/web/-/jobs/7"});
        let mut world: BTreeMap<&str, (u16, Value)> =
            world.iter().map(|(path, status, body)| (*path, (*status, body.clone()))).collect();
        world.insert("/job", (200, job));
        let (mut asked, mut outstanding) = (Vec::new(), Vec::new());
        loop {
            match progress {
                Progress::Landed(Ok(Fact::Token(Token::Running(job)))) => return (Ok(job.context), asked),
                Progress::Landed(Err(failure)) => return (Err(failure), asked),
                Progress::Landed(other) => panic!("{other:?}"),
                Progress::Going(calls) => outstanding.extend(calls),
            }
            let at = if last_first { outstanding.len() - 1 } else { 0 };
            let (number, call): (usize, Call) = outstanding.remove(at);
            let path = call.path.strip_prefix("/api/v4").unwrap();
            let is_jobs = path.starts_with("/job");
            let carried = if is_jobs { (JOB, b"glcbt-1".to_vec()) } else { (SERVICE_ACCOUNT, b"service".to_vec()) };
            assert!(call.headers.contains(&carried), "{path}");
            asked.push(path.to_string());
            let (status, body) = world.get(path).cloned().unwrap_or((404, json!({"message": "404 Not Found"})));
            let body = body.to_string();
            let answer = Answer { status: Some(status), next_page: None, location: None, body: body.as_bytes() };
            progress = flight.answer(number, &answer);
        }
    }

    #[test]
    fn what_rules_look_at_is_asked_and_nothing_else() {
        let agents =
            |environment: Value| ("/job/allowed_agents", 200, json!({"job": {"id": 7}, "environment": environment}));
        let live = || agents(json!({"slug": "live", "tier": "production"}));
        let branch =
            ("/projects/101/repository/branches/feat%2Fa%23b", 200, json!({"name": "feat/a#b", "protected": true}));
        let (context, asked) = fly("feat/a#b", false, "push", &[live(), branch]);
        let expected = Context {
            git_ref: Some("feat/a#b".into()),
            protected: Some(true),
            environment: Some("live".into()),
            source: Some("push".into()),
            fork: Some(false),
            runner: Some(RunnerId(3)),
            ..Context::default()
        };
        assert_eq!((context, asked.len()), (Ok(expected), 2));

        let tag = ("/projects/101/repository/tags/v1", 200, json!({"name": "v1", "protected": false}));
        let (context, _) = fly("v1", true, "push", &[agents(Value::Null), tag]);
        let context = context.unwrap();
        assert_eq!((context.protected, context.environment.as_deref()), (Some(false), Some("")));
        // A branch that is gone is protected by nobody.
        assert_eq!(fly("gone", false, "push", &[live()]).0.unwrap().protected, Some(false));

        let of = |project: u64| ("/projects/101/merge_requests/5", 200, json!({"source_project_id": project}));
        for (project, fork) in [(101, false), (102, true)] {
            let (context, asked) =
                fly("refs/merge-requests/5/head", false, "merge_request_event", &[live(), of(project)]);
            let context = context.unwrap();
            assert_eq!((context.protected, context.fork, asked.len()), (Some(false), Some(fork), 2));
        }
    }

    #[test]
    fn a_circumstance_that_cannot_be_read_is_a_failure() {
        let branch = |status, body| ("/projects/101/repository/branches/main", status, body);
        let agents = |status, body| ("/job/allowed_agents", status, body);
        let live = || agents(200, json!({"job": {"id": 7}}));
        let main = || branch(200, json!({"protected": true}));
        for (world, failure) in [
            ([live(), branch(403, json!({"message": "403 Forbidden"}))], Failure::LookupRights),
            ([live(), branch(200, json!({}))], Failure::LookupAnswer),
            ([agents(401, json!({"message": "401 Unauthorized"})), main()], Failure::LookupRights),
            ([agents(200, json!({"job": {"id": 8}})), main()], Failure::LookupAnswer),
            ([agents(200, json!({"job": {"id": 7}, "environment": {}})), main()], Failure::LookupAnswer),
        ] {
            assert_eq!(fly("main", false, "push", &world).0, Err(failure), "{world:?}");
        }
    }
}
