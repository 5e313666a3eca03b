//! A stand-in forge for the demo and the tests: GitLab's routes over a world in one YAML file.
//!
//! It is deliberately naive. Any running job's token is trusted everywhere: it clones,
//! pushes, deletes images and reads packages of every project, so that whatever is scoped
//! in a demo is scoped by jobscope in front of it, and by nothing else. Persons are held to
//! their membership, because they are what a job is compared with.
//!
//! It must not be used for anything but that. Passwords are in the world file in clear,
//! there is no TLS and no limit of rate or size, every request is kept with its credentials
//! for tests to read, and `/-/stand-in/` lets anybody who reaches it change everything.
//!
//! It is real where clients are: repositories are served by git's own HTTP backend, and
//! registry tokens are signed so that a real registry takes them.
//!
//! `--listen` with port 0 picks a port. When it is ready it prints one line of JSON to
//! standard output, `{"listening":…,"registry_certificate":…}`; everything else goes to
//! standard error. SIGTERM and SIGINT end it, and every child with it.

mod airs;
mod api;
mod archive;
mod caller;
mod clock;
mod forge;
mod git;
mod git_http;
mod id_tokens;
mod jobs;
mod lfs;
mod params;
mod received;
mod record;
mod registry;
mod reply;
mod repositories;
mod routes;
mod runner;
mod signer;
mod stand_in;
mod state;
mod target;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use clap::Parser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::forge::{Forge, Settings};
use crate::git::Git;
use crate::signer::Signer;
use world::World;

/// A deliberately naive forge for the demo and the tests of jobscope.
#[derive(Parser)]
struct Arguments {
    /// The world to serve, a YAML file.
    #[arg(long)]
    world: PathBuf,
    /// The directory for repositories, objects, packages and keys; made if it is missing.
    #[arg(long)]
    state: PathBuf,
    /// Where to listen; port 0 picks one.
    #[arg(long)]
    listen: SocketAddr,
    /// Scheme, host and port as clients see them, for every address in an answer. Without
    /// it, the address it listens on.
    #[arg(long)]
    external_url: Option<String>,
    /// The path everything is below, like `/gitlab`.
    #[arg(long, default_value = "")]
    relative_url_root: String,
    /// The service registry tokens are for.
    #[arg(long, default_value = "container_registry")]
    registry_service: String,
    /// Who says it signs registry tokens.
    #[arg(long, default_value = "jobscope-forge")]
    issuer: String,
}

/// The world in a file, and its text.
fn read(path: &Path) -> Result<(World, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the world `{}`", path.display()))?;
    let world = World::parse(&text).with_context(|| format!("in the world `{}`", path.display()))?;
    Ok((world, text))
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = relative_root(&arguments.relative_url_root)?;
    let (world, text) = read(&arguments.world)?;
    std::fs::create_dir_all(&arguments.state)
        .with_context(|| format!("cannot make the state directory `{}`", arguments.state.display()))?;
    // git and registries are given paths below it: they must not depend on a working directory.
    let state = arguments.state.canonicalize().context("cannot resolve the state directory")?;
    let heads = state::prepare(&world, &text, &state).await?;
    let signer = Signer::open(&state, &arguments.issuer)?;
    let certificate = signer.certificate().display().to_string();
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on `{}`", arguments.listen))?;
    let address = listener.local_addr()?.to_string();
    let external = arguments.external_url.unwrap_or_else(|| format!("http://{address}"));
    let settings = Settings {
        base: format!("{}{root}", external.trim_end_matches('/')),
        root,
        registry_service: arguments.registry_service,
        issuer: arguments.issuer,
        state,
    };
    let forge = Arc::new(Forge::new(settings, world, heads, Git::find().await?, signer));

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = Router::new().fallback(routes::serve).layer(DefaultBodyLimit::disable()).with_state(forge);
    let ready = json!({ "listening": address, "registry_certificate": certificate });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;

    // No graceful end: a route that hangs on purpose would hold it up. The runtime drops
    // every task on the way out, and with the tasks their children are killed.
    tokio::select! {
        served = axum::serve(listener, app) => served.context("the server stopped")?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn relative_root(written: &str) -> Result<String> {
    let root = written.trim_end_matches('/');
    if !root.is_empty() && !root.starts_with('/') {
        bail!("--relative-url-root: expected a path like `/gitlab`, found `{written}`");
    }
    Ok(root.to_owned())
}
