//! A real Envoy without `allow_on_headers_stop_iteration`, which shows no body while its head waits: what can be set in Istio's
//! WasmPlugin and in Envoy Gateway's EnvoyExtensionPolicy.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::stack::{Answer, Delivery, Options, Registry, Stack, WORKERS};
use serde_json::{Value, json};

use super::lfs::{LOGO, WEB_JOB, batch, clone, git, login, objects, start_with};

/// Without the setting, and with `bodies` as it is here.
fn start(bodies: &str) -> Stack {
    start_with(&Options {
        registry: Registry::LeftOut,
        filter: vec![("/bodies", json!(bodies))],
        change: |envoy| assert!(without(envoy, "allow_on_headers_stop_iteration"), "it is set as deployed"),
        ..Options::picked()
    })
}

/// Removes a key, wherever it stands.
fn without(value: &mut Value, key: &str) -> bool {
    match value {
        Value::Object(members) => {
            let removed = members.remove(key).is_some();
            members.values_mut().fold(removed, |removed, member| without(member, key) || removed)
        }
        Value::Array(items) => items.iter_mut().any(|item| without(item, key)),
        _ => false,
    }
}

fn post(stack: &Stack, path: &str, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let host = stack.forge_host();
    let request = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\nContent-Length: {length}\r\n\r\n{body}");
    stack.raw(request.as_bytes(), Duration::from_secs(20)).unwrap()
}

fn get(stack: &Stack, path: &str) -> Answer {
    let (host, login) = (stack.forge_host(), STANDARD.encode(login()));
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {login}\r\n\r\n");
    stack.raw(request.as_bytes(), Duration::from_secs(20)).unwrap()
}

const TRIGGER: &str = "/api/v4/projects/101/trigger/pipeline";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const JWT: &str = "/jwt/auth?service=container_registry&scope=repository:apps/web:pull";

/// What a person's request is answered where the filter is not in its way: it reached the forge.
fn reaches_the_forge(stack: &Stack, answer: &Answer, path: &str) {
    let seen = stack.forge().requests().unwrap();
    assert!(seen.iter().any(|request| request["target"] == path), "{answer:?}\n{seen:?}");
}

#[test]
fn an_envoy_that_keeps_bodies_back_is_noticed_and_only_jobs_bodies_are_refused() {
    let stack = start("judge");
    let first = batch(&stack);
    assert!(first.status == Some(503) && first.text().contains("`bodies: leave`"), "{first:?}");
    assert!(first.took < Duration::from_secs(5), "{first:?}");
    // Each worker notices for itself, once.
    let then: Vec<Answer> = (0..8).map(|_| batch(&stack)).collect();
    assert!(then.iter().all(|answer| answer.status == Some(503)), "{then:?}");
    let slow = then.iter().filter(|answer| answer.took > Duration::from_millis(500)).count();
    assert!(slow < WORKERS as usize, "{then:?}");
    let log = fs::read_to_string(stack.dir().join("envoy.log")).unwrap();
    assert_eq!(log.matches("set `allow_on_headers_stop_iteration: true`").count(), 1 + slow, "{log}");

    post(&stack, TRIGGER, FORM, "token=glptt-persons&ref=main");
    reaches_the_forge(&stack, &then[0], TRIGGER);
    let clone = get(&stack, "/apps/web.git/info/refs?service=git-upload-pack");
    assert_eq!(clone.status, Some(200), "{clone:?}");
    let login = get(&stack, JWT);
    assert!(login.status == Some(200) && login.text().contains("token"), "{login:?}");
}

#[test]
fn an_answer_whose_body_is_kept_back_comes_all_the_same() {
    let stack = start("judge");
    let login = get(&stack, JWT);
    assert!(login.status == Some(200) && login.text().contains("token"), "{login:?}");
    assert!(login.took < Duration::from_secs(5), "{login:?}");
}

#[test]
fn where_bodies_are_left_jobs_and_people_work_by_their_heads() {
    let stack = start("leave");
    stack.forge().let_jobs_push("apps/web").unwrap();
    let own = format!("Basic {}", STANDARD.encode(login()));
    let web = clone(&stack, &login(), "web");
    assert_eq!(fs::read_to_string(web.join("assets/logo.bin")).unwrap(), LOGO);
    assert_eq!(objects(&stack), [("GET".to_owned(), own.clone())], "the job's own credential, and no other");
    fs::write(web.join("assets/logo.bin"), "another logo\n").unwrap();
    git(&stack, &web, &["commit", "--quiet", "--all", "--message", "another logo"]);
    git(&stack, &web, &["lfs", "push", "origin", "main"]);
    git(&stack, &web, &["push", "--quiet", "origin", "main"]);
    assert_eq!(objects(&stack).last(), Some(&("PUT".to_owned(), own)));
    let danas = clone(&stack, "dana:glpat-dana", "danas");
    assert_eq!(fs::read_to_string(danas.join("assets/logo.bin")).unwrap(), "another logo\n");

    let in_form = post(&stack, TRIGGER, FORM, &format!("token={WEB_JOB}&ref=main"));
    assert!(in_form.status == Some(400) && in_form.text().contains("body.left"), "{in_form:?}");
    stack.forge().forget_requests().unwrap();
    let persons = post(&stack, TRIGGER, FORM, "token=glptt-persons&ref=main");
    reaches_the_forge(&stack, &persons, TRIGGER);
    let login = get(&stack, JWT);
    assert!(login.status == Some(200) && login.text().contains("token"), "{login:?}");
}

fn takes_the_setting(delivery: Delivery) {
    let stack = start_with(&Options {
        registry: Registry::LeftOut,
        delivery,
        change: |envoy| assert!(without(envoy, "allow_on_headers_stop_iteration"), "it is set as deployed"),
        ..Options::picked()
    });
    let statuses = || (0..8).map(|_| batch(&stack).status).collect::<Vec<_>>();
    assert_eq!(statuses(), [Some(503); 8]);
    // Up to 1.39 Envoy keeps the filter that it has where nothing else of it is new.
    stack.deliver(&[("/log", json!({"allows": "full"}))], None).unwrap();
    assert_eq!(statuses(), [Some(200); 8]);
}

#[test]
fn the_setting_is_taken_with_its_listener_and_without_a_restart() {
    takes_the_setting(Delivery::Listener);
}

#[test]
fn the_setting_is_taken_with_the_filter_alone_and_without_a_restart() {
    takes_the_setting(Delivery::Filter);
}
