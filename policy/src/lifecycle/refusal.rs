//! A job that its runner does not get: what the runner is told, and what the forge.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::json;

use super::Birth;
use crate::Config;
use crate::lookup::{Call, Principal};
use crate::reply::Reply;

/// To a runner that asked: another was faster. It asks again.
pub(super) fn reply() -> Reply {
    Reply {
        status: 409,
        headers: vec![("cache-control", "no-store"), ("content-type", "application/json")],
        retry_after: None,
        body: r#"{"message":"409 Conflict"}"#.into(),
    }
}

/// To the forge, one after the other, as a runner would: a line for the job's log, and its end. Without an end the job
/// would hang until its timeout. The failure is the script's own, which nobody's settings repeat.
pub(super) fn calls(config: &Config, birth: &Birth) -> Vec<Call> {
    let job = format!("{}/api/v4/jobs/{}", config.forge.relative_url_root, birth.job.0);
    let allowed: Vec<&str> = config.pull_policies.allowed.iter().map(|policy| policy.name()).collect();
    let line = format!(
        "This job was not started: a runner that others share starts images with the pull policy {} alone.\nWrite it as pull_policy for image and services in .gitlab-ci.yml.\n",
        allowed.join(" or ")
    );
    let last = line.len().saturating_sub(1);
    let token = || ("job-token", birth.token.expose().to_vec());
    let headers =
        vec![token(), ("content-type", b"text/plain".to_vec()), ("content-range", format!("0-{last}").into_bytes())];
    let call = |method, path, headers, body| Call { principal: Principal::Job, method, path, headers, body };
    let trace = call("PATCH", format!("{job}/trace"), headers, line.into_bytes());
    let text = core::str::from_utf8(birth.token.expose()).unwrap_or_default();
    let end = json!({"token": text, "state": "failed", "failure_reason": "script_failure"});
    let headers = vec![token(), ("content-type", b"application/json".to_vec())];
    vec![trace, call("PUT", job, headers, end.to_string().into_bytes())]
}
