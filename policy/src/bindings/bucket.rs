//! Buckets: a few rows packed one behind the other.

use alloc::vec::Vec;

use super::{Binding, Moment, Row};
use crate::config::Bindings;
use crate::facts::Hash;

/// The most rows in a bucket. With a mean of a quarter of it, a bucket overflows about once in a million.
pub const BUCKET_ROWS: usize = 16;

/// A table: what it is called, how long its rows are, and how many buckets it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    name: &'static str,
    row: usize,
    buckets: u32,
}

impl Table {
    /// The table of these rows where so many running jobs are to be remembered, with room for uneven filling.
    #[must_use]
    pub fn of<R: Row>(capacity: u32) -> Self {
        Self { name: R::TABLE, row: R::SIZE, buckets: R::rows(capacity).div_ceil(4).max(1) }
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Bytes in a row.
    #[must_use]
    pub fn row(self) -> usize {
        self.row
    }

    /// How many buckets it has. Their numbers are all that a store ever keeps as keys.
    #[must_use]
    pub fn buckets(self) -> u32 {
        self.buckets
    }

    /// How many bytes all of its rows have where every bucket is full.
    #[must_use]
    pub fn most_bytes(self) -> usize {
        let buckets = usize::try_from(self.buckets).unwrap_or(usize::MAX);
        buckets.saturating_mul(BUCKET_ROWS).saturating_mul(self.row)
    }

    /// The bucket of a key.
    #[must_use]
    pub fn bucket(self, key: &Hash) -> u32 {
        let head = key.0.first_chunk::<4>().map_or(0, |head| u32::from_be_bytes(*head));
        head.checked_rem(self.buckets).unwrap_or(0)
    }
}

fn rows<R: Row>(bucket: &[u8]) -> impl Iterator<Item = &[u8]> {
    bucket.chunks_exact(R::SIZE)
}

/// The row of a key.
#[must_use]
pub fn find<R: Row>(bucket: &[u8], key: &Hash) -> Option<R> {
    rows::<R>(bucket).find(|row| row.starts_with(&key.0)).and_then(R::read)
}

/// The bucket with a row put in: over the row of its key, else behind the others, else over the row that ranks lowest.
/// `None` when the row cannot be written, or when every other row is worth more than it.
#[must_use]
pub fn put<R: Row>(bucket: &[u8], row: R, config: &Bindings, now: Moment) -> Option<Vec<u8>> {
    let key = row.key();
    let mut kept: Vec<(Vec<u8>, (u8, u64))> = Vec::with_capacity(BUCKET_ROWS);
    let mut coming = row;
    for bytes in rows::<R>(bucket).take(BUCKET_ROWS) {
        // Bytes that cannot be read are dropped: their fact will be looked up again.
        let Some(old) = R::read(bytes) else { continue };
        if old.key() == key {
            coming = coming.over(old);
        } else {
            kept.push((bytes.to_vec(), old.rank(config, now)));
        }
    }
    if kept.len() >= BUCKET_ROWS {
        let lowest = kept.iter().enumerate().min_by_key(|(_, (_, rank))| *rank).map(|(at, (_, rank))| (at, *rank))?;
        if lowest.1 > coming.rank(config, now) {
            return None;
        }
        kept.swap_remove(lowest.0);
    }
    let mut bytes: Vec<u8> = kept.into_iter().flat_map(|(bytes, _)| bytes).collect();
    bytes.extend(coming.write()?);
    Some(bytes)
}

/// The bucket with its running bindings as they are when nobody has confirmed them for `max_stale`: each is looked up
/// before it serves again. Only those that were confirmed before then are changed; `None` where there are none.
#[must_use]
pub fn age(bucket: &[u8], config: &Bindings, before: Moment) -> Option<Vec<u8>> {
    let mut is_changed = false;
    let mut aged = Vec::with_capacity(bucket.len());
    for bytes in rows::<Binding>(bucket) {
        let old = Binding::read(bytes).and_then(|binding| binding.aged(config, before)?.write());
        is_changed |= old.is_some();
        aged.extend(old.as_deref().unwrap_or(bytes));
    }
    is_changed.then_some(aged)
}
