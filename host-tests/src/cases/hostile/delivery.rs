//! Whether a row's request reaches a filter: as which message, or why Envoy never hands it on.

use anyhow::{Context, Result, bail};

use super::body;
use super::document::Request;
use crate::cases::message::Message;
use crate::host::RequestHead;

/// Whether a request reaches a filter.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// It does.
    Reaches(Message),
    /// Envoy answers it, or changes what the row is about. The sentence says which.
    Stops(&'static str),
}

/// How a request line names its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Builds a row's request. `token` stands where the row only says that a job's does.
///
/// # Errors
/// The row cannot be understood.
pub fn deliver(request: &Request, token: &str) -> Result<Delivery> {
    let (method, rest) = request.line.split_once(' ').context("the request line has no target")?;
    let (target, version) = rest.rsplit_once(' ').context("the request line has no version")?;
    let version = match version {
        "HTTP/1.1" => Version::One,
        "HTTP/2" | "HTTP/2.0" | "HTTP/3" => Version::Two,
        "HTTP/1.0" => return Ok(Delivery::Stops("Envoy answers 426 to HTTP/1.0 unless it is told to accept it")),
        other => bail!("expected HTTP/1.0, HTTP/1.1, HTTP/2 or HTTP/3, found `{other}`"),
    };
    if let Some(why) = stops(request, version, method, target) {
        return Ok(Delivery::Stops(why));
    }
    let mut head = RequestHead::default();
    let (authority, path) = match (method, absolute(target)) {
        ("CONNECT", _) => (Some(target), None),
        (_, Some((authority, path))) => (Some(authority), Some(path)),
        (_, None) => (request.host.as_deref(), Some(target)),
    };
    let pseudo = [(":method", Some(method)), (":scheme", Some("https")), (":authority", authority), (":path", path)];
    for (name, value) in pseudo {
        let replaced = request.headers.iter().any(|(known, _)| known == name);
        if let Some(value) = value.filter(|_| !replaced) {
            head = head.header(name, value);
        }
    }
    let mut content_type = "";
    for (name, value) in &request.headers {
        // A parser takes the white space around a value away.
        let trimmed = if name.starts_with(':') { value } else { value.trim_matches([' ', '\t']) };
        head = head.header(name, body::of_header(trimmed, token));
        if name.eq_ignore_ascii_case("content-type") {
            content_type = trimmed;
        }
    }
    let bytes = match (&request.body, &request.body_b64) {
        (Some(text), _) => body::of_text(text, content_type),
        (None, Some(text)) => body::of_base64(text, content_type)?,
        (None, None) => Vec::new(),
    };
    head.end_of_stream = bytes.is_empty() && fields(request, "transfer-encoding").next().is_none();
    Ok(Delivery::Reaches(Message { head, body: bytes }))
}

fn fields<'a>(request: &'a Request, name: &'static str) -> impl Iterator<Item = &'a str> {
    request.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What Envoy's own parsers do not let through.
fn stops(request: &Request, version: Version, method: &str, target: &str) -> Option<&'static str> {
    let is_token = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let lengths: Vec<&str> = fields(request, "content-length").collect();
    let codings: Vec<&str> = fields(request, "transfer-encoding").collect();
    if request.headers.iter().any(|(name, _)| !is_token(name.strip_prefix(':').unwrap_or(name))) {
        return Some("Envoy answers 400 to a header name that is no token");
    }
    if version == Version::One && request.headers.iter().any(|(name, _)| name.starts_with(':')) {
        return Some("Envoy answers 400 to a header name that begins with a colon in HTTP/1");
    }
    if version == Version::One && (!is_token(method) || target.contains(' ')) {
        return Some("Envoy answers 400 to a request line that is none");
    }
    if lengths.len() > 1
        || lengths.iter().any(|length| length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()))
    {
        return Some("Envoy answers 400 to two lengths, or to one that is no number");
    }
    if !lengths.is_empty() && !codings.is_empty() {
        return Some("Envoy answers 400 to a length beside a transfer coding");
    }
    if codings.iter().any(|coding| !coding.eq_ignore_ascii_case("chunked")) {
        return Some("Envoy answers 501 to a transfer coding other than chunked");
    }
    if fields(request, "trailer").next().is_some() {
        return Some("Envoy drops the trailers of HTTP/1 unless it is told to keep them, and the test host has none");
    }
    None
}

/// Authority and path of a target in absolute form, which Envoy takes apart.
fn absolute(target: &str) -> Option<(&str, &str)> {
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"))?;
    Some(rest.find('/').map_or((rest, "/"), |at| rest.split_at(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str, headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { line: line.into(), host: Some("h".into()), headers, body: None, body_b64: None }
    }

    #[test]
    fn pseudo_headers_of_a_row_stand_for_the_lines() {
        let written = request("GET /x HTTP/2", &[(":path", "y"), ("Host", "i")]);
        let Ok(Delivery::Reaches(message)) = deliver(&written, "") else { panic!() };
        let fields = message.fields();
        assert!(fields.contains(&(b":path".to_vec(), b"y".to_vec())));
        assert!(fields.contains(&(b":authority".to_vec(), b"h,i".to_vec())), "{fields:?}");
    }

    #[test]
    fn what_envoy_stops_says_why() {
        for (line, headers) in [
            ("GET /x HTTP/1.0", &[][..]),
            ("GET /x HTTP/1.1", &[("Job-Token ", "x")]),
            ("POST /x HTTP/1.1", &[("Content-Length", "5"), ("Content-Length", "6")]),
            ("POST /x HTTP/1.1", &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")]),
            ("POST /x HTTP/1.1", &[("Transfer-Encoding", "xchunked")]),
        ] {
            assert!(matches!(deliver(&request(line, headers), ""), Ok(Delivery::Stops(_))), "{line} {headers:?}");
        }
    }
}
