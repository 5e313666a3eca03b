//! What a start takes: until the first answer has come, and what is compiled for it.

use std::fs;
use std::time::Instant;

use anyhow::Result;

use super::figure::{Figures, Measure};
use super::load::{Crowd, runtime};
use super::peer::Peer;
use super::stage::Services;
use super::work::WORK;
use super::{Plan, number};
use crate::stack::filter;

const PEERS: [Peer; 4] = [Peer::None, Peer::Noop, Peer::Jobscope, Peer::Targets];

/// With as many workers as this, each of which has the filter for itself.
const WORKERS: [u32; 3] = [1, 2, 4];

pub(super) fn measure(plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let [anonymous, ..] = &WORK;
    let runtime = runtime()?;
    for _ in 0..plan.rounds.min(3) {
        for peer in PEERS {
            say(&format!("start: {}", peer.title()));
            let begin = Instant::now();
            let envoy = services.envoy(peer, 1, &[])?;
            runtime.block_on(Crowd::connect(envoy.port(), anonymous, 200))?;
            figures.add(Measure::Start, "1 worker", peer, begin.elapsed().as_secs_f64());
            figures.add(Measure::StartCpu, "1 worker", peer, envoy.cpu()?.as_secs_f64());
        }
    }
    for workers in WORKERS {
        for peer in [Peer::None, Peer::Noop, Peer::Jobscope] {
            say(&format!("memory: {}, {workers} workers", peer.title()));
            let envoy = services.envoy(peer, workers, &[])?;
            runtime.block_on(Crowd::connect(envoy.port(), anonymous, 200))?;
            let what = format!("idle, workers: {workers}");
            figures.add(Measure::Resident, what, peer, number(envoy.resident_bytes()?) / number(1 << 20));
        }
    }
    figures.add(Measure::Size, "wasm", Peer::Jobscope, number(fs::metadata(filter()?)?.len()) / number(1 << 10));
    Ok(())
}
