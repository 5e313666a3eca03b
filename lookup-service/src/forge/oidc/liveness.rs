//! Whether the job of a token runs: a signature tells of the past. Each kind of CI is asked in its own way, about this very job.

use policy::facts::Secret;
use policy::lookup::{Call, Principal};
use serde_json::{Value, json};

use super::jwt::Claims;

/// What a question is made of.
pub(crate) struct Ask<'a> {
    pub(super) claims: &'a Claims,
    /// Behind which path the API is.
    pub(super) root: &'a str,
    pub(super) credential: &'a Secret,
    pub(super) token: &'a Secret,
    pub(super) audience: &'a str,
}

/// A question.
pub(crate) struct Question(pub(super) Call);

/// What an answer is read with.
pub(crate) struct Told<'a> {
    pub(super) claims: &'a Claims,
    pub(super) audience: &'a str,
    pub(super) answer: &'a Value,
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs.
    Running,
    /// It is over for good.
    Ended,
    /// The CI knows it no more, or not yet: it is over where it was known to run.
    Gone,
}

use State::{Ended, Gone, Running};

/// Words for states, and what they mean; of a word that is not there nobody knows.
fn state(word: &str, running: &[&str], ended: &[&str]) -> Option<State> {
    match word {
        word if running.contains(&word) => Some(Running),
        word if ended.contains(&word) => Some(Ended),
        _ => None,
    }
}

impl Ask<'_> {
    /// A claim as a segment of a path, where it can be no other path.
    fn segment(&self, pointer: &str) -> Option<String> {
        self.claims.text(pointer).filter(|text| is_segment(text))
    }

    /// A claim `owner/name` as two segments.
    fn repository(&self, pointer: &str) -> Option<String> {
        let text = self.claims.text(pointer)?;
        let (owner, name) = text.split_once('/')?;
        (is_segment(owner) && is_segment(name)).then_some(text)
    }

    fn get(&self, path: &str, credential: (&'static str, &str), more: &[(&'static str, &str)]) -> Question {
        let (field, scheme) = credential;
        let mut headers = vec![(field, [scheme.as_bytes(), self.credential.expose()].concat())];
        headers.extend(more.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())));
        let path = format!("{}{path}", self.root);
        Question(Call { method: "GET", path, headers, body: Vec::new(), principal: Principal::ServiceAccount })
    }
}

fn is_segment(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(is_plain) && !text.bytes().all(|byte| byte == b'.')
}

impl Told<'_> {
    /// What the answer has at a place, as claims have it.
    fn text(&self, pointer: &str) -> Option<String> {
        match self.answer.pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether the answer has at a place what a claim says.
    fn is(&self, pointer: &str, claim: &str) -> bool {
        let claim = self.claims.text(claim);
        claim.is_some() && self.text(pointer) == claim
    }
}

const JSON: (&str, &str) = ("accept", "application/json");

pub(super) fn ask_gitlab(ask: &Ask<'_>) -> Option<Question> {
    // It is the project that the job runs in, which for a fork's merge request is not the one whose code it has.
    let in_project = if ask.claims.has("/job_project_id") { "/job_project_id" } else { "/project_id" };
    let path = format!("/api/v4/projects/{}/jobs/{}", ask.segment(in_project)?, ask.segment("/job_id")?);
    Some(ask.get(&path, ("private-token", ""), &[JSON]))
}

pub(super) fn told_gitlab(told: &Told<'_>) -> Option<State> {
    let word = told.text("/status").filter(|_| told.is("/id", "/job_id"))?;
    state(&word, &["running", "canceling"], &policy::facts::FINAL_STATES)
}

pub(super) fn ask_github(ask: &Ask<'_>) -> Option<Question> {
    let repository = ask.repository("/repository")?;
    let of_run = format!("runs/{}/attempts/{}", ask.segment("/run_id")?, ask.segment("/run_attempt")?);
    // A job has the number of its check run.
    let of = match ask.claims.has("/check_run_id") {
        true => format!("jobs/{}", ask.segment("/check_run_id")?),
        false => of_run,
    };
    let more = [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];
    Some(ask.get(&format!("/repos/{repository}/actions/{of}"), ("authorization", "Bearer "), &more))
}

pub(super) fn told_github(told: &Told<'_>) -> Option<State> {
    let is_it = match told.claims.has("/check_run_id") {
        true => told.is("/id", "/check_run_id") && told.is("/run_id", "/run_id"),
        // The path has the name of a repository: another one may have it by now.
        false => told.is("/id", "/run_id") && told.is("/repository/id", "/repository_id"),
    };
    let word = told.text("/status").filter(|_| is_it && told.is("/run_attempt", "/run_attempt"))?;
    state(&word, &["in_progress"], &["completed"])
}

pub(super) fn ask_forgejo(ask: &Ask<'_>) -> Option<Question> {
    let path = format!("/api/v1/repos/{}/actions/runs/{}", ask.repository("/repository")?, ask.segment("/run_id")?);
    Some(ask.get(&path, ("authorization", "token "), &[JSON]))
}

