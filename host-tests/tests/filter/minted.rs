//! What the forge makes from a job's token: recorded as it is handed out, judged like the token, and over with the job.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use host_tests::host::{Answer, Host, Hostcall, Outcome, Request, RequestHead, Status, StreamId};
use policy::bindings::{Minted, Table};
use policy::facts::Secret;

use crate::forge::{
    DANA, NORA, basic, clone, configuration, finish, get, gitlab, host, host_of, host_with, nobody, post, property,
    status,
};

/// A JWT with these claims. Nobody here looks at its signature.
fn jwt(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// A JWT for the registry.
fn registry_jwt(auth_type: &str, number: u32) -> String {
    jwt(&format!(r#"{{"sub":"dana","auth_type":"{auth_type}","jti":"{number}","access":[]}}"#))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn registry(method: &str, path: &str) -> RequestHead {
    RequestHead::new(method, "registry.example.com", path)
}

fn pull(token: &str) -> RequestHead {
    registry("GET", "/v2/apps/web/app/manifests/v1").header("authorization", bearer(token))
}

fn reason(host: &Host, stream: StreamId) -> String {
    property(host, stream, "jobscope_reason")
}

fn ask(job: &str) -> RequestHead {
    get("/jwt/auth?service=container_registry&scope=repository:apps/web/app:pull")
        .header("authorization", basic(job))
        .header("accept-encoding", "gzip")
}

/// The job asks for a registry token, and the forge gives it this one.
fn exchange(host: &mut Host, job: &str, token: &str) {
    let stream = host.send(0, ask(job), gitlab);
    assert_eq!(host.outcome(stream).forwarded_header("accept-encoding"), None, "an answer comes as it is");
    let answer = format!(r#"{{"token": "{token}", "expires_in": 300, "issued_at": "2026-01-01T00:00:00Z"}}"#);
    host.respond(stream, 200, &[("content-type", "application/json; charset=utf-8")], answer.clone());
    assert_eq!(host.downstream(stream).body, answer.as_bytes());
    host.close(stream);
}

/// The runner reports the end, and the forge confirms it.
fn end(host: &mut Host) {
    let stream = host.send(0, finish(DANA), gitlab);
    host.respond(stream, 200, &[], "");
    host.close(stream);
}

#[test]
fn a_registry_token_is_judged_like_the_jobs_own_and_over_with_the_job() {
    let mut host = host();
    let token = registry_jwt("build", 1);
    exchange(&mut host, DANA, &token);
    for worker in [0, 1] {
        let stream = host.send(worker, pull(&token), gitlab);
        assert_eq!(host.outcome(stream).forwarded_header("authorization"), Some(bearer(&token)));
        assert_eq!(
            (property(&host, stream, "jobscope_job"), reason(&host, stream)),
            ("1001".into(), "own-project".into())
        );
        host.close(stream);
        assert_eq!(
            status(&host.exchange(worker, registry("GET", "/v2/").header("authorization", bearer(&token)), nobody)),
            200
        );
        let elsewhere = registry("GET", "/v2/infra/secrets/app/manifests/v1").header("authorization", bearer(&token));
        let stream = host.send(worker, elsewhere, gitlab);
        assert_eq!((status(&host.outcome(stream)), reason(&host, stream)), (403, "allowlist.missing".into()));
        host.close(stream);
    }
    end(&mut host);
    for worker in [0, 1] {
        let stream = host.send(worker, pull(&token), nobody);
        assert_eq!((status(&host.outcome(stream)), reason(&host, stream)), (401, "token.ended".into()));
        host.close(stream);
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn another_signature_makes_no_other_token() {
    let mut host = host();
    let token = registry_jwt("personal", 1);
    exchange(&mut host, DANA, &token);
    end(&mut host);
    let (signed, _) = token.rsplit_once('.').unwrap();
    for value in [
        format!("Bearer {signed}.other"),
        format!("bearer {signed}."),
        format!("Bearer  {token}"),
        format!("Bearer {signed}.c2!ln"),
        format!("Token token=\"{token}\""),
        format!("Bearer {token}, x"),
    ] {
        let outcome =
            host.exchange(0, registry("GET", "/v2/apps/web/app/manifests/v1").header("authorization", &*value), nobody);
        assert!(matches!(outcome.reply().map(|reply| reply.status), Some(400 | 401)), "{value}: {outcome:?}");
    }
}

#[test]
fn no_other_letters_make_another_token() {
    let mut host = host();
    // The last letter of header and claims has two bits that say nothing.
    let token = jwt(r#"{"sub":"dana","x":1}"#);
    exchange(&mut host, DANA, &token);
    end(&mut host);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { unreachable!() };
    let (last, rest) = claims.as_bytes().split_last().unwrap();
    let stray = format!("{}{}", std::str::from_utf8(rest).unwrap(), char::from(last + 1));
    for (other, answer) in [
        (format!("{header}.{stray}.{signature}"), 401),
        (format!("{header}.{claims}=.{signature}"), 400),
        (format!("{header}==.{claims}.{signature}"), 400),
        (format!("{header}=.{stray}==.{signature}="), 400),
    ] {
        assert_eq!(status(&host.exchange(1, pull(&other), nobody)), answer, "{other}");
    }
    let person = registry_jwt("personal", 1).replace('.', "=.");
    assert_eq!(status(&host.exchange(1, pull(&person), nobody)), 200, "it is the registry's to refuse");
}

#[test]
fn behind_no_spelling_of_a_host_a_token_outlives_its_job() {
    let mut host = host();
    let (token, person) = (jwt(r#"{"sub":"dana"}"#), jwt(r#"{"sub":"nora"}"#));
    exchange(&mut host, DANA, &token);
    end(&mut host);
    for authority in [
        "registry.example.com:",
        "registry.example.com:000443",
        "registry.example.com:x",
        "registry.example.com:1,evil",
        "registry.example.com:@",
        "gitlab.example.com:",
        "",
    ] {
        let pull = |token: &str| {
            RequestHead::new("GET", authority, "/v2/apps/web/app/manifests/v1").header("authorization", bearer(token))
        };
        let stream = host.send(1, pull(&token), nobody);
        assert_eq!((status(&host.outcome(stream)), reason(&host, stream)), (400, "http.host".into()), "{authority}");
        host.close(stream);
        assert_eq!(status(&host.exchange(1, pull(&person), nobody)), 200, "a person's goes on: {authority}");
    }
}

#[test]
fn a_jobs_token_that_was_never_seen_gets_the_challenge_again() {
    let mut host = host();
    let token = registry_jwt("build", 7);
    for method in ["GET", "PATCH"] {
        let path = if method == "GET" { "/v2/apps/web/app/manifests/v1" } else { "/v2/apps/web/app/blobs/uploads/u1" };
        let head = registry(method, path).header("authorization", bearer(&token)).header("accept", "*/*");
        let stream = host.send(0, head, nobody);
        let outcome = host.outcome(stream);
        assert_eq!(outcome.forwarded_header("authorization"), None, "{outcome:?}");
        assert_eq!(outcome.forwarded_header("accept").as_deref(), Some("*/*"));
        assert_eq!(property(&host, stream, "jobscope_verdict"), "deny");
        assert_eq!(reason(&host, stream), "token.unrecorded");
        host.close(stream);
    }
    let upload = registry("PUT", "/v2/apps/web/app/manifests/..%2fv1").header("authorization", bearer(&token));
    assert_eq!(status(&host.exchange(0, upload, nobody)), 400, "it is a job's");
    host.fail_always(Hostcall::RemoveMapValue, Status::InternalFailure);
    assert_eq!(status(&host.exchange(0, pull(&token), nobody)), 503, "what cannot be removed does not go on");
}

#[test]
fn a_persons_token_passes_untouched_and_costs_one_read_of_shared_data() {
    let mut host = host();
    let token = registry_jwt("personal", 1);
    let lfs = format!("Basic {}", STANDARD.encode(format!("dana:{}", jwt(r#"{"data":{"actor":"dana"}}"#))));
    let object = format!("/apps/web.git/gitlab-lfs/objects/{}", "a".repeat(64));
    for request in [
        pull(&token),
        registry("GET", "/v2/apps//web").header("authorization", bearer(&token)),
        registry("PUT", "/v2/a/b/manifests/x").header("authorization", bearer(&token)).with_body(),
        get("/v2/apps/dependency_proxy/containers/alpine/manifests/3").header("authorization", bearer(&token)),
        get(&object).header("authorization", &*lfs),
        get("/apps/web.git/info/refs?service=git-receive-pack").header("authorization", &*lfs),
        post("/apps/web.git/info/lfs/objects/batch").header("authorization", &*lfs).with_body(),
        get("/dashboard").header("authorization", bearer(&token)),
    ] {
        host.reset_counts();
        let before = request.headers.clone();
        let Outcome::Forwarded { headers, .. } = host.exchange(0, request, nobody) else { panic!("{before:?}") };
        assert_eq!(headers, before);
        let calls: Vec<_> = host
            .hostcalls()
            .into_iter()
            .filter(|(name, count)| *count > 0 && *name != "proxy_on_memory_allocate")
            .collect();
        assert_eq!(
            calls,
            [
                ("proxy_get_current_time_nanoseconds", 1),
                ("proxy_get_header_map_pairs", 1),
                ("proxy_get_shared_data", 1)
            ]
        );
    }
    for request in [
        get("/api/v4/projects/102").header("authorization", bearer(&token)),
        RequestHead::new("GET", "elsewhere.example.com", "/v2/").header("authorization", bearer(&token)),
        get("/apps/web.git/info/refs?service=git-upload-pack").header("authorization", "Basic ZGFuYTpleUpo"),
    ] {
        host.reset_counts();
        assert_eq!(status(&host.exchange(0, request, nobody)), 200);
        assert_eq!(host.calls(Hostcall::GetSharedData), 0, "nobody takes such a token there");
    }
}

#[test]
fn a_warm_decision_reads_shared_data_once_more() {
    let mut host = host();
    let token = registry_jwt("build", 1);
    exchange(&mut host, DANA, &token);
    for worker in [0, 1] {
        host.reset_counts();
        assert_eq!(status(&host.exchange(worker, pull(&token), nobody)), 200);
        assert_eq!(host.calls(Hostcall::GetMap), 1);
        assert_eq!(host.calls(Hostcall::GetSharedData), 3);
        assert_eq!(host.calls(Hostcall::SetSharedData), 0);
    }
}

/// Has a worker keep what it decides on a pull. Only the second time it knows which version says that this holds.
fn keep(host: &mut Host, worker: usize, token: &str) {
    for reads in [3, 4, 1] {
        assert_eq!(decided(host, worker, token), (200, "own-project".into(), reads));
    }
}

/// What is decided on a pull, and how often shared data is read for that.
fn decided(host: &mut Host, worker: usize, token: &str) -> (u32, String, u64) {
    host.reset_counts();
    let stream = host.send(worker, pull(token), gitlab);
    let decided = (status(&host.outcome(stream)), reason(host, stream), host.calls(Hostcall::GetSharedData));
    host.close(stream);
    decided
}

/// The job comes with its token, which is confirmed with that.
fn confirm(host: &mut Host) {
    for _ in 0..2 {
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    }
}

#[test]
fn what_is_decided_is_kept_while_the_jobs_own_token_is_fresh_and_until_the_job_ends() {
    let mut host = host();
    let token = registry_jwt("build", 1);
    exchange(&mut host, DANA, &token);
    for worker in [0, 1] {
        keep(&mut host, worker, &token);
    }
    host.advance(Duration::from_secs(30));
    // The target is looked up again, and nobody can do that for the token.
    let reads = [0; 3].map(|_| decided(&mut host, 1, &token).2);
    assert_eq!(reads[1..], [4, 4]);
    confirm(&mut host);
    assert_eq!([0; 2].map(|_| decided(&mut host, 1, &token).2), [4, 1]);
    end(&mut host);
    for worker in [1, 0] {
        let (status, reason, _) = decided(&mut host, worker, &token);
        assert_eq!((status, reason), (401, "token.ended".into()));
    }
}

#[test]
fn who_pushes_a_token_out_takes_back_what_was_decided_on_it() {
    const CAPACITY: u32 = 64;
    let signed = |token: &str| Secret::new(token.rsplit_once('.').unwrap().0.as_bytes()).hash();
    let bucket = |token: &String| Table::of::<Minted>(CAPACITY).bucket(&signed(token));
    let first = registry_jwt("build", 0);
    let more = || (1..).map(|number| registry_jwt("build", number)).filter(|token| bucket(token) == bucket(&first));
    // Also where it is only just good, and what was decided is kept for no longer than that.
    for (old, age) in [(0, 1), (298, 1), (299, 3)] {
        let mut host = host_with(&format!(r#", "bindings": {{"capacity": {CAPACITY}}}"#));
        exchange(&mut host, DANA, &first);
        host.advance(Duration::from_secs(old));
        confirm(&mut host);
        decided(&mut host, 0, &first);
        for worker in [0, 1] {
            let reads = [0; 3].map(|_| decided(&mut host, worker, &first).2);
            assert_eq!(reads[2], 1, "it is kept");
        }
        host.advance(Duration::from_secs(age));
        for token in more().take(4) {
            exchange(&mut host, DANA, &token);
        }
        for worker in [0, 1] {
            let (_, reason, _) = decided(&mut host, worker, &first);
            assert_eq!(reason, "token.unrecorded", "{old}");
        }
    }
}

#[test]
fn a_token_that_is_made_for_another_job_too_is_that_jobs() {
    let mut host = host();
    let token = registry_jwt("build", 1);
    exchange(&mut host, DANA, &token);
    for worker in [0, 1] {
        keep(&mut host, worker, &token);
    }
    exchange(&mut host, NORA, &token);
    for worker in [0, 1] {
        let stream = host.send(worker, pull(&token), gitlab);
        assert_eq!(property(&host, stream, "jobscope_user"), "nora");
        host.close(stream);
    }
    end(&mut host);
    // Which version says that it holds was known of the other's.
    for reads in [4, 1] {
        assert_eq!(decided(&mut host, 0, &token), (200, "own-project".into(), reads));
    }
    let report = RequestHead::new("PUT", "gitlab.example.com", "/api/v4/jobs/1002");
    let report = report.header("content-type", "application/json");
    let stream = host.send(1, report.body(format!(r#"{{"token": "{NORA}", "state": "success"}}"#)), gitlab);
    host.respond(stream, 200, &[], "");
    host.close(stream);
    for worker in [0, 1] {
        assert_eq!(decided(&mut host, worker, &token).0, 401);
    }
}

#[test]
fn a_token_that_the_forge_no_longer_takes_still_goes_on_to_get_the_challenge() {
    let mut host = host();
    let token = registry_jwt("build", 1);
    exchange(&mut host, DANA, &token);
    for _ in 0..5 {
        host.advance(Duration::from_secs(100));
        // The job goes on, and so its token is looked up again.
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    }
    let upload = registry("PATCH", "/v2/apps/web/app/blobs/uploads/u1").header("authorization", bearer(&token));
    let outcome = host.exchange(0, upload.body("layer"), gitlab);
    assert_eq!(outcome.forwarded_header("authorization"), Some(bearer(&token)));
}

#[test]
fn a_token_of_a_job_that_nobody_confirmed_for_long_gets_the_challenge_again() {
    let mut host = host();
    // It does not say itself whose it is.
    let token = registry_jwt("personal", 1);
    exchange(&mut host, DANA, &token);
    host.advance(Duration::from_secs(299));
    assert_eq!(status(&host.exchange(1, pull(&token), gitlab)), 200, "it serves as long as the job's own");
    host.advance(Duration::from_secs(2));
    let stream = host.send(1, pull(&token), nobody);
    assert_eq!(host.outcome(stream).forwarded_header("authorization"), None);
    assert_eq!(reason(&host, stream), "token.unrecorded");
    exchange(&mut host, DANA, &registry_jwt("build", 2));
    assert_eq!(status(&host.exchange(1, pull(&token), nobody)), 200, "the job is known again");
}

#[test]
fn an_exchange_that_was_refused_or_cannot_be_read_records_nothing() {
    let mut host = host();
    let token = registry_jwt("build", 1);
    let body = format!(r#"{{"token": "{token}"}}"#);
    let json = ("content-type", "application/json");
    let gzip = ("content-encoding", "gzip");
    for (answer, fields, body) in [
        (401, &[json][..], body.as_str()),
        (200, &[json], &body[..body.len() - 1]),
        (200, &[], &body),
        (200, &[json, gzip], &body),
    ] {
        let stream = host.send(0, ask(DANA), gitlab);
        host.respond(stream, answer, fields, body);
        assert_eq!(host.downstream(stream).body, body.as_bytes());
        let stream = host.send(0, pull(&token), gitlab);
        assert_eq!(reason(&host, stream), "token.unrecorded", "{answer} {fields:?}");
    }
}

#[test]
fn many_tokens_grow_nothing() {
    let mut host = host_with(r#", "bindings": {"capacity": 64}"#);
    exchange(&mut host, DANA, &registry_jwt("build", 0));
    let keys = host.shared_data().len();
    let mut most = 0;
    for number in 1..2000 {
        exchange(&mut host, DANA, &registry_jwt("build", number));
        if number == 1000 {
            most = host.shared_data().bytes();
        }
    }
    assert_eq!(host.shared_data().len(), keys, "no key was added");
    assert!(host.shared_data().bytes() <= most, "{} after {most}", host.shared_data().bytes());
    assert_eq!(status(&host.exchange(1, pull(&registry_jwt("build", 1999)), gitlab)), 200);
}

const OBJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn users_lfs() -> String {
    format!("Basic {}", STANDARD.encode(format!("dana:{}", jwt(r#"{"data":{"actor":"dana"}}"#))))
}

fn batch(authorization: &str) -> Request {
    post("/apps/web.git/info/lfs/objects/batch")
        .header("authorization", authorization)
        .header("content-type", "application/vnd.git-lfs+json")
        .header("accept-encoding", "gzip")
        .body(r#"{"operation":"download","objects":[]}"#)
}

/// What GitLab answers to a batch, with this address and this credential.
fn located(host: &str, authorization: &str) -> String {
    format!(
        r#"{{"objects":[{{"oid":"{OBJECT}","size":3,"authenticated":true,"actions":{{"download":{{"href":"https://{host}/apps/web.git/gitlab-lfs/objects/{OBJECT}","header":{{"Authorization":"{authorization}"}}}}}}}}]}}"#
    )
}

const LFS: &[(&str, &str)] = &[("content-type", "application/vnd.git-lfs+json")];

#[test]
fn a_job_finds_its_own_credential_in_the_answer_to_an_lfs_batch() {
    let mut host = host();
    let answer = located("gitlab.example.com", &users_lfs());
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    assert_eq!(host.outcome(stream).forwarded_header("accept-encoding"), None);
    let length = answer.len().to_string();
    let Answer::Response { headers, .. } = Answer::response(200, &[LFS[0], ("content-length", &length)], "") else {
        unreachable!()
    };
    host.upstream_response(stream, &headers, false);
    let (first, rest) = answer.split_at(answer.len() - 20);
    host.upstream_body(stream, first, false);
    assert_eq!(host.downstream(stream).body, b"", "nothing goes on before it was read");
    host.upstream_body(stream, rest, true);
    let client = host.downstream(stream);
    assert_eq!(String::from_utf8(client.body.clone()).unwrap(), located("gitlab.example.com", &basic(DANA)));
    assert_eq!(client.header("content-length"), None);
    host.close(stream);

    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    let elsewhere = located("store.example.com", "AWS4-HMAC x");
    host.respond(stream, 200, LFS, elsewhere.clone());
    assert_eq!(host.downstream(stream).body, elsewhere.as_bytes(), "another host never sees the token");
    host.close(stream);

    let denied = r#"{"message": "Not found."}"#;
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    host.respond(stream, 404, LFS, denied);
    assert_eq!((host.downstream(stream).status(), host.downstream(stream).body), (Some(404), denied.into()));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn an_answer_that_may_hand_out_more_than_the_jobs_own_does_not_get_there() {
    let refused = |host: &mut Host, fields: &[(&str, &str)], body: &str| {
        let stream = host.send(0, batch(&basic(DANA)), gitlab);
        host.respond(stream, 200, fields, body);
        let client = host.downstream(stream);
        let text = String::from_utf8(client.body.clone()).unwrap();
        assert_eq!(client.header("content-type").as_deref(), Some("application/vnd.git-lfs+json"), "{text}");
        assert!(!text.contains("ZGFuYT"), "{text}");
        assert_eq!(reason(host, stream), "answer.unreadable");
        assert_eq!(property(host, stream, "jobscope_verdict"), "deny");
        host.close(stream);
        client.status()
    };
    let mut host = host();
    let good = located("gitlab.example.com", &users_lfs());
    assert_eq!(refused(&mut host, LFS, &good[..good.len() - 1]), Some(503));
    assert_eq!(refused(&mut host, LFS, &good.replace("https:", "")), Some(503));
    let long = good.replace("\"size\"", &format!("\"x\":\"{}\",\"size\"", "x".repeat(1 << 20)));
    assert_eq!(refused(&mut host, LFS, &long), Some(503));
    for call in [Hostcall::RemoveMapValue, Hostcall::GetBuffer] {
        let mut host = crate::forge::host();
        let stream = host.send(0, batch(&basic(DANA)), gitlab);
        host.fail_always(call, Status::InternalFailure);
        host.respond(stream, 200, LFS, good.clone());
        assert_eq!(host.downstream(stream).status(), Some(503), "{call:?}");
        assert!(!host.trapped(0));
    }
}

/// A host that leaves the forge's credential in the answer to a batch.
fn leaving(more: &str) -> Host {
    host_of(&configuration(more).replacen(r#""hosts""#, r#""lfs_credentials": "forge", "hosts""#, 1))
}

#[test]
fn no_lfs_credential_goes_on_before_it_was_read() {
    let good = located("gitlab.example.com", &users_lfs());
    let long = good.replace("\"size\"", &format!("\"x\":\"{}\",\"size\"", "x".repeat(1 << 20)));
    let mut host = leaving("");
    for unreadable in [&good[..good.len() - 1], &long] {
        let stream = host.send(0, batch(&basic(DANA)), gitlab);
        host.respond(stream, 200, LFS, unreadable);
        let client = host.downstream(stream);
        assert!(!String::from_utf8_lossy(&client.body).contains("ZGFuYT"));
        assert_eq!((client.status(), reason(&host, stream)), (Some(503), "answer.unreadable".into()));
        host.close(stream);
    }
    // A client that has half of the answer may have the credential.
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    let Answer::Response { headers, .. } = Answer::response(200, LFS, "") else { unreachable!() };
    host.upstream_response(stream, &headers, false);
    let (half, rest) = good.split_at(good.len() - 20);
    host.upstream_body(stream, half, false);
    assert_eq!(host.downstream(stream).body, b"", "nothing goes on before it was read");
    host.upstream_body(stream, rest, true);
    assert_eq!(host.downstream(stream).body, good.as_bytes());
    assert_eq!(host.hazards(), Vec::<String>::new());

    let mut host = leaving(r#", "mode": "observe""#);
    for unreadable in [&good[..good.len() - 1], &long] {
        let stream = host.send(0, batch(&basic(DANA)), gitlab);
        host.respond(stream, 200, LFS, unreadable);
        assert_eq!(host.downstream(stream).body, unreadable.as_bytes(), "it is only observed");
        host.close(stream);
    }
}

#[test]
fn nothing_is_changed_in_the_answer_of_a_target_that_is_observed() {
    let mut host = host_with(r#", "observe": {"targets": ["apps/web"]}"#);
    let answer = located("gitlab.example.com", &users_lfs());
    for came in [&answer, &answer[..answer.len() - 1]] {
        let stream = host.send(0, batch(&basic(DANA)), gitlab);
        host.respond(stream, 200, LFS, came);
        assert_eq!(host.downstream(stream).body, came.as_bytes());
        host.close(stream);
    }
    let object = get(&format!("/apps/web.git/gitlab-lfs/objects/{OBJECT}")).header("authorization", users_lfs());
    let stream = host.send(1, object, gitlab);
    assert_eq!(property(&host, stream, "jobscope_job"), "1001", "what passes is remembered all the same");

    let mut host = host_with(r#", "observe": {"targets": ["libs/common"]}"#);
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    host.respond(stream, 200, LFS, answer);
    assert_eq!(host.downstream(stream).body, located("gitlab.example.com", &basic(DANA)).as_bytes());
}

#[test]
fn the_forges_lfs_credential_is_judged_like_the_jobs_own_where_it_is_left() {
    let mut host = leaving("");
    let answer = located("gitlab.example.com", &users_lfs());
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    host.respond(stream, 200, LFS, answer.clone());
    assert_eq!(host.downstream(stream).body, answer.as_bytes());
    host.close(stream);

    let object =
        |method, path: &str| RequestHead::new(method, "gitlab.example.com", path).header("authorization", users_lfs());
    let download = || object("GET", &format!("/apps/web.git/gitlab-lfs/objects/{OBJECT}"));
    let stream = host.send(1, download(), gitlab);
    assert_eq!((status(&host.outcome(stream)), property(&host, stream, "jobscope_job")), (200, "1001".into()));
    let upload = object("PUT", &format!("/apps/web.git/gitlab-lfs/objects/{OBJECT}/3"));
    let stream = host.send(1, upload.body("abc"), gitlab);
    assert_eq!((status(&host.outcome(stream)), reason(&host, stream)), (403, "push.off".into()));
    let push = object("GET", "/apps/web.git/info/refs?service=git-receive-pack");
    assert_eq!(status(&host.exchange(1, push, gitlab)), 403);
    assert_eq!(status(&host.exchange(1, batch(&users_lfs()), gitlab)), 400, "it makes no others");
    assert_eq!(
        status(&host.exchange(1, ask("x").without("authorization").header("authorization", users_lfs()), gitlab)),
        400
    );
    end(&mut host);
    assert_eq!(status(&host.exchange(0, download(), nobody)), 401);
    assert_eq!(status(&host.exchange(0, clone("apps/web", NORA), gitlab)), 200, "another job goes on");
}

#[test]
fn no_job_has_its_first_lfs_credential_forgotten_by_asking_for_more() {
    let mut host = leaving(r#", "bindings": {"capacity": 64}"#);
    let credential = |number: u32| {
        let login = format!("dana:{}", jwt(&format!(r#"{{"data":{{"actor":"dana"}},"jti":"{number}"}}"#)));
        format!("Basic {}", STANDARD.encode(login))
    };
    let mut refused = 0;
    for number in 0..900 {
        let stream = host.send(0, batch(&basic(DANA)), gitlab);
        host.respond(stream, 200, LFS, located("gitlab.example.com", &credential(number)));
        let client = host.downstream(stream);
        if client.status() == Some(503) {
            assert_eq!(reason(&host, stream), "answer.unrecorded");
            refused += 1;
        } else {
            let object =
                get(&format!("/apps/web.git/gitlab-lfs/objects/{OBJECT}")).header("authorization", credential(number));
            assert_eq!(status(&host.exchange(1, object, gitlab)), 200, "{number}");
        }
        host.close(stream);
        host.clear_logs();
    }
    assert!(refused > 700, "{refused}");
    let stream = host.send(0, clone("apps/web", NORA), gitlab);
    assert_eq!(status(&host.outcome(stream)), 200);
    let first = get(&format!("/apps/web.git/gitlab-lfs/objects/{OBJECT}")).header("authorization", credential(0));
    let stream = host.send(1, first, gitlab);
    assert_eq!(property(&host, stream, "jobscope_job"), "1001", "the first is still the job's");
}

#[test]
fn an_lfs_credential_that_cannot_be_written_does_not_go_on() {
    let mut host = leaving("");
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    host.fail_always(Hostcall::SetSharedData, Status::InternalFailure);
    host.respond(stream, 200, LFS, located("gitlab.example.com", &users_lfs()));
    assert_eq!((host.downstream(stream).status(), reason(&host, stream)), (Some(503), "answer.unrecorded".into()));
}

#[test]
fn observing_changes_neither_a_request_nor_an_answer() {
    let mut host = host_with(r#", "mode": "observe""#);
    let token = registry_jwt("build", 7);
    let stream = host.send(0, pull(&token), nobody);
    assert_eq!(host.outcome(stream).forwarded_header("authorization"), Some(bearer(&token)));
    assert_eq!(property(&host, stream, "jobscope_verdict"), "observe-deny");
    let answer = located("gitlab.example.com", &users_lfs());
    let stream = host.send(0, batch(&basic(DANA)), gitlab);
    host.respond(stream, 200, LFS, answer.clone());
    assert_eq!(host.downstream(stream).body, answer.as_bytes());
    let object = get(&format!("/apps/web.git/gitlab-lfs/objects/{OBJECT}")).header("authorization", users_lfs());
    let stream = host.send(1, object, gitlab);
    assert_eq!(property(&host, stream, "jobscope_job"), "1001", "what passes is remembered all the same");
}
