//! What repositories are to jobs.
//!
//! The forge gives each job a bot's rights: in its own repository, and to read what its owner shares with it. What the job's user may
//! is not among them, so it is asked here. Where rights are one job's alone (its `permissions:`) the forge looks after them, since
//! all jobs of a user in a repository are answered alike.

use policy::facts::{
    Admission, Affiliation, Entry, Feature, Features, Found, Grants, Job, JobPush, Level, Link, Origin, Outbound,
    Permission, Permissions, ProjectId, ProjectPath, Role, Standing, Target, Visibility,
};
use policy::failure::Failure;
use serde_json::Value;
use tokio_postgres::Row;

/// A part of a repository, by its number.
type Unit = u64;

const CODE: Unit = 1;
const ISSUES: Unit = 2;
const PULL_REQUESTS: Unit = 3;
const RELEASES: Unit = 4;
const WIKI: Unit = 5;
const PACKAGES: Unit = 9;
const ACTIONS: Unit = 10;

/// How much may be done, by its number.
type Mode = i64;

const NONE: Mode = 0;
const READ: Mode = 1;
const WRITE: Mode = 2;
const ADMIN: Mode = 3;
const OWNER: Mode = 4;

/// Which units features of `v1` are, and whether a repository that has not switched one on has it all the same: packages are their
/// owner's.
const FEATURES: [(Feature, Unit, bool); 8] = [
    (Feature::Repository, CODE, false),
    (Feature::Wiki, WIKI, false),
    (Feature::Builds, ACTIONS, false),
    (Feature::Images, PACKAGES, true),
    (Feature::Packages, PACKAGES, true),
    (Feature::Releases, RELEASES, false),
    (Feature::MergeRequests, PULL_REQUESTS, false),
    (Feature::Issues, ISSUES, false),
];

/// What jobs of other repositories read at most, and what that is called in `v1`.
const SHARED: [(Unit, &[Permission]); 3] = [
    (CODE, &[Permission::ReadRepositories]),
    (RELEASES, &[Permission::ReadReleases]),
    (PACKAGES, &[Permission::ReadPackages, Permission::ReadContainers]),
];

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) origin: Origin,
    owner: i64,
    is_private: bool,
    visibility: Visibility,
    is_archived: bool,
    units: Vec<i64>,
    /// What it says of actions, and what its owner does.
    actions: Value,
    owner_actions: Value,
}

/// What lets a user in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ways {
    is_owner: bool,
    access: Option<Mode>,
    collaboration: Option<Mode>,
    team: Option<Mode>,
    team_code: Option<Mode>,
}

/// Reads a value of a row.
pub(super) fn value<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, Failure> {
    row.try_get(name).map_err(|_| Failure::LookupAnswer)
}

/// The path of a repository.
pub(super) fn path(owner: &str, name: &str) -> Result<ProjectPath, Failure> {
    ProjectPath::parse(&format!("{owner}/{name}")).ok_or(Failure::LookupAnswer)
}

/// A number as `v1` has it.
pub(super) fn number(id: i64) -> Result<u64, Failure> {
    u64::try_from(id).map_err(|_| Failure::LookupAnswer)
}

impl Repository {
    pub(super) fn read(row: &Row) -> Result<Self, Failure> {
        let id = ProjectId(number(value(row, "id")?)?);
        let is_private = value(row, "is_private")?;
        Ok(Self {
            origin: Origin { id, path: path(value(row, "owner")?, value(row, "name")?)? },
            owner: value(row, "owner_id")?,
            is_private,
            visibility: match value::<Option<i64>>(row, "owner_visibility")? {
                Some(0) if !is_private => Visibility::Public,
                Some(1) if !is_private => Visibility::Internal,
                _ => Visibility::Private,
            },
            is_archived: value(row, "is_archived")?,
            units: value(row, "units")?,
            actions: settings(value(row, "actions")?)?,
            owner_actions: settings(value(row, "owner_actions")?)?,
        })
    }

    /// How much any job of this repository may do with a unit.
    fn ceiling(&self, unit: Unit) -> Result<Mode, Failure> {
        let is_own = self.actions.get("override_owner_config").and_then(Value::as_bool).unwrap_or_default();
        let by = if is_own { &self.actions } else { &self.owner_actions };
        match by.get("max_token_permissions") {
            None | Some(Value::Null) => Ok(WRITE),
            Some(most) => match most.pointer(&format!("/unit_access_modes/{unit}")) {
                None => Ok(NONE),
                Some(mode) => mode.as_i64().ok_or(Failure::LookupAnswer),
            },
        }
    }

