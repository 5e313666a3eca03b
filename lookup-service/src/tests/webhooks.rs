//! What GitLab reports by itself, sent as it sends it, to whole services.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::Body;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::caller::{Caller, Reply, TOKEN};
use super::forge::{Fault, StandIn};
use super::{KEY, NEXT_TOKEN, Server, service};
use crate::service::Service;
use crate::store::seeds::Dice;

const SECRETS: &str = "forge.webhook_secrets_env: [KEY, NEXT_CALLER]";

async fn send_to(caller: &Caller, path: &str, fields: &[(&str, &str)], body: &Value) -> Reply {
    let request = axum::http::Request::builder().method("POST").uri(format!("http://{}{path}", caller.address));
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    caller.send(request.body(Body::from(body.to_string())).unwrap()).await.unwrap()
}

/// Sends a report with the secret token.
async fn send(caller: &Caller, body: &Value) -> Reply {
    let fields = [("x-gitlab-event", "Job Hook"), ("x-gitlab-token", KEY), ("content-type", "application/json")];
    send_to(caller, "/jobscope/v1/hooks/gitlab", &fields, body).await
}

fn job(id: u64, status: &str) -> Value {
    json!({"object_kind": "build", "build_id": id, "build_status": status, "project_id": 101, "pipeline_id": 2001,
        "retries_count": 0, "user": {"id": 11, "username": "dana"}, "commit": {"id": 2001}})
}

async fn counted(service: &Service, line: &str) -> bool {
    Caller::of(service.operations).get("/metrics").await.text.lines().any(|counted| counted == line)
}

