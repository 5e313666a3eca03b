//! What a target is to a job: which calls say it, and what their answers mean.
//!
//! Everything is asked side by side, of each project that may be meant. What is remembered is not asked.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::draft::{Draft, Place, Reference};
use super::graphql::{self, Cursors, Page};
use super::{PAGES, encoded, get, path_of};
use crate::Config;
use crate::access::TargetRef;
use crate::bindings::{Confirmed, Moment};
use crate::config::Sources;
use crate::facts::{
    Feature, Features, Found, Job, JobPush, Known, Level, Part, ProjectId, Role, Target, UserId, Visibility,
};
use crate::failure::Failure;
use crate::lookup::answer::{Answer, Fields, Said};
use crate::lookup::source::Course;
use crate::lookup::{Account, Call, PartKey, Progress, Recall, Value as Fact};
use crate::tree::Tree;

/// Looks up what a target is to a job.
#[derive(Debug)]
pub(super) struct TargetFlight {
    root: String,
    account: Account,
    job: Arc<Job>,
    /// What each call asked, by its number.
    asked: Vec<Asked>,
    outstanding: usize,
    /// Answers to calls before this one no longer count.
    first: usize,
    sources: Arc<Sources>,
    target: TargetRef,
    /// Whether everything was asked again by a project's number, because it had moved.
    is_followed: bool,
    /// Whether everything was asked again, because what was remembered contradicted what was answered.
    is_anew: bool,
    draft: Draft,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// The job whose project is meant, in the origin.
    JobOfOrigin,
    /// The project at a place of those that may be meant, and so on.
    Project(usize),
    /// The role of one of those who must be allowed.
    Member(usize, UserId),
    Allowlist {
        at: usize,
        from: Cursors,
        page: usize,
    },
    /// The same of a forge before 17.10: whether the project limits access, and its lists.
    Scope(usize),
    Listed {
        at: usize,
        list: &'static str,
        page: usize,
    },
    /// Whether one of them is external.
    User(UserId),
    /// Whether the instance limits access where the project does not.
    Settings,
    /// Whether the origin limits where its jobs go.
    OriginScope,
    /// Where it lets them go.
    OriginList {
        page: usize,
    },
}

/// The lists of a forge before 17.10.
const PROJECTS: &str = "allowlist";
const GROUPS: &str = "groups_allowlist";

impl TargetFlight {
    pub(super) fn start(
        config: &Config,
        account: &Account,
        job: Job,
        target: TargetRef,
        recall: Recall<'_>,
    ) -> (Self, Progress) {
        let job = Arc::new(job);
        let mut flight = Self {
            root: config.forge.relative_url_root.clone(),
            account: account.clone(),
            draft: draft(&config.facts, &job, &target),
            job,
            asked: Vec::new(),
            outstanding: 0,
            first: 0,
            sources: Arc::clone(&config.facts),
            target,
            is_followed: false,
            is_anew: false,
        };
        flight.draft.recall(recall);
        let asks = flight.begin();
        let progress = if asks.is_empty() { flight.conclude() } else { Ok(flight.ask(asks)) };
        let progress = progress.or_else(|failure| flight.ask_anew(failure));
        (flight, progress.unwrap_or_else(|failure| Progress::Landed(Err(failure))))
    }

    /// The calls for all that is not known at the beginning.
    fn begin(&mut self) -> Vec<(Call, Asked)> {
        // Without a project the forge finds no job: it is looked for where it is likely and allowed to be.
        let behind = if let TargetRef::ProjectOfJob(other) = &self.target { Some(*other) } else { None };
        let behind = behind.filter(|other| *other != self.job.id);
        let path = behind.map(|other| format!("/projects/{}/jobs/{}", self.job.origin.id.0, other.0));
        let job = path.map(|path| (self.get(&path), Asked::JobOfOrigin));
        job.into_iter().chain(self.missing()).collect()
    }

    /// What is remembered of a project may be over: it moved, is deleted, or another one has its path. Where what is
    /// answered does not fit it, everything is asked once more, and nothing is remembered.
    fn ask_anew(&mut self, failure: Failure) -> Result<Progress, Failure> {
        let may_be_over = matches!(failure, Failure::LookupRights | Failure::LookupAnswer | Failure::Doubt);
        if self.is_anew || !may_be_over || !self.draft.has_recalled_project() {
            return Err(failure);
        }
        self.is_anew = true;
        self.draft = draft(&self.sources, &self.job, &self.target);
        self.restart();
        let asks = self.begin();
        Ok(self.ask(asks))
    }

    /// Answers to what was asked so far no longer count.
    fn restart(&mut self) {
        self.first = self.asked.len();
        self.outstanding = 0;
    }

