//! A row's request as Envoy hands it to a filter.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::document::Row;
use super::world::HOST;
use crate::cases::message::Message;
use crate::host::RequestHead;

/// The job's token.
pub(super) const TOKEN: &str = "glcbt-64_danaBuildsWeb000001";

/// A JWT with these claims. Nobody here looks at its signature.
fn jwt(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// What the forge makes of the job's token for the registry.
pub(super) fn registry_jwt() -> String {
    jwt(r#"{"sub":"dana","auth_type":"build","access":[]}"#)
}

/// Whether a message shows what the forge made of the token for the registry.
pub(super) fn shows_registry_jwt(message: &Message) -> bool {
    message.fields().iter().any(|(_, value)| value.ends_with(registry_jwt().as_bytes()))
}

/// What the row stands for, credentials filled in.
pub(super) fn message(row: &Row) -> Message {
    let conan = jwt(&format!(r#"{{"access_token":"{TOKEN}","user_id":11}}"#));
    let filled = |text: &str| {
        let text = text.replace("<CONAN_JWT>", &conan).replace("<REGISTRY_JWT>", &registry_jwt());
        encoded(&text.replace("<JOB_TOKEN>", TOKEN))
    };
    let body = if row.body.is_empty() { vec![b'x'; row.body_bytes] } else { filled(&row.body).into_bytes() };
    let mut head = RequestHead::new(&row.method, HOST, &filled(&row.target));
    for (name, value) in &row.headers {
        head = head.header(name, filled(value));
    }
    let is_chunked = row.headers.iter().any(|(name, _)| name == "transfer-encoding");
    head.end_of_stream = body.is_empty() && !is_chunked;
    if !head.end_of_stream && !is_chunked {
        head = head.header("content-length", body.len().to_string());
    }
    Message { head, body }
}

/// `base64(dana:secret)`, encoded.
fn encoded(text: &str) -> String {
    let written = || {
        let (before, rest) = text.split_once("base64(")?;
        let (login, after) = rest.split_once(')')?;
        Some(format!("{before}{}{after}", STANDARD.encode(login)))
    };
    written().unwrap_or_else(|| text.into())
}

/// The login of a job.
pub(super) fn basic(token: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("gitlab-ci-token:{token}")))
}
