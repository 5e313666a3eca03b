//! A binding: which job, user and origin a token stands for, while the job runs.

use core::time::Duration;

use super::row::{Reader, Writer, place};
use super::{Freshness, Mark, Moment, Row, Stripes, comes_due, freshness};
use crate::config::Bindings;
use crate::facts::{
    Context, Credential, Hash, Job, JobId, Origin, ProjectId, ProjectPath, RunnerId, Token, User, UserId,
};
use crate::failure::Failure;

const ENDED: u8 = 0;
const RUNNING: u8 = 1;
const BORN: u8 = 2;

/// Of what no lookup told.
const NO_MARK: Mark = Mark(0);

/// The shortest time that a forge gives a job.
const LEAST_TIMEOUT: Duration = Duration::from_secs(60);

/// How much longer than its job a token may live: GitLab's own tokens expire then. Ours is counted from the answer that
/// handed the job out, a moment later, so it is never the earlier of the two.
const GRACE: Duration = Duration::from_secs(5 * 60);

/// Where a binding stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The forge handed the job to a runner, and nobody has looked its user up yet. It serves no request.
    Born {
        /// The job.
        job: JobId,
        /// Its project.
        origin: ProjectId,
    },
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
    /// Born, running or ended.
    pub state: State,
    /// When the token was first seen.
    pub since: Moment,
    /// When the state was last confirmed.
    pub confirmed: Moment,
    /// When the token is over at the latest, by the job's own timeout or by what was said of the token, where that is known.
    pub until: Option<Moment>,
    /// What the lookup asked that told of a running job.
    pub mark: Mark,
}

/// What it means that a lookup does not know a token that is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The job is over: a token that was once a running job's is never another's.
    Ends(Option<Job>),
    /// A later lookup knew it. Databases of the forge may lag, and answers overtake each other.
    Outdated(Job),
    /// Nothing: the job was only just handed out, and may not have reached every database of the forge, or it was somebody
    /// else who knew it.
    Nothing,
}

/// What is remembered of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// It was looked up just now, or cannot change: it serves, to deny as well.
    New(Token),
    /// It serves. To deny it is looked up once more.
    Fresh(Token),
    /// It serves, and is to be looked up again.
    Stale(Token),
    /// It is a job's by the forge's own word, and nothing that is known of the job serves: it is looked up.
    Announced,
    /// Nothing.
    Nothing,
}

impl Binding {
    /// What the forge says by handing a job to a runner.
    #[must_use]
    pub fn born(key: Hash, job: JobId, origin: ProjectId, timeout: Option<Duration>, now: Moment) -> Self {
        let until = timeout.map(|timeout| now.after(timeout.max(LEAST_TIMEOUT)).after(GRACE));
        Self { key, state: State::Born { job, origin }, since: now, confirmed: now, until, mark: NO_MARK }
    }

    /// What a lookup that was sent at `asked`, and asked this, says of a running job.
    #[must_use]
    pub fn running(key: Hash, job: Job, asked: Moment, mark: Mark) -> Self {
        let until = job.context.until.map(Moment::of_seconds);
        Self { key, state: State::Running(job), since: asked, confirmed: asked, until, mark }
    }

    /// The end of a job.
    #[must_use]
    pub fn ended(key: Hash, now: Moment) -> Self {
        Self { key, state: State::Ended(None), since: now, confirmed: now, until: None, mark: NO_MARK }
    }

    /// What it tells now, where lookups ask this.
    #[must_use]
    pub fn tells(self, config: &Bindings, mark: Mark, now: Moment) -> Remembered {
        let is_over = self.is_over(config, now);
        match self.state {
            State::Ended(job) => Remembered::New(Token::Ended(job)),
            State::Running(job) if is_over => Remembered::New(Token::Ended(Some(job))),
            State::Born { .. } if is_over => Remembered::New(Token::Ended(None)),
            State::Born { .. } => Remembered::Announced,
            // Another configuration asked for less, or asked somebody else.
            State::Running(_) if self.mark != mark => Remembered::Announced,
            State::Running(job) => match freshness(config, self.confirmed, now) {
                Freshness::New => Remembered::New(Token::Running(job)),
                Freshness::Fresh => Remembered::Fresh(Token::Running(job)),
                Freshness::Stale => Remembered::Stale(Token::Running(job)),
                Freshness::Gone => Remembered::Announced,
            },
        }
    }

