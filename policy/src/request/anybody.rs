//! Requests that everybody may make, and that go on without the token where a job may do no more than an anonymous visitor:
//! Go's question which repository an import path means, and public documents.

use alloc::vec::Vec;

use super::malformed::Malformed;
use super::path::Target;
use super::{git, params};
use crate::access::{Access, Action, TargetRef};
use crate::facts::ProjectPath;

/// Documents that a forge answers to everybody alike, but for those below `/.well-known/`.
const DOCUMENTS: [&str; 4] = ["/-/jwks", "/oauth/discovery/keys", "/robots.txt", "/favicon.ico"];

/// How many projects a path may mean: as with images, it and those with one and two segments less.
const CANDIDATES: usize = 3;

/// What such a request asks; `None` for any other.
pub(super) fn read(method: &[u8], target: Target<'_>) -> Result<Option<Access>, Malformed> {
    let is_read = matches!(method, b"GET" | b"HEAD");
    let is_document = target.path.starts_with("/.well-known/") || DOCUMENTS.contains(&target.path);
    let asks_for_go = target.query.is_some_and(params::is_go_get);
    match target.query {
        // Some servers look at the path first, and serve the repository.
        _ if asks_for_go && is_in_repository(target.path) => Err(Malformed::Unclassifiable),
        // As Go writes it. Any other spelling may be nobody's question to the forge.
        Some("go-get=1") if is_read => Ok(Some(go_get(target.path))),
        _ if asks_for_go && !is_read => Err(Malformed::MethodUnknown),
        _ if asks_for_go => Ok(Some(public())),
        _ if is_read && is_document => Ok(Some(public())),
        _ => Ok(None),
    }
}

fn is_in_repository(path: &str) -> bool {
    path.to_ascii_lowercase().contains(".git/") || git::without_suffix(path).is_some()
}

fn public() -> Access {
    Access::new(Action::ReadPublic, TargetRef::None)
}

/// Whether all of this is only asked by who may be told like anybody.
pub(super) fn asks(accesses: &[Access]) -> bool {
    matches!(accesses, [Access { action: Action::GoGet | Action::ReadPublic, .. }])
}

/// Go asks for every path above a package, and the forge answers with the project among them. Where there can be none, it
/// answers to everybody alike.
fn go_get(path: &str) -> Access {
    let mut above = Some(path.trim_start_matches('/'));
    let mut candidates = Vec::new();
    while let Some(path) = above.filter(|_| candidates.len() < CANDIDATES) {
        candidates.extend(ProjectPath::parse(path));
        above = path.rsplit_once('/').map(|(shorter, _)| shorter);
    }
    if candidates.is_empty() { public() } else { Access::new(Action::GoGet, TargetRef::Image(candidates.into())) }
}

/// Below which the Kubernetes agent's server is, on the forge's host and on one of its own.
const AGENTS: [&str; 2] = ["/-/kubernetes-agent/k8s-proxy/", "/k8s-proxy/"];

/// Whether a path leads to a cluster.
pub(super) fn is_agents(path: &str) -> bool {
    AGENTS.iter().any(|agents| path.starts_with(agents))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn asked(method: &str, path: &str, query: Option<&str>) -> Result<Option<Access>, Malformed> {
        read(method.as_bytes(), Target { path, query })
    }

    #[test]
    fn go_asks_for_a_project_among_the_paths_above_a_package() {
        let projects = |path: &str| match asked("GET", path, Some("go-get=1")).unwrap().unwrap() {
            Access { action: Action::GoGet, target: TargetRef::Image(candidates), .. } => {
                candidates.iter().map(ToString::to_string).collect()
            }
            Access { action: Action::ReadPublic, target: TargetRef::None, .. } => Vec::new(),
            other => panic!("{other:?}"),
        };
        assert_eq!(projects("/g/p"), ["g/p"]);
        assert_eq!(projects("/G/s/p/pkg"), ["g/s/p/pkg", "g/s/p", "g/s"]);
        assert_eq!(projects("/g/p/-/tree/main"), ["g/p"]);
        for nobodys in ["/", "/g", "/g/p.git", "/-/x"] {
            assert_eq!(projects(nobodys), Vec::<std::string::String>::new(), "{nobodys}");
        }
    }

    #[test]
    fn go_asks_nothing_of_a_repository_itself() {
        for path in ["/g/p.git/info/refs", "/g/p.git/HEAD", "/g/p.Git/x", "/g/p/info/refs", "/g/p/git-upload-pack"] {
            for query in ["go-get=1", "service=git-upload-pack&go-get=1", "go-gEt"] {
                assert_eq!(asked("GET", path, Some(query)), Err(Malformed::Unclassifiable), "{path}?{query}");
            }
        }
    }

    #[test]
    fn another_spelling_of_gos_question_goes_on_without_a_token_and_only_to_be_read() {
        for query in ["go-get=1&x", "go-get=1abc", "Go-Get[]=1", "x;go_get", "go%2Dget=1"] {
            assert_eq!(asked("GET", "/g/p", Some(query)), Ok(Some(public())), "{query}");
            assert_eq!(asked("POST", "/g/p", Some(query)), Err(Malformed::MethodUnknown), "{query}");
        }
    }

    #[test]
    fn documents_are_everybodys() {
        for path in ["/.well-known/terraform.json", "/.well-known/openid-configuration", "/oauth/discovery/keys"] {
            assert_eq!(asked("HEAD", path, None), Ok(Some(public())), "{path}");
            assert_eq!(asked("POST", path, None), Ok(None), "{path}");
        }
        for path in ["/.well-known", "/x/.well-known/y", "/dashboard", "/-/jwks/x"] {
            assert_eq!(asked("GET", path, None), Ok(None), "{path}");
        }
        assert!(asks(&[public()]) && !asks(&[public(), public()]) && !asks(&[]));
    }
}
