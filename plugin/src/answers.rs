//! The forge's answers to requests that went on: what they tell is remembered. A body that must be read is copied as it
//! passes, or held back until it was read.

use policy::bindings::{Freshness, Minted};
use policy::lifecycle::{self, ANSWER_LIMIT, AnswerHead, Birth, Body, Event, Fate, Watch};
use policy::lookup::Fact;
use proxy_wasm::types::Action;

use crate::carrying;
use crate::host::{self, Buffer, HostError, Level, Map};
use crate::journal;
use crate::shared::{Setup, Shared};

/// An answer whose body is being read.
pub(crate) struct Answer {
    watch: Watch,
    way: Way,
}

/// What became of what an answer told.
struct Heeded {
    /// Whether all of it is remembered.
    is_whole: bool,
    /// The number and reason of the decision, where something was decided on it.
    decided: Option<(String, &'static str)>,
}

enum Way {
    /// The body goes on as it comes; this much of it has passed.
    Copied(Vec<u8>),
    /// The host holds the body back; it has this many bytes of it.
    Held(usize),
}

impl Shared {
    /// Reads the head of the answer to this stream's request, and says whether it goes on. `Some` when its body is to be
    /// read too.
    pub(crate) fn read_answer(&self, stream: u32, end_of_stream: bool) -> (Option<Answer>, Action) {
        let watch = self.watched.borrow_mut().remove(&stream);
        let (Some(watch), Some(setup)) = (watch, self.setup()) else { return (None, Action::Continue) };
        match self.read_head(&setup, &watch, end_of_stream) {
            Ok(None) => (None, Action::Continue),
            Ok(Some(way @ Way::Copied(_))) => (Some(Answer { watch, way }), Action::Continue),
            Ok(Some(way @ Way::Held(_))) => (Some(Answer { watch, way }), Action::Pause),
            Err(error) => {
                journal::note(Level::Error, "an answer cannot be read", &format!("{error:?}"));
                (None, Answer { watch, way: Way::Held(0) }.finish(self, false))
            }
        }
    }

    fn read_head(&self, setup: &Setup, watch: &Watch, end_of_stream: bool) -> Result<Option<Way>, HostError> {
        let headers = host::headers(Map::Response)?;
        let fields = headers.fields().ok_or(HostError { call: "get_header_map_pairs", status: 4 })?;
        let (event, body) = watch.head(&setup.config, &AnswerHead::new(&fields));
        self.heed(setup, event);
        Ok(match body {
            Body::Copied if !end_of_stream => Some(Way::Copied(Vec::new())),
            Body::Held if !end_of_stream => {
                // Another body may be of another length. Where the field stays, the body must stay as it is.
                host::remove_response_header("content-length")?;
                Some(Way::Held(0))
            }
            Body::Unseen | Body::Copied | Body::Held => None,
        })
    }

    /// Remembers what an answer told.
    fn heed(&self, setup: &Setup, events: impl IntoIterator<Item = Event>) -> Heeded {
        let mut heeded = Heeded { is_whole: true, decided: None };
        for event in events {
            match event {
                Event::Ended(end) => {
                    if let Err(error) = host::now().and_then(|now| setup.store.end(end, now)) {
                        let detail = format!("{error:?}");
                        journal::note(Level::Critical, "the end of a job cannot be remembered", &detail);
                    }
                }
                Event::Doubted(end) => {
                    if let Err(error) = host::now().and_then(|now| setup.store.doubt(end.token, now)) {
                        journal::note(Level::Error, "a job's end cannot be looked up", &format!("{error:?}"));
                    }
                }
                Event::Born(birth) => self.welcome(setup, birth),
                Event::Minted { key, parent, lifetime, forgotten } => {
                    let learnt = host::now().and_then(|now| {
                        setup.store.learn_minted(&Minted { key, parent, until: now.after(lifetime), forgotten }, now)
                    });
                    if !matches!(learnt, Ok(true)) {
                        journal::note(Level::Error, "a credential cannot be remembered", &format!("{learnt:?}"));
                        heeded.is_whole = false;
                    }
                }
                Event::Judged(record) => heeded.decided = Some((self.note_more(&record), record.reason)),
                Event::Unread(record) => {
                    heeded.decided = Some((self.note_more(&record), record.reason));
                    let what = "an answer that should be looked into cannot be read, and goes on as it is";
                    journal::note(Level::Error, what, record.reason);
                }
                Event::Failed(calls) => {
                    self.errands.borrow_mut().begin(calls);
                    host::enter_root(self.root);
                }
            }
        }
        heeded
    }

