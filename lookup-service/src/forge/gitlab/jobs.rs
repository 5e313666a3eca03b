//! Which jobs run, and what becomes of one: what the sweep asks, and no lookup of the filter's tells.

use policy::facts::{FINAL_STATES, JobId, ProjectId, Secret};
use policy::failure::Failure;
use policy::lookup::{Answer, Call, Principal};
use serde_json::{Value, json};

use crate::forge::calls::body;
use crate::forge::{Page, Status};

/// Jobs that are being canceled are not listed: not every GitLab knows the word, and who is missing is asked singly.
const RUNNING: &str = "query($after: String) { jobs(statuses: [RUNNING], first: 100, after: $after) \
                       { nodes { id } pageInfo { hasNextPage endCursor } } }";

fn fields(credential: &Secret) -> Vec<(&'static str, Vec<u8>)> {
    vec![("accept", b"application/json".to_vec()), ("private-token", credential.expose().to_vec())]
}

/// Asks which jobs of the whole forge run: an administrator is told.
pub(super) fn ask_running(root: &str, credential: &Secret, after: Option<&str>) -> Call {
    let mut headers = fields(credential);
    headers.push(("content-type", b"application/json".to_vec()));
    let body = json!({ "query": RUNNING, "variables": { "after": after } }).to_string().into_bytes();
    Call { method: "POST", path: format!("{root}/api/graphql"), headers, body, principal: Principal::ServiceAccount }
}

/// Reads the answer to that question.
pub(super) fn read_running(answer: &Answer<'_>) -> Result<Page, Failure> {
    let body = body(answer)?;
    let jobs = body.pointer("/data/jobs").ok_or(Failure::LookupAnswer)?;
    // Who may not see them gets no list, and that is no list of none.
    let nodes = jobs.get("nodes").and_then(Value::as_array).ok_or(Failure::LookupAnswer)?;
    let number = |node: &Value| node.get("id")?.as_str()?.rsplit_once("::Build/")?.1.parse().ok().map(JobId);
    // Bridges run too, and have no token.
    let jobs_of_page = nodes.iter().filter_map(number).collect();
    let page = jobs.get("pageInfo").ok_or(Failure::LookupAnswer)?;
    let next = match page.get("hasNextPage").and_then(Value::as_bool).ok_or(Failure::LookupAnswer)? {
        false => None,
        true => Some(page.get("endCursor").and_then(Value::as_str).ok_or(Failure::LookupAnswer)?.to_owned()),
    };
    Ok(Page { jobs: jobs_of_page, next })
}

/// Asks what becomes of a job.
pub(super) fn ask_status(root: &str, credential: &Secret, job: JobId, project: ProjectId) -> Call {
    let path = format!("{root}/api/v4/projects/{}/jobs/{}", project.0, job.0);
    Call { method: "GET", path, headers: fields(credential), body: Vec::new(), principal: Principal::ServiceAccount }
}

/// Reads the answer to that question. A job that is not found may be in a project that moved: nobody knows.
pub(super) fn read_status(job: JobId, answer: &Answer<'_>) -> Result<Status, Failure> {
    if answer.status == Some(404) {
        return Ok(Status::Unsure);
    }
    let body = body(answer)?;
    if body.get("id").and_then(Value::as_u64) != Some(job.0) {
        return Err(Failure::LookupAnswer);
    }
    let state = body.get("status").and_then(Value::as_str).ok_or(Failure::LookupAnswer)?;
    Ok(if FINAL_STATES.contains(&state) { Status::Ended } else { Status::Running })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer<'_> {
        Answer { status: Some(status), next_page: None, location: None, body: body.as_bytes() }
    }

    #[test]
    fn a_page_names_jobs_and_where_the_next_begins() {
        let body = r#"{"data": {"jobs": {"nodes": [{"id": "gid://gitlab/Ci::Build/7"}, {"id": "gid://gitlab/Ci::Bridge/8"}],
            "pageInfo": {"hasNextPage": true, "endCursor": "MQ"}}}}"#;
        let page = read_running(&answer(200, body)).unwrap();
        assert_eq!((page.jobs, page.next.as_deref()), (vec![JobId(7)], Some("MQ")));
        for (status, bad) in [
            (200, r#"{"data": {"jobs": null}}"#),
            (200, r#"{"errors": [{"message": "x"}]}"#),
            (200, r#"{"data": {"jobs": {"nodes": []}}}"#),
            (200, "<html>"),
            (503, ""),
        ] {
            assert!(read_running(&answer(status, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_final_state_of_the_very_job_is_an_end() {
        let read = |status, body: &str| read_status(JobId(7), &answer(status, body));
        assert_eq!(read(200, r#"{"id": 7, "status": "success"}"#), Ok(Status::Ended));
        assert_eq!(read(200, r#"{"id": 7, "status": "canceling"}"#), Ok(Status::Running));
        assert_eq!(read(404, r#"{"message": "404 Not Found"}"#), Ok(Status::Unsure));
        for (status, body) in
            [(200, r#"{"id": 8, "status": "success"}"#), (200, "{}"), (401, "{}"), (500, ""), (502, "")]
        {
            assert!(read(status, body).is_err(), "{status} {body}");
        }
    }
}
