//! What `jobscope suggest` reads out of a log lets the same requests pass, and no entry of it can be left out.
//!
//! The logs are made by deciding over worlds, and written as the filter and `envoy/envoy.yaml` write them. `UPDATE_GOLDEN=1`
//! writes the one that other tests read anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod groups;
mod replay;
mod rollout;
mod script;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use policy::choices::Detail;
use questions::deciding::{Answer, answers};
use questions::finding::{documents, only};
use questions::job::Caller;
use questions::lines::{self, Setting};
use questions::log::explain::{Explained, Reader};
use questions::log::suggest::{Entry, Suggestions, Way};
use questions::log::{self, Counts, Line};
use questions::reach::{People, people};
use questions::request::Request;
use questions::setup::Setup;
use serde_json::{Value, json};
use world::{Project, World};

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn setup(name: &str) -> Setup {
    let documents = documents(&fs::read_to_string(root(name)).unwrap()).unwrap();
    only(&documents).unwrap().setup().unwrap()
}

fn world(name: &str) -> World {
    World::parse(&fs::read_to_string(root(name)).unwrap()).unwrap()
}

/// The requests of a client's command.
fn requests(setup: &Setup, caller: &Caller, command: &str) -> Vec<Request> {
    let setting =
        Setting { config: &setup.config, job: &caller.job, token: &caller.secret, file: &|_| Some(Vec::new()) };
    lines::line(command, &setting).unwrap()
}

/// The line of a request, by its place in the log, as `log.allows: brief` has it.
fn line(answer: &Answer, at: usize) -> String {
    written(answer, at, Detail::Brief)
}

fn written(answer: &Answer, at: usize, allows: Detail) -> String {
    let mut account = answer.account.clone();
    let facts = account.pointer_mut("/asked/0/facts").and_then(Value::as_object_mut);
    for fact in facts.into_iter().flat_map(|facts| facts.values_mut()).filter(|fact| fact["source"] == "lookup") {
        fact["age"] = json!(12);
    }
    let record = answer.decision.as_ref().map(|decision| &decision.record);
    let why = record.filter(|record| record.verdict != "allow" || allows == Detail::Full).map(|_| account.to_string());
    json!({
        "start_time": format!("2026-11-26T{:02}:{:02}:{:02}.000Z", at / 3600, at / 60 % 60, at % 60),
        "job": record.map(|record| &record.job),
        "user": record.map(|record| &record.user),
        "origin": record.map(|record| &record.origin),
        "target": record.map(|record| &record.target),
        "action": record.map(|record| record.action),
        "verdict": record.map(|record| record.verdict),
        "reason": record.map(|record| record.reason),
        "rule": record.map(|record| &record.rule),
        "decision": record.map(|_| format!("{at:032x}")),
        "why": why,
        "method": answer.request.method,
        "authority": answer.request.authority,
        "path": answer.request.path.split('?').next(),
    })
    .to_string()
}

const COMMANDS: [&str; 7] = [
    "git clone https://forge.example.com/PATH.git",
    "git push https://forge.example.com/PATH.git",
    "docker pull registry.example.com/PATH/tool:1",
    "docker push registry.example.com/PATH/tool:1",
    "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/ID/packages/generic/a/1/f",
    "curl -T f -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/ID/packages/generic/a/1/f",
    "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/ID/environments",
];

/// Every request of every origin, starter, target and command.
fn all(setup: &Setup, world: &World) -> Vec<(Caller, Request)> {
    let mut all = Vec::new();
    for origin in &world.projects {
        for user in people(world, origin, People::Starters).into_iter().flatten() {
            let caller = Caller::of(&format!("{}@main as {}", origin.path, user.username), world).unwrap();
            for (target, command) in world.projects.iter().flat_map(|target| COMMANDS.map(|command| (target, command)))
            {
                let command = command.replace("PATH", &target.path).replace("ID", &target.id.to_string());
                all.extend(requests(setup, &caller, &command).into_iter().map(|request| (caller.clone(), request)));
            }
        }
    }
    all
}

