//! The stand-in forge, and its control routes: what it saw, and how to make it fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::places;
use super::raw::{self, Answer};

/// A running stand-in forge.
pub struct Forge {
    child: Child,
    port: u16,
    registry_certificate: PathBuf,
}

/// How the forge answers lookups.
#[derive(Clone, Copy, Debug)]
pub enum LookupFault {
    /// As it should.
    None,
    /// After this many milliseconds.
    Slow(u64),
    /// With something that is no answer.
    Nonsense,
    /// With 503.
    Unavailable,
    /// Not before it behaves again.
    Hang,
    /// With the head and half of the body, and then the connection ends.
    Torn,
    /// With what is right, and 4 MiB of white space.
    Long,
    /// With what is right, and 32 MiB of white space.
    Enormous,
    /// With 401, as somebody between who is not the forge.
    Intercepted,
    /// With another job than the token's.
    Mistaken,
}

/// The line that the forge prints when it is ready.
#[derive(Deserialize)]
struct Ready {
    listening: std::net::SocketAddr,
    registry_certificate: PathBuf,
}

impl Forge {
    pub(super) fn start(dir: &Path, ingress_port: u16, world: &Path) -> Result<Self> {
        let mut command = Command::new(places::forge()?);
        command
            .arg("--world")
            .arg(world)
            .arg("--state")
            .arg(dir.join("forge"))
            .args(["--listen", "127.0.0.1:0"])
            .args(["--external-url", &format!("http://127.0.0.1:{ingress_port}")]);
        let mut child = Child::spawn("jobscope-forge", dir, Output::Read, &mut command)?;
        let line = child.first_line()?;
        let ready: Ready =
            serde_json::from_str(&line).with_context(|| format!("the forge said `{}`", line.escape_debug()))?;
        Ok(Self { child, port: ready.listening.port(), registry_certificate: ready.registry_certificate })
    }

    /// The port where the forge itself listens, behind Envoy.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn child(&self) -> &Child {
        &self.child
    }

    pub(super) fn registry_certificate(&self) -> &Path {
        &self.registry_certificate
    }

    /// The requests that reached the forge, oldest first.
    ///
    /// # Errors
    ///
    /// When the forge does not answer.
    pub fn requests(&self) -> Result<Vec<Value>> {
        let answer = self.control("GET", "requests", None)?;
        match answer {
            Value::Array(requests) => Ok(requests),
            other => bail!("expected a list of requests, found `{other}`"),
        }
    }

    /// Forgets the requests so far.
    ///
    /// # Errors
    ///
    /// When the forge does not answer.
    pub fn forget_requests(&self) -> Result<()> {
        self.control("DELETE", "requests", None).map(drop)
    }

    /// Makes lookups fail.
    ///
    /// # Errors
    ///
    /// When the forge does not answer.
    pub fn fault(&self, fault: LookupFault) -> Result<()> {
        let body = match fault {
            LookupFault::None => json!({"lookup": "none"}),
            LookupFault::Slow(delay_ms) => json!({"lookup": "slow", "delay_ms": delay_ms}),
            LookupFault::Nonsense => json!({"lookup": "nonsense"}),
            LookupFault::Unavailable => json!({"lookup": "unavailable"}),
            LookupFault::Hang => json!({"lookup": "hang"}),
            LookupFault::Torn => json!({"lookup": "torn"}),
            LookupFault::Long => json!({"lookup": "long"}),
            LookupFault::Enormous => json!({"lookup": "enormous"}),
            LookupFault::Intercepted => json!({"lookup": "intercepted"}),
            LookupFault::Mistaken => json!({"lookup": "mistaken"}),
        };
        self.control("PUT", "fault", Some(&body)).map(drop)
    }

    /// Cuts off what the forge answers to LFS batches.
    ///
    /// # Errors
    ///
    /// When the forge does not answer.
    pub fn cut_batches(&self) -> Result<()> {
        self.control("PUT", "fault", Some(&json!({"lookup": "none", "cut_batch": true}))).map(drop)
    }

    /// Lets the jobs of a project push to it.
    ///
    /// # Errors
    ///
    /// When the forge has no such project.
    pub fn let_jobs_push(&self, project: &str) -> Result<()> {
        self.control("POST", "world/push", Some(&json!({"project": project, "by_job_token": true}))).map(drop)
    }

    /// Starts a job, and gives its id: a token that nobody has seen.
    ///
    /// # Errors
    ///
    /// When the forge refuses it.
    pub fn add_job(&self, project: &str, user: &str, token: &str) -> Result<u64> {
        let body = json!({"project": project, "user": user, "token": token, "status": "running"});
        self.added(&body)
    }

    /// Signs an ID token of a job, with these claims in place of the usual ones.
    ///
    /// # Errors
    ///
    /// When the forge has no such job.
    pub fn id_token(&self, job: u64, claims: &Value) -> Result<String> {
        let answer = self.control("POST", "id-tokens", Some(&json!({"job": job, "claims": claims})))?;
        answer["token"].as_str().map(str::to_owned).with_context(|| format!("expected a token, found `{answer}`"))
    }

    /// Gives a user another token of their own, or none: what they had is revoked.
    ///
    /// # Errors
    ///
    /// When the forge has no such user.
    pub fn give_token(&self, user: &str, token: Option<&str>) -> Result<()> {
        self.control("POST", "world/token", Some(&json!({"user": user, "token": token}))).map(drop)
    }

    /// Has registry tokens last for so many seconds from now on. A registry takes them for a minute more.
    ///
    /// # Errors
    ///
    /// When the forge does not answer.
    pub fn registry_tokens_last(&self, seconds: i64) -> Result<()> {
        self.control("PUT", "registry-tokens", Some(&json!({"seconds": seconds}))).map(drop)
    }

    /// Sends `request` to the forge itself, past Envoy, and reads one answer for as long as `patience` lasts.
    ///
    /// # Errors
    ///
    /// When it takes no connection.
    pub fn raw(&self, request: &[u8], patience: Duration) -> Result<Answer> {
        raw::exchange(self.port, request, patience)
    }

    /// Leaves a job for a runner to ask for, with what else is said of it (its image, its variables), and gives its id.
    ///
    /// # Errors
    ///
    /// When the forge refuses it.
    pub fn leave_job(&self, project: &str, user: &str, token: &str, more: &Value) -> Result<u64> {
        let mut body = more.clone();
        body["project"] = json!(project);
        body["user"] = json!(user);
        body["token"] = json!(token);
        body["status"] = json!("pending");
        self.added(&body)
    }

    fn added(&self, job: &Value) -> Result<u64> {
        let answer = self.control("POST", "jobs", Some(job))?;
        answer["id"].as_u64().with_context(|| format!("expected the id of a job, found `{answer}`"))
    }

    /// What was written into a job's log.
    ///
    /// # Errors
    ///
    /// When the forge does not answer.
    pub fn log_of(&self, job: u64) -> Result<String> {
        self.text("GET", &format!("jobs/{job}/trace"), None)
    }

    fn control(&self, method: &str, route: &str, body: Option<&Value>) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(method, route, body)?).unwrap_or(Value::Null))
    }

    fn text(&self, method: &str, route: &str, body: Option<&Value>) -> Result<String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let url = format!("http://127.0.0.1:{}/-/stand-in/{route}", self.port);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())?;
        let mut answer = agent.run(request).with_context(|| format!("{method} {url}"))?;
        let text = answer.body_mut().read_to_string()?;
        if !answer.status().is_success() {
            bail!("{method} {url}: {} `{}`", answer.status(), text.escape_debug());
        }
        Ok(text)
    }
}
