use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;
use std::{format, fs};

use super::*;
use crate::access::Sought;
use crate::facts::{GroupId, GroupPath, GroupRef, JobId, ProjectId, ProjectPath};

fn at(version: Version, method: &str, path: &str) -> Result<Route, Malformed> {
    read(version, &[], method.as_bytes(), &format!("/api/v4/{path}"))
}

fn asked(method: &str, path: &str) -> Result<(Action, TargetRef), Malformed> {
    at(Version::NEWEST, method, path).map(|route| (route.access.action, route.access.target))
}

fn action(method: &str, path: &str) -> Result<Action, Malformed> {
    asked(method, path).map(|(action, _)| action)
}

fn group(path: &str) -> GroupRef {
    GroupRef::Path(GroupPath::parse(path).unwrap())
}

fn namespace(path: &str) -> GroupRef {
    GroupRef::Namespace(GroupPath::parse(path).unwrap())
}

/// What is asked of whom, where that is a group: the names of a package, or none where no package is named.
fn sought(method: &str, path: &str) -> Option<(GroupRef, Vec<String>)> {
    let (action, target) = asked(method, path).unwrap();
    assert!(action != Action::Unlisted, "{path}");
    let TargetRef::Held(holding) = target else { return None };
    let names = match &holding.sought {
        Sought::Everything | Sought::Owned => Vec::new(),
        Sought::Package(package) | Sought::File(package) => package.names().to_vec(),
    };
    Some((holding.group.clone(), names))
}

fn project(path: &str) -> TargetRef {
    TargetRef::Path(ProjectPath::parse(path).unwrap())
}

