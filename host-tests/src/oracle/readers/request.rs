//! Requests in which a credential is planted.

use std::fmt;

use super::spelling;
use crate::cases::message::Message;
use crate::host::RequestHead;
use crate::oracle::Random;

/// A request, and the credential that stands in it if a reader finds it there.
#[derive(Clone, Debug)]
pub struct Planted {
    /// Its bytes.
    pub message: Message,
    /// The credential.
    pub plant: Plant,
    /// What the forge does at its path.
    pub route: Route,
}

/// A credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// As it is written.
    pub text: &'static str,
    /// The job token that a reader gets out of it.
    pub token: &'static str,
    /// Whether it is a job's by itself, or by its user and its field alone.
    pub is_marked: bool,
}

const TOKEN: &str = "glcbt-64_danaBuildsWeb000001";
const OLD: &str = "legacy20chars0000000";
/// Signed with the readers' key: `{"token": TOKEN}`.
const WRAPPED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbiI6ImdsY2J0LTY0X2RhbmFCdWlsZHNXZWIwMDAwMDEifQ.82M_Vmo9V65ihja-88jf7v2PlTPUp3mw-etYf-W0ecY";
const OPAQUE: &str = "0123456789abcdef0123456789abcdef01234567";
/// Signed with the readers' key, of a service for LFS.
const SIGNED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJkYW5hIiwic2NvcGVzIjoib2JqOmcvcC8qOioifQ.JBss_7Lw-tiIPQyE4borEfUpNKfO6ShIuqmJ4j7Y9CI";

/// What a job of GitLab's shows.
pub const GITLAB: [Plant; 3] = [
    Plant { text: TOKEN, token: TOKEN, is_marked: true },
    Plant { text: OLD, token: OLD, is_marked: false },
    Plant { text: WRAPPED, token: TOKEN, is_marked: true },
];
/// What a job shows elsewhere.
pub const ELSEWHERE: [Plant; 2] =
    [Plant { text: OPAQUE, token: OPAQUE, is_marked: true }, Plant { text: SIGNED, token: SIGNED, is_marked: true }];

/// What the forge makes of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Parameters, a credential among them if no other decides.
    Parameters,
    /// Parameters, whoever else is named.
    ParametersFirst,
    /// Parameters of a controller that is not the API's.
    Controller,
    /// Content.
    Content,
}

/// A path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    /// What becomes of its body.
    pub body: Body,
}

const FORGE: &str = "forge.example.com";
const REGISTRY: &str = "registry.example.com";

const fn route(method: &'static str, path: &'static str, body: Body) -> Route {
    Route { method, host: FORGE, path, body }
}

/// GitLab's paths.
pub const ROUTES: [Route; 33] = [
    route("GET", "/api/v4/job", Body::Parameters),
    route("GET", "/api/v4/projects/7/releases", Body::Parameters),
    route("POST", "/api/v4/projects/7/releases", Body::Parameters),
    route("PUT", "/api/v4/projects/g%2Fp/releases/v1", Body::Parameters),
    route("DELETE", "/api/v4/projects/7/releases/v1", Body::Parameters),
    route("PUT", "/api/v4/projects/7/environments/3", Body::Parameters),
    route("POST", "/api/v4/projects/7/deployments", Body::Parameters),
    route("POST", "/api/v4/projects/7/packages/composer", Body::Parameters),
    route("POST", "/api/v4/projects/7/secure_files", Body::Parameters),
    route("POST", "/api/v4/projects/7/packages/pypi", Body::Content),
    route("PUT", "/api/v4/projects/7/packages/generic/a/1/b", Body::Content),
    route("POST", "/api/v4/projects/7/terraform/state/x", Body::Content),
    route("POST", "/api/v4/projects/7/trigger/pipeline", Body::ParametersFirst),
    route("POST", "/api/v4/projects/7/ref/main/trigger/pipeline", Body::ParametersFirst),
    route("PUT", "/api/v4/jobs/7", Body::ParametersFirst),
    route("PATCH", "/api/v4/jobs/7/trace", Body::Content),
    route("POST", "/api/v4/projects/7/issues", Body::Parameters),
    route("POST", "/api/v4/projects/7/statuses/abc", Body::Parameters),
    route("PATCH", "/api/v4/projects/7/merge_requests/1", Body::Parameters),
    route("POST", "/api/v4/internal/dast/site_validations/3/transition", Body::Parameters),
    route("POST", "/api/v4/internal/allowed", Body::Parameters),
    route("POST", "/api/v4//projects/7/releases", Body::Parameters),
    route("POST", "//api/v4/projects/7/releases", Body::Parameters),
    route("GET", "/g/p.git/info/refs?service=git-upload-pack", Body::Content),
    route("POST", "/g/p.git/git-receive-pack", Body::Content),
    route("POST", "/g/p.git/info/lfs/objects/batch", Body::Content),
    route("GET", "/g/p.git/info/lfs/locks", Body::Content),
    route("GET", "/jwt/auth?service=container_registry", Body::Controller),
    route("POST", "/jwt/auth", Body::Controller),
    route("GET", "/g/p/-/raw/main/x", Body::Content),
    route("GET", "/v2/g/dependency_proxy/containers/a/manifests/x", Body::Content),
    Route { method: "GET", host: REGISTRY, path: "/v2/g/p/manifests/x", body: Body::Content },
    Route { method: "POST", host: REGISTRY, path: "/v2/g/p/blobs/uploads/", body: Body::Content },
];