    /// What it is to a job. `origin` is the job's own repository, where that still is what the job was told to be in.
    fn standing(&self, origin: Option<&Self>, role: Role, affiliation: Affiliation) -> Result<Standing, Failure> {
        let is_own = origin.is_some_and(|origin| origin.origin.id == self.origin.id);
        let is_writable = self.ceiling(CODE)? >= WRITE || self.ceiling(PACKAGES)? >= WRITE;
        let admission = match origin {
            Some(_) if is_own => Admission::Own,
            Some(origin) => self.admission(origin)?,
            None => Admission::Unlisted,
        };
        Ok(Standing {
            // Who may write nothing here needs no more than a reader's role.
            role: Some(if is_own && !is_writable { role.min(Role::Reporter) } else { role }),
            affiliation,
            admission,
            outbound: Outbound::Open,
            target: Target {
                id: Some(self.origin.id),
                path: Some(self.origin.path.clone()),
                visibility: Some(self.visibility),
                features: self.features(is_own)?,
                job_push: if self.ceiling(CODE)? >= WRITE { JobPush::Own } else { JobPush::Off },
                public_jobs: false,
                archived: self.is_archived,
            },
        })
    }

    fn features(&self, is_own: bool) -> Result<Features, Failure> {
        let mut features = Features::OPEN;
        for ((feature, _), level) in Feature::ALL.iter().zip(&mut features.0) {
            // What is not in the table the forge has not got.
            let unit = FEATURES.iter().find(|(known, ..)| known == feature);
            let is_open = match unit {
                None => false,
                Some((_, unit, always)) => {
                    let is_there = *always || self.units.iter().any(|known| u64::try_from(*known) == Ok(*unit));
                    // Everybody's stays everybody's, whatever jobs may.
                    let is_granted = !is_own || self.visibility != Visibility::Private || self.ceiling(*unit)? >= READ;
                    is_there && is_granted
                }
            };
            *level = if is_open { Level::Enabled } else { Level::Disabled };
        }
        Ok(features)
    }

    /// Whether it lets jobs of another repository in: those of the same owner, where that one shares it, and those of private
    /// repositories of owners that it names.
    fn admission(&self, origin: &Self) -> Result<Admission, Failure> {
        let names = |settings: &Value, list: &str, id: i64| {
            let list = settings.get(list).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|known| known.as_i64() == Some(id)))
        };
        let id = i64::try_from(self.origin.id.0).map_err(|_| Failure::LookupAnswer)?;
        let is_shared = origin.owner == self.owner && names(&self.owner_actions, "allowed_cross_repo_ids", id);
        let is_named = origin.is_private && names(&self.actions, "CollaborativeOwnerIDs", origin.owner);
        if !is_shared && !is_named {
            return Ok(Admission::Unlisted);
        }
        let mut granted = Vec::new();
        for (unit, permissions) in SHARED {
            if origin.ceiling(unit)?.min(self.ceiling(unit)?) >= READ {
                granted.extend_from_slice(permissions);
            }
        }
        Ok(Admission::Listed(Entry { link: Link::Group, grants: Grants::Only(Permissions::of(&granted)) }))
    }
}

/// Settings as the forge writes them; none say nothing.
fn settings(text: Option<&str>) -> Result<Value, Failure> {
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|_| Failure::LookupAnswer);
    match text {
        None | Some("" | "null") => Ok(Value::Null),
        // Older ones are a text in a text.
        Some(text) => match read(text)? {
            Value::String(text) => read(&text),
            settings => Ok(settings),
        },
    }
}

impl Ways {
    fn read(row: &Row, is_owner: bool) -> Result<Self, Failure> {
        Ok(Self {
            is_owner,
            access: value(row, "access")?,
            collaboration: value(row, "collaboration")?,
            team: value(row, "team")?,
            team_code: value(row, "team_code")?,
        })
    }

    /// The role with code. Members of teams have what their teams say of code, whatever the teams may do otherwise; an
    /// administrator of the forge is one here by membership alone.
    fn role(self) -> Role {
        let none = |mode: Option<Mode>| mode.unwrap_or(NONE);
        let mode = match self.team {
            _ if self.is_owner => OWNER,
            Some(ADMIN..) => OWNER,
            Some(_) => none(self.team_code).max(none(self.collaboration)),
            None => none(self.access),
        };
        match mode {
            READ => Role::Reporter,
            WRITE => Role::Developer,
            ADMIN => Role::Maintainer,
            OWNER.. => Role::Owner,
            _ => Role::None,
        }
    }
}

/// What the repository of a row is to a job; `origin` is the row of the job's own.
pub(super) fn found(job: &Job, row: &Row, origin: Option<&Row>) -> Result<Found, Failure> {
    let target = Repository::read(row)?;
    let origin = origin.map(Repository::read).transpose()?;
    // One that took over a number or a path is not the job's.
    let origin = origin.filter(|known| known.origin == job.origin);
    let user = job.user.as_ref().map(|user| i64::try_from(user.id.0).map_err(|_| Failure::LookupAnswer)).transpose()?;
    let role = Ways::read(row, user == Some(target.owner))?.role();
    let affiliation = match value::<Option<bool>>(row, "is_restricted")? {
        Some(true) => Affiliation::External,
        Some(false) | None => Affiliation::Internal,
    };
    // Nobody stands behind a job without a user.
    let role = if user.is_some() && origin.is_some() { role } else { Role::None };
    target.standing(origin.as_ref(), role, affiliation).map(Found::Standing)
}
