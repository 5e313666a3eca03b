//! What clients send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobscope::Headers;

use crate::judge::Ask;
use crate::shared::SLOT;
use crate::world::{FIRST_PROJECT, Mints, Named, PATHS, PROJECTS, Role, World, group_name, group_of, jwt, path_name};

/// What a client sends.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) what: What,
    pub(crate) ask: Ask,
    /// The job's token, also where what was made from it is sent.
    pub(crate) token: Option<String>,
    /// Which job it is about, where it is one's.
    pub(crate) job: Option<usize>,
    /// In which path, where that is asked of one.
    pub(crate) path: usize,
    pub(crate) head: Headers,
    pub(crate) body: Vec<u8>,
    /// Whether the filter may wait for the body before anything else.
    pub(crate) is_read_first: bool,
    /// Whether trailers come behind the body.
    pub(crate) has_trailers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Read,
    /// By the project's path.
    ReadByPath,
    Write,
    Clone,
    Batch,
    /// A token for an image, or for the dependency proxy.
    Login(Mints),
    /// What is asked with a credential that the forge made.
    Use(Mints),
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
    /// A person pulls an image.
    Pull,
    /// Nobody says who it is, and what it sends may hold a job's token.
    Untold,
}

impl What {
    /// What is asked in its place of a forge that is not GitLab: nobody there hands jobs or credentials out, and each that could be a
    /// job's is looked up.
    pub(crate) fn elsewhere(self) -> Self {
        match self {
            Self::Write | Self::Batch | Self::Finish | Self::Trace | Self::AskForJob | Self::Untold => Self::Clone,
            Self::Upload | Self::Pull => Self::Browse,
            same => same,
        }
    }
}

const WHATS: [What; 32] = [
    What::Read,
    What::Read,
    What::Read,
    What::ReadByPath,
    What::ReadByPath,
    What::Write,
    What::Write,
    What::Clone,
    What::Clone,
    What::Clone,
    What::Clone,
    What::Batch,
    What::Batch,
    What::Batch,
    What::Login(Mints::Registry),
    What::Login(Mints::Registry),
    What::Login(Mints::DependencyProxy),
    What::Use(Mints::Registry),
    What::Use(Mints::Registry),
    What::Use(Mints::DependencyProxy),
    What::Use(Mints::Lfs),
    What::Use(Mints::Lfs),
    What::Finish,
    What::Finish,
    What::Trace,
    What::AskForJob,
    What::AskForJob,
    What::Webhook,
    What::Browse,
    What::Upload,
    What::Pull,
    What::Untold,
];

/// Who asks, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) token: String,
    pub(crate) job: usize,
    /// What the forge made from the token, where that is sent in its place.
    pub(crate) minted: Option<String>,
}

const OID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

impl Request {
    /// One of the requests that there are: what, of which target, and who asks.
    pub(crate) fn draw(which: u32, how: u32, world: &World) -> (What, usize, Client) {
        let what = WHATS[how as usize % WHATS.len()];
        let target = (which / 64) as usize % (PROJECTS * PATHS);
        // The last are asked about most: most of the others are over.
        let back = (if (which >> 20).is_multiple_of(4) { which % 128 } else { which % 8 }) as usize;
        if let What::Use(mints) = what {
            let minted = || world.minted.iter().rev().filter(|minted| minted.mints == mints);
            let Some(one) = minted().nth(back).or_else(|| minted().next()) else {
                // There is none yet.
                let what = if mints == Mints::Lfs { What::Batch } else { What::Login(mints) };
                return (what, target, Client::of_job(world, back));
            };
            let target = if (which / 8).is_multiple_of(4) { target } else { one.path };
            let token = world.jobs[one.job].token.clone();
            return (what, target, Client { token, job: one.job, minted: Some(one.text.clone()) });
        }
        let client = Client::of_job(world, back);
        let token = match which / 8 % 8 {
            0 => format!("glcbt-64_junk{:04}", which / 64 % 10_000),
            1 => "glcbt-64_always".to_owned(),
            _ => client.token,
        };
        (what, target, Client { token, ..client })
    }

