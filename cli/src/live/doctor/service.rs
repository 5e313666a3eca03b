//! A service of the platform team, which answers `v1`.

use std::sync::Arc;

use policy::access::{Holding, Sought, TargetRef};
use policy::choices::Changes;
use policy::config::VersionSource;
use policy::facts::{Context, Found, GroupPath, GroupRef, Job, JobId};
use policy::failure::Failure;
use policy::lookup::{Fact, Value, changes};

use super::facts::{cause, nowhere};
use super::{Finding, Mark, Subject, words};
use crate::live::{Live, answer};
use crate::setup::Setup;

/// Asks each question once.
pub(super) fn examine(live: &mut Live<'_>, setup: &Setup, subject: &Subject) -> Vec<Finding> {
    let mut findings = vec![target(live, subject)];
    findings.push(holders(live));
    if setup.config.forge.version_source == VersionSource::Lookup {
        findings.extend(super::forge::version(live, setup));
    }
    if setup.config.lookup.changes == Changes::Followed {
        findings.push(ended(live));
    }
    findings
}

/// A job that nobody runs, of a project that is not there.
fn job() -> Option<Job> {
    Some(Job { id: JobId(0), user: None, origin: nowhere()?, context: Context::default() })
}

fn target(live: &mut Live<'_>, subject: &Subject) -> Finding {
    const ABOUT: &str = "question `target`";
    let Some((job, none)) = job().zip(nowhere()) else { return doubt(ABOUT) };
    let path = subject.target.clone().unwrap_or(none.path);
    let flown = live.fly(None, Fact::Target(job, TargetRef::Path(path.clone())));
    match (&flown.landed, &subject.target) {
        (Ok(Value::Target(Found::Nothing)), None) => Finding::new(
            Mark::Good,
            ABOUT,
            "a project that is not there is answered with `null`; `--target` asks about one that is",
        ),
        (Ok(Value::Target(Found::Standing(_))), Some(path)) => {
            Finding::new(Mark::Good, ABOUT, format!("{path} is there, and everything is told of it that is looked up"))
        }
        (Ok(Value::Target(Found::Nothing)), Some(path)) => {
            Finding::new(Mark::Error, ABOUT, format!("the service answers that there is no {path}"))
        }
        (Ok(_), _) => Finding::new(Mark::Error, ABOUT, format!("the service answers about {path}, which is not there")),
        (Err(failure), _) => {
            let cause = cause(live, &flown);
            Finding::new(Mark::Error, ABOUT, unread(&cause, *failure))
        }
    }
}

fn holders(live: &mut Live<'_>) -> Finding {
    const ABOUT: &str = "question `holders`";
    let Some((job, group)) = job().zip(GroupPath::parse("jobscope-doctor")) else { return doubt(ABOUT) };
    let holding = Holding { group: GroupRef::Path(group), sought: Sought::Everything };
    let flown = live.fly(None, Fact::Target(job, TargetRef::Held(Arc::new(holding))));
    match &flown.landed {
        Ok(_) => Finding::new(Mark::Good, ABOUT, "a group that is not there is answered"),
        Err(failure) => {
            let cause = cause(live, &flown);
            let text = format!(
                "{}. Packages that a group is asked for are refused until it is answered",
                unread(&cause, *failure)
            );
            Finding::new(Mark::Warning, ABOUT, text)
        }
    }
}

fn ended(live: &mut Live<'_>) -> Finding {
    const ABOUT: &str = "lookup.changes";
    let Some(account) = live.account else { return doubt(ABOUT) };
    let at = live.call(&changes::ask(account, None));
    let Some((call, sent)) = live.asked.get(at) else { return doubt(ABOUT) };
    match changes::read(None, &answer(sent)) {
        Ok(_) => Finding::new(Mark::Good, ABOUT, "the list of ended jobs says where it begins"),
        Err(failure) => Finding::new(Mark::Error, ABOUT, unread(&words::said(live, call, sent), failure)),
    }
}

fn unread(said: &str, failure: Failure) -> String {
    format!("{said}, which is no answer that docs/token-lookup.md describes ({})", failure.code())
}

fn doubt(about: &'static str) -> Finding {
    Finding::new(Mark::Unseen, about, "it could not be asked")
}