/// A path that a pattern covers.
fn example(pattern: &str) -> String {
    let segment = |part: &str| match part {
        ":project" | ":group" => "7".into(),
        ":recipe_user" | ":package_username" => "g+p".into(),
        "*project_version" => "g/p/1".into(),
        _ => match (part.strip_prefix(':'), part.strip_prefix('*')) {
            (Some(name), _) if name == "id" || name.ends_with("_id") || name.ends_with("_iid") => "7".into(),
            (Some(name), _) => name.split_once('.').map_or("v1".into(), |(_, suffix)| format!("v1.{suffix}")),
            (None, Some(_)) => "w".into(),
            (None, None) => String::from(part),
        },
    };
    pattern.trim_matches('/').split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[test]
fn an_endpoint_is_its_method_and_its_whole_path() {
    for (method, path, action) in [
        ("GET", "projects/5/releases", Action::ReadReleases),
        ("HEAD", "projects/5/releases/v1%2F0", Action::ReadReleases),
        ("PUT", "projects/5/packages/generic/n/1.0/d/e/f.txt", Action::PublishGeneric),
        ("GET", "projects/5/packages/npm/@scope%2fpkg", Action::ReadNpm),
        ("GET", "projects/5/packages/npm/@scope/pkg/-/pkg-1.0.tgz", Action::ReadNpm),
        ("GET", "projects/5/packages/go/example.com/m/@v/v1.0.0.zip", Action::ReadGo),
        ("POST", "projects/5/ref/main/trigger/pipeline", Action::TriggerPipeline),
        ("GET", "projects/5/releases/v1/x/y", Action::Unlisted),
        ("DELETE", "projects/5", Action::Unlisted),
        ("GET", "users", Action::Unlisted),
        ("GET", "Projects/5/releases", Action::Unlisted),
        ("GET", "projects/5/jobs/0x7/artifacts", Action::Unlisted),
        ("POST", "jobs/request", Action::Unlisted),
        // No job token is for another method.
        ("PATCH", "projects/5/releases", Action::Unlisted),
        ("POST", "projects/5/issues", Action::Unlisted),
        ("PUT", "groups/5/-/packages/pypi/simple", Action::Unlisted),
        ("PUT", "packages/maven/g/a/1/a.jar", Action::Unlisted),
        ("DELETE", "jobs/7", Action::Unlisted),
        // A ref has slashes, as it is.
        ("GET", "projects/5/jobs/artifacts/feature/x/download", Action::ReadArtifacts),
        ("GET", "projects/5/jobs/artifacts/feature%2Fx/download", Action::ReadArtifacts),
        ("GET", "projects/5/jobs/artifacts/feature/x/y/raw/a/b.txt", Action::ReadArtifacts),
        ("POST", "projects/5/ref/feature/x/trigger/pipeline", Action::TriggerPipeline),
        ("GET", "projects/5/packages/go/example.com/m/@latest", Action::ReadGo),
        ("GET", "projects/5/packages/go/sumdb/sum.golang.org/supported", Action::ReadGo),
        ("HEAD", "projects/5/packages/rubygems/", Action::ReadGem),
        // It would make of the token one that is its whole user's and outlives the job.
        ("POST", "token_exchange", Action::Unlisted),
        // A group's endpoints are not a project's, and composer's `group` is nobody else's.
        ("PUT", "groups/g/-/packages/generic/n/1/f", Action::Unlisted),
        ("GET", "groups/g/packages/npm/x", Action::Unlisted),
        ("GET", "groups/g/-/packages/composer/packages.json", Action::Unlisted),
        ("GET", "group/g/-/packages/npm/x", Action::Unlisted),
    ] {
        assert_eq!(self::action(method, path), Ok(action), "{method} {path}");
    }
    for (method, path, malformed) in [
        ("PATCH", "projects/05/releases", Malformed::ProjectId),
        ("GET", "projects/05/nothing", Malformed::ProjectId),
        ("POST", "projects/5/trigger/pipeline.json", Malformed::PathFormat),
        ("GET", "projects/5/releases/", Malformed::TrailingSlash),
        ("GET", "projects/5/nothing/", Malformed::TrailingSlash),
        ("GET", "", Malformed::TrailingSlash),
        ("PUT", "projects/5/packages/generic/n/1/f/authorize", Malformed::InternalRoute),
        ("PUT", "projects/5/packages/nuget/authorize/", Malformed::InternalRoute),
        ("POST", "internal/allowed", Malformed::InternalRoute),
        ("GET", "projects/5/packages/generic/n/1/..%2F..%2Fx", Malformed::DotSegment),
        ("GET", "packages/npm/@g%2f..%2fx", Malformed::DotSegment),
        ("GET", "groups/g%2F..%2Fs/-/packages/pypi/simple", Malformed::ProjectId),
    ] {
        assert_eq!(self::action(method, path), Err(malformed), "{method} {path}");
    }
}

#[test]
fn a_slash_at_the_end_is_for_those_whose_clients_write_it() {
    for (method, path) in [
        ("PUT", "projects/5/packages/nuget"),
        ("PUT", "projects/5/packages/nuget/symbolpackage"),
        ("GET", "projects/5/packages/pypi/simple/requests"),
        ("GET", "groups/5/-/packages/pypi/simple/requests"),
    ] {
        assert_eq!(asked(method, path), asked(method, &format!("{path}/")), "{path}");
        assert!(asked(method, path).is_ok(), "{path}");
    }
    for (method, path) in [
        ("POST", "projects/5/packages/pypi/"),
        ("GET", "projects/5/packages/npm/pkg/"),
        ("GET", "projects/5/packages/nuget/index.json/"),
        ("GET", "groups/5/-/packages/npm/pkg/"),
    ] {
        assert_eq!(action(method, path), Err(Malformed::TrailingSlash), "{path}");
    }
}

#[test]
fn a_runner_names_a_job() {
    let job = JobId(7);
    for (method, path, action, target) in [
        ("PUT", "jobs/7", Action::UpdateJob, TargetRef::Job(job)),
        ("PATCH", "jobs/7/trace", Action::TraceJob, TargetRef::Job(job)),
        ("POST", "jobs/7/artifacts/authorize", Action::UploadArtifact, TargetRef::Job(job)),
        ("GET", "jobs/7/artifacts", Action::DownloadOwnArtifact, TargetRef::ProjectOfJob(job)),
        ("GET", "job", Action::ReadOwnJob, TargetRef::Own),
        ("HEAD", "job/allowed_agents", Action::ReadOwnJob, TargetRef::Own),
    ] {
        assert_eq!(asked(method, path), Ok((action, target)), "{path}");
    }
    for (method, path, malformed) in [
        ("PUT", "jobs/07", Malformed::ProjectId),
        ("PUT", "jobs/0", Malformed::ProjectId),
        ("PUT", "jobs/x", Malformed::Unclassifiable),
        ("PUT", "jobs/0x7", Malformed::Unclassifiable),
        ("GET", "jobs/7/other", Malformed::Unclassifiable),
    ] {
        assert_eq!(action(method, path), Err(malformed), "{path}");
    }
}

#[test]
fn a_groups_packages_are_sought_in_the_group_by_the_name_that_the_path_has() {
    for (path, names) in [
        ("npm/@other%2fpkg", &["@other/pkg"][..]),
        ("npm/-/package/@other%2fpkg/dist-tags", &["@other/pkg"]),
        ("npm/-/v1/search", &[]),
        ("maven/org/A/1/a.pom", &["org/a", "org/a/1"]),
        ("maven/org/a/maven-metadata.xml", &["org", "org/a"]),
        ("pypi/simple", &[]),
        ("pypi/simple/", &[]),
        ("pypi/simple/My_Tool", &["my-tool"]),
        ("pypi/simple/My_Tool/", &["my-tool"]),
        ("pypi/files/abc/a-1.whl", &["a"]),
        ("nuget/index.json", &[]),
        ("nuget/query", &[]),
        ("nuget/metadata/A/1.0.json", &["a"]),
        ("nuget/metadata/A/index.json", &["a"]),
        ("debian/dists/sid/Release", &[]),
    ] {
        for (id, is) in [("G%2Fs", group("g/s")), ("7", GroupRef::Id(GroupId(7)))] {
            let expected = names.iter().map(|name| String::from(*name)).collect();
            assert_eq!(sought("GET", &format!("groups/{id}/-/packages/{path}")), Some((is, expected)), "{path}");
        }
    }
    for (path, names) in [
        ("packages", &[][..]),
        ("packages.json", &[]),
        ("p/abc", &[]),
        ("p2/vendor/name.json", &["vendor/name", "vendor/name.json"]),
        ("vendor/name$abc.json", &["vendor/name"]),
    ] {
        let expected = names.iter().map(|name| String::from(*name)).collect();
        assert_eq!(
            sought("GET", &format!("group/7/-/packages/composer/{path}")),
            Some((GroupRef::Id(GroupId(7)), expected)),
            "{path}"
        );
    }
    let audit = "groups/g/-/packages/npm/-/npm/v1/security/audits/quick";
    assert_eq!(sought("POST", audit), Some((group("g"), Vec::new())));
}

#[test]
fn a_groups_pool_of_debian_names_the_project() {
    for pool in
        ["groups/g/-/packages/debian/pool/sid/5/a/a/1.0/a_1.0.deb", "groups/7/-/packages/debian/pool/sid/5/a.deb"]
    {
        assert_eq!(asked("GET", pool), Ok((Action::ReadDebian, TargetRef::Id(ProjectId(5)))), "{pool}");
    }
    assert_eq!(action("GET", "groups/g/-/packages/debian/pool/sid/g%2Fp/a.deb"), Ok(Action::Unlisted));
}

#[test]
fn the_whole_instances_packages_are_a_namespaces_or_a_projects_or_nobodys() {
    for (path, is, name) in [
        ("packages/npm/@g%2fpkg", namespace("g"), "@g/pkg"),
        ("packages/npm/@G/Pkg", namespace("g"), "@g/pkg"),
        ("packages/npm/-/package/@g%2fpkg/dist-tags", namespace("g"), "@g/pkg"),
        ("packages/terraform/modules/v1/g/mod/aws/versions", namespace("g"), "mod/aws"),
        ("packages/terraform/modules/v1/g%2Fs/mod/aws", namespace("g/s"), "mod/aws"),
        ("packages/terraform/modules/v1/g/mod/aws/1.0.0/file", namespace("g"), "mod/aws"),
        ("packages/terraform/modules/v1/7/mod/aws/1.0.0/download", GroupRef::Id(GroupId(7)), "mod/aws"),
    ] {
        assert_eq!(sought("GET", path), Some((is, std::vec![name.into()])), "{path}");
    }
    for path in ["packages/npm/pkg", "packages/npm/-/v1/search", "packages/conan/v1/conans/search"] {
        assert_eq!(asked("GET", path).unwrap().1, TargetRef::None, "{path}");
    }
    assert_eq!(asked("POST", "packages/npm/-/npm/v1/security/audits/quick").unwrap().1, TargetRef::None);
    assert_eq!(asked("GET", "packages/maven/G/p/1/p.pom"), Ok((Action::ReadMaven, project("g/p"))));
}

#[test]
fn a_conan_recipe_names_its_project() {
    for path in [
        "packages/conan/v1/conans/n/1.0/g+S+p/stable",
        "packages/conan/v1/conans/n/1.0/g%2Bs%2bp/stable/search",
        "packages/conan/v1/files/n/1.0/g+s+p/stable/0/export/conanfile.py",
        "packages/conan/v2/conans/n/1.0/g+s+p/stable/revisions/abc/files/conanfile.py",
    ] {
        assert_eq!(asked("GET", path), Ok((Action::ReadConan, project("g/s/p"))), "{path}");
    }
    assert_eq!(
        asked("PUT", "packages/conan/v1/files/n/1.0/g+p/stable/0/package/1/0/conaninfo.txt"),
        Ok((Action::PublishConan, project("g/p")))
    );
    // Below a project it is that project's, whatever the recipe says.
    let below = "projects/5/packages/conan/v1/conans/n/1.0/other+p/stable";
    assert_eq!(asked("GET", below), Ok((Action::ReadConan, TargetRef::Id(ProjectId(5)))));
    assert_eq!(action("GET", "projects/5/packages/conan/v1/conans/n/1.0/_/_"), Ok(Action::ReadConan));
    for (user, malformed) in [
        ("_", Malformed::ProjectShort),
        ("5", Malformed::ProjectShort),
        ("g%2Fp", Malformed::ProjectPath),
        ("g++p", Malformed::ProjectPath),
        ("g+..", Malformed::ProjectPath),
    ] {
        let path = format!("packages/conan/v1/conans/n/1.0/{user}/stable");
        assert_eq!(action("GET", &path), Err(malformed), "{user}");
    }
}

#[test]
fn a_conan_login_asks_for_nothing_but_below_a_project() {
    for version in ["v1", "v2"] {
        for route in ["ping", "users/authenticate", "users/check_credentials"] {
            let all = format!("packages/conan/{version}/{route}");
            assert_eq!(asked("GET", &all), Ok((Action::LoginConan, TargetRef::None)), "{all}");
            let one = format!("projects/5/packages/conan/{version}/{route}");
            assert_eq!(asked("GET", &one), Ok((Action::FindConan, TargetRef::Id(ProjectId(5)))), "{one}");
        }
    }
}

#[test]
fn every_row_is_reached_and_none_stands_twice() {
    let mut seen = BTreeSet::new();
    for (table, row) in table::rows() {
        let parts: Vec<&str> = table.pattern(row).collect();
        let path = example(&parts.join("/"));
        assert!(seen.insert((row.method, parts.clone())), "{parts:?}");
        let segments: Vec<&str> = path.split('/').collect();
        let found = covering(Version::NEWEST, &segments).find(|(_, found, _)| found.method == row.method);
        let (by_table, by_row, _) = found.unwrap();
        assert_eq!((by_table.base.text(), by_row), (table.base.text(), row), "{path}");
        let (_, target) = asked(row.method, &path).unwrap();
        let is_of_one = row.whose == Whose::OwnJobs || owner::span(table.pattern(row)) == Span::One;
        assert_eq!(target.is_single(), is_of_one, "{path}");
    }
    assert_eq!(endpoints().count(), seen.len());
}

/// What no job token needs, though GitLab's list has it.
const EXCEPTIONS: &[(&str, &str)] = &[("/authorize", "the forge's own proxy asks these, never a client")];

#[test]
fn every_documented_endpoint_is_listed() {
    let list = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/documented-endpoints.txt")).unwrap();
    let mut used = BTreeSet::new();
    let mut endpoints = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (method, pattern) = line.split_once(' ').unwrap();
        // What stands in parentheses may be left out.
        let whole = pattern.replace(['(', ')'], "");
        let (before, rest) = pattern.split_once('(').unwrap_or((pattern, ""));
        let bare = format!("{before}{}", rest.rsplit_once(')').map_or("", |(_, behind)| behind));
        for pattern in [whole, bare] {
            let read = action(method, &example(&pattern));
            match EXCEPTIONS.iter().find(|(end, _)| pattern.ends_with(end)) {
                Some((end, _)) => {
                    used.insert(*end);
                    assert_eq!(read, Err(Malformed::InternalRoute), "{line}");
                }
                None => assert!(!matches!(read, Ok(Action::Unlisted) | Err(_)), "{line}: {read:?}"),
            }
        }
        endpoints += 1;
    }
    assert!(endpoints > 150 && used.len() == EXCEPTIONS.len());
}