pub(super) fn told_forgejo(told: &Told<'_>) -> Option<State> {
    let is_it = told.is("/id", "/run_id") && told.is("/repository/id", "/repository_id");
    let word = told.text("/status").filter(|_| is_it)?;
    state(&word, &["running"], &["success", "failure", "cancelled", "skipped"])
}

pub(super) fn ask_buildkite(ask: &Ask<'_>) -> Option<Question> {
    let (organization, pipeline) = (ask.segment("/organization_slug")?, ask.segment("/pipeline_slug")?);
    let build = ask.segment("/build_number")?;
    let path =
        format!("/v2/organizations/{organization}/pipelines/{pipeline}/builds/{build}?include_retried_jobs=true");
    Some(ask.get(&path, ("authorization", "Bearer "), &[JSON]))
}

pub(super) fn told_buildkite(told: &Told<'_>) -> Option<State> {
    // The path has names: others may have them by now.
    let jobs = told.answer.get("jobs")?.as_array().filter(|_| told.is("/pipeline/id", "/pipeline_id"))?;
    let id = told.claims.text("/job_id")?;
    let job = jobs.iter().find(|job| job.get("id").and_then(Value::as_str) == Some(id.as_str()))?;
    let ended = ["passed", "failed", "canceled", "timed_out", "skipped", "broken", "expired"];
    state(job.get("state")?.as_str()?, &["running", "canceling", "timing_out"], &ended)
}

pub(super) fn ask_kubernetes(ask: &Ask<'_>) -> Option<Question> {
    let token = std::str::from_utf8(ask.token.expose()).ok()?;
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token, "audiences": [ask.audience]},
    });
    let Question(call) = ask.get(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        ("authorization", "Bearer "),
        &[JSON, ("content-type", "application/json")],
    );
    Some(Question(Call { method: "POST", body: review.to_string().into_bytes(), ..call }))
}

pub(super) fn told_kubernetes(told: &Told<'_>) -> Option<State> {
    let status = told.answer.get("status")?;
    if status.get("authenticated").and_then(Value::as_bool) == Some(true) {
        let is_ours = |audience: &Value| audience.as_str() == Some(told.audience);
        let is_for_us = status.get("audiences")?.as_array()?.iter().any(is_ours);
        let is_it = told.is("/status/user/uid", "/kubernetes.io/serviceaccount/uid");
        return (is_for_us && is_it).then_some(Running);
    }
    // What is signed for us, and the server does not take: its pod is gone, or so new that not every server has heard of it.
    // A server that could not look says other words.
    let error = status.get("error").and_then(Value::as_str)?;
    let is_dead = ["invalid bearer token", "invalidated", "not found"].iter().any(|words| error.contains(words));
    is_dead.then_some(Gone)
}

#[cfg(test)]
mod tests {
    use super::super::vendors::{VENDORS, Vendor};
    use super::*;

    fn claims(vendor: &str) -> Claims {
        let text = match vendor {
            "gitlab" => r#"{"job_id":"7","project_id":"101"}"#,
            "github" => {
                r#"{"run_id":"5","run_attempt":"2","check_run_id":"7","repository":"acme/web","repository_id":"101"}"#
            }
            "forgejo" => r#"{"run_id":"5","run_attempt":"2","repository":"acme/web","repository_id":"101"}"#,
            "buildkite" => {
                r#"{"job_id":"u-7","pipeline_id":"u-1","organization_slug":"acme","pipeline_slug":"web","build_number":3}"#
            }
            _ => r#"{"kubernetes.io":{"pod":{"uid":"u-7"},"serviceaccount":{"uid":"u-1"}}}"#,
        };
        Claims::parse(text.as_bytes()).unwrap()
    }

    fn ask(vendor: &Vendor, claims: &Claims) -> Option<Call> {
        let (credential, token) = (Secret::new(b"service"), Secret::new(b"h.p.s"));
        let ask = Ask { claims, root: "/below", credential: &credential, token: &token, audience: "us" };
        (vendor.ask)(&ask).map(|Question(call)| call)
    }

    fn told(vendor: &str, answer: Value) -> Option<State> {
        let claims = claims(vendor);
        (Vendor::named(vendor).unwrap().told)(&Told { claims: &claims, audience: "us", answer: &answer })
    }

    #[test]
    fn each_is_asked_about_the_very_job() {
        let paths = [
            ("gitlab", "/below/api/v4/projects/101/jobs/7"),
            ("github", "/below/repos/acme/web/actions/jobs/7"),
            ("forgejo", "/below/api/v1/repos/acme/web/actions/runs/5"),
            ("buildkite", "/below/v2/organizations/acme/pipelines/web/builds/3?include_retried_jobs=true"),
            ("kubernetes", "/below/apis/authentication.k8s.io/v1/tokenreviews"),
        ];
        assert_eq!(paths.map(|(vendor, _)| vendor), Vendor::NAMES);
        for (vendor, path) in paths {
            let call = ask(Vendor::named(vendor).unwrap(), &claims(vendor)).unwrap();
            assert_eq!(call.path, path);
            assert!(call.headers.iter().any(|(_, value)| value.ends_with(b"service")), "{vendor}");
        }
    }

