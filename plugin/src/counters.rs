//! What is counted, all of it in one table. Everything is defined when a configuration is taken, so that counting is one call
//! of the host with a number that is at hand.

use std::time::Duration;

use policy::access::Protocol;
use policy::bindings::tables;
use policy::decision::{Cause, Decision};
use policy::facts::Hash;
use policy::failure::Failure;

use crate::host::{Host, Metric, Result};

/// What all names begin with.
const PREFIX: &str = "jobscope.";

/// Something that is counted.
#[derive(Debug)]
struct Family {
    /// Its name, behind `jobscope.`.
    name: &'static str,
    metric: Metric,
    /// What it is told apart by, and the values that each may have.
    labels: &'static [(&'static str, Values)],
    /// What it counts.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the documentation"))]
    counts: &'static str,
}

/// The values of a label.
type Values = fn() -> Vec<&'static str>;

macro_rules! families {
    ($($variant:ident $name:literal $metric:ident [$($label:literal: $values:expr),*] $counts:literal)*) => {
        /// Which of [`FAMILIES`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Counted { $($variant,)* }

        impl Counted {
            /// All of them.
            const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        /// Everything that is counted.
        const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            metric: Metric::$metric,
            labels: &[$(($label, $values)),*],
            counts: $counts,
        },)*];
    };
}

families! {
    Decisions "decisions" Counter ["verdict": || vec!["allow", "deny", "observe-deny"], "family": || vec!["rule", "malformed", "failure"], "protocol": protocols]
        "decisions on jobs' requests, and on what cannot be read: by a rule, because it is malformed, or because something failed"
    Failures "failures" Counter ["reason": failures]
        "decisions that a failure or a limit made, by the reason that the log names"
    Limits "limits" Counter ["reason": || vec!["webhook.busy", "lookup.busy", "lookup.throttled"]]
        "what a limit refused without a decision: a report to the webhook, for lack of room, and lookups that nobody waited for, while too much was being looked up or the forge was asked nothing"
    Lookups "lookups" Counter ["kind": kinds, "outcome": outcomes]
        "facts that were looked up, of a token or of a target, by what became of it"
    LookupTime "lookup_ms" Histogram ["kind": kinds]
        "how long a fact took to be looked up, with all of its calls, in milliseconds"
    Unconfirmed "unconfirmed_ms" Histogram []
        "how long ago a binding was confirmed that served while it was due to be looked up again, in milliseconds"
    Flights "flights" Gauge []
        "facts that are being looked up now"
    Waiting "waiting" Gauge []
        "requests that wait for facts now"
    Held "held_bytes" Gauge []
        "bytes of requests that are kept now while a body is awaited"
    Rows "rows" Gauge ["table": table_names]
        "rows that are remembered now, those that serve no longer among them"
    Evictions "evictions" Counter ["table": table_names]
        "rows that were pushed out by others"
    Races "lost_races" Counter ["table": table_names]
        "writes of a bucket that were made again, because another worker wrote in between"
    // Of a running filter, which nobody knows before.
    Info "info" Gauge ["version": Vec::new, "configuration": Vec::new]
        "workers, and the main thread, that run this version of the filter with the configuration of this hash"
    Expires "service_token_expires_seconds" Gauge []
        "when the service account's token expires, in seconds since 1970; 0 where it does not, or nobody has said yet"
    Births "births" Counter []
        "jobs that the forge handed to a runner through this proxy"
    Told "ends_told" Counter ["outcome": || vec!["told", "failed", "dropped"]]
        "ends that runners reported through this proxy, and that are told to a lookup service: it took them, it did not and is told again, or they were dropped"
    Ends "ends" Counter ["way": || vec!["answer", "webhook", "list", "lookup"]]
        "ends of jobs that this proxy was told of: by the forge's answer to a runner, by the webhook, by the list of ended jobs, or by a lookup"
}

fn protocols() -> Vec<&'static str> {
    Protocol::ALL.into_iter().map(protocol_name).collect()
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Git => "git",
        Protocol::Lfs => "lfs",
        Protocol::Registry => "registry",
        Protocol::RegistryToken => "registry_token",
        Protocol::Api => "api",
        Protocol::Trigger => "trigger",
        Protocol::Runner => "runner",
        Protocol::Web => "web",
    }
}

fn failures() -> Vec<&'static str> {
    Failure::ALL.iter().map(|(_, code, _)| *code).collect()
}

