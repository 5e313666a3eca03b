//! The store of a fleet: a Redis (or Valkey) with replicas. Three rules make its failovers safe: an end is acknowledged when
//! replicas hold it, a cursor names the life of the store that gave it, and a master without good replicas is not believed.

mod feed;
mod link;
mod scripts;
mod seal;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use policy::bindings::{Cursor, Inquiry, Moment, PartRow, ProjectRow, Row, layout};
use policy::facts::{Hash, Invalid, JobId, Known, ProjectId};
use policy::lookup::PartKey;
use redis::ScriptInvocation;
use tokio::sync::watch;

use super::{
    Aged, Asked, Changes, Lease, Limits, MOST_CHANGES, Reply, Running, Store, StoreError, Ticket, TokenState, ends_job,
    life, lives, owner,
};
use crate::clock::milliseconds;
use crate::config;
use link::Link;
use scripts::Scripts;
use seal::Seal;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long replicas have to say that they hold an end.
const ACKNOWLEDGED: Duration = Duration::from_millis(100);

/// What a script says: texts, some of which are not there.
type Said = Vec<Option<Vec<u8>>>;

/// The store of a fleet.
pub struct Redis {
    limits: Limits,
    /// What all keys begin with: what is of another forge is never found. The braces keep them together.
    prefix: String,
    /// What is asked of the forge: what was asked otherwise is not found, but for ends.
    inquiry: Inquiry,
    /// How rows of parts are laid out: those of another version of the service are not found.
    layout: Hash,
    replicas: u64,
    seal: Seal,
    scripts: Scripts,
    /// For everything but ends.
    link: Link,
    /// For ends: `WAIT` covers what its own connection wrote.
    ends: Link,
    news: watch::Receiver<u64>,
}

impl Redis {
    /// Opens one, whether it is there or not: what is asked meanwhile goes to the forge.
    ///
    /// # Errors
    /// Where its address is none.
    pub fn open(redis: config::Redis, inquiry: Inquiry, limits: Limits) -> anyhow::Result<Arc<dyn Store>> {
        let Hash([a, b, c, d, ..]) = inquiry.job(&Hash::of(&[b"jobs"]));
        let prefix = format!("{{js:{}:{a:02x}{b:02x}{c:02x}{d:02x}}}", redis.name);
        let (news, feed) = feed::follow(&redis, format!("{prefix}x"))?;
        tokio::spawn(feed);
        Ok(Arc::new(Self {
            limits,
            prefix,
            inquiry,
            layout: layout(0),
            replicas: redis.replicas,
            seal: Seal::new(&redis.key).ok_or_else(|| anyhow::anyhow!("`store.key_env`: no key"))?,
            scripts: Scripts::load(),
            link: Link::new(&redis, PATIENCE)?,
            ends: Link::new(&redis, PATIENCE)?,
            news,
        }))
    }