/// Gitea's, on whose host the registry is, too.
pub const ROUTES_OF_GITEA: [Route; 22] = [
    route("GET", "/api/v1/version", Body::Parameters),
    route("GET", "/api/v1/repos/g/p/releases", Body::Parameters),
    route("POST", "/api/v1/repos/g/p/releases", Body::Parameters),
    route("POST", "/api/v1/repos/g/p/releases/1/assets?name=x", Body::Parameters),
    route("PUT", "/api/v1/repos/g/p/contents/x", Body::Parameters),
    route("PATCH", "/api/v1/repos/g/p/issues/1", Body::Parameters),
    route("POST", "/api/v1/user/repos", Body::Parameters),
    route("GET", "/api/packages/g/npm/x", Body::Content),
    route("GET", "/api/packages/g/conan/v1/ping", Body::Content),
    route("PUT", "/api/packages/g/generic/a/1/b", Body::Content),
    route("POST", "/api/packages/g/pypi", Body::Content),
    route("POST", "/api/actions_pipeline/_apis/pipelines/workflows/1/artifacts", Body::Content),
    route("GET", "/v2/", Body::Content),
    route("GET", "/v2/token?service=container_registry&scope=*", Body::Content),
    route("GET", "/v2/g/p/manifests/x", Body::Content),
    route("POST", "/v2/g/p/blobs/uploads/", Body::Content),
    route("GET", "/g/p.git/info/refs?service=git-upload-pack", Body::Content),
    route("POST", "/g/p.git/git-receive-pack", Body::Content),
    route("POST", "/g/p.git/info/lfs/objects/batch", Body::Content),
    route("GET", "/g/p/raw/branch/main/x", Body::Content),
    route("POST", "/g/p/archive/main.tar.gz", Body::Parameters),
    // A path that it does not have: who asks is looked at all the same.
    route("POST", "/api/v4/projects/7/releases", Body::Parameters),
];

