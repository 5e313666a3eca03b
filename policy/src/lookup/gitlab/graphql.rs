//! What GitLab's GraphQL API tells in one answer: whether a project limits access, whom its allowlist lets in and to
//! what; and where an origin lets its jobs out to.
//!
//! A list is asked for its first hundred and its last hundred at once: that is all of it, up to what GitLab allows.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::SERVICE_ACCOUNT;
use super::draft::Reference;
use crate::facts::{Entry, Grants, Link, Origin, Permission, Permissions, ProjectId, ProjectPath, Target};
use crate::failure::Failure;
use crate::json::{self, Members, Object, Word};
use crate::lookup::answer::Fields;
use crate::lookup::{Account, Call, Principal};
use crate::tree::Tree;

/// What is asked of a target. Here and below in one line, so that nothing in it is escaped.
const ALLOWLIST: &str = "\
    id \
    ciCdSettings { inboundJobTokenScopeEnabled } \
    ciJobTokenScopeAllowlist { \
      projectsAllowlist(first: 100, after: $projects) { \
        nodes { direction defaultPermissions jobTokenPolicies target { ... on CiJobTokenAccessibleProject { id } } } \
        pageInfo { hasNextPage endCursor } \
      } \
      lastProjects: projectsAllowlist(last: 100) { \
        nodes { direction defaultPermissions jobTokenPolicies target { ... on CiJobTokenAccessibleProject { id } } } \
        pageInfo { hasPreviousPage } \
      } \
      groupsAllowlist(first: 100, after: $groups) { \
        nodes { defaultPermissions jobTokenPolicies target { ... on CiJobTokenAccessibleGroup { fullPath } } } \
        pageInfo { hasNextPage endCursor } \
      } \
      lastGroups: groupsAllowlist(last: 100) { \
        nodes { defaultPermissions jobTokenPolicies target { ... on CiJobTokenAccessibleGroup { fullPath } } } \
        pageInfo { hasPreviousPage } \
      } \
    }";

/// The projects that an origin lets its jobs out to.
const OUTBOUND: &str = "query jobscopeOutbound($path: ID!, $after: String) { \
  project(fullPath: $path) { \
    ciJobTokenScope { \
      projects(first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } \
      last: projects(last: 100) { nodes { id } pageInfo { hasPreviousPage } } \
    } \
  } \
}";

/// The fields without which there are no entries of single permissions (before GitLab 17.10), each with its type.
const NEWER: [(&str, &str); 3] = [
    ("ciJobTokenScopeAllowlist", "Project"),
    ("defaultPermissions", "CiJobTokenScopeAllowlistEntry"),
    ("jobTokenPolicies", "CiJobTokenScopeAllowlistEntry"),
];

fn call(
    root: &str,
    account: &Account,
    operation: &'static str,
    query: &str,
    variables: impl FnOnce(&mut Members<'_>),
) -> Call {
    let body = json::object(|it| {
        it.put("operationName", Word(operation));
        it.put("query", query);
        it.put("variables", Object(variables));
    });
    let fields = ["accept", "content-type"].map(|name| (name, b"application/json".to_vec()));
    Call {
        principal: Principal::ServiceAccount,
        method: "POST",
        path: [root, "/api/graphql"].concat(),
        headers: fields.into_iter().chain(account.field(SERVICE_ACCOUNT, b"")).collect(),
        body: body.into_bytes(),
    }
}

/// Where each list goes on; `None` for its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursors {
    projects: Option<String>,
    groups: Option<String>,
}

/// What an allowlist says of an origin, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Allowlist {
    /// Whose it is, as GraphQL names projects.
    pub(super) of: String,
    /// Whether the project limits access by it.
    pub(super) is_limited: bool,
    project: Option<Grants>,
    /// The nearest group's, and how long its path is: of two groups above a project the nearer has the longer one.
    group: Option<(usize, Grants)>,
}

/// What an answer about an allowlist says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// The forge has no entries of single permissions, and tells its lists elsewhere.
    Older,
    /// The project is not there, or the service account may not read its settings.
    Withheld,
    /// All is read.
    Whole,
    /// The lists go on.
    More(Cursors),
}

