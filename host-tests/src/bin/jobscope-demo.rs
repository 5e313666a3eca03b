//! The demo: `run` for people to play with, `play` unattended, `validate` for a configuration of one's own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use host_tests::demo::{Chapter, Format, Own, Paint, Story, Wrong, chapters, options, play, print_step, run};
use host_tests::stack::{Behind, Options, Place, Port, Stack, checkout, signals, validate};

/// jobscope in a real Envoy, in front of a stand-in forge and a real container registry.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything, prints what to try and then each decision, until Ctrl-C.
    Run {
        /// Where Envoy listens, on 127.0.0.1.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// The filter's configuration, or a file of Envoy's with one in it, in place of the deployed one.
        #[arg(long)]
        config: Option<PathBuf>,
        /// A world in place of the demo's, see docs/world.schema.json.
        #[arg(long)]
        world: Option<PathBuf>,
        /// Print the access log's JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Plays the stories unattended; exits with 1 when a step surprises.
    Play {
        /// This one alone; without it, those that need no lookup service.
        #[arg(value_parser = ["story", "rollout", "identities"])]
        story: Option<String>,
        /// Print a JSON line for each step.
        #[arg(long)]
        json: bool,
    },
    /// Lets Envoy check a configuration, with the filter that was built.
    Validate {
        /// The configuration.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { port, config, world, json } => {
            Own::read(config.as_deref(), world.as_deref()).and_then(|own| run_until_ended(port, own, format(json)))
        }
        Command::Play { story, json } => play_once(story.as_deref(), format(json)),
        Command::Validate { file } => validate(&file).map(|()| {
            println!("Envoy accepts {}", file.display());
            ExitCode::SUCCESS
        }),
    };
    result.unwrap_or_else(|error| {
        for line in format!("{error:#}").lines() {
            eprintln!("jobscope-demo: {line}");
        }
        // What somebody brought is wrong: nothing was started.
        if error.is::<Wrong>() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

fn run_until_ended(port: u16, own: Option<Own>, format: Format) -> Result<ExitCode> {
    // Ctrl-C is how this ends when all is well.
    signals::end_children_on_signal(0)?;
    let as_brought = own.as_ref().map(|own| Options {
        settings: Some(own.settings.clone()),
        world: Some(own.world.clone()),
        ..Options::picked()
    });
    let stack = Stack::start(&Options {
        port: Port::Fixed(port),
        place: Place::At(checkout().join(".run").join(port.to_string())),
        ..as_brought.unwrap_or_else(options)
    })?;
    run(own.as_ref(), &stack, format)?;
    Ok(ExitCode::SUCCESS)
}

fn play_once(asked: Option<&str>, format: Format) -> Result<ExitCode> {
    let paint = Paint::of_stdout();
    let (mut steps, mut surprised) = (0, 0);
    let is_asked =
        |chapter: &Chapter| asked.map_or(chapter.stack.behind == Behind::Forge, |name| chapter.story == name);
    for Chapter { story, stack } in chapters().into_iter().filter(is_asked) {
        let story = Story::read(&checkout(), story)?;
        let mut stack = Stack::start(&stack)?;
        let mut part = String::new();
        let report = play(&story, &stack, |step| match format {
            Format::Json => println!("{}", serde_json::json!(step)),
            Format::Text => {
                if part != step.part {
                    part.clone_from(&step.part);
                    println!("{part}\n{}\n", "=".repeat(part.chars().count()));
                }
                print_step(step, paint);
            }
        })?;
        let surprises = report.surprises();
        (steps, surprised) = (steps + report.steps.len(), surprised + surprises.len());
        for step in &surprises {
            eprintln!("  {}: {}", step.say, step.surprises.join("; "));
        }
        if !surprises.is_empty() {
            eprintln!("The logs are in {}", stack.keep_dir().display());
        }
    }
    if surprised > 0 {
        eprintln!("{surprised} of {steps} steps surprised, see above.");
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("All {steps} steps went as told.");
    Ok(ExitCode::SUCCESS)
}