fn decided(setup: &Setup, world: &World, (caller, request): &(Caller, Request)) -> Answer {
    answers(&setup.config, world, caller, std::slice::from_ref(request)).0.remove(0)
}

/// The configuration or the world with some entries.
fn with(way: Way, setup: &Setup, world: &World, entries: &[Entry]) -> (Setup, World) {
    let (mut document, mut world) = (setup.document.clone(), world.clone());
    for (at, entry) in entries.iter().enumerate() {
        if way == Way::Rules {
            let allow =
                document.pointer_mut("/access").unwrap().as_object_mut().unwrap().entry("allow").or_insert(json!([]));
            allow.as_array_mut().unwrap().push(entry.rule(&format!("seen-{at}")));
            continue;
        }
        let origin = world.project_at(entry.origin.as_str()).unwrap().id;
        let mut target = Project::clone(world.project_at(entry.target.as_str()).unwrap());
        let list = &mut target.allowlist;
        list.projects.retain(|id| *id != origin);
        list.projects.push(origin);
        list.of_projects.remove(&origin);
        if let Some(permissions) = &entry.permissions {
            list.of_projects.insert(origin, permissions.iter().map(|one| (*one).to_owned()).collect());
        }
        world.replace(target);
    }
    (Setup::of(document).unwrap(), world)
}

#[test]
fn what_is_suggested_lets_the_same_requests_pass_and_no_entry_can_be_left_out() {
    let mut seen = [(Way::Settings, 0, 0), (Way::Rules, 0, 0)];
    for (config, world_of) in [
        ("cli/tests/data/strict.json", "cli/tests/data/world.yaml"),
        ("cli/tests/data/observed.json", "cli/tests/data/world.yaml"),
        ("envoy/envoy.yaml", "envoy/demo/world.yaml"),
    ] {
        let (setup, world) = (setup(config), world(world_of));
        let setup = Setup::of({
            let mut document = setup.document;
            document.as_object_mut().unwrap().entry("access").or_insert(json!({}));
            document
        })
        .unwrap();
        let all = all(&setup, &world);
        let told: Vec<Line> = all
            .iter()
            .enumerate()
            .map(|(at, one)| Line::parse(line(&decided(&setup, &world, one), at).as_bytes()).unwrap())
            .collect();
        for (way, entries_seen, left_seen) in &mut seen {
            let mut suggestions = Suggestions::new(*way);
            told.iter().for_each(|line| suggestions.note(line));
            let entries: Vec<Entry> = suggestions.entries().into_iter().cloned().collect();
            let is_helped = |line: &(&Line, &(Caller, Request))| {
                let mut alone = Suggestions::new(*way);
                alone.note(line.0);
                !alone.entries().is_empty()
            };
            let helped: Vec<_> = told.iter().zip(&all).filter(is_helped).map(|(_, one)| one).collect();
            let passes =
                |setup: &Setup, world: &World, one: &(Caller, Request)| decided(setup, world, one).verdict().passes();
            let (then, there) = with(*way, &setup, &world, &entries);
            for one in &helped {
                assert!(
                    !passes(&setup, &world, one) && passes(&then, &there, one),
                    "{way:?} {config}: {}",
                    one.1.line()
                );
            }
            for left_out in &entries {
                let rest: Vec<Entry> = entries.iter().filter(|entry| *entry != left_out).cloned().collect();
                let (then, there) = with(*way, &setup, &world, &rest);
                assert!(helped.iter().any(|one| !passes(&then, &there, one)), "{way:?} {config}: {left_out:?}");
            }
            *entries_seen += entries.len();
            *left_seen += suggestions.left.values().sum::<u64>();
        }
    }
    assert!(seen.iter().all(|(_, entries, left)| *entries > 5 && *left > 20), "{seen:?}");
}

