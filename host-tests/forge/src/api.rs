//! The REST API below `/api/v4`: which route is which.

mod artifacts;
mod composer;
mod debian;
mod graphql;
mod groups;
mod lookup;
mod packages;
mod pipelines;
mod releases;
mod repository;
mod shapes;
pub mod terraform;

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::caller::Caller;
use crate::forge::Forge;
use crate::params::Params;
use crate::received::Received;
use crate::{reply, runner};
use world::{Project, Role};

pub use artifacts::of_any as any_artifacts;
pub use graphql::serve as graphql;

/// Answers a call of the API; `rest` are the decoded segments below `/api/v4`.
pub async fn serve(forge: &Arc<Forge>, received: &mut Received, rest: Vec<String>) -> Response {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    dispatch(forge, received, &rest).await.unwrap_or_else(|refusal| refusal)
}

async fn dispatch(forge: &Arc<Forge>, received: &mut Received, rest: &[&str]) -> Result<Response, Response> {
    let is_persons = received.parts.headers.contains_key("private-token");
    if let Some(refusal) = is_persons.then(|| forge.airs().refusal()).flatten() {
        return Err(refusal);
    }
    let method = received.parts.method.clone();
    // HEAD is answered as GET; the server leaves the body out.
    let method = if method == Method::HEAD { Method::GET } else { method };
    match (&method, rest) {
        (&Method::GET, ["job"]) => lookup::own_job(forge, received).await,
        (&Method::GET, ["job", "allowed_agents"]) => lookup::allowed_agents(forge, received).await,
        (&Method::GET, ["application", "settings"]) => lookup::settings(forge, received).await,
        (&Method::GET, ["users", id]) => lookup::user(forge, received, id).await,
        (&Method::GET, ["user"]) => match known(forge, received)? {
            Caller::Person(user) => Ok(reply::json(StatusCode::OK, &shapes::user(forge, &user, true))),
            Caller::Anonymous | Caller::Job(_) => Err(reply::unauthorized()),
        },
        (&Method::GET, ["users"]) => lookup::users(forge, received),
        (&Method::GET, ["projects"]) => lookup::projects(forge, received).await,
        (&Method::GET, ["personal_access_tokens", "self"]) => lookup::own_token(forge, received).await,
        (&Method::GET, ["version"]) => match known(forge, received)? {
            Caller::Person(_) => {
                let version = json!({ "version": forge.airs().version, "revision": "stand-in" });
                Ok(reply::json(StatusCode::OK, &version))
            }
            Caller::Anonymous | Caller::Job(_) => Err(reply::unauthorized()),
        },
        (_, ["jobs", rest @ ..]) => runner::serve(forge, received, &method, rest).await,
        (&Method::GET, ["groups" | "group", id, rest @ ..]) => below_group(forge, received, id, rest).await,
        (&Method::GET, ["packages", "npm", name @ ..]) => {
            let name = name.join("/");
            let scope = name.strip_prefix('@').and_then(|scoped| scoped.split_once('/')).map(|(scope, _)| scope);
            groups::npm_metadata(forge, received, scope.ok_or_else(reply::not_found)?, &name)
        }
        (&Method::GET, ["packages", "terraform", "modules", "v1", rest @ ..]) => {
            terraform::serve(forge, received, rest)
        }
        (_, ["projects", id, rest @ ..]) => below_project(forge, received, &method, id, rest).await,
        _ => Err(reply::not_found()),
    }
}

async fn below_group(forge: &Arc<Forge>, received: &Received, id: &str, rest: &[&str]) -> Result<Response, Response> {
    match rest {
        [] => groups::shown(forge, received, id),
        ["hooks"] => lookup::hooks(forge, received, id).await,
        ["projects"] => groups::list_projects(forge, received, id).await,
        ["packages"] => groups::list_packages(forge, received, id).await,
        ["-", "packages", "npm", name @ ..] => groups::npm_metadata(forge, received, id, &name.join("/")),
        ["-", "packages", "pypi", "simple", name] => groups::pypi_simple(forge, received, id, name),
        ["-", "packages", "pypi", "files", digest, file] => groups::pypi_file(forge, received, id, digest, file),
        ["-", "packages", "composer", rest @ ..] => composer::serve(forge, received, id, rest),
        ["-", "packages", "maven", path @ .., file] => groups::maven_file(forge, received, id, &path.join("/"), file),
        _ => Err(reply::not_found()),
    }
}

