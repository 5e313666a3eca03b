//! What the forge makes from a job's token, in a real Envoy in front of the reference registry.

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::stack::{Answer, Options, Registry, Stack};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const WEB_JOB: &str = "glcbt-64_danaBuildsWeb000001";
const SCOPE: &str = "scope=repository:apps/web/app:pull,push";

/// One request on a connection of its own. `host` is the forge's or the registry's.
fn send(stack: &Stack, host: &str, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        request.push_str(&format!("{header}\r\n"));
    }
    let mut request = request.into_bytes();
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    stack.raw(&request, Duration::from_secs(20)).unwrap()
}

fn basic() -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("gitlab-ci-token:{WEB_JOB}")))
}

/// The job asks for a registry token, as its client does after a challenge.
fn exchange(stack: &Stack) -> String {
    let line = format!("GET /jwt/auth?service=container_registry&{SCOPE}");
    let answer = send(stack, &stack.forge_host(), &line, &[&basic()], b"");
    assert_eq!(answer.status, Some(200), "{answer:?}");
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    format!("Authorization: Bearer {}", answer["token"].as_str().unwrap())
}

/// The path and query of the address where an upload goes on.
fn location(answer: &Answer) -> String {
    let location = answer.header("location").unwrap_or_else(|| panic!("{answer:?}"));
    let path = location.split_once("://").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap()..]);
    path.to_owned()
}

