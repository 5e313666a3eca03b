//! Requests of jobs and of others: who gets through, and what the others are told.

use host_tests::host::{Host, Hostcall, Outcome, Request, RequestHead};

use crate::forge::{DANA, NORA, api, basic, clone, get, gitlab, host, host_with, nobody, post, property};

/// Status and body of an answer, the decision's number taken out of it.
fn reply(host: &mut Host, request: impl Into<Request>) -> (u32, String) {
    match host.exchange(0, request, gitlab) {
        Outcome::Replied(reply) => {
            let decision = reply.header("x-jobscope-decision").unwrap();
            assert!(reply.text().contains(&decision), "{}", reply.text());
            (reply.status, reply.text().replace(&decision, "N"))
        }
        other => panic!("expected a reply, found {other:?}"),
    }
}

fn is_forwarded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Forwarded { .. })
}

#[test]
fn ordinary_traffic_costs_one_read_of_the_headers() {
    let mut host = host();
    for request in [
        get("/apps/web.git/info/refs?service=git-upload-pack"),
        get("/apps/web.git/info/refs?service=git-upload-pack").header("authorization", "Basic ZGFuYTpwYXNzd29yZA=="),
        get("/api/v4/projects/102").header("private-token", "glpat-dana"),
        RequestHead::new("GET", "registry.example.com", "/v2/"),
        post("/users/sign_in").with_body(),
    ] {
        host.reset_counts();
        let before = request.headers.clone();
        let Outcome::Forwarded { headers, .. } = host.exchange(0, request, nobody) else { panic!() };
        assert_eq!(headers, before);
        // The allocation is the host's, for the one copy of the headers.
        let calls: Vec<_> = host.hostcalls().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(calls, [("proxy_get_header_map_pairs", 1), ("proxy_on_memory_allocate", 1)]);
    }
}

