//! The compiled filter.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, anyhow};
use wasmtime::{Config, Engine, Module};

/// A filter compiled once, cheap to clone and to share between tests.
#[derive(Clone)]
pub struct Filter {
    pub(super) engine: Engine,
    pub(super) module: Module,
}

impl Filter {
    /// Reads and compiles a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no WebAssembly module.
    pub fn load(path: impl AsRef<Path>) -> anyhow::Result<Filter> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(anyhow!("no filter at `{}`: build the filter first: make build", path.display()));
        }
        let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Filter::compile(&bytes).with_context(|| format!("cannot compile `{}`", path.display()))
    }

    /// Compiles a binary module.
    ///
    /// # Errors
    /// The bytes are no WebAssembly module.
    pub fn compile(bytes: &[u8]) -> anyhow::Result<Filter> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).map_err(|error| anyhow!("{error:?}"))?;
        let module = Module::new(&engine, bytes).map_err(|error| anyhow!("{error:?}"))?;
        Ok(Filter { engine, module })
    }

    /// The filter under test, compiled once per process: the file that the
    /// variable `JOBSCOPE_WASM` names, else what `make build` leaves behind.
    ///
    /// # Errors
    /// The filter is not built.
    pub fn under_test() -> anyhow::Result<Filter> {
        static FILTER: OnceLock<Result<Filter, String>> = OnceLock::new();
        FILTER
            .get_or_init(|| Filter::load(path_under_test()).map_err(|error| format!("{error:#}")))
            .clone()
            .map_err(anyhow::Error::msg)
    }
}

fn path_under_test() -> PathBuf {
    if let Some(path) = std::env::var_os("JOBSCOPE_WASM") {
        return path.into();
    }
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-wasip1/release/jobscope.wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_filter_says_what_to_do() {
        let error = Filter::load("nowhere/jobscope.wasm").err().unwrap();
        assert_eq!(error.to_string(), "no filter at `nowhere/jobscope.wasm`: build the filter first: make build");
    }
}
