//! The rows that decide. Each looks at one job, one target and one thing asked, and answers or stands aside; the first
//! that answers is the verdict, and the last always answers. No HTTP is known here.

use crate::coded::coded;
use crate::facts::{Admission, Affiliation, Feature, Job, JobPush, Level, Role, Standing, User, Visibility};
use crate::request::{Access, Action, TargetRef};

coded! {
    /// Why a decision fell as it did.
    Reason {
        OwnJob "own-job" "the job asks about itself"
        OwnProject "own-project" "the target is the job's own project"
        Listed "allowlist.project" "the target's allowlist names the job's project"
        GroupListed "allowlist.group" "the target's allowlist names a group of the job's project"
        NotLimited "allowlist.off" "the target does not limit access by job tokens"
        Anonymous "anonymous-read" "everybody who may see the target may read this"
        Login "login" "nothing is asked but whether the token is valid"
        TokenUnknown "token.unknown" "no running job has this token"
        TokenEnded "token.ended" "the job of this token has ended"
        UserRefused "user.refused" "the forge refuses the user of this job"
        TargetUnknown "target.unknown" "there is no such project"
        ManyTargets "target.many" "this asks for packages of more than one project; ask the project's own endpoint"
        ForeignJob "job.foreign" "the token belongs to another job"
        NeverForJobs "action.never" "no job token may do this"
        Stripped "unlisted.stripped" "the request goes on without its token, as an anonymous visitor's"
        TokenInBody "unlisted.token-in-body" "no job token is for this endpoint, and one in a body cannot be removed"
        PushOff "push.off" "the project does not let its jobs push code"
        PushElsewhere "push.elsewhere" "jobs push code to their own project only"
        ImageElsewhere "image.elsewhere" "jobs push and delete images in their own project only"
        OwnOnly "own-only" "jobs do this in their own project only"
        NoUser "job.no-user" "nobody stands behind this job, so it reads its own sources and nothing else"
        NotListed "allowlist.missing" "the target's allowlist does not name the job's project"
        FeatureOff "feature.off" "this part of the target is switched off"
        NotMember "role.none" "the job's user is not a member of the target"
        RoleTooLow "role.too-low" "the job's user has too low a role in the target"
        ExternalTooLow "role.external" "an external user needs at least the role Reporter"
        NothingMatched "nothing-matched" "no rule allows this"
    }
}

/// What an action needs of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Which part of the project it uses.
    pub feature: Feature,
    /// The least role of the job's user.
    pub role: Role,
    /// Whether whoever may see the project may do it too.
    pub open: Open,
    /// Where a job may do it.
    pub reach: Reach,
}

/// Whether whoever may see a project may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It is on the fixed list of anonymous reads.
    ToAnybody,
    /// It needs a role.
    ToMembers,
}

/// Where a job may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In every project that admits it.
    Admitted,
    /// In its own project, as far as its user may.
    Own,
    /// In its own project, whatever its user's role there.
    OwnWhateverRole,
    /// In every project that admits it, and in its own whatever the role.
    AdmittedOrOwn,
    /// Code is pushed to the own project, and only where it says so.
    OwnIfSet,
    /// Its sources: the one thing that a job without a user may read, in its own project.
    Sources,
    /// Nowhere.
    Never,
    /// The job itself.
    Itself,
    /// Nothing is asked of a project.
    Nothing,
}

