//! Patterns of paths, and what in them says whose endpoint it is.
//!
//! A pattern is segments between slashes. `:name` takes one segment, in which a slash stands encoded, and digits alone
//! where the name ends in `_id` or `_iid`; `:name.suffix` takes one that ends so; `*name` takes one segment or more; any
//! other segment stands for itself. A pattern covers the whole path.

use super::super::malformed::Malformed;
use super::super::path;
use crate::access::TargetRef;
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

/// The most segments of a base or of what follows it.
const MOST: usize = 12;

/// The segments of a pattern, split by the compiler: a path is held against hundreds of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: &'static str,
    parts: [&'static str; MOST],
    count: usize,
}

impl Pattern {
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "run by the compiler, which an error stops"
    )]
    pub(super) const fn of(text: &'static str) -> Self {
        let (mut parts, mut count, mut rest) = ([""; MOST], 0, text.as_bytes());
        while !rest.is_empty() {
            let mut end = 0;
            while end < rest.len() && rest[end] != b'/' {
                end += 1;
            }
            let (part, behind) = rest.split_at(end);
            if let (Ok(part), true) = (core::str::from_utf8(part), end > 0) {
                parts[count] = part;
                count += 1;
            }
            rest = if let [_, behind @ ..] = behind { behind } else { behind };
        }
        Self { text, parts, count }
    }

    /// As it is written.
    pub(super) fn text(&self) -> &'static str {
        self.text
    }

    /// What stands between its slashes.
    pub(super) fn parts(&self) -> &[&'static str] {
        self.parts.get(..self.count).unwrap_or_default()
    }
}

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

impl<'a> Owner<'a> {
    /// What a name's part of the path says, if it says whose.
    fn of(name: &str, parts: &'a [&'a str]) -> Option<Self> {
        let reader = OWNERS.iter().find(|(owner, ..)| *owner == name).map(|(.., reader)| *reader)?;
        Some(Self { reader, parts })
    }

    /// The target.
    pub(super) fn read(self) -> Result<TargetRef, Malformed> {
        (self.reader)(self.parts)
    }
}

/// What is left of the segments behind a base, if they begin as it does.
pub(super) fn below<'a>(base: &[&str], segments: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let (begin, behind) = segments.split_at_checked(base.len())?;
    base.iter().zip(begin).all(|(part, segment)| takes(part, segment)).then_some(behind)
}

/// Whose endpoint it is by a base that was found to fit.
pub(super) fn owner<'a>(base: &[&str], segments: &'a [&'a str]) -> Option<Owner<'a>> {
    base.iter().zip(segments.chunks(1)).find_map(|(part, parts)| Owner::of(part, parts))
}

/// Whether a pattern covers all of the segments, and whose endpoint it then is; `Some(None)` is nobody's.
pub(super) fn fit<'a>(pattern: &[impl AsRef<str>], segments: &'a [&'a str]) -> Option<Option<Owner<'a>>> {
    let Some((part, rest)) = pattern.split_first() else { return segments.is_empty().then_some(None) };
    let part = part.as_ref();
    if !part.starts_with('*') {
        let (segment, behind) = segments.split_first()?;
        let owner = takes(part, segment).then(|| fit(rest, behind)).flatten()?;
        return Some(segments.get(..1).and_then(|parts| Owner::of(part, parts)).or(owner));
    }
    (1..=segments.len()).rev().find_map(|taken| {
        let (parts, behind) = segments.split_at_checked(taken)?;
        let owner = fit(rest, behind)?;
        Some(Owner::of(part, parts).or(owner))
    })
}

fn takes(part: &str, value: &str) -> bool {
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
        Some(fit(Pattern::of(pattern).parts(), &segments)?.map_or(Ok(TargetRef::None), Owner::read))
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
