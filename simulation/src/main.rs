//! Plays seeds, as many at a time as there are cores: `jobscope-simulate SEEDS STEPS [FIRST]`.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use simulation::{Failure, Tally};

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (seeds, steps, first) = match numbers[..] {
        [seeds, steps] => (seeds, steps, 0),
        [seeds, steps, first] => (seeds, steps, first),
        _ => {
            eprintln!("usage: jobscope-simulate SEEDS STEPS [FIRST]");
            return ExitCode::FAILURE;
        }
    };
    let began = Instant::now();
    match play(seeds, steps, first) {
        Ok(sum) => {
            let seconds = began.elapsed().as_secs_f64();
            let rate = (seeds * steps) as f64 / seconds;
            println!("{} steps in {seconds:.1} s, {rate:.0} a second: {sum}", seeds * steps);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}\nagain with: make simulate SEEDS=1 STEPS={steps} FIRST={}", failure.seed);
            ExitCode::FAILURE
        }
    }
}

/// Plays each seed once. The first that goes wrong ends it.
fn play(seeds: u64, steps: u64, first: u64) -> Result<Tally, Box<Failure>> {
    let (next, end) = (AtomicU64::new(first), first + seeds);
    let tenth = (seeds / 10).max(1);
    let player = || {
        let mut sum = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok(sum);
            }
            if seed > first && (seed - first).is_multiple_of(tenth) {
                eprintln!("{} of {seeds} seeds", seed - first);
            }
            match simulation::run(seed, usize::try_from(steps).unwrap_or(usize::MAX), None) {
                Ok(tally) => sum += tally,
                Err(failure) => {
                    next.store(end, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let sums: Result<Vec<Tally>, _> = thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(player)).collect();
        players.into_iter().map(|player| player.join().expect("a player panicked")).collect()
    });
    Ok(sums?.into_iter().fold(Tally::default(), |mut sum, tally| {
        sum += tally;
        sum
    }))
}
