//! `jobscope check --forge`: names of a configuration that this forge does not have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod live;

use live::{Answer, Forge, Service, configuration, jobscope};
use serde_json::{Value, json};

const SERVICE: [(&str, &str); 1] = [("JOBSCOPE_LOOKUP_TOKEN", "glpat-jobscope-lookup")];

fn named(api: &str) -> Value {
    json!({
        "forge": {"hosts": ["forge.example.com"]},
        "lookup": {"cluster": "c", "authority": "forge.example.com", "credential_env": "JOBSCOPE_LOOKUP_TOKEN", "api": api},
        "facts": {"external": "configuration", "external_users": ["gus", "zed"]},
        "access": {"deny": [
            {"id": "a", "origins": ["apps/web", "apps/wep"], "targets": ["infra/**", "infro/**", "**"]},
        ]}
    })
}

/// What is said of names: how it weighs, and what.
fn names(config: &Value, words: &[&str]) -> Vec<String> {
    told(config, words, 0).0
}

/// The same, and what stands in standard error where it ends so.
fn told(config: &Value, words: &[&str], end: i32) -> (Vec<String>, String) {
    let file = configuration(config);
    let ran = jobscope(&[&["check", file.path().to_str().unwrap(), "--json"], words].concat(), &SERVICE);
    assert_eq!(ran.end, end, "{}{}", ran.out, ran.err);
    let report = ran.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let told = findings.map(|one| {
        format!(
            "{}: {}: {}",
            one["weight"].as_str().unwrap(),
            one["about"].as_str().unwrap(),
            one["text"].as_str().unwrap()
        )
    });
    let told = told.filter(|text| ["the names behind", " no ", "shows"].iter().any(|part| text.contains(part)));
    (told.collect(), ran.err)
}

#[test]
fn what_the_forge_does_not_show_is_a_warning_where_it_is_named() {
    let forge = Forge::start();
    let of_forge = names(&named("auto"), &["--forge", "--address", &forge.address]);
    let mut expected = [
        "warning: facts.external_users[1]: the forge shows the service account no user `zed`",
        "warning: access.deny[0].origins[1]: the forge shows the service account no project or group `apps/wep`",
        "warning: access.deny[0].targets[1]: the forge shows the service account no project or group `infro/**`",
    ]
    .map(str::to_owned);
    expected.sort();
    let mut told = of_forge;
    told.sort();
    assert_eq!(told, expected);
    let mut of_world = names(&named("auto"), &["--world", "envoy/demo/world.yaml"]);
    of_world.sort();
    let world = |text: &String| text.replace("the forge shows the service account no", "the world has no");
    assert_eq!(of_world, told.iter().map(world).collect::<Vec<_>>(), "as a world has it");
}

#[test]
fn what_cannot_be_told_is_unseen_asked_once_and_no_good_end() {
    let page = Service::start(|_, _| Answer::of(200, "text/html", "<!DOCTYPE html>"));
    let nobody = format!("http://127.0.0.1:{}", live::free_port());
    for (api, address, part) in [
        ("auto", page.address.as_str(), "it answers 200 with a page for people"),
        ("auto", &nobody, "nobody takes a connection there"),
        ("v1", &page.address, "a service that answers `v1` is not asked for names"),
    ] {
        let (told, said) = told(&named(api), &["--forge", "--address", address], 2);
        assert!(told.len() == 1 && told[0].starts_with("unseen: ") && told[0].contains(part), "{told:?}");
        assert!(said.starts_with("jobscope: not every name could be checked: ") && said.contains(part), "{said}");
        assert!(said.lines().count() == 1 && !said.contains("CI_JOB_TOKEN"), "{said}");
    }
}

#[test]
fn what_is_no_configuration_is_told_without_asking() {
    let ran = jobscope(&["check", "cli/tests/data/wrong.json", "--forge"], &[]);
    assert!(ran.end == 1 && ran.out.contains("unknown key, did you mean `access`"), "{}{}", ran.out, ran.err);
    let ran = jobscope(&["check", "envoy/envoy.yaml", "--address", "http://127.0.0.1:1"], &[]);
    assert!(ran.end == 2 && ran.err.contains("go with `--forge`"), "{}", ran.err);
}
