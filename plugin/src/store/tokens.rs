//! Whose tokens these are, and whether their jobs still run.

use std::time::Duration;

use policy::bindings::{
    self, Binding, Denial, Dependencies, JobRow, Minted, Moment, Place, Quota, Rejection, Remembered, Stripe, Usage,
};
use policy::facts::{Hash, Invalid, Job, JobId, Token};
use policy::failure::Failure;
use policy::lifecycle::{Birth, End};
use policy::request::{Claim, JobRequest};

use super::Store;
use crate::counters::Counted;
use crate::host::{Host, Result};

/// What holds of a token, or why that cannot be told.
type Learned = std::result::Result<Token, Failure>;

/// What is remembered of a credential.
pub(crate) struct Credential {
    pub(crate) remembered: Remembered,
    /// Until when that stays as it is at least.
    pub(crate) until: Moment,
    /// How long ago it was confirmed.
    pub(crate) age: Option<Duration>,
    /// Which version says that nothing of it was taken back.
    pub(crate) stripe: Stripe,
}

impl<H: Host> Store<H> {
    /// What is remembered of a token.
    fn token(&self, key: &Hash, now: Moment) -> Result<Credential> {
        let stripe = self.stripe(key);
        if let Some(binding) = self.find::<Binding>(key, now)? {
            let (confirmed, until) = (binding.confirmed, binding.holds_until(&self.config));
            let tells = binding.tells(&self.config, self.inquiry.mark(), now);
            if matches!(tells, Remembered::Stale(_)) {
                self.counters.time(Counted::Unconfirmed, &[], now.since(confirmed));
            }
            return Ok(Credential { remembered: tells, until, age: Some(now.since(confirmed)), stripe });
        }
        let rejection = self.find::<Rejection>(&self.inquiry.fact(key), now)?;
        let rejection = rejection.filter(|rejection| rejection.serves(now));
        let age = rejection.as_ref().map(|rejection| now.since(rejection.confirmed));
        let rejected = |rejection: Rejection| Remembered::New(Token::Invalid(rejection.invalid));
        Ok(Credential { remembered: rejection.map_or(Remembered::Nothing, rejected), until: now, age, stripe })
    }

    /// What is remembered of a request's credential, of the token or of the one that it was made from. The hash of what it shows
    /// may be known.
    pub(crate) fn credential(&self, request: &JobRequest, key: Option<Hash>, now: Moment) -> Result<Credential> {
        let key = key.unwrap_or_else(|| self.hashes.of_token(&request.token));
        // What is unmarked can be looked up itself, where nobody knows from what it was made.
        let is_askable = !matches!(request.claim, Claim::Minted(_));
        let told = |remembered| Ok(Credential { remembered, until: now, age: None, stripe: self.stripe(&key) });
        let minted = self.minted(request, || key, now)?;
        let Some((parent, until)) = minted.as_ref().and_then(|minted| Some((minted.parent?, minted.until))) else {
            return match minted {
                _ if is_askable => self.token(&key, now),
                Some(_) => told(Remembered::New(Token::Invalid(Invalid::Foreign))),
                None => told(Remembered::Nothing),
            };
        };
        let parent = self.token(&parent, now)?;
        let remembered = match parent.remembered {
            // Without the token itself nobody can be asked again, so the old serves for as long as it may.
            Remembered::New(token) | Remembered::Fresh(token) | Remembered::Stale(token) => Remembered::New(token),
            Remembered::Announced | Remembered::Nothing if is_askable => return self.token(&key, now),
            Remembered::Announced | Remembered::Nothing => Remembered::New(Token::Forgotten),
        };
        Ok(Credential { remembered, until: parent.until.min(until), ..parent })
    }

