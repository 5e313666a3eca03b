//! The container registry: `/v2/<name>/...` of the OCI distribution specification.
//!
//! A name may itself hold the words of the endpoints (`g/blobs/uploads` is a name), so it is parsed from the right.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use super::gitea;
use super::malformed::Malformed;
use super::params::{self, Pairs};
use super::path;
use crate::access::{Access, Action, TargetRef};
use crate::choices::Kind;
use crate::facts::{ProjectPath, segments};

/// Reads a request of the registry of such a forge. `path` begins with `/v2/`.
pub(crate) fn read(kind: Kind, method: &[u8], path: &str, query: Option<&str>) -> Result<Vec<Access>, Malformed> {
    let rest = path.strip_prefix("/v2/").ok_or(Malformed::Unclassifiable)?;
    if rest.is_empty() {
        return match method {
            b"GET" | b"HEAD" => Ok(vec![Access::new(Action::RegistryLogin, TargetRef::None)]),
            _ => Err(Malformed::MethodUnknown),
        };
    }
    let query = params::query(query.unwrap_or_default())?;
    check_query(&query)?;
    if rest == "_catalog" {
        return match method {
            b"GET" | b"HEAD" if !names_mount(&query) => Ok(vec![Access::new(Action::Catalog, TargetRef::None)]),
            b"GET" | b"HEAD" => Err(Malformed::RegistryMount),
            _ => Err(Malformed::MethodUnknown),
        };
    }
    let path = &*plain(path);
    if path.as_bytes().contains(&b'%') {
        return Err(Malformed::RegistryName);
    }
    let rest = path.strip_prefix("/v2/").ok_or(Malformed::Unclassifiable)?;
    // The one endpoint that ends in a slash.
    if let Some(name) = rest.strip_suffix("/blobs/uploads/") {
        return start_upload(kind, method, name, &query);
    }
    path::check_segments(path)?;
    let (name, endpoint) = endpoint(rest)?;
    // Which right a request needs goes by its method alone (distribution, `appendAccessRecords`): to end an upload
    // early takes the right to delete, although the specification would do with that to push.
    let action = match (method, endpoint) {
        (
            b"GET" | b"HEAD",
            Endpoint::Blob | Endpoint::Manifest | Endpoint::Tags | Endpoint::Referrers | Endpoint::Upload,
        ) => Action::PullImage,
        (b"PATCH" | b"PUT", Endpoint::Upload) | (b"PUT", Endpoint::Manifest) => Action::PushImage,
        (b"DELETE", Endpoint::Blob | Endpoint::Manifest | Endpoint::Upload) => Action::DeleteImage,
        _ => return Err(Malformed::MethodUnknown),
    };
    // A registry honours `from` on every method.
    if names_mount(&query) {
        return Err(Malformed::RegistryMount);
    }
    Ok(vec![Access::new(action, owner(kind, name)?)])
}

/// A path that ends in a digest whose colon is encoded, as some clients write it, in its plain spelling.
pub(crate) fn plain(path: &str) -> Cow<'_, str> {
    let written = path.rsplit_once('/').filter(|(_, reference)| reference.contains('%'));
    let plain = written.map(|(before, reference)| (before, reference.replace("%3A", ":").replace("%3a", ":")));
    match plain {
        Some((before, digest)) if is_digest(&digest) => Cow::Owned(alloc::format!("{before}/{digest}")),
        _ => Cow::Borrowed(path),
    }
}

fn names_mount(query: &Pairs) -> bool {
    params::has(query, "mount") || params::has(query, "from")
}

/// The names of a query that a registry acts on are spelled plainly and stand once, and what they say is sound. A
/// registry that mirrors others takes the name of one as `ns`.
fn check_query(query: &Pairs) -> Result<(), Malformed> {
    if params::has(query, "ns") {
        return Err(Malformed::RegistryMount);
    }
    for name in ["digest", "digest-algorithm", "n", "last"] {
        let Some(value) = params::one(query, name)? else { continue };
        let is_sound = match name {
            "digest" => is_digest(value),
            "digest-algorithm" => !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric()),
            "n" => value.bytes().all(|b| b.is_ascii_digit()),
            _ => true,
        };
        if !is_sound {
            return Err(Malformed::RegistryQuery);
        }
    }
    // The tags that a manifest is given besides may be several.
    if query.iter().any(|(name, value)| params::is_spelling_of(name, "tag") && (name != "tag" || !is_tag(value))) {
        return Err(Malformed::RegistryQuery);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Blob,
    Upload,
    Manifest,
    Tags,
    Referrers,
}

