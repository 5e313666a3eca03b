//! `make run` as people see it: a decision on a line, an end that leaves nothing behind, a sentence when it cannot start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use host_tests::stack::checkout;
use rustix::process::{Pid, Signal, kill_process};

fn demo(port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobscope-demo"));
    command.args(["run", "--port", &port.to_string()]);
    command
}

/// The programs that `parent` started.
fn children(parent: &Child) -> Vec<u32> {
    let id = parent.id();
    let mut found = Vec::new();
    // Each thread has children of its own.
    for thread in fs::read_dir(format!("/proc/{id}/task")).unwrap() {
        let children = thread.unwrap().path().join("children");
        let list = fs::read_to_string(children).unwrap_or_default();
        found.extend(list.split_whitespace().map(|id| id.parse::<u32>().unwrap()));
    }
    found
}

fn runs(id: u32) -> bool {
    // A process that ended and that nobody has asked about has no command line any more.
    fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn each_decision_is_a_line_and_an_interrupt_ends_everything() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut run = demo(port).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Ctrl-C ends all of it")), "the demo did not start");

    let url = format!("http://127.0.0.1:{port}/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt");
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
    let answer = agent.get(&url).header("JOB-TOKEN", "glcbt-64_danaBuildsWeb000001").call().unwrap();
    assert_eq!(answer.status(), 200);
    let decision = lines.find(|line| !line.is_empty()).unwrap();
    for word in ["job 1001", "dana", "apps/web -> libs/common", "packages.generic.read", "allow"] {
        assert!(decision.contains(word), "no `{word}` in `{decision}`");
    }

    let secrets = format!("http://127.0.0.1:{port}/api/v4/projects/infra%2Fsecrets/packages/generic/keys/1.0/key.txt");
    assert!(agent.get(&secrets).header("JOB-TOKEN", "glcbt-64_danaBuildsWeb000001").call().is_err());
    let denial = lines.find(|line| line.contains("apps/web -> infra/secrets")).unwrap();
    assert!(denial.contains("allowlist.missing"), "{denial}");
    let said = lines.next().unwrap();
    let (_, decision) = said.rsplit_once("; decision ").unwrap();

    let started = children(&run);
    assert_eq!(started.len(), 3, "Envoy, the registry, the forge");
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert!(run.wait().unwrap().success());
    let summary: Vec<String> = lines.collect();
    let log = checkout().join(".run").join(port.to_string()).join("access.log");
    let explain = format!("  jobscope explain --decision {decision} --log '{}'", log.display());
    assert!(summary.iter().any(|line| *line == "Decisions: 1 allow, 1 deny"), "{summary:?}");
    assert!(summary.contains(&explain), "{summary:?}");
    assert!(!started.iter().any(|id| runs(*id)), "one of {started:?} is left");
    TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
    fs::remove_dir_all(checkout().join(".run").join(port.to_string())).unwrap();
}

#[test]
fn a_port_in_use_is_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = demo(port).output().unwrap();
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "jobscope-demo: port {port} is in use: end what listens there, or take another with `make run PORT=...`\n"
        )
    );
}
