//! How a job ends: what an answer of the forge to a runner's report says.

use super::{AnswerHead, End, Event};
use crate::request::{Action, JobRequest, Progress, TargetRef};

/// Whether a request is a runner's report on its job.
pub(super) fn is_report(request: &JobRequest) -> bool {
    let reports = |action| matches!(action, Action::UpdateJob | Action::TraceJob | Action::UploadArtifact);
    request.accesses.iter().any(|access| reports(access.action))
}

/// Whose end a report may be. The rule `own-job` has seen to it that the job is the token's.
pub(super) fn of(request: &JobRequest) -> End {
    let mut targets = request.accesses.iter().map(|access| &access.target);
    let job = targets.find_map(|target| if let TargetRef::Job(job) = target { Some(*job) } else { None });
    End { token: request.token.hash(), job }
}

/// Reads the head of the forge's answer to a report.
///
/// 202 to a final state means that the forge has yet to take the log in: the runner asks again with the same token, and
/// the job goes on. 403 on a runner's route means that the forge no longer knows the token as a running job's.
pub(super) fn read(end: End, progress: Progress, answer: &AnswerHead<'_>) -> Option<Event> {
    let says_over = answer.field("job-status").is_some_and(|state| !matches!(state, b"running" | b"canceling"));
    let is_over = match (progress, answer.status()?) {
        (Progress::Final | Progress::Going, 403) => true,
        (Progress::Final, status @ 200..=299) if status != 202 => true,
        (Progress::Final | Progress::Going, 200..=299) => says_over,
        (Progress::Final | Progress::Going, _) => false,
    };
    is_over.then_some(Event::Ended(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Hash, JobId};
    use std::string::ToString;

    fn end() -> End {
        End { token: Hash::of(&[b"glcbt-1"]), job: Some(JobId(7)) }
    }

    fn ends(progress: Progress, status: u16, job_status: Option<&str>) -> bool {
        let status = status.to_string();
        let mut fields = std::vec![(&b":status"[..], status.as_bytes())];
        fields.extend(job_status.map(|state| (&b"job-status"[..], state.as_bytes())));
        let event = read(end(), progress, &AnswerHead::new(&fields));
        assert!(event.is_none() || event == Some(Event::Ended(end())));
        event.is_some()
    }

    #[test]
    fn a_final_state_that_the_forge_took_ends_the_job() {
        for status in [200, 201, 204] {
            assert!(ends(Progress::Final, status, None), "{status}");
            assert!(!ends(Progress::Going, status, None), "{status}");
        }
        assert!(!ends(Progress::Final, 202, None), "the runner repeats it");
        assert!(!ends(Progress::Final, 202, Some("running")));
    }

    #[test]
    fn a_status_that_is_not_running_or_canceling_ends_the_job() {
        for (state, is_over) in [
            ("running", false),
            ("canceling", false),
            ("canceled", true),
            ("success", true),
            ("failed", true),
            ("pending", true),
            ("", true),
        ] {
            assert_eq!(ends(Progress::Going, 202, Some(state)), is_over, "{state}");
            assert_eq!(ends(Progress::Final, 202, Some(state)), is_over, "{state}");
            assert!(!ends(Progress::Going, 500, Some(state)), "{state}");
        }
    }

    #[test]
    fn an_end_that_the_forge_did_not_confirm_ends_nothing() {
        for status in [400, 401, 404, 409, 416, 500, 502, 503, 504] {
            assert!(!ends(Progress::Final, status, Some("success")), "{status}");
            assert!(!ends(Progress::Going, status, Some("failed")), "{status}");
        }
        assert_eq!(read(end(), Progress::Final, &AnswerHead::new(&[])), None, "no status");
    }

    #[test]
    fn a_runner_that_is_forbidden_has_lost_its_job() {
        assert!(ends(Progress::Going, 403, None) && ends(Progress::Final, 403, Some("running")));
    }
}