/// Header fields that stand beside, among them others' credentials.
const BESIDE: [(&str, &str); 22] = [
    ("private-token", "glpat-x"),
    ("private-token", ""),
    ("private-token", "a b"),
    ("authorization", "Bearer glpat-x"),
    ("authorization", "Bearer  x"),
    ("authorization", "Basic eDp5"),
    ("authorization", ""),
    ("deploy-token", "x"),
    ("x-nuget-apikey", "key"),
    ("job-token", ""),
    ("cookie", "_gitlab_session=0123456789abcdef"),
    ("x-http-method-override", "PUT"),
    ("x-http-method-override", "get"),
    ("content-encoding", "gzip"),
    ("content-type", FORM),
    ("content-type", MULTIPART),
    ("x-http-authorization", "Bearer x"),
    ("x-forwarded-host", "elsewhere.example.com"),
    ("accept", "application/json"),
    ("user-agent", "curl/8"),
    ("x-csrf-token", "x"),
    ("range", "bytes=0-1"),
];
/// Pairs that stand beside.
const PAIRS: [&str; 12] = [
    "private_token=glpat-x",
    "private_token=",
    "access_token=x",
    "access_token=",
    "job_token=",
    "token=x",
    "_method=DELETE",
    "_method=put",
    "id=9",
    "sudo=root",
    "x=y",
    "username=gitlab-ci-token",
];
const FIELDS: [&str; 12] = [
    "job-token",
    "private-token",
    "deploy-token",
    "x-nuget-apikey",
    "job_token",
    "private_token",
    "x-api-key",
    "x-gitlab-token",
    "cookie",
    "authorization",
    "x_job_token",
    "job-token-",
];
const METHODS: [&str; 6] = ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"];
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=B";
const MEDIA: [&str; 41] = [
    "",
    " ",
    ";",
    "x",
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=utf-16",
    "application/JSON",
    "application/json ;x=y",
    "application/json,text/plain",
    "text/plain,application/json",
    "application/vnd.api+json",
    "text/json",
    "text/x-json",
    "application/jsonrequest",
    "text/plain",
    "application/octet-stream",
    "application/xml",
    FORM,
    "application/x-www-form-urlencoded; charset=utf-16",
    "APPLICATION/x-www-form-urlencoded",
    "application/x-www-form-urlencoded,x",
    "application/x-www-form-urlencoded;",
    "application/x-www-form-urlencoded+x",
    MULTIPART,
    "multipart/form-data",
    "multipart/form-data; boundary=\"B\"",
    "multipart/form-data; boundary=B; boundary=C",
    "multipart/form-data; boundary=C; boundary=B",
    "multipart/form-data;boundary=B;charset=utf-16",
    "multipart/mixed; boundary=B",
    "multipart/related; boundary=B",
    "multipart/form-data, multipart/form-data; boundary=B",
    "multipart/form-data; BOUNDARY=B",
    "Multipart/Form-Data; boundary=B",
    "multipart/form-data; x=\"boundary=C\"; boundary=B",
    "multipart/form-data; boundary=B; x=\"application/x-www-form-urlencoded\"",
    "application/x-www-form-urlencoded; x=\"multipart/form-data\"",
    "multipart/form-data; boundary*0=B",
    // Go folds its case.
    "appl\u{130}cation/x-www-form-urlencoded",
    "mult\u{130}part/form-data; boundary=B",
];

