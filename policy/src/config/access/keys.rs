//! The table of a rule's keys: in which kinds of rules they stand, and what they mean.

use alloc::string::String;

use super::super::keys::doc;
use super::rule::RuleKind;

/// Whether a key stands in a kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It must.
    Must,
    /// It may.
    May,
    /// It does not.
    Never,
}

/// What a value of a rule must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleValue {
    /// A name of its own.
    Id,
    /// Whether it is carried out.
    Mode,
    /// A list of projects.
    Projects,
    /// A list of actions.
    Actions,
    /// An object of conditions.
    Conditions,
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
}

impl RuleValue {
    /// What a value must be, as an error says it after "expected".
    #[must_use]
    pub fn expects(self) -> &'static str {
        match self {
            Self::Id => "1 to 63 of `a` to `z`, `0` to `9` and `-`, not first a `-`",
            Self::Mode => "one of `enforce`, `observe`",
            Self::Projects => "a list of one or more projects such as `apps/web`, `apps/**` or `**`",
            Self::Actions => "a list of one or more actions such as `oci.pull` or `packages.*`",
            Self::Conditions => "an object of one or more conditions",
            Self::Texts => "a list of one or more texts such as `main` or `release/*`",
            Self::Flag => "`true` or `false`",
        }
    }
}

/// One key of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleKey {
    /// Where it stands in the rule.
    pub path: &'static str,
    /// What a value must be.
    pub kind: RuleValue,
    /// Whether it stands in each kind of rule, in the order of [`RuleKind::ALL`].
    pub uses: [Use; 4],
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

impl RuleKey {
    /// Whether it stands in a kind of rule.
    #[must_use]
    pub fn use_in(&self, kind: RuleKind) -> Use {
        let at = RuleKind::ALL.iter().position(|(known, _)| *known == kind);
        at.and_then(|at| self.uses.get(at)).copied().unwrap_or(Use::Never)
    }

    /// The kinds of rules in which it stands so.
    #[must_use]
    pub fn kinds(&self, wanted: Use) -> String {
        let names = RuleKind::ALL.iter().filter(|(kind, _)| self.use_in(*kind) == wanted).map(|(_, name)| *name);
        names.collect::<alloc::vec::Vec<_>>().join(", ")
    }
}

use Use::{May, Must, Never};

/// Every key of a rule, in the order of the documentation.
pub const RULE_KEYS: &[RuleKey] = &[
    RuleKey {
        path: "id",
        kind: RuleValue::Id,
        uses: [Must; 4],
        doc: doc("The rule's name in logs and answers. No other rule has it, of whatever kind."),
    },
    RuleKey {
        path: "mode",
        kind: RuleValue::Mode,
        uses: [Never, May, May, May],
        doc: doc("`observe` records what the rule would deny, and denies nothing. `enforce` where it is left out."),
    },
    RuleKey {
        path: "targets",
        kind: RuleValue::Projects,
        uses: [Must, May, May, Must],
        doc: doc(
            "The projects asked for. All of them where it is left out. In `outbound` an empty list leaves only the own project.",
        ),
    },
    RuleKey {
        path: "origins",
        kind: RuleValue::Projects,
        uses: [Must, May, May, Must],
        doc: doc("The jobs' own projects. All of them where it is left out."),
    },
    RuleKey {
        path: "actions",
        kind: RuleValue::Actions,
        uses: [May, May, Must, Never],
        doc: doc(
            "What is asked, by the names in rules.md; `packages.*` is all that begins so. All actions where it is left out.",
        ),
    },
    RuleKey {
        path: "when",
        kind: RuleValue::Conditions,
        uses: [May; 4],
        doc: doc(
            "Conditions on the job. All of them must hold; within a list one is enough. A `*` at the end of a text stands for any rest.",
        ),
    },
    RuleKey {
        path: "when.ref",
        kind: RuleValue::Texts,
        uses: [May; 4],
        doc: doc("The branch or tag, without `refs/heads/` and `refs/tags/`."),
    },
    RuleKey { path: "when.protected", kind: RuleValue::Flag, uses: [May; 4], doc: "Whether that is a protected one." },
    RuleKey {
        path: "when.environment",
        kind: RuleValue::Texts,
        uses: [May; 4],
        doc: doc(
            "The environment that the job deploys to, from GitLab its slug (`review/1` is something like `review-1-abc123`). A job that deploys to none is in none, also not in `*`.",
        ),
    },
    RuleKey {
        path: "when.source",
        kind: RuleValue::Texts,
        uses: [May; 4],
        doc: doc(
            "What started the pipeline, in the forge's words. GitLab: `push`, `schedule`, `web` (started by hand), `api`, `trigger`, `pipeline`, `parent_pipeline`, `merge_request_event` and so on, as in `CI_PIPELINE_SOURCE`.",
        ),
    },
    RuleKey {
        path: "when.fork",
        kind: RuleValue::Flag,
        uses: [May; 4],
        doc: doc("Whether the job works on a merge request from a fork."),
    },
];
