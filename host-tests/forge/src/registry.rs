//! The token service of a container registry.

use std::time::SystemTime;

use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::clock::iso;
use crate::forge::Forge;
use crate::params::Params;
use crate::received::Received;
use crate::reply;
use world::{Project, Role, World};

/// How many components a repository may have below its project's path.
const BELOW_PROJECT: usize = 2;

/// Answers `/jwt/auth`.
pub fn token(forge: &Forge, received: &Received) -> Response {
    let query = received.target.pairs();
    let params = Params::of_query(query.clone());
    // Clients that try POST first rely on this 404 to come back with GET.
    let known = params.value("service") == Some(forge.settings.registry_service.as_str());
    if received.parts.method != Method::GET || !known {
        return reply::text(StatusCode::NOT_FOUND, "");
    }
    // Only Basic counts here; a registry's client sends nothing else.
    let basic = received.parts.headers.contains_key(header::AUTHORIZATION);
    let caller = match received.caller_by_headers(forge) {
        Ok(caller) if basic => caller,
        Ok(_) => Caller::Anonymous,
        Err(_) => return reply::registry_denied(),
    };
    let scopes = query.iter().filter(|(name, _)| name == "scope");
    let scopes = scopes.flat_map(|(_, value)| value.split_whitespace());
    let access: Vec<Value> = scopes.filter_map(|scope| grant(&forge.world(), &caller, scope)).collect();
    let now = SystemTime::now();
    let claims = json!({
        "iss": forge.settings.issuer,
        "aud": forge.settings.registry_service,
        "sub": caller.login(forge).unwrap_or_default(),
        "auth_type": if matches!(caller, Caller::Job(_)) { "build" } else { "personal" },
        "access": access,
    });
    match forge.signer.sign(claims, now) {
        Ok(token) => {
            let answer = json!({ "token": token, "expires_in": forge.signer.lifetime(), "issued_at": iso(now) });
            reply::json(StatusCode::OK, &answer)
        }
        Err(error) => reply::broken(&error),
    }
}

/// What of a scope is granted; nothing when nothing is, or when it is no repository's.
fn grant(world: &World, caller: &Caller, scope: &str) -> Option<Value> {
    let mut parts = scope.splitn(3, ':');
    let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
    if kind != "repository" && !kind.starts_with("repository(") {
        return None;
    }
    let project = project(world, name);
    let allowed = |action: &&str| match (caller, project) {
        // GitLab never gives a job everything at once; this forge gives it every single thing.
        (Caller::Job(_), _) => matches!(*action, "pull" | "push" | "delete"),
        (_, None) => false,
        (_, Some(project)) => match *action {
            "pull" => caller.may_read(world, project),
            "push" => caller.has(world, project, Role::Developer),
            "delete" | "*" => caller.has(world, project, Role::Maintainer),
            _ => false,
        },
    };
    let granted: Vec<&str> = actions.split(',').filter(allowed).collect();
    if granted.is_empty() {
        return None;
    }
    Some(json!({ "type": "repository", "name": name, "actions": granted }))
}

/// The project of a repository: its path, or the path without its last one or two components.
fn project<'w>(world: &'w World, name: &str) -> Option<&'w Project> {
    let components: Vec<&str> = name.split('/').collect();
    (0..=BELOW_PROJECT)
        .filter_map(|below| components.get(..components.len().checked_sub(below)?))
        .filter(|candidate| candidate.len() >= 2)
        .find_map(|candidate| world.project_at(&candidate.join("/")))
        .map(AsRef::as_ref)
}
