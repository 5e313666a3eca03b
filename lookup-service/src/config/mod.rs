//! The configuration: a YAML document against a table of keys, with what it names in environment and files. All errors come
//! at once, and a configuration with one starts nothing.

#[cfg(feature = "gitea")]
mod gitea;
pub mod keys;
mod oidc;
mod reader;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use policy::bindings::Inquiry;
use policy::facts::{Part, Secret};
use serde_json::{Value, json};

use keys::KEYS;
use reader::Reader;
pub use reader::{Errors, expected, unread};

use crate::flights::Ages;
use crate::forge::calls::Manner;
use crate::forge::{self, gitlab};
use crate::store::Limits;
use crate::webhooks;

/// A configuration that passed every check.
pub struct Config {
    /// Where Envoys ask.
    pub listen: SocketAddr,
    /// Who may.
    pub callers: Vec<Secret>,
    /// In TLS, with this.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How many questions are answered at a time.
    pub max_questions: usize,
    /// How many polls wait at a time.
    pub max_polls: usize,
    /// How many connections are open at a time.
    pub max_connections: usize,
    /// Where who runs it looks.
    pub operations: SocketAddr,
    /// Which forge.
    pub forge: ForgeKind,
    /// Within which time a question is answered.
    pub timeout: Duration,
    /// To which age what is remembered serves.
    pub ages: Ages,
    /// What bounds the store.
    pub limits: Limits,
    /// Which store.
    pub store: StoreKind,
    /// How the running jobs are looked through.
    pub sweep: Sweep,
    /// How long questions under way have at the end.
    pub drain: Duration,
    /// Whether log lines are JSON.
    pub json_log: bool,
    /// The least level that is logged.
    pub level: String,
}

/// Which forge, and what it is asked with.
pub enum ForgeKind {
    /// A GitLab.
    Gitlab(Box<gitlab::Settings>),
    /// A Gitea or a Forgejo.
    #[cfg(feature = "gitea")]
    Gitea(Box<forge::gitea::Settings>),
    /// None that knows job tokens: ID tokens.
    Oidc(Box<forge::oidc::Settings>),
}

impl ForgeKind {
    /// Whom lookups ask, and what for.
    #[must_use]
    pub fn inquiry(&self) -> Inquiry {
        match self {
            Self::Gitlab(settings) => Inquiry::of(&settings.config),
            #[cfg(feature = "gitea")]
            Self::Gitea(settings) => settings.inquiry,
            Self::Oidc(settings) => settings.inquiry,
        }
    }
}

/// Which keys are of one kind of forge alone.
const OF_KIND: &[(&str, &[&str])] = &[
    (
        "gitlab",
        &["forge.url", "forge.credential_env", "forge.webhook_secrets_env", "forge.circumstances", "forge.outbound"],
    ),
    ("oidc", oidc::OF_OIDC),
    ("gitea", &["forge.database", "forge.password_env", "forge.jwt_secret_env"]),
];

/// Which store.
pub enum StoreKind {
    /// This process's memory, of so many things of each kind.
    Memory(usize),
    /// A Redis.
    Redis(Redis),
}

/// A Redis.
#[derive(Clone)]
pub struct Redis {
    /// Its address; empty where Sentinels know it.
    pub url: String,
    /// Sentinels, `host:port`, and what they call it.
    pub sentinels: Vec<(String, u16)>,
    /// What Sentinels call it.
    pub master: String,
    /// The user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Whether to speak TLS where Sentinels name it.
    pub tls: bool,
    /// The secret of hashes and seals.
    pub key: Secret,
    /// How many replicas must hold an end.
    pub replicas: u64,
    /// What the forge is called in keys.
    pub name: String,
}

/// How the running jobs are looked through.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// How often.
    pub every: Duration,
    /// By how much the forge's list may lag.
    pub lag: Duration,
    /// After which time an end that nobody told is asked for once more.
    pub check_after: Duration,
}

/// What surrounds a configuration.
pub struct Surroundings<'a> {
    /// An environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A file.
    pub file: &'a dyn Fn(&str) -> std::io::Result<Vec<u8>>,
}

