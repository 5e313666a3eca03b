//! What job identities are judged by: issuers, and the projects of the installation.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::Uri;
use axum::http::uri::Scheme;
use policy::bindings::Inquiry;
use policy::facts::{
    Grants, GroupPath, Hash, JobPush, Origin, Permission, Permissions, ProjectId, ProjectPath, Role, Visibility,
};
use serde_json::Value;

use super::keys::{ADMITS, ISSUER, PROJECT};
use super::{Reader, Surroundings, filter_document, secret, secrets, signing_tokens, tls, unread};
use crate::forge::Credential;
use crate::forge::calls::Manner;
use crate::forge::oidc::keys::{Algorithm, Keys};
use crate::forge::oidc::projects::{Admits, Named, Project, Projects};
use crate::forge::oidc::vendors::Vendor;
use crate::forge::oidc::{Address, IssuerSettings, KeySource, Settings};

/// The keys that are read here.
pub(super) const OF_OIDC: &[&str] =
    &["forge.audience", "forge.credential", "forge.issuers", "forge.foreign_issuers", "forge.projects"];

pub(super) fn read(reader: &mut Reader, around: &Surroundings<'_>, manner: Manner) -> Option<Settings> {
    let audience = reader.text("forge.audience");
    let credential = reader.text("forge.credential");
    let credential = credential.and_then(|name| by_name(&Credential::ALL, &name));
    let foreign = reader.texts("forge.foreign_issuers");
    let issuers: Vec<IssuerSettings> = reader.entries("forge.issuers", ISSUER, |entry| issuer(entry, around));
    for (at, issuer) in issuers.iter().enumerate() {
        let others = issuers.iter().take(at);
        if others.clone().any(|other| other.name == issuer.name) {
            reader.error("forge.issuers", "expected a `name` of its own for each, found one twice");
        }
        if others.clone().any(|other| other.issuer == issuer.issuer) || foreign.contains(&issuer.issuer) {
            reader.error("forge.issuers", "expected an `issuer` of its own for each, found one twice");
        }
    }
    let projects = projects(reader, &issuers);
    let is_plain = issuers.iter().all(|issuer| {
        let keys = match &issuer.keys {
            KeySource::File(_) => true,
            KeySource::Server(at) => at.scheme == Scheme::HTTP,
        };
        keys && issuer.api.scheme == Scheme::HTTP
    });
    let tls = tls::client(reader, around, is_plain);
    let inquiry = inquiry(reader)?;
    Some(Settings {
        audience: audience?,
        credential: credential?,
        issuers,
        foreign,
        projects,
        manner,
        tls: tls?,
        inquiry,
    })
}

