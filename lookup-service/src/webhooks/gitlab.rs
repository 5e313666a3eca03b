//! GitLab's webhooks: job events of projects, groups and the Datadog integration, and system hooks, which tell what changed.
//!
//! The secret is a secret token, which each delivery shows, or a signing token (`whsec_...`), with which it is signed as Standard
//! Webhooks say. The Datadog integration shows its API key in the query.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::facts::{JobId, ProjectId, ProjectPath, Secret, UserId};
use policy::webhook::{self, Answer};

use super::{Delivery, Event, Refused};
use crate::place::{Malformed, Place, json};
use crate::secrets::{is_one_of, is_signed};
use crate::subject::Subject;

/// How a signing token begins.
const SIGNING: &[u8] = b"whsec_";

/// What an event tells to have changed.
#[derive(Clone, Copy)]
enum What {
    /// A group's or a user's name is in the path of who knows which projects.
    Everything,
    /// What a user is to projects, of their own or of groups.
    User,
    /// A project, and what stands at the paths that it has and had.
    Project,
}

/// The events that tell of a change. An allowlist's changes and a user's block are in none.
const CHANGES: [(&str, What); 14] = [
    ("project_create", What::Project),
    ("project_destroy", What::Project),
    ("project_rename", What::Project),
    ("project_transfer", What::Project),
    ("project_update", What::Project),
    ("user_add_to_team", What::User),
    ("user_remove_from_team", What::User),
    ("user_update_for_team", What::User),
    ("user_add_to_group", What::User),
    ("user_remove_from_group", What::User),
    ("user_update_for_group", What::User),
    ("user_rename", What::Everything),
    ("group_rename", What::Everything),
    // Members that it was invited for are none any more.
    ("group_destroy", What::Everything),
];

/// The key of a signing token; `None` where it is a secret token.
#[must_use]
pub fn signing_key(secret: &Secret) -> Option<Result<Vec<u8>, base64::DecodeError>> {
    secret.expose().strip_prefix(SIGNING).map(|key| STANDARD.decode(key))
}

/// Reads a report of GitLab.
///
/// # Errors
/// Why it is none.
pub fn read(secrets: &[Secret], delivery: &Delivery<'_>) -> Result<Event<JobId>, Refused> {
    if !is_signed_by(secrets, delivery) && !is_shown(secrets, delivery) {
        return Err(Refused::Unauthorized);
    }
    let body = json(delivery.body)?;
    let report = Place::root(&body);
    if report.has("event_name") {
        return Ok(changed(&report)?);
    }
    match webhook::read_report(delivery.body) {
        Ok(job) => Ok(Event::Ended(job)),
        Err(Answer::Ignored) => Ok(Event::Nothing),
        Err(_) => {
            let expected =
                "`event_name`, or `object_kind` and what a job's event has: `build_id`, `build_status`, `project_id`";
            Err(Malformed::of("", expected, "another object").into())
        }
    }
}

/// Whether a delivery shows one of the secret tokens: in its field, or where the Datadog integration has its API key.
fn is_shown(secrets: &[Secret], delivery: &Delivery<'_>) -> bool {
    let in_query = || delivery.query.split('&').find_map(|pair| pair.strip_prefix("dd-api-key="));
    // A signing token is never shown: who shows one has it from elsewhere.
    let shown =
        delivery.field("x-gitlab-token").or_else(in_query).filter(|shown| !shown.as_bytes().starts_with(SIGNING));
    shown.is_some_and(|shown| is_one_of(secrets, shown.as_bytes()))
}

/// Whether a delivery is signed with one of the signing tokens.
fn is_signed_by(secrets: &[Secret], delivery: &Delivery<'_>) -> bool {
    let field = |name| delivery.field(name);
    let (Some(id), Some(timestamp), Some(signatures)) =
        (field("webhook-id"), field("webhook-timestamp"), field("webhook-signature"))
    else {
        return false;
    };
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", delivery.body];
    let signatures = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let signatures: Vec<Vec<u8>> = signatures.collect();
    let mut keys = secrets.iter().filter_map(|secret| signing_key(secret)?.ok());
    keys.any(|key| is_signed(&key, &parts, &signatures))
}

