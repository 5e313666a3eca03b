//! A binding: which job, user and origin a token stands for, while the job runs.

use alloc::vec::Vec;

use super::row::{Reader, Writer};
use super::{Moment, Row};
use crate::facts::{Context, Hash, Job, JobId, Origin, ProjectId, ProjectPath, User, UserId};

const ENDED: u8 = 0;
const RUNNING: u8 = 1;

/// Where a binding stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The job runs, as far as was confirmed.
    Running(Job),
    /// The job ended. Nothing brings it back. Which one it was is kept for the log, where it was known.
    Ended(Option<Job>),
}

/// What is remembered of one token, under its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The token's hash.
    pub key: Hash,
    /// Running or ended.
    pub state: State,
    /// When the token was first seen.
    pub since: Moment,
    /// When the state was last confirmed.
    pub confirmed: Moment,
}

impl Row for Binding {
    const SIZE: usize = 832;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(Self::SIZE, self.key);
        writer.number(self.since.0);
        writer.number(self.confirmed.0);
        let (state, job) = match &self.state {
            State::Running(job) => (RUNNING, Some(job)),
            State::Ended(job) => (ENDED, job.as_ref()),
        };
        writer.byte(state);
        writer.byte(u8::from(job.is_some()));
        if let Some(job) = job {
            writer.number(job.id.0);
            writer.number(job.origin.id.0);
            writer.text(job.origin.path.as_str())?;
            writer.byte(u8::from(job.user.is_some()));
            if let Some(user) = &job.user {
                writer.number(user.id.0);
                writer.text(&user.name)?;
            }
            let context = &job.context;
            writer.known_text(context.git_ref.as_deref(), Context::REF_LIMIT)?;
            writer.known_text(context.environment.as_deref(), Context::ENVIRONMENT_LIMIT)?;
            writer.known_text(context.source.as_deref(), Context::SOURCE_LIMIT)?;
            writer.flag(context.protected);
            writer.flag(context.fork);
        }
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let key = reader.key()?;
        let (since, confirmed) = (Moment(reader.number()?), Moment(reader.number()?));
        let (state, has_job) = (reader.byte()?, reader.byte()?);
        let job = if has_job == 0 { None } else { Some(job(&mut reader)?) };
        let state = match (state, job) {
            (RUNNING, Some(job)) => State::Running(job),
            (ENDED, job) => State::Ended(job),
            _ => return None,
        };
        Some(Self { key, state, since, confirmed })
    }

    /// Ended ones go first, then running ones that nobody has confirmed for longest.
    fn rank(&self) -> (u8, u64) {
        (u8::from(matches!(self.state, State::Running(_))), self.confirmed.0)
    }

    /// An end is final: a lookup that was under way when the job ended does not bring it back. The age goes on.
    fn over(self, old: Self) -> Self {
        let (key, since) = (self.key, old.since.min(self.since));
        let confirmed = self.confirmed.max(old.confirmed);
        let state = match (self.state, old.state) {
            (_, State::Ended(job)) => State::Ended(job),
            (State::Ended(None), State::Running(job)) => State::Ended(Some(job)),
            (state, State::Running(_)) => state,
        };
        Self { key, state, since, confirmed }
    }
}

fn job(reader: &mut Reader<'_>) -> Option<Job> {
    let id = JobId(reader.number()?);
    let origin = Origin { id: ProjectId(reader.number()?), path: ProjectPath::parse(reader.text()?)? };
    let has_user = reader.byte()?;
    let user =
        if has_user == 0 { None } else { Some(User { id: UserId(reader.number()?), name: reader.text()?.into() }) };
    let context = Context {
        git_ref: reader.known_text()?.map(Into::into),
        environment: reader.known_text()?.map(Into::into),
        source: reader.known_text()?.map(Into::into),
        protected: reader.flag()?,
        fork: reader.flag()?,
    };
    Some(Job { id, user, origin, context })
}