    /// From which token a request's credential was made, where that is remembered.
    fn minted(&self, request: &JobRequest, key: impl FnOnce() -> Hash, now: Moment) -> Result<Option<Minted>> {
        let key = match request.claim {
            Claim::Minted(_) => Some(key()),
            Claim::Unmarked(_) => request.signed().map(|signed| self.hashes.of_token(&signed)),
            Claim::Marked | Claim::Unread(_) => None,
        };
        key.map_or(Ok(None), |key| self.find(&key, now))
    }

    /// How long ago what is remembered of a request's credential was confirmed.
    pub(super) fn token_age(&self, request: &JobRequest, now: Moment) -> Option<Duration> {
        let key = || self.hashes.of_token(&request.token);
        let minted = self.minted(request, key, now).ok().flatten();
        let key = minted.and_then(|minted| minted.parent).unwrap_or_else(key);
        let binding = self.find::<Binding>(&key, now).ok().flatten().map(|row| row.confirmed);
        let rejection =
            || self.find::<Rejection>(&self.inquiry.fact(&key), now).ok().flatten().map(|row| row.confirmed);
        binding.or_else(rejection).map(|confirmed| now.since(confirmed))
    }

    /// Whether a lookup of a token may be answered from a memory. Where that cannot be told, it may not.
    pub(crate) fn takes_memory(&self, token: &Hash, now: Moment) -> bool {
        let binding = self.find::<Binding>(token, now);
        binding.is_ok_and(|binding| binding.is_none_or(|binding| binding.takes_memory()))
    }

    /// Remembers from whose token a credential was made. `false` where there is no room.
    pub(crate) fn learn_minted(&self, minted: &Minted, now: Moment) -> Result<bool> {
        self.hold(&minted.key, now, || minted.clone()).map(|row| row.is_some())
    }

