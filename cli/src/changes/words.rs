//! A change in words: what it is, who can make it, and how.

use std::borrow::Cow;

use serde_json::json;
use world::{Project, Role, World};

use super::{Change, Listed, RuleKind, Setting};

/// Who can make a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// In words.
    pub who: String,
    /// The users of the world who can.
    pub users: Vec<String>,
}

impl Change {
    /// What it is, in a sentence without its end.
    #[must_use]
    pub fn text(&self, world: &World) -> String {
        let project = |id: &u64| path(world, *id);
        let entry = |listed: &Listed| named(world, *listed);
        match self {
            Self::List(target, listed @ Listed::Project(_)) => {
                format!("{} lists {} in its allowlist", project(target), entry(listed))
            }
            Self::List(target, listed @ Listed::Group(_)) => {
                let (all, group) = (admitted(world, *listed), entry(listed));
                let noun = if all == 1 { "project" } else { "projects" };
                format!("{} lists the group {group} in its allowlist, which lets in {all} {noun}", project(target))
            }
            Self::Unlist(target, listed) => format!("{} takes {} off its allowlist", project(target), entry(listed)),
            Self::Grant(target, listed, permission) => {
                format!("the entry of {} for {} grants {} too", project(target), entry(listed), permission.name())
            }
            Self::GrantAll(target, listed) => {
                format!("the entry of {} for {} grants everything", project(target), entry(listed))
            }
            Self::Member(target, user, role) => {
                format!("{} becomes {} of {}", username(world, *user), role.word(), project(target))
            }
            Self::Set(target, setting) => match setting {
                Setting::Push => format!("{} lets its jobs push code", project(target)),
                Setting::CrossPush => {
                    format!("{} lets its jobs and those of other projects push code", project(target))
                }
                Setting::Unarchive => format!("{} is unarchived", project(target)),
                Setting::Part(feature) => format!("{} switches {} on", project(target), setting_of(*feature)),
                Setting::Limit => format!("{} limits which jobs come in", project(target)),
            },
            Self::LetOut(origin, target) => format!("{} lets its jobs out to {}", project(origin), project(target)),
            Self::Unblock(user) => format!("{} is unblocked", username(world, *user)),
            Self::AddRule(kind, origin, target, action) => {
                let does = match kind {
                    RuleKind::Allow => "lets in",
                    RuleKind::Deny => "denies",
                };
                format!("a rule of the configuration {does} {origin} at {target} for {}", action.name())
            }
            Self::DropRule(id) => format!("the rule `{id}` leaves the configuration"),
            Self::Widen(id, target) => format!("the rule `{id}` of `access.outbound` names {target} too"),
            Self::Key(path, value) => format!("the configuration has `{path}: {value}`"),
            Self::Host(path, host) => format!("the configuration has {host} in `{path}`"),
        }
    }

    /// Who can make it.
    #[must_use]
    pub fn maker(&self, world: &World) -> Maker {
        let member = |id: &u64, least: Role, noun: &str| {
            let project = world.project(*id);
            let can = |user: &&std::sync::Arc<world::User>| {
                !user.blocked && project.is_some_and(|project| world.role(project, user.id) >= Some(least))
            };
            let users: Vec<String> = world.users.iter().filter(can).map(|user| user.username.clone()).collect();
            let who = format!("{noun} of {}", path(world, *id));
            if users.is_empty() {
                administrator(world, &format!("{who}, of which there is none, or "))
            } else {
                Maker { who, users }
            }
        };
        match self {
            Self::Set(target, Setting::Unarchive) => member(target, Role::Owner, "an owner"),
            Self::List(project, _)
            | Self::Unlist(project, _)
            | Self::Grant(project, ..)
            | Self::GrantAll(project, _)
            | Self::Member(project, ..)
            | Self::Set(project, _)
            | Self::LetOut(project, _) => member(project, Role::Maintainer, "a maintainer"),
            Self::Unblock(_) => administrator(world, ""),
            Self::AddRule(..) | Self::DropRule(_) | Self::Widen(..) | Self::Key(..) | Self::Host(..) => {
                Maker { who: "the team that runs the ingress".to_owned(), users: Vec::new() }
            }
        }
    }