/// What each action needs. Source: GitLab's documentation of roles and of CI job tokens.
#[must_use]
pub fn need(action: Action) -> Need {
    use Action as A;
    let need = |feature, role, open, reach| Need { feature, role, open, reach };
    let read = |feature, role| need(feature, role, Open::ToAnybody, Reach::Admitted);
    let write = |feature, role| need(feature, role, Open::ToMembers, Reach::Admitted);
    match action {
        A::ReadCode | A::DownloadLfs | A::ReadDesign => {
            need(Feature::Repository, Role::Planner, Open::ToAnybody, Reach::Sources)
        }
        A::ReadWiki => read(Feature::Wiki, Role::Planner),
        A::WriteCode | A::UploadLfs | A::LockLfs => {
            need(Feature::Repository, Role::Developer, Open::ToMembers, Reach::OwnIfSet)
        }
        A::PullImage => need(Feature::Images, Role::Reporter, Open::ToAnybody, Reach::AdmittedOrOwn),
        A::PushImage | A::DeleteImage => need(Feature::Images, Role::None, Open::ToMembers, Reach::OwnWhateverRole),
        A::ReadRegistryApi => need(Feature::Images, Role::Reporter, Open::ToMembers, Reach::Own),
        A::DeleteRegistryApi => need(Feature::Images, Role::Developer, Open::ToMembers, Reach::Own),
        A::ReadRepository => read(Feature::Repository, Role::Reporter),
        A::ReadJobs | A::ReadArtifacts | A::DownloadOwnArtifact | A::ReadPipelines => {
            read(Feature::Builds, Role::Reporter)
        }
        A::WritePipelines | A::TriggerPipeline => write(Feature::Builds, Role::Developer),
        A::ReadMergeRequests => read(Feature::MergeRequests, Role::Reporter),
        A::ReadIssues => read(Feature::Issues, Role::Reporter),
        A::ReadReleases => read(Feature::Releases, Role::Reporter),
        A::WriteReleases => write(Feature::Releases, Role::Developer),
        A::ReadDeployments | A::ReadEnvironments => read(Feature::Environments, Role::Reporter),
        A::WriteDeployments | A::WriteEnvironments => write(Feature::Environments, Role::Developer),
        A::DeleteDeployments => write(Feature::Environments, Role::Maintainer),
        A::ReadSecureFiles | A::ReadTerraformState => write(Feature::Builds, Role::Developer),
        A::WriteSecureFiles | A::WriteTerraformState => write(Feature::Builds, Role::Maintainer),
        A::ReadPackages
        | A::ReadComposer
        | A::ReadConan
        | A::ReadDebian
        | A::ReadGeneric
        | A::ReadGo
        | A::ReadHelm
        | A::ReadMaven
        | A::ReadModel
        | A::ReadNpm
        | A::ReadNuget
        | A::ReadPypi
        | A::ReadRpm
        | A::ReadGem
        | A::ReadTerraform => read(Feature::Packages, Role::Reporter),
        A::PublishComposer
        | A::PublishConan
        | A::PublishDebian
        | A::PublishGeneric
        | A::PublishHelm
        | A::PublishMaven
        | A::PublishModel
        | A::PublishNpm
        | A::PublishNuget
        | A::PublishPypi
        | A::PublishRpm
        | A::PublishGem
        | A::PublishTerraform => write(Feature::Packages, Role::Developer),
        A::DeletePackages => write(Feature::Packages, Role::Maintainer),
        A::ReadOwnJob | A::UpdateJob | A::TraceJob | A::UploadArtifact => {
            need(Feature::Builds, Role::None, Open::ToMembers, Reach::Itself)
        }
        A::RegistryLogin => need(Feature::Images, Role::None, Open::ToMembers, Reach::Nothing),
        A::LoginConan => need(Feature::Packages, Role::None, Open::ToMembers, Reach::Nothing),
        A::WriteWiki
        | A::WriteDesign
        | A::Snippet
        | A::GoGet
        | A::Catalog
        | A::RegistryToken
        | A::DependencyProxy
        | A::Unlisted => need(Feature::Repository, Role::Owner, Open::ToMembers, Reach::Never),
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The job that asks.
    pub job: &'a Job,
    /// What it asks, of whom.
    pub access: &'a Access,
    /// What the action needs.
    pub need: Need,
    /// The target as seen from the job, where the action has one; `None` when no such project is there.
    pub standing: Option<&'a Standing>,
}

/// A rule's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow(Reason),
    /// It may not.
    Deny(Reason),
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The rule's name in logs and documentation.
    pub id: &'static str,
    /// What it says, in a sentence.
    pub doc: &'static str,
    /// Its answer; `None` when it does not apply.
    judge: fn(&Question<'_>) -> Option<Verdict>,
}

/// The rows, in the order in which they are asked.
pub const RULES: &[Rule] = &[
    Rule {
        id: "login",
        doc: "A login to the image registry or to Conan's asks for nothing, and a running job's token is valid.",
        judge: login,
    },
    Rule {
        id: "own-job",
        doc: "A job reads itself, and its runner reports on it; a token never serves another job's routes.",
        judge: own_job,
    },
    Rule {
        id: "never-for-jobs",
        doc: "Some things are never a job's: writing wikis, snippets, the image catalog, a registry token for everything its user has, the dependency proxy, endpoints that take no job token.",
        judge: never_for_jobs,
    },
    Rule {
        id: "one-target",
        doc: "A job asks one project at a time: what a group, a namespace or the whole instance would find is denied.",
        judge: one_target,
    },
    Rule { id: "target-exists", doc: "What is not there cannot be asked for.", judge: target_exists },
    Rule { id: "feature-on", doc: "A part of a project that is switched off serves nobody.", judge: feature_on },
    Rule {
        id: "push-own-code",
        doc: "A job pushes code to its own project only, and only where the project lets its jobs push.",
        judge: push_own_code,
    },
    Rule {
        id: "own-project-only",
        doc: "Images are pushed and deleted, and the registry's API is used, in the job's own project only.",
        judge: own_project_only,
    },
    Rule {
        id: "no-user",
        doc: "A job without a user reads the sources of its own project and nothing else.",
        judge: no_user,
    },
    Rule {
        id: "own-registry",
        doc: "A job pulls, pushes and deletes images in its own project whatever its user's role there.",
        judge: own_registry,
    },
    Rule {
        id: "inbound",
        doc: "A target that limits access admits its own jobs and those that its allowlist names. Others get the anonymous reads of a public or internal target, and nothing that a role gives.",
        judge: inbound,
    },
    Rule {
        id: "external",
        doc: "An external user needs at least Reporter, also on internal projects. Administrators count by membership alone.",
        judge: external,
    },
    Rule {
        id: "role",
        doc: "The job's user needs the role that the action needs, unless it is an anonymous read that everybody has who may see the target.",
        judge: role,
    },
    Rule { id: "nothing-matched", doc: "Nothing is allowed that no rule allows.", judge: nothing_matched },
];

/// A verdict and the row that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// The answer.
    pub verdict: Verdict,
    /// The row's place in [`RULES`]; every row before it was tried and stood aside.
    pub rule: usize,
}

