//! Lets many jobs live and die behind a real Envoy, and says whether its memory grows.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host_tests::soak::{self, Plan};

/// Lets jobs be born, work and end behind a real Envoy with the filter, sends it tokens that never lived, and watches its
/// resident memory. Exits with 1 when the second half of the work makes it grow: the first fills the tables.
#[derive(Parser)]
struct Arguments {
    /// How many jobs.
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    /// How many tokens that never lived.
    #[arg(long, default_value_t = 50_000)]
    junk: u64,
    /// Connections for jobs, and as many for the other tokens.
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// `bindings.capacity`: with many more jobs than this the tables are full after the first half.
    #[arg(long, default_value_t = 1024)]
    capacity: u32,
    /// How much the memory may grow in the second half, in MiB.
    #[arg(long, default_value_t = 8)]
    tolerance: u64,
    /// Print one JSON object at the end, and no lines before it.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { jobs, junk, connections, capacity, tolerance, json } = *arguments;
    let report = soak::run(Plan { jobs, junk, connections, capacity }, |sample| {
        if !json {
            println!("{sample}");
        }
    })?;
    let flat = report.growth() <= tolerance << 20;
    if json {
        println!("{:#}", report.json());
    } else {
        let (growth, lookups) = (report.growth() >> 10, report.lookups);
        let says = if flat { "flat" } else { "it grows" };
        println!("{says}: {growth} KiB more in the second half, {tolerance} MiB allowed; {lookups} tokens looked up");
    }
    Ok(if flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
