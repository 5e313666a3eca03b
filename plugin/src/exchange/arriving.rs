//! A request as it arrives: its head is read once, its body looked at where that is needed.

use policy::access::Protocol;
use policy::choices::CredentialSlots;
use policy::decision;
use policy::failure::Failure;
use policy::lifecycle::{self, Watch};
use policy::memo::Asked;
use policy::request::{self, BODY_LIMIT, Body, Head, JobRequest, Malformed, Pending, Reading, Refused, Scan};
use policy::webhook;

use super::Next;
use super::answer::Answering;
use super::crowd::{BODY_PATIENCE, Standing};
use super::withheld::Shows;
use crate::host::{Buffer, Flow, Host, HostError, Level, Map, Result, Stream};
use crate::promises::Promise;
use crate::setup::Setup;
use crate::worker::Worker;

impl<H: Host> Worker<H> {
    /// The head of a request came.
    pub fn request_head(&mut self, stream: Stream, end_of_stream: bool) -> Flow {
        let setup = match (self.broken, self.setup.clone()) {
            (None, Some(setup)) => setup,
            (Some(_), _) => return self.answer_unjudged(stream, Failure::Unfit),
            (None, None) => return self.answer_unjudged(stream, Failure::NotConfigured),
        };
        let body = if end_of_stream { Body::None } else { Body::Follows };
        let flow = match self.read_head(&setup, stream, body) {
            Ok(None) => return Flow::Pause,
            Ok(Some(next)) => self.settle(&setup, stream, next),
            Err(error) => self.fail_to_read(&setup, stream, error),
        };
        if body == Body::Follows
            && self.waits(stream)
            && let Err(error) = self.host.hold_body(stream)
        {
            self.journal.note(Level::Warn, "a body is buffered while its request waits", error);
        }
        flow
    }

    /// A piece of its body came; the host has so many bytes of it.
    pub fn request_body(&mut self, stream: Stream, size: usize, end_of_stream: bool) -> Flow {
        if !self.crowd.more(stream, end_of_stream) {
            return self.refuse_rest(stream);
        }
        let (Some(setup), Some(exchange)) = (self.setup.clone(), self.crowd.find(stream)) else { return Flow::Pause };
        exchange.is_shown = true;
        if matches!(exchange.stands(), Standing::Body(..)) {
            self.shows_bodies = Shows::Seen;
        }
        let flow = match exchange.stands() {
            Standing::Report => return self.take_report(&setup, stream, size, end_of_stream),
            Standing::Going => Flow::Continue,
            Standing::Facts(_) => Flow::Pause,
            Standing::Body(..) => return self.take_body(&setup, stream, size, end_of_stream),
            Standing::Read | Standing::Answered => return Flow::Pause,
        };
        match self.scan(stream, size, end_of_stream) {
            Ok(Ok(())) => {}
            Ok(Err(refused)) => return self.break_off(&setup, stream, refused),
            Err(error) => return self.fail_to_read(&setup, stream, error),
        }
        match (flow, self.crowd.find(stream)) {
            (Flow::Continue, Some(exchange)) => exchange.seen = 0,
            (Flow::Continue, None) => {}
            (Flow::Pause, _) => {
                self.crowd.hold_with_head(stream, size);
            }
        }
        flow
    }

    /// Trailers end a body without the body callback being told, and some forges read fields from them.
    pub fn request_trailers(&mut self, stream: Stream) -> Flow {
        if !self.crowd.more(stream, true) {
            return self.refuse_rest(stream);
        }
        let (Some(setup), Some(exchange)) = (self.setup.clone(), self.crowd.find(stream)) else { return Flow::Pause };
        let flow = match exchange.stands() {
            Standing::Report => return self.answer_report(stream, webhook::Answer::Unreadable),
            Standing::Going => Flow::Continue,
            Standing::Facts(_) | Standing::Read | Standing::Answered => Flow::Pause,
            Standing::Body(..) => {
                let Some(pending) = self.crowd.take_pending(stream) else { return Flow::Pause };
                let next = self.let_go(&setup, stream, *pending, Malformed::Trailers);
                return self.settle(&setup, stream, next);
            }
        };
        if let Some(scan) = exchange.scan.take()
            && let Err(refused) = scan.finish_with_trailers()
        {
            return self.break_off(&setup, stream, refused);
        }
        flow
    }

    /// The stream is gone.
    pub fn gone(&mut self, stream: Stream) {
        self.crowd.leave(stream);
    }