fn by_name<T: Copy>(all: &[(T, &str)], name: &str) -> Option<T> {
    all.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

/// By what identities are judged: what is stored under another configuration is not found.
fn inquiry(reader: &Reader) -> Option<Inquiry> {
    let all = OF_OIDC.iter().map(|key| reader.given(key).map(Value::to_string).unwrap_or_default());
    let Hash(hash) = Hash::of(&[b"oidc", all.collect::<Vec<_>>().join("\n").as_bytes()]);
    let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let document = filter_document(&format!("{name}.oidc").parse().ok()?, "", &[], false);
    policy::Config::parse(document.to_string().as_bytes()).ok().map(|config| Inquiry::of(&config))
}

fn issuer(entry: &mut Reader, around: &Surroundings<'_>) -> Option<IssuerSettings> {
    let name = entry.text("name");
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.as_ref().is_some_and(|name| name.len() > 32 || !name.bytes().all(is_name)) {
        entry.error("name", "expected at most 32 of `a-z`, `0-9` and `-`, found another text");
    }
    let vendor = entry.text("vendor").and_then(|name| Vendor::named(&name));
    let issuer = entry.text("issuer");
    let algorithms: Vec<Algorithm> =
        entry.texts("algorithms").iter().filter_map(|name| Algorithm::named(name)).collect();
    if algorithms.is_empty() {
        entry.error("algorithms", "expected one or more");
    }
    let max_lifetime = entry.time("max_lifetime");
    let pins = pins(entry, vendor);
    if let (Some(vendor), Some(issuer)) = (vendor, &issuer)
        && pins.is_empty()
        && vendor.public.iter().any(|public| issuer.starts_with(public))
    {
        let claims: Vec<String> = vendor.pins.iter().map(|claim| format!("`{claim}=...`")).collect();
        let why = format!("missing; expected {}, because everybody has tokens made there", claims.join(" or "));
        entry.error("pins", &why);
    }
    let keys = keys(entry, around);
    let api = entry.text("api").and_then(|url| address(entry, "api", &url));
    let credential = entry.text("credential_env");
    let credential = credential.and_then(|name| secret(entry, around, "credential_env", &name, 1));
    let webhook_secrets = secrets(entry, around, "webhook_secrets_env");
    if !webhook_secrets.is_empty() && vendor.is_some_and(|vendor| !vendor.reports()) {
        entry.error("webhook_secrets_env", "expected nothing: no webhook of this vendor is understood");
    }
    if vendor.is_some_and(|vendor| vendor.name == "gitlab") {
        signing_tokens(entry, "webhook_secrets_env", &webhook_secrets);
    }
    Some(IssuerSettings {
        name: name?,
        vendor: vendor?,
        issuer: issuer?,
        algorithms,
        max_lifetime,
        pins,
        keys: keys?,
        api: api?,
        credential: credential?,
        webhook_secrets,
    })
}

/// `claim=value` each, gathered by claim.
fn pins(entry: &mut Reader, vendor: Option<&Vendor>) -> Vec<(String, Vec<String>)> {
    let mut pins: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (at, pin) in entry.texts("pins").iter().enumerate() {
        match pin.split_once('=') {
            Some((claim, value)) if !value.is_empty() && vendor.is_none_or(|vendor| vendor.pins.contains(&claim)) => {
                pins.entry(claim.to_owned()).or_default().push(value.to_owned());
            }
            _ => {
                let claims = vendor.map_or_else(String::new, |vendor| vendor.pins.join("` or `"));
                let why =
                    format!("expected `claim=value` with an id that tokens have (`{claims}`), found another text");
                entry.error(&format!("pins[{at}]"), &why);
            }
        }
    }
    pins.into_iter().collect()
}

fn keys(entry: &mut Reader, around: &Surroundings<'_>) -> Option<KeySource> {
    match (entry.text("jwks_uri"), entry.text("jwks_file")) {
        (Some(url), None) => address(entry, "jwks_uri", &url).map(KeySource::Server),
        (None, Some(path)) => {
            let json = (around.file)(&path);
            let json =
                json.map_err(|error| entry.error("jwks_file", &unread("the file that it names", &error))).ok()?;
            let keys = Keys::parse(&json).filter(|keys| !keys.is_empty());
            if keys.is_none() {
                entry.error(
                    "jwks_file",
                    "expected a JSON Web Key Set with an RSA or P-256 key in the file that it names",
                );
            }
            keys.map(KeySource::File)
        }
        _ => {
            entry.error("jwks_uri", "expected either `jwks_uri` or `jwks_file`");
            None
        }
    }
}

/// An address at which nobody on the way can answer: in TLS, or on this machine.
fn address(entry: &mut Reader, path: &'static str, url: &str) -> Option<Address> {
    let read = url.parse::<Uri>().ok().and_then(|uri| {
        let (scheme, authority) = (uri.scheme()?.clone(), uri.authority()?.clone());
        let is_here = authority.host().trim_matches(['[', ']']).parse().is_ok_and(|host: IpAddr| host.is_loopback());
        let is_safe = scheme == Scheme::HTTPS || scheme == Scheme::HTTP && is_here;
        let is_plain = uri.query().is_none() && !authority.as_str().contains('@');
        let path = uri.path().trim_end_matches('/').to_owned();
        (is_safe && is_plain).then_some(Address { scheme, authority, path })
    });
    if read.is_none() {
        let why =
            "expected an `https://` address without a user and without a query, or `http://` at a loopback address";
        entry.error(path, why);
    }
    read
}

fn projects(reader: &mut Reader, issuers: &[IssuerSettings]) -> Projects {
    let mut projects = Projects::default();
    reader.entries("forge.projects", PROJECT, |entry| {
        let (project, identities) = project(entry, issuers)?;
        let twice = projects.add(project, identities);
        twice.map_err(|key| entry.error(key, "expected what no other project has")).ok()
    });
    projects
}

fn project(entry: &mut Reader, issuers: &[IssuerSettings]) -> Option<(Project, Vec<(String, String)>)> {
    let id = ProjectId(entry.number("id"));
    let path = entry.text("path").and_then(|path| project_path(entry, "path", &path));
    let identities = entry.texts("identities").into_iter().enumerate();
    let identities = identities.filter_map(|(at, identity)| {
        let known = identity.split_once(':').filter(|(name, id)| {
            // Where an issuer is wrong itself, its name may be missing here.
            !id.is_empty() && (issuers.is_empty() || issuers.iter().any(|issuer| issuer.name == *name))
        });
        if known.is_none() {
            entry.error(&format!("identities[{at}]"), "expected the `name` of an issuer, a colon and an id");
        }
        known.map(|(name, id)| (name.to_owned(), id.to_owned()))
    });
    let identities: Vec<(String, String)> = identities.collect();
    let visibility = entry.text("visibility").and_then(|name| Visibility::named(&name));
    let job_push = entry.text("push_by_job_token").and_then(|name| by_name(&JobPush::ALL, &name));
    let role = entry.text("role").and_then(|name| Role::named(&name));
    let open = entry.flag("open");
    let admits = entry.entries("admits", ADMITS, admits);
    let origin = Origin { id, path: path? };
    let project = Project { origin, visibility: visibility?, job_push: job_push?, role: role?, open, admits };
    Some((project, identities))
}

fn project_path(entry: &mut Reader, key: &'static str, path: &str) -> Option<ProjectPath> {
    let read = ProjectPath::parse(path);
    if read.is_none() {
        entry.error(key, "expected a project's full path, such as `apps/web`");
    }
    read
}

fn admits(entry: &mut Reader) -> Option<Admits> {
    let named = match (entry.text("project"), entry.text("group")) {
        (Some(path), None) => project_path(entry, "project", &path).map(Named::Project),
        (None, Some(group)) => {
            let read = GroupPath::parse(&group).map(Named::Group);
            if read.is_none() {
                entry.error("group", "expected a group's full path, such as `apps`");
            }
            read
        }
        _ => {
            entry.error("project", "expected either `project` or `group`");
            None
        }
    };
    let role = entry.text("role").and_then(|name| Role::named(&name));
    let names = entry.texts("permissions");
    let permissions: Vec<Permission> = names.iter().filter_map(|name| Permission::named(name)).collect();
    if permissions.len() < names.len() {
        entry.error("permissions", "expected names of GitLab's job token permissions, such as `read_repositories`");
    }
    let grants =
        if entry.is_given("permissions") { Grants::Only(Permissions::of(&permissions)) } else { Grants::Default };
    Some(Admits { named: named?, role: role?, grants })
}
