//! What ties a lookup to the request that led to it, for who watches both.

use std::time::Duration;

use host_tests::host::{Callout, Host, Hostcall, RequestHead};

use crate::forge::{DANA, NORA, clone, gitlab, host, host_with, nobody};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The fields of a call that say whose it is: id, parent, state.
type Context = [Option<String>; 3];

fn context(call: &Callout) -> Context {
    ["x-request-id", "traceparent", "tracestate"].map(|name| call.header(name))
}

fn some(id: &str) -> Context {
    [Some(id.to_owned()), Some(PARENT.to_owned()), Some("vendor=1".to_owned())]
}

fn watched(request: RequestHead, id: &str) -> RequestHead {
    request.header("x-request-id", id).header("traceparent", PARENT).header("tracestate", "vendor=1")
}

/// Answers all calls, and gives what they carried.
fn carried(host: &mut Host) -> Vec<(String, Context)> {
    let mut seen = Vec::new();
    host.settle(|call| {
        seen.push((call.path(), context(call)));
        gitlab(call)
    });
    seen
}

#[test]
fn every_call_of_a_lookup_carries_what_its_request_carries() {
    let mut host = host();
    host.open(0, watched(clone("libs/common", DANA), "first"));
    let seen = carried(&mut host);
    assert!(seen.len() > 4, "{seen:?}");
    assert!(seen.iter().all(|(_, context)| *context == some("first")), "{seen:?}");
    // The token is known by now; what another target asks is another request's.
    host.open(0, watched(clone("infra/secrets", DANA), "second"));
    let seen = carried(&mut host);
    assert!(!seen.is_empty() && seen.iter().all(|(_, context)| *context == some("second")), "{seen:?}");
}

#[test]
fn a_lookup_is_tied_to_the_request_that_started_it_also_when_that_left() {
    let mut host = host();
    let first = host.open(0, watched(clone("libs/common", DANA), "first"));
    host.open(0, watched(clone("libs/common", DANA), "second"));
    host.close(first);
    let seen = carried(&mut host);
    // The target is asked for when the token is known, and by then for the one that waits.
    for (path, context) in &seen {
        let id = if path == "/api/v4/job" { "first" } else { "second" };
        assert_eq!(*context, some(id), "{seen:?}");
    }
    assert!(seen.len() > 4, "{seen:?}");
}

#[test]
fn what_is_asked_ahead_is_tied_to_the_request_whose_token_is_looked_up() {
    let rules =
        r#", "access": {"deny": [{"id": "a", "targets": ["infra/**"], "when": {"environment": ["production"]}}]}"#;
    let mut host = host_with(rules);
    host.open(0, watched(clone("libs/common", DANA), "first"));
    host.open(0, watched(clone("infra/secrets", DANA), "second"));
    let seen = carried(&mut host);
    let ahead = seen.iter().position(|(path, _)| path.contains("infra%2Fsecrets")).unwrap();
    let circumstances = seen.iter().position(|(path, _)| path.contains("allowed_agents")).unwrap();
    assert!(ahead > circumstances, "the calls are answered in their order: {seen:?}");
    assert!(seen.iter().all(|(_, context)| *context == some("first")), "{seen:?}");
}

#[test]
fn what_has_grown_old_is_looked_up_for_the_request_that_noticed() {
    let mut host = host_with(r#", "bindings": {"revalidate_after": "5s", "max_stale": "1h"}"#);
    host.exchange(0, watched(clone("libs/common", DANA), "first"), gitlab);
    host.advance(Duration::from_secs(6));
    host.open(0, watched(clone("libs/common", DANA), "second"));
    let seen = carried(&mut host);
    assert!(seen.iter().any(|(path, context)| path == "/api/v4/job" && *context == some("second")), "{seen:?}");
}

#[test]
fn a_request_without_any_of_it_leads_to_calls_without() {
    let mut host = host();
    host.open(0, clone("libs/common", DANA));
    let seen = carried(&mut host);
    assert!(!seen.is_empty() && seen.iter().all(|(_, context)| *context == [None, None, None]), "{seen:?}");
}

#[test]
fn what_is_no_trace_context_or_holds_a_token_is_left_out_and_the_lookup_goes_on() {
    let long = "a".repeat(129);
    let hostile: [&[(&str, &[u8])]; 8] = [
        &[("x-request-id", DANA.as_bytes())],
        &[("x-request-id", long.as_bytes())],
        &[("x-request-id", b"caf\xe9")],
        &[("x-request-id", b"a b")],
        &[("x-request-id", b"a"), ("x-request-id", b"b")],
        &[("traceparent", b"00-0-0-01"), ("tracestate", b"vendor=1")],
        &[("traceparent", b"01-glcbt-64_dana")],
        &[("tracestate", b"vendor=glcbt-64_dana"), ("traceparent", b"")],
    ];
    for fields in hostile {
        let mut host = host();
        let mut request = clone("libs/common", DANA);
        request.headers.extend(fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())));
        let stream = host.open(0, request);
        let seen = carried(&mut host);
        assert!(!seen.is_empty() && seen.iter().all(|(_, context)| *context == [None, None, None]), "{fields:?}");
        assert!(matches!(host.outcome(stream), host_tests::host::Outcome::Forwarded { .. }), "{fields:?}");
    }
}

#[test]
fn only_the_calls_token_stands_in_a_call_whatever_a_request_says() {
    let mut host = host();
    host.open(0, watched(clone("libs/common", DANA), NORA).header("baggage", NORA).header("x-b3-traceid", NORA));
    host.settle(|call| {
        let holds = |value: &[u8]| value.windows(NORA.len()).any(|window| window == NORA.as_bytes());
        assert!(!call.headers.iter().any(|(_, value)| holds(value)), "{:?}", call.headers);
        gitlab(call)
    });
}

#[test]
fn who_leads_to_no_call_is_not_asked_for_it() {
    let mut host = host();
    host.exchange(0, watched(clone("libs/common", DANA), "first"), gitlab);
    for _ in 0..3 {
        host.reset_counts();
        host.exchange(0, watched(clone("libs/common", DANA), "next"), nobody);
        assert_eq!(host.calls(Hostcall::GetMap), 1);
    }
    // Who waits for a lookup of another.
    host.open(0, watched(clone("libs/common", NORA), "first"));
    host.reset_counts();
    host.open(0, watched(clone("libs/common", NORA), "second"));
    assert_eq!(host.calls(Hostcall::GetMap), 1);
}
