//! How a job begins: the forge hands it to a runner that asked for one.
//!
//! The answer to `POST /api/v4/jobs/request` is 201 with the job, its token, its project and its timeout. It does not
//! name the user, so a birth is no binding yet: it says that a token is a running job's, and which.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::value::RawValue;

use super::AnswerHead;
use super::payload::{members, value};
use crate::Config;
use crate::facts::{JobId, ProjectId, Secret};
use crate::request::{self, Head};

/// A job that was handed to a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The job's token.
    pub token: Secret,
    /// The job.
    pub job: JobId,
    /// Its project.
    pub origin: ProjectId,
    /// How long it may run, where that is said.
    pub timeout: Option<Duration>,
    /// The jobs with whose artifacts it begins, which may be other projects' (`needs:project`).
    pub dependencies: Vec<JobId>,
}

/// Whether a request asks for a job.
pub(super) fn is_asked_for(config: &Config, head: &Head<'_>) -> bool {
    head.method() == Some(b"POST") && request::is_for(&config.forge, head, "/api/v4/jobs/request")
}

/// Whether an answer hands one out.
pub(super) fn is_handed_out(answer: &AnswerHead<'_>) -> bool {
    answer.status() == Some(201)
}

/// Reads what the runner gets. What cannot be read tells nothing: the job's first request will be looked up.
pub(super) fn read(payload: &str) -> Option<Birth> {
    let [id, token, job, runner, dependencies] =
        members(payload, ["id", "token", "job_info", "runner_info", "dependencies"])?;
    let [origin] = members(job?.get(), ["project_id"])?;
    let timeout = runner.and_then(|runner| members(runner.get(), ["timeout"])).and_then(|[timeout]| value(timeout?));
    Some(Birth {
        token: request::job_token(value::<String>(token?)?.as_bytes()).ok()?,
        job: JobId(value(id?)?),
        origin: ProjectId(value(origin?)?),
        timeout: timeout.filter(|timeout| *timeout > 0).map(Duration::from_secs),
        dependencies: dependencies.map(jobs).unwrap_or_default(),
    })
}

/// The jobs in a list. What does not name one is passed over.
fn jobs(list: &RawValue) -> Vec<JobId> {
    let listed: Vec<&RawValue> = value(list).unwrap_or_default();
    let id = |one: &&RawValue| members(one.get(), ["id"]).and_then(|[id]| value(id?)).map(JobId);
    listed.iter().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_whose_token_it_is() {
        let payload =
            r#"{"id": 7, "token": "glcbt-1", "job_info": {"project_id": 101}, "runner_info": {"timeout": 3600}}"#;
        let birth = read(payload).unwrap();
        assert_eq!((birth.job, birth.origin), (JobId(7), ProjectId(101)));
        assert_eq!((birth.token.expose(), birth.timeout), (&b"glcbt-1"[..], Some(Duration::from_secs(3600))));
    }

    #[test]
    fn a_timeout_that_is_none_is_none() {
        for runner in ["null", "{}", r#"{"timeout": null}"#, r#"{"timeout": 0}"#, r#"{"timeout": "1h"}"#] {
            let payload = std::format!(
                r#"{{"id": 7, "token": "glcbt-1", "job_info": {{"project_id": 101}}, "runner_info": {runner}}}"#
            );
            assert_eq!(read(&payload).unwrap().timeout, None, "{runner}");
        }
    }

    #[test]
    fn a_payload_names_the_jobs_whose_artifacts_the_runner_is_to_get() {
        for (list, expected) in [
            (r#"[{"id": 501, "name": "build", "token": "glcbt-1"}, {"name": "x", "id": 502}]"#, &[501, 502][..]),
            ("[]", &[]),
            ("null", &[]),
            (r#"{"id": 501}"#, &[]),
            (r#"[501, {"id": "501"}, {"id": 5.5}, {"id": -1}, {"id": 501, "id": 502}, {}, null, {"id": 503}]"#, &[503]),
        ] {
            let payload = std::format!(
                r#"{{"id": 7, "token": "glcbt-1", "job_info": {{"project_id": 101}}, "dependencies": {list}}}"#
            );
            let named: Vec<u64> = read(&payload).unwrap().dependencies.iter().map(|job| job.0).collect();
            assert_eq!(named, expected, "{list}");
        }
    }

    #[test]
    fn a_payload_that_cannot_be_read_tells_nothing() {
        for payload in [
            r#"{"id": 7, "token": "glcbt-1", "job_info": {"project_id": 101}"#,
            r#"{"id": "7", "token": "glcbt-1", "job_info": {"project_id": 101}}"#,
            r#"{"id": 7.0, "token": "glcbt-1", "job_info": {"project_id": 101}}"#,
            r#"{"id": 7, "token": "glcbt-1", "token": "glcbt-2", "job_info": {"project_id": 101}}"#,
            r#"{"id": 7, "token": "", "job_info": {"project_id": 101}}"#,
            r#"{"id": 7, "token": "glcbt 1", "job_info": {"project_id": 101}}"#,
            r#"{"id": 7, "token": ["glcbt-1"], "job_info": {"project_id": 101}}"#,
            r#"{"id": 7, "token": "glcbt-1", "job_info": [101]}"#,
            r#"{"id": 7, "token": "glcbt-1"}"#,
            "[]",
            "",
        ] {
            assert_eq!(read(payload), None, "{payload}");
        }
    }
}
