//! What parts of a path say of packages that a group or a namespace is asked for.
//!
//! Where the forge may read a name in more than one way, each counts.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::malformed::Malformed;
use super::super::path;
use crate::access::{Package, Registry, Sought};
use crate::facts::{GroupPath, GroupRef};

/// A package, and in which namespace it is looked for where its name says so.
type Read = Result<(Option<GroupRef>, Sought), Malformed>;

fn package(registry: Registry, names: impl IntoIterator<Item = String>) -> Read {
    Ok((None, named(registry, names.into_iter().collect())))
}

/// A forge may take a blank name for none at all, and serve whatever there is.
fn named(registry: Registry, names: Vec<String>) -> Sought {
    if names.iter().any(|name| name.trim().is_empty()) {
        return Sought::Everything;
    }
    Sought::Package(Package::new(registry, names))
}

/// Segments as the forge undoes their encoding.
fn decoded(parts: &[&str]) -> Result<String, Malformed> {
    let parts: Vec<_> = parts.iter().map(|part| path::decode(part)).collect::<Result<_, _>>()?;
    Ok(parts.join("/"))
}

/// A name with or without a format behind it.
fn with_format(name: &str) -> impl Iterator<Item = String> {
    let bare = name.rsplit_once('.').map(|(bare, _)| bare);
    [Some(name), bare].into_iter().flatten().map(ToOwned::to_owned)
}

/// The scope of an npm package's name is a namespace.
pub(super) fn npm(parts: &[&str]) -> Read {
    let name = decoded(parts)?;
    let scope = name.strip_prefix('@').and_then(|scoped| scoped.split_once('/')).map(|(scope, _)| scope);
    let group = scope.and_then(GroupPath::parse).map(GroupRef::Namespace);
    Ok((group, named(Registry::Npm, alloc::vec![name])))
}

/// The path of a file's folder: group, artifact and version, or no version where the file is about all of them.
pub(super) fn maven(parts: &[&str]) -> Read {
    let path = decoded(parts)?;
    let above = path.rsplit_once('/').map(|(above, _)| above.to_owned());
    package(Registry::Maven, above.into_iter().chain([path]))
}

/// The project of a Maven package, whose name is there the project's full path; behind it stands a version.
pub(super) fn maven_project(parts: &[&str]) -> Result<Option<String>, Malformed> {
    Ok(decoded(parts)?.rsplit_once('/').map(|(project, _)| project.to_owned()))
}

pub(super) fn pypi(parts: &[&str]) -> Read {
    package(Registry::Pypi, with_format(&decoded(parts)?))
}

/// No file has a longer name.
const LONGEST_FILE: usize = 255;

/// A wheel's name is the package's up to its first hyphen (PEP 427); that of a source archive up to one before a version.
pub(super) fn pypi_file(parts: &[&str]) -> Read {
    let file = decoded(parts)?;
    let begins_version = |rest: &str| rest.trim_start_matches(['v', 'V']).starts_with(|c: char| c.is_ascii_digit());
    let hyphens = file.match_indices('-').filter(|_| file.len() <= LONGEST_FILE);
    let hyphens = hyphens.filter_map(|(at, _)| file.split_at_checked(at));
    let names: Vec<String> = match () {
        () if file.to_ascii_lowercase().ends_with(".whl") => hyphens.take(1).map(|(name, _)| name.to_owned()).collect(),
        () => hyphens
            .filter(|(_, rest)| begins_version(rest.trim_start_matches('-')))
            .map(|(name, _)| name.to_owned())
            .collect(),
    };
    let names = if names.is_empty() { alloc::vec![file] } else { names };
    Ok((None, Sought::File(Package::new(Registry::Pypi, names))))
}

pub(super) fn nuget(parts: &[&str]) -> Read {
    package(Registry::Nuget, [decoded(parts.get(..1).unwrap_or_default())?])
}

/// Composer's client writes a hash behind a dollar sign, and a format behind that.
pub(super) fn composer(parts: &[&str]) -> Read {
    let name = decoded(parts)?;
    let name = name.split('$').next().unwrap_or_default();
    package(Registry::Composer, with_format(name))
}

