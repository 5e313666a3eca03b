//! Patterns of paths, and what in them says whose endpoint it is.
//!
//! A pattern is segments between slashes. `:name` takes one segment, in which a slash stands encoded, and digits alone
//! where the name ends in `_id` or `_iid`; `:name.suffix` takes one that ends so; `*name` takes one segment or more; any
//! other segment stands for itself. A pattern covers the whole path.

use super::super::access::TargetRef;
use super::super::malformed::Malformed;
use super::super::path;
use crate::facts::{GroupId, GroupPath, JobId, ProjectId, ProjectPath};

/// How the part of a path that a name takes is read as a target.
type Reader = fn(&[&str]) -> Result<TargetRef, Malformed>;

/// Of how many projects an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// One.
    One,
    /// As many as the forge finds, or none.
    Many,
}

/// The names that say whose endpoint it is. Where a pattern has several, the first counts.
const OWNERS: &[(&str, Span, Reader)] = &[
    (":project", Span::One, |parts| project(one(parts))),
    (":group", Span::Many, |parts| group(one(parts), TargetRef::Group)),
    (":namespace", Span::Many, |parts| group(one(parts), TargetRef::Namespace)),
    (":recipe_user", Span::One, |parts| recipe_user(one(parts))),
    ("*scoped_name", Span::Many, scope),
    (":own_job_id", Span::One, |parts| job(one(parts)).map(TargetRef::Job)),
    (":any_job_id", Span::One, |parts| job(one(parts)).map(TargetRef::ProjectOfJob)),
    ("job", Span::One, |_| Ok(TargetRef::Own)),
];

/// Of how many projects the endpoints of a pattern are.
pub(super) fn span(mut pattern: impl Iterator<Item = &'static str>) -> Span {
    let owner = pattern.find_map(|part| OWNERS.iter().find(|(name, ..)| *name == part));
    owner.map_or(Span::Many, |(_, span, _)| *span)
}

/// Whether a part of a pattern says whose endpoint it is.
pub(super) fn says_whose(part: &str) -> bool {
    OWNERS.iter().any(|(name, ..)| *name == part)
}

/// The part of a path that says whose endpoint it is, and how it is read.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    reader: Reader,
    parts: &'a [&'a str],
}

impl Owner<'_> {
    /// The target.
    pub(super) fn read(self) -> Result<TargetRef, Malformed> {
        (self.reader)(self.parts)
    }
}

/// Whether a pattern covers all of the segments, and whose endpoint it then is; `Some(None)` is nobody's.
pub(super) fn fit<'a, 'p, P>(mut pattern: P, segments: &'a [&'a str]) -> Option<Option<Owner<'a>>>
where
    P: Iterator<Item = &'p str> + Clone,
{
    let Some(part) = pattern.next() else { return segments.is_empty().then_some(None) };
    let most = if part.starts_with('*') { segments.len() } else { 1 };
    (1..=most).rev().find_map(|taken| {
        let (parts, behind) = segments.split_at_checked(taken)?;
        if !takes(part, parts) {
            return None;
        }
        let owner = fit(pattern.clone(), behind)?;
        let reader = OWNERS.iter().find(|(name, ..)| *name == part).map(|(.., reader)| *reader);
        Some(reader.map(|reader| Owner { reader, parts }).or(owner))
    })
}

fn takes(part: &str, parts: &[&str]) -> bool {
    if part.starts_with('*') {
        return true;
    }
    let value = one(parts);
    let Some(name) = part.strip_prefix(':') else { return value == part };
    match name.split_once('.') {
        Some((_, suffix)) => value.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && end == suffix),
        // `0x7` is 7 to one parser and nothing to another.
        None => !is_number(name) || value.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Whether a name stands for a number.
fn is_number(name: &str) -> bool {
    name.ends_with("_id") || name.ends_with("_iid")
}

fn one<'a>(parts: &[&'a str]) -> &'a str {
    parts.first().copied().unwrap_or_default()
}

/// A number as clients write it: `05` is 5 to one parser and nothing to another.
fn number(value: &str) -> Option<u64> {
    let is_plain = !value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| value.parse().ok()).flatten()
}

fn is_all_digits(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_digit())
}

/// A project's number, or its full path with encoded slashes.
pub(super) fn project(id: &str) -> Result<TargetRef, Malformed> {
    if is_all_digits(id) {
        return number(id).map(|id| TargetRef::Id(ProjectId(id))).ok_or(Malformed::ProjectId);
    }
    let path = path::decode(id)?;
    if !path.contains('/') {
        // The forge finds projects by number or by full path, and this is neither.
        return Err(Malformed::ProjectName);
    }
    ProjectPath::parse(&path).map(TargetRef::Path).ok_or(Malformed::ProjectId)
}

/// A group's number, or its full path with encoded slashes.
fn group(id: &str, named: fn(GroupPath) -> TargetRef) -> Result<TargetRef, Malformed> {
    if is_all_digits(id) {
        return number(id).map(|id| TargetRef::GroupId(GroupId(id))).ok_or(Malformed::ProjectId);
    }
    GroupPath::parse(&path::decode(id)?).map(named).ok_or(Malformed::ProjectId)
}

