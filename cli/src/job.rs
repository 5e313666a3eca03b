//! Which job asks.

use policy::facts::{Context, Job, JobId, Token};
use world::{Project, World};

/// A job, its token, and what is known of that.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The job.
    pub job: Job,
    /// What a lookup says of its token.
    pub token: Token,
    /// Its token. Made up, unless the world has one.
    pub secret: String,
}

/// Why no job is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It is not spelled like a job.
    #[error("expected a job such as `apps/web@main as dana` or the number of one in the world, found `{0}`")]
    Spelling(String),
    /// No such project.
    #[error("the world has no project `{0}`")]
    Project(String),
    /// No such user.
    #[error("the world has no user `{0}`; a job behind which nobody stands is `as nobody`")]
    User(String),
    /// No such job.
    #[error("the world has no job `{0}`")]
    Number(u64),
}

/// A job as it is spelled: `PROJECT[@REF] as USER [in ENVIRONMENT] [by SOURCE] [of a fork]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// The path of its project.
    pub path: &'a str,
    /// The branch or tag that it runs for.
    pub git_ref: &'a str,
    /// Who started it; `None` for nobody.
    pub user: Option<&'a str>,
    /// The environment that it deploys to; empty for none.
    pub environment: &'a str,
    /// What started its pipeline.
    pub source: &'a str,
    /// Whether it works on a merge request from a fork.
    pub fork: bool,
}

impl<'a> Spelled<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// It is spelled otherwise.
    pub fn parse(text: &'a str) -> Result<Self, JobError> {
        let refuse = || JobError::Spelling(text.to_owned());
        let mut words = text.split_whitespace();
        let first = words.next().ok_or_else(refuse)?;
        let (path, git_ref) = first.split_once('@').unwrap_or((first, "main"));
        let (mut user, mut environment, mut source, mut fork) = (None, "", "push", false);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(refuse);
            match word {
                "as" => user = Some(value()?),
                "in" => environment = value()?,
                "by" => source = value()?,
                "of" if (words.next(), words.next()) == (Some("a"), Some("fork")) => fork = true,
                _ => return Err(refuse()),
            }
        }
        let user = Some(user.ok_or_else(refuse)?).filter(|name| *name != "nobody");
        Ok(Self { path, git_ref, user, environment, source, fork })
    }

    /// The circumstances of a job, with those that are spelled.
    #[must_use]
    pub fn context(&self, known: Context) -> Context {
        Context {
            environment: Some(self.environment.to_owned()),
            source: Some(self.source.to_owned()),
            fork: Some(self.fork),
            ..known
        }
    }
}

/// The token of a job of which the world has none.
pub(crate) const MADE_UP: &str = "glcbt-64_madeUpForThisQuestion01";

impl Caller {
    /// The job that a text means: `PROJECT[@REF] as USER [in ENVIRONMENT] [by SOURCE] [of a fork]`, or a number.
    ///
    /// # Errors
    /// The text, or what it names, means nothing in the world.
    pub fn of(text: &str, world: &World) -> Result<Self, JobError> {
        if let Ok(number) = text.trim().parse() {
            return Self::numbered(number, world);
        }
        let spelled = Spelled::parse(text)?;
        let project = world.project_at(spelled.path).ok_or_else(|| JobError::Project(spelled.path.to_owned()))?;
        let named = |name: &str| world.user_named(name).ok_or_else(|| JobError::User(name.to_owned()));
        let user = spelled.user.map(named).transpose()?;
        let refuse = || JobError::Spelling(text.to_owned());
        let job = Job {
            context: spelled.context(at(world, project, spelled.git_ref)),
            ..running(world, project, user.map(|user| user.person())).ok_or_else(refuse)?
        };
        let token = match user {
            Some(user) if user.blocked => Token::Invalid(policy::facts::Invalid::UserBlocked),
            Some(_) | None => Token::Running(job.clone()),
        };
        Ok(Self { token, job, secret: MADE_UP.to_owned() })
    }

