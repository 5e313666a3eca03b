//! Endpoints of the configuration: they stand before the table, and add to it or change what a row of it asks.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::access::Action;
use crate::pattern::{self, Owner};
use crate::rules::{Needed, Reach, need};

/// An endpoint of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    method: &'static str,
    pattern: Vec<String>,
    action: Action,
}

/// The methods of endpoints; `GET` stands for `HEAD` too.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// What is wrong with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The method is none that an endpoint has.
    Method,
    /// The path is no pattern of a path below a project's or the job's own.
    Path,
    /// The action is none that an endpoint of such a path can be.
    Action,
}

impl Flaw {
    /// Which part of the endpoint is wrong, and what is expected there.
    #[must_use]
    pub fn expects(self) -> (&'static str, &'static str) {
        match self {
            Self::Method => ("method", "one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`"),
            Self::Path => (
                "path",
                "a pattern such as `/projects/:project/badges/:badge_id`, which begins with `/projects/:project/` or `/job/`",
            ),
            Self::Action => (
                "action",
                "an action of the API, as rules.md has them: below `/projects/:project/` one of a project, below `/job/` one of the job itself, or `api.unlisted`",
            ),
        }
    }
}

/// More of a path no endpoint of the forge takes apart.
const SEGMENTS: usize = 20;

impl Added {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// Each thing that is wrong with it.
    pub fn of(method: &str, path: &str, action: &str) -> Result<Self, Vec<Flaw>> {
        let method = METHODS.into_iter().find(|known| *known == method);
        let pattern = pattern_of(path);
        let action = Action::ALL.iter().find(|(_, name, _)| *name == action).map(|(action, ..)| *action);
        let action = action.filter(|action| pattern.as_ref().is_none_or(|pattern| suits(*action, pattern)));
        let flaws =
            [(method.is_none(), Flaw::Method), (pattern.is_none(), Flaw::Path), (action.is_none(), Flaw::Action)];
        match (method, pattern, action) {
            (Some(method), Some(pattern), Some(action)) => Ok(Self { method, pattern, action }),
            _ => Err(flaws.into_iter().filter_map(|(is_wrong, flaw)| is_wrong.then_some(flaw)).collect()),
        }
    }

    /// What it asks.
    pub(crate) fn action(&self) -> Action {
        self.action
    }

    /// Whether a request is for it, and whose it then is.
    pub(crate) fn fit<'a>(&self, method: &[u8], segments: &'a [&'a str]) -> Option<Option<Owner<'a>>> {
        (self.method.as_bytes() == method).then(|| self.covers(segments)).flatten()
    }

    /// The same, whatever the method.
    pub(crate) fn covers<'a>(&self, segments: &'a [&'a str]) -> Option<Option<Owner<'a>>> {
        pattern::fit(&self.pattern, segments)
    }

    /// Whether nothing is left for another endpoint that stands behind this one.
    #[must_use]
    pub fn hides(&self, other: &Self) -> bool {
        let example: Vec<&str> = other.pattern.iter().map(|part| example(part)).collect();
        self.fit(other.method.as_bytes(), &example).is_some()
    }
}

/// The segments of a pattern; `None` where it is none, or of nothing that a job may be let into.
fn pattern_of(path: &str) -> Option<Vec<String>> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let below = match segments.as_slice() {
        ["projects", ":project", below @ ..] | ["job", below @ ..] if !below.is_empty() => below,
        _ => return None,
    };
    let rests = segments.iter().filter(|part| part.starts_with('*')).count();
    let is_sound = segments.len() <= SEGMENTS
        // Each could begin anywhere, and all of that is tried.
        && rests <= 2
        // The forge's own proxy asks those.
        && below.last() != Some(&"authorize")
        && below.iter().all(|part| is_part(part));
    is_sound.then(|| segments.into_iter().map(ToOwned::to_owned).collect())
}

fn is_part(part: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let is_literal = |text: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'$');
        !text.is_empty() && text != "." && text != ".." && text.bytes().all(is_plain)
    };
    match (part.strip_prefix(':'), part.strip_prefix('*')) {
        // In the table these say whose an endpoint is, and here its beginning does.
        _ if pattern::OWNERS.contains(&part) => false,
        (Some(name), _) => match name.split_once('.') {
            Some((name, suffix)) => is_name(name) && is_literal(suffix) && !suffix.contains('.'),
            None => is_name(name),
        },
        (None, Some(name)) => is_name(name),
        (None, None) => is_literal(part),
    }
}

