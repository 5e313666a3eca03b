//! What a gateway looks up: the job of a token, and with a service account projects,
//! members and users. These routes, and no others, misbehave when a test asks for it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{known, readable, shapes, visible};
use crate::caller::Caller;
use crate::forge::{Forge, Misbehaviour};
use crate::params::Params;
use crate::received::Received;
use crate::reply;
use world::{Project, Role, User, last_segment};

/// The longest page GitLab gives.
const LONGEST_PAGE: usize = 100;

pub(super) type Answer = Result<Response, Response>;

/// Answers now, later, wrongly or never.
pub(super) async fn faulty(forge: &Forge, answer: impl Future<Output = Answer>) -> Answer {
    let fault = *forge.fault();
    match fault.lookup {
        Misbehaviour::None => answer.await,
        Misbehaviour::Slow => {
            tokio::time::sleep(fault.delay()).await;
            answer.await
        }
        Misbehaviour::Nonsense => Ok(Html("<!DOCTYPE html><p>Sign in, please.</p>").into_response()),
        Misbehaviour::Unavailable => {
            Ok(reply::text(StatusCode::SERVICE_UNAVAILABLE, "The forge is down for maintenance."))
        }
        // Until it behaves again.
        Misbehaviour::Hang => {
            while forge.fault().lookup == Misbehaviour::Hang {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer.await
        }
        Misbehaviour::Torn => Ok(torn(answer.await.unwrap_or_else(|refusal| refusal)).await),
        Misbehaviour::Long => Ok(padded(answer.await.unwrap_or_else(|refusal| refusal), 4).await),
        Misbehaviour::Enormous => Ok(padded(answer.await.unwrap_or_else(|refusal| refusal), 32).await),
        Misbehaviour::Intercepted => {
            Ok((StatusCode::UNAUTHORIZED, Html("<!DOCTYPE html><p>Sign in, please.</p>")).into_response())
        }
        Misbehaviour::Mistaken => answer.await,
    }
}

/// The head of an answer and half of its body; then the connection ends.
async fn torn(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let end = async {
        // What was written so far is on its way.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let pieces = stream::once(async { Ok(half) }).chain(stream::once(end));
    Response::from_parts(parts, Body::from_stream(pieces))
}

/// An answer, and so many MiB of white space behind it.
async fn padded(answer: Response, mebibytes: usize) -> Response {
    const MEBIBYTE: &[u8] = &[b' '; 1 << 20];
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let pieces = std::iter::once(body).chain(std::iter::repeat_n(Bytes::from_static(MEBIBYTE), mebibytes));
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))))
}

/// `GET /job`: the job whose token asks.
pub async fn own_job(forge: &Forge, received: &Received) -> Answer {
    faulty(forge, async {
        match known(forge, received)? {
            Caller::Job(job) => {
                let mut shape = shapes::job(forge, &job);
                if forge.fault().lookup == Misbehaviour::Mistaken {
                    shape["id"] = json!(job.id.saturating_add(5000));
                }
                Ok(reply::json(StatusCode::OK, &shape))
            }
            Caller::Person(_) => Err(reply::message(StatusCode::NOT_FOUND, "404 Job Not Found")),
            Caller::Anonymous => Err(reply::unauthorized()),
        }
    })
    .await
}

/// `GET /job/allowed_agents`: no agents, but what else GitLab says there of the job whose token asks.
pub async fn allowed_agents(forge: &Forge, received: &Received) -> Answer {
    faulty(forge, async {
        match known(forge, received)? {
            Caller::Job(job) => Ok(reply::json(StatusCode::OK, &shapes::allowed_agents(forge, &job))),
            Caller::Person(_) | Caller::Anonymous => Err(reply::unauthorized()),
        }
    })
    .await
}

/// `GET /projects/:id`. A job's token does not count here, as in GitLab.
pub async fn project(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        let caller = match known(forge, received)? {
            Caller::Job(_) => Caller::Anonymous,
            caller @ (Caller::Anonymous | Caller::Person(_)) => caller,
        };
        let (project, caller) = visible(forge, caller, id)?;
        let settings = caller.has(&forge.world(), &project, Role::Minimal);
        Ok(reply::json(StatusCode::OK, &shapes::project(forge, &project, settings)))
    })
    .await
}

/// `GET /projects/:id/job_token_scope`.
pub async fn scope(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        let project = maintained(forge, received, id)?;
        let scope = json!({ "inbound_enabled": project.inbound_limit, "outbound_enabled": project.outbound.is_some() });
        Ok(reply::json(StatusCode::OK, &scope))
    })
    .await
}

/// `GET /projects/:id/job_token_scope/allowlist`. GitLab's list has the project itself in it.
pub async fn allowlist(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        let own = maintained(forge, received, id)?;
        let listed = own.allowlist.projects.iter().filter(|listed| **listed != own.id);
        let projects = std::iter::once(&own.id).chain(listed);
        let projects: Vec<_> = projects.filter_map(|id| forge.world().project(*id).cloned()).collect();
        let shapes = projects.iter().map(|project| shapes::basic_project(forge, project)).collect();
        Ok(page(forge, received, shapes))
    })
    .await
}

