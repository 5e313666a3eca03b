//! `make run`: a running stack, what to try with it, and each decision as it is made.

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use policy::Config;
use questions::log::{Line, answer};
use questions::setup::Setup;

use super::own::Own;
use super::print::{Format, HEADINGS, Paint, decision_line, refusal, wrapped};
use super::scene;
use super::story::{Offer, Story};
use super::summary::{Command, summary};
use crate::stack::decisions::{AccessLog, Entry};
use crate::stack::{Stack, checkout, signals};

/// Prints decisions until a signal ends this process; people get a summary then. Without anything of their own they get the
/// story's world.
///
/// # Errors
///
/// When the world cannot be prepared, the log cannot be read, or a program of the stack ends.
pub fn run(own: Option<&Own>, stack: &Stack, format: Format) -> Result<()> {
    let config = Setup::of(stack.settings()?)?.config;
    let offers = match own {
        None => scene::of_story(Story::read(&checkout(), "story")?, stack)?,
        Some(own) => scene::of_own(own, &config, stack)?,
    };
    // What was done to prepare it is nobody's to read.
    let mut log = stack.access_log()?;
    log.new_lines()?;
    let paint = Paint::of_stdout();
    if format == Format::Text {
        let command = Command::here(&stack.dir().join("access.log"));
        print_offers(own, &offers, stack, &command);
        let all = stack.access_log()?;
        signals::before_exit(move || {
            let text = summary(&all_entries(all), &command);
            // Who reads this may have ended first.
            let _ = std::io::stdout().write_all(text.as_bytes());
        });
    }
    loop {
        stack.require_alive()?;
        for line in log.new_lines()? {
            let entry = Entry::parse(&line)?;
            if entry.is_decision() {
                match format {
                    Format::Text => print_decision(&line, &entry, &config, paint),
                    Format::Json => println!("{line}"),
                }
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn print_decision(line: &str, entry: &Entry, config: &Config, paint: Paint) {
    println!("{}", decision_line(entry, paint));
    let told = Line::parse(line.as_bytes()).and_then(|line| answer::sentence(config, &line));
    if let Some(refusal) = refusal(entry, told.as_deref(), paint) {
        println!("{refusal}");
    }
}

/// Every line that can be read.
fn all_entries(mut log: AccessLog) -> Vec<Entry> {
    let lines = log.new_lines().unwrap_or_default();
    lines.iter().filter_map(|line| Entry::parse(line).ok()).collect()
}

fn print_offers(own: Option<&Own>, offers: &[Offer], stack: &Stack, command: &Command) {
    let (forge, registry, dir) = (stack.forge_host(), stack.registry_host(), stack.dir().display());
    let runs = format!("jobscope runs: the forge is http://{forge}, the registry {registry}; files are in {dir}.");
    let said = own.into_iter().flat_map(|own| own.said.iter().cloned());
    println!();
    for line in std::iter::once(runs).chain(said) {
        println!("{}", wrapped(&line, 2).join("\n  "));
    }
    println!("Try in another terminal:\n");
    for offer in offers {
        println!("  # {}", offer.say);
        for line in offer.run.lines() {
            println!("  {line}");
        }
        println!();
    }
    let name = &command.name;
    println!("Each decision is a line here. `{name} explain DECISION` says more of one.");
    println!("Ctrl-C ends all of it.\n\n{HEADINGS}");
}
