//! The running jobs, looked through for ends that nobody told. One replica at a time does it.
//!
//! A job that the forge lists runs, and its token needs no call for a while. One that it does not list has not ended by
//! that: the list may lag. It is asked for singly, and once more after a while, and only then that counts.
//!
//! After a failover of the store nothing is believed that was known before. What the next sweep sees run is, so that not every
//! token is asked about at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use policy::facts::JobId;
use policy::failure::Failure;
use tokio::time::sleep;

use crate::clock;
use crate::config;
use crate::forge::{Forge, Status};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, Ticket};

/// The name of the lease.
const LEASE: &str = "sweep";

/// For how long at least nobody else begins a sweep while one is under way, which says so again and again: it may take longer
/// than `sweep.every`.
const HOLD: Duration = Duration::from_secs(10);

/// How soon it is looked again whether a sweep is due: a store that has begun another life needs one at once.
const TICK: Duration = Duration::from_secs(2);

/// The most jobs that one sweep asks for singly; the next goes on behind them.
const MOST_CHECKED: usize = 500;

/// How many jobs are told to the store at once.
const AT_ONCE: usize = 500;

/// Looks through the running jobs again and again.
pub struct Sweep {
    /// Where they are known.
    pub store: Arc<dyn Store>,
    /// Who lists them.
    pub forge: Arc<dyn Forge>,
    /// How often, and how patiently.
    pub pace: config::Sweep,
    /// What is counted.
    pub metrics: Metrics,
    /// The last job that a sweep asked for singly.
    pub last: Option<JobId>,
}

/// Why a sweep came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the forge: {}", .0.text())]
    Forge(Failure),
    #[error("another replica began one meanwhile")]
    Overtaken,
}

impl Sweep {
    /// Until it is aborted.
    pub async fn run(mut self) {
        loop {
            match self.once().await {
                Ok(Some(ended)) => {
                    if ended > 0 {
                        tracing::info!(ended, "jobs had ended, and nobody had told");
                    }
                    self.metrics.swept("done");
                    self.metrics.ended("sweep", ended);
                }
                Ok(None) => {}
                Err(error) => {
                    self.metrics.swept("failed");
                    tracing::warn!(%error, "the running jobs could not be looked through");
                }
            }
            sleep(TICK.min(self.pace.every / 10)).await;
        }
    }

    /// One sweep, where no other replica made one within the time of one; how many ends it found.
    async fn once(&mut self) -> Result<Option<usize>, Failed> {
        let Some(ticket) = self.store.lease(LEASE, self.pace.every).await? else { return Ok(None) };
        let store = Arc::clone(&self.store);
        tokio::select! {
            done = self.look_through(&ticket) => done,
            over = keep(&*store, &ticket) => Err(over),
        }
    }

    async fn look_through(&mut self, ticket: &Ticket) -> Result<Option<usize>, Failed> {
        // What became known after the list began may be missing on it.
        let known = self.store.running(ticket).await?;
        if known.is_empty() {
            return Ok(Some(0));
        }
        if let Some(said) = self.forge.statuses(&known).await.map_err(Failed::Forge)? {
            return self.told(said, ticket).await.map(Some);
        }
        let missing = match self.list(&known, ticket).await? {
            Some(missing) => missing,
            // Who cannot list them is asked about each when its token comes again.
            None => return Ok(None),
        };
        let turn = next_in_turn(missing, self.last);
        self.last = turn.last().copied().or(self.last);
        let first = self.ended(turn).await?;
        if first.is_empty() {
            return Ok(Some(0));
        }
        sleep(self.pace.check_after).await;
        let ended = self.ended(first).await?;
        self.store.end(&ended).await?;
        Ok(Some(ended.len()))
    }

    /// Goes through the forge's list page by page, and tells the store of each at once what it saw run: as of when the page was asked
    /// for, so that a long list makes nothing look older than it is. Which of these jobs are not on it; `None` where there is none.
    async fn list(&self, known: &[JobId], ticket: &Ticket) -> Result<Option<Vec<JobId>>, Failed> {
        let mut missing: HashSet<JobId> = known.iter().copied().collect();
        let (began, mut after, mut listed) = (clock::now(), None::<String>, 0);
        loop {
            // Not later than it is by the store's clock, which gave the ticket before we looked at ours.
            let asked = Ticket { at: ticket.at.after(clock::now().since(began)), ..ticket.clone() };
            let Some(page) = self.forge.running(after.as_deref()).await.map_err(Failed::Forge)? else {
                return Ok(None);
            };
            listed += page.jobs.len();
            let runs: Vec<JobId> = page.jobs.into_iter().filter(|job| missing.remove(job)).collect();
            for jobs in runs.chunks(AT_ONCE) {
                self.store.seen(jobs, &asked, self.pace.lag).await?;
            }
            // A page that leads to itself would be read for ever.
            if page.next.is_none() || page.next == after {
                if listed == 0 {
                    let why = "the forge lists no running job: is the service account an administrator?";
                    tracing::warn!(known = known.len(), "{why}");
                }
                return Ok(Some(missing.into_iter().collect()));
            }
            after = page.next;
        }
    }

