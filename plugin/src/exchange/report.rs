//! Requests to the webhook's path: answered here, and never forwarded.

use policy::webhook::{self, Answer, BODY_LIMIT};

use crate::counters::Counted;
use crate::host::{Buffer, Flow, Host, Level, Stream};
use crate::setup::Setup;
use crate::worker::Worker;

impl<H: Host> Worker<H> {
    /// Takes what has come of a report. While more of it is to come, the host keeps it; one that is there at once needs no
    /// room.
    pub(super) fn take_report(&mut self, setup: &Setup<H>, stream: Stream, size: usize, end_of_stream: bool) -> Flow {
        let report = match (size <= BODY_LIMIT, end_of_stream) {
            (false, _) => Err(Answer::TooLarge),
            (true, false) if self.crowd.hold_with_head(stream, size) => return Flow::Pause,
            (true, false) => {
                setup.counters.one(Counted::Limits, &["webhook.busy"]);
                Err(Answer::Busy)
            }
            (true, true) => self.host.buffer(Buffer::RequestBody, 0, size).map_err(|_| Answer::Failed),
        };
        let answer = report.and_then(|body| self.heed_report(setup, &body));
        self.answer_report(stream, answer.unwrap_or_else(|answer| answer))
    }

    /// Ends the job that a report names.
    fn heed_report(&self, setup: &Setup<H>, body: &[u8]) -> Result<Answer, Answer> {
        let job = webhook::read_report(body)?;
        self.log.write(&self.host, [("jobscope_job", &*job.0.to_string())].into_iter());
        setup.counters.one(Counted::Ends, &["webhook"]);
        self.host.now().and_then(|now| setup.store.end_job(job, now)).map_err(|error| {
            self.journal.note(Level::Critical, "the end of a job cannot be remembered", error);
            Answer::Failed
        })?;
        Ok(Answer::Ended)
    }
}