/// The log that the other tests read: a few jobs of one world, some of them twice.
fn access_log(allows: Detail) -> String {
    let (setup, world) = (setup("cli/tests/data/strict.json"), world("cli/tests/data/world.yaml"));
    let mut log = Vec::new();
    for (job, command) in [
        ("apps/web as dana", "git clone https://forge.example.com/libs/narrow.git"),
        ("apps/web as dana", "git clone https://forge.example.com/libs/tools.git"),
        ("libs/kept as dana", "git clone https://forge.example.com/libs/tools.git"),
        ("libs/kept as mia", "git clone https://forge.example.com/libs/tools.git"),
        (
            "libs/kept as mia",
            "curl -T f -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/16/packages/generic/a/1/f",
        ),
        ("apps/web as dana", "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/13/packages/generic/a/1/f"),
        ("apps/web as dana", "git clone https://forge.example.com/libs/two-steps.git"),
        ("apps/web as dana", "git clone https://forge.example.com/libs/kept.git"),
        ("apps/web as dana", "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/nowhere%2Fx"),
        ("apps/web as dana", "curl https://forge.example.com/users/sign_in"),
    ] {
        let caller = Caller::of(job, &world).unwrap();
        for request in requests(&setup, &caller, command) {
            let at = log.len();
            log.push(written(&decided(&setup, &world, &(caller.clone(), request)), at, allows) + "\n");
        }
    }
    log.concat()
}

#[test]
fn the_log_of_the_tests_is_what_is_decided() {
    let (path, now) = (root("cli/tests/data/access.log"), access_log(Detail::Brief));
    let (whole, full) = (root("cli/tests/data/full.log"), access_log(Detail::Full));
    // The same, as it is found after a bad night: lines cut off, and bytes that are no text.
    let cut =
        now.lines().enumerate().map(|(at, line)| if at % 4 == 1 { line.get(..line.len() / 2).unwrap() } else { line });
    let damaged = [cut.collect::<Vec<_>>().join("\n").as_bytes(), b"\n\0\xff\xfe\n[]\n"].concat();
    let broken = root("cli/tests/data/damaged.log");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
        fs::write(&whole, &full).unwrap();
        fs::write(&broken, &damaged).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap() == now && fs::read(broken).unwrap() == damaged);
    assert!(fs::read_to_string(whole).unwrap() == full);
}

#[test]
fn a_request_counts_once_however_much_it_asks_of_a_target() {
    let denied = |action: &str| {
        json!({"action": action, "path": "c/d", "denials": [{"rule": "inbound", "reason": "allowlist.missing"}],
            "needs": {"permissions": ["read_containers"], "permissions_when": "strict"}})
    };
    let account = json!({"asked": [denied("oci.pull"), denied("git.read")]});
    let line = json!({"origin": "a/b", "user": "dana", "verdict": "deny", "why": account.to_string()});
    let mut suggestions = Suggestions::new(Way::Rules);
    suggestions.note(&Line::parse(line.to_string().as_bytes()).unwrap());
    let entries = suggestions.entries();
    assert_eq!((entries.len(), entries[0].times, entries[0].actions.len()), (1, 1, 2));
}

#[test]
fn a_line_is_explained_alike_wherever_it_comes_from() {
    let log = access_log(Detail::Brief);
    let line = log.lines().find(|line| line.contains("allowlist.missing")).unwrap();
    let explain = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobscope"));
        command.arg("explain").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = command.spawn().unwrap();
        // Whoever is told the line does not read it.
        let _ = running.stdin.take().unwrap().write_all(format!("no line\n{line}\n").as_bytes());
        String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap()
    };
    let told = explain(&[]);
    assert!(told.starts_with("deny  the target's allowlist"), "{told}");
    assert_eq!(explain(&[line]), told);
    assert_eq!(explain(&["--decision", Line::parse(line.as_bytes()).unwrap().decision(), "--log", "-"]), told);
}

