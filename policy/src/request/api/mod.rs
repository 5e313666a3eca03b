//! The REST API: which endpoint a path is, which project it names, and where its body may hold a token.

mod owner;
mod packages;
mod sought;
mod table;

use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use table::Body;
pub use table::{Carriers, Instead};
use table::{Row, Table, Whose};

use super::head::{Head, Times};
use super::malformed::Malformed;
use super::params::{self, Pairs};
use super::path;
use crate::access::{Access, Action, TargetRef};
use crate::config::Added;
use crate::facts::{Feature, Role, Version, segments};
use crate::pattern;
use owner::Owners;
pub use owner::Span;

/// What the API's path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// What is asked.
    pub access: Access,
    /// How the body is treated.
    pub body: Body,
    /// From where the token is read.
    pub carriers: Carriers,
    /// Whether a runner or a client calls it.
    pub caller: Caller,
    /// With which field it asks something else.
    pub instead: Option<Instead>,
    /// Whether the forge takes the project from a parameter `id` first.
    pub takes_id: bool,
}

impl Route {
    /// An endpoint that no job token is for.
    pub(crate) fn unlisted(target: TargetRef) -> Self {
        Self::of(Access::new(Action::Unlisted, target))
    }

    /// An endpoint of which nothing is special, and whose body is content.
    pub(crate) fn of(access: Access) -> Self {
        let (body, carriers, caller) = (Body::Stream, Carriers::Usual, Caller::Client);
        Self { access, body, carriers, caller, instead: None, takes_id: false }
    }

    /// Refuses a parameter by which the forge would take another project than the path names.
    pub(super) fn refuse_other_project(&self, parameters: &Pairs, why: Malformed) -> Result<(), Malformed> {
        if self.takes_id && params::has(parameters, "id") { Err(why) } else { Ok(()) }
    }

    /// What it is in a request with this head.
    pub(super) fn with_head(mut self, head: &Head<'_>) -> Self {
        // The forge compares it with all that stands there: in other letters, or twice, it says nothing.
        if let Some(instead) = self.instead
            && let Times::Once(value) = head.times(instead.field)
            && value.trim_ascii() == instead.value.as_bytes()
        {
            self.access.action = instead.action;
        }
        self
    }
}

/// Who calls an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A script of the job.
    Client,
    /// The runner that works on the job.
    Runner,
}

/// An endpoint that takes a job token, as it is documented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The method; `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// The pattern of its path below `/api/v4`.
    pub path: String,
    /// What it asks.
    pub action: Action,
    /// The parts of a project that open it to every job where everybody may use them.
    pub open: &'static [Feature],
    /// The least role that it asks for beyond what its action does.
    pub least: Role,
    /// With which field it asks something else.
    pub instead: Option<Instead>,
    /// From where the token is read.
    pub carriers: Carriers,
    /// Of how many projects it is.
    pub span: Span,
    /// From which version of the forge on it is there.
    pub since: Version,
}

/// Every endpoint that takes a job token.
pub fn endpoints() -> impl Iterator<Item = Endpoint> {
    table::rows().map(|(table, row)| {
        let mut path: String = table.pattern(row).flat_map(|segment| ["/", segment]).collect();
        if ends_in_slash(row) {
            path.push('/');
        }
        let span = match row.whose {
            Whose::Paths => owner::span(table.pattern(row)),
            Whose::OwnJobs => Span::One,
        };
        Endpoint {
            method: row.method,
            path,
            action: row.action,
            // What opens a project's endpoint opens none of a group's.
            open: if matches!(span, Span::One | Span::Unknown) { row.open } else { &[] },
            least: row.least,
            instead: row.instead,
            carriers: table.carriers,
            span,
            since: row.since,
        }
    })
}

/// Below which the forge's own components speak to each other.
const INTERNAL: [&str; 2] = ["internal", "geo"];

/// Whether the forge's own components speak to each other there, and no job to them.
pub(crate) fn is_internal(path: &str) -> bool {
    let segments = path.strip_prefix("/api/v4/").unwrap_or_default().split('/');
    let is_below = segments.clone().next().is_some_and(|first| INTERNAL.contains(&first));
    is_below && covering(Version::NEWEST, &segments.collect::<Vec<_>>()).next().is_none()
}

/// Reads a path that begins with `/api/v4/`, as a forge of this version does. What the configuration added stands before
/// the table; how the body is treated, and where the token is read, a row of the table still says.
///
/// A value may have letters encoded that need not be, which the forge undoes; the words of an endpoint may not.
pub(crate) fn read(version: Version, added: &[Added], method: &[u8], path: &str) -> Result<Route, Malformed> {
    let Some(plain) = path::plain(path) else { return read_plain(version, added, method, path) };
    // What the forge would take for a word of an endpoint must be written as one.
    if rows(version, added, path) == rows(version, added, &plain) {
        read_plain(version, added, method, &plain)
    } else {
        Err(path::needless(path))
    }
}

/// Everything whose pattern covers a path: what was added, and the rows, with the base that each stands below.
fn rows<'a>(version: Version, added: &'a [Added], path: &str) -> (Vec<&'a Added>, Vec<(&'static str, &'static Row)>) {
    let below = path.strip_prefix("/api/v4/").unwrap_or_default();
    let segments: Vec<&str> = below.strip_suffix('/').unwrap_or(below).split('/').collect();
    let added = added.iter().filter(|one| one.covers(&segments).is_some()).collect();
    (added, covering(version, &segments).map(|(table, row, _)| (table.base.text(), row)).collect())
}

