//! Bindings and facts in shared data: tables with a fixed number of keys, updated by compare-and-swap.

use std::time::Duration;

use policy::Config;
use policy::bindings::{
    self, Binding, Confirmed, Denial, Follower, Freshness, JobRow, Minted, Missing, Moment, PartRow, Place, ProjectRow,
    Quota, Rejection, Remembered, Row, Table, TargetRow, Usage,
};
use policy::config::{Bindings, Lifetimes};
use policy::decision::Failure;
use policy::facts::{Found, Hash, Invalid, Job, JobId, Known, Part, ProjectId, Token};
use policy::lifecycle::End;
use policy::lookup::PartKey;
use policy::request::{Claim, JobRequest};

use crate::host::{self, HostError, Level, Written};

/// A write that loses this many races is given up. Two workers on one bucket rarely race twice.
const ATTEMPTS: usize = 16;

/// How many buckets are aged at once: a few milliseconds' work.
const AGED: u32 = 512;

/// Where facts are remembered, for all workers.
#[derive(Debug)]
pub(crate) struct Store {
    config: Bindings,
    lifetimes: Lifetimes,
    /// Whose facts these are, and how they are laid out.
    mark: String,
}

impl Store {
    /// Creates every key that the tables will ever have. A key that is created later could be created by two workers at
    /// once, and one of them would lose what it wrote.
    ///
    /// Their names carry whose facts these are and how the tables are laid out: another forge, or another layout, never
    /// reads what was written for this one.
    pub(crate) fn open(config: &Config) -> Result<Self, HostError> {
        let rows = config.bindings.capacity;
        let (kind, root) = (format!("{:?}", config.lookup.api), &config.forge.relative_url_root);
        // A fact that was not looked up is not in the rows.
        let looked_up = config.facts.looked_up().collect::<Vec<_>>().join(" ");
        let needs = format!("{:?}", config.access.needs());
        let tables = bindings::tables(rows);
        let layout = tables.map(|table| table.row().to_string()).join(" ");
        let whose = Hash::of(&[
            kind.as_bytes(),
            config.lookup.authority.as_bytes(),
            root.as_bytes(),
            &rows.to_be_bytes(),
            looked_up.as_bytes(),
            needs.as_bytes(),
            layout.as_bytes(),
            bindings::LAYOUT.as_bytes(),
        ]);
        let mark: String = whose.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let store = Self { config: config.bindings.clone(), lifetimes: config.lifetimes.clone(), mark };
        let buckets = tables.into_iter().flat_map(|table| (0..table.buckets()).map(move |bucket| (table, bucket)));
        let keys = buckets.map(|(table, bucket)| store.name(table, bucket)).chain([store.follower()]);
        for key in keys {
            if host::shared_data(&key)?.is_none() {
                host::set_shared_data(&key, &[], 0)?;
            }
        }
        Ok(store)
    }

    fn name(&self, table: Table, bucket: u32) -> String {
        format!("jobscope.{}.{}.{bucket}", self.mark, table.name())
    }

    /// The key of who follows the list of ended jobs.
    fn follower(&self) -> String {
        format!("jobscope.{}.follower", self.mark)
    }

    /// The key of shared data with the bucket of a row.
    fn bucket<R: Row>(&self, key: &Hash) -> String {
        let table = Table::of::<R>(self.config.capacity);
        self.name(table, table.bucket(key))
    }

    fn find<R: Row>(&self, key: &Hash) -> Result<Option<R>, HostError> {
        let bucket = host::shared_data(&self.bucket::<R>(key))?;
        Ok(bucket.and_then(|(bytes, _)| bindings::find(&bytes, key)))
    }

    /// Puts a row, and tells what stands under its key now: nothing, where it found no room.
    fn put<R: Row>(&self, now: Moment, row: impl Fn() -> R) -> Result<Option<R>, HostError> {
        let key = row().key();
        // Full of rows that are worth more, or too long to remember: it is looked up each time.
        let bytes = Self::change(&self.bucket::<R>(&key), |bytes| bindings::put(bytes, row(), &self.config, now))?;
        Ok(bytes.and_then(|bytes| bindings::find(&bytes, &key)))
    }

