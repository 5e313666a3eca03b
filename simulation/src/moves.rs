//! What may happen in a step. A move names things by numbers that are taken for what there is at the time, so a story stays
//! one when moves are left out of it.

use crate::dice::Dice;

/// What happens in one step: what, to whom, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub(crate) kind: Kind,
    pub(crate) which: u32,
    pub(crate) how: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A client asks for something.
    Open,
    /// What went on last is asked for again, a few times.
    Again,
    /// What the forge made last from a token is used, more is made from it, and the first comes again.
    Mint,
    /// Many clients ask for the same at once.
    Crowd,
    /// A piece of a body comes.
    Piece,
    /// A client leaves.
    Leave,
    /// The lookup service answers a call.
    Answer,
    /// The host loses a call: nobody is ever told of it.
    Lose,
    /// The forge answers a request that went on.
    Respond,
    /// A job ends, and nobody tells.
    End,
    /// A role or an allowlist changes.
    Change,
    /// A project moves to another path.
    Relocate,
    /// Time passes.
    Pass,
    /// The clock is set.
    SetClock,
    /// A call of the host fails.
    Fail,
    /// Another worker writes a row between a read and a write of it.
    Interfere,
    /// A worker's filter is loaded anew.
    Reload,
    /// Another configuration comes to all workers.
    Configure,
    /// A job asks for something while another worker is told that it ended.
    Race,
    /// A user gets a role while what the service remembers of the one before is under way.
    Promote,
    /// So many jobs come that what is known of another is pushed out, which comes again.
    PushOut,
}

/// How often each kind comes, beside the others.
const OFTEN: [(Kind, u64); 21] = [
    (Kind::Open, 280),
    (Kind::Again, 60),
    (Kind::Mint, 20),
    (Kind::Crowd, 2),
    (Kind::Piece, 110),
    (Kind::Leave, 40),
    (Kind::Answer, 250),
    (Kind::Lose, 3),
    (Kind::Respond, 120),
    (Kind::End, 25),
    (Kind::Change, 20),
    (Kind::Relocate, 10),
    (Kind::Pass, 120),
    (Kind::SetClock, 2),
    (Kind::Fail, 5),
    (Kind::Interfere, 5),
    (Kind::Reload, 3),
    (Kind::Configure, 3),
    (Kind::Race, 5),
    (Kind::Promote, 1),
    (Kind::PushOut, 1),
];

impl Move {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut drawn = dice.below(OFTEN.iter().map(|(_, often)| often).sum());
        let kind = OFTEN.iter().find(|(_, often)| {
            let is_it = drawn < *often;
            drawn = drawn.saturating_sub(*often);
            is_it
        });
        let number = |dice: &mut Dice| (dice.roll() >> 32) as u32;
        Self { kind: kind.map_or(Kind::Pass, |(kind, _)| *kind), which: number(dice), how: number(dice) }
    }
}

/// The moves of a seed.
pub(crate) fn of_seed(seed: u64, steps: usize) -> Vec<Move> {
    let mut dice = Dice::new(seed);
    (0..steps).map(|_| Move::draw(&mut dice)).collect()
}
