//! A request as text.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Config;
use policy::request::{Body, Head, Reading, read};

/// The forge and the registry that most requests are for.
static AT_THE_ROOT: LazyLock<Config> = LazyLock::new(|| config("gitlab.example.com", "registry.example.com", ""));

/// A forge below a path.
static BELOW_A_PATH: LazyLock<Config> =
    LazyLock::new(|| config("gitlab.example.org", "registry.example.org", "/forge"));

fn config(forge: &str, registry: &str, root: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"hosts": ["{forge}"], "registry_hosts": ["{registry}"], "relative_url_root": "{root}"}},
            "lookup": {{"cluster": "c", "authority": "{forge}", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).expect("a sound configuration")
}

/// A request: a line with method and target, a line for each field, and after an empty line the body.
///
/// A field between backticks is written in base64, so that a login can be read and changed. Without a `host`, the
/// request is for `gitlab.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The fields as the host gives them: names in lower case, pseudo-headers first.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
}

impl Message {
    /// Reads any text as a request.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let (head, body) = match text.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => (&text[..at], Some(text[at + 2..].to_vec())),
            None => (text, None),
        };
        let mut lines = head.split(|b| *b == b'\n');
        let (method, target) = halves(lines.next().unwrap_or_default(), b" ");
        let mut authority = b"gitlab.example.com".to_vec();
        let mut others = Vec::new();
        for line in lines {
            let (name, value) = halves(line, b": ");
            match name.to_ascii_lowercase() {
                name if name == b"host" => authority = value.to_vec(),
                name => others.push((name, unfold(value))),
            }
        }
        let pseudo = [(&b":authority"[..], authority.as_slice()), (b":method", method), (b":path", target)];
        let mut fields: Vec<_> = pseudo.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        fields.extend(others);
        Self { fields, body }
    }

    /// Reads it as the filter would: the head, and the body when it is asked for.
    #[must_use]
    pub fn read(&self) -> Reading {
        let fields: Vec<(&[u8], &[u8])> =
            self.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let body = if self.body.is_some() { Body::Follows } else { Body::None };
        let config = if self.root().is_empty() { &AT_THE_ROOT } else { &BELOW_A_PATH };
        read(&config.forge, &Head::new(&fields, body)).finish(self.body.as_deref().unwrap_or_default())
    }

    /// The path below which the forge lies.
    #[must_use]
    pub fn root(&self) -> &'static str {
        let below = self.first(":authority").windows(11).any(|part| part.eq_ignore_ascii_case(b"example.org"));
        if below { "/forge" } else { "" }
    }

    /// Every value of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The first value of a field, or nothing.
    #[must_use]
    pub fn first(&self, name: &str) -> &[u8] {
        self.all(name).next().unwrap_or_default()
    }

    /// The path of the target, and the query.
    #[must_use]
    pub fn target(&self) -> (&[u8], Option<&[u8]>) {
        let target = self.first(":path");
        match target.iter().position(|b| *b == b'?') {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        }
    }

    /// The same request for another target.
    #[must_use]
    pub fn with_target(&self, target: Vec<u8>) -> Self {
        let mut other = self.clone();
        other.fields.iter_mut().filter(|(name, _)| name == b":path").for_each(|(_, value)| value.clone_from(&target));
        other
    }
}

/// What stands before and after the first `mark`.
fn halves<'a>(text: &'a [u8], mark: &[u8]) -> (&'a [u8], &'a [u8]) {
    match text.windows(mark.len()).position(|part| part == mark) {
        Some(at) => (&text[..at], &text[at + mark.len()..]),
        None => (text, b""),
    }
}

fn unfold(value: &[u8]) -> Vec<u8> {
    let parts = value.split(|b| *b == b'`').enumerate();
    parts.flat_map(|(at, part)| if at % 2 == 1 { STANDARD.encode(part).into_bytes() } else { part.to_vec() }).collect()
}
