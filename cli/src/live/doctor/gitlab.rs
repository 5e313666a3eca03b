//! GitLab's own API.

use std::sync::Arc;

use policy::access::{Holding, Sought, TargetRef};
use policy::facts::{GroupPath, GroupRef, Origin, ProjectPath};
use policy::lookup::Fact;
use serde_json::Value;

use super::facts::{self, Asked};
use super::{Finding, Mark, Subject, account, forge, webhook};
use crate::live::Live;
use crate::live::caller::MadeUp;
use crate::live::names::project;
use crate::setup::Setup;

/// Asks for everything that the filter would.
pub(super) fn examine(live: &mut Live<'_>, setup: &Setup, subject: &Subject) -> Vec<Finding> {
    let mut findings = vec![account::token(live)];
    if live.account.is_none() || findings.iter().any(|one| one.mark == Mark::Error) {
        return findings;
    }
    let (finding, account) = account::account(live);
    findings.push(finding);
    findings.extend(forge::version(live, setup));
    let is_admin = account.as_ref().is_some_and(|account| account.is_admin);
    let (target, origin) = match projects(live, subject, is_admin) {
        Ok(found) => found,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    let asked = Asked { is_admin, user: account.map(|account| account.user), target, origin };
    for key in setup.config.facts.looked_up() {
        findings.push(facts::examine(live, setup, key, &asked));
    }
    findings.extend(holders(live, &asked));
    findings.extend(circumstances(live, setup, &asked));
    findings.extend(webhook::examine(live, setup, &asked));
    findings
}

/// The project that is asked about, and another one: as they were named, or two that are private.
fn projects(live: &mut Live<'_>, subject: &Subject, is_admin: bool) -> Result<(ProjectPath, Option<Origin>), Finding> {
    const ABOUT: &str = "projects";
    // What an administrator is not shown is not there, and no right lacks.
    if let Some(path) = subject.target.as_ref().filter(|path| is_admin && live.project(path.as_str()) == Ok(None)) {
        return Err(Finding::new(Mark::Error, ABOUT, format!("there is no project {path}: check `--target`")));
    }
    let private = if subject.target.is_some() && subject.origin.is_some() { Vec::new() } else { private(live) };
    let target = subject.target.clone().or_else(|| private.first().map(|one| one.path.clone()));
    let target = target.ok_or_else(|| {
        let text = "the forge shows no private project to the service account, so that nothing can be asked about one: make it \
                    a member, or name a project with `--target`";
        Finding::new(Mark::Error, ABOUT, text)
    })?;
    let origin = match &subject.origin {
        None => private.into_iter().find(|one| one.path != target),
        Some(path) => {
            let shown = live.project(path.as_str()).ok().flatten();
            Some(shown.ok_or_else(|| {
                let text = format!("the forge shows no project {path} to the service account");
                Finding::new(Mark::Error, ABOUT, text)
            })?)
        }
    };
    Ok((target, origin))
}

/// Two private projects that the service account sees.
fn private(live: &mut Live<'_>) -> Vec<Origin> {
    const ASKED: &str = "/projects?visibility=private&archived=false&simple=true&order_by=id&sort=asc&per_page=2";
    let body = live.get(ASKED).and_then(|at| live.json(at)).unwrap_or_default();
    body.as_array().into_iter().flatten().filter_map(project).collect()
}

/// Which projects of a group hold something: asked where a job asks a group for a package.
fn holders(live: &mut Live<'_>, asked: &Asked) -> Option<Finding> {
    const ABOUT: &str = "packages of groups";
    let (group, _) = asked.target.as_str().rsplit_once('/')?;
    let holding = Holding { group: GroupRef::Path(GroupPath::parse(group)?), sought: Sought::Everything };
    let flown = live.fly(None, Fact::Target(asked.job(facts::nowhere()?), TargetRef::Held(Arc::new(holding))));
    Some(match flown.landed {
        Ok(_) => Finding::new(Mark::Good, ABOUT, format!("all projects of {group} are shown")),
        Err(failure) => {
            let text = format!(
                "{} ({}): what jobs ask {group} for is answered 503. It needs the right: administrator, or Reporter in the group",
                facts::cause(live, &flown),
                failure.code()
            );
            Finding::new(Mark::Warning, ABOUT, text)
        }
    })
}

/// What rules of the configuration look at of a job, beside what its token tells. The job is made up; all else is asked.
fn circumstances(live: &mut Live<'_>, setup: &Setup, asked: &Asked) -> Option<Finding> {
    const ABOUT: &str = "access rules";
    let needs = setup.config.access.needs();
    if !needs.protected && !needs.fork {
        return None;
    }
    let Some(origin) = &asked.origin else {
        return Some(Finding::new(Mark::Unseen, ABOUT, "a second project is needed to ask: name it with `--origin`"));
    };
    // A branch. Whether a merge request comes from a fork is asked of the same project, with the same right.
    let flown = MadeUp { origin, git_ref: "main", source: "push", user: &Value::Null }.fly(live);
    let rights = "Reporter in every origin";
    Some(match flown.landed {
        Ok(_) if flown.calls.is_empty() => Finding::new(
            Mark::Unseen,
            ABOUT,
            format!(
                "whether a merge request comes from a fork is asked of a job of one alone. It needs the right: {rights}"
            ),
        ),
        Ok(_) => Finding::new(Mark::Good, ABOUT, format!("whether a branch is protected is shown for {}", origin.path)),
        Err(failure) => {
            let text = format!("{} ({}). It needs the right: {rights}", facts::cause(live, &flown), failure.code());
            Finding::new(Mark::Error, ABOUT, text)
        }
    })
}
