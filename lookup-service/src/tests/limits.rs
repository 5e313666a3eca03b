//! What comes in is bounded, and so is what goes out.

use std::time::{Duration, Instant};

use axum::body::Body;
use serde_json::json;
use tokio::time::sleep;

use super::caller::{Caller, NEXT_TOKEN, TOKEN};
use super::forge::{Fault, StandIn};
use super::{Server, service};

#[tokio::test]
async fn what_is_malformed_is_told_where() {
    let forge = StandIn::start().await;
    let (_service, caller) = service(&forge, None, &[]).await;
    for (body, path) in [
        (json!({"version": 2, "ask": "token", "token": "x"}), "version"),
        (json!({"version": 1, "ask": "token", "token": "a b"}), "token"),
        (json!({"version": 1, "ask": "token", "token": "x", "max_age": -1}), "max_age"),
        (json!({"version": 1, "ask": "target", "user": null, "job": {"id": 1}, "origin": {"id": "x"}}), "origin.id"),
        (json!([]), ""),
    ] {
        let reply = caller.post("/jobscope/v1/lookup", &body).await;
        assert_eq!((reply.status, &reply.body["path"]), (400, &json!(path)), "{reply:?}");
    }
    let reply = caller.post("/jobscope/v1/ended", &json!({"version": 1, "jobs": [1, "x"]})).await;
    assert_eq!((reply.status, &reply.body["path"]), (400, &json!("jobs[1]")));
    for (query, path) in [
        ("", "wait"),
        ("?wait=x", "wait"),
        ("?wait=0", "wait"),
        ("?wait=1&wait=2", "wait"),
        ("?wait=1&after=", "after"),
        ("?wait=1&after=a%20b", "after"),
        ("?wait=1&after=a&after=b", "after"),
    ] {
        let reply = caller.get(&format!("/jobscope/v1/changes{query}")).await;
        assert_eq!((reply.status, &reply.body["path"]), (400, &json!(path)), "{query} {reply:?}");
    }
    assert_eq!(caller.get("/jobscope/v2/lookup").await.status, 404);
    assert_eq!(caller.get("/jobscope/v1/lookup").await.status, 405);
    let long = caller.request("POST", "/jobscope/v1/lookup").body(Body::from("x".repeat(100_000))).unwrap();
    assert_eq!(caller.send(long).await.unwrap().status, 413);
    assert_eq!(forge.count("/"), 0);
    // Any number of seconds is one.
    for max_age in [u64::MAX, u64::MAX / 1000] {
        assert_eq!(caller.token("glcbt-dana", Some(max_age)).await.body["token"], "running");
        assert_eq!(caller.target(Some(max_age)).await.status, 200);
    }
}

#[tokio::test]
async fn only_callers_are_answered_by_either_of_two_tokens() {
    let forge = StandIn::start().await;
    let (_service, caller) = service(&forge, None, &[]).await;
    for (token, status) in [
        (TOKEN, 200),
        (NEXT_TOKEN, 200),
        ("", 401),
        ("caller-secret-of", 401),
        ("caller-secret-of-now-and-more", 401),
        ("glcbt-dana", 401),
    ] {
        let caller = Caller { token: token.into(), ..caller.clone() };
        for path in ["/jobscope/v1/changes?wait=1", "/jobscope/v1/forge"] {
            assert_eq!(caller.get(path).await.status, status, "{token} {path}");
        }
        assert_eq!(caller.end(&[7]).await.status, status, "{token}");
        assert_eq!(caller.token("glcbt-dana", None).await.status, status, "{token}");
    }
    let twice = caller.request("GET", "/jobscope/v1/forge").header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(caller.send(twice.body(Body::empty()).unwrap()).await.unwrap().status, 401, "two are none");
    let unknown = Caller { token: "x".into(), ..caller.clone() };
    assert_eq!(unknown.get("/nothing").await.status, 401, "and no path is told");
}

#[tokio::test]
async fn the_forge_never_gets_more_than_its_budget() {
    let (forge, mut redis) = (StandIn::start().await, Server::start(&[]));
    let (_service, caller) = service(&forge, Some(&redis), &["forge.max_per_second: 20", "lookup.timeout: 4s"]).await;
    for round in 0..2 {
        let asks = (0..45).map(|at| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.token(&format!("glcbt-{round}-{at}"), Some(30)).await.status })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap(), 200);
        }
        // Nor without its store.
        redis.kill();
    }
    let asked: Vec<Instant> = forge.with(|world| world.asked.iter().map(|(_, at)| *at).collect());
    assert_eq!(asked.len(), 90);
    for window in asked.windows(21) {
        // They are counted where they arrive, and some travel longer than others.
        assert!(window[20] - window[0] > Duration::from_millis(700), "{:?}", window[20] - window[0]);
    }
}

