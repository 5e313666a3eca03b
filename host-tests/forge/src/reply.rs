//! Answers in the words of the protocols: the API's JSON, git's plain text, LFS's JSON, a registry's errors.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The media type of everything LFS says.
pub const LFS: &str = "application/vnd.git-lfs+json";

/// What git shows to a person whose credential is dead.
const DENIED: &str = "HTTP Basic: Access denied. If a password was provided for Git authentication, \
    the password was incorrect or you're required to use a token instead of a password.";
/// The one answer for a project that is not there and for one that may not be seen.
pub const NO_PROJECT: &str = "The project you were looking for could not be found or you don't have \
    permission to view it.";
const CHALLENGE: (header::HeaderName, &str) = (header::WWW_AUTHENTICATE, "Basic realm=\"GitLab\"");

/// JSON.
pub fn json(status: StatusCode, value: &Value) -> Response {
    typed(status, "application/json", value.to_string())
}

/// The API's JSON with a message alone.
pub fn message(status: StatusCode, text: &str) -> Response {
    json(status, &json!({ "message": text }))
}

/// Plain text.
pub fn text(status: StatusCode, text: &str) -> Response {
    typed(status, "text/plain; charset=utf-8", text.to_owned())
}

/// Bytes to keep as they are.
pub fn bytes(content: impl Into<Body>, content_type: &'static str) -> Response {
    typed(StatusCode::OK, content_type, content)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}

/// 404 of the API for a thing that is not a project.
pub fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "404 Not Found")
}

/// 404 of the API for a project.
pub fn no_project() -> Response {
    message(StatusCode::NOT_FOUND, "404 Project Not Found")
}

/// 401 of the API.
pub fn unauthorized() -> Response {
    message(StatusCode::UNAUTHORIZED, "401 Unauthorized")
}

/// 403 of the API.
pub fn forbidden() -> Response {
    message(StatusCode::FORBIDDEN, "403 Forbidden")
}

/// 400 of the API for a parameter that was not given.
pub fn missing(parameter: &str) -> Response {
    json(StatusCode::BAD_REQUEST, &json!({ "error": format!("{parameter} is missing") }))
}

/// 401 of git, with the challenge that makes clients send credentials.
pub fn git_denied() -> Response {
    let mut response = text(StatusCode::UNAUTHORIZED, DENIED);
    response.headers_mut().insert(CHALLENGE.0, HeaderValue::from_static(CHALLENGE.1));
    response
}

/// LFS's JSON.
pub fn lfs(status: StatusCode, value: &Value) -> Response {
    typed(status, LFS, value.to_string())
}

/// An error in LFS's JSON.
pub fn lfs_error(status: StatusCode, text: &str) -> Response {
    lfs(status, &json!({ "message": text, "documentation_url": "https://docs.gitlab.com/topics/git/lfs/" }))
}

/// 401 of LFS.
pub fn lfs_denied() -> Response {
    let mut response = lfs_error(StatusCode::UNAUTHORIZED, "Authentication required");
    let challenge = HeaderValue::from_static(CHALLENGE.1);
    response.headers_mut().insert("lfs-authenticate", challenge.clone());
    response.headers_mut().insert(CHALLENGE.0, challenge);
    response
}

/// 401 of the registry's token service.
pub fn registry_denied() -> Response {
    let errors = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": DENIED }] });
    json(StatusCode::UNAUTHORIZED, &errors)
}

/// 500, with the cause in this program's log and not in the answer.
pub fn broken(error: &anyhow::Error) -> Response {
    eprintln!("jobscope-forge: {error:#}");
    message(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error")
}
