//! Carrying out what becomes of a request: what is logged, what goes on, what is answered. Here and nowhere else.

use std::borrow::Cow;

use policy::choices::{CredentialSlots, Detail};
use policy::decision::{self, Ages, Facts, Grant, Outcome, Record, SLOT_FIELD};
use policy::facts::Secret;
use policy::failure::Failure;
use policy::lifecycle::Watch;
use policy::reply::Reply;
use policy::request::{Head, JobRequest};
use policy::webhook::Answer;

use super::answer::Answering;
use super::crowd::Standing;
use super::{Decided, Next};
use crate::host::{Flow, Host, Level, Map, Result, Stream};
use crate::lookups::chance;
use crate::setup::Setup;
use crate::worker::Worker;

/// Numbers of decisions.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    count: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// A number that no other decision is likely to have.
    fn next(&mut self) -> String {
        self.count = self.count.wrapping_add(1);
        let number = chance(self.seed, self.count);
        let digit = |at: u32| char::from_digit(u32::try_from(number >> at & 0xf).unwrap_or_default(), 16);
        (0..64).step_by(4).rev().map(|at| digit(at).unwrap_or_default()).collect()
    }
}

impl<H: Host> Worker<H> {
    /// Carries out what becomes of the request that the host acts for.
    pub(super) fn settle(&mut self, setup: &Setup<H>, stream: Stream, next: Next) -> Flow {
        match next {
            Next::Passes => self.pass(stream),
            Next::Decided(decided) => self.carry_out(setup, stream, &decided),
            Next::AwaitsFacts(parked) => self.stay(stream, Standing::Facts(parked)),
            Next::AwaitsBody(pending, deadline) => self.stay(stream, Standing::Body(pending, deadline)),
        }
    }

    fn carry_out(&mut self, setup: &Setup<H>, stream: Stream, decided: &Decided) -> Flow {
        let Decided { decision, protocol, case, ages } = decided;
        let case = case.as_ref().map(|(request, facts)| (request, facts));
        setup.counters.decided(decision, *protocol);
        // For who runs the proxy or owns the target: what the client may not see stands here.
        let why = (decision.denies() || setup.config.log.allows == Detail::Full).then(|| {
            let ages = ages.as_ref().map_or_else(|| Cow::Owned(self.ages(setup, case)), Cow::Borrowed);
            decision::why(&setup.config, case, &ages)
        });
        let id = self.note(&decision.record, why.as_deref());
        match &decision.outcome {
            Outcome::Forward(grant) => {
                if let Err(error) = self.narrow(grant) {
                    // The request asks for more than was granted, so it cannot go on as it is.
                    self.journal.note(Level::Error, "a narrowed request cannot be forwarded", error);
                    let _ = self.host.unavailable("host.failed");
                    return self.stay(stream, Standing::Answered);
                }
                let hash = |token: &Secret| setup.store.hashes.of_token(token);
                if let Some(watch) = case.and_then(|(request, _)| Watch::of_job(&setup.config, request, decision, hash))
                {
                    self.watch(stream, watch);
                }
                if let (Some(_), Some(exchange)) = (grant.slot(), self.crowd.find(stream)) {
                    exchange.answering = Answering::Exchanged;
                }
                self.go_on(stream, grant)
            }
            Outcome::Reply(reply) => {
                if let Err(error) = self.send(reply, &id, decision.record.reason) {
                    self.journal.note(Level::Error, "a request cannot be answered", error);
                }
                self.stay(stream, Standing::Answered)
            }
        }
    }

    /// How old what was known is. Without the time nobody knows.
    fn ages(&self, setup: &Setup<H>, case: Option<(&JobRequest, &Facts)>) -> Ages {
        let known = case.zip(self.host.now().ok()).map(|((request, facts), now)| setup.store.ages(request, facts, now));
        known.unwrap_or_default()
    }

    /// A job's request goes on with a grant and not otherwise.
    fn go_on(&mut self, stream: Stream, _: &Grant) -> Flow {
        self.pass(stream)
    }

    fn pass(&mut self, stream: Stream) -> Flow {
        self.crowd.stand(stream, Standing::Going);
        if let Some(exchange) = self.crowd.find(stream) {
            // What a host buffered meanwhile goes on without being shown again.
            exchange.seen = 0;
        }
        Flow::Continue
    }