    /// Remembers a job that has just begun, and looks it up, so that its first request finds it.
    fn welcome(&self, setup: &Setup, birth: Birth) {
        let born = host::now().and_then(|now| setup.store.born(&birth, now).map(|()| now));
        match born {
            Ok(now) => {
                let _ = self.ask(setup, Fact::Token(birth.token), None, Freshness::Fresh, now);
                host::enter_root(self.root);
            }
            Err(error) => {
                journal::note(Level::Warn, "a job that begins cannot be remembered", &format!("{error:?}"));
            }
        }
    }
}

impl Answer {
    /// Takes a piece of the body. Gives the answer back while more of it is wanted.
    pub(crate) fn piece(mut self, shared: &Shared, size: usize, end_of_stream: bool) -> (Option<Self>, Action) {
        let is_whole = match &mut self.way {
            Way::Copied(copy) => {
                let piece = host::piece(Buffer::ResponseBody, 0, size);
                piece.map(|piece| copy.extend(piece)).is_ok() && copy.len() <= ANSWER_LIMIT
            }
            Way::Held(held) => {
                *held = size;
                size <= ANSWER_LIMIT
            }
        };
        if is_whole && !end_of_stream {
            let action = if matches!(self.way, Way::Held(_)) { Action::Pause } else { Action::Continue };
            return (Some(self), action);
        }
        (None, self.finish(shared, is_whole))
    }

    /// The body has ended. What was held back goes on, or another body in its place, or nothing at all.
    pub(crate) fn finish(self, shared: &Shared, is_whole: bool) -> Action {
        let (body, held) = match self.way {
            Way::Copied(copy) => (Ok(copy), None),
            // What is too long is not even looked at.
            Way::Held(size) if is_whole => (host::piece(Buffer::ResponseBody, 0, size), Some(size)),
            Way::Held(size) => (Ok(Vec::new()), Some(size)),
        };
        let Some(setup) = shared.setup() else { return Action::Pause };
        let body = body.ok().filter(|_| is_whole);
        let told = self.watch.body(&setup.config, body.as_deref());
        let Heeded { is_whole, mut decided } = shared.heed(&setup, told.events);
        let mut fate = told.fate;
        if held.is_some() && !is_whole {
            let told = lifecycle::unrecorded(&setup.config);
            (decided, fate) = (shared.heed(&setup, told.events).decided, told.fate);
        }
        match (held, fate) {
            (Some(size), Fate::Replaced(new)) => {
                host::replace_body(Buffer::ResponseBody, size, &new).map_or_else(give_up, |()| Action::Continue)
            }
            (Some(_), Fate::Refused(reply)) => {
                let (id, reason) = decided.unwrap_or_default();
                carrying::send(&reply, &id, reason).map_or_else(give_up, |()| Action::Pause)
            }
            // What was not held back is gone already.
            (Some(_), Fate::Kept) | (None, Fate::Kept | Fate::Replaced(_) | Fate::Refused(_)) => Action::Continue,
        }
    }
}

/// Ends a stream whose answer must not go on as it is. Where the host does not even reply, nothing goes on, and the host's
/// own timeout ends it.
fn give_up(error: HostError) -> Action {
    journal::note(Level::Error, "an answer cannot be replaced", &format!("{error:?}"));
    let _ = host::set_property("jobscope_verdict", "deny");
    let _ = host::set_property("jobscope_reason", "host.failed");
    let _ = host::unavailable("host.failed");
    Action::Pause
}
