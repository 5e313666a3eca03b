//! Written.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use crate::access::{Access, Holding, Sought, TargetRef};
use crate::config::Config;
use crate::decision::Facts;
use crate::facts::{
    Admission, Affiliation, Entry, Feature, Found, Grants, GroupRef, Holders, Level, Link, Outbound, Role, Standing,
};
use crate::request::JobRequest;

/// More is not written: what would be left out would decide, too.
const MOST_ASKED: usize = 16;

/// What a decision on this request was made from; `None` where too much is asked, or where it cannot be read, so that nothing
/// else decided.
pub(in crate::decision) fn write(config: &Config, request: &JobRequest, facts: &Facts) -> Option<Value> {
    let is_hoped = |at: usize| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
    if request.accesses.len() > MOST_ASKED || request.claim.malformed().is_some() {
        return None;
    }
    let asked: Vec<Value> =
        request.accesses.iter().enumerate().filter(|(at, _)| !is_hoped(*at)).map(|(_, one)| access(one)).collect();
    let targets: Vec<Value> =
        facts.targets.iter().map(|(target, known)| json!({"target": named(target), "found": found(known)})).collect();
    let dependencies: Vec<u64> = facts.dependencies.iter().map(|job| job.0).collect();
    Some(object([
        ("asked", Some(asked.into())),
        ("targets", Some(targets).filter(|all| !all.is_empty()).map(Value::from)),
        ("dependencies", Some(dependencies).filter(|all| !all.is_empty()).map(Value::from)),
        (
            "looked_up",
            Some(config.facts.looked_up().collect::<Vec<_>>()).filter(|all| !all.is_empty()).map(Value::from),
        ),
        ("bare", request.bare.is_some().then_some(Value::Bool(true))),
    ]))
}

/// An object of what is there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let known = members.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?)));
    Value::Object(known.collect::<Map<String, Value>>())
}

fn access(access: &Access) -> Value {
    let open: Vec<&str> = access.open.iter().map(|feature| feature.part()).collect();
    object([
        ("action", Some(json!(access.action.name()))),
        ("target", Some(named(&access.target))),
        ("open", Some(open).filter(|open| !open.is_empty()).map(Value::from)),
        ("least", Some(access.least).filter(|least| *least != Role::None).map(|least| json!(least.name()))),
    ])
}

fn named(target: &TargetRef) -> Value {
    match target {
        TargetRef::None => json!("none"),
        TargetRef::Own => json!("own"),
        TargetRef::Job(job) => json!({"job": job.0}),
        TargetRef::ProjectOfJob(job) => json!({"project_of_job": job.0}),
        TargetRef::Path(path) => json!({"path": path.as_str()}),
        TargetRef::Id(id) => json!({"id": id.0}),
        TargetRef::Image(paths) => json!({"image": paths.iter().map(|path| path.as_str()).collect::<Vec<_>>()}),
        TargetRef::Group(path) => json!({"group": path.as_str()}),
        TargetRef::Held(holding) => json!({"held": held(holding)}),
    }
}

fn held(holding: &Holding) -> Value {
    let (kind, package) = match &holding.sought {
        Sought::Everything => ("everything", None),
        Sought::Package(package) => ("package", Some(package)),
        Sought::File(package) => ("file", Some(package)),
    };
    let (of, group) = match &holding.group {
        GroupRef::Path(path) => ("group", json!(path.as_str())),
        GroupRef::Namespace(path) => ("namespace", json!(path.as_str())),
        GroupRef::Id(id) => ("group_id", json!(id.0)),
    };
    object([
        (of, Some(group)),
        ("sought", Some(json!(kind))),
        ("registry", package.map(|package| json!(package.registry.name()))),
        ("names", package.map(|package| json!(package.names()))),
    ])
}

fn found(found: &Found) -> Value {
    match found {
        Found::Nothing => json!("nothing"),
        Found::Standing(one) => json!({"project": standing(one)}),
        Found::Holders(Holders::All(projects)) => {
            json!({"holders": projects.iter().map(|id| id.0).collect::<Vec<_>>()})
        }
        Found::Holders(Holders::TooMany(one)) => json!({"too_many": one.map(|id| id.0)}),
    }
}

fn standing(standing: &Standing) -> Value {
    let target = &standing.target;
    let external = match standing.affiliation {
        Affiliation::Internal => Some(false),
        Affiliation::External => Some(true),
        Affiliation::LeftToForge => None,
    };
    let inbound = match standing.admission {
        Admission::Own => json!("own"),
        Admission::Open => json!("open"),
        Admission::Unlisted => json!("unlisted"),
        Admission::LeftToForge => json!("forge"),
        Admission::Listed(one) => entry(one),
    };
    // Most parts are on, and are left out.
    let closed = Feature::ALL.iter().zip(target.features.0).filter(|(_, level)| *level != Level::Enabled);
    let closed: Map<String, Value> =
        closed.map(|((feature, _), level)| (feature.part().to_string(), json!(level.name()))).collect();
    object([
        ("role", standing.role.map(|role| json!(role.name()))),
        ("external", external.map(Value::from)),
        ("inbound", Some(inbound)),
        ("outbound", Some(json!(standing.outbound == Outbound::Open))),
        ("id", target.id.map(|id| json!(id.0))),
        ("path", target.path.as_ref().map(|path| json!(path.as_str()))),
        ("visibility", target.visibility.map(|visibility| json!(visibility.name()))),
        ("closed", Some(closed).filter(|closed| !closed.is_empty()).map(Value::from)),
        ("push", Some(json!(target.job_push.name()))),
        ("public_jobs", Some(json!(target.public_jobs))),
        ("archived", Some(json!(target.archived))),
    ])
}

fn entry(entry: Entry) -> Value {
    let permissions = match entry.grants {
        Grants::Default => None,
        Grants::Only(permissions) => Some(json!(permissions.names().collect::<Vec<_>>())),
    };
    let names = if entry.link == Link::Project { "project" } else { "group" };
    object([("names", Some(json!(names))), ("permissions", permissions)])
}
