//! A fleet to try things with, until Ctrl-C.

use std::fmt::Write;
use std::thread;

use anyhow::Result;
use serde_json::json;

use super::{Fleet, Size};
use crate::factory::{Factory, package, token_of};
use crate::stack::{Ingress, LookupService, signals};

/// What is started.
pub const LIVE: Size = Size { envoys: 2, replicas: 3 };

/// How many jobs run.
const JOBS: u64 = 1000;

/// Starts it, prints where everything is and what to try, and waits to be interrupted, which ends all of it.
///
/// # Errors
/// When a program does not start.
pub fn run() -> Result<()> {
    // Ctrl-C is how this ends when all is well.
    signals::end_children_on_signal(0)?;
    let forge = Factory::start()?;
    forge.populate(JOBS);
    let fleet = Fleet::start(LIVE, forge.port(), &[], &json!({}))?;
    println!("{}", offers(&fleet, forge.port())?);
    loop {
        thread::park();
    }
}

/// Where everything is, and what to try.
fn offers(fleet: &Fleet, forge: u16) -> Result<String> {
    let mut text = String::new();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let list = |all: Vec<String>| all.join("\n              ");
    let envoys = fleet.envoys().iter().map(|envoy| format!("http://{}", at(envoy.port())));
    let service = |one: &LookupService| {
        format!("{}, process {}, watched at http://{}/metrics", at(one.port()), one.process(), at(one.operations()))
    };
    writeln!(text, "Envoys        {}", list(envoys.collect()))?;
    writeln!(text, "Service       {}", list(fleet.services().iter().map(service).collect()))?;
    if let Some(redis) = fleet.redis() {
        let server = |what: &str, (port, process): (u16, u32)| format!("{what} {}, process {process}", at(port));
        let all = [server("master", redis.master())].into_iter();
        let all = all.chain(redis.replicas().map(|one| server("replica", one)));
        writeln!(
            text,
            "Redis         {}",
            list(all.chain(redis.sentinels().map(|one| server("Sentinel", one))).collect())
        )?;
    }
    writeln!(text, "Forge         http://{}, where the numbers from 1 to {JOBS} are jobs that run\n", at(forge))?;
    let [first, .., other] = fleet.envoys() else { return Ok(text) };
    let read = |envoy: &Ingress, job| {
        format!("curl -i -H 'job-token: {}' http://{}{}", token_of(job), at(envoy.port()), package(job, 0))
    };
    writeln!(text, "A job reads a package, at either Envoy:\n  {}\n  {}", read(first, 1), read(other, 1))?;
    let end = json!({"token": token_of(1), "state": "success"});
    writeln!(
        text,
        "Its runner reports the end at the first one, and within about a second the other answers the job 401:"
    )?;
    writeln!(
        text,
        "  curl -X PUT -H 'content-type: application/json' -d '{end}' http://{}/api/v4/jobs/1",
        at(first.port())
    )?;
    writeln!(
        text,
        "Kill what you like (`kill -9 PROCESS`) and try another job: number and token end on the same digits, one apart."
    )?;
    write!(text, "Ctrl-C ends all of it.")?;
    Ok(text)
}
