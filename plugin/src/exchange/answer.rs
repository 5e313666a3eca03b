//! The forge's answers to requests that went on: what they tell is remembered. A body that must be read is copied as it
//! passes, or held back until it was read.

use std::time::Duration;

use policy::bindings::{Minted, Moment};
use policy::decision::{WITHHELD, names_login};
use policy::lifecycle::{self, ANSWER_LIMIT, AnswerHead, Birth, Body, Event, Fate, Watch};
use policy::lookup::Fact;
use policy::request::TraceContext;

use super::crowd::{Exchange, Standing};
use super::withheld::PROMPT;
use crate::counters::Counted;
use crate::host::{Buffer, Flow, Host, HostError, Level, Map, Result, Stream};
use crate::setup::Setup;
use crate::ticks::AT_ONCE;
use crate::worker::Worker;

/// What is done with the forge's answer to a request.
#[derive(Debug)]
pub(super) enum Answering {
    /// It goes on unseen.
    Unseen,
    /// This is looked for in it, once it comes.
    Watched(Box<Watch>),
    /// Its body is being read.
    Read(Box<Answer>),
    /// The forge gave it to the account whose credential was added: what is that one's alone is taken out.
    Exchanged,
    /// It was refused: nothing of it goes on.
    Withheld,
}

/// An answer whose body is being read.
#[derive(Debug)]
pub(super) struct Answer {
    watch: Watch,
    way: Way,
    /// Whether its head is held back: a proxy that shows no body meanwhile must let it go.
    head: HeadHeld,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeadHeld {
    /// It was noticed then, with nothing of its body.
    Since(Option<Moment>),
    /// It went on, or its body came.
    Over,
}

impl Answer {
    fn new(watch: Watch, way: Way) -> Self {
        let head = if matches!(way, Way::Held(_)) { HeadHeld::Since(None) } else { HeadHeld::Over };
        Self { watch, way, head }
    }

    /// Whether its head has been held back for so long, with nothing of its body, since this was first asked.
    pub(super) fn holds_head(&mut self, long: Duration, now: Moment) -> bool {
        let HeadHeld::Since(since) = &mut self.head else { return false };
        since.get_or_insert(now).after(long).has_come(long, now)
    }

    /// Its head goes on before its body was seen.
    pub(super) fn let_head_go(&mut self) {
        self.head = HeadHeld::Over;
    }
}

#[derive(Debug)]
enum Way {
    /// The body goes on as it comes; this much of it has passed.
    Copied(Vec<u8>),
    /// The host holds the body back; it has this many bytes of it.
    Held(usize),
}

/// What became of what an answer told.
struct Heeded {
    /// Whether all of it is remembered.
    is_whole: bool,
    /// The number and reason of the decision, where something was decided on it.
    decided: Option<(String, &'static str)>,
}

impl<H: Host> Worker<H> {
    /// The head of the forge's answer came.
    pub fn answer_head(&mut self, stream: Stream, end_of_stream: bool) -> Flow {
        let (watch, setup) = match (self.take_answer(stream), self.setup.clone()) {
            (Answering::Watched(watch), Some(setup)) => (watch, setup),
            (Answering::Exchanged, _) => return self.take_credentials(stream),
            _ => return Flow::Continue,
        };
        let watch = *watch;
        match self.read_answer(&setup, &watch, end_of_stream) {
            Ok(None) => Flow::Continue,
            Ok(Some(way)) if self.leaves_bodies(&setup) => {
                let mut answer = Answer::new(watch, way);
                answer.let_head_go();
                self.read_on(stream, answer);
                Flow::Continue
            }
            Ok(Some(way)) => self.read_on(stream, Answer::new(watch, way)),
            Err(error) => {
                self.journal.note(Level::Error, "an answer cannot be read", error);
                self.finish_answer(stream, Answer::new(watch, Way::Held(0)), false)
            }
        }
    }

    /// A piece of its body came; the host has so many bytes of it.
    pub fn answer_body(&mut self, stream: Stream, size: usize, end_of_stream: bool) -> Flow {
        let mut answer = match self.take_answer(stream) {
            Answering::Read(answer) => *answer,
            Answering::Withheld => return self.withhold(stream),
            Answering::Unseen | Answering::Watched(_) | Answering::Exchanged => return Flow::Continue,
        };
        answer.let_head_go();
        let is_whole = match &mut answer.way {
            Way::Copied(copy) => {
                let piece = self.host.piece(Buffer::ResponseBody, 0, size);
                piece.map(|piece| copy.extend(piece)).is_ok() && copy.len() <= ANSWER_LIMIT
            }
            Way::Held(held) => {
                *held = size;
                size <= ANSWER_LIMIT
            }
        };
        if is_whole && !end_of_stream {
            return self.read_on(stream, answer);
        }
        self.finish_answer(stream, answer, is_whole)
    }

