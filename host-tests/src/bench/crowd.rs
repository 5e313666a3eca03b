//! A thousand requests at once with one token that nobody knows yet: how often it is looked up.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::figure::{Figures, Measure};
use super::load::{PATIENCE, next_number, runtime};
use super::peer::Peer;
use super::stage::Services;
use super::{Plan, number, work};
use crate::traffic::Http1;

const CROWD: usize = 1_000;

pub(super) fn measure(_plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let runtime = runtime()?;
    for workers in [1, 2] {
        say(&format!("lookups: {workers} workers"));
        let envoy = services.envoy(Peer::Jobscope, workers, &[])?;
        let asked = services.lookups.tokens_asked();
        services.lookups.fall_silent();
        runtime.block_on(crowd(envoy.port(), || services.lookups.answer()))?;
        let asked = services.lookups.tokens_asked() - asked;
        let what = format!("1,000 at once with one new token, workers: {workers}");
        figures.add(Measure::Lookups, what, Peer::Jobscope, number(asked) / f64::from(workers));
    }
    Ok(())
}

/// All connect, then all send; `answer` is called when they have.
async fn crowd(port: u16, answer: impl Fn()) -> Result<()> {
    let request = work::cold(next_number());
    let mut connections = Vec::new();
    for _ in 0..CROWD {
        connections.push(Http1::open(port).await.map_err(|fault| anyhow::anyhow!("{fault}"))?);
    }
    let mut sending = JoinSet::new();
    for mut connection in connections {
        let request = request.clone();
        sending.spawn(async move { connection.send(&request, PATIENCE).await });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    answer();
    while let Some(sent) = sending.join_next().await {
        let answer = sent?.map_err(|fault| anyhow::anyhow!("{fault}"))?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(())
}
