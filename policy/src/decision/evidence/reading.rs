//! Read again. A log may say anything: what is not understood whole is not read at all.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use crate::access::{Access, Action, Holding, Package, Protocol, Registry, Sought, TargetRef};
use crate::decision::Facts;
use crate::facts::{
    Admission, Affiliation, Context, Credential, Entry, Feature, Features, Found, Grants, GroupId, GroupPath, GroupRef,
    Holders, Invalid, Job, JobId, JobPush, Level, Link, Origin, Outbound, Permission, Permissions, ProjectId,
    ProjectPath, Role, RunnerId, Secret, Standing, Target, Token, User, UserId, Visibility,
};
use crate::request::{Bare, JobRequest, endpoints};

/// What a decision was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The request, as far as it decides: without its token, and of what it is without one only that there is such a thing.
    pub request: JobRequest,
    /// The facts.
    pub facts: Facts,
    /// The keys of those about targets that were looked up.
    pub looked_up: Vec<String>,
}

/// The evidence of an account; `None` where it does not hold it.
#[must_use]
pub fn evidence(account: &Value) -> Option<Evidence> {
    let evidence = account.get("evidence")?;
    let protocol = text(account, "protocol")?;
    let protocol = Protocol::ALL.into_iter().find(|known| known.name() == protocol)?;
    let accesses = list(evidence, "asked").map(access).collect::<Option<_>>()?;
    let mut request = JobRequest::new(Secret::new(b""), protocol, accesses);
    request.bare = flag(evidence, "bare").unwrap_or(false).then(|| Bare { path: None, headers: Vec::new() });
    let target = |one: &Value| Some((named(one.get("target")?)?, found(one.get("found")?)?));
    let targets = list(evidence, "targets").map(target).collect::<Option<_>>()?;
    let dependencies = list(evidence, "dependencies").map(|job| job.as_u64().map(JobId)).collect::<Option<_>>()?;
    let token = match account.get("token") {
        Some(known) => Some(token(text(known, "state")?, account)?),
        None => None,
    };
    let looked_up = list(evidence, "looked_up").map(|key| key.as_str().map(String::from)).collect::<Option<_>>()?;
    Some(Evidence { request, facts: Facts { token, targets, dependencies }, looked_up })
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn number(object: &Value, name: &str) -> Option<u64> {
    object.get(name)?.as_u64()
}

fn flag(object: &Value, name: &str) -> Option<bool> {
    object.get(name)?.as_bool()
}

fn list<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn path(text: &str) -> Option<ProjectPath> {
    ProjectPath::parse(text)
}

/// What may be left out; in it `None` where it is. `None` where something else stands there.
fn if_there<T>(object: &Value, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    object.get(name).map_or(Some(None), |value| read(value).map(Some))
}

fn token(state: &str, account: &Value) -> Option<Token> {
    Some(match state {
        "running" => Token::Running(job(account)?),
        "ended" => Token::Ended(job(account)),
        "forgotten" => Token::Forgotten,
        other => Token::Invalid(Invalid::named(other)?),
    })
}

fn job(account: &Value) -> Option<Job> {
    let (job, origin) = (account.get("job")?, account.get("origin")?);
    let known = |name| text(job, name).map(String::from);
    let user = |user: &Value| Some(User { id: UserId(number(user, "id")?), name: text(user, "name")?.to_string() });
    let on_behalf_of = account.get("user").and_then(|user| number(user, "on_behalf_of")).map(UserId);
    let context = Context {
        git_ref: known("ref"),
        protected: flag(job, "protected"),
        environment: known("environment"),
        source: known("source"),
        fork: flag(job, "fork"),
        on_behalf_of,
        runner: number(job, "runner").map(RunnerId),
        credential: if_there(job, "credential", |name| Credential::named(name.as_str()?))?.unwrap_or_default(),
        until: None,
    };
    let origin = Origin { id: ProjectId(number(origin, "id")?), path: path(text(origin, "path")?)? };
    Some(Job { id: JobId(number(job, "id")?), user: if_there(account, "user", user)?, origin, context })
}

fn access(value: &Value) -> Option<Access> {
    let name = text(value, "action")?;
    let (action, _, _) = Action::ALL.iter().find(|(_, known, _)| *known == name)?;
    let open: Vec<Feature> = list(value, "open").map(|part| feature(part.as_str()?)).collect::<Option<_>>()?;
    let least = if_there(value, "least", |least| Role::named(least.as_str()?))?.unwrap_or(Role::None);
    Some(Access { open: lists(&open)?, least, ..Access::new(*action, named(value.get("target")?)?) })
}

/// The same features as the table of endpoints names them.
fn lists(open: &[Feature]) -> Option<&'static [Feature]> {
    if open.is_empty() { Some(&[]) } else { endpoints().map(|one| one.open).find(|known| *known == open) }
}

