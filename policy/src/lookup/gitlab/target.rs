//! What a target is to a job.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::graphql::{self, Cursors, Entries, Page};
use super::{PAGES, SERVICE_ACCOUNT, encoded, get, path_of};
use crate::Config;
use crate::config::Sources;
use crate::decision::Failure;
use crate::facts::{
    Admission, Affiliation, Entry, Feature, Features, Found, Grants, Job, JobPush, Level, Link, Outbound, ProjectId,
    ProjectPath, Role, Secret, Standing, Target, Visibility,
};
use crate::lookup::answer::{Answer, Fields, Said};
use crate::lookup::{Call, Progress, Value as Fact};
use crate::request::TargetRef;

/// Looks up what a target is to a job.
#[derive(Debug)]
pub(in crate::lookup) struct TargetFlight {
    root: String,
    credential: Secret,
    sources: Arc<Sources>,
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
    /// Whether the instance limits access where the project does not.
    Settings,
    /// What the entries grant.
    Entries {
        from: Cursors,
        page: usize,
    },
    /// Whether the origin limits where its jobs go.
    OriginScope,
    /// Where it lets them go.
    OriginList {
        page: usize,
    },
}

/// A fact that takes several calls, one after the other.
enum Step<T> {
    Known(T),
    Ask(Call, Asked),
}

/// What is known of the entries' grants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Granted {
    #[default]
    NotAsked,
    /// The forge knows no entries of single permissions.
    Everything,
    Read(Entries),
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
    is_enforced: Option<bool>,
    entries: Entries,
    granted: Granted,
    role: Option<Role>,
    is_external: Option<bool>,
    is_kept_in: Option<bool>,
    is_let_out: Option<bool>,
}

impl TargetFlight {
    pub(in crate::lookup) fn start(
        config: &Config,
        credential: &Secret,
        job: Job,
        target: TargetRef,
    ) -> (Self, Progress) {
        let root = config.forge.relative_url_root.clone();
        let mut flight = Self {
            root,
            credential: credential.clone(),
            sources: Arc::clone(&config.facts),
            job,
            asked: Vec::new(),
            outstanding: 0,
            first: 0,
            draft: Draft::default(),
        };
        let progress = match target {
            TargetRef::Own | TargetRef::Job(_) => flight.ask_own(),
            TargetRef::Id(id) => flight.ask_all(&id.0.to_string(), Asked::Project),
            TargetRef::Path(path) => flight.ask_all(&encoded(path.as_str()), Asked::Project),
            TargetRef::ProjectOfJob(job) if job == flight.job.id => flight.ask_own(),
            // Without a project the forge finds no job: it is looked for where it is likely and allowed to be.
            TargetRef::ProjectOfJob(job) => {
                let path = format!("/projects/{}/jobs/{}", flight.job.origin.id.0, job.0);
                flight.ask(vec![(flight.get(&path), Asked::JobOfOrigin)])
            }
            TargetRef::Image(candidates) => {
                flight.draft.candidates = vec![None; candidates.len()];
                let asks = candidates
                    .iter()
                    .enumerate()
                    .map(|(at, path)| {
                        (flight.get(&format!("/projects/{}", encoded(path.as_str()))), Asked::Candidate(at))
                    })
                    .collect();
                flight.ask(asks)
            }
            TargetRef::None | TargetRef::Group(_) | TargetRef::GroupId(_) | TargetRef::Namespace(_) => {
                Progress::Landed(Ok(Fact::Target(Found::Nothing)))
            }
        };
        // An image without a candidate is no project's.
        let progress =
            if matches!(&progress, Progress::Going(calls) if calls.is_empty()) { nothing() } else { progress };
        (flight, progress)
    }

