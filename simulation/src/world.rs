//! What is true: jobs, what users and projects are to one another, where projects are, and what the forge made from jobs'
//! tokens. The lookup service tells it; nobody else does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::bindings::{Minted as Row, Table};
use policy::facts::Secret;

/// Projects have these numbers.
pub(crate) const PROJECTS: usize = 5;
pub(crate) const FIRST_PROJECT: u64 = 100;
/// There are more paths than projects, in two groups by turns. At first each project has the path of its place.
pub(crate) const PATHS: usize = 7;
const GROUPS: [&str; 2] = ["g", "h"];
const USERS: usize = 3;

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) token: String,
    pub(crate) user: usize,
    pub(crate) origin: usize,
    pub(crate) runs: bool,
}

/// A user's role in a project, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    None,
    Reporter,
    Developer,
}

/// How a project is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Id(usize),
    Path(usize),
    /// By a path that is followed nowhere.
    Image(usize),
}

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    Nowhere,
    /// To the project that has it.
    To(usize),
    /// To where the project is that had it last.
    On(usize),
}

/// Whom a project lets in: projects by their numbers, and all of a group; or everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Allowlist {
    pub(crate) projects: [bool; PROJECTS],
    pub(crate) groups: [bool; GROUPS.len()],
    /// It lets everybody in.
    pub(crate) is_open: bool,
}

/// What users and projects are to one another, and where projects are.
#[derive(Debug, Clone, Copy)]
struct Standings {
    paths: [Leads; PATHS],
    roles: [[Role; PROJECTS]; USERS],
    allowlists: [Allowlist; PROJECTS],
    is_enforced: bool,
}

/// For what the forge made a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mints {
    Registry,
    DependencyProxy,
    Lfs,
}

/// A credential that the forge made from a job's token, and a client holds.
#[derive(Debug, Clone)]
pub(crate) struct Minted {
    pub(crate) text: String,
    pub(crate) mints: Mints,
    pub(crate) job: usize,
    pub(crate) path: usize,
    /// By which version of the filter it was handed out.
    pub(crate) version: usize,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) jobs: Vec<Job>,
    pub(crate) minted: Vec<Minted>,
    pub(crate) paths: [Leads; PATHS],
    roles: [[Role; PROJECTS]; USERS],
    allowlists: [Allowlist; PROJECTS],
    /// The instance limits access also where a project lets everybody in.
    pub(crate) is_enforced: bool,
    /// What it was before each change, and until when by how much time has passed.
    before: Vec<(u64, Standings)>,
    /// In the order of their ends.
    ended: Vec<usize>,
    made: usize,
}

pub(crate) fn group_of(path: usize) -> usize {
    path % GROUPS.len()
}

pub(crate) fn group_name(group: usize) -> &'static str {
    GROUPS[group]
}

pub(crate) fn path_name(path: usize) -> String {
    format!("{}/p{path}", group_name(group_of(path)))
}

impl Job {
    /// Whether its token is one that the forge does not know, where there are such.
    pub(crate) fn is_foreign(&self) -> bool {
        self.token.ends_with(['0', '2', '4', '6', '8'])
    }
}

impl Leads {
    pub(crate) fn project(self) -> Option<usize> {
        match self {
            Self::Nowhere => None,
            Self::To(project) | Self::On(project) => Some(project),
        }
    }
}

impl Allowlist {
    /// What it is where the instance may limit access.
    pub(crate) fn under(self, is_enforced: bool) -> Self {
        Self { is_open: self.is_open && !is_enforced, ..self }
    }

    /// Whether it lets a project in that is in one of these groups.
    pub(crate) fn admits(&self, origin: usize, mut groups: impl Iterator<Item = usize>) -> bool {
        self.is_open || self.projects[origin] || groups.any(|group| self.groups[group])
    }
}

/// Where each path leads before any project moved.
pub(crate) fn first_paths() -> [Leads; PATHS] {
    std::array::from_fn(|path| if path < PROJECTS { Leads::To(path) } else { Leads::Nowhere })
}

impl World {
    /// One in which so many jobs run, and the instance limits access or does not.
    pub(crate) fn new(jobs: u32, is_enforced: bool) -> Self {
        let admits = |target: usize| Allowlist {
            projects: std::array::from_fn(|origin| (target + origin) % 3 != 1),
            groups: std::array::from_fn(|group| target == group),
            is_open: target == PROJECTS - 1,
        };
        let roles = std::array::from_fn(|user| {
            std::array::from_fn(|project| [Role::Developer, Role::Reporter, Role::None][(user + project) % 3])
        });
        let mut world = Self {
            jobs: Vec::new(),
            minted: Vec::new(),
            paths: first_paths(),
            roles,
            allowlists: std::array::from_fn(admits),
            is_enforced,
            before: Vec::new(),
            ended: Vec::new(),
            made: 0,
        };
        for number in 0..jobs {
            world.begin(number);
        }
        world
    }

    /// A job begins. Its number is one more than its place.
    pub(crate) fn begin(&mut self, how: u32) -> usize {
        self.begin_with(how, |_| true)
    }

