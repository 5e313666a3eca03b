//! A `multipart/form-data` body, read strictly: what `curl --form` writes, and nothing that two readers read apart.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::malformed::Malformed;
use super::params::Pairs;

/// The boundary of a `multipart/form-data` content type. One plain parameter, nothing else.
pub(crate) fn boundary(content_type: &[u8]) -> Result<Vec<u8>, Malformed> {
    let text = core::str::from_utf8(content_type).map_err(|_| Malformed::MultipartSyntax)?;
    let (media, parameter) = text.split_once(';').ok_or(Malformed::MultipartSyntax)?;
    let value = parameter.trim().strip_prefix("boundary=").ok_or(Malformed::MultipartSyntax)?;
    let sound = media.trim().eq_ignore_ascii_case("multipart/form-data")
        && (1..=70).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'\''));
    if sound { Ok(value.as_bytes().to_vec()) } else { Err(Malformed::MultipartSyntax) }
}

/// Names and values of the parts. The content of a file has its name but no value.
pub(crate) fn fields(boundary: &[u8], body: &[u8]) -> Result<Pairs, Malformed> {
    let delimiter: Vec<u8> = [b"\r\n--", boundary].concat();
    let mut rest = body.strip_prefix(delimiter.get(2..).unwrap_or_default()).ok_or(Malformed::MultipartSyntax)?;
    let mut fields = Pairs::new();
    loop {
        if matches!(rest, b"--" | b"--\r\n") {
            return Ok(fields);
        }
        let part = rest.strip_prefix(b"\r\n").ok_or(Malformed::MultipartSyntax)?;
        let head_end = find(part, b"\r\n\r\n").ok_or(Malformed::MultipartSyntax)?;
        let (head, content) = part.split_at_checked(head_end).ok_or(Malformed::MultipartSyntax)?;
        let content = content.strip_prefix(b"\r\n\r\n").ok_or(Malformed::MultipartSyntax)?;
        let end = find(content, &delimiter).ok_or(Malformed::MultipartSyntax)?;
        let (value, after) = content.split_at_checked(end).ok_or(Malformed::MultipartSyntax)?;
        fields.push(field(head, value)?);
        rest = after.strip_prefix(delimiter.as_slice()).ok_or(Malformed::MultipartSyntax)?;
    }
}

fn field(head: &[u8], content: &[u8]) -> Result<(String, String), Malformed> {
    let head = core::str::from_utf8(head).map_err(|_| Malformed::MultipartSyntax)?;
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(Malformed::MultipartSyntax)?;
        let known = if name.eq_ignore_ascii_case("content-disposition") {
            disposition.replace(value.trim()).is_none()
        } else {
            name.eq_ignore_ascii_case("content-type")
        };
        // Another field, a folded line, or a second disposition: some reader takes the name from there.
        if !known || value.contains(['\r', '\n']) {
            return Err(Malformed::MultipartSyntax);
        }
    }
    let parameters = disposition.and_then(|d| d.strip_prefix("form-data;")).ok_or(Malformed::MultipartSyntax)?.trim();
    let (name, after) = quoted(parameters, "name=").ok_or(Malformed::MultipartSyntax)?;
    if after.is_empty() {
        let value = core::str::from_utf8(content).map_err(|_| Malformed::MultipartSyntax)?;
        return Ok((name.to_string(), value.to_string()));
    }
    let after = after.strip_prefix(';').ok_or(Malformed::MultipartSyntax)?.trim();
    match quoted(after, "filename=") {
        Some((_, "")) => Ok((name.to_string(), String::new())),
        _ => Err(Malformed::MultipartSyntax),
    }
}

/// `key"value"` and what follows. A backslash or a percent sign in the value is an escape to some reader.
fn quoted<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str)> {
    let (value, after) = text.strip_prefix(key)?.strip_prefix('"')?.split_once('"')?;
    (!value.contains(['\\', '%', '\r', '\n'])).then_some((value, after))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_curl_writes_is_read() {
        let boundary = boundary(b"multipart/form-data; boundary=----c").unwrap();
        let body = b"------c\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nglcbt-x\r\n------c\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\nContent-Type: text/plain\r\n\r\n\xff\r\n------c--\r\n";
        assert_eq!(fields(&boundary, body).unwrap(), [("token".into(), "glcbt-x".into()), ("f".into(), String::new())]);
    }

    #[test]
    fn what_two_readers_read_apart_is_refused() {
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/mixed; boundary=a",
            "multipart/form-data; charset=x; boundary=a",
            "multipart/form-data; boundary=\"a\"",
        ] {
            assert!(boundary(content_type.as_bytes()).is_err(), "{content_type}");
        }
        for body in [
            "--b\r\nContent-Disposition: form-data; name=\"a\"; name=\"token\"\r\n\r\nx\r\n--b--",
            "--b\r\nContent-Disposition: form-data;\r\n name=\"token\"\r\n\r\nx\r\n--b--",
            "--b\r\nContent-ID: token\r\n\r\nx\r\n--b--",
            "--b\r\nContent-Disposition: form-data; name*=utf-8''token\r\n\r\nx\r\n--b--",
            "--b\r\nContent-Disposition: form-data; name=\"t\\oken\"\r\n\r\nx\r\n--b--",
            "preamble\r\n--b\r\n\r\n--b--",
            "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx",
            "",
        ] {
            assert_eq!(fields(b"b", body.as_bytes()), Err(Malformed::MultipartSyntax), "{body}");
        }
    }
}
