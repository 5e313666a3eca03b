//! Who reaches a project of a forge that runs: the project itself and whom its allowlist names. Each of their jobs is asked
//! about as the filter asks.

use std::collections::BTreeMap;

use policy::Config;
use policy::access::TargetRef;
use policy::facts::{Context, Found, Job, JobId, Origin, Token, User, UserId};
use policy::failure::Failure;
use policy::lookup::{Fact, Value};
use serde_json::{Value as Json, json};

use super::caller::MadeUp;
use super::names::{Untold, project};
use super::{Flown, Live, doctor};
use crate::deciding::Verdict;
use crate::job::Spelled;
use crate::reach::{Asks, STARTS_JOBS, Way, decided};
use crate::setup::Setup;

/// How many entries of a list are asked for at once, and how often.
pub(super) const PAGE: usize = 100;
const PAGES: usize = 100;

/// Of how many origins is asked.
const ORIGINS: usize = 1_000;

/// A push to the main branch, as a job is spelled.
const PUSH: Spelled<'static> =
    Spelled { path: "", git_ref: "main", user: None, environment: "", source: "push", fork: false };

/// Why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// The forge does not tell what is listed.
    #[error("{0}; with `--world` a world is asked")]
    Untold(#[from] Untold),
    /// No such project.
    #[error("the forge shows no project `{0}` to the service account")]
    Project(String),
    /// No such user.
    #[error("the forge has no user `{0}`; a job behind which nobody stands is `nobody`'s")]
    User(String),
    /// No job of a user runs.
    #[error("the forge lets no job of `{0}` run: this user is blocked, or not active")]
    Idle(String),
    /// No project is meant.
    #[error("the forge shows the service account no project that `--targets` names")]
    Nothing,
    /// A lookup failed.
    #[error("{0} ({code})", code = .1.code())]
    Failed(String, Failure),
}

/// Who reaches a project, or what jobs of one reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// Each way.
    pub ways: Vec<Way>,
    /// Of what it was not asked, in words.
    pub unasked: Vec<String>,
    /// For which projects a lookup failed, and how: the filter would answer 503.
    pub failed: Vec<String>,
}

/// Every way to do one thing at a target, of those that the forge lists.
///
/// # Errors
/// There is no such project, or the forge does not tell all that has to be known.
pub fn who_can(live: &mut Live<'_>, setup: &Setup, asks: &Asks, path: &str) -> Result<Reached, Unreached> {
    let target = live.project(path)?.ok_or_else(|| Unreached::Project(path.to_owned()))?;
    let mut reached = Reached::default();
    let mut people: BTreeMap<UserId, User> = BTreeMap::new();
    for origin in origins(live, &target, &mut reached.unasked)? {
        for user in members(live, &origin, &mut reached.unasked)?.iter().filter(|user| starts_jobs(user)) {
            let Some(job) = job(live, &origin, user)? else { continue };
            people.extend(job.user.iter().map(|user| (user.id, user.clone())));
            reached.ways.extend(ways(live, &setup.config, &job, &target, asks)?);
        }
    }
    people.extend(members(live, &target, &mut Vec::new())?.iter().filter_map(person).map(|user| (user.id, user)));
    let account = live.named("/user")?;
    people.extend(account.as_ref().and_then(person).map(|user| (user.id, user)));
    reached.unasked.extend(of_others(live, setup, asks, &target, people.into_values())?);
    if setup.document.pointer("/access/allow").and_then(Json::as_array).is_some_and(|rules| !rules.is_empty()) {
        reached.unasked.push("jobs of other projects that a rule of `access.allow` lets in".to_owned());
    }
    Ok(reached)
}

