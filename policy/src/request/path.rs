//! The one canonical spelling of a path, and what stands between its slashes.
//!
//! A path is refused rather than normalised: what a proxy or the forge would clean up is what an attacker uses to be
//! read two ways. Percent-encoding is undone once, in a segment at a time, and never again.

use alloc::string::String;
use alloc::vec::Vec;

use memchr::memchr_iter;

use super::malformed::Malformed;
use crate::facts::segments as between_slashes;

/// A request target that is spelled canonically.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The path below the forge's root, with its first slash.
    pub path: &'a str,
    /// What follows the question mark, if there is one.
    pub query: Option<&'a str>,
}

/// Splits a request target and checks the path's spelling. `root` is the forge's relative URL root.
pub(crate) fn target<'a>(raw: &'a [u8], root: &str) -> Result<Target<'a>, Malformed> {
    let raw = core::str::from_utf8(raw).map_err(|_| Malformed::IllegalChar)?;
    let (path, query) = match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw, None),
    };
    if !path.starts_with('/') {
        return Err(Malformed::Asterisk);
    }
    if query.is_some_and(|query| query.contains('#')) {
        return Err(Malformed::Fragment);
    }
    let below = path.strip_prefix(root).filter(|rest| rest.starts_with('/'));
    // The API undoes the encoding of its values, whatever in them is encoded.
    let is_api = below.is_some_and(|below| below.starts_with("/api/v4/"));
    check(path, if is_api { Spelling::AnyEncoding } else { Spelling::One })?;
    Ok(Target { path: below.ok_or(Malformed::Prefix)?, query })
}

/// How a character may be written that stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// As it is.
    One,
    /// As it is, or percent-encoded.
    AnyEncoding,
}

/// More segments than this nobody's request has. The forge itself refuses more than 50 slashes; what is matched against
/// a table must not cost more the deeper it is.
const DEPTH_LIMIT: usize = 64;

/// Whether every byte of a path stands in its canonical spelling. A slash at the end is left to the caller.
fn check(path: &str, spelling: Spelling) -> Result<(), Malformed> {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            _ if PLAIN.get(usize::from(byte)) == Some(&true) => {}
            b'%' => {
                let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = (high, low) else { return Err(Malformed::BadPercent) };
                check_encoded(high << 4 | low, spelling)?;
            }
            b'\\' => return Err(Malformed::Backslash),
            b';' => return Err(Malformed::Semicolon),
            b'#' => return Err(Malformed::Fragment),
            0..0x20 | 0x7f => return Err(Malformed::Control),
            _ => return Err(Malformed::IllegalChar),
        }
    }
    if path.bytes().filter(|b| *b == b'/').count() > DEPTH_LIMIT {
        return Err(Malformed::TooDeep);
    }
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() && path != "/" {
        return Err(Malformed::EmptySegment);
    }
    for segment in between_slashes(inner) {
        // A dot that is encoded was refused above unless it makes a dot segment, which has a code of its own.
        match segment {
            "" if path != "/" => return Err(Malformed::EmptySegment),
            "." | ".." => return Err(Malformed::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

fn check_encoded(byte: u8, spelling: Spelling) -> Result<(), Malformed> {
    match byte {
        _ if is_unreserved(byte) && spelling == Spelling::AnyEncoding => Ok(()),
        b'.' => Err(Malformed::EncodedDotSegment),
        b'%' => Err(Malformed::DoubleEncoding),
        b'\\' => Err(Malformed::Backslash),
        b';' => Err(Malformed::Semicolon),
        b'#' => Err(Malformed::Fragment),
        0..0x20 | 0x7f => Err(Malformed::Control),
        _ if is_unreserved(byte) => Err(Malformed::NeedlessEncoding),
        _ => Ok(()),
    }
}

/// Which bytes of a path stand for themselves.
#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "run by the compiler, which an error stops")]
const PLAIN: [bool; 128] = {
    let (mut plain, mut byte) = ([false; 128], 0_u8);
    while byte < 0x7f {
        let is_mark =
            matches!(byte, b'/' | b'@' | b'+' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b',' | b':' | b'=');
        plain[byte as usize] = is_mark || is_unreserved(byte);
        byte += 1;
    }
    plain
};

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The value of a hexadecimal digit of either case.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        b'A'..=b'F' => digit.checked_sub(b'A')?.checked_add(10),
        _ => None,
    }
}

/// Undoes the percent-encoding of one segment of a checked path, once.
pub(crate) fn decode(segment: &str) -> Result<String, Malformed> {
    String::from_utf8(decode_bytes(segment.as_bytes()).ok_or(Malformed::BadPercent)?)
        .map_err(|_| Malformed::IllegalChar)
}

/// Undoes percent-encoding, once. `None` when a percent sign is not followed by two hexadecimal digits.
pub(crate) fn decode_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = text.iter().copied();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte });
    }
    Some(decoded)
}

