//! A request without its credentials, as an anonymous visitor would send it.

use alloc::string::String;
use alloc::vec::Vec;

use memchr::memmem;

use super::carriers::FIELDS;
use super::credential::may_hold_job_token;
use super::head::Head;
use super::params;
use crate::facts::Secret;

/// Fields that say who somebody is beside those of a forge.
const IDENTITY: [&str; 2] = ["cookie", "proxy-authorization"];

/// What to change in a request so that nobody is named in it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// The names of the header fields to remove.
    pub headers: Vec<String>,
    /// The request target in place of the one that came, where that has a credential in its query.
    pub path: Option<Vec<u8>>,
}

/// What to change in this request; `None` when it cannot be said.
pub(crate) fn of(head: &Head<'_>, token: &Secret) -> Option<Bare> {
    let mut headers: Vec<String> = Vec::new();
    for (name, value) in head.fields().iter().filter(|(name, _)| !name.starts_with(b":")) {
        let fields = FIELDS.iter().map(|(known, _)| known).chain(&IDENTITY);
        let is_identity = fields.into_iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if is_identity || may_hold_job_token(name, value) || holds(value, token) {
            let name = core::str::from_utf8(name).ok()?;
            if !headers.iter().any(|known| known == name) {
                headers.push(name.into());
            }
        }
    }
    let raw = core::str::from_utf8(head.path()?).ok()?;
    let path = raw.split_once('?').and_then(|(path, query)| {
        let bare = match params::without_credentials(query) {
            Some(kept) => alloc::format!("{path}?{kept}"),
            None => path.into(),
        };
        (bare != raw).then(|| bare.into_bytes())
    });
    // Nobody is named in it any more, or nothing was understood.
    let is_bare = !holds(path.as_deref().unwrap_or(raw.as_bytes()), token);
    is_bare.then_some(Bare { headers, path })
}

/// Whether a token stands somewhere in these bytes.
pub(crate) fn holds(bytes: &[u8], token: &Secret) -> bool {
    let token = token.expose();
    !token.is_empty() && memmem::find(bytes, token).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::head::Body;
    use super::*;

    fn bare(fields: &[(&str, &str)]) -> Option<Bare> {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        of(&Head::new(&fields, Body::None), &Secret::new(b"glcbt-1"))
    }

    #[test]
    fn whoever_sent_it_is_not_to_be_told_from_what_is_left() {
        let fields = [
            (":path", "/api/v4/users?a=%20b&job_token=glcbt-1&c"),
            ("accept", "*/*"),
            ("cookie", "session=x"),
            ("x-any", "glcbt-1"),
            ("job-token", "glcbt-1"),
            ("cookie", "more=y"),
        ];
        let Bare { headers, path } = bare(&fields).unwrap();
        assert_eq!(headers, ["cookie", "x-any", "job-token"]);
        assert_eq!(path.unwrap(), b"/api/v4/users?a=%20b&c", "what is kept is kept byte for byte");
    }

    #[test]
    fn a_target_without_a_credential_stays_as_it_is() {
        assert_eq!(bare(&[(":path", "/x?a=%2f&&b")]).unwrap().path, None);
        assert_eq!(bare(&[(":path", "/x?job_token=glcbt-1")]).unwrap().path.unwrap(), b"/x");
        assert_eq!(bare(&[(":path", "/x?")]).unwrap().path, None);
    }

    #[test]
    fn a_token_that_cannot_be_removed_leaves_no_bare_request() {
        assert_eq!(bare(&[(":path", "/glcbt-1?a")]), None);
        assert_eq!(bare(&[]), None);
    }
}
