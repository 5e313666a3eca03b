//! What another configuration makes of what a log tells: each decision is made again from what it was made from.

use std::collections::{BTreeMap, BTreeSet};

use policy::Config;
use policy::choices::Mode;
use policy::config::Concern;
use policy::decision::{self, Evidence, Step, decide};
use policy::facts::{Admission, Entry, Found, Grants, Link, Permission, Permissions, ProjectPath, Token};
use policy::failure::Failure;
use policy::request::Malformed;
use policy::rules::Reason;
use serde_json::{Value, json};

use super::{Line, member, members};
use crate::setup::masked;

/// So many pairs of projects are told, and so many users of one.
const MOST: usize = 10_000;
const MOST_USERS: usize = 8;

/// Why a line cannot be decided on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// It is of a decision that allows, and was logged without an account.
    Brief,
    /// Its account does not hold what it was made from: it is another version's, or too much was asked.
    Evidence,
    /// A fact is looked at now that was not looked up then.
    Fact,
    /// It is of a decision that no rule made: about a runner's images, or a report of the forge.
    Other,
}

impl Lack {
    /// The same in words, with what helps.
    #[must_use]
    pub fn says(self) -> &'static str {
        match self {
            Self::Brief => "allowed, and logged without an account: write `log.allows: full`, and take a newer log",
            Self::Evidence => "the account does not hold what was known: another version wrote it, or much was asked",
            Self::Fact => "a fact is looked at that was not looked up then: observe with the new configuration first",
            Self::Other => "no access rule decided it",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Brief => "brief",
            Self::Evidence => "evidence",
            Self::Fact => "fact",
            Self::Other => "other",
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    GoesOn,
    /// It goes on, and would not if what is observed were enforced.
    Recorded,
    Refused,
}

impl Fate {
    fn of(verdict: &str) -> Self {
        match verdict {
            "deny" => Self::Refused,
            "observe-deny" => Self::Recorded,
            _ => Self::GoesOn,
        }
    }

    fn of_mode(mode: Mode) -> Self {
        if mode == Mode::Enforce { Self::Refused } else { Self::Recorded }
    }
}

/// What becomes of an origin's requests to a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// How many of them.
    pub times: u64,
    /// What is asked.
    pub actions: BTreeSet<String>,
    /// Why, where they are refused; else why they were.
    pub reasons: BTreeSet<String>,
    /// By whom; of many the first.
    pub users: BTreeSet<String>,
    /// The number of one of the decisions.
    pub example: String,
}

/// Entries of allowlists that are taken for made.
#[derive(Debug, Clone, Default)]
pub struct Entries(BTreeMap<(ProjectPath, ProjectPath), Grants>);

impl Entries {
    /// Those that `jobscope suggest --json` suggests; `None` for another document.
    #[must_use]
    pub fn of(document: &Value) -> Option<Self> {
        let entry = |entry: &Value| {
            let path = |name| ProjectPath::parse(member(entry, name));
            let named = |name: &Value| Permission::named(name.as_str()?);
            let grants = match entry.get("permissions")? {
                Value::Null => Grants::Default,
                Value::Array(names) => {
                    Grants::Only(Permissions::of(&names.iter().map(named).collect::<Option<Vec<_>>>()?))
                }
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => return None,
            };
            Some(((path("target")?, path("origin")?), grants))
        };
        document.get("entries")?.as_array()?.iter().map(entry).collect::<Option<_>>().map(Self)
    }

    fn apply(&self, evidence: &mut Evidence) {
        let Some(Token::Running(job)) = &evidence.facts.token else { return };
        for (_, found) in &mut evidence.facts.targets {
            let Found::Standing(standing) = found else { continue };
            let pair = standing.target.path.clone().map(|target| (target, job.origin.path.clone()));
            let grants = pair.and_then(|pair| self.0.get(&pair)).filter(|_| standing.admission != Admission::Own);
            if let Some(grants) = grants {
                standing.admission = Admission::Listed(Entry { link: Link::Project, grants: *grants });
            }
        }
    }
}

/// What a log tells, decided again and added up: as much as there are origins and targets.
#[derive(Debug)]
pub struct Replay<'a> {
    new: &'a Config,
    old: Option<&'a Config>,
    entries: &'a Entries,
    /// What goes on and would be refused, by origin and target.
    pub refused: BTreeMap<(String, String), Change>,
    /// What is refused and would go on, by target and origin.
    pub let_in: BTreeMap<(String, String), Change>,
    /// How many end as before.
    pub same: u64,
    /// How many of all are only recorded as denied.
    pub recorded: u64,
    /// How many changes there are between pairs that are too many to be told.
    pub beyond: u64,
    /// What cannot be decided on again.
    pub lacking: BTreeMap<Lack, u64>,
}

impl<'a> Replay<'a> {
    /// Nothing yet. Without an old configuration what was decided is what the log says.
    #[must_use]
    pub fn new(new: &'a Config, old: Option<&'a Config>, entries: &'a Entries) -> Self {
        let (refused, let_in, lacking) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { new, old, entries, refused, let_in, same: 0, recorded: 0, beyond: 0, lacking }
    }