/// A request in the making.
struct Draft {
    fields: Vec<(&'static str, Vec<u8>)>,
    query: Vec<Vec<u8>>,
    body: Option<(&'static str, Vec<u8>)>,
}

/// A request with one of these planted.
pub fn plant(routes: &[Route], plants: &[Plant], random: &mut Random) -> Planted {
    let (plant, mut route) = (random.pick(plants), random.pick(routes));
    let mut draft = Draft { fields: Vec::new(), query: Vec::new(), body: None };
    draft.carry(plant.text, random);
    if random.below(16) == 0 {
        draft.carry(plant.text, random);
    }
    for _ in 0..random.pick(&[0, 0, 1, 1, 2]) {
        draft.stand_beside(random);
    }
    if draft.body.is_some() && route.method == "GET" || random.below(6) == 0 {
        let method = random.pick(&METHODS);
        // By another method nothing is there that would heed parameters before whoever is named.
        if method != route.method && route.body == Body::ParametersFirst {
            route.body = Body::Parameters;
        }
        route.method = method;
    }
    Planted { message: draft.message(route), plant, route }
}

impl Draft {
    /// Writes the credential somewhere.
    fn carry(&mut self, token: &str, random: &mut Random) {
        let name = spelling::name(random);
        match random.below(16) {
            0..4 => self.fields.push(("authorization", spelling::basic(token, "gitlab-ci-token", random))),
            4..7 => self.fields.push(("authorization", spelling::authorization(token, random))),
            7 | 8 => self.fields.push((random.pick(&FIELDS), spelling::value(token, random))),
            9 | 10 => self.query.push(spelling::pair(name, token, random)),
            11 | 12 => self.body = Some((media(FORM, random), spelling::pair(name, token, random))),
            13 | 14 => self.body = Some((media("application/json", random), spelling::json(name, token, random))),
            _ => self.body = Some((media(MULTIPART, random), spelling::multipart(name, token, random))),
        }
    }

    /// Writes something else somewhere.
    fn stand_beside(&mut self, random: &mut Random) {
        match (random.below(4), &mut self.body) {
            (0, _) => self.query.push(random.pick(&PAIRS).into()),
            (1, Some((media, body))) if *media == FORM => body.extend([b"&", random.pick(&PAIRS).as_bytes()].concat()),
            (2, None) => self.body = Some((media("", random), random.pick(&["", "{}", "x", "a=b"]).into())),
            _ => {
                let (name, value) = random.pick(&BESIDE);
                self.fields.insert(random.below(self.fields.len() + 1), (name, value.into()));
            }
        }
    }

    fn message(self, route: Route) -> Message {
        let joined = if route.path.contains('?') { b"&" } else { b"?" };
        let mut path = route.path.as_bytes().to_vec();
        if !self.query.is_empty() {
            path.extend([joined, &self.query.join(&b"&"[..])[..]].concat());
        }
        let mut head = RequestHead::new(route.method, route.host, "").without(":path").header(":path", path);
        head.end_of_stream = self.body.is_none();
        for (name, value) in self.fields {
            head = head.header(name, trimmed(&value));
        }
        let (media, body) = self.body.unwrap_or_default();
        if !head.end_of_stream {
            head = head.header("content-length", body.len().to_string());
        }
        if !media.is_empty() {
            head = head.header("content-type", trimmed(media.as_bytes()));
        }
        Message { head, body }
    }
}

/// A type, most often the right one.
fn media(right: &'static str, random: &mut Random) -> &'static str {
    if spelling::is_odd(random) { random.pick(&MEDIA) } else { right }
}

/// As a proxy hands a field on, without the blanks around it.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

impl Plant {
    /// The job token that a reader has when it has this text.
    #[must_use]
    pub fn token_in<'a>(&self, text: &'a str) -> &'a str {
        if text == self.text { self.token } else { text }
    }
}

impl Route {
    /// Whether the API answers.
    #[must_use]
    pub fn is_api(&self) -> bool {
        self.path.contains("/api/")
    }

    /// Whether Gitea looks into a form for a token.
    #[must_use]
    pub fn is_with_form(&self) -> bool {
        self.is_api() || self.path.contains("/archive/") || self.path.contains("/info/lfs/")
    }

    /// The project in its path, as the API gets it; `""` when there is none.
    #[must_use]
    pub fn project(&self) -> &'static str {
        match self.path.strip_prefix("/api/v4/projects/").and_then(|rest| rest.split('/').next()) {
            Some("g%2Fp") => "g/p",
            Some(number) => number,
            None => "",
        }
    }
}

impl Planted {
    /// Its method.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.route.method
    }

    /// The request as it goes over a connection, or why no proxy would send it on.
    ///
    /// # Errors
    /// The reason.
    pub fn bytes(&self) -> Result<Vec<u8>, &'static str> {
        let fields = self.message.fields();
        let pseudo =
            |name: &str| fields.iter().find(|(known, _)| known == name.as_bytes()).map_or(&[][..], |(_, value)| value);
        if pseudo(":path").iter().any(|byte| !(0x21..0x7f).contains(byte)) {
            return Err("a path of other bytes than those of a URI");
        }
        let mut bytes =
            [pseudo(":method"), b" ", pseudo(":path"), b" HTTP/1.1\r\nhost: ", pseudo(":authority"), b"\r\n"].concat();
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
            if value.iter().any(|byte| *byte != b'\t' && byte.is_ascii_control()) {
                return Err("a control byte in a field");
            }
            bytes.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        Ok([&bytes, &b"\r\n"[..], &self.message.body].concat())
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes().unwrap_or_default();
        f.write_str(&bytes.escape_ascii().to_string().replace("\\r\\n", "\n      "))
    }
}
