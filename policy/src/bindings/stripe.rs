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

    fn bit(self) -> u64 {
        1u64.checked_shl(self.0).unwrap_or(0)
    }
}

/// Some of the versions: a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stripes(u64);

impl Stripes {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);

    /// That of a token.
    #[must_use]
    pub fn of(token: &Hash, capacity: u32) -> Self {
        Self(Stripe::of(token, capacity).bit())
    }

    /// Each of them, in order.
    pub fn each(self) -> impl Iterator<Item = Stripe> {
        Stripe::all().filter(move |stripe| self.0 & stripe.bit() != 0)
    }
}

/// Whether two rows are the same, sixteen bytes at a time: a machine without an instruction for it compares each byte alone.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, end), (other_words, other_end)) = (one.as_chunks(), other.as_chunks());
    words.iter().copied().map(u128::from_le_bytes).eq(other_words.iter().copied().map(u128::from_le_bytes))
        && end == other_end
}

/// The versions of the decisions that a bucket which was changed no longer bears out.
#[must_use]
pub fn revoked<R: Row>(old: &[u8], new: &[u8], config: &Bindings, now: Moment) -> Stripes {
    let row = |bucket: &[u8], key: &Hash| {
        bucket.chunks_exact(R::SIZE).find(|row| row.starts_with(&key.0)).and_then(R::of_bytes)
    };
    let is_gone = |bytes: &&[u8]| !new.chunks_exact(R::SIZE).any(|row| is_same(row, bytes));
    let rows = old.chunks_exact(R::SIZE).filter(is_gone).filter_map(R::of_bytes);
    let deciding = rows.map(|was| (was.decides(config, now), was)).filter(|(stripes, _)| *stripes != Stripes::NONE);
    let revoked = deciding.filter(|(_, was)| !row(new, &was.key()).is_some_and(|is| is.bears_out(was)));
    revoked.fold(Stripes::NONE, |all, (stripes, _)| Stripes(all.0 | stripes.0))
}
