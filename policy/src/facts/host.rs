//! A host name as it stands in `:authority`.

use alloc::string::String;

/// A host name or an address, folded to lower case, without port and without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// Parses a host without a port.
    #[must_use]
    pub fn parse(host: &[u8]) -> Option<Self> {
        if let Some(inner) = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
            let sound = !inner.is_empty() && inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
            return sound.then(|| fold(host)).flatten();
        }
        let host = host.strip_suffix(b".").unwrap_or(host);
        let sound = !host.is_empty()
            && host.len() <= 253
            && host.split(|b| *b == b'.').all(|label| {
                !label.is_empty() && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            });
        sound.then(|| fold(host)).flatten()
    }

    /// Parses the value of `:authority`: a host, with or without port. Anything else (user information, a list that a
    /// proxy joined, an empty port) is no authority.
    #[must_use]
    pub fn of_authority(authority: &[u8]) -> Option<Self> {
        let end = match authority.iter().position(|b| *b == b']') {
            Some(bracket) => bracket.checked_add(1)?,
            None => authority.iter().position(|b| *b == b':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at_checked(end)?;
        let port_is_sound = match port.strip_prefix(b":") {
            Some(digits) => (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
            None => port.is_empty(),
        };
        if port_is_sound { Self::parse(host) } else { None }
    }

    /// The host as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fold(host: &[u8]) -> Option<Host> {
    core::str::from_utf8(host).ok().map(|host| Host(host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_port_and_final_dot_change_nothing() {
        let plain = Host::parse(b"gitlab.example.com");
        for same in ["GitLab.Example.com", "gitlab.example.com:8080", "gitlab.example.com.", "gitlab.example.com.:443"]
        {
            assert_eq!(Host::of_authority(same.as_bytes()), plain, "{same}");
        }
        assert!(Host::of_authority(b"[::1]:8080").is_some());
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for bad in
            ["", ":80", "a,b", "a b", "u@a", "a:", "a:8o", "a:123456", "a..b", "[::1", "[x]", "a/b", "a:80:90", "."]
        {
            assert_eq!(Host::of_authority(bad.as_bytes()), None, "{bad}");
        }
    }
}
