//! The sentences of an answer: what the forge itself would say, why, and who can change it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::facts::{Origin, Target};
use crate::request::Protocol;
use crate::rules::Reason;

/// What the forge itself would say. Source: GitLab 18.
pub(super) fn forge_words(protocol: Protocol, reason: Reason, origin: &Origin, target: &Target) -> String {
    let is_scope = reason == Reason::NotListed;
    match protocol {
        Protocol::Api | Protocol::Runner if is_scope => {
            format!(
                "403 Forbidden - Authentication by CI/CD job token not allowed from {} to {}.",
                origin.path.name(),
                target.path.name()
            )
        }
        Protocol::Git if is_scope => format!(
            "Authentication by CI/CD job token not allowed from {} to project #{}.",
            origin.path.name(),
            target.id.0
        ),
        Protocol::Git if matches!(reason, Reason::PushOff | Reason::PushElsewhere) => {
            "You are not allowed to push code to this project.".into()
        }
        Protocol::Git => "You are not allowed to download code from this project.".into(),
        Protocol::Trigger => "404 Not Found".into(),
        Protocol::Lfs => "Access forbidden. Check your access level.".into(),
        Protocol::Api | Protocol::Runner | Protocol::Registry | Protocol::RegistryToken | Protocol::Web => {
            "403 Forbidden".into()
        }
    }
}

/// What was refused, and who can change it. One line for each sentence.
pub(super) fn explanation(reason: Reason, origin: &Origin, target: &Target) -> String {
    let (from, to) = (&origin.path, &target.path);
    match reason {
        Reason::NotListed => format!(
            "the job token allowlist of {to} does not name {from}; \
             a maintainer of {to} can add {from} under Settings > CI/CD > Job token permissions"
        ),
        Reason::PushOff => format!(
            "the project {to} does not let its jobs push code; a maintainer of {to} can allow it under Settings > CI/CD > Job token permissions"
        ),
        Reason::PushElsewhere => {
            format!("a job of {from} pushes code to {from} only, and this is {to}; no setting changes that")
        }
        Reason::ImageElsewhere => format!(
            "a job of {from} pushes and deletes images in {from} only, and this is {to}; no setting changes that"
        ),
        Reason::OwnOnly => {
            format!("a job of {from} does this in {from} only, and this is {to}; no setting changes that")
        }
        Reason::FeatureOff => format!("this part of {to} is switched off; a maintainer of {to} can switch it on"),
        Reason::NoUser => format!(
            "nobody stands behind this job, so it reads the sources of {from} and nothing else; start it as a user"
        ),
        Reason::NotMember => format!("the user of this job is not a member of {to}; a maintainer of {to} can add them"),
        Reason::RoleTooLow => {
            format!("the user of this job has too low a role in {to}; a maintainer of {to} can raise it")
        }
        Reason::ExternalTooLow => format!(
            "the user of this job is external and needs at least the role Reporter in {to}; a maintainer of {to} can raise it"
        ),
        Reason::OwnJob
        | Reason::OwnProject
        | Reason::Listed
        | Reason::GroupListed
        | Reason::NotLimited
        | Reason::Anonymous
        | Reason::Login
        | Reason::TokenUnknown
        | Reason::TokenEnded
        | Reason::UserRefused
        | Reason::TargetUnknown
        | Reason::ManyTargets
        | Reason::ForeignJob
        | Reason::NeverForJobs
        | Reason::Stripped
        | Reason::TokenInBody
        | Reason::NothingMatched => reason.text().into(),
    }
}

/// Parts of an explanation as lines that begin with a capital and end with a period.
pub(super) fn lines(why: &str) -> String {
    let lines: Vec<String> = why.split("; ").map(sentence).collect();
    lines.join("\n")
}

pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(core::iter::once('.')).collect()
}
