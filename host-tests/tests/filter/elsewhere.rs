//! `forge.kind: generic` and `gitea`: a credential that may be anybody's, and a service that says whose it is.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use host_tests::host::{Answer, Callout, Host, Outcome, Request, RequestHead};
use serde_json::{Value, json};

use crate::forge::{basic, host_of, nobody};

const JOB: &str = "0123456789abcdef0123456789abcdef01234567";
const DANA: &str = "fedcba9876543210fedcba9876543210fedcba98";
const ENDED: &str = "00000000000000000000000000000000deadbeef";

fn host() -> Host {
    host_of(
        r#"{"forge": {"kind": "generic", "hosts": ["gitea.example.com"]},
            "lookup": {"cluster": "token-lookup", "authority": "facts.example.com", "credential_env": "LOOKUP_TOKEN"}}"#,
    )
}

/// The platform team's service: a job of o/r, a person's token, and nothing else.
fn service(call: &Callout) -> Answer {
    assert_eq!(call.path(), "/jobscope/v1/lookup");
    let asked: Value = serde_json::from_slice(&call.body).unwrap();
    let answer = match (asked["token"].as_str(), asked["target"]["path"].as_str()) {
        (Some(JOB), _) => json!({"version": 1, "token": "running", "job": {"id": 7, "user": null,
            "origin": {"id": 1, "path": "o/r"}}}),
        (Some(ENDED), _) => json!({"version": 1, "token": "ended"}),
        (Some(_), _) => json!({"version": 1, "token": "foreign"}),
        (None, Some("o/r")) => json!({"version": 1, "role": "none", "external": false, "admission": "own",
            "target": {"id": 1, "path": "o/r", "visibility": "private", "push_by_job_token": false}}),
        (None, _) => json!({"version": 1, "target": null}),
    };
    Answer::json(200, answer.to_string())
}

fn get(path: &str, authorization: &str) -> RequestHead {
    RequestHead::new("GET", "gitea.example.com", path).header("authorization", authorization)
}

fn status(outcome: &Outcome) -> u32 {
    outcome.reply().unwrap_or_else(|| panic!("{outcome:?}")).status
}

const CLONE: &str = "/o/r/info/refs?service=git-upload-pack";