/// Whether an endpoint of such a path can be for an action.
fn suits(action: Action, pattern: &[String]) -> bool {
    let need = need(action);
    let is_of_job = pattern.first().is_some_and(|first| first == "job");
    match need.reach {
        _ if action == Action::Unlisted => true,
        Reach::Itself => is_of_job,
        // Git, LFS, images and triggers are no endpoints of the API, and entries of single permissions do not limit them.
        Reach::Admitted | Reach::Own => !is_of_job && !matches!(need.permission, Needed::IfStrict(_)),
        Reach::OwnWhateverRole
        | Reach::AdmittedOrOwn
        | Reach::WhereSet
        | Reach::Sources
        | Reach::AboveOrigin
        | Reach::Agents
        | Reach::Never
        | Reach::Nothing => false,
    }
}

/// A segment that a part of a pattern takes, and few others would.
fn example(part: &str) -> &str {
    match part.strip_prefix([':', '*']) {
        None => part,
        Some(name) if name.ends_with("_id") || name.ends_with("_iid") => "1",
        // The suffix with its dot has a name before it.
        Some(name) if name.contains('.') => name,
        Some(_) => "~",
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn flaws(method: &str, path: &str, action: &str) -> Vec<Flaw> {
        Added::of(method, path, action).err().unwrap_or_default()
    }

    #[test]
    fn an_endpoint_is_a_method_a_pattern_and_an_action_that_suits_it() {
        for (path, action) in [
            ("/projects/:project/feature_flags", "repository.read"),
            ("/projects/:project/feature_flags/:name", "api.unlisted"),
            ("/projects/:project/files/*path/raw", "repository.read"),
            ("/projects/:project/charts/:file_name.tgz", "packages.helm.read"),
            ("/projects/:project/registry/protection/rules", "registry.repositories.read"),
            ("/job/steps", "job.self.read"),
        ] {
            assert_eq!(flaws("GET", path, action), [], "{path}");
        }
        for path in [
            "",
            "/",
            "projects/:project/x",
            "/projects/:project",
            "/projects/:project/",
            "/projects/:project/x/",
            "/projects/:project//x",
            "/projects/:id/x",
            "/projects/7/x",
            "/projects/:project/:group",
            "/projects/:project/*npm_name",
            "/projects/:project/..",
            "/projects/:project/a%2fb",
            "/projects/:project/x?y",
            "/projects/:project/:",
            "/projects/:project/*",
            "/projects/:project/:Name",
            "/projects/:project/*a/*b/*c",
            "/projects/:project/x/authorize",
            "/internal/allowed",
            "/geo/status",
            "/groups/:group/x",
            "/users",
            "/jobs/:own_job_id",
            "/job",
            "/job/:own_job_id",
        ] {
            assert_eq!(flaws("GET", path, "repository.read"), [Flaw::Path], "{path}");
        }
        for action in
            ["", "git.read", "oci.login", "oci.pull", "pipeline.trigger", "job.update", "git.write", "nothing"]
        {
            assert_eq!(flaws("GET", "/projects/:project/x", action), [Flaw::Action], "{action}");
        }
        assert_eq!(flaws("GET", "/job/x", "repository.read"), [Flaw::Action]);
        assert_eq!(flaws("HEAD", "/x", "y"), [Flaw::Method, Flaw::Path, Flaw::Action]);
    }

    #[test]
    fn what_stands_behind_its_like_is_hidden() {
        let added = |path: &str| Added::of("GET", path, "repository.read").unwrap();
        let hides = |one: &str, other: &str| {
            added(&format!("/projects/:project/{one}")).hides(&added(&format!("/projects/:project/{other}")))
        };
        assert!(hides("x/:a", "x/:b") && hides("x/:a", "x/y") && hides("*a", "x/y/:z") && hides("x/:a", "x/:b.zip"));
        assert!(!hides("x/y", "x/:a") && !hides("x/:a_id", "x/:a") && hides("x/:a", "x/:a_id") && !hides("x", "y"));
        let put = Added::of("PUT", "/projects/:project/x", "repository.read").unwrap();
        assert!(!added("/projects/:project/x").hides(&put));
    }
}
