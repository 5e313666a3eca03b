//! The world of a row.
//!
//! What a row does not say stands so that only what it says can decide: the user is an Owner and not external, the
//! project is private with every part of it on, the target lists the origin with the default permissions, the origin
//! limits nothing, the token is a running job's, and the target is the job's own project unless the row says something
//! of how another project stands to it.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::document::Row;
use super::forge;
use super::notes::Notes;
use super::tables;

/// The world of a row, or of one of its readings.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Whether the target is the job's own project.
    pub is_own: bool,
    /// Whether there is such a target.
    pub target_exists: bool,
    /// Whether origin and target lie in one group.
    pub shares_root: bool,
    pub visibility: &'static str,
    /// Levels of the target's parts, by the forge's names; a part that is not named is on.
    pub features: BTreeMap<&'static str, &'static str>,
    /// Whether the target limits access by its own switch. A project without the setting does.
    pub limits: bool,
    /// Whether the instance has every project limit access.
    pub enforced: bool,
    pub entry: Entry,
    /// Whether the origin limits where its jobs go, and whether it names the target.
    pub origin_limits: bool,
    pub origin_lists_target: bool,
    /// Whether the target is archived.
    pub archived: bool,
    /// Whether guests and visitors see the target's jobs.
    pub public_jobs: bool,
    /// The forge's version; `None` for the newest.
    pub version: Option<String>,
    /// The two settings for pushing by job tokens.
    pub push: bool,
    pub cross_push: bool,
    /// The projects that hold the package that is asked for, or that the group has, by their numbers.
    pub held_by: Vec<u64>,
    /// Whether jobs may ask for indexes.
    pub packages_index: &'static str,
    /// Who started the job; `None` for nobody.
    pub user: Option<User>,
    pub token: Token,
    /// What the request is like.
    pub asked: Asked,
}

/// The entry for the origin in the target's allowlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    None,
    Project(Granted),
    Group(Granted),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    Default,
    These(Vec<String>),
    /// What the endpoint asks for, whatever that is.
    WhatIsRequired,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub role: &'static str,
    pub external: bool,
}

/// What is true of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The request has none.
    None,
    Live,
    /// A running job's, but not that of the job in the path.
    OfAnotherJob,
    TooLong,
    /// No running job's, for the reason that a lookup of one's own gives.
    Dead(&'static str),
    /// A running job's, whose user the forge refuses.
    Refused(&'static str),
}

/// What a row gives of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Carriers and what they carry, in the words of the row.
    pub carriers: Vec<(String, String)>,
    pub required: Option<Vec<String>>,
    pub open_features: Option<Vec<String>>,
    pub scopes: Option<Vec<String>>,
    pub repository: Option<String>,
    pub method: Option<String>,
    pub service: Option<String>,
    pub operation: Option<String>,
    pub state: Option<String>,
    pub offline_token: bool,
    pub lacks_service: bool,
    pub names_other_job: bool,
    /// Whether the forge named that one when it handed the job out.
    pub is_handed_out_with_it: bool,
    /// What npm says that it does.
    pub npm_command: Option<String>,
}

/// The parts of a project, in the words of the rows and of the forge's answer.
const FEATURES: [(&str, &str); 10] = [
    ("repository", "repository_access_level"),
    ("wiki", "wiki_access_level"),
    ("builds", "builds_access_level"),
    ("container_registry", "container_registry_access_level"),
    ("package_registry", "package_registry_access_level"),
    ("releases", "releases_access_level"),
    ("environments", "environments_access_level"),
    ("merge_requests", "merge_requests_access_level"),
    ("issues", "issues_access_level"),
    ("infrastructure", "infrastructure_access_level"),
];

const ROLES: [&str; 8] = ["none", "minimal", "guest", "planner", "reporter", "developer", "maintainer", "owner"];

/// Facts that a row names and that decide nothing, or that the request says again.
const IDLE: [&str; 5] = [
    "fixture",
    "origin_inbound_allowlist_has_target",
    "links_exist_between_third_projects",
    "origin_visibility",
    "path_without_dot_git",
];

/// Facts that tell how another project stands to the target.
const OF_OTHERS: [&str; 12] = [
    "allowlisted",
    "allowlist_entry",
    "target_inbound_limit",
    "target_inbound_has_origin",
    "origin_group_in_target_groups_allowlist",
    "origin_outbound_limit",
    "origin_outbound_has_target",
    "project_ci_cd_settings",
    "instance_enforce",
    "anonymous",
    "feature",
    "scopes",
];

