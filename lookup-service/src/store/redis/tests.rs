//! What holds of a Redis alone: seals, lives, replicas, and what it does when it cannot.

use std::time::Duration;

use policy::facts::{Invalid, JobId, Secret};
use tokio::time::sleep;

use super::server::{Server, inquiry, watched};
use super::{Changes, Lease, Redis, StoreError, TokenState};
use crate::store::suite::{key, limits, run, running, ticket};

const LONG: Duration = Duration::from_secs(300);

/// As the documentation asks for it, and soon in step.
const REPLICATED: [&str; 6] =
    ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2", "--repl-diskless-sync-delay", "0"];

/// All keys of a kind.
async fn keys(server: &Server, kind: &str) -> Vec<Vec<u8>> {
    match server.say(&["KEYS", &format!("{{js:test:*}}{kind}:*")]).await {
        redis::Value::Array(keys) => keys.into_iter().map(|key| redis::from_redis_value(key).unwrap()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn write(server: &Server, key: &[u8], field: &str, value: &str) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("HSET").arg(key).arg(field).arg(value).query_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn whoever_writes_there_makes_nothing_and_moves_nothing() {
    for (field, value) in [("j", "2"), ("p", "1"), ("c", "9999999999999"), ("v", "{}"), ("s", "refused"), ("m", "x")] {
        let server = Server::start(&[]);
        let store = server.store(limits());
        run(&*store, "a", 1).await;
        let token = keys(&server, "t").await.remove(0);
        write(&server, &token, field, value).await;
        let asked = store.ask_token(&key("a"), LONG).await;
        assert!(matches!(asked, Err(StoreError::Away(_))), "{field}: {asked:?}");
    }
    // A value under another name, and a sweep that nobody made.
    let server = Server::start(&[]);
    let store = server.store(limits());
    run(&*store, "a", 1).await;
    let token = keys(&server, "t").await.remove(0);
    run(&*store, "b", 2).await;
    let other = keys(&server, "t").await.into_iter().find(|other| *other != token).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: i64 = redis::cmd("COPY").arg(&token).arg(&other).arg("REPLACE").query_async(&mut connection).await.unwrap();
    assert!(store.ask_token(&key("b"), LONG).await.is_err());
    let life = super::word(&[Some(begin_life(&*store).await.into_bytes())], 0).unwrap().to_vec();
    let job = keys(&server, "j").await.into_iter().find(|job| job.ends_with(b":1")).unwrap();
    write(&server, &job, "n", "9999999999999").await;
    write(&server, &job, "e", std::str::from_utf8(&life).unwrap()).await;
    write(&server, &job, "m", "x").await;
    assert!(store.ask_token(&key("a"), LONG).await.is_err());
}

async fn begin_life(store: &dyn crate::store::Store) -> String {
    match store.changes(None).await.unwrap() {
        Changes::Since(_, cursor) => cursor.as_str().split_once('.').unwrap().0.to_owned(),
        Changes::Lost => panic!("lost"),
    }
}

#[tokio::test]
async fn another_forge_finds_nothing_and_who_asks_more_of_the_same_finds_the_ends_alone() {
    let server = Server::start(&[]);
    let open = |authority, environments| {
        Redis::open(server.configuration(), inquiry(authority, environments), limits()).unwrap()
    };
    let store = open("one.example.com", false);
    run(&*store, "a", 1).await;
    let other = open("other.example.com", false);
    ticket(&*other, &key("a")).await;
    let curious = open("one.example.com", true);
    let asked = ticket(&*curious, &key("a")).await;
    store.end(&[JobId(1)]).await.unwrap();
    assert_eq!(curious.put_running(&key("a"), &running(1), &asked).await, Ok(TokenState::Ended));
    let asked = ticket(&*other, &key("b")).await;
    assert!(matches!(other.put_running(&key("b"), &running(1), &asked).await, Ok(TokenState::Running(_))));
}

#[tokio::test]
async fn another_secret_finds_nothing() {
    let server = Server::start(&[]);
    run(&*server.store(limits()), "a", 1).await;
    let other = super::config::Redis { key: Secret::new(&[8; 32]), ..server.configuration() };
    let other = Redis::open(other, inquiry("forge.example.com", false), limits()).unwrap();
    ticket(&*other, &key("a")).await;
}

#[tokio::test]
async fn no_hash_of_a_token_stands_there() {
    let server = Server::start(&[]);
    let store = server.store(limits());
    run(&*store, "glcbt-secret", 1).await;
    let refused = ticket(&*store, &key("junk")).await;
    store.put_refused(&key("junk"), &TokenState::Refused(Invalid::Unknown), &refused).await.unwrap();
    assert_eq!(keys(&server, "t").await.len(), 2);
    let all = server.say(&["KEYS", "*"]).await;
    let redis::Value::Array(all) = all else { panic!("{all:?}") };
    let (plain, junk) = (key("glcbt-secret").0, key("junk").0);
    for name in all {
        let name: Vec<u8> = redis::from_redis_value(name).unwrap();
        assert!(!name.windows(32).any(|window| window == plain || window == junk), "{name:?}");
    }
}

#[tokio::test]
async fn in_another_life_cursors_are_lost_and_nothing_is_believed_that_was_known_before() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let store = server.store(limits());
    run(&*store, "a", 1).await;
    run(&*store, "b", 2).await;
    store.end(&[JobId(2)]).await.unwrap();
    let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("lost") };
    assert!(store.lease("sweep", LONG).await.unwrap().is_some() && store.lease("sweep", LONG).await.unwrap().is_none());
    let _ = server.say(&["DEBUG", "CHANGE-REPL-ID"]).await;
    assert_eq!(store.changes(Some(&cursor)).await, Ok(Changes::Lost));
    let asked = store.ask_token(&key("a"), LONG).await.unwrap();
    assert!(asked.known.is_none() && matches!(asked.lease, Lease::Yours(_)), "{asked:?}");
    let known = store.ask_token(&key("b"), LONG).await.unwrap().known.unwrap();
    assert_eq!(known.value, TokenState::Ended, "an end is believed in every life");
    // A sweep is due, and whom it sees is believed again.
    let sweep = store.lease("sweep", LONG).await.unwrap().unwrap();
    store.seen(&[JobId(1), JobId(2)], &sweep, Duration::ZERO).await.unwrap();
    let known = store.ask_token(&key("a"), LONG).await.unwrap().known.unwrap();
    assert_eq!(known.value, TokenState::Running(running(1)));
    let known = store.ask_token(&key("b"), LONG).await.unwrap().known.unwrap();
    assert_eq!(known.value, TokenState::Ended);
}

#[tokio::test]
async fn a_cursor_is_lost_where_ends_behind_it_are_and_not_because_nothing_ended_for_long() {
    let server = Server::start(&[]);
    let store = server.store(limits());
    let Changes::Since(_, first) = store.changes(None).await.unwrap() else { panic!("lost") };
    // An end of long ago, and one that is about to be forgotten with it.
    run(&*store, "a", 7).await;
    let job = String::from_utf8(keys(&server, "j").await.remove(0)).unwrap();
    let stream = job.replace("j:7", "x");
    let _ = server.say(&["XADD", &stream, "1000-0", "j", "1"]).await;
    let Changes::Since(ended, quiet) = store.changes(Some(&first)).await.unwrap() else { panic!("lost") };
    assert_eq!(ended, [JobId(1)]);
    store.end(&[JobId(2)]).await.unwrap();
    let Changes::Since(ended, _) = store.changes(Some(&quiet)).await.unwrap() else { panic!("lost") };
    assert_eq!(ended, [JobId(2)]);
    assert_eq!(store.changes(Some(&first)).await, Ok(Changes::Lost));
}

#[tokio::test]
async fn an_end_that_no_replica_holds_is_not_acknowledged_and_a_lonely_master_is_not_believed() {
    // A replica comes over TCP alone.
    let (master, port) = Server::start_at_port(&REPLICATED);
    let mut replica = Server::start(&["--replicaof", "127.0.0.1", &port.to_string()]);
    let configuration = super::config::Redis { replicas: 1, ..master.configuration() };
    let store = Redis::open(configuration, inquiry("forge.example.com", false), limits()).unwrap();
    let mut tries = 0;
    while let Err(error) = store.end(&[JobId(1)]).await {
        assert!(tries < 200 && matches!(error, StoreError::Unacknowledged | StoreError::Lonely), "{error:?}");
        tries += 1;
        sleep(Duration::from_millis(50)).await;
    }
    run(&*store, "a", 7).await;
    let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("lost") };

    replica.kill();
    // At once nobody holds it; after the lag nothing is written any more.
    assert!(matches!(store.end(&[JobId(2)]).await, Err(StoreError::Unacknowledged | StoreError::Lonely)));
    let mut tries = 0;
    while store.ask_token(&key("a"), LONG).await.is_ok() {
        assert!(tries < 200);
        tries += 1;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(store.ask_token(&key("a"), LONG).await, Err(StoreError::Lonely));
    assert_eq!(store.changes(Some(&cursor)).await, Err(StoreError::Lonely));
    assert_eq!(store.end(&[JobId(3)]).await, Err(StoreError::Lonely));
    assert_eq!(store.ask_parts(&key("x"), &[], &[]).await, Err(StoreError::Lonely));
}

#[tokio::test]
async fn a_replica_that_is_frozen_acknowledges_nothing_and_what_is_told_again_is_held() {
    let (master, port) = Server::start_at_port(&REPLICATED);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port.to_string()]);
    let configuration = super::config::Redis { replicas: 1, ..master.configuration() };
    let store = Redis::open(configuration, inquiry("forge.example.com", false), limits()).unwrap();
    let told = async |job: u64| {
        for _ in 0..400 {
            if store.end(&[JobId(job)]).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{job} is never held");
    };
    told(1).await;
    let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("lost") };
    replica.freeze();
    let begun = std::time::Instant::now();
    assert_eq!(store.end(&[JobId(2)]).await, Err(StoreError::Unacknowledged));
    assert!(begun.elapsed() < Duration::from_millis(450), "{:?}", begun.elapsed());
    replica.thaw();
    // The same end once more: it is no news, and there is a write to wait for.
    told(2).await;
    let Changes::Since(ended, _) = store.changes(Some(&cursor)).await.unwrap() else { panic!("lost") };
    assert_eq!(ended, [JobId(2)]);
}