/// Asks for the allowlist of a project, by its path or number.
pub(super) fn ask_allowlist(root: &str, account: &Account, target: &Reference, from: &Cursors) -> Call {
    let (variable, of, id, path, end) = match target {
        Reference::Path(path) => ("$path: ID!", "project(fullPath: $path) {", None, Some(path.as_str()), "}"),
        Reference::Id(id) => ("$id: ID!", "projects(ids: [$id], first: 1) { nodes {", Some(gid(*id)), None, "} }"),
    };
    let head = ["query jobscopeAllowlist(", variable, ", $projects: String, $groups: String) { ", of];
    let query = [&head.concat(), ALLOWLIST, end, " }"].join(" ");
    call(root, account, "jobscopeAllowlist", &query, |it| {
        it.put("groups", from.groups.as_deref());
        it.put_known("id", id.as_deref());
        it.put_known("path", path);
        it.put("projects", from.projects.as_deref());
    })
}

impl Allowlist {
    /// Whether it is this project's, as far as that was said.
    pub(super) fn is_of(&self, target: &Target) -> bool {
        self.of.is_empty() || target.id.is_some_and(|id| gid(id) == self.of)
    }

    /// Adds what an answer says.
    pub(super) fn read(&mut self, body: &Tree<'_>, origin: &Origin, from: &Cursors) -> Result<Page, Failure> {
        let said = Fields::of(body)?;
        if is_older(&said) {
            return Ok(Page::Older);
        }
        let Some(project) = project(&said)? else { return Ok(Page::Withheld) };
        let lists = project.0.get("ciJobTokenScopeAllowlist").filter(|lists| !lists.is_null());
        let Some(lists) = lists.map(Fields::of).transpose()? else { return Ok(Page::Withheld) };
        let of = project.text("id")?;
        // Between two pages another project may have come to the path.
        if !self.of.is_empty() && self.of != of {
            return Err(Failure::LookupAnswer);
        }
        self.of = of.to_string();
        // A project without settings limits access.
        let settings = project.nullable("ciCdSettings")?;
        let is_limited = settings.and_then(|settings| settings.0.get("inboundJobTokenScopeEnabled")?.as_bool());
        self.is_limited = is_limited.unwrap_or(true);
        let projects = List::of(&lists, "projectsAllowlist", "lastProjects")?;
        let groups = List::of(&lists, "groupsAllowlist", "lastGroups")?;
        let own = gid(origin.id);
        for entry in projects.nodes() {
            // The list has both directions; where none is written it is inbound.
            let direction = entry.0.get("direction").and_then(Tree::as_str).unwrap_or("inbound");
            if direction.eq_ignore_ascii_case("inbound") && named(entry, "id")? == own {
                self.project = Some(grants(entry)?);
            }
        }
        for entry in groups.nodes() {
            let group = named(entry, "fullPath")?;
            let is_nearer = self.group.is_none_or(|(length, _)| group.len() > length);
            if origin.path.is_below(group) && is_nearer {
                self.group = Some((group.len(), grants(entry)?));
            }
        }
        let (of_projects, of_groups) = (projects.next()?, groups.next()?);
        if of_projects.is_none() && of_groups.is_none() {
            return Ok(Page::Whole);
        }
        // A list that is over is asked from where it ended, and has nothing more.
        Ok(Page::More(Cursors {
            projects: of_projects.or_else(|| projects.end()).or_else(|| from.projects.clone()),
            groups: of_groups.or_else(|| groups.end()).or_else(|| from.groups.clone()),
        }))
    }

    /// The entry that counts for the origin: the one that names it, else that of the nearest group.
    pub(super) fn entry(&self) -> Option<Entry> {
        let of_project = self.project.map(|grants| Entry { link: Link::Project, grants });
        of_project.or_else(|| self.group.map(|(_, grants)| Entry { link: Link::Group, grants }))
    }
}

/// Asks where an origin lets its jobs out to.
pub(super) fn ask_outbound(root: &str, account: &Account, origin: &ProjectPath, after: Option<&str>) -> Call {
    call(root, account, "jobscopeOutbound", OUTBOUND, |it| {
        it.put("after", after);
        it.put("path", origin.as_str());
    })
}

/// What an answer about an outbound list says.
pub(super) struct OutboundPage {
    /// The projects that it names, as GraphQL does.
    pub(super) named: Vec<String>,
    /// Where the list goes on.
    pub(super) next: Option<String>,
}