#[test]
fn what_a_log_holds_does_not_steer_a_terminal() {
    let evil = "x\u{7}\r\u{8}\u{9b}\u{202e}\u{2067}\u{200b}\u{feff}y";
    let account = json!({"asked": [{"path": evil, "facts": {evil: {"is": evil, "source": evil}},
        "rules": [{"rule": evil, "answer": evil, "says": evil}],
        "denials": [{"rule": evil, "configured": evil, "reason": evil}]}], "job": {"ref": evil}});
    let line = json!({"start_time": evil, "job": evil, "user": evil, "origin": evil, "target": evil, "action": evil,
        "verdict": "deny", "reason": evil, "rule": evil, "decision": evil, "why": account.to_string()});
    let seen = |c: char| c == '\n' || !c.is_control() && !"\u{202e}\u{2067}\u{200b}\u{feff}".contains(c);
    for more in [&[][..], &["--json"]] {
        let ran = Command::new(env!("CARGO_BIN_EXE_jobscope")).args(["explain", &line.to_string()]).args(more).output();
        let told = String::from_utf8(ran.unwrap().stdout).unwrap();
        assert!(told.contains('y') && told.chars().all(seen), "{told:?}");
    }
}

#[test]
fn the_rules_that_are_printed_are_those_that_are_suggested() {
    let mut suggestions = Suggestions::new(Way::Rules);
    let log = access_log(Detail::Brief);
    log::read(log.as_bytes(), &mut Counts::default(), |line| {
        suggestions.note(line);
        true
    })
    .unwrap();
    let entries = suggestions.entries();
    let rules: Vec<Value> = entries.iter().enumerate().map(|(at, one)| one.rule(&format!("seen-{}", at + 1))).collect();
    let ran = Command::new(env!("CARGO_BIN_EXE_jobscope"))
        .args(["suggest", "--as", "rules", "--log", "cli/tests/data/access.log"])
        .current_dir(root(""))
        .output()
        .unwrap();
    let printed: Value = serde_saphyr::from_str(&String::from_utf8(ran.stdout).unwrap()).unwrap();
    assert_eq!(printed, json!({"access": {"allow": rules}}));
    assert!(!rules.is_empty());
}

#[test]
fn a_log_that_lies_gets_nothing_into_a_command_and_no_secret_out() {
    let told = |origin: &str, path: &str, user: &str| {
        let account = json!({"asked": [{"action": "git.read", "path": path, "denials": [{"rule": "inbound", "reason": "allowlist.missing"}],
            "needs": {"permissions": ["read_repositories"], "permissions_when": "strict"}}]});
        let line = json!({"origin": origin, "user": user, "verdict": "deny", "reason": "allowlist.missing",
            "target": "job_token=hidden", "why": account.to_string()});
        Line::parse(line.to_string().as_bytes()).unwrap()
    };
    for (origin, path) in [
        ("a/b", "c/d'; rm -rf ~; '"),
        ("a/$(id)", "c/d"),
        ("a/b\"}) {x}", "c/d"),
        ("-", "c/d"),
        ("a/b", "c/d\n- id: x"),
        ("a/glpat-hidden", "c/d"),
    ] {
        for way in [Way::Settings, Way::Rules] {
            let mut suggestions = Suggestions::new(way);
            suggestions.note(&told(origin, path, "dana"));
            assert!(suggestions.entries().is_empty() && suggestions.left.len() == 1, "{origin} {path}");
        }
    }
    let line = told("a/b", "c/d", "glpat-hidden");
    let mut suggestions = Suggestions::new(Way::Settings);
    suggestions.note(&line);
    let explained = Explained::of(&line, Reader::Maintainer);
    let entry = suggestions.entries()[0].clone();
    assert_eq!(explained.how, [entry.command()]);
    let shown = format!("{}{}{:?}", entry.json(), explained.json(), explained.about());
    assert!(!shown.contains("hidden") && shown.contains("[secret]"), "{shown}");
    let words = shlex::split(&entry.command()).unwrap();
    assert_eq!(words.len(), 5);
    assert!(words[4].starts_with(
        "query=mutation {ciJobTokenScopeAddGroupOrProject(input: {projectPath: \"c/d\", targetPath: \"a/b\","
    ));
}