    pub(crate) fn new(what: What, target: usize, client: Client) -> Self {
        let Client { token, job, minted } = client;
        let login = |user: &str, password: &str| {
            ("authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        };
        let basic = || login("gitlab-ci-token", &token);
        let (project, path) = (target % PROJECTS, target % PATHS);
        let (id, name) = (FIRST_PROJECT + project as u64, path_name(path));
        let json = ("content-type", "application/json".to_owned());
        let by_job = ("job-token", token.clone());
        let bearer = |jwt: &str| ("authorization", format!("Bearer {jwt}"));
        let minted = minted.unwrap_or_default();
        let nothing = String::new;
        let package = "packages/generic/tool/1.0/tool.txt";
        let (method, path_sent, fields, body) = match what {
            What::Read => ("GET", format!("/api/v4/projects/{id}/{package}"), vec![by_job], nothing()),
            What::ReadByPath => {
                let name = name.replace('/', "%2F");
                ("GET", format!("/api/v4/projects/{name}/{package}"), vec![by_job], nothing())
            }
            What::Write => ("PUT", format!("/api/v4/projects/{id}/{package}"), vec![by_job], "x".repeat(3000)),
            What::Clone => ("GET", format!("/{name}.git/info/refs?service=git-upload-pack"), vec![basic()], nothing()),
            What::Batch => {
                let media = ("content-type", "application/vnd.git-lfs+json".to_owned());
                let body = format!(
                    r#"{{"operation": "download", "transfers": ["basic"], "objects": [{{"oid": "{OID}", "size": 1}}]}}"#
                );
                ("POST", format!("/{name}.git/info/lfs/objects/batch"), vec![basic(), media], body)
            }
            What::Login(Mints::DependencyProxy) => {
                ("GET", "/jwt/auth?service=dependency_proxy".to_owned(), vec![basic()], nothing())
            }
            What::Login(_) => {
                let path = format!("/jwt/auth?service=container_registry&scope=repository:{name}:pull");
                ("GET", path, vec![basic()], nothing())
            }
            What::Use(Mints::Registry) => {
                ("GET", format!("/v2/{name}/manifests/latest"), vec![bearer(&minted)], nothing())
            }
            What::Use(Mints::DependencyProxy) => {
                let group = group_name(group_of(path));
                let path = format!("/v2/{group}/dependency_proxy/containers/alpine/manifests/latest");
                ("GET", path, vec![bearer(&minted)], nothing())
            }
            What::Use(Mints::Lfs) => {
                ("GET", format!("/{name}.git/gitlab-lfs/objects/{OID}"), vec![login("user1", &minted)], nothing())
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
            What::Browse => ("GET", "/g/p1".to_owned(), vec![("cookie", "_gitlab_session=1".to_owned())], nothing()),
            What::Upload => {
                let fields = vec![json, ("private-token", "glpat-person".to_owned())];
                ("POST", "/api/v4/projects/101/issues".to_owned(), fields, r#"{"title": "it is slow"}"#.repeat(40))
            }
            What::Pull => {
                let persons = jwt(&format!(r#"{{"auth_type":"personal_access_token","jti":"p{target}"}}"#));
                ("GET", format!("/v2/{name}/manifests/latest"), vec![bearer(&persons)], nothing())
            }
            What::Untold => {
                let body = format!(r#"{{"title": "{}", "job_token": "{token}"}}"#, "t".repeat(200));
                ("POST", format!("/api/v4/projects/{id}/releases"), vec![json], body)
            }
        };
        let ask = match what {
            What::Read => Ask::Of(Named::Id(project), Role::Reporter),
            What::Write | What::Untold => Ask::Of(Named::Id(project), Role::Developer),
            What::ReadByPath | What::Clone | What::Batch | What::Use(Mints::Lfs) => {
                Ask::Of(Named::Path(path), Role::Reporter)
            }
            What::Login(Mints::DependencyProxy) => Ask::Anywhere,
            What::Use(Mints::DependencyProxy) => Ask::Below(group_of(path)),
            What::Login(_) | What::Use(Mints::Registry) => Ask::Of(Named::Image(path), Role::Reporter),
            What::Finish | What::Trace => Ask::Report,
            What::AskForJob | What::Webhook | What::Browse | What::Upload | What::Pull => Ask::Person,
        };
        let of_job = !matches!(ask, Ask::Person);
        // Calls carry on for which job and which target they are.
        let fact =
            matches!(ask, Ask::Of(..)).then(|| ("x-request-id", format!("{job}:{ask:?}").replace([' ', ','], "")));
        let is_read_first = matches!(what, What::Batch | What::Finish | What::AskForJob | What::Webhook | What::Untold);
        let host = match what {
            What::Use(Mints::Registry) | What::Pull => "registry.example",
            _ => "forge.example",
        };
        let fields = fields.into_iter().chain(fact).map(|(name, value)| (name.to_owned(), value));
        let head = [(":method", method.to_owned()), (":path", path_sent), (":authority", host.to_owned())];
        // Anybody may name a slot.
        let forged = target.is_multiple_of(5).then(|| (SLOT.to_owned(), "write".to_owned()));
        let head = head.into_iter().map(|(name, value)| (name.to_owned(), value));
        let head: Vec<_> = head.chain(fields).chain(forged).collect();
        let (head, body) = (Headers::pack(&head), body.into_bytes());
        let about_job = of_job || what == What::Webhook;
        let (token, job) = (of_job.then_some(token), about_job.then_some(job));
        Self { what, ask, token, job, path, head, body, is_read_first, has_trailers: false }
    }
}

impl Client {
    /// One of the last jobs.
    fn of_job(world: &World, back: usize) -> Self {
        let job = world.jobs.len() - 1 - back.min(world.jobs.len() - 1);
        Self { token: world.jobs[job].token.clone(), job, minted: None }
    }
}
