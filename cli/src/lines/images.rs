//! `docker` and `podman`: a token is asked for at the forge, and shown at the registry.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::facts::Host;

use super::url::{basic, encoded};
use super::{LineError, Setting};
use crate::request::Request;

const KNOWN: &str = "`login`, `pull`, `push` or `manifest inspect`, with an image";

pub(super) fn requests(words: &[String], setting: &Setting<'_>) -> Result<Vec<Request>, LineError> {
    let mut plain = words.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    let command = plain.next().unwrap_or_default();
    let actions = match command {
        "login" => "",
        "pull" => "pull",
        "push" => "push,pull",
        "manifest" if plain.next() == Some("inspect") => "pull",
        other => return Err(LineError::Command { expected: KNOWN, found: other.to_owned() }),
    };
    let forge = setting.config.forge.hosts.first().map_or("", |host| host.as_str());
    let root = &setting.config.forge.relative_url_root;
    let login = basic(&format!("gitlab-ci-token:{}", setting.token));
    let token = |query: &str| {
        let path = format!("{root}/jwt/auth?account=gitlab-ci-token{query}&service=container_registry");
        Request::new("GET", forge, &path).with("authorization", &login).with("user-agent", "docker/28.0.0")
    };
    if command == "login" {
        return Ok(vec![token("&client_id=docker&offline_token=true")]);
    }
    // The image is the last word, whatever values of options stand before it.
    let image = Image::parse(words.last().map_or("", String::as_str), setting)?;
    let scope = encoded(&format!("repository:{}:{actions}", image.name));
    let (method, path) = match command {
        "push" => ("POST", format!("/v2/{}/blobs/uploads/", image.name)),
        _ => ("HEAD", format!("/v2/{}/manifests/{}", image.name, image.reference)),
    };
    let at_registry = Request::new(method, &image.registry, &path).with("user-agent", "docker/28.0.0");
    Ok(vec![token(&format!("&scope={scope}")), at_registry.with("authorization", &format!("Bearer {}", made()))])
}

struct Image {
    registry: String,
    name: String,
    reference: String,
}

impl Image {
    fn parse(text: &str, setting: &Setting<'_>) -> Result<Self, LineError> {
        let hosts = &setting.config.forge.registry_hosts;
        let refuse = || LineError::Image {
            registry: hosts.first().map_or("registry.example.com", |host| host.as_str()).to_owned(),
            found: text.to_owned(),
        };
        let bare = text.strip_prefix("docker://").unwrap_or(text);
        let (registry, rest) = bare.split_once('/').ok_or_else(refuse)?;
        // At another registry the client asks nobody that the configuration knows.
        if !Host::of_authority(registry.as_bytes()).is_some_and(|host| hosts.contains(&host)) {
            return Err(refuse());
        }
        let (name, reference) = match (rest.split_once('@'), rest.rsplit_once(':')) {
            (Some((name, digest)), _) => (name.split(':').next().unwrap_or_default(), digest),
            (None, Some(parts)) => parts,
            (None, None) => (rest, "latest"),
        };
        if name.is_empty() || reference.is_empty() {
            return Err(refuse());
        }
        Ok(Self { registry: registry.to_owned(), name: name.to_owned(), reference: reference.to_owned() })
    }
}

/// What the forge makes of a job's token for the registry, but for its signature.
pub(crate) fn made() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256","typ":"JWT"}"#), part(r#"{"auth_type":"build"}"#), part("signature"))
}
