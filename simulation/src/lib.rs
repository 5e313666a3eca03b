//! The filter in a small world of its own: several workers over one store, jobs that come and go, projects that move, clients, a
//! lookup service that is slow, wrong or away and speaks as GitLab does or as `v1`, and one clock. Everything that happens is drawn from a seed, and what must hold is looked at
//! after each step:
//!
//! - no request of a job goes on unless a lookup said, no longer ago than facts serve, that its token is a running job's and
//!   what a decision needs of its target, and none after this proxy saw its job's end: whether it comes with the token or with
//!   what the forge made from it, and whatever project its path led to before. A filter that lays rows out in another way has
//!   to be told all of it anew, an end as well; and an end counts while there is room to remember it;
//! - no request goes on with a slot unless it is one of a job whose token the forge does not know, nor with a slot and a credential of
//!   its own, whatever a client sends; its route is that of its slot;
//! - no client gets a credential that the forge made, where jobs are to have their own alone, nor the session of the account whose
//!   credential was added;
//! - no request is denied what was granted to its job before facts may deny, and none is told to come again, unless a lookup
//!   failed;
//! - the service, which remembers, is told of each end that a runner reported;
//! - of a credential that the forge made and a client got it is remembered from whose token, where there is room;
//! - what is no job's goes on at once;
//! - each request is answered, goes on or is gone by its deadline, and none is answered or woken that is gone;
//! - no fact is looked up twice at a time by one worker, nor a part of one for one job, where GitLab tells a fact in parts;
//! - no call of the host lets more requests go, or answers them, than its stack bears;
//! - there are as many rows as in the beginning, and none outgrows its table;
//! - no more requests wait, and no more of their bytes are kept, than are there, and nothing is counted of a configuration
//!   that is gone.
//!
//! What may go on is judged by `judge`, which knows nothing of the filter. What goes wrong is cut down to a short story.
//! On a busy machine a core played some 9,000 steps a second of its own time, each three times: ten million (`make simulate`)
//! take nine minutes on two.

mod dice;
mod fault;
mod filter;
mod host;
mod judge;
mod memory;
mod moves;
mod proxy;
mod request;
mod service;
mod shared;
mod stage;
mod tally;
mod world;

use std::fmt::{self, Display, Formatter};

pub use fault::Fault;
pub use moves::Move;
pub use stage::{Fate, Got, Stage};
pub use tally::Tally;

use host::SimulatedHost;
use jobscope::Worker;
use proxy::{Part, Proxy, Scene};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// In how many steps it goes wrong, once all are left out that are not needed.
    pub steps: usize,
    /// What does not hold.
    pub what: String,
    /// What happened.
    pub story: Vec<String>,
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} steps:", self.seed, self.steps)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "{}", self.what)
    }
}

/// Plays so many steps of a seed, on a host that may have a fault.
///
/// # Errors
/// Something does not hold.
pub fn run(seed: u64, steps: usize, fault: Option<Fault>) -> Result<Tally, Box<Failure>> {
    let moves = moves::of_seed(seed, steps);
    match play(&moves, Scene::of_seed(seed), fault, false) {
        (Ok(tally), _) => Ok(tally),
        (Err((_, at)), _) => Err(Box::new(cut_down(seed, moves[..=at.min(moves.len() - 1)].to_vec(), fault))),
    }
}

type Played = Result<Tally, (String, usize)>;

/// Plays moves until something does not hold; also what happened, where it is to be told. On a host without a fault, or with one
/// that only who keeps decisions has to know, they are played again, with decisions that are kept and without, and nobody must be able to tell which is which.
fn play(moves: &[Move], scene: Scene, fault: Option<Fault>, tells: bool) -> (Played, Vec<String>) {
    let (played, story) = judge(moves, scene, fault, tells);
    match played {
        Ok(tally) if matches!(fault, None | Some(Fault::UntoldMinted | Fault::SilentEvictions)) => {
            match compare(moves, scene, fault, tells) {
                (Ok(spared), _) => (Ok(Tally { spared, ..tally }), story),
                (Err(wrong), story) => (Err(wrong), story),
            }
        }
        played => (played, story),
    }
}

/// Plays moves with decisions that are kept and without, until something is done in another way. How many reads were spared.
fn compare(
    moves: &[Move],
    scene: Scene,
    fault: Option<Fault>,
    tells: bool,
) -> (Result<u64, (String, usize)>, Vec<String>) {
    let [mut kept, mut forgetful] =
        [Part::Compared, Part::Forgetful].map(|part| Proxy::<Worker<SimulatedHost>>::new(scene, fault, part, tells));
    let mut spared = 0;
    for (at, step) in moves.iter().enumerate() {
        let wrong = kept.step(*step).or_else(|| forgetful.step(*step));
        let [(did, reads), (would, more_reads)] = [&mut kept, &mut forgetful].map(|proxy| proxy.did());
        spared += more_reads.saturating_sub(reads);
        let is_seen = || "a decision that was kept is not the one that would be made".to_owned();
        if let Some(wrong) = wrong.or_else(|| (did != would).then(is_seen)) {
            let without = forgetful.story.unwrap_or_default().into_iter().map(|line| format!("without: {line}"));
            return (Err((wrong, at)), kept.story.unwrap_or_default().into_iter().chain(without).collect());
        }
    }
    (Ok(spared), Vec::new())
}

/// Plays moves until something does not hold.
fn judge(moves: &[Move], scene: Scene, fault: Option<Fault>, tells: bool) -> (Played, Vec<String>) {
    let mut proxy = Proxy::<Worker<SimulatedHost>>::new(scene, fault, Part::Alone, tells);
    for (at, step) in moves.iter().enumerate() {
        let wrong = proxy.step(*step).or_else(|| (at % 256 == 255).then(|| proxy.check_rows()).flatten());
        if let Some(wrong) = wrong {
            return (Err((wrong, at)), proxy.story.unwrap_or_default());
        }
    }
    match proxy.check_rows() {
        Some(wrong) => (Err((wrong, moves.len())), proxy.story.unwrap_or_default()),
        None => (Ok(proxy.tally()), proxy.story.unwrap_or_default()),
    }
}

/// How often a story is played to be cut down, at most.
const PLAYS: usize = 4_000;

/// Leaves moves out, many at a time and then fewer, as long as something still goes wrong.
fn cut_down(seed: u64, mut moves: Vec<Move>, fault: Option<Fault>) -> Failure {
    let scene = Scene::of_seed(seed);
    // What goes wrong alone is played alone.
    let is_judged = judge(&moves, scene, fault, false).0.is_err();
    let again = |moves: &[Move], tells| match is_judged {
        true => judge(moves, scene, fault, tells),
        false => play(moves, scene, fault, tells),
    };
    let (mut size, mut plays) = (moves.len() / 2, 0);
    while size > 0 && plays < PLAYS {
        let (mut from, before) = (0, moves.len());
        while from < moves.len() && plays < PLAYS {
            let mut fewer = moves.clone();
            fewer.drain(from..moves.len().min(from + size));
            plays += 1;
            match again(&fewer, false).0 {
                Ok(_) => from += size,
                Err((_, at)) => {
                    fewer.truncate(at + 1);
                    moves = fewer;
                }
            }
        }
        if moves.len() == before {
            size /= 2;
        }
    }
    let (played, story) = again(&moves, true);
    let what = played.map_or_else(|(what, _)| what, |_| "it does not go wrong again".to_owned());
    Failure { seed, steps: moves.len(), what, story }
}
