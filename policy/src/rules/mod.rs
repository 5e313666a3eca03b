//! The rows that decide. Each looks at one job, one target and one thing asked, and answers or stands aside; the first
//! that answers is the verdict, and the last always answers. No HTTP is known here.

mod need;
mod reason;
mod table;

pub use need::{Effect, Need, Needed, Open, Reach, need, needed};
pub use reason::Reason;
pub use table::RULES;

use crate::access::Access;
use crate::choices::{DependencyProxy, KubernetesAgent, Mode, PackageIndexes};
use crate::facts::{Affiliation, Job, JobId, Role, Standing, User, Version, Visibility};

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The job that asks.
    pub job: &'a Job,
    /// What it asks, of whom.
    pub access: &'a Access,
    /// What the action needs.
    pub need: Need,
    /// Who holds what is asked, where a group is asked for it.
    pub held: Held,
    /// The target as seen from the job, where the action has one; `None` when no such project is there. Of a group every
    /// project that holds what is asked, each in a question of its own.
    pub standing: Option<&'a Standing>,
    /// The jobs whose artifacts the forge named when it handed the job out, as far as that was seen.
    pub dependencies: &'a [JobId],
    /// What the rules of the configuration say.
    pub written: Written<'a>,
    /// Whether an entry that grants single permissions limits Git, LFS, images and triggers too.
    pub entries: Entries,
    /// Whether jobs use the dependency proxy.
    pub dependency_proxy: DependencyProxy,
    /// Whether jobs use the Kubernetes agent.
    pub kubernetes_agent: KubernetesAgent,
    /// Whether jobs ask for whatever packages a group has.
    pub package_indexes: PackageIndexes,
    /// The forge's version.
    pub version: Version,
}

/// What the rules of the configuration say of one thing asked. An enforced rule speaks before one that is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written<'a> {
    /// It denies this.
    pub denied: Option<Named<'a>>,
    /// It is a ceiling, and this lies above it.
    pub limited: Option<Named<'a>>,
    /// It keeps the origin to other targets.
    pub kept: Option<Named<'a>>,
    /// It lets the origin in.
    pub admitted: Option<Named<'a>>,
    /// Whether there are rules that deny, and the target has no path that is known: any of them could be about it.
    pub is_blind: bool,
}

/// A rule of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its name.
    pub id: &'a str,
    /// Whether it is carried out.
    pub mode: Mode,
}

impl<'a> Written<'a> {
    /// The rule behind a verdict.
    #[must_use]
    pub fn behind(&self, verdict: Verdict) -> Option<Named<'a>> {
        match verdict {
            Verdict::Deny(Reason::ConfiguredDeny) => self.denied,
            Verdict::Deny(Reason::ConfiguredLimit) => self.limited,
            Verdict::Deny(Reason::ConfiguredReach) => self.kept,
            Verdict::Allow(Reason::Configured) => self.admitted,
            Verdict::Allow(_) | Verdict::Deny(_) => None,
        }
    }
}

/// Who holds what a group is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The target of the question, and each other that is asked about; or one project was named.
    ByEach,
    /// More projects than are looked at, and the target of the question is one.
    ByTooMany,
    /// No project of the group.
    ByNobody,
    /// It is not looked up.
    Unknown,
}

/// How far an entry that grants single permissions reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// As far as the forge asks it: the API alone.
    AsTheForge,
    /// Git, LFS, images and triggers too.
    Strict,
}

/// A rule's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow(Reason),
    /// It may not.
    Deny(Reason),
}

/// What a rule does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It does not apply.
    Aside,
    /// It would need a fact that the configuration leaves to the forge, which checks it itself.
    Left,
    /// It decides.
    Verdict(Verdict),
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The rule's name in logs and documentation.
    pub id: &'static str,
    /// What it says, in a sentence.
    pub doc: &'static str,
    /// Why it does not apply where it stands aside.
    pub aside: &'static str,
    /// Whether its denials can be only recorded.
    pub denials: Denials,
    /// Its answer.
    judge: fn(&Question<'_>) -> Answer,
}

/// Whether a row's denials can be only recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denials {
    /// They can.
    Observable,
    /// They cannot: without this row those behind it have nothing to go by.
    Fundamental,
}

/// A verdict, and the row that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// The answer.
    pub verdict: Verdict,
    /// The row's place in [`RULES`]; every row before it was tried and did not decide.
    pub rule: usize,
}

impl Answer {
    /// Its word in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aside => "aside",
            Self::Left => "left",
            Self::Verdict(Verdict::Allow(_)) => "allow",
            Self::Verdict(Verdict::Deny(_)) => "deny",
        }
    }

    /// The reason of its verdict, where it is one.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Aside | Self::Left => None,
            Self::Verdict(Verdict::Allow(reason) | Verdict::Deny(reason)) => Some(reason),
        }
    }

    /// Why a row said this, in a sentence.
    #[must_use]
    pub fn why(self, rule: &Rule) -> &'static str {
        match self {
            Self::Aside => rule.aside,
            Self::Left => Reason::LeftToForge.text(),
            Self::Verdict(Verdict::Allow(reason) | Verdict::Deny(reason)) => reason.text(),
        }
    }
}

/// The first row that answers, of those that are not `skipped`.
#[must_use]
pub fn judge(question: &Question<'_>, skipped: &[usize]) -> Ruling {
    for (rule, row) in RULES.iter().enumerate().filter(|(rule, _)| !skipped.contains(rule)) {
        if let Answer::Verdict(verdict) = (row.judge)(question) {
            return Ruling { verdict, rule };
        }
    }
    Ruling { verdict: Verdict::Deny(Reason::NothingMatched), rule: RULES.len() }
}

/// What each row says, with its place, up to the one that settles the question. A denial that can be only recorded settles
/// nothing: who has it lifted meets what stands behind it.
pub fn answers<'a>(question: &'a Question<'_>) -> impl Iterator<Item = (usize, &'static Rule, Answer)> + 'a {
    let mut is_settled = false;
    RULES.iter().enumerate().map_while(move |(place, rule)| {
        if is_settled {
            return None;
        }
        let answer = (rule.judge)(question);
        is_settled = match answer {
            Answer::Aside | Answer::Left => false,
            Answer::Verdict(Verdict::Allow(_)) => true,
            Answer::Verdict(Verdict::Deny(_)) => rule.denials == Denials::Fundamental,
        };
        Some((place, rule, answer))
    })
}

/// Whether the job's user could see the target without any job: only then may an answer tell that it is there.
#[must_use]
pub fn may_know(user: Option<&User>, standing: &Standing) -> bool {
    let is_member = standing.role.is_some_and(|role| role >= Role::Guest);
    match (user, standing.target.visibility) {
        (_, Some(Visibility::Public)) => true,
        (None, _) => false,
        (Some(_), _) if is_member => true,
        (Some(_), Some(Visibility::Internal)) => standing.affiliation == Affiliation::Internal,
        (Some(_), Some(Visibility::Private) | None) => false,
    }
}

#[cfg(test)]
mod tests;
