//! One request: its head is read once, decided on, and forwarded or answered.

use std::rc::Rc;
use std::time::Duration;

use policy::decision::{self, Failure, Grant};
use policy::lifecycle::Watch;
use policy::request::{self, BODY_LIMIT, Body, Head, Malformed, Pending, Protocol, Reading, Refused, Scan};
use policy::webhook;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::answers::Answer;
use crate::crowd::Awaited;
use crate::host::{self, Buffer, HostError, Level, Map};
use crate::journal;
use crate::shared::{Now, Setup, Shared};

/// How long a body that must be read may take to come.
pub(crate) const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Names of header fields that are ours to set. Whatever a client sends under them is removed.
const OURS: &[u8] = b"x-jobscope-";

/// Where a request stands.
enum Phase {
    /// Nothing was read yet.
    New,
    /// Its body is awaited.
    Body(Pending),
    /// It is a report to the webhook, whose body is awaited. Who sends it knows the secret, and may take its time.
    Report,
    /// It waits for facts, until [`Shared`] lets it go or answers it.
    Waiting,
    /// It goes on.
    Passed,
    /// It was answered, or is to be: whatever still comes of it goes nowhere.
    Answered,
}

/// The context of one request.
pub(crate) struct Stream {
    context: u32,
    shared: Rc<Shared>,
    phase: Phase,
    /// How many bytes its head has.
    head: usize,
    /// What looks at each piece of the body before it goes on.
    scan: Option<Scan>,
    /// How much of what the host holds of the body was looked at.
    seen: usize,
    /// The answer, while its body is read.
    answer: Option<Answer>,
    /// Whether an answer was refused: nothing of it goes on.
    withheld: bool,
}

impl Stream {
    pub(crate) fn new(context: u32, shared: Rc<Shared>) -> Self {
        Self { context, shared, phase: Phase::New, head: 0, scan: None, seen: 0, answer: None, withheld: false }
    }

    fn read_head(&mut self, setup: &Setup, body: Body) -> Result<Action, HostError> {
        let headers = host::headers(Map::Request)?;
        self.head = headers.size();
        let fields = headers.fields().ok_or(HostError { call: "get_header_map_pairs", status: 4 })?;
        let head = Head::new(&fields, body);
        match webhook::read_head(&setup.config, setup.webhook_secret.as_ref(), &head) {
            webhook::Reading::Elsewhere => {}
            webhook::Reading::Answered(answer) => return Ok(self.answer_report(answer)),
            webhook::Reading::Report => {
                self.phase = Phase::Report;
                return Ok(Action::Pause);
            }
        }
        let reading = request::read(&setup.config.forge, &head);
        if let Some(watch) = Watch::of_head(&setup.config, &head, &reading) {
            self.shared.watch(self.context, watch);
        }
        for (name, _) in fields.iter().filter(|(name, _)| name.starts_with(OURS)) {
            if let Ok(name) = std::str::from_utf8(name) {
                host::remove_request_header(name)?;
            }
        }
        Ok(self.act(setup, reading, Held::Not(body)))
    }

    fn act(&mut self, setup: &Setup, reading: Reading, held: Held) -> Action {
        let now = match reading {
            // Not a job's: the forge answers.
            Reading::NotAJob => Now::NotAJob,
            // Nor this, as far as its head goes.
            Reading::Passing(scan) => {
                self.scan = Some(scan);
                Now::NotAJob
            }
            Reading::Refused(refused) => self.shared.refuse(setup, self.context, refused, self.head),
            Reading::Job(mut request) => {
                self.scan = request.scan.take();
                self.shared.judge(setup, self.context, request, self.head)
            }
            Reading::Body(pending) => {
                let deadline = match host::now() {
                    Ok(now) => now.after(BODY_PATIENCE),
                    Err(error) => return self.fail(setup, error),
                };
                let (protocol, is_nobodys) = (pending.protocol(), pending.is_nobodys());
                let awaited = Awaited { late: pending.refused(Malformed::BodyTimeout), is_nobodys };
                if !self.shared.crowd.borrow_mut().await_body(self.context, awaited, deadline, self.head) {
                    self.shared.leave(self.context);
                    return match is_nobodys {
                        true => self.act(setup, pending.let_go(Malformed::BodyTooLarge), held),
                        false => self.give_up(setup, protocol, Failure::Busy),
                    };
                }
                self.phase = Phase::Body(pending);
                return Action::Pause;
            }
        };
        if self.shared.has_departures() {
            host::enter_root(self.shared.root);
        }
        if let (Now::Waits, Held::Not(Body::Follows)) = (&now, held)
            && let Err(error) = host::hold_body(self.shared.root, self.context)
        {
            journal::note(Level::Warn, "a body is buffered while its request waits", &format!("{error:?}"));
        }
        if let (Now::Waits, Held::Whole(size)) = (&now, held) {
            self.shared.crowd.borrow_mut().hold(self.context, size);
        }
        self.settle(&now)
    }

