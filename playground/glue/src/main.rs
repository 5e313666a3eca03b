//! Writes the JavaScript between a page and its wasm, and the wasm compressed: WASM, and the directory to write to.

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::path::Path;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

/// More make it take longer, and hardly smaller.
const ITERATIONS: NonZeroU64 = NonZeroU64::new(5).unwrap();

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let wasm = arguments.next().context("expected a file of wasm")?;
    let out = arguments.next().context("expected a directory to write to")?;
    Bindgen::new()
        .input_path(wasm)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .out_name("jobscope")
        .generate(&out)?;
    let written = Path::new(&out).join("jobscope_bg.wasm");
    let options = zopfli::Options { iteration_count: ITERATIONS, ..zopfli::Options::default() };
    let bytes = fs::read(&written)?;
    zopfli::compress(
        options,
        zopfli::Format::Gzip,
        bytes.as_slice(),
        File::create(written.with_extension("wasm.gz"))?,
    )?;
    Ok(fs::remove_file(written)?)
}
