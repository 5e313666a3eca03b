//! What is remembered, and for how long it is believed. Pure: who stores the bytes, and where, is not known here.
//!
//! A table is a fixed number of buckets; a bucket is a row of fixed-size rows packed one behind the other, at most
//! [`BUCKET_ROWS`]. A bucket that is full gives up the row that ranks lowest, so the memory of a table is bounded by
//! its layout whatever comes in.

mod binding;
mod bucket;
mod dependencies;
mod follower;
mod inquiry;
mod job;
mod layout;
mod learned;
mod minted;
mod missing;
mod part;
mod quota;
mod rejection;
mod row;
mod stripe;
mod target;

pub use binding::{Binding, Denial, Remembered, State};
pub use bucket::{BUCKET_ROWS, Table, age, doubt, find, put};
pub use dependencies::Dependencies;
pub use follower::{Cursor, Follower};
pub use inquiry::{Inquiry, Mark};
pub use job::{JobRow, Place};
pub use layout::{LAYOUT, layout};
pub use learned::{Expiry, Learned, Told};
pub use minted::{Forgotten, Minted};
pub use missing::Missing;
pub use part::{PartRow, ProjectRow};
pub use quota::{Quota, Usage};
pub use rejection::Rejection;
pub use row::Row;
pub use stripe::{Stripe, Stripes, revoked};
pub use target::TargetRow;

use core::time::Duration;

use crate::config::{Bindings, Lifetimes};
use crate::facts::Lifetime;

/// Every table, where so many running jobs are to be remembered. What is not here has no place in shared data, and what
/// is here bounds it.
#[must_use]
pub fn tables(capacity: u32) -> [Table; 10] {
    [
        Table::of::<Binding>(capacity),
        Table::of::<TargetRow>(capacity),
        Table::of::<Missing>(capacity),
        Table::of::<ProjectRow>(capacity),
        Table::of::<PartRow>(capacity),
        Table::of::<Rejection>(capacity),
        Table::of::<Minted>(capacity),
        Table::of::<JobRow>(capacity),
        Table::of::<Dependencies>(capacity),
        Table::of::<Usage>(capacity),
    ]
}

/// By how much the clocks of two workers may differ. What lies further ahead was noted before the clock was set back.
const SKEW: Duration = Duration::from_secs(1);

/// How long a fact that was looked up may deny without being looked up once more: what a maintainer grants counts at once,
/// and who is denied again and again costs a lookup in so much time and no more.
pub(crate) const DENIES: Duration = Duration::from_secs(2);

