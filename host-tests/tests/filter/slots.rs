//! `forge.credential_slots`: what a job is granted whose token the forge does not know goes on with a slot, and nothing else does.

use host_tests::host::{
    Answer, Callout, Filter, Host, Hostcall, Options, Otherwise, Outcome, Request, RequestHead, Status, StreamId,
};

use crate::forge::{basic, get, options, post, property};

const SLOT: &str = "x-jobscope-credential";

/// An ID token, and what the lookup service says of it.
const ID_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqb2IifQ.c2lnbmF0dXJl";
/// The same of a job whose token the forge knows.
const OWN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvd24ifQ.c2lnbmF0dXJl";
/// A person's credential.
const PERSON: &str = "secret-of-a-person";

/// A host that chooses a route anew when it is asked to, and not before: Envoy does with each change of the head.
fn host(more: &str) -> Host {
    let configuration = format!(
        r#"{{"forge": {{"kind": "generic", "hosts": ["gitlab.example.com"], "registry_hosts": ["registry.example.com"], "credential_slots": "on"}},
            "lookup": {{"cluster": "token-lookup", "authority": "lookup.example.com", "credential_env": "LOOKUP_TOKEN"}}{more}}}"#
    );
    let options = Options { otherwise: vec![Otherwise::KeepsRoutes], ..options(&configuration) };
    let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
    host.reset_counts();
    host
}

