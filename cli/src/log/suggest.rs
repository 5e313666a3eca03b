//! The least that must be let in so that what a log tells of passes.

use std::collections::{BTreeMap, BTreeSet};

use policy::access::Action;
use policy::facts::{Permission, ProjectPath};
use policy::rules::Reason;
use serde_json::{Value, json};

use super::{Line, member, members};
use crate::setup::masked;

/// So many users of an entry are named.
const MOST_USERS: usize = 8;

/// The hours of the day.
const DAY: std::ops::Range<u8> = 6..22;

/// In what way origins are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By entries of the targets' allowlists in the forge.
    Settings,
    /// By rules of the configuration.
    Rules,
}

impl Way {
    /// Whether it can lift a denial. Rules let in, and nothing more: what a single permission or a push lacks, the target's
    /// own entry must have.
    fn lifts(self, denial: &Value) -> bool {
        let is = |reason: Reason| member(denial, "reason") == reason.code();
        match self {
            Self::Settings => [Reason::NotListed, Reason::EntryTooNarrow, Reason::NoPermission].into_iter().any(is),
            Self::Rules => is(Reason::NotListed) && member(denial, "rule") == "inbound",
        }
    }
}

/// What of an origin should be let in at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The project that asked.
    pub origin: ProjectPath,
    /// The project that was asked.
    pub target: ProjectPath,
    /// What was asked.
    pub actions: BTreeSet<&'static str>,
    /// What an entry with single permissions must grant; `None` where no such entry would do.
    pub permissions: Option<BTreeSet<&'static str>>,
    /// Whether the target has an entry for the origin that grants too little.
    pub is_there: bool,
    /// How often.
    pub times: u64,
    /// By whom; of many the first.
    pub users: BTreeSet<String>,
    /// Whether others needed it, too.
    pub are_more: bool,
    /// Whether it was needed by day, by the hours of the log.
    pub by_day: bool,
    /// When first.
    pub first: String,
    /// When last.
    pub last: String,
}

impl Entry {
    /// Whether it was needed only once, or only at night and by one user: perhaps by mistake, perhaps by nobody who should.
    #[must_use]
    pub fn is_odd(&self) -> bool {
        self.times == 1 || !self.by_day && self.users.len() == 1 && !self.are_more
    }

    /// The mutation that makes the entry in the forge, and its permissions as it spells them.
    fn mutation(&self) -> (&'static str, Vec<String>) {
        let name = if self.is_there { "ciJobTokenScopeUpdatePolicies" } else { "ciJobTokenScopeAddGroupOrProject" };
        (name, self.permissions.iter().flatten().map(|name| name.to_ascii_uppercase()).collect())
    }

    /// The command that makes the entry in the forge.
    #[must_use]
    pub fn command(&self) -> String {
        let (mutation, policies) = self.mutation();
        let query = format!(
            r#"mutation {{{mutation}(input: {{projectPath: {}, targetPath: {}, defaultPermissions: {}, jobTokenPolicies: [{}]}}) {{errors}}}}"#,
            json!(self.target.as_str()),
            json!(self.origin.as_str()),
            self.permissions.is_none(),
            policies.join(", ")
        );
        let field = format!("query={query}");
        // Only a NUL cannot be quoted, and no path has one.
        format!("glab api graphql -f {}", shlex::try_quote(&field).unwrap_or_default())
    }

    /// The body of a request to the forge's GraphQL that makes the entry, quoted for a shell.
    #[must_use]
    pub fn body(&self) -> String {
        let (mutation, policies) = self.mutation();
        let kind =
            if self.is_there { "CiJobTokenScopeUpdatePoliciesInput" } else { "CiJobTokenScopeAddGroupOrProjectInput" };
        let query = format!("mutation($input: {kind}!) {{{mutation}(input: $input) {{errors}}}}");
        let input = json!({"projectPath": self.target.as_str(), "targetPath": self.origin.as_str(),
            "defaultPermissions": self.permissions.is_none(), "jobTokenPolicies": policies});
        let body = json!({"query": query, "variables": {"input": input}}).to_string();
        shlex::try_quote(&body).unwrap_or_default().into_owned()
    }

