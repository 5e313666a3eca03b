//! Whose matter a denial is, and so whether it is carried out.

use super::judged::Judged;
use crate::access::{Access, TargetRef};
use crate::choices::Mode;
use crate::config::{Concern, Config};
use crate::facts::Job;
use crate::request::JobRequest;
use crate::rules::{self, Held, Reach, Reason, Verdict};

impl Judged<'_> {
    /// Whether its denials are carried out.
    pub(super) fn mode(&self, config: &Config) -> Mode {
        let question = &self.question;
        let path = question.standing.and_then(|standing| standing.target.path.as_ref());
        match (self.ruling.verdict, question.need.reach, question.held, path) {
            (Verdict::Deny(Reason::NeverForJobs | Reason::ProxyOff | Reason::AgentOff), ..) => {
                config.mode_of(Concern::Unlisted)
            }
            // The rules of the configuration take these for something done in the own project.
            (_, Reach::AboveOrigin | Reach::Agents, ..) => config.mode_of(Concern::Named(&question.job.origin.path)),
            // The target is one of those that hold this, and another could be one that is enforced.
            (_, _, Held::ByTooMany, _) => config.mode_of(Concern::Many),
            (_, _, _, Some(path)) => config.mode_of(Concern::Project(path)),
            (_, _, _, None) => of_named(config, question.access, Some(question.job)),
        }
    }
}

/// Whether the denial of a request is carried out of whose targets nothing is known beyond their names: if that of any is.
pub(super) fn of_request(config: &Config, request: &JobRequest, job: Option<&Job>) -> Mode {
    let is_never = |access: &Access| rules::need(access.action).reach == Reach::Never;
    let each = request
        .accesses
        .iter()
        .map(|access| if is_never(access) { config.mode_of(Concern::Unlisted) } else { of_named(config, access, job) });
    strictest(each).unwrap_or(config.mode)
}

/// The same for one of its targets. Where an image's project is, its name leaves open.
fn of_named(config: &Config, access: &Access, job: Option<&Job>) -> Mode {
    let of = |path| config.mode_of(Concern::Named(path));
    let own = job.map(|job| of(&job.origin.path));
    let named = match &access.target {
        TargetRef::Path(path) => Some(of(path)),
        TargetRef::Image(candidates) => strictest(candidates.iter().map(of)),
        TargetRef::Own => own,
        TargetRef::Job(id) | TargetRef::ProjectOfJob(id) => own.filter(|_| job.is_some_and(|job| job.id == *id)),
        TargetRef::Id(id) => own.filter(|_| job.is_some_and(|job| job.origin.id == *id)),
        TargetRef::None | TargetRef::Group(_) | TargetRef::Held(_) => None,
    };
    named.unwrap_or_else(|| config.mode_of(Concern::Many))
}

fn strictest(modes: impl Iterator<Item = Mode>) -> Option<Mode> {
    modes.reduce(|one, other| if one == Mode::Enforce { one } else { other })
}