#[tokio::test]
async fn a_redis_that_is_full_takes_no_end_and_loses_none() {
    let server = Server::start(&[]);
    let store = server.store(limits());
    store.end(&[JobId(1)]).await.unwrap();
    let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("lost") };
    let _ = server.say(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(store.end(&[JobId(2)]).await, Err(StoreError::Full));
    assert_eq!(store.ask_token(&key("a"), LONG).await, Err(StoreError::Full));
    assert!(matches!(store.changes(Some(&cursor)).await, Ok(Changes::Since(ended, _)) if ended.is_empty()));
    let _ = server.say(&["CONFIG", "SET", "maxmemory", "0"]).await;
    store.end(&[JobId(2)]).await.unwrap();
    assert!(matches!(store.changes(Some(&cursor)).await, Ok(Changes::Since(ended, _)) if ended == [JobId(2)]));
}

#[tokio::test]
async fn a_wrong_password_and_a_redis_that_is_away_are_failures_that_name_no_secret() {
    let server = Server::start(&["--requirepass", "right-one"]);
    for password in [None, Some(Secret::new(b"wrong-one"))] {
        let configuration = super::config::Redis { password, ..server.configuration() };
        let store = Redis::open(configuration, inquiry("forge.example.com", false), limits()).unwrap();
        let error = store.ask_token(&key("a"), LONG).await.unwrap_err();
        assert!(matches!(error, StoreError::Away(_)) && !error.to_string().contains("-one"), "{error}");
        assert!(store.end(&[JobId(1)]).await.is_err());
        assert!(store.changes(None).await.is_err());
    }
    let right = super::config::Redis { password: Some(Secret::new(b"right-one")), ..server.configuration() };
    let store = Redis::open(right, inquiry("forge.example.com", false), limits()).unwrap();
    run(&*store, "a", 1).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_is_found_again() {
    let mut server = Server::start(&[]);
    let store = server.store(limits());
    run(&*store, "a", 1).await;
    server.kill();
    assert!(store.ask_token(&key("a"), LONG).await.is_err());
    server.start_again();
    let mut tries = 0;
    while store.put_running(&key("a"), &running(1), &ticket_of_now()).await.is_err() {
        assert!(tries < 100);
        tries += 1;
        sleep(Duration::from_millis(20)).await;
    }
}

fn ticket_of_now() -> super::Ticket {
    super::Ticket { at: super::Moment(1), life: "0".into(), owner: String::new() }
}

#[tokio::test]
async fn after_a_failover_no_acknowledged_end_is_missing_and_nothing_else_is_believed() {
    let (mut master, port) = Server::start_at_port(&REPLICATED);
    let replica_of = ["--replicaof", "127.0.0.1", &port.to_string()];
    let (_replica, _) = Server::start_at_port(&[&REPLICATED[..], &replica_of].concat());
    // Another, so that whoever is promoted is not lonely.
    let (_other, _) = Server::start_at_port(&[&REPLICATED[..], &replica_of].concat());
    let sentinels = Server::sentinels(port);
    let configuration = super::config::Redis {
        url: String::new(),
        sentinels: sentinels.iter().map(|(_, port)| ("127.0.0.1".to_owned(), *port)).collect(),
        master: "forge".into(),
        replicas: 1,
        ..master.configuration()
    };
    let store = Redis::open(configuration, inquiry("forge.example.com", false), limits()).unwrap();
    let patiently = async |what: &str, job: u64| {
        let begun = std::time::Instant::now();
        while let Err(error) = store.end(&[JobId(job)]).await {
            assert!(begun.elapsed() < Duration::from_secs(25), "{what}: {error}");
            sleep(Duration::from_millis(50)).await;
        }
        begun.elapsed()
    };
    patiently("the beginning", 1).await;
    watched(&sentinels).await;
    run(&*store, "a", 7).await;
    let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("lost") };
    let mut acknowledged = Vec::new();
    for job in 100..150 {
        if job == 125 {
            master.kill();
        }
        if store.end(&[JobId(job)]).await.is_ok() {
            acknowledged.push(job);
        }
    }
    assert!(acknowledged.len() >= 25, "{acknowledged:?}");
    patiently("a new master", 200).await;
    assert_eq!(store.changes(Some(&cursor)).await, Ok(Changes::Lost));
    let asked = store.ask_token(&key("a"), LONG).await.unwrap();
    assert!(asked.known.is_none(), "what an older life knew is asked anew: {asked:?}");
    for job in acknowledged {
        let name = format!("token of {job}");
        let ticket = ticket(&*store, &key(&name)).await;
        let stands = store.put_running(&key(&name), &running(job), &ticket).await;
        assert_eq!(stands, Ok(TokenState::Ended), "{job} was acknowledged");
    }
}