fn kinds() -> Vec<&'static str> {
    vec!["token", "target"]
}

fn outcomes() -> Vec<&'static str> {
    ["answered"].into_iter().chain(failures()).collect()
}

fn table_names() -> Vec<&'static str> {
    tables(0).map(|table| table.name()).to_vec()
}

/// A family with the host's numbers.
#[derive(Debug)]
struct Defined {
    values: Vec<Vec<&'static str>>,
    numbers: Vec<Option<u32>>,
}

/// What is counted, as the host knows it.
#[derive(Debug)]
pub(crate) struct Counters<H> {
    host: H,
    families: Vec<Defined>,
    /// What is counted of this configuration.
    info: Option<u32>,
}

impl<H: Host> Counters<H> {
    /// Defines everything, of a configuration that reads so. What the host refuses is not counted.
    pub(crate) fn define(host: &H, configuration: &[u8]) -> Self {
        let families = FAMILIES.iter().map(|family| {
            let define = |name: String| host.define(family.metric, &name).ok();
            let values = family.labels.iter().map(|(_, values)| values()).collect();
            Defined { values, numbers: family.names().into_iter().map(define).collect() }
        });
        let hash = Hash::of(&[configuration]);
        let version = env!("CARGO_PKG_VERSION");
        let info = format!("{PREFIX}info.version.{}.configuration.{}", plain(version), hash.short());
        Self { host: host.clone(), families: families.collect(), info: host.define(Metric::Gauge, &info).ok() }
    }

    /// Counts what has these values, in the order of its labels. Nothing is no count.
    pub(crate) fn add(&self, counted: Counted, values: &[&str], by: i64) {
        if by == 0 {
            return;
        }
        self.with(counted, values, |number| self.host.count(number, by));
    }

    /// Counts one.
    pub(crate) fn one(&self, counted: Counted, values: &[&str]) {
        self.add(counted, values, 1);
    }

    /// Records how long something took.
    pub(crate) fn time(&self, counted: Counted, values: &[&str], time: Duration) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.with(counted, values, |number| self.host.record(number, milliseconds));
    }

    /// Sets a gauge that all workers have together.
    pub(crate) fn set(&self, counted: Counted, values: &[&str], value: u64) {
        self.with(counted, values, |number| self.host.record(number, value));
    }

    /// A worker takes this configuration, or goes.
    pub(crate) fn run(&self, by: i64) {
        if let Some(number) = self.info.filter(|_| by != 0) {
            let _ = self.host.count(number, by);
        }
    }

    /// A decision was made on a request of this protocol.
    pub(crate) fn decided(&self, decision: &Decision, protocol: Protocol) {
        let family = match decision.cause {
            Cause::Rule(_) => "rule",
            Cause::Malformed(_) => "malformed",
            Cause::Failure(failure) => {
                self.one(Counted::Failures, &[failure.code()]);
                "failure"
            }
        };
        self.one(Counted::Decisions, &[decision.record.verdict, family, protocol_name(protocol)]);
    }

    fn with(&self, counted: Counted, values: &[&str], tell: impl FnOnce(u32) -> Result<()>) {
        let family = Counted::ALL.iter().position(|known| *known == counted).and_then(|at| self.families.get(at));
        if let Some(number) = family.and_then(|family| family.number(values)) {
            let _ = tell(number);
        }
    }
}

impl Defined {
    fn number(&self, values: &[&str]) -> Option<u32> {
        let at = self.values.iter().zip(values).try_fold(0_usize, |at, (known, value)| {
            let place = known.iter().position(|known| known == value)?;
            at.checked_mul(known.len())?.checked_add(place)
        });
        *self.numbers.get(at?)?
    }
}

impl Family {
    /// All of its names, the values of the last label in turn.
    fn names(&self) -> Vec<String> {
        let first = vec![format!("{PREFIX}{}", self.name)];
        self.labels.iter().fold(first, |names, (label, values)| {
            let with = |name: &String| -> Vec<String> {
                values().into_iter().map(|value| format!("{name}.{label}.{}", plain(value))).collect()
            };
            names.iter().flat_map(with).collect()
        })
    }
}

/// A value as a part of a name.
fn plain(value: &str) -> String {
    value.replace(['.', '-'], "_")
}

#[cfg(test)]
mod tests;