#[test]
fn a_job_is_judged_whatever_holds_its_token() {
    let mut host = host();
    for authorization in [format!("token {JOB}"), format!("bearer {JOB}"), basic(JOB)] {
        let own = host.exchange(0, get(CLONE, &authorization), service);
        assert!(matches!(own, Outcome::Forwarded { .. }), "{own:?}");
        let other = get("/o/other.git/info/refs?service=git-upload-pack", &authorization);
        assert_eq!(status(&host.exchange(0, other, service)), 404);
        assert_eq!(status(&host.exchange(0, get("/o//r", &authorization), service)), 400);
        assert_eq!(status(&host.exchange(0, get("/api/v1/user", &authorization), service)), 403);
        assert_eq!(status(&host.exchange(0, get("/v2/token", &authorization), service)), 401);
        assert_eq!(status(&host.exchange(0, get("/user/settings", &authorization), service)), 403);
    }
    assert_eq!(status(&host.exchange(0, get(CLONE, &format!("token {ENDED}")), service)), 401);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_person_passes_untouched_whatever_is_asked_in_whatever_form() {
    let mut host = host();
    let batch = RequestHead::new("POST", "gitea.example.com", "/o/r.git/info/lfs/objects/batch")
        .header("authorization", format!("Bearer {DANA}"))
        .header("content-type", "application/vnd.git-lfs+json");
    let requests: [Request; 6] = [
        get(CLONE, &format!("token {DANA}")).into(),
        get("/api/v1/user", &format!("token {DANA}")).into(),
        get("/o//r/../x", &format!("Bearer  {DANA}")).into(),
        get("/user/settings", &format!("Bearer {DANA}")).header("cookie", "session=dana").into(),
        batch.clone().body(r#"{"operation": "download"}"#),
        batch.body("no JSON"),
    ];
    for request in requests {
        let (before, sent) = (request.head.headers.clone(), request.body.concat());
        let stream = host.send(0, request, service);
        let Outcome::Forwarded { headers, body, .. } = host.outcome(stream) else { panic!("{before:?}") };
        assert_eq!((headers, body), (before, sent));
        assert!(host.properties(stream).is_empty(), "it is nobody's decision");
        host.close(stream);
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_person_is_asked_for_once_in_a_while() {
    let mut host = host();
    let request = || get(CLONE, &format!("token {DANA}"));
    let passes = |outcome: Outcome| matches!(outcome, Outcome::Forwarded { .. });
    assert!(passes(host.exchange(0, request(), service)));
    assert!(passes(host.exchange(0, request(), nobody)));
    assert!(passes(host.exchange(1, request(), nobody)), "every worker knows");
    host.advance(Duration::from_secs(61));
    assert_eq!(status(&host.exchange(0, request(), |_| Answer::json(503, ""))), 503, "asked again");
}

#[test]
fn nobody_knows_whose_it_is_while_the_service_is_away() {
    let mut host = host();
    for path in [CLONE, "/o//r", "/user/settings"] {
        let outcome = host.exchange(0, get(path, &format!("token {DANA}")), |_| Answer::json(503, ""));
        assert_eq!(status(&outcome), 503, "{path}");
    }
    // What cannot be a token needs nobody.
    for request in [
        RequestHead::new("GET", "gitea.example.com", CLONE),
        get(CLONE, "Basic ZGFuYTpjb3JyZWN0IGhvcnNl"),
        get("/", "Negotiate YIIabc=="),
    ] {
        assert!(matches!(host.exchange(0, request, nobody), Outcome::Forwarded { .. }));
    }
    let two = get(CLONE, &format!("token {DANA}")).header("authorization", format!("token {JOB}"));
    assert_eq!(status(&host.exchange(0, two, nobody)), 400, "which of them counts is not to be told");
}

#[test]
fn a_jobs_form_that_does_not_come_in_time_goes_nowhere() {
    let mut host = host();
    for end in [false, true] {
        let head = RequestHead::new("POST", "gitea.example.com", "/api/v1/repos/o/other/issues")
            .header("authorization", format!("token {JOB}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .with_body();
        let stream = host.open(0, head);
        host.request_body(stream, "title=x&", false);
        host.advance(Duration::from_secs(11));
        host.settle(service);
        if end {
            host.request_body(stream, "body=y", true);
        }
        let outcome = host.outcome(stream);
        assert!((400..500).contains(&status(&outcome)), "{outcome:?}");
        host.close(stream);
    }
}

/// Gitea before the same service, to which dana's job of o/r came.
fn gitea() -> Host {
    host_of(
        r#"{"forge": {"kind": "gitea", "hosts": ["gitea.example.com"]}, "packages": {"index": "all-admitted"},
            "lookup": {"cluster": "token-lookup", "authority": "facts.example.com", "credential_env": "LOOKUP_TOKEN"}}"#,
    )
}

/// Whose job's token it is.
fn dana_runs() -> Value {
    json!({"version": 1, "token": "running", "job": {"id": 7, "user": {"id": 11, "name": "dana"},
        "origin": {"id": 1, "path": "o/r"}}})
}

/// A job of o/r: o owns that and o/s, which does not let it in.
fn with_dana(call: &Callout) -> Answer {
    let asked: Value = serde_json::from_slice(&call.body).unwrap();
    let target = |id: u64, path: &str, admission: &str| {
        json!({"version": 1, "role": "developer", "external": false, "admission": admission,
            "target": {"id": id, "path": path, "visibility": "private", "push_by_job_token": false}})
    };
    let answer = match (asked["ask"].as_str(), asked["token"].as_str()) {
        (_, Some(JOB)) => dana_runs(),
        (_, Some(_)) => json!({"version": 1, "token": "foreign"}),
        (Some("holders"), _) => match asked["group"]["path"].as_str() {
            Some("o") => json!({"version": 1, "holders": [1, 2]}),
            Some("single") => json!({"version": 1, "holders": [1]}),
            _ => json!({"version": 1, "holders": []}),
        },
        _ => match (asked["target"]["path"].as_str(), asked["target"]["id"].as_u64()) {
            (Some("o/r"), _) | (_, Some(1)) => target(1, "o/r", "own"),
            (Some("o/s"), _) | (_, Some(2)) => target(2, "o/s", "unlisted"),
            _ => json!({"version": 1, "target": null}),
        },
    };
    Answer::json(200, answer.to_string())
}

#[test]
fn giteas_api_is_judged_by_its_table() {
    let mut host = gitea();
    let token = format!("token {JOB}");
    for (method, path, expected) in [
        ("GET", "/api/v1/repos/O/R/releases", None),
        ("GET", "/api/v1/repos/o/r/contents/a/b?ref=main", None),
        ("GET", "/o/r/archive/main.zip", None),
        ("DELETE", "/api/v1/repos/o/r/releases/7", None),
        ("POST", "/twirp/github.actions.results.api.v1.ArtifactService/ListArtifacts", None),
        ("GET", "/api/packages/single/npm/@s%2ftool", None),
        ("GET", "/api/v1/repos/o/s/releases", Some(403)),
        ("GET", "/o/s/archive/main.zip", Some(403)),
        ("GET", "/api/v1/repos/o/t/releases", Some(404)),
        ("DELETE", "/api/v1/repos/o/r/branches/main", Some(403)),
        ("DELETE", "/api/v1/repos/o/r", Some(403)),
        ("GET", "/api/v1/user", Some(403)),
        ("GET", "/api/packages/o/npm/tool", Some(403)),
        ("GET", "/api/packages/empty/npm/tool", Some(404)),
        ("PUT", "/api/packages/single/npm/tool", Some(403)),
        ("GET", "/api/v1/repos/o/r%2Freleases", Some(400)),
        ("GET", "/api/v1/repos/o/r/releases/", Some(400)),
    ] {
        let head = RequestHead::new(method, "gitea.example.com", path).header("authorization", &token);
        let outcome = host.exchange(0, head, with_dana);
        let found = if matches!(outcome, Outcome::Forwarded { .. }) { None } else { Some(status(&outcome)) };
        assert_eq!(found, expected, "{method} {path}: {outcome:?}");
        let person =
            RequestHead::new(method, "gitea.example.com", path).header("authorization", format!("token {DANA}"));
        assert!(matches!(host.exchange(0, person, with_dana), Outcome::Forwarded { .. }), "{method} {path}");
    }
    let version = host.exchange(0, get("/api/v1/version", &token), with_dana);
    let Outcome::Forwarded { headers, .. } = version else { panic!("{version:?}") };
    assert!(headers.iter().all(|(name, _)| name != b"authorization"), "it goes on without the token: {headers:?}");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

/// What Gitea's registry makes for a user of this number, for a day.
fn registry_jwt(user: i64, task: u64) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims =
        format!(r#"{{"exp":1700086400,"nbf":1700000000,"UserID":{user},"Scope":"","ActionsUserTaskID":{task}}}"#);
    format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims), part("signature"))
}

/// A job logs in to the registry, and Gitea gives it this.
fn log_in(host: &mut Host, jwt: &str) {
    let path = "/v2/token?account=x&scope=repository%3Asingle%2Ftool%3Apull&service=container_registry";
    let stream = host.send(0, get(path, &basic(JOB)).header("accept-encoding", "gzip"), with_dana);
    assert_eq!(host.outcome(stream).forwarded_header("authorization"), Some(basic(JOB)));
    assert_eq!(host.outcome(stream).forwarded_header("accept-encoding"), None, "the answer comes as it is");
    let answer = json!({"token": jwt}).to_string();
    host.respond(stream, 200, &[("content-type", "application/json;charset=utf-8")], answer.clone());
    assert_eq!(host.downstream(stream).body, answer.as_bytes());
    host.close(stream);
}

#[test]
fn what_giteas_registry_gives_a_job_is_the_jobs() {
    let mut host = gitea();
    let jwt = registry_jwt(-2, 0);
    log_in(&mut host, &jwt);
    // The service of these tests takes every JWT for somebody else's.
    let not_about_it = |call: &Callout| {
        assert!(!String::from_utf8_lossy(&call.body).contains("eyJ"), "it was seen being made");
        with_dana(call)
    };
    let bearer = format!("Bearer {jwt}");
    for worker in [0, 1] {
        for (method, path, expected) in [
            ("GET", "/v2/", None),
            ("GET", "/v2/single/tool/manifests/v1", None),
            ("HEAD", "/v2/single/a/b/tags/list", None),
            ("GET", "/v2/o/tool/manifests/v1", Some(403)),
            ("GET", "/v2/empty/tool/manifests/v1", Some(403)),
            ("PUT", "/v2/single/tool/manifests/v1", Some(403)),
            ("POST", "/v2/single/tool/blobs/uploads/", Some(403)),
            ("DELETE", "/v2/single/tool/manifests/v1", Some(403)),
            ("GET", "/v2/_catalog", Some(403)),
            ("GET", "/v2/token", Some(400)),
            ("GET", "/o/s/info/refs?service=git-upload-pack", Some(403)),
        ] {
            let head = RequestHead::new(method, "gitea.example.com", path).header("authorization", &bearer);
            let outcome = host.exchange(worker, head, not_about_it);
            let found = if matches!(outcome, Outcome::Forwarded { .. }) { None } else { Some(status(&outcome)) };
            assert_eq!(found, expected, "{method} {path}: {outcome:?}");
        }
    }
    // With the job it is over.
    host.advance(Duration::from_secs(3600));
    let over = host.exchange(0, get("/v2/", &basic(JOB)), |_| Answer::json(200, r#"{"version": 1, "token": "ended"}"#));
    assert_eq!(status(&over), 401);
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, get("/v2/", &bearer), nobody)), 401);
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn what_was_not_seen_being_made_is_asked_about_and_jobs_is_no_persons() {
    let mut host = gitea();
    let pull =
        |user: i64, task: u64| get("/v2/single/tool/manifests/v1", &format!("Bearer {}", registry_jwt(user, task)));
    // Of another Envoy's login nothing is known here, and this service calls it a person's: the forge tells the client to log in again.
    let challenged = host.exchange(0, pull(-2, 0), with_dana);
    let Outcome::Forwarded { headers, .. } = &challenged else { panic!("{challenged:?}") };
    assert!(headers.iter().all(|(name, _)| name != b"authorization"), "{headers:?}");
    assert_eq!(
        status(&host.exchange(0, get("/o/r/settings", &format!("Bearer {}", registry_jwt(-2, 0))), with_dana)),
        403
    );
    let person = host.exchange(0, pull(11, 0), with_dana);
    assert!(matches!(person, Outcome::Forwarded { .. }), "{person:?}");
    let knows = |call: &Callout| {
        let asked: Value = serde_json::from_slice(&call.body).unwrap();
        if asked["token"].is_null() { with_dana(call) } else { Answer::json(200, dana_runs().to_string()) }
    };
    let known = host.exchange(0, pull(-2, 7), knows);
    assert!(matches!(known, Outcome::Forwarded { .. }), "{known:?}");
    // What it was made from is forgotten: it is asked about itself.
    let jwt = registry_jwt(-2, 8);
    log_in(&mut host, &jwt);
    host.advance(Duration::from_secs(3600));
    let again = host.exchange(0, get("/v2/single/tool/manifests/v1", &format!("Bearer {jwt}")), knows);
    assert!(matches!(again, Outcome::Forwarded { .. }), "{again:?}");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_token_in_a_part_of_an_upload_to_an_api_does_not_reach_gitea() {
    let mut host = gitea();
    let upload = |authorization: Option<&str>, name: &str| {
        let head = RequestHead::new("POST", "gitea.example.com", "/api/v1/repos/o/r/releases/1/assets")
            .header("content-type", "multipart/form-data; boundary=b");
        let head = authorization.into_iter().fold(head, |head, value| head.header("authorization", value));
        head.body(format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{JOB}\r\n--b--\r\n"))
    };
    let (job, person) = (format!("token {JOB}"), format!("token {DANA}"));
    for authorization in [None, Some(&*job), Some(&*person)] {
        let passes = host.exchange(0, upload(authorization, "attachment"), with_dana);
        assert!(matches!(passes, Outcome::Forwarded { .. }), "{passes:?}");
        for name in ["token", "access_token"] {
            let broken = host.exchange(0, upload(authorization, name), with_dana);
            assert!(!matches!(broken, Outcome::Forwarded { .. }), "{authorization:?} {name}: {broken:?}");
        }
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}