/// Whether a pattern covers a path, and which part each of its names takes, in the way of a reader who has all day.
fn slow_fit<'a>(pattern: &[&'a str], segments: &[&str]) -> Option<Vec<(&'a str, String)>> {
    let Some((part, rest)) = pattern.split_first() else { return segments.is_empty().then(Vec::new) };
    let most = if part.starts_with('*') { segments.len() } else { segments.len().min(1) };
    (1..=most).rev().find_map(|taken| {
        let value = segments[..taken].join("/");
        let fits = match part.strip_prefix(':') {
            Some(name) if name.ends_with("_id") || name.ends_with("_iid") => value.bytes().all(|b| b.is_ascii_digit()),
            Some(name) => name
                .split_once('.')
                .is_none_or(|(_, end)| value.len() > end.len() + 1 && value.ends_with(&format!(".{end}"))),
            None => part.starts_with('*') || value == *part,
        };
        let named = if fits { slow_fit(rest, &segments[taken..]) } else { None };
        named.map(|named| core::iter::once((*part, value)).chain(named).collect())
    })
}

#[test]
fn a_walk_by_bases_finds_what_a_walk_along_all_rows_finds() {
    let words = ["7", "projects", "packages", "-", "npm", "v1", "job", "groups", "x.json", "artifacts", "@s%2fp", "05"];
    let endpoints: Vec<Endpoint> = endpoints().collect();
    let patterns: Vec<Vec<&str>> =
        endpoints.iter().map(|one| one.path.split('/').filter(|part| !part.is_empty()).collect()).collect();
    let mut seed: u32 = 1;
    let mut next = move |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    let (mut listed, mut all) = (0, 0);
    for (endpoint, mutation) in endpoints.iter().flat_map(|endpoint| (0..16).map(move |mutation| (endpoint, mutation)))
    {
        let plain = example(&endpoint.path);
        let mut segments: Vec<&str> = plain.split('/').collect();
        let (at, word) = (next(segments.len()), words[next(words.len())]);
        match mutation {
            0 => {}
            n if n % 4 == 0 => drop(segments.remove(at)),
            n if n % 4 == 1 => segments.insert(at, word),
            n if n % 4 == 2 => segments[at] = word,
            _ => segments.push(word),
        }
        let quick: Vec<_> = covering(Version::NEWEST, &segments)
            .map(|(_, row, owners)| (row.method, row.action, owners.read()))
            .collect();
        let slow: Vec<_> = endpoints
            .iter()
            .zip(&patterns)
            .filter_map(|(one, pattern)| Some((one.method, one.action, slow_fit(pattern, &segments)?)))
            .collect();
        assert_eq!(quick.len(), slow.len(), "{segments:?}");
        for ((method, action, target), (slow_method, slow_action, named)) in quick.iter().zip(&slow) {
            assert_eq!((method, action), (slow_method, slow_action), "{segments:?}");
            if let Some((_, id)) = named.iter().find(|(name, _)| *name == ":project") {
                assert_eq!(*target, owner::project(id), "{segments:?}");
            }
        }
        (listed, all) = (listed + usize::from(!slow.is_empty()), all + 1);
    }
    assert!(listed > all / 4 && listed < all * 3 / 4, "{listed} of {all}");
}