async fn below_project(
    forge: &Arc<Forge>,
    received: &mut Received,
    method: &Method,
    id: &str,
    rest: &[&str],
) -> Result<Response, Response> {
    match (method, rest) {
        (&Method::GET, []) => lookup::project(forge, received, id).await,
        (&Method::GET, ["hooks"]) => lookup::hooks(forge, received, id).await,
        (&Method::GET, ["job_token_scope"]) => lookup::scope(forge, received, id).await,
        (&Method::GET, ["job_token_scope", "allowlist"]) => lookup::allowlist(forge, received, id).await,
        (&Method::GET, ["job_token_scope", "groups_allowlist"]) => lookup::groups_allowlist(forge, received, id).await,
        (&Method::GET, ["members", "all"]) => lookup::members(forge, received, id).await,
        (&Method::GET, ["members", "all", user]) => lookup::member(forge, received, id, user).await,
        (&Method::GET, ["jobs", job]) => lookup::job(forge, received, id, job).await,
        (&Method::GET, ["jobs", "artifacts", reference, rest @ ..]) => {
            artifacts::of_reference(forge, received, id, reference, rest)
        }
        (&Method::GET, ["jobs", job, "artifacts", file @ ..]) => {
            artifacts::of_job(forge, received, id, job, file).await
        }
        (&Method::GET, ["packages"]) => packages::list(forge, received, id),
        (&Method::GET, ["packages", "generic", file @ ..]) => packages::download(forge, received, id, file).await,
        (&Method::PUT, ["packages", "generic", file @ ..]) => packages::upload(forge, received, id, file).await,
        (&Method::GET, ["packages", "npm", name @ .., "-", file]) => {
            let (project, _) = readable(forge, received, id)?;
            groups::npm_file(&project, &name.join("/"), file)
        }
        (&Method::GET, ["packages", "composer", "archives", file @ ..]) => {
            let (project, _) = readable(forge, received, id)?;
            composer::archive(&project, received, &file.join("/"))
        }
        (&Method::GET, ["packages", "debian", path @ ..]) => {
            let (project, _) = readable(forge, received, id)?;
            debian::serve(&project, path)
        }
        (&Method::GET, ["packages", "conan", _, "users", "authenticate"]) => conan_login(forge, received, id),
        (&Method::GET, ["packages", "conan", "v1", "ping"]) => {
            Ok(([("x-conan-server-capabilities", "revisions")], "").into_response())
        }
        (&Method::POST, ["trigger", "pipeline"]) => pipelines::trigger(forge, received, id, None).await,
        (&Method::POST, ["ref", reference, "trigger", "pipeline"]) => {
            pipelines::trigger(forge, received, id, Some(reference)).await
        }
        (&Method::GET, ["pipelines"]) => pipelines::list(forge, received, id),
        (&Method::GET, ["releases"]) => releases::list(forge, received, id),
        (&Method::POST, ["releases"]) => releases::create(forge, received, id).await,
        (&Method::GET, ["repository", rest @ ..]) => repository::serve(forge, received, id, rest).await,
        _ => Err(reply::not_found()),
    }
}

/// What Conan is to send from here on. Nothing here reads it.
fn conan_login(forge: &Forge, received: &Received, id: &str) -> Result<Response, Response> {
    let caller = Caller::with_any_login(forge, &received.parts.headers).map_err(|_| reply::unauthorized())?;
    visible(forge, caller, id)?;
    Ok(reply::text(StatusCode::OK, "opaque"))
}

/// Who asks, by headers and query; a dead credential is refused.
fn known(forge: &Forge, received: &Received) -> Result<Caller, Response> {
    received.caller(forge).map_err(|_| reply::unauthorized())
}

/// The project, if the caller may see it, and the caller.
fn readable(forge: &Forge, received: &Received, id: &str) -> Result<(Arc<Project>, Caller), Response> {
    let caller = known(forge, received)?;
    visible(forge, caller, id)
}

/// The project, if the caller may see it and has the role, and the caller.
fn writable(forge: &Forge, received: &Received, params: &Params, id: &str) -> Result<(Arc<Project>, Caller), Response> {
    let caller = received.caller_with(forge, params).map_err(|_| reply::unauthorized())?;
    if matches!(caller, Caller::Anonymous) {
        return Err(reply::unauthorized());
    }
    let (project, caller) = visible(forge, caller, id)?;
    if caller.has(&forge.world(), &project, Role::Developer) {
        return Ok((project, caller));
    }
    Err(reply::forbidden())
}

fn visible(forge: &Forge, caller: Caller, id: &str) -> Result<(Arc<Project>, Caller), Response> {
    let project = forge.project(id).ok_or_else(reply::no_project)?;
    if caller.may_read(&forge.world(), &project) {
        return Ok((project, caller));
    }
    Err(reply::no_project())
}

/// A file somebody names by segments, as a path that cannot leave its folder.
fn inside(segments: &[&str]) -> Result<String, Response> {
    // A decoded segment may hold slashes of its own.
    let path = segments.join("/");
    if path.split('/').all(|segment| !matches!(segment, "" | "." | "..")) {
        return Ok(path);
    }
    Err(reply::message(StatusCode::BAD_REQUEST, "400 Bad Request"))
}
