//! What a runner asks for: a job, a place for its trace, its end, its artifacts.
//!
//! A job ends here: its token is dead from the moment its runner reports the end.

use std::path::Path;

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api;
use crate::caller::Caller;
use crate::forge::Forge;
use crate::jobs::Job;
use crate::params::Params;
use crate::received::Received;
use crate::reply;
use world::{Image, JobStatus};

const JOB_STATUS: HeaderName = HeaderName::from_static("job-status");

/// What is below `/api/v4/jobs`.
pub async fn serve(
    forge: &Forge,
    received: &mut Received,
    method: &Method,
    rest: &[&str],
) -> Result<Response, Response> {
    match (method, rest) {
        (&Method::POST, ["request"]) => request(forge, received).await,
        (&Method::PATCH, [id, "trace"]) => trace(forge, received, id).await,
        (&Method::PUT, [id]) => update(forge, received, id).await,
        (&Method::POST, [id, "artifacts", "authorize"]) => {
            let params = received.params().await?;
            authentic(forge, received, &params, id)?;
            Ok(reply::json(StatusCode::OK, &json!({ "TempPath": "" })))
        }
        (&Method::POST, [id, "artifacts"]) => keep(forge, received, id).await,
        (&Method::GET, [id, "artifacts"]) => {
            // Any running job's token: a later job fetches what an earlier one left.
            match received.caller(forge) {
                Ok(Caller::Job(_)) => {}
                Ok(Caller::Anonymous | Caller::Person(_)) | Err(_) => {
                    return Err(reply::forbidden());
                }
            }
            let id = id.parse().map_err(|_| reply::not_found())?;
            api::any_artifacts(forge, id).await
        }
        _ => Err(reply::not_found()),
    }
}

async fn request(forge: &Forge, received: &mut Received) -> Result<Response, Response> {
    let params = received.params().await?;
    let token = params.value("token").or(received.header("runner-token")).unwrap_or_default();
    if !forge.world().runners.iter().any(|runner| runner == token) {
        return Err(reply::forbidden());
    }
    let taken = forge.jobs().take_pending();
    match taken {
        Some(job) => Ok(reply::json(StatusCode::CREATED, &payload(forge, &job))),
        None => {
            let header = (HeaderName::from_static("x-gitlab-last-update"), "none");
            Ok((StatusCode::NO_CONTENT, [header]).into_response())
        }
    }
}

/// What a runner gets to know of its job.
fn payload(forge: &Forge, job: &Job) -> Value {
    let world = forge.world();
    let path = world.project(job.project).map(|project| project.path.clone()).unwrap_or_default();
    let name = world::last_segment(&path);
    let token = job.token.clone().unwrap_or_default();
    let sha = forge.heads.get(&job.project).cloned().unwrap_or_default();
    let reference = &job.reference;
    let variable = |key: &str, value: &str, masked: bool| json!({ "key": key, "value": value, "public": !masked, "masked": masked, "file": false, "raw": true });
    let own = job.variables.iter().map(|(key, value)| variable(key, value, false));
    let variables: Vec<Value> = [
        variable("CI", "true", false),
        variable("CI_JOB_ID", &job.id.to_string(), false),
        variable("CI_JOB_NAME", &job.name, false),
        variable("CI_JOB_TOKEN", &token, true),
        variable("CI_REGISTRY_USER", "gitlab-ci-token", false),
        variable("CI_REGISTRY_PASSWORD", &token, true),
        variable("CI_PROJECT_ID", &job.project.to_string(), false),
        variable("CI_PROJECT_PATH", &path, false),
        variable("CI_COMMIT_SHA", &sha, false),
        variable("CI_COMMIT_REF_NAME", reference, false),
        variable("CI_SERVER_URL", &forge.settings.base, false),
    ]
    .into_iter()
    .chain(own)
    .collect();
    let jobs = forge.jobs();
    let dependencies: Vec<Value> = job
        .needs
        .iter()
        .filter_map(|id| jobs.find(*id))
        .map(|needed| {
            let file = json!({ "filename": "artifacts.zip", "size": null });
            json!({ "id": needed.id, "name": needed.name, "token": token, "artifacts_file": file })
        })
        .collect();
    json!({
        "id": job.id,
        "token": token,
        "allow_git_fetch": true,
        "job_info": {
            "id": job.id,
            "name": job.name,
            "stage": job.stage,
            "project_id": job.project,
            "project_name": name,
            "time_in_queue_seconds": 1,
            "project_jobs_running_on_instance_runners_count": "0",
        },
        "git_info": {
            "repo_url": forge.url(&format!("{path}.git")),
            "ref": reference,
            "sha": sha,
            "before_sha": "0000000000000000000000000000000000000000",
            "ref_type": "branch",
            "refspecs": [format!("+refs/heads/{reference}:refs/remotes/origin/{reference}")],
            "depth": 20,
            "repo_object_format": "sha1",
        },
        "runner_info": { "timeout": 3600, "runner_session_url": null },
        "variables": variables,
        "steps": [{
            "name": "script",
            "script": ["echo built"],
            "timeout": 3600,
            "when": "on_success",
            "allow_failure": false,
        }],
        "hooks": [],
        "image": image(&job.image),
        "services": job.services.iter().map(image).collect::<Vec<_>>(),
        "artifacts": [],
        "cache": [],
        "credentials": [],
        "dependencies": dependencies,
        "features": { "trace_sections": true, "failure_reasons": ["unknown_failure", "script_failure"] },
    })
}

