//! Requests to the webhook's path: answered here, and never forwarded.

use policy::webhook::{self, Answer, BODY_LIMIT};

use crate::host::{self, Buffer, Level};
use crate::journal;
use crate::shared::{Setup, Shared};

impl Shared {
    /// Takes what has come of a report, whose head has so many bytes, and tells whether it was answered. While more of it is
    /// to come, the host keeps it; one that is there at once needs no room.
    pub(crate) fn take_report(&self, stream: u32, head: usize, size: usize, end_of_stream: bool) -> bool {
        let Some(setup) = self.setup() else { return false };
        let report = match (size <= BODY_LIMIT, end_of_stream) {
            (false, _) => Err(Answer::TooLarge),
            (true, false) if self.crowd.borrow_mut().hold(stream, size.saturating_add(head)) => return false,
            (true, false) => Err(Answer::Busy),
            (true, true) => host::buffer(Buffer::RequestBody, size).map_err(|_| Answer::Failed),
        };
        let answer = report.and_then(|body| self.heed_report(&setup, &body));
        self.answer_report(answer.unwrap_or_else(|answer| answer));
        true
    }

    /// Ends the job that a report names.
    fn heed_report(&self, setup: &Setup, body: &[u8]) -> Result<Answer, Answer> {
        let job = webhook::read_report(body)?;
        let _ = host::set_property("jobscope_job", &job.0.to_string());
        host::now().and_then(|now| setup.store.end_job(job, now)).map_err(|error| {
            journal::note(Level::Critical, "the end of a job cannot be remembered", error);
            Answer::Failed
        })?;
        Ok(Answer::Ended)
    }

    /// Answers a request to the webhook's path.
    pub(crate) fn answer_report(&self, answer: Answer) {
        let (status, name) = answer.says();
        for (property, value) in [("jobscope_action", "webhook"), ("jobscope_reason", name)] {
            let _ = host::set_property(property, value);
        }
        let details = format!("jobscope:{name}");
        if let Err(error) = host::reply(status, &[("cache-control", "no-store")], "", &details) {
            journal::note(Level::Error, "a request cannot be answered", error);
        }
    }
}
