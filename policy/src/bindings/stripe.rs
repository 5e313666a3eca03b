//! Versions of what decisions are made from. A decision that is kept holds while the version stands that was read before the
//! rows it was made from: who takes something back writes the row first, and the next version then.

use super::{Binding, Moment, Row, Table};
use crate::config::Bindings;
use crate::facts::Hash;

/// One of the versions: that of some of the buckets of bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stripe(u32);

impl Stripe {
    /// How many there are.
    const COUNT: u32 = 64;

    /// All of them, in order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The one of a token, and of all whose bindings could take the place of its own.
    #[must_use]
    pub fn of(token: &Hash, capacity: u32) -> Self {
        Self(Table::of::<Binding>(capacity).bucket(token).checked_rem(Self::COUNT).unwrap_or(0))
    }

    /// Its place among all.
    #[must_use]
    pub fn place(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }
}

/// Whether a bucket that was changed no longer bears out a decision that was made from it.
#[must_use]
pub fn revokes<R: Row>(old: &[u8], new: &[u8], config: &Bindings, now: Moment) -> bool {
    let row = |bucket: &[u8], key: &Hash| {
        bucket.chunks_exact(R::SIZE).find(|row| row.starts_with(&key.0)).and_then(R::of_bytes)
    };
    let is_gone = |bytes: &&[u8]| !new.chunks_exact(R::SIZE).any(|same| same == *bytes);
    let rows = old.chunks_exact(R::SIZE).filter(is_gone).filter_map(R::of_bytes);
    rows.filter(|was| was.decides(config, now)).any(|was| !row(new, &was.key()).is_some_and(|is| is.bears_out(&was)))
}
