//! Who reaches what: every origin, user, target and action of a world, decided.
//!
//! A job is one of a push to the main branch, as most are; rules of the configuration that ask for other circumstances speak
//! for others.

use std::rc::Rc;

use policy::Config;
use policy::access::{Access, Action, Protocol, TargetRef};
use policy::decision::{Decision, Facts, Step, decide};
use policy::facts::{Feature, Found, Job, Role, Secret, Token};
use policy::request::{JobRequest, endpoints};
use policy::rules::{self, Reach};
use world::{Project, User, World};

use crate::deciding::Verdict;
use crate::job;

/// Of whom is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// Those who start jobs in a project: its developers and above.
    Starters,
    /// All users, and nobody.
    Everybody,
}

/// The least role of who starts jobs.
pub(crate) const STARTS_JOBS: world::Role = world::Role::Developer;

/// What a job of an origin, started by a user, may do at a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The job's project.
    pub origin: String,
    /// Who started it; `None` for nobody.
    pub user: Option<String>,
    /// The project asked for.
    pub target: String,
    /// What is asked.
    pub action: Action,
    /// How it ends.
    pub verdict: Verdict,
    /// Why, by its code.
    pub reason: &'static str,
}

/// What a job asks of projects, and each way in which endpoints of the API ask it.
pub struct Asks(Vec<(Action, Vec<Access>)>);

impl Asks {
    /// Everything that a job may ask of a project, as far as this configuration's forge has it.
    #[must_use]
    pub fn all(config: &Config) -> Self {
        let actions = Action::ALL.iter().map(|(action, ..)| *action).filter(|action| is_of_project(*action));
        Self(actions.map(|action| (action, variants(config, action))).collect())
    }

    /// One action; `None` where no project is asked for it.
    #[must_use]
    pub fn one(config: &Config, name: &str) -> Option<Self> {
        let action = Action::ALL.iter().find(|(_, known, _)| *known == name).map(|(action, ..)| *action)?;
        is_of_project(action).then(|| Self(vec![(action, variants(config, action))]))
    }
}

/// The actions that are asked of projects, each with its name and meaning.
pub fn actions() -> impl Iterator<Item = &'static (Action, &'static str, &'static str)> {
    Action::ALL.iter().filter(|(action, ..)| is_of_project(*action))
}

fn is_of_project(action: Action) -> bool {
    !matches!(
        rules::need(action).reach,
        Reach::Nothing | Reach::Itself | Reach::Never | Reach::AboveOrigin | Reach::Agents
    )
}

