//! A fleet on one machine: Envoys with the filter before one forge, with the token-lookup service and without. What it asks the
//! forge, how soon an end that one Envoy sees is refused by another, and how much memory the service and its Redis take.
//!
//! Time runs [`SPEED`] times as fast: jobs ask oftener, and facts last shorter. What is read off is told in real time.

mod ends;
mod live;
mod memory;
mod reckoning;
mod report;
mod traffic;

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::bench::Machine;
use crate::factory::Factory;
use crate::stack::{Ingress, LookupService, Redis, Setup, WORKERS, at, named, pick_port};

pub use ends::Delays;
pub use live::{LIVE, run as run_live};
pub use memory::Memory;
pub use report::Report;

/// How many times as fast time runs.
pub const SPEED: u32 = 5;

/// On average a job asks for each of its targets so often.
pub const EVERY: Duration = Duration::from_secs(10);

/// How long facts last in an Envoy: the defaults of `bindings.revalidate_after` and of `facts.*_revalidate_after`.
pub const AGE: Duration = Duration::from_secs(30);

/// How many replicas the service has.
const REPLICAS: usize = 2;

/// How long all are getting known, in real time.
const WARM: Duration = Duration::from_secs(60);

/// For how long calls are counted after that, in real time.
const WINDOW: Duration = Duration::from_secs(150);

/// How much is to be done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Plan {
    /// The most Envoys.
    pub envoys: usize,
    /// How many jobs run at a time.
    pub jobs: u64,
    /// How many of them end to see how long that takes to be known.
    pub ends: u64,
    /// How many jobs the service is told of, to see what it takes to remember them.
    pub remembered: u64,
}

/// What so many Envoys asked the forge.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Calls {
    /// How many Envoys there were.
    pub envoys: usize,
    /// Whether the service stood between.
    pub with_service: bool,
    /// Requests of jobs per second, in the time of the run.
    pub requests_per_second: f64,
    /// Calls of the forge per second, in the time of the run.
    pub calls_per_second: f64,
}

/// Envoys, and what stands between them and the forge.
pub struct Fleet {
    // Dropped in this order: who asks goes before who answers.
    envoys: Vec<Ingress>,
    services: Vec<LookupService>,
    redis: Option<Redis>,
}

/// What a fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How many Envoys there are.
    pub envoys: usize,
    /// How many replicas the service has, over a Redis of its own. Without one Envoys ask the forge.
    pub replicas: usize,
}