impl Given {
    /// The worlds of a row: one for each role that it allows for.
    ///
    /// # Errors
    /// It says what nobody here understands.
    pub(super) fn of(row: &Row) -> Result<Vec<Given>> {
        let notes = Notes::new("given", &row.given);
        let is_own = match notes.text("relation")? {
            Some("self") => true,
            Some("other") => false,
            Some(other) => return Err(notes.unknown("relation", other)),
            None => !OF_OTHERS.iter().any(|key| row.given.contains_key(*key)),
        };
        let target = notes.text("target")?;
        if let Some(other) = target.filter(|target| *target != "does not exist") {
            return Err(notes.unknown("target", other));
        }
        let is_base_ability = notes.switch("job_token")? == Some(false);
        let (roles, external, token) = people(&notes)?;
        let (limits, enforced, origin_limits) = limits(&notes)?;
        let asked = request(&notes)?;
        // Where several projects are asked for, it is their visibility that tells them apart.
        let (roles, listed) = match &asked.scopes {
            Some(_) => (vec!["none"], listed(&notes)?.or(Some(false))),
            None => (roles, listed(&notes)?),
        };
        let entry = entry(&notes, listed.unwrap_or(true))?;
        let given = Given {
            is_own: is_own && !is_base_ability,
            target_exists: target.is_none(),
            shares_root: notes.switch("same_root_ancestor")?.unwrap_or(false),
            visibility: match notes.text("target_visibility")? {
                None | Some("private") => "private",
                Some("internal") => "internal",
                Some("public") => "public",
                Some(other) => return Err(notes.unknown("target_visibility", other)),
            },
            features: features(&notes)?,
            // A right that has nothing to do with job tokens is asked of a target that lets every job in.
            limits: limits && !is_base_ability,
            enforced,
            entry,
            origin_limits,
            origin_lists_target: notes.switch("origin_outbound_has_target")?.unwrap_or(listed.unwrap_or(true)),
            archived: notes.switch("archived")?.unwrap_or(false),
            // A project's jobs are public until somebody changes that.
            public_jobs: notes.switch("public_jobs")?.unwrap_or(true),
            version: notes.text("gitlab_version")?.map(str::to_owned),
            push: notes.switch("push_setting")?.unwrap_or(false),
            cross_push: notes.switch("cross_project_push_setting")?.unwrap_or(false),
            held_by: Vec::new(),
            packages_index: match notes.text("packages_index")? {
                None | Some("deny") => "deny",
                Some("all-admitted") => "all-admitted",
                Some(other) => return Err(notes.unknown("packages_index", other)),
            },
            user: None,
            token: token_of_row(&notes, &asked, token)?,
            asked,
        };
        let target = forge::target(&given);
        let holder = |word: &str| match word {
            "target" => Ok(target.id),
            "origin" => Ok(forge::ORIGIN.id),
            "no project" => Ok(forge::NOWHERE),
            other => Err(notes.unknown("held_by", other)),
        };
        let held_by = notes.texts("held_by")?.unwrap_or_default().into_iter().map(holder).collect::<Result<_>>()?;
        let given = Given { held_by, ..given };
        for idle in IDLE {
            notes.value(idle);
        }
        let has_user = !matches!(notes.value("job_user"), Some(Value::Null));
        if let Some(other) = row.given.get("job_user").filter(|user| !user.is_null()) {
            return Err(notes.unknown("job_user", other));
        }
        notes.finish()?;
        let user = |role: &'static str| has_user.then_some(User { role, external });
        Ok(roles.into_iter().map(|role| Given { user: user(role), ..given.clone() }).collect())
    }
}

/// The roles that are possible, whether the user is external, and why the forge refuses them, if it does.
fn people(notes: &Notes<'_>) -> Result<(Vec<&'static str>, bool, Option<&'static str>)> {
    let Some(user) = notes.part("user")? else { return Ok((vec!["owner"], false, None)) };
    let mut roles = match user.value("role_on_target") {
        None => vec!["owner"],
        Some(Value::Null) => vec!["none"],
        Some(value) => {
            let text = value.as_str().unwrap_or_default();
            let named = |word: &str| match word {
                "any" => Some(ROLES.to_vec()),
                "none" | "removed during the job" => Some(vec!["none"]),
                word => ROLES.iter().find(|role| **role == word).map(|role| vec![*role]),
            };
            let roles: Option<Vec<Vec<_>>> = text.split(" or ").map(named).collect();
            roles.ok_or_else(|| user.unknown("role_on_target", value))?.concat()
        }
    };
    roles.dedup();
    for key in ["member_of_target", "can_read_project", "can_read_build"] {
        if user.switch(key)? == Some(false) {
            roles = vec!["none"];
        }
    }
    // An administrator, with or without admin mode, counts by membership; so does a bot.
    let mut external = user.switch("external")?.unwrap_or(false);
    match user.text("kind")? {
        None | Some("regular" | "project bot" | "group bot" | "service account") => {}
        Some("external") => external = true,
        Some(kind) if kind == "admin" || kind.starts_with("admin with") => {}
        Some(other) => return Err(user.unknown("kind", other)),
    }
    let is_expired = user.switch("password_expired")? == Some(true);
    let refused = match user.text("state")? {
        None | Some("active") => is_expired.then_some("user-refused"),
        Some("blocked" | "banned" | "ldap_blocked" | "blocked_pending_approval") => Some("user-blocked"),
        Some("deactivated") => Some("user-deactivated"),
        Some("locked" | "unconfirmed" | "terms not accepted" | "password expired") => Some("user-refused"),
        Some(other) => return Err(user.unknown("state", other)),
    };
    user.finish()?;
    Ok((roles, external, refused))
}

