//! What a job token looks like.
//!
//! Three formats are in use: `glcbt-` and random text, `glcbt-` and a JWT (an instance may put its own prefix in
//! front of either), and the old ones without any prefix, which only their carrier tells apart.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::json;
use super::malformed::Malformed;
use crate::facts::Secret;

/// The longest token the forge reads.
pub(crate) const LIMIT: usize = 8192;

const MARK: &[u8] = b"glcbt-";

/// A JWT begins with `{"`; one that does not is none that the forge has signed.
const JWT: &[u8] = b"eyJ";

/// Base64 of URLs, read generously: with or without padding, stray bits allowed.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a value is worth a closer look: one pass, which most values end.
pub(crate) fn may_hold(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'g' | b'e')) {
        let Some(found) = rest.get(at..) else { return false };
        if found.starts_with(MARK) || found.starts_with(JWT) {
            return true;
        }
        rest = found.get(1..).unwrap_or_default();
    }
    false
}

/// Whether a value can only be a job token, wherever it stands.
pub(crate) fn is_job_shaped(value: &[u8]) -> bool {
    let at = value.windows(MARK.len()).position(|w| w == MARK);
    at.and_then(|at| value.get(..at)).is_some_and(|prefix| prefix.iter().all(|b| is_token_byte(*b)))
}

/// Whether a value is a job token and nothing else.
pub(crate) fn is_job_token(value: &[u8]) -> bool {
    is_job_shaped(value) && value.iter().all(|b| is_token_byte(*b))
}

/// Whether a value is a JWT of the forge's own with a job token inside: what Conan, Terraform and the dependency proxy
/// exchange the token for.
pub(crate) fn wraps_job_token(value: &[u8]) -> bool {
    payload(value).is_some_and(|payload| payload.windows(MARK.len()).any(|window| window == MARK))
}

/// The one job token inside a JWT. Its signature is the forge's to check; what it says is what the forge will read.
pub(crate) fn unwrap(value: &[u8]) -> Result<Secret, Malformed> {
    let payload = payload(value).ok_or(Malformed::Format)?;
    let mut texts: Vec<String> = Vec::new();
    for (_, claim) in json::object(&payload)? {
        collect(claim, &mut texts);
    }
    let mut tokens = texts.iter().filter(|text| is_job_shaped(text.as_bytes()));
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => parse(token.as_bytes()),
        (Some(_), Some(_)) => Err(Malformed::Multiple),
        (None, _) => Err(Malformed::Format),
    }
}

fn payload(value: &[u8]) -> Option<Vec<u8>> {
    if !value.starts_with(JWT) {
        return None;
    }
    let mut parts = value.split(|b| *b == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    URL_SAFE.decode(payload).ok()
}

/// Every text in a claim. The depth is bounded by the parser.
fn collect(claim: Value, texts: &mut Vec<String>) {
    match claim {
        Value::String(text) => texts.push(text),
        Value::Array(claims) => claims.into_iter().for_each(|claim| collect(claim, texts)),
        Value::Object(claims) => claims.into_iter().for_each(|(_, claim)| collect(claim, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Parses a value that its carrier says is a job token.
pub(crate) fn parse(value: &[u8]) -> Result<Secret, Malformed> {
    match value.len() {
        0 => Err(Malformed::Format),
        len if len > LIMIT => Err(Malformed::TooLong),
        _ if value.iter().all(|b| is_token_byte(*b)) => Ok(Secret::new(value)),
        _ if value.iter().any(u8::is_ascii_control) => Err(Malformed::HeaderControl),
        _ => Err(Malformed::Format),
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for job in ["glcbt-64_x", "acme-glcbt-x", "glcbt-aa.bb.cc"] {
            assert!(is_job_shaped(job.as_bytes()) && parse(job.as_bytes()).is_ok(), "{job}");
        }
        for other in ["glpat-x", "x glcbt-", "", "password"] {
            assert!(!is_job_shaped(other.as_bytes()), "{other}");
        }
        assert_eq!(parse(&[b'a'; 8193]), Err(Malformed::TooLong));
        assert_eq!(parse(b"a,b"), Err(Malformed::Format));
    }

    #[test]
    fn a_token_inside_a_jwt_is_found() {
        let jwt = |claims: &str| std::format!("eyJ9.{}.sig", URL_SAFE.encode(claims));
        for claims in [r#"{"token":"glcbt-1"}"#, r#"{"user":7,"deep":{"access":["glcbt-1"]}}"#] {
            assert!(wraps_job_token(jwt(claims).as_bytes()));
            assert_eq!(unwrap(jwt(claims).as_bytes()), Ok(Secret::new(b"glcbt-1")), "{claims}");
        }
        assert!(!wraps_job_token(jwt(r#"{"sub":"dana"}"#).as_bytes()));
        assert_eq!(unwrap(jwt(r#"{"a":"glcbt-1","b":"glcbt-2"}"#).as_bytes()), Err(Malformed::Multiple));
        assert_eq!(
            unwrap(jwt(r#"{"token":"glcbt-1","token":"glcbt-2"}"#).as_bytes()),
            Err(Malformed::JsonDuplicateKey)
        );
    }
}
