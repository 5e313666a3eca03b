//! `forge.unlisted_endpoints: strip`: an endpoint that no job token is for gets the request of a visitor.

use host_tests::host::{Host, Hostcall, Outcome, Request, Status};

use crate::forge::{DANA, basic, configuration, get, gitlab, host_of, nobody, post, property};

fn stripping(more: &str) -> Host {
    host_of(&configuration(more).replacen(r#""hosts""#, r#""unlisted_endpoints": "strip", "hosts""#, 1))
}

/// What the forge sees of a request: its header and its body, as one text.
fn seen(outcome: &Outcome) -> String {
    let Outcome::Forwarded { headers, body, .. } = outcome else { panic!("{outcome:?}") };
    let fields: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .collect();
    format!("{}\n\n{}", fields.join("\n"), String::from_utf8_lossy(body))
}

#[test]
fn the_forge_sees_nobody() {
    let mut host = stripping("");
    let form = |token: &str| {
        post("/api/v4/projects/101/star?a=%2f&b")
            .header("private-token", token)
            .header("job-token", token)
            .header("content-type", "application/x-www-form-urlencoded")
    };
    let requests: [Request; 5] = [
        get("/api/v4/users?page=2").header("job-token", DANA).header("cookie", "_session=dana").into(),
        get("/api/v4/users").header("authorization", basic(DANA)).header("accept", "*/*").into(),
        get("/api/v4/users").header("authorization", format!("Bearer {DANA}")).into(),
        get(&format!("/api/v4/users?page=2&job_token={DANA}&x=%2f")).into(),
        post("/api/v4/projects/101/star")
            .header("authorization", format!("Bearer {DANA}"))
            .header("content-type", "application/json")
            .body(r#"{"a": 1}"#),
    ];
    for request in requests {
        let stream = host.send(0, request, gitlab);
        let seen = seen(&host.outcome(stream));
        for trace in [DANA, "token", "authorization", "cookie", "Basic"] {
            assert!(!seen.contains(trace), "`{trace}` in: {seen}");
        }
        assert_eq!(property(&host, stream, "jobscope_verdict"), "allow");
        assert_eq!(property(&host, stream, "jobscope_reason"), "unlisted.stripped");
        assert_eq!(property(&host, stream, "jobscope_user"), "dana");
        host.close(stream);
    }
    let in_query = get(&format!("/api/v4/users?page=2&job_token={DANA}&x=%2f"));
    let outcome = host.exchange(0, in_query, nobody);
    assert_eq!(outcome.forwarded_header(":path").unwrap(), "/api/v4/users?page=2&x=%2f");
    // Where a runner says its token twice, it is a runner's route or none.
    let twice = host.exchange(0, form(DANA).body("a=1"), nobody);
    assert_eq!(twice.reply().map(|reply| reply.status), Some(401));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_token_that_stays_in_the_body_is_denied() {
    let mut host = stripping("");
    let json = |body: String| {
        post("/api/v4/projects/101/star")
            .header("authorization", format!("Bearer {DANA}"))
            .header("content-type", "application/json")
            .body(body)
    };
    let alone = post("/api/v4/projects/101/star")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("job_token={DANA}"));
    for request in [alone, json(format!(r#"{{"x": ["{DANA}"]}}"#))] {
        let outcome = host.exchange(0, request, gitlab);
        let reply = outcome.reply().unwrap_or_else(|| panic!("{outcome:?}"));
        assert_eq!((reply.status, reply.details.as_str()), (403, "jobscope:unlisted.token-in-body"));
    }
    let another = host.exchange(0, json(r#"{"job_token": "glcbt-64_other"}"#.into()), nobody);
    assert_eq!(another.reply().map(|reply| reply.status), Some(400));
}

#[test]
fn neither_a_dead_token_nor_another_route_becomes_anonymous() {
    let mut host = stripping("");
    let status = |outcome: Outcome| outcome.reply().map(|reply| reply.status);
    assert_eq!(status(host.exchange(0, get("/api/v4/users").header("job-token", "glcbt-64_dead"), gitlab)), Some(401));
    assert_eq!(status(host.exchange(0, get("/api/v4//users").header("job-token", DANA), gitlab)), Some(400));
    assert_eq!(status(host.exchange(0, get("/dashboard").header("job-token", DANA), gitlab)), Some(403));
    let secret = get("/api/v4/projects/103/releases").header("job-token", DANA);
    assert_eq!(status(host.exchange(0, secret, gitlab)), Some(403), "a listed endpoint is judged");
}

#[test]
fn a_token_that_the_host_does_not_remove_stops_the_request() {
    let mut host = stripping("");
    host.fail_always(Hostcall::RemoveMapValue, Status::InternalFailure);
    let outcome = host.exchange(0, get("/api/v4/users").header("job-token", DANA), gitlab);
    assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{outcome:?}");
}

#[test]
fn observing_strips_nothing() {
    let mut host = stripping(r#", "mode": "observe""#);
    let stream = host.send(0, get("/api/v4/users").header("job-token", DANA), gitlab);
    assert_eq!(host.outcome(stream).forwarded_header("job-token").as_deref(), Some(DANA));
    assert_eq!(property(&host, stream, "jobscope_verdict"), "observe-deny");
    assert_eq!(property(&host, stream, "jobscope_reason"), "unlisted.stripped");
}
