//! What runs came to.

use std::fmt::{self, Display, Formatter};
use std::ops::AddAssign;

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests of jobs that went on.
    pub forwarded: u64,
    /// Those among them that went on with what the forge made from a job's token.
    pub minted: u64,
    /// Those that went on with a slot.
    pub slots: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Lookups.
    pub lookups: u64,
    /// Ends that this proxy saw.
    pub ends: u64,
    /// Rows that were pushed out.
    pub evictions: u64,
    /// Projects that moved.
    pub moves: u64,
    /// Requests whose client left.
    pub left: u64,
    /// Reads of rows that were spared by decisions that were kept.
    pub spared: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.forwarded += other.forwarded;
        self.minted += other.minted;
        self.slots += other.slots;
        self.moves += other.moves;
        self.answered += other.answered;
        self.lookups += other.lookups;
        self.ends += other.ends;
        self.left += other.left;
        self.evictions += other.evictions;
        self.spared += other.spared;
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { forwarded, minted, slots, answered, lookups, ends, evictions, moves, left, spared } = self;
        write!(
            f,
            "{forwarded} went on, {minted} of them with what was minted, {slots} with a slot, {answered} were answered, {left} left, "
        )?;
        write!(f, "{lookups} lookups, {ends} ends seen, {evictions} rows pushed out, {moves} moves of projects, ")?;
        write!(f, "{spared} reads spared")
    }
}
