//! What was decided a moment ago, for who asks the same again: until something of what it was decided from changes or comes
//! due. It is never seen: at any moment the same would be decided from what is remembered.
//!
//! Pure: the time and the versions that say whether something was taken back come from the shell.

mod generations;
mod hashes;
mod heads;
mod places;

use alloc::rc::Rc;
use core::hash::Hash;

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use crate::access::Protocol;
use crate::bindings::{Moment, Stripe};
use crate::choices::Detail;
use crate::config::Config;
use crate::decision::{Decision, Grant, Outcome};
use crate::facts::Hash as TokenHash;
use crate::lifecycle::Watch;
use crate::request::{Claim, Extent, Head, JobRequest, Progress};
use generations::Generations;
pub use hashes::Hashes;
use places::Places;

/// How many decisions, and how many heads, a generation has.
const GENERATION: usize = 2048;

/// How many JWTs are known: some 24 KiB.
const JWTS: usize = 1024;

/// Who asks what. It is a keyed hash, so that no token is kept, and nobody can make two that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    all: u128,
    /// The hash of the token.
    pub token: TokenHash,
}

/// A head, as far as reading looks at it, and the JWT in it: keyed hashes as well.
#[derive(Debug, Clone)]
pub struct Seen {
    head: u128,
    jwt: Option<Hash128>,
}

/// A decision, and for how long it holds.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What was decided.
    pub decision: Rc<Decision>,
    /// In whose words it was asked.
    pub protocol: Protocol,
    /// Which version says that nothing was taken back.
    pub stripe: Stripe,
    /// That version, as it was read before what the decision was made from. `None` where it was not: then the decision does
    /// not count, and says no more than which one to read.
    pub version: Option<u32>,
    /// When it was made.
    pub made: Moment,
    /// When something comes due of what it was made from.
    pub until: Moment,
}

/// The decisions that one worker keeps under one configuration.
#[derive(Debug)]
pub struct Memo {
    key: (u64, u64),
    is_on: bool,
    decisions: Generations<u128, Kept>,
    heads: Generations<u128, Asked>,
    jwts: Places<Option<Extent>>,
    now: Moment,
}

impl Memo {
    /// An empty one. The key is random.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        let (decisions, heads) = (Generations::of(GENERATION), Generations::of(GENERATION));
        Self { key, is_on: true, decisions, heads, jwts: Places::new(JWTS, None), now: Moment(0) }
    }

    /// One that keeps nothing, to see that nobody sees it.
    #[must_use]
    pub fn none() -> Self {
        Self { is_on: false, ..Self::new((0, 0)) }
    }

    /// Under what to look for how a head reads. `None` where that is not known of any.
    #[must_use]
    pub fn seen(&self, config: &Config, head: &Head<'_>) -> Option<Seen> {
        let heads::Hashed { head, jwt } = heads::hash(&config.forge, head, self.hasher()).filter(|_| self.is_on)?;
        Some(Seen { head: head.finish128().as_u128(), jwt })
    }

    /// A head, and what was told before of the JWT in it, or is told now.
    #[must_use]
    pub fn knowing<'a>(&self, head: Head<'a>, seen: Option<&Seen>) -> Head<'a> {
        let jwt = seen.and_then(|seen| seen.jwt);
        match jwt.and_then(|hash| Some((hash, heads::jwt(&head)?))) {
            Some((hash, value)) => head.knowing(value, self.jwts.find(hash, || Extent::of(value))),
            None => head,
        }
    }

    /// What is asked by an equal head, where that is all there was to it.
    pub fn read(&mut self, seen: &Seen) -> Option<Asked> {
        self.heads.find(seen.head).copied()
    }

    /// This head asks for this and for nothing else. It is remembered where what was decided on that is, so that nobody but
    /// a running job has anything remembered.
    pub fn reads(&mut self, seen: &Seen, asked: Asked) {
        if self.decisions.find(asked.all).is_some() {
            self.heads.put(seen.head, asked);
        }
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.key.0, self.key.1)
    }

    /// Under what to look for the decision on a request. `None` where none is kept: all that its decision depends on but for
    /// facts is in here, and nothing else of it is needed to carry the decision out. Its token is in by its hash, which is known
    /// of most and shorter than a JWT.
    #[must_use]
    pub fn asked(&self, config: &Config, request: &JobRequest, hashes: &Hashes) -> Option<Asked> {
        let JobRequest { token, claim, protocol, accesses, scopes, progress, mints, bare, scan: _, is_silent: _ } =
            request;
        let ([access], Claim::Marked | Claim::Minted(None), Progress::Going) = (accesses.as_slice(), claim, progress)
        else {
            return None;
        };
        let is_plain = scopes.is_none() && mints.is_none() && bare.is_none();
        // What is told of allowed ones in full tells the age of each fact.
        if !self.is_on || !is_plain || request.names_a_job() || config.log.allows == Detail::Full {
            return None;
        }
        let mut hasher = self.hasher();
        let token = hashes.of_token(token);
        (token.0, *claim == Claim::Marked, protocol, access).hash(&mut hasher);
        Some(Asked { all: hasher.finish128().as_u128(), token })
    }

    /// Which version says that nothing was taken back, by what was last decided.
    pub fn stripe(&mut self, asked: Asked) -> Option<Stripe> {
        self.decisions.find(asked.all).map(|kept| kept.stripe)
    }

    /// The decision that was kept and holds now, unless its version is another by now.
    pub fn find(&mut self, asked: Asked, now: Moment) -> Option<&Kept> {
        self.pass(now);
        self.decisions.find(asked.all).filter(|kept| kept.made <= now && now < kept.until)
    }

    /// Keeps a decision that was made on a request from what is remembered alone, where it may be kept.
    pub fn keep(&mut self, config: &Config, request: &JobRequest, asked: Asked, kept: Kept) {
        let changes_nothing = matches!(&kept.decision.outcome, Outcome::Forward(grant) if *grant == Grant::default());
        let is_watched = || Watch::is_of_job(config, request, &kept.decision);
        if kept.made < kept.until && changes_nothing && !kept.decision.denies() && !is_watched() {
            self.decisions.put(asked.all, kept);
        }
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
        self.decisions.clear();
        self.heads.clear();
    }
}

#[cfg(test)]
mod tests;
