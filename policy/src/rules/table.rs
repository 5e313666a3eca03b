//! The rows, and how each judges.

use super::Answer::{Aside, Left};
use super::{Answer, Denials, Effect, Entries, Held, Needed, Open, Question, Reach, Reason, Rule, Verdict};
use crate::access::{Sought, TargetRef};
use crate::choices::{DependencyProxy, KubernetesAgent, PackageIndexes};
use crate::facts::{
    Admission, Affiliation, Feature, Grants, JobPush, Level, Link, Outbound, Role, Standing, Version, Visibility,
};

const fn allow(reason: Reason) -> Answer {
    Answer::Verdict(Verdict::Allow(reason))
}

const fn deny(reason: Reason) -> Answer {
    Answer::Verdict(Verdict::Deny(reason))
}

/// The rows, in the order in which they are asked.
pub const RULES: &[Rule] = &[
    Rule {
        id: "login",
        doc: "A login to the image registry or to Conan's asks for nothing, and a running job's token is valid; so is it for what everybody gets.",
        aside: "more is asked than a login",
        denials: Denials::Fundamental,
        judge: login,
    },
    Rule {
        id: "own-job",
        doc: "A job reads itself, and its runner reports on it; a token never serves another job's routes.",
        aside: "this is not about a job itself",
        denials: Denials::Fundamental,
        judge: own_job,
    },
    Rule {
        id: "never-for-jobs",
        doc: "Some things are never a job's: writing wikis, snippets, the image catalog, a registry token for everything its user has, endpoints that take no job token. Nor is the dependency proxy or the Kubernetes agent, unless the configuration lets jobs use it.",
        aside: "jobs may do this somewhere",
        denials: Denials::Fundamental,
        judge: never_for_jobs,
    },
    Rule {
        id: "one-target",
        doc: "A job reads packages of a group or a namespace where every project that holds what it asks for lets it; what no project of the group holds the forge answers, but not what is an owner's own. It is denied where more projects hold it than are looked at, where they are not looked up, and for an index unless the configuration lets jobs ask for one. Everything else is asked of one project.",
        aside: "one project is asked, or every one that holds this is",
        denials: Denials::Fundamental,
        judge: one_target,
    },
    Rule {
        id: "target-exists",
        doc: "What is not there cannot be asked for, but for what the forge named as the job's dependency.",
        aside: "the target is there",
        denials: Denials::Fundamental,
        judge: target_exists,
    },
    Rule {
        id: "configured-deny",
        doc: "What the configuration denies is denied, whatever else would allow it, also in the own project.",
        aside: "the configuration does not deny this",
        denials: Denials::Observable,
        judge: configured_deny,
    },
    Rule {
        id: "configured-limit",
        doc: "Where the configuration sets a ceiling, nothing above it is allowed, also in the own project.",
        aside: "no ceiling of the configuration lies below this",
        denials: Denials::Observable,
        judge: configured_limit,
    },
    Rule {
        id: "dependency-proxy",
        doc: "Where jobs use the dependency proxy, they log in to it, and pull through the groups above their own project. Whether the job's user may do that the forge checks. For the configuration's rules this is done in the own project.",
        aside: "the dependency proxy is not asked",
        denials: Denials::Observable,
        judge: dependency_proxy,
    },
    Rule {
        id: "kubernetes-agent",
        doc: "Where jobs use the Kubernetes agent, a running job does. Which agents its project may use their server checks. For the configuration's rules this is done in the own project.",
        aside: "no Kubernetes agent is asked",
        denials: Denials::Observable,
        judge: kubernetes_agent,
    },
    Rule {
        id: "configured-outbound",
        doc: "Where the configuration says to which targets an origin's jobs may go, they go to no other but their own project.",
        aside: "the configuration does not keep the origin to other targets",
        denials: Denials::Observable,
        judge: configured_outbound,
    },
    Rule {
        id: "feature-on",
        doc: "A part of a project that is switched off serves nobody. Where the repository is off or kept to members, so are the parts that work on code: merge requests, builds, environments and wikis, but for public wikis; where it is off, so are images. Where builds are, so are environments.",
        aside: "this part of the target is on",
        denials: Denials::Observable,
        judge: feature_on,
    },
    Rule {
        id: "archived",
        doc: "A project that is archived, or about to be deleted, takes no changes.",
        aside: "this changes nothing, or the target takes changes",
        denials: Denials::Observable,
        judge: archived,
    },
    Rule {
        id: "push-code",
        doc: "A job pushes code to its own project, where that lets its jobs push. It pushes elsewhere only where the target lets other jobs push too, limits access, and has an entry for the origin that grants it.",
        aside: "no code is pushed, or the target lets the job push",
        denials: Denials::Observable,
        judge: push_code,
    },
    Rule {
        id: "own-project-only",
        doc: "Images are pushed and deleted, and the registry's API is used, in the job's own project only.",
        aside: "the target is the own project, or this is done elsewhere too",
        denials: Denials::Observable,
        judge: own_project_only,
    },
    Rule {
        id: "no-user",
        doc: "A job without a user reads the sources of its own project and nothing else.",
        aside: "a user stands behind the job",
        denials: Denials::Observable,
        judge: no_user,
    },
    Rule {
        id: "own-registry",
        doc: "A job pulls, pushes and deletes images in its own project whatever its user's role there.",
        aside: "these are no images of the own project",
        denials: Denials::Observable,
        judge: own_registry,
    },
    Rule {
        id: "dependency",
        doc: "A runner gets the artifacts that the forge named when it handed the job out, also those of a project that the lookup does not find by a job's number (`needs:project`). The forge checks it when it names them, and when they are asked for.",
        aside: "the forge did not name this as the job's dependency, or the target is known",
        denials: Denials::Observable,
        judge: dependency,
    },
    Rule {
        id: "outbound",
        doc: "An origin that limits where its jobs go lets them reach those private targets that it names, and its own.",
        aside: "the origin is not known to keep its jobs from the target",
        denials: Denials::Observable,
        judge: outbound,
    },
    Rule {
        id: "inbound",
        doc: "A target that limits access admits its own jobs and those that its allowlist names. Others get the anonymous reads of a public or internal target, and nothing that a role gives; of the API, from GitLab 18.3 on, those endpoints alone that the parts of the target open.",
        aside: "the target admits the origin",
        denials: Denials::Observable,
        judge: inbound,
    },
    Rule {
        id: "entry",
        doc: "An entry that grants single permissions lets pass what needs one of them. Of the entries for the origin the nearest counts alone: its own, else that of the nearest group.",
        aside: "no entry limits this to single permissions, or it grants the one that this needs",
        denials: Denials::Observable,
        judge: entry,
    },
    Rule {
        id: "external",
        doc: "An external user needs at least Reporter, also on internal projects. Administrators count by membership alone.",
        aside: "the user is not external, or has a role that suffices",
        denials: Denials::Observable,
        judge: external,
    },
    Rule {
        id: "role",
        doc: "The job's user needs the role that the action needs, unless it is an anonymous read that everybody has who may see the target.",
        aside: "the role decides nothing",
        denials: Denials::Observable,
        judge: role,
    },
    Rule {
        id: "left-to-forge",
        doc: "What no rule denied, and what the configuration leaves to the forge to check, goes on to the forge.",
        aside: "nothing is left to the forge",
        denials: Denials::Fundamental,
        judge: left_to_forge,
    },
    Rule {
        id: "nothing-matched",
        doc: "Nothing is allowed that no rule allows.",
        aside: "a rule answered",
        denials: Denials::Fundamental,
        judge: nothing_matched,
    },
];

