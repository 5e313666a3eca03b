//! The requests of a row: what a client sends who asks what the row asks.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::decision::Facts;
use policy::facts::JobId;
use serde_json::json;

use super::document::Row;
use super::forge::{self, HOST, JOB, ORIGIN, SECRET};
use super::given::{Entry, Given, Granted, Token};
use super::notes::Notes;
use super::tables::{
    self, ABILITIES, ANY, CLOSED, ENDPOINTS, Endpoint, OPEN, Probe, ROLES, Repository, WITHOUT_POLICY,
};
use crate::cases::message::Message;
use crate::host::{Request, RequestHead};

/// One request in one world.
#[derive(Debug)]
pub(super) struct Question {
    pub given: Given,
    pub message: Message,
    /// Whether the row's status and words belong to this request; else its decision alone does.
    pub is_worded: bool,
}

impl Question {
    /// What is known of the job beside what is looked up.
    pub(super) fn known(&self) -> Facts {
        let dependencies = self.given.asked.is_handed_out_with_it.then_some(JobId(JOB + 1));
        Facts { dependencies: dependencies.into_iter().collect(), ..Facts::default() }
    }

    /// What a runner asked before, and got, where the job is known from that.
    pub(super) fn birth(&self) -> Option<(Request, String)> {
        let request = RequestHead::new("POST", HOST, "/api/v4/jobs/request").header("content-type", "application/json");
        let payload = json!({"id": JOB, "token": SECRET, "job_info": {"project_id": ORIGIN.id},
            "dependencies": [{"id": JOB + 1, "token": SECRET}]});
        self.given.asked.is_handed_out_with_it.then(|| (request.body("{}"), payload.to_string()))
    }
}

/// The requests of a row. All of them must be decided as it says.
///
/// # Errors
/// It says what nobody here understands.
pub(super) fn questions(row: &Row) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for given in Given::of(row)? {
        let notes = Notes::new("request", &row.request);
        let protocol = notes.text("protocol")?.context("request.protocol: expected one")?;
        let asked = match protocol {
            "scope" => scope(&notes, given),
            "settings" => settings(&notes, given),
            "policy" => policy(&notes, &given),
            "token" => validate(&notes, &given),
            "api" | "packages" => api(&notes, given).map(|question| vec![question]),
            "git" => git(&notes, given).map(|question| vec![question]),
            "lfs" => lfs(&notes, given).map(|question| vec![question]),
            "registry" => registry(&notes, given).map(|question| vec![question]),
            other => Err(notes.unknown("protocol", other)),
        };
        questions.extend(asked?);
        notes.finish()?;
    }
    Ok(questions)
}

fn action<'a>(notes: &Notes<'a>) -> Result<&'a str> {
    notes.text("action")?.context("request.action: expected one")
}

/// Whether jobs of the origin are let in: reading code that is kept to members, by somebody who has every role.
fn scope(notes: &Notes<'_>, given: Given) -> Result<Vec<Question>> {
    match action(notes)? {
        "accessible?" => Ok(vec![let_in(given)]),
        "policies_allowed?" => {
            let required = given.asked.required.clone().context("given.required: expected a list")?;
            let endpoints = endpoints(&required)?;
            Ok(endpoints.into_iter().map(|endpoint| ask(&given, below(&given, endpoint), true)).collect())
        }
        other => Err(notes.unknown("action", other)),
    }
}

fn let_in(mut given: Given) -> Question {
    given.features.insert("repository_access_level", "private");
    let message = fetch(&given, "git-upload-pack", "");
    ask(&given, message, true)
}

/// Whether a target limits access: whether it refuses an origin that it does not list.
fn settings(notes: &Notes<'_>, mut given: Given) -> Result<Vec<Question>> {
    match action(notes)? {
        "effective_inbound_limit" => {
            given.entry = Entry::None;
            Ok(vec![let_in(given)])
        }
        other => Err(notes.unknown("action", other)),
    }
}