/// A moment, in milliseconds since the Unix epoch. The shell has the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// So many seconds after the epoch.
    #[must_use]
    pub fn of_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// How long ago `earlier` was; nothing when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment as it counts now: one that lies ahead was noted before the clock was set back, and is as good as none.
    #[must_use]
    pub fn seen(self, now: Self) -> Self {
        if self.is_ahead(now) { Self(0) } else { self }
    }

    /// Whether this moment, which was at most `within` away when it was set, has come: also where the clock was set back
    /// since, and nobody knows how long it has been.
    #[must_use]
    pub fn has_come(self, within: Duration, now: Self) -> bool {
        now >= self || self > now.after(within)
    }

    fn is_ahead(self, now: Self) -> bool {
        self > now.after(SKEW)
    }

    /// A while before this moment.
    #[must_use]
    pub fn before(self, while_: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(while_.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This moment and a while.
    #[must_use]
    pub fn after(self, while_: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(while_.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// When the parts of what a target is to a job were looked up, the oldest of each lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// What is known of projects.
    pub projects: Moment,
    /// What is known of users and members.
    pub members: Moment,
    /// What is known of who is let in, and out.
    pub allowlists: Moment,
}

impl Confirmed {
    /// All of it at one moment.
    #[must_use]
    pub fn at(moment: Moment) -> Self {
        Self { projects: moment, members: moment, allowlists: moment }
    }

    /// With a part that was looked up then.
    #[must_use]
    pub fn with(mut self, lifetime: Lifetime, moment: Moment) -> Self {
        let of = match lifetime {
            Lifetime::Projects => &mut self.projects,
            Lifetime::Members => &mut self.members,
            Lifetime::Allowlists => &mut self.allowlists,
        };
        *of = moment.min(*of);
        self
    }

    /// Whether none of it was looked up before `other`'s.
    fn is_since(&self, other: &Self) -> bool {
        self.projects >= other.projects && self.members >= other.members && self.allowlists >= other.allowlists
    }

    /// The same as it counts now.
    #[must_use]
    pub fn seen(self, now: Moment) -> Self {
        let Self { projects, members, allowlists } = self;
        Self { projects: projects.seen(now), members: members.seen(now), allowlists: allowlists.seen(now) }
    }

    /// How long ago each was.
    #[must_use]
    pub fn ages(&self, now: Moment) -> [(Lifetime, Duration); 3] {
        let all = [
            (Lifetime::Projects, self.projects),
            (Lifetime::Members, self.members),
            (Lifetime::Allowlists, self.allowlists),
        ];
        all.map(|(lifetime, confirmed)| (lifetime, now.since(confirmed)))
    }

    /// The oldest of it.
    #[must_use]
    pub fn oldest(&self) -> Moment {
        self.projects.min(self.members).min(self.allowlists)
    }
}

/// Whether a fact still serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It was looked up just now: it serves, to deny as well.
    New,
    /// It serves. To deny it is looked up once more.
    Fresh,
    /// It serves, and is to be looked up again in the background.
    Stale,
    /// It no longer serves.
    Gone,
}

/// Until when a binding that was confirmed then serves as it is: it comes due, or no longer serves.
fn comes_due(config: &Bindings, confirmed: Moment) -> Moment {
    confirmed.after(config.revalidate_after.min(config.max_stale))
}

/// How old what a lookup brings may be by the memory of who is asked, where it is kept for so long: a second less, in whole
/// seconds. So it is always younger than what it takes the place of, which is due, and ages do not add up. No less: all who
/// share a memory then come due with it, and the forge is asked once for all of them.
fn max_age(kept: Duration) -> Duration {
    Duration::from_secs(kept.as_secs().saturating_sub(1))
}

impl Bindings {
    /// How old the answer of who is asked for a token may be, by a memory of its own.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        max_age(self.revalidate_after.min(self.max_stale))
    }
}

/// Whether a binding that was confirmed then serves now.
#[must_use]
pub fn freshness(config: &Bindings, confirmed: Moment, now: Moment) -> Freshness {
    serves(config.revalidate_after, config.max_stale, confirmed, now)
}

impl Lifetimes {
    /// Whether a part that was looked up then serves now.
    #[must_use]
    pub fn of_part(&self, lifetime: Lifetime, confirmed: Moment, now: Moment) -> Freshness {
        serves(self.after(lifetime), self.max_stale, confirmed, now)
    }

    /// How old the answer of who is asked for all of a target may be, by a memory of its own.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        max_age(self.projects.min(self.members).min(self.allowlists).min(self.max_stale))
    }

    fn after(&self, lifetime: Lifetime) -> Duration {
        match lifetime {
            Lifetime::Projects => self.projects,
            Lifetime::Members => self.members,
            Lifetime::Allowlists => self.allowlists,
        }
    }

    /// Until when what is composed of parts serves as it is: one of them comes due, or no longer serves.
    #[must_use]
    pub fn comes_due(&self, confirmed: &Confirmed) -> Moment {
        let due = |lifetime, confirmed: Moment| confirmed.after(self.after(lifetime).min(self.max_stale));
        due(Lifetime::Projects, confirmed.projects)
            .min(due(Lifetime::Members, confirmed.members))
            .min(due(Lifetime::Allowlists, confirmed.allowlists))
    }

    /// Whether what is composed of parts serves now: as well as the part of it that serves worst.
    #[must_use]
    pub fn of_all(&self, confirmed: &Confirmed, now: Moment) -> Freshness {
        self.of_part(Lifetime::Projects, confirmed.projects, now)
            .max(self.of_part(Lifetime::Members, confirmed.members, now))
            .max(self.of_part(Lifetime::Allowlists, confirmed.allowlists, now))
    }
}

fn serves(fresh: Duration, stale: Duration, confirmed: Moment, now: Moment) -> Freshness {
    match now.since(confirmed) {
        _ if confirmed.is_ahead(now) => Freshness::Gone,
        age if age >= stale => Freshness::Gone,
        age if age >= fresh => Freshness::Stale,
        age if age >= DENIES => Freshness::Fresh,
        _ => Freshness::New,
    }
}

#[cfg(test)]
mod tests;