#[test]
fn a_value_has_unreserved_letters_in_either_spelling_and_a_word_in_one() {
    for (path, plain) in [
        ("projects/5/repository/files/src%2Fmain%2Esh/raw", "projects/5/repository/files/src%2Fmain.sh/raw"),
        ("projects/5/releases/v1%2E0%2Da%5Fb%7Ec", "projects/5/releases/v1.0-a_b~c"),
        ("projects/%67%2fp%2Ejs/releases", "projects/g%2fp.js/releases"),
        (
            "projects/5/packages/debian/pool/s/5/j/n/1.0%7erc1/n_1.0%7erc1_a.deb",
            "projects/5/packages/debian/pool/s/5/j/n/1.0~rc1/n_1.0~rc1_a.deb",
        ),
        ("projects/5/packages/npm/%40a%2fb%2Dc", "projects/5/packages/npm/%40a%2fb-c"),
    ] {
        assert!(asked("GET", plain).is_ok(), "{plain}");
        assert_eq!(asked("GET", path), asked("GET", plain), "{path}");
    }
    for (path, malformed) in [
        ("projects/5/rele%61ses", Malformed::NeedlessEncoding),
        ("projects/5/releases/perm%61link/latest", Malformed::NeedlessEncoding),
        ("projects/5/jobs/%37/artifacts", Malformed::NeedlessEncoding),
        ("projects/5/packages/go/m/@v/v1%2Einfo", Malformed::EncodedDotSegment),
        ("projects/5/releases/%2E%2e", Malformed::DotSegment),
        ("projects/5/releases/%2E", Malformed::DotSegment),
        ("projects/5/repository/files/a%2F%2E%2E%2Fb/raw", Malformed::DotSegment),
        ("projects/5/%2e%2e/x", Malformed::DotSegment),
        ("projects/5/packages/generic/n/1/f/%61uthorize", Malformed::InternalRoute),
        ("%69nternal/allowed", Malformed::InternalRoute),
    ] {
        assert_eq!(action("GET", path), Err(malformed), "{path}");
    }
}

