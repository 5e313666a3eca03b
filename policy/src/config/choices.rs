//! The words of each choice, and what each stands for: written once, for the table of keys and for who reads it.

use super::pull_policy::{Check, PullPolicy, Runners};
use super::secrets::SecretKind;
use crate::choices::{
    Answers, Api, Bodies, Changes, CredentialSlots, DependencyProxy, Detail, Kind, KubernetesAgent, LfsCredentials,
    LogForm, Mode, PackageIndexes, UnlistedEndpoints,
};
use crate::rules::Entries;

/// Words, each of which stands for the value at its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<T: 'static> {
    pub(super) words: &'static [&'static str],
    pub(super) values: &'static [T],
}

impl<T: Copy> Choice<T> {
    /// What a word stands for.
    pub(super) fn named(&self, name: &str) -> Option<T> {
        self.words.iter().zip(self.values).find(|(word, _)| **word == name).map(|(_, value)| *value)
    }
}

impl<T: PartialEq> Choice<T> {
    /// The word for a value.
    pub(super) fn word(&self, value: T) -> &'static str {
        self.words.iter().zip(self.values).find(|(_, known)| **known == value).map_or("", |(word, _)| word)
    }
}

/// Makes choices of rows `"word" value`.
macro_rules! choices {
    ($($name:ident $of:ty { $($word:literal $value:expr;)* })*) => {
        $(pub(super) const $name: Choice<$of> = Choice { words: &[$($word),*], values: &[$($value),*] };)*
    };
}

impl Mode {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        MODE.word(self)
    }
}

/// Where a fact may come from, as far as a word says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceKind {
    Lookup,
    Configuration,
    Forge,
}

choices! {
    MODE Mode { "enforce" Mode::Enforce; "observe" Mode::Observe; }
    PERMISSIONS Entries { "as-the-forge" Entries::AsTheForge; "strict" Entries::Strict; }
    BODIES Bodies { "judge" Bodies::Judge; "leave" Bodies::Leave; }
    KIND Kind { "gitlab" Kind::Gitlab; "gitea" Kind::Gitea; "generic" Kind::Generic; }
    ANSWERS Answers { "gitlab-17" Answers::Gitlab17; "before-gitlab-17" Answers::BeforeGitlab17; }
    UNLISTED_ENDPOINTS UnlistedEndpoints { "deny" UnlistedEndpoints::Deny; "strip" UnlistedEndpoints::Strip; }
    LFS_CREDENTIALS LfsCredentials { "own" LfsCredentials::Own; "forge" LfsCredentials::Forge; }
    DEPENDENCY_PROXY DependencyProxy { "off" DependencyProxy::Off; "on" DependencyProxy::On; }
    KUBERNETES_AGENT KubernetesAgent { "off" KubernetesAgent::Off; "on" KubernetesAgent::On; }
    CREDENTIAL_SLOTS CredentialSlots { "off" CredentialSlots::Off; "on" CredentialSlots::On; }
    PACKAGE_INDEX PackageIndexes { "deny" PackageIndexes::Deny; "all-admitted" PackageIndexes::AllAdmitted; }
    API Option<Api> { "auto" None; "v1" Some(Api::V1); }
    CHANGES Changes { "off" Changes::Off; "on" Changes::Followed; }
    SOURCE SourceKind { "lookup" SourceKind::Lookup; "configuration" SourceKind::Configuration; "forge" SourceKind::Forge; }
    OUTBOUND SourceKind { "lookup" SourceKind::Lookup; "forge" SourceKind::Forge; }
    SECRET SecretKind { "environment" SecretKind::Environment; "envoy" SecretKind::Envoy; }
    DETAIL Detail { "brief" Detail::Brief; "full" Detail::Full; }
    LOG_FORM LogForm { "fields" LogForm::Fields; "struct" LogForm::Struct; }
    CHECK Check { "ignore" Check::Ignore; "observe" Check::Observe; "enforce" Check::Rewrite; }
    OTHERWISE Check { "rewrite" Check::Rewrite; "refuse" Check::Refuse; }
    RUNNERS Runners { "shared" Runners::Shared; "all" Runners::All; }
    PULL_POLICY PullPolicy {
        "always" PullPolicy::Always;
        "if-not-present" PullPolicy::IfNotPresent;
        "never" PullPolicy::Never;
    }
}
