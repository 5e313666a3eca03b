//! What a request may do, as the simulation sees it: from what lookups said, and from what else this proxy was told. It knows
//! nothing of the filter.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Job, Question, Role, Said, Standing};

/// By how much what was noted may lie ahead of the clock, in milliseconds: workers' clocks differ by a second, and a lookup
/// is as old as its first call.
const SKEW: u64 = 3_000;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To read in a project, or to write there.
    Of(usize, Role),
    /// To report on a job, whoever that is: the forge decides.
    Report,
    /// Something that no job asks.
    Person,
}

/// A moment: by the clock, and by how much time has passed. Where the clock is set, either is told of a fact's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) clock: u64,
    pub(crate) passed: u64,
}

impl Time {
    /// Whether what was asked then serves now, where it does for so long.
    fn serves(self, now: Self, stale: u64) -> bool {
        let by_clock = self.clock + stale > now.clock && self.clock <= now.clock + SKEW;
        by_clock || self.passed + stale > now.passed
    }
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// When it was asked whose tokens these are, where they were said to be running jobs'.
    running: BTreeMap<String, Vec<(Time, usize)>>,
    standings: BTreeMap<(usize, usize, usize), Vec<(Time, Standing)>>,
    ended: BTreeSet<usize>,
}

impl Judge {
    /// A lookup that was asked then said this.
    pub(crate) fn hear(&mut self, question: &Question, said: &Said, asked: Time) {
        match (question, said) {
            (Question::Token(token), Said::Runs(job)) => {
                self.running.entry(token.clone()).or_default().push((asked, *job));
            }
            (Question::Target(user, origin, target), Said::Standing(standing)) => {
                self.standings.entry((*user, *origin, *target)).or_default().push((asked, *standing));
            }
            (_, Said::Runs(_) | Said::Ended(_) | Said::Unknown | Said::Standing(_) | Said::List(..)) => {}
        }
    }

    /// This proxy saw a job's end.
    pub(crate) fn see_end(&mut self, job: usize) {
        self.ended.insert(job);
    }

    /// Why a request with this token may not go on now, where what was asked at most `stale` milliseconds ago serves.
    pub(crate) fn forbids(&self, jobs: &[Job], token: Option<&str>, ask: Ask, now: Time, stale: u64) -> Option<String> {
        let Ask::Of(target, needed) = ask else { return None };
        let token = token?;
        let known =
            self.running.get(token).and_then(|told| told.iter().rev().find(|(asked, _)| asked.serves(now, stale)));
        let Some((_, number)) = known else { return Some(format!("no lookup says that {token} is a running job's")) };
        if self.ended.contains(number) {
            return Some(format!("the end of job {number} was seen"));
        }
        let (user, origin) = (jobs[*number].user, jobs[*number].origin);
        let told = self.standings.get(&(user, origin, target));
        let allows = |(asked, standing): &(Time, Standing)| {
            asked.serves(now, stale) && standing.role >= needed && (standing.is_admitted || origin == target)
        };
        let is_allowed = told.is_some_and(|told| told.iter().rev().any(allows));
        (!is_allowed).then(|| format!("no lookup admits job {number} to g/p{target} for that"))
    }

    /// Forgets what serves nobody any longer.
    pub(crate) fn forget(&mut self, now: Time) {
        const LONGEST: u64 = 120_000;
        let serves = |asked: &Time| asked.serves(now, LONGEST);
        for told in self.running.values_mut() {
            told.retain(|(asked, _)| serves(asked));
        }
        self.running.retain(|_, told| !told.is_empty());
        for told in self.standings.values_mut() {
            told.retain(|(asked, _)| serves(asked));
        }
    }
}
