//! Gitea and Forgejo: a real PostgreSQL, with rows as the forge makes them.

mod targets;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::caller::{Caller, TOKEN};
use super::postgres::Postgres;
use crate::clock;
use crate::config::{self, Surroundings};
use crate::service::Service;

const JWT_SECRET: [u8; 32] = [7; 32];

/// The token of a number: as long as the forge's are, and one that ends like no other.
fn token(number: u64) -> String {
    format!("{:032x}{number:08x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// What the forge keeps of a token: hash, salt, the last eight.
fn kept(token: &str) -> [String; 3] {
    let (first, last) = token.split_at(32);
    let salt = format!("salt{}", first.split_at(26).1);
    let mut hash = [0; 50];
    let rounds = NonZeroU32::new(10_000).unwrap();
    ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt.as_bytes(), token.as_bytes(), &mut hash);
    let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    [hash, salt, last.to_owned()]
}

/// A task that got a token.
async fn add_task(forge: &Client, id: i64, attempt: i64, status: i32, token: &str) {
    let [hash, salt, last] = kept(token);
    let sql = "INSERT INTO action_task (id, job_id, attempt, status, repo_id, is_fork_pull_request, token_hash, token_salt, \
               token_last_eight) VALUES ($1, 601, $2, $3, 101, false, $4, $5, $6)";
    forge.execute(sql, &[&id, &attempt, &status, &hash, &salt, &last]).await.unwrap();
}

async fn add_access_token(forge: &Client, token: &str) {
    let [hash, salt, last] = kept(token);
    let sql = "INSERT INTO access_token (uid, token_hash, token_salt, token_last_eight) VALUES (11, $1, $2, $3)";
    forge.execute(sql, &[&hash, &salt, &last]).await.unwrap();
}

async fn run(forge: &Client, sql: &str) {
    forge.batch_execute(sql).await.unwrap();
}

async fn service_at(database: &str, more: &[(&str, Value)]) -> (Service, Caller) {
    let mut document = json!({
        "api": {"listen": "127.0.0.1:0", "callers_env": ["CALLER"]},
        "operations": {"listen": "127.0.0.1:0"},
        "store": {"kind": "memory"},
        "sweep": {"every": "1h"},
        "lookup": {"timeout": "3s"},
        "forge": {"kind": "gitea", "database": database, "jwt_secret_env": "JWT"},
    });
    for (pointer, value) in more {
        let (section, key) = pointer.split_once('.').unwrap();
        let section = document[section].as_object_mut().unwrap();
        match value {
            Value::Null => drop(section.remove(key)),
            value => drop(section.insert(key.to_owned(), value.clone())),
        }
    }
    let env = |name: &str| match name {
        "CALLER" => Some(TOKEN.to_owned()),
        "JWT" => Some(URL_SAFE_NO_PAD.encode(JWT_SECRET)),
        "PASSWORD" => Some("open-sesame".to_owned()),
        _ => None,
    };
    let around = Surroundings { env: &env, file: &|path| std::fs::read(path) };
    let config = config::read(&document.to_string(), &around).unwrap_or_else(|errors| panic!("{errors}"));
    let service = Service::start(config).await.unwrap();
    let caller = Caller::of(service.address);
    (service, caller)
}

async fn service(postgres: &Postgres, more: &[(&str, Value)]) -> (Service, Caller) {
    service_at(&postgres.address(), more).await
}

/// What is said of a token: its state, or the status of a refusal.
async fn said(caller: &Caller, token: &str) -> String {
    let reply = caller.token(token, None).await;
    reply.body["token"].as_str().map_or(reply.status.to_string(), str::to_owned)
}

#[tokio::test]
async fn a_token_is_its_tasks_and_lives_as_long_as_that() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    add_task(&forge, 1001, 1, 6, &token(1)).await;
    let job = caller.token(&token(1), None).await.body;
    let whole = json!({"version": 1, "token": "running", "age": 0, "job": {"id": 1001, "user": {"id": 11, "name": "dana"},
        "origin": {"id": 101, "path": "apps/web"}, "ref": "main", "source": "push", "fork": false}});
    assert_eq!(job, whole);
    // Each final status, one that still takes the token, and those that no task with a token has.
    for (at, (status, expected)) in [
        (1, "ended"),
        (2, "ended"),
        (3, "ended"),
        (4, "ended"),
        (8, "running"),
        (0, "503"),
        (5, "503"),
        (7, "503"),
        (9, "503"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = u64::try_from(at).unwrap() + 10;
        add_task(&forge, i64::try_from(at).unwrap(), 1, status, &token(at)).await;
        assert_eq!(said(&caller, &token(at)).await, expected, "{status}");
    }
    // Run again: the same job, another task. What ended stays so, and takes the other one with it nowhere.
    run(&forge, "UPDATE action_task SET status = 2 WHERE id = 1001").await;
    add_task(&forge, 1002, 2, 6, &token(2)).await;
    assert_eq!((said(&caller, &token(1)).await, said(&caller, &token(2)).await), ("ended".into(), "running".into()));
    assert_eq!(caller.token(&token(2), None).await.body["job"]["id"], 1002);
    // A task that is gone, with its run or its repository, was known to run.
    run(&forge, "DELETE FROM action_task WHERE id = 1002").await;
    assert_eq!(said(&caller, &token(2)).await, "ended");
    add_task(&forge, 1003, 3, 6, &token(3)).await;
    run(&forge, "UPDATE action_task SET repo_id = 999 WHERE id = 1003").await;
    assert_eq!(said(&caller, &token(3)).await, "project-gone");
}

#[tokio::test]
async fn who_is_nobody_and_who_is_somebody_else() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    add_access_token(&forge, &token(1)).await;
    assert_eq!(said(&caller, &token(1)).await, "foreign");
    // A token that was just made, or is mistyped, passes nowhere as a person's.
    let alike = format!("{}{}", "0".repeat(32), token(1).split_at(32).1);
    for nobody in [token(2), alike.clone(), token(1).replacen('0', "1", 1)] {
        assert_eq!(said(&caller, &nobody).await, "unknown", "{nobody}");
    }
    for other in ["a-password", "gto_abc", &token(1).to_uppercase(), token(1).split_at(1).1, "pass.word", "a.b.c"] {
        assert_eq!(said(&caller, other).await, "foreign", "{other}");
    }
    // Several that end alike: each is who it is.
    let same = |first: &str| format!("{first}{}abcd0123", "0".repeat(32 - first.len()));
    for (id, first, status) in [(21, "a1", 6), (22, "a2", 1), (23, "a3", 6)] {
        add_task(&forge, id, 1, status, &same(first)).await;
    }
    add_access_token(&forge, &same("a4")).await;
    for (first, expected) in
        [("a1", "running"), ("a2", "ended"), ("a3", "running"), ("a4", "foreign"), ("a5", "unknown")]
    {
        assert_eq!(said(&caller, &same(first)).await, expected, "{first}");
    }
    assert_eq!(caller.token(&same("a3"), None).await.body["job"]["id"], 23);
    // More of them than are looked through, and one whose hash is of a kind that is not known.
    run(&forge, "UPDATE action_task SET token_hash = '$argon2$x' WHERE id = 22").await;
    assert_eq!((said(&caller, &same("a3")).await, said(&caller, &same("a6")).await), ("running".into(), "503".into()));
    let many = "INSERT INTO action_task (id, status, token_salt, token_last_eight) \
                SELECT id, 6, 's', 'abcd0123' FROM generate_series(2001, 2040) id";
    run(&forge, many).await;
    assert_eq!(said(&caller, &same("a7")).await, "503");
}

