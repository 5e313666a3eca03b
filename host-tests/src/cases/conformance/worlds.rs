//! The rows as documents: a configuration, a world, a job and a request each, for the command and the page to decide.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::asking::{Question, questions};
use super::document;
use super::exceptions::Exceptions;
use super::forge::{self, JOB, ORIGIN, SECRET, Source};
use super::given::{Entry, Given, Granted, Token};
use super::run::answers;
use super::seen::{Seen, by_core};

/// One request of a row.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The row, and which of its requests this is.
    pub id: String,
    /// The filter's configuration.
    pub config: Value,
    /// The world.
    pub world: Value,
    /// The job that asks, as a number of the world.
    pub job: String,
    /// The request as it is sent.
    pub request: String,
    /// `allow`, `deny` or `untouched`: what the core decides where lookups tell it the row's world.
    pub verdict: &'static str,
}

/// Every request of the rows that a document of a world tells whole. What is not asked by the exceptions is not here either.
///
/// # Errors
/// A file is not of the shape, or nobody here understands a row.
pub fn told(rows: &str, exceptions: &str) -> Result<Vec<Told>> {
    let exceptions = Exceptions::parse(exceptions)?;
    let mut all = Vec::new();
    for (id, row) in document::parse(rows)? {
        // A row that is none is its own failure where rows are decided.
        let Some(row) = row.ok().filter(|row| exceptions.left(row).is_none()) else { continue };
        let questions = questions(&row).with_context(|| id.clone())?;
        for (at, question) in questions.iter().enumerate().filter(|(_, question)| is_told(question)) {
            let configuration = Source::Service.configuration(&question.given, answers(&row));
            let verdict = match by_core(question, Source::Service, answers(&row))? {
                Seen::Untouched => "untouched",
                Seen::Forwarded { .. } => "allow",
                Seen::Answered { .. } => "deny",
                Seen::Broken(why) => bail!("{id}: {why}"),
            };
            all.push(Told {
                id: format!("{id} {at}"),
                config: serde_json::from_str(&configuration)?,
                world: world(&question.given),
                job: JOB.to_string(),
                request: wire(question),
                verdict,
            });
        }
    }
    Ok(all)
}

/// Whether a world tells all that decides: in it a running job asks, whose project is there; no packages are told by who holds
/// them, and nothing of what a runner was handed. A request that is written down is text.
fn is_told(question: &Question) -> bool {
    let given = &question.given;
    given.token == Token::Live
        && (given.target_exists || !given.is_own)
        && given.held_by.is_empty()
        && !given.asked.is_handed_out_with_it
        && std::str::from_utf8(&question.message.body).is_ok()
}

fn world(given: &Given) -> Value {
    let target = forge::target(given);
    let members = match given.user.as_ref().filter(|user| user.role != "none") {
        Some(user) => json!({"dana": user.role}),
        None => json!({}),
    };
    let project = |project: forge::Project, visibility: &str| {
        let mut entry = json!({"id": project.id, "path": project.path, "visibility": visibility, "members": members,
            "archived": given.archived, "public_jobs": given.public_jobs, "inbound_limit": given.limits,
            "push_by_job_token": given.push, "cross_project_push": given.cross_push,
            "allowlist": allowlist(&given.entry), "repository": {"files": {"README.md": "here\n"}}});
        let features = given.features.iter().map(|(name, level)| (name.trim_end_matches("_access_level"), *level));
        entry["features"] = features.collect();
        if project == ORIGIN && given.origin_limits {
            let listed = given.origin_lists_target && given.target_exists;
            entry["outbound"] = listed.then_some(target.path).into_iter().collect();
        }
        entry
    };
    let mut projects = Vec::new();
    if target != ORIGIN && given.target_exists {
        projects.push(project(target, given.visibility));
    }
    projects.push(project(ORIGIN, if target == ORIGIN { given.visibility } else { "private" }));
    projects.extend(forge::BY_VISIBILITY.iter().map(|(visibility, one)| project(*one, visibility)));
    let groups = ["apps", "apps/team", "apps/tools", "libs"];
    let groups: Vec<Value> =
        groups.iter().enumerate().map(|(at, path)| json!({"id": at.saturating_add(1), "path": path})).collect();
    json!({
        "users": [{"id": 11, "username": "dana", "external": given.user.as_ref().is_some_and(|user| user.external)}],
        "groups": groups,
        "projects": projects,
        "jobs": [{"id": JOB, "project": ORIGIN.path, "user": given.user.as_ref().map(|_| "dana"), "name": "test",
            "status": "running", "token": SECRET}],
        "settings": {"enforce_ci_inbound_job_token_scope_enabled": given.enforced},
    })
}

fn allowlist(entry: &Entry) -> Value {
    let granted = |path: &str, granted: &Granted| match granted {
        Granted::Default => json!({}),
        Granted::These(names) => json!({path: names}),
        Granted::WhatIsRequired => json!({path: []}),
    };
    match entry {
        Entry::None => json!({}),
        Entry::Project(all) => json!({"projects": [ORIGIN.path], "permissions": granted(ORIGIN.path, all)}),
        Entry::Group(all) => json!({"groups": ["apps"], "permissions": granted("apps", all)}),
    }
}

/// The request as text: a line, fields, and what follows.
fn wire(question: &Question) -> String {
    let fields = question.message.fields();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let of =
        |name: &[u8]| fields.iter().find(|(found, _)| found == name).map(|(_, value)| text(value)).unwrap_or_default();
    let mut lines =
        vec![format!("{} {} HTTP/1.1", of(b":method"), of(b":path")), format!("Host: {}", of(b":authority"))];
    let others = fields.iter().filter(|(name, _)| !name.starts_with(b":"));
    lines.extend(others.map(|(name, value)| format!("{}: {}", text(name), text(value))));
    format!("{}\n\n{}", lines.join("\n"), text(&question.message.body))
}
