//! A request as it stands on the wire, in HTTP/1.1.

use super::LineError;
use super::variables::Variables;
use crate::request::Request;

pub(super) fn request(bytes: &[u8], variables: &Variables) -> Result<Request, LineError> {
    let (head, body) = parted(bytes);
    let head = std::str::from_utf8(head).map_err(|_| LineError::Request("bytes that are no text"))?;
    let mut lines = head.lines();
    let first = variables.expand(lines.next().unwrap_or_default().trim_end())?;
    let mut words = first.split(' ');
    let (Some(method), Some(path), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(LineError::Request("no such first line"));
    };
    if !version.starts_with("HTTP/") || method.is_empty() {
        return Err(LineError::Request("no such first line"));
    }
    let mut request = Request::new(method, "", path);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(LineError::Request("a line that is no header field"))?;
        let value = variables.expand(value.trim())?;
        if name.eq_ignore_ascii_case("host") {
            request.authority = value;
        } else {
            request = request.with(name, &value);
        }
    }
    if request.authority.is_empty() {
        return Err(LineError::Request("no `Host`"));
    }
    request.body = (!body.is_empty()).then(|| body.to_vec());
    Ok(request)
}

/// What stands before the first empty line, and behind it.
fn parted(bytes: &[u8]) -> (&[u8], &[u8]) {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let found = ends.into_iter().filter_map(|end| {
        let at = bytes.windows(end.len()).position(|window| window == end)?;
        Some((at, at.checked_add(end.len())?))
    });
    match found.min() {
        Some((end, begin)) => (bytes.get(..end).unwrap_or_default(), bytes.get(begin..).unwrap_or_default()),
        None => (bytes, &[]),
    }
}