    pub(in crate::lookup) fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
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
                // A project without settings limits access.
                let is_limited = Fields::of(&body)?.0.get("inbound_enabled");
                self.draft.is_limited = Some(is_limited.and_then(Value::as_bool).unwrap_or(true));
            }
            // An old forge has no such setting.
            (Asked::Settings, Said::Yes(body)) => {
                let settings = Fields::of(&body)?;
                settings.number("id")?;
                let is_enforced = settings.0.get("enforce_ci_inbound_job_token_scope_enabled");
                self.draft.is_enforced = Some(is_enforced.is_some_and(|is_on| is_on.as_bool() != Some(false)));
            }
            // What the service account may not read counts as on.
            (Asked::Settings, Said::Forbidden) => self.draft.is_enforced = Some(true),
            (Asked::Entries { from, page }, Said::Yes(body)) => {
                match self.draft.entries.read(&body, &self.job.origin, &from)? {
                    Page::Unknown => self.draft.granted = Granted::Everything,
                    Page::Last => self.draft.granted = Granted::Read(self.draft.entries),
                    Page::More(from) => {
                        let asked = Asked::Entries { from: from.clone(), page: following(page)? };
                        let path = self.target_path()?;
                        more =
                            self.ask(vec![(graphql::ask_entries(&self.root, &self.credential, &path, &from), asked)]);
                    }
                }
            }
            // A forge that dropped the limit does not name it.
            (Asked::OriginScope, Said::Yes(body)) => {
                let is_kept_in = Fields::of(&body)?.0.get("outbound_enabled").and_then(Value::as_bool);
                self.draft.is_kept_in = Some(is_kept_in == Some(true));
            }
            (Asked::OriginList { page }, Said::Yes(body)) => {
                let target = self.draft.target.as_ref().and_then(|target| target.id).ok_or(Failure::Doubt)?;
                match graphql::read_outbound(&body, target)? {
                    (is_let_out, None) => self.draft.is_let_out = Some(is_let_out),
                    (true, Some(_)) => self.draft.is_let_out = Some(true),
                    (false, Some(after)) => {
                        let asked = Asked::OriginList { page: following(page)? };
                        more = self.ask(vec![(self.outbound_call(Some(&after)), asked)]);
                    }
                }
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
            let reference = target.id.ok_or(Failure::Doubt)?.0.to_string();
            self.draft.target = Some(target);
            let asks = self.lists(&reference);
            if !asks.is_empty() {
                return Ok(self.ask(asks));
            }
        }
        let mut target = self.draft.target.clone().ok_or(Failure::Doubt)?;
        // What nobody answered is not taken for a "no": without a user there is nobody to ask about.
        let has_user = self.job.user.is_some();
        let role = match self.draft.role {
            _ if !self.sources.membership.is_lookup() => None,
            Some(role) if has_user => Some(role),
            None if !has_user => Some(Role::None),
            Some(_) | None => return Err(Failure::Doubt),
        };
        let affiliation = match self.draft.is_external {
            _ if !self.sources.external.is_lookup() => Affiliation::LeftToForge,
            Some(true) if has_user => Affiliation::External,
            Some(false) if has_user => Affiliation::Internal,
            None if !has_user => Affiliation::Internal,
            Some(_) | None => return Err(Failure::Doubt),
        };
        match (self.inbound(&target)?, self.outbound(&target)?) {
            (Step::Known(admission), Step::Known(outbound)) => {
                if !self.sources.visibility.is_lookup() {
                    target.visibility = None;
                }
                let standing = Standing { role, affiliation, admission, outbound, target };
                Ok(Progress::Landed(Ok(Fact::Target(Found::Standing(standing)))))
            }
            (inbound, outbound) => {
                let asks = inbound.asks().into_iter().chain(outbound.asks()).collect();
                Ok(self.ask(asks))
            }
        }
    }

    /// Whether the target admits the origin, or what is to be asked next to know it.
    fn inbound(&self, target: &Target) -> Result<Step<Admission>, Failure> {
        let draft = &self.draft;
        if target.id == Some(self.job.origin.id) {
            return Ok(Step::Known(Admission::Own));
        }
        if !self.sources.allowlists.is_lookup() {
            return Ok(Step::Known(Admission::LeftToForge));
        }
        if draft.is_withheld {
            return Err(Failure::LookupRights);
        }
        let is_enforced = match (draft.is_limited.ok_or(Failure::Doubt)?, draft.is_enforced) {
            (true, _) => true,
            (false, Some(is_enforced)) => is_enforced,
            (false, None) => return Ok(Step::Ask(self.get("/application/settings"), Asked::Settings)),
        };
        let link = match () {
            () if !is_enforced => return Ok(Step::Known(Admission::Open)),
            () if draft.is_listed => Link::Project,
            () if draft.is_group_listed => Link::Group,
            () => return Ok(Step::Known(Admission::Unlisted)),
        };
        let (link, grants) = match draft.granted {
            Granted::Everything => (link, Grants::Default),
            Granted::Read(entries) => entries.nearest(link)?,
            Granted::NotAsked => {
                let from = Cursors::default();
                let call = graphql::ask_entries(&self.root, &self.credential, &self.target_path()?, &from);
                return Ok(Step::Ask(call, Asked::Entries { from, page: 1 }));
            }
        };
        Ok(Step::Known(Admission::Listed(Entry { link, grants })))
    }

    /// Whether the origin lets its jobs out to the target, or what is to be asked next to know it.
    fn outbound(&self, target: &Target) -> Result<Step<Outbound>, Failure> {
        let is_open = matches!(target.visibility, Some(Visibility::Public | Visibility::Internal));
        if !self.sources.outbound.is_lookup() || is_open || target.id == Some(self.job.origin.id) {
            return Ok(Step::Known(Outbound::Open));
        }
        Ok(match (self.draft.is_kept_in, self.draft.is_let_out) {
            (None, _) => {
                let path = format!("/projects/{}/job_token_scope", self.job.origin.id.0);
                Step::Ask(self.get(&path), Asked::OriginScope)
            }
            (Some(true), None) => Step::Ask(self.outbound_call(None), Asked::OriginList { page: 1 }),
            (Some(false), _) | (Some(true), Some(true)) => Step::Known(Outbound::Open),
            (Some(true), Some(false)) => Step::Known(Outbound::Unlisted),
        })
    }

    fn target_path(&self) -> Result<ProjectPath, Failure> {
        self.draft.target.as_ref().and_then(|target| target.path.clone()).ok_or(Failure::Doubt)
    }

    fn get(&self, path: &str) -> Call {
        get(&self.root, path, SERVICE_ACCOUNT, &self.credential)
    }

    fn outbound_call(&self, after: Option<&str>) -> Call {
        graphql::ask_outbound(&self.root, &self.credential, &self.job.origin.path, after)
    }

    fn ask_own(&mut self) -> Progress {
        let own = self.job.origin.id.0.to_string();
        self.ask_all(&own, Asked::Project)
    }

    /// Everything about one project, side by side.
    fn ask_all(&mut self, reference: &str, project: Asked) -> Progress {
        let mut asks = vec![(self.get(&format!("/projects/{reference}")), project)];
        asks.extend(self.lists(reference));
        self.ask(asks)
    }

    /// What is asked of a project besides itself, as far as it is looked up. The origin admits its own jobs whatever its
    /// allowlist says.
    fn lists(&self, reference: &str) -> Vec<(Call, Asked)> {
        let mut asks = Vec::new();
        if self.sources.allowlists.is_lookup() && reference != self.job.origin.id.0.to_string() {
            let scope = format!("/projects/{reference}/job_token_scope");
            let (projects, groups) = (reference.to_string(), reference.to_string());
            asks.push((self.page(reference, "allowlist", 1), Asked::Allowlist { reference: projects, page: 1 }));
            asks.push((self.page(reference, "groups_allowlist", 1), Asked::Groups { reference: groups, page: 1 }));
            asks.push((self.get(&scope), Asked::Scope));
        }
        let Some(user) = &self.job.user else { return asks };
        if self.sources.membership.is_lookup() {
            asks.push((self.get(&format!("/projects/{reference}/members/all/{}", user.id.0)), Asked::Member));
        }
        if self.sources.external.is_lookup() {
            asks.push((self.get(&format!("/users/{}", user.id.0)), Asked::User));
        }
        asks
    }

    fn page(&self, reference: &str, list: &str, page: usize) -> Call {
        self.get(&format!("/projects/{reference}/job_token_scope/{list}?per_page=100&page={page}"))
    }

    fn ask(&mut self, asks: Vec<(Call, Asked)>) -> Progress {
        let mut calls = Vec::with_capacity(asks.len());
        for (call, asked) in asks {
            calls.push((self.asked.len(), call));
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
        let page = following(page)?;
        Ok(self.ask(vec![(self.page(reference, list, page), asked(reference.into(), page))]))
    }
}

impl<T> Step<T> {
    fn asks(self) -> Option<(Call, Asked)> {
        match self {
            Self::Known(_) => None,
            Self::Ask(call, asked) => Some((call, asked)),
        }
    }
}

/// The page after this one.
fn following(page: usize) -> Result<usize, Failure> {
    page.checked_add(1).filter(|page| *page <= PAGES).ok_or(Failure::LookupAnswer)
}

fn nothing() -> Progress {
    Progress::Landed(Ok(Fact::Target(Found::Nothing)))
}

fn entries(body: &Value) -> Result<Vec<Fields<'_>>, Failure> {
    body.as_array().ok_or(Failure::LookupAnswer)?.iter().map(Fields::of).collect()
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
        id: Some(ProjectId(fields.number("id")?)),
        path: Some(fields.project_path("path_with_namespace")?),
        visibility: Some(Visibility::named(fields.text("visibility")?).ok_or(Failure::LookupAnswer)?),
        features,
        job_push: JobPush::of_settings(
            setting("ci_push_repository_for_job_token_allowed"),
            setting("ci_cross_project_push_for_job_token_allowed"),
        ),
    })
}