fn login(q: &Question<'_>) -> Answer {
    if q.need.reach == Reach::Nothing { allow(Reason::Login) } else { Aside }
}

fn own_job(q: &Question<'_>) -> Answer {
    let is_own = match &q.access.target {
        TargetRef::Own => true,
        TargetRef::Job(job) => *job == q.job.id,
        TargetRef::None
        | TargetRef::ProjectOfJob(_)
        | TargetRef::Path(_)
        | TargetRef::Id(_)
        | TargetRef::Image(_)
        | TargetRef::Group(_)
        | TargetRef::Held(_) => false,
    };
    match () {
        () if q.need.reach != Reach::Itself => Aside,
        () if is_own => allow(Reason::OwnJob),
        () => deny(Reason::ForeignJob),
    }
}

fn never_for_jobs(q: &Question<'_>) -> Answer {
    match () {
        () if q.need.reach == Reach::Never => deny(Reason::NeverForJobs),
        () if q.need.reach == Reach::AboveOrigin && q.dependency_proxy == DependencyProxy::Off => {
            deny(Reason::ProxyOff)
        }
        () if q.need.reach == Reach::Agents && q.kubernetes_agent == KubernetesAgent::Off => deny(Reason::AgentOff),
        () => Aside,
    }
}

/// The forge would look inside by a package's name, with the user's rights and past every allowlist that we can see.
fn one_target(q: &Question<'_>) -> Answer {
    match (&q.access.target, q.held) {
        _ if q.access.target.is_single() || !asks_project(q) => Aside,
        (TargetRef::Held(_), Held::ByEach) => Aside,
        (TargetRef::Held(_), Held::ByTooMany) => deny(Reason::TooManyHolders),
        // By a file's name one cannot tell; and what is an owner's own is there without any project.
        (TargetRef::Held(holding), Held::ByNobody) if matches!(holding.sought, Sought::File(_) | Sought::Owned) => {
            Aside
        }
        (TargetRef::Held(_), Held::ByNobody) => allow(Reason::HeldByNobody),
        (TargetRef::Held(holding), Held::Unknown)
            if matches!(holding.sought, Sought::Everything | Sought::Owned)
                && q.package_indexes == PackageIndexes::Deny
                && is_read(q) =>
        {
            deny(Reason::IndexOff)
        }
        _ => deny(Reason::ManyTargets),
    }
}