#[tokio::test]
async fn a_job_is_its_users_where_that_is_somebody() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    add_task(&forge, 1001, 1, 6, &token(1)).await;
    let of = async |sql: &str| {
        run(&forge, sql).await;
        caller.token(&token(1), None).await.body
    };
    for nobody in ["-2", "-1", "99"] {
        let body = of(&format!("UPDATE action_run SET trigger_user_id = {nobody}")).await;
        assert_eq!((&body["token"], &body["job"]["user"]), (&json!("running"), &Value::Null), "{nobody}");
    }
    for (change, state) in [("is_active = false", "user-deactivated"), ("prohibit_login = true", "user-blocked")] {
        run(&forge, "UPDATE action_run SET trigger_user_id = 11").await;
        assert_eq!(of(&format!("UPDATE \"user\" SET {change} WHERE id = 11")).await["token"], state);
    }
    run(&forge, "UPDATE \"user\" SET is_active = true, prohibit_login = false").await;
    // A fork's job has nobody's rights, and none of its names.
    for fork in
        ["UPDATE action_task SET is_fork_pull_request = true", "UPDATE action_run SET is_fork_pull_request = true"]
    {
        run(&forge, "UPDATE action_task SET is_fork_pull_request = false").await;
        let body = of(fork).await;
        assert_eq!(
            (&body["job"]["user"], &body["job"]["fork"], &body["job"]["ref"]),
            (&Value::Null, &json!(true), &Value::Null),
            "{fork}"
        );
    }
}

