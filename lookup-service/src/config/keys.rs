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
    /// A list of so many objects, each with keys of a table of its own.
    Entries(usize, usize),
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

use Kind::{Entries, Flag, Number, Text, Texts, Time, Word, Words};

use crate::forge::oidc::vendors::Vendor;
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
    key(
        "forge.kind",
        Word(&["gitlab", "oidc", "gitea"]),
        Default("gitlab"),
        "`gitlab`: a GitLab, whose jobs have its job tokens. `gitea`: a Gitea or a Forgejo, asked in its database; see [Gitea and Forgejo](#gitea-and-forgejo). `oidc`: a forge that knows no job tokens, whose jobs have the ID tokens of their CI.",
    ),
    key(
        "forge.url",
        Text,
        Required,
        "With `gitlab`, the forge's address, with `relative_url_root` where it has one: `https://gitlab.example.com`.",
    ),
    key(
        "forge.ca",
        Text,
        Default("/etc/ssl/certs/ca-certificates.crt"),
        "File with the authorities of the certificates of the forge or its database, or of issuers and their APIs, PEM.",
    ),
    key(
        "forge.credential_env",
        Text,
        Required,
        "With `gitlab`, the name of the environment variable with the service account's token.",
    ),
    key(
        "forge.max_per_second",
        Number(1, 100_000),
        Default("100"),
        "The most calls that this replica makes of the forge, or questions that it asks its database, in any second. Nothing goes over it.",
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
        "forge.webhook_secrets_env",
        Texts(0, 4),
        Default("[]"),
        "With `gitlab`, names of environment variables, each with a secret, of 16 bytes or more, of its [webhooks](#gitlabs-webhooks): a secret token, or a signing token (`whsec_...`). Several while one takes another's place.",
    ),
    key(
        "forge.audience",
        Text,
        Required,
        "With `oidc`: for whom ID tokens must be made, and for nobody else. One for each installation: `https://forge.example.com/jobscope`.",
    ),
    key(
        "forge.credential",
        Word(&["service", "own"]),
        Default("service"),
        "With `oidc`, which credential goes on to the forge: one of the ingress (`service`), or the ID token itself (`own`), for a forge that takes it.",
    ),
    key(
        "forge.issuers",
        Entries(1, 32),
        Required,
        "With `oidc`: who makes ID tokens. See [job identities](job-identities.md).",
    ),
    key(
        "forge.foreign_issuers",
        Texts(0, 32),
        Default("[]"),
        "With `oidc`: the `iss` of JWTs that are people's or the forge's own, and that pass as such.",
    ),
    key(
        "forge.projects",
        Entries(1, 100_000),
        Required,
        "With `oidc`: the projects of the installation, and what they are to jobs. See [job identities](job-identities.md).",
    ),
    key(
        "forge.database",
        Text,
        Required,
        "With `gitea`: where its PostgreSQL is, in libpq's words without a password: `host=db.example.com dbname=gitea user=jobscope`. A `host` that begins with `/` is the directory of a socket. Elsewhere than there and on loopback it is spoken to in TLS alone.",
    ),
    key(
        "forge.password_env",
        Text,
        Optional,
        "With `gitea`, the name of the environment variable with the password there.",
    ),
    key(
        "forge.jwt_secret_env",
        Text,
        Optional,
        "With `gitea`, the name of the environment variable with `[oauth2] JWT_SECRET` of its configuration. Without it the JWTs that the forge gives jobs are nobody's.",
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
        "How long the forge's word on a token counts where the sweep sees its job run. For so long a user who was blocked may go unnoticed.",
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
        Default("15s"),
        "How often the running jobs are looked through for ends that nobody told. With `gitea` the default is `1s`. Together with `sweep.lag` a few seconds less than `bindings.revalidate_after` of the filters: else GitLab is asked for tokens whose jobs it lists.",
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

/// The keys of an entry of `forge.issuers`.
pub const ISSUER: &[Key] = &[
    key("name", Text, Required, "What it is called in `identities`, in users' names and in the log: `a-z 0-9 -`."),
    key("vendor", Word(&Vendor::NAMES), Required, "Which kind of CI it is: what its claims mean and how it is asked."),
    key("issuer", Text, Required, "The `iss` of its tokens, byte for byte."),
    key("jwks_uri", Text, Optional, "Where its public keys are. `https://`, or on loopback."),
    key("jwks_file", Text, Optional, "Instead of it: a file with them, a JSON Web Key Set. It is read at the start."),
    key("algorithms", Words(&["RS256", "ES256"]), Default(r#"["RS256"]"#), "How its tokens are signed."),
    key(
        "max_lifetime",
        Time(60 * SECOND, 24 * HOUR),
        Default("1h"),
        "For how long its tokens may be valid, from `iat` to `exp`.",
    ),
    key(
        "pins",
        Texts(0, 32),
        Default("[]"),
        "Ids that its tokens must have, each `claim=value`. Of several values of one claim one must be there, of several claims each. Required where everybody has tokens made by this issuer.",
    ),
    key("api", Text, Required, "Where it is asked whether jobs run. `https://`, or on loopback."),
    key("credential_env", Text, Required, "Name of the environment variable with the token for that API."),
    key(
        "webhook_secrets_env",
        Texts(0, 2),
        Default("[]"),
        "Names of environment variables, each with a secret, of 16 bytes or more, of the webhook by which it reports that jobs are over: of GitLab, GitHub or Buildkite. Two while one takes the other's place.",
    ),
];

/// The keys of an entry of `forge.projects`.
pub const PROJECT: &[Key] = &[
    key("id", Number(0, u64::MAX), Required, "Its number: of your own choice where the forge has none. It stays."),
    key("path", Text, Required, "Its full path."),
    key(
        "identities",
        Texts(0, 32),
        Default("[]"),
        "Whose jobs are its own: each an issuer's `name`, a colon, and the id that it has there, such as `github:4711`.",
    ),
    key("visibility", Word(&["private", "internal", "public"]), Default("private"), "Who may see it."),
    key(
        "push_by_job_token",
        Word(&["off", "own", "admitted"]),
        Default("off"),
        "Whose jobs may push code to it: nobody's, its own, or also those that an entry of `admits` lets push.",
    ),
    key("role", Word(&ROLES), Default("developer"), "Which role its own jobs have in it."),
    key("open", Flag, Default("false"), "Whether it lets jobs of every project in, without a role."),
    key("admits", Entries(0, 1000), Default("[]"), "Whose jobs it lets in."),
];

/// The keys of an entry of `admits`.
pub const ADMITS: &[Key] = &[
    key("project", Text, Optional, "The full path of the project whose jobs are let in."),
    key("group", Text, Optional, "Instead of it: the full path of a group, for what is below it."),
    key("role", Word(&ROLES), Default("reporter"), "Which role they have."),
    key(
        "permissions",
        Texts(0, 64),
        Optional,
        "What they may do, as GitLab names its job token permissions: `read_repositories`. Left out, everything that the role may.",
    ),
];

const ROLES: [&str; 8] = ["none", "minimal", "guest", "planner", "reporter", "developer", "maintainer", "owner"];