    fn key(&self, kind: &str, name: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), kind.as_bytes(), b":", name].concat()
    }

    /// What a token, or the lease of a fact, is called.
    fn name(&self, key: &Hash) -> [u8; 32] {
        self.seal.name(&self.inquiry.fact(key))
    }

    /// What a part is called.
    fn part_name(&self, part: &PartKey) -> [u8; 32] {
        Hash::of(&[&self.inquiry.fact(&part.hash).0, &self.layout.0]).0
    }

    /// Adds what a call is about, the same whatever is asked of the forge: one replica is told of a change, and all heed it.
    fn about(&self, call: &mut ScriptInvocation<'_>, subjects: &[Hash]) {
        for Hash(subject) in subjects {
            call.key(self.key("c", subject));
        }
    }

    /// A script with the arguments that all have.
    fn call<'a>(&self, script: &'a redis::Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.arg(self.replicas).arg(&self.prefix);
        call
    }

    async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Said, StoreError> {
        let said: Said = self.link.run(call).await?;
        if word(&said, 0) == Some(b"lonely") { Err(StoreError::Lonely) } else { Ok(said) }
    }

    /// Has replicas hold the ends that a script wrote, on the connection of ends.
    async fn ended(&self, call: &ScriptInvocation<'_>) -> Result<Said, StoreError> {
        let (number, mut connection) = self.ends.get().await?;
        let said: Said = self.ends.checked(number, call.invoke_async(&mut connection).await).await?;
        if self.replicas > 0 && word(&said, 0) == Some(b"ended") {
            let mut wait = redis::cmd("WAIT");
            wait.arg(self.replicas).arg(milliseconds(ACKNOWLEDGED));
            let held: u64 = self.ends.checked(number, wait.query_async(&mut connection).await).await?;
            if held < self.replicas {
                return Err(StoreError::Unacknowledged);
            }
        }
        Ok(said)
    }

    /// A token's state as it was stored, where its seal is ours.
    fn state(&self, name: &[u8], fields: &[Option<Vec<u8>>]) -> Result<TokenState, StoreError> {
        let field = |at: usize| word(fields, at).ok_or_else(broken);
        let [state, job, project, confirmed, life, value] =
            [field(0)?, field(1)?, field(2)?, field(3)?, field(4)?, field(5)?];
        if !self.seal.holds(&[b"token", name, state, job, project, confirmed, life, value], field(6)?) {
            return Err(broken());
        }
        let value = || std::str::from_utf8(value).map_err(|_| broken());
        match state {
            b"running" => Ok(TokenState::Running(Running {
                job: JobId(number(job)?),
                project: ProjectId(number(project)?),
                answer: value()?.to_owned(),
            })),
            b"refused" => Invalid::named(value()?).map(TokenState::Refused).ok_or_else(broken),
            _ => Err(broken()),
        }
    }

    /// Since when a token's state counts: the forge's word on it, or on its job, by clocks of this life and seals of ours.
    fn since(&self, said: &Said, life: &[u8]) -> Result<u64, StoreError> {
        let mut since = 0;
        if word(said, 7) == Some(life) {
            since = number(word(said, 6).ok_or_else(broken)?)?;
        }
        if let (Some(seen), Some(seen_in), Some(seal)) = (word(said, 10), word(said, 11), word(said, 12))
            && seen_in == life
        {
            let job = word(said, 4).ok_or_else(broken)?;
            if !self.seal.holds(&[b"seen", job, seen, seen_in], seal) {
                return Err(broken());
            }
            since = since.max(number(seen)?);
        }
        Ok(since)
    }

    fn lease_of(&self, said: &Said, owner: String) -> Result<Lease, StoreError> {
        let ticket = |owner| {
            let at = Moment(number(word(said, 1).ok_or_else(broken)?)?);
            let life = word(said, 2).and_then(|life| std::str::from_utf8(life).ok()).ok_or_else(broken)?;
            Ok(Ticket { at, life: life.to_owned(), owner })
        };
        match word(said, 0) {
            Some(b"needless") => Ok(Lease::Needless),
            Some(b"yours") => ticket(owner).map(Lease::Yours),
            Some(b"theirs") => ticket(String::new()).map(Lease::Theirs),
            Some(b"many") => Ok(Lease::TooMany),
            _ => Err(broken()),
        }
    }
}

fn word(said: &[Option<Vec<u8>>], at: usize) -> Option<&[u8]> {
    said.get(at)?.as_deref()
}

fn number(text: &[u8]) -> Result<u64, StoreError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(broken)
}

/// What stands there is not ours: somebody else writes in this Redis, or has another secret.
fn broken() -> StoreError {
    StoreError::Away("what stands there does not bear the seal of `store.key_env`".into())
}

/// A part as it is stored: a row of the filter's.
fn write_part(part: &PartKey, known: &Known, asked: Moment) -> Option<Vec<u8>> {
    let key = part.hash;
    match known {
        Known::Project(project) => ProjectRow { key, project: project.clone(), confirmed: asked }.bytes(),
        Known::Member(_)
        | Known::External(_)
        | Known::Allowlist { .. }
        | Known::Enforcement(_)
        | Known::Outbound(_) => PartRow { key, known: known.clone(), confirmed: asked }.bytes(),
    }
}

