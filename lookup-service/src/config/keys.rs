//! The table of keys: what a configuration may say, what counts where it does not, and what it means.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A list of so many texts.
    Texts(usize, usize),
    /// A whole number between these.
    Number(u64, u64),
    /// `30s`, `5m`, `1h` or `250ms`, between these milliseconds.
    Time(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be left out, and then nothing is said.
    Optional,
    /// It may be left out, and then this counts.
    Default(&'static str),
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it must be there.
    pub presence: Presence,
    /// What it means.
    pub doc: &'static str,
}

const fn key(path: &'static str, kind: Kind, presence: Presence, doc: &'static str) -> Key {
    Key { path, kind, presence, doc }
}

use Kind::{Flag, Number, Text, Texts, Time, Word, Words};
use Presence::{Default, Optional, Required};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

/// All keys.
pub const KEYS: &[Key] = &[
    key("api.listen", Text, Required, "Address and port where Envoys ask: `0.0.0.0:8443`."),
    key(
        "api.callers_env",
        Texts(1, 2),
        Required,
        "Names of environment variables, each with a token of callers (`lookup.credential_env` of the filter). Two while one takes the other's place.",
    ),
    key("api.tls.certificate", Text, Optional, "File with the certificate chain of the service, PEM."),
    key("api.tls.key", Text, Optional, "File with its private key, PEM."),
    key(
        "api.tls.client_ca",
        Text,
        Optional,
        "File with the authorities of callers' certificates, PEM. With it a caller without one is turned away.",
    ),
    key(
        "api.plaintext",
        Flag,
        Default("false"),
        "Whether the service may listen without TLS elsewhere than on loopback, because something before it has TLS.",
    ),
    key(
        "api.max_questions",
        Number(1, 65_536),
        Default("1024"),
        "How many questions are answered at a time; the next gets 503.",
    ),
    key(
        "api.max_polls",
        Number(1, 65_536),
        Default("1024"),
        "How many polls of the list of ended jobs wait at a time; the next gets 503.",
    ),
    key(
        "api.max_connections",
        Number(1, 65_536),
        Default("4096"),
        "How many connections are open at a time; the next waits.",
    ),
    key(
        "operations.listen",
        Text,
        Default("127.0.0.1:9180"),
        "Loopback address and port of `/metrics`, `/healthz` and `/readyz`.",
    ),
    key("forge.kind", Word(&["gitlab"]), Default("gitlab"), "Which forge is asked."),
    key(
        "forge.url",
        Text,
        Required,
        "Its address, with `relative_url_root` where it has one: `https://gitlab.example.com`.",
    ),
    key(
        "forge.ca",
        Text,
        Default("/etc/ssl/certs/ca-certificates.crt"),
        "File with the authorities of its certificate, PEM.",
    ),
    key("forge.credential_env", Text, Required, "Name of the environment variable with the service account's token."),
    key(
        "forge.max_per_second",
        Number(1, 100_000),
        Default("100"),
        "The most calls that this replica makes of the forge in any second. Nothing goes over it.",
    ),
    key(
        "forge.max_unknown_per_second",
        Number(1, 100_000),
        Default("100"),
        "How many tokens that turn out to be nobody's are asked for in a second, by all replicas together.",
    ),
    key("forge.retries", Number(0, 5), Default("1"), "How often a call that did not reach the forge is sent again."),
    key(
        "forge.circumstances",
        Words(&["protected", "environment", "fork"]),
        Default("[]"),
        "Circumstances of jobs that rules of the filters look at, and that cost a call of their own.",
    ),
    key(
        "forge.outbound",
        Flag,
        Default("false"),
        "Whether origins limit where their jobs go (`facts.outbound: lookup` of the filter).",
    ),
    key(
        "lookup.timeout",
        Time(100, 30 * SECOND),
        Default("1500ms"),
        "Within which time a question is answered. Shorter than nine tenths of `lookup.timeout` of the filters, which is what they give a lookup.",
    ),
    key(
        "ages.tokens",
        Time(SECOND, HOUR),
        Default("5m"),
        "How long the forge's word on a token counts where the sweep sees its job run.",
    ),
    key(
        "ages.project",
        Time(0, HOUR),
        Default("60s"),
        "How long what is known of a project counts, where a question takes memory of that age.",
    ),
    key("ages.member", Time(0, HOUR), Default("60s"), "The same of a user's role."),
    key("ages.external", Time(0, HOUR), Default("5m"), "The same of whether a user is external."),
    key("ages.allowlist", Time(0, HOUR), Default("30s"), "The same of what an allowlist says of an origin."),
    key("ages.enforcement", Time(0, HOUR), Default("60s"), "The same of whether the instance limits access."),
    key("ages.outbound", Time(0, HOUR), Default("30s"), "The same of where an origin lets its jobs go."),
    key(
        "store.kind",
        Word(&["memory", "redis"]),
        Required,
        "`memory` for one replica, `redis` (or Valkey) for several.",
    ),
    key("store.url", Text, Optional, "The Redis: `redis://host:6379`, `rediss://host:6379` with TLS, `unix:///path`."),
    key(
        "store.sentinels",
        Texts(0, 9),
        Default("[]"),
        "Instead of it: Sentinels that know the master, each `host:26379`.",
    ),
    key("store.master", Text, Optional, "What the Sentinels call it."),
    key("store.username", Text, Optional, "The user at the Redis."),
    key("store.password_env", Text, Optional, "Name of the environment variable with its password."),
    key(
        "store.tls",
        Flag,
        Default("false"),
        "Whether Redis is spoken to in TLS where Sentinels name it; a `url` says so itself.",
    ),
    key(
        "store.key_env",
        Text,
        Optional,
        "Name of the environment variable with the secret, of 32 bytes or more, under which tokens are hashed and what is stored is sealed. The same in all replicas of the service.",
    ),
    key(
        "store.replicas",
        Number(0, 5),
        Default("1"),
        "How many replicas of the Redis must hold an end before it is acknowledged. With 0 a failover may lose ends.",
    ),
    key(
        "store.name",
        Text,
        Default("forge"),
        "What this forge is called in the keys of a Redis that several services share.",
    ),
    key(
        "store.capacity",
        Number(100, 10_000_000),
        Default("100000"),
        "How many things of each kind the store `memory` remembers.",
    ),
    key(
        "sweep.every",
        Time(SECOND, HOUR),
        Default("30s"),
        "How often the running jobs are looked through for ends that nobody told.",
    ),
    key("sweep.lag", Time(0, 600 * SECOND), Default("10s"), "By how much the forge's list of running jobs may lag."),
    key(
        "sweep.check_after",
        Time(10, 60 * SECOND),
        Default("5s"),
        "After which time a job that is not listed and has ended is asked for once more, before that counts.",
    ),
    key(
        "drain",
        Time(0, 600 * SECOND),
        Default("20s"),
        "How long questions under way have when the process is told to end.",
    ),
    key("log.format", Word(&["json", "text"]), Default("json"), "How log lines look."),
    key("log.level", Word(&["error", "warn", "info", "debug"]), Default("info"), "The least level that is logged."),
];

/// The key at a path.
#[must_use]
pub fn at(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}
