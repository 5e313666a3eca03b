//! The sentences of an answer: what the forge itself would say, why, and who can change it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Denied, GIT_NOT_FOUND, Weight};
use crate::access::{Action, Protocol};
use crate::choices::{Answers, Kind};
use crate::facts::{Feature, Origin, Permission, ProjectId, ProjectPath};
use crate::rules::{Needed, Reason, need};

/// What the forge itself would say of a target that the client may know of, and how it weighs there. Source: GitLab 18,
/// and where it was other words before, GitLab 16.
pub(super) fn forge_words(
    denied: &Denied<'_>,
    origin: &Origin,
    target: &ProjectPath,
    id: Option<ProjectId>,
) -> (Weight, String) {
    let Denied { protocol, answers, action, reason, .. } = *denied;
    let is_scope = matches!(reason, Reason::NotListed | Reason::Outbound | Reason::ConfiguredReach);
    // The forge does not let such a job see the project at all.
    let is_unseen = is_scope || reason == Reason::NotMember;
    let is_old = answers == Answers::BeforeGitlab17;
    // GitLab 17 itself named the path, before it named the number.
    let named = || id.map_or_else(|| target.name().to_string(), |id| format!("project #{}", id.0));
    match protocol {
        Protocol::Git if reason == Reason::Archived => {
            (Weight::Forbidden, "You can't push code to an archived project.".into())
        }
        Protocol::Git if writes(action) => (Weight::Forbidden, write_words(action).into()),
        Protocol::Git if is_unseen && is_old => (Weight::Withheld, GIT_NOT_FOUND.into()),
        Protocol::Git if is_scope => (
            Weight::Forbidden,
            format!("Authentication by CI/CD job token not allowed from {} to {}.", origin.path.name(), named()),
        ),
        Protocol::Git if is_unseen => {
            (Weight::Forbidden, format!("Insufficient permissions to pull from the repository of {}.", named()))
        }
        Protocol::Git => (Weight::Forbidden, "You are not allowed to download code from this project.".into()),
        // Who may not download is told that there is nothing; who may, and may not upload, is told so.
        Protocol::Lfs if action == Action::DownloadLfs => (Weight::Withheld, "Not found.".into()),
        Protocol::Lfs => (Weight::Forbidden, "Access forbidden. Check your access level.".into()),
        // The trigger knows no 403: what may not be triggered is not found.
        Protocol::Trigger => (Weight::Withheld, "404 Not Found".into()),
        Protocol::Api | Protocol::Runner if is_unseen && is_old => (Weight::Withheld, "404 Project Not Found".into()),
        Protocol::Api | Protocol::Runner => (Weight::Forbidden, api_words(denied, origin, target, is_unseen)),
        Protocol::Registry | Protocol::RegistryToken | Protocol::Web => (Weight::Forbidden, "403 Forbidden".into()),
    }
}

fn api_words(denied: &Denied<'_>, origin: &Origin, target: &ProjectPath, is_unseen: bool) -> String {
    let said = match () {
        () if denied.reason == Reason::OwnOnly => "This project's CI/CD job token cannot be used to authenticate with \
                                                   the container registry of a different project."
            .to_string(),
        () if is_unseen => {
            format!("Authentication by CI/CD job token not allowed from {} to {}.", origin.path.name(), target.name())
        }
        () if denied.reason == Reason::EntryTooNarrow => {
            let names: Vec<&str> = permissions(denied.action).iter().map(|permission| permission.name()).collect();
            let noun = if names.len() > 1 { "permissions are" } else { "permission is" };
            format!(
                "Insufficient permissions to access this resource in project {}. The following token {noun} required: {}.",
                target.name(),
                names.join(" and ")
            )
        }
        () if denied.reason == Reason::NoPermission => "This action is unauthorized for CI/CD job tokens.".into(),
        () => return "403 Forbidden".into(),
    };
    format!("403 Forbidden - {said}")
}

fn writes(action: Action) -> bool {
    matches!(action, Action::WriteCode | Action::WriteWiki | Action::WriteDesign)
}

/// What the forge itself would say of something that it lets no job do anywhere.
pub(super) fn never_words(protocol: Protocol, action: Action) -> &'static str {
    if protocol == Protocol::Git && writes(action) { write_words(action) } else { "403 Forbidden" }
}

