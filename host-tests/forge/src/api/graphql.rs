//! The two GraphQL queries of a gateway, by their operations' names: what an allowlist says, and outbound lists. Their text is
//! not read. And the two mutations that make an entry of an allowlist, by their names and one variable, `input`.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::known;
use super::lookup::{Answer, faulty};
use crate::caller::Caller;
use crate::forge::Forge;
use crate::received::Received;
use crate::reply;
use world::{Project, Role};

/// The longest page GitLab gives.
const LONGEST_PAGE: usize = 100;

/// They make an entry, or change what it grants: the same to who looks at the list.
const MUTATIONS: [&str; 2] = ["ciJobTokenScopeAddGroupOrProject", "ciJobTokenScopeUpdatePolicies"];

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
    if let Some(mutation) =
        MUTATIONS.into_iter().find(|name| asked["query"].as_str().is_some_and(|text| text.contains(name)))
    {
        let problems: Vec<String> = admit(forge, &caller, &variables["input"]).err().into_iter().collect();
        return Ok(reply::json(StatusCode::OK, &json!({ "data": { mutation: { "errors": problems } } })));
    }
    let number = variables["id"].as_str().and_then(|id| id.strip_prefix("gid://gitlab/Project/")?.parse().ok());
    let project = match number {
        Some(id) => forge.world().project(id).cloned(),
        None => forge.world().project_at(variables["path"].as_str().unwrap_or_default()).cloned(),
    };
    let project = project.filter(|project| caller.has(&forge.world(), project, Role::Maintainer));
    let found = match asked["operationName"].as_str() {
        Some("jobscopeAllowlist") => project.map(|project| {
            json!({
                "id": gid(project.id),
                "ciCdSettings": { "inboundJobTokenScopeEnabled": project.inbound_limit },
                "ciJobTokenScopeAllowlist": entries(forge, &project, variables),
            })
        }),
        Some("jobscopeOutbound") => project.map(|project| {
            let projects: Vec<Value> = project.outbound.iter().flatten().map(|id| json!({ "id": gid(*id) })).collect();
            json!({ "ciJobTokenScope": { "last": last(&projects), "projects": page(projects, &variables["after"]) } })
        }),
        _ => return Err(errors(StatusCode::OK, "expected one of the two operations of a gateway")),
    };
    let data = match number {
        Some(_) => json!({ "projects": { "nodes": found.into_iter().collect::<Vec<_>>() } }),
        None => json!({ "project": found }),
    };
    Ok(reply::json(StatusCode::OK, &json!({ "data": data })))
}

/// Lets the jobs of a project or group in.
fn admit(forge: &Forge, caller: &Caller, input: &Value) -> Result<(), String> {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let mut world = forge.world_mut();
    let project = world.project_at(text("projectPath")).filter(|project| caller.has(&world, project, Role::Maintainer));
    let mut changed = Project::clone(project.ok_or("You don't have permission to change this project")?);
    let permissions = (input["defaultPermissions"] == false).then(|| {
        let names = input["jobTokenPolicies"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_ascii_lowercase).collect::<Vec<_>>()
    });
    let list = &mut changed.allowlist;
    let found = (world.group_at(text("targetPath")), world.project_at(text("targetPath")));
    let (ids, of, id) = match found {
        (Some(group), _) => (&mut list.groups, &mut list.of_groups, group.id),
        (None, Some(project)) => (&mut list.projects, &mut list.of_projects, project.id),
        (None, None) => return Err("The target is unknown".to_owned()),
    };
    if !ids.contains(&id) {
        ids.push(id);
    }
    match permissions {
        Some(names) => of.insert(id, names),
        None => of.remove(&id),
    };
    world.replace(changed);
    Ok(())
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
    let (projects, groups): (Vec<Value>, Vec<Value>) = (projects.collect(), groups.collect());
    json!({
        "lastProjects": last(&projects),
        "lastGroups": last(&groups),
        "projectsAllowlist": page(projects, &variables["projects"]),
        "groupsAllowlist": page(groups, &variables["groups"]),
    })
}

/// The last page of a connection.
fn last(nodes: &[Value]) -> Value {
    let from = nodes.len().saturating_sub(LONGEST_PAGE);
    json!({ "nodes": nodes[from..], "pageInfo": { "hasPreviousPage": from > 0 } })
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