/// The ways to ask for an action: endpoints of the API differ in the role and in what opens them to everybody. Git and
/// images have one way each.
fn variants(config: &Config, action: Action) -> Vec<Access> {
    let of_api: Vec<_> = endpoints().filter(|endpoint| endpoint.action == action).collect();
    let mut ways: Vec<(&'static [Feature], Role)> = Vec::new();
    for endpoint in of_api.iter().filter(|endpoint| endpoint.since <= config.forge.version) {
        if !ways.contains(&(endpoint.open, endpoint.least)) {
            ways.push((endpoint.open, endpoint.least));
        }
    }
    if of_api.is_empty() {
        ways.push((&[], Role::None));
    }
    ways.into_iter().map(|(open, least)| Access { open, least, ..Access::new(action, TargetRef::None) }).collect()
}

/// What is decided on each thing that is asked.
type Decided = Rc<[(Action, Decision)]>;

/// What is decided where each of these people's jobs of an origin asks a target.
fn decisions<'a>(
    config: &Config,
    world: &World,
    (origin, target): (&Project, &Project),
    people: &[Option<&'a User>],
    asks: &Asks,
) -> Vec<(Option<&'a User>, Decided)> {
    let Some(reference) = target.rules_path().map(TargetRef::Path) else { return Vec::new() };
    // Users who stand alike to the target may the same, unless the configuration knows them by their names.
    let by_name = config.facts.are_configured();
    let mut known: Vec<(bool, Found, Decided)> = Vec::new();
    let mut each = Vec::with_capacity(people.len());
    for user in people {
        let Some(job) = job::running(world, origin, user.map(User::person)) else { continue };
        let (is_user, found) = (user.is_some(), world.found(&config.facts, &job, &reference));
        let alike = known.iter().find(|(other, stands, _)| !by_name && *other == is_user && *stands == found);
        let decided = match alike {
            Some((.., decided)) => Rc::clone(decided),
            None => asked(config, world, &Token::Running(job), target, asks).into(),
        };
        known.push((is_user, found, Rc::clone(&decided)));
        each.push((*user, decided));
    }
    each
}

/// What of it is not denied.
fn ways(
    config: &Config,
    world: &World,
    between: (&Project, &Project),
    people: &[Option<&User>],
    asks: &Asks,
) -> Vec<Way> {
    let each = decisions(config, world, between, people, asks);
    let of_user = |(user, decided): &(Option<&User>, Decided)| {
        let open = decided.iter().filter(|(_, decision)| Verdict::of(decision) != Verdict::Deny);
        open.map(|(action, decision)| way(between, *user, *action, decision)).collect::<Vec<_>>()
    };
    each.iter().flat_map(of_user).collect()
}

/// What is decided on each thing that whoever has a token asks of a target.
#[must_use]
pub fn asked(config: &Config, world: &World, token: &Token, target: &Project, asks: &Asks) -> Vec<(Action, Decision)> {
    let Some(path) = target.rules_path() else { return Vec::new() };
    let reference = TargetRef::Path(path);
    decided(config, token, &reference, asks, |job| world.found(&config.facts, job, &reference))
}

/// The same, by who knows what the target is to a job.
pub(crate) fn decided(
    config: &Config,
    token: &Token,
    reference: &TargetRef,
    asks: &Asks,
    find: impl Fn(&Job) -> Found,
) -> Vec<(Action, Decision)> {
    let mut facts = Facts { token: Some(token.clone()), ..Facts::default() };
    let mut decide_one = |access: &Access| {
        let access = Access { target: reference.clone(), ..access.clone() };
        let request = JobRequest::new(Secret::new(b""), Protocol::Api, vec![access]);
        loop {
            match decide(config, &request, &facts) {
                Step::Decided(decision) => return Some(decision),
                // What is known of the target serves everything that is asked of it.
                Step::NeedsTargets(job, _) if facts.targets.is_empty() => {
                    facts.targets.push((reference.clone(), find(&job)));
                }
                Step::NotAJob | Step::NeedsToken | Step::NeedsTargets(..) => return None,
            }
        }
    };
    let of_action = |(action, accesses): &(Action, Vec<Access>)| {
        // One way that is open is enough.
        let decision = accesses.iter().filter_map(&mut decide_one).min_by_key(Verdict::of)?;
        Some((*action, decision))
    };
    asks.0.iter().filter_map(of_action).collect()
}

impl Way {
    /// How it is decided, where a user's job of an origin asks a target for something.
    pub(crate) fn of(
        (origin, target): (&str, &str),
        user: Option<String>,
        action: Action,
        decision: &Decision,
    ) -> Self {
        Self {
            origin: origin.to_owned(),
            user,
            target: target.to_owned(),
            action,
            verdict: Verdict::of(decision),
            reason: decision.record.reason,
        }
    }
}

fn way((origin, target): (&Project, &Project), user: Option<&User>, action: Action, decision: &Decision) -> Way {
    Way::of((&origin.path, &target.path), user.map(|user| user.username.clone()), action, decision)
}

/// The people of whom is asked for jobs of a project.
#[must_use]
pub fn people<'a>(world: &'a World, origin: &Project, people: People) -> Vec<Option<&'a User>> {
    let users = world.users.iter().map(|user| &**user).filter(|user| !user.blocked);
    match people {
        People::Everybody => users.map(Some).chain([None]).collect(),
        People::Starters => users.filter(|user| world.role(origin, user.id) >= Some(STARTS_JOBS)).map(Some).collect(),
    }
}

/// Every way to do one thing at a target.
#[must_use]
pub fn who_can(config: &Config, world: &World, asks: &Asks, target: &Project, of: People) -> Vec<Way> {
    let origins = world.projects.iter();
    origins.flat_map(|origin| ways(config, world, (origin, target), &people(world, origin, of), asks)).collect()
}

