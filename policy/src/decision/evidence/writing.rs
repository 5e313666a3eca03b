//! Written.

use alloc::string::String;
use alloc::vec::Vec;

use crate::access::{Access, Holding, Sought, TargetRef};
use crate::config::Config;
use crate::decision::Facts;
use crate::facts::{
    Admission, Affiliation, Entry, Feature, Found, Grants, GroupRef, Holders, Level, Link, Outbound, Role, Standing,
};
use crate::json::{Json, List, Members, Object, Word, only};
use crate::request::JobRequest;

/// More is not written: what would be left out would decide, too.
const MOST_ASKED: usize = 16;

/// What a decision on this request was made from; `None` where too much is asked, or where it cannot be read, so that nothing
/// else decided.
pub(in crate::decision) fn write<'a>(
    config: &'a Config,
    request: &'a JobRequest,
    facts: &'a Facts,
) -> Option<impl Json + use<'a>> {
    let is_hoped = |at: usize| request.scopes.as_ref().is_some_and(|scopes| scopes.is_hoped(at));
    if request.accesses.len() > MOST_ASKED || request.claim.malformed().is_some() {
        return None;
    }
    let asked = request.accesses.iter().enumerate().filter(move |(at, _)| !is_hoped(*at)).map(|(_, one)| access(one));
    let targets = facts.targets.iter().map(|(target, found)| {
        Object(move |it: &mut Members<'_>| {
            it.put("found", found);
            it.put("target", target);
        })
    });
    let mut looked_up = config.facts.looked_up().peekable();
    Some(Object(move |it: &mut Members<'_>| {
        it.put("asked", List(asked));
        it.put_known("bare", request.bare.is_some().then_some(true));
        let dependencies = facts.dependencies.iter().map(|job| job.0);
        it.put_known("dependencies", (!facts.dependencies.is_empty()).then_some(List(dependencies)));
        it.put_known("looked_up", looked_up.peek().is_some().then_some(List(looked_up.map(Word))));
        it.put_known("targets", (!facts.targets.is_empty()).then_some(List(targets)));
    }))
}

fn access(access: &Access) -> impl Json {
    Object(move |it: &mut Members<'_>| {
        it.put("action", Word(access.action.name()));
        it.put_known("least", Some(Word(access.least.name())).filter(|_| access.least != Role::None));
        let open = access.open.iter().map(|feature| Word(feature.part()));
        it.put_known("open", (!access.open.is_empty()).then_some(List(open)));
        it.put("target", &access.target);
    })
}

impl Json for &TargetRef {
    fn write(self, text: &mut String) {
        match self {
            TargetRef::None => Word("none").write(text),
            TargetRef::Own => Word("own").write(text),
            TargetRef::Job(job) => only("job", job.0).write(text),
            TargetRef::ProjectOfJob(job) => only("project_of_job", job.0).write(text),
            TargetRef::Path(path) => only("path", path.as_str()).write(text),
            TargetRef::Id(id) => only("id", id.0).write(text),
            TargetRef::Image(paths) => only("image", List(paths.iter().map(|path| path.as_str()))).write(text),
            TargetRef::Group(path) => only("group", path.as_str()).write(text),
            TargetRef::Held(holding) => only("held", held(holding)).write(text),
        }
    }
}

fn held(holding: &Holding) -> impl Json {
    let (kind, package) = match &holding.sought {
        Sought::Everything => ("everything", None),
        Sought::Owned => ("owned", None),
        Sought::Package(package) => ("package", Some(package)),
        Sought::File(package) => ("file", Some(package)),
    };
    let (group, namespace, id) = match &holding.group {
        GroupRef::Path(path) => (Some(path.as_str()), None, None),
        GroupRef::Namespace(path) => (None, Some(path.as_str()), None),
        GroupRef::Id(id) => (None, None, Some(id.0)),
    };
    Object(move |it: &mut Members<'_>| {
        it.put_known("group", group);
        it.put_known("group_id", id);
        it.put_known("names", package.map(|package| List(package.names().iter().map(|name| &**name))));
        it.put_known("namespace", namespace);
        it.put_known("registry", package.map(|package| Word(package.registry.name())));
        it.put("sought", Word(kind));
    })
}

impl Json for &Found {
    fn write(self, text: &mut String) {
        match self {
            Found::Nothing => Word("nothing").write(text),
            Found::Standing(one) => only("project", standing(one)).write(text),
            Found::Holders(Holders::All(projects)) => {
                only("holders", List(projects.iter().map(|id| id.0))).write(text);
            }
            Found::Holders(Holders::TooMany(one)) => only("too_many", one.map(|id| id.0)).write(text),
        }
    }
}

fn standing(standing: &Standing) -> impl Json {
    let target = &standing.target;
    let external = match standing.affiliation {
        Affiliation::Internal => Some(false),
        Affiliation::External => Some(true),
        Affiliation::LeftToForge => None,
    };
    // Most parts are on, and are left out.
    let closed = Feature::ALL.iter().zip(target.features.0).filter(|(_, level)| *level != Level::Enabled);
    let mut closed: Vec<_> = closed.map(|((feature, _), level)| (feature.part(), level.name())).collect();
    closed.sort_unstable();
    Object(move |it: &mut Members<'_>| {
        it.put("archived", target.archived);
        let parts = |it: &mut Members<'_>| closed.iter().for_each(|(part, level)| it.put(part, Word(level)));
        it.put_known("closed", (!closed.is_empty()).then_some(Object(parts)));
        it.put_known("external", external);
        it.put_known("id", target.id.map(|id| id.0));
        it.put("inbound", standing.admission);
        it.put("outbound", standing.outbound == Outbound::Open);
        it.put_known("path", target.path.as_ref().map(|path| path.as_str()));
        it.put("public_jobs", target.public_jobs);
        it.put("push", Word(target.job_push.name()));
        it.put_known("role", standing.role.map(|role| Word(role.name())));
        it.put_known("visibility", target.visibility.map(|visibility| Word(visibility.name())));
    })
}

impl Json for Admission {
    fn write(self, text: &mut String) {
        match self {
            Admission::Own => Word("own").write(text),
            Admission::Open => Word("open").write(text),
            Admission::Unlisted => Word("unlisted").write(text),
            Admission::LeftToForge => Word("forge").write(text),
            Admission::Listed(one) => entry(one).write(text),
        }
    }
}

fn entry(entry: Entry) -> impl Json {
    let granted = match entry.grants {
        Grants::Default => None,
        Grants::Only(permissions) => Some(permissions),
    };
    Object(move |it: &mut Members<'_>| {
        it.put("names", Word(if entry.link == Link::Project { "project" } else { "group" }));
        it.put_known("permissions", granted.map(|granted| List(granted.names().map(Word))));
    })
}
