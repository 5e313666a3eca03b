//! How many calls a second a forge gets. Every call passes here, and none passes by.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

const SECOND: Duration = Duration::from_secs(1);

/// At most so many in whatever second.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    /// When the last calls went out, as many as there may be in a second. Who waits holds the lock, so calls go in the order
    /// in which they came.
    gone: Mutex<VecDeque<Instant>>,
}

impl Budget {
    /// Of so many calls a second.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), gone: Mutex::default() }
    }

    /// Waits until a call may go.
    pub async fn take(&self) {
        let mut gone = self.gone.lock().await;
        if gone.len() >= self.most
            && let Some(first) = gone.front().copied()
        {
            sleep_until(first + SECOND).await;
            gone.pop_front();
        }
        gone.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_calls_than_there_may_be() {
        let budget = Budget::new(3);
        let mut went = Vec::new();
        for at in 0..10_u64 {
            // Not in step with seconds.
            tokio::time::advance(Duration::from_millis(70 * (at % 3))).await;
            budget.take().await;
            went.push(Instant::now());
        }
        for window in went.windows(4) {
            assert!(window[3] - window[0] >= SECOND, "{window:?}");
        }
        assert!(*went.last().unwrap() - went[0] < SECOND * 4, "and they are not held longer than that");
    }
}
