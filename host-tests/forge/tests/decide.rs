//! `jobscope decide --forge`: what this forge is asked gives the verdicts that its world does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod live;

use live::{Answer, Forge, Ran, Service, configuration, jobscope};
use serde_json::{Value, json};

const SERVICE: (&str, &str) = ("JOBSCOPE_LOOKUP_TOKEN", "glpat-jobscope-lookup");

/// What a decision says: how it ends, by which rule, for which reason, and what the client gets.
fn said(ran: &Ran) -> String {
    assert!(ran.end < 2, "{}", ran.err);
    let value = ran.json();
    let requests: Vec<_> = value["requests"].as_array().unwrap().iter().map(|one| &one["answer"]).collect();
    format!("{} {} {} {} {requests:?}", value["verdict"], value["rule"], value["reason"], value["job"])
}

fn of_world(job: &str, line: &[&str]) -> String {
    let begin = ["decide", "envoy/envoy.yaml", "--world", "envoy/demo/world.yaml", "--json", "--job", job, "--"];
    said(&jobscope(&[&begin, line].concat(), &[]))
}

fn of_forge(forge: &Forge, job: Option<&str>, token: &str, line: &[&str]) -> String {
    let begin = ["decide", "envoy/envoy.yaml", "--forge", "--address", &forge.address, "--json"];
    let job = job.map(|job| vec!["--job", job]).unwrap_or_default();
    said(&jobscope(&[&begin, job.as_slice(), &["--"], line].concat(), &[SERVICE, ("CI_JOB_TOKEN", token)]))
}

const TARGETS: [&str; 9] = [
    "apps/web",
    "libs/common",
    "infra/secrets",
    "containers/poetry",
    "libs/open",
    "apps/deploy",
    "libs/internal",
    "php/greeter",
    "libs/nothing",
];

/// The running jobs of the demo.
const JOBS: [(&str, &str, &str); 6] = [
    ("1001", "dana", "glcbt-64_danaBuildsWeb000001"),
    ("1002", "nora", "glcbt-64_noraBuildsWeb000002"),
    ("1003", "ada", "glcbt-64_adaBuildsWeb0000003"),
    ("1004", "gus", "glcbt-64_gusBuildsWeb0000004"),
    ("1005", "rex", "glcbt-64_rexBuildsWeb0000005"),
    ("1006", "nobody", "glcbt-64_triggerBuildsWeb006"),
];

#[test]
fn a_job_by_its_token_is_decided_on_as_in_the_world() {
    let forge = Forge::start();
    let mut verdicts = std::collections::BTreeSet::new();
    for (job, _, token) in JOBS {
        for target in TARGETS {
            let (clone, image) =
                (format!("https://forge.example.com/{target}.git"), format!("registry.example.com/{target}:1"));
            for line in [["git", "clone", clone.as_str()], ["docker", "pull", image.as_str()]] {
                let world = of_world(job, &line);
                assert_eq!(of_forge(&forge, None, token, &line), world, "{job} {line:?}");
                verdicts.insert(world.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>());
            }
        }
    }
    assert!(verdicts.len() > 6, "{verdicts:?}");
}

#[test]
fn a_job_that_is_spelled_is_decided_on_as_in_the_world() {
    let forge = Forge::start();
    for (_, user, _) in JOBS {
        let job = format!("apps/web@main as {user} in production by schedule");
        for target in TARGETS {
            let address = format!("https://forge.example.com/{target}.git");
            let line = ["git", "push", address.as_str()];
            assert_eq!(of_forge(&forge, Some(&job), "", &line), of_world(&job, &line), "{job} {target}");
        }
    }
}

