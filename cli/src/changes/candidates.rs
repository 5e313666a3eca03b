//! Which changes are worth trying against a decision, by its reason. Whether one helps, deciding again tells.

use policy::access::Action;
use policy::decision::{Cause, Decision};
use policy::facts::Permission;
use policy::request::Malformed;
use policy::rules::Reason;
use world::{Feature, Project, Role, World};

use super::{Change, Listed, RuleKind, Setting, Situation};
use crate::deciding::{Answer, Verdict};
use crate::job::Caller;

/// The changes to try, the narrowest first.
pub(super) fn of(situation: &Situation, caller: &Caller, answer: &Answer) -> Vec<Change> {
    let Some(decision) = &answer.decision else { return Vec::new() };
    let about = About::of(situation, caller, decision);
    match (decision.cause, answer.verdict()) {
        (_, Verdict::Untouched) | (Cause::Failure(_), _) => Vec::new(),
        (Cause::Malformed(malformed), _) => of_unread(malformed, answer),
        (Cause::Rule(reason), Verdict::Allow) => {
            worth(AGAINST, reason, &about).into_iter().chain(about.rule(RuleKind::Deny)).collect()
        }
        (Cause::Rule(reason), Verdict::Deny | Verdict::ObserveDeny) => worth(TOWARDS, reason, &about),
    }
}

fn of_unread(malformed: Malformed, answer: &Answer) -> Vec<Change> {
    let authority = answer.request.authority.split(':').next().unwrap_or_default();
    let path = if answer.request.path.starts_with("/v2") { "forge.registry_hosts" } else { "forge.hosts" };
    if malformed == Malformed::UnknownHost { vec![Change::Host(path, authority.to_owned())] } else { Vec::new() }
}

