//! How a job ends: what an answer of the forge to a runner's report says.

use super::{AnswerHead, End, Event};
use crate::access::{Action, TargetRef};
use crate::facts::{FINAL_STATES, Hash};
use crate::request::{JobRequest, Progress};

/// What a runner reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// That the job is over.
    Final,
    /// How it goes on.
    Going,
    /// A file of the job's. Whether it is taken says nothing of the job: what stands between may refuse it for what is in it.
    File,
}

/// What an answer says of the job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Runs,
    Over,
    /// One in which no job is that a runner has.
    Other,
}

/// Whether a request is a runner's report on its job.
pub(super) fn is_report(request: &JobRequest) -> bool {
    let reports = |action| matches!(action, Action::UpdateJob | Action::TraceJob | Action::UploadArtifact);
    request.accesses.iter().any(|access| reports(access.action))
}

/// Whose end a report with a token of this hash may be. The rule `own-job` has seen to it that the job is the token's.
pub(super) fn of(request: &JobRequest, token: Hash) -> End {
    let mut targets = request.accesses.iter().map(|access| &access.target);
    let job = targets.find_map(|target| if let TargetRef::Job(job) = target { Some(*job) } else { None });
    End { token, job }
}

/// What a request reports.
pub(super) fn report(request: &JobRequest) -> Report {
    let is_file = request.accesses.iter().any(|access| access.action == Action::UploadArtifact);
    match (is_file, request.progress) {
        (true, _) => Report::File,
        (false, Progress::Final) => Report::Final,
        (false, Progress::Going) => Report::Going,
    }
}

/// Reads the head of the forge's answer to a report.
///
/// What ends a job is a sign of the forge's own: the state that it names, or that it took a final one. 202 to a final state
/// means that it has yet to take the log in: the runner asks again with the same token, and the job goes on. 403 may be the
/// word of whatever stands between, so the job is only looked up.
pub(super) fn read(end: End, report: Report, answer: &AnswerHead<'_>) -> Option<Event> {
    let said = match answer.field("job-status") {
        None => Said::Nothing,
        Some(b"running" | b"canceling") => Said::Runs,
        Some(state) if FINAL_STATES.iter().any(|known| known.as_bytes() == state) => Said::Over,
        Some(_) => Said::Other,
    };
    match (answer.status()?, report, said) {
        (200 | 201 | 203..=299, Report::Final, _) | (200..=299, _, Said::Over) => Some(Event::Ended(end)),
        (403, Report::Final | Report::Going, Said::Over) => Some(Event::Ended(end)),
        (200..=299 | 403, _, Said::Runs) | (200..=299, _, Said::Nothing) => None,
        (200..=299, _, Said::Other) | (403, _, _) => Some(Event::Doubted(end)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Hash, JobId};
    use std::string::ToString;

    fn end() -> End {
        End { token: Hash::of(&[b"glcbt-1"]), job: Some(JobId(7)) }
    }

    fn told(report: Report, status: u16, state: Option<&str>) -> &'static str {
        let status = status.to_string();
        let mut fields = std::vec![(&b":status"[..], status.as_bytes())];
        fields.extend(state.map(|state| (&b"job-status"[..], state.as_bytes())));
        match read(end(), report, &AnswerHead::new(&fields)) {
            None => "nothing",
            Some(Event::Ended(of)) if of == end() => "end",
            Some(Event::Doubted(of)) if of == end() => "doubt",
            Some(other) => panic!("{other:?}"),
        }
    }

    const ALL: [Report; 3] = [Report::Final, Report::Going, Report::File];

    #[test]
    fn a_final_state_that_the_forge_took_ends_the_job() {
        for status in [200, 201, 204] {
            assert_eq!(ALL.map(|report| told(report, status, None)), ["end", "nothing", "nothing"], "{status}");
        }
        for state in [None, Some("running"), Some("canceling")] {
            assert_eq!(ALL.map(|report| told(report, 202, state)), ["nothing"; 3], "the runner repeats it: {state:?}");
        }
    }

    #[test]
    fn a_final_state_that_the_forge_names_ends_the_job_and_another_one_has_it_looked_up() {
        for (state, tells) in [
            ("running", "nothing"),
            ("canceling", "nothing"),
            ("canceled", "end"),
            ("success", "end"),
            ("failed", "end"),
            ("pending", "doubt"),
            ("", "doubt"),
            ("Success", "doubt"),
        ] {
            assert_eq!(ALL.map(|report| told(report, 202, Some(state))), [tells; 3], "{state}");
            assert_eq!(ALL.map(|report| told(report, 500, Some(state))), ["nothing"; 3], "{state}");
        }
    }

    #[test]
    fn an_end_that_the_forge_did_not_confirm_ends_nothing() {
        for status in [400, 401, 404, 409, 416, 500, 502, 503, 504] {
            for state in [None, Some("success"), Some("failed"), Some("running")] {
                assert_eq!(ALL.map(|report| told(report, status, state)), ["nothing"; 3], "{status} {state:?}");
            }
        }
        assert_eq!(read(end(), Report::Final, &AnswerHead::new(&[])), None, "no status");
    }

    #[test]
    fn a_403_ends_nothing_by_itself_and_an_uploads_never_does() {
        for (state, tells) in [
            (None, ["doubt"; 3]),
            (Some("running"), ["nothing"; 3]),
            (Some("canceling"), ["nothing"; 3]),
            (Some("success"), ["end", "end", "doubt"]),
            (Some("pending"), ["doubt"; 3]),
        ] {
            assert_eq!(ALL.map(|report| told(report, 403, state)), tells, "{state:?}");
        }
    }
}
