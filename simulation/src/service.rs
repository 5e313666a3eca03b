//! The lookup service: what a call asks, what is true of that, and how it is written: as `v1`, or as GitLab's own API.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::world::{
    Allowlist, FIRST_PROJECT, Leads, Named, PATHS, PROJECTS, Role, World, group_name, group_of, path_name,
};

/// How the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    V1,
    Gitlab,
}

/// What a call asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Token(String),
    /// All of what a target is, to a user and an origin, which is said to have this path.
    Target(usize, usize, usize, Named),
    Project(Named),
    Role(Named, usize),
    Allowlist(Named),
    /// Whether a user is external.
    External(usize),
    Settings,
    /// The list of ended jobs, behind so many.
    Ended(Option<usize>),
    /// Not asked but told: these jobs ended.
    Told(Vec<usize>),
}

/// What is true of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// This job, whose origin is in this group.
    Runs(usize, usize),
    Ended(usize),
    Unknown,
    /// Whether this admits the origin that was asked for.
    Standing(Leads, Role, bool),
    Project(Leads),
    Role(Leads, Role),
    Allowlist(Leads, Allowlist),
    External,
    /// Whether the instance limits access everywhere.
    Settings(bool),
    /// These ended, so many in all.
    List(Vec<usize>, usize),
    /// It will not forget what it was told.
    Noted,
}

/// An answer: its status, where a project is that moved, and its body.
pub(crate) struct Written {
    pub(crate) status: &'static str,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

impl Question {
    /// What a call asks, which may carry a job's token.
    pub(crate) fn read(path: &str, token: Option<&str>, body: &[u8]) -> Option<Self> {
        if let Some(query) = path.strip_prefix("/jobscope/v1/changes?") {
            let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
            return Some(Self::Ended(after.and_then(|after| after.parse().ok())));
        }
        match path.strip_prefix("/api/") {
            Some(rest) => Self::of_gitlab(rest, token, body),
            None => Self::of_v1(&serde_json::from_slice(body).ok()?),
        }
    }

    /// How old the answer may be by the service's memory, in seconds.
    pub(crate) fn max_age(body: &[u8]) -> u64 {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        asked["max_age"].as_u64().unwrap_or_default()
    }

    fn of_v1(asked: &Value) -> Option<Self> {
        if let Some(token) = asked["token"].as_str() {
            return Some(Self::Token(token.to_owned()));
        }
        if let Some(jobs) = asked["jobs"].as_array() {
            return jobs
                .iter()
                .map(|job| usize::try_from(job.as_u64()?.checked_sub(1)?).ok())
                .collect::<Option<_>>()
                .map(Self::Told);
        }
        let by_id = |value: &Value| value["id"].as_u64().and_then(project);
        let target = &asked["target"];
        let image = || target["paths"][0].as_str().and_then(path).map(Named::Image);
        let by_path = || target["path"].as_str().and_then(path).map(Named::Path);
        let named = by_id(target).map(Named::Id).or_else(by_path).or_else(image)?;
        let origin = &asked["origin"];
        let (user, from) = (user(asked["user"]["id"].as_u64()?)?, path(origin["path"].as_str()?)?);
        Some(Self::Target(user, by_id(origin)?, from, named))
    }

    fn of_gitlab(rest: &str, token: Option<&str>, body: &[u8]) -> Option<Self> {
        if rest == "graphql" {
            let asked: Value = serde_json::from_slice(body).ok()?;
            let variables = &asked["variables"];
            let by_id = || variables["id"].as_str()?.rsplit('/').next()?.parse().ok().and_then(project);
            let by_path = variables["path"].as_str().and_then(path).map(Named::Path);
            return by_path.or_else(|| by_id().map(Named::Id)).map(Self::Allowlist);
        }
        let segments: Vec<&str> = rest.split('/').collect();
        match segments[..] {
            ["v4", "job"] => token.map(|token| Self::Token(token.to_owned())),
            ["v4", "projects", name] => named(name).map(Self::Project),
            ["v4", "projects", name, "members", "all", id] => Some(Self::Role(named(name)?, user(id.parse().ok()?)?)),
            ["v4", "users", id] => user(id.parse().ok()?).map(Self::External),
            ["v4", "application", "settings"] => Some(Self::Settings),
            _ => None,
        }
    }

    /// Whether it is one of the parts in which GitLab tells of a target, and names that.
    pub(crate) fn is_of_target(&self) -> bool {
        matches!(self, Self::Project(_) | Self::Role(..) | Self::Allowlist(_))
    }

    /// Whether no worker has reason to ask it twice at a time. What GitLab tells of a target in parts belongs to several facts.
    pub(crate) fn is_of_one_fact(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Target(..))
    }
}

