//! Whole exchanges in one call.

use super::Host;
use super::callout::{Answer, Callout};
use super::stream::{Outcome, RequestHead, StreamId};

/// More calls than this in one go is a filter that calls for ever.
const MANY: usize = 10_000;

/// A request with its body.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its head; whether a body follows is up to the body here.
    pub head: RequestHead,
    /// Its body in the pieces it arrives in; none for no body.
    pub body: Vec<Vec<u8>>,
}

impl From<RequestHead> for Request {
    fn from(head: RequestHead) -> Request {
        Request { head, body: Vec::new() }
    }
}

impl RequestHead {
    /// Adds a body in one piece.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Request {
        Request { head: self, body: vec![body.into()] }
    }
}

impl Host {
    /// Answers calls until none waits.
    ///
    /// # Panics
    /// If that never ends.
    pub fn settle(&mut self, mut answer: impl FnMut(&Callout) -> Answer) {
        for _ in 0..MANY {
            let first = self.world.borrow().callouts.values().next().cloned();
            let Some(callout) = first else { return };
            self.answer(callout.id, answer(&callout));
        }
        panic!("the filter still calls after {MANY} answers");
    }

    /// Sends a whole request and answers calls until none waits.
    pub fn send(
        &mut self,
        worker: usize,
        request: impl Into<Request>,
        answer: impl FnMut(&Callout) -> Answer,
    ) -> StreamId {
        let Request { mut head, body } = request.into();
        head.end_of_stream = body.is_empty();
        let stream = self.open(worker, head);
        let last = body.len().saturating_sub(1);
        for (index, chunk) in body.into_iter().enumerate() {
            self.request_body(stream, chunk, index == last);
        }
        self.settle(answer);
        stream
    }

    /// Sends a whole request, answers calls until none waits, closes the stream
    /// and says what became of it.
    pub fn exchange(
        &mut self,
        worker: usize,
        request: impl Into<Request>,
        answer: impl FnMut(&Callout) -> Answer,
    ) -> Outcome {
        let stream = self.send(worker, request, answer);
        let outcome = self.outcome(stream);
        self.close(stream);
        outcome
    }

    /// The upstream answers a forwarded request, all at once.
    pub fn respond(&mut self, stream: StreamId, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) {
        let Answer::Response { headers, body } = Answer::response(status, headers, body) else {
            return;
        };
        self.upstream_response(stream, &headers, body.is_empty());
        if !body.is_empty() {
            self.upstream_body(stream, body, true);
        }
    }
}
