//! What the rules saw of a target, for who reads a decision.

use core::fmt;

use crate::access::Action;
use crate::facts::{Admission, Affiliation, JobPush, Level, Outbound, Role, Standing, Target, Visibility};
use crate::rules;

/// The facts that the rules looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The role of the job's user in the target.
    pub role: Option<Role>,
    /// Whether the user is external.
    pub affiliation: Affiliation,
    /// Whether the target admits the origin.
    pub admission: Admission,
    /// Whether the origin lets its jobs out to the target.
    pub outbound: Outbound,
    /// Who may see the target.
    pub visibility: Option<Visibility>,
    /// How far the part of the target is open that was asked for.
    pub level: Level,
    /// Whose jobs may push code to it.
    pub job_push: JobPush,
    /// Whether its jobs are public.
    pub public_jobs: bool,
    /// Whether it takes no changes.
    pub archived: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = "left to the forge";
        let role = self.role.map_or(left, Role::name);
        let external = match self.affiliation {
            Affiliation::Internal => "no",
            Affiliation::External => "yes",
            Affiliation::LeftToForge => left,
        };
        let visibility = self.visibility.map_or(left, Visibility::name);
        let (level, push) = (self.level.name(), self.job_push.name());
        let said = |is_so| if is_so { "yes" } else { "no" };
        let (jobs, archived) = (said(self.public_jobs), said(self.archived));
        let outbound = match self.outbound {
            Outbound::Open => "open",
            Outbound::Unlisted => "unlisted",
        };
        write!(
            f,
            "role={role} external={external} visibility={visibility} part={level} public_jobs={jobs} archived={archived} push={push} outbound={outbound} "
        )?;
        match self.admission {
            Admission::Own => f.write_str("inbound=own"),
            Admission::Open => f.write_str("inbound=open"),
            Admission::Unlisted => f.write_str("inbound=unlisted"),
            Admission::LeftToForge => write!(f, "inbound={left}"),
            Admission::Listed(entry) => write!(f, "inbound={entry}"),
        }
    }
}

impl Seen {
    pub(super) fn of(standing: &Standing, action: Action) -> Self {
        let Standing { role, affiliation, admission, outbound, ref target } = *standing;
        let level = rules::need(action).feature.map_or(Level::Enabled, |feature| target.level(feature));
        let Target { visibility, job_push, public_jobs, archived, .. } = *target;
        Self { role, affiliation, admission, outbound, visibility, level, job_push, public_jobs, archived }
    }
}
