//! Gitea and Forgejo, whose task tokens no API tells the owner of: they are asked for in the forge's database, by a role that
//! sees nothing but the views of `views.sql`.
//!
//! A job's number is its task's: a job that is run again keeps its own, and would be called ended for ever.

mod database;
mod jwt;
mod repositories;
mod tokens;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use policy::access::{Holding, Sought, TargetRef};
use policy::bindings::Inquiry;
use policy::facts::{
    Context, Found, GroupRef, Holders, Invalid, Job, JobId, Origin, ProjectId, ProjectPath, Secret, Token, User,
    UserId, Version,
};
use policy::failure::Failure;
use policy::lookup::{Fact, Value};
use rustls::ClientConfig;
use tokio_postgres::Row;

use super::calls::Manner;
use super::{AtHand, Forge, Landed, Recalled, Reply, Status, Terms};
use crate::clock;
use crate::metrics::Metrics;
use database::{Database, MOST_ALIKE, Query};
use jwt::Jwt;
use repositories::{number, path, value};
use tokens::{Hasher, Stored, last_eight};

/// The views, and the role that reads them.
pub const VIEWS: &str = include_str!("views.sql");

/// What a Gitea or a Forgejo is asked with.
pub struct Settings {
    /// Where its database is, and who asks there.
    pub database: tokio_postgres::Config,
    /// How it is spoken to in TLS.
    pub tls: ClientConfig,
    /// What its JWTs are signed with.
    pub jwt_secret: Option<Secret>,
    /// How it is asked.
    pub manner: Manner,
    /// Which configuration it is.
    pub inquiry: Inquiry,
}

/// A Gitea or a Forgejo.
pub struct Gitea {
    database: Database,
    hasher: Hasher,
    jwt_secret: Option<Secret>,
}

impl Gitea {
    /// The forge of these settings.
    #[must_use]
    pub fn new(settings: Settings, metrics: Metrics) -> Self {
        let Settings { database, tls, jwt_secret, manner, inquiry: _ } = settings;
        Self { database: Database::new(database, tls, manner, metrics), hasher: Hasher::new(), jwt_secret }
    }

    async fn token(&self, token: &Secret) -> Result<(Token, Terms), Failure> {
        if let Some(last_eight) = last_eight(token) {
            return Ok((self.task_token(token, last_eight).await?, Terms::default()));
        }
        match Jwt::read(token, self.jwt_secret.as_ref(), clock::unix()) {
            // Not spelled as anything that the forge makes for jobs.
            None | Some(Jwt::Foreign) => Ok((Token::Invalid(Invalid::Foreign), Terms::default())),
            // Another token of the same job may be good.
            Some(Jwt::Unknown) => {
                Ok((Token::Invalid(Invalid::Unknown), Terms { of_token_alone: true, ..Terms::default() }))
            }
            Some(Jwt::Task(task, until)) => {
                let rows = self.database.rows(Query::Task, &[&task]).await?;
                let token = rows.first().map_or(Ok(Token::Invalid(Invalid::Unknown)), of_task)?;
                Ok((token, Terms { until: Some(until), ..Terms::default() }))
            }
        }
    }

    async fn task_token(&self, token: &Secret, last_eight: &str) -> Result<Token, Failure> {
        let tasks = self.database.rows(Query::TasksOfToken, &[&last_eight]).await?;
        if let Some(at) = self.hasher.find(token, stored(&tasks)?).await? {
            return of_task(tasks.get(at).ok_or(Failure::Doubt)?);
        }
        let people = self.database.rows(Query::AccessTokens, &[&last_eight]).await?;
        let is_somebodys = self.hasher.find(token, stored(&people)?).await?.is_some();
        Ok(Token::Invalid(if is_somebodys { Invalid::Foreign } else { Invalid::Unknown }))
    }

    async fn target(&self, job: &Job, target: &TargetRef) -> Result<Found, Failure> {
        let user = job.user.as_ref().map_or(Ok(0), |user| id(user.id.0))?;
        let of_id = async |project: ProjectId| self.database.rows(Query::StandingOfId, &[&user, &id(project.0)?]).await;
        let of_path = async |path: &ProjectPath| match path.as_str().split_once('/') {
            Some((owner, name)) => self.database.rows(Query::StandingOfPath, &[&user, &owner, &name]).await,
            None => Ok(Vec::new()),
        };
        let rows = match target {
            TargetRef::Held(holding) => return self.holders(holding).await,
            TargetRef::Own => of_id(job.origin.id).await?,
            TargetRef::Id(project) => of_id(*project).await?,
            TargetRef::Path(path) => of_path(path).await?,
            TargetRef::Image(paths) => match paths.iter().find(|path| path.groups().count() == 1) {
                Some(path) => of_path(path).await?,
                None => Vec::new(),
            },
            // There are no groups, and a job of another number is none of this one's.
            TargetRef::Job(_) | TargetRef::ProjectOfJob(_) | TargetRef::Group(_) | TargetRef::None => Vec::new(),
        };
        let Some(row) = rows.first() else { return Ok(Found::Nothing) };
        let origin = self.database.rows(Query::Repository, &[&id(job.origin.id.0)?]).await?;
        repositories::found(job, row, origin.first())
    }

