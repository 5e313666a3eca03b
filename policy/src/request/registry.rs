//! The container registry: `/v2/<name>/...` of the OCI distribution specification.
//!
//! A name may itself hold the words of the endpoints (`g/blobs/uploads` is a name), so it is parsed from the right.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::access::{Access, Action, TargetRef};
use super::malformed::Malformed;
use super::params;
use super::path;
use crate::facts::ProjectPath;

/// Reads a request of the registry. `path` begins with `/v2/`.
pub(crate) fn read(method: &[u8], path: &str, query: Option<&str>) -> Result<Vec<Access>, Malformed> {
    let rest = path.strip_prefix("/v2/").ok_or(Malformed::Unclassifiable)?;
    if rest.is_empty() {
        return match method {
            b"GET" | b"HEAD" => Ok(vec![Access::new(Action::RegistryLogin, TargetRef::None)]),
            _ => Err(Malformed::MethodUnknown),
        };
    }
    if rest == "_catalog" {
        return Ok(vec![Access::new(Action::Catalog, TargetRef::None)]);
    }
    if path.as_bytes().contains(&b'%') {
        return Err(if path.to_ascii_lowercase().contains("%2f") {
            Malformed::EncodedSlash
        } else {
            Malformed::RegistryName
        });
    }
    // The one endpoint that ends in a slash.
    if let Some(name) = rest.strip_suffix("/blobs/uploads/") {
        return start_upload(method, name, query);
    }
    path::segments(path)?;
    let (name, endpoint) = endpoint(rest)?;
    let action = match (method, endpoint) {
        (b"GET" | b"HEAD", Endpoint::Blob | Endpoint::Manifest | Endpoint::Tags | Endpoint::Referrers) => {
            Action::PullImage
        }
        (b"GET" | b"HEAD" | b"PATCH" | b"PUT" | b"DELETE", Endpoint::Upload) | (b"PUT", Endpoint::Manifest) => {
            Action::PushImage
        }
        (b"DELETE", Endpoint::Blob | Endpoint::Manifest) => Action::DeleteImage,
        _ => return Err(Malformed::MethodUnknown),
    };
    refuse_mount_elsewhere(query)?;
    Ok(vec![Access::new(action, image(name)?)])
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

fn start_upload(method: &[u8], name: &str, query: Option<&str>) -> Result<Vec<Access>, Malformed> {
    if method != b"POST" {
        return Err(Malformed::MethodUnknown);
    }
    let mut accesses = vec![Access::new(Action::PushImage, image(name)?)];
    if let Some(query) = query {
        let pairs = params::query(query)?;
        let mount = params::one(&pairs, "mount")?;
        match (mount, params::one(&pairs, "from")?) {
            // Reading a blob through a mount is reading its source.
            (Some(_), Some(source)) => accesses.push(Access::new(Action::PullImage, image(source)?)),
            (_, None) => {}
            (None, Some(_)) => return Err(Malformed::RegistryMount),
        }
    }
    Ok(accesses)
}

/// A registry honours `from` on every method, and one that mirrors others takes their name as `ns`.
fn refuse_mount_elsewhere(query: Option<&str>) -> Result<(), Malformed> {
    let Some(query) = query else { return Ok(()) };
    let pairs = params::query(query)?;
    if params::has(&pairs, "ns") {
        return Err(Malformed::RegistryMount);
    }
    match (params::one(&pairs, "mount")?, params::one(&pairs, "from")?) {
        (None, None) => Ok(()),
        _ => Err(Malformed::RegistryMount),
    }
}

/// The project of an image: the full name, or the name without its last one or two components.
pub(crate) fn image(name: &str) -> Result<TargetRef, Malformed> {
    if name.len() > 255 || !name.split('/').all(component_is_sound) {
        return Err(Malformed::RegistryName);
    }
    let mut candidate = Some(name);
    let mut candidates = Vec::new();
    for _ in 0..3 {
        let Some(path) = candidate else { break };
        candidates.extend(ProjectPath::parse(path));
        candidate = path.rsplit_once('/').map(|(shorter, _)| shorter);
    }
    Ok(TargetRef::Image(candidates))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

/// `algorithm:encoded`
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, encoded)| {
        let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !algorithm.is_empty()
            && algorithm.bytes().all(|b| is_word(b) || matches!(b, b'+' | b'.' | b'_' | b'-'))
            && encoded.len() >= 32
            && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
    })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn component_is_sound(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators: Vec<String> = component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .filter(|s| !s.is_empty())
        .map(String::from)
        .collect();
    component.bytes().next().is_some_and(is_word)
        && component.bytes().last().is_some_and(is_word)
        && separators.iter().all(|s| matches!(s.as_str(), "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn one(method: &str, path: &str) -> Result<(Action, Vec<String>), Malformed> {
        let accesses = read(method.as_bytes(), path, None)?;
        let TargetRef::Image(candidates) = &accesses[0].target else { panic!("{accesses:?}") };
        Ok((accesses[0].action, candidates.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn the_name_is_parsed_from_the_right() {
        assert_eq!(one("HEAD", "/v2/g/p/manifests/v1"), Ok((Action::PullImage, vec!["g/p".into()])));
        assert_eq!(
            one("GET", "/v2/g/s/p/i/blobs/sha256:0123456789abcdef0123456789abcdef"),
            Ok((Action::PullImage, vec!["g/s/p/i".into(), "g/s/p".into(), "g/s".into()]))
        );
        assert_eq!(one("PUT", "/v2/g/blobs/uploads/manifests/x").unwrap().1[0], "g/blobs/uploads");
        assert_eq!(one("PATCH", "/v2/g/p/blobs/uploads/abc"), Ok((Action::PushImage, vec!["g/p".into()])));
        assert_eq!(one("DELETE", "/v2/g/p/manifests/v1"), Ok((Action::DeleteImage, vec!["g/p".into()])));
        assert_eq!(one("GET", "/v2/g/p/tags/list"), Ok((Action::PullImage, vec!["g/p".into()])));
    }

    #[test]
    fn a_mount_reads_its_source() {
        let accesses = read(b"POST", "/v2/g/p/blobs/uploads/", Some("mount=sha256:aa&from=h/q")).unwrap();
        assert_eq!(accesses.iter().map(|a| a.action).collect::<Vec<_>>(), [Action::PushImage, Action::PullImage]);
        assert_eq!(
            read(b"POST", "/v2/g/p/blobs/uploads/", Some("mount=x&from=h/q&from=h/r")),
            Err(Malformed::QueryDuplicate)
        );
        assert_eq!(read(b"GET", "/v2/g/p/tags/list", Some("from=h/q")), Err(Malformed::RegistryMount));
    }

    #[test]
    fn another_spelling_is_refused() {
        for (path, expected) in [
            ("/v2/g%2Fp/manifests/x", Malformed::EncodedSlash),
            ("/v2/g/P/manifests/x", Malformed::RegistryName),
            ("/v2/g/p_/manifests/x", Malformed::RegistryName),
            ("/v2/g/p/manifests/x/", Malformed::TrailingSlash),
            ("/v2/g/p/manifests/a@b", Malformed::RegistryReference),
            ("/v2/g/p/blobs/latest", Malformed::RegistryReference),
            ("/v2/g/p", Malformed::Unclassifiable),
        ] {
            assert_eq!(one("GET", path), Err(expected), "{path}");
        }
    }
}