fn endpoint(rest: &str) -> Result<(&str, Endpoint), Malformed> {
    let (before, reference) = rest.rsplit_once('/').ok_or(Malformed::Unclassifiable)?;
    let (name, word) = before.rsplit_once('/').ok_or(Malformed::Unclassifiable)?;
    let is_sound = match word {
        "manifests" => is_digest(reference) || is_tag(reference),
        "referrers" | "blobs" => is_digest(reference),
        _ => true,
    };
    if !is_sound {
        return Err(Malformed::RegistryReference);
    }
    match word {
        "manifests" => Ok((name, Endpoint::Manifest)),
        "referrers" => Ok((name, Endpoint::Referrers)),
        "tags" if rest.ends_with("/tags/list") => Ok((name, Endpoint::Tags)),
        "uploads" => name.strip_suffix("/blobs").map(|name| (name, Endpoint::Upload)).ok_or(Malformed::Unclassifiable),
        "blobs" => Ok((name, Endpoint::Blob)),
        _ => Err(Malformed::Unclassifiable),
    }
}

/// Whose an image of this name is.
fn owner(kind: Kind, name: &str) -> Result<TargetRef, Malformed> {
    match kind {
        Kind::Gitea => gitea::image(name),
        Kind::Gitlab | Kind::Generic => image(name),
    }
}

fn start_upload(kind: Kind, method: &[u8], name: &str, query: &Pairs) -> Result<Vec<Access>, Malformed> {
    if method != b"POST" {
        return Err(Malformed::MethodUnknown);
    }
    let mut accesses = vec![Access::new(Action::PushImage, owner(kind, name)?)];
    let (mount, source) = (params::one(query, "mount")?, params::one(query, "from")?);
    if mount.is_some_and(|digest| !is_digest(digest)) {
        return Err(Malformed::RegistryMount);
    }
    match (mount, source) {
        // Reading a blob through a mount is reading its source.
        (Some(_), Some(source)) => accesses.push(Access::new(Action::PullImage, owner(kind, source)?)),
        // Without a source Gitea takes the blob from whichever image has it, old versions without asking whose that is; GitLab's
        // registry mounts nothing.
        (Some(_), None) if kind != Kind::Gitlab => return Err(Malformed::RegistryMount),
        (_, None) => {}
        (None, Some(_)) => return Err(Malformed::RegistryMount),
    }
    Ok(accesses)
}

/// The project of an image: the full name, or the name without its last one or two components.
pub(crate) fn image(name: &str) -> Result<TargetRef, Malformed> {
    if !is_name(name) {
        return Err(Malformed::RegistryName);
    }
    let mut candidate = Some(name);
    let mut candidates = Vec::new();
    for _ in 0..3 {
        let Some(path) = candidate else { break };
        candidates.extend(ProjectPath::parse(path));
        candidate = path.rsplit_once('/').map(|(shorter, _)| shorter);
    }
    Ok(TargetRef::Image(candidates.into()))
}

/// Whether this is an image's name.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= 255 && segments(name).all(component_is_sound)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub(crate) fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

