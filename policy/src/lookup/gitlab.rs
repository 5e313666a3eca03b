//! Facts from GitLab's own API: `GET /job` with the job's token, everything else with the service account's.
//!
//! Source: GitLab's REST documentation of jobs, projects, members, users and the CI/CD job token scope.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::answer::{Answer, Fields, Said};
use super::{Call, Progress, Value as Fact};
use crate::Config;
use crate::decision::Failure;
use crate::facts::{
    Admission, Affiliation, Context, Entry, Feature, Features, Found, Grants, Invalid, Job, JobId, JobPush, Level,
    Link, Origin, Outbound, ProjectId, ProjectPath, Role, Secret, Standing, Target, Token, Visibility,
};
use crate::request::TargetRef;

/// More pages than this nobody's allowlist has (GitLab allows 200 entries a direction).
const PAGES: usize = 10;

fn call(root: &str, path: &str, field: &'static str, credential: &Secret) -> Call {
    let headers = vec![("accept", b"application/json".to_vec()), (field, credential.expose().to_vec())];
    Call { method: "GET", path: format!("{root}/api/v4{path}"), headers, body: Vec::new() }
}

/// Looks up whose token it is.
#[derive(Debug)]
pub(super) struct TokenFlight {
    root: String,
}

impl TokenFlight {
    pub(super) fn start(config: &Config, token: &Secret) -> (Self, Progress) {
        let root = config.forge.relative_url_root.clone();
        let call = call(&root, "/job", "job-token", token);
        (Self { root }, Progress::Going(vec![(0, call)]))
    }

    pub(super) fn answer(&mut self, answer: &Answer<'_>) -> Progress {
        let token = answer.said().and_then(|said| match said {
            Said::Yes(body) => job(&body, &self.root),
            // 404: the token is a person's, which is no running job's either.
            Said::Unauthorized | Said::NotFound => Ok(Token::Invalid(Invalid::Unknown)),
            Said::Forbidden => Ok(Token::Invalid(Invalid::UserRefused)),
            Said::Moved(_) => Err(Failure::LookupAnswer),
        });
        Progress::Landed(token.map(Fact::Token))
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
    match user.0.get("state").and_then(Value::as_str) {
        None | Some("active") => None,
        Some("deactivated") => Some(Invalid::UserDeactivated),
        Some("blocked" | "ldap_blocked" | "blocked_pending_approval" | "banned") => Some(Invalid::UserBlocked),
        Some(_) => Some(Invalid::UserRefused),
    }
}

/// The job's circumstances, as far as this answer tells them: not whether the ref is protected, nor the environment.
fn context(fields: &Fields<'_>) -> Context {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(String::from);
    let pipeline = fields.0.get("pipeline");
    Context {
        git_ref: text(fields.0.get("ref")),
        source: text(pipeline.and_then(|pipeline| pipeline.get("source"))),
        ..Context::default()
    }
}

/// `https://host/below/group/project/-/jobs/7` is a job of `group/project`.
fn path_of_job(address: &str, root: &str, id: u64) -> Option<ProjectPath> {
    let path = path_of(address, root)?;
    ProjectPath::parse(path.strip_suffix(&format!("/-/jobs/{id}"))?)
}

/// The path of an address below the forge's root, without its first slash.
fn path_of<'a>(address: &'a str, root: &str) -> Option<&'a str> {
    let (_, rest) = address.split_once("://")?;
    let at = rest.find('/')?;
    rest.get(at..)?.strip_prefix(root)?.strip_prefix('/')
}

/// Looks up what a target is to a job.
#[derive(Debug)]
pub(super) struct TargetFlight {
    root: String,
    credential: Secret,
    job: Job,
    /// What each call asked, by its number.
    asked: Vec<Asked>,
    outstanding: usize,
    /// Answers to calls before this one no longer count.
    first: usize,
    draft: Draft,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// The project at a place of an image's candidates.
    Candidate(usize),
    /// The job whose project is meant, in the origin.
    JobOfOrigin,
    Project,
    Scope,
    Allowlist {
        reference: String,
        page: usize,
    },
    Groups {
        reference: String,
        page: usize,
    },
    Member,
    User,
}