    /// Reads the head, and says what becomes of the request. None where there is nothing to decide on: a request to the
    /// webhook, or a runner that is told where to go.
    fn read_head(&mut self, setup: &Setup<H>, stream: Stream, body: Body) -> Result<Option<Next>> {
        let headers = self.host.headers(Map::Request)?;
        self.crowd.enter(stream, headers.size(), body == Body::None);
        let fields = headers.fields()?;
        let head = Head::new(&fields, body);
        let seen = self.memo.seen(&setup.config, &head);
        if let Some(asked) = seen.as_ref().and_then(|seen| self.memo.read(seen))
            && let Ok(now) = self.host.now()
            && let Some(next) = self.decided_before(setup, asked, now)
        {
            return Ok(Some(next));
        }
        match webhook::read_head(&setup.config, setup.webhook_secret.as_ref(), &head) {
            webhook::Reading::Elsewhere => {}
            webhook::Reading::Answered(answer) => {
                self.answer_report(stream, answer);
                return Ok(None);
            }
            webhook::Reading::Report => {
                self.crowd.stand(stream, Standing::Report);
                return Ok(None);
            }
        }
        let reading = request::read(&setup.config.forge, &self.memo.knowing(head, seen.as_ref()));
        if let Some((record, reply)) = lifecycle::discovery(&setup.config, &head, &reading) {
            let id = self.note(&record, None);
            if let Some(reply) = reply {
                self.crowd.stand(stream, Standing::Answered);
                self.send(&reply, &id, record.reason)?;
                return Ok(None);
            }
        }
        let watch = Watch::of_head(&setup.config, &head, &reading);
        let mut is_plain = watch.is_none();
        if let Some(watch) = watch {
            self.watch(stream, watch);
        }
        if !self.take_ours(setup, &head)? {
            is_plain = false;
        }
        let Reading::Job(request) = reading else { return Ok(Some(self.consider(setup, stream, reading))) };
        is_plain &= request.scan.is_none();
        let asked = self.asked(setup, &request);
        let next = self.consider_job(setup, stream, request, asked);
        if let (Some(seen), Some(asked), true) = (seen, asked, is_plain) {
            self.memo.reads(&seen, asked);
        }
        Ok(Some(next))
    }

    /// What becomes of a request, as far as it was read.
    pub(super) fn consider(&mut self, setup: &Setup<H>, stream: Stream, reading: Reading) -> Next {
        let (scan, next) = match reading {
            // Not a job's: the forge answers.
            Reading::NotAJob => (None, Next::Passes),
            // Nor this, as far as its head goes.
            Reading::Passing(scan) => (Some(scan), Next::Passes),
            Reading::Refused(refused) => (None, self.refuse(setup, refused)),
            Reading::Job(request) => {
                let asked = self.asked(setup, &request);
                return self.consider_job(setup, stream, request, asked);
            }
            Reading::Body(pending) => return self.await_body(setup, stream, pending),
        };
        self.look_through(stream, scan);
        next
    }

    /// The same of a job's.
    fn consider_job(
        &mut self,
        setup: &Setup<H>,
        stream: Stream,
        mut request: JobRequest,
        asked: Option<Asked>,
    ) -> Next {
        let scan = request.scan.take();
        let next = self.judge(setup, request, asked);
        self.look_through(stream, scan);
        next
    }

    /// What looks at the body as it passes.
    fn look_through(&mut self, stream: Stream, scan: Option<Scan>) {
        if let Some(exchange) = self.crowd.find(stream) {
            exchange.scan = scan.map(Box::new);
        }
    }

    fn await_body(&mut self, setup: &Setup<H>, stream: Stream, pending: Pending) -> Next {
        if self.withholds_bodies() {
            return self.turn_away(setup, stream, pending, Failure::Bodies);
        }
        let has_room = self.crowd.hold_with_head(stream, 0);
        match self.host.now() {
            Ok(now) if has_room => Next::AwaitsBody(Box::new(pending), now.after(BODY_PATIENCE)),
            Ok(_) => self.turn_away(setup, stream, pending, Failure::Busy),
            Err(error) => {
                self.journal.note(Level::Error, "a request cannot be read", error);
                Next::decided(decision::failed(&setup.config, Protocol::Web, Failure::Host), Protocol::Web, None)
            }
        }
    }

    /// What becomes of a request whose body is not awaited any longer.
    pub(super) fn let_go(&mut self, setup: &Setup<H>, stream: Stream, pending: Pending, why: Malformed) -> Next {
        match pending.let_go(why) {
            Reading::Refused(refused) => self.refuse_at_once(setup, refused),
            reading @ (Reading::NotAJob | Reading::Passing(_) | Reading::Job(_) | Reading::Body(_)) => {
                self.consider(setup, stream, reading)
            }
        }
    }

