//! The world in which a row is read: every token is a running job's, every project exists and admits it.
//!
//! So whatever is read as a job's request is forwarded, unless no world could allow it.
//!
//! A file names the hosts of one GitLab and of its registry. Any other host at which some row is read as a job's is
//! another forge's, and all rows of that host are read with `forge.kind: generic`, or as `other_kind` of the file says. There nothing but the lookup tells a
//! job's token, so it calls the credential of a row foreign that must be passed on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::body::{MARKED, UNMARKED};
use super::document::{Document, Row};
use super::expected::Expected;

/// The job's number where a row names none.
const JOB: u64 = 7;
/// The number of the job's project where a row names none.
const ORIGIN: u64 = 1;

/// The forge of one row.
#[derive(Clone, Debug)]
pub struct Forge {
    /// The filter's configuration.
    pub configuration: String,
    /// The path of the job's project.
    pub origin: String,
    origin_id: u64,
    job: u64,
    root: &'static str,
    /// A job's token where a row only says that one stands there.
    pub token: &'static str,
    /// What the lookup says of tokens.
    says: Says,
    /// The projects that the row names.
    own: BTreeSet<String>,
    /// Those that any row names: what lies above or below one of them is no project.
    named: BTreeSet<String>,
}

/// What a lookup says of every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Running,
    Foreign,
}

/// What the rows of a file say of the world together.
#[derive(Clone, Debug)]
pub struct World {
    gitlab_host: String,
    registry_host: String,
    /// Hosts of other forges: some row is read there as a job's.
    other_hosts: BTreeSet<String>,
    other_kind: String,
    named: BTreeSet<String>,
}

impl World {
    /// The world of a file.
    pub fn of(document: &Document) -> World {
        let (gitlab_host, registry_host) = (document.gitlab_host.clone(), document.registry_host.clone());
        let is_job = |row: &&Row| row.expected.projects().next().is_some();
        let rows = || document.rows.iter().filter_map(|(_, row)| row.as_ref().ok());
        let hosts = rows().filter(is_job).filter_map(|row| row.request.host.clone());
        let other_hosts = hosts.filter(|host| *host != gitlab_host && *host != registry_host).collect();
        let named = rows().flat_map(|row| row.expected.projects()).map(str::to_owned);
        let named = named.filter(|path| path.contains('/') && !path.contains(':')).chain(["g/p".into()]).collect();
        World { gitlab_host, registry_host, other_hosts, other_kind: document.other_kind.clone(), named }
    }

    /// The forge that a row is sent to.
    pub fn forge(&self, row: &Row) -> Forge {
        let host = row.request.host.clone().unwrap_or_default();
        let path = row.request.line.split(' ').nth(1).unwrap_or_default();
        // A forge below `/gitlab`, in the rows that ask for it.
        let root = if path.starts_with("/gitlab") { "/gitlab" } else { "" };
        let is_other = self.other_hosts.contains(&host);
        let forge = if is_other {
            json!({"kind": self.other_kind, "hosts": [host]})
        } else {
            json!({"hosts": [self.gitlab_host], "registry_hosts": [self.registry_host], "relative_url_root": root})
        };
        let index = if is_other { "deny" } else { "all-admitted" };
        let lookup = json!({"cluster": "lookup", "authority": self.gitlab_host, "credential_env": "LOOKUP_TOKEN"});
        let number = |prefix: &str| row.expected.projects().find_map(|p| p.strip_prefix(prefix)?.parse().ok());
        let own: BTreeSet<String> = row.expected.projects().map(str::to_owned).collect();
        let path = own.iter().find(|path| path.contains('/') && !path.contains(':')).cloned();
        let (origin_id, origin) = match (number("id:"), path) {
            (Some(id), _) => (id, numbered(id)),
            (None, path) => (ORIGIN, path.unwrap_or_else(|| "g/p".into())),
        };
        Forge {
            configuration: json!({"forge": forge, "lookup": lookup, "packages": {"index": index}}).to_string(),
            origin,
            origin_id,
            job: number("job:").unwrap_or(JOB),
            root,
            token: if is_other { UNMARKED } else { MARKED },
            says: if row.expected == Expected::Pass { Says::Foreign } else { Says::Running },
            own,
            named: self.named.clone(),
        }
    }
}

/// The path of a project that was asked for by its number, from which the number is told again.
pub(super) fn numbered(id: u64) -> String {
    format!("by-number/{id}")
}

