//! What fails is a 503: never `ended`, never `unknown`, and nothing is remembered of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::forge::{Fault, StandIn};
use super::{Server, service};

#[tokio::test]
async fn whatever_the_forge_does_wrong_is_no_answer_and_not_remembered() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    for redis in [None, Some(&redis)] {
        let (_service, caller) = service(&forge, redis, &["lookup.timeout: 300ms"]).await;
        assert_eq!(caller.token("glcbt-dana", None).await.body["token"], "running");
        let cursor = caller.cursor().await;
        for fault in [
            Fault::Page(200),
            Fault::Page(401),
            Fault::Page(404),
            Fault::Page(500),
            Fault::Page(502),
            Fault::Page(503),
            Fault::Json(401),
            Fault::Json(403),
            Fault::Json(404),
            Fault::Slow(Duration::from_millis(600)),
        ] {
            forge.with(|world| world.fault = fault);
            for reply in [caller.token("glcbt-dana", None).await, caller.token("glcbt-new", Some(30)).await] {
                assert_eq!((reply.status, &reply.body["token"]), (503, &Value::Null), "{fault:?} {reply:?}");
            }
            let target = caller.target(None).await;
            // That there is no such project the forge says in these very words.
            let status = if fault == Fault::Json(404) { 200 } else { 503 };
            assert_eq!((target.status, target.body["target"].is_null()), (status, true), "{fault:?} {target:?}");
            assert_eq!(caller.get("/jobscope/v1/forge").await.status, 503, "{fault:?}");
        }
        forge.with(|world| world.fault = Fault::None);
        assert_eq!(caller.token("glcbt-dana", None).await.body["token"], "running");
        assert_eq!(caller.token("glcbt-new", Some(30)).await.body["token"], "unknown");
        assert_eq!(caller.changes(1, Some(&cursor)).await.body["ended"], json!([]), "nothing has ended by that");
        assert_eq!(caller.get("/jobscope/v1/forge").await.body, json!({"version": 1, "forge_version": "18.11"}));
    }
}

#[tokio::test]
async fn a_forge_that_has_had_too_much_is_left_alone_and_whoever_asks_is_told_how_long() {
    let forge = StandIn::start().await;
    let (_service, caller) = service(&forge, None, &[]).await;
    forge.with(|world| world.fault = Fault::TooMany);
    let target = caller.target(None).await;
    assert_eq!(target.status, 503, "429 would keep what is remembered from everybody");
    assert_eq!(target.headers["retry-after"], "7");
    let calls = forge.count("/");
    assert_eq!(caller.target(None).await.status, 503);
    assert_eq!(forge.count("/"), calls, "it is asked nothing meanwhile");
}

#[tokio::test]
async fn where_the_forge_is_away_what_is_known_is_told_with_its_age_to_whoever_takes_memory() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    for redis in [None, Some(&redis)] {
        forge.with(|world| world.fault = Fault::None);
        let (_service, caller) = service(&forge, redis, &["lookup.timeout: 500ms"]).await;
        assert_eq!((caller.token("glcbt-dana", None).await.status, caller.target(None).await.status), (200, 200));
        sleep(Duration::from_millis(2100)).await;
        for fault in [Fault::Page(503), Fault::Slow(Duration::from_secs(2))] {
            forge.with(|world| world.fault = fault);
            let (token, target) = (caller.token("glcbt-dana", Some(1)).await, caller.target(Some(1)).await);
            assert_eq!((token.status, &token.body["token"]), (200, &json!("running")), "{fault:?} {token:?}");
            assert_eq!((target.status, &target.body["admission"]), (200, &json!("unlisted")), "{fault:?} {target:?}");
            for reply in [token, target] {
                assert!(reply.body["age"].as_u64().unwrap() >= 3, "{reply:?}");
            }
            for max_age in [None, Some(0)] {
                assert_eq!(caller.token("glcbt-dana", max_age).await.status, 503);
                assert_eq!(caller.target(max_age).await.status, 503);
            }
        }
    }
}

#[tokio::test]
async fn without_its_store_it_asks_the_forge_and_acknowledges_no_end() {
    let (forge, mut redis) = (StandIn::start().await, Server::start(&[]));
    let (service, caller) = service(&forge, Some(&redis), &[]).await;
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "running");
    let cursor = caller.cursor().await;
    redis.kill();
    let calls = forge.count("/gitlab/api/v4/job");
    let token = caller.token("glcbt-dana", Some(30)).await;
    assert_eq!((token.status, &token.body["token"]), (200, &json!("running")), "{token:?}");
    assert_eq!(forge.count("/gitlab/api/v4/job"), calls + 1);
    assert_eq!(caller.target(Some(30)).await.status, 200);
    assert_eq!(caller.end(&[1001]).await.status, 503, "who told it comes again");
    let began = Instant::now();
    assert_eq!(caller.changes(1, Some(&cursor)).await.status, 503);
    assert!(began.elapsed() >= Duration::from_millis(950), "whoever is told at once is back at once");
    let ready = super::Caller::of(service.operations).get("/readyz").await;
    assert_eq!(ready.status, 200, "the forge answers");
    // Who polls while it is away is told as soon as it is there again, and not when the time is over that they would wait.
    let poll = {
        let (caller, cursor) = (caller.clone(), cursor.clone());
        tokio::spawn(async move { caller.changes(25, Some(&cursor)).await })
    };
    sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    redis.start_again();
    assert_eq!(poll.await.unwrap().status, 410, "it is another life");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let mut tries = 0;
    while caller.end(&[1001]).await.status != 200 {
        assert!(tries < 100);
        tries += 1;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(caller.changes(1, Some(&cursor)).await.status, 410, "it is another life");
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "ended");
}

#[tokio::test]
async fn a_store_that_is_frozen_holds_nobody_up_for_long() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let (_service, caller) = service(&forge, Some(&redis), &[]).await;
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "running");
    redis.freeze();
    for _ in 0..3 {
        let asks = (0..20).map(|at| {
            let caller = caller.clone();
            forge.with(|world| world.jobs.insert(format!("glcbt-{at}"), (2000 + at, "running")));
            tokio::spawn(async move { caller.token(&format!("glcbt-{at}"), Some(30)).await })
        });
        let began = Instant::now();
        for ask in asks.collect::<Vec<_>>() {
            let reply = ask.await.unwrap();
            assert_eq!((reply.status, &reply.body["token"]), (200, &json!("running")), "{reply:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_redis_that_may_forget_ends_is_warned_of() {
    let (forge, redis) = (StandIn::start().await, Server::start(&["--maxmemory-policy", "allkeys-lru"]));
    let lines = super::secrets::Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (_service, _caller) = service(&forge, Some(&redis), &[]).await;
    let mut tries = 0;
    while !lines.text().contains("maxmemory-policy noeviction") {
        assert!(tries < 200, "{}", lines.text());
        tries += 1;
        sleep(Duration::from_millis(20)).await;
    }
}
