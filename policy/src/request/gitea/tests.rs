use std::borrow::ToOwned;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::facts::ProjectPath;

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

fn asked(method: &str, path: &str) -> Result<(Action, TargetRef), Malformed> {
    read(method.as_bytes(), path).map(|route| (route.access.action, route.access.target))
}

fn project(path: &str) -> TargetRef {
    TargetRef::Path(ProjectPath::parse(path).unwrap())
}

fn owner(path: &str) -> TargetRef {
    let group = GroupRef::Path(GroupPath::parse(path).unwrap());
    TargetRef::Held(Arc::new(Holding { group, sought: Sought::Owned }))
}

/// A path that a pattern covers: a number for a number, and two segments for several.
fn sample(pattern: &str) -> String {
    let segment = |part: &str| match () {
        () if part.ends_with("_id") => "7".to_owned(),
        () if part.starts_with(':') => "v1.0".to_owned(),
        () if part.starts_with('*') => "main/v1.0".to_owned(),
        () => part.to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The paths of a family below a repository, as a client writes them.
fn paths(family: &Family, base: &str) -> Vec<String> {
    let behind = |path: &str| if path.is_empty() { String::new() } else { format!("/{}", sample(path)) };
    family.paths().map(|path| format!("{base}{}", behind(path))).collect()
}

#[test]
fn each_endpoint_reads_as_the_table_says() {
    for family in GITEA {
        for path in paths(family, "/api/v1/repos/Team/Web") {
            assert_eq!(asked(family.method, &path), Ok((family.action, project("team/web"))), "{path}");
            if family.method == "GET" {
                assert_eq!(asked("HEAD", &path), asked("GET", &path), "{path}");
            }
        }
    }
    for family in ON_WEB {
        for path in paths(family, "/Team/Web") {
            let access = Access::new(family.action, project("team/web"));
            assert_eq!(on_web(family.method.as_bytes(), &path), Ok(Some(access)), "{path}");
            assert_eq!(on_web(b"POST", &path), Ok(None), "{path}");
        }
    }
    for (registry, action) in REGISTRIES {
        for path in [format!("/api/packages/Team/{registry}/a/b"), format!("/api/packages/Team/{registry}/a/")] {
            assert_eq!(asked("GET", &path), Ok((action, owner("team"))), "{path}");
            for method in ["POST", "PUT", "DELETE"] {
                assert_eq!(asked(method, &path), Ok((Action::Unlisted, owner("team"))), "{method} {path}");
            }
        }
    }
}

#[test]
fn no_endpoint_stands_twice_and_a_method_that_is_not_listed_is_refused() {
    let mut seen = Vec::new();
    for family in GITEA {
        for path in family.paths() {
            assert!(!seen.contains(&(family.method, path)), "{} {path}", family.method);
            seen.push((family.method, path));
        }
    }
    for family in GITEA {
        for (path, pattern) in paths(family, "/api/v1/repos/o/r").iter().zip(family.paths()) {
            for other in METHODS.iter().filter(|other| **other != "HEAD" && **other != family.method) {
                let is_listed =
                    |one: &&Family| one.method == *other && one.paths().any(|known| sample(known) == sample(pattern));
                let expected = GITEA.iter().find(is_listed).map_or(Action::Unlisted, |one| one.action);
                assert_eq!(asked(other, path), Ok((expected, project("o/r"))), "{other} {path}");
            }
        }
    }
}

#[test]
fn what_is_no_jobs_is_refused() {
    for (method, path) in [
        ("DELETE", "/api/v1/repos/o/r"),
        ("PATCH", "/api/v1/repos/o/r"),
        ("POST", "/api/v1/repos/o/r/forks"),
        ("POST", "/api/v1/repos/o/r/generate"),
        ("POST", "/api/v1/repos/o/r/transfer"),
        ("POST", "/api/v1/repos/o/r/pulls"),
        ("POST", "/api/v1/repos/o/r/pulls/5/merge"),
        ("POST", "/api/v1/repos/o/r/pulls/5/update"),
        ("GET", "/api/v1/repos/o/r/compare/main...other:main"),
        ("GET", "/api/v1/repos/o/r/hooks"),
        ("GET", "/api/v1/repos/o/r/keys"),
        ("GET", "/api/v1/repos/o/r/collaborators"),
        ("GET", "/api/v1/repos/o/r/actions/variables"),
        ("PUT", "/api/v1/repos/o/r/actions/secrets/X"),
        ("GET", "/api/v1/repos/o/r/actions/secrets"),
        ("GET", "/api/v1/repos/o/r/actions/runners/registration-token"),
        ("GET", "/api/v1/repos/o/r/actions/jobs/7/logs"),
        ("GET", "/api/v1/repos/o/r/issues/comments/7"),
        ("POST", "/api/v1/repos/o/r/wiki/new"),
    ] {
        assert_eq!(asked(method, path), Ok((Action::Unlisted, project("o/r"))), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/api/v1/user"),
        ("GET", "/api/v1/admin/users"),
        ("POST", "/api/v1/admin/users"),
        ("GET", "/api/v1/orgs/o"),
        ("GET", "/api/v1/repos/search"),
        ("POST", "/api/v1/repos/migrate"),
        ("GET", "/api/v1/repos/issues/search"),
        ("GET", "/api/v1/repositories/7"),
        ("GET", "/api/v2/repos/o/r"),
        ("GET", "/api/V1/repos/o/r"),
        ("GET", "/api/internal/x"),
        ("POST", "/api/actions/runner.v1.RunnerService/FetchTask"),
        ("POST", "/api/v1/version"),
        ("GET", "/api/packages/go/npm/x"),
        ("GET", "/api/packages/o"),
    ] {
        assert_eq!(asked(method, path), Ok((Action::Unlisted, TargetRef::None)), "{method} {path}");
    }
    for path in
        ["/api/packages/o/conan/v2/users/authenticate", "/api/packages/o/vagrant/authenticate", "/api/packages/o/NPM/x"]
    {
        assert_eq!(asked("GET", path), Ok((Action::Unlisted, owner("o"))), "{path}");
    }
}

#[test]
fn what_the_forge_may_read_otherwise_is_refused() {
    for (path, malformed) in [
        ("/api/v1/repos/o/r/", Malformed::TrailingSlash),
        ("/api/v1/repos/o%2Fr/x", Malformed::EncodedSlash),
        ("/api/v1/repos/o/r%2Fbranches", Malformed::EncodedSlash),
        ("/api/v1/repos/o/r/branches/a%2Fb", Malformed::EncodedSlash),
        ("/api/v1/repos/o/r.git", Malformed::ProjectPath),
        ("/api/v1/repos/o/r.GIT/tags", Malformed::ProjectPath),
        ("/api/v1/repos/o/r.wiki/tags", Malformed::ProjectPath),
        ("/api/v1/repos/o/r.rss", Malformed::ProjectPath),
        ("/api/v1/repos/-/r", Malformed::ReservedWord),
        ("/api/v1/repos/o/r%20s", Malformed::ProjectPath),
        ("/api/v1/repos/o/r:s", Malformed::ProjectPath),
        ("/api/packages/o/maven/g%2Fa", Malformed::EncodedSlash),
        ("/api/packages/o%2Fnpm/npm/a", Malformed::EncodedSlash),
        ("/api/packages/o/npm/@s%2F..%2F..%2Fp", Malformed::DotSegment),
        ("/api/packages/o/npm/@s%2F%2Fp", Malformed::EmptySegment),
        ("/api/packages/o%40/npm/a", Malformed::ProjectPath),
        ("/api/v1/packages/-o", Malformed::ProjectPath),
    ] {
        assert_eq!(asked("GET", path), Err(malformed), "{path}");
    }
    assert_eq!(asked("GET", "/api/packages/o/npm/@s%2fp"), Ok((Action::ReadNpm, owner("o"))));
    for path in ["/o/r/raw/branch%2Fmain", "/o/r.git/raw/x", "/o/r.wiki/raw/x", "/-/r/raw/x"] {
        assert!(on_web(b"GET", path).is_err(), "{path}");
    }
    for path in ["/o/r/raw", "/o/r/src/raw/x", "/o/r/releases/download/v1", "/attachments/7", "/o/r/attachments/7"] {
        assert_eq!(on_web(b"GET", path), Ok(None), "{path}");
    }
}

/// Whatever is changed in a path, it is refused, or read as a route of the repository that stands in it.
#[test]
fn a_path_with_a_byte_changed_means_no_other_repository() {
    const OTHERS: &[u8] = b"/.%aZ0-_:@";
    let is_one = |path: &str, target: &TargetRef| {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let named = match segments.as_slice() {
            ["api", "v1", "repos", owner, name, ..] => ProjectPath::parse(&format!("{owner}/{name}")),
            _ => None,
        };
        *target == TargetRef::None || named.is_some_and(|path| *target == TargetRef::Path(path))
    };
    for family in GITEA {
        for path in paths(family, "/api/v1/repos/team/web") {
            for at in 0..path.len() {
                let changed = OTHERS.iter().flat_map(|other| {
                    let (mut replaced, mut inserted) = (path.clone().into_bytes(), path.clone().into_bytes());
                    replaced[at] = *other;
                    inserted.insert(at, *other);
                    vec![replaced, inserted]
                });
                for changed in changed {
                    let changed = String::from_utf8(changed).unwrap();
                    // The spelling is checked before any path is read.
                    if path::target(changed.as_bytes(), "").is_err() || !changed.starts_with("/api/") {
                        continue;
                    }
                    if let Ok((_, target)) = asked(family.method, &changed) {
                        assert!(is_one(&changed, &target), "{changed}: {target:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn artifacts_of_the_own_run_are_the_jobs() {
    let run = "/api/actions_pipeline/_apis/pipelines/workflows/7/artifacts";
    assert_eq!(asked("GET", run), Ok((Action::ReadOwnJob, TargetRef::Own)));
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(asked(method, &format!("{run}/x/upload")), Ok((Action::UploadArtifact, TargetRef::Own)));
    }
    let twirp = format!("{ARTIFACTS}CreateArtifact");
    assert_eq!(asked("POST", &twirp), Ok((Action::UploadArtifact, TargetRef::Own)));
    assert_eq!(asked("GET", &twirp), Ok((Action::Unlisted, TargetRef::None)));
    assert_eq!(asked("POST", &format!("{twirp}/x")), Ok((Action::Unlisted, TargetRef::None)));
}
