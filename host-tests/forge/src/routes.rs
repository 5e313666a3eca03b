//! From a request to the part of the forge that answers it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use crate::forge::Forge;
use crate::received::Received;
use crate::target::{Target, decode};
use crate::{api, git_http, lfs, registry, reply, stand_in};

/// Answers a request.
pub async fn serve(State(forge): State<Arc<Forge>>, request: Request) -> Response {
    let mut response = answer(&forge, request).await;
    let date = httpdate::fmt_http_date(forge.airs().now());
    response.headers_mut().extend(HeaderValue::from_str(&date).ok().map(|date| (header::DATE, date)));
    response
}

async fn answer(forge: &Arc<Forge>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let raw = parts.uri.path_and_query().map_or("", |raw| raw.as_str()).to_owned();
    let Some(target) = Target::parse(parts.uri.path(), parts.uri.query(), &forge.settings.root) else {
        forge.record().remember(parts.method.as_str(), raw, &parts.headers);
        return nothing();
    };
    let segments = target.segments.clone();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let ["-", "stand-in", rest @ ..] = segments.as_slice() {
        let mut received = Received::new(parts, target, body, None);
        return stand_in::serve(forge, &mut received, rest).await.unwrap_or_else(|answer| answer);
    }
    let sequence = forge.record().remember(parts.method.as_str(), raw, &parts.headers);
    let mut received = Received::new(parts, target, body, Some(sequence));
    match segments.as_slice() {
        _ if segments == api::terraform::DISCOVERY => api::terraform::discovery(),
        ["jwt", "auth"] => registry::token(forge, &received),
        ["oauth", "discovery", "keys"] => match forge.id_tokens.keys().await {
            Ok(keys) => reply::json(StatusCode::OK, &json!(keys)),
            Err(error) => reply::broken(&error),
        },
        ["api", "graphql"] if received.parts.method == Method::POST => {
            api::graphql(forge, &mut received).await.unwrap_or_else(|refusal| refusal)
        }
        ["api", "v4", rest @ ..] => match rest.iter().map(|segment| decode(segment)).collect() {
            Some(rest) => api::serve(forge, &mut received, rest).await,
            None => reply::message(StatusCode::BAD_REQUEST, "400 Bad Request"),
        },
        [group, project, ..] if received.target.query == "go-get=1" => go_get(&received, group, project),
        _ => repository(forge, &mut received, &segments).await,
    }
}

/// What is below a repository: git, LFS, and the way to the form with `.git`.
async fn repository(forge: &Arc<Forge>, received: &mut Received, segments: &[&str]) -> Response {
    let Some(at) = segments.iter().position(|segment| segment.ends_with(".git")) else {
        return without_suffix(forge, received, segments);
    };
    let (path, rest) = segments.split_at(at.saturating_add(1));
    let Some(path) = project_path(path) else {
        return nothing();
    };
    let method = received.parts.method.clone();
    match (&method, rest) {
        (&Method::HEAD, ["info", "refs"]) => reply::text(StatusCode::FORBIDDEN, "Forbidden"),
        (&Method::GET, ["info", "refs"]) => git_http::advertise(forge, received, &path).await,
        (&Method::POST, ["git-upload-pack"]) => {
            git_http::call(forge, received, &path, git_http::Service::UploadPack).await
        }
        (&Method::POST, ["git-receive-pack"]) => {
            git_http::call(forge, received, &path, git_http::Service::ReceivePack).await
        }
        (_, ["info", "lfs", rest @ ..]) => lfs::meta(forge, received, &path, rest).await,
        (_, ["gitlab-lfs", "objects", rest @ ..]) => lfs::object(forge, received, &path, rest).await,
        _ => nothing(),
    }
}

/// The project before `.git`. Like Rails, escaped slashes and dots never match.
fn project_path(segments: &[&str]) -> Option<String> {
    let decoded = segments.iter().map(|segment| {
        let lower = segment.to_ascii_lowercase();
        let plain = !lower.contains("%2f") && !lower.contains("%2e");
        decode(segment).filter(|_| plain)
    });
    let path = decoded.collect::<Option<Vec<String>>>()?.join("/");
    path.strip_suffix(".git").map(ToOwned::to_owned)
}

/// The way to the form with `.git` is shown before anybody is asked who they are.
fn without_suffix(forge: &Forge, received: &Received, segments: &[&str]) -> Response {
    let Some((path, ["info", "refs"])) = segments.split_last_chunk::<2>() else {
        return nothing();
    };
    let query = &received.target.query;
    let known = query.is_empty() || (query.starts_with("service=") && !query.contains('&'));
    if received.parts.method != Method::GET || path.len() < 2 || !known {
        return nothing();
    }
    let mark = if query.is_empty() { "" } else { "?" };
    let location = forge.url(&format!("{}.git/info/refs{mark}{query}", path.join("/")));
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)]).into_response()
}

/// Where the module of a Go import path is, as GitLab tells strangers too: whatever is there.
fn go_get(received: &Received, group: &str, project: &str) -> Response {
    let host = received.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let module = format!("{host}/{group}/{project}");
    let content = format!("{module} git https://{module}.git");
    Html(format!("<html><head><meta name=\"go-import\" content=\"{content}\"></head></html>")).into_response()
}

fn nothing() -> Response {
    reply::text(StatusCode::NOT_FOUND, "Not Found")
}