/// What an answer about an outbound list says; `None` where the service account may not read it, or the forge no longer
/// has it.
pub(super) fn read_outbound(body: &Tree<'_>) -> Result<Option<OutboundPage>, Failure> {
    let said = Fields::of(body)?;
    let project = match project(&said) {
        Ok(Some(project)) => project,
        Ok(None) => return Ok(None),
        // Whether that matters is for the origin's own settings to say.
        Err(_) if said.0.contains_key("errors") => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let scope = project.0.get("ciJobTokenScope").filter(|scope| !scope.is_null());
    let Some(scope) = scope.map(Fields::of).transpose()? else { return Ok(None) };
    let projects = List::of(&scope, "projects", "last")?;
    let named: Result<Vec<String>, Failure> = projects.nodes().map(|node| Ok(node.text("id")?.to_string())).collect();
    Ok(Some(OutboundPage { named: named?, next: projects.next()? }))
}

/// A list as one answer shows it: from where it was asked on, and its end.
struct List<'a> {
    head: Vec<Fields<'a>>,
    tail: Vec<Fields<'a>>,
    head_info: Fields<'a>,
    tail_info: Fields<'a>,
}

impl<'a> List<'a> {
    fn of(lists: &Fields<'a>, head: &str, tail: &str) -> Result<Self, Failure> {
        let (head, tail) = (lists.object(head)?, lists.object(tail)?);
        Ok(Self {
            head: nodes(&head)?,
            tail: nodes(&tail)?,
            head_info: head.object("pageInfo")?,
            tail_info: tail.object("pageInfo")?,
        })
    }

    fn nodes(&self) -> impl Iterator<Item = &Fields<'a>> {
        self.head.iter().chain(&self.tail)
    }

    /// Where the list goes on; `None` where all of it is read, because the end begins in what is read.
    fn next(&self) -> Result<Option<String>, Failure> {
        let is_whole = !self.head_info.flag("hasNextPage")? || !self.tail_info.flag("hasPreviousPage")?;
        let meets = || {
            let first = self.tail.first().and_then(name);
            first.is_some() && self.head.iter().any(|node| name(node) == first)
        };
        if is_whole || meets() { Ok(None) } else { self.head_info.text("endCursor").map(|cursor| Some(cursor.into())) }
    }

    fn end(&self) -> Option<String> {
        self.head_info.text("endCursor").ok().map(String::from)
    }
}

/// Whether the forge does not know what was asked for, because it is too old.
fn is_older(said: &Fields<'_>) -> bool {
    let errors = said.0.get("errors").and_then(Tree::as_array);
    let messages = errors.into_iter().flatten().filter_map(|error| error.get("message")?.as_str());
    let mut known = messages.flat_map(|message| {
        NEWER.map(|(field, of)| message.starts_with(&format!("Field '{field}' doesn't exist on type '{of}'")))
    });
    known.any(|is_newer| is_newer)
}

/// The project in an answer without errors; `None` where the forge shows none.
fn project<'a>(said: &Fields<'a>) -> Result<Option<Fields<'a>>, Failure> {
    let data = said.0.get("data").ok_or(Failure::LookupAnswer)?;
    let found = match data.get("projects") {
        Some(listed) => nodes(&Fields::of(listed)?)?.into_iter().next(),
        None => data.get("project").filter(|project| !project.is_null()).map(Fields::of).transpose()?,
    };
    if found.is_some() && said.0.contains_key("errors") {
        return Err(Failure::LookupAnswer);
    }
    Ok(found)
}

fn nodes<'a>(list: &Fields<'a>) -> Result<Vec<Fields<'a>>, Failure> {
    let nodes = list.0.get("nodes").and_then(Tree::as_array).ok_or(Failure::LookupAnswer)?;
    nodes.iter().map(Fields::of).collect()
}

/// What tells an entry of a list from the others, where it is shown whom it names. What else it has is not compared: how much
/// that takes, and how deep it is, is not for an answer to say.
fn name<'a>(entry: &'a Fields<'_>) -> Option<(Option<&'a str>, &'a str)> {
    let of_target = |member| entry.0.get("target").and_then(|target| target.get(member));
    let name = entry.0.get("id").or_else(|| of_target("id")).or_else(|| of_target("fullPath"))?;
    Some((entry.0.get("direction").and_then(Tree::as_str), name.as_str()?))
}