/// The project itself, and whom its allowlist names.
fn origins(live: &mut Live<'_>, target: &Origin, unasked: &mut Vec<String>) -> Result<Vec<Origin>, Untold> {
    let scope = format!("/projects/{}/job_token_scope", target.id.0);
    let mut found = vec![target.clone()];
    found.extend(projects(live, &format!("{scope}/allowlist?"), "projects of the allowlist", unasked)?);
    for group in list(live, &format!("{scope}/groups_allowlist?"), "groups of the allowlist", unasked)? {
        let Some(id) = group.get("id").and_then(Json::as_u64) else { continue };
        let below = format!("/groups/{id}/projects?include_subgroups=true&with_shared=false&simple=true&");
        found.extend(projects(live, &below, &format!("projects of group {id}"), unasked)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|origin| seen.insert(origin.id));
    if found.len() > ORIGINS {
        unasked.push(format!("{} of {} projects that are let in", found.len().saturating_sub(ORIGINS), found.len()));
        found.truncate(ORIGINS);
    }
    Ok(found)
}

/// The projects of a list. Those that no rule can name are told.
fn projects(live: &mut Live<'_>, path: &str, what: &str, unasked: &mut Vec<String>) -> Result<Vec<Origin>, Untold> {
    let entries = list(live, path, what, unasked)?;
    let found: Vec<Origin> = entries.iter().filter_map(project).collect();
    let unread = entries.len().saturating_sub(found.len());
    if unread > 0 {
        unasked.push(format!("{unread} of the {what}, whose paths cannot be read"));
    }
    Ok(found)
}

/// The members of a project, inherited ones among them.
pub(super) fn members(live: &mut Live<'_>, of: &Origin, unasked: &mut Vec<String>) -> Result<Vec<Json>, Untold> {
    list(live, &format!("/projects/{}/members/all?", of.id.0), &format!("members of {}", of.path), unasked)
}

pub(super) fn starts_jobs(user: &Json) -> bool {
    user.get("access_level").and_then(Json::as_u64).is_some_and(|level| level >= STARTS_JOBS.access_level())
}

fn person(user: &Json) -> Option<User> {
    let is_active = user.get("state").and_then(Json::as_str) == Some("active");
    let name = user.get("username").and_then(Json::as_str).filter(|_| is_active)?;
    Some(User { id: UserId(user.get("id")?.as_u64()?), name: name.to_owned() })
}

/// The entries of a list, page by page. What lies beyond the last page that is asked for is told.
fn list(live: &mut Live<'_>, path: &str, what: &str, unasked: &mut Vec<String>) -> Result<Vec<Json>, Untold> {
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let path = format!("{path}per_page={PAGE}&page={page}");
        let Some(body) = live.named(&path)? else {
            unasked.push(format!("{what}, which the forge does not show to the service account"));
            return Ok(all);
        };
        let Json::Array(entries) = body else {
            return Err(Untold::Answer(format!("asked for {what}, the forge answers no list")));
        };
        let next = live.get(&path).and_then(|at| live.reply(at)?.next_page.clone());
        let is_last = next.map_or(entries.len() < PAGE, |next| next.is_empty());
        all.extend(entries);
        if is_last {
            return Ok(all);
        }
    }
    unasked.push(format!("{what} beyond the first {}", all.len()));
    Ok(all)
}

/// A job of an origin that a user started by a push to the main branch; `None` where the forge lets it do nothing.
pub(super) fn job(live: &mut Live<'_>, origin: &Origin, user: &Json) -> Result<Option<Job>, Unreached> {
    let flown = MadeUp { origin, git_ref: PUSH.git_ref, source: PUSH.source, user }.fly(live);
    match flown.landed {
        Ok(Value::Token(Token::Running(job))) => Ok(Some(Job { context: PUSH.context(job.context.clone()), ..job })),
        Ok(_) => Ok(None),
        Err(failure) => Err(failed(live, &flown, failure)),
    }
}

/// What a job may do at a target.
pub(super) fn ways(
    live: &mut Live<'_>,
    config: &Config,
    job: &Job,
    target: &Origin,
    asks: &Asks,
) -> Result<Vec<Way>, Unreached> {
    let reference = TargetRef::Path(target.path.clone());
    let flown = live.fly(Some(config), Fact::Target(job.clone(), reference.clone()));
    let found = match flown.landed {
        Ok(Value::Target(found)) => found,
        Ok(Value::Token(_)) => Found::Nothing,
        Err(failure) => return Err(failed(live, &flown, failure)),
    };
    let decisions = decided(config, &Token::Running(job.clone()), &reference, asks, |_| found.clone());
    let open = decisions.iter().filter(|(_, decision)| Verdict::of(decision) != Verdict::Deny);
    let way = |(action, decision): &(_, _)| {
        let user = job.user.as_ref().map(|user| user.name.clone());
        Way::of((&job.origin.path.to_string(), &target.path.to_string()), user, *action, decision)
    };
    Ok(open.map(way).collect())
}

