//! Whose endpoint a path is, by the part of it that says so.

use alloc::sync::Arc;

use super::super::malformed::Malformed;
use super::super::path;
use super::sought;
use crate::access::{Holding, Sought, TargetRef};
use crate::facts::{GroupId, GroupPath, GroupRef, JobId, ProjectId, ProjectPath};
use crate::pattern::{self, Owner};

/// How the part of a path that a name takes is read. The part that stands for one segment is given with all that follows.
type Reader = fn(&[&str]) -> Result<Says, Malformed>;

/// What a part of a path says of whose endpoint it is.
enum Says {
    /// It is this target's.
    Target(TargetRef),
    /// It is a group's, or another namespace's.
    Group(GroupRef),
    /// It is theirs who hold this, and in which namespace, if that says so.
    Holders(Option<GroupRef>, Sought),
}

/// Of how many projects an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// One.
    One,
    /// Those of a group that hold what the path names.
    Holders,
    /// All of a group.
    Group,
    /// Nobody can tell.
    Unknown,
}

/// Each name that says whose endpoint it is, and how it is read.
const OWNERS: [(&str, Span, Reader); pattern::OWNERS.len()] = [
    (":project", Span::One, |parts| project(one(parts)).map(Says::Target)),
    (":pool_project_id", Span::One, |parts| project(one(parts)).map(Says::Target)),
    (":group", Span::Group, |parts| group(one(parts), GroupRef::Path).map(Says::Group)),
    (":namespace", Span::Group, |parts| group(one(parts), GroupRef::Namespace).map(Says::Group)),
    (":recipe_user", Span::One, |parts| recipe_user(one(parts)).map(Says::Target)),
    ("*project_version", Span::One, |parts| maven_project(parts).map(Says::Target)),
    ("*composer_name", Span::Holders, |parts| holders(sought::composer(parts))),
    ("*maven_path", Span::Holders, |parts| holders(sought::maven(parts))),
    ("*npm_name", Span::Holders, |parts| holders(sought::npm(parts))),
    (":nuget_name", Span::Holders, |parts| holders(sought::nuget(parts))),
    ("*pypi_name", Span::Holders, |parts| holders(sought::pypi(parts))),
    ("*pypi_file", Span::Holders, |parts| holders(sought::pypi_file(parts))),
    (":terraform_name", Span::Holders, |parts| holders(sought::terraform(parts))),
    (":own_job_id", Span::One, |parts| job(one(parts)).map(TargetRef::Job).map(Says::Target)),
    (":any_job_id", Span::One, |parts| job(one(parts)).map(TargetRef::ProjectOfJob).map(Says::Target)),
    ("job", Span::One, |_| Ok(Says::Target(TargetRef::Own))),
];

/// Of how many projects the endpoints of a pattern are.
pub(super) fn span(pattern: impl Iterator<Item = &'static str>) -> Span {
    let mut spans = pattern.filter_map(|part| OWNERS.iter().find(|(name, ..)| *name == part)).map(|(_, span, _)| *span);
    let first = spans.next().unwrap_or(Span::Unknown);
    // What follows a group says what is wanted of it.
    spans.next().filter(|_| first == Span::Group).unwrap_or(first)
}

/// What the part of a path says that says whose endpoint it is.
fn read(owner: Owner<'_>) -> Result<Says, Malformed> {
    let reader = OWNERS.iter().find(|(name, ..)| *name == owner.name).map(|(.., reader)| reader);
    reader.map_or(Err(Malformed::Unclassifiable), |reader| reader(owner.parts))
}

/// The parts of a path that say whose endpoint it is: one of its base, and one of what follows that.
#[derive(Clone, Copy, Default)]
pub(super) struct Owners<'a> {
    pub(super) base: Option<Owner<'a>>,
    pub(super) row: Option<Owner<'a>>,
}

impl Owners<'_> {
    /// The target. What follows a project says nothing more; what follows a group says what is wanted there.
    pub(super) fn read(self) -> Result<TargetRef, Malformed> {
        let held = |group, sought| TargetRef::Held(Arc::new(Holding { group, sought }));
        let group = match self.base.map(read).transpose()? {
            Some(Says::Target(target)) => return Ok(target),
            Some(Says::Group(group)) => Some(group),
            Some(Says::Holders(..)) | None => None,
        };
        Ok(match (group, self.row.map(read).transpose()?) {
            (_, Some(Says::Target(target))) => target,
            (Some(group), Some(Says::Holders(_, sought))) | (None, Some(Says::Holders(Some(group), sought))) => {
                held(group, sought)
            }
            (Some(group), _) | (None, Some(Says::Group(group))) => held(group, Sought::Everything),
            (None, Some(Says::Holders(None, _)) | None) => TargetRef::None,
        })
    }
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
fn group(id: &str, named: fn(GroupPath) -> GroupRef) -> Result<GroupRef, Malformed> {
    if is_all_digits(id) {
        return number(id).map(|id| GroupRef::Id(GroupId(id))).ok_or(Malformed::ProjectId);
    }
    GroupPath::parse(&path::decode(id)?).map(named).ok_or(Malformed::ProjectId)
}