    /// How: a command for the forge, or what to write into the configuration.
    #[must_use]
    pub fn command(&self, world: &World) -> String {
        let scope = |project: &u64| format!("projects/{project}/job_token_scope");
        match self {
            Self::List(target, Listed::Project(id)) => {
                api("POST", &format!("{}/allowlist", scope(target)), &format!("target_project_id={id}"))
            }
            Self::List(target, Listed::Group(id)) => {
                api("POST", &format!("{}/groups_allowlist", scope(target)), &format!("target_group_id={id}"))
            }
            Self::Unlist(target, Listed::Project(id)) => {
                api("DELETE", &format!("{}/allowlist/{id}", scope(target)), "")
            }
            Self::Unlist(target, Listed::Group(id)) => {
                api("DELETE", &format!("{}/groups_allowlist/{id}", scope(target)), "")
            }
            Self::Grant(target, listed, permission) => {
                let has =
                    world.project(*target).and_then(|target| granted(target, *listed)).cloned().unwrap_or_default();
                let all = has.iter().map(String::as_str).chain([permission.name()]).map(str::to_ascii_uppercase);
                policies(world, *target, *listed, false, &all.collect::<Vec<_>>().join(", "))
            }
            Self::GrantAll(target, listed) => policies(world, *target, *listed, true, ""),
            Self::Member(target, user, role) => {
                let is_direct = world.project(*target).is_some_and(|target| target.members.contains_key(user));
                let level = format!("access_level={}", role.access_level());
                if is_direct {
                    api("PUT", &format!("projects/{target}/members/{user}"), &level)
                } else {
                    api("POST", &format!("projects/{target}/members"), &format!("user_id={user} -f {level}"))
                }
            }
            Self::Set(target, setting) => {
                let value: Cow<'_, str> = match setting {
                    Setting::Push => "ci_push_repository_for_job_token_allowed=true".into(),
                    Setting::CrossPush => "ci_push_repository_for_job_token_allowed=true -f ci_cross_project_push_for_job_token_allowed=true".into(),
                    Setting::Unarchive => return api("POST", &format!("projects/{target}/unarchive"), ""),
                    Setting::Part(feature) => format!("{}=enabled", setting_of(*feature)).into(),
                    Setting::Limit => return api("PATCH", &scope(target), "enabled=true"),
                };
                api("PUT", &format!("projects/{target}"), &value)
            }
            Self::LetOut(origin, target) => graphql(&format!(
                r#"ciJobTokenScopeAddProject(input: {{projectPath: "{}", targetProjectPath: "{}"}})"#,
                path(world, *origin),
                path(world, *target)
            )),
            Self::Unblock(user) => api("POST", &format!("users/{user}/unblock"), ""),
            Self::AddRule(kind, origin, target, action) => {
                let (kind, action) = (kind.name(), action.name());
                format!(
                    "access: {{{kind}: [{{id: NAME, origins: [{origin}], targets: [{target}], actions: [{action}]}}]}}"
                )
            }
            Self::DropRule(id) => format!("remove the rule `{id}` below `access`"),
            Self::Widen(id, target) => format!("access: {{outbound: [{{id: {id}, targets: [..., {target}]}}]}}"),
            Self::Key(path, value) => written(path, value),
            Self::Host(path, host) => written(path, &format!("[..., {host}]")),
        }
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self, world: &World) -> serde_json::Value {
        let maker = self.maker(world);
        json!({"change": self.text(world), "who": maker.who, "users": maker.users, "how": self.command(world)})
    }
}

fn administrator(world: &World, before: &str) -> Maker {
    let admins = world.users.iter().filter(|user| user.admin && !user.blocked);
    let users = admins.map(|user| user.username.clone()).collect();
    Maker { who: format!("{before}an administrator"), users }
}

fn path(world: &World, id: u64) -> String {
    world.project(id).map_or_else(|| format!("#{id}"), |project| project.path.clone())
}

fn username(world: &World, id: u64) -> String {
    world.user(id).map_or_else(|| format!("#{id}"), |user| user.username.clone())
}

fn named(world: &World, listed: Listed) -> String {
    match listed {
        Listed::Project(id) => path(world, id),
        Listed::Group(id) => world.group(id).map_or_else(|| format!("#{id}"), |group| group.path.clone()),
    }
}

/// How many projects an entry lets in.
fn admitted(world: &World, listed: Listed) -> usize {
    let is_below = |project: &&std::sync::Arc<Project>| match listed {
        Listed::Project(id) => project.id == id,
        Listed::Group(id) => world.groups_above(project).any(|group| group.id == id),
    };
    world.projects.iter().filter(is_below).count()
}

fn granted(target: &Project, listed: Listed) -> Option<&Vec<String>> {
    match listed {
        Listed::Project(id) => target.allowlist.of_projects.get(&id),
        Listed::Group(id) => target.allowlist.of_groups.get(&id),
    }
}

/// The name of a part's level in the forge's API.
fn setting_of(feature: world::Feature) -> &'static str {
    world::Feature::FIELDS.iter().find(|(known, _)| *known == feature).map_or("", |(_, name)| name)
}

fn api(method: &str, path: &str, field: &str) -> String {
    let field = if field.is_empty() { String::new() } else { format!(" -f {field}") };
    format!("glab api --method {method} {path}{field}")
}

fn graphql(mutation: &str) -> String {
    // Paths and permissions have no quotes in them.
    format!("glab api graphql -f query='mutation {{{mutation} {{errors}}}}'")
}

fn policies(world: &World, target: u64, listed: Listed, is_default: bool, permissions: &str) -> String {
    let (project, entry) = (path(world, target), named(world, listed));
    graphql(&format!(
        r#"ciJobTokenScopeUpdatePolicies(input: {{projectPath: "{project}", targetPath: "{entry}", defaultPermissions: {is_default}, jobTokenPolicies: [{permissions}]}})"#
    ))
}

fn written(path: &str, value: &str) -> String {
    let (section, key) = path.split_once('.').unwrap_or(("", path));
    format!("{section}: {{{key}: {value}}}")
}
