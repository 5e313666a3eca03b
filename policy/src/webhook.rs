//! The forge's webhook: a job's end, told at a path of our own, with a secret. What comes there is answered here and never
//! forwarded, whoever sends it.
//!
//! Source: GitLab's documentation of webhooks and their job events.

use crate::Config;
use crate::config::{SECRET_FIELD, Webhook, WebhookSecret};
use crate::facts::Host;
use crate::facts::{FINAL_STATES, Hash, JobId, Secret};
use crate::request::{Body, Head};
use crate::tree::Tree;

/// The largest report that is read, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;

/// What a request to the webhook's path gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A job's end was taken.
    Ended,
    /// It tells of no end.
    Ignored,
    /// It is no report.
    Unreadable,
    /// It does not carry the secret.
    Unauthorized,
    /// It is no POST.
    Method,
    /// Its body is too large.
    TooLarge,
    /// Its body is not JSON.
    Media,
    /// The end cannot be remembered.
    Failed,
    /// Too much is kept of other requests to wait for the rest of it.
    Busy,
}

impl Answer {
    /// All of them, with their statuses, their names in the access log, and when they are given.
    pub const ALL: [(Self, u16, &'static str, &'static str); 9] = [
        (Self::Ended, 204, "webhook.ended", "a job's end was taken"),
        (Self::Ignored, 204, "webhook.ignored", "it tells of no end"),
        (Self::Unreadable, 400, "webhook.unreadable", "it is no report of a job's event"),
        (Self::Unauthorized, 401, "webhook.unauthorized", "the secret is wrong or missing; nothing was read"),
        (Self::Method, 405, "webhook.method", "it is no `POST`"),
        (Self::TooLarge, 413, "webhook.too-large", "it is too large"),
        (Self::Media, 415, "webhook.media", "it is not JSON"),
        (Self::Failed, 503, "webhook.failed", "the end could not be remembered"),
        (
            Self::Busy,
            503,
            "webhook.busy",
            "it comes in pieces, and the worker keeps 64 MiB of requests that wait for their bodies",
        ),
    ];

    /// The status, and the name in the access log.
    #[must_use]
    pub fn says(self) -> (u16, &'static str) {
        let row = Self::ALL.iter().find(|(answer, ..)| *answer == self);
        row.map_or((503, "webhook.failed"), |(_, status, name, _)| (*status, *name))
    }
}

/// What the head of a request is to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing: it goes elsewhere.
    Elsewhere,
    /// It is answered without its body.
    Answered(Answer),
    /// A report follows.
    Report,
}

/// Reads the head of a request. `secret` is the webhook's, where it comes from the environment.
#[must_use]
pub fn read_head(config: &Config, secret: Option<&Secret>, head: &Head<'_>) -> Reading {
    let Some(webhook) = config.webhook.as_ref().filter(|webhook| is_asked(config, webhook, head)) else {
        return Reading::Elsewhere;
    };
    let secrets = match webhook.secret {
        WebhookSecret::Environment(_) => secret.map(Secret::expose),
        WebhookSecret::Envoy => head.one(SECRET_FIELD).ok().flatten(),
    };
    let token = head.one("x-gitlab-token").ok().flatten();
    let is_known = token.zip(secrets).is_some_and(|(token, secrets)| is_one_of(token, secrets));
    let is_json = head.media_type().is_ok_and(|media| media.eq_ignore_ascii_case(b"application/json"));
    match (head.method() == Some(b"POST"), is_known, is_json, head.body()) {
        (false, _, _, _) => Reading::Answered(Answer::Method),
        (true, false, _, _) => Reading::Answered(Answer::Unauthorized),
        (true, true, false, _) => Reading::Answered(Answer::Media),
        (true, true, true, Body::None) => Reading::Answered(Answer::Unreadable),
        (true, true, true, Body::Follows) => Reading::Report,
    }
}

