//! What a request may do, as the simulation sees it: from what lookups said, and from what else this proxy was told. It knows
//! nothing of the filter.

use std::collections::{BTreeMap, BTreeSet};

use crate::service::{Question, Said};
use crate::world::{Allowlist, Job, Leads, Named, PATHS, Role};

/// By how much what was noted may lie ahead of the clock, in milliseconds: workers' clocks differ by a second, and a lookup
/// is as old as its first call.
const SKEW: u64 = 3_000;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To read in a project, or to write there.
    Of(Named, Role),
    /// What a job may in whatever project.
    Anywhere,
    /// What a job may in a group above its project.
    Below(usize),
    /// To report on a job, whoever that is: the forge decides.
    Report,
    /// Something that no job asks.
    Person,
}

/// A moment: by the clock, and by how much time has passed. Where the clock is set, either is told of a fact's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) clock: u64,
    pub(crate) passed: u64,
}

impl Time {
    /// Whether what was asked then serves now, where it does for so long.
    fn serves(self, now: Self, stale: u64) -> bool {
        let by_clock = self.clock + stale > now.clock && self.clock <= now.clock + SKEW;
        by_clock || self.passed + stale > now.passed
    }
}

/// What was told of something, and when that was asked.
#[derive(Debug)]
struct Told<K, V>(BTreeMap<K, Vec<(Time, V)>>);

impl<K: Ord, V> Default for Told<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Copy> Told<K, V> {
    fn hear(&mut self, of: K, asked: Time, said: V) {
        self.0.entry(of).or_default().push((asked, said));
    }

    fn forget(&mut self, serves: impl Fn(&Time) -> bool) {
        self.0.values_mut().for_each(|told| told.retain(|(asked, _)| serves(asked)));
        self.0.retain(|_, told| !told.is_empty());
    }
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Whose running jobs these tokens are, and in which groups their projects.
    running: Told<String, (usize, usize)>,
    /// Where paths lead.
    paths: Told<usize, Leads>,
    /// By user and project.
    roles: Told<(usize, usize), Role>,
    /// By project.
    allowlists: Told<usize, Allowlist>,
    /// Whether the instance limits access where a project does not.
    enforced: Told<(), bool>,
    ended: BTreeSet<usize>,
}

impl Judge {
    /// A lookup that was asked then, when paths led there, said this.
    pub(crate) fn hear(&mut self, question: &Question, said: &Said, asked: Time, paths: &[Leads; PATHS]) {
        let mut leads_to = |named: Named, leads: Leads| {
            if let Named::Path(path) | Named::Image(path) = named {
                self.paths.hear(path, asked, leads);
            }
            leads.project()
        };
        match (question, said) {
            (Question::Token(token), Said::Runs(job, group)) => {
                self.running.hear(token.clone(), asked, (*job, *group));
            }
            (Question::Target(user, origin, _, named), Said::Standing(leads, role, is_admitted)) => {
                if let Some(project) = leads_to(*named, *leads) {
                    self.roles.hear((*user, project), asked, *role);
                    let mut allowlist = Allowlist::default();
                    allowlist.projects[*origin] = *is_admitted;
                    self.allowlists.hear(project, asked, allowlist);
                }
            }
            (Question::Project(named), Said::Project(leads)) => {
                leads_to(*named, *leads);
            }
            // Where a project went the answer tells, and not whose role it is.
            (Question::Role(named, _), Said::Role(leads @ Leads::On(_), _)) => {
                leads_to(*named, *leads);
            }
            (Question::Role(named, user), Said::Role(leads, role)) => {
                // What is asked of a path at one moment is taken for one project's, for the answer does not say whose it is.
                let then = if let Named::Path(path) = named { paths[*path].project() } else { None };
                for project in leads.project().into_iter().chain(then) {
                    self.roles.hear((*user, project), asked, *role);
                }
            }
            (_, Said::Allowlist(leads, allowlist)) => {
                if let Some(project) = leads.project() {
                    self.allowlists.hear(project, asked, *allowlist);
                }
            }
            (_, Said::Settings(is_enforced)) => self.enforced.hear((), asked, *is_enforced),
            _ => {}
        }
    }

    /// This proxy saw a job's end.
    pub(crate) fn see_end(&mut self, job: usize) {
        self.ended.insert(job);
    }

    /// Why a request with this token, or with what was made from it, may not go on now, where what was asked at most `stale`
    /// milliseconds ago serves. An end counts no longer where there was no room to remember it.
    pub(crate) fn forbids(
        &self,
        jobs: &[Job],
        token: Option<&str>,
        ask: Ask,
        (now, stale): (Time, u64),
        has_no_room: impl Fn(&str) -> bool,
    ) -> Option<String> {
        if matches!(ask, Ask::Report | Ask::Person) {
            return None;
        }
        let token = token?;
        let known = serving(&self.running, token, now, stale).next();
        let Some((number, _)) = known else { return Some(format!("no lookup says that {token} is a running job's")) };
        if self.ended.contains(&number) && !has_no_room(token) {
            return Some(format!("the end of job {number} was seen"));
        }
        let (user, origin) = (jobs[number].user, jobs[number].origin);
        let groups = || serving(&self.running, token, now, stale).map(|(_, group)| group);
        let refused = || format!("no lookup admits job {number} for that");
        let is_allowed = match ask {
            Ask::Report | Ask::Person | Ask::Anywhere => true,
            Ask::Below(group) => groups().any(|known| known == group),
            Ask::Of(named, needed) => {
                // One and the same project, whatever else a path led to.
                let has_role = |project| serving(&self.roles, &(user, project), now, stale).any(|role| role >= needed);
                let is_enforced = !serving(&self.enforced, &(), now, stale).any(|is_enforced| !is_enforced);
                let lets_in = |project| {
                    let mut lists = serving(&self.allowlists, &project, now, stale);
                    lists.any(|list| list.under(is_enforced).admits(origin, groups()))
                };
                let admits = |project| has_role(project) && (project == origin || lets_in(project));
                let mut leads = match named {
                    Named::Id(project) => return (!admits(project)).then(refused),
                    Named::Path(path) | Named::Image(path) => serving(&self.paths, &path, now, stale),
                };
                match named {
                    // A job pulls its own project's images whatever its user's role.
                    Named::Image(_) => {
                        leads.any(|leads| matches!(leads, Leads::To(project) if project == origin || admits(project)))
                    }
                    Named::Path(_) | Named::Id(_) => leads.filter_map(Leads::project).any(admits),
                }
            }
        };
        (!is_allowed).then(refused)
    }

    /// Forgets what serves nobody any longer: a clock that is set again and again brings back what is younger, or to come.
    pub(crate) fn forget(&mut self, now: Time) {
        const LONGEST: u64 = 300_000;
        let serves = |asked: &Time| asked.clock.abs_diff(now.clock) < LONGEST || asked.passed + LONGEST > now.passed;
        self.running.forget(serves);
        self.paths.forget(serves);
        self.roles.forget(serves);
        self.allowlists.forget(serves);
        self.enforced.forget(serves);
    }
}

/// What was told of something and serves now.
fn serving<'a, K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized, V: Copy>(
    told: &'a Told<K, V>,
    of: &Q,
    now: Time,
    stale: u64,
) -> impl Iterator<Item = V> + 'a {
    let told = told.0.get(of).into_iter().flatten();
    told.filter(move |(asked, _)| asked.serves(now, stale)).map(|(_, said)| *said)
}
