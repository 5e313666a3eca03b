//! What was decided a moment ago, for who asks the same again: until something of what it was decided from changes or comes
//! due. It is never seen: at any moment the same would be decided from what is remembered.
//!
//! Pure: the time and the versions that say whether something was taken back come from the shell.

use alloc::rc::Rc;
use core::hash::Hash;

use hashbrown::HashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::access::Protocol;
use crate::bindings::{Moment, Stripe};
use crate::choices::Detail;
use crate::config::Config;
use crate::decision::{Decision, Grant, Outcome};
use crate::lifecycle::Watch;
use crate::request::{Claim, JobRequest, Progress};

/// How many decisions a generation has. There are two, so that what is asked again and again outlives what is not.
const GENERATION: usize = 2048;

/// Who asks what. It is a keyed hash, so that no token is kept, and nobody can make two that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asked(u128);

/// A decision, and for how long it holds.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What was decided.
    pub decision: Rc<Decision>,
    /// In whose words it was asked.
    pub protocol: Protocol,
    /// Which version says that nothing was taken back.
    pub stripe: Stripe,
    /// That version, as it was read before what the decision was made from.
    pub version: u32,
    /// When it was made.
    pub made: Moment,
    /// When something comes due of what it was made from.
    pub until: Moment,
}

/// The decisions that one worker keeps under one configuration.
#[derive(Debug)]
pub struct Memo {
    key: (u64, u64),
    room: usize,
    young: HashMap<Asked, Kept>,
    old: HashMap<Asked, Kept>,
    now: Moment,
}

impl Memo {
    /// An empty one. The key is random.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, room: GENERATION, young: HashMap::new(), old: HashMap::new(), now: Moment(0) }
    }

    /// One that keeps nothing, to see that nobody sees it.
    #[must_use]
    pub fn none() -> Self {
        Self { room: 0, ..Self::new((0, 0)) }
    }

    /// Under what to look for the decision on a request. `None` where none is kept: all that its decision depends on but for
    /// facts is in here, and nothing else of it is needed to carry the decision out.
    #[must_use]
    pub fn asked(&self, config: &Config, request: &JobRequest) -> Option<Asked> {
        let JobRequest { token, claim, protocol, accesses, scopes, progress, mints, bare, scan: _ } = request;
        let ([access], Claim::Marked, Progress::Going) = (accesses.as_slice(), claim, progress) else { return None };
        let is_plain = scopes.is_none() && mints.is_none() && bare.is_none();
        // What is told of allowed ones in full tells the age of each fact.
        if self.room == 0 || !is_plain || request.names_a_job() || config.log.allows == Detail::Full {
            return None;
        }
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        (token.expose(), protocol, access).hash(&mut hasher);
        Some(Asked(hasher.finish128().as_u128()))
    }

    /// The decision that was kept and holds now, unless its version is another by now.
    pub fn find(&mut self, asked: Asked, now: Moment) -> Option<&Kept> {
        self.pass(now);
        if let Some(kept) = self.old.remove(&asked) {
            self.put(asked, kept);
        }
        self.young.get(&asked).filter(|kept| kept.made <= now && now < kept.until)
    }

    /// Keeps a decision that was made on a request from what is remembered alone, where it may be kept.
    pub fn keep(&mut self, config: &Config, request: &JobRequest, asked: Asked, kept: Kept) {
        let changes_nothing = matches!(&kept.decision.outcome, Outcome::Forward(grant) if *grant == Grant::default());
        let is_watched = || Watch::of_job(config, request, &kept.decision).is_some();
        if kept.made < kept.until && changes_nothing && !kept.decision.denies() && !is_watched() {
            self.put(asked, kept);
        }
    }

    fn put(&mut self, asked: Asked, kept: Kept) {
        if self.young.len() >= self.room {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(asked, kept);
    }

    /// It is now. Where the clock was set back, what was kept before may have been confirmed again at a time that is still to
    /// come, which serves nobody.
    pub fn pass(&mut self, now: Moment) {
        if now < self.now {
            self.forget();
        }
        self.now = now;
    }

    /// Forgets everything: something else is decided by now.
    pub fn forget(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests;
