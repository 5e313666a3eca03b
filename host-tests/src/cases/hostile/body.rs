//! Bodies: placeholders in angle brackets are made into bytes such as the placeholder means.

use std::iter;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A token where the file only says that one stands there. GitLab's are told by shape or by carrier.
pub(super) const MARKED: &str = "glcbt-64_PLACEHOLDER";

/// A token of another forge, which nothing tells from a person's.
pub(super) const UNMARKED: &str = "0123456789abcdef0123456789abcdef01234567";

/// The bytes of a body in base64, or of the placeholder in its place.
pub(super) fn of_base64(text: &str, content_type: &str) -> Result<Vec<u8>> {
    if text.starts_with('<') {
        return Ok(of_text(text, content_type));
    }
    STANDARD.decode(text.trim()).context("`body_b64` is not base64")
}

/// The bytes of a body.
pub(super) fn of_text(text: &str, content_type: &str) -> Vec<u8> {
    let text = repeated(text);
    let mut bytes = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, inner, after)) = placeholder(rest) {
        bytes.extend_from_slice(before.as_bytes());
        let in_list = before.trim_end().ends_with('[');
        bytes.extend(filled(inner, in_list, content_type));
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The value of a header field. `token` stands where the file only says that one does.
pub(super) fn of_header(text: &str, token: &str) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, inner, after)) = placeholder(rest) {
        value.push_str(before);
        match size(inner) {
            Some(size) => value.extend(iter::repeat_n('A', size)),
            // Between dots: the payload of a JWT that holds no job token.
            None if before.ends_with('.') && after.starts_with('.') => {
                value.push_str(&URL_SAFE_NO_PAD.encode(r#"{"sub":"x","access":[]}"#));
            }
            None => value.push_str(token),
        }
        rest = after;
    }
    value.push_str(rest);
    value
}

/// What stands before the first placeholder, in it, and after it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    for (start, _) in text.match_indices('<') {
        let inside = &text[start + 1..];
        let Some(end) = inside.find('>') else { continue };
        if inside.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Some((&text[..start], &inside[..end], &inside[end + 1..]));
        }
    }
    None
}

/// `a=1&...x5000...&b` is the pair that often.
fn repeated(text: &str) -> String {
    let written = || {
        let (before, rest) = text.split_once("&...x")?;
        let (number, after) = rest.split_once("...")?;
        let pair = before.rsplit(['&', '\n']).next()?;
        let times: usize = number.parse().ok()?;
        Some(format!("{before}{}{after}", format!("&{pair}").repeat(times)))
    };
    written().unwrap_or_else(|| text.to_owned())
}

fn filled(inner: &str, in_list: bool, content_type: &str) -> Vec<u8> {
    if let Some(what) = inner.strip_prefix("gzip") {
        let what = what.trim();
        return gzip(what.strip_prefix("of ").unwrap_or(what).as_bytes());
    }
    match (size(inner), inner) {
        (Some(size), _) if in_list => {
            let object = format!(r#"{{"oid":"{}","size":1}},"#, "a".repeat(64));
            let mut objects = object.repeat(size / object.len());
            objects.pop();
            objects.into_bytes()
        }
        (Some(size), _) => vec![b'x'; size],
        (None, "multipart") => multipart(content_type),
        (None, "log") => b"$ make test\nok\n".to_vec(),
        // Bytes that are no text, as packs and archives are.
        (None, _) => [b"PACK\x00\x00\x00\x02\xff\xfe", inner.as_bytes()].concat(),
    }
}

/// `8 MiB`, `900 KiB of objects`, `8193 bytes`.
fn size(inner: &str) -> Option<usize> {
    let mut words = inner.split_whitespace();
    let number: usize = words.next()?.parse().ok()?;
    match words.next()? {
        "KiB" => Some(number << 10),
        "MiB" => Some(number << 20),
        "bytes" => Some(number),
        _ => None,
    }
}

/// What a package client uploads.
fn multipart(content_type: &str) -> Vec<u8> {
    let boundary = content_type.split_once("boundary=").map_or("B", |(_, rest)| rest.trim_matches('"'));
    let part = |disposition: &str, content: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    };
    let mut body = part("name=\":action\"", "file_upload").into_bytes();
    body.extend(part("name=\"content\"; filename=\"n-1.0.tar.gz\"", "\u{1f}archive").into_bytes());
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    body
}

/// One gzip member in which the content stands uncompressed.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let size = u16::try_from(content.len()).unwrap_or(u16::MAX);
    member.extend(size.to_le_bytes());
    member.extend((!size).to_le_bytes());
    member.extend(&content[..usize::from(size)]);
    member.extend(crc32(content).to_le_bytes());
    member.extend(u32::from(size).to_le_bytes());
    member
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_made_into_what_it_means() {
        let large = of_text(r#"{"operation":"download","objects":[<2 MiB of objects>]}"#, "");
        assert!(large.len() > 2_000_000 && serde_json::from_slice::<serde_json::Value>(&large).is_ok());
        assert_eq!(of_text("a=1&...x3...&b=2", ""), b"a=1&a=1&a=1&a=1&b=2");
        assert!(of_text("<gzip {\"a\":1}>", "").windows(7).any(|w| w == b"{\"a\":1}"));
        assert_eq!(of_text("plain", ""), b"plain");
        assert_eq!(of_header("Bearer <jwt>", MARKED), format!("Bearer {MARKED}"));
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
