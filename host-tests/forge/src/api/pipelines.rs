//! Pipelines: triggered by jobs of other projects, and kept in memory.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::{readable, shapes};
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;

/// `POST /projects/:id/trigger/pipeline`, with the ref in the path or as a parameter.
pub async fn trigger(
    forge: &Forge,
    received: &mut Received,
    id: &str,
    reference: Option<&str>,
) -> Result<Response, Response> {
    let params = received.params().await?;
    // Only this parameter counts here: a token in a header is not looked at.
    let token = params.value("token").ok_or_else(|| reply::missing("token"))?;
    let reference = reference.or(params.value("ref")).ok_or_else(|| reply::missing("ref"))?;
    let job = forge.jobs().with_token(token).cloned().ok_or_else(reply::not_found)?;
    let project = forge.project(id).ok_or_else(reply::not_found)?;
    if !job.status.executing() {
        return Err(reply::message(StatusCode::UNAUTHORIZED, "Job is not running"));
    }
    let mut pipelines = forge.pipelines();
    let number = pipelines.len() + 90_001;
    let pipeline = shapes::pipeline(forge, &project, number, reference, &job);
    pipelines.push(pipeline.clone());
    Ok(reply::json(StatusCode::CREATED, &pipeline))
}

/// `GET /projects/:id/pipelines`: those that were triggered, newest first.
pub fn list(forge: &Forge, received: &Received, id: &str) -> Result<Response, Response> {
    let (project, _) = readable(forge, received, id)?;
    let of_project = |pipeline: &&Value| pipeline["project_id"].as_u64() == Some(project.id);
    let found: Vec<Value> = forge.pipelines().iter().rev().filter(of_project).cloned().collect();
    Ok(reply::json(StatusCode::OK, &Value::Array(found)))
}
