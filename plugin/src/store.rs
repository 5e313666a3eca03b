//! Bindings and facts in shared data: tables with a fixed number of keys, updated by compare-and-swap.

use std::time::Duration;

use policy::Config;
use policy::bindings::{
    self, Binding, Confirmed, Denial, Follower, Freshness, Inquiry, JobRow, Minted, Missing, Moment, PartRow, Place,
    ProjectRow, Quota, Rejection, Remembered, Row, Table, TargetRow, Usage,
};
use policy::config::{Bindings, Lifetimes};
use policy::decision::{Ages, Facts, Failure};
use policy::facts::{Found, Hash, Invalid, Job, JobId, Known, Part, ProjectId, Token};
use policy::lifecycle::End;
use policy::lookup::{PartKey, target_key};
use policy::request::{Claim, JobRequest};

use crate::host::{self, HostError, Level, Written};
use crate::journal;

/// A write that loses this many races is given up. Two workers on one bucket rarely race twice.
const ATTEMPTS: usize = 16;

/// How many buckets are aged at once: a few milliseconds' work.
const AGED: u32 = 512;

/// Where facts are remembered, for all workers.
#[derive(Debug)]
pub(crate) struct Store {
    config: Bindings,
    lifetimes: Lifetimes,
    /// Whose facts these are.
    inquiry: Inquiry,
    /// How the tables are laid out.
    layout: String,
}

impl Store {
    /// Creates every key that the tables will ever have. A key that is created later could be created by two workers at
    /// once, and one of them would lose what it wrote.
    ///
    /// Their names carry how the tables are laid out: another layout never reads what was written in this one. Whose facts
    /// they hold is a matter of the rows, so that ends outlive every configuration of the same size.
    pub(crate) fn open(config: &Config) -> Result<Self, HostError> {
        let (config, lifetimes, inquiry) = (config.bindings.clone(), config.lifetimes.clone(), Inquiry::of(config));
        let tables = bindings::tables(config.capacity);
        let layout = short(&bindings::layout(config.capacity));
        let store = Self { config, lifetimes, inquiry, layout };
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
        format!("jobscope.{}.{}.{bucket}", self.layout, table.name())
    }

    /// The key of who follows this forge's list of ended jobs.
    fn follower(&self) -> String {
        let forge = short(&self.inquiry.job(&Hash([0; 32])));
        format!("jobscope.{}.follower.{forge}", self.layout)
    }

    /// The key of shared data with the bucket of a row.
    fn bucket<R: Row>(&self, key: &Hash) -> String {
        let table = Table::of::<R>(self.config.capacity);
        self.name(table, table.bucket(key))
    }

    fn find<R: Row>(&self, key: &Hash, now: Moment) -> Result<Option<R>, HostError> {
        let bucket = host::shared_data(&self.bucket::<R>(key))?;
        Ok(bucket.and_then(|(bytes, _)| bindings::find(&bytes, key, now)))
    }

    /// Puts a row, and tells what stands under its key now: nothing, where it found no room.
    fn put<R: Row>(&self, now: Moment, row: impl Fn() -> R) -> Result<Option<R>, HostError> {
        let key = row().key();
        // Full of rows that are worth more, or too long to remember: it is looked up each time.
        let bytes = Self::change(&self.bucket::<R>(&key), |bytes| bindings::put(bytes, row(), &self.config, now))?;
        Ok(bytes.and_then(|bytes| bindings::find(&bytes, &key, now)))
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
        journal::note(Level::Error, "a write to shared data lost every race", key);
        Err(HostError { call: "set_shared_data", status: 8 })
    }

    /// What is remembered of a token.
    fn token(&self, key: &Hash, now: Moment) -> Result<Remembered, HostError> {
        if let Some(binding) = self.find::<Binding>(key, now)? {
            return Ok(binding.tells(&self.config, self.inquiry.mark(), now));
        }
        let rejection = self.find::<Rejection>(&self.inquiry.fact(key), now)?;
        let rejection = rejection.filter(|rejection| rejection.serves(now));
        Ok(rejection.map_or(Remembered::Nothing, |rejection| Remembered::New(Token::Invalid(rejection.invalid))))
    }