#[tokio::test]
async fn a_jwt_of_the_forge_is_its_tasks() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    add_task(&forge, 1001, 1, 6, &token(1)).await;
    let until = clock::unix() + 600;
    let jwt = |claims: Value, secret: &[u8]| {
        let mut all = json!({"exp": until, "nbf": until - 1200});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&all));
        let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&text).finalize().into_bytes();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    let (runtime, registry) = (json!({"TaskID": 1001}), json!({"UserID": -2, "ActionsUserTaskID": 1001}));
    for claims in [&runtime, &registry] {
        let body = caller.token(&jwt(claims.clone(), &JWT_SECRET), None).await.body;
        assert_eq!(
            (&body["token"], &body["job"]["id"], &body["until"]),
            (&json!("running"), &json!(1001), &json!(until)),
            "{claims}"
        );
    }
    assert_eq!(said(&caller, &jwt(json!({"TaskID": 1002}), &JWT_SECRET)).await, "unknown");
    assert_eq!(said(&caller, &jwt(json!({"UserID": 11}), &JWT_SECRET)).await, "foreign");
    assert_eq!(said(&caller, &jwt(runtime.clone(), &[8; 32])).await, "unknown");
    let (_blind, blind) = service(&postgres, &[("forge.jwt_secret_env", Value::Null)]).await;
    for claims in [&runtime, &registry, &json!({"UserID": 11})] {
        assert_eq!(said(&blind, &jwt(claims.clone(), &JWT_SECRET)).await, "unknown", "{claims}");
    }
    // The job's end is the end of all of them.
    run(&forge, "UPDATE action_task SET status = 1").await;
    assert_eq!(said(&caller, &token(1)).await, "ended");
    for claims in [runtime, registry] {
        assert_eq!(said(&caller, &jwt(claims, &JWT_SECRET)).await, "ended");
    }
}