/// A checked path in which every character that stands for itself is written as it is; `None` where that is so already.
pub(crate) fn plain(path: &str) -> Option<String> {
    let (first, rest) = path.split_once('%')?;
    let mut plain = String::from(first);
    let mut is_changed = false;
    for encoded in rest.split('%') {
        let (digits, behind) = encoded.split_at_checked(2).unwrap_or((encoded, ""));
        match unreserved(digits) {
            Some(letter) => {
                is_changed = true;
                plain.push(letter);
            }
            None => {
                plain.push('%');
                plain.push_str(digits);
            }
        }
        plain.push_str(behind);
    }
    is_changed.then_some(plain)
}

/// The character that stands for itself behind two hexadecimal digits.
fn unreserved(digits: &str) -> Option<char> {
    let [high, low] = *digits.as_bytes() else { return None };
    let byte = hex(high)? << 4 | hex(low)?;
    is_unreserved(byte).then_some(char::from(byte))
}

/// What is wrong with a path in which a character that stands for itself is encoded.
pub(crate) fn needless(path: &str) -> Malformed {
    let has_dot = path.as_bytes().windows(3).any(|window| window.eq_ignore_ascii_case(b"%2e"));
    if has_dot { Malformed::EncodedDotSegment } else { Malformed::NeedlessEncoding }
}

/// Whether a path has an encoded slash.
pub(crate) fn has_encoded_slash(path: &str) -> bool {
    memchr_iter(b'%', path.as_bytes())
        .any(|at| path.as_bytes().get(at..).is_some_and(|from| matches!(from, [_, b'2', b'f' | b'F', ..])))
}

/// Checks that there are segments in a path: no slash at its end, no encoded slash.
pub(crate) fn check_segments(path: &str) -> Result<(), Malformed> {
    if path.ends_with('/') {
        return Err(Malformed::TrailingSlash);
    }
    if has_encoded_slash(path) {
        return Err(Malformed::EncodedSlash);
    }
    Ok(())
}

/// The segments of such a path below the root.
pub(crate) fn segments(path: &str) -> Result<Vec<&str>, Malformed> {
    check_segments(path).map(|()| between_slashes(path).skip(1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &str) -> Malformed {
        target(path.as_bytes(), "").unwrap_err()
    }

    #[test]
    fn one_spelling_passes_and_every_other_is_refused() {
        assert_eq!(
            target(b"/g/p.git/info/refs?service=x", "").unwrap(),
            Target { path: "/g/p.git/info/refs", query: Some("service=x") }
        );
        for (path, expected) in [
            ("*", Malformed::Asterisk),
            ("http://h/x", Malformed::Asterisk),
            ("//g/p", Malformed::EmptySegment),
            ("/g//p", Malformed::EmptySegment),
            ("/g/./p", Malformed::DotSegment),
            ("/g/..", Malformed::DotSegment),
            ("/g/%2e%2E/p", Malformed::EncodedDotSegment),
            ("/g/p%2Egit", Malformed::EncodedDotSegment),
            ("/g/%70", Malformed::NeedlessEncoding),
            ("/g/%252Fp", Malformed::DoubleEncoding),
            ("/g\\p", Malformed::Backslash),
            ("/g%5cp", Malformed::Backslash),
            ("/g;x/p", Malformed::Semicolon),
            ("/g%3Bx/p", Malformed::Semicolon),
            ("/g#x", Malformed::Fragment),
            ("/g?x#y", Malformed::Fragment),
            ("/g%00", Malformed::Control),
            ("/g%zz", Malformed::BadPercent),
            ("/g%2", Malformed::BadPercent),
            ("/g\"", Malformed::IllegalChar),
            ("/g\u{e9}", Malformed::IllegalChar),
        ] {
            assert_eq!(error(path), expected, "{path}");
        }
    }

    #[test]
    fn a_path_is_not_deeper_than_any_client_sends() {
        assert!(target("/a".repeat(64).as_bytes(), "").is_ok());
        assert_eq!(error(&"/a".repeat(65)), Malformed::TooDeep);
    }

    #[test]
    fn the_root_is_a_whole_segment() {
        assert_eq!(target(b"/gitlab/g/p", "/gitlab").unwrap().path, "/g/p");
        assert_eq!(target(b"/gitlabs/g/p", "/gitlab"), Err(Malformed::Prefix));
        assert_eq!(target(b"/g/p", "/gitlab"), Err(Malformed::Prefix));
    }

    #[test]
    fn encoding_is_undone_once() {
        assert_eq!(decode("g%2Fp").unwrap(), "g/p");
        assert_eq!(decode("%ff"), Err(Malformed::IllegalChar));
    }
}
