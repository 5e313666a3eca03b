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

/// The command's own world, with a service account, a group below another one, and a project that limits nothing.
fn other() -> tempfile::NamedTempFile {
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
    world
}

#[test]
fn outbound_lists_single_permissions_subgroups_and_open_projects_count_as_in_the_world() {
    let world = other();
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

/// What `can` tells of an origin: of the world, and of the forge over it.
fn both(forge: &Forge, world: &Path, config: &str, words: &[&str]) -> (Ran, Ran) {
    let ask = |of: &[&str]| jobscope(&[&["can"], words, &["--config", config, "--json"], of].concat(), &[SERVICE]);
    let live = ["--forge", "--address", &forge.address, "--max-per-second", "1000"];
    (ask(&["--world", world.to_str().unwrap()]), ask(&live))
}

#[test]
fn what_jobs_reach_at_the_forge_is_what_they_do_in_its_world() {
    let (demo, other) = (live::root().join("envoy/demo/world.yaml"), other());
    let (mut reasons, mut told) = (String::new(), 0);
    for (world, config, listed) in
        [(demo.as_path(), "envoy/envoy.yaml", &DEMO[..]), (other.path(), "cli/tests/data/strict.json", &OTHER[..])]
    {
        let forge = Forge::over(world);
        let origins = listed.iter().map(|(origin, _)| vec![*origin]);
        let people = ["ada", "nobody", "dana"].into_iter().map(|user| vec!["apps/web", user]);
        for words in origins.chain(people) {
            let (world, asked) = both(&forge, world, config, &words);
            let (world, found) = (ways(&world), ways(&asked));
            assert_eq!(found, world, "{words:?}");
            let asked = asked.json();
            assert!(asked["unasked"] == json!([]) && asked["failed"] == json!([]), "{asked}");
            told += found.len();
            reasons.extend(found);
        }
    }
    for reason in ["allowlist.project", "allowlist.group", "own-project", "anonymous-read", "allowlist.off"] {
        assert!(reasons.contains(&format!("\"reason\":\"{reason}\"")), "{reason}");
    }
    assert!(told > 500, "{told}");
}

#[test]
fn every_page_of_the_projects_is_read_as_far_as_is_meant() {
    let mut world = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let mut text =
        "users: [{id: 1, username: dana}, {id: 90, username: jobscope, admin: true, token: glpat-jobscope-lookup}]
groups: [{id: 1, path: apps, members: {dana: developer}}]
projects:
"
        .to_owned();
    // The world has them in another order than their numbers.
    for id in (1..=230).rev() {
        let list = if id % 23 == 0 { ", allowlist: {projects: [apps/p1]}" } else { "" };
        text += &format!("  - {{id: {id}, path: apps/p{id}, archived: {}{list}}}\n", id % 2 == 0);
    }
    world.write_all(text.as_bytes()).unwrap();
    let forge = Forge::over(world.path());
    let (whole, asked) = both(&forge, world.path(), "envoy/envoy.yaml", &["apps/p1"]);
    assert_eq!(ways(&asked), ways(&whole));
    let calls = |ran: &Ran| {
        let made = ran.json()["calls"].as_array().unwrap().clone();
        made.iter().filter(|call| call["call"] == "GET /api/v4/projects").count()
    };
    assert!(asked.out.contains("apps/p230") && calls(&asked) == 4, "the last page is empty");
    assert!(asked.err.contains("asked about 230 of 230 projects, "), "{}", asked.err);
    let ask = |words: &[&str]| {
        let begin = ["can", "apps/p1", "--config", "envoy/envoy.yaml", "--json", "--max-per-second", "1000"];
        jobscope(&[&begin[..], &["--forge", "--address", &forge.address], words].concat(), &[SERVICE])
    };
    let paths = |ran: &Ran| {
        let ways = ran.json()["ways"].as_array().unwrap().clone();
        ways.iter().map(|way| way["target"].as_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    let few = ask(&["--limit", "22"]);
    assert_eq!(paths(&few), ["apps/p1".to_owned()].into());
    assert!(few.out.contains("projects beyond the first 22, by their numbers: raise `--limit`") && few.end == 0);
    let exact = ask(&["--limit", "230"]);
    assert!(exact.json()["unasked"] == json!([]) && paths(&exact).len() == 11, "{}", exact.out);
    let named = ask(&["--targets", "apps/p23", "apps/p46", "!apps/p46", "--limit", "1"]);
    assert_eq!((paths(&named), named.json()["unasked"].clone()), (["apps/p23".to_owned()].into(), json!([])));
}

#[test]
fn no_more_calls_go_in_a_second_than_may() {
    let forge = Forge::start();
    let words =
        ["can", "apps/web", "dana", "--config", "envoy/envoy.yaml", "--forge", "--address", &forge.address, "--json"];
    let began = std::time::Instant::now();
    let ran = jobscope(&[&words[..], &["--max-per-second", "20"]].concat(), &[SERVICE]);
    let (took, calls) = (began.elapsed(), ran.json()["calls"].as_array().unwrap().len());
    assert!(calls > 20 && took.as_secs_f64() >= (calls - 1) as f64 / 20.0, "{calls} in {took:?}");
}

#[test]
fn people_are_told_what_is_reached_and_what_could_not_be_asked() {
    let forge = Forge::start();
    let mut told = String::new();
    for (user, token, more, end) in [
        ("dana", SERVICE.1, &[][..], 0),
        ("nobody", SERVICE.1, &["--limit", "2"], 0),
        ("rex", SERVICE.1, &["--targets", "infra/**"], 0),
        // Nora is no administrator, and a developer of one project.
        ("dana", "glpat-nora", &["--targets", "apps/**", "libs/open"], 2),
    ] {
        let words = ["can", "apps/web", user, "--config", "envoy/envoy.yaml", "--max-per-second", "1000", "--forge"];
        let words = [&words[..], &["--address", &forge.address], more].concat();
        let ran = jobscope(&words, &[(SERVICE.0, token)]);
        assert_eq!(ran.end, end, "{}{}", ran.out, ran.err);
        let words = [&["can", "apps/web", user, "--forge"], more].concat();
        told += &format!("$ jobscope {}\n{}exit {end}\n\n", words.join(" "), ran.out);
    }
    live::golden("can.txt", &told);
}

#[test]
fn what_jobs_reach_is_not_told_where_it_cannot_be() {
    let forge = Forge::start();
    let nobody = format!("http://127.0.0.1:{}", live::free_port());
    for (words, address, token, part) in [
        (&["apps/wep"][..], &forge.address, SERVICE.1, "the forge shows no project `apps/wep` to the service account"),
        (&["apps/web", "zed"], &forge.address, SERVICE.1, "the forge has no user `zed`; a job behind which nobody"),
        (&["apps/web"], &nobody, SERVICE.1, "nobody takes a connection there"),
        (&["apps/web"], &forge.address, "glpat-nobody", "answered 401"),
        (&["apps/web", "--targets", "lib/**"], &forge.address, SERVICE.1, "no project that `--targets` names"),
        (
            &["apps/web", "--targets", "!libs/**"],
            &forge.address,
            SERVICE.1,
            "expected behind `--targets` projects such as",
        ),
        (&["apps/web", "--targets", "libs/*"], &forge.address, SERVICE.1, "found `libs/*`"),
        (&["apps/web", "--limit", "0"], &forge.address, SERVICE.1, "'--limit <LIMIT>'"),
        (&["apps/web", "--everybody"], &forge.address, SERVICE.1, "'--everybody'"),
    ] {
        let begin = ["can", "--config", "envoy/envoy.yaml", "--forge", "--address", address.as_str()];
        let ran = jobscope(&[&begin[..], words].concat(), &[(SERVICE.0, token)]);
        assert!(ran.end == 2 && ran.out.is_empty() && ran.err.contains(part), "{words:?}: {}{}", ran.out, ran.err);
    }
    let world = ["can", "apps/web", "--world", "envoy/demo/world.yaml", "--limit", "3"];
    let ran = jobscope(&world, &[]);
    assert!(ran.end == 2 && ran.err.contains("--forge"), "{}", ran.err);
    forge.fault(&json!({"lookup": "unavailable"}));
    let words = ["can", "apps/web", "--config", "envoy/envoy.yaml", "--forge", "--address", &forge.address];
    let ran = jobscope(&words, &[SERVICE]);
    assert!(ran.end == 2 && ran.err.contains("it answers 503"), "{}", ran.err);
}