    fn take(&mut self, call: usize, answer: &Answer<'_>) -> Result<Progress, Failure> {
        let asked = self.asked.get(call).cloned().ok_or(Failure::Doubt)?;
        if call < self.first {
            return Ok(Progress::Going(Vec::new()));
        }
        self.outstanding = self.outstanding.checked_sub(1).ok_or(Failure::Doubt)?;
        let more = self.read(asked, answer)?;
        if !more.is_empty() {
            return Ok(self.ask(more));
        }
        if self.outstanding > 0 && !self.draft.is_nowhere() {
            return Ok(Progress::Going(Vec::new()));
        }
        self.conclude()
    }

    /// Reads an answer, and gives what it leads to ask.
    fn read(&mut self, asked: Asked, answer: &Answer<'_>) -> Result<Vec<(Call, Asked)>, Failure> {
        match (asked, answer.said()?) {
            (Asked::JobOfOrigin, Said::Yes(body)) => {
                Fields::of(&body)?.number("id")?;
            }
            // Not in the origin, so in no project that is known.
            (Asked::JobOfOrigin, Said::NotFound) => self.draft.forget_places(),
            (Asked::Project(at), Said::Yes(body)) => {
                let target = target(&body)?;
                self.draft.hold(at, Known::Project(Some(target)));
            }
            (Asked::Project(at), Said::NotFound) => self.draft.hold(at, Known::Project(None)),
            // The registry's names are not followed to where a project moved.
            (Asked::Project(at), Said::Moved(_)) if self.draft.is_image => self.place(at)?.is_gone = true,
            (Asked::Member(..) | Asked::Scope(_) | Asked::Listed { .. }, Said::Moved(_)) if self.draft.is_image => {}
            // The forge serves a project that moved under its old path too: everything is asked again by its number.
            (Asked::Project(_) | Asked::Member(..) | Asked::Scope(_) | Asked::Listed { .. }, Said::Moved(id))
                if !self.is_followed =>
            {
                self.is_followed = true;
                self.restart();
                self.draft.start_again(ProjectId(id));
                return Ok(self.missing());
            }
            (Asked::Member(at, user), Said::Yes(body)) => {
                let member = Fields::of(&body)?;
                is_of_user(user, &member)?;
                self.draft.hold_role(at, Role::of_level(member.number("access_level")?))?;
            }
            (Asked::Member(at, _), Said::NotFound) => self.draft.hold_role(at, Role::None)?,
            (Asked::Allowlist { at, from, page }, Said::Yes(body)) => {
                let job = Arc::clone(&self.job);
                let allowlist = &mut self.place(at)?.allowlist;
                match allowlist.read(&body, &job.origin, &from)? {
                    Page::Whole => {
                        let known = Known::Allowlist { is_limited: allowlist.is_limited, entry: allowlist.entry() };
                        self.draft.hold(at, known);
                    }
                    Page::More(from) => return Ok(vec![self.allowlist(at, from, following(page)?)?]),
                    Page::Withheld => self.place(at)?.is_withheld = true,
                    Page::Older => return self.older_lists(at),
                }
            }
            (Asked::Scope(at), Said::Yes(body)) => {
                // A project without settings limits access.
                let is_limited = Fields::of(&body)?.0.get("inbound_enabled").and_then(Tree::as_bool).unwrap_or(true);
                self.place(at)?.older.is_limited = is_limited;
                self.draft.hold_older(at)?;
            }
            (Asked::Listed { at, list, page }, Said::Yes(body)) => {
                let is_listed = self.lists_origin(&body, list)?;
                let older = &mut self.place(at)?.older;
                older.by_project |= is_listed && list == PROJECTS;
                older.by_group |= is_listed && list == GROUPS;
                if answer.next_page.is_some_and(|page| !page.is_empty()) {
                    return Ok(vec![self.list(at, list, following(page)?)?]);
                }
                self.draft.hold_older(at)?;
            }
            // Of a project that is not there this is no news, and its own answer may come later. Of one that is there it
            // means that the service account may not read its settings.
            (Asked::Scope(at) | Asked::Listed { at, .. }, Said::NotFound) => self.place(at)?.is_withheld = true,
            (Asked::User(id), Said::Yes(body)) => {
                let user = Fields::of(&body)?;
                is_of_user(id, &user)?;
                // Only an administrator's answer has the field.
                self.draft.hold_external(user.flag("external").map_err(|_| Failure::LookupRights)?);
            }
            // An old forge has no such setting.
            (Asked::Settings, Said::Yes(body)) => {
                let settings = Fields::of(&body)?;
                settings.number("id")?;
                let is_enforced = settings.0.get("enforce_ci_inbound_job_token_scope_enabled");
                let is_enforced = is_enforced.is_some_and(|is_on| is_on.as_bool() != Some(false));
                self.draft.hold_for_all(Known::Enforcement(is_enforced));
            }
            // What the service account may not read counts as on.
            (Asked::Settings, Said::Forbidden) => self.draft.hold_for_all(Known::Enforcement(true)),
            // A forge that dropped the limit does not name it; the other one it always names.
            (Asked::OriginScope, Said::Yes(body)) => {
                let scope = Fields::of(&body)?;
                scope.0.get("inbound_enabled").ok_or(Failure::LookupAnswer)?;
                let is_kept_in = scope.0.get("outbound_enabled").and_then(Tree::as_bool);
                self.draft.outbound.is_kept_in = Some(is_kept_in == Some(true));
            }
            (Asked::OriginList { page }, Said::Yes(body)) => {
                let Some(listed) = graphql::read_outbound(&body)? else {
                    self.draft.outbound.is_withheld = true;
                    return Ok(Vec::new());
                };
                self.draft.outbound.named.extend(listed.named);
                if let Some(after) = listed.next {
                    return Ok(vec![self.origin_list(Some(&after), following(page)?)]);
                }
            }
            // That matters only where the target is private.
            (Asked::OriginScope | Asked::OriginList { .. }, Said::Forbidden | Said::NotFound) => {
                self.draft.outbound.is_withheld = true;
            }
            (_, Said::Moved(_)) => return Err(Failure::LookupAnswer),
            (_, Said::Unauthorized | Said::Forbidden | Said::NotFound) => return Err(Failure::LookupRights),
        }
        Ok(Vec::new())
    }