impl World {
    /// What is true, where paths lead there.
    pub(crate) fn say(&self, question: &Question, paths: &[Leads; PATHS]) -> Said {
        let leads = |named: Named| match named {
            Named::Id(project) => Leads::To(project),
            Named::Path(path) => paths[path],
            Named::Image(path) => match paths[path] {
                Leads::On(_) | Leads::Nowhere => Leads::Nowhere,
                there => there,
            },
        };
        match *question {
            Question::Token(ref token) => match self.job_of(token) {
                Some(number) if self.jobs[number].runs => {
                    Said::Runs(number, group_of(self.path_of(self.jobs[number].origin)))
                }
                Some(number) => Said::Ended(number),
                None => Said::Unknown,
            },
            Question::Target(user, origin, _, named) => {
                let leads = leads(named);
                let group = group_of(self.path_of(origin));
                let admits = |target: usize| {
                    target == origin
                        || self.allowlist(target).under(self.is_enforced).admits(origin, std::iter::once(group))
                };
                let role = leads.project().map_or(Role::None, |project| self.role(user, project));
                Said::Standing(leads, role, leads.project().is_some_and(admits))
            }
            Question::Project(named) => Said::Project(leads(named)),
            Question::Role(named, user) => {
                let leads = leads(named);
                Said::Role(leads, leads.project().map_or(Role::None, |project| self.role(user, project)))
            }
            // GraphQL follows no path to where its project went.
            Question::Allowlist(named) => match leads(named) {
                Leads::To(project) => Said::Allowlist(Leads::To(project), self.allowlist(project)),
                Leads::Nowhere | Leads::On(_) => Said::Allowlist(Leads::Nowhere, Allowlist::default()),
            },
            Question::External(_) => Said::External,
            Question::Settings => Said::Settings(self.is_enforced),
            Question::Ended(after) => {
                let (jobs, count) = self.ended_after(after);
                Said::List(jobs, count)
            }
            Question::Told(_) => Said::Noted,
        }
    }

    /// The same as the service writes it.
    pub(crate) fn write(&self, api: Api, has_slots: bool, question: &Question, said: &Said) -> Written {
        let found = |body: Value| Written { status: "200", location: None, body: body.to_string() };
        match (api, said) {
            (_, Said::List(jobs, count)) => {
                let jobs: Vec<_> = jobs.iter().map(|job| job + 1).collect();
                found(json!({"version": 1, "cursor": count.to_string(), "ended": jobs}))
            }
            (Api::V1, said) => found(self.write_v1(has_slots, said)),
            (Api::Gitlab, said) => self.write_gitlab(question, said),
        }
    }

    fn write_v1(&self, has_slots: bool, said: &Said) -> Value {
        match said {
            Said::Runs(number, _) => {
                let job = &self.jobs[*number];
                let credential = if has_slots && job.is_foreign() { "service" } else { "own" };
                json!({"version": 1, "token": "running", "credential": credential, "job": {"id": number + 1,
                    "user": {"id": job.user + 1, "name": format!("user{}", job.user)},
                    "origin": {"id": id(job.origin), "path": path_name(self.path_of(job.origin))}}})
            }
            Said::Ended(_) => json!({"version": 1, "token": "ended"}),
            Said::Noted => json!({"version": 1}),
            Said::Unknown => json!({"version": 1, "token": "unknown"}),
            Said::Standing(leads, role, is_admitted) => match leads.project() {
                None => json!({"version": 1, "target": null}),
                Some(project) => json!({"version": 1,
                    "role": role_name(*role), "external": false,
                    "admission": if *is_admitted { "project" } else { "unlisted" },
                    "target": {"id": id(project), "path": path_name(self.path_of(project)),
                        "visibility": "private", "push_by_job_token": false}}),
            },
            _ => Value::Null,
        }
    }