#[test]
fn a_job_that_is_admitted_gets_through_and_one_that_is_not_learns_why() {
    let mut host = host();
    let stream = host.send(0, clone("libs/common", DANA), gitlab);
    assert!(is_forwarded(&host.outcome(stream)));
    assert_eq!(property(&host, stream, "jobscope_user"), "dana");
    assert_eq!(property(&host, stream, "jobscope_origin"), "apps/web");
    assert_eq!(property(&host, stream, "jobscope_target"), "libs/common");
    assert_eq!(property(&host, stream, "jobscope_action"), "git.read");
    assert_eq!(property(&host, stream, "jobscope_verdict"), "allow");
    assert_eq!(property(&host, stream, "jobscope_reason"), "allowlist.project");
    host.close(stream);

    let stream = host.send(0, clone("infra/secrets", DANA), gitlab);
    let outcome = host.outcome(stream);
    let denied = outcome.reply().unwrap();
    assert_eq!(denied.status, 403);
    assert!(denied.text().contains("allowlist of infra/secrets does not name apps/web"), "{}", denied.text());
    assert_eq!(denied.details, "jobscope:allowlist.missing");
    assert_eq!(denied.header("x-jobscope-decision"), Some(property(&host, stream, "jobscope_decision")));
    assert_eq!(property(&host, stream, "jobscope_verdict"), "deny");
    assert_eq!(property(&host, stream, "jobscope_rule"), "inbound");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_target_that_the_user_may_not_know_is_not_there() {
    let mut host = host();
    // Not a member of the one; the other does not exist.
    let hidden = reply(&mut host, clone("infra/secrets", NORA));
    assert_eq!(hidden, reply(&mut host, clone("infra/nothing", NORA)));
    assert_eq!(hidden.0, 404);
    let hidden = reply(&mut host, api("/projects/infra%2Fsecrets/releases", NORA));
    assert_eq!(hidden, reply(&mut host, api("/projects/infra%2Fnothing/releases", NORA)));
    let said =
        "Check the name; if it is there, the team that runs the ingress can say why you do not see it. Decision N.";
    assert_eq!(hidden, (404, format!(r#"{{"message":"404 Project Not Found","error":"{said}"}}"#)));
}

#[test]
fn the_api_is_answered_in_the_forges_words() {
    let mut host = host();
    let (status, body) = reply(&mut host, api("/projects/103/releases", DANA));
    assert_eq!(status, 403);
    assert!(
        body.contains(
            r#""message":"403 Forbidden - Authentication by CI/CD job token not allowed from web to secrets.""#
        ),
        "{body}"
    );
    assert_eq!(reply(&mut host, api("/projects/102/releases", "glcbt-64_nobody")).0, 401);
    assert_eq!(reply(&mut host, api("/projects/102/members", DANA)).0, 403);
}

#[test]
fn a_dead_token_is_refused_on_a_public_project_too() {
    let mut host = host();
    assert_eq!(reply(&mut host, clone("libs/open", "glcbt-64_nobody")).0, 401);
    assert!(is_forwarded(&host.exchange(0, clone("libs/open", NORA), gitlab)));
}

#[test]
fn what_cannot_be_read_in_one_way_is_refused() {
    let mut host = host();
    for (request, status) in [
        (clone("libs//common", DANA), 400),
        (clone("libs/common", DANA).header("private-token", "glpat-x"), 400),
        (clone("libs/common", DANA).header("job-token", DANA), 400),
        (clone("libs/common", DANA).header("sudo", "root"), 400),
        (get("/api/v4/job").header("authorization", "Basic\tZ2l0bGFiLWNpLXRva2VuOnh4"), 400),
        (clone("libs/common", DANA).without(":authority").header(":authority", "evil.example.com"), 403),
        (get("/dashboard").header("job-token", DANA), 403),
    ] {
        let outcome = host.exchange(0, request, gitlab);
        assert_eq!(outcome.reply().map(|reply| reply.status), Some(status), "{outcome:?}");
    }
}

#[test]
fn odd_heads_get_an_answer_and_never_a_trap() {
    let mut host = host();
    let mut latin = clone("libs/common", DANA);
    latin.headers.push((b"x-name".to_vec(), b"caf\xe9".to_vec()));
    assert!(is_forwarded(&host.exchange(0, latin, gitlab)));
    let mut garbled = get("/api/v4/job");
    garbled.headers.push((b"job-token".to_vec(), b"\xff\xfe".to_vec()));
    assert_eq!(host.exchange(0, garbled, nobody).reply().unwrap().status, 401);
    for head in [
        clone("libs/common", DANA).without(":path"),
        get("/x").without(":path").without(":method"),
        RequestHead { end_of_stream: true, ..RequestHead::default() },
    ] {
        assert_eq!(host.exchange(0, head, nobody).reply().unwrap().status, 400);
    }
    assert!(!host.trapped(0));
}

#[test]
fn a_client_cannot_send_fields_under_our_name() {
    let mut host = host();
    for request in [get("/x"), clone("libs/common", DANA)] {
        let outcome =
            host.exchange(0, request.header("x-jobscope-user", "root").header("x-jobscope-user", "admin"), gitlab);
        assert_eq!(outcome.forwarded_header("x-jobscope-user"), None, "{outcome:?}");
        assert!(is_forwarded(&outcome));
    }
}

#[test]
fn a_registry_token_is_asked_for_what_was_granted() {
    let mut host = host();
    let ask = |scope: &str| {
        get(&format!("/jwt/auth?service=container_registry&{scope}")).header("authorization", basic(DANA))
    };
    let path = |outcome: Outcome| outcome.forwarded_header(":path");
    let own = host.exchange(0, ask("scope=repository:apps/web/app:pull,push"), gitlab);
    assert_eq!(path(own).unwrap(), "/jwt/auth?service=container_registry&scope=repository:apps/web/app:pull,push");
    // A client that hopes for a mount goes on without it.
    let mount =
        host.exchange(0, ask("scope=repository:apps/web:pull,push&scope=repository:infra/secrets:pull"), gitlab);
    assert_eq!(path(mount).unwrap(), "/jwt/auth?service=container_registry&scope=repository:apps/web:pull,push");
    let (status, body) = reply(&mut host, ask("scope=repository:libs/common:pull,push"));
    assert_eq!(status, 401);
    assert!(body.contains("pushes and deletes images in apps/web only"), "{body}");
}

#[test]
fn a_warm_decision_costs_one_read_of_the_headers_and_one_of_a_version() {
    let mut host = host();
    assert!(is_forwarded(&host.exchange(0, clone("libs/common", DANA), gitlab)));
    for worker in [0, 1] {
        // The first of a worker reads the binding and the target, too.
        for reads in [3, 1, 1] {
            host.reset_counts();
            assert!(is_forwarded(&host.exchange(worker, clone("libs/common", DANA), nobody)));
            assert_eq!(host.calls(Hostcall::GetMap), 1);
            assert_eq!(host.calls(Hostcall::GetSharedData), reads);
            assert_eq!(host.calls(Hostcall::SetSharedData), 0);
        }
    }
}

#[test]
fn observing_records_and_forwards() {
    let mut host = host_with(r#", "mode": "observe""#);
    for (request, reason) in [
        (clone("infra/secrets", DANA), "allowlist.missing"),
        (clone("libs/open", "glcbt-64_nobody"), "token.unknown"),
        (clone("libs//common", DANA), "path.empty-segment"),
    ] {
        let stream = host.send(0, request, gitlab);
        assert!(is_forwarded(&host.outcome(stream)), "{reason}");
        assert_eq!(property(&host, stream, "jobscope_verdict"), "observe-deny");
        assert_eq!(property(&host, stream, "jobscope_reason"), reason);
        host.close(stream);
    }
}
