//! `jobscope completions`, `jobscope man`.

use std::io::Write;

use clap::CommandFactory;

use super::arguments::{Arguments, Completions, Man};
use super::{End, Fault};

pub(crate) fn completions(asked: &Completions) -> Result<End, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Arguments::command(), "jobscope", &mut script);
    written(&script)
}

pub(crate) fn man(asked: &Man) -> Result<End, Fault> {
    let mut all = Arguments::command();
    // Pages of commands are called as Git's are, `jobscope-decide`.
    all.build();
    let command = match asked.command.as_deref() {
        None => all,
        Some(name) => {
            all.find_subcommand(name).cloned().ok_or_else(|| Fault(format!("there is no command `{name}`")))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| Fault::of(&error))?;
    written(&page)
}

/// Prints what is for a file, whatever the terminal.
fn written(bytes: &[u8]) -> Result<End, Fault> {
    std::io::stdout().write_all(bytes).map(|()| End::Good).map_err(|error| Fault::of(&error))
}
