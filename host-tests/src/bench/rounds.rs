//! What a request costs Envoy: each kind, by each peer, one behind the other and then from the beginning, so that what the
//! machine does besides meets all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use super::figure::{Figures, Measure};
use super::load::{Crowd, runtime};
use super::peer::Peer;
use super::stage::Services;
use super::work::{WORK, Work};
use super::{Plan, micros};
use crate::stack::Ingress;

pub(super) fn measure(plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let wanted: Vec<&'static Work> = WORK.iter().filter(|work| plan.wants(work.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut envoys = BTreeMap::new();
    for peer in wanted.iter().flat_map(|work| work.peers) {
        if !envoys.contains_key(peer) && services.has(*peer) {
            say(&format!("starting Envoy: {}", peer.title()));
            envoys.insert(*peer, services.envoy(*peer, 1, &[])?);
        }
    }
    if let Some(full) = envoys.get(&Peer::Full) {
        say("filling the tables");
        fill(full, plan.tokens)?;
    }
    for round in 1..=plan.rounds {
        for work in &wanted {
            say(&format!("round {round} of {}: {}", plan.rounds, work.name));
            for peer in work.peers {
                if let Some(envoy) = envoys.get(peer) {
                    slice(work, *peer, envoy, services, plan.slice, figures)?;
                }
            }
        }
    }
    Ok(())
}

/// Sends for so long, and divides by the answers.
fn slice(
    work: &'static Work,
    peer: Peer,
    envoy: &Ingress,
    services: &Services,
    time: Duration,
    figures: &mut Figures,
) -> Result<()> {
    runtime()?.block_on(async {
        let crowd = Crowd::connect(envoy.port(), work, work.expected(peer)).await?;
        let (before, service_before) = (envoy.cpu()?, services.cpu_for(peer)?);
        let answers = crowd.send(time).await?;
        figures.add(Measure::Cpu, work.name, peer, micros(envoy.cpu()? - before, answers));
        if let (Some(service), Some(before)) = (services.cpu_for(peer)?, service_before) {
            figures.add(Measure::Service, work.name, peer, micros(service - before, answers));
        }
        Ok(())
    })
}

/// Sends so many tokens of running jobs, each once.
pub(super) fn fill(envoy: &Ingress, tokens: u64) -> Result<()> {
    let cold = WORK.iter().find(|work| work.peers.contains(&Peer::Full) && work.is_numbered());
    let cold = cold.context("no request has a token of its own")?;
    runtime()?.block_on(async {
        let mut sent = 0;
        while sent < tokens {
            let crowd = Crowd::connect(envoy.port(), cold, 200).await?;
            sent += crowd.send(Duration::from_millis(500)).await?;
        }
        Ok(())
    })
}
