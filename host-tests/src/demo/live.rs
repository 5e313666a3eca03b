//! `make run`: a running stack, what to try with it, and each decision as it is made.

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::client::Clients;
use super::play::prepare;
use super::print::{Format, Paint, decision_line, refusal};
use super::story::Story;
use super::summary::summary;
use crate::stack::decisions::{AccessLog, Entry};
use crate::stack::{Stack, signals};

/// Prints decisions until a signal ends this process; people get a summary then.
///
/// # Errors
///
/// When the world cannot be prepared, the log cannot be read, or a program of the stack ends.
pub fn run(story: &Story, stack: &Stack, format: Format) -> Result<()> {
    let clients = Clients::new(story, stack)?;
    prepare(story, &clients)?;
    let mut log = stack.access_log()?;
    let paint = Paint::of_stdout();
    match format {
        Format::Text => {
            print_offers(story, stack, &clients);
            let (all, path) = (stack.access_log()?, stack.dir().join("access.log"));
            signals::before_exit(move || {
                let text = summary(&all_entries(all), &path);
                // Who reads this may have ended first.
                let _ = std::io::stdout().write_all(text.as_bytes());
            });
        }
        Format::Json => {}
    }
    loop {
        stack.require_alive()?;
        for line in log.new_lines()? {
            let entry = Entry::parse(&line)?;
            if entry.is_decision() {
                match format {
                    Format::Text => {
                        println!("{}", decision_line(&entry, paint));
                        if let Some(refusal) = refusal(&entry, paint) {
                            println!("{refusal}");
                        }
                    }
                    Format::Json => println!("{line}"),
                }
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Every line that can be read.
fn all_entries(mut log: AccessLog) -> Vec<Entry> {
    let lines = log.new_lines().unwrap_or_default();
    lines.iter().filter_map(|line| Entry::parse(line).ok()).collect()
}

fn print_offers(story: &Story, stack: &Stack, clients: &Clients) {
    println!(
        "\njobscope runs: the forge is http://{}, the registry {}; files are in {}.\nTry in another terminal:\n",
        stack.forge_host(),
        stack.registry_host(),
        stack.dir().display(),
    );
    for offer in &story.offers {
        println!("  # {}", offer.say);
        for line in clients.expand(&offer.run).lines() {
            println!("  {line}");
        }
        println!();
    }
    println!("Each decision is a line here. Ctrl-C ends all of it.\n");
}
