//! The routes that a runner calls for its job: `/api/v4/jobs/:id...` and `/api/v4/job`.

use super::access::{Access, Action, TargetRef};
use super::malformed::Malformed;
use super::params::{self, Found, Media, Pairs};
use super::token;
use crate::facts::JobId;

/// Reads a path below `/api/v4` that belongs to a job. `None` when it is no such path.
pub(crate) fn read(method: &[u8], segments: &[&str]) -> Option<Result<Access, Malformed>> {
    match (method, segments) {
        (b"GET" | b"HEAD", ["job"] | ["job", "allowed_agents"]) => {
            Some(Ok(Access::new(Action::ReadOwnJob, TargetRef::Own)))
        }
        // Asked with the runner's own token: a job's does not belong there.
        (_, ["jobs", "request"]) => None,
        (_, ["jobs", number, rest @ ..]) => Some(job(method, number, rest)),
        _ => None,
    }
}

fn job(method: &[u8], number: &str, rest: &[&str]) -> Result<Access, Malformed> {
    let job = job_id(number)?;
    match (method, rest) {
        (b"PUT", []) => Ok(Access::new(Action::UpdateJob, TargetRef::Job(job))),
        (b"PATCH", ["trace"]) => Ok(Access::new(Action::TraceJob, TargetRef::Job(job))),
        (b"POST", ["artifacts"] | ["artifacts", "authorize"]) => {
            Ok(Access::new(Action::UploadArtifact, TargetRef::Job(job)))
        }
        (b"GET" | b"HEAD", ["artifacts"]) => Ok(Access::new(Action::DownloadOwnArtifact, TargetRef::ProjectOfJob(job))),
        (_, [] | ["trace"] | ["artifacts"]) => Err(Malformed::MethodUnknown),
        _ => Err(Malformed::Unclassifiable),
    }
}

fn job_id(number: &str) -> Result<JobId, Malformed> {
    let sound = !number.is_empty() && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
    if sound { number.parse().map(JobId).map_err(|_| Malformed::ProjectId) } else { Err(Malformed::ProjectId) }
}

/// The job's token among a runner's parameters. On these routes `token` is a job's, in whatever format: an old forge's
/// tokens have no mark of their own.
pub(crate) fn credential(pairs: &Pairs) -> Result<Found, Malformed> {
    let found = params::credential(pairs)?;
    match (&found.job, params::one(pairs, "token")?) {
        (None, Some(value)) if !value.is_empty() => {
            Ok(Found { job: Some(("token", token::parse(value.as_bytes())?)), foreign: false })
        }
        (Some(_), _) | (None, _) => Ok(found),
    }
}

/// Whether an update says that the job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Going,
    /// Its state is final.
    Final,
}

/// The state that an update reports.
pub(crate) fn progress(media: &Media, body: &[u8]) -> Result<(Progress, Pairs), Malformed> {
    let pairs = params::body(media, body)?;
    let state = params::one(&pairs, "state")?;
    let progress =
        if matches!(state, Some("success" | "failed" | "canceled")) { Progress::Final } else { Progress::Going };
    Ok((progress, pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let job = |n| TargetRef::Job(JobId(n));
        assert_eq!(read(b"PUT", &["jobs", "7"]), Some(Ok(Access::new(Action::UpdateJob, job(7)))));
        assert_eq!(read(b"PATCH", &["jobs", "7", "trace"]), Some(Ok(Access::new(Action::TraceJob, job(7)))));
        assert_eq!(read(b"GET", &["job"]), Some(Ok(Access::new(Action::ReadOwnJob, TargetRef::Own))));
        assert_eq!(
            read(b"GET", &["jobs", "7", "artifacts"]),
            Some(Ok(Access::new(Action::DownloadOwnArtifact, TargetRef::ProjectOfJob(JobId(7)))))
        );
        assert_eq!(read(b"PUT", &["jobs", "07"]), Some(Err(Malformed::ProjectId)));
        assert_eq!(read(b"POST", &["jobs", "request"]), None);
        assert_eq!(read(b"GET", &["projects"]), None);
    }

    #[test]
    fn a_final_state_ends_the_job() {
        let state = |body: &[u8]| progress(&Media::Json, body).map(|(progress, _)| progress);
        assert_eq!(state(br#"{"token":"glcbt-1","state":"success"}"#), Ok(Progress::Final));
        assert_eq!(state(br#"{"token":"glcbt-1","state":"running"}"#), Ok(Progress::Going));
        assert_eq!(state(br#"{"state":"running","state":"failed"}"#), Err(Malformed::JsonDuplicateKey));
    }
}