/// Reads a system hook, or what a group's webhook tells of members and projects.
fn changed(event: &Place<'_>) -> Result<Event<JobId>, Malformed> {
    let name = event.member("event_name")?.text()?;
    let Some((_, what)) = CHANGES.iter().find(|(known, _)| *known == name) else { return Ok(Event::Nothing) };
    let number = |name| event.member(name)?.number();
    let subjects = match what {
        What::Everything => vec![Subject::Everything],
        What::User => vec![Subject::User(UserId(number("user_id")?))],
        What::Project => {
            let mut subjects = vec![Subject::Project(ProjectId(number("project_id")?))];
            for name in ["path_with_namespace", "old_path_with_namespace"] {
                let path = event.optional(name)?.map(|path| path.text()).transpose()?;
                // What is no path to us is asked for by none.
                subjects.extend(path.and_then(ProjectPath::parse).map(Subject::Path));
            }
            subjects
        }
    };
    Ok(Event::Changed(subjects))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde_json::{Value, json};

    use super::super::tests::{headers, mac};
    use super::*;

    const SECRETS: [&[u8]; 3] =
        [b"secret_token_of_then", b"secret_token_of_now", b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="];
    const SIGNING_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn read_sent(headers: &HeaderMap, query: &str, body: &str) -> Result<Event<JobId>, Refused> {
        read(&SECRETS.map(Secret::new), &Delivery { headers, query, body: body.as_bytes() })
    }

    fn read_body(body: &Value) -> Result<Event<JobId>, Refused> {
        read_sent(&headers(&[("x-gitlab-token", "secret_token_of_now")]), "", &body.to_string())
    }

    /// A job's event with all the members that GitLab documents.
    fn job(status: &str) -> Value {
        json!({
            "object_kind": "build", "ref": "main", "tag": false, "before_sha": "0".repeat(40), "sha": "1".repeat(40),
            "retries_count": 1, "build_id": 7001, "build_name": "unit", "build_stage": "test", "build_status": status,
            "build_created_at": "2026-11-27 08:00:00 UTC", "build_started_at": null, "build_finished_at": null,
            "build_created_at_iso": "2026-11-27T08:00:00Z", "build_started_at_iso": null, "build_finished_at_iso": null,
            "build_duration": null, "build_queued_duration": 1.5, "build_allow_failure": false,
            "build_failure_reason": "unknown_failure", "pipeline_id": 2001, "project_id": 101, "project_name": "apps / web",
            "runner": {"id": 3, "description": "r", "runner_type": "instance_type", "active": true, "is_shared": true, "tags": []},
            "user": {"id": 11, "name": "Dana", "username": "dana", "avatar_url": null, "email": "[REDACTED]"},
            "commit": {"id": 2001, "name": null, "sha": "1".repeat(40), "status": "running", "duration": null},
            "repository": {"name": "web", "url": "git@gitlab.example.com:apps/web.git", "visibility_level": 0},
            "project": {"id": 101, "name": "web", "path_with_namespace": "apps/web", "visibility_level": 0},
            "environment": null,
        })
    }

    #[test]
    fn only_a_final_state_of_a_job_is_an_end() {
        for status in policy::facts::FINAL_STATES {
            assert_eq!(read_body(&job(status)), Ok(Event::Ended(JobId(7001))), "{status}");
        }
        for status in ["created", "pending", "running", "canceling", "manual", "scheduled", "skipped", "preparing"] {
            assert_eq!(read_body(&job(status)), Ok(Event::Nothing), "{status}");
        }
        for other in ["pipeline", "push", "merge_request", "gitlab_subscription_member_approval"] {
            assert_eq!(read_body(&json!({"object_kind": other, "build_id": 7})), Ok(Event::Nothing), "{other}");
        }
    }

    #[test]
    fn a_system_hook_tells_what_changed() {
        let path = |text: &str| Subject::Path(ProjectPath::parse(text).unwrap());
        let project = |name: &str| {
            json!({"event_name": name, "created_at": "2026-11-27T08:00:00Z", "updated_at": "2026-11-27T08:00:01Z",
                "name": "Common", "path": "common", "path_with_namespace": "Libs/Common", "project_id": 102,
                "owner_name": "Dana", "owner_email": "", "owners": [], "project_namespace_id": 23, "project_visibility": "private"})
        };
        let subjects = vec![Subject::Project(ProjectId(102)), path("libs/common")];
        for name in ["project_create", "project_destroy", "project_update"] {
            assert_eq!(read_body(&project(name)), Ok(Event::Changed(subjects.clone())), "{name}");
        }
        for name in ["project_rename", "project_transfer"] {
            let mut moved = project(name);
            moved["old_path_with_namespace"] = json!("old/common");
            let subjects = [subjects.clone(), vec![path("old/common")]].concat();
            assert_eq!(read_body(&moved), Ok(Event::Changed(subjects)), "{name}");
        }
        for name in ["add_to", "remove_from", "update_for"] {
            let team = json!({"event_name": format!("user_{name}_team"), "access_level": "Maintainer", "project_id": 102,
                "project_path_with_namespace": "libs/common", "user_id": 11, "user_username": "dana"});
            let group = json!({"event_name": format!("user_{name}_group"), "group_access": "Owner", "group_id": 7,
                "group_path": "libs", "user_id": 11, "user_username": "dana"});
            for event in [team, group] {
                assert_eq!(read_body(&event), Ok(Event::Changed(vec![Subject::User(UserId(11))])), "{event}");
            }
        }
        for event in [
            json!({"event_name": "group_rename", "full_path": "a/new", "old_full_path": "a/old", "group_id": 64}),
            json!({"event_name": "group_destroy", "path": "a", "group_id": 64}),
            json!({"event_name": "user_rename", "user_id": 58, "username": "new", "old_username": "old"}),
        ] {
            assert_eq!(read_body(&event), Ok(Event::Changed(vec![Subject::Everything])), "{event}");
        }
        for name in
            ["push", "tag_push", "repository_update", "key_create", "user_create", "group_create", "user_failed_login"]
        {
            assert_eq!(read_body(&json!({"event_name": name, "object_kind": name})), Ok(Event::Nothing), "{name}");
        }
    }

    #[test]
    fn each_secret_counts_as_what_it_is_and_nothing_else_does() {
        let body = job("success").to_string();
        let ended = Ok(Event::Ended(JobId(7001)));
        let shown = |token: &str| headers(&[("x-gitlab-token", token)]);
        for token in ["secret_token_of_then", "secret_token_of_now"] {
            assert_eq!(read_sent(&shown(token), "", &body), ended);
            let query = format!("service=ci&dd-api-key={token}&env=x");
            assert_eq!(read_sent(&HeaderMap::new(), &query, &body), ended, "{query}");
        }
        let signing = std::str::from_utf8(SECRETS[2]).unwrap();
        for wrong in ["", "secret_token_of", "secret_token_of_now ", signing] {
            assert_eq!(read_sent(&shown(wrong), "", &body), Err(Refused::Unauthorized), "{wrong}");
            let query = format!("dd-api-key={wrong}");
            assert_eq!(read_sent(&HeaderMap::new(), &query, &body), Err(Refused::Unauthorized), "{query}");
        }
        let twice = headers(&[("x-gitlab-token", "secret_token_of_now"), ("x-gitlab-token", "secret_token_of_now")]);
        assert_eq!(read_sent(&twice, "", &body), Err(Refused::Unauthorized));
        let nobody = Delivery { headers: &shown(""), query: "dd-api-key=", body: body.as_bytes() };
        assert_eq!(read(&[], &nobody), Err(Refused::Unauthorized));

        let signed = |key: &[u8], version: &str, id: &str, time: &str| {
            let made = STANDARD.encode(mac(key, format!("f5e5-1.1795000000.{body}").as_bytes()));
            headers(&[
                ("webhook-id", id),
                ("webhook-timestamp", time),
                ("webhook-signature", &format!("v1,bm8= {version},{made}")),
            ])
        };
        assert_eq!(read_sent(&signed(SIGNING_KEY, "v1", "f5e5-1", "1795000000"), "", &body), ended);
        for wrong in [
            signed(SIGNING_KEY, "v1", "f5e5-2", "1795000000"),
            signed(SIGNING_KEY, "v1", "f5e5-1", "1795000001"),
            signed(SIGNING_KEY, "v2", "f5e5-1", "1795000000"),
            // Neither the token as it is written, nor a secret token, is a key.
            signed(SECRETS[2], "v1", "f5e5-1", "1795000000"),
            signed(SECRETS[1], "v1", "f5e5-1", "1795000000"),
        ] {
            assert_eq!(read_sent(&wrong, "", &body), Err(Refused::Unauthorized), "{wrong:?}");
        }
        let other = job("failed").to_string();
        assert_eq!(
            read_sent(&signed(SIGNING_KEY, "v1", "f5e5-1", "1795000000"), "", &other),
            Err(Refused::Unauthorized)
        );
    }

    /// Whoever reaches the port may show as many signatures as a head has room for, and a body for each to be hashed.
    #[test]
    fn many_signatures_cost_little_more_than_one() {
        let body = "x".repeat(1 << 20);
        let took = |signatures: usize| {
            let shown = "v1, ".repeat(signatures);
            let headers = headers(&[("webhook-id", "1"), ("webhook-timestamp", "1"), ("webhook-signature", &shown)]);
            let begun = std::time::Instant::now();
            assert_eq!(read_sent(&headers, "", &body), Err(Refused::Unauthorized));
            begun.elapsed()
        };
        let (one, many) = (took(1), took(10_000));
        assert!(many < 100 * one, "{many:?}, and {one:?} for one");
    }

    #[test]
    fn what_gitlab_does_not_send_is_refused_with_its_place_and_none_of_its_words() {
        for (body, path) in [
            (json!([]), ""),
            (json!({}), ""),
            (json!({"object_kind": "build", "build_id": "hidden-word", "build_status": "failed", "project_id": 1}), ""),
            (json!({"event_name": 7}), "event_name"),
            (json!({"event_name": "user_add_to_team"}), "user_id"),
            (json!({"event_name": "project_update", "project_id": "hidden-word"}), "project_id"),
            (json!({"event_name": "project_update", "project_id": 1, "path_with_namespace": 7}), "path_with_namespace"),
        ] {
            let Err(Refused::Malformed(malformed)) = read_body(&body) else { panic!("{body}") };
            assert_eq!(malformed.path, path, "{body}");
            assert!(!malformed.to_string().contains("hidden-word"), "{malformed}");
        }
    }
}
