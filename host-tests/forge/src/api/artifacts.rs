//! Job artifacts: the world's, and what a runner uploaded.

use std::sync::Arc;

use axum::response::Response;

use super::{inside, readable};
use crate::archive;
use crate::caller::Caller;
use crate::forge::Forge;
use crate::params::Params;
use crate::received::Received;
use crate::reply;
use world::{Artifacts, Project};

/// `GET /projects/:id/jobs/:job_id/artifacts`, and one file below it.
pub async fn of_job(
    forge: &Forge,
    received: &Received,
    id: &str,
    job: &str,
    file: &[&str],
) -> Result<Response, Response> {
    let (project, _) = seen(forge, received, id)?;
    let job: u64 = job.parse().map_err(|_| reply::not_found())?;
    match project.artifacts.iter().find(|artifacts| artifacts.job == job) {
        Some(artifacts) if file.is_empty() => Ok(zip(artifacts)),
        Some(artifacts) => one(artifacts, file),
        None => {
            let ours = forge.jobs().find(job).is_some_and(|job| job.project == project.id);
            if !ours || !file.is_empty() {
                return Err(reply::not_found());
            }
            uploaded(forge, job).await
        }
    }
}

/// `GET /projects/:id/jobs/artifacts/:ref/raw/*path?job=` and `…/download?job=`.
pub fn of_reference(
    forge: &Forge,
    received: &Received,
    id: &str,
    reference: &str,
    rest: &[&str],
) -> Result<Response, Response> {
    let (project, _) = seen(forge, received, id)?;
    let params = Params::of_query(received.target.pairs());
    let name = params.value("job").ok_or_else(|| reply::missing("job"))?;
    let wanted = |artifacts: &&Artifacts| artifacts.reference == reference && artifacts.name == name;
    let artifacts = project.artifacts.iter().find(wanted).ok_or_else(reply::not_found)?;
    match rest {
        ["raw", file @ ..] => one(artifacts, file),
        ["download"] => Ok(zip(artifacts)),
        _ => Err(reply::not_found()),
    }
}

/// The archive of any job, by its id alone.
pub async fn of_any(forge: &Forge, job: u64) -> Result<Response, Response> {
    let projects = forge.world().projects.clone();
    let mut left = projects.iter().flat_map(|project| &project.artifacts);
    match left.find(|artifacts| artifacts.job == job) {
        Some(artifacts) => Ok(zip(artifacts)),
        None => uploaded(forge, job).await,
    }
}

fn seen(forge: &Forge, received: &Received, id: &str) -> Result<(Arc<Project>, Caller), Response> {
    let (project, caller) = readable(forge, received, id)?;
    match caller {
        Caller::Anonymous => Err(reply::unauthorized()),
        Caller::Person(_) | Caller::Job(_) => Ok((project, caller)),
    }
}

fn zip(artifacts: &Artifacts) -> Response {
    reply::bytes(archive::zip(&artifacts.files), "application/zip")
}

fn one(artifacts: &Artifacts, file: &[&str]) -> Result<Response, Response> {
    let file = inside(file)?;
    let content = artifacts.files.get(&file).ok_or_else(reply::not_found)?;
    Ok(reply::bytes(content.clone(), "application/octet-stream"))
}

async fn uploaded(forge: &Forge, job: u64) -> Result<Response, Response> {
    let file = forge.settings.state.join("artifacts").join(job.to_string());
    let content = tokio::fs::read(file).await.map_err(|_| reply::not_found())?;
    Ok(reply::bytes(content, "application/zip"))
}
