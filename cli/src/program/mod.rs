//! The command line: what is asked, and what comes of it.

mod arguments;
mod check;
mod decide;
mod doctor;
mod files;
mod log;
mod pace;
mod pages;
mod print;
mod reach;
mod replay;
mod signed;
mod suite;
mod verify;
mod watch;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

/// How a command ends, beside with an error.
pub(crate) enum End {
    /// As is hoped for.
    Good,
    /// Not as is hoped for: denied, wrong, different.
    Bad,
    /// Told as far as it can be, and not whole.
    Untold,
}

/// Why a question cannot be answered, in lines for a person.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    pub(crate) fn of(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// Tells a person.
    pub(crate) fn tell(&self) {
        for line in self.0.lines() {
            anstream::eprintln!("jobscope: {}", print::plain(&questions::setup::masked(line)));
        }
    }
}

pub(crate) fn run() -> ExitCode {
    let end = match Arguments::parse().command {
        Command::Check(asked) => check::run(&asked),
        Command::Doctor(asked) => doctor::run(&asked),
        Command::Decide(asked) => decide::run(&asked),
        Command::WhoCan(asked) => reach::who_can(&asked),
        Command::Can(asked) => reach::can(&asked),
        Command::Diff(asked) => reach::diff(&asked),
        Command::Explain(asked) => log::explain(&asked),
        Command::Suggest(asked) => log::suggest(&asked),
        Command::Replay(asked) => replay::run(&asked),
        Command::Test(asked) => suite::run(&asked),
        Command::Verify(asked) => verify::run(&asked),
        Command::Completions(asked) => pages::completions(&asked),
        Command::Man(asked) => pages::man(&asked),
    };
    match end {
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::Bad) => ExitCode::from(1),
        Ok(End::Untold) => ExitCode::from(2),
        Err(fault) => {
            fault.tell();
            ExitCode::from(2)
        }
    }
}
