//! What a CI reports of its jobs by itself: GitHub's webhooks, signed with a secret that both sides know.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use policy::facts::Secret;
use serde_json::Value;
use sha2::Sha256;

/// What a report says: which ids name each job that is over, as a token of it names them.
pub(super) type Ended = Vec<Vec<String>>;

/// A report of GitHub that was signed with this secret. `None` where it was not; no job where it is about something else.
pub(super) fn github(secret: &Secret, headers: &HeaderMap, body: &[u8]) -> Option<Ended> {
    let signature = one(headers, "x-hub-signature-256")?.strip_prefix("sha256=")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).ok()?;
    mac.update(body);
    // Compared in constant time.
    mac.verify_slice(&bytes(signature)?).ok()?;
    let report: Value = serde_json::from_slice(body).ok()?;
    let text = |pointer: &str| match report.pointer(pointer)? {
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    };
    let of = |pointers: &[&str]| pointers.iter().map(|pointer| text(pointer)).collect::<Option<Vec<String>>>();
    let is_over = report.get("action").and_then(Value::as_str) == Some("completed");
    let ids = match one(headers, "x-github-event")? {
        "workflow_job" if is_over => of(&["/workflow_job/run_id", "/workflow_job/run_attempt", "/workflow_job/id"]),
        "workflow_run" if is_over => of(&["/workflow_run/id", "/workflow_run/run_attempt"]),
        _ => None,
    };
    Some(ids.into_iter().collect())
}

/// A field that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut fields = headers.get_all(name).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    field.to_str().ok()
}

/// The bytes of hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = hex.bytes().map(|byte| digit(&byte)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example: its documentation has secret, payload and signature.
    #[test]
    fn the_example_of_github_is_read() {
        let (secret, body) = (Secret::new(b"It's a Secret to Everybody"), b"Hello, World!");
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).unwrap();
        mac.update(body);
        mac.verify_slice(&bytes(signature).unwrap()).unwrap();
        for bad in ["7", "75710", "zz", "7é"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
