//! The program that decides a file of rows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser};
use serde_json::json;

use super::clients::Clients;
use super::conformance::{Conformance, told};
use super::hostile::Hostile;
use super::{Kind, Report, Verbosity, load, read, run};
use crate::host::Filter;

/// Decides every row of a file twice, by the core and by the compiled filter, and compares it with what the row says must
/// come of it. Exits with 1 when a row differs, and with 2 when nothing can be compared.
#[derive(Parser)]
enum Arguments {
    /// Hostile requests, and how they must be read.
    Hostile(Files),
    /// What GitLab decides on a job token, in a world of the row.
    Conformance(Files),
    /// What real clients send, in a world that allows it and in one that does not.
    Clients(Files),
    /// What GitLab decides, as a JSON line a request: configuration, world, job, request, and the verdict. For other skins of
    /// the same core.
    Worlds {
        /// The rows.
        rows: PathBuf,
        /// What is not ours to decide.
        #[arg(long)]
        exceptions: PathBuf,
    },
}

#[derive(Args)]
struct Files {
    /// The rows.
    rows: PathBuf,
    /// What differs on purpose, and what is not ours to decide, with reasons.
    #[arg(long)]
    exceptions: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print also what differs on purpose.
    #[arg(long)]
    verbose: bool,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let found = match Arguments::parse() {
        Arguments::Hostile(files) => files.run::<Hostile>(),
        Arguments::Conformance(files) => files.run::<Conformance>(),
        Arguments::Clients(files) => files.run::<Clients>(),
        Arguments::Worlds { rows, exceptions } => worlds(&rows, &exceptions),
    };
    found.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::from(2)
    })
}

fn worlds(rows: &Path, exceptions: &Path) -> Result<ExitCode> {
    for told in told(&read(rows)?, &read(exceptions)?)? {
        println!("{}", json!(told));
    }
    Ok(ExitCode::SUCCESS)
}

impl Files {
    fn run<K: Kind>(&self) -> Result<ExitCode> {
        let (kind, rows) = load::<K>(&self.rows, self.exceptions.as_deref())?;
        let report = run(&kind, &rows, &Filter::under_test()?)?;
        self.print(&report);
        Ok(if report.counts().1 == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, report: &Report) {
        if self.json {
            println!("{:#}", report.json());
        } else {
            print!("{}", report.text(if self.verbose { Verbosity::Verbose } else { Verbosity::Terse }));
        }
    }
}