#[tokio::test]
async fn unknown_tokens_are_asked_about_so_many_a_second_by_all_together() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let few = ["forge.max_unknown_per_second: 5", "lookup.timeout: 400ms"];
    let (_one, first) = service(&forge, Some(&redis), &few).await;
    let (_two, second) = service(&forge, Some(&redis), &few).await;
    let began = Instant::now();
    let asks = (0..60).map(|at| {
        let caller = if at % 2 == 0 { first.clone() } else { second.clone() };
        tokio::spawn(async move { caller.token(&format!("glcbt-junk-{at}"), Some(30)).await })
    });
    let mut refused = 0;
    for ask in asks.collect::<Vec<_>>() {
        let reply = ask.await.unwrap();
        assert!(matches!(reply.status, 200 | 503), "{reply:?}");
        refused += usize::from(reply.status == 503);
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!(forge.count("/gitlab/api/v4/job") <= 5 * seconds, "{} in {seconds}", forge.count("/"));
    assert!(refused >= 60 - 5 * seconds, "{refused}");
    // One that is known is asked about all the same.
    sleep(Duration::from_millis(1000)).await;
    assert_eq!(first.token("glcbt-dana", Some(30)).await.body["token"], "running");
}

#[tokio::test]
async fn questions_are_so_many_at_a_time() {
    let forge = StandIn::start().await;
    let (service, caller) = service(&forge, None, &["api.max_questions: 1"]).await;
    forge.with(|world| world.fault = Fault::Slow(Duration::from_millis(700)));
    let first = tokio::spawn({
        let caller = caller.clone();
        async move { caller.token("glcbt-dana", None).await.status }
    });
    while forge.count("/") == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let second = caller.token("glcbt-dana", None).await;
    // And not because that took too long.
    assert!(second.status == 503 && second.text.contains("as many questions as may be"), "{second:?}");
    assert_eq!(caller.end(&[7]).await.status, 503, "a report is a question too");
    assert_eq!(caller.changes(1, Some(&caller.cursor().await)).await.status, 200, "a poll is none");
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(caller.end(&[7]).await.status, 200, "there is room again");
    let metrics = Caller::of(service.operations).get("/metrics").await.text;
    let busy = r#"jobscope_lookup_questions_total{ask="any",outcome="busy"} 1"#;
    assert!(metrics.contains(busy), "{metrics}");
}

#[tokio::test]
async fn polls_are_so_many_at_a_time() {
    let forge = StandIn::start().await;
    let (_service, caller) = service(&forge, None, &["api.max_polls: 1"]).await;
    let cursor = caller.cursor().await;
    let waiting = tokio::spawn({
        let (caller, cursor) = (caller.clone(), cursor.clone());
        async move { caller.changes(2, Some(&cursor)).await.status }
    });
    sleep(Duration::from_millis(200)).await;
    assert_eq!(caller.changes(1, Some(&cursor)).await.status, 503);
    assert_eq!(caller.token("glcbt-dana", None).await.status, 200, "questions are others");
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn who_is_told_to_end_answers_what_is_under_way_and_nobody_else() {
    let forge = StandIn::start().await;
    let (service, caller) = service(&forge, None, &[]).await;
    let watched = Caller::of(service.operations);
    assert_eq!((watched.get("/healthz").await.status, watched.get("/readyz").await.status), (200, 200));
    assert_eq!(caller.token("glcbt-dana", None).await.status, 200);
    let metrics = watched.get("/metrics").await;
    assert!(
        metrics.text.contains(r#"jobscope_lookup_questions_total{ask="token",outcome="answered"} 1"#),
        "{}",
        metrics.text
    );
    let cursor = caller.cursor().await;
    let (address, began) = (service.address, Instant::now());
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.changes(30, Some(&cursor)).await }
    });
    sleep(Duration::from_millis(200)).await;
    service.stop().await;
    let answered = waiting.await.unwrap();
    assert_eq!((answered.status, &answered.body["ended"]), (200, &json!([])), "{answered:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[tokio::test]
async fn callers_speak_http_2_as_well() {
    let forge = StandIn::start().await;
    let (_service, caller) = service(&forge, None, &[]).await;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http::<Body>();
    let request = caller.request("GET", "/jobscope/v1/forge").body(Body::empty()).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, axum::http::Version::HTTP_2));
}
