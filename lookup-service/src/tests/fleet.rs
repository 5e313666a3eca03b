//! Two replicas over one Redis.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::forge::StandIn;
use super::{Server, service};

#[tokio::test]
async fn whoever_asks_where_the_forge_is_asked_once() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let (_one, first) = service(&forge, Some(&redis), &[]).await;
    let (_two, second) = service(&forge, Some(&redis), &[]).await;
    let asks = (0..40).map(|at| {
        let caller = if at % 2 == 0 { first.clone() } else { second.clone() };
        tokio::spawn(async move { (caller.token("glcbt-dana", Some(30)).await, caller.target(Some(30)).await) })
    });
    for ask in asks.collect::<Vec<_>>() {
        let (token, target) = ask.await.unwrap();
        assert_eq!((token.status, &token.body["token"]), (200, &json!("running")), "{token:?}");
        assert_eq!(token.body["job"]["origin"], json!({"id": 101, "path": "apps/web"}));
        assert_eq!((target.status, &target.body["admission"]), (200, &json!("unlisted")), "{target:?}");
        assert_eq!(target.body["role"], "reporter");
        assert_eq!(target.headers["cache-control"], "no-store");
    }
    for path in ["job", "projects/libs%2Fcommon", "users/11", "application/settings"] {
        let path = format!("/gitlab/api/v4/{path}");
        let asked = forge.with(|world| world.asked.iter().filter(|(asked, _)| *asked == path).count());
        assert_eq!(asked, 1, "{path}");
    }
    assert_eq!(forge.count("/gitlab/api/graphql"), 1);
}

#[tokio::test]
async fn a_grant_counts_at_the_next_question_that_takes_no_memory() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    for redis in [None, Some(&redis)] {
        forge.with(|world| world.is_listed = false);
        let (_service, caller) = service(&forge, redis, &[]).await;
        assert_eq!(caller.target(Some(30)).await.body["admission"], "unlisted");
        forge.with(|world| world.is_listed = true);
        sleep(Duration::from_millis(1100)).await;
        let remembered = caller.target(Some(30)).await.body;
        assert_eq!(remembered["admission"], "unlisted");
        assert!((2..10).contains(&remembered["age"].as_u64().unwrap()), "{remembered}");
        for max_age in [Some(0), None] {
            let asked = caller.target(max_age).await.body;
            assert_eq!((&asked["admission"], &asked["age"]), (&json!("project"), &json!(0)), "{max_age:?}");
        }
        // What was learned so is what the others find.
        assert_eq!(caller.target(Some(30)).await.body["admission"], "project");
    }
}

#[tokio::test]
async fn an_end_that_one_is_told_is_everybodys_without_a_call() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let (_one, first) = service(&forge, Some(&redis), &[]).await;
    let (_two, second) = service(&forge, Some(&redis), &[]).await;
    assert_eq!(second.token("glcbt-dana", Some(30)).await.body["token"], "running");
    let cursor = first.cursor().await;
    let poll = {
        let (second, cursor) = (second.clone(), cursor.clone());
        tokio::spawn(async move { second.changes(20, Some(&cursor)).await })
    };
    sleep(Duration::from_millis(200)).await;
    let told = Instant::now();
    assert_eq!(first.end(&[1001]).await.body, json!({"version": 1}));
    let news = poll.await.unwrap();
    assert_eq!((news.status, &news.body["ended"]), (200, &json!([1001])), "{news:?}");
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    let calls = forge.count("/");
    for caller in [&first, &second] {
        for max_age in [None, Some(0), Some(30)] {
            assert_eq!(
                caller.token("glcbt-dana", max_age).await.body,
                json!({"version": 1, "token": "ended", "age": 0})
            );
        }
    }
    assert_eq!(forge.count("/"), calls, "an end is final");
    // Nothing more ended.
    let next = news.body["cursor"].as_str().unwrap().to_owned();
    assert_eq!(first.changes(1, Some(&next)).await.body["ended"], json!([]));
    assert_eq!(first.changes(1, Some("another-life")).await.status, 410);
}

#[tokio::test]
async fn a_token_that_ran_and_that_the_forge_knows_no_more_has_ended_for_everybody() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let (_one, first) = service(&forge, Some(&redis), &[]).await;
    let (_two, second) = service(&forge, Some(&redis), &[]).await;
    first.token("glcbt-dana", None).await;
    let cursor = first.cursor().await;
    forge.with(|world| world.jobs.clear());
    sleep(Duration::from_millis(5)).await;
    // Of a token that nobody knew the same says nothing.
    assert_eq!(second.token("glcbt-nobody", None).await.body["token"], "unknown");
    assert_eq!(second.token("glcbt-dana", None).await.body["token"], "ended");
    assert_eq!(first.changes(5, Some(&cursor)).await.body["ended"], json!([1001]));
    assert_eq!(first.token("glcbt-dana", Some(30)).await.body["token"], "ended");
}

#[tokio::test]
async fn who_died_in_a_flight_holds_nobody_up_for_long() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let (_service, caller) = service(&forge, Some(&redis), &["lookup.timeout: 1s"]).await;
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.status, 200);
    // Nothing is known any more, and the lease is another's, who never comes back.
    let keys = match redis.say(&["KEYS", "{js:forge:*}t:*"]).await {
        redis::Value::Array(keys) => keys,
        other => panic!("{other:?}"),
    };
    let token: Vec<u8> = redis::from_redis_value(keys.into_iter().next().unwrap()).unwrap();
    let (prefix, name) = token.split_at(b"{js:forge:00000000}".len());
    let lease = [prefix, b"l", &name[1..]].concat();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("DEL").arg(&token).query_async(&mut connection).await.unwrap();
    let _: () = redis::cmd("SET").arg(&lease).arg("a-dead-one").query_async(&mut connection).await.unwrap();
    let began = Instant::now();
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "running");
    let took = began.elapsed();
    assert!((400..1000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn the_sweep_finds_an_end_that_nobody_told() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let quick = ["sweep.every: 1s", "sweep.check_after: 50ms", "sweep.lag: 0s"];
    let (service, caller) = service(&forge, Some(&redis), &quick).await;
    forge.with(|world| world.jobs.insert("glcbt-other".into(), (1002, "running")));
    for token in ["glcbt-dana", "glcbt-other"] {
        caller.token(token, None).await;
    }
    let cursor = caller.cursor().await;
    forge.with(|world| world.jobs.insert("glcbt-other".into(), (1002, "success")));
    let news = caller.changes(10, Some(&cursor)).await;
    assert_eq!(news.body["ended"], json!([1002]));
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "running");
    assert_eq!(caller.token("glcbt-other", Some(30)).await.body["token"], "ended");
    service.stop().await;
}
