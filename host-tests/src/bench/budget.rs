//! What was promised, and whether this run holds it.

use serde::Serialize;

use super::figure::{Figures, Measure};
use super::peer::Peer;
use super::{bodies, memory};

/// A promise.
struct Budget {
    what: &'static str,
    of: fn(&Figures) -> Option<f64>,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}
use Bound::{AtLeast, AtMost};

/// Whether one holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What was promised.
    pub what: &'static str,
    /// The bound.
    pub budget: String,
    /// What was measured.
    pub measured: f64,
    /// Whether that is within it.
    pub met: bool,
}

const fn at_most(bound: f64, what: &'static str, of: fn(&Figures) -> Option<f64>) -> Budget {
    Budget { what, of, bound: AtMost(bound) }
}

/// A request's cost to Envoy is what it takes on top of the same request without a filter.
const BUDGETS: [Budget; 29] = [
    at_most(1.15, "anonymous, to a copied head", |f| to_copy(f, "anonymous")),
    at_most(1.15, "a person's PRIVATE-TOKEN, to a copied head", |f| to_copy(f, "a person's PRIVATE-TOKEN")),
    at_most(1.15, "a person's Basic, to a copied head", |f| to_copy(f, "a person's Basic")),
    at_most(1.6, "git info/refs, to a copied head", |f| to_copy(f, "git info/refs")),
    at_most(0.25, "git info/refs, to ext_authz", |f| to_authz(f, "git info/refs")),
    at_most(1.6, "git info/refs over HTTP/2, to a copied head", |f| to_copy(f, "git info/refs, HTTP/2")),
    at_most(0.25, "git info/refs over HTTP/2, to ext_authz", |f| to_authz(f, "git info/refs, HTTP/2")),
    at_most(2.5, "package, to a copied head", |f| to_copy(f, "package")),
    at_most(0.5, "package, to ext_authz", |f| to_authz(f, "package")),
    at_most(2.5, "package by query, to a copied head", |f| to_copy(f, "package, token in the query")),
    at_most(0.5, "package by query, to ext_authz", |f| to_authz(f, "package, token in the query")),
    at_most(2.5, "API by number, to a copied head", |f| to_copy(f, "API by number")),
    at_most(0.5, "API by number, to ext_authz", |f| to_authz(f, "API by number")),
    at_most(2.5, "registry manifest, to a copied head", |f| to_copy(f, "registry manifest")),
    at_most(0.5, "registry manifest, to ext_authz", |f| to_authz(f, "registry manifest")),
    at_most(4.0, "denied, no such project, to a copied head", |f| to_copy(f, "denied: no such project")),
    at_most(4.0, "denied, no such right, to a copied head", |f| to_copy(f, "denied: no such right")),
    // Half of 101 and of 87 us, where a copied head took 9.4.
    at_most(5.4, "LFS batch, to a copied head", |f| to_copy(f, "LFS batch")),
    at_most(4.6, "/jwt/auth, to a copied head", |f| to_copy(f, "/jwt/auth")),
    at_most(1.05, "10,000 targets, to one", |f| f.times("package", Peer::Targets, Peer::Jobscope)),
    at_most(1.05, "full tables, to empty ones", |f| f.times("package", Peer::Full, Peer::Jobscope)),
    at_most(1.05, "observe, to enforce", |f| f.times("package", Peer::Observe, Peer::Jobscope)),
    at_most(2.5, "cold, to ext_authz", |f| f.times("cold: a token never seen", Peer::Full, Peer::AuthzHttp)),
    at_most(1.0, "CPU of the start, s more than a no-op filter", |f| {
        let cpu = |peer| f.least(Measure::StartCpu, "1 worker", peer);
        Some(cpu(Peer::Jobscope)? - cpu(Peer::Noop)?)
    }),
    at_most(800.0, "wasm, KiB", |f| f.least(Measure::Size, "wasm", Peer::Jobscope)),
    Budget {
        what: "throughput up, to no filter",
        of: |f| body(f, Measure::Throughput, bodies::UP),
        bound: AtLeast(0.97),
    },
    Budget {
        what: "throughput down, to no filter",
        of: |f| body(f, Measure::Throughput, bodies::DOWN),
        bound: AtLeast(0.97),
    },
    at_most(1.05, "CPU of a body, the larger of up and down, to no filter", |f| {
        Some(body(f, Measure::BodyCpu, bodies::UP)?.max(body(f, Measure::BodyCpu, bodies::DOWN)?))
    }),
    at_most(1.02, "memory after all dead jobs, to that after 10,000", |f| {
        let memory = |what| f.least(Measure::Resident, what, Peer::Jobscope);
        Some(memory(memory::ALL_DEAD)? / memory(memory::DEAD)?)
    }),
];

fn to_copy(figures: &Figures, what: &str) -> Option<f64> {
    figures.times(what, Peer::Jobscope, Peer::Copy)
}

fn to_authz(figures: &Figures, what: &str) -> Option<f64> {
    figures.times(what, Peer::Jobscope, Peer::AuthzHttp)
}

fn body(figures: &Figures, measure: Measure, what: &str) -> Option<f64> {
    figures.beside_none(measure, what, Peer::Jobscope, |(own, none)| own / none)
}

/// Those of which enough was measured.
pub(super) fn verdicts(figures: &Figures) -> Vec<Verdict> {
    let verdict = |budget: &Budget| {
        let measured = (budget.of)(figures)?;
        let (text, met) = match budget.bound {
            AtMost(bound) => (format!("<= {bound}"), measured <= bound),
            AtLeast(bound) => (format!(">= {bound}"), measured >= bound),
        };
        Some(Verdict { what: budget.what, budget: text, measured, met })
    };
    BUDGETS.iter().filter_map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::WORK;

    #[test]
    fn each_budget_is_of_what_is_measured_and_falls_short_where_jobscope_is_dear() {
        for (cost, met) in [(0.1, true), (1e9, false)] {
            let mut figures = Figures::default();
            for work in &WORK {
                for peer in work.peers {
                    let value = match peer {
                        Peer::None => 0.0,
                        Peer::Targets | Peer::Observe => cost * cost,
                        Peer::Full if work.name == "package" => cost * cost,
                        Peer::Jobscope | Peer::Full => cost,
                        _ => 1.0,
                    };
                    figures.add(Measure::Cpu, work.name, *peer, value);
                }
            }
            for (peer, value) in [(Peer::None, 1.0), (Peer::Noop, 1.0), (Peer::Jobscope, cost)] {
                figures.add(Measure::StartCpu, "1 worker", peer, value);
                for what in [bodies::UP, bodies::DOWN] {
                    figures.add(Measure::BodyCpu, what, peer, value);
                    figures.add(Measure::Throughput, what, peer, 1.0 / value);
                }
            }
            figures.add(Measure::Size, "wasm", Peer::Jobscope, cost);
            figures.add(Measure::Resident, memory::DEAD, Peer::Jobscope, 1.0);
            figures.add(Measure::Resident, memory::ALL_DEAD, Peer::Jobscope, cost);
            let verdicts = verdicts(&figures);
            assert_eq!(verdicts.len(), BUDGETS.len());
            assert!(verdicts.iter().all(|verdict| verdict.met == met), "{verdicts:#?}");
        }
    }
}