/// What an endpoint asks, of which role at least beyond what the action needs, and which parts open it.
fn row(method: &str, path: &str) -> (Action, Role, &'static [Feature]) {
    let access = at(Version::NEWEST, method, &format!("projects/5/{path}")).unwrap().access;
    (access.action, access.least, access.open)
}

#[test]
fn what_gitlab_keeps_to_maintainers_is_theirs() {
    for (method, path) in [
        ("DELETE", "registry/repositories/1"),
        ("DELETE", "registry/repositories/1/tags"),
        ("POST", "environments/stop_stale"),
        ("DELETE", "packages/npm/-/package/@s%2fp/dist-tags/latest"),
    ] {
        let (action, least, _) = row(method, path);
        assert_eq!(least.max(crate::rules::need(action).role), Role::Maintainer, "{path}");
    }
    for (method, path) in [
        ("DELETE", "registry/repositories/1/tags/v1"),
        ("POST", "environments/1/stop"),
        ("PUT", "packages/npm/-/package/@s%2fp/dist-tags/latest"),
    ] {
        let (action, least, _) = row(method, path);
        assert_eq!(least.max(crate::rules::need(action).role), Role::Developer, "{path}");
    }
}

#[test]
fn npm_deprecates_with_a_field_what_it_otherwise_publishes() {
    let route = at(Version::NEWEST, "PUT", "projects/5/packages/npm/@s%2fp").unwrap();
    let asked = |fields: &[(&[u8], &[u8])]| {
        let head = Head::new(fields, super::super::Body::None);
        route.clone().with_head(&head).access.action
    };
    assert_eq!(asked(&[]), Action::PublishNpm);
    assert_eq!(asked(&[(b"npm-command", b"publish")]), Action::PublishNpm);
    for value in [&b"deprecate"[..], b" deprecate "] {
        assert_eq!(asked(&[(b"npm-command", value)]), Action::DeletePackages);
    }
    // With these the forge publishes.
    assert_eq!(asked(&[(b"npm-command", b"Deprecate")]), Action::PublishNpm);
    for other in [&b"publish"[..], b"deprecate", b""] {
        assert_eq!(asked(&[(b"npm-command", other), (b"npm-command", b"deprecate")]), Action::PublishNpm);
    }
    assert_eq!(row("GET", "packages/npm/p").0, Action::ReadNpm);
}

