//! What clients send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobscope::Headers;

use crate::judge::Ask;
use crate::world::{FIRST_PROJECT, Job, PROJECTS, Role};

/// What a client sends.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) what: What,
    pub(crate) ask: Ask,
    pub(crate) token: Option<String>,
    /// Which job it is about, where it is one's.
    pub(crate) job: Option<usize>,
    pub(crate) head: Headers,
    pub(crate) body: Vec<u8>,
    /// Whether the filter may wait for the body before anything else.
    pub(crate) is_read_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Read,
    Write,
    Clone,
    Batch,
    /// A runner's last word on its job.
    Finish,
    /// A piece of a job's log.
    Trace,
    /// A runner asks for a job.
    AskForJob,
    /// The forge tells that a job ended.
    Webhook,
    Browse,
    /// A person sends something.
    Upload,
    /// Nobody says who it is, and what it sends may hold a job's token.
    Untold,
}

const WHATS: [What; 16] = [
    What::Read,
    What::Read,
    What::Read,
    What::Write,
    What::Write,
    What::Clone,
    What::Clone,
    What::Clone,
    What::Batch,
    What::Batch,
    What::Finish,
    What::Trace,
    What::AskForJob,
    What::Webhook,
    What::Browse,
    What::Upload,
];

impl Request {
    /// One of the requests that there are.
    pub(crate) fn draw(which: u32, how: u32, jobs: &[Job]) -> Self {
        let what = match how % 17 {
            16 => What::Untold,
            at => WHATS[at as usize],
        };
        // The last jobs are asked about most: the others are over.
        let back = (which % 8) as usize;
        let number = jobs.len() - 1 - back.min(jobs.len() - 1);
        let token = match which / 8 % 8 {
            0 => format!("glcbt-64_junk{:04}", which / 64 % 10_000),
            1 => "glcbt-64_always".to_owned(),
            _ => jobs[number].token.clone(),
        };
        Self::new(what, (which / 64) as usize % PROJECTS, token, number)
    }

    pub(crate) fn new(what: What, target: usize, token: String, job: usize) -> Self {
        let basic = || format!("Basic {}", STANDARD.encode(format!("gitlab-ci-token:{token}")));
        let package = format!("/api/v4/projects/{}/packages/generic/tool/1.0/tool.txt", FIRST_PROJECT + target as u64);
        let json = ("content-type", "application/json".to_owned());
        let by_job = ("job-token", token.clone());
        let (method, path, fields, body) = match what {
            What::Read => ("GET", package, vec![by_job], String::new()),
            What::Write => ("PUT", package, vec![by_job], "x".repeat(3000)),
            What::Clone => {
                let path = format!("/g/p{target}.git/info/refs?service=git-upload-pack");
                ("GET", path, vec![("authorization", basic())], String::new())
            }
            What::Batch => {
                let media = ("content-type", "application/vnd.git-lfs+json".to_owned());
                let body = format!(
                    r#"{{"operation": "download", "transfers": ["basic"], "objects": [{{"oid": "{}", "size": 1}}]}}"#,
                    "a".repeat(64)
                );
                let path = format!("/g/p{target}.git/info/lfs/objects/batch");
                ("POST", path, vec![("authorization", basic()), media], body)
            }
            What::Finish => {
                let body = format!(r#"{{"token": "{token}", "state": "success"}}"#);
                ("PUT", format!("/api/v4/jobs/{}", job + 1), vec![json], body)
            }
            What::Trace => {
                let range = ("content-range", "0-3".to_owned());
                ("PATCH", format!("/api/v4/jobs/{}/trace", job + 1), vec![by_job, range], "log\n".to_owned())
            }
            What::AskForJob => {
                ("POST", "/api/v4/jobs/request".to_owned(), vec![json], r#"{"token": "glrt-runner"}"#.to_owned())
            }
            What::Webhook => {
                let body = format!(
                    r#"{{"object_kind": "build", "build_id": {}, "build_status": "success", "project_id": 100}}"#,
                    job + 1
                );
                ("POST", "/-/jobscope/webhook".to_owned(), vec![json, ("x-gitlab-token", "secret".to_owned())], body)
            }
            What::Browse => {
                ("GET", "/g/p1".to_owned(), vec![("cookie", "_gitlab_session=1".to_owned())], String::new())
            }
            What::Upload => {
                let fields = vec![json, ("private-token", "glpat-person".to_owned())];
                ("POST", "/api/v4/projects/101/issues".to_owned(), fields, r#"{"title": "it is slow"}"#.repeat(40))
            }
            What::Untold => {
                let body = format!(r#"{{"title": "{}", "job_token": "{token}"}}"#, "t".repeat(200));
                ("POST", format!("/api/v4/projects/{}/releases", FIRST_PROJECT + target as u64), vec![json], body)
            }
        };
        let ask = match what {
            What::Read | What::Clone | What::Batch => Ask::Of(target, Role::Reporter),
            What::Write | What::Untold => Ask::Of(target, Role::Developer),
            What::Finish | What::Trace => Ask::Report,
            What::AskForJob | What::Webhook | What::Browse | What::Upload => Ask::Person,
        };
        let of_job = !matches!(ask, Ask::Person);
        let is_read_first = matches!(what, What::Batch | What::Finish | What::AskForJob | What::Webhook | What::Untold);
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        let head = [(":method", method.to_owned()), (":path", path), (":authority", "forge.example".to_owned())];
        let head: Vec<_> = head.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(fields).collect();
        let (head, body) = (Headers::pack(&head), body.into_bytes());
        let about_job = of_job || what == What::Webhook;
        Self { what, ask, token: of_job.then_some(token), job: about_job.then_some(job), head, body, is_read_first }
    }
}
