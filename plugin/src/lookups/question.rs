//! Something that one root context of the whole proxy asks the forge, and all of them look at what is known.

use std::marker::PhantomData;
use std::time::Duration;

use policy::bindings::{Moment, Told};
use policy::facts::Day;
use policy::lookup::Call;
use policy::request::TraceContext;

use super::send;
use crate::host::{Host, HostError, Level, Result};
use crate::setup::Setup;

/// How often it is looked what is known.
const LOOKS: Duration = Duration::from_secs(1);

/// One root context's part in it.
#[derive(Debug)]
pub(super) struct Question<T> {
    next_look: Option<Moment>,
    /// The call that was sent last.
    call: Option<u32>,
    of: PhantomData<T>,
}

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self { next_look: None, call: None, of: PhantomData }
    }
}

impl<T: Told> Question<T> {
    /// Asks where that is due, and tells what is known.
    pub(super) fn tick<H: Host>(
        &mut self,
        host: &H,
        setup: &Setup<H>,
        ask: impl FnOnce() -> Option<Call>,
        now: Moment,
    ) -> Option<T> {
        if self.next_look.is_some_and(|next| !next.has_come(LOOKS, now)) {
            return None;
        }
        self.next_look = Some(now.after(LOOKS));
        // Where nobody could say, nobody takes the task of asking.
        let call = ask()?;
        match setup.store.learned::<T>(now) {
            Ok((known, is_due)) => {
                if is_due {
                    self.call = send(host, setup, &call, &TraceContext::NONE, setup.config.lookup.timeout);
                }
                known
            }
            Err(error) => {
                complain::<T, H>(setup, error);
                None
            }
        }
    }

    /// Whether an answer to a call is the one that is awaited here. It comes once.
    pub(super) fn awaits(&mut self, call: u32) -> bool {
        self.call.take_if(|awaited| *awaited == call).is_some()
    }

    /// Remembers what was told, for all workers, and says on which day something was told before.
    pub(super) fn learn<H: Host>(&mut self, setup: &Setup<H>, told: T, now: Result<Moment>) -> Option<Day> {
        // What all workers are to know this one sees with its next look.
        self.next_look = None;
        let before = now.and_then(|now| setup.store.learn(told, now));
        before.inspect_err(|error| complain::<T, H>(setup, *error)).ok().flatten()
    }
}

fn complain<T: Told, H: Host>(setup: &Setup<H>, error: HostError) {
    setup.journal.note(Level::Error, "what the forge told cannot be remembered", format_args!("{}, {error}", T::NAME));
}