impl Forge {
    /// Answers a lookup: status and JSON.
    pub fn answer(&self, path: &str, body: &[u8]) -> (u16, String) {
        let answer = match path.split_once("/api/v4/") {
            Some((_, path)) => self.gitlab(path),
            None if path.ends_with("/api/graphql") => Some(self.graphql(body)),
            None => Some(self.generic(body)),
        };
        match answer {
            Some(answer) => (200, answer.to_string()),
            None => (404, r#"{"message": "404 Not Found"}"#.into()),
        }
    }

    /// The longest of an image's paths that is a project.
    pub fn image<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Option<String> {
        paths.into_iter().find(|path| self.exists(path)).map(str::to_owned)
    }

    /// A project cannot lie in another.
    fn exists(&self, path: &str) -> bool {
        let lies_in = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let related = |known: &String| lies_in(path, known) || lies_in(known, path);
        self.own.contains(path) || !(self.own.iter().any(related) || self.named.iter().any(related))
    }

    fn gitlab(&self, path: &str) -> Option<Value> {
        let user = json!({"id": 11, "username": "dana", "state": "active"});
        if path == "job" {
            let address = format!("https://forge.example{}/{}/-/jobs/{}", self.root, self.origin, self.job);
            return Some(json!({"id": self.job, "status": "running", "user": user,
                "pipeline": {"id": 1, "project_id": self.origin_id}, "web_url": address}));
        }
        if path.starts_with("users/") {
            return Some(json!({"id": 11, "external": false}));
        }
        if path == "application/settings" {
            return Some(json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": false}));
        }
        if path == "user" {
            return Some(json!({"id": 1, "is_admin": true}));
        }
        // Nobody holds any package.
        if path.starts_with("groups/") {
            return Some(json!([]));
        }
        let (reference, rest) =
            path.strip_prefix("projects/").map(|path| path.split_once('/').unwrap_or((path, "")))?;
        let project = self.project(&reference.replace("%2F", "/"))?;
        match rest.split('?').next()? {
            "" => Some(project),
            rest if rest.starts_with("members/all/") => Some(json!({"id": 11, "access_level": 50})),
            rest if rest.starts_with("jobs/") => Some(json!({"id": self.job})),
            _ => None,
        }
    }

    /// No project limits access.
    fn graphql(&self, body: &[u8]) -> Value {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let (path, id) = (asked["variables"]["path"].as_str(), asked["variables"]["id"].as_str());
        let reference = path.or_else(|| id?.strip_prefix("gid://gitlab/Project/")).unwrap_or_default();
        let list =
            json!({"nodes": [], "pageInfo": {"hasNextPage": false, "hasPreviousPage": false, "endCursor": null}});
        let shown = self.project(reference).map(|project| {
            json!({"id": format!("gid://gitlab/Project/{}", project["id"]),
                "ciCdSettings": {"inboundJobTokenScopeEnabled": false},
                "ciJobTokenScopeAllowlist": {"projectsAllowlist": list, "lastProjects": list, "groupsAllowlist": list,
                    "lastGroups": list}})
        });
        match path {
            Some(_) => json!({"data": {"project": shown}}),
            None => json!({"data": {"projects": {"nodes": shown.into_iter().collect::<Value>()}}}),
        }
    }

    fn project(&self, reference: &str) -> Option<Value> {
        let (id, path) = match reference.parse() {
            Ok(id) if id == self.origin_id => (id, self.origin.clone()),
            Ok(id) => (id, numbered(id)),
            Err(_) if !self.exists(reference) => return None,
            Err(_) if reference == self.origin => (self.origin_id, reference.to_owned()),
            Err(_) => {
                (reference.bytes().fold(1000, |sum, b| sum * 31 % 1_000_003 + u64::from(b)), reference.to_owned())
            }
        };
        Some(json!({"id": id, "path_with_namespace": path, "visibility": "private",
            "ci_push_repository_for_job_token_allowed": true}))
    }

    fn generic(&self, body: &[u8]) -> Value {
        let asked: BTreeMap<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        if asked.get("ask").and_then(Value::as_str) == Some("token") {
            if self.says == Says::Foreign {
                return json!({"version": 1, "token": "foreign"});
            }
            return json!({"version": 1, "token": "running", "job": {"id": self.job, "user": {"id": 11, "name": "dana"},
                "origin": {"id": self.origin_id, "path": self.origin}}});
        }
        let target = asked.get("target").cloned().unwrap_or_default();
        let paths = target["paths"].as_array().map(|paths| paths.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        let reference = match (target["path"].as_str(), paths) {
            (Some(path), _) => Some(path.to_owned()),
            (None, Some(paths)) => self.image(paths),
            (None, None) => Some(target["id"].as_u64().unwrap_or(self.origin_id).to_string()),
        };
        let project = reference.and_then(|reference| self.project(&reference)).map(|project| {
            json!({"id": project["id"], "path": project["path_with_namespace"], "visibility": "private",
                "push_by_job_token": true})
        });
        json!({"version": 1, "role": "owner", "external": false, "admission": "open", "target": project})
    }
}
