//! What is true: jobs, and what users and projects are to one another. The lookup service tells it; nobody else does.

use serde_json::{Value, json};

/// Projects have these numbers, and the paths `g/p0` and so on.
pub(crate) const PROJECTS: usize = 5;
pub(crate) const FIRST_PROJECT: u64 = 100;
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

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reporter => "reporter",
            Self::Developer => "developer",
        }
    }
}

/// What a lookup says of a target: the least that a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) role: Role,
    pub(crate) is_admitted: bool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) jobs: Vec<Job>,
    roles: [[Role; PROJECTS]; USERS],
    /// By target and origin.
    admits: [[bool; PROJECTS]; PROJECTS],
    /// In the order of their ends.
    ended: Vec<usize>,
}

/// What a lookup asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Token(String),
    /// User, origin, target.
    Target(usize, usize, usize),
    /// The list of ended jobs, behind so many.
    Ended(Option<usize>),
}

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Runs(usize),
    Ended(usize),
    Unknown,
    Standing(Standing),
    /// These ended, so many in all.
    List(Vec<usize>, usize),
}

impl World {
    pub(crate) fn new() -> Self {
        let admits = std::array::from_fn(|target| std::array::from_fn(|origin| (target + origin) % 3 != 1));
        let roles = std::array::from_fn(|user| {
            std::array::from_fn(|project| [Role::Developer, Role::Reporter, Role::None][(user + project) % 3])
        });
        let mut world = Self { jobs: Vec::new(), roles, admits, ended: Vec::new() };
        for number in 0..4 {
            world.begin(number);
        }
        world
    }

    /// A job begins. Its number is one more than its place.
    pub(crate) fn begin(&mut self, how: u32) -> usize {
        let number = self.jobs.len();
        let token = format!("glcbt-64_job{number:08}");
        let (user, origin) = (how as usize % USERS, how as usize / USERS % PROJECTS);
        self.jobs.push(Job { token, user, origin, runs: true });
        number
    }

    pub(crate) fn end(&mut self, job: usize) {
        if std::mem::replace(&mut self.jobs[job].runs, false) {
            self.ended.push(job);
        }
    }

    pub(crate) fn change(&mut self, which: u32, how: u32) {
        let (one, other) = (which as usize, which as usize / 7);
        if how.is_multiple_of(2) {
            let role = [Role::None, Role::Reporter, Role::Developer][how as usize / 2 % 3];
            self.roles[one % USERS][other % PROJECTS] = role;
        } else {
            let admits = &mut self.admits[one % PROJECTS][other % PROJECTS];
            *admits = !*admits;
        }
    }

    /// What the service says, if it is asked now.
    pub(crate) fn say(&self, question: &Question) -> Said {
        match question {
            Question::Token(token) => match self.jobs.iter().position(|job| job.token == *token) {
                Some(number) if self.jobs[number].runs => Said::Runs(number),
                Some(number) => Said::Ended(number),
                None => Said::Unknown,
            },
            Question::Target(user, origin, target) => Said::Standing(Standing {
                role: self.roles[*user][*target],
                is_admitted: origin == target || self.admits[*target][*origin],
            }),
            Question::Ended(after) => {
                let told = after.and_then(|after| self.ended.get(after..)).unwrap_or_default();
                Said::List(told.to_vec(), self.ended.len())
            }
        }
    }

    /// The same as the service writes it.
    pub(crate) fn write(&self, question: &Question, said: &Said) -> Value {
        match (question, said) {
            (_, Said::Runs(number)) => {
                let job = &self.jobs[*number];
                json!({"version": 1, "token": "running", "job": {"id": number + 1,
                    "user": {"id": job.user + 1, "name": format!("user{}", job.user)},
                    "origin": {"id": FIRST_PROJECT + job.origin as u64, "path": format!("g/p{}", job.origin)}}})
            }
            (_, Said::Ended(_)) => json!({"version": 1, "token": "ended"}),
            (_, Said::Unknown) => json!({"version": 1, "token": "unknown"}),
            (Question::Target(_, _, target), Said::Standing(standing)) => json!({"version": 1,
                "role": standing.role.name(), "external": false,
                "admission": if standing.is_admitted { "project" } else { "unlisted" },
                "target": {"id": FIRST_PROJECT + *target as u64, "path": format!("g/p{target}"),
                    "visibility": "private", "push_by_job_token": false}}),
            (_, Said::List(jobs, count)) => {
                let jobs: Vec<_> = jobs.iter().map(|job| job + 1).collect();
                json!({"version": 1, "cursor": count.to_string(), "ended": jobs})
            }
            (_, Said::Standing(_)) => Value::Null,
        }
    }
}

impl Question {
    /// What a call asks.
    pub(crate) fn read(path: &str, body: &[u8]) -> Option<Self> {
        if let Some(query) = path.strip_prefix("/jobscope/v1/changes?") {
            let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
            return Some(Self::Ended(after.and_then(|after| after.parse().ok())));
        }
        let asked: Value = serde_json::from_slice(body).ok()?;
        if let Some(token) = asked["token"].as_str() {
            return Some(Self::Token(token.to_owned()));
        }
        let project = |value: &Value| {
            let by_id = value["id"].as_u64().and_then(|id| id.checked_sub(FIRST_PROJECT));
            let by_path = || value["path"].as_str()?.strip_prefix("g/p")?.parse::<u64>().ok();
            usize::try_from(by_id.or_else(by_path)?).ok().filter(|number| *number < PROJECTS)
        };
        let user = usize::try_from(asked["user"]["id"].as_u64()?.checked_sub(1)?).ok()?;
        Some(Self::Target(user, project(&asked["origin"])?, project(&asked["target"])?))
    }
}