    /// Answers a request to the webhook's path.
    fn answer_report(&mut self, answer: webhook::Answer) -> Action {
        self.phase = Phase::Answered;
        self.shared.answer_report(answer);
        Action::Pause
    }

    /// A job's request goes on with a grant and not otherwise.
    fn go_on(&mut self, _: &Grant) -> Action {
        self.phase = Phase::Passed;
        Action::Continue
    }

    fn settle(&mut self, now: &Now) -> Action {
        match now {
            Now::Forward(grant) => self.go_on(grant),
            Now::NotAJob => {
                self.phase = Phase::Passed;
                Action::Continue
            }
            Now::Answered => {
                self.phase = Phase::Answered;
                Action::Pause
            }
            Now::Waits => {
                self.phase = Phase::Waiting;
                Action::Pause
            }
        }
    }

    fn fail(&mut self, setup: &Setup, error: HostError) -> Action {
        journal::note(Level::Error, "a request cannot be read", &format!("{error:?}"));
        self.give_up(setup, Protocol::Web, Failure::Host)
    }

    fn give_up(&mut self, setup: &Setup, protocol: Protocol, failure: Failure) -> Action {
        let failed = decision::failed(&setup.config, protocol, failure);
        let now = self.shared.carry_out(setup, self.context, None, &failed);
        self.settle(&now)
    }

    /// Whether what still comes of the request goes on: after a decision that lets it, and not before.
    fn passes(&mut self) -> bool {
        if self.shared.crowd.borrow().was_released(self.context) && !matches!(self.phase, Phase::Passed) {
            if let Phase::Body(pending) = std::mem::replace(&mut self.phase, Phase::Passed)
                && let Reading::Passing(scan) = pending.let_go(Malformed::BodyTimeout)
            {
                self.scan = Some(scan);
            }
            // What a host buffered meanwhile goes on without being shown again.
            self.seen = 0;
        }
        matches!(self.phase, Phase::Passed)
    }

    /// Whether it waits for facts.
    fn waits(&self) -> bool {
        self.shared.crowd.borrow().parked(self.context).is_some()
    }

    /// Looks at what came of the body. `Some` when the request ends here.
    fn look(&mut self, size: usize, end_of_stream: bool) -> Option<Action> {
        let mut scan = self.scan.take()?;
        let Some(setup) = self.shared.setup() else { return Some(Action::Pause) };
        let looked = host::piece(Buffer::RequestBody, self.seen, size.saturating_sub(self.seen)).map(|piece| {
            scan.feed(&piece)?;
            if end_of_stream { scan.finish() } else { Ok(()) }
        });
        match looked {
            Ok(Ok(())) => {
                self.scan = Some(scan).filter(|scan| !scan.is_over());
                self.seen = size;
                None
            }
            Ok(Err(refused)) => Some(self.break_off(&setup, refused)),
            Err(error) => {
                self.shared.leave(self.context);
                Some(self.fail(&setup, error))
            }
        }
    }

    /// Shows what came of an awaited body to who awaits it.
    fn feed(&mut self, size: usize) -> Result<(), HostError> {
        if let Phase::Body(pending) = &mut self.phase
            && pending.is_looked_at()
        {
            let piece = host::piece(Buffer::RequestBody, self.seen, size.saturating_sub(self.seen))?;
            pending.feed(&piece);
            self.seen = size;
            self.shared.crowd.borrow_mut().body_comes(self.context, pending.is_nobodys());
        }
        Ok(())
    }

    /// Goes on with a request whose body cannot be held back until its end. It has waited already.
    fn let_go(&mut self, setup: &Setup, pending: Pending, malformed: Malformed, held: Held) -> Action {
        match pending.let_go(malformed) {
            Reading::Refused(refused) => {
                let now = self.shared.refuse_at_once(setup, self.context, refused);
                self.settle(&now)
            }
            reading @ (Reading::NotAJob | Reading::Passing(_) | Reading::Job(_) | Reading::Body(_)) => {
                self.act(setup, reading, held)
            }
        }
    }