/// A module's name and its system.
pub(super) fn terraform(parts: &[&str]) -> Read {
    let name = decoded(parts.get(..2).unwrap_or_default())?;
    package(Registry::Terraform, [name])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(read: fn(&[&str]) -> Read, path: &str) -> Vec<String> {
        let (_, sought) = read(&path.split('/').collect::<Vec<_>>()).unwrap();
        let (Sought::Package(package) | Sought::File(package)) = sought else { panic!("{sought:?}") };
        package.names().to_vec()
    }

    fn scope(path: &str) -> Option<GroupRef> {
        npm(&path.split('/').collect::<Vec<_>>()).unwrap().0
    }

    #[test]
    fn an_npm_packages_scope_is_a_namespace() {
        let libs = GroupPath::parse("g").map(GroupRef::Namespace);
        for name in ["@G%2fpkg", "%40g%2Fpkg", "@g/pkg", "@g%2fpkg/-/pkg-1.0.tgz"] {
            assert_eq!(scope(name), libs, "{name}");
        }
        for name in ["pkg", "@pkg", "g%2fpkg", "@%2fpkg", "@-g%2fpkg", "@g%20%2fpkg"] {
            assert_eq!(scope(name), None, "{name}");
        }
        for name in ["@G%2fPkg", "%40g%2FPKG", "@g/pkg"] {
            assert_eq!(names(npm, name), ["@g/pkg"], "{name}");
        }
    }

    #[test]
    fn a_maven_package_is_named_by_its_folder_or_by_the_one_above() {
        assert_eq!(names(maven, "com/Example/app/1.0"), ["com/example/app", "com/example/app/1.0"]);
        assert_eq!(names(maven, "com%2Fexample/app"), ["com/example", "com/example/app"]);
        assert_eq!(names(maven, "app"), ["app"]);
        let project = |path: &str| maven_project(&path.split('/').collect::<Vec<_>>()).unwrap();
        assert_eq!(project("apps/web/1.0").as_deref(), Some("apps/web"));
        assert_eq!(project("apps%2Fweb/1.0").as_deref(), Some("apps/web"));
        assert_eq!(project("1.0"), None);
    }

    #[test]
    fn a_python_file_is_the_packages_that_its_name_says() {
        for (file, expected) in [
            ("My_Tool-1.0-py3-none-any.whl", &["my-tool"][..]),
            ("tool-2-1.0.tar.gz", &["tool", "tool-2"]),
            ("tool-kit-v1.0.zip", &["tool-kit"]),
            ("tool.whl", &["tool-whl"]),
            ("tool--1.0.tar.gz", &["tool", "tool-"]),
        ] {
            assert_eq!(names(pypi_file, file), expected, "{file}");
        }
        assert!(matches!(pypi_file(&["a-1.whl"]), Ok((None, Sought::File(_)))));
        // Not one name for each of its hyphens.
        let long = "a-1".repeat(1000);
        assert_eq!(names(pypi_file, &long).len(), 1);
    }

    #[test]
    fn a_blank_name_may_be_none_and_asks_for_everything() {
        let everything = |read: fn(&[&str]) -> Read, path: &str| read(&[path]).unwrap().1 == Sought::Everything;
        for blank in ["%20", "%C2%A0", "%20.json", ".json", "%E2%80%83%20"] {
            assert!(everything(composer, blank) && everything(pypi, blank), "{blank}");
        }
        assert!(everything(composer, "$abc") && everything(composer, "%20$abc.json"));
        for read in [npm, maven, nuget] {
            assert!(everything(read, "%20"));
        }
        assert!(!everything(composer, "a%20b"));
    }

    #[test]
    fn a_format_behind_a_name_is_part_of_it_and_is_not() {
        assert_eq!(names(composer, "Vendor/name.json"), ["vendor/name", "vendor/name.json"]);
        assert_eq!(names(composer, "vendor%2Fname$abc.json"), ["vendor/name"]);
        assert_eq!(names(composer, "vendor/name%24abc"), ["vendor/name"]);
        assert_eq!(names(pypi, "Zope.Interface"), ["zope", "zope-interface"]);
        assert_eq!(names(nuget, "Acme.Tool/1.0"), ["acme.tool"]);
        assert_eq!(names(terraform, "mod/aws/1.0/download"), ["mod/aws"]);
    }
}
