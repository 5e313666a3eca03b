//! The runner's own traffic: what an answer of the forge to a runner says about the life of a job.

use crate::request::{Action, JobRequest, Progress};

/// What to look for in the forge's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing: the request tells nothing about a job's life.
    Nothing,
    /// The runner reported a final state: the job is over once the forge has taken it.
    Final,
    /// The runner reported on a job that goes on, unless the forge says otherwise.
    Going,
}

/// What an answer says about the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Nothing new.
    None,
    /// The job is over.
    Ended,
}

/// What to look for in the answer to this request.
#[must_use]
pub fn watch(request: &JobRequest) -> Watch {
    let is_runner = request
        .accesses
        .iter()
        .any(|access| matches!(access.action, Action::UpdateJob | Action::TraceJob | Action::UploadArtifact));
    match (is_runner, request.progress) {
        (false, _) => Watch::Nothing,
        (true, Progress::Final) => Watch::Final,
        (true, Progress::Going) => Watch::Going,
    }
}

/// Reads the head of the forge's answer. `job_status` is its `Job-Status` field.
///
/// 202 to a final state means that the forge has yet to take the log in: the runner asks again, and the job goes on.
/// 403 on a runner's route means that the forge no longer knows the token as a running job's.
#[must_use]
pub fn sign(watch: Watch, status: u16, job_status: Option<&[u8]>) -> Sign {
    let says_over =
        job_status.is_some_and(|state| !matches!(state, b"running" | b"canceling" | b"pending" | b"preparing"));
    match (watch, status) {
        (Watch::Nothing, _) => Sign::None,
        (Watch::Final, 200) | (_, 403) => Sign::Ended,
        (Watch::Final | Watch::Going, 200..=299) if says_over => Sign::Ended,
        (Watch::Final | Watch::Going, _) => Sign::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_forge_ends_a_job() {
        assert_eq!(sign(Watch::Final, 200, None), Sign::Ended);
        assert_eq!(sign(Watch::Final, 202, Some(b"running")), Sign::None);
        assert_eq!(sign(Watch::Final, 401, Some(b"success")), Sign::None);
        assert_eq!(sign(Watch::Final, 503, None), Sign::None);
        assert_eq!(sign(Watch::Going, 202, Some(b"running")), Sign::None);
        assert_eq!(sign(Watch::Going, 202, Some(b"canceling")), Sign::None);
        assert_eq!(sign(Watch::Going, 202, Some(b"canceled")), Sign::Ended);
        assert_eq!(sign(Watch::Going, 403, None), Sign::Ended);
        assert_eq!(sign(Watch::Nothing, 403, Some(b"failed")), Sign::None);
    }
}