/// What the answers have said so far.
#[derive(Debug, Default)]
struct Draft {
    candidates: Vec<Option<Target>>,
    target: Option<Target>,
    is_limited: Option<bool>,
    is_listed: bool,
    is_group_listed: bool,
    is_withheld: bool,
    role: Option<Role>,
    is_external: Option<bool>,
}

impl TargetFlight {
    pub(super) fn start(config: &Config, credential: &Secret, job: Job, target: TargetRef) -> (Self, Progress) {
        let root = config.forge.relative_url_root.clone();
        let mut flight = Self {
            root,
            credential: credential.clone(),
            job,
            asked: Vec::new(),
            outstanding: 0,
            first: 0,
            draft: Draft::default(),
        };
        let progress = match target {
            TargetRef::Own | TargetRef::Job(_) => flight.ask_own(),
            TargetRef::Id(id) => flight.ask_all(&id.0.to_string(), Asked::Project),
            TargetRef::Path(path) => flight.ask_all(&encoded(&path), Asked::Project),
            TargetRef::ProjectOfJob(job) if job == flight.job.id => flight.ask_own(),
            // Without a project the forge finds no job: it is looked for where it is likely and allowed to be.
            TargetRef::ProjectOfJob(job) => {
                flight.ask(vec![(format!("/projects/{}/jobs/{}", flight.job.origin.id.0, job.0), Asked::JobOfOrigin)])
            }
            TargetRef::Image(candidates) => {
                flight.draft.candidates = vec![None; candidates.len()];
                let asks = candidates
                    .iter()
                    .enumerate()
                    .map(|(at, path)| (format!("/projects/{}", encoded(path)), Asked::Candidate(at)))
                    .collect();
                flight.ask(asks)
            }
            TargetRef::None => Progress::Landed(Ok(Fact::Target(Found::Nothing))),
        };
        // An image without a candidate is no project's.
        let progress =
            if matches!(&progress, Progress::Going(calls) if calls.is_empty()) { nothing() } else { progress };
        (flight, progress)
    }

