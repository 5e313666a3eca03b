//! GitHub's webhooks, signed with a secret.

use std::slice;

use policy::facts::Secret;

use super::{Delivery, Event, Refused, bytes};
use crate::place::{Place, json};
use crate::secrets::is_signed;

/// Reads a report of GitHub; which ids name a job that is over, as a token of it names them.
///
/// # Errors
/// Why it is none.
pub fn read(secrets: &[Secret], delivery: &Delivery<'_>) -> Result<Event<Vec<String>>, Refused> {
    let signature = delivery.field("x-hub-signature-256").and_then(|field| bytes(field.strip_prefix("sha256=")?));
    let signature = signature.ok_or(Refused::Unauthorized)?;
    if !secrets.iter().any(|secret| is_signed(secret.expose(), &[delivery.body], slice::from_ref(&signature))) {
        return Err(Refused::Unauthorized);
    }
    let body = json(delivery.body)?;
    let report = Place::root(&body);
    let of: (&str, &[&str]) = match delivery.field("x-github-event") {
        Some("workflow_job") => ("workflow_job", &["run_id", "run_attempt", "id"]),
        Some("workflow_run") => ("workflow_run", &["id", "run_attempt"]),
        _ => return Ok(Event::Nothing),
    };
    if report.member("action")?.text()? != "completed" {
        return Ok(Event::Nothing);
    }
    let (object, ids) = (report.object(of.0)?, of.1);
    let ids = ids.iter().map(|id| object.member(id)?.number().map(|id| id.to_string()));
    Ok(Event::Ended(ids.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, hex, mac};
    use super::*;

    const SECRETS: [&[u8]; 2] = [b"It's a Secret to Everybody", b"another one for now"];

    fn read_as(event: &str, key: &[u8], body: &str) -> Result<Event<Vec<String>>, Refused> {
        let signature = format!("sha256={}", hex(&mac(key, body.as_bytes())));
        let headers = headers(&[("x-github-event", event), ("x-hub-signature-256", &signature)]);
        read(&SECRETS.map(Secret::new), &Delivery { headers: &headers, query: "", body: body.as_bytes() })
    }

    /// GitHub's own example: its documentation has secret, payload and signature.
    #[test]
    fn the_example_of_github_is_signed() {
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_signed(SECRETS[0], &[b"Hello, World!"], &[bytes(signature).unwrap()]));
    }

    #[test]
    fn what_is_completed_is_over_and_all_else_is_nothing() {
        let job = |action: &str| {
            format!(
                r#"{{"action": "{action}", "workflow_job": {{"id": 7, "run_id": 5, "run_attempt": 2, "status": "x"}}}}"#
            )
        };
        let run = r#"{"action": "completed", "workflow_run": {"id": 5, "run_attempt": 2}}"#;
        let ended = |ids: &[&str]| Ok(Event::Ended(ids.iter().map(|id| (*id).to_owned()).collect()));
        for key in SECRETS {
            assert_eq!(read_as("workflow_job", key, &job("completed")), ended(&["5", "2", "7"]));
            assert_eq!(read_as("workflow_run", key, run), ended(&["5", "2"]));
            assert_eq!(read_as("workflow_job", key, &job("in_progress")), Ok(Event::Nothing));
            assert_eq!(read_as("push", key, &job("completed")), Ok(Event::Nothing));
        }
        assert_eq!(read_as("workflow_job", b"a wrong one", &job("completed")), Err(Refused::Unauthorized));
    }

    #[test]
    fn what_github_does_not_send_is_refused_with_its_place() {
        for (body, path) in [
            ("[]", ""),
            ("{", ""),
            ("{}", "action"),
            (r#"{"action": "completed"}"#, "workflow_job"),
            (r#"{"action": "completed", "workflow_job": {"run_id": "5"}}"#, "workflow_job.run_id"),
        ] {
            let Err(Refused::Malformed(malformed)) = read_as("workflow_job", SECRETS[0], body) else {
                panic!("{body}")
            };
            assert_eq!(malformed.path, path, "{body}");
        }
    }
}