fn read_part(part: &PartKey, bytes: &[u8]) -> Option<Known> {
    let (key, known) = match part.part {
        policy::facts::Part::Project => {
            let row = ProjectRow::of_bytes(bytes)?;
            (row.key, Known::Project(row.project))
        }
        policy::facts::Part::Member
        | policy::facts::Part::External
        | policy::facts::Part::Allowlist
        | policy::facts::Part::Enforcement
        | policy::facts::Part::Outbound => {
            let row = PartRow::of_bytes(bytes)?;
            (row.key, row.known)
        }
    };
    (key == part.hash).then_some(known)
}

impl Store for Redis {
    fn ask_token<'a>(&'a self, key: &'a Hash, max_age: Duration) -> Reply<'a, Asked<Option<Aged<TokenState>>>> {
        async move {
            let (name, owner) = (self.name(key), owner());
            let mut call = self.call(&self.scripts.ask_token);
            call.key(self.key("t", &name)).key(self.key("l", &name));
            call.arg(milliseconds(max_age)).arg(&owner).arg(milliseconds(self.limits.lease));
            call.arg(self.limits.unknown_per_second);
            let said = self.run(&call).await?;
            let lease = self.lease_of(&said, owner)?;
            let known = match word(&said, 3) {
                None => None,
                Some(b"ended") => Some(Aged { value: TokenState::Ended, age: Duration::ZERO }),
                Some(_) => {
                    let value = self.state(&name, said.get(3..10).unwrap_or_default())?;
                    let life = word(&said, 2).ok_or_else(broken)?;
                    let now = number(word(&said, 1).ok_or_else(broken)?)?;
                    let age = now.saturating_sub(self.since(&said, life)?);
                    Some(Aged { value, age: Duration::from_millis(age) })
                }
            };
            Ok(Asked { known, lease })
        }
        .boxed()
    }

    fn put_running<'a>(&'a self, key: &'a Hash, running: &'a Running, ticket: &'a Ticket) -> Reply<'a, TokenState> {
        async move {
            let name = self.name(key);
            let state = TokenState::Running(running.clone());
            let [job, project, at] = [running.job.0, running.project.0, ticket.at.0].map(|number| number.to_string());
            let fields = ["running", &job, &project, &at, &ticket.life, &running.answer].map(str::as_bytes);
            let seal = self.seal.seal(&[&[&b"token"[..], &name], &fields[..]].concat());
            let mut call = self.call(&self.scripts.put_running);
            call.key(self.key("t", &name)).arg(&job).arg(&project).arg(&at).arg(&ticket.life).arg(&running.answer);
            call.arg(&seal[..]).arg(milliseconds(lives(&state, self.limits.tokens))).arg(milliseconds(life::RUNNING));
            let said = self.run(&call).await?;
            Ok(if word(&said, 0) == Some(b"ended") { TokenState::Ended } else { state })
        }
        .boxed()
    }

    fn put_refused<'a>(&'a self, key: &'a Hash, refused: &'a TokenState, ticket: &'a Ticket) -> Reply<'a, TokenState> {
        async move {
            let name = self.name(key);
            let (state, invalid) = match refused {
                TokenState::Refused(invalid) => ("refused", invalid.name()),
                TokenState::Ended | TokenState::Running(_) => ("ended", ""),
            };
            let at = ticket.at.0.to_string();
            let fields = [state, "", "", &at, &ticket.life, invalid].map(str::as_bytes);
            let seal = self.seal.seal(&[&[&b"token"[..], &name], &fields[..]].concat());
            let mut call = self.call(&self.scripts.put_refused);
            call.key(self.key("t", &name)).arg(state).arg(invalid).arg(&at).arg(&ticket.life).arg(&seal[..]);
            call.arg(milliseconds(lives(refused, self.limits.tokens))).arg(u8::from(ends_job(refused)));
            let said = self.ended(&call).await?;
            match word(&said, 0) {
                Some(b"ended") => Ok(TokenState::Ended),
                Some(b"refused") => Ok(refused.clone()),
                _ => self.state(&name, &said),
            }
        }
        .boxed()
    }

