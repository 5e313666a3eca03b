//! `jobscope completions`, `jobscope man`.

use clap::CommandFactory;

use super::arguments::{Arguments, Completions, Man};
use super::print::out;
use super::{End, Fault};

pub(crate) fn completions(asked: &Completions) -> Result<End, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Arguments::command(), "jobscope", &mut script);
    out(&String::from_utf8_lossy(&script))?;
    Ok(End::Good)
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
    out(&String::from_utf8_lossy(&page))?;
    Ok(End::Good)
}
