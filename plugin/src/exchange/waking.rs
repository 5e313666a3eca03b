//! The requests that waited, and for whom there is news.
//!
//! Everything here runs while the host acts for no request, and has it act for those who waited. One that left is no longer
//! among them: to wake one that is gone is to touch freed memory of the host.

use policy::bindings::Moment;
use policy::failure::Failure;
use policy::request::Malformed;

use super::Next;
use super::crowd::Woken;
use crate::host::{Flow, Host, Level, Result, Stream};
use crate::setup::Setup;
use crate::ticks::AT_ONCE;
use crate::worker::Worker;

impl<H: Host> Worker<H> {
    /// Has those go on or be answered for whom there is news, and no more than one call of the host may; the others
    /// follow at once.
    pub(crate) fn wake(&mut self, setup: &Setup<H>) {
        let now = self.host.now();
        for _ in 0..AT_ONCE {
            let Some((stream, woken)) = self.crowd.wake(&setup.store.hashes) else { break };
            if let Err(error) = self.host.act_for(Some(stream)) {
                self.journal.note(Level::Error, "a waiting request is gone", error);
                continue;
            }
            let next = self.next_of(setup, stream, woken, now);
            if self.settle(setup, stream, next) == Flow::Continue
                && let Err(error) = self.host.resume()
            {
                self.journal.note(Level::Error, "a request cannot be resumed", error);
            }
        }
        let _ = self.host.act_for(None);
        self.depart();
        self.ticks.hurry(&self.host, &self.journal, self.crowd.has_news());
    }

    /// What becomes of a request that waits no longer.
    fn next_of(&mut self, setup: &Setup<H>, stream: Stream, woken: Woken, now: Result<Moment>) -> Next {
        match woken {
            Woken::Facts(parked, Ok(())) => self.judge_again(setup, parked, now),
            Woken::Facts(parked, Err(failure)) => self.miss(setup, parked, failure),
            Woken::WithoutBody(pending, why @ (Failure::Busy | Failure::Bodies)) => {
                self.turn_away(setup, stream, *pending, why)
            }
            Woken::WithoutBody(pending, _) => self.let_go(setup, stream, *pending, Malformed::BodyTimeout),
        }
    }
}