/// Algorithms with the length of what they make, in hexadecimal digits.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// `algorithm:encoded`
pub(crate) fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else { return false };
    if let Some((_, length)) = DIGESTS.iter().find(|(known, _)| *known == algorithm) {
        return encoded.len() == *length && encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    }
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    algorithm.split(['+', '.', '_', '-']).all(is_word)
        && encoded.len() >= 32
        && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn component_is_sound(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    component.bytes().next().is_some_and(is_word)
        && component.bytes().last().is_some_and(is_word)
        && separators.all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::{String, ToString};

    fn read(method: &[u8], path: &str, query: Option<&str>) -> Result<Vec<Access>, Malformed> {
        super::read(Kind::Gitlab, method, path, query)
    }

    fn one(method: &str, path: &str) -> Result<(Action, Vec<String>), Malformed> {
        let accesses = read(method.as_bytes(), path, None)?;
        let TargetRef::Image(candidates) = &accesses[0].target else { panic!("{accesses:?}") };
        Ok((accesses[0].action, candidates.iter().map(ToString::to_string).collect()))
    }

    fn digest() -> String {
        format!("sha256:{}", "a".repeat(64))
    }

    #[test]
    fn the_name_is_parsed_from_the_right() {
        assert_eq!(one("HEAD", "/v2/g/p/manifests/v1"), Ok((Action::PullImage, vec!["g/p".into()])));
        assert_eq!(
            one("GET", &format!("/v2/g/s/p/i/blobs/{}", digest())),
            Ok((Action::PullImage, vec!["g/s/p/i".into(), "g/s/p".into(), "g/s".into()]))
        );
        assert_eq!(one("PUT", "/v2/g/blobs/uploads/manifests/x").unwrap().1[0], "g/blobs/uploads");
        assert_eq!(one("GET", "/v2/g/p/tags/list").unwrap().1, ["g/p"]);
    }

    #[test]
    fn each_endpoint_has_its_methods() {
        let blob = format!("/v2/g/p/blobs/{}", digest());
        let referrers = format!("/v2/g/p/referrers/{}", digest());
        let manifest = format!("/v2/g/p/manifests/{}", digest());
        let (pull, push, delete) = (Some(Action::PullImage), Some(Action::PushImage), Some(Action::DeleteImage));
        let upload = "/v2/g/p/blobs/uploads/u-1";
        for (path, [get, head, post, put, patch, remove]) in [
            (blob.as_str(), [pull, pull, None, None, None, delete]),
            (&referrers, [pull, pull, None, None, None, None]),
            (&manifest, [pull, pull, None, push, None, delete]),
            ("/v2/g/p/manifests/v1", [pull, pull, None, push, None, delete]),
            ("/v2/g/p/tags/list", [pull, pull, None, None, None, None]),
            ("/v2/g/p/blobs/uploads/", [None, None, push, None, None, None]),
            (upload, [pull, pull, None, push, push, delete]),
        ] {
            let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
            for (method, expected) in methods.into_iter().zip([get, head, post, put, patch, remove]) {
                let expected = expected.map(|action| (action, vec!["g/p".into()])).ok_or(Malformed::MethodUnknown);
                assert_eq!(one(method, path), expected, "{method} {path}");
            }
        }
        assert_eq!(read(b"GET", "/v2/_catalog", Some("n=10&last=g/p")).unwrap()[0].action, Action::Catalog);
        assert_eq!(read(b"DELETE", "/v2/_catalog", None), Err(Malformed::MethodUnknown));
    }

    #[test]
    fn a_mount_reads_its_source() {
        let mount = |query: &str| read(b"POST", "/v2/g/p/blobs/uploads/", Some(&query.replace("DIGEST", &digest())));
        let actions = |query: &str| mount(query).unwrap().iter().map(|access| access.action).collect::<Vec<_>>();
        assert_eq!(actions("mount=DIGEST&from=h/q"), [Action::PushImage, Action::PullImage]);
        assert_eq!(actions("mount=DIGEST&from=g/p"), [Action::PushImage, Action::PullImage]);
        assert_eq!(actions("mount=DIGEST"), [Action::PushImage]);
        for kind in [Kind::Gitea, Kind::Generic] {
            let of = |query: &str| {
                super::read(kind, b"POST", "/v2/g/p/blobs/uploads/", Some(&query.replace("DIGEST", &digest())))
            };
            assert_eq!(of("mount=DIGEST&from=h/q").unwrap().len(), 2);
            assert_eq!(of("mount=DIGEST"), Err(Malformed::RegistryMount));
        }
        assert_eq!(actions("digest=DIGEST"), [Action::PushImage]);
        for (query, expected) in [
            ("mount=DIGEST&from=h/q&from=h/r", Malformed::QueryDuplicate),
            ("mount=DIGEST&mount=DIGEST&from=h/r", Malformed::QueryDuplicate),
            ("mount=DIGEST&from[]=h/q", Malformed::QueryBracket),
            ("mount=DIGEST&From=h/q", Malformed::QueryBracket),
            ("mount=DIGEST&from=H/q", Malformed::RegistryName),
            ("mount=DIGEST&from=", Malformed::RegistryName),
            ("mount=sha256:aa&from=h/q", Malformed::RegistryMount),
            ("mount=&from=h/q", Malformed::RegistryMount),
            ("from=h/q", Malformed::RegistryMount),
            ("mount=DIGEST&ns=docker.io", Malformed::RegistryMount),
        ] {
            assert_eq!(mount(query), Err(expected), "{query}");
        }
        for path in ["/v2/g/p/tags/list", "/v2/_catalog", "/v2/g/p/blobs/uploads/u-1"] {
            assert_eq!(read(b"GET", path, Some("from=h/q")), Err(Malformed::RegistryMount), "{path}");
        }
    }

    #[test]
    fn what_a_query_says_is_sound() {
        let put = |query: &str| {
            read(b"PUT", "/v2/g/p/manifests/v1", Some(&query.replace("DIGEST", &digest())))
                .map(|access| access[0].action)
        };
        for query in ["tag=a&tag=v1.2", "digest=DIGEST", "digest-algorithm=sha512", "_state=x%2Fy", "n=5&last=z", ""] {
            assert_eq!(put(query), Ok(Action::PushImage), "{query}");
        }
        for query in ["tag=a&tag=.b", "tag=", "tag[]=a", "Tag=a", "digest=x", "digest-algorithm=a/b", "n=-1"] {
            assert_eq!(put(query), Err(Malformed::RegistryQuery), "{query}");
        }
        assert_eq!(put("digest=DIGEST&digest=DIGEST"), Err(Malformed::QueryDuplicate));
        assert_eq!(put("x;from=h/q"), Err(Malformed::QuerySemicolon));
    }

    #[test]
    fn the_colon_of_a_digest_may_be_encoded() {
        for colon in ["%3A", "%3a"] {
            for word in ["manifests", "blobs", "referrers"] {
                let path = |colon: &str| format!("/v2/g/p/{word}/{}", digest().replace(':', colon));
                assert_eq!(one("GET", &path(colon)), one("GET", &path(":")), "{word} {colon}");
            }
        }
        let nested = format!("/v2/g/p/manifests/{}", digest().replace(':', "%253A"));
        for path in [&*nested, "/v2/g/p/manifests/v1%3Ax", "/v2/g%3Ap/manifests/v1"] {
            assert_eq!(one("GET", path), Err(Malformed::RegistryName), "{path}");
        }
    }

    #[test]
    fn another_spelling_is_refused() {
        let short = format!("/v2/g/p/blobs/sha256:{}", "a".repeat(63));
        let upper = format!("/v2/g/p/blobs/sha256:{}", "A".repeat(64));
        let long = format!("/v2/{}/manifests/x", "g/".repeat(128).trim_end_matches('/').repeat(2));
        for (path, expected) in [
            ("/v2/g%20p/manifests/x", Malformed::RegistryName),
            ("/v2/g/P/manifests/x", Malformed::RegistryName),
            ("/v2/g/p_/manifests/x", Malformed::RegistryName),
            ("/v2/g/p___q/manifests/x", Malformed::RegistryName),
            (&long, Malformed::RegistryName),
            ("/v2/_ext/p/manifests/x", Malformed::RegistryName),
            ("/v2/_ext", Malformed::Unclassifiable),
            ("/v2", Malformed::Unclassifiable),
            ("/v2/g/p/manifests/x/", Malformed::TrailingSlash),
            ("/v2/_catalog/", Malformed::TrailingSlash),
            ("/v2/g/p/manifests/a@b", Malformed::RegistryReference),
            ("/v2/g/p/blobs/latest", Malformed::RegistryReference),
            (&short, Malformed::RegistryReference),
            (&upper, Malformed::RegistryReference),
            ("/v2/g/p", Malformed::Unclassifiable),
            ("/v2/g/p/tags/x", Malformed::Unclassifiable),
        ] {
            assert_eq!(one("GET", path), Err(expected), "{path}");
        }
        assert!(is_digest(&format!("sha512:{}", "0".repeat(128))) && is_digest(&format!("x+y:{}", "Z".repeat(32))));
        assert!(!is_digest(&format!("sha512:{}", "0".repeat(64))) && !is_digest(&format!("x+:{}", "Z".repeat(32))));
        assert!(is_tag(&"a".repeat(128)) && !is_tag(&"a".repeat(129)) && !is_tag("-a"));
    }
}
