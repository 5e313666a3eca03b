//! Plays seeds: `jobscope-simulate SEEDS STEPS [FIRST]`.

use std::process::ExitCode;
use std::time::Instant;

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
    let (began, mut sum) = (Instant::now(), simulation::Tally::default());
    for seed in first..first + seeds {
        match simulation::run(seed, usize::try_from(steps).unwrap_or(usize::MAX), None) {
            Ok(tally) => sum += tally,
            Err(failure) => {
                println!("{failure}\nagain with: make simulate SEEDS=1 STEPS={steps} FIRST={seed}");
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{} steps in {seconds:.1} s, {:.0} a second: {sum}", seeds * steps, (seeds * steps) as f64 / seconds);
    ExitCode::SUCCESS
}