fn feature(part: &str) -> Option<Feature> {
    Feature::ALL.iter().find(|(feature, _)| feature.part() == part).map(|(feature, _)| *feature)
}

fn named(value: &Value) -> Option<TargetRef> {
    if let Some(word) = value.as_str() {
        return match word {
            "none" => Some(TargetRef::None),
            "own" => Some(TargetRef::Own),
            _ => None,
        };
    }
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "job" => TargetRef::Job(JobId(value.as_u64()?)),
        "project_of_job" => TargetRef::ProjectOfJob(JobId(value.as_u64()?)),
        "path" => TargetRef::Path(path(value.as_str()?)?),
        "id" => TargetRef::Id(ProjectId(value.as_u64()?)),
        "image" => {
            let paths: Option<Vec<ProjectPath>> = value.as_array()?.iter().map(|one| path(one.as_str()?)).collect();
            TargetRef::Image(paths?.into())
        }
        "group" => TargetRef::Group(GroupPath::parse(value.as_str()?)?),
        "held" => TargetRef::Held(held(value)?.into()),
        _ => return None,
    })
}

fn held(value: &Value) -> Option<Holding> {
    let group = |name| GroupPath::parse(text(value, name)?);
    let group = (group("group").map(GroupRef::Path))
        .or_else(|| group("namespace").map(GroupRef::Namespace))
        .or_else(|| number(value, "group_id").map(|id| GroupRef::Id(GroupId(id))))?;
    let package = || {
        let name = text(value, "registry")?;
        let (registry, _) = Registry::ALL.iter().find(|(_, known)| *known == name)?;
        let names: Vec<String> =
            list(value, "names").map(|name| name.as_str().map(String::from)).collect::<Option<_>>()?;
        Some(Package::new(*registry, names))
    };
    let sought = match text(value, "sought")? {
        "everything" => Sought::Everything,
        "owned" => Sought::Owned,
        "package" => Sought::Package(package()?),
        "file" => Sought::File(package()?),
        _ => return None,
    };
    Some(Holding { group, sought })
}

fn found(value: &Value) -> Option<Found> {
    if value.as_str() == Some("nothing") {
        return Some(Found::Nothing);
    }
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "project" => Found::Standing(standing(value)?),
        "holders" => {
            let all: Option<Vec<ProjectId>> = value.as_array()?.iter().map(|id| id.as_u64().map(ProjectId)).collect();
            Found::Holders(Holders::All(all?))
        }
        "too_many" => Found::Holders(Holders::TooMany(value.as_u64().map(ProjectId))),
        _ => return None,
    })
}

fn standing(value: &Value) -> Option<Standing> {
    let affiliation = match flag(value, "external") {
        Some(false) => Affiliation::Internal,
        Some(true) => Affiliation::External,
        None => Affiliation::LeftToForge,
    };
    let inbound = value.get("inbound")?;
    let admission = match inbound.as_str() {
        Some("own") => Admission::Own,
        Some("open") => Admission::Open,
        Some("unlisted") => Admission::Unlisted,
        Some("forge") => Admission::LeftToForge,
        Some(_) => return None,
        None => Admission::Listed(entry(inbound)?),
    };
    let closed = |feature: &Feature| {
        let level = |level: &Value| Level::named(level.as_str()?);
        value.get("closed").map_or(Some(None), |closed| if_there(closed, feature.part(), level))
    };
    let mut features = Features::OPEN;
    for (level, (feature, _)) in features.0.iter_mut().zip(Feature::ALL) {
        *level = closed(&feature)?.unwrap_or(*level);
    }
    let push = text(value, "push")?;
    let (job_push, _) = JobPush::ALL.into_iter().find(|(_, known)| *known == push)?;
    Some(Standing {
        role: if_there(value, "role", |role| Role::named(role.as_str()?))?,
        affiliation,
        admission,
        outbound: if flag(value, "outbound")? { Outbound::Open } else { Outbound::Unlisted },
        target: Target {
            id: number(value, "id").map(ProjectId),
            path: if_there(value, "path", |one| path(one.as_str()?))?,
            visibility: if_there(value, "visibility", |one| Visibility::named(one.as_str()?))?,
            features,
            job_push,
            public_jobs: flag(value, "public_jobs")?,
            archived: flag(value, "archived")?,
        },
    })
}

fn entry(value: &Value) -> Option<Entry> {
    let link = match text(value, "names")? {
        "project" => Link::Project,
        "group" => Link::Group,
        _ => return None,
    };
    let permission = |name: &Value| Permission::named(name.as_str()?);
    let only = |list: &Value| list.as_array()?.iter().map(permission).collect::<Option<Vec<_>>>();
    let grants = if_there(value, "permissions", only)?;
    Some(Entry { link, grants: grants.map_or(Grants::Default, |all| Grants::Only(Permissions::of(&all))) })
}