    pub(super) fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
        match self.take(call, answer) {
            Ok(progress) => progress,
            Err(failure) => Progress::Landed(Err(failure)),
        }
    }

    fn take(&mut self, call: usize, answer: &Answer<'_>) -> Result<Progress, Failure> {
        let asked = self.asked.get(call).cloned().ok_or(Failure::Doubt)?;
        if call < self.first {
            return Ok(Progress::Going(Vec::new()));
        }
        self.outstanding = self.outstanding.checked_sub(1).ok_or(Failure::Doubt)?;
        let said = answer.said()?;
        let mut more = Progress::Going(Vec::new());
        match (asked, said) {
            (Asked::Candidate(at), Said::Yes(body)) => {
                *self.draft.candidates.get_mut(at).ok_or(Failure::Doubt)? = Some(target(&body)?)
            }
            // The forge serves a project that moved under its old path too: everything is asked again by its number.
            (
                Asked::Project | Asked::Scope | Asked::Allowlist { .. } | Asked::Groups { .. } | Asked::Member,
                Said::Moved(id),
            ) if self.first == 0 => {
                self.first = self.asked.len();
                self.outstanding = 0;
                self.draft = Draft::default();
                return Ok(self.ask_all(&id.to_string(), Asked::Project));
            }
            // The registry's names are not followed to where a project moved.
            (Asked::Candidate(_), Said::NotFound | Said::Moved(_)) => {}
            (Asked::Member, Said::NotFound) => self.draft.role = Some(Role::None),
            (Asked::JobOfOrigin, Said::Yes(body)) => {
                Fields::of(&body)?.number("id")?;
                return Ok(self.ask_own());
            }
            (Asked::Project | Asked::JobOfOrigin, Said::NotFound) => return Ok(nothing()),
            (Asked::Project, Said::Yes(body)) => self.draft.target = Some(target(&body)?),
            (Asked::Scope, Said::Yes(body)) => {
                self.draft.is_limited = Some(Fields::of(&body)?.flag("inbound_enabled")?)
            }
            (Asked::Allowlist { reference, page }, Said::Yes(body)) => {
                for entry in entries(&body)? {
                    self.draft.is_listed |= entry.number("id")? == self.job.origin.id.0;
                }
                more = self.next_page(answer, &reference, page, "allowlist", |reference, page| Asked::Allowlist {
                    reference,
                    page,
                })?;
            }
            (Asked::Groups { reference, page }, Said::Yes(body)) => {
                for entry in entries(&body)? {
                    let group = path_of(entry.text("web_url")?, &self.root)
                        .and_then(|path| path.strip_prefix("groups/"))
                        .ok_or(Failure::LookupAnswer)?;
                    self.draft.is_group_listed |= self.job.origin.path.is_below(group);
                }
                more = self.next_page(answer, &reference, page, "groups_allowlist", |reference, page| {
                    Asked::Groups { reference, page }
                })?;
            }
            (Asked::Member, Said::Yes(body)) => {
                self.draft.role = Some(Role::of_level(Fields::of(&body)?.number("access_level")?))
            }
            (Asked::User, Said::Yes(body)) => {
                // Only an administrator's answer has the field.
                self.draft.is_external = Some(Fields::of(&body)?.flag("external").map_err(|_| Failure::LookupRights)?);
            }
            // Of a project that is not there this is no news, and its own answer may come later. Of one that is there it
            // means that the service account may not read its settings.
            (Asked::Scope | Asked::Allowlist { .. } | Asked::Groups { .. }, Said::NotFound) => {
                self.draft.is_withheld = true
            }
            (_, Said::Moved(_)) => return Err(Failure::LookupAnswer),
            (_, Said::Unauthorized | Said::Forbidden | Said::NotFound) => return Err(Failure::LookupRights),
        }
        if self.outstanding > 0 || !matches!(&more, Progress::Going(calls) if calls.is_empty()) {
            return Ok(more);
        }
        self.conclude()
    }

    /// Every answer is in.
    fn conclude(&mut self) -> Result<Progress, Failure> {
        if self.draft.target.is_none() && !self.draft.candidates.is_empty() {
            let found = core::mem::take(&mut self.draft.candidates).into_iter().flatten().next();
            let Some(target) = found else { return Ok(nothing()) };
            let reference = target.id.0.to_string();
            self.draft.target = Some(target);
            let asks = self.lists(&reference);
            return Ok(self.ask(asks));
        }
        let target = self.draft.target.take().ok_or(Failure::Doubt)?;
        if self.draft.is_withheld {
            return Err(Failure::LookupRights);
        }
        // What nobody answered is not taken for a "no": without a user there is nobody to ask about.
        let has_user = self.job.user.is_some();
        let (role, is_external) = match (self.draft.role, self.draft.is_external) {
            (Some(role), Some(is_external)) if has_user => (role, is_external),
            (None, None) if !has_user => (Role::None, false),
            _ => return Err(Failure::Doubt),
        };
        let is_limited = self.draft.is_limited.ok_or(Failure::Doubt)?;
        let admission = match () {
            () if target.id == self.job.origin.id => Admission::Own,
            () if !is_limited => Admission::Open,
            () if self.draft.is_listed => listed(Link::Project),
            () if self.draft.is_group_listed => listed(Link::Group),
            () => Admission::Unlisted,
        };
        let affiliation = if is_external { Affiliation::External } else { Affiliation::Internal };
        let standing = Standing { role: Some(role), affiliation, admission, outbound: Outbound::Open, target };
        Ok(Progress::Landed(Ok(Fact::Target(Found::Standing(standing)))))
    }

    fn ask_own(&mut self) -> Progress {
        let own = self.job.origin.id.0.to_string();
        self.ask_all(&own, Asked::Project)
    }

    /// Everything about one project, side by side.
    fn ask_all(&mut self, reference: &str, project: Asked) -> Progress {
        let mut asks = vec![(format!("/projects/{reference}"), project)];
        asks.extend(self.lists(reference));
        self.ask(asks)
    }

    fn lists(&self, reference: &str) -> Vec<(String, Asked)> {
        let scope = format!("/projects/{reference}/job_token_scope");
        let mut asks = vec![
            (
                format!("{scope}/allowlist?per_page=100&page=1"),
                Asked::Allowlist { reference: reference.into(), page: 1 },
            ),
            (
                format!("{scope}/groups_allowlist?per_page=100&page=1"),
                Asked::Groups { reference: reference.into(), page: 1 },
            ),
            (scope, Asked::Scope),
        ];
        if let Some(user) = &self.job.user {
            asks.push((format!("/projects/{reference}/members/all/{}", user.id.0), Asked::Member));
            asks.push((format!("/users/{}", user.id.0), Asked::User));
        }
        asks
    }

    fn ask(&mut self, asks: Vec<(String, Asked)>) -> Progress {
        let mut calls = Vec::with_capacity(asks.len());
        for (path, asked) in asks {
            calls.push((self.asked.len(), call(&self.root, &path, "private-token", &self.credential)));
            self.asked.push(asked);
        }
        self.outstanding = self.outstanding.saturating_add(calls.len());
        Progress::Going(calls)
    }

    fn next_page(
        &mut self,
        answer: &Answer<'_>,
        reference: &str,
        page: usize,
        list: &str,
        asked: impl Fn(String, usize) -> Asked,
    ) -> Result<Progress, Failure> {
        if answer.next_page.is_none_or(<[u8]>::is_empty) {
            return Ok(Progress::Going(Vec::new()));
        }
        let page = page.checked_add(1).filter(|page| *page <= PAGES).ok_or(Failure::LookupAnswer)?;
        let path = format!("/projects/{reference}/job_token_scope/{list}?per_page=100&page={page}");
        Ok(self.ask(vec![(path, asked(reference.into(), page))]))
    }
}