    /// Every answer is in.
    fn conclude(&mut self) -> Result<Progress, Failure> {
        let Some((at, target)) = self.draft.find()? else { return Ok(nothing()) };
        // Its path was the origin's, and its number is not.
        let missing = self.missing_at(at);
        if !missing.is_empty() {
            return Ok(self.ask(missing));
        }
        self.draft.standing(at, target).map(|standing| Progress::Landed(Ok(Fact::Target(Found::Standing(standing)))))
    }

    /// The calls for all that is not known.
    fn missing(&mut self) -> Vec<(Call, Asked)> {
        let places = 0..self.draft.places.len();
        places.flat_map(|at| self.missing_at(at)).collect()
    }

    /// The calls for what is not known of a place, and was not asked yet.
    fn missing_at(&mut self, at: usize) -> Vec<(Call, Asked)> {
        let parts = self.draft.take_missing(at);
        parts.into_iter().flat_map(|part| self.calls(at, part)).collect()
    }

    /// The calls that tell a part.
    fn calls(&self, at: usize, part: Part) -> Vec<(Call, Asked)> {
        match part {
            Part::Project => self.of_place(at, "").map(|call| (call, Asked::Project(at))).into_iter().collect(),
            Part::Member => {
                let of = |user: UserId| self.of_place(at, &format!("/members/all/{}", user.0));
                self.job.people().filter_map(|user| Some((of(user)?, Asked::Member(at, user)))).collect()
            }
            Part::External => {
                let of = |user: UserId| self.get(&format!("/users/{}", user.0));
                self.job.people().map(|user| (of(user), Asked::User(user))).collect()
            }
            Part::Allowlist => self.allowlist(at, Cursors::default(), 1).into_iter().collect(),
            Part::Enforcement => vec![(self.get("/application/settings"), Asked::Settings)],
            Part::Outbound => {
                let scope = format!("/projects/{}/job_token_scope", self.job.origin.id.0);
                vec![(self.get(&scope), Asked::OriginScope), self.origin_list(None, 1)]
            }
        }
    }

    fn get(&self, path: &str) -> Call {
        get(&self.root, path, &self.account)
    }

    fn of_place(&self, at: usize, rest: &str) -> Option<Call> {
        self.draft.named(at).map(|named| self.get(&[&path_to(&named), rest].concat()))
    }

    fn allowlist(&self, at: usize, from: Cursors, page: usize) -> Result<(Call, Asked), Failure> {
        // It says whose it is, so that another project that came to the path is noticed.
        let place = self.draft.places.get(at).ok_or(Failure::Doubt)?;
        let call = graphql::ask_allowlist(&self.root, &self.account, &place.reference, &from);
        Ok((call, Asked::Allowlist { at, from, page }))
    }

    /// What a forge before 17.10 is asked instead of its allowlist's entries: one round more.
    fn older_lists(&mut self, at: usize) -> Result<Vec<(Call, Asked)>, Failure> {
        self.place(at)?.older.outstanding = 3;
        let scope = self.of_place(at, "/job_token_scope").ok_or(Failure::Doubt)?;
        Ok(vec![self.list(at, PROJECTS, 1)?, self.list(at, GROUPS, 1)?, (scope, Asked::Scope(at))])
    }

    fn list(&self, at: usize, list: &'static str, page: usize) -> Result<(Call, Asked), Failure> {
        let call = self.of_place(at, &format!("/job_token_scope/{list}?per_page=100&page={page}"));
        Ok((call.ok_or(Failure::Doubt)?, Asked::Listed { at, list, page }))
    }

