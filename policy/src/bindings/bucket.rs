//! Buckets: a few rows packed one behind the other.

use alloc::vec::Vec;

use super::{Binding, Moment, Row};
use crate::config::Bindings;
use crate::facts::Hash;

/// The most rows in a bucket. With a mean of a quarter of it, a bucket overflows about once in a million.
pub const BUCKET_ROWS: usize = 16;

/// How many rows of one kind a bucket has room for, whatever else comes.
const KIND_ROWS: usize = BUCKET_ROWS / 2;

/// How many rows of one owner it keeps.
const OWNER_ROWS: usize = 4;

/// How many rows that are never pushed out it takes; less than [`KIND_ROWS`], so that there is room for others.
const HELD_ROWS: usize = 6;

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

    /// How many rows these bytes of a bucket hold.
    #[must_use]
    pub fn rows(self, bucket: &[u8]) -> usize {
        bucket.len().checked_div(self.row).unwrap_or(0)
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

/// The row of a key, as it counts now.
#[must_use]
pub fn find<R: Row>(bucket: &[u8], key: &Hash, now: Moment) -> Option<R> {
    rows::<R>(bucket).find(|row| row.starts_with(&key.0)).and_then(R::of_bytes).map(|row| row.seen(now))
}

/// A row of another key than the one that comes.
struct Kept<'a> {
    bytes: &'a [u8],
    rank: (u8, u64),
    owner: Option<Hash>,
    kind: u8,
    is_held: bool,
}

/// Where a row that comes has its place.
enum Place {
    /// Behind the others.
    Free,
    /// In the place of this one.
    Of(usize),
    /// Nowhere.
    None,
}

/// The place of a row that comes.
fn place<R: Row>(kept: &[Kept<'_>], coming: &R, config: &Bindings, now: Moment) -> Place {
    let count = |counts: &dyn Fn(&Kept<'_>) -> bool| kept.iter().filter(|row| counts(row)).count();
    let is_own = |row: &Kept<'_>| row.owner.is_some() && row.owner == coming.owner();
    let is_of_kind = |row: &Kept<'_>| row.kind == coming.kind();
    let (owns_most, is_full) = (count(&is_own) >= OWNER_ROWS, kept.len() >= BUCKET_ROWS);
    if coming.is_held(now) && count(&|row| row.is_held) >= HELD_ROWS {
        return Place::None;
    }
    if !owns_most && !is_full {
        return Place::Free;
    }
    let has_share = count(&is_of_kind) >= KIND_ROWS;
    let may_go = |row: &Kept<'_>| match () {
        () if row.is_held => false,
        () if owns_most => is_own(row),
        () => is_of_kind(row) == has_share || row.rank.0 == 0,
    };
    match kept.iter().enumerate().filter(|(_, row)| may_go(row)).min_by_key(|(_, row)| row.rank) {
        // Of the other kind there are more than its share.
        Some((at, lowest)) if !is_of_kind(lowest) || lowest.rank <= coming.rank(config, now) => Place::Of(at),
        Some(_) | None => Place::None,
    }
}

/// The bucket with a row put in: over the row of its key, else behind the others, else over the row that ranks lowest.
/// `None` when the row cannot be written, or when every other row is worth more than it.
#[must_use]
pub fn put<R: Row>(bucket: &[u8], row: R, config: &Bindings, now: Moment) -> Option<Vec<u8>> {
    let key = row.key();
    let mut kept: Vec<Kept<'_>> = Vec::with_capacity(BUCKET_ROWS);
    let mut coming = row;
    for bytes in rows::<R>(bucket).take(BUCKET_ROWS) {
        // Bytes that cannot be read are dropped: their fact will be looked up again.
        let Some(old) = R::of_bytes(bytes).map(|old| old.seen(now)) else { continue };
        if old.key() == key {
            coming = coming.over(old);
        } else {
            let (rank, owner, kind, is_held) = (old.rank(config, now), old.owner(), old.kind(), old.is_held(now));
            kept.push(Kept { bytes, rank, owner, kind, is_held });
        }
    }
    match place(&kept, &coming, config, now) {
        Place::Free => {}
        Place::Of(at) => drop(kept.swap_remove(at)),
        Place::None => return None,
    }
    let coming = coming.bytes()?;
    let mut bytes = Vec::with_capacity(bucket.len().saturating_add(coming.len()));
    kept.iter().map(|row| row.bytes).chain([coming.as_slice()]).for_each(|row| bytes.extend_from_slice(row));
    Some(bytes)
}

/// The bucket with its running bindings as they are when nobody has confirmed them: each is looked up before it serves again. Only those that were confirmed before then are changed; `None` where there are none.
#[must_use]
pub fn age(bucket: &[u8], config: &Bindings, before: Moment) -> Option<Vec<u8>> {
    changed(bucket, |binding| binding.aged(config, before))
}

/// The bucket with one binding in doubt: where it runs, it is looked up before it serves again. `None` where there is none
/// to doubt.
#[must_use]
pub fn doubt(bucket: &[u8], key: &Hash) -> Option<Vec<u8>> {
    changed(bucket, |binding| if binding.key == *key { binding.doubted() } else { None })
}

/// The bucket with some of its bindings changed; `None` where none is.
fn changed(bucket: &[u8], change: impl Fn(Binding) -> Option<Binding>) -> Option<Vec<u8>> {
    let mut is_changed = false;
    let mut all = Vec::with_capacity(bucket.len());
    for bytes in rows::<Binding>(bucket) {
        let new = Binding::of_bytes(bytes).and_then(|binding| change(binding)?.bytes());
        is_changed |= new.is_some();
        all.extend(new.as_deref().unwrap_or(bytes));
    }
    is_changed.then_some(all)
}
