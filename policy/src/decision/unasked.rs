//! What a target is to a job where nobody is asked: what the job, the request and the configuration tell by themselves.

use alloc::vec;
use alloc::vec::Vec;

use crate::Config;
use crate::access::TargetRef;
use crate::facts::{
    Admission, Affiliation, Features, Found, Job, JobPush, Outbound, ProjectId, ProjectPath, Role, Standing, Target,
};

/// What a target is to a job, where no fact about targets is looked up; `None` where one is. An image's name does not
/// tell which part of it is the project's, so there may be several answers, of which one is right: what any of them
/// denies is denied.
#[must_use]
pub fn facts_without_lookup(config: &Config, job: &Job, target: &TargetRef) -> Option<Vec<Found>> {
    if config.facts.looked_up().next().is_some() {
        return None;
    }
    let own = || vec![standing(config, job, Some(job.origin.id), Some(&job.origin.path))];
    let elsewhere = |id, path| vec![standing(config, job, id, path)];
    Some(match target {
        TargetRef::None | TargetRef::Group(_) | TargetRef::GroupId(_) | TargetRef::Namespace(_) => vec![Found::Nothing],
        TargetRef::Own | TargetRef::Job(_) => own(),
        TargetRef::ProjectOfJob(one) if *one == job.id => own(),
        TargetRef::ProjectOfJob(_) => elsewhere(None, None),
        TargetRef::Id(id) if *id == job.origin.id => own(),
        TargetRef::Id(id) => elsewhere(Some(*id), None),
        TargetRef::Path(path) if *path == job.origin.path => own(),
        TargetRef::Path(path) => elsewhere(None, Some(path)),
        TargetRef::Image(candidates) if candidates.contains(&job.origin.path) => own(),
        TargetRef::Image(candidates) => {
            likely(config, candidates).into_iter().map(|path| standing(config, job, None, Some(path))).collect()
        }
    })
}

/// Where an image's project may be. No project lies in another, so one that the configuration knows is the one.
fn likely<'a>(config: &Config, candidates: &'a [ProjectPath]) -> Vec<&'a ProjectPath> {
    let is_known = |path: &&ProjectPath| config.access.name(path) || config.facts.name(path);
    let known: Vec<&ProjectPath> = candidates.iter().filter(is_known).collect();
    if known.is_empty() { candidates.iter().collect() } else { known }
}

/// Puts what the configuration says in the place of what was not looked up. It is not remembered with what was: a new
/// configuration counts at once.
pub(super) fn fill(config: &Config, job: &Job, found: &mut Found) {
    let Found::Standing(standing) = found else { return };
    let (facts, user, path) = (&config.facts, job.user.as_ref(), standing.target.path.as_ref());
    let mut said =
        (facts.membership.role(user, path), facts.external.affiliation(user), facts.visibility.visibility(path));
    // Of whom the job's user works for the configuration knows no name, so it says nothing in that one's favour.
    if job.people().count() > 1 {
        said.0 = said.0.map(|_| Some(Role::None));
        said.1 = said.1.map(|_| Affiliation::External);
    }
    let admission = facts.allowlists.admission(path).filter(|_| standing.admission != Admission::Own);
    standing.role = said.0.unwrap_or(standing.role);
    standing.affiliation = said.1.unwrap_or(standing.affiliation);
    standing.target.visibility = said.2.unwrap_or(standing.target.visibility);
    standing.admission = admission.unwrap_or(standing.admission);
}

fn standing(config: &Config, job: &Job, id: Option<ProjectId>, path: Option<&ProjectPath>) -> Found {
    let facts = &config.facts;
    let is_own = id == Some(job.origin.id);
    let mut found = Found::Standing(Standing {
        role: None,
        affiliation: Affiliation::LeftToForge,
        admission: if is_own { Admission::Own } else { Admission::LeftToForge },
        outbound: Outbound::Open,
        target: Target {
            id,
            path: path.cloned(),
            visibility: None,
            // Which parts are on, and whether it takes changes, the forge knows, and checks behind us.
            features: Features::OPEN,
            public_jobs: true,
            archived: false,
            // Nobody has said that jobs push here; where the project's settings are left to the forge, it says so.
            job_push: if facts.visibility.is_forge() { JobPush::Own } else { JobPush::Off },
        },
    });
    fill(config, job, &mut found);
    found
}
