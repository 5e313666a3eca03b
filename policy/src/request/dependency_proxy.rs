//! A group's dependency proxy, on the forge's own host:
//! `/v2/<group>/dependency_proxy/containers/<image>/manifests/<tag or digest>` and `.../blobs/<digest>`.

use super::malformed::Malformed;
use super::{params, path, registry};
use crate::access::{Access, Action, TargetRef};
use crate::facts::GroupPath;

/// What stands between a group and an image.
const MARK: &str = "/dependency_proxy/containers/";

/// Whether a path is the dependency proxy's.
pub(crate) fn is_below(path: &str) -> bool {
    path.starts_with("/v2/") && path.contains("/dependency_proxy/")
}

/// Reads a request to the dependency proxy.
pub(crate) fn read(method: &[u8], path: &str, query: Option<&str>) -> Result<Access, Malformed> {
    let path = &*registry::plain(path);
    path::check_segments(path)?;
    let rest = path.strip_prefix("/v2/").ok_or(Malformed::Unclassifiable)?;
    let (group_path, below) = rest.split_once(MARK).ok_or(Malformed::Unclassifiable)?;
    // The forge's route takes the last mark for the one, others the first.
    if below.contains("dependency_proxy/") || group_path.contains("dependency_proxy") {
        return Err(Malformed::ProxyAmbiguous);
    }
    let target = GroupPath::parse(group_path).map(TargetRef::Group).ok_or(Malformed::GroupPath)?;
    let (image, kind, reference) = image_and_reference(below)?;
    let reference = match reference.split_once('/') {
        // The forge's own parts call these, to store what they fetched.
        Some((_, "upload" | "upload/authorize" | "authorize")) => return Err(Malformed::InternalRoute),
        Some(_) => return Err(Malformed::RegistryReference),
        None => reference,
    };
    let is_sound = registry::is_digest(reference) || (kind == Kind::Manifest && registry::is_tag(reference));
    if !is_sound {
        return Err(Malformed::RegistryReference);
    }
    if !registry::is_name(image) {
        return Err(Malformed::RegistryName);
    }
    params::query(query.unwrap_or_default())?;
    match method {
        b"GET" | b"HEAD" => Ok(Access::new(Action::DependencyProxy, target)),
        _ => Err(Malformed::MethodUnknown),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Blob,
}

/// The image, and what is asked of it. Both words may stand once, in whatever order: readers take the first or the last.
fn image_and_reference(below: &str) -> Result<(&str, Kind, &str), Malformed> {
    let manifest = below.split_once("/manifests/").map(|(image, reference)| (image, Kind::Manifest, reference));
    let blob = below.split_once("/blobs/").map(|(image, reference)| (image, Kind::Blob, reference));
    let (image, kind, reference) = match (manifest, blob) {
        (Some(_), Some(_)) => return Err(Malformed::ProxyAmbiguous),
        (None, None) => return Err(Malformed::Unclassifiable),
        (Some(found), None) | (None, Some(found)) => found,
    };
    let again = ["manifests", "blobs"].iter().any(|word| reference.split('/').any(|segment| segment == *word));
    if again { Err(Malformed::ProxyAmbiguous) } else { Ok((image, kind, reference)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn asked(method: &str, path: &str) -> Result<Action, Malformed> {
        read(method.as_bytes(), path, None).map(|access| access.action)
    }

    #[test]
    fn manifests_and_blobs_are_read() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for path in [
            "/v2/g/dependency_proxy/containers/alpine/manifests/latest".into(),
            "/v2/g/s/dependency_proxy/containers/library/alpine/manifests/3.20".into(),
            format!("/v2/g/dependency_proxy/containers/alpine/manifests/{digest}"),
            format!("/v2/g/dependency_proxy/containers/alpine/blobs/{digest}"),
            // A tag, not the internal route.
            "/v2/g/dependency_proxy/containers/alpine/manifests/upload".into(),
        ] {
            assert_eq!(asked("GET", &path), Ok(Action::DependencyProxy), "{path}");
            assert_eq!(asked("HEAD", &path), Ok(Action::DependencyProxy), "{path}");
            assert_eq!(asked("PUT", &path), Err(Malformed::MethodUnknown), "{path}");
        }
    }

    #[test]
    fn what_two_readers_read_apart_is_refused() {
        for (path, expected) in [
            ("g/dependency_proxy/containers/a/manifests/b/", Malformed::TrailingSlash),
            ("g/dependency_proxy/containers/x/dependency_proxy/containers/a/manifests/b", Malformed::ProxyAmbiguous),
            ("g/dependency_proxy/x/dependency_proxy/containers/a/manifests/b", Malformed::ProxyAmbiguous),
            ("g/dependency_proxy/containers/a/manifests/b/manifests/c", Malformed::ProxyAmbiguous),
            ("g/dependency_proxy/containers/a/blobs/b/manifests/c", Malformed::ProxyAmbiguous),
            ("g/dependency_proxy/containers/a/manifests/b/blobs", Malformed::ProxyAmbiguous),
            ("g/dependency_proxy/containers/a/manifests/b/c", Malformed::RegistryReference),
            ("g/dependency_proxy/containers/a/manifests/b%20c", Malformed::RegistryReference),
            ("g/dependency_proxy/containers/a/blobs/latest", Malformed::RegistryReference),
            ("g/dependency_proxy/containers/A/manifests/b", Malformed::RegistryName),
            ("g/dependency_proxy/containers/manifests/b", Malformed::Unclassifiable),
            ("g/dependency_proxy/a/manifests/b", Malformed::Unclassifiable),
            ("g/-/dependency_proxy/containers/a/manifests/b", Malformed::GroupPath),
            ("g@h/dependency_proxy/containers/a/manifests/b", Malformed::GroupPath),
        ] {
            assert_eq!(asked("GET", &format!("/v2/{path}")), Err(expected), "{path}");
        }
    }

    #[test]
    fn the_forges_own_routes_are_refused_whatever_the_method() {
        for tail in ["blobs/x/upload", "blobs/x/upload/authorize", "manifests/b/upload", "manifests/b/authorize"] {
            let path = format!("/v2/g/dependency_proxy/containers/a/{tail}");
            assert_eq!(asked("POST", &path), Err(Malformed::InternalRoute), "{tail}");
            assert_eq!(asked("GET", &path), Err(Malformed::InternalRoute), "{tail}");
        }
    }
}