    /// Takes the word of one who knows for sure.
    async fn told(&self, said: Vec<(JobId, Status)>, ticket: &Ticket) -> Result<usize, Failed> {
        let of = |status: Status| said.iter().filter(move |(_, is)| *is == status).map(|(job, _)| *job).collect();
        let (runs, ended): (Vec<JobId>, Vec<JobId>) = (of(Status::Running), of(Status::Ended));
        for jobs in runs.chunks(AT_ONCE) {
            self.store.seen(jobs, ticket, Duration::ZERO).await?;
        }
        for jobs in ended.chunks(AT_ONCE) {
            self.store.end(jobs).await?;
        }
        Ok(ended.len())
    }

    /// Those of these jobs that the forge says are over. Where it says nothing, they are not.
    async fn ended(&self, jobs: Vec<JobId>) -> Result<Vec<JobId>, Failed> {
        let mut ended = Vec::new();
        for job in jobs {
            let Some(project) = self.store.project(job).await? else { continue };
            match self.forge.status(job, project).await {
                Ok(Status::Ended) => ended.push(job),
                Ok(Status::Running | Status::Unsure) => {}
                // A forge that is away is not asked five hundred times.
                Err(failure) => return Err(Failed::Forge(failure)),
            }
        }
        Ok(ended)
    }
}

/// Keeps the lease, and says why it could not be kept.
async fn keep(store: &dyn Store, ticket: &Ticket) -> Failed {
    loop {
        sleep(HOLD / 3).await;
        match store.renew(LEASE, ticket, HOLD).await {
            Ok(true) => {}
            Ok(false) => return Failed::Overtaken,
            Err(error) => return error.into(),
        }
    }
}

