//! How long ten thousand targets with two hundred entries each take to load, and what they cost a decision.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a measurement may fail loudly")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use policy::Config;
use policy::access::Action;
use policy::facts::{Context, Job, JobId, Origin, ProjectId, ProjectPath};

const DECISIONS: u32 = 200_000;

/// A rule for each target that lets this many origins in, out of so many that there are.
fn document(targets: usize, entries: usize, origins: usize) -> String {
    let mut text = String::from(
        r#"{"forge": {"hosts": ["gitlab.example.com"]},
            "lookup": {"cluster": "c", "authority": "gitlab.example.com", "credential_env": "TOKEN"},
            "access": {"allow": ["#,
    );
    for target in 0..targets {
        let comma = if target == 0 { "" } else { "," };
        write!(text, r#"{comma}{{"id":"t-{target}","targets":["team-{}/target-{target}"],"origins":["#, target % 100)
            .unwrap();
        for entry in 0..entries {
            let comma = if entry == 0 { "" } else { "," };
            let origin = (target * entries + entry) % origins;
            write!(text, r#"{comma}"team-{}/origin-{origin}""#, origin % 100).unwrap();
        }
        text.push_str("]}");
    }
    text.push_str("]}}");
    text
}

fn measure(targets: usize, entries: usize, origins: usize) {
    let text = document(targets, entries, origins);
    let start = Instant::now();
    let config = Config::parse(text.as_bytes()).unwrap();
    let load = start.elapsed();
    let path = |path: &str| ProjectPath::parse(path).unwrap();
    let origin = Origin { id: ProjectId(1), path: path("team-0/origin-0") };
    let job = Job { id: JobId(1), user: None, origin, context: Context::default() };
    let target = path("team-0/target-0");
    assert!(config.access.say(&job, Some(&target), Action::ReadCode).admitted.is_some());
    let start = Instant::now();
    for _ in 0..DECISIONS {
        black_box(config.access.say(black_box(&job), Some(black_box(&target)), Action::ReadCode));
    }
    let decision = start.elapsed() / DECISIONS;
    println!(
        "{targets:>6} targets x {entries:>3} entries of {origins:>7} origins, {:>4.1} MB: loaded in {load:>9.1?}, a decision {decision:?}",
        f64::from(u32::try_from(text.len()).unwrap()) / 1e6
    );
}

fn main() {
    measure(1, 1, 1);
    measure(1_000, 200, 5_000);
    measure(10_000, 200, 20_000);
    measure(10_000, 200, 2_000_000);
}
