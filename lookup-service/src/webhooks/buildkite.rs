//! Buildkite's webhooks, signed with their token. The other way of Buildkite, the token itself in a field, is not taken.

use std::slice;

use policy::facts::Secret;

use super::{Delivery, Event, Refused, bytes};
use crate::place::{Place, json};
use crate::secrets::is_signed;

/// Reads a report of Buildkite; which id names a job that is over, as a token of it names it.
///
/// # Errors
/// Why it is none.
pub fn read(secrets: &[Secret], delivery: &Delivery<'_>) -> Result<Event<Vec<String>>, Refused> {
    let (timestamp, signature) =
        delivery.field("x-buildkite-signature").and_then(signed).ok_or(Refused::Unauthorized)?;
    let parts = [timestamp.as_bytes(), b".", delivery.body];
    if !secrets.iter().any(|secret| is_signed(secret.expose(), &parts, slice::from_ref(&signature))) {
        return Err(Refused::Unauthorized);
    }
    let body = json(delivery.body)?;
    let report = Place::root(&body);
    if report.member("event")?.text()? != "job.finished" {
        return Ok(Event::Nothing);
    }
    Ok(Event::Ended(vec![report.object("job")?.member("id")?.text()?.to_owned()]))
}

/// `timestamp=...,signature=...`, where digits stand for the dots.
fn signed(field: &str) -> Option<(&str, Vec<u8>)> {
    let (timestamp, signature) = field.strip_prefix("timestamp=")?.split_once(",signature=")?;
    let is_number = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    Some((timestamp, bytes(signature)?)).filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, hex, mac};
    use super::*;

    const TOKEN: &[u8] = b"buildkite-webhook-token";

    fn read_with(key: &[u8], body: &str, field: impl Fn(String) -> String) -> Result<Event<Vec<String>>, Refused> {
        let signature = hex(&mac(key, format!("1795000000.{body}").as_bytes()));
        let headers = headers(&[("x-buildkite-signature", &field(signature)), ("x-buildkite-event", "job.finished")]);
        read(&[Secret::new(TOKEN)], &Delivery { headers: &headers, query: "", body: body.as_bytes() })
    }

    fn read_body(body: &str) -> Result<Event<Vec<String>>, Refused> {
        read_with(TOKEN, body, |signature| format!("timestamp=1795000000,signature={signature}"))
    }

    #[test]
    fn a_job_that_is_finished_is_over_and_all_else_is_nothing() {
        let job = |event: &str| {
            format!(
                r#"{{"event": "{event}", "job": {{"id": "0184990a-477b-4fa8-9968-496074483cee", "type": "script", "state": "finished"}},
                "build": {{"id": "b"}}, "pipeline": {{"id": "p"}}, "sender": {{"id": "s", "name": "Some Person"}}}}"#
            )
        };
        let id = "0184990a-477b-4fa8-9968-496074483cee".to_owned();
        assert_eq!(read_body(&job("job.finished")), Ok(Event::Ended(vec![id])));
        for event in ["job.scheduled", "job.started", "job.activated", "build.finished", "ping"] {
            assert_eq!(read_body(&job(event)), Ok(Event::Nothing), "{event}");
        }
        for (body, path) in [("{", ""), ("{}", "event"), (r#"{"event": "job.finished", "job": {"id": 7}}"#, "job.id")] {
            let Err(Refused::Malformed(malformed)) = read_body(body) else { panic!("{body}") };
            assert_eq!(malformed.path, path, "{body}");
        }
    }

    #[test]
    fn only_the_token_signs_and_the_time_is_signed_too() {
        let body = r#"{"event": "ping"}"#;
        let wrong = |key: &[u8], field: &dyn Fn(String) -> String| {
            assert_eq!(read_with(key, body, field), Err(Refused::Unauthorized));
        };
        wrong(b"another", &|signature| format!("timestamp=1795000000,signature={signature}"));
        for field in
            ["timestamp=1795000001,signature=", "timestamp=,signature=", "signature=", "", "timestamp=x,signature="]
        {
            wrong(TOKEN, &|signature| format!("{field}{signature}"));
        }
        let shown = headers(&[("x-buildkite-token", "buildkite-webhook-token")]);
        let shown = Delivery { headers: &shown, query: "", body: body.as_bytes() };
        assert_eq!(read(&[Secret::new(TOKEN)], &shown), Err(Refused::Unauthorized));
    }
}
