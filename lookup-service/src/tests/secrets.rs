//! No log line and no counter has a secret in it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::caller::{Caller, NEXT_TOKEN, TOKEN};
use super::forge::{Fault, SERVICE_ACCOUNT, StandIn};
use super::{KEY, Server, service};

#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// All that was logged.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_in_any_log_line_or_counter() {
    let lines = Lines::default();
    let writer = lines.clone();
    // Everything there is to say, also by the libraries; all tasks are on this thread.
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (forge, mut redis) = (StandIn::start().await, Server::start(&["--requirepass", "redis-secret"]));
    let more = ["store.password_env: KEY", "lookup.timeout: 300ms"];
    // A wrong password first: what the store says of it is logged.
    let (_wrong, refused) = service(&forge, Some(&redis), &more).await;
    assert_eq!(refused.token("glcbt-dana", None).await.status, 200);
    let (service, caller) = service(&forge, None, &["lookup.timeout: 300ms", "forge.webhook_secrets_env: [KEY]"]).await;
    for fault in [Fault::None, Fault::Page(500), Fault::Json(401), Fault::Slow(Duration::from_millis(500))] {
        forge.with(|world| world.fault = fault);
        for token in ["glcbt-dana", "glcbt-nobody-knows-me"] {
            caller.token(token, None).await;
            refused.token(token, None).await;
        }
        caller.target(None).await;
        caller.end(&[1001]).await;
    }
    Caller { token: "glcbt-as-a-caller".into(), ..caller.clone() }.token("glcbt-dana", None).await;
    for token in [KEY, "a-hook-of-nobody"] {
        for body in [r#"{"object_kind": "build"}"#, r#"{"event_name": "user_rename"}"#, "{"] {
            let hook = caller.request("POST", "/jobscope/v1/hooks/gitlab?dd-api-key=a-key-in-a-query");
            caller.send(hook.header("x-gitlab-token", token).body(body.into()).unwrap()).await.unwrap();
        }
    }
    caller.post("/jobscope/v1/lookup", &serde_json::json!({"version": 1, "ask": "token", "token": "glcbt bad"})).await;
    redis.kill();
    refused.token("glcbt-dana", None).await;
    let metrics = Caller::of(service.operations).get("/metrics").await.text;
    let log = lines.text();
    assert!(log.contains("the store failed"), "something is logged");
    for (place, text) in [("the log", &log), ("the counters", &metrics)] {
        for secret in [
            "glcbt-",
            "glcbt bad",
            TOKEN,
            NEXT_TOKEN,
            SERVICE_ACCOUNT,
            KEY,
            "redis-secret",
            "a-hook-of-nobody",
            "a-key-in-a-query",
        ] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "`{secret}` is in {place}");
        }
    }
}
