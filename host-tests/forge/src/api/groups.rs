//! What a group is asked for: the lists that a gateway looks up, and the registries of packages that clients use.
//!
//! A package is found by its name in every project of the group, whoever let whom in: that is the point of this forge.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::lookup::{Answer, faulty, page};
use super::{known, shapes};
use crate::archive;
use crate::caller::Caller;
use crate::forge::Forge;
use crate::params::Params;
use crate::received::Received;
use crate::reply;
use crate::repositories::hexadecimal;
use sha2::{Digest, Sha256};
use world::{Package, Project};

/// The projects of a group and its descendants that the caller may see.
pub(super) fn projects(forge: &Forge, received: &Received, group: &str) -> Result<Vec<Arc<Project>>, Response> {
    let caller = known(forge, received)?;
    if matches!(caller, Caller::Anonymous) {
        return Err(reply::unauthorized());
    }
    let world = forge.world();
    let by_id = group.parse().ok().and_then(|id| world.group(id));
    let Some(group) = by_id.or_else(|| world.group_at(group)) else {
        return Err(reply::message(StatusCode::NOT_FOUND, "404 Group Not Found"));
    };
    let is_below =
        |project: &&Arc<Project>| project.path.strip_prefix(&group.path).is_some_and(|rest| rest.starts_with('/'));
    let below = world.projects.iter().filter(is_below).filter(|project| caller.may_read(&world, project)).cloned();
    Ok(below.collect())
}

/// The packages of a kind that a group has, each with its project.
pub(super) fn packages(
    forge: &Forge,
    received: &Received,
    group: &str,
    is_it: impl Fn(&Package) -> bool,
) -> Result<Vec<(Arc<Project>, Package)>, Response> {
    let projects = projects(forge, received, group)?;
    let of = |project: Arc<Project>| {
        let published: Vec<Package> = project.published.iter().filter(|package| is_it(package)).cloned().collect();
        published.into_iter().map(move |package| (Arc::clone(&project), package))
    };
    let found: Vec<_> = projects.into_iter().flat_map(of).collect();
    if found.is_empty() { Err(reply::message(StatusCode::NOT_FOUND, "404 Package Not Found")) } else { Ok(found) }
}

/// `GET /groups/:id`.
pub fn shown(forge: &Forge, received: &Received, group: &str) -> Answer {
    projects(forge, received, group)?;
    Ok(reply::json(StatusCode::OK, &json!({"full_path": group})))
}

/// `GET /groups/:id/projects`.
pub async fn list_projects(forge: &Forge, received: &Received, group: &str) -> Answer {
    faulty(forge, async {
        let projects = projects(forge, received, group)?;
        let shown = projects.iter().map(|project| shapes::basic_project(forge, project)).collect();
        Ok(page(forge, received, shown))
    })
    .await
}

/// `GET /groups/:id/packages`. As in GitLab a name is found wherever it is part of another.
pub async fn list_packages(forge: &Forge, received: &Received, group: &str) -> Answer {
    faulty(forge, async {
        let params = Params::of_query(received.target.pairs());
        let projects = projects(forge, received, group)?;
        let (kind, name) = (params.value("package_type"), params.value("package_name").map(str::to_lowercase));
        let is_sought = |package: &&Package| {
            kind.is_none_or(|kind| kind == package.kind)
                && name.as_ref().is_none_or(|name| package.name.to_lowercase().contains(name.as_str()))
                // Nothing is hidden here.
                && params.value("status").is_none_or(|status| status == "default")
        };
        let shown = projects.iter().flat_map(|project| {
            project.published.iter().filter(is_sought).map(|package| {
                json!({
                    "name": package.name,
                    "version": package.version,
                    "package_type": package.kind,
                    "status": "default",
                    "project_id": project.id,
                    "project_path": project.path,
                })
            })
        });
        Ok(page(forge, received, shown.collect()))
    })
    .await
}

