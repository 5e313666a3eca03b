//! What the command finds in the folder that it is started in, and what it notices there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jobscope");

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// A denial of its log.
const DENIAL: &str = "00000000000000000000000000000002";

fn asked(folder: &Path, words: &[&str], log: Option<&str>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(words).current_dir(folder).env_remove("JOBSCOPE_LOG").envs(log.map(|log| ("JOBSCOPE_LOG", log)));
    command.output().unwrap()
}

fn words(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn a_decision_is_explained_by_its_number_from_the_log_of_the_demo_that_runs_here() {
    let folder = tempfile::tempdir().unwrap();
    let by_name = asked(folder.path(), &["explain", DENIAL, "--log", &format!("{DATA}/access.log")], None);
    assert_eq!(by_name.status.code(), Some(0));
    assert!(words(&by_name.stdout).starts_with("deny  "));

    let none = asked(folder.path(), &["explain", DENIAL], None);
    assert_eq!(none.status.code(), Some(2));
    assert_eq!(
        words(&none.stderr),
        "jobscope: there is no log here: expected `.run/*/access.log` of a demo that `make run` started in this folder; name \
         another one with `--log FILE` or JOBSCOPE_LOG\n"
    );
    let by_variable = asked(folder.path(), &["explain", DENIAL], Some(&format!("{DATA}/access.log")));
    assert_eq!(by_variable.stdout, by_name.stdout);

    // Other demos ran there before, on other ports.
    for (port, log) in [("8080", "damaged.log"), ("9090", "access.log"), ("9999", "damaged.log")] {
        let run = folder.path().join(".run").join(port);
        fs::create_dir_all(&run).unwrap();
        fs::copy(format!("{DATA}/{log}"), run.join("access.log")).unwrap();
    }
    assert_eq!(asked(folder.path(), &["explain", DENIAL], None).stdout, by_name.stdout);
    assert_eq!(asked(folder.path(), &["explain", "--decision", DENIAL], None).stdout, by_name.stdout);
    assert_eq!(asked(folder.path(), &["explain", &format!("{DENIAL}.")], None).stdout, by_name.stdout);
    let first = asked(folder.path(), &["explain", "--log", ".run/9090/access.log"], None);
    assert!(words(&first.stdout).contains("decision  00000000000000000000000000000000\n"), "the first of the log");
    // Whichever log it stands in, and without a number the first of the first log.
    let [damaged, whole] = ["8080", "9090"].map(|port| format!(".run/{port}/access.log"));
    for logs in [[&whole, &damaged], [&damaged, &whole]] {
        let of_both = asked(folder.path(), &["explain", DENIAL, "--log", logs[0], "--log", logs[1]], None);
        assert_eq!(of_both.stdout, by_name.stdout, "{logs:?}");
    }
    let of_both = asked(folder.path(), &["explain", "--log", &whole, "--log", &damaged], None);
    assert_eq!(of_both.stdout, first.stdout);
    let unknown = asked(folder.path(), &["explain", "beef"], None);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(words(&unknown.stderr).starts_with("jobscope: there is no decision with the number `beef` in `.run/"));

    // A line of standard input is that, whatever log lies here.
    let empty = asked(folder.path(), &["explain"], Some("missing.log"));
    assert_eq!(
        words(&empty.stderr),
        "jobscope: there is no decision in standard input (0 decisions): expected lines of an access log about jobs' requests; `jobscope explain NUMBER` or `--log` names others\n"
    );
}

/// A command that watches, and what it prints.
struct Watching {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<std::process::ChildStderr>>,
}

impl Watching {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["test", "--watch", "policy-tests.yaml"]).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, out, err }
    }

    /// What is printed until it watches again.
    fn round(&mut self) -> String {
        let lines = self.out.by_ref().map(Result::unwrap);
        let mut round = Vec::new();
        for line in lines {
            let is_end = line.starts_with("Watching ");
            round.push(line);
            if is_end {
                return round.join("\n");
            }
        }
        panic!("it ended: {round:?}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn watched_tests_are_played_again_when_a_file_of_theirs_changes_and_a_broken_one_is_told_and_watched_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for name in ["policy-tests.yaml", "strict.json", "world.yaml"] {
        fs::copy(format!("{DATA}/{name}"), file(name)).unwrap();
    }
    let [tests, config, world] =
        ["policy-tests.yaml", "strict.json", "world.yaml"].map(|name| fs::read_to_string(file(name)).unwrap());
    let mut watching = Watching::start(folder.path());
    let good = watching.round();
    assert!(good.contains("4 passed, 0 failed") && good.ends_with("Watching 3 files; Ctrl-C ends it."), "{good}");

    // The test.
    fs::write(file("policy-tests.yaml"), tests.replace("expect: untouched", "expect: deny")).unwrap();
    assert!(watching.round().contains("3 passed, 1 failed"));
    fs::write(file("policy-tests.yaml"), "tests: [").unwrap();
    // What is half-written is told once more when it is whole; here it is broken for good.
    assert_eq!(watching.round(), "Watching 1 file; Ctrl-C ends it.");
    let told = watching.err.next().unwrap().unwrap();
    assert!(told.starts_with("jobscope: policy-tests.yaml"), "{told}");
    fs::write(file("policy-tests.yaml"), &tests).unwrap();
    assert_eq!(watching.round(), good);

    // The configuration, which is away and comes back.
    fs::remove_file(file("strict.json")).unwrap();
    assert_eq!(watching.round(), "Watching 3 files; Ctrl-C ends it.");
    assert_eq!(watching.err.next().unwrap().unwrap(), "jobscope: cannot read `strict.json`: no such file or directory");
    fs::write(file("strict.json"), &config).unwrap();
    assert_eq!(watching.round(), good);

    // The world.
    fs::write(file("world.yaml"), world.replace("dana", "zora")).unwrap();
    assert!(watching.round().contains("broken"));
    fs::write(file("world.yaml"), world).unwrap();
    assert_eq!(watching.round(), good);
}
