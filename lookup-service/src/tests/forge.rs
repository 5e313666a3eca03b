//! A small stand-in for a GitLab: some jobs, two projects, and faults on demand. It counts what it is asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// A page of a gateway.
    Page(u16),
    /// JSON of a gateway, and not the forge's.
    Json(u16),
    TooMany,
    Slow(Duration),
    /// What is read at once, and told later.
    Stale(Duration),
}

pub(crate) struct World {
    /// Jobs by their tokens: number and status.
    pub(crate) jobs: BTreeMap<String, (u64, &'static str)>,
    /// Whether libs/common admits apps/web.
    pub(crate) is_listed: bool,
    pub(crate) fault: Fault,
    /// What was asked, and when.
    pub(crate) asked: Vec<(String, Instant)>,
}

#[derive(Clone)]
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    world: Arc<Mutex<World>>,
}

pub(crate) const SERVICE_ACCOUNT: &str = "glpat-service-account-secret";

impl StandIn {
    pub(crate) async fn start() -> Self {
        let jobs = [("glcbt-dana".to_owned(), (1001, "running"))].into();
        let world = World { jobs, is_listed: false, fault: Fault::None, asked: Vec::new() };
        let world = Arc::new(Mutex::new(world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, world }
    }

    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        what(&mut self.world.lock().unwrap())
    }

    /// How often a path was asked for that begins so.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.with(|world| world.asked.iter().filter(|(asked, _)| asked.starts_with(path)).count())
    }
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = world.lock().unwrap().fault;
    let response = say(world, method, uri, headers, body).await;
    if let Fault::Stale(time) = fault {
        tokio::time::sleep(time).await;
    }
    response
}

async fn say(world: Arc<Mutex<World>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let fault = {
        let mut world = world.lock().unwrap();
        world.asked.push((path.clone(), Instant::now()));
        world.fault
    };
    match fault {
        Fault::None | Fault::Stale(_) => {}
        Fault::Page(status) => return (StatusCode::from_u16(status).unwrap(), Html("<p>Sign in")).into_response(),
        Fault::Json(status) => {
            return (StatusCode::from_u16(status).unwrap(), r#"{"message": "no"}"#).into_response();
        }
        Fault::TooMany => return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")]).into_response(),
        Fault::Slow(time) => tokio::time::sleep(time).await,
    }
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let world = world.lock().unwrap();
    let message = |status: u16, text: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        (status, json!({"message": text}).to_string()).into_response()
    };
    if path == "/gitlab/api/v4/job" {
        return match world.jobs.get(&field("job-token")) {
            Some((id, status)) => job(*id, status).to_string().into_response(),
            None => message(401, "401 Unauthorized"),
        };
    }
    if field("private-token") != SERVICE_ACCOUNT {
        return message(401, "401 Unauthorized");
    }
    let Some(path) = path.strip_prefix("/gitlab/api/") else { return message(404, "404 Not Found") };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = match (method.as_str(), path) {
        ("GET", "v4/version") => json!({"version": "18.11.2-ee"}),
        ("GET", "v4/projects/libs%2Fcommon" | "v4/projects/102") => project(102, "libs/common"),
        ("GET", "v4/projects/apps%2Fweb" | "v4/projects/101") => project(101, "apps/web"),
        ("GET", path) if path.ends_with("/members/all/11") => json!({"id": 11, "access_level": 20}),
        ("GET", "v4/users/11") => json!({"id": 11, "external": false}),
        ("GET", "v4/application/settings") => json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": false}),
        ("GET", path) if path.starts_with("v4/projects/101/jobs/") => {
            let id = path.rsplit('/').next().and_then(|id| id.parse::<u64>().ok());
            match world.jobs.values().find(|(known, _)| Some(*known) == id) {
                Some((id, status)) => job(*id, status),
                None => return message(404, "404 Not Found"),
            }
        }
        ("POST", "graphql") if body["query"].as_str().is_some_and(|query| query.contains("statuses")) => {
            let running = world.jobs.values().filter(|(_, status)| *status == "running");
            let nodes: Vec<Value> =
                running.map(|(id, _)| json!({"id": format!("gid://gitlab/Ci::Build/{id}")})).collect();
            json!({"data": {"jobs": {"nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": null}}}})
        }
        ("POST", "graphql") => allowlist(world.is_listed),
        _ => return message(404, "404 Not Found"),
    };
    said.to_string().into_response()
}

fn job(id: u64, status: &str) -> Value {
    json!({
        "id": id, "status": status, "user": {"id": 11, "username": "dana", "state": "active"},
        "ref": "main", "tag": false, "pipeline": {"project_id": 101, "source": "push"},
        "web_url": format!("https://forge.example.com/gitlab/apps/web/-/jobs/{id}"),
    })
}

fn project(id: u64, path: &str) -> Value {
    json!({"id": id, "path_with_namespace": path, "visibility": "private", "wiki_access_level": "disabled"})
}

fn allowlist(is_listed: bool) -> Value {
    let entry = json!({"direction": "inbound", "defaultPermissions": true, "jobTokenPolicies": [],
        "target": {"id": "gid://gitlab/Project/101"}});
    let nodes = if is_listed { vec![entry] } else { Vec::new() };
    let forward = |nodes: Vec<Value>| json!({"nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": "MQ"}});
    let backward = |nodes: Vec<Value>| json!({"nodes": nodes, "pageInfo": {"hasPreviousPage": false}});
    json!({"data": {"project": {
        "id": "gid://gitlab/Project/102",
        "ciCdSettings": {"inboundJobTokenScopeEnabled": true},
        "ciJobTokenScopeAllowlist": {
            "projectsAllowlist": forward(nodes.clone()), "lastProjects": backward(nodes),
            "groupsAllowlist": forward(Vec::new()), "lastGroups": backward(Vec::new()),
        },
    }}})
}