/// Whether jobs of projects that nobody lists may do it, where one of these people starts them and no rule of the configuration
/// denies it: as a sentence.
fn of_others(
    live: &mut Live<'_>,
    setup: &Setup,
    asks: &Asks,
    target: &Origin,
    people: impl Iterator<Item = User>,
) -> Result<Option<String>, Unreached> {
    let mut document = setup.document.clone();
    if let Some(whole) = document.as_object_mut() {
        // What its rules say of one project is not what they say of another.
        whole.remove("access");
        // It is nowhere, so that nobody can tell where its jobs are let out to.
        let sources = whole.entry("facts").or_insert_with(|| json!({})).as_object_mut();
        sources.map(|sources| sources.insert("outbound".to_owned(), json!("forge")));
    }
    let (Ok(setup), Some(origin)) = (Setup::of(document), doctor::nowhere()) else {
        return Ok(Some("jobs of other projects".to_owned()));
    };
    for user in people {
        let context = Context { git_ref: Some(PUSH.git_ref.to_owned()), protected: Some(false), ..Context::default() };
        let job = Job { id: JobId(1), user: Some(user), origin: origin.clone(), context: PUSH.context(context) };
        if let Some(way) = ways(live, &setup.config, &job, target, asks)?.first() {
            return Ok(Some(format!("jobs of other projects, which need no entry here ({})", way.reason)));
        }
    }
    Ok(None)
}

fn failed(live: &Live<'_>, flown: &Flown, failure: Failure) -> Unreached {
    Unreached::Failed(doctor::cause(live, flown), failure)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policy::facts::Secret;
    use policy::lookup::{Account, Call};

    use super::*;
    use crate::live::{Reply, Sent, Service};

    /// A list of so many entries, with or without a word on its next page.
    struct Long(usize, bool);

    impl Service for Long {
        fn send(&mut self, call: &Call) -> Sent {
            let page: usize = call.path.rsplit('=').next().and_then(|page| page.parse().ok()).unwrap();
            let end = page.saturating_mul(PAGE);
            let entries: Vec<usize> = (end.saturating_sub(PAGE)..end.min(self.0)).collect();
            let next = if end < self.0 { page.saturating_add(1).to_string() } else { String::new() };
            let next_page = self.1.then(|| next.into_bytes());
            let reply =
                Reply { status: 200, next_page, body: json!(entries).to_string().into_bytes(), ..Reply::default() };
            Sent { began: Duration::ZERO, took: Duration::ZERO, reply: Ok(reply) }
        }
    }

    #[test]
    fn a_list_is_read_to_its_end_or_it_is_told_how_far() {
        let setup = Setup::of(json!({"forge": {"hosts": ["f.invalid"]},
            "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}))
        .unwrap();
        let account = Account::Token(Secret::new(b"t"));
        const MOST: usize = PAGE * PAGES;
        const MORE: usize = PAGE + 1;
        for (entries, says_next, found, calls) in [
            (0, true, 0, 1),
            (PAGE, true, PAGE, 1),
            (MORE, true, MORE, 2),
            // Who does not say whether there is more is asked.
            (PAGE, false, PAGE, 2),
            (MOST, true, MOST, PAGES),
            (MOST.saturating_add(1), true, MOST, PAGES),
        ] {
            let mut service = Long(entries, says_next);
            let mut live = Live::new(&setup.config, Some(&account), &mut service);
            let mut unasked = Vec::new();
            let all = list(&mut live, "/things?", "things", &mut unasked).unwrap();
            assert_eq!((all.len(), live.asked.len()), (found, calls), "{entries}");
            let told: &[String] = if entries > MOST { &["things beyond the first 10000".to_owned()] } else { &[] };
            assert_eq!(unasked, told, "{entries}");
        }
    }
}
