//! The dependency proxy, where jobs use it: its JWTs name a user and nothing else, so that only what was seen when one was
//! made tells a job's from a person's.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use host_tests::host::{Host, Hostcall, Outcome, RequestHead};

use crate::forge::{DANA, basic, configuration, finish, get, gitlab, host, host_of, nobody, property, status};

fn configured(more: &str) -> String {
    configuration(more).replacen(r#""hosts""#, r#""dependency_proxy": "on", "hosts""#, 1)
}

/// What GitLab makes, for a job and for its user alike.
fn jwt(number: u32) -> String {
    let claims = format!(r#"{{"user_id":11,"jti":"{number}","iat":1,"nbf":1,"exp":2}}"#);
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

fn person() -> String {
    format!("Basic {}", STANDARD.encode("dana:secret"))
}

const LOGIN: &str =
    "/jwt/auth?scope=repository%3Aapps%2Fdependency_proxy%2Fcontainers%2Falpine%3Apull&service=dependency_proxy";

fn log_in(authorization: &str) -> RequestHead {
    get(LOGIN).header("authorization", authorization).header("accept-encoding", "gzip")
}

fn pull(group: &str, authorization: &str) -> RequestHead {
    get(&format!("/v2/{group}/dependency_proxy/containers/alpine/manifests/3.20"))
        .header("authorization", authorization)
}

fn bearer(number: u32) -> String {
    format!("Bearer {}", jwt(number))
}

/// Somebody asks for a JWT, and the forge gives them this one.
fn exchange(host: &mut Host, authorization: &str, number: u32) {
    let stream = host.send(0, log_in(authorization), gitlab);
    let outcome = host.outcome(stream);
    assert_eq!(outcome.forwarded_header(":path").as_deref(), Some(LOGIN));
    assert_eq!(outcome.forwarded_header("authorization").as_deref(), Some(authorization));
    assert_eq!(outcome.forwarded_header("accept-encoding"), None, "an answer comes as it is");
    let answer = format!(r#"{{"token":"{}"}}"#, jwt(number));
    host.respond(stream, 200, &[("content-type", "application/json; charset=utf-8")], answer.clone());
    assert_eq!(host.downstream(stream).body, answer.as_bytes());
    host.close(stream);
}

fn end(host: &mut Host) {
    let stream = host.send(0, finish(DANA), gitlab);
    host.respond(stream, 200, &[], "");
    host.close(stream);
}

/// What is decided of a request, and why.
fn decided(host: &mut Host, worker: usize, request: RequestHead) -> (u32, String) {
    let stream = host.send(worker, request, gitlab);
    let decided = (status(&host.outcome(stream)), property(host, stream, "jobscope_reason"));
    host.close(stream);
    decided
}

/// Whether a request goes on without its credential, so that the forge answers with its challenge.
fn is_challenged(host: &mut Host, request: RequestHead) -> bool {
    let stream = host.send(1, request, nobody);
    let forwarded = host.outcome(stream).forwarded_header("authorization");
    let reason = property(host, stream, "jobscope_reason");
    host.close(stream);
    assert_eq!(forwarded.is_none(), reason == "token.unrecorded", "{forwarded:?} {reason}");
    forwarded.is_none()
}

#[test]
fn a_jobs_jwt_serves_the_groups_above_its_project_and_ends_with_the_job() {
    let mut host = host_of(&configured(""));
    exchange(&mut host, &basic(DANA), 1);
    let token = format!("Token {}", jwt(1));
    for authorization in [&bearer(1), &token, &basic(DANA)] {
        for worker in [0, 1] {
            let above = decided(&mut host, worker, pull("apps", authorization));
            assert_eq!(above, (200, "dependency-proxy.above".into()), "{authorization}");
            let elsewhere = decided(&mut host, worker, pull("libs", authorization));
            assert_eq!(elsewhere, (403, "dependency-proxy.elsewhere".into()), "{authorization}");
            let encoded = decided(&mut host, worker, pull("libs%2Fx", authorization));
            assert_eq!(encoded.0, 400, "{authorization}");
        }
    }
    let ping = get("/v2/").header("authorization", bearer(1));
    assert_eq!(decided(&mut host, 1, ping), (200, "login".into()));
    end(&mut host);
    for authorization in [&bearer(1), &token, &basic(DANA)] {
        for group in ["apps", "libs"] {
            assert_eq!(decided(&mut host, 1, pull(group, authorization)), (401, "token.ended".into()));
        }
    }
    assert_eq!(decided(&mut host, 1, log_in(&basic(DANA))), (401, "token.ended".into()));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_jwt_that_nobody_saw_gets_the_challenge_unless_it_says_that_it_is_a_persons() {
    let mut host = host_of(&configured(""));
    assert!(is_challenged(&mut host, pull("apps", &bearer(1))));
    assert!(is_challenged(&mut host, get("/v2/").header("authorization", bearer(1))));
    assert_eq!(status(&host.exchange(0, pull("libs%2Fx", &bearer(1)), nobody)), 400, "it may be a job's");
    let says = |claims: &str| format!("Bearer eyJh.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    for claims in [r#"{"user_id":11,"personal_access_token":"glpat-1"}"#, r#"{"deploy_token":"gldt-1"}"#] {
        assert!(!is_challenged(&mut host, pull("libs", &says(claims))), "{claims}");
    }
}

#[test]
fn a_person_whose_jwt_was_seen_passes_untouched_wherever_they_go() {
    let mut host = host_of(&configured(""));
    exchange(&mut host, &person(), 2);
    for group in ["apps", "libs", "libs%2Fx"] {
        host.reset_counts();
        let request = pull(group, &bearer(2));
        let before = request.headers.clone();
        let Outcome::Forwarded { headers, .. } = host.exchange(1, request, nobody) else { panic!("{group}") };
        assert_eq!(headers, before);
        assert_eq!((host.calls(Hostcall::GetMap), host.calls(Hostcall::GetSharedData)), (1, 1));
    }
    end(&mut host);
    assert!(!is_challenged(&mut host, pull("apps", &bearer(2))), "a job's end is no person's");
}

#[test]
fn who_asks_for_a_jobs_jwt_a_second_time_makes_it_no_persons() {
    let mut host = host_of(&configured(""));
    exchange(&mut host, &basic(DANA), 3);
    exchange(&mut host, &person(), 3);
    assert_eq!(decided(&mut host, 1, pull("libs", &bearer(3))), (403, "dependency-proxy.elsewhere".into()));
}

#[test]
fn people_who_ask_for_very_many_push_out_nothing_of_a_job_and_grow_nothing() {
    let mut host = host_of(&configured(r#", "bindings": {"capacity": 64}"#));
    exchange(&mut host, &basic(DANA), 0);
    let keys = host.shared_data().len();
    for number in 1..1_000 {
        exchange(&mut host, &person(), number);
    }
    assert_eq!(host.shared_data().len(), keys, "no key was added");
    assert_eq!(decided(&mut host, 1, pull("apps", &bearer(0))), (200, "dependency-proxy.above".into()));
    assert!(is_challenged(&mut host, pull("apps", &bearer(1))), "a person's that was pushed out");
    assert!(!is_challenged(&mut host, pull("apps", &bearer(999))));
}

#[test]
fn where_it_is_off_no_job_uses_it_and_people_are_left_alone() {
    let mut host = host();
    for request in [log_in(&basic(DANA)), pull("apps", &basic(DANA))] {
        assert_eq!(decided(&mut host, 0, request).1, "dependency-proxy.off");
    }
    host.reset_counts();
    let request = log_in(&person());
    let before = request.headers.clone();
    let stream = host.send(0, request, nobody);
    let Outcome::Forwarded { headers, .. } = host.outcome(stream) else { panic!("a person's") };
    assert_eq!(headers, before);
    host.respond(stream, 200, &[("content-type", "application/json")], format!(r#"{{"token":"{}"}}"#, jwt(4)));
    assert_eq!(host.calls(Hostcall::SetSharedData), 0, "nothing is remembered of people");
    host.close(stream);
    assert!(!is_challenged(&mut host, pull("libs", &bearer(5))));
}