/// Reads a configuration.
///
/// # Errors
/// All that is wrong with it.
pub fn read(text: &str, around: &Surroundings<'_>) -> Result<Config, Errors> {
    let document: Value = serde_saphyr::from_str(text).map_err(|error| {
        // Its message may have a piece of the document in it.
        let place = error.location().map(|place| format!(" from line {}, column {} on", place.line(), place.column()));
        let why = "expected YAML in which no key stands twice, found another text";
        Errors(vec![format!("the document: {why}{}", place.unwrap_or_default())])
    })?;
    let mut reader = Reader::of(&document, KEYS);
    let listen = address(&mut reader, "api.listen");
    let callers = secrets(&mut reader, around, "api.callers_env");
    let tls = tls::server(&mut reader, around);
    if reader.flag("api.plaintext") {
        if tls.is_some() {
            reader.error("api.plaintext", "expected `false`, because `api.tls` is there");
        }
    } else if tls.is_none() && !reader.is_given("api.tls.certificate") && !listen.ip().is_loopback() {
        let why = "job tokens would go over the network unprotected: give `api.tls.certificate` and `api.tls.key`, listen on \
                   loopback, or say `api.plaintext: true` where something before the service has TLS";
        reader.error("api.listen", why);
    }
    let operations = address(&mut reader, "operations.listen");
    if !operations.ip().is_loopback() {
        reader.error("operations.listen", "expected a loopback address");
    }
    let timeout = reader.time("lookup.timeout");
    let forge = forge(&mut reader, around, timeout);
    let ages = ages(&mut reader);
    let unknown = u32::try_from(reader.number("forge.max_unknown_per_second")).unwrap_or(u32::MAX);
    let limits =
        Limits { tokens: ages.tokens, lease: timeout + Duration::from_millis(500), unknown_per_second: unknown };
    let store = store(&mut reader, around);
    let sweep = reader.time("sweep.every");
    // One question for all jobs is asked every second.
    let is_sure = reader.given("forge.kind").is_some_and(|kind| kind == "gitea") && !reader.is_given("sweep.every");
    let sweep = if is_sure { Duration::from_secs(1) } else { sweep };
    let config = (|| {
        Some(Config {
            listen,
            callers,
            tls,
            max_questions: reader.size("api.max_questions"),
            max_polls: reader.size("api.max_polls"),
            max_connections: reader.size("api.max_connections"),
            operations,
            forge: forge?,
            timeout,
            ages,
            limits,
            store: store?,
            sweep: Sweep { every: sweep, lag: reader.time("sweep.lag"), check_after: reader.time("sweep.check_after") },
            drain: reader.time("drain"),
            json_log: reader.text("log.format")? == "json",
            level: reader.text("log.level")?,
        })
    })();
    if config.is_none() {
        // What is behind the first that is missing is read too, so that its errors are told.
        for key in ["api.max_questions", "api.max_polls", "api.max_connections"] {
            reader.number(key);
        }
        for key in ["sweep.lag", "sweep.check_after", "drain"] {
            reader.time(key);
        }
        for key in ["log.format", "log.level"] {
            reader.text(key);
        }
    }
    reader.finish()?;
    config.ok_or_else(|| Errors(vec!["the document: cannot be used; this is a fault of the service".into()]))
}

/// What counts where an error was noted and reading goes on.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn address(reader: &mut Reader, path: &'static str) -> SocketAddr {
    let Some(text) = reader.text(path) else { return NOWHERE };
    text.parse().unwrap_or_else(|_| {
        reader.error(path, "expected an address and a port, such as `127.0.0.1:8443`, found another text");
        NOWHERE
    })
}

/// A secret from the environment: printable ASCII without spaces. The variable's name is in no error: where the secret itself
/// stands in its place, that would tell it.
fn secret(reader: &mut Reader, around: &Surroundings<'_>, path: &str, name: &str, least: usize) -> Option<Secret> {
    let value = (around.env)(name);
    let found = match &value {
        None => "no such variable",
        Some(value) if value.is_empty() => "nothing in it",
        Some(value) if value.len() < least => "fewer",
        Some(value) if !value.bytes().all(|byte| byte.is_ascii_graphic()) => "others",
        Some(value) => return Some(Secret::new(value.as_bytes())),
    };
    let bytes = if least > 1 { format!("at least {least} bytes of printable ASCII") } else { "printable ASCII".into() };
    let why = format!("expected the name of an environment variable with {bytes} without spaces, found {found}");
    reader.error(path, &why);
    None
}