/// Whether the project's own rules give an ability. Since 18.3 the API asks before them what an endpoint declares, so they
/// are asked of the version before it.
fn policy(notes: &Notes<'_>, given: &Given) -> Result<Vec<Question>> {
    let version = given.version.clone().or(Some("18.2".into()));
    let given = &Given { version, ..given.clone() };
    let abilities = notes.texts("action")?.context("request.action: expected one")?;
    let probes = abilities.iter().map(|name| {
        let probe = ABILITIES.iter().find(|(known, _)| known == name);
        probe.map(|(_, probe)| *probe).ok_or_else(|| notes.unknown("action", name))
    });
    let mut probes = probes.collect::<Result<Vec<Probe>>>()?;
    if probes.len() > 1 {
        probes.retain(|probe| *probe != Probe::Something);
    }
    probes.dedup();
    probes.into_iter().map(|probe| probed(given.clone(), probe)).collect()
}

fn probed(mut given: Given, probe: Probe) -> Result<Question> {
    let probe = match probe {
        Probe::OpenRead | Probe::Something => tables::FETCH,
        Probe::GuestsRole | Probe::Role(_) => {
            given.features = forge::kept_to_members();
            if let (Probe::GuestsRole, Some(user)) = (probe, &mut given.user)
                && user.role == "guest"
            {
                user.role = "planner";
            }
            let least = if let Probe::Role(least) = probe { least } else { "planner" };
            ROLES.iter().find(|(role, _)| *role == least).context("a role without an action")?.1
        }
        probe => probe,
    };
    let message = match probe {
        Probe::Git(service, Repository::Code) => fetch(&given, service, ""),
        Probe::Git(service, Repository::Wiki) => fetch(&given, service, ".wiki"),
        Probe::Registry(action) => {
            token_request(&given, &[format!("repository:{}:{action}", forge::target(&given).path)])
        }
        Probe::Api(endpoint) => below(&given, endpoint),
        Probe::OpenRead | Probe::Role(_) | Probe::GuestsRole | Probe::Something => bail!("a probe without a request"),
    };
    Ok(ask(&given, message, true))
}

/// Whether the forge knows the token as a running job's. The trigger says in plain words why it does not.
fn validate(notes: &Notes<'_>, given: &Given) -> Result<Vec<Question>> {
    match action(notes)? {
        "validate" => Ok(vec![
            ask(given, trigger(given, "trigger/pipeline"), true),
            ask(given, below(given, ANY), false),
            ask(given, fetch(given, "git-upload-pack", ""), false),
        ]),
        other => Err(notes.unknown("action", other)),
    }
}

/// The endpoints that ask for these permissions: one that asks for all of them, or one for each.
fn endpoints(required: &[String]) -> Result<Vec<Endpoint>> {
    let asks = |endpoint: &Endpoint, policies: &[String]| {
        endpoint.policies.len() == policies.len()
            && policies.iter().all(|one| endpoint.policies.contains(&one.as_str()))
    };
    if required.is_empty() {
        return Ok(vec![WITHOUT_POLICY]);
    }
    if let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| asks(endpoint, required)) {
        return Ok(vec![*endpoint]);
    }
    let each = required.iter().filter(|one| *one != "admin_jobs").map(|one| {
        let endpoint = ENDPOINTS.iter().find(|endpoint| asks(endpoint, std::slice::from_ref(one)));
        endpoint.copied().with_context(|| format!("no endpoint here asks for `{one}`"))
    });
    each.collect()
}

