//! Whether jobs run, and what ends them and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use policy::facts::{Context, Invalid, Job, JobId, Origin, Part, ProjectId, ProjectPath, Secret, Token};
use policy::failure::Failure;
use policy::lookup::Fact;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::Server;
use super::super::caller::Caller;
use super::super::issuer::{AUDIENCE, RSA, StandInCi};
use super::{KEY, claims, configuration, service, with};
use crate::clock;
use crate::flights::{Ages, Answered, Flights, Known};
use crate::forge::{AtHand, Forge, Landed, Recalled, Reply, Status, Terms};
use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::memory::Memory;
use crate::store::{Changes, Limits, Store, TokenState};
use crate::webhooks::tests::{hex, mac};

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
        // Ages are told in whole milliseconds: within one nothing is older than anything else.
        sleep(Duration::from_millis(2)).await;
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
async fn a_ci_reports_by_itself_that_a_job_is_over() {
    let ci = StandInCi::start().await;
    let config = configuration(&ci, |document| document["forge"]["issuers"][1]["webhook_secrets_env"] = json!(["KEY"]));
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
        let signature = hex(&mac(secret.as_bytes(), signed.to_string().as_bytes()));
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
    let huge = json!({"action": "completed", "x": "x".repeat(1 << 20)});
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
    let mut tries = 0;
    while sent("github", "workflow_job", KEY, &completed, &completed).await != 503 {
        assert!(tries < 100, "all places are taken");
        tries += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(caller.token(&second, None).await.body["token"], "running");
    drop(slow);
    // The other routes are behind the token as ever.
    let stranger = Caller { token: KEY.into(), ..caller.clone() };
    assert_eq!((stranger.get("/jobscope/v1/forge").await.status, stranger.end(&[7]).await.status), (401, 401));
    assert_eq!(stranger.get("/jobscope/v1/hooks").await.status, 401);
}

#[tokio::test]
async fn what_gitlab_and_buildkite_report_ends_the_job_of_an_id_token() {
    let ci = StandInCi::start().await;
    let config = configuration(&ci, |document| {
        for at in [0, 3] {
            document["forge"]["issuers"][at]["webhook_secrets_env"] = json!(["KEY"]);
        }
    });
    let service = Service::start(config).await.unwrap();
    let caller = Caller::of(service.address);
    ci.says(7, "running");
    let path = "/ci/v2/organizations/acme/pipelines/web/builds/3";
    let build = json!({"pipeline": {"id": "4711"}, "jobs": [{"id": "u-7", "state": "running"}]});
    ci.with(|ci| ci.answers.insert(path.into(), build));
    let now = clock::unix();
    let buildkite = json!({"iss": "https://agent.buildkite.com", "aud": AUDIENCE, "iat": now, "exp": now + 300,
        "organization_id": "o-9", "organization_slug": "acme", "pipeline_id": "4711", "pipeline_slug": "web",
        "build_number": 3, "build_branch": "main", "build_source": "webhook", "job_id": "u-7"});
    let (gitlab, buildkite) = (RSA.sign("rsa-1", &claims()), RSA.sign("rsa-1", &buildkite));
    for token in [&gitlab, &buildkite] {
        assert_eq!(caller.token(token, None).await.body["token"], "running");
    }
    let sent = async |path: &str, field: &str, value: &str, body: &str| {
        let request = axum::http::Request::builder()
            .method("POST")
            .uri(format!("http://{}/jobscope/v1/hooks/{path}", caller.address))
            .header(field, value);
        caller.send(request.body(body.to_owned().into()).unwrap()).await.unwrap().status
    };
    let job = r#"{"object_kind": "build", "build_id": 7, "build_status": "success", "project_id": 4711}"#;
    let moved = r#"{"event_name": "project_rename", "project_id": 4711, "path_with_namespace": "apps/web"}"#;
    let finished = r#"{"event": "job.finished", "job": {"id": "u-7"}}"#;
    let signature = hex(&mac(KEY.as_bytes(), format!("1795000000.{finished}").as_bytes()));
    let signature = format!("timestamp=1795000000,signature={signature}");
    for path in ["github", "buildkite", "cluster", "forgejo"] {
        assert_eq!(sent(path, "x-gitlab-token", KEY, job).await, 401, "{path}");
    }
    assert_eq!(sent("gitlab", "x-buildkite-signature", &signature, finished).await, 401);
    assert_eq!(sent("gitlab", "x-gitlab-token", KEY, moved).await, 200);
    let counted = Caller::of(service.operations).get("/metrics").await.text;
    assert!(
        counted.contains(r#"jobscope_lookup_webhooks_total{outcome="ignored"} 1"#),
        "what projects are says the configuration"
    );
    assert_eq!(sent("gitlab", "x-gitlab-token", KEY, job).await, 200);
    assert_eq!(caller.token(&gitlab, Some(60)).await.body["token"], "ended");
    assert_eq!(
        caller.token(&buildkite, Some(60)).await.body["token"],
        "running",
        "the number of another's job is another"
    );
    assert_eq!(sent("buildkite", "x-buildkite-signature", &signature, finished).await, 200);
    assert_eq!(caller.token(&buildkite, Some(60)).await.body["token"], "ended");
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