/// What is said where no target is: the reason, or what this client can do where that is not what it says.
pub(super) fn bare_words(action: Action, reason: Reason) -> &'static str {
    match (action, reason) {
        (Action::ReadTerraform, Reason::ManyTargets) => {
            "Terraform's registry protocol names no project, and a job reads those alone that admit it; give the module as \
             `git::https://` of its repository, or as the address of its archive at the project's own endpoint"
        }
        (Action::ReadComposer, Reason::ManyTargets | Reason::IndexOff) => {
            "Composer's index is a group's, and jobs do not ask for it here; give the project's repository as one of the type \
             `vcs`, or ask the team that runs the ingress to let jobs ask for indexes, with `packages.index`"
        }
        (Action::Catalog, Reason::NeverForJobs) => {
            "no job lists all images of the registry; ask for those of one project"
        }
        (Action::RegistryToken, Reason::NeverForJobs) => {
            "a registry token for all that the job's user may do is given to no job; use another kind of token"
        }
        // What the forge has that is not known here may take one.
        (Action::Unlisted, Reason::NeverForJobs) => {
            "the ingress knows of no job token that is for this; use another kind of token, or ask the team that runs the \
             ingress to let it through"
        }
        _ => reason.text(),
    }
}

/// What is said of a target that is not there, or not for this user to know of: nothing that depends on which it is.
pub(super) fn hidden_words(action: Action) -> &'static str {
    // A runner asks for what its job begins with.
    if action == Action::DownloadOwnArtifact {
        "a job of another project is found by its number alone where this job needs it (needs:project) and was handed to its \
         runner through this ingress; ask for /projects/:id/jobs/:job_id/artifacts of its project"
    } else {
        "check the name; if it is there, the team that runs the ingress can say why you do not see it"
    }
}

fn write_words(action: Action) -> &'static str {
    if action == Action::WriteWiki {
        "You are not allowed to write to this project's wiki."
    } else {
        "You are not allowed to push code to this project."
    }
}

/// The permissions that an action needs of an entry.
fn permissions(action: Action) -> Vec<Permission> {
    match need(action).permission {
        Needed::All(all) => all.to_vec(),
        Needed::IfStrict(one) => alloc::vec![one],
        Needed::NoneThere => Vec::new(),
    }
}

/// What the forge itself would say of a token that is no running job's.
pub(super) fn token_words(protocol: Protocol, reason: Reason) -> (Weight, &'static str) {
    let is_user = matches!(reason, Reason::UserBlocked | Reason::UserDeactivated | Reason::UserRefused);
    match (protocol, reason) {
        // A runner stops at 403, and at nothing else.
        (Protocol::Runner, Reason::TokenUnknown) => (Weight::Forbidden, "403 Forbidden"),
        (Protocol::Runner, Reason::TokenErased) => (Weight::Forbidden, "403 Forbidden - Job has been erased!"),
        (Protocol::Runner, Reason::ProjectGone) => (Weight::Forbidden, "403 Forbidden - Project has been deleted!"),
        (Protocol::Runner, _) => (Weight::Forbidden, "403 Forbidden - Job is not processing on runner"),
        (Protocol::Trigger, Reason::TokenUnknown) => (Weight::NotFound, ""),
        (Protocol::Trigger, Reason::TokenErased) => (Weight::Unauthorized, "Job has been erased!"),
        (Protocol::Trigger, Reason::ProjectGone) => (Weight::Unauthorized, "Project has been deleted!"),
        (Protocol::Trigger, _) => (Weight::Unauthorized, "Job is not running"),
        (Protocol::Api, Reason::UserBlocked) => (Weight::Forbidden, "403 Forbidden - Your account has been blocked."),
        (Protocol::Api, Reason::UserDeactivated) => (
            Weight::Forbidden,
            "403 Forbidden - Your account has been deactivated by your administrator. Please log back in from a web browser to reactivate your account.",
        ),
        (Protocol::Api, _) if is_user => (Weight::Forbidden, "403 Forbidden"),
        (
            Protocol::Git
            | Protocol::Lfs
            | Protocol::Registry
            | Protocol::RegistryToken
            | Protocol::Api
            | Protocol::Web,
            _,
        ) => (Weight::Unauthorized, "401 Unauthorized"),
    }
}