fn listed(link: Link) -> Admission {
    Admission::Listed(Entry { link, grants: Grants::Default })
}

fn nothing() -> Progress {
    Progress::Landed(Ok(Fact::Target(Found::Nothing)))
}

fn entries(body: &Value) -> Result<Vec<Fields<'_>>, Failure> {
    body.as_array().ok_or(Failure::LookupAnswer)?.iter().map(Fields::of).collect()
}

/// A project's path as one segment. Its characters are unreserved, but for the slashes.
fn encoded(path: &ProjectPath) -> String {
    path.as_str().replace('/', "%2F")
}

fn target(body: &Value) -> Result<Target, Failure> {
    let fields = Fields::of(body)?;
    let mut features = Features::OPEN;
    for (level, (_, name)) in features.0.iter_mut().zip(Feature::ALL) {
        // Old forges do not name every feature; what they do not name they do not limit.
        match fields.0.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => *level = value.as_str().and_then(Level::named).ok_or(Failure::LookupAnswer)?,
        }
    }
    // A setting that is not shown is off.
    let setting = |name: &str| fields.0.get(name).and_then(Value::as_bool) == Some(true);
    Ok(Target {
        id: ProjectId(fields.number("id")?),
        path: fields.project_path("path_with_namespace")?,
        visibility: Some(Visibility::named(fields.text("visibility")?).ok_or(Failure::LookupAnswer)?),
        features,
        job_push: JobPush::of_settings(
            setting("ci_push_repository_for_job_token_allowed"),
            setting("ci_cross_project_push_for_job_token_allowed"),
        ),
    })
}
