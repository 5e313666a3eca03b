//! What is behind each Envoy, and the Envoys.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

use super::peer::Peer;
use super::service::Service;
use super::{answerer, upstream};
use crate::stack::{Child, Ingress, Output, Setup, engine, guest};
use crate::traffic::{Lookups, raise_descriptors};

/// A policy engine, in a process of its own.
pub(super) struct Engine {
    process: Child,
    port: u16,
    _dir: TempDir,
}

impl Engine {
    fn start(program: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut process = Child::spawn("engine", dir.path(), Output::Read, &mut Command::new(program))?;
        let port = process.first_line()?.trim().parse()?;
        Ok(Self { process, port, _dir: dir })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn cpu(&self) -> Result<Duration> {
        self.process.cpu()
    }
}

/// The servers that all Envoys share.
pub(super) struct Services {
    pub(super) upstream: Service,
    pub(super) answerer: Service,
    pub(super) grpc_answerer: Service,
    pub(super) lookups: Lookups,
    /// Where it was built.
    pub(super) engine: Option<Engine>,
    guest: PathBuf,
    _runtime: Runtime,
}

impl Services {
    pub(super) fn start() -> Result<Self> {
        raise_descriptors()?;
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self {
            upstream: Service::start(upstream::serve)?,
            answerer: Service::start(upstream::serve)?,
            grpc_answerer: Service::start(answerer::serve)?,
            lookups: runtime.block_on(Lookups::start())?,
            engine: engine().map(|program| Engine::start(&program)).transpose()?,
            guest: guest()?,
            _runtime: runtime,
        })
    }

    /// The CPU that the service has had which a peer asks about each request.
    pub(super) fn cpu_for(&self, peer: Peer) -> Result<Option<Duration>> {
        match peer {
            Peer::AuthzHttp => self.answerer.cpu().map(Some),
            Peer::AuthzGrpc | Peer::ExtProc => self.grpc_answerer.cpu().map(Some),
            Peer::Engine => self.engine.as_ref().map(Engine::cpu).transpose(),
            _ => Ok(None),
        }
    }

    /// Whether there is all that a peer needs.
    pub(super) fn has(&self, peer: Peer) -> bool {
        peer != Peer::Engine || self.engine.is_some()
    }

    /// Starts an Envoy with this peer in it, and so many workers.
    pub(super) fn envoy(&self, peer: Peer, workers: u32, more: &[(&'static str, Value)]) -> Result<Ingress> {
        let mut filter = peer.settings();
        filter.extend_from_slice(more);
        Ingress::set_up(&Setup {
            forge: self.upstream.port(),
            registry: self.upstream.port(),
            token_lookup: self.lookups.port(),
            workers,
            filter: &filter,
            change: &|configuration| peer.replace(configuration, self),
        })
    }

    /// Starts an Envoy with one worker for each.
    pub(super) fn envoys(&self, peers: &[Peer]) -> Result<Vec<(Peer, Ingress)>> {
        peers.iter().map(|peer| Ok((*peer, self.envoy(*peer, 1, &[])?))).collect()
    }

    /// The wasm filter that does nothing, or this.
    pub(super) fn guest(&self, does: &str) -> Value {
        json!({"config": {"name": "guest", "vm_config": {"vm_id": "guest", "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": self.guest}}},
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": does}}})
    }
}
