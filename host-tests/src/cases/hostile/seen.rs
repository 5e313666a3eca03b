//! How a request was read.

use std::fmt;

use super::expected::{Asked, list};

/// How a request was read, by the core or by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It went on untouched: no job's.
    Passed,
    /// It cannot be read.
    Refused {
        /// The status of the answer.
        status: u16,
        /// Our reason.
        code: String,
    },
    /// It was read as a job's, and judged.
    Judged {
        /// The protocol; the filter does not say it.
        protocol: Option<&'static str>,
        /// What it asks for. The filter shows one of it.
        asked: Asked,
        /// What was decided where everything is allowed that can be.
        end: End,
    },
    /// Neither: the runner or the filter is broken.
    Broken(String),
}

/// How a judged request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It went on.
    Forwarded,
    /// A rule denied it.
    Denied {
        /// The status of the answer.
        status: u16,
        /// The rule's reason.
        code: String,
    },
}

impl End {
    /// Whether a rule denied it that no world can change: nobody may do this, or nobody finds such a project.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, End::Denied { code, .. } if ["action.never", "target.many", "target.unknown", "job.foreign"].contains(&code.as_str()))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Passed => f.write_str("passed on untouched"),
            Seen::Refused { status, code } => write!(f, "refused with {status} ({code})"),
            Seen::Judged { protocol, asked, end } => {
                if let Some(protocol) = protocol {
                    write!(f, "{protocol}: ")?;
                }
                f.write_str(&list(asked))?;
                match end {
                    End::Forwarded => f.write_str(", forwarded"),
                    End::Denied { status, code } => write!(f, ", denied with {status} ({code})"),
                }
            }
            Seen::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}