    pub(super) fn stay(&mut self, stream: Stream, standing: Standing) -> Flow {
        self.crowd.stand(stream, standing);
        Flow::Pause
    }

    /// Notes what to look for in the answer to a request that goes on. Its head is still here.
    pub(super) fn watch(&mut self, stream: Stream, watch: Watch) {
        if watch.reads_body()
            && let Err(error) = self.host.remove_header(Map::Request, "accept-encoding")
        {
            // Compressed, the answer tells nothing.
            self.journal.note(Level::Warn, "an answer may come compressed", error);
        }
        if let Some(exchange) = self.crowd.find(stream) {
            exchange.answering = Answering::Watched(Box::new(watch));
        }
    }

    /// Answers a request that is not even read.
    pub(super) fn answer_unjudged(&mut self, stream: Stream, why: Failure) -> Flow {
        let _ = self.host.unavailable(why.code());
        self.stay(stream, Standing::Answered)
    }

    /// Answers a request to the webhook's path.
    pub(super) fn answer_report(&mut self, stream: Stream, answer: Answer) -> Flow {
        self.crowd.stand(stream, Standing::Answered);
        let (status, name) = answer.says();
        self.log.write_more(&self.host, [("jobscope_action", "webhook"), ("jobscope_reason", name)].into_iter());
        let details = format!("jobscope:{name}");
        if let Err(error) = self.host.reply(status, &[("cache-control", "no-store")], "", &details) {
            self.journal.note(Level::Error, "a request cannot be answered", error);
        }
        Flow::Pause
    }

    /// Takes out of a head what a client sent under our names. Whether there was nothing of the kind. The host has chosen a route
    /// before: where one goes by a slot, it is not to stay that one. Envoy chooses anew with each change of a head, unasked.
    pub(super) fn take_ours(&self, setup: &Setup<H>, head: &Head<'_>) -> Result<bool> {
        let mut is_clean = true;
        for name in head.ours() {
            self.host.remove_header(Map::Request, name)?;
            is_clean = false;
        }
        if is_clean || setup.config.forge.credential_slots == CredentialSlots::Off {
            return Ok(is_clean);
        }
        self.host.choose_route().map(|()| false)
    }

    /// Makes of the request what was granted.
    fn narrow(&self, grant: &Grant) -> Result<()> {
        for name in grant.without() {
            self.host.remove_header(Map::Request, name)?;
        }
        grant.path().map_or(Ok(()), |path| self.host.replace_request_header(":path", path))?;
        let Some(slot) = grant.slot() else { return Ok(()) };
        // Last: a request that still has a credential of its own never has a slot.
        self.host.replace_request_header(SLOT_FIELD, slot.name().as_bytes())?;
        self.host.choose_route()
    }

    /// Answers the request.
    pub(super) fn send(&self, reply: &Reply, id: &str, reason: &str) -> Result<()> {
        let mut headers: Vec<(&str, &str)> = reply.headers.clone();
        let retry_after = reply.retry_after.map(|seconds| seconds.to_string());
        headers.extend(retry_after.iter().map(|seconds| ("retry-after", seconds.as_str())));
        headers.push(("x-jobscope-decision", id));
        self.host.reply(reply.status, &headers, &reply.text(id), &format!("jobscope:{reason}"))
    }

    /// Writes a record down for the access log, with the account of its decision where there is one, and gives the number
    /// that it has there.
    pub(super) fn note(&mut self, record: &Record, why: Option<&str>) -> String {
        let id = self.ids.next();
        self.log.write(&self.host, said(record, &id).into_iter().chain(why.map(|why| ("jobscope_why", why))));
        id
    }

    /// The same of what was decided on an answer: what the record does not know stays as the request's had it.
    pub(super) fn note_more(&mut self, record: &Record) -> String {
        let id = self.ids.next();
        self.log.write_more(&self.host, said(record, &id).into_iter().filter(|(_, text)| *text != "-"));
        id
    }
}

/// What a record says, field by field.
fn said<'a>(record: &'a Record, id: &'a str) -> [(&'static str, &'a str); 9] {
    [
        ("jobscope_job", &record.job),
        ("jobscope_user", &record.user),
        ("jobscope_origin", &record.origin),
        ("jobscope_target", &record.target),
        ("jobscope_action", record.action),
        ("jobscope_verdict", record.verdict),
        ("jobscope_reason", record.reason),
        ("jobscope_rule", &record.rule),
        ("jobscope_decision", id),
    ]
}
