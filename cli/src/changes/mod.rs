//! What would turn a decision around: single changes to the forge's settings or to the configuration, each with who can
//! make it and how.
//!
//! Nothing is deduced. A change is made to a copy of the world or of the configuration, and everything is decided again.

mod candidates;
mod search;
mod words;

use policy::access::Action;
use policy::facts::{Permission, Permissions};
use serde_json::{Value, json};
use world::{Feature, FeatureLevel, Project, Role, World};

use crate::setup::Setup;
pub use search::{Flip, flips};

/// Whom an entry of an allowlist names, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// A project.
    Project(u64),
    /// A group.
    Group(u64),
}

/// One setting of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Its own jobs push code.
    Push,
    /// They do, and so do jobs of other projects.
    CrossPush,
    /// It takes changes again.
    Unarchive,
    /// A part of it is on.
    Part(Feature),
    /// It limits which jobs come in.
    Limit,
}

/// One change. Projects, groups and users are named by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A project's allowlist gets an entry.
    List(u64, Listed),
    /// An entry of a project's allowlist goes.
    Unlist(u64, Listed),
    /// An entry grants one permission more.
    Grant(u64, Listed, Permission),
    /// An entry grants everything.
    GrantAll(u64, Listed),
    /// A user has this role in a project.
    Member(u64, u64, Role),
    /// A setting of a project.
    Set(u64, Setting),
    /// A project lets its jobs out to another.
    LetOut(u64, u64),
    /// A user is no longer blocked.
    Unblock(u64),
    /// The configuration gets a rule of this kind about these two projects, by path, and this action.
    AddRule(RuleKind, String, String, Action),
    /// A rule of the configuration goes.
    DropRule(String),
    /// An outbound rule of the configuration names one more target.
    Widen(String, String),
    /// A key of the configuration has another value.
    Key(&'static str, &'static str),
    /// A host is one of the forge's, or of the registry's.
    Host(&'static str, String),
}

impl Change {
    /// Whether another change gives all that this one does.
    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Member(target, user, role), Self::Member(there, who, higher)) => {
                (target, user) == (there, who) && role <= higher
            }
            (Self::Grant(target, listed, one), Self::Grant(there, entry, wider)) => {
                (target, listed) == (there, entry) && Permissions::of(&[*wider]).grant(*one)
            }
            _ => self == other,
        }
    }
}

/// Which list of rules one belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// `access.allow`.
    Allow,
    /// `access.deny`.
    Deny,
}