fn api(notes: &Notes<'_>, mut given: Given) -> Result<Question> {
    let method = match (given.asked.method.clone(), notes.text("method")?) {
        (Some(method), _) => method,
        (None, Some(method)) => method.to_owned(),
        (None, None) => "GET".into(),
    };
    let carrier = notes.text("carrier")?;
    if given.asked.carriers.is_empty()
        && let Some(carrier) = carrier
    {
        let known = match carrier {
            "JOB-TOKEN header" => "JOB-TOKEN",
            "job_token query/body param" | "job_token param" => "job_token param",
            "token param" => "token param",
            "Authorization: Bearer" | "Bearer" => "Authorization: Bearer",
            "Authorization: Basic" | "Basic" => "Authorization: Basic",
            other => return Err(notes.unknown("carrier", other)),
        };
        given.asked.carriers.push((known.into(), "valid".into()));
    }
    let path = notes.text("path")?;
    let message = match path {
        Some("authenticate_with") => {
            below(&given, Endpoint { method: "GET", path: "packages/pypi/simple", policies: &[] })
        }
        Some(path) if path.ends_with("/trigger/pipeline") => {
            let (_, rest) = path.split_once("/projects/:id/").context("request.path: a trigger without a project")?;
            let rest = rest.replace(":ref", "main");
            match given.asked.carriers.first().map(|(carrier, _)| carrier.as_str()) {
                None | Some("token param") => trigger(&given, &rest),
                // A client that takes the trigger for any other endpoint.
                Some(_) => to_api(&given, &method, &format!("/api/v4/projects/{}/{rest}", forge::target(&given).id)),
            }
        }
        Some(path) => {
            if let Entry::Project(granted) | Entry::Group(granted) = &mut given.entry
                && *granted == Granted::WhatIsRequired
            {
                let required = given.asked.required.clone();
                *granted = Granted::These(required.context("given.required: expected the required policies")?);
            }
            to_api(&given, &method, &path_of(&given, path)?)
        }
        None => {
            let endpoint = endpoint_of(notes, &given)?;
            if let Entry::Project(granted) | Entry::Group(granted) = &mut given.entry
                && *granted == Granted::WhatIsRequired
            {
                *granted = Granted::These(endpoint.policies.iter().map(|policy| (*policy).to_owned()).collect());
            }
            below(&given, endpoint)
        }
    };
    Ok(ask(&given, message, true))
}

fn endpoint_of(notes: &Notes<'_>, given: &Given) -> Result<Endpoint> {
    match action(notes)? {
        "find_project!" | "any job-token endpoint" => Ok(ANY),
        "any fine-grained endpoint" => match &given.asked.required {
            Some(required) => endpoints(required)?.first().copied().context("no endpoint"),
            None => Ok(ANY),
        },
        "endpoint with no declared policy" => Ok(WITHOUT_POLICY),
        "endpoint without public features" => Ok(CLOSED),
        "endpoint with public features" => {
            let parts =
                given.asked.open_features.as_ref().context("given.endpoint_public_features: expected a list")?;
            let known = OPEN.iter().find(|(known, _)| known.iter().eq(parts));
            Ok(known.with_context(|| format!("no endpoint here is opened by {parts:?}"))?.1)
        }
        other => Err(notes.unknown("action", other)),
    }
}

/// A path of a row with names in the place of its placeholders.
fn path_of(given: &Given, path: &str) -> Result<String> {
    let target = forge::target(given);
    let path = path.replace("/projects/:id", &format!("/projects/{}", target.id));
    let job = if given.asked.names_other_job || given.token == Token::OfAnotherJob { JOB + 1 } else { JOB };
    let path =
        path.replace("/jobs/:id", &format!("/jobs/{job}")).replace("<group>", "libs").replace("<project>", target.path);
    match path.split(['/', '?']).find(|part| part.starts_with([':', '<'])) {
        Some(part) => bail!("request.path: nobody here understands `{part}`"),
        None => Ok(path.trim_end_matches("...").to_owned()),
    }
}

fn git(notes: &Notes<'_>, given: Given) -> Result<Question> {
    let (path, method) = (notes.text("path")?, notes.text("method")?);
    if path.is_some() && method.is_some_and(|method| method != "GET") {
        return Err(notes.unknown("method", method.unwrap_or_default()));
    }
    let (service, repository) = match (notes.text("action")?, given.asked.repository.as_deref()) {
        (None | Some("fetch"), None | Some("project")) => ("git-upload-pack", ""),
        (Some("push"), None | Some("project")) => ("git-receive-pack", ""),
        (Some("fetch"), Some("project wiki" | "wiki")) => ("git-upload-pack", ".wiki"),
        (Some("push"), Some("project wiki" | "wiki")) => ("git-receive-pack", ".wiki"),
        (Some("fetch"), Some("snippet" | "project snippet")) => ("git-upload-pack", "/snippets/1"),
        (Some("push"), Some("snippet" | "project snippet")) => ("git-receive-pack", "/snippets/1"),
        (Some(action), None) => return Err(notes.unknown("action", action)),
        (action, Some(other)) => {
            bail!("request.action and given.repo: nobody here understands {action:?} of `{other}`")
        }
    };
    let path = match path {
        // The project's own name stands for the row's.
        None | Some("/x.git/info/refs") => format!("/{}{repository}.git/info/refs", forge::target(&given).path),
        Some("/group/project/info/refs") => format!("/{}/info/refs", forge::target(&given).path),
        Some(other) => return Err(notes.unknown("path", other)),
    };
    let query = if given.asked.lacks_service { String::new() } else { format!("?service={service}") };
    let message = with_login(&given, "GET", &format!("{path}{query}"), None);
    Ok(ask(&given, message, true))
}