#[test]
fn a_registry_token_dies_with_its_job() {
    let stack = Stack::start(&Options::picked()).unwrap();
    let token = exchange(&stack);
    let list = || send(&stack, &stack.registry_host(), "GET /v2/apps/web/app/tags/list", &[&token], b"");
    let before = list();
    assert_eq!(before.status, Some(404), "the registry takes it, and has no such image yet: {before:?}");
    assert!(before.text().contains("NAME_UNKNOWN"), "{before:?}");

    let report = format!(r#"{{"token":"{WEB_JOB}","state":"success"}}"#);
    let json = "Content-Type: application/json";
    let ended = send(&stack, &stack.forge_host(), "PUT /api/v4/jobs/1001", &[json], report.as_bytes());
    assert_eq!(ended.status, Some(200), "{ended:?}");
    // On whichever worker the connections land.
    for _ in 0..8 {
        let after = list();
        assert_eq!(after.status, Some(401), "{after:?}");
        assert!(after.text().contains("token.ended"), "{after:?}");
    }
}

#[test]
fn neither_another_host_nor_other_letters_bring_a_registry_token_back() {
    let stack = Stack::start(&Options::picked()).unwrap();
    let token = exchange(&stack);
    let report = format!(r#"{{"token":"{WEB_JOB}","state":"success"}}"#);
    let json = "Content-Type: application/json";
    let ended = send(&stack, &stack.forge_host(), "PUT /api/v4/jobs/1001", &[json], report.as_bytes());
    assert_eq!(ended.status, Some(200), "{ended:?}");
    let list = |host: &str, token: &str| send(&stack, host, "GET /v2/apps/web/app/tags/list", &[token], b"");
    // Envoy passes over what stands behind the name.
    let host = stack.registry_host();
    let (name, _) = host.split_once(':').unwrap();
    for port in ["", "000443", "x", "1,evil", "@"] {
        let after = list(&format!("{name}:{port}"), &token);
        assert_eq!(after.status, Some(400), "{port}: {after:?}");
    }
    // And the registry passes over padding.
    for padded in [token.replacen('.', "=.", 1), token.replace('.', "==.")] {
        let after = list(&host, &padded);
        assert_eq!(after.status, Some(400), "{after:?}");
        assert!(after.header("x-jobscope-decision").is_some(), "the registry never gets it: {after:?}");
    }
}

#[test]
fn a_push_that_takes_longer_than_its_token_goes_on_with_the_next() {
    let stack = Stack::start(&Options::picked()).unwrap();
    let registry = |line: &str, token: &str, body: &[u8]| {
        send(&stack, &stack.registry_host(), line, &[token, "Content-Type: application/octet-stream"], body)
    };
    // Good for two seconds, as the registry reads it.
    stack.forge().registry_tokens_last(-58).unwrap();
    let first = exchange(&stack);
    let started = registry("POST /v2/apps/web/app/blobs/uploads/", &first, b"");
    assert_eq!(started.status, Some(202), "{started:?}");
    let upload = location(&started);

    let layer = vec![b'l'; 3 << 20];
    let begin = Instant::now();
    let challenge = loop {
        let answer = registry("GET /v2/apps/web/app/tags/list", &first, b"");
        if answer.status == Some(401) || begin.elapsed() > Duration::from_secs(10) {
            break answer;
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(challenge.status, Some(401), "{challenge:?}");
    let late = registry(&format!("PATCH {upload}"), &first, &layer[..1000]);
    assert_eq!(late.status, Some(401), "{late:?}");
    let realm = late.header("www-authenticate").unwrap_or_default().to_owned();
    assert!(realm.starts_with("Bearer realm=") && realm.contains("/jwt/auth"), "the registry's own: {late:?}");

    stack.forge().registry_tokens_last(300).unwrap();
    let next = exchange(&stack);
    let patched = registry(&format!("PATCH {upload}"), &next, &layer);
    assert_eq!(patched.status, Some(202), "{patched:?}");
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let done = registry(&format!("PUT {}&digest=sha256:{digest}", location(&patched)), &next, b"");
    assert_eq!(done.status, Some(201), "{done:?}");
}

#[test]
fn a_token_that_this_envoy_never_saw_is_asked_for_again() {
    let stack = Stack::start(&Options::picked()).unwrap();
    // Past Envoy: as if another one had handed it out.
    let past = format!(
        "GET /jwt/auth?service=container_registry&{SCOPE} HTTP/1.1\r\nHost: forge\r\n{}\r\nConnection: close\r\n\r\n",
        basic()
    );
    let answer = stack.forge().raw(past.as_bytes(), Duration::from_secs(20)).unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let token = format!("Authorization: Bearer {}", answer["token"].as_str().unwrap());
    let challenge = send(&stack, &stack.registry_host(), "GET /v2/apps/web/app/tags/list", &[&token], b"");
    assert_eq!(challenge.status, Some(401), "{challenge:?}");
    assert!(challenge.header("www-authenticate").unwrap_or_default().starts_with("Bearer realm="), "{challenge:?}");
    let token = exchange(&stack);
    let known = send(&stack, &stack.registry_host(), "GET /v2/apps/web/app/tags/list", &[&token], b"");
    assert_eq!(known.status, Some(404), "{known:?}");
}

#[test]
fn a_job_finds_no_credential_but_its_own_in_the_answer_to_an_lfs_batch() {
    let stack = Stack::start(&Options { registry: Registry::LeftOut, ..Options::picked() }).unwrap();
    let content = b"the logo, kept in LFS\n";
    let oid: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({"operation": "download", "objects": [{"oid": oid, "size": content.len()}]}).to_string();
    let media = "Content-Type: application/vnd.git-lfs+json";
    let line = "POST /apps/web.git/info/lfs/objects/batch";
    let headers = [&*basic(), media, "Accept-Encoding: gzip"];
    let answer = send(&stack, &stack.forge_host(), line, &headers, body.as_bytes());
    assert_eq!(answer.status, Some(200), "{answer:?}");
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    let action = &said["objects"][0]["actions"]["download"];
    let own = basic();
    assert_eq!(Some(action["header"]["Authorization"].as_str().unwrap()), own.strip_prefix("Authorization: "));

    let href = action["href"].as_str().unwrap();
    let path = &href[href.find("/apps/").unwrap()..];
    let object = send(&stack, &stack.forge_host(), &format!("GET {path}"), &[&own], b"");
    assert_eq!((object.status, &object.body[..]), (Some(200), &content[..]), "{object:?}");
    let seen = stack.forge().requests().unwrap();
    assert!(seen.iter().any(|request| request["target"].as_str() == Some(path)), "{seen:#?}");
}
