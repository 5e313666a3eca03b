//! What lookups see of a row's world: the forge's own API, and a service of one's own.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::given::{Entry, Given, Granted, Token};

/// The forge's host.
pub(super) const HOST: &str = "gitlab.example.com";
/// The job's number.
pub(super) const JOB: u64 = 7;
/// The job's token.
pub(super) const SECRET: &str = "glcbt-64_ofARunningJob";

/// A project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Project {
    pub id: u64,
    pub path: &'static str,
}

/// The job's project.
pub(super) const ORIGIN: Project = Project { id: 101, path: "apps/team/web" };
/// The number of a project that is not there.
pub(super) const NOWHERE: u64 = 999;
const ELSEWHERE: Project = Project { id: 102, path: "libs/common" };
const NEARBY: Project = Project { id: 102, path: "apps/tools/common" };
/// Projects of a visibility of their own, for rows that ask for several.
pub(super) const BY_VISIBILITY: [(&str, Project); 3] = [
    ("private", Project { id: 103, path: "libs/private" }),
    ("internal", Project { id: 104, path: "libs/internal" }),
    ("public", Project { id: 105, path: "libs/public" }),
];
const USER: u64 = 11;

/// The project that a row asks for.
pub(super) fn target(given: &Given) -> Project {
    match (given.is_own, given.shares_root) {
        (true, _) => ORIGIN,
        (false, true) => NEARBY,
        (false, false) => ELSEWHERE,
    }
}

/// The path of the project that has a visibility of its own.
pub(super) fn of_visibility(visibility: &str) -> Result<&'static str> {
    let known = BY_VISIBILITY.iter().find(|(known, _)| *known == visibility);
    known.map(|(_, project)| project.path).with_context(|| format!("nobody here understands `{visibility}`"))
}

/// The visibility that the path of a project tells.
pub(super) fn visibility_of(path: &str) -> Option<&'static str> {
    BY_VISIBILITY.iter().find(|(_, project)| project.path == path).map(|(visibility, _)| *visibility)
}

/// Levels of a project whose every part is kept to members.
pub(super) fn kept_to_members() -> BTreeMap<&'static str, &'static str> {
    policy::facts::Feature::ALL.map(|(_, name)| (name, "private")).into()
}

/// Who answers lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The forge's own API.
    Forge,
    /// A service of one's own, which also knows what the forge's API does not tell.
    Service,
}

impl Source {
    pub(super) const ALL: [Self; 2] = [Self::Forge, Self::Service];

    /// Whether all that a world is made of can be learned there. The forge's API signs nobody in for a job behind which
    /// nobody stands, so it tells nothing of one.
    pub(super) fn tells(self, given: &Given) -> bool {
        self == Source::Service || given.user.is_some()
    }

    /// Whether it says why a token is no running job's. The forge's own API says 401 to all of them, and 403 for a user
    /// whom it refuses.
    pub(super) fn tells_why(self, given: &Given) -> bool {
        self == Source::Service || !matches!(given.token, Token::Dead(_) | Token::Refused(_))
    }

    /// The configuration of a filter that asks it.
    pub(super) fn configuration(self, given: &Given, answers: &str) -> String {
        let api = match self {
            Source::Forge => "auto",
            Source::Service => "v1",
        };
        let version = given.version.as_deref().unwrap_or("newest");
        json!({"forge": {"answers": answers, "version": version, "hosts": [HOST]}, "facts": {"outbound": "lookup"},
            "packages": {"index": given.packages_index},
            "lookup": {"api": api, "cluster": "lookup", "authority": HOST, "credential_env": "LOOKUP_TOKEN"}})
        .to_string()
    }
}

/// The answer to a lookup: status and JSON.
pub(super) fn answer(given: &Given, path: &str, body: &[u8]) -> (u16, String) {
    let answer = match path.split_once("/api/v4/") {
        None if path.ends_with("/api/graphql") => Ok(of_graphql(given, body)),
        Some((_, "job")) => own_job(given),
        Some((_, path)) => of_forge(given, path).ok_or((404, "404 Not Found")),
        None => Ok(of_service(given, body)),
    };
    match answer {
        Ok(answer) => (200, answer.to_string()),
        Err((status, message)) => (status, json!({"message": message}).to_string()),
    }
}

