//! `jobscope who-can --forge`: what this forge is asked gives the rows that its world does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod live;

use std::io::Write;
use std::path::Path;

use live::{Forge, Ran, configuration, jobscope};
use serde_json::{Value, json};

const SERVICE: (&str, &str) = ("JOBSCOPE_LOOKUP_TOKEN", "glpat-jobscope-lookup");

/// A target, and the projects that it or its allowlist names.
type Listed = (&'static str, &'static [&'static str]);

const DEMO: [Listed; 8] = [
    ("apps/web", &["apps/web"]),
    ("libs/common", &["libs/common", "apps/web"]),
    ("infra/secrets", &["infra/secrets"]),
    ("containers/poetry", &["containers/poetry", "apps/web", "apps/deploy"]),
    ("libs/open", &["libs/open"]),
    ("apps/deploy", &["apps/deploy", "apps/web"]),
    ("libs/internal", &["libs/internal", "apps/web"]),
    ("php/greeter", &["php/greeter", "apps/web"]),
];

const OTHER: [Listed; 9] = [
    ("apps/web", &["apps/web"]),
    ("libs/two-steps", &["libs/two-steps"]),
    ("libs/narrow", &["libs/narrow", "apps/web"]),
    ("libs/kept", &["libs/kept", "apps/web", "apps/team/tool"]),
    ("libs/old", &["libs/old", "apps/web", "apps/team/tool"]),
    ("libs/tools", &["libs/tools"]),
    ("libs/pushed", &["libs/pushed", "apps/web"]),
    ("libs/unlimited", &["libs/unlimited"]),
    ("apps/team/tool", &["apps/team/tool"]),
];

const ACTIONS: [&str; 6] = ["git.read", "git.write", "oci.pull", "oci.push", "packages.generic.read", "jobs.read"];

/// Each way in one line.
fn ways(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.end, 0, "{}", ran.err);
    let mut ways: Vec<String> = ran.json()["ways"].as_array().unwrap().iter().map(Value::to_string).collect();
    ways.sort();
    ways
}

/// Compares what is told of a forge and of its world, and gives how often others are spoken of, and all that is told.
fn compared(world: &Path, config: &str, targets: &[Listed]) -> (usize, String) {
    let forge = Forge::over(world);
    let world = world.to_str().unwrap();
    let (mut open, mut all) = (0, String::new());
    for (action, (target, listed)) in ACTIONS.iter().flat_map(|action| targets.iter().map(move |it| (action, it))) {
        let ask = |words: &[&str]| {
            let begin = ["who-can", action, target, "--config", config, "--json"];
            jobscope(&[&begin, words].concat(), &[SERVICE])
        };
        let asked = ask(&["--forge", "--address", &forge.address]);
        let (told, unasked) = (ways(&asked), asked.json()["unasked"].to_string());
        let (listed, others): (Vec<String>, Vec<String>) = ways(&ask(&["--world", world]))
            .into_iter()
            .partition(|way| listed.iter().any(|path| way.contains(&format!("\"origin\":\"{path}\""))));
        assert_eq!(told, listed, "{action} {target}");
        // Whoever else may is spoken of.
        let by_rule = |way: &String| {
            way.contains("\"reason\":\"configuration.allow\"") && unasked.contains("a rule of `access.allow`")
        };
        let are_told = unasked.contains("jobs of other projects, which need no entry here (");
        assert!(are_told || others.iter().all(by_rule), "{action} {target}: {unasked} {others:?}");
        open += usize::from(are_told);
        all.extend(told);
    }
    (open, all)
}

#[test]
fn whom_the_forge_lists_reaches_what_it_does_in_the_world() {
    let (open, all) = compared(&live::root().join("envoy/demo/world.yaml"), "envoy/envoy.yaml", &DEMO);
    for reason in ["allowlist.project", "allowlist.group", "own-project", "anonymous-read"] {
        assert!(all.contains(&format!("\"reason\":\"{reason}\"")), "{reason}");
    }
    assert!(open > 0 && open < ACTIONS.len() * 2, "the public and the internal one: {open}");
}

#[test]
fn outbound_lists_single_permissions_subgroups_and_open_projects_count_as_in_the_world() {
    let text = std::fs::read_to_string(live::root().join("cli/tests/data/world.yaml")).unwrap();
    let service = "  - {id: 90, username: jobscope, admin: true, token: glpat-jobscope-lookup}\ngroups:\n";
    let text =
        text.replace("groups:\n", &format!("{service}  - {{id: 7, path: apps/team, members: {{mia: maintainer}}}}\n"));
    let text = text.replace(
        "projects:\n",
        "projects:\n  - {id: 97, path: apps/team/tool}\n  - {id: 98, path: libs/unlimited, inbound_limit: false, members: {dana: reporter}}\n",
    );
    let mut world = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    world.write_all(text.as_bytes()).unwrap();
    let (open, all) = compared(world.path(), "cli/tests/data/strict.json", &OTHER);
    assert!(all.contains("\"origin\":\"apps/team/tool\",\"reason\":\"allowlist.group\""), "{all}");
    assert!(open > 0 && !all.contains("bea"), "who is blocked starts no jobs: {open}");
}

#[test]
fn people_are_told_of_whom_it_was_not_asked() {
    let forge = Forge::start();
    let ask = |target: &str| {
        let begin = ["who-can", "git.read", target, "--config", "envoy/envoy.yaml"];
        let ran = jobscope(&[&begin[..], &["--forge", "--address", &forge.address]].concat(), &[SERVICE]);
        assert_eq!(ran.end, 0, "{}", ran.err);
        let world = jobscope(&[&begin[..], &["--world", "envoy/demo/world.yaml"]].concat(), &[]);
        (ran.out, world.out)
    };
    let (told, world) = ask("containers/poetry");
    assert!(told.starts_with(&world) && told.contains("allowlist.group") && told.contains("asked in "), "{told}");
    assert!(!told.contains("Not asked about"), "{told}");
    let (told, _) = ask("libs/open");
    assert!(
        told.contains(
            "\n  nobody of whom was asked may\n\nNot asked about\n  jobs of other projects, which need no entry here ("
        ),
        "{told}"
    );
}

#[test]
fn what_cannot_be_told_is_said_and_no_good_end() {
    let forge = Forge::start();
    let v1 = configuration(&json!({
        "forge": {"hosts": ["forge.example.com"]},
        "lookup": {"api": "v1", "cluster": "c", "authority": "forge.example.com", "credential_env": SERVICE.0}
    }));
    let (v1, demo) = (v1.path().to_str().unwrap(), "envoy/envoy.yaml");
    let nobody = format!("http://127.0.0.1:{}", live::free_port());
    let world = ["--world", "envoy/demo/world.yaml"].as_slice();
    for (config, target, token, words, part) in [
        (
            demo,
            "libs/commons",
            SERVICE.1,
            ["--forge", "--address", &forge.address].as_slice(),
            "the forge shows no project `libs/commons`",
        ),
        (
            demo,
            "apps/web",
            "glpat-nora",
            &["--forge", "--address", &forge.address],
            "GET /api/v4/projects/101/job_token_scope/allowlist` answered 403",
        ),
        (demo, "apps/web", SERVICE.1, &["--forge", "--address", &nobody], "nobody takes a connection there"),
        (
            v1,
            "apps/web",
            SERVICE.1,
            &["--forge", "--address", &forge.address],
            "a service that answers `v1` is not asked for names; with `--world`",
        ),
        (demo, "apps/web", SERVICE.1, &["--forge", "--everybody"], "'--everybody'"),
        (demo, "apps/web", SERVICE.1, &[world, &["--address", "http://127.0.0.1:1"]].concat(), "go with `--forge`"),
    ] {
        let begin = ["who-can", "git.read", target, "--config", config];
        let ran = jobscope(&[&begin[..], words].concat(), &[("JOBSCOPE_LOOKUP_TOKEN", token)]);
        assert!(ran.end == 2 && ran.out.is_empty() && ran.err.contains(part), "{words:?}: {}{}", ran.out, ran.err);
    }
    let bare = jobscope(&["who-can", "git.read", "apps/web", "--forge"], &[SERVICE]);
    assert!(bare.end == 2 && bare.err.contains("--config"), "{}", bare.err);
}
