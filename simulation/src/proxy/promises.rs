//! What is owed to others: the service is told of the ends that a runner reported, and nobody is denied what was granted.

use jobscope::Stream;

use super::{LONGEST_TICK, Proxy};
use crate::filter::Filter;
use crate::judge::Ask;
use crate::request::What;
use crate::service::{Api, Question};
use crate::shared::Call;

/// For how long a fact may deny, in milliseconds, and by how much the clock may have been set since.
pub(super) const DENIES: u64 = 2_000 + 1_000;

/// After which time a lookup is lost that nobody answers: four times the longest `lookup.timeout`.
const LOST: u64 = 4 * 2_000;

/// For how long a forge that had too much is asked nothing.
pub(super) const PAUSE: u64 = 3_000;

/// How soon what the service did not take is told again.
const AGAIN: u64 = 75_000;

/// More facts than this under way are too much of one job.
const FEW: usize = 8;

/// An end of which the service is to be told by a root, when so much time has passed.
#[derive(Debug)]
pub(super) struct Owed {
    root: usize,
    job: usize,
    due: u64,
}

impl<F: Filter> Proxy<F> {
    /// A runner reported a job's end through a root.
    pub(super) fn owe(&mut self, root: usize, job: usize) {
        self.hear_reports();
        if self.scene.api == Api::V1 && !self.roots[root].is_deaf {
            let shared = self.shared.borrow();
            let is_report = |call: &&Call| call.root == root && matches!(call.question, Some(Question::Told(_)));
            // One report after the other.
            let waits =
                shared.calls.values().any(|call| is_report(&call)) || self.owed.iter().any(|owed| owed.root == root);
            // A report that was under way when the clock was set, or was answered when it could not be read, is told again.
            let is_again = self.credit_at > 0 && shared.passed < self.credit_at + AGAIN;
            let due = shared.passed + if waits || is_again { AGAIN } else { 2 * LONGEST_TICK };
            drop(shared);
            self.owed.push(Owed { root, job, due });
        }
    }

    /// The service did not take what a root told it, or takes no reports.
    pub(super) fn owe_again(&mut self, root: usize, jobs: &[usize], takes_none: bool) {
        self.hear_reports();
        if takes_none {
            self.roots[root].is_deaf = true;
            self.owed.retain(|owed| owed.root != root);
            return;
        }
        let due = self.shared.borrow().passed + AGAIN;
        self.owed.extend(jobs.iter().map(|job| Owed { root, job: *job, due }));
    }

    /// What a root told the service was lost, and it finds out after a while.
    pub(super) fn owe_lost(&mut self, root: usize, jobs: &[usize], lasts: u64) {
        self.owe_again(root, jobs, false);
        self.owed.iter_mut().filter(|owed| owed.root == root).for_each(|owed| owed.due += lasts);
    }

    /// The clock was set, or the host refused something: it may take as long as after a failure.
    pub(super) fn give_credit(&mut self) {
        self.credit_at = self.shared.borrow().passed;
        self.owed.iter_mut().for_each(|owed| owed.due += AGAIN);
    }

    /// What was told meanwhile is owed no longer.
    fn hear_reports(&mut self) {
        let told = std::mem::take(&mut self.shared.borrow_mut().told);
        for (root, jobs) in told {
            self.owed.retain(|owed| owed.root != root || !jobs.contains(&owed.job));
        }
    }

    /// Whether all was told in time.
    pub(super) fn check_reports(&mut self) {
        self.hear_reports();
        let passed = self.shared.borrow().passed;
        let roots = &self.roots;
        self.owed.retain(|owed| roots[owed.root].filter.is_some());
        if let Some(Owed { job, .. }) = self.owed.iter().find(|owed| owed.due < passed) {
            self.shared.borrow_mut().accuse(|| format!("the service was not told that job {job} ended"));
        }
    }

    /// A request is told to come again, for this reason. Somebody who waits for a fact gets it as soon as it is there, so there is
    /// one.
    pub(super) fn check_failure(&mut self, stream: Stream, details: &str) {
        let Some(open) = self.open.get(&stream) else { return };
        let (shared, root, came) = (self.shared.borrow(), &self.roots[open.root], open.came_at);
        let has_failed = root.failed_at >= came;
        let is_slow =
            || shared.passed >= came + root.times.timeout && shared.calls.values().any(|call| call.root == open.root);
        let is_due = match details.strip_prefix("jobscope:").unwrap_or(details) {
            "lookup.timeout" => has_failed || is_slow(),
            // A service that remembers says how old it is.
            "lookup.stale" => has_failed || self.scene.api == Api::V1,
            "lookup.unreachable" => has_failed,
            // What is told of a project before it moved and behind that does not fit together.
            "lookup.answer" | "lookup.rights" => {
                has_failed || self.moved_at.is_some_and(|moved| moved + root.times.stale >= came)
            }
            "lookup.throttled" => root.throttled_at + PAUSE >= came,
            "lookup.busy" => root.filter.as_ref().is_none_or(|filter| filter.load().flights > FEW),
            "lookup.source-limit" | "lookup.limit" | "answer.unrecorded" => true,
            _ => false,
        };
        // Who comes when the clock was set joins what is given up as lost.
        let was_set = self.clock_set_at > 0 && self.clock_set_at + LOST >= came;
        let is_disturbed = shared.has_failed
            || shared.gives_up_until > came
            // Of a crowd that waits for one lookup the last are told of its failure when all else is well again.
            || shared.refused_at >= Some(came)
            || was_set
            || self.young_until >= came
            || root.lost_until >= came;
        drop(shared);
        if !is_due && !is_disturbed {
            self.shared
                .borrow_mut()
                .accuse(|| format!("request {stream} is told to come again, and nothing failed: {details}"));
        }
    }

    /// A request is denied. What was granted all the time since facts may deny is denied only where a lookup failed.
    pub(super) fn check_denial(&mut self, stream: Stream) {
        let Some(open) = self.open.get(&stream) else { return };
        let (request, root) = (&open.request, &self.roots[open.root]);
        let (Ask::Of(named, needed), Some(job)) = (request.ask, request.job) else { return };
        let is_jobs = request.token.as_ref() == Some(&self.world.jobs[job].token);
        let shared = self.shared.borrow();
        let (passed, came) = (shared.passed, open.came_at);
        let is_disturbed = shared.has_failed
            || root.failed_at.max(root.lost_until) >= came
            || root.throttled_at + PAUSE >= came
            || self.clock_set_at >= came
            || self.young_until >= came
            || passed >= came + root.times.timeout
            || root.filter.as_ref().is_none_or(|filter| filter.load().flights > FEW);
        drop(shared);
        // Of a forge that is not GitLab jobs get code alone.
        let is_nobodys = self.scene.has_slots && request.what != What::Clone;
        if self.scene.api == Api::Gitlab
            || is_nobodys
            || matches!(request.what, What::Use(_))
            || !is_jobs
            || is_disturbed
        {
            return;
        }
        let since = came.min(passed.saturating_sub(DENIES));
        if self.world.has_granted(job, named, needed, since) {
            let what = format!("request {stream} is denied what job {job} was granted before");
            self.shared.borrow_mut().accuse(|| what);
        }
    }
}
