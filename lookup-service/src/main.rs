//! `jobscope-lookup`, the program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lookup_service::config::{self, Config, Surroundings};
use lookup_service::service::Service;
use tokio::signal::unix::{SignalKind, signal};

/// The token-lookup service of a fleet of Envoys with jobscope.
///
/// Exit codes: 0 it was told to end, and did; 1 it could not go on; 2 the configuration or the command line is wrong.
#[derive(Parser)]
#[command(version, name = "jobscope-lookup")]
struct Arguments {
    /// The configuration, a YAML file.
    #[arg(long, value_name = "FILE", env = "JOBSCOPE_LOOKUP_CONFIG")]
    config: PathBuf,
    /// Says what is wrong with the configuration, and starts nothing.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match read(&arguments) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("jobscope-lookup: {} cannot be used:\n{errors}", arguments.config.display());
            return ExitCode::from(2);
        }
    };
    if arguments.check {
        println!("{} is sound", arguments.config.display());
        return ExitCode::SUCCESS;
    }
    log_to_stderr(&config);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("jobscope-lookup: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn read(arguments: &Arguments) -> Result<Config, config::Errors> {
    let text = std::fs::read_to_string(&arguments.config)
        .map_err(|error| config::Errors(vec![format!("the document: {}", config::unread("the file", &error))]))?;
    let around = Surroundings { env: &|name| std::env::var(name).ok(), file: &|path| std::fs::read(path) };
    config::read(&text, &around)
}

fn log_to_stderr(config: &Config) {
    let level = config.level.parse().unwrap_or(tracing::Level::INFO);
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    if config.json_log { lines.json().init() } else { lines.init() }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let service = Service::start(config).await?;
    tracing::info!(address = %service.address, operations = %service.operations, "answering");
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    tracing::info!("told to end: answering what is under way");
    service.stop().await;
    Ok(())
}
