//! The list of ended jobs, for whoever waits for news of it.

use std::time::Duration;

use policy::bindings::Cursor;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::store::{Changes, Store, StoreError};

/// Which jobs ended after a cursor: at once where some have or none is given, else after `wait`. Where the store fails, the
/// failure is told after that time: whoever is told earlier comes back earlier. `drains` ends the wait.
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
        let has_failed = said.is_err();
        tokio::select! {
            Ok(()) = drains.changed() => {}
            // A store that fails is not asked in a hurry.
            () = sleep_until(deadline), if has_failed => {}
            _ = timeout_at(deadline, news.changed()), if !has_failed => {}
        }
    }
}
