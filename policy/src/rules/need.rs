//! What each action needs of a job, its user and the target. Source: GitLab's documentation of roles and of CI job
//! tokens, and for the permissions of entries its list of endpoints.

use crate::access::{Access, Action};
use crate::facts::{Feature, Permission as P, Role, Target};

/// What an action needs of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Which part of the project it uses, where it hangs on one.
    pub feature: Option<Feature>,
    /// Whether it changes the project.
    pub effect: Effect,
    /// The least role of the job's user.
    pub role: Role,
    /// Whether whoever may see the project may do it too.
    pub open: Open,
    /// Where a job may do it.
    pub reach: Reach,
    /// What an entry that grants single permissions must grant.
    pub permission: Needed,
}

/// Whether something changes a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It reads.
    Read,
    /// It writes, which nobody does to an archived project.
    Write,
}

/// Whether whoever may see a project may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It is on the fixed list of anonymous reads.
    ToAnybody,
    /// It is on the list where the project's jobs are public, and is then every guest's.
    WithPublicJobs,
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
    /// Code is pushed where the project says so.
    WhereSet,
    /// Its sources: the one thing that a job without a user may read, in its own project.
    Sources,
    /// In the groups above its own project, where the configuration lets jobs do it at all.
    AboveOrigin,
    /// The agents that its own project may use, where the configuration lets jobs use them at all.
    Agents,
    /// Nowhere.
    Never,
    /// The job itself.
    Itself,
    /// Nothing is asked of a project.
    Nothing,
}

/// What an entry that grants single permissions must grant for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// All of these, and the forge asks for them.
    All(&'static [P]),
    /// The forge does not ask: Git, LFS, images and triggers pass whatever an entry grants. This is asked for where the
    /// configuration is stricter than the forge.
    IfStrict(P),
    /// No permission is for this, so such an entry never lets it pass.
    NoneThere,
}

/// What an access needs of this target: what its action does, and what its endpoint says beyond that.
#[must_use]
pub fn needed(access: &Access, target: Option<&Target>) -> Need {
    let need = need(access.action);
    let need = Need { role: need.role.max(access.least), ..need };
    match target.filter(|_| need.open == Open::WithPublicJobs) {
        Some(target) if target.public_jobs => {
            Need { open: Open::ToAnybody, role: Role::Guest.max(access.least), ..need }
        }
        Some(_) => Need { open: Open::ToMembers, ..need },
        None => need,
    }
}