    fn ask_parts<'a>(
        &'a self,
        fact: &'a Hash,
        parts: &'a [(PartKey, Duration)],
        about: &'a [Hash],
    ) -> Reply<'a, Asked<Vec<Option<Aged<Known>>>>> {
        async move {
            let owner = owner();
            let mut call = self.call(&self.scripts.ask_parts);
            call.key(self.key("l", &self.name(fact))).arg(&owner).arg(milliseconds(self.limits.lease));
            for (part, max_age) in parts {
                call.key(self.key("p", &self.part_name(part))).arg(milliseconds(*max_age));
            }
            self.about(&mut call, about);
            let said = self.run(&call).await?;
            let lease = self.lease_of(&said, owner)?;
            let now = number(word(&said, 1).ok_or_else(broken)?)?;
            let known = |(at, (part, _)): (usize, &(PartKey, Duration))| {
                let field = |field: usize| word(&said, 3 + at * 4 + field);
                let (Some(confirmed), Some(life), Some(value), Some(seal)) = (field(0), field(1), field(2), field(3))
                else {
                    return Ok(None);
                };
                if !self.seal.holds(&[b"part", &self.part_name(part), confirmed, life, value], seal) {
                    return Err(broken());
                }
                let age = Duration::from_millis(now.saturating_sub(number(confirmed)?));
                Ok(read_part(part, value).map(|value| Aged { value, age }))
            };
            let known = parts.iter().enumerate().map(known).collect::<Result<_, _>>()?;
            Ok(Asked { known, lease })
        }
        .boxed()
    }

    fn put_parts<'a>(
        &'a self,
        parts: &'a [(PartKey, Known, Duration)],
        about: &'a [Hash],
        ticket: &'a Ticket,
    ) -> Reply<'a, bool> {
        async move {
            let at = ticket.at.0.to_string();
            let mut call = self.call(&self.scripts.put_parts);
            call.arg(&at).arg(&ticket.life);
            for (part, known, time) in parts {
                let Some(value) = write_part(part, known, ticket.at) else { continue };
                let name = self.part_name(part);
                let fields: [&[u8]; 5] = [b"part", &name, at.as_bytes(), ticket.life.as_bytes(), &value];
                let seal = self.seal.seal(&fields);
                call.key(self.key("p", &name)).arg(value).arg(&seal[..]).arg(milliseconds(*time).max(1));
            }
            self.about(&mut call, about);
            let said = self.run(&call).await?;
            Ok(word(&said, 0) != Some(b"changed"))
        }
        .boxed()
    }

    fn change<'a>(&'a self, subjects: &'a [Hash]) -> Reply<'a, ()> {
        async move {
            let mut call = self.call(&self.scripts.change);
            call.arg(milliseconds(life::CHANGED));
            self.about(&mut call, subjects);
            self.run(&call).await.map(|_| ())
        }
        .boxed()
    }

    fn release<'a>(&'a self, fact: &'a Hash, ticket: &'a Ticket) -> Reply<'a, ()> {
        async move {
            let mut call = self.call(&self.scripts.release);
            call.key(self.key("l", &self.name(fact))).arg(&ticket.owner);
            self.run(&call).await.map(|_| ())
        }
        .boxed()
    }

    fn end<'a>(&'a self, jobs: &'a [JobId]) -> Reply<'a, ()> {
        async move {
            let mut call = self.call(&self.scripts.end);
            for job in jobs {
                call.arg(job.0);
            }
            self.ended(&call).await.map(|_| ())
        }
        .boxed()
    }

    fn changes<'a>(&'a self, after: Option<&'a Cursor>) -> Reply<'a, Changes> {
        async move {
            let mut call = self.call(&self.scripts.changes);
            call.key(format!("{}x", self.prefix)).key(format!("{}floor", self.prefix)).arg(MOST_CHANGES);
            if let Some(after) = after {
                // What we did not write is a cursor of another life.
                let Some([life, ms, number]) = parts_of(after.as_str()) else { return Ok(Changes::Lost) };
                call.arg(life).arg(ms).arg(number);
            }
            let said = self.run(&call).await?;
            if word(&said, 0) == Some(b"lost") {
                return Ok(Changes::Lost);
            }
            let text = |at| word(&said, at).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(broken);
            let cursor = Cursor::parse(&format!("{}.{}", text(1)?, text(2)?)).ok_or_else(broken)?;
            let jobs = said.iter().skip(3).flatten().map(|job| number(job).map(JobId)).collect::<Result<_, _>>()?;
            Ok(Changes::Since(jobs, cursor))
        }
        .boxed()
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    fn lease<'a>(&'a self, name: &'a str, time: Duration) -> Reply<'a, Option<Ticket>> {
        async move {
            let owner = owner();
            let mut call = self.call(&self.scripts.lease);
            call.key(self.key("l", name.as_bytes())).arg(&owner).arg(milliseconds(time).max(1));
            let said = self.run(&call).await?;
            match self.lease_of(&said, owner)? {
                Lease::Yours(ticket) => Ok(Some(ticket)),
                Lease::Needless | Lease::Theirs(_) | Lease::TooMany => Ok(None),
            }
        }
        .boxed()
    }

    fn renew<'a>(&'a self, name: &'a str, ticket: &'a Ticket, time: Duration) -> Reply<'a, bool> {
        async move {
            let mut call = self.call(&self.scripts.renew);
            call.key(self.key("l", name.as_bytes())).arg(&ticket.owner).arg(milliseconds(time).max(1));
            Ok(word(&self.run(&call).await?, 0) == Some(b"yours"))
        }
        .boxed()
    }

    fn running<'a>(&'a self, before: &'a Ticket) -> Reply<'a, Vec<JobId>> {
        async move {
            let mut call = self.call(&self.scripts.running);
            call.key(format!("{}r", self.prefix)).arg(before.at.0);
            let said = self.run(&call).await?;
            said.iter().flatten().map(|job| number(job).map(JobId)).collect()
        }
        .boxed()
    }

    fn project(&self, job: JobId) -> Reply<'_, Option<ProjectId>> {
        async move {
            let (connection, mut open) = self.link.get().await?;
            let mut fields = redis::cmd("HMGET");
            fields.arg(self.key("j", job.0.to_string().as_bytes())).arg("s").arg("p");
            let said: Said = self.link.checked(connection, fields.query_async(&mut open).await).await?;
            match (word(&said, 0), word(&said, 1)) {
                (Some(b"running"), Some(project)) => Ok(Some(ProjectId(number(project)?))),
                _ => Ok(None),
            }
        }
        .boxed()
    }

    fn seen<'a>(&'a self, jobs: &'a [JobId], ticket: &'a Ticket, lag: Duration) -> Reply<'a, ()> {
        async move {
            let at = ticket.at.before(lag).0.to_string();
            let mut call = self.call(&self.scripts.seen);
            call.arg(&at).arg(&ticket.life);
            for job in jobs {
                let job = job.0.to_string();
                let seal = self.seal.seal(&[b"seen", job.as_bytes(), at.as_bytes(), ticket.life.as_bytes()]);
                call.arg(job).arg(&seal[..]);
            }
            self.run(&call).await.map(|_| ())
        }
        .boxed()
    }
}

/// `<life>.<ms>-<number>`, as a cursor of ours is written.
fn parts_of(cursor: &str) -> Option<[&str; 3]> {
    let (life, place) = cursor.split_once('.')?;
    let (ms, number) = place.split_once('-')?;
    let is_number = |text: &str| (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(ms) && is_number(number)).then_some([life, ms, number])
}