fn holders(read: Result<(Option<GroupRef>, Sought), Malformed>) -> Result<Says, Malformed> {
    read.map(|(group, sought)| Says::Holders(group, sought))
}

/// The project whose full path a Maven package has as its name; where that is none's there is no such project.
fn maven_project(parts: &[&str]) -> Result<TargetRef, Malformed> {
    let project = sought::maven_project(parts)?.and_then(|path| ProjectPath::parse(&path));
    Ok(project.map_or_else(|| TargetRef::Image(Arc::default()), TargetRef::Path))
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

fn job(value: &str) -> Result<JobId, Malformed> {
    number(value).map(JobId).ok_or(Malformed::ProjectId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Package, Registry};
    use crate::pattern::{Pattern, below, fit, owner};
    use std::vec::Vec;

    fn target(pattern: &'static str, path: &str) -> Option<Result<TargetRef, Malformed>> {
        let segments: Vec<&str> = path.split('/').collect();
        let row = fit(Pattern::of(pattern).parts(), &segments)?;
        Some(Owners { base: None, row }.read())
    }

    fn path(text: &str) -> TargetRef {
        TargetRef::Path(ProjectPath::parse(text).unwrap())
    }

    fn named(text: &str) -> GroupPath {
        GroupPath::parse(text).unwrap()
    }

    #[test]
    fn each_name_is_read() {
        assert_eq!(OWNERS.map(|(name, ..)| name), pattern::OWNERS);
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
        assert_eq!(target(":project/*npm_name", "g%2fp/@s%2fp"), Some(Ok(path("g/p"))));
        assert_eq!(target(":project/:group", "g%2fp/x"), Some(Ok(path("g/p"))));
        assert_eq!(target("x/:name", "x/y"), Some(Ok(TargetRef::None)));
    }

    #[test]
    fn a_group_says_where_and_what_follows_it_says_what() {
        let held = |base: &'static str, row: &'static str, path: &str| {
            let segments: Vec<&str> = path.split('/').collect();
            let below = below(Pattern::of(base).parts(), &segments)?;
            let row = fit(Pattern::of(row).parts(), below)?;
            Some(Owners { base: owner(Pattern::of(base).parts(), &segments), row }.read())
        };
        let holding = |group, sought| Some(Ok(TargetRef::Held(Arc::new(Holding { group, sought }))));
        let tool = || Sought::Package(Package::new(Registry::Npm, ["@s/tool".into()]));
        let group = || GroupRef::Path(named("g"));
        assert_eq!(held("groups/:group/npm", "*npm_name", "groups/G/npm/@s%2fTool"), holding(group(), tool()));
        assert_eq!(held("groups/:group/npm", "index", "groups/G/npm/index"), holding(group(), Sought::Everything));
        let namespace = GroupRef::Namespace(named("s"));
        assert_eq!(held("npm", "*npm_name", "npm/@s/tool"), holding(namespace, tool()));
        assert_eq!(held("npm", "*npm_name", "npm/tool"), Some(Ok(TargetRef::None)));
        let module = Sought::Package(Package::new(Registry::Terraform, ["mod/aws".into()]));
        let terraform = held("v1/:namespace", ":terraform_name/:system/versions", "v1/7/mod/aws/versions");
        assert_eq!(terraform, holding(GroupRef::Id(GroupId(7)), module));
        // A group that cannot be read is no other's.
        assert_eq!(held("groups/:group/npm", "*npm_name", "groups/07/npm/@s/tool"), Some(Err(Malformed::ProjectId)));
    }

    #[test]
    fn a_maven_package_of_the_instance_is_its_projects() {
        let of = |path: &str| target("*project_version/:file_name", path);
        for below in ["G/p/1.0/a.pom", "g%2Fp/1.0/a.pom", "g/p%2F1.0/a.pom"] {
            assert_eq!(of(below), Some(Ok(path("g/p"))), "{below}");
        }
        // No project has such a name.
        for below in ["g/1.0/a.pom", "1.0/a.pom", "g./p/1.0/a.pom"] {
            assert_eq!(of(below), Some(Ok(TargetRef::Image(Arc::default()))), "{below}");
        }
        assert_eq!(of("archetype-catalog.xml"), None);
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
        let group = |id: &str| group(id, GroupRef::Path);
        assert_eq!(group("7"), Ok(GroupRef::Id(GroupId(7))));
        assert_eq!(group("G"), Ok(GroupRef::Path(named("g"))));
        assert_eq!(group("g%2Fs"), Ok(GroupRef::Path(named("g/s"))));
        assert_eq!(group("g%2fs"), Ok(GroupRef::Path(named("g/s"))));
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
}
