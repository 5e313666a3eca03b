//! A map of so many places: each entry has one by its hash, which it shares with others, of which the last is kept.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use siphasher::sip128::Hash128;

/// What was made of something, by a keyed hash of that.
#[derive(Debug)]
pub(super) struct Places<V>(RefCell<Vec<((u64, u64), V)>>);

impl<V: Copy> Places<V> {
    /// So many, in which nothing is yet. What has all zeroes for a hash, nobody can make.
    pub(super) fn new(count: usize, none: V) -> Self {
        Self(RefCell::new(vec![((0, 0), none); count]))
    }

    /// What was made of what has this hash, or is made now.
    pub(super) fn find(&self, hash: Hash128, make: impl FnOnce() -> V) -> V {
        let Hash128 { h1, h2 } = hash;
        let Ok(mut known) = self.0.try_borrow_mut() else { return make() };
        let at = usize::try_from(h1 >> 40).ok().and_then(|at| at.checked_rem(known.len()));
        let Some((of, known)) = at.and_then(|at| known.get_mut(at)) else { return make() };
        if *of != (h1, h2) {
            (*of, *known) = ((h1, h2), make());
        }
        *known
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().iter().filter(|(of, _)| *of != (0, 0)).count()
    }
}