    fn origin_list(&self, after: Option<&str>, page: usize) -> (Call, Asked) {
        let call = graphql::ask_outbound(&self.root, &self.account, &self.job.origin.path, after);
        (call, Asked::OriginList { page })
    }

    /// Whether a list of an older forge names the origin, or a group above it.
    fn lists_origin(&self, body: &Tree<'_>, list: &str) -> Result<bool, Failure> {
        let mut is_listed = false;
        for entry in body.as_array().ok_or(Failure::LookupAnswer)?.iter().map(Fields::of) {
            let entry = entry?;
            is_listed |= if list == PROJECTS {
                entry.number("id")? == self.job.origin.id.0
            } else {
                let group = path_of(entry.text("web_url")?, &self.root).and_then(|path| path.strip_prefix("groups/"));
                self.job.origin.path.is_below(group.ok_or(Failure::LookupAnswer)?)
            };
        }
        Ok(is_listed)
    }

    fn place(&mut self, at: usize) -> Result<&mut Place, Failure> {
        self.draft.places.get_mut(at).ok_or(Failure::Doubt)
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
}

impl Course for TargetFlight {
    fn answer(&mut self, call: usize, answer: &Answer<'_>) -> Progress {
        let taken = self.take(call, answer).or_else(|failure| self.ask_anew(failure));
        taken.unwrap_or_else(|failure| Progress::Landed(Err(failure)))
    }

    fn learned(&self) -> Vec<(PartKey, Known)> {
        self.draft.learned()
    }

    fn confirmed(&self, began: Moment) -> Confirmed {
        self.draft.confirmed(began)
    }
}

/// A positive sign that an answer is about the user who was asked for.
fn is_of_user(user: UserId, answer: &Fields<'_>) -> Result<(), Failure> {
    if answer.number("id")? == user.0 { Ok(()) } else { Err(Failure::LookupAnswer) }
}

/// Nothing is known yet of the projects that may be meant.
fn draft(sources: &Arc<Sources>, job: &Arc<Job>, target: &TargetRef) -> Draft {
    let (references, is_image) = match target {
        TargetRef::Own | TargetRef::Job(_) | TargetRef::ProjectOfJob(_) => (vec![Reference::Id(job.origin.id)], false),
        TargetRef::Id(id) => (vec![Reference::Id(*id)], false),
        TargetRef::Path(path) => (vec![Reference::Path(path.clone())], false),
        TargetRef::Image(candidates) => (candidates.iter().cloned().map(Reference::Path).collect(), true),
        TargetRef::None | TargetRef::Group(_) | TargetRef::Held(_) => (Vec::new(), false),
    };
    Draft::new(Arc::clone(sources), job, references, is_image)
}

/// The path of the API to a project that is named by its path or number.
fn path_to(reference: &Reference) -> String {
    match reference {
        Reference::Path(path) => ["/projects/", &encoded(path.as_str())].concat(),
        Reference::Id(id) => format!("/projects/{}", id.0),
    }
}

/// The page after this one.
fn following(page: usize) -> Result<usize, Failure> {
    page.checked_add(1).filter(|page| *page <= PAGES).ok_or(Failure::LookupAnswer)
}

fn nothing() -> Progress {
    Progress::Landed(Ok(Fact::Target(Found::Nothing)))
}

fn target(body: &Tree<'_>) -> Result<Target, Failure> {
    let fields = Fields::of(body)?;
    let mut features = Features::OPEN;
    for (level, (_, name)) in features.0.iter_mut().zip(Feature::ALL) {
        // Old forges do not name every feature; what they do not name they do not limit.
        match fields.0.get(name) {
            None | Some(Tree::Null) => {}
            Some(value) => *level = value.as_str().and_then(Level::named).ok_or(Failure::LookupAnswer)?,
        }
    }
    // A project that is about to be deleted takes no more changes than an archived one.
    let is_marked = ["marked_for_deletion_at", "marked_for_deletion_on"]
        .iter()
        .any(|name| fields.0.get(name).is_some_and(|at| !at.is_null()));
    // A setting that is not shown is off.
    let setting = |name: &str| fields.0.get(name).and_then(Tree::as_bool) == Some(true);
    Ok(Target {
        id: Some(ProjectId(fields.number("id")?)),
        path: Some(fields.project_path("path_with_namespace")?),
        visibility: Some(Visibility::named(fields.text("visibility")?).ok_or(Failure::LookupAnswer)?),
        features,
        job_push: JobPush::of_settings(
            setting("ci_push_repository_for_job_token_allowed"),
            setting("ci_cross_project_push_for_job_token_allowed"),
        ),
        public_jobs: setting("public_jobs"),
        archived: is_marked || setting("archived"),
    })
}