    /// Trailers end a body without the body callback being told.
    pub fn answer_trailers(&mut self, stream: Stream) -> Flow {
        match self.take_answer(stream) {
            Answering::Read(answer) => self.finish_answer(stream, *answer, true),
            Answering::Withheld => self.withhold(stream),
            Answering::Unseen | Answering::Watched(_) | Answering::Exchanged => Flow::Continue,
        }
    }

    /// What is to be done with the answer to a request that went on; what else comes back is our own.
    fn take_answer(&mut self, stream: Stream) -> Answering {
        match self.crowd.find(stream) {
            Some(exchange) if matches!(exchange.stands(), Standing::Going) => {
                std::mem::replace(&mut exchange.answering, Answering::Unseen)
            }
            Some(_) | None => Answering::Unseen,
        }
    }

    /// Takes out of an answer what could make a job the account whose credential was added.
    fn take_credentials(&mut self, stream: Stream) -> Flow {
        let taken = self.host.headers(Map::Response).and_then(|headers| {
            let leads_on = headers.fields()?.iter().any(|(name, value)| *name == b"location" && names_login(value));
            let mut names = WITHHELD.into_iter().chain(leads_on.then_some("location"));
            names.try_for_each(|name| self.host.remove_header(Map::Response, name))
        });
        let flow = taken.map_or_else(|error| self.give_up(error), |()| Flow::Continue);
        if flow == Flow::Continue { flow } else { self.withhold(stream) }
    }

    fn read_on(&mut self, stream: Stream, answer: Answer) -> Flow {
        let flow = if matches!(answer.way, Way::Held(_)) { Flow::Pause } else { Flow::Continue };
        if let Some(exchange) = self.crowd.find(stream) {
            exchange.answering = Answering::Read(Box::new(answer));
        }
        flow
    }

    fn withhold(&mut self, stream: Stream) -> Flow {
        if let Some(exchange) = self.crowd.find(stream) {
            exchange.answering = Answering::Withheld;
        }
        Flow::Pause
    }

    fn read_answer(&mut self, setup: &Setup<H>, watch: &Watch, end_of_stream: bool) -> Result<Option<Way>> {
        let headers = self.host.headers(Map::Response)?;
        let fields = headers.fields()?;
        let (event, body) = watch.head(&setup.config, &AnswerHead::new(&fields));
        self.heed(setup, event);
        Ok(match body {
            Body::Copied if !end_of_stream => Some(Way::Copied(Vec::new())),
            Body::Held if !end_of_stream => {
                // Another body may be of another length. Where the field stays, the body must stay as it is.
                self.host.remove_header(Map::Response, "content-length")?;
                Some(Way::Held(0))
            }
            Body::Unseen | Body::Copied | Body::Held => None,
        })
    }

    /// The body has ended. What was held back goes on, or another body in its place, or nothing at all.
    fn finish_answer(&mut self, stream: Stream, answer: Answer, is_whole: bool) -> Flow {
        let (body, held) = match answer.way {
            Way::Copied(copy) => (Ok(copy), None),
            // What is too long is not even looked at.
            Way::Held(size) if is_whole => (self.host.piece(Buffer::ResponseBody, 0, size), Some(size)),
            Way::Held(size) => (Ok(Vec::new()), Some(size)),
        };
        let Some(setup) = self.setup.clone() else { return self.withhold(stream) };
        let body = body.ok().filter(|_| is_whole);
        let told = answer.watch.body(&setup.config, body.as_deref());
        let Heeded { is_whole, mut decided } = self.heed(&setup, told.events);
        let mut fate = told.fate;
        if held.is_some() && !is_whole {
            let told = lifecycle::unrecorded(&setup.config);
            (decided, fate) = (self.heed(&setup, told.events).decided, told.fate);
        }
        let done = match (held, fate) {
            (Some(size), Fate::Replaced(new)) => {
                self.host.replace_buffer(Buffer::ResponseBody, size, &new).map(|()| Flow::Continue)
            }
            (Some(_), Fate::Refused(reply)) => {
                let (id, reason) = decided.unwrap_or_default();
                self.send(&reply, &id, reason).map(|()| Flow::Pause)
            }
            // What was not held back is gone already.
            (Some(_), Fate::Kept) | (None, Fate::Kept | Fate::Replaced(_) | Fate::Refused(_)) => Ok(Flow::Continue),
        };
        match done.unwrap_or_else(|error| self.give_up(error)) {
            Flow::Continue => Flow::Continue,
            Flow::Pause => self.withhold(stream),
        }
    }