fn is_read(q: &Question<'_>) -> bool {
    q.need.effect == Effect::Read
}

fn target_exists(q: &Question<'_>) -> Answer {
    if q.standing.is_none() && asks_project(q) && !is_dependency(q) { deny(Reason::TargetUnknown) } else { Aside }
}

/// A dependency proxy is a group's, an agent is its server's to know, and no project is asked.
fn asks_project(q: &Question<'_>) -> bool {
    !matches!(q.need.reach, Reach::AboveOrigin | Reach::Agents)
}

fn configured_deny(q: &Question<'_>) -> Answer {
    match q.written.denied {
        Some(_) => deny(Reason::ConfiguredDeny),
        None if q.written.is_blind => deny(Reason::TargetUnnamed),
        None => Aside,
    }
}

fn configured_limit(q: &Question<'_>) -> Answer {
    if q.written.limited.is_some() { deny(Reason::ConfiguredLimit) } else { Aside }
}

fn dependency_proxy(q: &Question<'_>) -> Answer {
    match (&q.job.user, &q.access.target) {
        _ if q.need.reach != Reach::AboveOrigin => Aside,
        (None, _) => deny(Reason::NoUser),
        (Some(_), TargetRef::None) => allow(Reason::Login),
        (Some(_), TargetRef::Group(group)) if q.job.origin.path.is_below(group.as_str()) => allow(Reason::GroupAbove),
        (Some(_), _) => deny(Reason::ProxyElsewhere),
    }
}

fn kubernetes_agent(q: &Question<'_>) -> Answer {
    match &q.job.user {
        _ if q.need.reach != Reach::Agents => Aside,
        None => deny(Reason::NoUser),
        Some(_) => allow(Reason::Agent),
    }
}

fn configured_outbound(q: &Question<'_>) -> Answer {
    if q.written.kept.is_some() && !is_own(q) { deny(Reason::ConfiguredReach) } else { Aside }
}

fn feature_on(q: &Question<'_>) -> Answer {
    if level(q) == Some(Level::Disabled) { deny(Reason::FeatureOff) } else { Aside }
}

/// How far the part that is used is open; what hangs on no part is as open as the project.
fn level(q: &Question<'_>) -> Option<Level> {
    q.standing.map(|standing| q.need.feature.map_or(Level::Enabled, |feature| standing.target.level(feature)))
}

