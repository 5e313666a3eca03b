//! ID tokens: whose they are, and how many ways there are for one to be nobody's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use hmac::{Hmac, KeyInit, Mac};
use policy::facts::{Context, Invalid, Job, JobId, Origin, Part, ProjectId, ProjectPath, Secret, Token};
use policy::failure::Failure;
use policy::lookup::Fact;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::sleep;

use super::caller::{Caller, TOKEN};
use super::issuer::{AUDIENCE, CREDENTIAL, EC, OTHER_RSA, Pair, RSA, StandInCi, WEAK_RSA, text};
use super::{KEY, Server};
use crate::clock;
use crate::config::{self, Config, ForgeKind, Surroundings};
use crate::flights::{Ages, Answered, Flights, Known};
use crate::forge::oidc::Oidc;
use crate::forge::{AtHand, Forge, Landed, Recalled, Reply, Status, Terms};
use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::memory::Memory;
use crate::store::{Changes, Limits, Store, TokenState};

const ISSUER: &str = "https://gitlab.example.com";

/// A configuration before this CI; `more` changes the document.
fn configuration(ci: &StandInCi, more: impl FnOnce(&mut Value)) -> Config {
    let at = |path: &str| format!("http://{}{path}", ci.address);
    let entry = |name: &str, vendor: &str, issuer: &str, pins: &[&str]| {
        json!({"name": name, "vendor": vendor, "issuer": issuer, "jwks_uri": at("/keys"), "pins": pins,
            "api": at("/ci/"), "credential_env": "CI"})
    };
    let project = |id: u64, path: &str, identities: &[&str]| json!({"id": id, "path": path, "identities": identities});
    let mut document = json!({
        "api": {"listen": "127.0.0.1:0", "callers_env": ["CALLER"]},
        "operations": {"listen": "127.0.0.1:0"},
        "store": {"kind": "memory"},
        "forge": {
            "kind": "oidc",
            "audience": AUDIENCE,
            "issuers": [
                entry("gitlab", "gitlab", ISSUER, &["namespace_id=42"]),
                entry("github", "github", "https://token.actions.githubusercontent.com", &["repository_owner_id=9"]),
                entry("forgejo", "forgejo", "https://code.example.com/api/actions", &[]),
                entry("buildkite", "buildkite", "https://agent.buildkite.com", &["organization_id=o-9"]),
                entry("cluster", "kubernetes", "https://kubernetes.default.svc", &[]),
            ],
            "foreign_issuers": ["https://sso.example.com"],
            "projects": [
                project(101, "apps/web", &["gitlab:4711", "github:4711", "forgejo:4711", "buildkite:4711", "cluster:4711"]),
                {"id": 102, "path": "libs/common", "admits": [{"project": "apps/web", "permissions": ["read_repositories"]}]},
            ],
        },
    });
    document["forge"]["issuers"][0]["algorithms"] = json!(["RS256", "ES256"]);
    more(&mut document);
    let env = |name: &str| {
        [("CALLER", TOKEN), ("CI", CREDENTIAL), ("KEY", KEY)]
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let around = Surroundings { env: &env, file: &|path| std::fs::read(path) };
    config::read(&document.to_string(), &around).unwrap_or_else(|errors| panic!("{errors}"))
}

async fn service(ci: &StandInCi) -> (Service, Caller) {
    let service = Service::start(configuration(ci, |_| {})).await.unwrap();
    let caller = Caller::of(service.address);
    (service, caller)
}

/// What GitLab says of a job that runs.
fn claims() -> Value {
    let now = clock::unix();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now - 5, "exp": now + 300, "jti": "x", "sub": "whatever",
        "namespace_id": "42", "project_id": "4711", "project_path": "apps/web", "job_id": "7", "user_id": "11",
        "user_login": "dana", "ref": "main", "ref_type": "branch", "ref_protected": "true",
        "pipeline_source": "push", "environment": "production",
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn a_running_job_of_each_kind_is_told_with_what_its_token_says() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let now = clock::unix();
    let common = |iss: &str, more: Value| {
        let mut claims = json!({"iss": iss, "aud": AUDIENCE, "iat": now, "exp": now + 300});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let cases = [
        (
            claims(),
            "/ci/api/v4/projects/4711/jobs/7",
            json!({"id": 7, "status": "running"}),
            "gitlab:11",
            json!({"ref": "main", "protected": true, "environment": "production", "source": "push", "fork": false}),
        ),
        (
            common(
                "https://token.actions.githubusercontent.com",
                json!({"repository": "acme/web", "repository_id": "4711", "repository_owner_id": "9", "actor_id": "11",
                    "actor": "dana", "run_id": "5", "run_attempt": "2", "check_run_id": "7",
                    "event_name": "pull_request_target", "ref": "refs/heads/main", "ref_protected": "true"}),
            ),
            "/ci/repos/acme/web/actions/jobs/7",
            json!({"id": 7, "run_id": 5, "run_attempt": 2, "status": "in_progress"}),
            "github:11",
            json!({"source": "pull_request_target", "fork": true}),
        ),
        (
            common(
                "https://code.example.com/api/actions",
                json!({"repository": "acme/web", "repository_id": "4711", "repository_owner_id": "9", "actor_id": "11",
                    "run_id": "5", "run_attempt": "1", "event_name": "push", "ref": "refs/tags/v1", "ref_protected": "false"}),
            ),
            "/ci/api/v1/repos/acme/web/actions/runs/5",
            json!({"id": 5, "repository": {"id": 4711}, "status": "running"}),
            "forgejo:11",
            json!({"ref": "v1", "protected": false, "source": "push", "fork": false}),
        ),
        (
            common(
                "https://agent.buildkite.com",
                json!({"organization_id": "o-9", "organization_slug": "acme", "pipeline_id": "4711", "pipeline_slug": "web",
                    "build_number": 3, "build_branch": "main", "build_source": "webhook", "job_id": "7"}),
            ),
            "/ci/v2/organizations/acme/pipelines/web/builds/3",
            json!({"pipeline": {"id": "4711"}, "jobs": [{"id": "7", "state": "running"}]}),
            "buildkite:4711",
            json!({"source": "webhook"}),
        ),
        (
            common(
                "https://kubernetes.default.svc",
                json!({"aud": [AUDIENCE], "kubernetes.io": {"namespace": "ci", "pod": {"name": "p", "uid": "u-7"},
                    "serviceaccount": {"name": "builder", "uid": "4711"}}}),
            ),
            "/ci/apis/authentication.k8s.io/v1/tokenreviews",
            json!({"status": {"authenticated": true, "audiences": [AUDIENCE], "user": {"uid": "4711"}}}),
            "cluster:4711",
            json!({}),
        ),
    ];
    let mut jobs = std::collections::BTreeSet::new();
    for (claims, path, answer, user, context) in cases {
        let token = RSA.sign("rsa-1", &claims);
        // Who does not say that it runs says nothing.
        assert_eq!(caller.token(&token, None).await.status, 503, "{path}");
        ci.with(|ci| ci.answers.insert(path.into(), answer));
        let told = caller.token(&token, None).await.body;
        assert_eq!((&told["token"], &told["credential"]), (&json!("running"), &json!("service")), "{told}");
        assert_eq!((&told["until"], &told["age"]), (&claims["exp"], &json!(0)));
        let job = told["job"].as_object().unwrap();
        assert_eq!(job["origin"], json!({"id": 101, "path": "apps/web"}));
        assert_eq!(job["user"]["name"], user);
        let told: Value = job
            .iter()
            .filter(|(name, _)| !["id", "user", "origin"].contains(&&***name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        assert_eq!(told, context, "{user}");
        for id in [&job["id"], &job["user"]["id"]] {
            assert!(jobs.insert(id.as_u64().unwrap()), "two issuers never have a job or a user in common");
        }
    }
}

#[tokio::test]
async fn what_is_not_the_issuers_word_for_us_is_nobodys_and_nobody_is_asked() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    ci.says(7, "running");
    let now = clock::unix();
    let rsa = |claims: Value| RSA.sign("rsa-1", &claims);
    let good = rsa(claims());
    let part = |at: usize| good.split('.').nth(at).unwrap().to_owned();
    let public = RSA.public["n"].as_str().unwrap();
    let hmac = |secret: &[u8]| {
        let header = jsonwebtoken::Header {
            kid: Some("rsa-1".into()),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims(), &jsonwebtoken::EncodingKey::from_secret(secret)).unwrap()
    };
    let header = |header: Value| RSA.sign_raw(&header.to_string(), &claims().to_string());
    let payload = |payload: String| RSA.sign_raw(r#"{"alg":"RS256","kid":"rsa-1"}"#, &payload);
    let text_of = claims().to_string();
    let own_key = RSA.named("mine");
    let hostile = [
        ("HMAC with the public key", hmac(public.as_bytes())),
        ("HMAC with the public key's bytes", hmac(ci.with(|ci| ci.keys.to_string()).as_bytes())),
        ("no algorithm", format!("{}.{}.", text(br#"{"alg":"none","kid":"rsa-1"}"#), part(1))),
        (
            "no algorithm, and a signature",
            format!("{}.{}.{}", text(br#"{"alg":"none","kid":"rsa-1"}"#), part(1), part(2)),
        ),
        ("another name of an algorithm", header(json!({"alg": "rs256", "kid": "rsa-1"}))),
        ("another hash", header(json!({"alg": "RS512", "kid": "rsa-1"}))),
        ("an RSA signature under an EC key", header(json!({"alg": "ES256", "kid": "ec-1"}))),
        (
            "ECDSA where the issuer signs with RSA",
            EC.sign(
                "ec-1",
                &with(json!({"iss": "https://code.example.com/api/actions", "repository": "acme/web",
                    "repository_id": "4711", "run_id": "5", "run_attempt": "1"})),
            ),
        ),
        ("ECDSA under an RSA key's name", EC.sign("rsa-1", &claims())),
        ("RSA under an EC key's name", RSA.sign("ec-1", &claims())),
        ("another's key under the name", OTHER_RSA.sign("rsa-1", &claims())),
        ("a weak key of the issuer", WEAK_RSA.sign("weak", &claims())),
        ("an unknown key", RSA.sign("rsa-2", &claims())),
        (
            "a key that the token brings",
            RSA.sign_raw(&json!({"alg": "RS256", "kid": "mine", "jwk": own_key}).to_string(), &text_of),
        ),
        ("where to get keys", header(json!({"alg": "RS256", "kid": "rsa-1", "jku": "https://evil.example.com"}))),
        (
            "where to get certificates",
            header(json!({"alg": "RS256", "kid": "rsa-1", "x5u": "https://evil.example.com"})),
        ),
        ("certificates", header(json!({"alg": "RS256", "kid": "rsa-1", "x5c": ["MII"]}))),
        ("what must be understood", header(json!({"alg": "RS256", "kid": "rsa-1", "crit": ["exp"], "exp": now}))),
        ("no name of a key", header(json!({"alg": "RS256"}))),
        ("a name of a key twice", RSA.sign_raw(r#"{"alg":"RS256","kid":"rsa-1","kid":"rsa-1"}"#, &text_of)),
        (
            "another signature",
            format!("{}.{}.{}", part(0), part(1), OTHER_RSA.sign("rsa-1", &claims()).split('.').nth(2).unwrap()),
        ),
        (
            "another payload",
            format!("{}.{}.{}", part(0), text(with(json!({"project_id": "102"})).to_string().as_bytes()), part(2)),
        ),
        ("no signature", format!("{}.{}.", part(0), part(1))),
        ("two parts more", format!("{good}.{}.{}", part(1), part(2))),
        ("padding", format!("{}=.{}.{}", part(0), part(1), part(2))),
        ("garbage in base64", format!("{}.{}~.{}", part(0), part(1), part(2))),
        (
            "base64 of base64",
            format!("{}.{}.{}", text(part(0).as_bytes()), part(1), part(2)).replacen(
                &text(part(0).as_bytes()),
                &format!("{}A", part(0)),
                1,
            ),
        ),
        ("another issuer with the same key", rsa(with(json!({"iss": "https://gitlab.example.org"})))),
        ("the issuer with a slash", rsa(with(json!({"iss": "https://gitlab.example.com/"})))),
        ("the issuer in large letters", rsa(with(json!({"iss": "https://GITLAB.example.com"})))),
        ("an issuer that is a list", rsa(with(json!({"iss": [ISSUER]})))),
        ("two issuers", payload(text_of.replacen('{', r#"{"iss":"https://sso.example.com","#, 1))),
        ("another audience", rsa(with(json!({"aud": "https://forge.example.com"})))),
        ("an audience of two", rsa(with(json!({"aud": [AUDIENCE, "https://other.example.com"]})))),
        ("no audience", rsa(without("aud"))),
        ("two audiences", payload(text_of.replacen('{', r#"{"aud":"https://other.example.com","#, 1))),
        ("expired", rsa(with(json!({"iat": now - 400, "nbf": now - 400, "exp": now - 31})))),
        ("no end", rsa(without("exp"))),
        ("an end in words", rsa(with(json!({"exp": (now + 300).to_string()})))),
        ("an end before time", rsa(with(json!({"exp": -1})))),
        ("no beginning", rsa(without("iat"))),
        ("of tomorrow", rsa(with(json!({"iat": now + 100, "nbf": now})))),
        ("not yet", rsa(with(json!({"nbf": now + 100})))),
        ("not yet, in words", rsa(with(json!({"nbf": "now"})))),
        ("too long", rsa(with(json!({"exp": now + 3700})))),
        ("too long ago", rsa(with(json!({"iat": 0})))),
        ("another owner by its id", rsa(with(json!({"namespace_id": "43"})))),
        ("no owner", rsa(without("namespace_id"))),
        ("a name taken over: same path, other id", rsa(with(json!({"project_id": "4712"})))),
        ("no project", rsa(without("project_id"))),
        ("a project in a list", rsa(with(json!({"project_id": ["4711"]})))),
        ("no job", rsa(without("job_id"))),
        ("a job that is a path", rsa(with(json!({"job_id": "../../102/jobs/7"})))),
        ("a payload that is a list", payload(format!("[{text_of}]"))),
        ("a payload and more", payload(format!("{text_of}{text_of}"))),
        (
            "a payload that nests",
            payload(text_of.replacen('{', &format!(r#"{{"x":{}1{},"#, "[".repeat(600), "]".repeat(600)), 1)),
        ),
        ("8 KiB of payload", rsa(with(json!({"namespace_id": "4".repeat(5000)})))),
        ("as large as may be", {
            let token = rsa(with(json!({"aud": "x"})));
            let fill = 8192 - token.len();
            format!("{token}{}", "A".repeat(fill))
        }),
    ];
    // The good one first, so that keys are known.
    assert_eq!(caller.token(&good, None).await.body["token"], "running");
    let asked = ci.count("/ci/");
    for (what, token) in hostile {
        let told = caller.token(&token, None).await;
        assert_eq!((told.status, &told.body["token"]), (200, &json!("unknown")), "{what}: {told:?}");
        assert_eq!(told.body.get("job"), None, "{what}");
    }
    assert_eq!(ci.count("/ci/"), asked, "nobody was asked about any of them");
    assert!(ci.count("/keys") <= 1, "and the issuer's keys were fetched once: {}", ci.count("/keys"));
    assert_eq!(ci.count("/elsewhere"), 0);
    assert_eq!(caller.token(&EC.sign("ec-1", &claims()), None).await.body["token"], "running");
    let long = caller.token(&"a".repeat(8193), None).await;
    assert_eq!((long.status, &long.body["path"]), (400, &json!("token")), "what is no question is none");
}

#[tokio::test]
async fn what_is_no_id_token_of_any_job_is_left_to_the_forge() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let of_the_forge = RSA.sign("rsa-1", &without("iss"));
    let of_people = RSA.sign("rsa-1", &with(json!({"iss": "https://sso.example.com"})));
    for token in ["0123456789abcdef0123456789abcdef01234567", "a-password", "glpat-x.01.y", &of_the_forge, &of_people] {
        assert_eq!(caller.token(token, None).await.body["token"], "foreign", "{token}");
    }
    assert_eq!(ci.count("/"), 0);
}

#[tokio::test]
async fn a_signature_without_a_running_job_is_nothing() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let token = RSA.sign("rsa-1", &claims());
    // What fails is 503: neither `ended` nor `unknown`.
    for fault in [200, 302, 401, 403, 404, 429, 500, 503] {
        let (_fresh, caller) = service(&ci).await;
        ci.with(|ci| ci.fault = None);
        ci.says(7, "running");
        assert_eq!(caller.token(&token, None).await.body["token"], "running");
        ci.with(|ci| ci.fault = Some(fault));
        let told = caller.token(&token, None).await;
        assert_eq!((told.status, &told.body["token"]), (503, &Value::Null), "{fault} {told:?}");
    }
    ci.with(|ci| ci.fault = None);
    for status in ["pending", "created", "", "unheard-of"] {
        ci.says(7, status);
        assert_eq!(caller.token(&token, None).await.status, 503, "{status}");
    }
    ci.says(7, "running");
    assert_eq!(caller.token(&token, None).await.body["token"], "running");
    let other = RSA.sign("rsa-1", &with(json!({"jti": "another of the same job"})));
    assert_eq!(caller.token(&other, None).await.body["token"], "running");
    let cursor = caller.cursor().await;
    ci.says(7, "success");
    assert_eq!(caller.token(&token, None).await.body["token"], "ended");
    let news = caller.changes(5, Some(&cursor)).await.body["ended"].clone();
    assert_eq!(news.as_array().map(Vec::len), Some(1), "{news}");
    ci.with(|ci| ci.fault = Some(500));
    assert_eq!(caller.token(&other, Some(60)).await.body["token"], "ended", "all tokens of a job end together");
    assert_eq!(caller.token(&token, None).await.body["token"], "ended", "and for good");
}

#[tokio::test]
async fn a_token_that_expires_does_not_end_its_job() {
    let redis = Server::start(&[]);
    let ci = StandInCi::start().await;
    ci.says(7, "running");
    tokio::join!(expires(&ci, None), expires(&ci, Some(&redis)));
}

async fn expires(ci: &StandInCi, redis: Option<&Server>) {
    let config = configuration(ci, |document| {
        if let Some(redis) = redis {
            document["store"] = json!({"kind": "redis", "url": redis.url(), "replicas": 0, "key_env": "KEY"});
        }
    });
    let service = Service::start(config).await.unwrap();
    let caller = Caller::of(service.address);
    let short = RSA.sign("rsa-1", &with(json!({"exp": clock::unix() + 2})));
    let next = RSA.sign("rsa-1", &claims());
    let cursor = caller.cursor().await;
    assert_eq!(caller.token(&short, Some(60)).await.body["token"], "running");
    sleep(Duration::from_millis(3100)).await;
    let told = caller.token(&short, Some(60)).await.body;
    assert_eq!((&told["token"], told["age"].as_u64() >= Some(3)), (&json!("unknown"), true), "from memory: {told}");
    assert_eq!(caller.token(&next, Some(60)).await.body["token"], "running");
    assert_eq!(caller.changes(1, Some(&cursor)).await.body["ended"], json!([]));
}

#[tokio::test]
async fn a_fork_has_its_own_projects_rights_and_is_known_for_one() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    // A merge request's job runs in 4712, with the code of 4711.
    let answer = json!({"id": 7, "status": "running"});
    ci.with(|ci| ci.answers.insert("/ci/api/v4/projects/4712/jobs/7".into(), answer));
    let of = |source: &str, runs_in: &str| {
        RSA.sign("rsa-1", &with(json!({"pipeline_source": source, "job_project_id": runs_in})))
    };
    let told = caller.token(&of("push", "4712"), None).await.body;
    assert_eq!((&told["job"]["fork"], told["job"].get("ref")), (&json!(true), None), "{told}");
    ci.says(7, "running");
    for (source, fork) in [("merge_request_event", None), ("parent_pipeline", None), ("push", Some(&json!(false)))] {
        let told = caller.token(&of(source, "4711"), None).await.body;
        assert_eq!(told["job"].get("fork"), fork, "{source}");
        assert_eq!(told["job"].get("ref").is_some(), fork.is_some(), "{source}: a fork names its branches as it likes");
    }
    let unmapped = RSA.sign("rsa-1", &with(json!({"project_id": "4712", "job_project_id": "4711"})));
    assert_eq!(caller.token(&unmapped, None).await.body["token"], "unknown", "the fork's own project is in no line");
}

#[tokio::test]
async fn a_ci_reports_by_itself_that_a_job_is_over() {
    let ci = StandInCi::start().await;
    let config = configuration(&ci, |document| document["forge"]["issuers"][1]["webhook_secret_env"] = json!("KEY"));
    let service = Service::start(config).await.unwrap();
    let caller = Caller::of(service.address);
    let now = clock::unix();
    let token = |attempt: &str, check_run: Value| {
        let claims = json!({"iss": "https://token.actions.githubusercontent.com", "aud": AUDIENCE, "iat": now,
            "exp": now + 300, "repository": "acme/web", "repository_id": "4711", "repository_owner_id": "9",
            "run_id": "5", "run_attempt": attempt, "check_run_id": check_run});
        RSA.sign("rsa-1", &claims)
    };
    let (first, second) = (token("1", json!("7")), token("2", json!("8")));
    for (job, attempt) in [(7, 1), (8, 2)] {
        let answer = json!({"id": job, "run_id": 5, "run_attempt": attempt, "status": "in_progress"});
        ci.with(|ci| ci.answers.insert(format!("/ci/repos/acme/web/actions/jobs/{job}"), answer));
    }
    for token in [&first, &second] {
        assert_eq!(caller.token(token, None).await.body["token"], "running");
    }
    let report = |action: &str| json!({"action": action, "workflow_job": {"id": 7, "run_id": 5, "run_attempt": 1}, "x": "x".repeat(100_000)});
    let sent = async |path: &str, event: &str, secret: &str, body: &Value, signed: &Value| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.to_string().as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = axum::http::Request::builder()
            .method("POST")
            .uri(format!("http://{}/jobscope/v1/hooks/{path}", caller.address))
            .header("x-github-event", event)
            .header("x-hub-signature-256", format!("sha256={signature}"));
        caller.send(request.body(body.to_string().into()).unwrap()).await.unwrap().status
    };
    let completed = report("completed");
    assert_eq!(sent("github", "workflow_job", "another-secret", &completed, &completed).await, 401);
    assert_eq!(sent("github", "workflow_job", KEY, &completed, &report("queued")).await, 401);
    assert_eq!(sent("gitlab", "workflow_job", KEY, &completed, &completed).await, 401, "which has no such secret");
    assert_eq!(sent("nobody", "workflow_job", KEY, &completed, &completed).await, 401);
    let huge = json!({"action": "completed", "x": "x".repeat(300_000)});
    assert_eq!(sent("github", "workflow_job", KEY, &huge, &huge).await, 413);
    for (event, body) in [("workflow_job", report("in_progress")), ("push", report("completed")), ("ping", json!({}))] {
        assert_eq!(sent("github", event, KEY, &body, &body).await, 200);
    }
    assert_eq!(caller.token(&first, Some(60)).await.body["token"], "running", "nothing of that was an end");
    let cursor = caller.cursor().await;
    assert_eq!(sent("github", "workflow_job", KEY, &completed, &completed).await, 200);
    assert_eq!(caller.token(&first, Some(60)).await.body["token"], "ended");
    assert_eq!(caller.token(&second, None).await.body["token"], "running", "another attempt is another job");
    assert_eq!(caller.changes(1, Some(&cursor)).await.body["ended"].as_array().map(Vec::len), Some(1));
    // Reports that do not come in keep no caller waiting.
    let mut slow = Vec::new();
    for _ in 0..crate::api::MOST_HOOKS {
        let mut stream = tokio::net::TcpStream::connect(caller.address).await.unwrap();
        let head = "POST /jobscope/v1/hooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(sent("github", "workflow_job", KEY, &completed, &completed).await, 503);
    assert_eq!(caller.token(&second, None).await.body["token"], "running");
    drop(slow);
    // The other routes are behind the token as ever.
    let stranger = Caller { token: KEY.into(), ..caller.clone() };
    assert_eq!((stranger.get("/jobscope/v1/forge").await.status, stranger.end(&[7]).await.status), (401, 401));
    assert_eq!(stranger.get("/jobscope/v1/hooks").await.status, 401);
}

#[tokio::test]
async fn what_projects_are_to_jobs_says_the_configuration() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let target = caller.target(None).await.body;
    assert_eq!((&target["role"], &target["admission"]), (&json!("reporter"), &json!("project")));
    assert_eq!((&target["permissions"], &target["target"]["id"]), (&json!(["read_repositories"]), &json!(102)));
    assert_eq!(ci.count("/"), 0);
    assert_eq!(caller.get("/jobscope/v1/forge").await.status, 503);
}

#[tokio::test]
async fn keys_are_fetched_where_the_configuration_says_and_nowhere_else() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    ci.says(7, "running");
    // Away, behind a redirect, of no use: it may be the issuer's all the same.
    ci.with(|ci| ci.fault = Some(302));
    assert_eq!(caller.token(&RSA.sign("rsa-1", &claims()), None).await.status, 503);
    assert_eq!((ci.count("/keys"), ci.count("/elsewhere")), (1, 0));
    ci.with(|ci| ci.fault = None);
    let storm = (0..40).map(|at| {
        let (caller, token) = (caller.clone(), RSA.sign(&format!("kid-{at}"), &claims()));
        tokio::spawn(async move { caller.token(&token, None).await.status })
    });
    for told in storm.collect::<Vec<_>>() {
        assert_eq!(told.await.unwrap(), 503, "nothing is known of the issuer's keys");
    }
    assert_eq!(ci.count("/keys"), 1, "nor is it asked again so soon");
}

#[tokio::test]
async fn no_secret_and_no_token_is_in_any_log_line() {
    let lines = super::secrets::Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    ci.says(7, "running");
    let signed = |pair: &Pair, claims: Value| pair.sign("rsa-1", &claims);
    let tokens =
        [signed(&RSA, claims()), signed(&OTHER_RSA, claims()), signed(&RSA, with(json!({"aud": "secret-audience"})))];
    for token in &tokens {
        caller.token(token, None).await;
    }
    let log = lines.text();
    assert!(log.contains("an ID token was refused"), "{log}");
    for token in &tokens {
        for part in token.split('.').chain([CREDENTIAL, "secret-audience"]) {
            assert!(!log.contains(part), "{part}");
        }
    }
}

/// Judges by itself, with the keys in a file and no CI to be asked.
fn judge(keys: &Value, more: impl FnOnce(&mut Value)) -> Oidc {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys.to_string()).unwrap();
    let nowhere = StandInCi::nowhere();
    let config = configuration(&nowhere, |document| {
        for issuer in document["forge"]["issuers"].as_array_mut().unwrap() {
            issuer.as_object_mut().unwrap().remove("jwks_uri");
            issuer["jwks_file"] = json!(file.path());
        }
        document["forge"]["retries"] = json!(0);
        more(document);
    });
    let ForgeKind::Oidc(settings) = config.forge else { panic!("job identities") };
    Oidc::new(*settings, &Metrics::default())
}

/// What is said of a token: `None` where only its CI can tell more.
async fn said(judge: &Oidc, token: &[u8]) -> Option<Token> {
    match judge.look(Fact::Token(Secret::new(token)), &Recalled::new()).await {
        Ok(landed) => match landed.value {
            policy::lookup::Value::Token(token) => {
                let is_bad = token == Token::Invalid(Invalid::Unknown);
                assert_eq!(landed.terms.of_token_alone, is_bad, "that a token is bad says nothing of its job");
                Some(token)
            }
            policy::lookup::Value::Target(_) => panic!("a target"),
        },
        Err(_) => None,
    }
}

/// Tokens that other makers made, some good and some not: `tokens/make.py` and `tokens/make.mjs`.
#[tokio::test]
async fn what_other_makers_make_is_read_as_they_meant_it() {
    let all: Value = serde_json::from_str(include_str!("tokens/tokens.json")).unwrap();
    let judge = judge(&all["keys"], |_| {}).at(|| 1_790_000_000);
    assert_eq!(all["now"], 1_790_000_000);
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for row in all["tokens"].as_array().unwrap() {
        let said = match said(&judge, row["token"].as_str().unwrap().as_bytes()).await {
            None => "good",
            Some(Token::Invalid(Invalid::Foreign)) => "foreign",
            Some(Token::Invalid(Invalid::Unknown)) => "unknown",
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(said, row["said"], "{} by {}", row["what"], row["by"]);
        *counts.entry(said).or_default() += 1;
    }
    assert!(counts["good"] >= 9 && counts["unknown"] >= 20 && counts["foreign"] >= 2, "{counts:?}");
}

#[test]
fn whatever_is_done_to_a_token_it_is_no_other_good_one() {
    let judge = judge(&json!({"keys": [RSA.named("rsa-1"), EC.named("ec-1")]}), |_| {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let claims = with(json!({"exp": clock::unix() + 3000}));
    let good = [RSA.sign("rsa-1", &claims), EC.sign("ec-1", &claims)];
    let others = [RSA.sign("rsa-1", &with(json!({"aud": "x"}))), EC.sign("ec-1", &with(json!({"project_id": "9"})))];
    for token in &good {
        assert_eq!(runtime.block_on(said(&judge, token.as_bytes())), None, "all is good, and the CI is asked");
    }
    const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    let edit = (0..4_usize, any::<prop::sample::Index>(), prop::sample::select(CHARACTERS));
    let edits = (0..2_usize, prop::collection::vec(edit, 0..4), prop::collection::vec(0..6_usize, 0..3));
    proptest!(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }, |((which, edits, swaps) in edits)| {
        let mut token = good[which].clone().into_bytes();
        for part in swaps {
            // A part of another token in the place of one of this.
            let other = others[part % 2].split('.').nth(part / 2).unwrap();
            let mut parts: Vec<String> = String::from_utf8(token).unwrap().split('.').map(str::to_owned).collect();
            parts[part / 2] = other.to_owned();
            token = parts.join(".").into_bytes();
        }
        for (kind, at, character) in edits {
            let at = at.index(token.len());
            match kind {
                0 => token[at] = character,
                1 => { token.remove(at); }
                2 => token.insert(at, character),
                _ => token.extend_from_within(at..),
            }
        }
        let said = runtime.block_on(said(&judge, &token));
        let is_another = good.iter().all(|good| good.as_bytes() != token);
        prop_assert!(!is_another || matches!(said, Some(Token::Invalid(_))), "{:?} {}", said, String::from_utf8_lossy(&token));
    });
}

/// A forge that says of a token first that its job runs, and then what it is told to.
struct Changing {
    job: Job,
    refusal: Terms,
    asked: AtomicUsize,
}

impl Forge for Changing {
    fn at_hand(&self, _: &Fact, _: &Recalled) -> AtHand {
        AtHand::Failed(Failure::Doubt)
    }
    fn look<'a>(&'a self, _: Fact, _: &'a Recalled) -> Reply<'a, Landed> {
        let (token, terms) = match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 => (Token::Running(self.job.clone()), Terms::default()),
            _ => (Token::Invalid(Invalid::Unknown), self.refusal),
        };
        let value = policy::lookup::Value::Token(token);
        ready(Ok(Landed { value, learned: Vec::new(), since: clock::now(), terms })).boxed()
    }
    fn version(&self) -> Reply<'_, policy::facts::Version> {
        ready(Err(Failure::Doubt)).boxed()
    }
    fn status(&self, _: JobId, _: ProjectId) -> Reply<'_, Status> {
        ready(Ok(Status::Unsure)).boxed()
    }
    fn running(&self) -> Reply<'_, Option<Vec<JobId>>> {
        ready(Ok(None)).boxed()
    }
    fn pause(&self) -> Option<Duration> {
        None
    }
}

#[tokio::test]
async fn a_refusal_of_one_token_ends_no_job_unless_the_forge_means_the_job() {
    for (of_token_alone, state, ended) in
        [(true, TokenState::Refused(Invalid::Unknown), 0), (false, TokenState::Ended, 1)]
    {
        let limits =
            Limits { tokens: Duration::from_secs(300), lease: Duration::from_secs(1), unknown_per_second: 100 };
        let store: Arc<dyn Store> = Arc::new(Memory::new(limits, 1000));
        let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
        let job = Job { id: JobId(u64::MAX), user: None, origin, context: Context::default() };
        let refusal = Terms { of_token_alone, ..Terms::default() };
        let forge: Arc<dyn Forge> = Arc::new(Changing { job, refusal, asked: AtomicUsize::new(0) });
        let ages = Ages { tokens: Duration::from_secs(300), parts: [(Part::Project, Duration::ZERO); 6] };
        let flights = Flights::new(Arc::clone(&store), forge, ages, Duration::from_secs(1), Metrics::default());
        let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("a cursor") };
        let fact = Fact::Token(Secret::new(b"h.p.s"));
        let known = |answered: Answered| match answered.known {
            Known::Token(state) => state,
            Known::Found(_) => panic!("a target"),
        };
        assert!(matches!(known(flights.ask(&fact, Duration::ZERO).await.unwrap()), TokenState::Running(_)));
        sleep(Duration::from_millis(5)).await;
        assert_eq!(known(flights.ask(&fact, Duration::ZERO).await.unwrap()), state);
        let Changes::Since(jobs, _) = store.changes(Some(&cursor)).await.unwrap() else { panic!("changes") };
        assert_eq!(jobs.len(), ended, "{of_token_alone}");
    }
}

/// The examples of the documentation are configurations.
#[test]
fn the_examples_of_the_documentation_are_sound() {
    let page = include_str!("../../../docs/job-identities.md");
    let blocks: Vec<&str> =
        page.split("\n```yaml\n").skip(1).map(|block| block.split_once("\n```").unwrap().0).collect();
    let [whole, more] = blocks[..] else { panic!("two examples") };
    let with_more = whole.replacen("  projects:", &format!("{more}\n  projects:"), 1);
    let keys = json!({"keys": [RSA.named("1")]}).to_string();
    let env = |name: &str| Some(format!("a-secret-of-{name}"));
    let file = |path: &str| match path {
        "/etc/jobscope/cluster-keys.json" => Ok(keys.clone().into_bytes()),
        path => std::fs::read(path),
    };
    for (text, issuers) in [(whole, 2), (&*with_more, 6)] {
        let config = config::read(text, &Surroundings { env: &env, file: &file });
        let ForgeKind::Oidc(oidc) = config.unwrap_or_else(|errors| panic!("{errors}")).forge else {
            panic!("of ID tokens")
        };
        assert_eq!(oidc.issuers.len(), issuers);
    }
}