    /// Changes what stands under a key, and gives what stands there now; `None` where there is nothing to change.
    fn change(key: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<Option<Vec<u8>>, HostError> {
        for _ in 0..ATTEMPTS {
            let (bytes, cas) = host::shared_data(key)?.unwrap_or_default();
            let Some(bytes) = change(&bytes) else { return Ok(None) };
            if host::set_shared_data(key, &bytes, cas)? == Written::Done {
                return Ok(Some(bytes));
            }
        }
        host::log(Level::Error, "jobscope: a write to shared data lost every race");
        Err(HostError { call: "set_shared_data", status: 8 })
    }

    /// What is remembered of a token.
    fn token(&self, key: &Hash, now: Moment) -> Result<Remembered, HostError> {
        if let Some(binding) = self.find::<Binding>(key)? {
            return Ok(binding.tells(&self.config, now));
        }
        let rejection = self.find::<Rejection>(key)?.filter(|rejection| rejection.serves(now));
        Ok(rejection.map_or(Remembered::Nothing, |rejection| Remembered::Fresh(Token::Invalid(rejection.invalid))))
    }

    /// What is remembered of a request's credential: of the token, or of the one that it was made from.
    pub(crate) fn credential(&self, request: &JobRequest, now: Moment) -> Result<Remembered, HostError> {
        let key = request.token.hash();
        if !matches!(request.claim, Claim::Minted(_)) {
            return self.token(&key, now);
        }
        let Some(minted) = self.find::<Minted>(&key)? else { return Ok(Remembered::Nothing) };
        let Some(parent) = minted.parent else { return Ok(Remembered::Fresh(Token::Invalid(Invalid::Foreign))) };
        Ok(match self.token(&parent, now)? {
            // Without the token itself nobody can be asked again, so the old serves for as long as it may.
            Remembered::Fresh(token) | Remembered::Stale(token) => Remembered::Fresh(token),
            Remembered::Announced | Remembered::Nothing => Remembered::Fresh(Token::Forgotten),
        })
    }

    /// Remembers from whose token a credential was made.
    pub(crate) fn learn_minted(&self, minted: &Minted, now: Moment) -> Result<(), HostError> {
        self.put(now, || minted.clone()).map(drop)
    }

    /// What is remembered of a target, and whether it is to be looked up again.
    pub(crate) fn target(&self, key: &Hash, now: Moment) -> Result<Option<(Found, Freshness)>, HostError> {
        let Some(row) = self.find::<TargetRow>(key)? else {
            let missing = self.find::<Missing>(key)?.filter(|missing| missing.serves(now));
            return Ok(missing.map(|_| (Found::Nothing, Freshness::Fresh)));
        };
        let freshness = self.lifetimes.of_all(&row.confirmed, now);
        Ok((freshness != Freshness::Gone).then_some((row.found, freshness)))
    }

    /// Remembers what a lookup that was sent at `asked` said of a token, and tells what holds now: an end that was
    /// seen meanwhile stays, and a token that is known to be one job's is not another's.
    pub(crate) fn learn_token(
        &self,
        key: Hash,
        said: Token,
        asked: Moment,
    ) -> Result<Result<Token, Failure>, HostError> {
        match said {
            Token::Running(job) => self.bind(key, job, asked),
            Token::Ended(job) => {
                let end = End { token: key, job: job.as_ref().map(|job| job.id) };
                self.end(end, asked).map(|()| Ok(Token::Ended(job)))
            }
            // No lookup says this.
            Token::Forgotten => Ok(Ok(said)),
            Token::Invalid(invalid) => match self.find::<Binding>(&key)? {
                None => {
                    self.put(asked, || Rejection { key, invalid, confirmed: asked })?;
                    Ok(Ok(said))
                }
                Some(binding) => match binding.denied(asked) {
                    Denial::Ends(job) => {
                        let end = End { token: key, job: job.as_ref().map(|job| job.id) };
                        self.end(end, asked).map(|()| Ok(Token::Ended(job)))
                    }
                    Denial::Outdated(job) => Ok(Ok(Token::Running(job))),
                    // The next request asks again.
                    Denial::Early => Ok(Ok(said)),
                },
            },
        }
    }

    fn bind(&self, key: Hash, job: Job, asked: Moment) -> Result<Result<Token, Failure>, HostError> {
        match Binding::holds(self.find(&key)?, job.clone()) {
            Ok(Token::Running(_)) => {}
            holds => return Ok(holds),
        }
        // A job is named before its token is bound, and anew whenever it is confirmed: an end that is told by its number
        // finds the token, or is found by the lookup that was under way.
        match self.name_job(job.id, key, asked)? {
            Place::Found => {}
            Place::Ended => return self.end_token(key, asked).map(|_| Ok(Token::Ended(Some(job)))),
            Place::None => return Ok(Ok(Token::Running(job))),
        }
        let held = self.put(asked, || Binding::running(key, job.clone(), asked))?;
        Ok(Binding::holds(held, job))
    }

    fn name_job(&self, job: JobId, token: Hash, now: Moment) -> Result<Place, HostError> {
        let row = self.put(now, || JobRow::named(job, token, now))?;
        Ok(JobRow::place(row.as_ref(), &token))
    }

    /// The forge handed a job to a runner: its token is known to be that job's, and to be over after its timeout.
    pub(crate) fn born(
        &self,
        key: Hash,
        job: JobId,
        origin: ProjectId,
        timeout: Option<Duration>,
        now: Moment,
    ) -> Result<(), HostError> {
        match self.name_job(job, key, now)? {
            Place::Found => self.put(now, || Binding::born(key, job, origin, timeout, now)).map(drop),
            Place::Ended => self.end_token(key, now).map(drop),
            Place::None => Ok(()),
        }
    }

    /// Counts a lookup of a token where nothing is remembered of it, not even something that no longer serves. What is
    /// said when it would be one too many.
    pub(crate) fn count_unknown(
        &self,
        token: &Hash,
        quotas: &[Quota],
        now: Moment,
    ) -> Result<Option<Failure>, HostError> {
        if self.find::<Binding>(token)?.is_some() {
            return Ok(None);
        }
        for quota in quotas {
            let bucket = self.bucket::<Usage>(&quota.key);
            if Self::change(&bucket, |bytes| quota.take(bytes, &self.config, now))?.is_none() {
                return Ok(Some(quota.over));
            }
        }
        Ok(None)
    }

    /// From now on no worker serves this token, nor another that its job goes by.
    pub(crate) fn end(&self, end: End, now: Moment) -> Result<(), HostError> {
        let held = self.end_token(end.token, now);
        let known = held.as_ref().ok().and_then(|held| held.clone()?.into_job());
        let job = end.job.or_else(|| known.map(|job| job.id)).map_or(Ok(()), |job| self.end_job(job, now));
        // Each of them, and then the first that failed.
        held.and(job)
    }

    fn end_token(&self, key: Hash, now: Moment) -> Result<Option<Binding>, HostError> {
        self.put(now, || Binding::ended(key, now))
    }

    /// From now on no worker serves this job, also where a lookup of its token is under way.
    pub(crate) fn end_job(&self, job: JobId, now: Moment) -> Result<(), HostError> {
        let row = self.put(now, || JobRow::ended(job, now))?;
        let tokens = row.map(JobRow::into_tokens).unwrap_or_default();
        let ends = tokens.into_iter().map(|token| self.end_token(token, now).map(drop));
        // Each of them, and then the first that failed.
        ends.collect::<Vec<_>>().into_iter().collect()
    }

    /// Takes the task of following the list of ended jobs, or goes on with it, as `change` says. `None` while another
    /// follows.
    pub(crate) fn follow(
        &self,
        me: u64,
        now: Moment,
        change: impl FnOnce(Follower) -> Follower,
    ) -> Result<Option<Follower>, HostError> {
        let key = self.follower();
        let (bytes, cas) = host::shared_data(&key)?.unwrap_or_default();
        let Some(next) = Follower::next(Follower::read(&bytes), me, now).map(change) else { return Ok(None) };
        let written = next.write().map(|bytes| host::set_shared_data(&key, &bytes, cas)).transpose()?;
        Ok((written == Some(Written::Done)).then_some(next))
    }

    /// Has some of the bindings that were confirmed before then looked up before they serve again: those in a few buckets
    /// from this one on. Gives the bucket to go on from.
    pub(crate) fn age(&self, from: u32, before: Moment) -> Result<Option<u32>, HostError> {
        let table = Table::of::<Binding>(self.config.capacity);
        let (buckets, end) = (table.buckets(), from.saturating_add(AGED));
        for bucket in from..end.min(buckets) {
            Self::change(&self.name(table, bucket), |bytes| bindings::age(bytes, &self.config, before))?;
        }
        Ok((end < buckets).then_some(end))
    }

    /// Remembers a target, or that it is not there.
    pub(crate) fn learn_target(&self, key: Hash, found: &Found, confirmed: Confirmed) -> Result<(), HostError> {
        // One that was there keeps its place.
        if *found == Found::Nothing && self.find::<TargetRow>(&key)?.is_none() {
            let confirmed = confirmed.oldest();
            return self.put(confirmed, || Missing { key, confirmed }).map(drop);
        }
        self.put(confirmed.oldest(), || TargetRow { key, found: found.clone(), confirmed }).map(drop)
    }

    /// What is remembered of a part of a target and need not be looked up again, and when it was looked up. A part that
    /// cannot be read is looked up.
    pub(crate) fn part(&self, key: &PartKey, now: Moment) -> Option<(Known, Moment)> {
        let of_project = |row: ProjectRow| (Known::Project(row.project), row.confirmed);
        let row = match key.part {
            Part::Project => self.find::<ProjectRow>(&key.hash).map(|row| row.map(of_project)),
            Part::Member | Part::External | Part::Allowlist | Part::Enforcement | Part::Outbound => {
                self.find::<PartRow>(&key.hash).map(|row| row.map(|row| (row.known, row.confirmed)))
            }
        };
        let is_fresh = |confirmed| self.lifetimes.of_part(key.part.lifetime(), confirmed, now) == Freshness::Fresh;
        row.ok()?.filter(|(_, confirmed)| is_fresh(*confirmed))
    }

    /// Remembers a part of a target.
    pub(crate) fn learn_part(&self, key: PartKey, known: Known, confirmed: Moment) -> Result<(), HostError> {
        let key = key.hash;
        match known {
            Known::Project(project) => {
                self.put(confirmed, || ProjectRow { key, project: project.clone(), confirmed }).map(drop)
            }
            Known::Member(_)
            | Known::External(_)
            | Known::Allowlist { .. }
            | Known::Enforcement(_)
            | Known::Outbound(_) => self.put(confirmed, || PartRow { key, known: known.clone(), confirmed }).map(drop),
        }
    }
}