#[tokio::test]
async fn an_end_that_gitlab_reports_to_one_replica_is_told_by_the_other_at_once() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let (one, first) = service(&forge, Some(&redis), &[SECRETS]).await;
    let (_two, second) = service(&forge, Some(&redis), &[SECRETS]).await;
    let mut took = Vec::new();
    for id in 1001..1021 {
        forge.with(|world| world.jobs.insert(format!("glcbt-{id}"), (id, "running")));
        assert_eq!(second.token(&format!("glcbt-{id}"), Some(30)).await.body["token"], "running");
        let cursor = second.cursor().await;
        let poll = {
            let second = second.clone();
            tokio::spawn(async move { (second.changes(20, Some(&cursor)).await, Instant::now()) })
        };
        sleep(Duration::from_millis(30)).await;
        let calls = forge.count("/");
        let sent = Instant::now();
        assert_eq!(send(&first, &job(id, "success")).await.status, 200);
        let (news, at) = poll.await.unwrap();
        assert_eq!(news.body["ended"], json!([id]));
        took.push(at - sent);
        assert_eq!(second.token(&format!("glcbt-{id}"), Some(30)).await.body["token"], "ended");
        assert_eq!(forge.count("/"), calls, "nobody was asked");
    }
    took.sort();
    println!(
        "from a webhook to another replica's list: median {:?}, worst {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() - 1] < Duration::from_secs(1), "{took:?}");
    assert!(counted(&one, r#"jobscope_lookup_ends_total{source="webhook"} 20"#).await);
    assert!(counted(&one, r#"jobscope_lookup_webhooks_total{outcome="ended"} 20"#).await);
}

#[tokio::test]
async fn reports_in_any_order_twice_or_not_at_all_end_their_jobs_and_no_other_and_make_none_run() {
    let (forge, server) = (StandIn::start().await, Server::start(&[]));
    for seed in 1..=4_u64 {
        for redis in [None, Some(&server)] {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (_service, caller) = service(&forge, redis, &[SECRETS]).await;
            // A job that is run again is another one, with another token.
            let ids: Vec<u64> = (0..8).map(|at| 10_000 * seed + 1000 * u64::from(redis.is_some()) + at).collect();
            let token = |id: u64| format!("glcbt-{id}");
            let ends: BTreeSet<u64> = ids.iter().copied().filter(|_| dice.throw(2) == 0).collect();
            let mut reports = Vec::new();
            for id in &ids {
                // GitLab goes on to say that it runs: what is told as ended is so by the reports.
                forge.with(|world| world.jobs.insert(token(*id), (*id, "running")));
                let last = ["success", "failed", "canceled"][dice.throw(3) as usize];
                let last = if ends.contains(id) { last } else { "running" };
                for status in ["created", "pending", "running", "canceling", "running", last, last] {
                    if status == last || dice.throw(4) > 0 {
                        reports.push((*id, status));
                    }
                }
            }
            for at in (1..reports.len()).rev() {
                reports.swap(at, dice.throw(at as u64 + 1) as usize);
            }
            let cursor = caller.cursor().await;
            let mut over = BTreeSet::new();
            for (id, status) in reports {
                assert_eq!(send(&caller, &job(id, status)).await.status, 200);
                if !["created", "pending", "running", "canceling"].contains(&status) {
                    over.insert(id);
                }
                let asked = ids[dice.throw(ids.len() as u64) as usize];
                let max_age = (dice.throw(2) == 0).then_some(30);
                let told = caller.token(&token(asked), max_age).await.body["token"].clone();
                let expected = if over.contains(&asked) { "ended" } else { "running" };
                assert_eq!(told, expected, "seed {seed}: {asked}");
            }
            assert_eq!(over, ends);
            let told = caller.changes(1, Some(&cursor)).await.body["ended"].clone();
            let told: Vec<u64> = serde_json::from_value(told).unwrap();
            assert_eq!(
                (told.len(), told.into_iter().collect::<BTreeSet<u64>>()),
                (ends.len(), ends),
                "seed {seed}: once each"
            );
        }
    }
}

#[tokio::test]
async fn only_a_report_with_a_secret_counts_and_others_learn_nothing() {
    let forge = StandIn::start().await;
    let (watched, caller) = service(&forge, None, &[SECRETS]).await;
    let (_without, closed) = service(&forge, None, &[]).await;
    assert_eq!(caller.token("glcbt-dana", None).await.body["token"], "running");
    let hooks = "/jobscope/v1/hooks/gitlab";
    let end = job(1001, "success");
    let mut refusals = BTreeSet::new();
    for (caller, path, fields) in [
        (&caller, hooks.to_owned(), vec![]),
        (&caller, hooks.to_owned(), vec![("x-gitlab-token", "wrong-secret-of-16-bytes")]),
        (&caller, hooks.to_owned(), vec![("authorization", "Bearer wrong")]),
        // A caller's token is no webhook's secret.
        (&caller, hooks.to_owned(), vec![("x-gitlab-token", TOKEN)]),
        (&caller, format!("{hooks}?dd-api-key=wrong"), vec![]),
        (&caller, "/jobscope/v1/hooks/github".to_owned(), vec![("x-gitlab-token", KEY)]),
        (&closed, hooks.to_owned(), vec![("x-gitlab-token", KEY)]),
        (&closed, hooks.to_owned(), vec![("x-gitlab-token", "")]),
    ] {
        let reply = send_to(caller, &path, &fields, &end).await;
        assert_eq!(reply.status, 401, "{path} {fields:?}");
        refusals.insert(reply.text);
        // A body that is none is told of to nobody who has no secret.
        assert_eq!(send_to(caller, &path, &fields, &json!([])).await.status, 401);
    }
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    for (body, path) in [
        (json!({"object_kind": "build", "build_id": "x"}), ""),
        (json!({"event_name": "user_add_to_team", "user_id": "x"}), "user_id"),
    ] {
        let reply = send(&caller, &body).await;
        assert_eq!((reply.status, &reply.body["path"]), (400, &json!(path)), "{reply:?}");
    }
    let huge = json!({"object_kind": "pipeline", "x": "x".repeat(1 << 20)});
    assert_eq!(send(&caller, &huge).await.status, 413);
    assert_eq!(send(&caller, &json!({"object_kind": "pipeline", "x": "x".repeat(1 << 19)})).await.status, 200);
    assert_eq!(caller.token("glcbt-dana", Some(60)).await.body["token"], "running", "nothing of that was an end");
    // While one takes the other's place both count, also in the query, where the Datadog integration has its key.
    for path in [hooks.to_owned(), format!("{hooks}?service=gitlab-ci&dd-api-key={}", NEXT_TOKEN)] {
        let fields = [("x-gitlab-token", NEXT_TOKEN)];
        let fields = if path.contains('?') { &[] } else { &fields[..] };
        assert_eq!(send_to(&caller, &path, fields, &end).await.status, 200, "{path}");
    }
    assert_eq!(caller.token("glcbt-dana", Some(60)).await.body["token"], "ended");
    for line in [
        r#"jobscope_lookup_webhooks_total{outcome="unauthorized"} 12"#,
        r#"jobscope_lookup_webhooks_total{outcome="malformed"} 2"#,
        r#"jobscope_lookup_webhooks_total{outcome="unread"} 1"#,
        r#"jobscope_lookup_webhooks_total{outcome="ignored"} 1"#,
        r#"jobscope_lookup_webhooks_total{outcome="ended"} 2"#,
    ] {
        assert!(counted(&watched, line).await, "{line}");
    }
    // It opens no other door.
    assert_eq!(send_to(&caller, "/jobscope/v1/ended", &[("x-gitlab-token", KEY)], &json!({})).await.status, 401);
}

#[tokio::test]
async fn a_report_that_is_not_safe_is_to_be_sent_again() {
    let (forge, mut redis) = (StandIn::start().await, Server::start(&[]));
    let (service, caller) = service(&forge, Some(&redis), &[SECRETS]).await;
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "running");
    let renamed = json!({"event_name": "group_rename", "group_id": 7, "full_path": "libs", "old_full_path": "lib"});
    redis.kill();
    for body in [&job(1001, "failed"), &renamed] {
        assert_eq!(send(&caller, body).await.status, 503, "{body}");
    }
    assert_eq!(send(&caller, &job(1001, "running")).await.status, 200, "which is nothing to remember");
    assert!(counted(&service, r#"jobscope_lookup_webhooks_total{outcome="failed"} 2"#).await);
    redis.start_again();
    for body in [&job(1001, "failed"), &renamed] {
        let mut tries = 0;
        while send(&caller, body).await.status != 200 {
            assert!(tries < 100);
            tries += 1;
            sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(caller.token("glcbt-dana", Some(30)).await.body["token"], "ended");
}

#[tokio::test]
async fn what_gitlab_says_has_changed_is_looked_up_again_and_nothing_else_is() {
    let (forge, redis) = (StandIn::start().await, Server::start(&[]));
    let project =
        |name: &str, id: u64, path: &str| json!({"event_name": name, "project_id": id, "path_with_namespace": path});
    let member = |name: &str, user: u64| json!({"event_name": name, "user_id": user, "project_id": 102, "access_level": "Owner"});
    for redis in [None, Some(&redis)] {
        forge.with(|world| world.is_listed = false);
        // The other replica has heard nothing, and asks the forge for less: where the store is one, that is enough.
        let (_one, first) = service(&forge, redis, &[SECRETS, "forge.circumstances: [protected]"]).await;
        let other = service(&forge, redis, &[SECRETS]).await;
        let second = if redis.is_some() { &other.1 } else { &first };
        assert_eq!(second.target(Some(30)).await.body["admission"], "unlisted");
        for (event, is_about) in [
            (project("project_update", 102, "libs/common"), true),
            // The project is known by its number, whatever path the event has, and by its path.
            (project("project_transfer", 102, "elsewhere/common"), true),
            (project("project_create", 900, "Libs/Common"), true),
            (project("project_update", 103, "libs/other"), false),
            (member("user_update_for_team", 11), true),
            (member("user_remove_from_group", 11), true),
            (member("user_add_to_team", 12), false),
            (json!({"event_name": "group_rename", "group_id": 7}), true),
            (json!({"event_name": "user_create", "user_id": 11}), false),
            (job(7, "running"), false),
        ] {
            forge.with(|world| world.is_listed = !world.is_listed);
            let (asked, is_listed) = (forge.count("/"), forge.with(|world| world.is_listed));
            // Times are whole milliseconds: within one nothing is after anything else.
            sleep(Duration::from_millis(3)).await;
            assert_eq!(send(&first, &event).await.status, 200, "{event}");
            sleep(Duration::from_millis(3)).await;
            let said = second.target(Some(30)).await.body;
            let expected = if is_listed == is_about { "project" } else { "unlisted" };
            assert_eq!((&said["admission"], forge.count("/") > asked), (&json!(expected), is_about), "{event}");
            // And from then on it is known again.
            let asked = forge.count("/");
            assert_eq!(second.target(Some(30)).await.body["admission"], expected, "{event}");
            assert_eq!(forge.count("/"), asked, "{event}");
            if !is_about {
                forge.with(|world| world.is_listed = !world.is_listed);
            }
        }
        // Where the forge is away, what changed is not told from memory either.
        forge.with(|world| world.fault = Fault::Page(503));
        assert_eq!(second.target(Some(30)).await.status, 200);
        assert_eq!(send(&first, &project("project_update", 102, "elsewhere/common")).await.status, 200);
        assert_eq!(second.target(Some(30)).await.status, 503);
        forge.with(|world| world.fault = Fault::None);
    }
}

#[tokio::test]
async fn what_changed_while_it_was_looked_up_is_looked_up_once_more_for_all_who_wait() {
    let (forge, server) = (StandIn::start().await, Server::start(&[]));
    // By its number a project is known only when the forge has told it.
    let moved = json!({"event_name": "project_transfer", "project_id": 102, "path_with_namespace": "elsewhere/common"});
    let joined = json!({"event_name": "user_add_to_team", "user_id": 11, "project_id": 102});
    for (redis, name, event) in
        [(None, "a", &moved), (None, "b", &joined), (Some(&server), "c", &moved), (Some(&server), "d", &joined)]
    {
        forge.with(|world| (world.is_listed, world.fault) = (false, Fault::Stale(Duration::from_millis(300))));
        let (_service, caller) = service(&forge, redis, &[SECRETS, &format!("store.name: {name}")]).await;
        forge.with(|world| world.asked = Vec::new());
        let ask = || {
            let caller = caller.clone();
            tokio::spawn(async move { caller.target(Some(30)).await })
        };
        let early = ask();
        sleep(Duration::from_millis(100)).await;
        // The forge has read what it will answer, and then it changes.
        forge.with(|world| world.is_listed = true);
        assert_eq!(send(&caller, event).await.status, 200);
        let late = ask();
        for asked in [early, late] {
            let said = asked.await.unwrap();
            assert_eq!((said.status, &said.body["admission"]), (200, &json!("project")), "{said:?}");
        }
        assert_eq!(forge.count("/gitlab/api/graphql"), 2, "once before, once after");
        forge.with(|world| (world.fault, world.asked) = (Fault::None, Vec::new()));
        assert_eq!(caller.target(Some(30)).await.body["admission"], "project", "and that is remembered");
        assert_eq!(forge.count("/"), 0);
    }
}