#[test]
fn the_parts_that_open_an_endpoint_are_gitlabs() {
    use Feature::{Builds, Environments, Issues, MergeRequests, Packages, Releases, Repository};
    let code: &[Feature] = &[Repository, Builds];
    for (path, open) in [
        ("pipelines", code),
        ("pipelines/1", code),
        ("pipelines/1/jobs", code),
        ("pipelines/1/bridges", code),
        ("jobs/artifacts/main/raw/a/b", code),
        ("environments", &[Repository, Builds, Environments]),
        ("repository/commits/main", &[Repository]),
        ("repository/commits/main/merge_requests", &[Repository, MergeRequests]),
        ("merge_requests", &[Repository, MergeRequests]),
        ("merge_requests/1/notes", &[Repository, MergeRequests]),
        ("issues", &[Issues]),
        ("issues/1", &[Issues]),
        ("repository/branches", &[Repository]),
        ("repository/tags", &[Repository]),
        ("repository/files/a%2fb/raw", &[Repository]),
        ("releases", &[Repository, Releases]),
        ("releases/v1", &[Repository, Releases]),
        ("releases/v1/downloads/a/b", &[Repository, Releases]),
        ("releases/permalink/latest", &[Repository, Releases]),
        ("releases/permalink/latest/downloads/a", &[Repository, Releases]),
        ("releases/v1/assets/links", &[Releases]),
        ("releases/v1/assets/links/1", &[Releases]),
        ("packages/generic/p/1/a", &[Packages]),
        ("packages/pypi/simple/p", &[Packages]),
        ("packages/pypi/files/0/p-1.whl", &[Packages]),
        ("packages/1/package_files", &[Packages]),
        ("packages/npm/p/-/p-1.tgz", &[Packages]),
        ("packages/conan/v2/conans/n/1/u/c/latest", &[Packages]),
        ("packages/conan/v1/conans/n/1/u/c", &[Packages]),
        // An archive of artifacts is nobody's who is not let in.
        ("jobs/artifacts/main/download", &[]),
        ("jobs/1/artifacts", &[]),
        ("jobs/1/artifacts/tree", &[]),
        ("jobs/1/artifacts/a/b", &[]),
        ("jobs", &[]),
    ] {
        assert_eq!(row("GET", path).2, open, "{path}");
    }
    assert_eq!(at(Version::NEWEST, "GET", "jobs/7/artifacts").unwrap().access.open, code);
}