/// What is worth trying, by the reason that it is tried against. Where a reason is missing, nobody can set anything, or
/// nobody should.
type Table = [(Reason, fn(&About<'_>) -> Vec<Change>)];

/// What may let it pass.
const TOWARDS: &Table = &[
    (Reason::NotListed, |about| about.listed()),
    (Reason::NotMember, |about| about.roles()),
    (Reason::RoleTooLow, |about| about.roles()),
    (Reason::ExternalTooLow, |about| about.roles()),
    (Reason::EntryTooNarrow, |about| {
        let each = Permission::ALL.iter().map(|(permission, _)| *permission);
        about.of_entry(|target, listed| each.clone().map(|one| Change::Grant(target, listed, one)).collect())
    }),
    (Reason::NoPermission, |about| about.of_entry(|target, listed| vec![Change::GrantAll(target, listed)])),
    (Reason::PushOff, |about| about.set(Setting::Push)),
    (Reason::PushElsewhere, |about| about.set(Setting::CrossPush)),
    (Reason::Outbound, |about| {
        let both = about.origin.zip(about.target);
        both.map(|(origin, target)| Change::LetOut(origin.id, target.id)).into_iter().collect()
    }),
    (Reason::Archived, |about| about.set(Setting::Unarchive)),
    (Reason::FeatureOff, |about| {
        Feature::FIELDS.iter().flat_map(|(part, _)| about.set(Setting::Part(*part))).collect()
    }),
    (Reason::ConfiguredDeny, |about| about.dropped()),
    (Reason::ConfiguredLimit, |about| about.dropped()),
    (Reason::ConfiguredReach, |about| {
        let widened = about.written.zip(about.target);
        let widened = widened.map(|(id, target)| Change::Widen(id.to_owned(), target.path.clone()));
        widened.into_iter().chain(about.dropped()).collect()
    }),
    (Reason::ProxyOff, |_| vec![Change::Key("forge.dependency_proxy", "on")]),
    (Reason::AgentOff, |_| vec![Change::Key("forge.kubernetes_agent", "on")]),
    (Reason::UserBlocked, |about| about.user().map(Change::Unblock).into_iter().collect()),
];

/// What may keep it from passing, beside a rule that denies it.
const AGAINST: &Table = &[
    (Reason::Listed, |about| about.of_entry(|target, listed| vec![Change::Unlist(target, listed)])),
    (Reason::GroupListed, |about| about.of_entry(|target, listed| vec![Change::Unlist(target, listed)])),
    (Reason::NotLimited, |about| about.set(Setting::Limit)),
    (Reason::Configured, |about| about.dropped()),
];

fn worth(table: &Table, reason: Reason, about: &About<'_>) -> Vec<Change> {
    table.iter().filter(|(known, _)| *known == reason).flat_map(|(_, changes)| changes(about)).collect()
}

/// What a decision is about, as far as the world knows it.
struct About<'a> {
    world: &'a World,
    caller: &'a Caller,
    origin: Option<&'a Project>,
    target: Option<&'a Project>,
    action: Option<Action>,
    /// The rule of the configuration behind it.
    written: Option<&'a str>,
}

impl<'a> About<'a> {
    fn of(situation: &'a Situation, caller: &'a Caller, decision: &'a Decision) -> Self {
        let world = &situation.world;
        let action = Action::ALL.iter().find(|(_, name, _)| *name == decision.record.action);
        Self {
            world,
            caller,
            origin: world.project(caller.job.origin.id.0).map(|project| &**project),
            target: world.project_at(&decision.record.target).map(|project| &**project),
            action: action.map(|(action, ..)| *action),
            written: decision.record.rule.split_once(':').map(|(_, id)| id),
        }
    }

    fn set(&self, setting: Setting) -> Vec<Change> {
        self.target.map(|target| Change::Set(target.id, setting)).into_iter().collect()
    }

    /// A rule of the configuration about exactly this.
    fn rule(&self, kind: RuleKind) -> Option<Change> {
        let (origin, target) = self.origin.zip(self.target)?;
        Some(Change::AddRule(kind, origin.path.clone(), target.path.clone(), self.action?))
    }

    /// An entry for the origin, or for a group above it.
    fn listed(&self) -> Vec<Change> {
        let Some((origin, target)) = self.origin.zip(self.target) else { return Vec::new() };
        let groups = self.world.groups_above(origin).map(|group| Listed::Group(group.id));
        let listed = std::iter::once(Listed::Project(origin.id)).chain(groups);
        listed.map(|listed| Change::List(target.id, listed)).chain(self.rule(RuleKind::Allow)).collect()
    }

    /// Changes to the entry of the target's allowlist that counts for the origin.
    fn of_entry(&self, changes: impl Fn(u64, Listed) -> Vec<Change>) -> Vec<Change> {
        let both = self.target.zip(self.entry());
        both.map_or_else(Vec::new, |(target, listed)| changes(target.id, listed))
    }

    fn dropped(&self) -> Vec<Change> {
        self.written.map(|id| Change::DropRule(id.to_owned())).into_iter().collect()
    }

    fn user(&self) -> Option<u64> {
        self.caller.job.user.as_ref().map(|user| user.id.0)
    }

    /// The roles above the user's own, least first.
    fn roles(&self) -> Vec<Change> {
        let Some((user, target)) = self.user().zip(self.target) else { return Vec::new() };
        let has = self.world.role(target, user);
        let above = Role::ALL.into_iter().filter(|role| Some(*role) > has);
        above.map(|role| Change::Member(target.id, user, role)).collect()
    }

    /// The entry of the target's allowlist that counts for the origin.
    fn entry(&self) -> Option<Listed> {
        let (origin, target) = self.origin.zip(self.target)?;
        if target.allowlist.projects.contains(&origin.id) {
            return Some(Listed::Project(origin.id));
        }
        let mut above = self.world.groups_above(origin).map(|group| group.id);
        above.find(|id| target.allowlist.groups.contains(id)).map(Listed::Group)
    }
}
