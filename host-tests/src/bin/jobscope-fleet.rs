//! A fleet of Envoys with the token-lookup service: measured, or to be tried.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};
use host_tests::fleet::{self, Plan};
use host_tests::stack::checkout;

/// Envoys with the filter, replicas of the token-lookup service, and a Redis with its Sentinels, before a stand-in forge.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts two Envoys, three replicas of the service and a Redis with Sentinels, and prints what to try, until Ctrl-C.
    Run,
    /// Measures what the forge is asked with and without the service, how soon an end is known elsewhere, and what jobs take.
    Measure {
        /// The most Envoys.
        #[arg(long, default_value_t = 3)]
        envoys: usize,
        /// How many jobs run at a time.
        #[arg(long, default_value_t = 100)]
        jobs: u64,
        /// How many jobs end.
        #[arg(long, default_value_t = 100)]
        ends: u64,
        /// How many jobs the service remembers.
        #[arg(long, default_value_t = 10_000)]
        remembered: u64,
        /// Where the report goes; `target/fleet` where it is left out.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Put the tables into docs/operations.md.
        #[arg(long)]
        publish: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run => fleet::run_live(),
        Command::Measure { envoys, jobs, ends, remembered, out, publish } => {
            measure(Plan { envoys, jobs, ends, remembered }, out, publish)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jobscope-fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: Plan, out: Option<PathBuf>, publish: bool) -> Result<()> {
    let begin = Instant::now();
    let report = fleet::run(plan, &|step| eprintln!("{:>5} s  {step}", begin.elapsed().as_secs()))?;
    report.write(&out.unwrap_or_else(|| checkout().join("target/fleet")))?;
    println!("{}", report.tables()?);
    report.require_sound()?;
    if publish { report.publish() } else { Ok(()) }
}
