//! The repository over the API: branches, tags and single files.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{inside, readable};
use crate::caller::Caller;
use crate::forge::Forge;
use crate::params::Params;
use crate::received::Received;
use crate::{git, reply, repositories};
use world::Project;

/// What is below `/projects/:id/repository`.
pub async fn serve(forge: &Forge, received: &Received, id: &str, rest: &[&str]) -> Result<Response, Response> {
    let (project, caller) = readable(forge, received, id)?;
    match rest {
        ["branches"] => list(forge, &project, "refs/heads/").await,
        ["tags"] => list(forge, &project, "refs/tags/").await,
        ["branches", name] => one(forge, &project, "refs/heads/", name).await,
        ["tags", name] => one(forge, &project, "refs/tags/", name).await,
        ["files", file, "raw"] => {
            // GitLab asks for a credential here, on public projects too.
            if matches!(caller, Caller::Anonymous) {
                return Err(reply::unauthorized());
            }
            let params = Params::of_query(received.target.pairs());
            raw(forge, &project, &inside(&[file])?, params.value("ref").unwrap_or("HEAD")).await
        }
        _ => Err(reply::not_found()),
    }
}

/// A single branch or tag.
async fn one(forge: &Forge, project: &Project, below: &str, name: &str) -> Result<Response, Response> {
    let folder = repositories::folder(&forge.settings.state, project);
    let asked = ["for-each-ref", "--format=%(refname)", &format!("{below}{}", inside(&[name])?)];
    let listed = git::ask(&folder, &asked).await.map_err(|error| reply::broken(&error))?;
    let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
    // A pattern also finds what lies below it.
    if !listed.lines().any(|found| found.strip_prefix(below) == Some(name)) {
        return Err(reply::not_found());
    }
    let is_protected = project.protected.iter().any(|known| known == name);
    Ok(reply::json(StatusCode::OK, &json!({ "name": name, "protected": is_protected })))
}

async fn list(forge: &Forge, project: &Project, below: &str) -> Result<Response, Response> {
    let folder = repositories::folder(&forge.settings.state, project);
    let asked = ["for-each-ref", "--format=%(objectname) %(refname)", below];
    let listed = git::ask(&folder, &asked).await.map_err(|error| reply::broken(&error))?;
    let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
    let refs = listed.lines().filter_map(|line| {
        let (commit, name) = line.split_once(' ')?;
        let name = name.strip_prefix(below)?;
        Some(json!({
            "name": name,
            "commit": { "id": commit, "short_id": commit.get(..8) },
            "default": name == "main",
            "protected": false,
        }))
    });
    Ok(reply::json(StatusCode::OK, &Value::Array(refs.collect())))
}

async fn raw(forge: &Forge, project: &Project, file: &str, reference: &str) -> Result<Response, Response> {
    let folder = repositories::folder(&forge.settings.state, project);
    // What begins with a dash is an option to git, and no ref does.
    let wanted = (!reference.starts_with('-')).then(|| format!("{reference}:{file}"));
    let wanted = wanted.ok_or_else(reply::not_found)?;
    let asked = ["cat-file", "blob", &wanted];
    match git::ask(&folder, &asked).await {
        Ok(Some(content)) => Ok(reply::bytes(content, "text/plain; charset=utf-8")),
        Ok(None) => Err(reply::message(StatusCode::NOT_FOUND, "404 File Not Found")),
        Err(error) => Err(reply::broken(&error)),
    }
}
