//! What a request asks for, once it has been read: protocol, action, target.

mod holding;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use holding::{Holding, Package, Registry, Sought};

use crate::facts::{Feature, GroupPath, Hash, JobId, ProjectId, ProjectPath, Role};

/// The protocol a request speaks, which decides how a refusal is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Git over HTTP.
    Git,
    /// Git LFS: batch, locks and transfers.
    Lfs,
    /// The container registry itself, `/v2/`.
    Registry,
    /// The registry's token endpoint, `/jwt/auth`.
    RegistryToken,
    /// The REST API.
    Api,
    /// The REST API's pipeline trigger, which refuses in words of its own.
    Trigger,
    /// The part of the REST API that runners speak.
    Runner,
    /// Anything else.
    Web,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Git, Self::Lfs, Self::Registry, Self::RegistryToken, Self::Api, Self::Trigger, Self::Runner, Self::Web];

    /// Its name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Lfs => "lfs",
            Self::Registry => "registry",
            Self::RegistryToken => "registry-token",
            Self::Api => "api",
            Self::Trigger => "trigger",
            Self::Runner => "runner",
            Self::Web => "web",
        }
    }
}

macro_rules! actions {
    ($($variant:ident $name:literal $doc:literal)*) => {
        /// One thing that a job may ask of one target.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $(#[doc = $doc] $variant,)* }

        /// Once in a program: a constant would be once in each crate that uses it.
        static ACTIONS: [(Action, &str, &str); [$($name),*].len()] = [$((Action::$variant, $name, $doc),)*];

        impl Action {
            /// All of them with name and meaning, in the order of the documentation.
            pub const ALL: &[(Self, &'static str, &'static str)] = &ACTIONS;

            /// The name in logs, answers and documentation.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

actions! {
    ReadCode "git.read" "Clone or fetch code."
    WriteCode "git.write" "Push code."
    ReadWiki "wiki.read" "Clone or fetch a wiki."
    WriteWiki "wiki.write" "Push a wiki."
    ReadDesign "design.read" "Clone or fetch the design repository."
    WriteDesign "design.write" "Push the design repository."
    Snippet "snippet" "Clone, fetch or push a snippet's repository."
    GoGet "go-get" "Ask which repository a Go import path means. Where that is not allowed, the request goes on without its token."
    ReadPublic "web.public" "Read a document that everybody gets, such as `/.well-known/terraform.json`. The request goes on without its token."
    UseAgent "kubernetes-agent.use" "Work on a cluster through the Kubernetes agent."
    DownloadLfs "lfs.download" "Download LFS objects and list locks."
    UploadLfs "lfs.upload" "Upload LFS objects."
    LockLfs "lfs.lock.write" "Create, verify or remove LFS locks."
    RegistryLogin "oci.login" "Check the registry login without asking for anything."
    PullImage "oci.pull" "Pull images."
    PushImage "oci.push" "Push images."
    DeleteImage "oci.delete" "Delete images or tags."
    Catalog "oci.catalog" "List every image of the registry."
    RegistryToken "oci.token" "Exchange the job token for a registry token that nobody can see through."
    DependencyProxy "dependency-proxy.read" "Pull images through a group's dependency proxy."
    ReadOwnJob "job.self.read" "Read the job itself."
    BalanceTests "job.test-balancing" "Share the tests of parallel jobs among them."
    ValidateSite "dast.site-validation.write" "Report on the validation of a site (a DAST scanner does)."
    ReadFirewall "dependency-firewall.read" "Ask whether the dependency firewall is on."
    UpdateJob "job.update" "Report the job's state (a runner does)."
    TraceJob "job.trace" "Append to the job's log (a runner does)."
    UploadArtifact "job.artifacts.write" "Upload the job's own artifacts (a runner does)."
    DownloadOwnArtifact "job.artifacts.read" "Download artifacts by job number alone (a runner does)."
    ReadJobs "jobs.read" "List jobs."
    ReadArtifacts "artifacts.read" "Download artifacts."
    ReadPipelines "pipelines.read" "Read pipelines."
    WritePipelines "pipelines.write" "Change a pipeline's metadata."
    TriggerPipeline "pipeline.trigger" "Start a pipeline."
    ReadRepository "repository.read" "Read branches, tags, commits and files."
    ReadMergeRequests "merge-requests.read" "Read merge requests and their notes."
    ReadIssues "issues.read" "Read issues."
    ReadChangelog "changelog.read" "Read the changelog, made from the commits."
    ReadBadges "badges.read" "Read badges."
    WriteBadges "badges.write" "Preview, create, change or delete badges."
    ReadReleases "releases.read" "Read releases."
    WriteReleases "releases.write" "Create, change or delete releases."
    ReadDeployments "deployments.read" "Read deployments."
    CreateDeployments "deployments.create" "Create deployments."
    WriteDeployments "deployments.write" "Change or approve deployments."
    DeleteDeployments "deployments.delete" "Delete deployments."
    ReadEnvironments "environments.read" "Read environments."
    WriteEnvironments "environments.write" "Create, change, stop or delete environments."
    ReadSecureFiles "secure-files.read" "Read secure files."
    WriteSecureFiles "secure-files.write" "Create or delete secure files."
    ReadTerraformState "terraform.state.read" "Read Terraform state."
    WriteTerraformState "terraform.state.write" "Write, lock or delete Terraform state."
    ReadPackages "packages.read" "List packages and read their metadata."
    DeletePackages "packages.delete" "Delete packages."
    ReadCargo "packages.cargo.read" "Download Cargo packages and their index."
    ReadComposer "packages.composer.read" "Download Composer packages."
    PublishComposer "packages.composer.publish" "Publish Composer packages."
    LoginConan "packages.conan.login" "Check the login of Conan's instance-wide registry without asking for anything."
    FindConan "packages.conan.find" "Ask whether Conan is served, and search its packages."
    ReadConan "packages.conan.read" "Download Conan packages."
    PublishConan "packages.conan.publish" "Publish Conan packages."
    ReadDebian "packages.debian.read" "Download Debian packages and indices."
    PublishDebian "packages.debian.publish" "Publish Debian packages."
    ReadGeneric "packages.generic.read" "Download generic packages."
    PublishGeneric "packages.generic.publish" "Publish generic packages."
    ReadGo "packages.go.read" "Download Go modules."
    ReadHelm "packages.helm.read" "Download Helm charts."
    PublishHelm "packages.helm.publish" "Publish Helm charts."
    ReadMaven "packages.maven.read" "Download Maven packages."
    PublishMaven "packages.maven.publish" "Publish Maven packages."
    ReadModel "packages.ml-model.read" "Download files of machine learning models."
    PublishModel "packages.ml-model.publish" "Publish files of machine learning models."
    ReadNpm "packages.npm.read" "Download npm packages, audit, read tags."
    PublishNpm "packages.npm.publish" "Publish npm packages, write tags."
    ReadNuget "packages.nuget.read" "Search and download NuGet packages."
    PublishNuget "packages.nuget.publish" "Publish NuGet packages and symbols."
    ReadPypi "packages.pypi.read" "Download PyPI packages."
    PublishPypi "packages.pypi.publish" "Publish PyPI packages."
    ReadRpm "packages.rpm.read" "Download RPM packages and metadata."
    PublishRpm "packages.rpm.publish" "Publish RPM packages."
    ReadGem "packages.rubygems.read" "Download Ruby gems."
    PublishGem "packages.rubygems.publish" "Publish Ruby gems."
    ReadTerraform "packages.terraform.read" "Download Terraform modules."
    PublishTerraform "packages.terraform.publish" "Publish Terraform modules."
    ReadRegistryApi "registry.repositories.read" "List image repositories and tags through the API."
    DeleteRegistryApi "registry.repositories.delete" "Delete image repositories and tags through the API."
    Unlisted "api.unlisted" "Call an endpoint that no job token is for."
}

/// Which project a request means, before anybody looked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetRef {
    /// No project: a login, the job itself.
    None,
    /// The job's own project.
    Own,
    /// The job with this number, which must be the job itself.
    Job(JobId),
    /// The project of the job with this number.
    ProjectOfJob(JobId),
    /// A project by its full path.
    Path(ProjectPath),
    /// A project by its number.
    Id(ProjectId),
    /// An image: the project is the longest of these paths that exists, longest first. One to three.
    Image(Arc<[ProjectPath]>),
    /// A group.
    Group(GroupPath),
    /// Every project of a group that holds something.
    Held(Arc<Holding>),
}

impl TargetRef {
    /// Whether this means one project at most, which can be looked up.
    #[must_use]
    pub fn is_single(&self) -> bool {
        match self {
            Self::Own | Self::Job(_) | Self::ProjectOfJob(_) | Self::Path(_) | Self::Id(_) | Self::Image(_) => true,
            Self::None | Self::Group(_) | Self::Held(_) => false,
        }
    }

    /// A key that no other target has. Every field carries its length or a mark of its own.
    #[must_use]
    pub fn key(&self) -> Hash {
        match self {
            Self::None => Hash::of(&[b"none", b""]),
            Self::Own => Hash::of(&[b"own", b""]),
            Self::Job(job) => Hash::of(&[b"job", &job.0.to_be_bytes()]),
            Self::ProjectOfJob(job) => Hash::of(&[b"project-of-job", &job.0.to_be_bytes()]),
            Self::Path(path) => Hash::of(&[b"path", path.as_str().as_bytes()]),
            Self::Id(id) => Hash::of(&[b"id", &id.0.to_be_bytes()]),
            Self::Image(candidates) => {
                let paths = candidates.iter().map(|path| path.as_str().as_bytes());
                let fields: Vec<&[u8]> = core::iter::once(&b"image"[..]).chain(paths).collect();
                // One field alone would be hashed without its length.
                Hash::of(if candidates.is_empty() { &[b"image", b""] } else { &fields })
            }
            Self::Group(path) => Hash::of(&[b"group", path.as_str().as_bytes()]),
            Self::Held(holding) => holding.key(),
        }
    }
}

/// One thing asked of one target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// What is asked.
    pub action: Action,
    /// Of whom.
    pub target: TargetRef,
    /// Features that open the endpoint to every job where a project that the user may see opens them to everybody; often
    /// none.
    pub open: &'static [Feature],
    /// The least role that the endpoint asks for, where its action alone asks for a lower one.
    pub least: Role,
}

impl Access {
    /// Asks `action` of `target`.
    #[must_use]
    pub fn new(action: Action, target: TargetRef) -> Self {
        Self { action, target, open: &[], least: Role::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_action_has_a_name_and_a_meaning_of_its_own() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), Action::ALL.len());
        assert!(Action::ALL.iter().all(|(action, name, doc)| action.name() == *name && doc.ends_with('.')));
    }
}