    /// One whose token is like this.
    pub(crate) fn begin_with(&mut self, how: u32, is_it: impl Fn(&str) -> bool) -> usize {
        let number = self.jobs.len();
        let mut tokens = (0..10_000).map(|salt| match salt {
            0 => format!("glcbt-64_job{number:08}"),
            _ => format!("glcbt-64_{salt}job{number:08}"),
        });
        let token = tokens.find(|token| is_it(token)).unwrap_or_default();
        let (user, origin) = (how as usize % USERS, how as usize / USERS % PROJECTS);
        self.jobs.push(Job { token, user, origin, runs: true });
        number
    }

    pub(crate) fn end(&mut self, job: usize) {
        if std::mem::replace(&mut self.jobs[job].runs, false) {
            self.ended.push(job);
        }
    }

    pub(crate) fn change(&mut self, which: u32, how: u32, passed: u64) {
        self.before.push((passed, self.standings()));
        let (one, other) = (which as usize, which as usize / 7);
        let allowlist = &mut self.allowlists[one % PROJECTS];
        match how % 4 {
            0 | 2 => {
                let role = [Role::None, Role::Reporter, Role::Developer][how as usize / 2 % 3];
                self.roles[one % USERS][other % PROJECTS] = role;
            }
            1 => allowlist.projects[other % PROJECTS] ^= true,
            3 if how % 16 == 3 => allowlist.is_open ^= true,
            3 if how % 16 == 7 => self.is_enforced ^= true,
            _ => allowlist.groups[other % GROUPS.len()] ^= true,
        }
    }

    /// From now on a user has this role.
    pub(crate) fn promote(&mut self, user: usize, project: usize, role: Role, passed: u64) {
        self.before.push((passed, self.standings()));
        self.roles[user][project] = role;
    }

    /// A project moves to a path that no other has. Where it was it is still found, until another comes there.
    pub(crate) fn relocate(&mut self, project: usize, to: usize, passed: u64) -> usize {
        self.before.push((passed, self.standings()));
        let is_free = |path: &usize| !matches!(self.paths[*path], Leads::To(_));
        let to = (0..PATHS).map(|by| (to + by) % PATHS).find(is_free).unwrap_or(to);
        let from = self.path_of(project);
        (self.paths[from], self.paths[to]) = (Leads::On(project), Leads::To(project));
        to
    }

    /// Where a project is.
    pub(crate) fn path_of(&self, project: usize) -> usize {
        self.paths.iter().position(|leads| *leads == Leads::To(project)).unwrap_or_default()
    }

    pub(crate) fn role(&self, user: usize, project: usize) -> Role {
        self.roles[user][project]
    }

    pub(crate) fn allowlist(&self, project: usize) -> Allowlist {
        self.allowlists[project]
    }

    pub(crate) fn job_of(&self, token: &str) -> Option<usize> {
        self.jobs.iter().position(|job| job.token == token)
    }

    fn standings(&self) -> Standings {
        Standings { paths: self.paths, roles: self.roles, allowlists: self.allowlists, is_enforced: self.is_enforced }
    }

    /// Whether a job runs, and was granted this all the time since then.
    pub(crate) fn has_granted(&self, job: usize, named: Named, needed: Role, since: u64) -> bool {
        let Job { user, origin, runs, .. } = self.jobs[job];
        let before = self.before.iter().rev().take_while(|(until, _)| *until >= since).map(|(_, standings)| *standings);
        let mut all = before.chain([self.standings()]);
        runs && all.all(|standings| {
            let leads = match named {
                Named::Id(project) => Leads::To(project),
                Named::Path(path) => standings.paths[path],
                Named::Image(_) => return false,
            };
            let path = |project| standings.paths.iter().position(|leads| *leads == Leads::To(project));
            let groups = || path(origin).map(group_of).into_iter();
            leads.project().is_some_and(|project| {
                standings.roles[user][project] >= needed
                    && (project == origin
                        || standings.allowlists[project].under(standings.is_enforced).admits(origin, groups()))
            })
        })
    }

    /// The jobs that ended behind so many, and how many did.
    pub(crate) fn ended_after(&self, after: Option<usize>) -> (Vec<usize>, usize) {
        (after.and_then(|after| self.ended.get(after..)).unwrap_or_default().to_vec(), self.ended.len())
    }

    /// The forge makes a credential: for images one of those that get into each other's way, where there is room for few.
    pub(crate) fn mint(&mut self, mints: Mints) -> String {
        let mut made = self.make(mints);
        while mints != Mints::Lfs && !is_crowded(&made) {
            made = self.make(mints);
        }
        made
    }

    fn make(&mut self, mints: Mints) -> String {
        self.made += 1;
        let number = self.made;
        let claims = match mints {
            Mints::Registry => format!(r#"{{"auth_type":"build","jti":"{number}"}}"#),
            Mints::DependencyProxy => format!(r#"{{"user_id":1,"jti":"{number}"}}"#),
            Mints::Lfs => format!(r#"{{"data":{{"actor":"user1"}},"jti":"{number}"}}"#),
        };
        jwt(&claims)
    }
}

/// Whether what is remembered of a credential has its place where a few of all have theirs.
fn is_crowded(jwt: &str) -> bool {
    let signed = jwt.rsplit_once('.').map_or(jwt, |(signed, _)| signed);
    Table::of::<Row>(64).bucket(&Secret::new(signed.as_bytes()).hash()) < 2
}

/// A JWT with these claims.
pub(crate) fn jwt(claims: &str) -> String {
    [r#"{"alg":"HS256"}"#, claims, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}
