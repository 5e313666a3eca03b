//! A cause that thousands meet in a second is in the log once a second; all of them are counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;

const SECOND: u64 = 1000;

/// When something was last noted.
#[derive(Debug, Default)]
pub struct Journal(AtomicU64);

impl Journal {
    /// Whether to note it now.
    pub fn may_note(&self) -> bool {
        let (last, now) = (self.0.load(Ordering::Relaxed), clock::now().0);
        let is_due = now.saturating_sub(last) >= SECOND;
        is_due && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_in_a_second_one_is_noted() {
        let journal = Journal::default();
        assert_eq!((0..1000).filter(|_| journal.may_note()).count(), 1);
    }
}