/// The next jobs in the order of their numbers, behind the last one and around: jobs that are missing and run all the same
/// would else be asked for each time, and the others never.
fn next_in_turn(mut missing: Vec<JobId>, last: Option<JobId>) -> Vec<JobId> {
    missing.sort_unstable();
    let behind = missing.partition_point(|job| Some(*job) <= last);
    missing.rotate_left(behind);
    missing.truncate(MOST_CHECKED);
    missing
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::ready;
    use policy::facts::{Hash, ProjectId, Version};
    use policy::lookup::Fact;
    use std::collections::BTreeMap;
    use std::ops::RangeInclusive;
    use std::sync::Mutex;

    use super::*;
    use crate::forge::{AtHand, Landed, Page, Recalled, Reply};
    use crate::store::memory::Memory;
    use crate::store::{Limits, Running, TokenState};

    /// Lists some jobs, and says of each by turns what becomes of it.
    #[derive(Default)]
    struct Listing {
        /// Page by page.
        listed: Vec<Vec<JobId>>,
        /// How many there are to be, where some fail.
        pages: usize,
        /// How long each takes.
        slow: Duration,
        said: Mutex<BTreeMap<JobId, Vec<Result<Status, Failure>>>>,
    }

    impl Forge for Listing {
        fn at_hand(&self, _: &Fact, _: &Recalled) -> AtHand {
            AtHand::Failed(Failure::Doubt)
        }
        fn look<'a>(&'a self, _: Fact, _: &'a Recalled) -> Reply<'a, Landed> {
            ready(Err(Failure::Doubt)).boxed()
        }
        fn version(&self) -> Reply<'_, Version> {
            ready(Err(Failure::Doubt)).boxed()
        }
        fn status(&self, job: JobId, project: ProjectId) -> Reply<'_, Status> {
            assert_eq!(project, ProjectId(100 + job.0));
            ready(self.said.lock().unwrap().get_mut(&job).unwrap().remove(0)).boxed()
        }
        fn running<'a>(&'a self, after: Option<&'a str>) -> Reply<'a, Option<Page>> {
            let at = after.map_or(0, |after| after.parse().unwrap());
            async move {
                sleep(self.slow).await;
                let jobs = self.listed.get(at).cloned().ok_or(Failure::LookupUnreachable)?;
                let next = (at + 1 < self.pages.max(self.listed.len())).then(|| (at + 1).to_string());
                Ok(Some(Page { jobs, next }))
            }
            .boxed()
        }
        fn pause(&self) -> Option<Duration> {
            None
        }
    }

    fn key(job: u64) -> Hash {
        Hash::of(&[&job.to_be_bytes()])
    }

    /// A store that knows these jobs to run, before any ticket that is given from now on.
    async fn known(jobs: RangeInclusive<u64>) -> Arc<dyn Store> {
        let limits =
            Limits { tokens: Duration::from_secs(300), lease: Duration::from_secs(1), unknown_per_second: 100 };
        let store: Arc<dyn Store> = Arc::new(Memory::new(limits, 1000));
        for job in jobs {
            let ticket = store.lease(&format!("{job}"), Duration::from_secs(1)).await.unwrap().unwrap();
            let running = Running { job: JobId(job), project: ProjectId(100 + job), answer: String::new() };
            store.put_running(&key(job), &running, &ticket).await.unwrap();
        }
        let later = crate::clock::now();
        while crate::clock::now() == later {
            tokio::task::yield_now().await;
        }
        store
    }

    fn every(every: Duration) -> config::Sweep {
        config::Sweep { every, lag: Duration::from_secs(10), check_after: Duration::from_secs(5) }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_missing_has_ended_when_the_forge_says_so_twice() {
        let store = known(1..=5).await;
        use Status::{Ended, Running as Runs, Unsure};
        let said = [
            (JobId(2), vec![Ok(Ended), Ok(Ended)]),
            (JobId(3), vec![Ok(Ended), Ok(Runs)]),
            (JobId(4), vec![Ok(Runs)]),
            (JobId(5), vec![Ok(Unsure)]),
        ];
        let forge = Listing {
            listed: vec![vec![JobId(99)], vec![JobId(1)]],
            said: Mutex::new(said.into()),
            ..Listing::default()
        };
        let mut sweep = Sweep {
            store: Arc::clone(&store),
            forge: Arc::new(forge),
            pace: every(Duration::from_secs(30)),
            metrics: Metrics::default(),
            last: None,
        };
        assert_eq!(sweep.once().await.unwrap(), Some(1));
        assert_eq!(sweep.once().await.unwrap(), None, "another replica does it now");
        for job in 1..=5 {
            let known = store.ask_token(&key(job), Duration::from_secs(300)).await.unwrap().known.unwrap().value;
            assert_eq!(known == TokenState::Ended, job == 2, "{job}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_that_run_unlisted_keep_no_other_from_its_turn() {
        let most = MOST_CHECKED as u64;
        let store = known(1..=most + 100).await;
        let said = |job: u64| vec![Ok(if job > most { Status::Ended } else { Status::Running }); 4];
        let said = (1..=most + 100).map(|job| (JobId(job), said(job))).collect();
        let mut sweep = Sweep {
            store,
            forge: Arc::new(Listing { listed: vec![Vec::new()], said: Mutex::new(said), ..Listing::default() }),
            pace: every(Duration::ZERO),
            metrics: Metrics::default(),
            last: None,
        };
        assert_eq!(sweep.once().await.unwrap(), Some(0), "the first ones run");
        assert_eq!(sweep.once().await.unwrap(), Some(100), "and then come the others");
        assert_eq!(sweep.last, Some(JobId(most - 100)), "and the first ones again");
    }

    #[tokio::test]
    async fn what_a_page_lists_runs_as_of_when_it_was_asked_for_whatever_becomes_of_the_next() {
        let store = known(1..=3).await;
        let listed = vec![vec![JobId(1)], vec![JobId(2)]];
        let slow = Duration::from_millis(200);
        let mut sweep = Sweep {
            store: Arc::clone(&store),
            forge: Arc::new(Listing { listed, pages: 3, slow, ..Listing::default() }),
            pace: config::Sweep { lag: Duration::from_millis(50), ..every(Duration::from_secs(30)) },
            metrics: Metrics::default(),
            last: None,
        };
        sleep(Duration::from_millis(1000)).await;
        sweep.once().await.unwrap_err();
        let mut ages = Vec::new();
        for job in 1..=3 {
            let known = store.ask_token(&key(job), Duration::from_secs(300)).await.unwrap().known.unwrap();
            assert!(matches!(known.value, TokenState::Running(_)), "{job}");
            ages.push(known.age.as_millis());
        }
        // The first page was asked for 600 ms ago or more, the second 200 ms after it, and the third told nothing of 1,600 ms.
        assert!(ages[0] >= 650 && ages[1] >= 450 && ages[1] + 150 <= ages[0] && ages[0] + 500 <= ages[2], "{ages:?}");
    }

    /// One of two replicas, whose list takes longer than the time between two sweeps.
    fn slow(store: &Arc<dyn Store>, listed: &[Vec<JobId>]) -> Sweep {
        Sweep {
            store: Arc::clone(store),
            forge: Arc::new(Listing { listed: listed.to_vec(), slow: HOLD, ..Listing::default() }),
            pace: every(Duration::ZERO),
            metrics: Metrics::default(),
            last: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_that_takes_long_is_made_by_one() {
        let store = known(1..=1).await;
        let (mut one, mut other) = (slow(&store, &[vec![], vec![], vec![JobId(1)]]), slow(&store, &[vec![JobId(1)]]));
        let later = async {
            sleep(HOLD).await;
            other.once().await.unwrap()
        };
        let (done, later) = tokio::join!(one.once(), later);
        assert_eq!((done.unwrap(), later), (Some(0), None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_lost_the_lease_leaves_the_sweep_to_the_other() {
        let store = known(1..=1).await;
        let mut one = slow(&store, &[vec![JobId(1)]]);
        let other = async {
            sleep(Duration::from_secs(1)).await;
            store.lease(LEASE, HOLD).await.unwrap()
        };
        let (done, other) = tokio::join!(one.once(), other);
        assert!(other.is_some() && matches!(done, Err(Failed::Overtaken)), "{done:?}");
    }
}
