//! What the access log says of a decision: whose it was, and its account.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Hostcall, Outcome, Request, RequestHead, StreamId};
use policy::decision::FIELDS;
use serde_json::{Value, json};

use crate::forge::{DANA, NORA, api, basic, clone, get, gitlab, host, host_with, host_with_limits, post, property};

/// A token that no job has.
const JUNK: &str = "glcbt-64_nobody";

fn why(host: &Host, stream: StreamId) -> Value {
    serde_json::from_str(&property(host, stream, "jobscope_why")).unwrap()
}

fn whose(host: &Host, stream: StreamId) -> [String; 4] {
    ["job", "user", "origin", "target"].map(|field| property(host, stream, &format!("jobscope_{field}")))
}

/// Requests that cannot be read in many ways, all with DANA's token, and the target where it is known.
fn unreadable() -> Vec<(Request, &'static str)> {
    let form = "application/x-www-form-urlencoded";
    let releases = "/api/v4/projects/libs%2Fcommon/releases";
    let head = |request: RequestHead| request.into();
    vec![
        (head(api("/projects/libs%2Fcommon/releases", DANA).header("private-token", NORA)), "libs/common"),
        (head(clone("libs/common", DANA).header("sudo", "root")), "libs/common"),
        (head(api("//projects/102", DANA)), "-"),
        (head(clone("libs//common", DANA)), "-"),
        (head(get("/dashboard").header("job-token", DANA)), "-"),
        (head(clone("libs/common", DANA).without(":authority").header(":authority", "other.example.com")), "-"),
        (head(get(releases).header("authorization", format!("Bearer  {DANA}"))), "libs/common"),
        (post(releases).header("job-token", DANA).header("content-type", form).body("a=%zz"), "libs/common"),
        (post(releases).header("content-type", form).body(format!("job_token={DANA}&job_token={NORA}")), "libs/common"),
    ]
}