    /// What holds of a token now when a lookup named its job and that was put over what was known.
    ///
    /// # Errors
    /// [`Failure::LookupAnswer`] when the token is another job's, as was said before.
    pub fn holds(known: Option<Self>, job: Job, now: Moment) -> Result<Token, Failure> {
        match known {
            Some(Self { state: State::Ended(ended), .. }) => Ok(Token::Ended(ended)),
            Some(known) if !known.is_of(job.id, job.origin.id) => Err(Failure::LookupAnswer),
            // The token is; the job may go on under another.
            Some(_) | None if job.context.until.is_some_and(|until| now >= Moment::of_seconds(until)) => {
                Ok(Token::Ended(Some(job)))
            }
            // A binding that found no room serves this once.
            Some(_) | None => Ok(Token::Running(job)),
        }
    }

    /// What it means that a lookup, asked at `asked` and for this, does not know the token as a running job's.
    #[must_use]
    pub fn denied(self, asked: Moment, mark: Mark) -> Denial {
        match self.state {
            State::Running(_) if self.mark != mark => Denial::Nothing,
            State::Running(job) if self.confirmed > asked => Denial::Outdated(job),
            State::Running(job) => Denial::Ends(Some(job)),
            State::Ended(job) => Denial::Ends(job),
            State::Born { .. } => Denial::Nothing,
        }
    }

    /// Until when it tells what it tells now.
    #[must_use]
    pub fn holds_until(&self, config: &Bindings) -> Moment {
        let over = self.since.after(config.max_lifetime);
        comes_due(config, self.confirmed).min(over).min(self.until.unwrap_or(over))
    }

    /// Whose it is, where that is known in full.
    #[must_use]
    pub fn into_job(self) -> Option<Job> {
        match self.state {
            State::Running(job) => Some(job),
            State::Ended(job) => job,
            State::Born { .. } => None,
        }
    }

    /// Whether a lookup may be answered from a memory: not of a job that was only just handed out, nor of one that is in doubt,
    /// of which a memory may be older than the doubt.
    #[must_use]
    pub fn takes_memory(&self) -> bool {
        !matches!(self.state, State::Born { .. }) && self.confirmed > Moment(0)
    }

    /// The same, no longer confirmed; `None` where it does not serve before then anyway.
    pub(super) fn aged(self, config: &Bindings, before: Moment) -> Option<Self> {
        let serves = matches!(self.state, State::Running(_))
            && self.confirmed < before
            && freshness(config, self.confirmed, before) != Freshness::Gone;
        serves.then_some(self.unconfirmed())
    }

    /// The same, in doubt: it is looked up before it serves again. `None` where it does not run.
    pub(super) fn doubted(self) -> Option<Self> {
        matches!(self.state, State::Running(_)).then(|| self.unconfirmed())
    }

    /// The same, confirmed at no time: one that is only old enough would serve again where the clock is set back.
    fn unconfirmed(self) -> Self {
        Self { confirmed: Moment(0), ..self }
    }

    /// Whether the job is over by its age, whatever the forge says.
    fn is_over(&self, config: &Bindings, now: Moment) -> bool {
        now.since(self.since) >= config.max_lifetime || self.until.is_some_and(|until| now >= until)
    }

    /// Whether it is this job's, as far as it names one.
    fn is_of(&self, job: JobId, origin: ProjectId) -> bool {
        match &self.state {
            State::Born { job: known, origin: at } => (*known, *at) == (job, origin),
            State::Running(known) => (known.id, known.origin.id) == (job, origin),
            State::Ended(_) => true,
        }
    }
}