/// `GET /projects/:id/job_token_scope/groups_allowlist`. GitLab gives no full path, only an address.
pub async fn groups_allowlist(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        let own = maintained(forge, received, id)?;
        let listed = own.allowlist.groups.iter();
        let groups: Vec<_> = listed.filter_map(|id| forge.world().group(*id).cloned()).collect();
        let shapes = groups.iter().map(|group| {
            json!({
                "id": group.id,
                "web_url": forge.url(&format!("groups/{}", group.path)),
                "name": last_segment(&group.path),
            })
        });
        Ok(page(forge, received, shapes.collect()))
    })
    .await
}

/// `GET /projects/:id/members/all`.
pub async fn members(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        let (project, caller) = readable(forge, received, id)?;
        if !matches!(caller, Caller::Person(_)) {
            return Err(reply::unauthorized());
        }
        let users = forge.world().users.clone();
        let role = |user: &Arc<User>| Some((Arc::clone(user), forge.world().role(&project, user.id)?));
        let members: Vec<_> = users.iter().filter_map(role).collect();
        let shown = members.iter().map(|(user, role)| shapes::member(forge, user, *role)).collect();
        Ok(page(forge, received, shown))
    })
    .await
}

/// `GET /projects/:id/members/all/:user_id`.
pub async fn member(forge: &Forge, received: &Received, id: &str, user: &str) -> Answer {
    faulty(forge, async {
        let (project, caller) = readable(forge, received, id)?;
        if !matches!(caller, Caller::Person(_)) {
            return Err(reply::unauthorized());
        }
        let user = user.parse().ok().and_then(|id| forge.user(id));
        let role = user.as_ref().and_then(|user| forge.world().role(&project, user.id));
        match user.zip(role) {
            Some((user, role)) => Ok(reply::json(StatusCode::OK, &shapes::member(forge, &user, role))),
            // In these small letters, other than elsewhere.
            None => Err(reply::message(StatusCode::NOT_FOUND, "404 Not found")),
        }
    })
    .await
}

/// `GET /projects/:id/jobs/:job_id`.
pub async fn job(forge: &Forge, received: &Received, id: &str, job: &str) -> Answer {
    faulty(forge, async {
        let (project, caller) = readable(forge, received, id)?;
        if matches!(caller, Caller::Anonymous) {
            return Err(reply::unauthorized());
        }
        let job = job.parse().ok().and_then(|id| forge.jobs().find(id).cloned());
        match job.filter(|job| job.project == project.id) {
            Some(job) => Ok(reply::json(StatusCode::OK, &shapes::job(forge, &job))),
            None => Err(reply::not_found()),
        }
    })
    .await
}

/// `GET /users/:id`. Administrators see more.
pub async fn user(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        let caller = known(forge, received)?;
        if !matches!(caller, Caller::Person(_)) {
            return Err(reply::unauthorized());
        }
        match id.parse().ok().and_then(|id| forge.user(id)) {
            Some(user) => Ok(reply::json(StatusCode::OK, &shapes::user(forge, &user, caller.is_admin()))),
            None => Err(reply::message(StatusCode::NOT_FOUND, "404 User Not Found")),
        }
    })
    .await
}

/// `GET /users?username=`: one user, or none.
pub fn users(forge: &Forge, received: &Received) -> Answer {
    let caller = known(forge, received)?;
    let params = Params::of_query(received.target.pairs());
    let named = params.value("username").and_then(|name| forge.world().user_named(name).cloned());
    let shown = named.iter().map(|user| shapes::user(forge, user, caller.is_admin())).collect();
    Ok(page(forge, received, shown))
}

/// `GET /projects`: those that the caller may see, archived or not, of one visibility where one is named.
pub async fn projects(forge: &Forge, received: &Received) -> Answer {
    faulty(forge, async {
        let caller = known(forge, received)?;
        let params = Params::of_query(received.target.pairs());
        let wanted = params.value("visibility");
        let is_archived = params.value("archived").map(|word| word == "true");
        let world = forge.world();
        let is_wanted = |project: &&Arc<Project>| {
            wanted.is_none_or(|wanted| wanted == project.visibility.word())
                && is_archived.is_none_or(|is_archived| is_archived == project.archived)
                && caller.may_read(&world, project)
        };
        let mut seen: Vec<Arc<Project>> = world.projects.iter().filter(is_wanted).cloned().collect();
        drop(world);
        if params.value("order_by") == Some("id") {
            seen.sort_by_key(|project| project.id);
            // From the newest to the oldest where nothing else is asked for.
            if params.value("sort") != Some("asc") {
                seen.reverse();
            }
        }
        // Such filters count whichever way the list is read.
        let bound = |name: &str| params.value(name).and_then(|id| id.parse::<u64>().ok());
        let (after, before) = (bound("id_after"), bound("id_before"));
        seen.retain(|one| after.is_none_or(|id| one.id > id) && before.is_none_or(|id| one.id < id));
        if params.value("pagination") == Some("keyset") {
            return keyset(forge, received, &params, &seen);
        }
        Ok(page(forge, received, seen.iter().map(|project| shapes::basic_project(forge, project)).collect()))
    })
    .await
}

