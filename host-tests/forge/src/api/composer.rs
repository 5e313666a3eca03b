//! A group's Composer repository, as Composer 2 reads it: an index that says where to ask, versions, archives.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use world::Project;

use super::groups::{packages, projects};
use super::lookup::Answer;
use crate::archive;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;

/// `GET /group/:id/-/packages/composer/*`.
pub fn serve(forge: &Forge, received: &Received, group: &str, rest: &[&str]) -> Answer {
    match rest {
        ["packages.json"] => index(forge, received, group),
        ["p2", name @ ..] => versions(forge, received, group, &name.join("/")),
        _ => Err(reply::not_found()),
    }
}

fn index(forge: &Forge, received: &Received, group: &str) -> Answer {
    projects(forge, received, group)?;
    let address = format!("/api/v4/group/{group}/-/packages/composer/p2/%package%.json");
    Ok(reply::json(StatusCode::OK, &json!({ "packages": [], "metadata-url": address })))
}

fn versions(forge: &Forge, received: &Received, group: &str, file: &str) -> Answer {
    let name = file.strip_suffix(".json").unwrap_or(file);
    let found = packages(forge, received, group, |package| package.kind == "composer" && package.name == name)?;
    let versions = found.iter().map(|(project, package)| {
        let version = &package.version;
        let archive = format!("api/v4/projects/{}/packages/composer/archives/{name}.zip?sha={version}", project.id);
        let dist = json!({ "type": "zip", "url": forge.url(&archive), "reference": version });
        (version.clone(), json!({ "name": name, "version": version, "dist": dist }))
    });
    let versions: Map<String, Value> = versions.collect();
    Ok(reply::json(StatusCode::OK, &json!({ "packages": { name: versions } })))
}

/// `GET /projects/:id/packages/composer/archives/*name.zip?sha=:version`.
pub fn archive(project: &Project, received: &Received, file: &str) -> Answer {
    let name = file.strip_suffix(".zip").unwrap_or(file);
    let version = received.target.pairs().into_iter().find(|(key, _)| key == "sha").map(|(_, version)| version);
    let mut published = project.published.iter().filter(|package| package.kind == "composer");
    let found = published.find(|package| package.name == name && Some(&package.version) == version.as_ref());
    let files = &found.ok_or_else(reply::not_found)?.files;
    Ok(reply::bytes(archive::zip(files), "application/zip"))
}