#[tokio::test]
async fn the_role_sees_the_views_and_nothing_else() {
    let postgres = Postgres::start().await;
    let forge = postgres.gitea().await;
    let tables = forge.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", &[]).await.unwrap();
    let role = postgres.connect("jobscope", "gitea").await;
    assert!(tables.len() > 12);
    for table in tables {
        let table: &str = table.get(0);
        for sql in [format!("SELECT FROM public.\"{table}\""), format!("DELETE FROM public.\"{table}\"")] {
            let error = role.batch_execute(&sql).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{sql}: {error}");
        }
    }
    let views = forge.query("SELECT viewname FROM pg_views WHERE schemaname = 'jobscope'", &[]).await.unwrap();
    assert_eq!(views.len(), 7);
    for view in views {
        let view: &str = view.get(0);
        role.batch_execute(&format!("SELECT FROM jobscope.{view}")).await.unwrap();
        for sql in [format!("DELETE FROM jobscope.{view}"), format!("INSERT INTO jobscope.{view} DEFAULT VALUES")] {
            assert!(role.batch_execute(&sql).await.is_err(), "{sql}");
        }
    }
    // No column has whose an access token is, or anybody's password.
    let secrets = "SELECT count(*) FROM information_schema.columns \
                   WHERE table_schema = 'jobscope' AND column_name IN ('uid', 'passwd', 'email')";
    assert_eq!(forge.query_one(secrets, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_no_answer() {
    let mut postgres = Postgres::start().await;
    let (_service, caller) = service(&postgres, &[("sweep.every", json!("1s"))]).await;
    let forge = postgres.gitea().await;
    add_task(&forge, 1001, 1, 6, &token(1)).await;
    assert_eq!(said(&caller, &token(1)).await, "running");
    let cursor = caller.cursor().await;
    let all = async || {
        [said(&caller, &token(1)).await, said(&caller, &token(2)).await, caller.target(None).await.status.to_string()]
    };
    let refused = ["503", "503", "503"].map(str::to_owned);
    let answered = ["running", "unknown", "200"].map(str::to_owned);
    assert_eq!(all().await, answered);
    // Somebody holds a table.
    run(&forge, "BEGIN; LOCK TABLE action_task, repository").await;
    assert_eq!(all().await, refused, "held");
    run(&forge, "COMMIT").await;
    assert_eq!(all().await, answered, "let go");
    // The views are not there while the forge is upgraded.
    run(&forge, "DROP SCHEMA jobscope CASCADE").await;
    assert_eq!(all().await, refused, "without views");
    run(&forge, crate::forge::gitea::VIEWS).await;
    assert_eq!(all().await, answered, "with views");
    run(&forge, "REVOKE SELECT ON jobscope.task, jobscope.repository FROM jobscope").await;
    assert_eq!(all().await, refused, "without rights");
    run(&forge, "GRANT SELECT ON jobscope.task, jobscope.repository TO jobscope").await;
    assert_eq!(all().await, answered, "with rights");
    postgres.end();
    assert_eq!(all().await, refused, "ended");
    // One that follows another may not have heard of a task yet, or of its end.
    std::fs::write(postgres.directory.path().join("data/standby.signal"), "").unwrap();
    postgres.run(&[]);
    postgres.connect("jobscope", "gitea").await;
    assert_eq!(all().await, refused, "a standby");
    postgres.end();
    std::fs::remove_file(postgres.directory.path().join("data/standby.signal")).unwrap();
    postgres.run(&[]);
    postgres.connect("jobscope", "gitea").await;
    assert_eq!(all().await, answered, "started again");
    assert_eq!(caller.changes(1, Some(&cursor)).await.body["ended"], json!([]), "nothing has ended by that");
}

#[tokio::test]
async fn ends_are_in_the_list_within_seconds() {
    let postgres = Postgres::start().await;
    let (_service, caller) = service(&postgres, &[("sweep.every", Value::Null)]).await;
    let forge = postgres.gitea().await;
    for at in 1..=5 {
        add_task(&forge, 1000 + i64::try_from(at).unwrap(), 1, 6, &token(at)).await;
        assert_eq!(said(&caller, &token(at)).await, "running");
    }
    let cursor = caller.cursor().await;
    run(
        &forge,
        "UPDATE action_task SET status = 3 WHERE id = 1001; DELETE FROM action_task WHERE id = 1002; \
        UPDATE action_task SET status = 8 WHERE id = 1003; UPDATE action_task SET status = 0 WHERE id = 1004",
    )
    .await;
    let changed = Instant::now();
    let mut ended = Vec::new();
    let mut cursor = cursor;
    while ended.len() < 2 && changed.elapsed() < Duration::from_secs(20) {
        let news = caller.changes(5, Some(&cursor)).await.body;
        ended.extend(news["ended"].as_array().unwrap().clone());
        cursor = news["cursor"].as_str().unwrap().to_owned();
    }
    let took = changed.elapsed();
    ended.sort_by_key(Value::as_u64);
    assert_eq!(ended, [json!(1001), json!(1002)]);
    assert!(took < Duration::from_secs(8), "{took:?}");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(caller.changes(1, Some(&cursor)).await.body["ended"], json!([]), "the others have not");
}

#[tokio::test]
async fn elsewhere_it_is_spoken_to_in_tls_with_a_password() {
    let mut postgres = Postgres::start().await;
    let forge = postgres.gitea().await;
    add_task(&forge, 1001, 1, 6, &token(1)).await;
    run(&forge, "ALTER ROLE jobscope PASSWORD 'open-sesame'").await;
    let port = postgres.port;
    let at = |host: &str| format!("host={host} hostaddr=127.0.0.1 port={port} dbname=gitea user=jobscope");
    // It lets everybody in from there, and speaks no TLS.
    let (_plain, plain) = service_at(&at("db.example.com"), &[]).await;
    assert_eq!(said(&plain, &token(1)).await, "503", "in the clear");
    let data = postgres.directory.path().join("data");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["db.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n")
        .unwrap();
    let certificate_file = data.join("server.crt");
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    let key_file = data.join("server.key");
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    postgres.own(&key_file);
    postgres.end();
    postgres.run(&["ssl=on"]);
    postgres.connect("gitea", "gitea").await;
    let ca = ("forge.ca", json!(certificate_file));
    let password = ("forge.password_env", json!("PASSWORD"));
    let (_good, good) = service_at(&at("db.example.com"), &[ca.clone(), password.clone()]).await;
    assert_eq!(said(&good, &token(1)).await, "running");
    let (_other, other) = service_at(&at("db.example.org"), &[ca.clone(), password.clone()]).await;
    assert_eq!(said(&other, &token(1)).await, "503", "another name");
    let (_nobody, nobody) = service_at(&at("db.example.com"), &[password]).await;
    assert_eq!(said(&nobody, &token(1)).await, "503", "another authority");
    let (_bare, bare) = service_at(&at("db.example.com"), &[ca]).await;
    assert_eq!(said(&bare, &token(1)).await, "503", "no password");
}
