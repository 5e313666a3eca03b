//! `jobscope doctor` in front of this forge, and of services that answer what no forge would.
//!
//! The command is the one that was built beside the forge: `cargo build -p jobscope-cli`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod live;

use std::fs;

use live::{Answer, Forge, Ran, Service, golden, jobscope, root};
use serde_json::{Value, json};

/// What becomes of the deployed configuration with the token of this user of the demo, at this address.
fn doctor(address: &str, token: &str, more: &[&str]) -> Ran {
    let words = [&["doctor", "envoy/envoy.yaml", "--address", address], more].concat();
    jobscope(&words, &[("JOBSCOPE_LOOKUP_TOKEN", token)])
}

const SERVICE: &str = "glpat-jobscope-lookup";

/// What is printed, without what is another each time: the address, how long calls took, and which took longest.
fn steady(text: &str, address: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.replace(address, "ADDRESS").lines() {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let (told, is_of_slowest) =
            (line.split(", to `").next().unwrap(), |line: &String| line.ends_with("the slowest answer"));
        match parts.as_slice() {
            [status, _, "ms", rest @ ..] => lines.push(format!("  {status}  {}", rest.join(" "))),
            _ if line.contains("the slowest answer") => lines.push(told.to_owned()),
            [_, ..] if line.starts_with("   ") && lines.last().is_some_and(is_of_slowest) => {}
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// The marks of a report in JSON, by what they are about.
fn mark(report: &Value, about: &str) -> (String, String) {
    let found = report["findings"].as_array().unwrap().iter().find(|one| one["about"] == about);
    let found = found.unwrap_or_else(|| panic!("nothing about {about} in {report:#}"));
    (found["mark"].as_str().unwrap().to_owned(), found["text"].as_str().unwrap().to_owned())
}

fn told(ran: &Ran, about: &str, expected: &str, part: &str) {
    let (mark, text) = mark(&ran.json(), about);
    assert!(mark == expected && text.contains(part), "{about}: {mark}: {text}");
}

#[test]
fn what_is_well_and_what_lacks_a_right_is_told_to_people() {
    let forge = Forge::start();
    let mut told = String::new();
    for (token, end) in [(SERVICE, 0), ("glpat-nora", 1), ("glpat-nobody", 1)] {
        let ran = doctor(&forge.address, token, &[]);
        assert_eq!(ran.end, end, "{}", ran.out);
        told += &format!("{}exit {end}\n\n", steady(&ran.out, &forge.address));
    }
    golden("doctor.txt", &told);
}

#[test]
fn the_token_of_who_is_no_administrator_fails_for_the_facts_that_need_one_and_no_other() {
    let forge = Forge::start();
    // Nora is a developer of apps/web, and of nothing else.
    let ran = doctor(&forge.address, "glpat-nora", &["--json"]);
    assert_eq!(ran.end, 1);
    told(&ran, "service account", "good", "nora, no administrator");
    told(&ran, "facts.membership", "good", "apps/web; who is no administrator needs the same right");
    told(&ran, "facts.visibility", "good", "apps/web");
    told(&ran, "facts.external", "error", "needs the right: administrator");
    told(&ran, "facts.allowlists", "error", "Maintainer in every target");
    told(&ran, "packages of groups", "warning", "It needs the right: administrator, or Reporter in the group");
    // A project that the account does not see.
    let hidden = doctor(&forge.address, "glpat-nora", &["--json", "--target", "infra/secrets"]);
    told(&hidden, "facts.visibility", "error", "shows no project infra/secrets");
    // Who sees all is told once that there is none.
    let none = doctor(&forge.address, SERVICE, &["--json", "--target", "infra/nope"]);
    told(&none, "projects", "error", "there is no project infra/nope: check `--target`");
    assert!(none.end == 1 && !none.out.contains("facts.") && !none.out.contains("the right"), "{}", none.out);
}

#[test]
fn a_token_that_expires_is_told_before_and_afterwards() {
    let forge = Forge::start();
    for (airs, mark, part) in [
        (json!({"expires_at": "2020-01-31"}), "error", "does not take it: 401 (`Token is expired."),
        (json!({"expires_at": "9999-01-31"}), "good", "valid until 9999-01-31"),
        (json!({"scopes": ["read_repository"]}), "error", "needs `read_api`"),
        (json!({"scopes": ["api"]}), "warning", "`read_api` is enough"),
    ] {
        forge.airs(&airs);
        let ran = doctor(&forge.address, SERVICE, &["--json"]);
        told(&ran, "service token", mark, part);
        assert_eq!(ran.end, i32::from(mark == "error"), "{airs}");
    }
}

#[test]
fn a_clock_that_is_off_is_measured_and_the_bound_that_it_breaks_is_named() {
    let forge = Forge::start();
    for (ahead, mark, part) in [
        (0, "good", "less than 2 s"),
        (10, "warning", "clock is 9 s behind the forge's"),
        (-10, "warning", "s ahead of the forge's"),
        (-600, "error", "more than `bindings.revalidate_after` (30 s) and `bindings.max_stale` (5 min)"),
    ] {
        forge.airs(&json!({"clock_ahead": ahead}));
        let ran = doctor(&forge.address, SERVICE, &["--json"]);
        // The forge writes whole seconds: of ten it is nine that are certain.
        let (found, text) = self::mark(&ran.json(), "clock");
        assert!(found == mark && text.replace("10 s", "9 s").contains(part), "{ahead}: {found}: {text}");
        assert_eq!(ran.end, i32::from(mark == "error"));
    }
}

#[test]
fn another_version_than_the_configuration_takes_it_for_is_told() {
    let forge = Forge::start();
    forge.airs(&json!({"version": "18.2.1-ee"}));
    let ran = doctor(&forge.address, SERVICE, &["--json"]);
    told(&ran, "forge.version", "warning", "18.2, and the configuration takes it for the newest");
    assert_eq!(ran.end, 0, "a warning is no error");
}

#[test]
fn outbound_lists_rules_about_a_job_and_webhooks_are_asked_where_they_are_configured() {
    let forge = Forge::start();
    let config = live::configuration(&json!({
        "forge": {"hosts": ["forge.example.com"], "version": "lookup"},
        "lookup": {"cluster": "c", "authority": "forge.example.com", "credential_env": "JOBSCOPE_LOOKUP_TOKEN"},
        "facts": {"outbound": "lookup"},
        "access": {"deny": [{"id": "r", "when": {"protected": true}}]},
        "webhook": {"path": "/-/jobscope/webhook", "secret_env": "S"}
    }));
    let path = config.path().to_str().unwrap();
    let ask = || {
        let words = ["doctor", path, "--address", &forge.address, "--json"];
        jobscope(&words, &[("JOBSCOPE_LOOKUP_TOKEN", SERVICE)])
    };
    let ran = ask();
    told(&ran, "facts.outbound", "good", "libs/common to apps/web");
    told(&ran, "access rules", "good", "protected is shown for libs/common");
    told(&ran, "webhook", "warning", "none of apps/web and of the groups above it leads to `/-/jobscope/webhook`");
    let hook = |jobs: bool| json!([{"url": "https://forge.example.com/-/jobscope/webhook", "job_events": jobs}]);
    forge.airs(&json!({"hooks": {"apps": hook(false)}}));
    told(&ask(), "webhook", "error", "has not the trigger \"Job events\"");
    forge.airs(&json!({"hooks": {"apps": hook(true)}}));
    told(&ask(), "webhook", "good", "tells of jobs");
}

#[test]
fn what_is_no_forge_is_one_sentence_with_what_to_do() {
    let forge = Forge::start();
    let page = Service::start(|_, _| Answer::of(200, "text/html", "<!DOCTYPE html><p>Sign in, please.</p>"));
    let elsewhere =
        Service::start(|_, _| Answer { location: Some("https://sso.invalid/"), ..Answer::of(302, "text/plain", "") });
    let words = Service::start(|_, _| Answer::of(200, "application/json", r#"{"message": "hello"}"#));
    let down = Service::start(|_, _| Answer::of(503, "text/plain", "down"));
    let nobody = format!("http://127.0.0.1:{}", live::free_port());
    for (address, part) in [
        (
            page.address.as_str(),
            "it answers 200 with a page for people, and not in JSON: a login in front of the forge",
        ),
        (&elsewhere.address, "it answers 302, go to `https://sso.invalid/`, and the filter goes nowhere else"),
        (&words.address, "which the filter cannot take for an answer (lookup.answer)"),
        (&down.address, "it answers 503: the forge, or what stands in front of it, does not work now"),
        (&nobody, "nobody takes a connection there (connection refused): check machine and port"),
        ("http://forge.invalid", "no machine is called `forge.invalid`"),
        (
            &page.address.replace("http:", "https:"),
            "the connection ended before an answer came: check whether the port",
        ),
        (&forge.address.replace("http:", "https:"), "TLS failed: "),
    ] {
        let ran = doctor(address, SERVICE, &["--json"]);
        told(&ran, "lookup", "error", part);
        assert_eq!(ran.end, 1, "{address}");
        assert!(!ran.out.contains("service token"), "nothing more is asked");
    }
}

#[test]
fn what_an_answer_repeats_of_a_token_is_not_shown_whatever_it_looks_like() {
    const TOKEN: &str = "mycorp_pat_0123456789";
    let says = Service::start(|path, _| match path {
        "/api/v4/job" => Answer::of(401, "application/json", r#"{"message": "401 Unauthorized"}"#),
        _ => Answer::of(401, "application/json", &json!({"message": format!("401 bad {TOKEN}")}).to_string()),
    });
    let ran = doctor(&says.address, TOKEN, &["--json"]);
    told(&ran, "service token", "error", "does not take it: 401 (`401 bad [secret]`)");
    assert!(!ran.out.contains(TOKEN), "{}", ran.out);
    let leads = Service::start(|_, _| Answer {
        location: Some("https://sso.invalid/?t=mycorp_pat_0123456789"),
        ..Answer::of(302, "text/plain", "")
    });
    told(&doctor(&leads.address, TOKEN, &["--json"]), "lookup", "error", "go to `https://sso.invalid/?t=[secret]`");
}

#[test]
fn a_service_of_the_platform_team_is_asked_its_own_questions() {
    let right = Service::start(|path, body| {
        let asked: Value = serde_json::from_str(body).unwrap_or_default();
        let said = match (path, asked["ask"].as_str()) {
            ("/jobscope/v1/lookup", Some("token")) => json!({"version": 1, "token": "unknown"}),
            ("/jobscope/v1/lookup", Some("target")) => json!({"version": 1, "target": null}),
            ("/jobscope/v1/lookup", Some("holders")) => json!({"version": 1, "holders": null}),
            ("/jobscope/v1/changes?wait=25", _) => json!({"version": 1, "cursor": "a", "ended": []}),
            _ => return Answer::of(404, "application/json", "{}"),
        };
        Answer::of(200, "application/json", &said.to_string())
    });
    // Says nothing of what a job may do, and takes everybody for somebody.
    let wrong = Service::start(|_, body| {
        let said =
            if body.contains("\"token\"") { json!({"version": 1, "token": "foreign"}) } else { json!({"version": 1}) };
        Answer::of(200, "application/json", &said.to_string())
    });
    let config = live::configuration(&json!({
        "forge": {"kind": "generic", "hosts": ["forge.example.com"]},
        "lookup": {"cluster": "c", "authority": "lookup.example.com", "credential_env": "T", "changes": "on"}
    }));
    let path = config.path().to_str().unwrap();
    let ask = |service: &Service| {
        jobscope(&["doctor", path, "--address", &service.address, "--json"], &[("T", "a-service-token")])
    };
    let ran = ask(&right);
    assert_eq!(ran.end, 0, "{}", ran.out);
    for about in ["lookup", "question `target`", "question `holders`", "lookup.changes"] {
        told(&ran, about, "good", "");
    }
    assert!(!ran.out.contains("a-service-token"));
    let ran = ask(&wrong);
    assert_eq!(ran.end, 1);
    told(&ran, "lookup", "warning", "is called foreign");
    told(&ran, "question `target`", "error", "which is no answer that docs/token-lookup.md describes");
    told(&ran, "lookup.changes", "error", "no answer");
}

#[test]
fn a_forge_that_is_slow_or_says_nothing_is_told_with_what_a_request_would_get() {
    let forge = Forge::start();
    let config = live::configuration(&json!({
        "forge": {"hosts": ["forge.example.com"]},
        "lookup": {"cluster": "c", "authority": "forge.example.com", "credential_env": "JOBSCOPE_LOOKUP_TOKEN", "timeout": "400ms"}
    }));
    let words = ["doctor", config.path().to_str().unwrap(), "--address", &forge.address, "--json"];
    let ask = || jobscope(&words, &[("JOBSCOPE_LOOKUP_TOKEN", SERVICE)]);
    forge.fault(&json!({"lookup": "slow", "delay_ms": 450}));
    let slow = ask();
    told(&slow, "lookup.timeout", "error", "more than the 400 ms that a request waits: it would get 503");
    told(&slow, "facts.visibility", "good", "apps/web");
    forge.fault(&json!({"lookup": "hang"}));
    let silent = ask();
    told(&silent, "lookup", "error", "nothing was answered in 2 s: the forge has too much to do");
    assert_eq!((slow.end, silent.end), (1, 1));
    for (fault, part) in [("torn", "the connection ended before an answer came"), ("enormous", "longer than 4 MiB")] {
        forge.fault(&json!({"lookup": fault}));
        told(&ask(), "lookup", "error", part);
    }
}

#[test]
fn over_tls_the_certificate_must_be_for_the_name_that_the_cluster_asks_for() {
    let (service, certificate) = Service::start_tls("gitlab.internal", |path, _| match path {
        "/api/v4/job" => Answer::of(401, "application/json", r#"{"message": "401 Unauthorized"}"#),
        _ => Answer::of(404, "application/json", r#"{"message": "404 Not Found"}"#),
    });
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, certificate).unwrap();
    let ca = ca.to_str().unwrap();
    let port = service.address.rsplit(':').next().unwrap();
    let (before, cluster) = fs::read_to_string(root().join("envoy/envoy.yaml"))
        .map(|text| text.split_once("    - name: token-lookup").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap())
        .unwrap();
    let cluster =
        cluster.replace("address: forge.internal, port_value: 80", &format!("address: 127.0.0.1, port_value: {port}"));
    let ask = |tls: &str, more: &[&str]| {
        let file = folder.path().join("envoy.yaml");
        let socket = format!("transport_socket: {{name: tls, typed_config: {{{tls}}}}}");
        fs::write(&file, format!("{before}    - name: token-lookup\n      {socket}{cluster}")).unwrap();
        let words = [&["doctor", file.to_str().unwrap(), "--json"], more].concat();
        jobscope(&words, &[("JOBSCOPE_LOOKUP_TOKEN", SERVICE)])
    };
    let trusted = format!("common_tls_context: {{validation_context: {{trusted_ca: {{filename: {ca}}}}}}}");
    let named = ask(&format!("sni: gitlab.internal, {trusted}"), &[]);
    told(&named, "lookup", "good", "called unknown");
    told(&ask("sni: gitlab.internal", &["--ca", ca]), "lookup", "good", "called unknown");
    told(&ask("sni: gitlab.internal", &[]), "lookup", "error", "TLS failed: invalid peer certificate: UnknownIssuer");
    told(
        &ask(&format!("sni: other.internal, {trusted}"), &[]),
        "lookup",
        "error",
        "TLS failed: invalid peer certificate: certificate not valid for name",
    );
}

#[test]
fn what_cannot_be_asked_is_one_sentence() {
    let config = live::configuration(&json!({
        "forge": {"hosts": ["forge.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "forge.example.com", "credential_env": "NO_SUCH_VARIABLE"}
    }));
    let own = config.path().to_str().unwrap();
    for (words, said) in [
        (vec!["doctor", own], "the cluster `token-lookup` is not in this file: say where it leads, with `--address"),
        (
            vec!["doctor", own, "--address", "http://127.0.0.1:1"],
            "the variable that `lookup.credential_env` names is not in the environment",
        ),
        (
            vec!["doctor", "envoy/envoy.yaml", "--address", "forge"],
            "expected an address such as `https://gitlab.example.com`",
        ),
        (vec!["doctor", "envoy/envoy.yaml", "--token-file", "missing"], "cannot read `missing`"),
        (vec!["doctor", "envoy/envoy.yaml", "--token-file", "README.md"], "expected a token in `README.md`"),
        (
            vec!["doctor", "envoy/envoy.yaml", "--token-file", "cli/tests/data/token", "--target", "x"],
            "expected the path of a project",
        ),
        (
            vec![
                "doctor",
                "envoy/envoy.yaml",
                "--token-file",
                "cli/tests/data/token",
                "--address",
                "https://127.0.0.1:1",
                "--ca",
                "README.md",
            ],
            "expected certificates in PEM, found none in `README.md`",
        ),
    ] {
        let ran = jobscope(&words, &[]);
        assert!(
            ran.end == 2
                && ran.err.starts_with(&format!("jobscope: {said}"))
                // It may be the token itself.
                && !ran.err.contains("NO_SUCH_VARIABLE"),
            "{words:?}: {} {}",
            ran.end,
            ran.err
        );
    }
    assert!(root().join("envoy/envoy.yaml").is_file());
    // What can be read only once is.
    let deployed = fs::read_to_string(root().join("envoy/envoy.yaml")).unwrap();
    let here = format!("address: 127.0.0.1, port_value: {}", live::free_port());
    let deployed = deployed.replace("address: forge.internal, port_value: 80", &here);
    let ran = live::jobscope_of(&["doctor", "-", "--token-file", "cli/tests/data/token"], &[], &deployed);
    assert!(ran.end == 1 && ran.out.contains("nobody takes a connection there"), "{}{}", ran.out, ran.err);
}