fn image(image: &Image) -> Value {
    let Image { name, pull_policy } = image;
    json!({ "name": name, "entrypoint": null, "ports": [], "executor_opts": {}, "pull_policy": pull_policy })
}

async fn trace(forge: &Forge, received: &mut Received, id: &str) -> Result<Response, Response> {
    let job = authentic(forge, received, &Params::default(), id)?;
    let range = received.header("content-range").map(ToOwned::to_owned);
    let range = range.ok_or_else(|| answer(StatusCode::BAD_REQUEST, "400 Missing header Content-Range", &job))?;
    let start: Option<usize> = range.split('-').next().and_then(|start| start.trim().parse().ok());
    let bytes = received.bytes().await?;
    let mut traces = forge.traces();
    let trace = traces.entry(job.id).or_default();
    let fits = start == Some(trace.len());
    if fits {
        trace.extend_from_slice(&bytes);
    }
    let held = format!("0-{}", trace.len());
    let (status, text) = match fits {
        true => (StatusCode::ACCEPTED, "202 Accepted"),
        false => (StatusCode::RANGE_NOT_SATISFIABLE, "416 Range Not Satisfiable"),
    };
    let mut response = answer(status, text, &job);
    if let Ok(held) = HeaderValue::from_str(&held) {
        response.headers_mut().insert("range", held);
    }
    response.headers_mut().insert("x-gitlab-trace-update-interval", HeaderValue::from_static("3"));
    Ok(response)
}

async fn update(forge: &Forge, received: &mut Received, id: &str) -> Result<Response, Response> {
    let params = received.params().await?;
    let mut job = authentic(forge, received, &params, id)?;
    let status = match params.value("state") {
        Some("success") => JobStatus::Success,
        Some("failed") => JobStatus::Failed,
        Some("running") | None => job.status,
        Some(_) => return Err(answer(StatusCode::BAD_REQUEST, "400 Bad Request", &job)),
    };
    if status != job.status {
        job.become_status(status);
        if let Some(kept) = forge.jobs().find_mut(job.id) {
            *kept = job.clone();
        }
    }
    let mut response = reply::json(StatusCode::OK, &json!(status.finished()));
    response.headers_mut().insert(JOB_STATUS, HeaderValue::from_static(status.word()));
    Ok(response)
}

async fn keep(forge: &Forge, received: &mut Received, id: &str) -> Result<Response, Response> {
    let params = received.params().await?;
    let job = authentic(forge, received, &params, id)?;
    let file = params.files.iter().find(|file| file.field == "file");
    let file = file.ok_or_else(|| reply::missing("file"))?;
    match store(&forge.settings.state, job.id, &file.content) {
        Ok(()) => Ok(answer(StatusCode::CREATED, "201 Created", &job)),
        Err(error) => Err(reply::broken(&error)),
    }
}

fn store(state: &Path, job: u64, content: &[u8]) -> anyhow::Result<()> {
    let folder = state.join("artifacts");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(job.to_string()), content)?)
}

/// The job with this id, if the token is its own and it runs.
fn authentic(forge: &Forge, received: &Received, params: &Params, id: &str) -> Result<Job, Response> {
    let headers = [received.header("job-token"), received.header("private-token")];
    let token = params.value("token").or(headers.into_iter().flatten().next());
    let jobs = forge.jobs();
    let job = id.parse().ok().and_then(|id| jobs.find(id)).ok_or_else(reply::forbidden)?;
    if token.is_none() || job.token.as_deref() != token {
        return Err(reply::forbidden());
    }
    if !job.status.executing() {
        return Err(answer(StatusCode::FORBIDDEN, "403 Forbidden - Job is not processing on runner", job));
    }
    let job = job.clone();
    drop(jobs);
    received.identify(forge, format!("runner of job {}", job.id));
    Ok(job)
}

/// A message, with the state of the job for the runner.
fn answer(status: StatusCode, text: &str, job: &Job) -> Response {
    let mut response = reply::message(status, text);
    response.headers_mut().insert(JOB_STATUS, HeaderValue::from_static(job.status.word()));
    response
}