    /// Ends a request of which some may have gone on already: the upstream never sees its end.
    fn break_off(&mut self, setup: &Setup, refused: Refused) -> Action {
        self.shared.leave(self.context);
        let now = self.shared.refuse_at_once(setup, self.context, refused);
        self.settle(&now)
    }

    /// Goes on reading an answer, or stops it for good.
    fn hand_on(&mut self, answer: Option<Answer>, action: Action) -> Action {
        self.withheld = answer.is_none() && action == Action::Pause;
        self.answer = answer;
        action
    }

    /// Ends the wait for a body. `None` when there is none, or when it came too late and the request was answered.
    fn take_pending(&mut self) -> Option<Pending> {
        match std::mem::replace(&mut self.phase, Phase::Answered) {
            Phase::Body(pending) if self.shared.crowd.borrow_mut().body_arrived(self.context) => Some(pending),
            Phase::Body(_) | Phase::New | Phase::Answered => None,
            phase @ (Phase::Report | Phase::Waiting | Phase::Passed) => {
                self.phase = phase;
                None
            }
        }
    }
}

/// Whether the request's body is held back already.
#[derive(Clone, Copy)]
enum Held {
    /// It is not, and it may come.
    Not(Body),
    /// So much of it is held back, and all of it is there.
    Whole(usize),
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        self.shared.leave(self.context);
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let Some(setup) = self.shared.setup() else {
            self.phase = Phase::Answered;
            let _ = host::unavailable("configuration.missing");
            return Action::Pause;
        };
        let body = if end_of_stream { Body::None } else { Body::Follows };
        match self.read_head(&setup, body) {
            Ok(action) => action,
            Err(error) => self.fail(&setup, error),
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if matches!(self.phase, Phase::Report) {
            if self.shared.take_report(size, end_of_stream) {
                self.phase = Phase::Answered;
            }
            return Action::Pause;
        }
        let passes = self.passes();
        if (passes || self.waits())
            && let Some(action) = self.look(size, end_of_stream)
        {
            return action;
        }
        if passes {
            self.seen = 0;
            return Action::Continue;
        }
        if let Err(error) = self.feed(size) {
            let Some(setup) = self.shared.setup() else { return Action::Pause };
            return self.fail(&setup, error);
        }
        let has_room = self.shared.crowd.borrow_mut().hold(self.context, size.saturating_add(self.head));
        let is_settled = matches!(&self.phase, Phase::Body(pending) if pending.is_settled());
        if has_room && size <= BODY_LIMIT && !end_of_stream && !is_settled {
            return Action::Pause;
        }
        let (Some(setup), Some(pending)) = (self.shared.setup(), self.take_pending()) else { return Action::Pause };
        self.seen = 0;
        if !has_room && !pending.is_nobodys() {
            return self.give_up(&setup, pending.protocol(), Failure::Busy);
        }
        if !has_room || size > BODY_LIMIT || !end_of_stream {
            return self.let_go(&setup, pending, Malformed::BodyTooLarge, Held::Whole(size));
        }
        match host::buffer(Buffer::RequestBody, size) {
            Ok(body) => {
                self.shared.read_request(self.context, &body);
                self.act(&setup, pending.finish(&body), Held::Whole(size))
            }
            Err(error) => self.fail(&setup, error),
        }
    }

    /// Trailers end a body without the body callback being told, and some forges read fields from them.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        if matches!(self.phase, Phase::Report) {
            return self.answer_report(webhook::Answer::Unreadable);
        }
        let passes = self.passes();
        if (passes || self.waits())
            && let (Some(scan), Some(setup)) = (self.scan.take(), self.shared.setup())
            && let Err(refused) = scan.finish_with_trailers()
        {
            return self.break_off(&setup, refused);
        }
        if passes {
            return Action::Continue;
        }
        let (Some(setup), Some(pending)) = (self.shared.setup(), self.take_pending()) else { return Action::Pause };
        self.let_go(&setup, pending, Malformed::Trailers, Held::Whole(0))
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let (answer, action) = self.shared.read_answer(self.context, end_of_stream);
        self.hand_on(answer, action)
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.answer.take() {
            Some(answer) => {
                let (answer, action) = answer.piece(&self.shared, size, end_of_stream);
                self.hand_on(answer, action)
            }
            None if self.withheld => Action::Pause,
            None => Action::Continue,
        }
    }

    /// Trailers end a body without the body callback being told.
    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        match self.answer.take() {
            Some(answer) => {
                let action = answer.finish(&self.shared, true);
                self.hand_on(None, action)
            }
            None if self.withheld => Action::Pause,
            None => Action::Continue,
        }
    }
}