/// Whether the target limits access, whether the instance has it do so, and whether the origin limits where jobs go.
fn limits(notes: &Notes<'_>) -> Result<(bool, bool, bool)> {
    let both = notes.switch("inbound_and_outbound_limits_on_both")?;
    let mut limits = notes.switch("target_inbound_limit")?.or(both).unwrap_or(true);
    match notes.value("project_ci_cd_settings") {
        None => {}
        Some(Value::Object(values)) => {
            let settings = Notes::new("given.project_ci_cd_settings", values);
            limits = match settings.value("inbound_job_token_scope_enabled") {
                None | Some(Value::Null) => true,
                Some(Value::Bool(limits)) => *limits,
                Some(other) => return Err(settings.unknown("inbound_job_token_scope_enabled", other)),
            };
            settings.finish()?;
        }
        Some(value) if value.is_null() || ["missing", "none"].iter().any(|word| value == word) => limits = true,
        Some(other) => return Err(notes.unknown("project_ci_cd_settings", other)),
    }
    let enforced = notes.switch("instance_enforce")?.unwrap_or(false);
    Ok((limits, enforced, notes.switch("origin_outbound_limit")?.or(both).unwrap_or(false)))
}

/// Whether the row says that the allowlists name the other side.
fn listed(notes: &Notes<'_>) -> Result<Option<bool>> {
    if notes.value("allowlisted").and_then(Value::as_str) == Some("both directions") {
        return Ok(Some(true));
    }
    notes.switch("allowlisted")
}

fn entry(notes: &Notes<'_>, is_listed: bool) -> Result<Entry> {
    let granted = match notes.value("granted") {
        None => Vec::new(),
        Some(Value::String(text)) if text == "another policy" => vec!["read_secure_files".into()],
        Some(Value::String(text)) if text == "required policies" => vec!["required".into()],
        Some(_) => notes.texts("granted")?.unwrap_or_default().into_iter().map(tables::policy).collect(),
    };
    // Where the instance has no such permissions, an entry grants everything.
    let are_enabled = notes.switch("policies_enabled")?.unwrap_or(true);
    let by_group = notes.switch("origin_group_in_target_groups_allowlist")?.unwrap_or(false);
    let is_listed = notes.switch("target_inbound_has_origin")?.unwrap_or(is_listed);
    let granted = match notes.text("allowlist_entry")? {
        Some("none") => return Ok(Entry::None),
        Some("fine_grained") if !are_enabled => Granted::Default,
        Some("fine_grained") if granted == ["required"] => Granted::WhatIsRequired,
        Some("fine_grained") => Granted::These(granted),
        None | Some("default_permissions") => Granted::Default,
        Some(other) => return Err(notes.unknown("allowlist_entry", other)),
    };
    Ok(match (by_group, is_listed) {
        (true, _) => Entry::Group(granted),
        (false, true) => Entry::Project(granted),
        (false, false) => Entry::None,
    })
}