/// Secrets of 16 bytes or more, by the names of their variables.
fn secrets(reader: &mut Reader, around: &Surroundings<'_>, path: &'static str) -> Vec<Secret> {
    let names = reader.texts(path).into_iter().enumerate();
    names.filter_map(|(at, name)| secret(reader, around, &format!("{path}[{at}]"), &name, 16)).collect()
}

/// Looks at the signing tokens among a GitLab's secrets.
fn signing_tokens(reader: &mut Reader, path: &str, secrets: &[Secret]) {
    let is_wrong = |secret: &Secret| webhooks::gitlab::signing_key(secret).is_some_and(|key| key.is_err());
    if secrets.iter().any(is_wrong) {
        reader.error(path, "expected base64 behind `whsec_`, as GitLab makes signing tokens, found others");
    }
}

fn forge(reader: &mut Reader, around: &Surroundings<'_>, timeout: Duration) -> Option<ForgeKind> {
    let kind = reader.text("forge.kind");
    // Each kind reads it, and an unknown one would not.
    reader.set_aside("forge.ca", None);
    let manner = Manner {
        timeout,
        retries: u32::try_from(reader.number("forge.retries")).unwrap_or_default(),
        max_per_second: reader.size("forge.max_per_second"),
    };
    for (other, keys) in OF_KIND.iter().filter(|(other, _)| Some(*other) != kind.as_deref()) {
        // Where the kind itself is wrong, nothing is known of the others.
        let why = kind.as_ref().map(|_| format!("expected nothing, because it is of `forge.kind: {other}` alone"));
        keys.iter().for_each(|key| reader.set_aside(key, why.as_deref()));
    }
    match kind?.as_str() {
        "gitlab" => gitlab(reader, around, manner).map(|settings| ForgeKind::Gitlab(Box::new(settings))),
        #[cfg(feature = "gitea")]
        "gitea" => gitea::read(reader, around, manner).map(|settings| ForgeKind::Gitea(Box::new(settings))),
        #[cfg(not(feature = "gitea"))]
        "gitea" => {
            let keys = OF_KIND.iter().filter(|(kind, _)| *kind == "gitea").flat_map(|(_, keys)| *keys);
            keys.for_each(|key| reader.set_aside(key, None));
            reader.error("forge.kind", "this jobscope-lookup was built without it: build it with `--features gitea`");
            None
        }
        "oidc" => oidc::read(reader, around, manner).map(|settings| ForgeKind::Oidc(Box::new(settings))),
        _ => None,
    }
}

fn gitlab(reader: &mut Reader, around: &Surroundings<'_>, manner: Manner) -> Option<gitlab::Settings> {
    let is_plain = reader.text("forge.url").is_some_and(|url| url.starts_with("http://"));
    let tls = tls::client(reader, around, is_plain);
    let url = reader.text("forge.url");
    let name = reader.text("forge.credential_env");
    let credential = name.clone().and_then(|name| secret(reader, around, "forge.credential_env", &name, 1));
    let webhook_secrets = secrets(reader, around, "forge.webhook_secrets_env");
    signing_tokens(reader, "forge.webhook_secrets_env", &webhook_secrets);
    let circumstances = reader.texts("forge.circumstances");
    let outbound = reader.flag("forge.outbound");
    let url = url?;
    let parts = url.parse::<Uri>().ok().and_then(|uri| {
        let scheme = uri.scheme()?.clone();
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_plain = uri.query().is_none() && !has_user && matches!(scheme.as_str(), "http" | "https");
        is_plain.then_some((scheme, uri.authority()?.clone(), uri.path().trim_end_matches('/').to_owned()))
    });
    let Some((scheme, authority, root)) = parts else {
        // What was found may have a password in it.
        reader.error("forge.url", "expected an `https://` address without a user and without a query");
        return None;
    };
    let document = filter_document(&authority, &root, &circumstances, outbound);
    let config = policy::Config::parse(document.to_string().as_bytes());
    let why = "expected the address of a host by its name, with a path of whole segments behind it or none";
    let config = config.map_err(|_| reader.error("forge.url", why)).ok();
    let (tls, config, credential) = (tls?, config?, credential?);
    Some(gitlab::Settings { address: (scheme, authority), tls, config, credential, webhook_secrets, manner })
}

