//! Header fields that a request with a job token must not have.

use super::head::Head;
use super::malformed::Malformed;

/// What a field's name means for the request.
const REFUSED: &[(&str, Malformed)] = &[
    ("x-http-method-override", Malformed::Override),
    ("x-http-method", Malformed::Override),
    ("x-method-override", Malformed::Override),
    ("sudo", Malformed::Sudo),
    ("x-original-url", Malformed::UrlRewrite),
    ("x-rewrite-url", Malformed::UrlRewrite),
    ("x-forwarded-uri", Malformed::UrlRewrite),
    ("x-forwarded-prefix", Malformed::UrlRewrite),
    ("x-envoy-original-path", Malformed::UrlRewrite),
    ("x-accel-redirect", Malformed::InternalHeader),
    ("upgrade", Malformed::ConnectionToken),
    ("proxy-connection", Malformed::ConnectionToken),
    ("x-gitlab-static-object-token", Malformed::InternalHeader),
    ("x-gitlab-organization-id", Malformed::InternalHeader),
    ("x-sendfile-type", Malformed::InternalHeader),
    ("x-webauth-user", Malformed::InternalHeader),
];

/// What the names of the fields begin with that the forge's own components send each other.
const INTERNAL: [&[u8]; 2] = [b"gitlab-", b"x-gitlab-workhorse"];

/// Fields that decide how a request is read and may stand once.
const ONCE: [&str; 5] = ["content-type", "content-length", "content-encoding", "host", ":authority"];

/// Checks the header of a request that carries a job token.
pub(crate) fn check(head: &Head<'_>) -> Result<(), Malformed> {
    let mut stood = [false; ONCE.len()];
    for (name, _) in head.fields() {
        let is_it = |(once, _): &(&str, &mut bool)| name.eq_ignore_ascii_case(once.as_bytes());
        if let Some((_, stood)) = ONCE.into_iter().zip(&mut stood).find(is_it)
            && core::mem::replace(stood, true)
        {
            return Err(Malformed::DuplicateHeader);
        }
    }
    for (name, value) in head.fields() {
        if name.contains(&b'_') {
            return Err(Malformed::Underscore);
        }
        if INTERNAL.iter().any(|prefix| begins_with(name, prefix)) {
            return Err(Malformed::InternalHeader);
        }
        if let Some((_, malformed)) = REFUSED.iter().find(|(refused, _)| name.eq_ignore_ascii_case(refused.as_bytes()))
        {
            return Err(*malformed);
        }
        if name.eq_ignore_ascii_case(b"connection") && !value.split(|b| *b == b',').all(is_harmless) {
            return Err(Malformed::ConnectionToken);
        }
    }
    Ok(())
}

fn begins_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

/// A proxy removes the fields that `Connection` lists, so it may list none of ours.
fn is_harmless(option: &[u8]) -> bool {
    let option = option.trim_ascii();
    [&b"keep-alive"[..], b"close", b"te"].iter().any(|harmless| option.eq_ignore_ascii_case(harmless))
}

#[cfg(test)]
mod tests {
    use super::super::head::Body;
    use super::*;

    #[test]
    fn a_field_that_changes_the_reading_is_refused() {
        for (name, value, expected) in [
            ("x-http-method-override", "GET", Malformed::Override),
            ("sudo", "root", Malformed::Sudo),
            ("x-rewrite-url", "/", Malformed::UrlRewrite),
            ("gitlab-workhorse-api-request", "x", Malformed::InternalHeader),
            ("connection", "close, job-token", Malformed::ConnectionToken),
            ("Connection", "close, job-token", Malformed::ConnectionToken),
            ("X-HTTP-Method-Override", "GET", Malformed::Override),
            ("Gitlab-Workhorse-Api-Request", "x", Malformed::InternalHeader),
            ("X-GitLab-Workhorse", "x", Malformed::InternalHeader),
            ("job_token", "x", Malformed::Underscore),
        ] {
            let fields = [(name.as_bytes(), value.as_bytes())];
            assert_eq!(check(&Head::new(&fields, Body::None)), Err(expected), "{name}");
        }
        let fields = [(&b"connection"[..], &b"Keep-Alive"[..]), (b"accept", b"*/*")];
        assert_eq!(check(&Head::new(&fields, Body::None)), Ok(()));
    }

    #[test]
    fn a_field_that_may_stand_once_stands_once() {
        let fields = [(&b"content-type"[..], &b"a"[..]), (b"content-type", b"a")];
        assert_eq!(check(&Head::new(&fields, Body::None)), Err(Malformed::DuplicateHeader));
    }
}
