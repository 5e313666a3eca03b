//! What a configuration chooses between.

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A denied request is answered here.
    Enforce,
    /// A denied request is recorded and forwarded all the same.
    Observe,
}

/// What becomes of a request that only its body can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Its head waits until the body was read.
    Judge,
    /// Its head decides: for hosts that pass a head on before its body can be held back.
    Leave,
}

/// Whether jobs ask for whatever packages a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageIndexes {
    /// None does.
    Deny,
    /// They do where every project of the group lets them.
    AllAdmitted,
}

/// Whether jobs use the Kubernetes agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubernetesAgent {
    /// None does.
    Off,
    /// They do. Which agents a job may use, the agent's server checks.
    On,
}

/// Whether the proxy adds the forge's own credentials to what jobs are granted whom the forge does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSlots {
    /// It does not. Such jobs are refused.
    Off,
    /// It does, where a request names its slot.
    On,
}

/// Whether jobs use the dependency proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyProxy {
    /// None does.
    Off,
    /// They do. Whose each of its JWTs is, is remembered, since it does not say.
    On,
}

/// Whose credentials a job finds in the answer to an LFS batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LfsCredentials {
    /// Its own.
    Own,
    /// What the forge made for its user.
    Forge,
}

/// What becomes of a job's request to an endpoint of the API that the table does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnlistedEndpoints {
    /// It is denied.
    Deny,
    /// It goes on without the job token, as an anonymous visitor's.
    Strip,
}

/// Which forge it is: how requests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GitLab.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
    /// Any other forge, read as Gitea, Forgejo and giftless read, and no API of it.
    Generic,
}

/// Which API answers lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// GitLab's own.
    Gitlab,
    /// A service of the platform team answers `POST /jobscope/v1/lookup`.
    V1,
}

impl Api {
    /// The one that answers where the configuration names none.
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Gitlab => Self::Gitlab,
            Kind::Gitea | Kind::Generic => Self::V1,
        }
    }
}

/// Which of the forge's versions denials are worded after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// GitLab 17 and later: what a job may not see is forbidden, and named.
    Gitlab17,
    /// Before that: it is not found.
    BeforeGitlab17,
}

/// Whether the list of ended jobs is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// It is not.
    Off,
    /// One worker of each proxy follows it.
    Followed,
}

/// How much is logged of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more than of every one.
    Brief,
    /// Its whole account, as of every denial.
    Full,
}

/// How a decision is handed to the proxy's access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogForm {
    /// Each of its fields is a property.
    #[default]
    Fields,
    /// All of them are one property, a `google.protobuf.Struct`.
    Struct,
}
