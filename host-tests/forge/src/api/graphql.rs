//! The two GraphQL queries of a gateway, by their operations' names: what allowlist entries grant, and outbound lists.
//! Their text is not read.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::known;
use super::lookup::{Answer, faulty};
use crate::caller::Caller;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;
use crate::world::{Project, Role};

/// The longest page GitLab gives.
const LONGEST_PAGE: usize = 100;

/// `POST /api/graphql`. A job's token does not count here, as in GitLab.
pub async fn serve(forge: &Forge, received: &mut Received) -> Answer {
    let bytes = received.bytes().await?;
    let asked: Value = serde_json::from_slice(&bytes).map_err(|_| errors(StatusCode::BAD_REQUEST, "Invalid JSON"))?;
    let answer = answer(forge, received, &asked);
    faulty(forge, async { answer }).await
}

fn answer(forge: &Forge, received: &Received, asked: &Value) -> Answer {
    let invalid = || errors(StatusCode::UNAUTHORIZED, "Invalid token");
    let caller = match known(forge, received).map_err(|_| invalid())? {
        caller @ Caller::Person(_) => caller,
        Caller::Anonymous | Caller::Job(_) => return Err(invalid()),
    };
    let variables = &asked["variables"];
    let project = forge.world().project_at(variables["path"].as_str().unwrap_or_default()).cloned();
    let Some(project) = project.filter(|project| caller.has(&forge.world(), project, Role::Maintainer)) else {
        return Ok(reply::json(StatusCode::OK, &json!({ "data": { "project": null } })));
    };
    let found = match asked["operationName"].as_str() {
        Some("jobscopeEntries") => json!({ "ciJobTokenScopeAllowlist": entries(forge, &project, variables) }),
        Some("jobscopeOutbound") => {
            let projects = project.outbound.iter().flatten().map(|id| json!({ "id": gid(*id) })).collect();
            json!({ "ciJobTokenScope": { "projects": page(projects, &variables["after"]) } })
        }
        _ => return Err(errors(StatusCode::OK, "expected one of the two operations of a gateway")),
    };
    Ok(reply::json(StatusCode::OK, &json!({ "data": { "project": found } })))
}

fn entries(forge: &Forge, project: &Project, variables: &Value) -> Value {
    let world = forge.world();
    let list = &project.allowlist;
    let entry = |permissions: Option<&Vec<String>>, target: Value| {
        let policies = permissions.into_iter().flatten().map(|name| name.to_ascii_uppercase());
        json!({
            "direction": "inbound",
            "defaultPermissions": permissions.is_none(),
            "jobTokenPolicies": policies.collect::<Vec<_>>(),
            "target": target,
        })
    };
    let projects = list.projects.iter().map(|id| entry(list.of_projects.get(id), json!({ "id": gid(*id) })));
    let groups = list.groups.iter().filter_map(|id| {
        let group = world.group(*id)?;
        Some(entry(list.of_groups.get(id), json!({ "fullPath": group.path })))
    });
    json!({
        "projectsAllowlist": page(projects.collect(), &variables["projects"]),
        "groupsAllowlist": page(groups.collect(), &variables["groups"]),
    })
}

/// One page of a connection; a cursor is the number of nodes up to it.
fn page(nodes: Vec<Value>, after: &Value) -> Value {
    let from = after.as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let total = nodes.len();
    let shown: Vec<Value> = nodes.into_iter().skip(from).take(LONGEST_PAGE).collect();
    let end = from.saturating_add(shown.len());
    let cursor = (!shown.is_empty()).then(|| end.to_string());
    json!({ "nodes": shown, "pageInfo": { "hasNextPage": end < total, "endCursor": cursor } })
}

fn errors(status: StatusCode, text: &str) -> Response {
    reply::json(status, &json!({ "errors": [{ "message": text }] }))
}

fn gid(project: u64) -> String {
    format!("gid://gitlab/Project/{project}")
}