#[test]
fn what_cannot_be_read_is_logged_with_whose_it_is_and_asks_for_a_known_token_nothing() {
    for (request, target) in unreadable() {
        // A filter that knows nobody asks first, and one that knows the token does not.
        for knows in [false, true] {
            let mut host = host();
            if knows {
                assert!(matches!(host.exchange(0, clone("libs/common", DANA), gitlab), Outcome::Forwarded { .. }));
                host.advance(Duration::from_secs(10));
            }
            host.reset_counts();
            let stream = host.send(0, request.clone(), gitlab);
            let Outcome::Replied(reply) = host.outcome(stream) else { panic!("{:?}", host.outcome(stream)) };
            assert!((400..500).contains(&reply.status) && reply.details.starts_with("jobscope:"), "{reply:?}");
            assert_eq!(whose(&host, stream), ["1001", "dana", "apps/web", target], "{reply:?}");
            assert_eq!(why(&host, stream)["origin"], json!({"id": 101, "path": "apps/web"}));
            assert_eq!(host.calls(Hostcall::HttpCall) > 0, !knows, "{reply:?}");
            assert_eq!(host.hazards(), Vec::<String>::new());
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_as_it_is_whatever_becomes_of_its_lookup() {
    let broken = || api("/projects/102/releases", JUNK).header("sudo", "root");
    let dropped = |_: &Callout| Answer::Dropped;
    let failing = |_: &Callout| Answer::json(500, "{}");
    for answer in [&gitlab as &dyn Fn(&Callout) -> Answer, &dropped, &failing] {
        let mut host = host();
        let stream = host.send(0, broken(), answer);
        host.advance(Duration::from_secs(3));
        let outcome = host.outcome(stream);
        assert_eq!(outcome.reply().map(|reply| reply.details.as_str()), Some("jobscope:header.sudo"), "{outcome:?}");
        assert_eq!(whose(&host, stream), ["-", "-", "-", "#102"]);
    }
    // Many of them are no more lookups than others are, and each is told the same.
    let mut host = host_with_limits(3, 100, "");
    host.reset_counts();
    for number in 0..20 {
        let request = api("/projects/102/releases", &format!("glcbt-64_junk{number}")).header("sudo", "root");
        let outcome = host.exchange(0, request, gitlab);
        assert_eq!(outcome.reply().map(|reply| reply.details.as_str()), Some("jobscope:header.sudo"), "{outcome:?}");
    }
    assert_eq!(host.calls(Hostcall::HttpCall), 3);
}

#[test]
fn a_body_that_breaks_off_is_logged_with_whose_it_is() {
    let upload = post("/api/v4/projects/102/packages/pypi")
        .header("authorization", basic(DANA))
        .header("content-type", "multipart/form-data; boundary=b");
    let body = "--b\r\nContent-Disposition: form-data; name=\"private_token\"\r\n\r\nglpat-1\r\n--b--\r\n";
    let mut host = host();
    let stream = host.send(0, upload.body(body), gitlab);
    assert_eq!(
        host.outcome(stream).reply().map(|reply| reply.details.clone()),
        Some("jobscope:carrier.head-and-body".into())
    );
    assert_eq!(whose(&host, stream), ["1001", "dana", "apps/web", "#102"]);
}

#[test]
fn a_failed_lookup_of_a_target_is_logged_with_whose_request_it_is() {
    let without_targets = |call: &Callout| match call.path() == "/api/v4/job" {
        true => gitlab(call),
        false => Answer::json(500, "{}"),
    };
    let mut host = host();
    let stream = host.send(0, clone("libs/common", DANA), without_targets);
    host.advance(Duration::from_secs(3));
    assert_eq!(property(&host, stream, "jobscope_reason"), "lookup.answer");
    assert_eq!(whose(&host, stream), ["1001", "dana", "apps/web", "libs/common"]);
}

#[test]
fn the_account_of_a_denial_says_what_was_known_and_since_when() {
    let mut host = host();
    host.exchange(0, clone("libs/common", DANA), gitlab);
    host.advance(Duration::from_secs(20));
    let stream = host.send(0, clone("infra/secrets", DANA), gitlab);
    let why = why(&host, stream);
    assert_eq!(why["asked"][0]["facts"]["role"], json!({"is": "developer", "source": "lookup", "age": 0}));
    assert_eq!(
        why["asked"][0]["denials"],
        json!([{"rule": "inbound", "reason": "allowlist.missing", "mode": "enforce"}])
    );
    assert_eq!((&why["user"]["id"], &why["asked"][0]["id"]), (&json!(11), &json!(103)));
    assert!(!why.to_string().contains("glcbt-"), "{why}");
    // Known facts have an age.
    let mut host = host_with(r#", "log": {"allows": "full"}"#);
    host.exchange(0, clone("libs/common", DANA), gitlab);
    host.advance(Duration::from_secs(20));
    let stream = host.send(0, clone("libs/common", DANA), gitlab);
    let why = self::why(&host, stream);
    assert_eq!(why["token"], json!({"state": "running", "source": "lookup", "age": 20}));
    assert_eq!(why["asked"][0]["facts"]["inbound"], json!({"is": "listed", "source": "lookup", "age": 20}));
    assert_eq!(
        (&why["asked"][0]["verdict"], &why["asked"][0]["entry"]),
        (&json!("allow"), &json!({"names": "project"}))
    );
}

#[test]
fn what_is_allowed_is_accounted_for_where_that_is_asked_for_and_costs_nothing_elsewhere() {
    let calls = |more: &str| {
        let mut host = host_with(more);
        host.exchange(0, clone("libs/common", DANA), gitlab);
        host.reset_counts();
        let stream = host.send(0, clone("libs/common", DANA), gitlab);
        assert_eq!(host.properties(stream).contains_key("jobscope_why"), !more.is_empty());
        host.calls(Hostcall::SetProperty)
    };
    let brief = calls("");
    assert_eq!((brief, calls(r#", "log": {"allows": "full"}"#)), (9, 10));
}

#[test]
fn the_fields_of_a_decision_are_those_that_are_documented_and_that_envoy_writes() {
    let mut host = host();
    let stream = host.send(0, clone("infra/secrets", DANA), gitlab);
    let set: BTreeSet<String> = host.properties(stream).into_keys().collect();
    let documented: BTreeSet<String> = FIELDS.iter().map(|(field, _)| format!("jobscope_{field}")).collect();
    assert_eq!(set, documented);
    let envoy = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/envoy.yaml")).unwrap();
    for (field, _) in FIELDS {
        assert!(envoy.contains(&format!("{field}: \"%FILTER_STATE(wasm.jobscope_{field}:PLAIN)%\"")), "{field}");
    }
}