fn read_plain(version: Version, added: &[Added], method: &[u8], path: &str) -> Result<Route, Malformed> {
    if path == "/api/graphql" {
        return Err(Malformed::GraphQl);
    }
    let below = path.strip_prefix("/api/v4").filter(|rest| rest.starts_with('/')).ok_or(Malformed::ApiVersion)?;
    let bare = below.strip_suffix('/').unwrap_or(below);
    if bare.ends_with("/authorize") && !bare.starts_with("/jobs/") {
        return Err(Malformed::InternalRoute);
    }
    let mut segments: Vec<&str> = segments(bare).skip(1).collect();
    let mut is_listed = false;
    let found = covering(version, &segments).find(|(_, row, _)| {
        is_listed = true;
        row.method.as_bytes() == read_as(method)
    });
    if bare != below && !found.is_some_and(|(_, row, _)| ends_in_slash(row)) {
        return Err(Malformed::TrailingSlash);
    }
    if let Some((one, owner)) = added.iter().find_map(|one| Some((one, one.fit(read_as(method), &segments)?))) {
        segments.iter().try_for_each(|segment| check_value(segment))?;
        let route = Route::unlisted(Owners { base: owner, row: None }.read()?);
        let Some((table, row, _)) = found.filter(|_| one.action() != Action::Unlisted) else {
            let body = if one.action() == Action::Unlisted { route.body } else { Body::Inspect };
            return Ok(Route { access: Access { action: one.action(), ..route.access }, body, ..route });
        };
        let access = Access { action: one.action(), ..route.access };
        return Ok(Route { access, body: row.body, carriers: table.carriers, takes_id: table.takes_id, ..route });
    }
    let Some((table, row, owners)) = found else { return unlisted(version, &mut segments, is_listed) };
    let target = match row.whose {
        Whose::Paths => owners.read()?,
        Whose::OwnJobs => TargetRef::Own,
    };
    segments.iter().try_for_each(|segment| check_value(segment))?;
    let caller = if table.carriers == Carriers::Runner { Caller::Runner } else { Caller::Client };
    let open = if matches!(target, TargetRef::Held(_)) { &[] } else { row.open };
    let access = Access { open, least: row.least, ..Access::new(row.action, target) };
    let (body, carriers) = (row.body, table.carriers);
    Ok(Route { access, body, carriers, caller, instead: row.instead, takes_id: table.takes_id })
}

/// The method that an endpoint has for a request's.
fn read_as(method: &[u8]) -> &[u8] {
    if method == b"HEAD" { b"GET" } else { method }
}

/// Whether a client may write a slash behind a row's path.
fn ends_in_slash(row: &Row) -> bool {
    row.path.text().ends_with('/')
}

/// Every row of a version whose pattern covers a path, whatever its method, and whose endpoint it is; in the order in which
/// they are tried. Most paths fit the base of few tables.
fn covering<'a>(
    version: Version,
    segments: &'a [&'a str],
) -> impl Iterator<Item = (&'static Table, &'static Row, Owners<'a>)> {
    let tables = table::tables().filter_map(|table| Some((table, pattern::below(table.base.parts(), segments)?)));
    tables.flat_map(move |(table, below)| {
        table.rows.iter().filter(move |row| row.since <= version).filter_map(move |row| {
            let owner = row.path.fit(below)?;
            Some((table, row, Owners { base: pattern::owner(table.base.parts(), segments), row: owner }))
        })
    })
}

/// A path that no row has with this method.
fn unlisted(version: Version, segments: &mut [&str], is_listed: bool) -> Result<Route, Malformed> {
    let target = match &*segments {
        [first, ..] if INTERNAL.contains(first) => return Err(Malformed::InternalRoute),
        ["projects", id, ..] => owner::project(id)?,
        _ => TargetRef::None,
    };
    segments.iter().try_for_each(|segment| check_value(segment))?;
    // No job token is for another method of an endpoint.
    if is_listed {
        return Ok(Route::unlisted(target));
    }
    if has_format(version, segments) {
        return Err(Malformed::PathFormat);
    }
    match &*segments {
        // Asked with the runner's own token, `request` is no job's number.
        ["jobs", number, ..] if *number != "request" => Err(Malformed::Unclassifiable),
        _ => Ok(Route::unlisted(target)),
    }
}

/// A value may hold encoded slashes, but no dot segment may come out of them.
pub(super) fn check_value(segment: &str) -> Result<(), Malformed> {
    let decoded;
    let value = if segment.bytes().any(|b| b == b'%') {
        decoded = path::decode(segment)?;
        &*decoded
    } else {
        segment
    };
    if segments(value).any(|part| part == "." || part == "..") {
        return Err(Malformed::DotSegment);
    }
    if !value.is_empty() && segments(value).any(str::is_empty) {
        return Err(Malformed::EmptySegment);
    }
    Ok(())
}

/// Whether a path is an endpoint's but for a format behind it: `/trigger/pipeline.json` is the trigger to the forge.
fn has_format(version: Version, segments: &mut [&str]) -> bool {
    let Some(last) = segments.last_mut() else { return false };
    let Some((bare, _)) = last.rsplit_once('.') else { return false };
    let written = core::mem::replace(last, bare);
    let is_listed = covering(version, segments).next().is_some();
    if let Some(last) = segments.last_mut() {
        *last = written;
    }
    is_listed
}

#[cfg(test)]
mod tests;
