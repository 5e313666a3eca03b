//! The request target: its raw segments, and how single segments and queries are decoded.
//!
//! Routes look at raw segments, because `apps%2Fweb` is one segment in the API. Like Rails,
//! empty segments and one slash at the end do not count.

/// A path below the relative root, and the query.
pub struct Target {
    pub segments: Vec<String>,
    pub query: String,
}

impl Target {
    /// Takes a target apart; nothing when it is not below the root.
    pub fn parse(path: &str, query: Option<&str>, root: &str) -> Option<Self> {
        let below = path.strip_prefix(root)?;
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let segments = below.split('/').filter(|segment| !segment.is_empty());
        Some(Self { segments: segments.map(ToOwned::to_owned).collect(), query: query.unwrap_or_default().to_owned() })
    }

    /// The pairs of the query.
    pub fn pairs(&self) -> Vec<(String, String)> {
        pairs(&self.query)
    }
}

/// Percent-decodes one segment; nothing when the result is no UTF-8 or holds a NUL.
pub fn decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hexadecimal = |digit: Option<u8>| char::from(digit?).to_digit(16);
        match (byte, hexadecimal(ahead.next()), hexadecimal(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).ok()?);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The pairs of a query or of an urlencoded form. A pair that cannot be decoded is left out.
pub fn pairs(encoded: &str) -> Vec<(String, String)> {
    let parts = encoded.split('&').filter(|part| !part.is_empty());
    parts
        .filter_map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_raw_and_empty_ones_do_not_count() {
        let target = Target::parse("/gitlab//api/v4/projects/a%2Fb/", None, "/gitlab").expect("below");
        assert_eq!(target.segments, ["api", "v4", "projects", "a%2Fb"]);
        assert!(Target::parse("/gitlabber/x", None, "/gitlab").is_none());
        assert!(Target::parse("*", None, "").is_none());
    }

    #[test]
    fn decoding_leaves_what_is_no_escape() {
        assert_eq!(decode("a%2Fb%zz%").as_deref(), Some("a/b%zz%"));
        assert_eq!(decode("%ff"), None);
        assert_eq!(decode("%00"), None);
        assert_eq!(
            pairs("a=b+c&d&%65=%2B"),
            [("a".into(), "b c".into()), ("d".into(), String::new()), ("e".into(), "+".into())]
        );
    }
}