    /// Lets the heads of answers go on that have been held back for long enough, with nothing of their bodies.
    pub(super) fn let_heads_go(&mut self, now: Moment) {
        for stream in self.heads_held(now).into_iter().take(AT_ONCE / 2) {
            let resumed = self.host.act_for(Some(stream)).and_then(|()| self.host.resume_answer());
            if let (Ok(()), Some(exchange)) = (resumed, self.crowd.find(stream))
                && let Answering::Read(answer) = &mut exchange.answering
            {
                answer.let_head_go();
            }
        }
    }

    /// The requests whose answers' heads have been held back for long enough, with nothing of their bodies.
    fn heads_held(&mut self, now: Moment) -> Vec<Stream> {
        let is_late = |exchange: &mut Exchange| {
            let Answering::Read(answer) = &mut exchange.answering else { return false };
            answer.holds_head(PROMPT, now)
        };
        self.crowd.each().filter_map(|(stream, exchange)| is_late(exchange).then_some(stream)).collect()
    }

    /// Ends a stream whose answer must not go on as it is. Where the host does not even reply, nothing goes on, and the
    /// host's own timeout ends it.
    fn give_up(&self, error: HostError) -> Flow {
        self.journal.note(Level::Error, "an answer cannot be replaced", error);
        let said = [("jobscope_verdict", "deny"), ("jobscope_reason", "host.failed")];
        self.log.write_more(&self.host, said.into_iter());
        let _ = self.host.unavailable("host.failed");
        Flow::Pause
    }

    /// Remembers what an answer told.
    fn heed(&mut self, setup: &Setup<H>, events: impl IntoIterator<Item = Event>) -> Heeded {
        let mut heeded = Heeded { is_whole: true, decided: None };
        for event in events {
            match event {
                Event::Ended(end) => {
                    setup.counters.one(Counted::Ends, &["answer"]);
                    if let Err(error) = self.host.now().and_then(|now| setup.store.end(end, now)) {
                        self.journal.note(Level::Critical, "the end of a job cannot be remembered", error);
                    }
                    if let Some(job) = end.job {
                        self.ends.add(setup, job);
                    }
                }
                Event::Doubted(end) => {
                    if let Err(error) = self.host.now().and_then(|now| setup.store.doubt(end.token, now)) {
                        self.journal.note(Level::Error, "a job's end cannot be looked up", error);
                    }
                }
                Event::Born(birth) => self.welcome(setup, birth),
                Event::Minted { signed, parent, lifetime, forgotten } => {
                    let key = setup.store.hashes.of_token(&signed);
                    let learnt = self.host.now().and_then(|now| {
                        setup.store.learn_minted(&Minted { key, parent, until: now.after(lifetime), forgotten }, now)
                    });
                    let why = match learnt {
                        Ok(true) => continue,
                        Ok(false) => "there is no room".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    self.journal.note(Level::Error, "a credential cannot be remembered", why);
                    heeded.is_whole = false;
                }
                Event::Judged(record) => heeded.decided = Some((self.note_more(&record), record.reason)),
                Event::Unread(record) => {
                    heeded.decided = Some((self.note_more(&record), record.reason));
                    let what = "an answer that should be looked into cannot be read, and goes on as it is";
                    self.journal.note(Level::Error, what, record.reason);
                }
                Event::Failed(calls) => self.errands.begin(calls),
            }
        }
        heeded
    }

    /// Remembers a job that has just begun, and looks it up, so that its first request finds it.
    fn welcome(&mut self, setup: &Setup<H>, birth: Birth) {
        setup.counters.one(Counted::Births, &[]);
        let now = self.host.now();
        let born = now.and_then(|now| setup.store.born(&birth, now).map(|()| now));
        match born {
            Ok(now) => self.refresh(setup, vec![Fact::Token(birth.token)], &|| TraceContext::NONE, now),
            Err(error) => self.journal.note(Level::Warn, "a job that begins cannot be remembered", error),
        }
    }
}