fn level(notes: &Notes<'_>, key: &str, value: &Value) -> Result<&'static str> {
    match value.as_str() {
        Some("enabled" | "all enabled") => Ok("enabled"),
        Some("private" | "members only" | "members-only" | "all members-only") => Ok("private"),
        Some("disabled" | "all disabled") => Ok("disabled"),
        _ => Err(notes.unknown(key, value)),
    }
}

fn features(notes: &Notes<'_>) -> Result<BTreeMap<&'static str, &'static str>> {
    let mut features = BTreeMap::new();
    for key in ["feature", "project_features"] {
        let Some(value) = notes.value(key) else { continue };
        let Some(levels) = value.as_object() else {
            let level = level(notes, key, value)?;
            features.extend(FEATURES.map(|(_, name)| (name, level)));
            continue;
        };
        for (part, value) in levels {
            let (_, name) = FEATURES.iter().find(|(known, _)| known == part).ok_or_else(|| notes.unknown(key, part))?;
            features.insert(*name, level(notes, part, value)?);
        }
    }
    if let Some(value) = notes.value("repository_access") {
        features.insert("repository_access_level", level(notes, "repository_access", value)?);
    }
    Ok(features)
}

fn request(notes: &Notes<'_>) -> Result<Asked> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let policies = |texts: Vec<&str>| texts.into_iter().map(tables::policy).collect::<Vec<_>>();
    let only = |key: &str, known: &str| match notes.text(key)? {
        None => Ok(false),
        Some(text) if text == known => Ok(true),
        Some(other) => Err(notes.unknown(key, other)),
    };
    let open_features = match notes.value("endpoint_public_features") {
        None | Some(Value::Null) => None,
        Some(_) => notes.texts("endpoint_public_features")?.map(owned),
    };
    let state = match notes.part("body")? {
        None => None,
        Some(body) => {
            let state = body.text("state")?.map(str::to_owned);
            body.finish()?;
            state
        }
    };
    let mut carriers = Vec::new();
    for carrier in tables::CARRIERS {
        if let Some(value) = notes.text(carrier)? {
            carriers.push((carrier.to_owned(), value.to_owned()));
        }
    }
    // The route says which kind of row this is; the request names it too.
    if let Some(route) = notes.text("route")?
        && !["authenticate_non_public", "job_token_allowed true only"].contains(&route)
        && !route.starts_with("job_token_scope project")
    {
        return Err(notes.unknown("route", route));
    }
    let is_others = match notes.text("artifact_owner")? {
        None | Some("own job" | "same job") => false,
        Some("other job") => true,
        Some(other) => return Err(notes.unknown("artifact_owner", other)),
    };
    let names_other_job = only("job", "unknown id")? | is_others;
    if notes.text("ref")?.is_some_and(|name| name != "exists") {
        return Err(notes.unknown("ref", "a ref that does not exist"));
    }
    Ok(Asked {
        carriers,
        required: notes.texts("required")?.map(policies),
        open_features,
        scopes: notes.texts("scopes")?.map(owned),
        repository: notes.text("repo")?.map(str::to_owned),
        method: notes.text("method")?.map(str::to_owned),
        service: notes.text("service")?.map(str::to_owned),
        operation: notes.text("operation")?.map(str::to_owned),
        state,
        offline_token: notes.switch("offline_token")?.unwrap_or(false),
        lacks_service: only("service_param", "missing")?,
        names_other_job,
        is_handed_out_with_it: only("handed_out_with", "that job's artifacts")?,
        npm_command: notes.text("npm_command")?.map(str::to_owned),
    })
}

/// The state of the token from everything that a row says of it, the job and the job's project.
fn token_of_row(notes: &Notes<'_>, asked: &Asked, refused: Option<&'static str>) -> Result<Token> {
    let mut token = refused.map_or(Token::Live, Token::Refused);
    if let Some(status) = notes.text("job_status")? {
        token = match status {
            "running" | "canceling" => token,
            "success" | "failed" | "canceled" | "skipped" | "not running" => Token::Dead("ended"),
            "created"
            | "pending"
            | "preparing"
            | "waiting_for_resource"
            | "waiting_for_callback"
            | "scheduled"
            | "manual" => Token::Dead("not-started"),
            other => return Err(notes.unknown("job_status", other)),
        };
    }
    for key in ["erased", "job_erased"] {
        if notes.switch(key)? == Some(true) {
            token = Token::Dead("erased");
        }
    }
    match notes.text("origin_project")? {
        None => {}
        Some("missing" | "pending_delete" | "deleted") => token = Token::Dead("project-gone"),
        Some(other) => return Err(notes.unknown("origin_project", other)),
    }
    if let Some(text) = notes.text("token")? {
        token = tables::token(text, token).ok_or_else(|| notes.unknown("token", text))?;
    }
    // A carrier says it as well: the token that it carries, and that of a person beside it.
    let stands_alone = asked.carriers.len() == 1;
    for (carrier, value) in &asked.carriers {
        let text = value.split_once(":<").map_or(value.as_str(), |(_, token)| token).trim_end_matches('>');
        match text {
            "valid PAT" | "invalid PAT" => {}
            // Beside another token this one is nobody's, and the other one is the job's.
            "invalid" if !stands_alone => {}
            text => token = tables::token(text, token).ok_or_else(|| notes.unknown(carrier, text))?,
        }
    }
    Ok(token)
}