    /// Remembers what a lookup that was sent at `asked` said of a token, by what was so at `confirmed`, and tells what holds
    /// now: an end that was seen meanwhile stays, and a token that is known to be one job's is not another's.
    pub(crate) fn learn_token(
        &self,
        key: Hash,
        said: Token,
        asked: Moment,
        confirmed: Moment,
        now: Moment,
    ) -> Result<Learned> {
        match said {
            Token::Running(job) => self.bind(key, job, asked, confirmed, now),
            Token::Ended(job) => {
                let end = End { token: key, job: job.as_ref().map(|job| job.id) };
                self.end(end, now).map(|()| Ok(Token::Ended(job)))
            }
            // No lookup says this.
            Token::Forgotten => Ok(Ok(said)),
            Token::Invalid(invalid) => match self.find::<Binding>(&key, now)? {
                None => {
                    let key = self.inquiry.fact(&key);
                    self.put(&key, now, || Rejection { key, invalid, confirmed })?;
                    Ok(Ok(said))
                }
                Some(binding) => match binding.denied(confirmed, self.inquiry.mark()) {
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

    fn bind(&self, key: Hash, job: Job, asked: Moment, confirmed: Moment, now: Moment) -> Result<Learned> {
        let known: Option<Binding> = self.find(&key, now)?;
        // What no running job has by a newer answer is none's by an older one.
        if known.is_none() && confirmed < asked {
            let rejection = self.find::<Rejection>(&self.inquiry.fact(&key), now)?;
            if let Some(rejection) = rejection.filter(|rejection| rejection.confirmed > confirmed) {
                return Ok(Ok(Token::Invalid(rejection.invalid)));
            }
        }
        match Binding::holds(known, job.clone(), now) {
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
        let running = || Binding { confirmed, ..Binding::running(key, job.clone(), asked, mark) };
        let held = self.hold(&key, now, running)?;
        Ok(Binding::holds(held, job, now))
    }

    fn name_job(&self, job: JobId, token: Hash, now: Moment) -> Result<Place> {
        let key = JobRow::key_of(&self.inquiry, job);
        let row = self.hold(&key, now, || JobRow::named(key, token, now))?;
        Ok(JobRow::place(row.as_ref(), &token))
    }

    /// The forge handed a job to a runner: its token is known to be that job's, and to be over after its timeout.
    pub(crate) fn born(&self, birth: &Birth, now: Moment) -> Result<()> {
        let Birth { token, job, origin, timeout, dependencies } = birth;
        let key = self.hashes.of_token(token);
        match self.name_job(*job, key, now)? {
            Place::Found => {
                if !dependencies.is_empty() {
                    let job = JobRow::key_of(&self.inquiry, *job);
                    self.put(&job, now, || Dependencies::of(job, dependencies, now))?;
                }
                self.put(&key, now, || Binding::born(key, *job, *origin, *timeout, now)).map(drop)
            }
            Place::Ended => self.end_token(key, now).map(drop),
            Place::None => Ok(()),
        }
    }

    /// The jobs whose artifacts the forge named when it handed this one out.
    pub(crate) fn dependencies(&self, job: JobId, now: Moment) -> Result<Vec<JobId>> {
        let row = self.find::<Dependencies>(&JobRow::key_of(&self.inquiry, job), now)?;
        Ok(row.map(Dependencies::into_jobs).unwrap_or_default())
    }

    /// Counts a lookup of a token where nothing is remembered of it, not even something that no longer serves. What is
    /// said when it would be one too many.
    pub(crate) fn count_unknown(&self, token: &Hash, quotas: &[Quota], now: Moment) -> Result<Option<Failure>> {
        if self.find::<Binding>(token, now)?.is_some() {
            return Ok(None);
        }
        for quota in quotas {
            if self.change::<Usage>(&quota.key, |bytes| quota.take(bytes, &self.config, now))?.is_none() {
                return Ok(Some(quota.over));
            }
        }
        Ok(None)
    }

    /// From now on no worker serves this token, nor another that its job goes by.
    pub(crate) fn end(&self, end: End, now: Moment) -> Result<()> {
        let held = self.end_token(end.token, now);
        let known = held.as_ref().ok().and_then(|held| held.clone()?.into_job());
        let job = end.job.or_else(|| known.map(|job| job.id)).map_or(Ok(()), |job| self.end_job(job, now));
        // Each of them, and then the first that failed.
        held.and(job)
    }

    /// The row first, and then what was decided from it: also where the end was known, or could not be written, for this may
    /// have failed before.
    fn end_token(&self, key: Hash, now: Moment) -> Result<Option<Binding>> {
        let held = self.write(&key, now, || Binding::ended(key, now));
        let revoked = self.revoke_token(&key);
        let held = held.map(|(bucket, _)| bucket.and_then(|bucket| bindings::find(&bucket, &key, now)));
        held.and_then(|held| revoked.map(|()| held))
    }

    /// From now on no worker serves this job, also where a lookup of its token is under way.
    pub(crate) fn end_job(&self, job: JobId, now: Moment) -> Result<()> {
        let key = JobRow::key_of(&self.inquiry, job);
        let row = self.hold(&key, now, || JobRow::ended(key, now))?;
        let tokens = row.map(JobRow::into_tokens).unwrap_or_default();
        let ends = tokens.into_iter().map(|token| self.end_token(token, now).map(drop));
        // Each of them, and then the first that failed.
        ends.collect::<Vec<_>>().into_iter().collect()
    }

    /// A token's job may be over: no worker serves it, under whichever of its tokens, before it was looked up.
    pub(crate) fn doubt(&self, token: Hash, now: Moment) -> Result<()> {
        let job = self.find::<Binding>(&token, now)?.and_then(Binding::into_job);
        let row = job.map(|job| self.find::<JobRow>(&JobRow::key_of(&self.inquiry, job.id), now)).transpose()?;
        let others = row.flatten().map(JobRow::into_tokens).unwrap_or_default();
        let doubts = others.into_iter().chain([token]).map(|token| {
            let changed = self.change::<Binding>(&token, |bytes| bindings::doubt(bytes, &token));
            self.revoke_token(&token).and(changed.map(drop))
        });
        // Each of them, and then the first that failed.
        doubts.collect::<Vec<_>>().into_iter().collect()
    }
}