#[test]
fn the_changelog_is_made_from_code() {
    let (action, ..) = row("GET", "repository/changelog");
    let need = crate::rules::need(action);
    assert_eq!((need.feature, need.role), (Some(Feature::Repository), Role::Planner));
}

#[test]
fn a_row_is_there_from_its_version_on() {
    for (method, path, since) in [
        ("GET", "projects/5/repository/tags/v1", Version(18, 8)),
        ("GET", "projects/5/repository/archive", Version(19, 3)),
        ("GET", "projects/5/repository/archive.tar.gz", Version(19, 3)),
        ("GET", "projects/5/repository/commits/main/refs", Version(19, 4)),
        ("GET", "projects/5/badges", Version(19, 1)),
        ("GET", "projects/5/badges/render", Version(19, 1)),
        ("DELETE", "projects/5/badges/7", Version(19, 1)),
        ("GET", "projects/5/pipelines/7/trigger_jobs", Version(19, 2)),
        ("GET", "projects/5/packages/cargo/se/rd/serde", Version(19, 0)),
        ("GET", "projects/5/packages/cargo/serde/1.0.0/download", Version(19, 0)),
        ("POST", "job/test_balancing/request", Version(19, 4)),
        ("GET", "projects/5/dependency_firewall/enablement", Version(19, 4)),
        (
            "GET",
            "projects/5/packages/pypi/forward/requests/files.pythonhosted.org/packages/aa/r-2.tar.gz",
            Version(19, 4),
        ),
    ] {
        let action = |version| at(version, method, path).map(|route| route.access.action);
        assert!(action(since).is_ok_and(|action| action != Action::Unlisted), "{path}");
        assert!(action(Version::NEWEST).is_ok_and(|action| action != Action::Unlisted), "{path}");
        let before = if since.1 == 0 { Version(since.0 - 1, 11) } else { Version(since.0, since.1 - 1) };
        assert!(!action(before).is_ok_and(|action| action != Action::Unlisted), "{path} at {before}");
    }
    assert_eq!(action("GET", "projects/5/repository/archive.exe"), Err(Malformed::PathFormat));
}