    #[test]
    fn no_claim_leads_to_another_path() {
        for bad in ["..", "a/../b", "acme/..", "acme/web/issues", "acme/we b", "acme/w%2e", "acme/web?x", "acme/", ""] {
            let text = json!({"run_id": "5", "run_attempt": "1", "repository": bad, "job_id": bad, "project_id": "1",
                "organization_slug": bad, "pipeline_slug": "web", "build_number": 1});
            let claims = Claims::parse(text.to_string().as_bytes()).unwrap();
            for vendor in VENDORS.iter().filter(|vendor| vendor.name != "kubernetes") {
                assert_eq!(ask(vendor, &claims), None, "{} {bad}", vendor.name);
            }
        }
    }

    #[test]
    fn only_a_sure_word_about_the_very_job_is_one() {
        let gitlab = |id: u64, word: &str| told("gitlab", json!({"id": id, "status": word}));
        assert_eq!((gitlab(7, "running"), gitlab(7, "success")), (Some(Running), Some(Ended)));
        assert_eq!([gitlab(8, "running"), gitlab(7, "pending"), told("gitlab", json!({}))], [None; 3]);
        let github = |id: u64, run: u64, attempt: u64, word: &str| {
            told("github", json!({"id": id, "run_id": run, "run_attempt": attempt, "status": word}))
        };
        assert_eq!((github(7, 5, 2, "in_progress"), github(7, 5, 2, "completed")), (Some(Running), Some(Ended)));
        for other in [github(8, 5, 2, "in_progress"), github(7, 6, 2, "completed"), github(7, 5, 3, "completed")] {
            assert_eq!(other, None);
        }
        assert_eq!(github(7, 5, 2, "queued"), None);
        let forgejo = |id: u64, repository: u64, word: &str| {
            told("forgejo", json!({"id": id, "repository": {"id": repository}, "status": word}))
        };
        assert_eq!((forgejo(5, 101, "running"), forgejo(5, 101, "failure")), (Some(Running), Some(Ended)));
        assert_eq!([forgejo(5, 102, "running"), forgejo(6, 101, "success"), forgejo(5, 101, "waiting")], [None; 3]);
        let buildkite = |pipeline: &str, job: &str, word: &str| {
            told("buildkite", json!({"pipeline": {"id": pipeline}, "jobs": [{"id": job, "state": word}]}))
        };
        assert_eq!(
            (buildkite("u-1", "u-7", "running"), buildkite("u-1", "u-7", "passed")),
            (Some(Running), Some(Ended))
        );
        assert_eq!([buildkite("u-2", "u-7", "running"), buildkite("u-1", "u-8", "passed")], [None; 2]);
    }

    #[test]
    fn a_server_whose_tokens_name_no_check_run_is_asked_about_the_attempt() {
        let text = r#"{"run_id":"5","run_attempt":"2","repository":"acme/web","repository_id":"101"}"#;
        let claims = Claims::parse(text.as_bytes()).unwrap();
        let github = Vendor::named("github").unwrap();
        assert_eq!(ask(github, &claims).unwrap().path, "/below/repos/acme/web/actions/runs/5/attempts/2");
        assert_eq!(github.job(&claims).unwrap(), ["5", "2"]);
        let told = |id: u64, repository: u64, attempt: u64, word: &str| {
            let answer = json!({"id": id, "repository": {"id": repository}, "run_attempt": attempt, "status": word});
            (github.told)(&Told { claims: &claims, audience: "us", answer: &answer })
        };
        assert_eq!((told(5, 101, 2, "in_progress"), told(5, 101, 2, "completed")), (Some(Running), Some(Ended)));
        for other in [told(6, 101, 2, "completed"), told(5, 102, 2, "in_progress"), told(5, 101, 3, "in_progress")] {
            assert_eq!(other, None);
        }
    }

    #[test]
    fn a_pod_runs_as_long_as_the_server_takes_its_token() {
        let taken = |uid: &str, audience: &str| {
            let status = json!({"authenticated": true, "audiences": [audience], "user": {"uid": uid}});
            told("kubernetes", json!({ "status": status }))
        };
        assert_eq!(taken("u-1", "us"), Some(Running));
        assert_eq!((taken("u-2", "us"), taken("u-1", "them")), (None, None));
        let refused = |error: Value| told("kubernetes", json!({"status": {"authenticated": false, "error": error}}));
        assert_eq!(refused(json!("[invalid bearer token, service account token has been invalidated]")), Some(Gone));
        assert_eq!((refused(json!("etcdserver: request timed out")), refused(Value::Null)), (None, None));
    }
}
