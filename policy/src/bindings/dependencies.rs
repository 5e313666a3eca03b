//! The jobs with whose artifacts a job begins, as the forge named them when it handed the job out. Its runner asks for them
//! in the first minutes, by their numbers alone.

use alloc::vec::Vec;

use super::row::{Reader, Writer};
use super::{Moment, Row};
use crate::config::Bindings;
use crate::facts::{Hash, JobId};

/// How many are remembered: as many as GitLab lets a job need.
const MOST: usize = 50;

/// What is remembered of a job, under [`super::JobRow::key_of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependencies {
    key: Hash,
    jobs: Vec<JobId>,
    since: Moment,
}

impl Dependencies {
    /// Those of the job of this key. Of more than are remembered the last: GitLab names a job's own pipeline first, which
    /// may have any number of jobs, and other projects last.
    #[must_use]
    pub fn of(key: Hash, named: &[JobId], now: Moment) -> Self {
        let jobs = named.iter().skip(named.len().saturating_sub(MOST)).copied().collect();
        Self { key, jobs, since: now }
    }

    /// The jobs.
    #[must_use]
    pub fn into_jobs(self) -> Vec<JobId> {
        self.jobs
    }
}

impl Row for Dependencies {
    const TABLE: &'static str = "dependencies";
    const SIZE: usize = 441;

    /// They are of use while a job begins.
    fn rows(capacity: u32) -> u32 {
        capacity / 4
    }

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.since.0);
        writer.byte(u8::try_from(self.jobs.len()).ok()?);
        for job in &self.jobs {
            writer.number(job.0);
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let since = Moment(reader.number()?);
        let count = usize::from(reader.byte()?).min(MOST);
        let jobs = (0..count).map(|_| reader.number().map(JobId)).collect::<Option<_>>()?;
        Some(Self { key, jobs, since })
    }

    fn rank(&self, _: &Bindings, _: Moment) -> (u8, u64) {
        (0, self.since.0)
    }

    fn seen(self, now: Moment) -> Self {
        Self { since: self.since.min(now), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{find, put, tests::config};

    #[test]
    fn of_more_than_are_remembered_the_last_are() {
        let key = Hash::of(&[b"job"]);
        let named: Vec<JobId> = (1..=60).map(JobId).collect();
        for (count, first) in [(0, 1), (1, 1), (50, 1), (51, 2), (60, 11)] {
            let row = Dependencies::of(key, &named[..count], Moment(1));
            let bucket = put(&[], row, &config(), Moment(1)).unwrap();
            let found = find::<Dependencies>(&bucket, &key, Moment(1)).unwrap();
            assert_eq!(found.into_jobs(), named[first - 1..count]);
        }
    }

    #[test]
    fn what_the_forge_names_anew_counts_and_the_oldest_goes() {
        let row =
            |number: u64, job, at| Dependencies::of(Hash::of(&[&number.to_be_bytes()]), &[JobId(job)], Moment(at));
        let mut bucket = Vec::new();
        for one in (0..16).map(|number| row(number, number, 10 + number)).chain([row(0, 99, 50), row(16, 16, 60)]) {
            bucket = put(&bucket, one, &config(), Moment(100)).unwrap();
        }
        let jobs = |number: u64| {
            let found = find::<Dependencies>(&bucket, &Hash::of(&[&number.to_be_bytes()]), Moment(100));
            found.map(Dependencies::into_jobs)
        };
        assert_eq!(
            [jobs(0), jobs(1), jobs(2), jobs(16)],
            [Some([JobId(99)].into()), None, Some([JobId(2)].into()), Some([JobId(16)].into())]
        );
    }
}
