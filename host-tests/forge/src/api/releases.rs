//! Releases, kept in memory.

use std::time::SystemTime;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{readable, writable};
use crate::clock::iso;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;

/// `GET /projects/:id/releases`, newest first.
pub fn list(forge: &Forge, received: &Received, id: &str) -> Result<Response, Response> {
    let (project, _) = readable(forge, received, id)?;
    let releases = forge.releases();
    let found = releases.get(&project.id).into_iter().flatten().rev().cloned().collect();
    Ok(reply::json(StatusCode::OK, &Value::Array(found)))
}

/// `POST /projects/:id/releases`.
pub async fn create(forge: &Forge, received: &mut Received, id: &str) -> Result<Response, Response> {
    let params = received.params().await?;
    let (project, caller) = writable(forge, received, &params, id)?;
    let tag = params.value("tag_name").ok_or_else(|| reply::missing("tag_name"))?;
    let now = iso(SystemTime::now());
    let release = json!({
        "tag_name": tag,
        "name": params.value("name").unwrap_or(tag),
        "description": params.value("description"),
        "created_at": now,
        "released_at": now,
        "author": { "username": caller.login(forge) },
        "commit": { "id": forge.heads.get(&project.id) },
    });
    let mut releases = forge.releases();
    let ours = releases.entry(project.id).or_default();
    if ours.iter().any(|release| release["tag_name"] == tag) {
        return Err(reply::message(StatusCode::CONFLICT, "Release already exists"));
    }
    ours.push(release.clone());
    Ok(reply::json(StatusCode::CREATED, &release))
}
