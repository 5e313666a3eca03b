//! What is counted, for Prometheus. No label is a text that a client chose.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

type Labels = [(&'static str, &'static str); 1];
type PairOfLabels = [(&'static str, &'static str); 2];

/// Upper bounds of the times that are counted, in seconds.
const TIMES: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// All counters; a clone counts on the same.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    questions: Family<Vec<(&'static str, &'static str)>, Counter>,
    time: Histogram,
    calls: Family<Vec<(&'static str, &'static str)>, Counter>,
    store_failures: Family<Vec<(&'static str, &'static str)>, Counter>,
    ends: Family<Vec<(&'static str, &'static str)>, Counter>,
    sweeps: Family<Vec<(&'static str, &'static str)>, Counter>,
    webhooks: Family<Vec<(&'static str, &'static str)>, Counter>,
    /// Polls of the list of ended jobs that wait.
    pub polls: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("jobscope_lookup");
        let questions = Family::default();
        registry.register("questions", "Questions, by what was asked and what became of it", questions.clone());
        let time = Histogram::new(TIMES);
        registry.register("answer_seconds", "How long answers to questions took", time.clone());
        let calls = Family::default();
        registry.register("forge_calls", "Calls of the forge, by the class of its answer", calls.clone());
        let store_failures = Family::default();
        registry.register("store_failures", "What the store could not do, by what it was", store_failures.clone());
        let ends = Family::default();
        registry.register("ends", "Ends of jobs, by who told them", ends.clone());
        let sweeps = Family::default();
        registry.register("sweeps", "Sweeps of the running jobs, by what became of them", sweeps.clone());
        let webhooks = Family::default();
        registry.register("webhooks", "Webhooks that came, by what became of them", webhooks.clone());
        let polls = Gauge::default();
        registry.register("polls", "Polls of the list of ended jobs that wait now", polls.clone());
        Self { registry: Arc::new(registry), questions, time, calls, store_failures, ends, sweeps, webhooks, polls }
    }
}

impl Metrics {
    /// A question was answered.
    pub fn asked(&self, ask: &'static str, outcome: &'static str, took: Duration) {
        let labels: PairOfLabels = [("ask", ask), ("outcome", outcome)];
        self.questions.get_or_create(&labels.to_vec()).inc();
        self.time.observe(took.as_secs_f64());
    }

    /// The forge was called.
    pub fn called(&self, status: Option<u16>) {
        let class = match status {
            None => "none",
            Some(429) => "429",
            Some(200..=299) => "2xx",
            Some(300..=399) => "3xx",
            Some(400..=499) => "4xx",
            Some(_) => "5xx",
        };
        count(&self.calls, [("answer", class)]);
    }

    /// The store failed at something.
    pub fn store_failed(&self, operation: &'static str) {
        count(&self.store_failures, [("operation", operation)]);
    }

    /// So many ends were told.
    pub fn ended(&self, source: &'static str, jobs: usize) {
        let labels: Labels = [("source", source)];
        self.ends.get_or_create(&labels.to_vec()).inc_by(u64::try_from(jobs).unwrap_or(u64::MAX));
    }

    /// The running jobs were looked through.
    pub fn swept(&self, outcome: &'static str) {
        count(&self.sweeps, [("outcome", outcome)]);
    }

    /// A webhook came.
    pub fn delivered(&self, outcome: &'static str) {
        count(&self.webhooks, [("outcome", outcome)]);
    }

    /// All of it as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn count(family: &Family<Vec<(&'static str, &'static str)>, Counter>, labels: Labels) {
    family.get_or_create(&labels.to_vec()).inc();
}
