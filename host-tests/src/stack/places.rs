//! Where the programs and files are that the stack is made of.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The checkout that this program was built from.
#[must_use]
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The world of the demo.
#[must_use]
pub fn world() -> PathBuf {
    checkout().join("envoy/demo/world.yaml")
}

/// Envoy, as `scripts/setup` installs it, or the one of JOBSCOPE_ENVOY.
pub(super) fn envoy() -> Result<PathBuf> {
    present(chosen("JOBSCOPE_ENVOY", ".tools/envoy/bin/envoy"), "Envoy", "make setup")
}

/// What teams deploy, or the configuration of JOBSCOPE_ENVOY_YAML.
pub(super) fn configuration() -> PathBuf {
    chosen("JOBSCOPE_ENVOY_YAML", "envoy/envoy.yaml")
}

fn chosen(variable: &str, path: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| checkout().join(path), PathBuf::from)
}

/// Debian's build of the reference registry.
pub(super) fn registry() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/bin".into()])
        .map(|dir| dir.join("docker-registry"))
        .find(|program| program.is_file())
        .context("docker-registry is missing: type `make setup`")
}

/// The stand-in forge, beside the program that runs (or one up, for a test).
pub(super) fn forge() -> Result<PathBuf> {
    let dir = built()?;
    present(dir.join("jobscope-forge"), "the stand-in forge", "cargo build -p jobscope-forge")
}

/// The token-lookup service, in the same place. Nothing builds it on the way.
pub(super) fn lookup_service() -> Result<PathBuf> {
    let command = "cargo build -p jobscope-lookup-service";
    present(built()?.join("jobscope-lookup"), "the token-lookup service", command)
}

/// The filter that was built.
///
/// # Errors
///
/// When none was.
pub fn filter() -> Result<PathBuf> {
    if let Some(path) = env::var_os("JOBSCOPE_WASM") {
        return present(path.into(), "the filter of JOBSCOPE_WASM", "make build");
    }
    present(compiled("jobscope.wasm")?, "the filter", "make build")
}

/// The filter that does nothing, to be measured beside it.
pub(crate) fn guest() -> Result<PathBuf> {
    present(compiled("guest.wasm")?, "the filter that does nothing", "make guest")
}

/// The policy engine to measure beside it, where it was built.
pub(crate) fn engine() -> Option<PathBuf> {
    Some(checkout().join("host-tests/engine/target/release/jobscope-engine")).filter(|program| program.is_file())
}

fn compiled(name: &str) -> Result<PathBuf> {
    let dir = built()?;
    Ok(dir.parent().unwrap_or(&dir).join("wasm32-wasip1/release").join(name))
}

/// `target/debug`, or wherever cargo put this program and those beside it.
pub(crate) fn built() -> Result<PathBuf> {
    let program = env::current_exe().context("this program does not know where it is")?;
    let dir = program.parent().unwrap_or(Path::new("/"));
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir).to_owned() } else { dir.to_owned() })
}

fn present(path: PathBuf, what: &str, command: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{what} is missing at `{}`: type `{command}`", path.display());
    }
    Ok(path)
}