/// What each action needs.
#[must_use]
pub fn need(action: Action) -> Need {
    use Action as A;
    let need = |feature, effect, role, open, reach, permission| {
        let feature = Some(feature);
        Need { feature, effect, role, open, reach, permission }
    };
    let read =
        |feature, role, permission| need(feature, Effect::Read, role, Open::ToAnybody, Reach::Admitted, permission);
    let write =
        |feature, role, permission| need(feature, Effect::Write, role, Open::ToMembers, Reach::Admitted, permission);
    let of_jobs = |permission| Need { open: Open::WithPublicJobs, ..read(Feature::Builds, Role::Reporter, permission) };
    let members_read = |need| Need { effect: Effect::Read, ..need };
    let whole_project = |need| Need { feature: None, ..need };
    match action {
        A::ReadCode | A::DownloadLfs | A::GoGet => need(
            Feature::Repository,
            Effect::Read,
            Role::Planner,
            Open::ToAnybody,
            Reach::Sources,
            Needed::IfStrict(P::ReadRepositories),
        ),
        A::ReadDesign => read(Feature::Repository, Role::Planner, Needed::IfStrict(P::ReadRepositories)),
        A::ReadWiki => read(Feature::Wiki, Role::Planner, Needed::IfStrict(P::ReadRepositories)),
        A::WriteCode | A::UploadLfs | A::LockLfs => need(
            Feature::Repository,
            Effect::Write,
            Role::Developer,
            Open::ToMembers,
            Reach::WhereSet,
            Needed::All(&[P::AdminRepositories]),
        ),
        A::PullImage => need(
            Feature::Images,
            Effect::Read,
            Role::Reporter,
            Open::ToAnybody,
            Reach::AdmittedOrOwn,
            Needed::IfStrict(P::ReadContainers),
        ),
        A::PushImage | A::DeleteImage => {
            need(Feature::Images, Effect::Write, Role::None, Open::ToMembers, Reach::OwnWhateverRole, Needed::NoneThere)
        }
        A::ReadFirewall => Need {
            feature: None,
            ..need(Feature::Packages, Effect::Read, Role::Reporter, Open::ToMembers, Reach::Own, Needed::NoneThere)
        },
        A::ReadRegistryApi => {
            need(Feature::Images, Effect::Read, Role::Reporter, Open::ToMembers, Reach::Own, Needed::NoneThere)
        }
        A::DeleteRegistryApi => {
            need(Feature::Images, Effect::Write, Role::Developer, Open::ToMembers, Reach::Own, Needed::NoneThere)
        }
        A::ReadRepository => read(Feature::Repository, Role::Planner, Needed::All(&[P::ReadRepositories])),
        A::ReadJobs | A::ReadArtifacts | A::DownloadOwnArtifact => of_jobs(Needed::All(&[P::ReadJobs])),
        A::ReadPipelines => of_jobs(Needed::All(&[P::ReadPipelines])),
        A::WritePipelines => write(Feature::Builds, Role::Developer, Needed::All(&[P::AdminPipelines])),
        A::TriggerPipeline => write(Feature::Builds, Role::Developer, Needed::IfStrict(P::AdminPipelines)),
        A::ReadMergeRequests => read(Feature::MergeRequests, Role::Planner, Needed::All(&[P::ReadMergeRequests])),
        A::ReadIssues => read(Feature::Issues, Role::Guest, Needed::All(&[P::ReadWorkItems])),
        A::ReadChangelog => read(Feature::Repository, Role::Planner, Needed::All(&[P::ReadReleases])),
        A::ReadBadges => whole_project(read(Feature::Repository, Role::Guest, Needed::All(&[P::ReadBadges]))),
        A::WriteBadges => whole_project(write(Feature::Repository, Role::Maintainer, Needed::All(&[P::AdminBadges]))),
        A::ReadReleases => read(Feature::Releases, Role::Guest, Needed::All(&[P::ReadReleases])),
        A::WriteReleases => write(Feature::Releases, Role::Developer, Needed::All(&[P::AdminReleases])),
        A::ReadDeployments => read(Feature::Environments, Role::Reporter, Needed::All(&[P::ReadDeployments])),
        A::CreateDeployments => {
            write(Feature::Environments, Role::Developer, Needed::All(&[P::AdminDeployments, P::AdminEnvironments]))
        }
        A::WriteDeployments => write(Feature::Environments, Role::Developer, Needed::All(&[P::AdminDeployments])),
        A::DeleteDeployments => write(Feature::Environments, Role::Maintainer, Needed::All(&[P::AdminDeployments])),
        A::ReadEnvironments => read(Feature::Environments, Role::Reporter, Needed::All(&[P::ReadEnvironments])),
        A::WriteEnvironments => write(Feature::Environments, Role::Developer, Needed::All(&[P::AdminEnvironments])),
        A::ReadSecureFiles => {
            whole_project(members_read(write(Feature::Builds, Role::Developer, Needed::All(&[P::ReadSecureFiles]))))
        }
        A::WriteSecureFiles => {
            whole_project(write(Feature::Builds, Role::Maintainer, Needed::All(&[P::AdminSecureFiles])))
        }
        A::ReadTerraformState => {
            members_read(write(Feature::Infrastructure, Role::Developer, Needed::All(&[P::ReadTerraformState])))
        }
        A::WriteTerraformState => {
            write(Feature::Infrastructure, Role::Maintainer, Needed::All(&[P::AdminTerraformState]))
        }
        A::ReadPackages
        | A::ReadCargo
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
        | A::ReadTerraform => read(Feature::Packages, Role::Reporter, Needed::All(&[P::ReadPackages])),
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
        | A::PublishTerraform => write(Feature::Packages, Role::Developer, Needed::All(&[P::AdminPackages])),
        A::FindConan => read(Feature::Packages, Role::Reporter, Needed::NoneThere),
        A::DeletePackages => write(Feature::Packages, Role::Maintainer, Needed::All(&[P::AdminPackages])),
        A::ReadOwnJob | A::BalanceTests | A::ValidateSite | A::UpdateJob | A::TraceJob | A::UploadArtifact => {
            need(Feature::Builds, Effect::Write, Role::None, Open::ToMembers, Reach::Itself, Needed::NoneThere)
        }
        A::DependencyProxy => {
            need(Feature::Images, Effect::Read, Role::None, Open::ToMembers, Reach::AboveOrigin, Needed::NoneThere)
        }
        A::RegistryLogin => {
            need(Feature::Images, Effect::Read, Role::None, Open::ToMembers, Reach::Nothing, Needed::NoneThere)
        }
        A::LoginConan => {
            need(Feature::Packages, Effect::Read, Role::None, Open::ToMembers, Reach::Nothing, Needed::NoneThere)
        }
        A::UseAgent => {
            need(Feature::Environments, Effect::Read, Role::None, Open::ToMembers, Reach::Agents, Needed::NoneThere)
        }
        A::ReadPublic => {
            need(Feature::Repository, Effect::Read, Role::None, Open::ToMembers, Reach::Nothing, Needed::NoneThere)
        }
        A::WriteWiki | A::WriteDesign | A::Snippet | A::Catalog | A::RegistryToken | A::Unlisted => {
            need(Feature::Repository, Effect::Write, Role::Owner, Open::ToMembers, Reach::Never, Needed::NoneThere)
        }
    }
}