/// The first row that answers.
#[must_use]
pub fn judge(question: &Question<'_>) -> Ruling {
    let answered =
        RULES.iter().enumerate().find_map(|(rule, row)| (row.judge)(question).map(|verdict| Ruling { verdict, rule }));
    answered.unwrap_or(Ruling { verdict: Verdict::Deny(Reason::NothingMatched), rule: RULES.len() })
}

/// Whether the job's user could see the target without any job: only then may an answer tell that it is there.
#[must_use]
pub fn may_know(user: Option<&User>, standing: &Standing) -> bool {
    match (user, standing.target.visibility) {
        (_, Visibility::Public) => true,
        (None, Visibility::Internal | Visibility::Private) => false,
        (Some(_), _) if standing.role >= Role::Guest => true,
        (Some(_), Visibility::Internal) => standing.affiliation == Affiliation::Internal,
        (Some(_), Visibility::Private) => false,
    }
}

fn login(q: &Question<'_>) -> Option<Verdict> {
    (q.need.reach == Reach::Nothing).then_some(Verdict::Allow(Reason::Login))
}

fn own_job(q: &Question<'_>) -> Option<Verdict> {
    let is_own = match &q.access.target {
        TargetRef::Own => true,
        TargetRef::Job(job) => *job == q.job.id,
        TargetRef::None
        | TargetRef::ProjectOfJob(_)
        | TargetRef::Path(_)
        | TargetRef::Id(_)
        | TargetRef::Image(_)
        | TargetRef::Group(_)
        | TargetRef::GroupId(_)
        | TargetRef::Namespace(_) => false,
    };
    let verdict = if is_own { Verdict::Allow(Reason::OwnJob) } else { Verdict::Deny(Reason::ForeignJob) };
    (q.need.reach == Reach::Itself).then_some(verdict)
}

fn never_for_jobs(q: &Question<'_>) -> Option<Verdict> {
    (q.need.reach == Reach::Never).then_some(Verdict::Deny(Reason::NeverForJobs))
}

/// The forge would look inside by a package's name, with the user's rights and past every allowlist that we can see.
fn one_target(q: &Question<'_>) -> Option<Verdict> {
    (!q.access.target.is_single()).then_some(Verdict::Deny(Reason::ManyTargets))
}

