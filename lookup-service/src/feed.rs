//! The list of ended jobs, for whoever waits for news of it.

use std::time::Duration;

use policy::bindings::Cursor;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::store::{Changes, Store, StoreError};

/// Which jobs ended after a cursor: at once where some have or none is given, else after `wait`. Where the store fails, the
/// failure is told after that time, unless it is over before: whoever is told earlier comes back earlier. `drains` ends the wait.
///
/// # Errors
/// Where the store does not say.
pub async fn poll(
    store: &dyn Store,
    after: Option<&Cursor>,
    wait: Duration,
    mut drains: watch::Receiver<bool>,
) -> Result<Changes, StoreError> {
    let deadline = Instant::now() + wait;
    let mut news = store.news();
    loop {
        // What comes from now on is news.
        news.mark_unchanged();
        let said = store.changes(after).await;
        let is_final = match &said {
            Ok(Changes::Lost) => true,
            Ok(Changes::Since(ended, _)) => after.is_none() || !ended.is_empty(),
            Err(_) => false,
        };
        if is_final || Instant::now() >= deadline || *drains.borrow() {
            return said;
        }
        tokio::select! {
            Ok(()) = drains.changed() => {}
            // Also where the store failed: one that is there again, or has another master, is news.
            _ = timeout_at(deadline, news.changed()) => {}
        }
    }
}