fn archived(q: &Question<'_>) -> Answer {
    let is_archived = q.standing.is_some_and(|standing| standing.target.archived);
    if is_archived && q.need.effect == Effect::Write { deny(Reason::Archived) } else { Aside }
}

fn is_own(q: &Question<'_>) -> bool {
    q.standing.is_some_and(|standing| standing.admission == Admission::Own)
}

fn push_code(q: &Question<'_>) -> Answer {
    let Some(standing) = q.standing.filter(|_| q.need.reach == Reach::WhereSet) else { return Aside };
    match (standing.target.job_push, standing.admission) {
        (JobPush::Own | JobPush::Admitted, Admission::Own) => Aside,
        (JobPush::Off, Admission::Own) => deny(Reason::PushOff),
        // What the entry grants is the matter of a later rule.
        (JobPush::Admitted, Admission::Listed(_)) => Aside,
        (JobPush::Admitted, Admission::Unlisted) => deny(Reason::NotListed),
        (JobPush::Off | JobPush::Own, _) | (JobPush::Admitted, Admission::Open | Admission::LeftToForge) => {
            deny(Reason::PushElsewhere)
        }
    }
}

fn own_project_only(q: &Question<'_>) -> Answer {
    let elsewhere = [(Reach::OwnWhateverRole, Reason::ImageElsewhere), (Reach::Own, Reason::OwnOnly)];
    match elsewhere.into_iter().find(|(reach, _)| *reach == q.need.reach) {
        Some((_, reason)) if !is_own(q) => deny(reason),
        Some(_) | None => Aside,
    }
}

fn no_user(q: &Question<'_>) -> Answer {
    match (&q.job.user, q.need.reach) {
        (Some(_), _) => Aside,
        (None, Reach::Sources) if is_own(q) => allow(Reason::OwnProject),
        (None, _) => deny(Reason::NoUser),
    }
}

fn own_registry(q: &Question<'_>) -> Answer {
    let whatever_role = matches!(q.need.reach, Reach::OwnWhateverRole | Reach::AdmittedOrOwn);
    if whatever_role && is_own(q) { allow(Reason::OwnProject) } else { Aside }
}

fn is_dependency(q: &Question<'_>) -> bool {
    matches!(&q.access.target, TargetRef::ProjectOfJob(job) if q.dependencies.contains(job))
}

fn dependency(q: &Question<'_>) -> Answer {
    if q.standing.is_none() && is_dependency(q) { allow(Reason::LeftToForge) } else { Aside }
}

fn outbound(q: &Question<'_>) -> Answer {
    let is_public = |visibility| matches!(visibility, Some(Visibility::Public | Visibility::Internal));
    match q.standing {
        Some(standing)
            if standing.outbound == Outbound::Unlisted && !is_own(q) && !is_public(standing.target.visibility) =>
        {
            deny(Reason::Outbound)
        }
        _ => Aside,
    }
}

/// Whether the origin is let in, by the forge's allowlist or by the configuration's.
fn is_admitted(q: &Question<'_>, standing: &Standing) -> bool {
    q.written.admitted.is_some()
        || match standing.admission {
            Admission::Own | Admission::Listed(_) | Admission::Open | Admission::LeftToForge => true,
            Admission::Unlisted => false,
        }
}

fn inbound(q: &Question<'_>) -> Answer {
    let Some(standing) = q.standing else { return Aside };
    match standing.admission {
        _ if !is_admitted(q, standing) && is_open_read(q, standing) && is_for_visitors(q) => allow(Reason::Anonymous),
        _ if !is_admitted(q, standing) => deny(Reason::NotListed),
        Admission::LeftToForge if q.written.admitted.is_none() => Left,
        Admission::Own | Admission::Listed(_) | Admission::Open | Admission::Unlisted | Admission::LeftToForge => Aside,
    }
}

