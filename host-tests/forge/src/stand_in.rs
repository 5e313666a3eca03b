//! What only tests ask: what was received, and changes no client could make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::airs::Airs;
use crate::forge::{Fault, Forge};
use crate::jobs::Job;
use crate::received::Received;
use crate::reply;
use world::{Allowlist, Image, JobStatus, Project, Role, Visibility, World};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: JobStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifetime {
    seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewJob {
    project: String,
    user: Option<String>,
    token: String,
    status: JobStatus,
    #[serde(rename = "ref", default = "main")]
    reference: String,
    #[serde(default = "main")]
    name: String,
    environment: Option<String>,
    /// The jobs with whose artifacts it begins.
    #[serde(default)]
    needs: Vec<u64>,
    #[serde(default)]
    image: Image,
    #[serde(default)]
    services: Vec<Image>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAllowlist {
    project: String,
    #[serde(default)]
    projects: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// What single entries grant, by the path of a project or group of the lists above.
    #[serde(default)]
    permissions: BTreeMap<String, Vec<String>>,
    inbound_limit: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    project: String,
    user: String,
    /// Null ends the membership.
    role: Option<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewVisibility {
    project: String,
    visibility: Visibility,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPush {
    project: String,
    by_job_token: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    user: String,
    /// Null revokes what the user has.
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewIdToken {
    job: u64,
    /// In place of the usual ones, or beside them.
    #[serde(default)]
    claims: Map<String, Value>,
}

fn main() -> String {
    "main".to_owned()
}

/// What is below `/-/stand-in`.
pub async fn serve(forge: &Forge, received: &mut Received, rest: &[&str]) -> Result<Response, Response> {
    let method = received.parts.method.clone();
    match (&method, rest) {
        (&Method::GET, ["requests"]) => Ok(reply::json(StatusCode::OK, &json!(forge.record().all()))),
        (&Method::DELETE, ["requests"]) => {
            forge.record().forget();
            Ok(done())
        }
        (&Method::GET, ["jobs", id, "trace"]) => {
            let id: u64 = id.parse().map_err(|_| reply::not_found())?;
            let trace = forge.traces().get(&id).cloned().unwrap_or_default();
            Ok(reply::bytes(trace, "application/octet-stream"))
        }
        (&Method::PUT, ["jobs", id]) => {
            let Status { status } = body(received).await?;
            let mut jobs = forge.jobs();
            let job = id.parse().ok().and_then(|id| jobs.find_mut(id)).ok_or_else(reply::not_found)?;
            job.become_status(status);
            Ok(done())
        }
        (&Method::POST, ["jobs"]) => {
            let id = add(forge, body(received).await?)?;
            Ok(reply::json(StatusCode::CREATED, &json!({ "id": id })))
        }
        (&Method::POST, ["id-tokens"]) => {
            let NewIdToken { job, claims } = body(received).await?;
            let job = forge.jobs().find(job).cloned().ok_or_else(reply::not_found)?;
            let token = forge.id_tokens.sign(forge, &job, &claims).await.map_err(|error| reply::broken(&error))?;
            Ok(reply::json(StatusCode::CREATED, &json!({ "token": token })))
        }
        (&Method::PUT, ["fault"]) => {
            let fault: Fault = body(received).await?;
            *forge.fault() = fault;
            Ok(done())
        }
        (&Method::PUT, ["airs"]) => {
            let airs: Airs = body(received).await?;
            *forge.airs() = airs;
            Ok(done())
        }
        (&Method::PUT, ["registry-tokens"]) => {
            let Lifetime { seconds } = body(received).await?;
            forge.signer.set_lifetime(seconds);
            Ok(done())
        }
        (&Method::POST, ["world", "allowlist"]) => {
            let wanted: NewAllowlist = body(received).await?;
            change(forge, &wanted.project, |world, project| {
                project.allowlist = allowlist(world, &wanted)?;
                project.inbound_limit = wanted.inbound_limit.unwrap_or(project.inbound_limit);
                Ok(())
            })
        }
        (&Method::POST, ["world", "member"]) => {
            let wanted: NewMember = body(received).await?;
            change(forge, &wanted.project, |world, project| {
                let user = world.user_named(&wanted.user).ok_or_else(|| unknown("user", &wanted.user))?;
                match wanted.role {
                    Some(role) => project.members.insert(user.id, role),
                    None => project.members.remove(&user.id),
                };
                Ok(())
            })
        }
        (&Method::POST, ["world", "visibility"]) => {
            let wanted: NewVisibility = body(received).await?;
            change(forge, &wanted.project, |_, project| {
                project.visibility = wanted.visibility;
                Ok(())
            })
        }
        (&Method::POST, ["world", "push"]) => {
            let wanted: NewPush = body(received).await?;
            change(forge, &wanted.project, |_, project| {
                project.push_by_job_token = wanted.by_job_token;
                Ok(())
            })
        }
        (&Method::POST, ["world", "token"]) => {
            let NewToken { user, token } = body(received).await?;
            let mut world = forge.world_mut();
            let found = world.users.iter_mut().find(|known| known.username == user);
            let found = found.ok_or_else(|| unknown("user", &user))?;
            Arc::make_mut(found).token = token;
            Ok(done())
        }
        _ => Err(reply::not_found()),
    }
}

fn done() -> Response {
    reply::json(StatusCode::OK, &json!({ "done": true }))
}

async fn body<T: DeserializeOwned>(received: &mut Received) -> Result<T, Response> {
    let bytes = received.bytes().await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| reply::message(StatusCode::BAD_REQUEST, &format!("in the body: {error}")))
}

fn unknown(what: &str, name: &str) -> Response {
    let text = format!("expected a {what} of the world, found `{name}`");
    reply::message(StatusCode::BAD_REQUEST, &text)
}

fn change(
    forge: &Forge,
    project: &str,
    change: impl FnOnce(&World, &mut Project) -> Result<(), Response>,
) -> Result<Response, Response> {
    let mut world = forge.world_mut();
    let found = world.project_at(project).ok_or_else(|| unknown("project", project))?;
    let mut changed = Project::clone(found);
    change(&world, &mut changed)?;
    world.replace(changed);
    Ok(done())
}

fn allowlist(world: &World, wanted: &NewAllowlist) -> Result<Allowlist, Response> {
    let projects = wanted
        .projects
        .iter()
        .map(|path| world.project_at(path).map(|project| project.id).ok_or_else(|| unknown("project", path)));
    let groups = wanted
        .groups
        .iter()
        .map(|path| world.group_at(path).map(|group| group.id).ok_or_else(|| unknown("group", path)));
    let mut allowlist = Allowlist {
        projects: projects.collect::<Result<_, _>>()?,
        groups: groups.collect::<Result<_, _>>()?,
        ..Allowlist::default()
    };
    for (path, permissions) in &wanted.permissions {
        match (world.group_at(path), world.project_at(path)) {
            (Some(group), _) => allowlist.of_groups.insert(group.id, permissions.clone()),
            (None, Some(project)) => allowlist.of_projects.insert(project.id, permissions.clone()),
            (None, None) => return Err(unknown("project or group", path)),
        };
    }
    Ok(allowlist)
}

fn add(forge: &Forge, wanted: NewJob) -> Result<u64, Response> {
    let project = forge.project(&wanted.project).ok_or_else(|| unknown("project", &wanted.project))?;
    let user = match &wanted.user {
        Some(name) => {
            let world = forge.world();
            Some(world.user_named(name).ok_or_else(|| unknown("user", name))?.id)
        }
        None => None,
    };
    let mut job = Job {
        id: 0,
        project: project.id,
        user,
        reference: wanted.reference,
        name: wanted.name,
        stage: "test".to_owned(),
        environment: wanted.environment,
        source: "push".to_owned(),
        runner: None,
        status: JobStatus::Created,
        token: Some(wanted.token),
        needs: wanted.needs,
        image: wanted.image,
        services: wanted.services,
        variables: wanted.variables,
        created: SystemTime::now(),
        started: None,
        finished: None,
    };
    job.become_status(wanted.status);
    Ok(forge.jobs().add(job))
}