#[test]
fn a_scanners_report_is_the_jobs_own_and_its_neighbours_stay_internal() {
    let report = "internal/dast/site_validations/7/transition";
    assert_eq!(asked("POST", report), Ok((Action::ValidateSite, TargetRef::Own)));
    assert!(!is_internal(&format!("/api/v4/{report}")));
    for (method, path) in [
        ("GET", report),
        ("POST", "internal/dast/site_validations/7"),
        ("POST", "internal/dast/site_validations/x/transition"),
        ("POST", "internal/dast"),
    ] {
        assert_eq!(action(method, path), Err(Malformed::InternalRoute), "{method} {path}");
    }
}

#[test]
fn what_the_configuration_adds_stands_before_the_table() {
    let added = [
        ("GET", "/projects/:project/feature_flags/:name", "repository.read"),
        ("GET", "/projects/:project/releases", "api.unlisted"),
        ("PUT", "/projects/:project/packages/generic/*rest", "packages.delete"),
        ("GET", "/job/steps", "job.self.read"),
    ]
    .map(|(method, path, action)| Added::of(method, path, action).unwrap());
    let asked = |method: &str, path: &str| {
        let route = read(Version::NEWEST, &added, method.as_bytes(), &format!("/api/v4/{path}"));
        route.map(|route| (route.access.action, route.access.target, route.body))
    };
    let project = || TargetRef::Id(ProjectId(5));
    let flags = (Action::ReadRepository, project(), Body::Inspect);
    assert_eq!(asked("GET", "projects/5/feature_flags/x"), Ok(flags.clone()));
    assert_eq!(asked("HEAD", "projects/5/feature_flags/x"), Ok(flags.clone()));
    assert_eq!(asked("GET", "projects/5/feature_flags/%78"), Ok(flags));
    assert_eq!(asked("GET", "projects/5/releases").unwrap().0, Action::Unlisted);
    assert_eq!(asked("GET", "projects/5/releases/v1").unwrap().0, Action::ReadReleases);
    let upload = (Action::DeletePackages, project(), Body::Upload);
    assert_eq!(asked("PUT", "projects/5/packages/generic/p/1/f"), Ok(upload), "the body is treated as the table says");
    assert_eq!(asked("GET", "job/steps"), Ok((Action::ReadOwnJob, TargetRef::Own, Body::Inspect)));
    for (path, malformed) in [
        ("projects/05/feature_flags/x", Malformed::ProjectId),
        ("projects/5/feature_flags/..%2fx", Malformed::DotSegment),
        ("projects/5/feature_flags/x/", Malformed::TrailingSlash),
        // Its words have one spelling, as those of the table.
        ("projects/5/feature%5fflags/x", Malformed::NeedlessEncoding),
    ] {
        assert_eq!(asked("GET", path), Err(malformed), "{path}");
    }
}

#[test]
fn what_opens_a_projects_endpoint_opens_none_of_a_groups() {
    let open = |path: &str| read(Version::NEWEST, &[], b"GET", path).unwrap().access.open;
    assert_eq!(open("/api/v4/projects/7/packages/pypi/simple/tool/"), [Feature::Packages]);
    for path in ["simple/tool/", "simple/", "files/00ff/tool-1.0.tar.gz"] {
        let path = format!("/api/v4/groups/7/-/packages/pypi/{path}");
        assert_eq!(open(&path), [], "{path}");
    }
    for endpoint in super::endpoints().filter(|one| matches!(one.span, Span::Group | Span::Holders)) {
        assert_eq!(endpoint.open, [], "{}", endpoint.path);
    }
}
