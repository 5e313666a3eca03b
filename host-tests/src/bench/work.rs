//! The requests that are measured.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::peer::{Peer, REFUSED};
use super::upstream::{self, NUMBER};
use crate::traffic::{Body, Lookups, Request};

/// One kind of request.
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    pub(super) requests: Requests,
    /// What each is answered by jobscope.
    pub(super) status: u16,
    pub(super) peers: &'static [Peer],
}

/// What carries a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What is sent again and again.
#[derive(Clone, Copy)]
pub(super) enum Requests {
    /// The same.
    One(fn() -> Request),
    /// The same, after another that makes it possible.
    After(fn() -> Request, fn() -> Request),
    /// Each with a number of its own.
    Numbered(fn(u64) -> Request),
}

impl Requests {
    /// The one of this number.
    pub(super) fn number(self, number: u64) -> Request {
        match self {
            Self::One(request) | Self::After(_, request) => request(),
            Self::Numbered(request) => request(number),
        }
    }
}

impl Work {
    /// Whether no two requests are equal.
    pub(super) fn is_numbered(&self) -> bool {
        matches!(self.requests, Requests::Numbered(_))
    }

    /// What this peer answers.
    pub(super) fn expected(&self, peer: Peer) -> u16 {
        match peer {
            Peer::Jobscope | Peer::Observe | Peer::Object | Peer::Targets | Peer::Full => self.status,
            _ if self.status == 200 => 200,
            _ => 403,
        }
    }
}

/// Jobscope in other circumstances stands at the end, and a policy that was written for one kind of request.
const ALL: &[Peer] = &[
    Peer::None,
    Peer::Noop,
    Peer::Copy,
    Peer::Lua,
    Peer::Rbac,
    Peer::AuthzHttp,
    Peer::AuthzGrpc,
    Peer::ExtProc,
    Peer::Jobscope,
    Peer::Engine,
    Peer::Observe,
    Peer::Object,
    Peer::Targets,
    Peer::Full,
];
const EVERY: &[Peer] = ALL.split_at(ALL.len() - 5).0;
const BRIEF: &[Peer] = &[Peer::None, Peer::Copy, Peer::Jobscope];
const BESIDE_A_SERVICE: &[Peer] = &[Peer::None, Peer::Copy, Peer::AuthzHttp, Peer::Jobscope];
const COLD: &[Peer] = &[Peer::None, Peer::Copy, Peer::AuthzHttp, Peer::Full];

/// All of them.
pub(super) static WORK: [Work; 20] = [
    of("anonymous", EVERY, Requests::One(|| curl(page()))),
    of("anonymous, git's head", BRIEF, Requests::One(|| git(page()))),
    of("anonymous, docker's head", BRIEF, Requests::One(|| docker(page()))),
    of("anonymous, 30 fields", BRIEF, Requests::One(|| thirty(page()))),
    Work { protocol: Protocol::Http2, ..of("anonymous, HTTP/2", BRIEF, Requests::One(|| curl(page()))) },
    of(
        "a person's PRIVATE-TOKEN",
        BRIEF,
        Requests::One(|| curl(with(get("/api/v4/projects/102"), [("private-token", PERSON)]))),
    ),
    of(
        "a person's Basic",
        BRIEF,
        Requests::One(|| git(with(info_refs(), [("authorization", &basic("dana", PERSON))]))),
    ),
    of("git info/refs", EVERY, Requests::One(|| git(login(info_refs())))),
    Work {
        protocol: Protocol::Http2,
        ..of("git info/refs, HTTP/2", BESIDE_A_SERVICE, Requests::One(|| git(login(info_refs()))))
    },
    of("git info/refs, 30 fields", BRIEF, Requests::One(|| thirty(login(info_refs())))),
    of("git upload-pack", BRIEF, Requests::One(|| login(upload_pack()))),
    of("package", ALL, Requests::One(|| curl(job(get(PACKAGE))))),
    of(
        "package, token in the query",
        BESIDE_A_SERVICE,
        Requests::One(|| curl(get(&format!("{PACKAGE}?job_token={}", Lookups::running(1))))),
    ),
    of("API by number", BESIDE_A_SERVICE, Requests::One(|| curl(job(get("/api/v4/projects/102/releases"))))),
    of("registry manifest", BESIDE_A_SERVICE, Requests::After(|| token_request(0), manifest)),
    of("/jwt/auth", BRIEF, Requests::Numbered(token_request)),
    of("LFS batch", BRIEF, Requests::One(|| login(batch()))),
    Work {
        status: 404,
        ..of("denied: no such project", BRIEF, Requests::One(|| refused(&PACKAGE.replace("libs%2F", "none%2F"))))
    },
    Work {
        status: 403,
        ..of("denied: no such right", BRIEF, Requests::One(|| refused("/api/v4/projects/102/members")))
    },
    of("cold: a token never seen", COLD, Requests::Numbered(cold)),
];