    /// Ends a request of which some may have gone on already: the upstream never sees its end.
    fn break_off(&mut self, setup: &Setup<H>, stream: Stream, refused: Refused) -> Flow {
        let next = self.refuse_at_once(setup, refused);
        self.settle(setup, stream, next)
    }

    /// What becomes of a request whose body cannot be held back.
    pub(super) fn turn_away(&mut self, setup: &Setup<H>, stream: Stream, pending: Pending, why: Failure) -> Next {
        if pending.is_nobodys() {
            let malformed = if why == Failure::Bodies { Malformed::BodyLeft } else { Malformed::BodyTooLarge };
            return self.let_go(setup, stream, pending, malformed);
        }
        let protocol = pending.protocol();
        Next::decided(decision::failed(&setup.config, protocol, why), protocol, None)
    }

    fn waits(&mut self, stream: Stream) -> bool {
        self.crowd.find(stream).is_some_and(|exchange| matches!(exchange.stands(), Standing::Facts(_)))
    }

    /// Takes what came of a body that is awaited.
    fn take_body(&mut self, setup: &Setup<H>, stream: Stream, size: usize, end_of_stream: bool) -> Flow {
        let has_room = match self.feed(stream, size) {
            Ok(has_room) => has_room,
            Err(error) => return self.fail_to_read(setup, stream, error),
        };
        let is_settled =
            self.crowd.find(stream).and_then(|exchange| exchange.pending()).is_some_and(|pending| pending.is_settled());
        let fits = has_room && size <= BODY_LIMIT;
        if fits && !end_of_stream && !is_settled {
            return Flow::Pause;
        }
        let Some(pending) = self.crowd.take_pending(stream) else { return Flow::Pause };
        let next = if !has_room {
            self.turn_away(setup, stream, *pending, Failure::Busy)
        } else if !fits || !end_of_stream {
            self.let_go(setup, stream, *pending, Malformed::BodyTooLarge)
        } else {
            match self.host.buffer(Buffer::RequestBody, 0, size) {
                Ok(body) => {
                    if let Some(Answering::Watched(watch)) =
                        self.crowd.find(stream).map(|exchange| &mut exchange.answering)
                    {
                        watch.read_request(&body);
                    }
                    self.consider(setup, stream, pending.finish(&body))
                }
                Err(error) => return self.fail_to_read(setup, stream, error),
            }
        };
        self.crowd.hold(stream, size);
        self.settle(setup, stream, next)
    }

    /// Shows what came of an awaited body to who awaits it. Whether there is room for it.
    fn feed(&mut self, stream: Stream, size: usize) -> Result<bool> {
        if let Some(exchange) = self.crowd.find(stream) {
            let seen = exchange.seen;
            if let Some(pending) = exchange.pending().filter(|pending| pending.is_looked_at()) {
                pending.feed(&self.host.piece(Buffer::RequestBody, seen, size.saturating_sub(seen))?);
                exchange.seen = size;
            }
        }
        Ok(self.crowd.hold_with_head(stream, size))
    }

    /// Looks at what came of a body that goes on, or will.
    fn scan(&mut self, stream: Stream, size: usize, end_of_stream: bool) -> Result<std::result::Result<(), Refused>> {
        let Some(exchange) = self.crowd.find(stream) else { return Ok(Ok(())) };
        let Some(mut scan) = exchange.scan.take() else { return Ok(Ok(())) };
        let piece = self.host.piece(Buffer::RequestBody, exchange.seen, size.saturating_sub(exchange.seen))?;
        if let Err(refused) = scan.feed(&piece) {
            return Ok(Err(refused));
        }
        if end_of_stream {
            return Ok(scan.finish());
        }
        exchange.seen = size;
        exchange.scan = Some(scan).filter(|scan| !scan.is_over());
        Ok(Ok(()))
    }

    /// Answers a request of which more comes than there is. What it is was judged by a part of it.
    fn refuse_rest(&mut self, stream: Stream) -> Flow {
        self.distrust(Promise::EndOfStream);
        self.answer_unjudged(stream, Failure::Unfit)
    }

    /// Answers a request that the host does not show.
    fn fail_to_read(&mut self, setup: &Setup<H>, stream: Stream, error: HostError) -> Flow {
        self.journal.note(Level::Error, "a request cannot be read", error);
        if setup.config.forge.credential_slots == CredentialSlots::On {
            // What nobody read may name a slot, and must not go on where decisions are only observed either.
            return self.answer_unjudged(stream, Failure::Host);
        }
        let failed = decision::failed(&setup.config, Protocol::Web, Failure::Host);
        self.settle(setup, stream, Next::decided(failed, Protocol::Web, None))
    }
}
