//! `make run` as people see it: a decision on a line, an end that leaves nothing behind, a sentence when it cannot start.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use host_tests::stack::checkout;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

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

/// A demo that runs, what it prints, and where.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
    offered: Vec<String>,
}

impl Running {
    /// Starts it with more arguments, and reads what it offers.
    fn start(more: &[&OsStr]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = demo(port).args(more).current_dir(checkout()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Self { child, lines, port, offered: Vec::new() };
        loop {
            let line = running.line();
            let is_last = line.starts_with("time ");
            running.offered.push(line);
            if is_last {
                return running;
            }
        }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the demo has not ended").unwrap()
    }

    /// A decision, and what is said below it up to the decision's number, which comes last.
    fn denial(&mut self, way: &str) -> (String, String, String) {
        let denial = std::iter::repeat_with(|| self.line()).find(|line| line.contains(way)).unwrap();
        let mut said = self.line().trim().to_owned();
        while !said.contains("Decision ") || !said.ends_with('.') {
            said = format!("{said} {}", self.line().trim());
        }
        let (_, decision) = said.rsplit_once("Decision ").unwrap();
        (denial, said.clone(), decision.trim_end_matches('.').to_owned())
    }

    /// Interrupts it, and gives what it says at its end.
    fn end(mut self) -> Vec<String> {
        let started = children(&self.child);
        assert_eq!(started.len(), 3, "Envoy, the registry, the forge");
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(!started.iter().any(|id| runs(*id)), "one of {started:?} is left");
        TcpListener::bind(("127.0.0.1", self.port)).expect("the port is free again");
        let run = checkout().join(".run").join(self.port.to_string());
        fs::remove_dir_all(run).unwrap();
        self.lines.map(Result::unwrap).collect()
    }
}

/// The status and the body of what the forge or jobscope answers to a job.
fn get(url: &str, token: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    let mut answer = agent.get(url).header("JOB-TOKEN", token).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn each_decision_is_a_line_and_an_interrupt_ends_everything() {
    let mut run = Running::start(&[]);
    let package = |project: &str, file: &str| {
        format!("http://127.0.0.1:{}/api/v4/projects/{project}/packages/generic/{file}", run.port)
    };
    let token = "glcbt-64_danaBuildsWeb000001";
    let (common, secrets) =
        (package("libs%2Fcommon", "tool/1.0/tool.txt"), package("infra%2Fsecrets", "keys/1.0/key.txt"));
    assert_eq!(get(&common, token).0, 200);
    let decision = run.line();
    for word in ["1001", "dana", "apps/web -> libs/common", "packages.generic.read", "allow"] {
        assert!(decision.contains(word), "no `{word}` in `{decision}`");
    }

    let (status, body) = get(&secrets, token);
    assert_eq!(status, 403);
    let (denial, said, decision) = run.denial("apps/web -> infra/secrets");
    assert!(denial.contains("allowlist.missing"), "{denial}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["error"], said, "what is shown is what the client was told");

    let log = format!(".run/{}/access.log", run.port);
    let summary = run.end();
    assert!(summary.iter().any(|line| *line == "Decisions: 1 allow, 1 deny"), "{summary:?}");
    assert!(summary.iter().any(|line| line.ends_with(&format!("jobscope explain {decision}"))), "{summary:?}");
    assert!(summary.iter().any(|line| line.ends_with(&format!("jobscope suggest --log {log}"))), "{summary:?}");
}

/// The configuration and the world that docs/demo.md shows.
fn documented() -> [String; 2] {
    let page = fs::read_to_string(checkout().join("docs/demo.md")).unwrap();
    let mut blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    [blocks.next().unwrap(), blocks.next().unwrap()]
}

#[test]
fn a_configuration_and_a_world_of_ones_own_are_tried_with_what_is_offered() {
    let dir = tempfile::tempdir().unwrap();
    let (config, world) = (dir.path().join("my.yaml"), dir.path().join("world.yaml"));
    let [own_configuration, own_world] = documented();
    fs::write(&config, own_configuration).unwrap();
    fs::write(&world, own_world).unwrap();
    let mut run = Running::start(&["--config".as_ref(), config.as_ref(), "--world".as_ref(), world.as_ref()]);
    let offered = run.offered.join("\n");
    let said = offered.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "the demo's own are forge.hosts, forge.relative_url_root, lookup, and Envoy around it.",
        "Job 501, shop/till@main as eve:",
    ] {
        assert!(said.contains(part), "no `{part}` in {offered}");
    }

    // Each command is typed as it stands, and ends as is said above it.
    let home = dir.path().join("home");
    fs::create_dir_all(&home).unwrap();
    let commands: Vec<(&str, String)> = offered
        .split("  # ")
        .filter_map(|part| part.split_once('\n'))
        .filter(|(says, _)| ["allow, ", "deny, ", "untouched, "].iter().any(|verdict| says.starts_with(verdict)))
        .map(|(says, command)| (says, command.split("\n\n").next().unwrap().to_owned()))
        .collect();
    let kinds = |verdict: &str| commands.iter().filter(|(says, _)| says.starts_with(verdict)).count();
    assert_eq!((kinds("allow, "), kinds("deny, "), kinds("untouched, ")), (4, 4, 1), "{offered}");
    for (says, command) in &commands {
        let script = command.replace("curl ", "curl --fail --silent --show-error ");
        let mut typed = Command::new("bash");
        typed.args(["-c", &script]).current_dir(&home).env("HOME", &home).env("GIT_TERMINAL_PROMPT", "0");
        let ended = typed.output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.success(), !says.starts_with("deny, "), "{says}: {command}: {err}");
    }
    assert_eq!(fs::read_to_string(home.join("stock/README.md")).unwrap(), "shop/stock\n");

    let (denial, said, decision) = run.denial("shop/till -> shop/ledger");
    assert!(denial.contains("configuration.deny") && said.contains("The rule no-ledger "), "{denial} {said}");
    // The command stands beside the demo, and finds its log.
    let mut explain = Command::new(Path::new(env!("CARGO_BIN_EXE_jobscope-demo")).with_file_name("jobscope"));
    explain.args(["explain", &decision, "--for", "platform"]).current_dir(checkout()).env_remove("JOBSCOPE_LOG");
    let explained = explain.output().expect("jobscope is built: `make native`");
    let told = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.status.success(), "{}", String::from_utf8_lossy(&explained.stderr));
    for part in
        ["deny", "501, shop/till@main as eve", "git.read of shop/ledger", "no-ledger", "the team that runs the ingress"]
    {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    let summary = run.end();
    assert!(summary.iter().any(|line| line.starts_with("Decisions: ")), "{summary:?}");
}

#[test]
fn a_mistake_in_ones_own_files_is_told_with_its_place_and_nothing_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let (config, world) = (dir.path().join("my.yaml"), dir.path().join("world.yaml"));
    let [own_configuration, own_world] = documented();
    fs::write(&config, own_configuration.replace("id: no-ledger", "name: no-ledger")).unwrap();
    fs::write(&world, own_world.replace("eve: developer", "zed: developer")).unwrap();
    // Whoever starts anything fails: the port is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = demo(port).arg("--config").arg(&config).arg("--world").arg(&world).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = format!("jobscope-demo: {}:5: access.deny[0]", config.display());
    assert!(told.starts_with(&expected), "{told}");
    let expected = format!(
        "jobscope-demo: {}:4: projects[0].members: expected a username of the world, found `zed`",
        world.display()
    );
    assert!(told.contains(&expected), "{told}");
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