const fn of(name: &'static str, peers: &'static [Peer], requests: Requests) -> Work {
    Work { name, protocol: Protocol::Http1, requests, status: 200, peers }
}

/// What every job reads.
pub(super) const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";

/// A person's token.
const PERSON: &str = "glpat-0123456789abcdef0123";

const FORGE: &str = "127.0.0.1";
const REGISTRY: &str = "localhost";

fn get(path: &str) -> Request {
    Request { method: "GET", host: FORGE.into(), path: path.into(), fields: Vec::new(), body: Body::none() }
}

fn with<const N: usize>(mut request: Request, fields: [(&'static str, &str); N]) -> Request {
    request.fields.extend(fields.map(|(name, value)| (name, value.to_owned())));
    request
}

fn post(path: &str, body: String, fields: [(&'static str, &str); 3]) -> Request {
    with(Request { method: "POST", body: Body::whole(Bytes::from(body)), ..get(path) }, fields)
}

fn page() -> Request {
    get("/libs/common/-/blob/main/README.md")
}

/// The first request of a clone.
pub(super) fn info_refs() -> Request {
    get("/libs/common.git/info/refs?service=git-upload-pack")
}

fn upload_pack() -> Request {
    let wants = "0032want 0123456789abcdef0123456789abcdef01234567\n00000009done\n";
    let (question, answer) = ("application/x-git-upload-pack-request", "application/x-git-upload-pack-result");
    let fields = [("user-agent", GIT), ("content-type", question), ("accept", answer)];
    post("/libs/common.git/git-upload-pack", wants.to_owned(), fields)
}

fn batch() -> Request {
    let object = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let body = format!(r#"{{"operation":"download","transfers":["basic"],"objects":[{{"oid":"{object}","size":3}}]}}"#);
    let media = "application/vnd.git-lfs+json";
    let fields = [("user-agent", "git-lfs/3.6.1"), ("content-type", media), ("accept", media)];
    post("/libs/common.git/info/lfs/objects/batch", body, fields)
}

fn token_request(number: u64) -> Request {
    let path = "/jwt/auth?service=container_registry&scope=repository:libs/common/app:pull";
    docker(with(login(get(path)), [(NUMBER, &number.to_string())]))
}

fn manifest() -> Request {
    let request = Request { host: REGISTRY.into(), ..get("/v2/libs/common/app/manifests/v1") };
    docker(with(request, [("authorization", &format!("Bearer {}", upstream::registry_jwt(0)))]))
}

/// A request of a job that nobody knows yet.
pub(super) fn cold(number: u64) -> Request {
    curl(with(get(PACKAGE), [("job-token", &Lookups::running(number))]))
}

/// With a running job's token where the API has it.
fn job(request: Request) -> Request {
    with(request, [("job-token", &Lookups::running(1))])
}

/// And where Git has it.
pub(super) fn login(request: Request) -> Request {
    with(request, [("authorization", &basic("gitlab-ci-token", &Lookups::running(1)))])
}

fn refused(path: &str) -> Request {
    with(curl(job(get(path))), [(REFUSED, "yes")])
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

const GIT: &str = "git/2.47.3";

fn curl(request: Request) -> Request {
    with(request, [("user-agent", "curl/8.14.1"), ("accept", "*/*")])
}

pub(super) fn git(request: Request) -> Request {
    let language = ("accept-language", "C, *;q=0.9");
    let fields = [("user-agent", GIT), ("accept", "*/*"), ("accept-encoding", "deflate, gzip"), language];
    with(with(request, fields), [("pragma", "no-cache"), ("git-protocol", "version=2")])
}

fn docker(request: Request) -> Request {
    let agent = "docker/28.5.2 go/go1.25.3 git-commit/89c5e8f kernel/6.12.0 os/linux arch/amd64";
    let media = [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
    ];
    with(request, [("user-agent", agent), ("accept", &media.join(", ")), ("accept-encoding", "gzip")])
}

/// A head of thirty fields, as behind proxies that each add some.
fn thirty(request: Request) -> Request {
    const NAMES: [&str; 27] = [
        "x-a-1", "x-a-2", "x-a-3", "x-a-4", "x-a-5", "x-a-6", "x-a-7", "x-a-8", "x-a-9", "x-b-1", "x-b-2", "x-b-3",
        "x-b-4", "x-b-5", "x-b-6", "x-b-7", "x-b-8", "x-b-9", "x-c-1", "x-c-2", "x-c-3", "x-c-4", "x-c-5", "x-c-6",
        "x-c-7", "x-c-8", "x-c-9",
    ];
    NAMES.into_iter().fold(curl(request), |request, name| with(request, [(name, "a value of thirty-two characters")]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_is_compared_with_no_filter_and_a_copied_head() {
        let names: BTreeSet<_> = WORK.iter().map(|work| work.name).collect();
        assert_eq!(names.len(), WORK.len());
        for work in &WORK {
            assert!(work.peers.starts_with(&[Peer::None]) && work.peers.contains(&Peer::Copy), "{}", work.name);
        }
    }
}
