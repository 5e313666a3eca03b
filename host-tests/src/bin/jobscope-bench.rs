//! Measures what the filter costs, beside what else could stand in its place.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use host_tests::bench::{self, Plan};
use host_tests::stack::checkout;

/// Measures what the filter costs Envoy's CPU, memory and latency in interleaved rounds, beside no filter, filters that do
/// nothing, and services that are asked. Writes report.json and performance.svg; a whole run also docs/performance.md.
#[derive(Parser)]
struct Arguments {
    /// How often each is measured. The least of a few rounds is chance.
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// For how many milliseconds a kind of request is sent to a peer in each round.
    #[arg(long, default_value_t = 350)]
    slice: u64,
    /// How many jobs live and die for the measurement of memory.
    #[arg(long, default_value_t = 50_000)]
    dead_jobs: u64,
    /// Only these kinds of requests and measurements, with a `;` between them. Does not touch the documentation.
    #[arg(long, value_delimiter = ';')]
    only: Vec<String>,
    /// Print the names that --only takes.
    #[arg(long)]
    names: bool,
    /// Where the report goes; `target/bench` where it is left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let Arguments { rounds, slice, dead_jobs, only, names, out } = arguments;
    if names {
        bench::names().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let whole = only.is_empty();
    let begin = Instant::now();
    let slice = Duration::from_millis(slice);
    let report = bench::run(Plan { rounds, slice, dead_jobs, tokens: 40_000, only }, &|step| {
        eprintln!("{:>5} s  {step}", begin.elapsed().as_secs());
    })?;
    report.write(&out.unwrap_or_else(|| checkout().join("target/bench")))?;
    println!("{}", report.tables()?);
    if whole {
        report.publish()?;
    }
    Ok(())
}