    /// What is remembered of a request's credential: of the token, or of the one that it was made from.
    pub(crate) fn credential(&self, request: &JobRequest, now: Moment) -> Result<Remembered, HostError> {
        let key = request.token.hash();
        if !matches!(request.claim, Claim::Minted(_)) {
            return self.token(&key, now);
        }
        let Some(minted) = self.find::<Minted>(&key, now)? else { return Ok(Remembered::Nothing) };
        let Some(parent) = minted.parent else { return Ok(Remembered::New(Token::Invalid(Invalid::Foreign))) };
        Ok(match self.token(&parent, now)? {
            // Without the token itself nobody can be asked again, so the old serves for as long as it may.
            Remembered::New(token) | Remembered::Fresh(token) | Remembered::Stale(token) => Remembered::New(token),
            Remembered::Announced | Remembered::Nothing => Remembered::New(Token::Forgotten),
        })
    }

    /// When what is remembered of a request's credential and of its targets was confirmed. What cannot be read has no age.
    pub(crate) fn ages(&self, request: &JobRequest, facts: &Facts, now: Moment) -> Ages {
        let hash = request.token.hash();
        let parent = match request.claim {
            Claim::Minted(_) => self.find::<Minted>(&hash, now).ok().flatten().and_then(|minted| minted.parent),
            Claim::Marked | Claim::Unmarked(_) | Claim::Unread(_) => None,
        };
        let key = parent.unwrap_or(hash);
        let binding = self.find::<Binding>(&key, now).ok().flatten().map(|row| row.confirmed);
        let rejection =
            || self.find::<Rejection>(&self.inquiry.fact(&key), now).ok().flatten().map(|row| row.confirmed);
        let token = binding.or_else(rejection).map(|confirmed| now.since(confirmed));
        let Some(Token::Running(job)) = &facts.token else { return Ages { token, targets: Vec::new() } };
        let targets = facts.targets.iter().filter_map(|(target, _)| {
            let (_, confirmed) = self.target_row(&target_key(job, target), now).ok()??;
            Some((target.clone(), confirmed.ages(now)))
        });
        Ages { token, targets: targets.collect() }
    }

    /// Remembers from whose token a credential was made. `false` where there is no room.
    pub(crate) fn learn_minted(&self, minted: &Minted, now: Moment) -> Result<bool, HostError> {
        self.put(now, || minted.clone()).map(|row| row.is_some())
    }

    /// What is remembered of a target, and whether it is to be looked up again.
    pub(crate) fn target(&self, key: &Hash, now: Moment) -> Result<Option<(Found, Freshness)>, HostError> {
        Ok(self.target_row(key, now)?.and_then(|(found, confirmed)| {
            let freshness = self.lifetimes.of_all(&confirmed, now);
            (freshness != Freshness::Gone).then_some((found, freshness))
        }))
    }

    fn target_row(&self, key: &Hash, now: Moment) -> Result<Option<(Found, Confirmed)>, HostError> {
        let key = self.inquiry.fact(key);
        Ok(match self.find::<TargetRow>(&key, now)? {
            Some(row) => Some((row.found, row.confirmed)),
            None => {
                let missing = self.find::<Missing>(&key, now)?.filter(|missing| missing.serves(now));
                missing.map(|missing| (Found::Nothing, Confirmed::at(missing.confirmed)))
            }
        })
    }

    /// Remembers what a lookup that was sent at `asked` said of a token, and tells what holds now: an end that was
    /// seen meanwhile stays, and a token that is known to be one job's is not another's.
    pub(crate) fn learn_token(
        &self,
        key: Hash,
        said: Token,
        asked: Moment,
        now: Moment,
    ) -> Result<Result<Token, Failure>, HostError> {
        match said {
            Token::Running(job) => self.bind(key, job, asked, now),
            Token::Ended(job) => {
                let end = End { token: key, job: job.as_ref().map(|job| job.id) };
                self.end(end, now).map(|()| Ok(Token::Ended(job)))
            }
            // No lookup says this.
            Token::Forgotten => Ok(Ok(said)),
            Token::Invalid(invalid) => match self.find::<Binding>(&key, now)? {
                None => {
                    let key = self.inquiry.fact(&key);
                    self.put(now, || Rejection { key, invalid, confirmed: asked })?;
                    Ok(Ok(said))
                }
                Some(binding) => match binding.denied(asked, self.inquiry.mark()) {
                    Denial::Ends(job) => {
                        let end = End { token: key, job: job.as_ref().map(|job| job.id) };
                        self.end(end, now).map(|()| Ok(Token::Ended(job)))
                    }
                    Denial::Outdated(job) => Ok(Ok(Token::Running(job))),
                    // The next request asks again.
                    Denial::Nothing => Ok(Ok(said)),
                },
            },
        }
    }

