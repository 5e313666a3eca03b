//! What is remembered, and for how long it is believed. Pure: who stores the bytes, and where, is not known here.
//!
//! A table is a fixed number of buckets; a bucket is a row of fixed-size rows packed one behind the other, at most
//! [`BUCKET_ROWS`]. A bucket that is full gives up the row that ranks lowest, so the memory of a table is bounded by
//! its layout whatever comes in.

mod binding;
mod bucket;
mod rejection;
mod row;
mod target;

pub use binding::{Binding, State};
pub use bucket::{BUCKET_ROWS, Table, find, put};
pub use rejection::Rejection;
pub use row::Row;
pub use target::TargetRow;

use core::time::Duration;

use crate::config::Bindings;

/// The layout of rows. It changes whenever a row is written in another order, also where its size stays.
pub const LAYOUT: &str = "2";

/// A moment, in milliseconds since the Unix epoch. The shell has the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// How long ago `earlier` was; nothing when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment and a while.
    #[must_use]
    pub fn after(self, while_: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(while_.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Whether a fact still serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It serves.
    Fresh,
    /// It serves, and is to be looked up again in the background.
    Stale,
    /// It no longer serves.
    Gone,
}

/// Whether a fact that was confirmed then serves now.
#[must_use]
pub fn freshness(config: &Bindings, confirmed: Moment, now: Moment) -> Freshness {
    match now.since(confirmed) {
        age if age < config.revalidate_after => Freshness::Fresh,
        age if age < config.max_stale => Freshness::Stale,
        _ => Freshness::Gone,
    }
}

#[cfg(test)]
mod tests;