impl Row for Binding {
    const TABLE: &'static str = "binding";
    const SIZE: usize = 874;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.since.0);
        writer.number(self.confirmed.0);
        writer.number(self.mark.0);
        writer.byte(u8::from(self.until.is_some()));
        writer.number(self.until.map_or(0, |until| until.0));
        let (state, job) = match &self.state {
            State::Born { job, origin } => {
                writer.byte(BORN);
                writer.number(job.0);
                writer.number(origin.0);
                return Some(());
            }
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
            writer.byte(u8::from(context.on_behalf_of.is_some()));
            writer.number(context.on_behalf_of.map_or(0, |user| user.0));
            writer.byte(u8::from(context.runner.is_some()));
            writer.number(context.runner.map_or(0, |runner| runner.0));
            writer.byte(place(Credential::ALL.into_iter().map(|(credential, _)| credential), &context.credential)?);
            writer.byte(u8::from(context.until.is_some()));
            writer.number(context.until.unwrap_or(0));
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let (since, confirmed) = (Moment(reader.number()?), Moment(reader.number()?));
        let mark = Mark(reader.number()?);
        let (is_bounded, bound) = (reader.byte()? == 1, Moment(reader.number()?));
        let until = is_bounded.then_some(bound);
        let state = match reader.byte()? {
            BORN => State::Born { job: JobId(reader.number()?), origin: ProjectId(reader.number()?) },
            state => {
                let has_job = reader.byte()?;
                let job = if has_job == 0 { None } else { Some(job(reader)?) };
                match (state, job) {
                    (RUNNING, Some(job)) => State::Running(job),
                    (ENDED, job) => State::Ended(job),
                    _ => return None,
                }
            }
        };
        Some(Self { key, state, since, confirmed, until, mark })
    }

    /// Those that are over, or that nobody has confirmed for so long that they no longer serve, go first; then those
    /// that were born and not used; running ones last. Among equals the least recently used goes.
    ///
    /// A binding that is used is confirmed again each `revalidate_after`, so `confirmed` says when it was used, to that
    /// exactness. A time of use of its own would have every request write to shared data.
    fn rank(&self, config: &Bindings, now: Moment) -> (u8, u64) {
        let is_gone = self.is_over(config, now) || freshness(config, self.confirmed, now) == Freshness::Gone;
        let worth = match &self.state {
            State::Ended(_) => 0,
            State::Born { .. } | State::Running(_) if is_gone => 0,
            State::Born { .. } => 1,
            State::Running(_) => 2,
        };
        (worth, self.confirmed.0)
    }

    /// An end stays an end. A bound goes back with the moment from which it was counted; what was said of the token was not
    /// counted from any.
    fn seen(self, now: Moment) -> Self {
        let ahead = if self.since.is_ahead(now) { self.since.since(now) } else { Duration::ZERO };
        let said = if let State::Running(job) = &self.state { job.context.until.map(Moment::of_seconds) } else { None };
        let until = self.until.map(|until| if Some(until) == said { until } else { until.before(ahead) });
        Self { since: self.since.before(ahead), confirmed: self.confirmed.seen(now), until, ..self }
    }

    fn decides(&self, config: &Bindings, _: Moment) -> Stripes {
        match self.state {
            State::Running(_) => Stripes::of(&self.key, config.capacity),
            State::Born { .. } | State::Ended(_) => Stripes::NONE,
        }
    }

    /// To be confirmed again is all that may happen to it.
    fn bears_out(&self, old: &Self) -> bool {
        self.confirmed >= old.confirmed && *self == Self { confirmed: self.confirmed, ..old.clone() }
    }

    /// An end is final: a lookup that was under way when the job ended does not bring it back. A token is one job's: what
    /// names another is wrong, and changes nothing. The age goes on, and of two bounds the earlier holds.
    fn over(self, old: Self) -> Self {
        let is_same = match &self.state {
            State::Born { job, origin } => old.is_of(*job, *origin),
            State::Running(job) => old.is_of(job.id, job.origin.id),
            State::Ended(_) => true,
        };
        if !is_same {
            return old;
        }
        let (key, since) = (self.key, old.since.min(self.since));
        let until = self.until.into_iter().chain(old.until).min();
        let (new, known) = ((self.confirmed, self.mark), (old.confirmed, old.mark));
        let (state, (confirmed, mark)) = match (self.state, old.state) {
            (_, State::Ended(job)) => (State::Ended(job), if new.0 > known.0 { new } else { known }),
            (State::Ended(None), State::Running(job)) => (State::Ended(Some(job)), new),
            (State::Ended(job), State::Running(_) | State::Born { .. }) => (State::Ended(job), new),
            // The newer of two answers stands, whichever came last.
            (State::Running(_), State::Running(job)) if old.confirmed > self.confirmed => (State::Running(job), known),
            (State::Running(job), State::Running(_) | State::Born { .. }) => (State::Running(job), new),
            // To hand a job out says nothing of its user, so it confirms no lookup.
            (State::Born { .. }, state) => (state, known),
        };
        Self { key, state, since, confirmed, until, mark }
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
        on_behalf_of: {
            let (is_known, user) = (reader.byte()? == 1, UserId(reader.number()?));
            is_known.then_some(user)
        },
        runner: {
            let (is_known, runner) = (reader.byte()? == 1, RunnerId(reader.number()?));
            is_known.then_some(runner)
        },
        credential: Credential::ALL.get(usize::from(reader.byte()?)).map(|(credential, _)| *credential)?,
        until: {
            let (is_known, until) = (reader.byte()? == 1, reader.number()?);
            is_known.then_some(until)
        },
    };
    Some(Job { id, user, origin, context })
}