fn target_exists(q: &Question<'_>) -> Option<Verdict> {
    q.standing.is_none().then_some(Verdict::Deny(Reason::TargetUnknown))
}

fn feature_on(q: &Question<'_>) -> Option<Verdict> {
    let level = q.standing?.target.features.level(q.need.feature);
    (level == Level::Disabled).then_some(Verdict::Deny(Reason::FeatureOff))
}

fn is_own(q: &Question<'_>) -> bool {
    q.standing.is_some_and(|standing| standing.admission == Admission::Own)
}

fn push_own_code(q: &Question<'_>) -> Option<Verdict> {
    let push = q.standing?.target.job_push;
    let denied =
        if !is_own(q) { Some(Reason::PushElsewhere) } else { (push == JobPush::Off).then_some(Reason::PushOff) };
    denied.filter(|_| q.need.reach == Reach::OwnIfSet).map(Verdict::Deny)
}

fn own_project_only(q: &Question<'_>) -> Option<Verdict> {
    let elsewhere = [(Reach::OwnWhateverRole, Reason::ImageElsewhere), (Reach::Own, Reason::OwnOnly)];
    let (_, reason) = elsewhere.into_iter().find(|(reach, _)| *reach == q.need.reach)?;
    (!is_own(q)).then_some(Verdict::Deny(reason))
}

fn no_user(q: &Question<'_>) -> Option<Verdict> {
    match (&q.job.user, q.need.reach) {
        (Some(_), _) => None,
        (None, Reach::Sources) if is_own(q) => Some(Verdict::Allow(Reason::OwnProject)),
        (None, _) => Some(Verdict::Deny(Reason::NoUser)),
    }
}

fn own_registry(q: &Question<'_>) -> Option<Verdict> {
    let whatever_role = matches!(q.need.reach, Reach::OwnWhateverRole | Reach::AdmittedOrOwn);
    (whatever_role && is_own(q)).then_some(Verdict::Allow(Reason::OwnProject))
}

fn inbound(q: &Question<'_>) -> Option<Verdict> {
    let standing = q.standing?;
    match standing.admission {
        Admission::Own | Admission::Project | Admission::Group | Admission::Open => None,
        Admission::Unlisted if is_open_read(q, standing) => Some(Verdict::Allow(Reason::Anonymous)),
        Admission::Unlisted => Some(Verdict::Deny(Reason::NotListed)),
    }
}

/// Whether whoever may see the target may do this: an anonymous read of a public target, or of an internal one by a
/// user who is not external. A feature that is kept to members is open to nobody else, also on a public target.
fn is_open_read(q: &Question<'_>, standing: &Standing) -> bool {
    let sees = match standing.target.visibility {
        Visibility::Public => true,
        Visibility::Internal => q.job.user.is_some() && standing.affiliation == Affiliation::Internal,
        Visibility::Private => false,
    };
    sees && q.need.open == Open::ToAnybody && standing.target.features.level(q.need.feature) == Level::Enabled
}

fn external(q: &Question<'_>) -> Option<Verdict> {
    let standing = q.standing?;
    let is_too_low =
        standing.affiliation == Affiliation::External && standing.role < Role::Reporter && !is_open_read(q, standing);
    is_too_low.then_some(Verdict::Deny(if standing.role == Role::None {
        Reason::NotMember
    } else {
        Reason::ExternalTooLow
    }))
}

fn role(q: &Question<'_>) -> Option<Verdict> {
    let standing = q.standing?;
    if standing.role >= q.need.role {
        return Some(Verdict::Allow(admitted(standing.admission)));
    }
    if is_open_read(q, standing) {
        return Some(Verdict::Allow(Reason::Anonymous));
    }
    Some(Verdict::Deny(if standing.role == Role::None { Reason::NotMember } else { Reason::RoleTooLow }))
}

fn admitted(admission: Admission) -> Reason {
    match admission {
        Admission::Own => Reason::OwnProject,
        Admission::Project => Reason::Listed,
        Admission::Group => Reason::GroupListed,
        Admission::Open => Reason::NotLimited,
        Admission::Unlisted => Reason::NothingMatched,
    }
}

fn nothing_matched(_: &Question<'_>) -> Option<Verdict> {
    Some(Verdict::Deny(Reason::NothingMatched))
}

#[cfg(test)]
mod tests;