/// One page of projects, of which the last one's number says where the next page begins. Whoever reads on gets an empty one
/// in the end, without a link.
fn keyset(forge: &Forge, received: &Received, params: &Params, projects: &[Arc<Project>]) -> Answer {
    if params.value("order_by") != Some("id") {
        let text = "Keyset pagination is not yet available for this type of request";
        return Err(reply::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": text })));
    }
    let length = params.number("per_page").unwrap_or(20).clamp(1, LONGEST_PAGE);
    let shown = projects.get(..length.min(projects.len())).unwrap_or_default();
    let shapes = shown.iter().map(|project| shapes::basic_project(forge, project)).collect();
    let mut response = reply::json(StatusCode::OK, &Value::Array(shapes));
    if let Some(last) = shown.last() {
        let bound = if params.value("sort") == Some("asc") { "id_after" } else { "id_before" };
        let kept = received.target.pairs().into_iter().filter(|(name, _)| name != bound);
        let query: String = kept.map(|(name, value)| format!("{name}={value}&")).collect();
        let path = received.target.segments.join("/");
        let link = format!("<{}>; rel=\"next\"", forge.url(&format!("{path}?{query}{bound}={}", last.id)));
        response.headers_mut().extend(HeaderValue::from_str(&link).ok().map(|link| (header::LINK, link)));
    }
    Ok(response)
}

/// `GET /personal_access_tokens/self`.
pub async fn own_token(forge: &Forge, received: &Received) -> Answer {
    faulty(forge, async {
        let Caller::Person(user) = known(forge, received)? else { return Err(reply::unauthorized()) };
        let airs = forge.airs();
        let token = json!({"id": user.id, "name": "stand-in", "revoked": false, "active": true, "user_id": user.id,
            "scopes": airs.scopes, "expires_at": airs.expires_at});
        Ok(reply::json(StatusCode::OK, &token))
    })
    .await
}

/// The webhooks of a project or a group, for administrators.
pub async fn hooks(forge: &Forge, received: &Received, id: &str) -> Answer {
    faulty(forge, async {
        if !known(forge, received)?.is_admin() {
            return Err(reply::forbidden());
        }
        let hooks = forge.airs().hooks.get(id).cloned().unwrap_or_default();
        Ok(page(forge, received, hooks))
    })
    .await
}

/// `GET /application/settings`, for administrators.
pub async fn settings(forge: &Forge, received: &Received) -> Answer {
    faulty(forge, async {
        match known(forge, received)? {
            Caller::Person(user) if user.admin => {
                let settings = shapes::settings(forge.world().enforce_inbound_limit);
                Ok(reply::json(StatusCode::OK, &settings))
            }
            Caller::Person(_) => Err(reply::forbidden()),
            Caller::Anonymous | Caller::Job(_) => Err(reply::unauthorized()),
        }
    })
    .await
}

/// The project, for a person who may see its settings.
fn maintained(forge: &Forge, received: &Received, id: &str) -> Result<Arc<Project>, Response> {
    let (project, caller) = readable(forge, received, id)?;
    match caller {
        Caller::Person(_) if caller.has(&forge.world(), &project, Role::Maintainer) => Ok(project),
        Caller::Person(_) => Err(reply::forbidden()),
        Caller::Anonymous | Caller::Job(_) => Err(reply::unauthorized()),
    }
}

/// One page of a list, with GitLab's headers about the others.
pub(super) fn page(forge: &Forge, received: &Received, all: Vec<Value>) -> Response {
    let params = Params::of_query(received.target.pairs());
    let length = params.number("per_page").unwrap_or(20).clamp(1, LONGEST_PAGE);
    let page = params.number("page").unwrap_or(1).max(1);
    let (total, pages) = (all.len(), all.len().div_ceil(length).max(1));
    let shown: Vec<Value> = all.into_iter().skip((page - 1).saturating_mul(length)).take(length).collect();
    let next = if page < pages { (page + 1).to_string() } else { String::new() };
    let previous = if page > 1 { (page - 1).to_string() } else { String::new() };
    let at = |number: usize, name: &str| {
        let path = received.target.segments.join("/");
        let address = forge.url(&format!("{path}?page={number}&per_page={length}"));
        format!("<{address}>; rel=\"{name}\"")
    };
    let mut links = vec![at(1, "first"), at(pages, "last")];
    if !next.is_empty() {
        links.insert(0, at(page + 1, "next"));
    }
    let mut response = reply::json(StatusCode::OK, &Value::Array(shown));
    let headers = [
        ("x-page", page.to_string()),
        ("x-per-page", length.to_string()),
        ("x-next-page", next),
        ("x-prev-page", previous),
        ("x-total", total.to_string()),
        ("x-total-pages", pages.to_string()),
        ("link", links.join(", ")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