    fn bind(&self, key: Hash, job: Job, asked: Moment, now: Moment) -> Result<Result<Token, Failure>, HostError> {
        match Binding::holds(self.find(&key, now)?, job.clone()) {
            Ok(Token::Running(_)) => {}
            holds => return Ok(holds),
        }
        // A job is named before its token is bound, and anew whenever it is confirmed: an end that is told by its number
        // finds the token, or is found by the lookup that was under way.
        match self.name_job(job.id, key, now)? {
            Place::Found => {}
            Place::Ended => return self.end_token(key, now).map(|_| Ok(Token::Ended(Some(job)))),
            Place::None => return Ok(Ok(Token::Running(job))),
        }
        let mark = self.inquiry.mark();
        let held = self.put(now, || Binding::running(key, job.clone(), asked, mark))?;
        Ok(Binding::holds(held, job))
    }

    fn name_job(&self, job: JobId, token: Hash, now: Moment) -> Result<Place, HostError> {
        let key = JobRow::key_of(&self.inquiry, job);
        let row = self.put(now, || JobRow::named(key, token, now))?;
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
        if self.find::<Binding>(token, now)?.is_some() {
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
        let key = JobRow::key_of(&self.inquiry, job);
        let row = self.put(now, || JobRow::ended(key, now))?;
        let tokens = row.map(JobRow::into_tokens).unwrap_or_default();
        let ends = tokens.into_iter().map(|token| self.end_token(token, now).map(drop));
        // Each of them, and then the first that failed.
        ends.collect::<Vec<_>>().into_iter().collect()
    }

    /// A token's job may be over: no worker serves it, under whichever of its tokens, before it was looked up.
    pub(crate) fn doubt(&self, token: Hash, now: Moment) -> Result<(), HostError> {
        let job = self.find::<Binding>(&token, now)?.and_then(Binding::into_job);
        let row = job.map(|job| self.find::<JobRow>(&JobRow::key_of(&self.inquiry, job.id), now)).transpose()?;
        let others = row.flatten().map(JobRow::into_tokens).unwrap_or_default();
        for token in others.into_iter().chain([token]) {
            Self::change(&self.bucket::<Binding>(&token), |bytes| bindings::doubt(bytes, &token, &self.config, now))?;
        }
        Ok(())
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
    pub(crate) fn learn_target(
        &self,
        key: Hash,
        found: &Found,
        confirmed: Confirmed,
        now: Moment,
    ) -> Result<(), HostError> {
        let key = self.inquiry.fact(&key);
        // One that was there keeps its place.
        if *found == Found::Nothing && self.find::<TargetRow>(&key, now)?.is_none() {
            let confirmed = confirmed.oldest();
            return self.put(now, || Missing { key, confirmed }).map(drop);
        }
        self.put(now, || TargetRow { key, found: found.clone(), confirmed }).map(drop)
    }

    /// What is remembered of a part of a target, at least as fresh as `least`, and when it was looked up. A part that cannot
    /// be read is looked up.
    pub(crate) fn part(&self, key: &PartKey, least: Freshness, now: Moment) -> Option<(Known, Moment)> {
        let hash = self.inquiry.fact(&key.hash);
        let of_project = |row: ProjectRow| (Known::Project(row.project), row.confirmed);
        let row = match key.part {
            Part::Project => self.find::<ProjectRow>(&hash, now).map(|row| row.map(of_project)),
            Part::Member | Part::External | Part::Allowlist | Part::Enforcement | Part::Outbound => {
                self.find::<PartRow>(&hash, now).map(|row| row.map(|row| (row.known, row.confirmed)))
            }
        };
        let is_fresh = |confirmed| self.lifetimes.of_part(key.part.lifetime(), confirmed, now) <= least;
        row.ok()?.filter(|(_, confirmed)| is_fresh(*confirmed))
    }

    /// Remembers a part of a target.
    pub(crate) fn learn_part(
        &self,
        key: PartKey,
        known: Known,
        confirmed: Moment,
        now: Moment,
    ) -> Result<(), HostError> {
        let key = self.inquiry.fact(&key.hash);
        match known {
            Known::Project(project) => {
                self.put(now, || ProjectRow { key, project: project.clone(), confirmed }).map(drop)
            }
            Known::Member(_)
            | Known::External(_)
            | Known::Allowlist { .. }
            | Known::Enforcement(_)
            | Known::Outbound(_) => self.put(now, || PartRow { key, known: known.clone(), confirmed }).map(drop),
        }
    }
}

/// A hash as part of a name.
fn short(hash: &Hash) -> String {
    hash.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