    /// The repositories of an owner: what is its own and no repository's is asked of all of them.
    async fn holders(&self, holding: &Holding) -> Result<Found, Failure> {
        let (GroupRef::Path(owner), Sought::Everything | Sought::Owned) = (&holding.group, &holding.sought) else {
            return Ok(Found::Nothing);
        };
        let rows = self.database.rows(Query::RepositoriesOfOwner, &[&owner.as_str()]).await?;
        // Of an owner without repositories nobody could let a job in.
        if rows.is_empty() {
            return Ok(Found::Nothing);
        }
        let ids =
            rows.iter().map(|row| Ok(ProjectId(number(value(row, "id")?)?))).collect::<Result<Vec<_>, Failure>>()?;
        Ok(Found::Holders(Holders::of(ids)))
    }
}

/// The secret of its JWTs, as its configuration has it.
pub(crate) fn jwt_secret(text: &Secret) -> Option<Secret> {
    jwt::secret(text)
}

/// A number as the database has it.
fn id(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::LookupAnswer)
}

/// Tokens of rows, where they are not more than can be looked through.
fn stored(rows: &[Row]) -> Result<Vec<Stored>, Failure> {
    if rows.len() > MOST_ALIKE {
        return Err(Failure::LookupBusy);
    }
    rows.iter().map(|row| Ok(Stored { hash: value(row, "token_hash")?, salt: value(row, "token_salt")? })).collect()
}

/// What the number of a task's status means. 8 is newer Gitea's `Cancelling`, in which it still takes the token.
fn status(number: i64) -> Status {
    match number {
        1..=4 => Status::Ended,
        6 | 8 => Status::Running,
        _ => Status::Unsure,
    }
}

/// Whose the token of a task is.
fn of_task(row: &Row) -> Result<Token, Failure> {
    match status(value(row, "status")?) {
        Status::Ended => Ok(Token::Ended(None)),
        Status::Unsure => Err(Failure::LookupAnswer),
        Status::Running => running(row),
    }
}

fn running(row: &Row) -> Result<Token, Failure> {
    let (owner, name) = (value::<Option<&str>>(row, "owner")?, value::<Option<&str>>(row, "name")?);
    let (Some(owner), Some(name)) = (owner, name) else { return Ok(Token::Invalid(Invalid::ProjectGone)) };
    let origin = Origin { id: ProjectId(number(value(row, "repository_id")?)?), path: path(owner, name)? };
    // The forge's own bot is nobody, and so is who was deleted.
    let user = match (value::<Option<i64>>(row, "user_id")?, value::<Option<String>>(row, "user_name")?) {
        (Some(id @ 1..), Some(name)) => Some(User { id: UserId(number(id)?), name }),
        _ => None,
    };
    if user.is_some() && value(row, "is_blocked")? {
        return Ok(Token::Invalid(Invalid::UserBlocked));
    }
    if user.is_some() && !value(row, "is_active")? {
        return Ok(Token::Invalid(Invalid::UserDeactivated));
    }
    let is_fork: bool = value(row, "is_fork")?;
    let git_ref = value::<Option<String>>(row, "ref")?.filter(|_| !is_fork).map(|name| {
        let short = ["refs/heads/", "refs/tags/"].iter().find_map(|before| name.strip_prefix(before));
        short.unwrap_or(&name).to_owned()
    });
    let context = Context { git_ref, source: value(row, "trigger_event")?, fork: Some(is_fork), ..Context::default() };
    Ok(Token::Running(Job {
        id: JobId(number(value(row, "id")?)?),
        // What other jobs of its user share with a fork's is its own repository's code alone.
        user: user.filter(|_| !is_fork),
        origin,
        context: context.bounded(),
    }))
}

impl Forge for Gitea {
    /// All of a target is asked at once: nothing of it is remembered.
    fn at_hand(&self, fact: &Fact, _: &Recalled) -> AtHand {
        match fact {
            Fact::Target(..) => AtHand::Parts(Vec::new()),
            Fact::Token(_) => AtHand::Failed(Failure::Doubt),
        }
    }

    fn look<'a>(&'a self, fact: Fact, _: &'a Recalled) -> Reply<'a, Landed> {
        async move {
            let since = clock::now();
            let (value, terms) = match fact {
                Fact::Token(token) => {
                    let (token, terms) = self.token(&token).await?;
                    (Value::Token(token), terms)
                }
                Fact::Target(job, target) => (Value::Target(self.target(&job, &target).await?), Terms::default()),
            };
            Ok(Landed { value, learned: Vec::new(), since, terms })
        }
        .boxed()
    }

    /// The database does not say.
    fn version(&self) -> Reply<'_, Version> {
        ready(Err(Failure::LookupAnswer)).boxed()
    }

    fn status(&self, job: JobId, _: ProjectId) -> Reply<'_, Status> {
        async move {
            let said = self.statuses(&[job]).await?.unwrap_or_default();
            Ok(said.first().map_or(Status::Unsure, |(_, status)| *status))
        }
        .boxed()
    }

    fn statuses<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, Option<Vec<(JobId, Status)>>> {
        async move {
            let ids: Vec<i64> = jobs.iter().filter_map(|job| id(job.0).ok()).collect();
            let rows = self.database.rows(Query::Statuses, &[&ids]).await?;
            let mut said = std::collections::HashMap::new();
            for row in &rows {
                said.insert(value::<i64>(row, "id")?, status(value(row, "status")?));
            }
            // What the primary has no more was deleted, with its run or its repository.
            let of = |job: &JobId| {
                (*job, id(job.0).map_or(Status::Unsure, |id| said.get(&id).copied().unwrap_or(Status::Ended)))
            };
            Ok(Some(jobs.iter().map(of).collect()))
        }
        .boxed()
    }

    fn pause(&self) -> Option<Duration> {
        None
    }
}
