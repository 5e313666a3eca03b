//! What only GitLab's GraphQL API tells: what the entries of an allowlist grant, and the outbound list.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::SERVICE_ACCOUNT;
use crate::decision::Failure;
use crate::facts::{Grants, Link, Origin, Permission, Permissions, ProjectId, ProjectPath, Secret};
use crate::lookup::Call;
use crate::lookup::answer::Fields;

/// The entries of a target's allowlist, both lists at once, each from its own cursor on.
const ENTRIES: &str = "query jobscopeEntries($path: ID!, $projects: String, $groups: String) {
  project(fullPath: $path) {
    ciJobTokenScopeAllowlist {
      projectsAllowlist(first: 100, after: $projects) {
        nodes {
          direction defaultPermissions jobTokenPolicies
          target { ... on CiJobTokenAccessibleProject { id } }
        }
        pageInfo { hasNextPage endCursor }
      }
      groupsAllowlist(first: 100, after: $groups) {
        nodes {
          defaultPermissions jobTokenPolicies
          target { ... on CiJobTokenAccessibleGroup { fullPath } }
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}";

/// The projects that an origin lets its jobs out to.
const OUTBOUND: &str = "query jobscopeOutbound($path: ID!, $after: String) {
  project(fullPath: $path) {
    ciJobTokenScope {
      projects(first: 100, after: $after) {
        nodes { id }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}";

/// The fields without which there are no entries of single permissions (before GitLab 17.10), each with its type.
const NEWER: [(&str, &str); 3] = [
    ("ciJobTokenScopeAllowlist", "Project"),
    ("defaultPermissions", "CiJobTokenScopeAllowlistEntry"),
    ("jobTokenPolicies", "CiJobTokenScopeAllowlistEntry"),
];

fn call(root: &str, credential: &Secret, operation: &str, query: &str, variables: &Value) -> Call {
    let body = json!({"operationName": operation, "query": query, "variables": variables});
    Call {
        method: "POST",
        path: format!("{root}/api/graphql"),
        headers: vec![
            ("accept", b"application/json".to_vec()),
            ("content-type", b"application/json".to_vec()),
            (SERVICE_ACCOUNT, credential.expose().to_vec()),
        ],
        body: body.to_string().into_bytes(),
    }
}

/// Where each list goes on; `None` for its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursors {
    projects: Option<String>,
    groups: Option<String>,
}

/// The entries of an allowlist that name an origin, as far as they are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entries {
    project: Option<Grants>,
    /// The nearest group's, and how long its path is: of two groups above a project the nearer has the longer one.
    group: Option<(usize, Grants)>,
}

/// What an answer about entries says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// The forge has no entries of single permissions.
    Unknown,
    /// This is the last page.
    Last,
    /// The lists go on.
    More(Cursors),
}

/// Asks for entries.
pub(super) fn ask_entries(root: &str, credential: &Secret, target: &ProjectPath, from: &Cursors) -> Call {
    let variables = json!({"path": target.as_str(), "projects": from.projects, "groups": from.groups});
    call(root, credential, "jobscopeEntries", ENTRIES, &variables)
}

impl Entries {
    /// Adds what an answer says.
    pub(super) fn read(&mut self, body: &Value, origin: &Origin, from: &Cursors) -> Result<Page, Failure> {
        let said = Fields::of(body)?;
        if is_older(&said) {
            return Ok(Page::Unknown);
        }
        let data = data(&said, "ciJobTokenScopeAllowlist")?;
        let lists = Fields::of(data)?;
        let (projects, groups) = (lists.object("projectsAllowlist")?, lists.object("groupsAllowlist")?);
        let own = gid(origin.id);
        for entry in nodes(&projects)? {
            // The list has both directions; where none is written it is inbound.
            let direction = entry.0.get("direction").and_then(Value::as_str).unwrap_or("inbound");
            if direction.eq_ignore_ascii_case("inbound") && named(&entry, "id")? == own {
                self.project = Some(grants(&entry)?);
            }
        }
        for entry in nodes(&groups)? {
            let group = named(&entry, "fullPath")?;
            let is_nearer = self.group.is_none_or(|(length, _)| group.len() > length);
            if origin.path.is_below(group) && is_nearer {
                self.group = Some((group.len(), grants(&entry)?));
            }
        }
        let (of_projects, of_groups) = (next(&projects)?, next(&groups)?);
        if of_projects.is_none() && of_groups.is_none() {
            return Ok(Page::Last);
        }
        // A list that is over is asked from where it ended, and has nothing more.
        Ok(Page::More(Cursors {
            projects: of_projects.or_else(|| end(&projects)).or_else(|| from.projects.clone()),
            groups: of_groups.or_else(|| end(&groups)).or_else(|| from.groups.clone()),
        }))
    }

    /// The nearest entry. One that the other list named and this one does not is a failure.
    pub(super) fn nearest(self, listed: Link) -> Result<(Link, Grants), Failure> {
        match (self.project, self.group, listed) {
            (Some(grants), _, _) => Ok((Link::Project, grants)),
            (None, Some((_, grants)), Link::Group) => Ok((Link::Group, grants)),
            (None, Some(_), Link::Project) | (None, None, _) => Err(Failure::LookupAnswer),
        }
    }
}

/// Asks where an origin lets its jobs out to.
pub(super) fn ask_outbound(root: &str, credential: &Secret, origin: &ProjectPath, after: Option<&str>) -> Call {
    call(root, credential, "jobscopeOutbound", OUTBOUND, &json!({"path": origin.as_str(), "after": after}))
}

/// Whether an answer names a target among those of an outbound list, and where the list goes on.
pub(super) fn read_outbound(body: &Value, target: ProjectId) -> Result<(bool, Option<String>), Failure> {
    let said = Fields::of(body)?;
    let projects = Fields::of(data(&said, "ciJobTokenScope")?)?.object("projects")?;
    let own = gid(target);
    let mut is_named = false;
    for project in nodes(&projects)? {
        is_named |= project.text("id")? == own;
    }
    Ok((is_named, next(&projects)?))
}

/// Whether the forge does not know what was asked for, because it is too old.
fn is_older(said: &Fields<'_>) -> bool {
    let errors = said.0.get("errors").and_then(Value::as_array);
    let messages = errors.into_iter().flatten().filter_map(|error| error.get("message")?.as_str());
    let mut known = messages.flat_map(|message| {
        NEWER.map(|(field, of)| message.starts_with(&format!("Field '{field}' doesn't exist on type '{of}'")))
    });
    known.any(|is_newer| is_newer)
}

/// A member of the project in an answer without errors. The forge leaves out what the service account may not read.
fn data<'a>(said: &Fields<'a>, member: &str) -> Result<&'a Value, Failure> {
    let data = said.0.get("data").ok_or(Failure::LookupAnswer)?;
    let found = data.get("project").and_then(|project| project.get(member)).filter(|found| !found.is_null());
    match (found, said.0.contains_key("errors")) {
        (Some(found), false) => Ok(found),
        (Some(_), true) => Err(Failure::LookupAnswer),
        (None, _) => Err(Failure::LookupRights),
    }
}

