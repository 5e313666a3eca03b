//! What targets are to jobs, and the parts that this is composed of.

use std::time::Duration;

use policy::bindings::{Confirmed, Freshness, Missing, Moment, PartRow, ProjectRow, TargetRow};
use policy::decision::{Ages, Facts};
use policy::facts::{Found, Hash, Known, Lifetime, Part, Token};
use policy::lookup::PartKey;
use policy::request::JobRequest;

use super::Store;
use crate::host::{Host, Result};

/// What is remembered of a target.
pub(crate) struct Target {
    pub(crate) found: Found,
    /// Whether it is to be looked up again.
    pub(crate) freshness: Freshness,
    /// Until when that stays as it is at least.
    pub(crate) until: Moment,
    /// How old it is.
    pub(crate) ages: [(Lifetime, Duration); 3],
}

impl<H: Host> Store<H> {
    /// What is remembered of a target.
    pub(crate) fn target(&self, key: &Hash, now: Moment) -> Result<Option<Target>> {
        Ok(self.target_row(key, now)?.and_then(|(found, confirmed)| {
            let freshness = self.lifetimes.of_all(&confirmed, now);
            // What is not there may come to be at any time, and then stands elsewhere.
            let until = if found == Found::Nothing { now } else { self.lifetimes.comes_due(&confirmed) };
            (freshness != Freshness::Gone).then(|| Target { found, freshness, until, ages: confirmed.ages(now) })
        }))
    }

    /// When what is remembered of a request's credential and of its targets was confirmed. What cannot be read has no age.
    pub(crate) fn ages(&self, request: &JobRequest, facts: &Facts, now: Moment) -> Ages {
        let token = self.token_age(request, now);
        let Some(Token::Running(job)) = &facts.token else { return Ages { token, targets: Vec::new() } };
        let targets = facts.targets.iter().filter_map(|(target, _)| {
            let (_, confirmed) = self.target_row(&self.hashes.of_target(job, target), now).ok()??;
            Some((target.clone(), confirmed.ages(now)))
        });
        Ages { token, targets: targets.collect() }
    }

    fn target_row(&self, key: &Hash, now: Moment) -> Result<Option<(Found, Confirmed)>> {
        let key = self.inquiry.fact(key);
        Ok(match self.find::<TargetRow>(&key, now)? {
            Some(row) => Some((row.found, row.confirmed)),
            None => {
                let missing = self.find::<Missing>(&key, now)?.filter(|missing| missing.serves(now));
                missing.map(|missing| (Found::Nothing, Confirmed::at(missing.confirmed)))
            }
        })
    }

    /// Remembers what a lookup that was sent at `asked` said of a target, or that it is not there.
    pub(crate) fn learn_target(
        &self,
        key: Hash,
        found: &Found,
        confirmed: Confirmed,
        asked: Moment,
        now: Moment,
    ) -> Result<()> {
        let key = self.inquiry.fact(&key);
        // What is gone by a newer answer does not come back by an older one.
        let is_gone = |missing: Missing| missing.confirmed > confirmed.oldest();
        if confirmed.oldest() < asked && self.find::<Missing>(&key, now)?.is_some_and(is_gone) {
            return Ok(());
        }
        // One that was there keeps its place.
        if *found == Found::Nothing && self.find::<TargetRow>(&key, now)?.is_none() {
            let confirmed = confirmed.oldest();
            return self.put(&key, now, || Missing { key, confirmed }).map(drop);
        }
        self.put(&key, now, || TargetRow { key, found: found.clone(), confirmed }).map(drop)
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
    pub(crate) fn learn_part(&self, key: PartKey, known: Known, confirmed: Moment, now: Moment) -> Result<()> {
        let key = self.inquiry.fact(&key.hash);
        match known {
            Known::Project(project) => {
                self.put(&key, now, || ProjectRow { key, project: project.clone(), confirmed }).map(drop)
            }
            Known::Member(_)
            | Known::External(_)
            | Known::Allowlist { .. }
            | Known::Enforcement(_)
            | Known::Outbound(_) => self.put(&key, now, || PartRow { key, known: known.clone(), confirmed }).map(drop),
        }
    }
}
