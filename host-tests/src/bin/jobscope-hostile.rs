//! Reads rows of hostile requests with the core and with the compiled filter, and says which are read wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host_tests::host::Filter;
use host_tests::hostile::{Document, Exceptions, Run, Verbosity};

/// Reads every row of a file twice, by the core and by the compiled filter, and compares it with what is expected.
/// Exits with 1 when a row differs.
#[derive(Parser)]
struct Arguments {
    /// The rows.
    rows: PathBuf,
    /// What differs on purpose, with reasons.
    #[arg(long)]
    exceptions: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print also what differs on purpose, and our reasons beside the file's.
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