fn nodes<'a>(list: &Fields<'a>) -> Result<Vec<Fields<'a>>, Failure> {
    let nodes = list.0.get("nodes").and_then(Value::as_array).ok_or(Failure::LookupAnswer)?;
    nodes.iter().map(Fields::of).collect()
}

/// Where a list goes on; `None` where it does not.
fn next(list: &Fields<'_>) -> Result<Option<String>, Failure> {
    let info = list.object("pageInfo")?;
    if info.flag("hasNextPage")? { info.text("endCursor").map(|cursor| Some(cursor.into())) } else { Ok(None) }
}

fn end(list: &Fields<'_>) -> Option<String> {
    list.object("pageInfo").ok()?.text("endCursor").ok().map(String::from)
}

/// Whom an entry names. One that is not shown could be the nearest.
fn named<'a>(entry: &Fields<'a>, member: &str) -> Result<&'a str, Failure> {
    match entry.nullable("target")? {
        Some(target) => target.0.get(member).and_then(Value::as_str).ok_or(Failure::LookupAnswer),
        None => Err(Failure::LookupRights),
    }
}

/// What an entry grants. A permission that is not known here is one of a newer forge, for what nobody can ask here.
fn grants(entry: &Fields<'_>) -> Result<Grants, Failure> {
    if entry.flag("defaultPermissions")? {
        return Ok(Grants::Default);
    }
    let names = match entry.0.get("jobTokenPolicies") {
        Some(Value::Array(names)) => names.as_slice(),
        Some(Value::Null) => &[],
        _ => return Err(Failure::LookupAnswer),
    };
    let known: Vec<Permission> = names.iter().filter_map(|name| Permission::named(name.as_str()?)).collect();
    Ok(Grants::Only(Permissions::of(&known)))
}

fn gid(id: ProjectId) -> String {
    ["gid://gitlab/Project/", &id.0.to_string()].concat()
}