fn own_job(given: &Given) -> Result<Value, (u16, &'static str)> {
    match given.token {
        Token::Refused(_) => return Err((403, "403 Forbidden - Your account has been blocked.")),
        Token::Dead(_) | Token::TooLong | Token::None => return Err((401, "401 Unauthorized")),
        Token::Live | Token::OfAnotherJob => {}
    }
    let address = format!("https://{HOST}/{}/-/jobs/{JOB}", ORIGIN.path);
    Ok(json!({"id": JOB, "status": "running", "user": {"id": USER, "username": "dana", "state": "active"},
        "ref": "main", "pipeline": {"id": 1, "project_id": ORIGIN.id, "source": "push"}, "web_url": address}))
}

/// A project by its path or number, and its visibility.
fn found(given: &Given, reference: &str) -> Option<(Project, &'static str)> {
    let is = |project: Project| project.path == reference || project.id.to_string() == reference;
    let target = target(given);
    let others = BY_VISIBILITY.iter().map(|(visibility, project)| (*project, *visibility));
    let known = [(target, given.visibility), (ORIGIN, "private")].into_iter().chain(others);
    known.into_iter().find(|(project, _)| is(*project) && (given.target_exists || *project != target))
}

fn of_forge(given: &Given, path: &str) -> Option<Value> {
    if path == format!("users/{USER}") {
        let user = given.user.as_ref()?;
        return Some(json!({"id": USER, "username": "dana", "state": "active", "external": user.external}));
    }
    if path == "application/settings" {
        return Some(json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": given.enforced}));
    }
    if path == "user" {
        return Some(json!({"id": USER, "is_admin": true}));
    }
    if let Some(list) = path.strip_prefix("groups/libs/") {
        return Some(of_group(given, list));
    }
    let path = path.strip_prefix("projects/")?;
    let (reference, rest) = path.split_once('/').unwrap_or((path, ""));
    let (project, visibility) = found(given, &reference.replace("%2F", "/"))?;
    match rest.split('?').next()? {
        "" => {
            let mut answer = json!({"id": project.id, "path_with_namespace": project.path, "visibility": visibility,
                "ci_job_token_scope_enabled": given.origin_limits,
                "archived": given.archived, "public_jobs": given.public_jobs,
                "ci_push_repository_for_job_token_allowed": given.push,
                "ci_cross_project_push_for_job_token_allowed": given.cross_push});
            for (name, level) in &given.features {
                answer[*name] = json!(level);
            }
            Some(answer)
        }
        "job_token_scope" => Some(json!({"inbound_enabled": given.limits, "outbound_enabled": given.origin_limits})),
        rest if rest == format!("members/all/{USER}") => {
            let (_, level, _) = policy::facts::Role::ALL.iter().find(|(_, _, name)| Some(*name) == role(given))?;
            (*level > 0).then(|| json!({"id": USER, "access_level": level, "state": "active"}))
        }
        rest if rest.starts_with("jobs/") && !given.asked.is_handed_out_with_it => Some(json!({"id": JOB})),
        _ => None,
    }
}

/// The projects or the packages of a group. None of those is hidden.
fn of_group(given: &Given, list: &str) -> Value {
    let (list, query) = list.split_once('?').unwrap_or((list, ""));
    let said = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let held_by = given.held_by.iter().filter(|_| said("status") != Some("hidden"));
    let entry = |id: &u64| match list {
        "packages" => json!({"project_id": id, "name": said("package_name"), "package_type": said("package_type")}),
        _ => json!({"id": id}),
    };
    held_by.map(entry).collect()
}

/// What the forge's GraphQL API tells: whether a project limits access, what its entries grant, and whom an origin lets
/// its jobs out to.
fn of_graphql(given: &Given, body: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let page = |nodes: &Value| json!({"nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": null}});
    let last = |nodes: &Value| json!({"nodes": nodes, "pageInfo": {"hasPreviousPage": false}});
    let gid = |project: Project| format!("gid://gitlab/Project/{}", project.id);
    if asked["operationName"] == "jobscopeOutbound" {
        let listed = given.origin_lists_target.then(|| json!({"id": gid(target(given))}));
        let listed: Value = listed.into_iter().collect();
        let scope = json!({"projects": page(&listed), "last": last(&listed)});
        return json!({"data": {"project": {"ciJobTokenScope": scope}}});
    }
    let (path, id) = (asked["variables"]["path"].as_str(), asked["variables"]["id"].as_str());
    let reference = path.or_else(|| id?.strip_prefix("gid://gitlab/Project/")).unwrap_or_default();
    let entry = |granted: &Granted, named: Value| {
        let policies: Vec<String> = match granted {
            Granted::These(granted) => granted.iter().map(|name| name.to_ascii_uppercase()).collect(),
            Granted::Default | Granted::WhatIsRequired => Vec::new(),
        };
        json!([{"direction": "INBOUND", "defaultPermissions": matches!(granted, Granted::Default),
            "jobTokenPolicies": policies, "target": named}])
    };
    let (projects, groups) = match &given.entry {
        Entry::None => (json!([]), json!([])),
        Entry::Project(granted) => (entry(granted, json!({"id": gid(ORIGIN)})), json!([])),
        Entry::Group(granted) => (json!([]), entry(granted, json!({"fullPath": "apps"}))),
    };
    let shown = found(given, reference).map(|(project, _)| {
        json!({"id": gid(project), "ciCdSettings": {"inboundJobTokenScopeEnabled": given.limits},
            "ciJobTokenScopeAllowlist": {"projectsAllowlist": page(&projects), "lastProjects": last(&projects),
                "groupsAllowlist": page(&groups), "lastGroups": last(&groups)}})
    });
    match path {
        Some(_) => json!({"data": {"project": shown}}),
        None => json!({"data": {"projects": {"nodes": shown.into_iter().collect::<Value>()}}}),
    }
}

