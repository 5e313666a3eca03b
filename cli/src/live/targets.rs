//! What jobs of a project reach at a forge that runs: every project that it lists. Each is asked about as the filter asks.

use policy::Config;
use policy::config::Selection;
use policy::facts::{Job, Origin};
use policy::failure::Failure;
use serde_json::Value as Json;

use super::Live;
use super::names::{Untold, project};
use super::reach::{PAGE, Reached, Unreached, job, members, starts_jobs, ways};
use crate::reach::Asks;

/// How many lookups may fail one after the other before the forge counts as away. A right that is missing is no such failure.
const AWAY: usize = 5;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The path of the jobs' project.
    pub origin: &'a str,
    /// Who started them, or `nobody`; `None` for each of those who start jobs there.
    pub user: Option<&'a str>,
    /// The projects that are meant; `None` for all.
    pub targets: Option<&'a Selection>,
    /// Of how many of them it is asked at most.
    pub limit: usize,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many projects were found.
    pub found: usize,
    /// Of how many of them it was asked; `None` while they are listed.
    pub done: Option<usize>,
    /// How many calls were made.
    pub calls: usize,
}

/// Everything that jobs of a project may do at those that the forge lists, and that are meant.
///
/// # Errors
/// There is no such project, user or target, or the forge does not tell.
pub fn can(
    live: &mut Live<'_>,
    config: &Config,
    asks: &Asks,
    question: Question<'_>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Reached, Unreached> {
    let mut reached = Reached::default();
    let origin = live.project(question.origin)?.ok_or_else(|| Unreached::Project(question.origin.to_owned()))?;
    let jobs = jobs(live, &origin, question.user, &mut reached.unasked)?;
    let targets = targets(live, question, &mut reached.unasked, tell)?;
    let mut failures: usize = 0;
    for (at, target) in targets.iter().enumerate() {
        match each(live, config, &jobs, target, asks) {
            Ok(ways) => {
                failures = 0;
                reached.ways.extend(ways);
            }
            Err(Unreached::Failed(cause, failure)) => {
                failures = if failure == Failure::LookupRights { 0 } else { failures.saturating_add(1) };
                if failures >= AWAY {
                    return Err(Unreached::Failed(cause, failure));
                }
                reached.failed.push(format!("{}: {cause} ({})", target.path, failure.code()));
            }
            Err(other) => return Err(other),
        }
        tell(Progress { found: targets.len(), done: Some(at.saturating_add(1)), calls: live.asked.len() });
    }
    Ok(reached)
}

/// The jobs of which it is asked.
fn jobs(
    live: &mut Live<'_>,
    origin: &Origin,
    user: Option<&str>,
    unasked: &mut Vec<String>,
) -> Result<Vec<Job>, Unreached> {
    let users = match user {
        None => members(live, origin, unasked)?.into_iter().filter(starts_jobs).collect(),
        Some("nobody") => vec![Json::Null],
        Some(name) => vec![live.user(name)?.ok_or_else(|| Unreached::User(name.to_owned()))?],
    };
    let jobs: Vec<Job> = users.iter().filter_map(|one| job(live, origin, one).transpose()).collect::<Result<_, _>>()?;
    match user {
        Some(name) if jobs.is_empty() => Err(Unreached::Idle(name.to_owned())),
        _ => Ok(jobs),
    }
}

/// What these jobs may do at one target.
fn each(
    live: &mut Live<'_>,
    config: &Config,
    jobs: &[Job],
    target: &Origin,
    asks: &Asks,
) -> Result<Vec<crate::reach::Way>, Unreached> {
    let of_jobs: Result<Vec<_>, _> = jobs.iter().map(|job| ways(live, config, job, target, asks)).collect();
    of_jobs.map(|of_jobs| of_jobs.concat())
}