    fn write_gitlab(&self, question: &Question, said: &Said) -> Written {
        let found = |body: String| Written { status: "200", location: None, body };
        let not =
            |status, message: &str| Written { status, location: None, body: format!(r#"{{"message":"{message}"}}"#) };
        let project = match said {
            Said::Project(Leads::On(project)) | Said::Role(Leads::On(project), _) => {
                let location = Some(format!("https://forge.example/api/v4/projects/{}", id(*project)));
                return Written { status: "301", location, body: "{}".to_owned() };
            }
            Said::Project(Leads::Nowhere) | Said::Role(Leads::Nowhere, _) => {
                return not("404", "404 Project Not Found");
            }
            Said::Project(Leads::To(project)) | Said::Allowlist(Leads::To(project), _) => *project,
            _ => 0,
        };
        match said {
            Said::Runs(number, _) | Said::Ended(number) => {
                let (job, id) = (&self.jobs[*number], number + 1);
                let (user, status) = (job.user, if matches!(said, Said::Ended(_)) { "success" } else { "running" });
                let (project, path) = (FIRST_PROJECT + job.origin as u64, path_name(self.path_of(job.origin)));
                found(format!(
                    r#"{{"id":{id},"status":"{status}","ref":"main","tag":false,"user":{{"id":{},"username":"user{user}","state":"active"}},"pipeline":{{"project_id":{project},"source":"push"}},"web_url":"https://forge.example/{path}/-/jobs/{id}"}}"#,
                    user + 1
                ))
            }
            Said::Project(_) => {
                let path = path_name(self.path_of(project));
                found(format!(r#"{{"id":{},"path_with_namespace":"{path}","visibility":"private"}}"#, id(project)))
            }
            Said::Role(_, Role::None) => not("404", "404 Not found"),
            Said::Role(_, role) => {
                let Question::Role(_, user) = question else { return not("400", "400 Bad request") };
                let level = if *role == Role::Developer { 30 } else { 20 };
                found(format!(r#"{{"id":{},"access_level":{level}}}"#, user + 1))
            }
            Said::Allowlist(Leads::To(_), allowlist) => {
                let shown = write_allowlist(project, allowlist);
                found(match question {
                    Question::Allowlist(Named::Id(_)) => format!(r#"{{"data":{{"projects":{{"nodes":[{shown}]}}}}}}"#),
                    _ => format!(r#"{{"data":{{"project":{shown}}}}}"#),
                })
            }
            Said::Allowlist(..) => found(r#"{"data":{"project":null}}"#.to_owned()),
            Said::External => {
                let Question::External(user) = question else { return not("400", "400 Bad request") };
                found(format!(r#"{{"id":{},"external":false}}"#, user + 1))
            }
            Said::Settings(is_enforced) => {
                found(format!(r#"{{"id":1,"enforce_ci_inbound_job_token_scope_enabled":{is_enforced}}}"#))
            }
            _ => not("401", "401 Unauthorized"),
        }
    }
}

/// A project's settings as GraphQL shows them.
fn write_allowlist(project: usize, allowlist: &Allowlist) -> String {
    const ENTRY: &str = r#""defaultPermissions":true,"jobTokenPolicies":[],"target""#;
    let (mut projects, mut groups) = (String::new(), String::new());
    for (origin, _) in allowlist.projects.iter().enumerate().filter(|(_, is_in)| **is_in) {
        let comma = if projects.is_empty() { "" } else { "," };
        let _ = write!(
            projects,
            r#"{comma}{{"direction":"INBOUND",{ENTRY}:{{"id":"gid://gitlab/Project/{}"}}}}"#,
            id(origin)
        );
    }
    for (group, _) in allowlist.groups.iter().enumerate().filter(|(_, is_in)| **is_in) {
        let comma = if groups.is_empty() { "" } else { "," };
        let _ = write!(groups, r#"{comma}{{{ENTRY}:{{"fullPath":"{}"}}}}"#, group_name(group));
    }
    let head = |nodes: &str| format!(r#"{{"nodes":[{nodes}],"pageInfo":{{"hasNextPage":false,"endCursor":null}}}}"#);
    let tail = |nodes: &str| format!(r#"{{"nodes":[{nodes}],"pageInfo":{{"hasPreviousPage":false}}}}"#);
    format!(
        r#"{{"id":"gid://gitlab/Project/{}","ciCdSettings":{{"inboundJobTokenScopeEnabled":{}}},"ciJobTokenScopeAllowlist":{{"projectsAllowlist":{},"lastProjects":{},"groupsAllowlist":{},"lastGroups":{}}}}}"#,
        id(project),
        !allowlist.is_open,
        head(&projects),
        tail(&projects),
        head(&groups),
        tail(&groups)
    )
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::None => "none",
        Role::Reporter => "reporter",
        Role::Developer => "developer",
    }
}

fn id(project: usize) -> u64 {
    FIRST_PROJECT + project as u64
}

fn project(id: u64) -> Option<usize> {
    usize::try_from(id.checked_sub(FIRST_PROJECT)?).ok().filter(|number| *number < PROJECTS)
}

fn user(id: u64) -> Option<usize> {
    usize::try_from(id.checked_sub(1)?).ok()
}

fn path(name: &str) -> Option<usize> {
    name.split_once("/p")?.1.parse().ok().filter(|path| *path < PATHS && path_name(*path) == name)
}

/// A project as one segment of a path names it.
fn named(segment: &str) -> Option<Named> {
    match segment.parse() {
        Ok(id) => project(id).map(Named::Id),
        Err(_) => path(&segment.replace("%2F", "/")).map(Named::Path),
    }
}
