//! How long an answer takes at a rate well below what Envoy can do. A request is due at its time, whether or not
//! the one before it was answered: what waits behind a slow one is counted too.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::figure::{Figures, Measure, quantile};
use super::peer::Peer;
use super::stage::Services;
use super::work::{git, info_refs, login};
use super::{Plan, millis};
use crate::soak::Client;

/// How many requests are due in a second.
const RATE: u32 = 1_500;

/// How many connections share them.
const CONNECTIONS: u32 = 16;

const PEERS: [Peer; 4] = [Peer::None, Peer::Copy, Peer::AuthzHttp, Peer::Jobscope];

pub(super) fn measure(plan: &Plan, services: &Services, say: &dyn Fn(&str), figures: &mut Figures) -> Result<()> {
    let envoys = services.envoys(&PEERS)?;
    let what = format!("git info/refs, {RATE} a second");
    // One round more, for what is only slow the first time.
    for round in 0..=plan.rounds.min(3) {
        for (peer, envoy) in &envoys {
            say(&format!("latency: {}", peer.title()));
            let took = open_loop(envoy.port(), plan.slice * 6)?;
            for (measure, part) in [(Measure::P50, 500), (Measure::P99, 990), (Measure::P999, 999)] {
                if round > 0 {
                    figures.add(measure, &what, *peer, quantile(took.clone(), part, 1_000));
                }
            }
        }
    }
    Ok(())
}

/// Milliseconds from when each request was due to its answer.
fn open_loop(port: u16, time: Duration) -> Result<Vec<f64>> {
    let took = Mutex::new(Vec::new());
    let request = git(login(info_refs()));
    let fields: Vec<(&str, &str)> = request.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let begin = Instant::now() + Duration::from_millis(50);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|first| {
                let (took, request, fields) = (&took, &request, &fields);
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::connect(port)?;
                    let mut mine = Vec::new();
                    for number in (first..).step_by(CONNECTIONS as usize) {
                        let due = Duration::from_secs(1) * number / RATE;
                        if due > time {
                            break;
                        }
                        thread::sleep((begin + due).saturating_duration_since(Instant::now()));
                        let answer = client.send(request.method, &request.path, fields, "")?;
                        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
                        mine.push(millis((begin + due).elapsed()));
                    }
                    took.lock().map_err(|_| anyhow!("a client panicked"))?.append(&mut mine);
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    Ok(took.into_inner()?)
}