fn role(given: &Given) -> Option<&'static str> {
    given.user.as_ref().map(|user| user.role)
}

fn of_service(given: &Given, body: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    if asked["ask"] == "token" {
        return match given.token {
            Token::Dead(cause) | Token::Refused(cause) => json!({"version": 1, "token": cause}),
            Token::TooLong | Token::None => json!({"version": 1, "token": "unknown"}),
            Token::Live | Token::OfAnotherJob => {
                let user = given.user.as_ref().map(|_| json!({"id": USER, "name": "dana"}));
                json!({"version": 1, "token": "running", "job": {"id": JOB, "user": user,
                    "origin": {"id": ORIGIN.id, "path": ORIGIN.path}}})
            }
        };
    }
    if asked["ask"] == "holders" {
        return json!({"version": 1, "holders": given.held_by});
    }
    let reference = &asked["target"];
    let paths = reference["paths"].as_array().into_iter().flatten().chain(reference.get("path"));
    let mut references = paths.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    references.extend(reference["id"].as_u64().map(|id| id.to_string()));
    references.extend(reference["job"].as_u64().map(|_| ORIGIN.id.to_string()));
    let Some((project, visibility)) = references.iter().find_map(|reference| found(given, reference)) else {
        return json!({"version": 1, "target": null});
    };
    let limits = given.limits || given.enforced;
    let (admission, granted) = match &given.entry {
        _ if project == ORIGIN => ("own", None),
        _ if !limits => ("open", None),
        Entry::None => ("unlisted", None),
        Entry::Project(granted) => ("project", Some(granted)),
        Entry::Group(granted) => ("group", Some(granted)),
    };
    let permissions = match granted {
        Some(Granted::These(granted)) => json!(granted),
        // An entry that waits to be told what is required was asked of no endpoint: it grants nothing.
        Some(Granted::WhatIsRequired) => json!([]),
        Some(Granted::Default) | None => Value::Null,
    };
    let is_kept = given.origin_limits && !given.origin_lists_target;
    let push = match (given.push, given.cross_push) {
        (false, _) => "off",
        (true, false) => "own",
        (true, true) => "admitted",
    };
    let level = |(name, level): (&&str, &&str)| (name.trim_end_matches("_access_level").to_owned(), json!(level));
    let features: serde_json::Map<String, Value> = given.features.iter().map(level).collect();
    json!({"version": 1, "role": role(given).unwrap_or("none"), "permissions": permissions,
        "external": given.user.as_ref().is_some_and(|user| user.external), "admission": admission,
        "outbound": if is_kept { "unlisted" } else { "open" },
        "target": {"id": project.id, "path": project.path, "visibility": visibility, "features": features,
            "push_by_job_token": push, "archived": given.archived, "public_jobs": given.public_jobs}})
}