/// Whether a token is one of the secrets, between which a space stands: while they are exchanged the old and the new one
/// count. Hashes are compared: how far two of them agree tells nothing of the secret.
fn is_one_of(token: &[u8], secrets: &[u8]) -> bool {
    let hash = |secret: &[u8]| Hash::of(&[secret]);
    let token = hash(token);
    secrets.split(|b| *b == b' ').any(|secret| !secret.is_empty() && hash(secret) == token)
}

/// Whether a request is for the webhook. A host that cannot be read may be the forge's to a proxy.
fn is_asked(config: &Config, webhook: &Webhook, head: &Head<'_>) -> bool {
    let path = head.path().and_then(|path| path.split(|b| *b == b'?').next());
    let host = head.one(":authority").ok().flatten().and_then(Host::of_authority);
    path == Some(webhook.path.as_bytes()) && host.is_none_or(|host| config.forge.hosts.contains(&host))
}

/// Reads a report: the job that is over.
///
/// # Errors
/// What the forge is answered when it tells of no end.
pub fn read_report(body: &[u8]) -> Result<JobId, Answer> {
    let report = Tree::read(body).ok_or(Answer::Unreadable)?;
    let text = |name: &str| report.get(name).and_then(Tree::as_str).ok_or(Answer::Unreadable);
    let number = |name: &str| report.get(name).and_then(Tree::as_u64).ok_or(Answer::Unreadable);
    if text("object_kind")? != "build" {
        return Err(Answer::Ignored);
    }
    let (job, state) = (number("build_id")?, text("build_status")?);
    number("project_id")?;
    if FINAL_STATES.contains(&state) { Ok(JobId(job)) } else { Err(Answer::Ignored) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/-/jobscope/webhook";

    fn read(changed: &[(&str, &str)]) -> Reading {
        read_by(r#""secret_env": "S""#, changed)
    }

    /// The same where `secret` says where the secret comes from. The environment has it in either case.
    fn read_by(secret: &str, changed: &[(&str, &str)]) -> Reading {
        let document = std::format!(
            r#"{{"forge": {{"hosts": ["gitlab.example.com"]}},
                "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}},
                "webhook": {{"path": "/-/jobscope/webhook", {secret}}}}}"#
        );
        let config = Config::parse(document.as_bytes());
        let sent = [
            (":method", "POST"),
            (":authority", "gitlab.example.com"),
            (":path", PATH),
            ("content-type", "application/json"),
            ("x-gitlab-token", "opensesame"),
        ];
        let changed_names: std::vec::Vec<&str> = changed.iter().map(|(name, _)| *name).collect();
        let kept = sent.iter().filter(|(name, _)| !changed_names.contains(name));
        let fields: std::vec::Vec<(&[u8], &[u8])> =
            kept.chain(changed).map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        read_head(&config.unwrap(), Some(&Secret::new(b"opensesame")), &Head::new(&fields, Body::Follows))
    }

    #[test]
    fn a_report_is_read_with_the_secret_alone() {
        assert_eq!(read(&[]), Reading::Report);
        assert_eq!(read(&[("content-type", "application/JSON; charset=utf-8")]), Reading::Report);
        assert_eq!(read(&[(":path", "/-/jobscope/webhook?x=1")]), Reading::Report);
        for wrong in [&[("x-gitlab-token", "opensesam")][..], &[("x-gitlab-token", "")]] {
            assert_eq!(read(wrong), Reading::Answered(Answer::Unauthorized), "{wrong:?}");
        }
        let twice = [("x-gitlab-token", "opensesame"), ("x-gitlab-token", "opensesame")];
        assert_eq!(read(&twice), Reading::Answered(Answer::Unauthorized));
        assert_eq!(read(&[("content-type", "text/plain")]), Reading::Answered(Answer::Media));
    }

    #[test]
    fn where_envoy_adds_the_secret_nothing_else_counts() {
        let by_envoy = |added: &[&str], sent: &str| {
            let added = added.iter().map(|secret| (SECRET_FIELD, *secret));
            let fields: std::vec::Vec<_> = added.chain([("x-gitlab-token", sent)]).collect();
            read_by(r#""secret_from": "envoy""#, &fields)
        };
        for (added, sent) in [
            (&["new"][..], "new"),
            (&["old new"], "old"),
            (&["old new"], "new"),
            (&[" a  b "], "a"),
            (&[" a  b "], "b"),
        ] {
            assert_eq!(by_envoy(added, sent), Reading::Report, "{added:?} {sent}");
        }
        for (added, sent) in [
            (&[][..], "opensesame"),
            (&[], ""),
            (&[""], ""),
            (&["old new"], "old new"),
            (&["old  new"], ""),
            (&["old new"], "other"),
            (&["old", "old"], "old"),
        ] {
            assert_eq!(by_envoy(added, sent), Reading::Answered(Answer::Unauthorized), "{added:?} {sent}");
        }
        let spaced = read_by(r#""secret_env": "S""#, &[(SECRET_FIELD, "x"), ("x-gitlab-token", "x")]);
        assert_eq!(spaced, Reading::Answered(Answer::Unauthorized), "the field counts where the configuration says so");
    }

    #[test]
    fn whatever_comes_to_the_path_is_answered() {
        for method in ["GET", "PUT", "OPTIONS", "post"] {
            assert_eq!(read(&[(":method", method)]), Reading::Answered(Answer::Method));
        }
        for elsewhere in ["/-/jobscope/webhook/", "/-/jobscope/webhoo", "/-/jobscope", "/", "/-/jobscope/webhook#"] {
            assert_eq!(read(&[(":path", elsewhere)]), Reading::Elsewhere, "{elsewhere}");
        }
        assert_eq!(read(&[(":authority", "other.example.com")]), Reading::Elsewhere);
        for odd in ["", "gitlab.example.com:", "gitlab.example.com:x", "gitlab.example.com,a", "other.example.com:"] {
            assert_eq!(read(&[(":authority", odd)]), Reading::Report, "{odd}");
            let unknown = [(":authority", odd), ("x-gitlab-token", "x")];
            assert_eq!(read(&unknown), Reading::Answered(Answer::Unauthorized), "{odd}");
        }
        assert_eq!(read(&[(":authority", "GitLab.example.com:443")]), Reading::Report);
    }

    #[test]
    fn only_a_final_state_of_a_job_is_an_end() {
        let report = |state: &str| {
            std::format!(r#"{{"object_kind": "build", "build_id": 7, "build_status": "{state}", "project_id": 1}}"#)
        };
        for state in ["success", "failed", "canceled"] {
            assert_eq!(read_report(report(state).as_bytes()), Ok(JobId(7)));
        }
        for state in ["created", "pending", "running", "canceling", "manual", "skipped", "Success"] {
            assert_eq!(read_report(report(state).as_bytes()), Err(Answer::Ignored), "{state}");
        }
        assert_eq!(read_report(br#"{"object_kind": "pipeline", "build_id": "x"}"#), Err(Answer::Ignored));
        for garbage in [
            "",
            "[]",
            "{",
            r#"{"build_id": 7, "build_status": "failed", "project_id": 1}"#,
            r#"{"object_kind": "build", "build_id": "7", "build_status": "failed", "project_id": 1}"#,
            r#"{"object_kind": "build", "build_id": 7, "project_id": 1}"#,
            r#"{"object_kind": "build", "build_id": 7, "build_status": "failed"}"#,
        ] {
            assert_eq!(read_report(garbage.as_bytes()), Err(Answer::Unreadable), "{garbage}");
        }
    }

    #[test]
    fn each_answer_has_one_row() {
        for (answer, status, name, _) in Answer::ALL {
            assert_eq!(answer.says(), (status, name));
        }
    }
}