impl RuleKind {
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A configuration and a world, of which copies are changed.
#[derive(Clone)]
pub struct Situation {
    /// The configuration.
    pub setup: Setup,
    /// The world.
    pub world: World,
}

impl Situation {
    /// The situation after a change; `None` where it changes nothing, or the configuration would not be one.
    #[must_use]
    pub fn after(&self, change: &Change) -> Option<Self> {
        let mut next = self.clone();
        let mut project = |id: u64, edit: &dyn Fn(&mut Project) -> Option<()>| {
            let mut project = Project::clone(self.world.project(id)?);
            edit(&mut project)?;
            next.world.replace(project);
            Some(())
        };
        match change {
            Change::List(target, listed) => project(*target, &|target| {
                let (list, id) = match listed {
                    Listed::Project(id) => (&mut target.allowlist.projects, *id),
                    Listed::Group(id) => (&mut target.allowlist.groups, *id),
                };
                (!list.contains(&id)).then(|| list.push(id))
            })?,
            Change::Unlist(target, listed) => project(*target, &|target| {
                let list = match listed {
                    Listed::Project(_) => &mut target.allowlist.projects,
                    Listed::Group(_) => &mut target.allowlist.groups,
                };
                let (Listed::Project(id) | Listed::Group(id)) = listed;
                list.retain(|known| known != id);
                Some(())
            })?,
            Change::Grant(target, listed, permission) => project(*target, &|target| {
                permissions(target, *listed)?.push(permission.name().to_owned());
                Some(())
            })?,
            Change::GrantAll(target, listed) => project(*target, &|target| {
                match listed {
                    Listed::Project(id) => target.allowlist.of_projects.remove(id)?,
                    Listed::Group(id) => target.allowlist.of_groups.remove(id)?,
                };
                Some(())
            })?,
            Change::Member(target, user, role) => project(*target, &|target| {
                target.members.insert(*user, *role);
                Some(())
            })?,
            Change::Set(target, setting) => project(*target, &|target| {
                match setting {
                    Setting::Push => target.push_by_job_token = true,
                    Setting::CrossPush => (target.push_by_job_token, target.cross_project_push) = (true, true),
                    Setting::Unarchive => target.archived = false,
                    Setting::Limit => target.inbound_limit = true,
                    // One that is on already changes nothing.
                    Setting::Part(feature) => {
                        target.features.insert(*feature, FeatureLevel::Enabled)?;
                    }
                }
                Some(())
            })?,
            Change::LetOut(origin, target) => project(*origin, &|origin| {
                let named = origin.outbound.as_mut()?;
                (!named.contains(target)).then(|| named.push(*target))
            })?,
            Change::Unblock(user) => {
                let place = next.world.users.iter_mut().find(|known| known.id == *user)?;
                *place = std::sync::Arc::new(world::User { blocked: false, ..world::User::clone(place) });
            }
            Change::AddRule(..) | Change::DropRule(_) | Change::Widen(..) | Change::Key(..) | Change::Host(..) => {
                let mut document = self.setup.document.clone();
                edit(&mut document, change)?;
                next.setup = Setup::of(document).ok()?;
            }
        }
        Some(next)
    }
}

fn permissions(target: &mut Project, listed: Listed) -> Option<&mut Vec<String>> {
    match listed {
        Listed::Project(id) => target.allowlist.of_projects.get_mut(&id),
        Listed::Group(id) => target.allowlist.of_groups.get_mut(&id),
    }
}

/// Makes a change to the document of a configuration.
fn edit(document: &mut Value, change: &Change) -> Option<()> {
    match change {
        Change::AddRule(kind, origin, target, action) => {
            let rule = json!({"id": format!("jobscope-{}", kind.name()), "origins": [origin], "targets": [target],
                "actions": [action.name()]});
            list(document, &["access", kind.name()])?.push(rule);
        }
        Change::DropRule(id) => {
            for kind in ["deny", "limit", "outbound", "allow"] {
                if let Some(Value::Array(rules)) = document.pointer_mut(&format!("/access/{kind}")) {
                    rules.retain(|rule| rule.get("id").and_then(Value::as_str) != Some(id));
                }
            }
        }
        Change::Widen(id, target) => {
            let Some(Value::Array(rules)) = document.pointer_mut("/access/outbound") else { return None };
            let rule = rules.iter_mut().find(|rule| rule.get("id").and_then(Value::as_str) == Some(id))?;
            rule.get_mut("targets")?.as_array_mut()?.push(json!(target));
        }
        Change::Key(path, value) => {
            let (section, key) = path.split_once('.')?;
            object(document, section)?.insert(key.to_owned(), json!(value));
        }
        Change::Host(path, host) => {
            let (section, key) = path.split_once('.')?;
            list(document, &[section, key])?.push(json!(host));
        }
        Change::List(..)
        | Change::Unlist(..)
        | Change::Grant(..)
        | Change::GrantAll(..)
        | Change::Member(..)
        | Change::Set(..)
        | Change::LetOut(..)
        | Change::Unblock(_) => return None,
    }
    Some(())
}

fn object<'a>(document: &'a mut Value, section: &str) -> Option<&'a mut serde_json::Map<String, Value>> {
    document.as_object_mut()?.entry(section).or_insert_with(|| json!({})).as_object_mut()
}

fn list<'a>(document: &'a mut Value, path: &[&str; 2]) -> Option<&'a mut Vec<Value>> {
    let [section, key] = path;
    object(document, section)?.entry(*key).or_insert_with(|| json!([])).as_array_mut()
}
