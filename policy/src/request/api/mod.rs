//! The REST API: which endpoint a path is, which project it names, and where its body may hold a token.

mod table;

pub(crate) use table::Body;
use table::{OPEN, ROWS, Row};

use super::access::{Access, Action, TargetRef};
use super::malformed::Malformed;
use super::path;
use super::runner;
use crate::facts::{Feature, ProjectId, ProjectPath};

/// What the API's path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// What is asked.
    pub access: Access,
    /// How the body is treated.
    pub body: Body,
    /// Whether a runner or a client calls it.
    pub caller: Caller,
}

/// Who calls an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A script of the job.
    Client,
    /// The runner that works on the job.
    Runner,
}

/// Reads a path that begins with `/api/v4/`.
pub(crate) fn read(method: &[u8], path: &str) -> Result<Route, Malformed> {
    let below = path.strip_prefix("/api/v4").filter(|rest| rest.starts_with('/')).ok_or(Malformed::ApiVersion)?;
    if below.ends_with('/') {
        return Err(Malformed::TrailingSlash);
    }
    if below.ends_with("/authorize") && !below.starts_with("/jobs/") {
        return Err(Malformed::InternalRoute);
    }
    let segments: alloc::vec::Vec<&str> = below.split('/').skip(1).collect();
    if let Some(read) = runner::read(method, &segments) {
        let access = read?;
        let caller = if access.action == Action::ReadOwnJob { Caller::Client } else { Caller::Runner };
        let body = if access.action == Action::UpdateJob { Body::Inspect } else { Body::Upload };
        return Ok(Route { access, body, caller });
    }
    let client = |access, body| Ok(Route { access, body, caller: Caller::Client });
    match segments.as_slice() {
        [first, ..] if *first == "internal" || *first == "geo" => Err(Malformed::InternalRoute),
        ["projects", id, rest @ ..] => {
            let target = project(id)?;
            rest.iter().try_for_each(|segment| check_value(segment))?;
            match ROWS.iter().find(|row| fits(row, method, rest)) {
                Some(row) => {
                    client(Access { open: open(row.method, rest), ..Access::new(row.action, target) }, row.body)
                }
                None if ROWS.iter().any(|row| matches(row.path, rest)) => Err(Malformed::MethodUnknown),
                None if has_format(rest) => Err(Malformed::PathFormat),
                None => client(Access::new(Action::Unlisted, target), Body::Stream),
            }
        }
        _ => client(Access::new(Action::Unlisted, TargetRef::None), Body::Stream),
    }
}

/// A project's number, or its full path with encoded slashes.
fn project(id: &str) -> Result<TargetRef, Malformed> {
    if id.bytes().all(|b| b.is_ascii_digit()) {
        // `05` is project 5 to one parser and nothing to another.
        let number = (!id.starts_with('0')).then(|| id.parse().ok()).flatten();
        return number.map(|number| TargetRef::Id(ProjectId(number))).ok_or(Malformed::ProjectId);
    }
    let path = path::decode(id)?;
    if !path.contains('/') {
        // The forge finds projects by number or by full path, and this is neither.
        return Err(Malformed::ProjectName);
    }
    ProjectPath::parse(&path).map(TargetRef::Path).ok_or(Malformed::ProjectId)
}

/// A value may hold encoded slashes, but no dot segment may come out of them.
fn check_value(segment: &str) -> Result<(), Malformed> {
    let value = path::decode(segment)?;
    let mut parts = value.split('/');
    if parts.any(|part| part == "." || part == "..") {
        return Err(Malformed::DotSegment);
    }
    if value.contains("//") || value.starts_with('/') || value.ends_with('/') {
        return Err(Malformed::EmptySegment);
    }
    Ok(())
}

/// Whether a path is an endpoint's but for a format behind it: `/trigger/pipeline.json` is the trigger to the forge.
fn has_format(segments: &[&str]) -> bool {
    let Some((last, before)) = segments.split_last() else { return false };
    let Some((bare, _)) = last.rsplit_once('.') else { return false };
    let bare: alloc::vec::Vec<&str> = before.iter().copied().chain(core::iter::once(bare)).collect();
    ROWS.iter().any(|row| matches(row.path, &bare))
}

fn fits(row: &Row, method: &[u8], segments: &[&str]) -> bool {
    let same_method = row.method.as_bytes() == method || (row.method == "GET" && method == b"HEAD");
    same_method && matches(row.path, segments)
}

/// The parts of a project that open a read to every job where they are open to everybody.
fn open(method: &str, segments: &[&str]) -> &'static [Feature] {
    let known = OPEN.iter().find(|(path, _)| method == "GET" && matches(path, segments));
    known.map_or(&[], |(_, features)| *features)
}

/// Whether a name of the table stands for a number.
fn is_number(name: &str) -> bool {
    name.ends_with("_id") || name.ends_with("_iid")
}