    /// How many were decided on again.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        [&self.refused, &self.let_in]
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|change| change.times)
            .fold(self.same.saturating_add(self.beyond), u64::saturating_add)
    }

    /// Decides on a line again.
    pub fn note(&mut self, line: &Line) {
        let account = line.account();
        let known = |config: &Config, entries: &Entries| again(config, line, &account, entries);
        let none = Entries::default();
        let before = self.old.map_or(Ok((Fate::of(&line.verdict), None)), |old| known(old, &none));
        let (before, after) = match (before, known(self.new, self.entries)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(lack), _) | (_, Err(lack)) => {
                let times = self.lacking.entry(lack).or_default();
                *times = times.saturating_add(1);
                return;
            }
        };
        let add = |count: &mut u64| *count = count.saturating_add(1);
        if after.0 == Fate::Recorded {
            add(&mut self.recorded);
        }
        let (origin, target) = (masked(&line.origin), masked(&line.target));
        let (changes, pair, reason) = match (before.0 == Fate::Refused, after.0 == Fate::Refused) {
            (false, true) => (&mut self.refused, (origin, target), after.1),
            (true, false) => (&mut self.let_in, (target, origin), before.1),
            _ => return add(&mut self.same),
        };
        if changes.len() >= MOST && !changes.contains_key(&pair) {
            return add(&mut self.beyond);
        }
        let change =
            changes.entry(pair).or_insert_with(|| Change { example: masked(&line.decision), ..Change::default() });
        add(&mut change.times);
        change.actions.insert(masked(&line.action));
        change.reasons.insert(masked(reason.unwrap_or(&line.reason)));
        if change.users.len() < MOST_USERS {
            change.users.insert(masked(&line.user));
        }
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let each = |changes: &BTreeMap<(String, String), Change>, [first, second]: [&str; 2]| -> Vec<Value> {
            let one = |(pair, change): (&(String, String), &Change)| {
                json!({first: pair.0, second: pair.1, "times": change.times, "actions": change.actions,
                    "reasons": change.reasons, "users": change.users, "example": change.example})
            };
            changes.iter().map(one).collect()
        };
        let lacking: BTreeMap<&str, u64> = self.lacking.iter().map(|(lack, times)| (lack.word(), *times)).collect();
        json!({"refused": each(&self.refused, ["origin", "target"]), "let_in": each(&self.let_in, ["target", "origin"]),
            "same": self.same, "recorded": self.recorded, "beyond": self.beyond, "not_replayed": lacking})
    }
}

/// What becomes of a line's request, and why where a rule decides.
fn again(
    config: &Config,
    line: &Line,
    account: &Value,
    entries: &Entries,
) -> Result<(Fate, Option<&'static str>), Lack> {
    // Whoever the job is, and whatever is known of it: it cannot be read.
    if Malformed::ALL.iter().any(|(_, _, code, _)| *code == line.reason) {
        return Ok((Fate::of_mode(config.mode_of(Concern::Unreadable)), None));
    }
    let failure = Failure::ALL.iter().find(|(_, code, _)| *code == line.reason).map(|(failure, _, _)| *failure);
    let is_ruled = Reason::ALL.iter().any(|(_, code, _)| *code == line.reason);
    let evidence = decision::evidence(account);
    let mut evidence = match (evidence, failure) {
        (Some(evidence), _) => evidence,
        (None, Some(failure)) => {
            let failed = decision::failed(config, policy::access::Protocol::Web, failure);
            return Ok((Fate::of(failed.record.verdict), None));
        }
        (None, None) if !is_ruled => return Err(Lack::Other),
        (None, None) if account.is_null() => return Err(Lack::Brief),
        (None, None) => return Err(Lack::Evidence),
    };
    entries.apply(&mut evidence);
    let Evidence { request, facts, looked_up } = evidence;
    let decided = match failure {
        Some(failure) => decision::missed(config, &request, &facts, failure),
        None if lacks_fact(config, &facts.token, &looked_up, account) => return Err(Lack::Fact),
        None => match decide(config, &request, &facts) {
            Step::Decided(decided) => decided,
            Step::NeedsTargets(..) => return Err(Lack::Fact),
            Step::NotAJob | Step::NeedsToken => return Err(Lack::Evidence),
        },
    };
    Ok((Fate::of(decided.record.verdict), Some(decided.record.reason)))
}

/// Whether the rules look at a fact that was not looked up.
fn lacks_fact(config: &Config, token: &Option<Token>, looked_up: &[String], account: &Value) -> bool {
    let Some(Token::Running(job)) = token else { return false };
    let (needs, context) = (config.access.needs(), &job.context);
    let of_target = members(account.get("evidence").unwrap_or(&Value::Null), "targets").next().is_some();
    of_target && config.facts.looked_up().any(|key| !looked_up.iter().any(|known| known == key))
        || needs.protected && context.protected.is_none()
        || needs.environment && context.environment.is_none()
        || needs.fork && context.fork.is_none()
}
