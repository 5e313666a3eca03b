//! An address as a client takes it apart.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::LineError;

/// An `http` or `https` address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Name and password, decoded, where the address has them.
    pub login: Option<String>,
    /// The host, with its port where the address has one.
    pub authority: String,
    /// Path and query, never empty.
    pub target: String,
}

impl Url {
    /// Whether a word of a command line is an address.
    pub(super) fn is_one(word: &str) -> bool {
        word.starts_with("https://") || word.starts_with("http://")
    }

    pub(super) fn parse(text: &str) -> Result<Self, LineError> {
        let refuse = || LineError::Address(text.to_owned());
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(refuse)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (site, target) = rest.split_at_checked(end).ok_or_else(refuse)?;
        let (login, authority) = match site.rsplit_once('@') {
            Some((login, authority)) => (Some(decoded(login)), authority),
            None => (None, site),
        };
        if authority.is_empty() || target.contains([' ', '\n', '\r']) {
            return Err(refuse());
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { login, authority: authority.to_owned(), target })
    }

    /// The path without the query, and without a slash at its end.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default().trim_end_matches('/')
    }
}

/// The value of `Authorization` for a login.
pub(super) fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

/// A text with its `%` sequences decoded; one that is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let byte = behind
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            Some(_) | None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text as it stands in a form or a query.
pub(super) fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = Url::parse("https://gitlab-ci-token:a%40b@forge.invalid:8443/a/b.git?x=1#top").unwrap();
        assert_eq!(url.login.as_deref(), Some("gitlab-ci-token:a@b"));
        assert_eq!((url.authority.as_str(), url.target.as_str()), ("forge.invalid:8443", "/a/b.git?x=1"));
        assert_eq!(url.path(), "/a/b.git");
        assert_eq!(Url::parse("http://f").unwrap().target, "/");
        assert_eq!(Url::parse("http://f?a").unwrap().target, "/?a");
        for bad in ["f/x", "ftp://f/x", "https:///x", "https://u@/x", "https://f/a b", ""] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        assert_eq!(encoded("a/b c&d"), "a%2Fb%20c%26d");
        for text in ["a/b c&d", "100%", "%zz", "é"] {
            assert_eq!(decoded(&encoded(text)), text);
        }
        assert_eq!(decoded("100%"), "100%");
    }
}
