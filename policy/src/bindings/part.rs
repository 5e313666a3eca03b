//! The parts of what targets are to jobs, each in a row of its own: short ones, and those of projects.

use super::row::{Reader, Writer, place};
use super::target::{read_entry, read_target, write_entry, write_target};
use super::{Moment, Row};
use crate::config::Bindings;
use crate::facts::{Hash, Known, Role, Target};

const MEMBER: u8 = 0;
const EXTERNAL: u8 = 1;
const ALLOWLIST: u8 = 2;
const ENFORCEMENT: u8 = 3;
const OUTBOUND: u8 = 4;

/// What is remembered of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// The key.
    pub key: Hash,
    /// The project; `None` where there is none.
    pub project: Option<Target>,
    /// When it was looked up.
    pub confirmed: Moment,
}

/// What is remembered of any other part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// The key.
    pub key: Hash,
    /// What is known; of a project it is not written.
    pub known: Known,
    /// When it was looked up.
    pub confirmed: Moment,
}

impl Row for ProjectRow {
    const TABLE: &'static str = "project";
    const SIZE: usize = 320;

    /// Many jobs share a project.
    fn rows(capacity: u32) -> u32 {
        capacity / 4
    }

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.confirmed.0);
        writer.byte(u8::from(self.project.is_some()));
        if let Some(project) = &self.project {
            write_target(writer, project)?;
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let confirmed = Moment(reader.number()?);
        let project = match reader.byte()? {
            0 => None,
            1 => Some(read_target(reader)?),
            _ => return None,
        };
        Some(Self { key, project, confirmed })
    }

    /// What is not there goes first, as with targets; then the oldest.
    fn rank(&self, _: &Bindings, _: Moment) -> (u8, u64) {
        (u8::from(self.project.is_some()), self.confirmed.0)
    }

    fn seen(self, now: Moment) -> Self {
        Self { confirmed: self.confirmed.seen(now), ..self }
    }

    /// The newer of two answers stands, whichever came last.
    fn over(self, old: Self) -> Self {
        if old.confirmed > self.confirmed { old } else { self }
    }
}

impl Row for PartRow {
    const TABLE: &'static str = "part";
    const SIZE: usize = 64;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.confirmed.0);
        let mut flag = |mark, flag| {
            writer.byte(mark);
            writer.byte(u8::from(flag));
        };
        match &self.known {
            Known::Project(_) => return None,
            Known::Member(role) => {
                writer.byte(MEMBER);
                writer.byte(place(Role::ALL.iter().map(|(role, _, _)| *role), role)?);
            }
            Known::External(is_external) => flag(EXTERNAL, *is_external),
            Known::Enforcement(is_enforced) => flag(ENFORCEMENT, *is_enforced),
            Known::Outbound(is_let_out) => flag(OUTBOUND, *is_let_out),
            Known::Allowlist { is_limited, entry } => {
                flag(ALLOWLIST, *is_limited);
                writer.byte(u8::from(entry.is_some()));
                if let Some(entry) = entry {
                    write_entry(writer, *entry)?;
                }
            }
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let confirmed = Moment(reader.number()?);
        let (mark, value) = (reader.byte()?, reader.byte()?);
        let flag = match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        let known = match mark {
            MEMBER => Known::Member(Role::ALL.get(usize::from(value))?.0),
            EXTERNAL => Known::External(flag?),
            ENFORCEMENT => Known::Enforcement(flag?),
            OUTBOUND => Known::Outbound(flag?),
            ALLOWLIST => {
                let has_entry = reader.byte()? != 0;
                let entry = if has_entry { Some(read_entry(reader)?) } else { None };
                Known::Allowlist { is_limited: flag?, entry }
            }
            _ => return None,
        };
        Some(Self { key, known, confirmed })
    }

    /// The oldest goes first.
    fn rank(&self, _: &Bindings, _: Moment) -> (u8, u64) {
        (0, self.confirmed.0)
    }

    fn seen(self, now: Moment) -> Self {
        Self { confirmed: self.confirmed.seen(now), ..self }
    }

    /// The newer of two answers stands, whichever came last.
    fn over(self, old: Self) -> Self {
        if old.confirmed > self.confirmed { old } else { self }
    }
}