    /// The job of this number in the world.
    ///
    /// # Errors
    /// There is none.
    pub fn numbered(number: u64, world: &World) -> Result<Self, JobError> {
        let first = world.jobs.iter().find(|job| job.id == number).ok_or(JobError::Number(number))?;
        let job = world.job(first).ok_or(JobError::Number(number))?;
        let secret = first.token.clone().unwrap_or_else(|| MADE_UP.to_owned());
        Ok(Self { token: world.token(first), job, secret })
    }

    /// The same job, as it is told to people.
    #[must_use]
    pub fn label(&self) -> String {
        let context = &self.job.context;
        let user = self.job.user.as_ref().map_or("nobody", |user| &user.name);
        let mut label =
            format!("{}@{} as {user}", self.job.origin.path, context.git_ref.as_deref().unwrap_or_default());
        for (word, value, usual) in [("in", &context.environment, ""), ("by", &context.source, "push")] {
            if let Some(value) = value.as_deref().filter(|value| *value != usual) {
                label.push_str(&format!(" {word} {value}"));
            }
        }
        label.push_str(if context.fork == Some(true) { " of a fork" } else { "" });
        label
    }
}

/// A job of a project, that somebody started by a push to the main branch.
#[must_use]
pub fn running(world: &World, project: &Project, user: Option<policy::facts::User>) -> Option<Job> {
    // A number that no other job has.
    let id = world.jobs.iter().map(|job| job.id).max().unwrap_or_default().saturating_add(1);
    Some(Job { id: JobId(id), user, origin: project.origin()?, context: at(world, project, "main") })
}

fn at(world: &World, project: &Project, git_ref: &str) -> Context {
    Context {
        git_ref: Some(git_ref.to_owned()),
        protected: Some(world.protects(project, git_ref)),
        environment: Some(String::new()),
        source: Some("push".to_owned()),
        fork: Some(false),
        ..Context::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: &str = "
users: [{id: 1, username: dana}, {id: 2, username: bea, blocked: true}]
groups: [{id: 1, path: apps}]
projects: [{id: 11, path: apps/web, protected: [release]}]
jobs: [{id: 7, project: apps/web, user: dana, name: build, status: success, token: glcbt-64_x}]
";

    #[test]
    fn a_job_is_what_it_is_called() {
        let world = World::parse(WORLD).unwrap();
        for text in [
            "apps/web@main as dana",
            "apps/web@release as nobody",
            "apps/web@main as dana in production by schedule of a fork",
        ] {
            let caller = Caller::of(text, &world).unwrap();
            assert_eq!(caller.label(), text);
            assert!(matches!(caller.token, Token::Running(_)));
        }
        let job = Caller::of("Apps/Web@release as dana", &world).unwrap().job;
        assert_eq!((job.id, job.context.protected), (JobId(8), Some(true)));
        assert!(matches!(Caller::of("7", &world).unwrap().token, Token::Ended(Some(_))));
        assert_eq!(
            Caller::of("apps/web as bea", &world).unwrap().token,
            Token::Invalid(policy::facts::Invalid::UserBlocked)
        );
    }

    #[test]
    fn what_names_no_job_is_one_sentence() {
        let world = World::parse(WORLD).unwrap();
        let refused = |text| Caller::of(text, &world).unwrap_err().to_string();
        for text in ["", "apps/web", "apps/web as", "apps/web as dana now", "apps/web as dana of fork"] {
            assert!(refused(text).starts_with("expected a job such as"), "{text}");
        }
        assert_eq!(refused("apps/wep as dana"), "the world has no project `apps/wep`");
        assert_eq!(
            refused("apps/web as zed"),
            "the world has no user `zed`; a job behind which nobody stands is `as nobody`"
        );
        assert_eq!(refused("9"), "the world has no job `9`");
    }
}