    /// The same for Terraform's gitlab provider, which has no single permissions.
    #[must_use]
    pub fn terraform(&self, name: &str) -> String {
        format!(
            "data \"gitlab_project\" \"{name}\" {{\n  path_with_namespace = {}\n}}\n\nresource \"gitlab_project_job_token_scope\" \"{name}\" {{\n  project           = {}\n  target_project_id = data.gitlab_project.{name}.id\n}}\n",
            json!(self.origin.as_str()),
            json!(self.target.as_str()),
        )
    }

    /// The rule of `access.allow` that lets it in.
    #[must_use]
    pub fn rule(&self, id: &str) -> Value {
        json!({"id": id, "origins": [self.origin.as_str()], "targets": [self.target.as_str()], "actions": self.actions})
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"origin": self.origin.as_str(), "target": self.target.as_str(), "actions": self.actions,
            "permissions": self.permissions, "times": self.times, "users": self.users, "more_users": self.are_more,
            "first": self.first, "last": self.last, "odd": self.is_odd()})
    }

    fn new(origin: ProjectPath, target: ProjectPath, line: &Line) -> Self {
        let (first, last) = (masked(&line.start_time), String::new());
        let (actions, users, permissions) = (BTreeSet::new(), BTreeSet::new(), Some(BTreeSet::new()));
        let (is_there, are_more, by_day) = (false, false, false);
        Self { origin, target, actions, permissions, is_there, times: 0, users, are_more, by_day, first, last }
    }

    /// Notes what it must grant for one thing that was asked.
    fn grant(&mut self, action: &'static str, asked: &Value) {
        let needs = asked.get("needs").unwrap_or(&Value::Null);
        let (entry, is_fitting) = (asked.get("entry"), member(needs, "permissions_when") != "never");
        let granted = entry.into_iter().flat_map(|entry| members(entry, "permissions"));
        let names = members(needs, "permissions").chain(granted).map(|name| name.as_str().and_then(Permission::named));
        // Of a permission that is not known here nobody can tell what it is for.
        let names: Option<BTreeSet<&str>> = names.map(|one| one.map(Permission::name)).collect();
        self.permissions = match (self.permissions.take(), names.filter(|names| is_fitting && !names.is_empty())) {
            (Some(mut all), Some(names)) => {
                all.extend(names);
                Some(all)
            }
            (None, _) | (_, None) => None,
        };
        self.is_there |= entry.is_some_and(|entry| member(entry, "names") == "project");
        self.actions.insert(action);
    }

    /// Notes that a request needed it.
    fn see(&mut self, line: &Line) {
        self.times = self.times.saturating_add(1);
        let user = masked(&line.user);
        if self.users.len() < MOST_USERS {
            self.users.insert(user);
        } else {
            self.are_more |= !self.users.contains(&user);
        }
        let time = masked(&line.start_time);
        // `2026-01-01T12:34:56.789Z`; what tells no time is no night.
        let hour = time.get(11..13).and_then(|hour| hour.parse::<u8>().ok());
        self.by_day |= hour.is_none_or(|hour| DAY.contains(&hour));
        self.last = std::mem::take(&mut self.last).max(time.clone());
        self.first = std::mem::take(&mut self.first).min(time);
    }
}

/// A group that could be let in at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The target.
    pub target: ProjectPath,
    /// The group.
    pub group: String,
    /// How many entries it stands for.
    pub instead_of: usize,
    /// Its price: how many projects more it lets in, as far as they are known.
    pub more: usize,
}

/// What a log tells, added up: as much as there are origins, targets and actions.
#[derive(Debug, Clone)]
pub struct Suggestions {
    way: Way,
    entries: BTreeMap<(ProjectPath, ProjectPath), Entry>,
    /// Every origin of the log.
    origins: BTreeSet<ProjectPath>,
    /// How many requests are denied for what no entry lifts, by the first such reason.
    pub left: BTreeMap<&'static str, u64>,
}

/// One thing that was asked and must be let in.
struct Lacking<'a> {
    origin: ProjectPath,
    target: ProjectPath,
    action: &'static str,
    asked: &'a Value,
}