/// What a filter that asks the forge itself, and has everything looked up, would be told.
fn filter_document(forge: &axum::http::uri::Authority, root: &str, circumstances: &[String], outbound: bool) -> Value {
    let asked = |name: &str| circumstances.iter().any(|known| known == name);
    let mut when = json!({});
    if let Value::Object(when) = &mut when {
        let all = [("protected", json!(true)), ("environment", json!(["any"])), ("fork", json!(true))];
        when.extend(all.into_iter().filter(|(name, _)| asked(name)).map(|(name, value)| (name.to_owned(), value)));
    }
    let mut document = json!({
        "forge": {"hosts": [forge.host()], "relative_url_root": root},
        "lookup": {"cluster": "forge", "authority": forge.as_str(), "credential_env": "FORGE"},
        "facts": {"outbound": if outbound { "lookup" } else { "forge" }},
    });
    if !circumstances.is_empty()
        && let Value::Object(members) = &mut document
    {
        members.insert("access".into(), json!({"deny": [{"id": "circumstances", "when": when}]}));
    }
    document
}

fn ages(reader: &mut Reader) -> Ages {
    Ages {
        tokens: reader.time("ages.tokens"),
        parts: [
            (Part::Project, reader.time("ages.project")),
            (Part::Member, reader.time("ages.member")),
            (Part::External, reader.time("ages.external")),
            (Part::Allowlist, reader.time("ages.allowlist")),
            (Part::Enforcement, reader.time("ages.enforcement")),
            (Part::Outbound, reader.time("ages.outbound")),
        ],
    }
}

fn store(reader: &mut Reader, around: &Surroundings<'_>) -> Option<StoreKind> {
    let kind = reader.text("store.kind");
    let capacity = reader.size("store.capacity");
    let (url, master) = (reader.text("store.url"), reader.text("store.master"));
    let listed = reader.texts("store.sentinels");
    let (username, tls) = (reader.text("store.username"), reader.flag("store.tls"));
    let name = reader.text("store.name")?;
    let replicas = reader.number("store.replicas");
    let password = reader.text("store.password_env");
    let password = password.map(|name| secret(reader, around, "store.password_env", &name, 1));
    let key = reader.text("store.key_env");
    let key = key.map(|name| secret(reader, around, "store.key_env", &name, 32));
    if kind? == "memory" {
        return Some(StoreKind::Memory(capacity));
    }
    if name.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"-._".contains(&byte)) {
        reader.error("store.name", "expected letters, digits, `-`, `.` and `_`");
    }
    match (&url, listed.is_empty(), &master) {
        (Some(_), true, None) | (None, false, Some(_)) => {}
        _ => reader.error("store.url", "expected either `store.url`, or `store.sentinels` and `store.master`"),
    }
    let sentinel = |text: &String| {
        let (host, port) = text.rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    };
    let sentinels: Vec<(String, u16)> = listed.iter().filter_map(sentinel).collect();
    if sentinels.len() < listed.len() {
        reader.error("store.sentinels", "expected a host and a port for each, such as `sentinel-1:26379`");
    }
    if key.is_none() {
        reader.error(
            "store.key_env",
            "missing; expected the name of an environment variable, because `store.kind` is `redis`",
        );
    }
    Some(StoreKind::Redis(Redis {
        url: url.unwrap_or_default(),
        sentinels,
        master: master.unwrap_or_default(),
        username,
        password: password.flatten(),
        tls,
        key: key??,
        replicas,
        name,
    }))
}

#[cfg(test)]
mod tests;
