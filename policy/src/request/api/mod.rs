//! The REST API: which endpoint a path is, which project it names, and where its body may hold a token.

mod packages;
mod pattern;
mod table;

use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use table::Body;
pub use table::Carriers;
use table::{Row, Table};

use super::access::{Access, Action, TargetRef};
use super::malformed::Malformed;
use super::path;
use pattern::Owner;
pub use pattern::Span;

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
}

impl Route {
    /// An endpoint that no job token is for.
    pub(crate) fn unlisted(target: TargetRef) -> Self {
        let access = Access::new(Action::Unlisted, target);
        Self { access, body: Body::Stream, carriers: Carriers::Usual, caller: Caller::Client }
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
    /// From where the token is read.
    pub carriers: Carriers,
    /// Of how many projects it is.
    pub span: Span,
}

/// Every endpoint that takes a job token.
pub fn endpoints() -> impl Iterator<Item = Endpoint> {
    table::rows().map(|(table, row)| {
        let mut path: String = table.pattern(row).flat_map(|segment| ["/", segment]).collect();
        if ends_in_slash(row) {
            path.push('/');
        }
        Endpoint {
            method: row.method,
            path,
            action: row.action,
            carriers: table.carriers,
            span: pattern::span(table.pattern(row)),
        }
    })
}

/// Below which the forge's own components speak to each other.
const INTERNAL: [&str; 2] = ["internal", "geo"];

/// Whether the forge's own components speak to each other there, and nobody else to them.
pub(crate) fn is_internal(path: &str) -> bool {
    let below = path.strip_prefix("/api/v4/").unwrap_or_default();
    below.split('/').next().is_some_and(|first| INTERNAL.contains(&first))
}

/// Reads a path that begins with `/api/v4/`.
pub(crate) fn read(method: &[u8], path: &str) -> Result<Route, Malformed> {
    let below = path.strip_prefix("/api/v4").filter(|rest| rest.starts_with('/')).ok_or(Malformed::ApiVersion)?;
    let bare = below.strip_suffix('/').unwrap_or(below);
    if bare.ends_with("/authorize") && !bare.starts_with("/jobs/") {
        return Err(Malformed::InternalRoute);
    }
    let mut segments: Vec<&str> = bare.split('/').skip(1).collect();
    let asked = if method == b"HEAD" { b"GET" } else { method };
    let mut is_listed = false;
    let found = covering(&segments).find(|(_, row, _)| {
        is_listed = true;
        row.method.as_bytes() == asked
    });
    if bare != below && !found.is_some_and(|(_, row, _)| ends_in_slash(row)) {
        return Err(Malformed::TrailingSlash);
    }
    let Some((table, row, owner)) = found else { return unlisted(&mut segments, is_listed) };
    let target = owner.map_or(Ok(TargetRef::None), Owner::read)?;
    segments.iter().try_for_each(|segment| check_value(segment))?;
    let caller = if table.carriers == Carriers::Runner { Caller::Runner } else { Caller::Client };
    let access = Access { open: row.open, ..Access::new(row.action, target) };
    Ok(Route { access, body: row.body, carriers: table.carriers, caller })
}

/// Whether a client may write a slash behind a row's path.
fn ends_in_slash(row: &Row) -> bool {
    row.path.text().ends_with('/')
}

/// Every row whose pattern covers a path, whatever its method, and whose endpoint it is; in the order in which they are
/// tried. Most paths fit the base of few tables.
fn covering<'a>(segments: &'a [&'a str]) -> impl Iterator<Item = (&'static Table, &'static Row, Option<Owner<'a>>)> {
    let tables = table::tables().filter_map(|table| Some((table, pattern::below(table.base.parts(), segments)?)));
    tables.flat_map(move |(table, below)| {
        table.rows.iter().filter_map(move |row| {
            let owner = pattern::fit(row.path.parts(), below)?;
            Some((table, row, pattern::owner(table.base.parts(), segments).or(owner)))
        })
    })
}

/// A path that no row has with this method.
fn unlisted(segments: &mut [&str], is_listed: bool) -> Result<Route, Malformed> {
    let target = match &*segments {
        [first, ..] if INTERNAL.contains(first) => return Err(Malformed::InternalRoute),
        ["projects", id, ..] => pattern::project(id)?,
        _ => TargetRef::None,
    };
    segments.iter().try_for_each(|segment| check_value(segment))?;
    if is_listed {
        return Err(Malformed::MethodUnknown);
    }
    if has_format(segments) {
        return Err(Malformed::PathFormat);
    }
    match &*segments {
        // Asked with the runner's own token, `request` is no job's number.
        ["jobs", number, ..] if *number != "request" => Err(Malformed::Unclassifiable),
        _ => Ok(Route::unlisted(target)),
    }
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
fn has_format(segments: &mut [&str]) -> bool {
    let Some(last) = segments.last_mut() else { return false };
    let Some((bare, _)) = last.rsplit_once('.') else { return false };
    let written = core::mem::replace(last, bare);
    let is_listed = covering(segments).next().is_some();
    if let Some(last) = segments.last_mut() {
        *last = written;
    }
    is_listed
}

#[cfg(test)]
mod tests;
