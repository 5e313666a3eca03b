//! All of it put together: a service that runs, and is ended.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::http::uri::Scheme;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::api::{self, Api};
use crate::config::{Config, ForgeKind, StoreKind};
use crate::flights::Flights;
use crate::forge::Forge;
#[cfg(feature = "gitea")]
use crate::forge::gitea::Gitea;
use crate::forge::gitlab::Gitlab;
use crate::forge::oidc::Oidc;
use crate::metrics::Metrics;
use crate::operations;
use crate::server::{self, Serving};
use crate::store::Store;
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::sweep::Sweep;

/// A service that runs.
pub struct Service {
    /// Where it is asked.
    pub address: SocketAddr,
    /// Where it is watched.
    pub operations: SocketAddr,
    drains: watch::Sender<bool>,
    served: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

impl Service {
    /// Starts one.
    ///
    /// # Errors
    /// Where an address is not to be had.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Metrics::default();
        let store: Arc<dyn Store> = match config.store {
            StoreKind::Memory(capacity) => Arc::new(Memory::new(config.limits, capacity)),
            StoreKind::Redis(redis) => Redis::open(redis, config.forge.inquiry(), config.limits).context("store")?,
        };
        let forge: Arc<dyn Forge> = match config.forge {
            ForgeKind::Gitlab(settings) => {
                if settings.address.0 == Scheme::HTTP {
                    let why = "tokens go to the forge unprotected, unless something between has TLS";
                    tracing::warn!("`forge.url` is `http://`: {why}");
                }
                Arc::new(Gitlab::new(*settings, metrics.clone()))
            }
            #[cfg(feature = "gitea")]
            ForgeKind::Gitea(settings) => Arc::new(Gitea::new(*settings, metrics.clone())),
            ForgeKind::Oidc(settings) => Arc::new(Oidc::new(*settings, &metrics)),
        };
        let flights =
            Flights::new(Arc::clone(&store), Arc::clone(&forge), config.ages, config.timeout, metrics.clone());
        let (drains, is_draining) = watch::channel(false);

        let bind = |address: SocketAddr| async move {
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
        };
        let listener = bind(config.listen).await?;
        let watched = bind(config.operations).await?;
        let (address, operations) = (listener.local_addr()?, watched.local_addr()?);

        let sweep =
            Sweep { store: Arc::clone(&store), forge, pace: config.sweep, metrics: metrics.clone(), last: None };
        let router = operations::router(metrics.clone(), is_draining.clone());
        let others = vec![
            tokio::spawn(sweep.run()),
            tokio::spawn(async move {
                if let Err(error) = axum::serve(watched, router).await {
                    tracing::error!(%error, "metrics are no longer served");
                }
            }),
        ];
        let api = Arc::new(Api {
            callers: config.callers,
            flights,
            store,
            metrics,
            drains: is_draining.clone(),
            questions: Semaphore::new(config.max_questions),
            polls: Semaphore::new(config.max_polls),
            hooks: Semaphore::new(api::MOST_HOOKS),
        });
        let serving = Serving { tls: config.tls, max_connections: config.max_connections, drain: config.drain };
        let served = tokio::spawn(server::serve(listener, api::router(api), serving, is_draining));
        Ok(Self { address, operations, drains, served, others })
    }

    /// Says that it is about to end, answers what is under way, and ends it.
    pub async fn stop(self) {
        self.drains.send_replace(true);
        let _ = self.served.await;
        for other in self.others {
            other.abort();
        }
    }
}