fn service(call: &Callout) -> Answer {
    let asked: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    let answer = match (asked["token"].as_str(), asked["target"]["path"].as_str()) {
        (Some(token @ (ID_TOKEN | OWN)), _) => {
            let credential = if token == ID_TOKEN { "service" } else { "own" };
            serde_json::json!({"version": 1, "token": "running", "credential": credential, "until": 1_900_000_000, "job": {"id": 1001,
                "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}})
        }
        (Some(_), _) => serde_json::json!({"version": 1, "token": "foreign"}),
        (None, Some("apps/web")) => {
            serde_json::json!({"version": 1, "role": "maintainer", "external": false, "admission": "own",
            "target": {"id": 101, "path": "apps/web", "visibility": "private", "push_by_job_token": "own"}})
        }
        (None, _) => serde_json::json!({"version": 1, "target": null}),
    };
    Answer::json(200, answer.to_string())
}

fn fetch(project: &str) -> RequestHead {
    get(&format!("/{project}.git/info/refs?service=git-upload-pack"))
}

fn push(token: &str) -> RequestHead {
    post("/apps/web.git/git-receive-pack")
        .header("authorization", basic(token))
        .header("content-type", "application/x-git-receive-pack-request")
}

/// The slot that went on, and the one by which the route was chosen last.
fn slots(host: &Host, stream: StreamId) -> (Option<String>, Option<String>) {
    let outcome = host.outcome(stream);
    assert!(matches!(outcome, Outcome::Forwarded { .. }), "{outcome:?}");
    (outcome.forwarded_header(SLOT), host.routed_by(stream, SLOT))
}

fn both(slot: &str) -> (Option<String>, Option<String>) {
    (Some(slot.to_owned()), Some(slot.to_owned()))
}

/// What a client sends to get a slot that it was not granted.
fn forged(head: RequestHead) -> RequestHead {
    head.header(SLOT, "write").header("X-Jobscope-Credential", "read")
}

#[test]
fn what_is_granted_goes_on_with_its_slot_and_without_any_credential() {
    let mut host = host("");
    // The second time everything is remembered.
    for _ in 0..2 {
        let requests: [(Request, &str); 3] = [
            (forged(fetch("apps/web")).header("authorization", basic(ID_TOKEN)).header("cookie", "s=1").into(), "read"),
            (fetch("apps/web").header("authorization", format!("Bearer {ID_TOKEN}")).into(), "read"),
            (forged(push(ID_TOKEN)).body("0000"), "write"),
        ];
        for (request, slot) in requests {
            let stream = host.send(0, request, service);
            assert_eq!(slots(&host, stream), both(slot));
            let outcome = host.outcome(stream);
            for name in ["authorization", "cookie"] {
                assert_eq!(outcome.forwarded_header(name), None, "{name}");
            }
            assert!(!format!("{outcome:?}").contains("eyJ"), "{outcome:?}");
            host.close(stream);
        }
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn nothing_else_goes_on_with_a_slot_whoever_sends_one() {
    for more in ["", r#", "mode": "observe""#] {
        let mut host = host(more);
        let requests = [
            forged(get("/")),
            forged(get("/").header("authorization", format!("Bearer {PERSON}"))),
            forged(fetch("apps/web")),
            forged(fetch("apps/web")).header("authorization", format!("Basic {PERSON}")),
            forged(fetch("apps/web")).header("authorization", basic(PERSON)),
            forged(fetch("apps/web")).header("authorization", basic(OWN)),
            forged(RequestHead::new("GET", "neighbour.example.com", "/")),
        ];
        for request in requests {
            let stream = host.send(0, request.clone(), service);
            // A login that is none may be refused.
            if host.outcome(stream).reply().is_none() {
                assert_eq!(slots(&host, stream), (None, None), "{more} {request:?}");
            }
            host.close(stream);
        }
        // What is denied goes nowhere, or where that is only observed as it came.
        for request in [fetch("elsewhere/web"), get("/apps/web.git/info/lfs/locks")] {
            let request = forged(request).header("authorization", basic(ID_TOKEN));
            let stream = host.send(0, request, service);
            match host.outcome(stream) {
                Outcome::Replied(_) => assert_eq!(more, ""),
                outcome => {
                    assert_eq!(slots(&host, stream), (None, None));
                    assert_eq!(outcome.forwarded_header("authorization"), Some(basic(ID_TOKEN)));
                    assert_eq!(property(&host, stream, "jobscope_verdict"), "observe-deny");
                }
            }
            host.close(stream);
        }
    }
}

#[test]
fn a_host_that_does_not_do_its_part_forwards_nothing() {
    for more in ["", r#", "mode": "observe""#] {
        for call in [Hostcall::RemoveMapValue, Hostcall::ReplaceMapValue, Hostcall::CallForeignFunction] {
            let mut host = host(more);
            host.fail_always(call, Status::NotFound);
            let outcome = host.exchange(0, fetch("apps/web").header("authorization", basic(ID_TOKEN)), service);
            assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{call:?} {more} {outcome:?}");
            // Nor what somebody forged and would go on as anybody's.
            let outcome = host.exchange(0, forged(get("/")), service);
            if call != Hostcall::ReplaceMapValue {
                assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{call:?} {more} {outcome:?}");
            }
        }
        let mut host = host(more);
        host.fail_always(Hostcall::GetMap, Status::InternalFailure);
        let outcome = host.exchange(0, forged(get("/")), service);
        assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{more} {outcome:?}");
    }
}

#[test]
fn what_is_the_accounts_alone_does_not_reach_the_job() {
    let mut host = host("");
    let answer = [
        ("set-cookie", "session=of-the-account"),
        ("location", "https://account:secret@storage.example.com/x"),
        ("www-authenticate", "Basic realm=\"forge\""),
    ];
    let names = answer.map(|(name, _)| name);
    for (token, seen) in [(ID_TOKEN, [false, false, true]), (OWN, [true; 3])] {
        let stream = host.send(0, fetch("apps/web").header("authorization", basic(token)), service);
        host.respond(stream, 307, &answer, "");
        let downstream = host.downstream(stream);
        assert_eq!(names.map(|name| downstream.header(name).is_some()), seen, "{downstream:?}");
        host.close(stream);
    }
    // Where it cannot be taken out, nothing of the answer goes on.
    let stream = host.send(0, fetch("apps/web").header("authorization", basic(ID_TOKEN)), service);
    host.fail_always(Hostcall::RemoveMapValue, Status::InternalFailure);
    host.respond(stream, 307, &answer, "");
    let downstream = host.downstream(stream);
    assert_eq!((downstream.status(), downstream.header("set-cookie")), (Some(503), None), "{downstream:?}");
}

#[test]
fn a_token_is_nobodys_once_its_time_is_up() {
    let mut host = host("");
    let fetch = || fetch("apps/web").header("authorization", basic(ID_TOKEN));
    assert!(matches!(host.exchange(0, fetch(), service), Outcome::Forwarded { .. }));
    host.set_clock(1_900_000_000_000_000_000);
    let outcome = host.exchange(0, fetch(), service);
    let reply = outcome.reply().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!((reply.status, reply.details.as_str()), (401, "jobscope:token.ended"));
}