const OID: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const LFS: &str = "application/vnd.git-lfs+json";

fn lfs(notes: &Notes<'_>, given: Given) -> Result<Question> {
    let lfs = |rest: &str| format!("/{}.git/{rest}", forge::target(&given).path);
    let batch = |operation: &str, objects: &str| {
        let body = format!(r#"{{"operation":"{operation}","objects":[{objects}]}}"#);
        with_login(&given, "POST", &lfs("info/lfs/objects/batch"), Some((LFS, body)))
    };
    let object = format!(r#"{{"oid":"{OID}","size":6}}"#);
    let action = action(notes)?;
    let message = match (action, given.asked.operation.as_deref()) {
        ("batch download", None) => batch("download", &object),
        ("batch upload", None) => batch("upload", &object),
        ("batch unsupported operation", Some(other)) => batch(other, &object),
        ("batch unsupported operation", None) => batch("other", &object),
        ("batch without objects" | "batch empty objects", None) => batch("download", ""),
        ("download object", None) => with_login(&given, "GET", &lfs(&format!("gitlab-lfs/objects/{OID}")), None),
        ("upload object", None) => {
            let path = lfs(&format!("gitlab-lfs/objects/{OID}/6"));
            with_login(&given, "PUT", &path, Some(("application/octet-stream", "hello\n".into())))
        }
        ("list locks" | "GET locks", None) => with_login(&given, "GET", &lfs("info/lfs/locks"), None),
        ("create lock" | "lock" | "POST locks", None) => {
            with_login(&given, "POST", &lfs("info/lfs/locks"), Some((LFS, r#"{"path":"a"}"#.into())))
        }
        ("verify locks" | "POST locks/verify", None) => {
            with_login(&given, "POST", &lfs("info/lfs/locks/verify"), Some((LFS, "{}".into())))
        }
        (other, _) => return Err(notes.unknown("action", other)),
    };
    Ok(ask(&given, message, true))
}

fn registry(notes: &Notes<'_>, given: Given) -> Result<Question> {
    let method =
        given.asked.method.clone().or(notes.text("method")?.map(str::to_owned)).unwrap_or_else(|| "GET".into());
    let path = notes.text("path")?.context("request.path: expected one")?;
    if let Some(query) = path.strip_prefix("/jwt/auth?") {
        let message = with_login(&given, &method, &format!("/jwt/auth?{query}"), None);
        return Ok(ask(&given, message, true));
    }
    if path != "/jwt/auth" {
        return Err(notes.unknown("path", path));
    }
    let image = format!("repository:{}", forge::target(&given).path);
    let scopes = match (action(notes)?, &given.asked.scopes) {
        ("two scopes", Some(scopes)) => scopes
            .iter()
            .map(|scope| {
                let (visibility, action) =
                    scope.split_once(':').context("given.scopes: expected `visibility:action`")?;
                Ok(format!("repository:{}:{action}", forge::of_visibility(visibility)?))
            })
            .collect::<Result<Vec<_>>>()?,
        ("login" | "no scope", None) => Vec::new(),
        ("any", None) => vec![format!("{image}:pull")],
        ("registry:catalog:*", None) => vec!["registry:catalog:*".into()],
        (actions, None) if actions.split(',').all(|one| ["pull", "push", "delete", "*"].contains(&one)) => {
            vec![format!("{image}:{actions}")]
        }
        (other, _) => return Err(notes.unknown("action", other)),
    };
    let mut message = token_request(&given, &scopes);
    if method != "GET" {
        message.head = message.head.without(":method").header(":method", method);
    }
    Ok(ask(&given, message, true))
}

fn ask(given: &Given, message: Message, is_worded: bool) -> Question {
    Question { given: given.clone(), message, is_worded }
}

fn fetch(given: &Given, service: &str, repository: &str) -> Message {
    let path = format!("/{}{repository}.git/info/refs?service={service}", forge::target(given).path);
    with_login(given, "GET", &path, None)
}

fn token_request(given: &Given, scopes: &[String]) -> Message {
    let service = given.asked.service.as_deref().unwrap_or("container_registry");
    let offline = if given.asked.offline_token { "&offline_token=true" } else { "" };
    let scopes: String = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
    with_login(given, "GET", &format!("/jwt/auth?service={service}{offline}{scopes}"), None)
}

fn below(given: &Given, endpoint: Endpoint) -> Message {
    to_api(given, endpoint.method, &format!("/api/v4/projects/{}/{}", forge::target(given).id, endpoint.path))
}

/// A trigger reads its token from a form.
fn trigger(given: &Given, rest: &str) -> Message {
    let path = format!("/api/v4/projects/{}/{rest}", forge::target(given).id);
    let body = format!("token={}&ref=main", secret(given));
    message(RequestHead::new("POST", HOST, &path), Some(("application/x-www-form-urlencoded", body)))
}

/// A request of the API. The token stands in the carriers that the row names, else as `JOB-TOKEN`; a runner sends it
/// with the state of its job.
fn to_api(given: &Given, method: &str, path: &str) -> Message {
    let secret = secret(given);
    let is_state = method == "PUT" && path.starts_with("/api/v4/jobs/");
    let body = match method {
        "PATCH" => Some(("text/plain", "a line of the log\n".to_owned())),
        "PUT" if is_state => {
            let state = given.asked.state.as_deref().unwrap_or("running");
            Some(("application/json", format!(r#"{{"token":"{secret}","state":"{state}"}}"#)))
        }
        "POST" | "PUT" => Some(("application/json", "{}".to_owned())),
        _ => None,
    };
    let mut head = RequestHead::new(method, HOST, path);
    if method == "PATCH" {
        head = head.header("content-range", "0-17");
    }
    if given.asked.carriers.is_empty() && !secret.is_empty() && !is_state {
        head = head.header("job-token", &secret);
    }
    if let Some(command) = &given.asked.npm_command {
        head = head.header("npm-command", command);
    }
    for (carrier, value) in &given.asked.carriers {
        let user = value.split_once(":<").map_or("gitlab-ci-token", |(user, _)| user);
        let value = match value.as_str() {
            "valid PAT" | "invalid PAT" => "glpat-of-a-person",
            "invalid" => "glcbt-64_ofNobody",
            _ => &secret,
        };
        head = match carrier.as_str() {
            "job_token param" | "token param" => {
                let name = carrier.trim_end_matches(" param");
                let joint = if path.contains('?') { '&' } else { '?' };
                head.without(":path").header(":path", format!("{path}{joint}{name}={value}"))
            }
            "Authorization: Bearer" => head.header("authorization", format!("Bearer {value}")),
            "Authorization: Basic" => head.header("authorization", login(user, value)),
            name => head.header(name, value),
        };
    }
    message(head, body)
}

/// A request of Git, Git LFS or a registry client.
fn with_login(given: &Given, method: &str, path: &str, body: Option<(&str, String)>) -> Message {
    let mut head = RequestHead::new(method, HOST, path);
    let secret = secret(given);
    if !secret.is_empty() {
        head = head.header("authorization", login("gitlab-ci-token", &secret));
    }
    message(head, body)
}

fn login(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

fn message(mut head: RequestHead, body: Option<(&str, String)>) -> Message {
    let body = body.map_or_else(Vec::new, |(media, body)| {
        head = head.clone().header("content-type", media).with_body();
        body.into_bytes()
    });
    Message { head, body }
}

/// The token as it stands in the request; empty for none.
fn secret(given: &Given) -> String {
    let is_legacy = given.asked.carriers.iter().any(|(_, value)| value.contains("legacy unprefixed"));
    match given.token {
        Token::None => String::new(),
        Token::TooLong => format!("glcbt-64_{}", "x".repeat(8192)),
        Token::Live | Token::OfAnotherJob | Token::Dead(_) | Token::Refused(_) if is_legacy => {
            "VxGz8mT1qYw3kR5nB7cD".into()
        }
        Token::Live | Token::OfAnotherJob | Token::Dead(_) | Token::Refused(_) => forge::SECRET.into(),
    }
}