impl Suggestions {
    /// Nothing yet.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { way, entries: BTreeMap::new(), origins: BTreeSet::new(), left: BTreeMap::new() }
    }

    /// Notes a line. A request that something else denies too is not helped by an entry, so that none is suggested for it.
    pub fn note(&mut self, line: &Line) {
        self.origins.extend(ProjectPath::parse(&line.origin).filter(|_| masked(&line.origin) == line.origin));
        if line.verdict == "allow" {
            return;
        }
        let account = line.account();
        match self.lacking(line, &account) {
            Ok(all) => {
                // A request counts once, however much it asks of a target.
                let mut seen = BTreeSet::new();
                for Lacking { origin, target, action, asked } in all {
                    let is_first = seen.insert(target.clone());
                    let entry = self.entries.entry((target.clone(), origin.clone()));
                    let entry = entry.or_insert_with(|| Entry::new(origin, target, line));
                    entry.grant(action, asked);
                    if is_first {
                        entry.see(line);
                    }
                }
            }
            Err(reason) => {
                let times = self.left.entry(reason).or_default();
                *times = times.saturating_add(1);
            }
        }
    }

    /// All that a request lacks, or the code of a reason that cannot be lifted so.
    fn lacking<'a>(&self, line: &Line, account: &'a Value) -> Result<Vec<Lacking<'a>>, &'static str> {
        let mut lacking = Vec::new();
        // What the client goes on without denies nothing.
        let denying = |asked: &&Value| asked.get("hoped").is_none() && members(asked, "denials").next().is_some();
        for asked in members(account, "asked").filter(denying) {
            if let Some(denial) = members(asked, "denials").find(|denial| !self.way.lifts(denial)) {
                return Err(code(member(denial, "reason")));
            }
            let path = |text: &str| ProjectPath::parse(text).filter(|_| masked(text) == text);
            let action = Action::ALL.iter().find(|(_, name, _)| *name == member(asked, "action"));
            let (Some(origin), Some(target), Some((_, action, _))) =
                (path(&line.origin), path(member(asked, "path")), action)
            else {
                return Err(code(&line.reason));
            };
            lacking.push(Lacking { origin, target, action, asked });
        }
        if lacking.is_empty() { Err(code(&line.reason)) } else { Ok(lacking) }
    }

    /// Groups that could be let in at a target instead of two or more projects of them, with what that costs: the nearest
    /// group alone. `known` are the projects that there are, where these are known; else the origins of the log count.
    #[must_use]
    pub fn groups(&self, known: Option<&[ProjectPath]>) -> Vec<Offer> {
        let mut needed: BTreeMap<(&ProjectPath, &str), BTreeSet<&ProjectPath>> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| !entry.is_there) {
            for (at, _) in entry.origin.as_str().match_indices('/') {
                let group = entry.origin.as_str().get(..at).unwrap_or_default();
                needed.entry((&entry.target, group)).or_default().insert(&entry.origin);
            }
        }
        let nearest = |target: &ProjectPath, group: &str, origins: &BTreeSet<&ProjectPath>| {
            !needed.iter().any(|((other, below), theirs)| {
                *other == target && theirs == origins && below.len() > group.len() && below.starts_with(group)
            })
        };
        let offer = |((target, group), origins): (&(&ProjectPath, &str), &BTreeSet<&ProjectPath>)| {
            let is_more = |path: &&ProjectPath| path.is_below(group) && !origins.contains(path) && path != target;
            let more = match known {
                Some(known) => known.iter().filter(is_more).count(),
                None => self.origins.iter().filter(is_more).count(),
            };
            Offer { target: (*target).clone(), group: (*group).to_owned(), instead_of: origins.len(), more }
        };
        let some =
            needed.iter().filter(|((target, group), origins)| origins.len() > 1 && nearest(target, group, origins));
        some.map(offer).collect()
    }

    /// The entries by target and origin, those that are odd behind all others.
    #[must_use]
    pub fn entries(&self) -> Vec<&Entry> {
        let (odd, usual): (Vec<_>, Vec<_>) = self.entries.values().partition(|entry| entry.is_odd());
        [usual, odd].concat()
    }
}

/// A reason's code, where it is one: a log may say anything.
fn code(text: &str) -> &'static str {
    super::explain::said(text).map_or("other", |(code, _)| code)
}