/// What was refused, and who can change it. One line for each sentence.
pub(super) fn explanation(denied: &Denied<'_>, origin: &Origin, target: &ProjectPath) -> String {
    let (from, to) = (&origin.path, target);
    // Elsewhere there is no such page: what answers lookups, or the configuration, says what projects are to each other.
    let settings = if denied.kind == Kind::Gitlab { " under Settings > CI/CD > Job token permissions" } else { "" };
    let written = |what: &str| {
        let rule = denied.written.map_or_else(String::new, |rule| format!(" {rule}"));
        format!("the rule{rule} of the ingress's configuration {what}; the team that runs the ingress can change it")
    };
    match denied.reason {
        Reason::NotListed => format!(
            "the job token allowlist of {to} does not name {from}; \
             a maintainer of {to} can add {from}{settings}"
        ),
        Reason::Outbound => format!(
            "the project {from} limits where its jobs go, and does not name {to}; \
             a maintainer of {from} can add {to}{settings}"
        ),
        Reason::EntryTooNarrow => {
            let names: Vec<&str> = permissions(denied.action).iter().map(|permission| permission.name()).collect();
            format!(
                "the entry for {from} in the job token allowlist of {to} does not grant {}; \
                 a maintainer of {to} can grant it{settings}",
                names.join(" and ")
            )
        }
        Reason::NoPermission => format!(
            "the entry for {from} in the job token allowlist of {to} grants single permissions, and there is none for this; \
             a maintainer of {to} can give it the default permissions{settings}"
        ),
        Reason::ConfiguredDeny => written(&format!("denies this to jobs of {from} in {to}")),
        Reason::ConfiguredLimit => {
            written(&format!("sets a ceiling in {to} for jobs of {from}, and this lies above it"))
        }
        Reason::ConfiguredReach => written(&format!("keeps jobs of {from} to other targets than {to}")),
        Reason::PushOff => {
            format!("the project {to} does not let its jobs push code; a maintainer of {to} can allow it{settings}")
        }
        Reason::PushElsewhere => format!(
            "the project {to} does not let jobs of other projects push code, and this is a job of {from}; \
             a maintainer of {to} can allow it where the forge has that setting"
        ),
        Reason::ImageElsewhere => format!(
            "a job of {from} pushes and deletes images in {from} only; have a job of {to} do it, since no setting changes that"
        ),
        Reason::OwnOnly => {
            format!("a job of {from} does this in {from} only; have a job of {to} do it, since no setting changes that")
        }
        Reason::TooManyHolders => {
            format!("more in the group is named so than is looked at, {to} among them; ask the project's own endpoint")
        }
        Reason::Archived => format!(
            "the project {to} is archived, or about to be deleted, and takes no changes; an owner of {to} can bring it back"
        ),
        Reason::FeatureOff => {
            let part = need(denied.action).feature.map_or("", Feature::part).replace('_', " ");
            format!(
                "this part of {to} ({part}), or what it works on, is switched off; a maintainer of {to} can switch it on"
            )
        }
        Reason::NoUser => format!(
            "nobody stands behind this job, so it reads the sources of {from} and nothing else; have a user start its pipeline"
        ),
        Reason::NotMember => format!("the user of this job is not a member of {to}; a maintainer of {to} can add them"),
        Reason::RoleTooLow => format!(
            "the user of this job has too low a role in {to}, and needs at least the role {}; \
             a maintainer of {to} can raise it",
            denied.role.name()
        ),
        Reason::ExternalTooLow => format!(
            "the user of this job is external and needs at least the role reporter in {to}; a maintainer of {to} can raise it"
        ),
        Reason::OwnJob
        | Reason::OwnProject
        | Reason::Listed
        | Reason::GroupListed
        | Reason::NotLimited
        | Reason::Configured
        | Reason::Anonymous
        | Reason::RoleSuffices
        | Reason::LeftToForge
        | Reason::RunnerReport
        | Reason::GroupAbove
        | Reason::Agent
        | Reason::ProxyOff
        | Reason::AgentOff
        | Reason::Login
        | Reason::TokenUnknown
        | Reason::TokenNotStarted
        | Reason::TokenEnded
        | Reason::TokenErased
        | Reason::ProjectGone
        | Reason::UserBlocked
        | Reason::UserDeactivated
        | Reason::UserRefused
        | Reason::TokenUnrecorded
        | Reason::SlotsOff
        | Reason::SlotNone
        | Reason::SlotMixed
        | Reason::TargetUnknown
        | Reason::ManyTargets
        | Reason::IndexOff
        | Reason::HeldByNobody
        | Reason::TargetUnnamed
        | Reason::ForeignJob
        | Reason::ProxyElsewhere
        | Reason::NeverForJobs
        | Reason::Stripped
        | Reason::TokenInBody
        | Reason::NothingMatched => denied.reason.text().into(),
    }
}

/// Parts of an explanation as lines that begin with a capital and end with a period.
pub(super) fn lines(why: &str) -> String {
    let lines: Vec<String> = why.split("; ").map(sentence).collect();
    lines.join("\n")
}

pub(super) fn sentence(text: &str) -> String {
    let mut sentence = String::with_capacity(text.len().saturating_add(1));
    sentence.push_str(text);
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !text.is_empty() {
        sentence.push('.');
    }
    sentence
}
