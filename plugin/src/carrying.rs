//! Carrying a decision out: what is logged, what goes on, what is answered.

use std::hash::{BuildHasher, Hasher};

use policy::config::Detail;
use policy::decision::{self, Ages, Decision, Facts, Grant, Outcome, Record};
use policy::lifecycle::Watch;
use policy::reply::Reply;
use policy::request::JobRequest;

use crate::host::{self, HostError, Level};
use crate::journal;
use crate::shared::{Now, Setup, Shared};

/// What a decision was made from: a request that could be read, and what was known.
pub(crate) type Case<'a> = (&'a JobRequest, &'a Facts);

impl Shared {
    /// Carries a decision out on the effective context, which is this stream's.
    pub(crate) fn carry_out(&self, setup: &Setup, stream: u32, case: Option<Case<'_>>, decision: &Decision) -> Now {
        let id = self.note(&decision.record);
        if decision.denies() || setup.config.log.allows == Detail::Full {
            // For who runs the proxy or owns the target: what the client may not see stands here.
            let _ = host::set_property("jobscope_why", &decision::why(&setup.config, case, &ages(setup, case)));
        }
        match &decision.outcome {
            Outcome::Forward(grant) => {
                if let Err(error) = narrow(grant) {
                    // The request asks for more than was granted, so it cannot go on as it is.
                    journal::note(Level::Error, "a narrowed request cannot be forwarded", &format!("{error:?}"));
                    let _ = host::unavailable("host.failed");
                    return Now::Answered;
                }
                if let Some((request, _)) = case
                    && let Some(watch) = Watch::of_job(&setup.config, request, decision)
                {
                    self.watch(stream, watch);
                }
                Now::Forward(grant.clone())
            }
            Outcome::Reply(reply) => {
                if let Err(error) = send(reply, &id, decision.record.reason) {
                    journal::note(Level::Error, "a request cannot be answered", &format!("{error:?}"));
                }
                Now::Answered
            }
        }
    }

    /// Writes a record down for the access log of the effective context, and gives the number that it has there.
    pub(crate) fn note(&self, record: &Record) -> String {
        let id = self.decision_id();
        write_down(record, &id, |_| true);
        id
    }

    /// The same of what was decided on an answer: what the record does not know stays as the request's had it.
    pub(crate) fn note_more(&self, record: &Record) -> String {
        let id = self.decision_id();
        write_down(record, &id, |value| value != "-");
        id
    }

    /// A number that no other decision is likely to have.
    fn decision_id(&self) -> String {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut hasher = self.ids.build_hasher();
        hasher.write_u64(count);
        format!("{:016x}", hasher.finish())
    }
}

/// How old what was known is. Without the time nobody knows.
fn ages(setup: &Setup, case: Option<Case<'_>>) -> Ages {
    let known = case.zip(host::now().ok()).map(|((request, facts), now)| setup.store.ages(request, facts, now));
    known.unwrap_or_default()
}

/// Answers the effective context's request.
pub(crate) fn send(reply: &Reply, id: &str, reason: &str) -> Result<(), HostError> {
    let mut headers: Vec<(&str, &str)> = reply.headers.clone();
    let retry_after = reply.retry_after.map(|seconds| seconds.to_string());
    headers.extend(retry_after.iter().map(|seconds| ("retry-after", seconds.as_str())));
    headers.push(("x-jobscope-decision", id));
    host::reply(reply.status, &headers, &reply.text(id), &format!("jobscope:{reason}"))
}

fn write_down(record: &Record, id: &str, is_written: impl Fn(&str) -> bool) {
    let says = [
        ("jobscope_job", record.job.as_str()),
        ("jobscope_user", &record.user),
        ("jobscope_origin", &record.origin),
        ("jobscope_target", &record.target),
        ("jobscope_action", record.action),
        ("jobscope_verdict", record.verdict),
        ("jobscope_reason", record.reason),
        ("jobscope_rule", &*record.rule),
        ("jobscope_decision", id),
    ];
    for (name, value) in says.into_iter().filter(|(_, value)| is_written(value)) {
        // A decision that cannot be logged is carried out all the same: it is the narrower of the two.
        let _ = host::set_property(name, value);
    }
}

/// Makes of the request what was granted.
fn narrow(grant: &Grant) -> Result<(), HostError> {
    for name in grant.without() {
        host::remove_request_header(name)?;
    }
    grant.path().map_or(Ok(()), |path| host::replace_request_header(":path", path))
}