/// Whom an entry names. One that is not shown could be the nearest.
fn named<'a>(entry: &Fields<'a>, member: &str) -> Result<&'a str, Failure> {
    match entry.nullable("target")? {
        Some(target) => target.0.get(member).and_then(Tree::as_str).ok_or(Failure::LookupAnswer),
        None => Err(Failure::LookupRights),
    }
}

/// What an entry grants. A permission that is not known here is one of a newer forge, for what nobody can ask here.
fn grants(entry: &Fields<'_>) -> Result<Grants, Failure> {
    if entry.flag("defaultPermissions")? {
        return Ok(Grants::Default);
    }
    let names = match entry.0.get("jobTokenPolicies") {
        Some(Tree::List(names)) => names.as_slice(),
        Some(Tree::Null) => &[],
        _ => return Err(Failure::LookupAnswer),
    };
    let known: Vec<Permission> = names.iter().filter_map(|name| Permission::named(name.as_str()?)).collect();
    Ok(Grants::Only(Permissions::of(&known)))
}

/// How GraphQL names a project.
pub(super) fn gid(id: ProjectId) -> String {
    ["gid://gitlab/Project/", &id.0.to_string()].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::facts::Secret;

    /// How a query begins, and what it is asked with.
    fn asked(call: &Call) -> (String, Value) {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(call.body, body.to_string().into_bytes(), "as serde_json writes it");
        let query = body["query"].as_str().unwrap();
        let braces = |brace| query.matches(brace).count();
        assert_eq!((braces('{'), query.contains('\n')), (braces('}'), false), "{query}");
        (query.split_inclusive('{').next().unwrap().into(), body["variables"].clone())
    }

    #[test]
    fn a_list_is_whole_where_an_entry_that_is_shown_stands_in_both_ends() {
        let goes_on = |one: Value, other: Value| {
            let head = json!({"nodes": [one], "pageInfo": {"hasNextPage": true, "endCursor": "x"}});
            let tail = json!({"nodes": [other], "pageInfo": {"hasPreviousPage": true}});
            let lists = json!({"head": head, "tail": tail}).to_string();
            let lists = Tree::read(lists.as_bytes()).unwrap();
            List::of(&Fields::of(&lists).unwrap(), "head", "tail").unwrap().next().unwrap().is_some()
        };
        let entry = |direction: &str, target: Value| json!({"direction": direction, "target": target});
        for same in [entry("INBOUND", json!({"id": "1"})), json!({"target": {"fullPath": "g"}}), json!({"id": "1"})] {
            assert!(!goes_on(same.clone(), same));
        }
        assert!(goes_on(entry("INBOUND", json!({"id": "1"})), entry("INBOUND", json!({"id": "2"}))));
        assert!(goes_on(entry("INBOUND", json!({"id": "1"})), entry("OUTBOUND", json!({"id": "1"}))));
        // Two of which nothing is shown may be two.
        assert!(goes_on(entry("OUTBOUND", Value::Null), entry("OUTBOUND", Value::Null)));
    }

    #[test]
    fn queries_are_written_as_serde_json_writes_them() {
        let account = Account::Token(Secret::new(b"service"));
        let path = ProjectPath::parse("libs/common").unwrap();
        let from = Cursors { projects: Some("a\"b".into()), groups: None };
        let name = "query jobscopeAllowlist";
        assert_eq!(
            asked(&ask_allowlist("", &account, &Reference::Path(path.clone()), &from)),
            (
                format!("{name}($path: ID!, $projects: String, $groups: String) {{"),
                json!({"path": "libs/common", "projects": "a\"b", "groups": null})
            )
        );
        assert_eq!(
            asked(&ask_allowlist("", &account, &Reference::Id(ProjectId(7)), &Cursors::default())),
            (
                format!("{name}($id: ID!, $projects: String, $groups: String) {{"),
                json!({"id": "gid://gitlab/Project/7", "projects": null, "groups": null})
            )
        );
        assert_eq!(
            asked(&ask_outbound("", &account, &path, Some("c"))),
            (
                "query jobscopeOutbound($path: ID!, $after: String) {".into(),
                json!({"path": "libs/common", "after": "c"})
            )
        );
    }
}
