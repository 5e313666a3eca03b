//! Clients that each send the next request when they have the answer to the last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::work::{Protocol, Requests, Work};
use crate::traffic::{Answer, Fault, Http1, Http2, Request};

/// How many there are.
const CLIENTS: usize = 16;

/// When one gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What clients run in: one thread, so that they leave the rest of the machine to Envoy.
pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The number of the next request of those that each have their own.
static NEXT: AtomicU64 = AtomicU64::new(100);

pub(super) fn next_number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

enum Client {
    Http1(Http1),
    Http2(Http2),
}

impl Client {
    async fn send(&mut self, request: &Request) -> Result<Answer, Fault> {
        match self {
            Self::Http1(connection) => connection.send(request, PATIENCE).await,
            Self::Http2(connection) => connection.send(request, PATIENCE).await,
        }
    }
}

/// Clients that have sent a request each.
pub(super) struct Crowd {
    clients: Vec<Client>,
    work: &'static Work,
    status: u16,
}

impl Crowd {
    /// Connects them, and has them send so much as makes what follows warm.
    pub(super) async fn connect(port: u16, work: &'static Work, status: u16) -> Result<Self> {
        let mut clients = Vec::new();
        match work.protocol {
            Protocol::Http1 => {
                for _ in 0..CLIENTS {
                    clients.push(Client::Http1(Http1::open(port).await.map_err(of(work))?));
                }
            }
            Protocol::Http2 => {
                let connection = Http2::open(port).await.map_err(of(work))?;
                clients.extend((0..CLIENTS).map(|_| Client::Http2(connection.clone())));
            }
        }
        if let (Requests::After(first, _), Some(client)) = (work.requests, clients.first_mut()) {
            let answer = client.send(&first()).await.map_err(of(work))?;
            ensure!(answer.status == 200, "before {}: {answer:?}", work.name);
        }
        let mut crowd = Self { clients, work, status };
        for client in &mut crowd.clients {
            let request = work.requests.number(next_number());
            let answer = client.send(&request).await.map_err(of(work))?;
            ensure!(answer.status == status, "{}: {status} was expected, and not {answer:?}", work.name);
        }
        Ok(crowd)
    }

    /// Has them send for so long, and says how many answers came.
    pub(super) async fn send(self, time: Duration) -> Result<u64> {
        let Self { clients, work, status } = self;
        let end = Instant::now() + time;
        let mut sending = JoinSet::new();
        for mut client in clients {
            sending.spawn(async move {
                let mut request = work.requests.number(next_number());
                let mut answers = 0;
                while Instant::now() < end {
                    let answer = client.send(&request).await.map_err(of(work))?;
                    if answer.status != status {
                        bail!("{}: {status} was expected, and not {answer:?}", work.name);
                    }
                    answers += 1;
                    if work.is_numbered() {
                        request = work.requests.number(next_number());
                    }
                }
                Ok(answers)
            });
        }
        let mut answers = 0;
        while let Some(sent) = sending.join_next().await {
            answers += sent??;
        }
        Ok(answers)
    }
}

fn of(work: &Work) -> impl Fn(Fault) -> anyhow::Error {
    let name = work.name;
    move |fault| anyhow::anyhow!("{name}: {fault}")
}
