//! The least sets of changes that turn a decision around.

use policy::facts::Token;

use super::{Change, Setting, Situation, candidates};
use crate::deciding::{Answers, answers};
use crate::job::Caller;
use crate::request::Request;

/// More that have to be made together nobody makes.
const MOST: usize = 4;

/// Changes that turn a decision around when all of them are made; none can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip(pub Vec<Change>);

/// Every least set of changes after which the requests of a command end otherwise: pass where they are denied, are denied
/// where they pass. Small sets come first.
#[must_use]
pub fn flips(situation: &Situation, caller: &Caller, requests: &[Request]) -> Vec<Flip> {
    let decide =
        |situation: &Situation, caller: &Caller| answers(&situation.setup.config, &situation.world, caller, requests);
    let now = decide(situation, caller);
    let is_turned = |then: &Answers| now.verdict().passes() != then.verdict().passes();
    let mut found: Vec<Flip> = Vec::new();
    let mut open = vec![(Vec::<Change>::new(), situation.clone(), caller.clone(), now.clone())];
    for _ in 0..MOST {
        let mut next = Vec::new();
        for (made, situation, caller, answers) in open {
            let Some(answer) = answers.speaks() else { continue };
            let reason =
                |answers: &Answers| answers.speaks().and_then(|answer| answer.decision.as_ref()).map(|one| one.cause);
            for change in candidates::of(&situation, &caller, answer) {
                let Some(after) = situation.after(&change) else { continue };
                let caller = after.seen(&caller, &change);
                let then = decide(&after, &caller);
                let may_be_one_of_several = matches!(change, Change::Set(_, Setting::Part(_)));
                let made = [made.as_slice(), &[change]].concat();
                if is_turned(&then) {
                    let is_less =
                        |known: &Flip| known.0.iter().all(|one| made.iter().any(|other| one.is_within(other)));
                    if !found.iter().any(is_less) {
                        found.push(Flip(made));
                    }
                } else if reason(&then) != reason(&answers) || may_be_one_of_several {
                    // It helped, and something else stands in the way.
                    next.push((made, after, caller, then));
                }
            }
        }
        open = next;
    }
    found.retain(|flip| !is_same_with_more(flip, situation, caller, requests, &now));
    found
}

/// Whether some change of a set can be left out: later ones made it idle.
fn is_same_with_more(flip: &Flip, situation: &Situation, caller: &Caller, requests: &[Request], now: &Answers) -> bool {
    flip.0.len() > 1
        && (0..flip.0.len()).any(|left_out| {
            let rest = flip.0.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, change)| change);
            let mut state = Some((situation.clone(), caller.clone()));
            for change in rest {
                state = state.and_then(|(situation, caller)| {
                    let after = situation.after(change)?;
                    let caller = after.seen(&caller, change);
                    Some((after, caller))
                });
            }
            state.is_some_and(|(situation, caller)| {
                let then = answers(&situation.setup.config, &situation.world, &caller, requests);
                then.verdict().passes() != now.verdict().passes()
            })
        })
}

impl Situation {
    /// The caller as a changed world sees it.
    fn seen(&self, caller: &Caller, change: &Change) -> Caller {
        let is_freed =
            matches!(change, Change::Unblock(id) if caller.job.user.as_ref().is_some_and(|user| user.id.0 == *id));
        let token = if is_freed { Token::Running(caller.job.clone()) } else { caller.token.clone() };
        Caller { token, ..caller.clone() }
    }
}
