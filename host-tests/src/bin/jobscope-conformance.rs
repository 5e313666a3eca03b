//! Asks rows of what a forge decides on a job token, and says which are decided otherwise here.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host_tests::conformance::{Document, Exceptions, Run, Verbosity};
use host_tests::host::Filter;

/// Decides every row of a file twice, by the core and by the compiled filter, and compares it with what the forge does.
/// Exits with 1 when a row differs.
#[derive(Parser)]
struct Arguments {
    /// The rows.
    rows: PathBuf,
    /// What is not ours to decide, and what differs on purpose, with reasons.
    #[arg(long)]
    exceptions: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print also the rows that were skipped and those that differ on purpose.
    #[arg(long)]
    verbose: bool,
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
    let document = Document::load(&arguments.rows)?;
    let exceptions = arguments.exceptions.as_deref().map(Exceptions::load).transpose()?.unwrap_or_default();
    let run = Run::of(&document, &exceptions, &Filter::under_test()?)?;
    if arguments.json {
        println!("{:#}", run.json());
    } else {
        let verbosity = if arguments.verbose { Verbosity::Verbose } else { Verbosity::Terse };
        print!("{}", run.text(verbosity));
    }
    Ok(if run.counts().1 == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
