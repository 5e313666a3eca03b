//! The program that reads a file of rows.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser};

use super::{Run, Verbosity, load};
use crate::host::Filter;

#[derive(Parser)]
struct Arguments {
    /// The rows.
    rows: PathBuf,
    /// What differs on purpose, and what is not ours to decide, with reasons.
    #[arg(long)]
    exceptions: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print also what differs on purpose, and how our reasons are called in the file.
    #[arg(long)]
    verbose: bool,
}

/// Reads the files that the command line names, has `run` compare every row, and prints what was found. Exits with 1
/// when a row differs, with 2 when nothing can be compared.
pub fn main<Document, Exceptions: Default>(
    about: &'static str,
    document: impl Fn(&str) -> Result<Document>,
    exceptions: impl Fn(&str) -> Result<Exceptions>,
    run: impl Fn(&Document, &Exceptions, &Filter) -> Result<Run>,
) -> ExitCode {
    let matches = Arguments::command().about(about).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let found = || {
        let document = load(&arguments.rows, document)?;
        let exceptions = arguments.exceptions.as_deref().map(|path| load(path, exceptions)).transpose()?;
        run(&document, &exceptions.unwrap_or_default(), &Filter::under_test()?)
    };
    match found() {
        Ok(found) => {
            if arguments.json {
                println!("{:#}", found.json());
            } else {
                let verbosity = if arguments.verbose { Verbosity::Verbose } else { Verbosity::Terse };
                print!("{}", found.text(verbosity));
            }
            if found.counts().1 == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