/// The user of a Conan recipe: the project's full path with `+` for each slash.
fn recipe_user(user: &str) -> Result<TargetRef, Malformed> {
    let user = path::decode(user)?;
    if user.contains('/') {
        return Err(Malformed::ProjectPath);
    }
    // One segment alone would be read as a number or as no user at all.
    if !user.contains('+') {
        return Err(Malformed::ProjectShort);
    }
    ProjectPath::parse(&user.replace('+', "/")).map(TargetRef::Path).ok_or(Malformed::ProjectPath)
}

/// The scope of an npm package's name, which is a namespace; a name without one is in no namespace.
fn scope(name: &[&str]) -> Result<TargetRef, Malformed> {
    let first = path::decode(one(name))?;
    let scope = first.strip_prefix('@').and_then(|scoped| match scoped.split_once('/') {
        Some((scope, _)) => Some(scope),
        None => (name.len() > 1).then_some(scoped),
    });
    Ok(scope.and_then(GroupPath::parse).map_or(TargetRef::None, TargetRef::Namespace))
}

fn job(value: &str) -> Result<JobId, Malformed> {
    number(value).map(JobId).ok_or(Malformed::ProjectId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn target(pattern: &'static str, path: &str) -> Option<Result<TargetRef, Malformed>> {
        let segments: Vec<&str> = path.split('/').collect();
        Some(fit(pattern.split('/'), &segments)?.map_or(Ok(TargetRef::None), Owner::read))
    }

    fn path(text: &str) -> TargetRef {
        TargetRef::Path(ProjectPath::parse(text).unwrap())
    }

    fn named(text: &str) -> GroupPath {
        GroupPath::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_covers_the_whole_path() {
        let fits = |pattern, path| target(pattern, path).is_some();
        assert!(fits("a/:name/*rest", "a/b/c/d"));
        assert!(fits("a/*rest/-/:name", "a/-/-/b/-/c"));
        assert!(fits(":name.zip", "v1.0.zip") && !fits(":name.zip", ".zip") && !fits(":name.zip", "v1.mod"));
        assert!(fits(":job_id", "7") && !fits(":job_id", "0x7"));
        for path in ["a", "a/b", "b/b/c", "a/b/c/", "A/b/c"] {
            assert_eq!(fits("a/:name/c", path), path == "a/b/c", "{path}");
        }
    }

    #[test]
    fn the_first_name_that_says_whose_counts() {
        assert_eq!(target(":group/-/*scoped_name", "g/-/@s%2fp"), Some(Ok(TargetRef::Group(named("g")))));
        assert_eq!(target("npm/*scoped_name", "npm/@s%2fp"), Some(Ok(TargetRef::Namespace(named("s")))));
        assert_eq!(target("x/:name", "x/y"), Some(Ok(TargetRef::None)));
    }

    #[test]
    fn a_project_is_a_number_or_an_encoded_path() {
        assert_eq!(project("5"), Ok(TargetRef::Id(ProjectId(5))));
        assert_eq!(project("g%2Fs%2fP"), Ok(path("g/s/p")));
        for bad in ["0", "05", "g%2Fp%2F", "%2Fg%2Fp", "99999999999999999999999", "g%2F..%2Fp", "g%2F%2Fp"] {
            assert_eq!(project(bad), Err(Malformed::ProjectId), "{bad}");
        }
        for bad in ["-5", "5%0A", "g"] {
            assert_eq!(project(bad), Err(Malformed::ProjectName), "{bad}");
        }
    }

    #[test]
    fn a_group_is_a_number_or_an_encoded_path_of_any_length() {
        let group = |id: &str| group(id, TargetRef::Group);
        assert_eq!(group("7"), Ok(TargetRef::GroupId(GroupId(7))));
        assert_eq!(group("G"), Ok(TargetRef::Group(named("g"))));
        assert_eq!(group("g%2Fs"), Ok(TargetRef::Group(named("g/s"))));
        assert_eq!(group("g%2fs"), Ok(TargetRef::Group(named("g/s"))));
        for bad in ["0", "07", "-", "-g", "g%2F", "%2Fg", "g%2F..", "g%20", "99999999999999999999999"] {
            assert_eq!(group(bad), Err(Malformed::ProjectId), "{bad}");
        }
    }

    #[test]
    fn a_recipes_user_is_a_project() {
        for user in ["g+s+p", "G+s%2Bp", "g%2bs+P"] {
            assert_eq!(recipe_user(user), Ok(path("g/s/p")), "{user}");
        }
        for bad in ["_", "5", "g", ""] {
            assert_eq!(recipe_user(bad), Err(Malformed::ProjectShort), "{bad}");
        }
        for bad in ["g%2Fp", "g+s%2Fp", "+g+p", "g++p", "g+p+", "g+..", "g+p%20", "g+p.git"] {
            assert_eq!(recipe_user(bad), Err(Malformed::ProjectPath), "{bad}");
        }
    }

    #[test]
    fn a_scope_is_a_namespace() {
        let of = |name: &str| scope(&name.split('/').collect::<Vec<_>>());
        for name in ["@G%2fpkg", "%40g%2Fpkg", "@g/pkg", "@g%2fpkg/-/pkg-1.0.tgz"] {
            assert_eq!(of(name), Ok(TargetRef::Namespace(named("g"))), "{name}");
        }
        for name in ["pkg", "@pkg", "g%2fpkg", "@%2fpkg", "@-g%2fpkg", "@g%20%2fpkg"] {
            assert_eq!(of(name), Ok(TargetRef::None), "{name}");
        }
    }
}