/// Whether a pattern covers all of the segments.
fn matches(pattern: &str, segments: &[&str]) -> bool {
    let (head, rest) = pattern.split_once('/').map_or((pattern, None), |(head, rest)| (head, Some(rest)));
    let Some((first, others)) = segments.split_first() else { return false };
    if head.starts_with('*') {
        return match rest {
            None => true,
            // The wildcard takes one segment or more: the rest of the pattern starts somewhere behind.
            Some(rest) => (0..others.len()).any(|at| others.get(at..).is_some_and(|tail| matches(rest, tail))),
        };
    }
    let fits = match head.strip_prefix(':') {
        // Numbers: `0x7` is 7 to one parser and nothing to another.
        Some(name) if is_number(name) => first.bytes().all(|b| b.is_ascii_digit()),
        Some(name) => name.split_once('.').is_none_or(|(_, suffix)| {
            first.rsplit_once('.').is_some_and(|(before, after)| after == suffix && !before.is_empty())
        }),
        None => head == *first,
    };
    fits && match rest {
        None => others.is_empty(),
        Some(rest) => matches(rest, others),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn action(method: &str, path: &str) -> Result<Action, Malformed> {
        read(method.as_bytes(), path).map(|route| route.access.action)
    }

    #[test]
    fn a_project_is_a_number_or_an_encoded_path() {
        let target = |id: &str| project(id);
        assert_eq!(target("5"), Ok(TargetRef::Id(ProjectId(5))));
        assert_eq!(target("g%2Fs%2fp"), Ok(TargetRef::Path(ProjectPath::parse("g/s/p").unwrap())));
        for bad in ["05", "g%2Fp%2F", "%2Fg%2Fp", "99999999999999999999999"] {
            assert_eq!(target(bad), Err(Malformed::ProjectId), "{bad}");
        }
        for bad in ["-5", "5%0A", "g"] {
            assert_eq!(target(bad), Err(Malformed::ProjectName), "{bad}");
        }
    }

    #[test]
    fn a_pattern_covers_the_whole_path() {
        assert_eq!(action("GET", "/api/v4/projects/5/releases"), Ok(Action::ReadReleases));
        assert_eq!(action("HEAD", "/api/v4/projects/5/releases/v1%2F0"), Ok(Action::ReadReleases));
        assert_eq!(action("PUT", "/api/v4/projects/5/packages/generic/n/1.0/d/e/f.txt"), Ok(Action::PublishGeneric));
        assert_eq!(action("GET", "/api/v4/projects/5/packages/npm/@scope%2fpkg"), Ok(Action::ReadNpm));
        assert_eq!(action("GET", "/api/v4/projects/5/packages/go/example.com/m/@v/v1.0.0.zip"), Ok(Action::ReadGo));
        assert_eq!(action("POST", "/api/v4/projects/5/ref/main/trigger/pipeline"), Ok(Action::TriggerPipeline));
        assert_eq!(action("GET", "/api/v4/projects/5/releases/v1/x/y"), Ok(Action::Unlisted));
        assert_eq!(action("DELETE", "/api/v4/projects/5"), Ok(Action::Unlisted));
        assert_eq!(action("PATCH", "/api/v4/projects/5/releases"), Err(Malformed::MethodUnknown));
        assert_eq!(action("GET", "/api/v4/users"), Ok(Action::Unlisted));
        assert_eq!(action("GET", "/api/v4/projects/5/jobs/0x7/artifacts"), Ok(Action::Unlisted));
        assert_eq!(action("POST", "/api/v4/projects/5/trigger/pipeline.json"), Err(Malformed::PathFormat));
        assert_eq!(action("GET", "/api/v4/projects/5/releases/"), Err(Malformed::TrailingSlash));
        assert_eq!(action("PUT", "/api/v4/projects/5/packages/generic/n/1/f/authorize"), Err(Malformed::InternalRoute));
        assert_eq!(action("GET", "/api/v4/projects/5/packages/generic/n/1/..%2F..%2Fx"), Err(Malformed::DotSegment));
    }

    #[test]
    fn some_reads_are_opened_by_open_parts() {
        let open = |method: &str, path: &str| {
            let path = std::format!("/api/v4/projects/5/{path}");
            read(method.as_bytes(), &path).unwrap().access.open
        };
        assert_eq!(open("GET", "repository/commits/main"), [Feature::Repository]);
        assert_eq!(open("HEAD", "merge_requests"), [Feature::Repository, Feature::MergeRequests]);
        assert_eq!(open("GET", "packages/npm/@s%2Fp/-/@s/p-1.0.tgz"), [Feature::Packages]);
        for (method, path) in
            [("GET", "packages/npm/p"), ("GET", "merge_requests/1"), ("GET", "releases"), ("PUT", "packages/npm/p")]
        {
            assert_eq!(open(method, path), [], "{method} {path}");
        }
        for (path, _) in OPEN {
            assert!(ROWS.iter().any(|row| row.method == "GET" && row.path == *path), "{path}");
        }
    }

    #[test]
    fn the_table_is_sound() {
        let unique: BTreeSet<_> = ROWS.iter().map(|row| (row.method, row.path)).collect();
        assert_eq!(unique.len(), ROWS.len());
        for row in ROWS {
            assert!(
                row.path.split('/').all(|segment| !segment.is_empty() && !segment.contains(['(', ')'])),
                "{}",
                row.path
            );
            // Every row is reached: a path made from it is read as the row's action.
            let example: alloc::vec::Vec<alloc::string::String> = row
                .path
                .split('/')
                .map(|s| match (s.strip_prefix(':'), s.strip_prefix('*')) {
                    (Some(name), _) if is_number(name) => "7".into(),
                    (Some(name), _) => {
                        name.split_once('.').map_or("v1".into(), |(_, suffix)| std::format!("v1.{suffix}"))
                    }
                    (None, Some(_)) => "w".into(),
                    (None, None) => s.into(),
                })
                .collect();
            let path = std::format!("/api/v4/projects/5/{}", example.join("/"));
            assert_eq!(action(row.method, &path), Ok(row.action), "{path}");
        }
    }
}