/// `GET …/packages/npm/:name` of a group, and of the instance, where the scope is the group.
pub fn npm_metadata(forge: &Forge, received: &Received, group: &str, name: &str) -> Answer {
    let found = packages(forge, received, group, |package| package.kind == "npm" && package.name == name)?;
    let version = |(project, package): &(Arc<Project>, Package)| {
        let file = format!("api/v4/projects/{}/packages/npm/{name}/-/{}.tgz", project.id, package.version);
        let entry = json!({ "name": name, "version": package.version, "dist": { "tarball": forge.url(&file) } });
        (package.version.clone(), entry)
    };
    let versions: Map<String, Value> = found.iter().map(version).collect();
    let latest = versions.keys().next_back().cloned();
    Ok(reply::json(StatusCode::OK, &json!({ "name": name, "dist-tags": { "latest": latest }, "versions": versions })))
}

/// `GET /projects/:id/packages/npm/:name/-/:version.tgz`.
pub fn npm_file(project: &Project, name: &str, file: &str) -> Answer {
    let version = file.strip_suffix(".tgz").unwrap_or(file);
    let is_it = |package: &&Package| package.kind == "npm" && package.name == name && package.version == version;
    let package = project.published.iter().find(is_it).ok_or_else(reply::not_found)?;
    let mut files = package.files.clone();
    files.insert("package.json".into(), json!({ "name": name, "version": version }).to_string());
    let files = files.into_iter().map(|(path, content)| (format!("package/{path}"), content));
    Ok(reply::bytes(archive::tar_gz(&files.collect()), "application/octet-stream"))
}

/// `GET /groups/:id/-/packages/pypi/simple/:name`: an address for each file.
pub fn pypi_simple(forge: &Forge, received: &Received, group: &str, name: &str) -> Answer {
    let found =
        packages(forge, received, group, |package| package.kind == "pypi" && folded(&package.name) == folded(name))?;
    let links: BTreeSet<String> = found
        .iter()
        .map(|(_, package)| {
            let (file, content) = wheel(package);
            let digest = hexadecimal(&Sha256::digest(&content));
            let path = format!("api/v4/groups/{group}/-/packages/pypi/files/{digest}/{file}");
            format!("<a href=\"{}#sha256={digest}\">{file}</a><br>", forge.url(&path))
        })
        .collect();
    let links = links.into_iter().collect::<String>();
    Ok(Html(format!("<!DOCTYPE html><html><body>{links}</body></html>")).into_response())
}

/// `GET /groups/:id/-/packages/pypi/files/:sha256/:file`.
pub fn pypi_file(forge: &Forge, received: &Received, group: &str, digest: &str, file: &str) -> Answer {
    let found = packages(forge, received, group, |package| package.kind == "pypi" && wheel(package).0 == file)?;
    let mut contents = found.iter().map(|(_, package)| wheel(package).1);
    let content = contents.find(|content| hexadecimal(&Sha256::digest(content)) == digest);
    content.map(|content| reply::bytes(content, "application/octet-stream")).ok_or_else(reply::not_found)
}

/// `GET /groups/:id/-/packages/maven/*path/:file`.
pub fn maven_file(forge: &Forge, received: &Received, group: &str, path: &str, file: &str) -> Answer {
    let is_it = |package: &Package| package.kind == "maven" && format!("{}/{}", package.name, package.version) == path;
    let found = packages(forge, received, group, is_it)?;
    let content = found.iter().find_map(|(_, package)| package.files.get(file).cloned());
    content.map(|content| reply::bytes(content, "application/octet-stream")).ok_or_else(reply::not_found)
}

/// A package's name as it is compared (PEP 503).
fn folded(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// A wheel (PEP 427): its name, and what is in it.
fn wheel(package: &Package) -> (String, Vec<u8>) {
    let stem = format!("{}-{}", folded(&package.name).replace('-', "_"), package.version);
    let mut files = package.files.clone();
    let mut add = |name: &str, content: String| files.insert(format!("{stem}.dist-info/{name}"), content);
    add("METADATA", format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", package.name, package.version));
    add("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".into());
    add("RECORD", String::new());
    (format!("{stem}-py3-none-any.whl"), archive::zip(&files))
}