/// Everything that jobs of an origin may do.
#[must_use]
pub fn can(config: &Config, world: &World, asks: &Asks, origin: &Project, people: &[Option<&User>]) -> Vec<Way> {
    world.projects.iter().flat_map(|target| ways(config, world, (origin, target), people, asks)).collect()
}

/// What differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// How it ended.
    pub old: Way,
    /// How it ends now.
    pub new: Way,
}

/// Every origin, user, target and action of a world that ends otherwise under another configuration.
#[must_use]
pub fn differences(old: &Config, new: &Config, world: &World, of: People) -> Vec<Difference> {
    let (before, after) = (Asks::all(old), Asks::all(new));
    let mut found = Vec::new();
    for origin in &world.projects {
        let people = people(world, origin, of);
        for target in &world.projects {
            let between = (&**origin, &**target);
            let old = decisions(old, world, between, &people, &before);
            let new = decisions(new, world, between, &people, &after);
            for ((user, old), (_, new)) in old.iter().zip(&new) {
                for (action, old) in old.iter() {
                    let other = new.iter().find(|(other, _)| other == action).map(|(_, decision)| decision);
                    let Some(new) = other.filter(|new| Verdict::of(new) != Verdict::of(old)) else { continue };
                    let told = |decision| way(between, *user, *action, decision);
                    found.push(Difference { old: told(old), new: told(new) });
                }
            }
        }
    }
    found
}

/// Actions in few words: a `*` stands for all that are asked of projects and look so.
#[must_use]
pub fn shortened(asked: &[Action]) -> Vec<String> {
    let names: Vec<&str> = asked.iter().map(|action| action.name()).collect();
    let mut words: Vec<String> = Vec::new();
    for name in &names {
        let stands_for_these = |pattern: &(&str, &str)| {
            let mut alike = actions().map(|(_, name, _)| *name).filter(|known| is_like(known, *pattern));
            alike.next().is_some_and(|first| names.contains(&first))
                && alike.next().is_some_and(|second| names.contains(&second))
                && alike.all(|known| names.contains(&known))
        };
        let wider = patterns(name).into_iter().find(stands_for_these);
        let word = wider.map_or_else(|| (*name).to_owned(), |(begin, end)| format!("{begin}*{end}"));
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The patterns that a name may be told by, the widest first: `packages.*`, `packages.npm.*`, `packages.*.read`.
fn patterns(name: &str) -> Vec<(&str, &str)> {
    let begins = name.match_indices('.').filter_map(|(at, _)| Some((name.get(..=at)?, "")));
    let first = name.split_inclusive('.').next().unwrap_or_default();
    let last = name.rfind('.').and_then(|at| name.get(at..)).filter(|_| name.matches('.').count() > 1);
    begins.chain(last.map(|last| (first, last))).collect()
}

fn is_like(name: &str, (begin, end): (&str, &str)) -> bool {
    name.len() > begin.len().saturating_add(end.len()) && name.starts_with(begin) && name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_all_that_begins_so() {
        let named = |names: &[&str]| -> Vec<Action> {
            Action::ALL.iter().filter(|(_, name, _)| names.contains(name)).map(|(action, ..)| *action).collect()
        };
        assert_eq!(shortened(&named(&["git.read"])), ["git.read"]);
        assert_eq!(shortened(&named(&["git.read", "git.write", "oci.pull"])), ["git.*", "oci.pull"]);
        let npm = named(&["packages.npm.read", "packages.npm.publish", "packages.read"]);
        assert_eq!(shortened(&npm), ["packages.read", "packages.npm.*"]);
        let all: Vec<Action> =
            Action::ALL.iter().map(|(action, ..)| *action).filter(|action| is_of_project(*action)).collect();
        assert!(shortened(&all).contains(&"packages.*".to_owned()));
        let read: Vec<Action> = all.into_iter().filter(|action| action.name().ends_with(".read")).collect();
        let packages = shortened(&read).into_iter().filter(|word| word.starts_with("packages"));
        assert_eq!(packages.collect::<Vec<_>>(), ["packages.read", "packages.*.read"]);
    }
}
