//! Carrying a decision out: what is logged, what goes on, what is answered.

use std::hash::{BuildHasher, Hasher};

use policy::decision::{Decision, Outcome};
use policy::lifecycle::{self, Watch};
use policy::request::JobRequest;

use crate::host::{self, Level};
use crate::shared::{Now, Shared};

impl Shared {
    /// Carries a decision out on the effective context, which is this stream's.
    pub(crate) fn carry_out(&self, stream: u32, request: Option<&JobRequest>, decision: &Decision) -> Now {
        let id = self.decision_id();
        let record = &decision.record;
        let says = [
            ("jobscope_job", record.job.as_str()),
            ("jobscope_user", &record.user),
            ("jobscope_origin", &record.origin),
            ("jobscope_target", &record.target),
            ("jobscope_action", record.action),
            ("jobscope_verdict", record.verdict),
            ("jobscope_reason", record.reason),
            ("jobscope_rule", &*record.rule),
            ("jobscope_decision", &id),
        ];
        for (name, value) in says {
            // A decision that cannot be logged is carried out all the same: it is the narrower of the two.
            let _ = host::set_property(name, value);
        }
        if decision.denies() {
            // For who runs the proxy or owns the target: what the client may not see stands here.
            let _ = host::set_property("jobscope_why", &decision.why());
        }
        match &decision.outcome {
            Outcome::Forward(grant) => {
                if let Some(path) = grant.path()
                    && let Err(error) = host::replace_request_header(":path", path)
                {
                    // The request asks for more than was granted, so it cannot go on as it is.
                    host::log(Level::Error, &format!("jobscope: a narrowed request cannot be forwarded: {error:?}"));
                    let headers = [("retry-after", "2"), ("cache-control", "no-store")];
                    let _ = host::reply(503, &headers, "", "jobscope:host.failed");
                    return Now::Answered;
                }
                if let Some(request) = request {
                    let watch = lifecycle::watch(request);
                    if watch != Watch::Nothing {
                        self.watched.borrow_mut().insert(stream, (watch, request.token.hash()));
                    }
                }
                Now::Forward(grant.clone())
            }
            Outcome::Reply(reply) => {
                let mut headers: Vec<(&str, &str)> = reply.headers.clone();
                headers.push(("x-jobscope-decision", &id));
                let details = format!("jobscope:{}", record.reason);
                if let Err(error) = host::reply(reply.status, &headers, &reply.body, &details) {
                    host::log(Level::Error, &format!("jobscope: a request cannot be answered: {error:?}"));
                }
                Now::Answered
            }
        }
    }

    /// A number that no other decision is likely to have.
    pub(crate) fn decision_id(&self) -> String {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut hasher = self.ids.build_hasher();
        hasher.write_u64(count);
        format!("{:016x}", hasher.finish())
    }
}