fn entry(q: &Question<'_>) -> Answer {
    let Some(Admission::Listed(entry)) = q.standing.map(|standing| standing.admission) else { return Aside };
    let Grants::Only(granted) = entry.grants else { return Aside };
    match q.need.permission {
        _ if is_open_endpoint(q) => Aside,
        Needed::All(needed) if needed.iter().all(|one| granted.grant(*one)) => Aside,
        Needed::IfStrict(one) if q.entries == Entries::AsTheForge || granted.grant(one) => Aside,
        Needed::All(_) | Needed::IfStrict(_) => deny(Reason::EntryTooNarrow),
        Needed::NoneThere => deny(Reason::NoPermission),
    }
}

/// From when on the API serves no job that is not let in what it serves every visitor: with the permissions of entries.
const FINE_GRAINED: Version = Version(18, 3);

/// Whether what is open to visitors is open to a job that is not let in. Git, LFS and images ask for no permission.
fn is_for_visitors(q: &Question<'_>) -> bool {
    matches!(q.need.permission, Needed::IfStrict(_)) || q.version < FINE_GRAINED || is_open_endpoint(q)
}

/// Some endpoints are open to every job whose user may see the project, where the features that they use are open to
/// everybody.
fn is_open_endpoint(q: &Question<'_>) -> bool {
    q.standing.is_some_and(|standing| {
        let is_open = |feature: &Feature| standing.target.level(*feature) == Level::Enabled;
        is_seen(q, standing) && !q.access.open.is_empty() && q.access.open.iter().all(is_open)
    })
}

/// Whether the target is everybody's to see: a public one, or an internal one for a user who is not external. A target
/// of which it is not known who may see it is seen by nobody.
fn is_seen(q: &Question<'_>, standing: &Standing) -> bool {
    match standing.target.visibility {
        Some(Visibility::Public) => true,
        Some(Visibility::Internal) => q.job.user.is_some() && standing.affiliation == Affiliation::Internal,
        Some(Visibility::Private) | None => false,
    }
}

/// Whether whoever may see the target may do this. A feature that is kept to members is open to nobody else, also on a
/// public target.
fn is_open_read(q: &Question<'_>, standing: &Standing) -> bool {
    is_seen(q, standing) && q.need.open == Open::ToAnybody && level(q) == Some(Level::Enabled)
}

fn external(q: &Question<'_>) -> Answer {
    let Some(standing) = q.standing else { return Aside };
    match (standing.affiliation, standing.role) {
        (Affiliation::LeftToForge, _) | (Affiliation::External, None) => Left,
        (Affiliation::Internal, _) => Aside,
        (Affiliation::External, Some(role)) if role >= Role::Reporter || is_open_read(q, standing) => Aside,
        (Affiliation::External, Some(Role::None)) => deny(Reason::NotMember),
        (Affiliation::External, Some(_)) => deny(Reason::ExternalTooLow),
    }
}

fn role(q: &Question<'_>) -> Answer {
    let Some(standing) = q.standing else { return Aside };
    match standing.role {
        Some(role) if role >= q.need.role => allow(admitted(q, standing.admission)),
        _ if is_open_read(q, standing) => allow(Reason::Anonymous),
        Some(Role::None) => deny(Reason::NotMember),
        Some(_) => deny(Reason::RoleTooLow),
        None => Left,
    }
}

fn admitted(q: &Question<'_>, admission: Admission) -> Reason {
    match admission {
        Admission::Own => Reason::OwnProject,
        Admission::Listed(entry) if entry.link == Link::Project => Reason::Listed,
        Admission::Listed(_) => Reason::GroupListed,
        _ if q.written.admitted.is_some() => Reason::Configured,
        Admission::Open => Reason::NotLimited,
        // Behind the denial of who is not admitted, whether that was carried out or not.
        Admission::Unlisted => Reason::RoleSuffices,
        Admission::LeftToForge => Reason::LeftToForge,
    }
}

/// Only a fact that is left to the forge lets a question come so far: a role that is known was judged above.
fn left_to_forge(q: &Question<'_>) -> Answer {
    let is_left = q.standing.is_some_and(|standing| standing.role.is_none());
    if is_left { allow(Reason::LeftToForge) } else { Aside }
}

fn nothing_matched(_: &Question<'_>) -> Answer {
    deny(Reason::NothingMatched)
}