#[test]
fn what_the_forge_does_not_tell_is_said_with_its_call() {
    let forge = Forge::start();
    let ask = |token: &str, words: &[&str]| {
        let begin = ["decide", "envoy/envoy.yaml", "--forge", "--address", &forge.address];
        let line = ["--", "git", "clone", "https://forge.example.com/apps/web.git"];
        jobscope(&[&begin, words, &line].concat(), &[("JOBSCOPE_LOOKUP_TOKEN", token)])
    };
    let nora = ask("glpat-nora", &["--job", "apps/web as dana"]);
    assert_eq!(nora.end, 1);
    for part in
        ["reason   lookup.rights", "HTTP/1.1 503", "What failed\n  `GET /api/v4/users/11` answered 200, without"]
    {
        assert!(nora.out.contains(part), "{}", nora.out);
    }
    for (words, part) in [
        (vec![], "expected `--job`, or the token of a running job in the environment variable `CI_JOB_TOKEN`"),
        (vec!["--job", "apps/wep as dana"], "the forge shows no project `apps/wep` to the service account"),
        (
            vec!["--job", "apps/web as zed"],
            "the forge has no user `zed`; a job behind which nobody stands is `as nobody`",
        ),
        (vec!["--job", "1001"], "expected a job such as `apps/web@main as dana`, or without `--job` its token in"),
    ] {
        let ran = ask(SERVICE.1, &words);
        assert!(ran.end == 2 && ran.err.starts_with(&format!("jobscope: {part}")), "{words:?}: {}", ran.err);
    }
    let token = "glcbt-64_nobodysAtAll000000";
    let ran = jobscope(
        &[
            "decide",
            "envoy/envoy.yaml",
            "--forge",
            "--address",
            &forge.address,
            "--",
            "git",
            "clone",
            "https://forge.example.com/libs/common.git",
        ],
        &[SERVICE, ("CI_JOB_TOKEN", token)],
    );
    assert!(
        ran.end == 2
            && ran.err.contains("calls the token unknown, and no job runs with it")
            && !ran.err.contains(token)
    );
    for token in ["glcbt-64_two lines\n", "glcbt-64_a\nb"] {
        let words = ["decide", "envoy/envoy.yaml", "--forge", "--address", &forge.address, "--", "git", "clone", "x"];
        let ran = jobscope(&words, &[SERVICE, ("CI_JOB_TOKEN", token)]);
        let said = "jobscope: expected a token in the environment variable `CI_JOB_TOKEN`, printable ASCII";
        assert!(ran.end == 2 && ran.err.starts_with(said), "{}", ran.err);
    }
    let both = jobscope(
        &[
            "decide",
            "envoy/envoy.yaml",
            "--world",
            "envoy/demo/world.yaml",
            "--address",
            "http://127.0.0.1:1",
            "--job",
            "1001",
            "--",
            "git",
            "clone",
            "https://forge.example.com/a/b.git",
        ],
        &[],
    );
    assert!(both.end == 2 && both.err.contains("go with `--forge`"), "{}", both.err);
}

#[test]
fn a_jobs_token_that_an_answer_repeats_is_not_shown_whatever_it_looks_like() {
    const TOKEN: &str = "mycorp_job_0123456789";
    let says = Service::start(|_, _| {
        Answer::of(400, "application/json", &json!({"message": format!("400 not for {TOKEN}")}).to_string())
    });
    let line = ["--", "git", "clone", "https://forge.example.com/apps/web.git"];
    let ran = jobscope(
        &[&["decide", "envoy/envoy.yaml", "--forge", "--address", &says.address], &line[..]].concat(),
        &[SERVICE, ("CI_JOB_TOKEN", TOKEN)],
    );
    assert!(ran.end == 2 && ran.err.contains("(`400 not for [secret]`)"), "{}{}", ran.out, ran.err);
    assert!(!format!("{}{}", ran.out, ran.err).contains(TOKEN), "{}{}", ran.out, ran.err);
}

#[test]
fn a_service_of_the_platform_team_is_asked_about_the_token_and_the_target() {
    let service = Service::start(|_, body| {
        let asked: Value = serde_json::from_str(body).unwrap();
        let said = if asked["ask"] == "token" {
            let job = json!({"id": 7, "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}});
            json!({"version": 1, "token": "running", "job": job})
        } else {
            let target = json!({"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": false});
            let is_common = asked["target"]["path"] == "libs/common";
            json!({"version": 1, "role": "reporter", "external": false, "admission": "project",
                "target": if is_common { target } else { Value::Null }})
        };
        Answer::of(200, "application/json", &said.to_string())
    });
    let file = configuration(&json!({
        "forge": {"hosts": ["forge.example.com"]},
        "lookup": {"api": "v1", "cluster": "c", "authority": "lookup.example.com", "credential_env": "T"}
    }));
    let ask = |target: &str, job: &[&str]| {
        let begin = ["decide", file.path().to_str().unwrap(), "--forge", "--address", &service.address, "--json"];
        let address = format!("https://forge.example.com/{target}.git");
        let line = ["--", "git", "clone", &address];
        jobscope(&[&begin, job, &line].concat(), &[("T", "a-service-token"), ("CI_JOB_TOKEN", JOBS[0].2)])
    };
    for (target, verdict, reason) in
        [("libs/common", "allow", "allowlist.project"), ("libs/other", "deny", "target.unknown")]
    {
        let decided = ask(target, &[]).json();
        assert_eq!((&decided["verdict"], &decided["reason"]), (&json!(verdict), &json!(reason)), "{decided:#}");
    }
    let spelled = ask("libs/common", &["--job", "apps/web as dana"]);
    assert!(spelled.end == 2 && spelled.err.contains("name a job by its token in `CI_JOB_TOKEN`"), "{}", spelled.err);
}