/// The projects that the forge lists, archived ones too, in the order of their numbers. By these a list goes on, and not by
/// pages: of so long a list GitLab gives no page beyond the 50,000th entry.
fn targets(
    live: &mut Live<'_>,
    question: Question<'_>,
    unasked: &mut Vec<String>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Vec<Origin>, Unreached> {
    let no_list =
        || Untold::Answer("asked for projects in the order of their numbers, the forge answers none".to_owned());
    let (mut found, mut unread, mut after) = (Vec::new(), 0_usize, 0);
    let is_more = 'list: loop {
        let order = "pagination=keyset&order_by=id&sort=asc";
        let page = live.named(&format!("/projects?{order}&simple=true&per_page={PAGE}&id_after={after}"))?;
        let Some(Json::Array(entries)) = page else { return Err(no_list().into()) };
        // A page that is not full may have another one behind it.
        if entries.is_empty() {
            break false;
        }
        let last = entries.last().and_then(|entry| entry.get("id")?.as_u64());
        after = last.filter(|last| *last > after).ok_or_else(no_list)?;
        for entry in &entries {
            let Some(target) = project(entry) else {
                unread = unread.saturating_add(1);
                continue;
            };
            if question.targets.is_some_and(|targets| !targets.hold(&target.path)) {
                continue;
            }
            if found.len() == question.limit {
                break 'list true;
            }
            found.push(target);
        }
        tell(Progress { found: found.len(), done: None, calls: live.asked.len() });
    };
    if is_more {
        let advice = "raise `--limit`, or name those that matter with `--targets`";
        unasked.push(format!("projects beyond the first {}, by their numbers: {advice}", question.limit));
    }
    if unread > 0 {
        unasked.push(format!("{unread} of the projects, whose paths cannot be read"));
    }
    let account = live.named("/user")?;
    if account.is_none_or(|account| account.get("is_admin").and_then(Json::as_bool) != Some(true)) {
        unasked
            .push("projects that the forge does not show to the service account, which is no administrator".to_owned());
    }
    if found.is_empty() && question.targets.is_some() {
        return Err(Unreached::Nothing);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policy::facts::Secret;
    use policy::lookup::{Account, Call};
    use serde_json::json;

    use super::*;
    use crate::live::{Reply, Sent, Service};
    use crate::setup::Setup;

    /// A forge with so many projects, which says of each with this status what it is to a job.
    struct Forge {
        projects: u64,
        status: u16,
        /// Whether it answers the first page again and again.
        is_stuck: bool,
    }

    impl Forge {
        fn answer(&self, path: &str) -> (u16, Json) {
            let listed = |id: u64| json!({"id": id, "path_with_namespace": format!("apps/p{id}")});
            match path {
                "/projects/apps%2Fp1" => (200, listed(1)),
                "/user" => (200, json!({"id": 9, "username": "jobscope", "state": "active", "is_admin": true})),
                _ if path.starts_with("/projects?") => {
                    let after = path.rsplit('=').next().and_then(|id| id.parse::<u64>().ok()).unwrap();
                    let first = if self.is_stuck { 1 } else { after.saturating_add(1) };
                    let pages = first..=self.projects.min(first.saturating_add(99));
                    (200, json!(pages.map(listed).collect::<Vec<_>>()))
                }
                _ => (self.status, json!({"message": "no"})),
            }
        }
    }

    impl Service for Forge {
        fn send(&mut self, call: &Call) -> Sent {
            let path = call.path.strip_prefix("/api/v4").unwrap_or_default();
            let (status, body) = self.answer(path);
            let reply = Reply { status, body: body.to_string().into_bytes(), ..Reply::default() };
            Sent { began: Duration::ZERO, took: Duration::ZERO, reply: Ok(reply) }
        }
    }

    fn asked(forge: &mut Forge, limit: usize) -> (Result<Reached, Unreached>, Vec<Progress>) {
        let setup = Setup::of(json!({"forge": {"hosts": ["f.invalid"]},
            "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}))
        .unwrap();
        let account = Account::Token(Secret::new(b"t"));
        let mut live = Live::new(&setup.config, Some(&account), forge);
        let question = Question { origin: "apps/p1", user: Some("nobody"), targets: None, limit };
        let mut told = Vec::new();
        let reached =
            can(&mut live, &setup.config, &Asks::all(&setup.config), question, &mut |progress| told.push(progress));
        (reached, told)
    }

    #[test]
    fn a_right_that_is_missing_is_told_of_each_project_and_a_forge_that_is_away_ends_it() {
        let mut forge = Forge { projects: 20, status: 403, is_stuck: false };
        let (reached, told) = asked(&mut forge, 100);
        let reached = reached.unwrap();
        // Of the origin's own project its path and number alone are answered.
        assert_eq!((reached.failed.len(), reached.unasked.len()), (20, 0), "{reached:?}");
        assert!(
            reached.failed.iter().skip(1).all(|one| one.contains("answered 403") && one.contains("(lookup.rights)"))
        );
        assert_eq!(told.last().map(|last| (last.found, last.done)), Some((20, Some(20))));
        forge.status = 502;
        let (reached, told) = asked(&mut forge, 100);
        assert!(matches!(reached, Err(Unreached::Failed(_, Failure::LookupUnreachable))), "{reached:?}");
        assert_eq!(told.last().and_then(|last| last.done), Some(AWAY - 1));
    }

    #[test]
    fn a_list_that_does_not_go_on_is_no_list() {
        let mut forge = Forge { projects: 300, status: 403, is_stuck: true };
        let (reached, _) = asked(&mut forge, 1000);
        let said = reached.unwrap_err().to_string();
        assert!(said.starts_with("asked for projects in the order of their numbers"), "{said}");
    }
}