impl Fleet {
    /// Starts one before the forge at this port, and waits until it answers; `filter` are changes to the filter's configuration,
    /// and `service` keys of the service's.
    ///
    /// # Errors
    /// A sentence that says what is missing, or what the program that ended said last.
    pub fn start(size: Size, forge: u16, filter: &[(&'static str, Value)], service: &Value) -> Result<Self> {
        let redis = (size.replicas > 0).then(Redis::start).transpose()?;
        let (mut services, mut ports) = (Vec::new(), Vec::new());
        for _ in 0..size.replicas {
            let mut keys = service.clone();
            keys["store"] = redis.as_ref().map(Redis::store).unwrap_or_default();
            let port = pick_port()?;
            services.push(LookupService::set_up(port, forge, &keys)?);
            ports.push(port);
        }
        let mut filter = filter.to_vec();
        if !services.is_empty() {
            filter.extend([("/lookup/api", json!("v1")), ("/lookup/changes", json!("on"))]);
        }
        let token_lookup = ports.first().copied().unwrap_or(forge);
        let change = |configuration: &mut Value| {
            let clusters = at(configuration, "/static_resources/clusters")?;
            let endpoints =
                at(named(clusters, "token-lookup")?, "/load_assignment/endpoints/0/lb_endpoints")?.as_array_mut();
            if let Some(endpoints) = endpoints {
                endpoints.extend(ports.iter().skip(1).map(|port| {
                    json!({"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}})
                }));
            }
            Ok(())
        };
        let setup = Setup { forge, registry: forge, token_lookup, workers: WORKERS, filter: &filter, change: &change };
        let envoys = (0..size.envoys).map(|_| Ingress::set_up(&setup)).collect::<Result<_>>()?;
        Ok(Self { envoys, services, redis })
    }

    /// The Envoys.
    #[must_use]
    pub fn envoys(&self) -> &[Ingress] {
        &self.envoys
    }

    /// The replicas of the service.
    #[must_use]
    pub fn services(&self) -> &[LookupService] {
        &self.services
    }

    /// Their Redis.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// Ends the master of their Redis at once.
    pub fn kill_master(&mut self) {
        if let Some(redis) = &mut self.redis {
            redis.kill_master();
        }
    }
}

/// A time of the configuration, as it passes here.
fn quick(time: Duration) -> String {
    format!("{}ms", (time / SPEED).as_millis())
}

/// The filter's configuration: ages are shorter, and no bound is in the way of what is counted.
fn filter() -> Vec<(&'static str, Value)> {
    let age = json!(quick(AGE));
    vec![
        ("/bindings/revalidate_after", age.clone()),
        (
            "/facts",
            json!({"projects_revalidate_after": age, "members_revalidate_after": age, "allowlists_revalidate_after": age}),
        ),
        ("/lookup/max_unknown_per_second", json!(100_000)),
        ("/lookup/max_unknown_per_source", json!(100_000)),
        // A busy machine is no failure.
        ("/lookup/timeout", json!("10s")),
    ]
}

/// The service's configuration: its defaults, as they pass here.
fn service() -> Value {
    let seconds = |seconds| quick(Duration::from_secs(seconds));
    json!({
        "forge": {"max_per_second": 100_000, "max_unknown_per_second": 100_000},
        "lookup": {"timeout": "5s"},
        "ages": {"tokens": seconds(300), "project": seconds(60), "member": seconds(60), "external": seconds(300),
            "allowlist": seconds(30), "enforcement": seconds(60)},
        "sweep": {"every": seconds(15), "lag": seconds(10), "check_after": seconds(5)},
    })
}

/// Measures, and tells `say` how far it is.
///
/// # Errors
/// When a program does not start, or an answer is not the one that is due.
pub fn run(plan: Plan, say: &dyn Fn(&str)) -> Result<Report> {
    ensure!(plan.envoys > 0 && plan.jobs > 0, "without Envoys and jobs nothing is measured");
    let machine = Machine::this()?;
    let (mut calls, mut delays) = (Vec::new(), Vec::new());
    for envoys in 1..=plan.envoys {
        for replicas in [0, REPLICAS] {
            let with_service = replicas > 0;
            let how = if with_service { "with the service" } else { "without it" };
            say(&format!("{envoys} of {} Envoys, {how}: {} jobs at work", plan.envoys, plan.jobs));
            let forge = Factory::start()?;
            forge.populate(plan.jobs + plan.ends);
            let fleet = Fleet::start(Size { envoys, replicas }, forge.port(), &filter(), &service())?;
            traffic::flow(&fleet, plan.jobs, WARM / SPEED)?;
            let (before, window) = (forge.calls(), WINDOW / SPEED);
            let requests = traffic::flow(&fleet, plan.jobs, window)?;
            let per_second = |count: u64| number(count) / window.as_secs_f64();
            calls.push(Calls {
                envoys,
                with_service,
                requests_per_second: per_second(requests),
                calls_per_second: per_second(forge.calls() - before),
            });
            if envoys == plan.envoys && envoys > 1 {
                say(&format!("{envoys} Envoys, {how}: {} jobs end", plan.ends));
                delays.push(ends::measure(&fleet, &plan, with_service)?);
            }
        }
    }
    say(&format!("the service remembers {} jobs", plan.remembered));
    let memory = memory::measure(plan.remembered)?;
    Ok(Report { machine, plan, calls, delays, memory })
}

#[expect(clippy::cast_precision_loss, reason = "three digits are exact enough")]
fn number(count: u64) -> f64 {
    count as f64
}
