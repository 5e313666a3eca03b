//! What is wrong with a configuration, and all of it at once.

use std::collections::BTreeSet;

use super::keys::{KEYS, Presence};
use super::*;

const SOUND: &str = r"
api: {listen: '127.0.0.1:8443', callers_env: [CALLER]}
forge: {url: 'http://gitlab.example.com/gitlab', credential_env: FORGE}
store: {kind: memory}
";

fn read(text: &str) -> Result<Config, Errors> {
    let env = |name: &str| match name {
        "CALLER" | "NEXT" => Some("0123456789abcdef".to_owned()),
        "FORGE" => Some("glpat-1".to_owned()),
        "KEY" => Some("k".repeat(32)),
        "SHORT" => Some("short".to_owned()),
        "SPACED" => Some("0123456789 abcdef".to_owned()),
        _ => None,
    };
    let file = |path: &str| match path {
        "/junk.pem" => Ok(b"junk".to_vec()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    super::read(text, &Surroundings { env: &env, file: &file })
}

fn errors(text: &str) -> Vec<String> {
    read(text).err().map(|errors| errors.0).unwrap_or_default()
}

#[test]
fn a_small_one_is_enough_and_says_where_the_forge_is() {
    let config = read(SOUND).unwrap_or_else(|errors| panic!("{errors}"));
    let ForgeKind::Gitlab(gitlab) = config.forge;
    assert_eq!(gitlab.address.1.as_str(), "gitlab.example.com");
    assert_eq!(gitlab.config.forge.relative_url_root, "/gitlab");
    assert_eq!((config.max_questions, config.timeout, config.callers.len()), (1024, Duration::from_millis(1500), 1));
    assert_eq!(config.limits.lease, Duration::from_secs(2));
}

#[test]
fn circumstances_are_looked_up_where_they_are_named() {
    let with = |names: &str| {
        let text = SOUND.replace("credential_env: FORGE", &format!("credential_env: FORGE, circumstances: {names}"));
        let ForgeKind::Gitlab(gitlab) = read(&text).unwrap_or_else(|errors| panic!("{errors}")).forge;
        let needs = gitlab.config.access.needs();
        (needs.protected, needs.environment, needs.fork)
    };
    assert_eq!(with("[]"), (false, false, false));
    assert_eq!(with("[protected]"), (true, false, false));
    assert_eq!(with("[environment, fork]"), (false, true, true));
}

#[test]
fn all_errors_come_at_once_each_with_its_path() {
    let text = r"
api: {listen: '0.0.0.0:8443', callers_env: [NOWHERE], tsl: {}, max_polls: 0}
operations: {listen: '0.0.0.0:9180'}
forge: {url: 'ftp://x', credential_env: SPACED, circumstances: [weather]}
ages: {tokens: 5}
store: {kind: redis, url: 'redis://a', sentinels: ['b'], key_env: SHORT, replicas: 9}
log: {level: loud}
";
    let errors = errors(text);
    let paths: BTreeSet<&str> =
        errors.iter().filter_map(|error| error.split_once(": ")).map(|(path, _)| path).collect();
    for path in [
        "api.listen",
        "api.callers_env[0]",
        "api.tsl",
        "api.max_polls",
        "operations.listen",
        "forge.url",
        "forge.credential_env",
        "forge.circumstances",
        "forge.ca",
        "ages.tokens",
        "store.url",
        "store.sentinels",
        "store.key_env",
        "store.replicas",
        "log.level",
    ] {
        assert!(paths.contains(path), "{path} is not in {errors:#?}");
    }
    assert_eq!(paths.len(), errors.len(), "each is told once: {errors:#?}");
}

#[test]
fn an_error_says_what_was_expected_and_found() {
    for (old, new, error) in [
        ("kind: memory", "kind: disk", "store.kind: expected `memory` or `redis`, found another text"),
        ("store: {kind: memory}", "drain: 30", "drain: expected a time from 0s to 10m, found another number"),
        ("kind: memory", "kind: memory, capcity: 7", "store.capcity: unknown key; did you mean `store.capacity`?"),
        ("url: 'http://gitlab.example.com/gitlab', ", "", "forge.url: missing; expected a text"),
        (
            "listen: '127.0.0.1:8443'",
            "listen: nowhere",
            "api.listen: expected an address and a port, such as `127.0.0.1:8443`, found another text",
        ),
        (
            "callers_env: [CALLER]",
            "callers_env: [SHORT]",
            "api.callers_env[0]: expected the name of an environment variable with at least 16 bytes of printable ASCII without spaces, found fewer",
        ),
        (
            "credential_env: FORGE",
            "credential_env: NOWHERE",
            "forge.credential_env: expected the name of an environment variable with printable ASCII without spaces, found no such variable",
        ),
        (
            "credential_env: FORGE",
            "credential_env: SPACED, outbuond: true",
            "forge.outbuond: unknown key; did you mean `forge.outbound`?",
        ),
        (
            "credential_env: FORGE",
            "credential_env: FORGE, token: x",
            "forge.token: unknown key; expected one of `forge.kind`, `forge.url`, `forge.ca`, `forge.credential_env`, \
             `forge.max_per_second`, `forge.max_unknown_per_second`, `forge.retries`, `forge.circumstances`, `forge.outbound`",
        ),
        ("forge: {", "forge: {kind: gitea, ", "forge.kind: expected `gitlab`, found another text"),
        ("store: {kind: memory}", "stor: {kind: memory}", "stor: unknown key; did you mean `store`?"),
        (
            "http://gitlab",
            "https://gitlab",
            "forge.ca: `/etc/ssl/certs/ca-certificates.crt`, its default, is not there",
        ),
        (
            "store:",
            "store: {}\nstore:",
            "the document: expected YAML in which no key stands twice, found another text from line 5, column 1 on",
        ),
        (
            "callers_env: [CALLER]",
            "callers_env: [CALLER], tls: {certificate: /junk.pem}",
            "api.tls.key: missing beside `api.tls.certificate`",
        ),
        (
            "callers_env: [CALLER]",
            "callers_env: [CALLER], tls: {certificate: /junk.pem, key: /junk.pem}",
            "api.tls.certificate: expected certificates in PEM in the file that it names",
        ),
    ] {
        let errors = errors(&SOUND.replace(old, new));
        assert!(errors.contains(&error.to_owned()), "{new}: {errors:#?}");
    }
    assert!(errors("[").iter().all(|error| error.starts_with("the document: ")));
    assert!(errors("7").iter().any(|error| error.starts_with("the document: ")));
}

#[test]
fn job_tokens_do_not_cross_a_network_in_the_clear_unless_that_is_said() {
    let elsewhere = SOUND.replace("127.0.0.1:8443", "0.0.0.0:8443");
    assert!(errors(&elsewhere)[0].starts_with("api.listen: job tokens would go over the network unprotected"));
    assert!(read(&elsewhere.replace("callers_env", "plaintext: true, callers_env")).is_ok());
}

#[test]
fn a_secret_stands_in_no_error() {
    let short = SOUND.replace("[CALLER]", "[SHORT, SPACED]");
    let user = SOUND.replace("http://gitlab", "http://x:short@gitlab");
    assert!(errors(&user)[0].starts_with("forge.url: ") && !errors(&user)[0].contains("short"));
    let text = errors(&short).join("\n");
    assert!(!text.contains("short\n") && !text.contains("0123456789"), "{text}");
    // Nor where it stands in the place of something else.
    let secret = "glpat-secret";
    let places =
        KEYS.iter().flat_map(|key| [json!(secret), json!([secret]), json!({"x": secret})].map(|at| (key.path, at)));
    let mut told = 0;
    for (path, value) in places.chain([("api", json!(secret)), ("", json!(secret)), ("forge.token", json!(secret))]) {
        let mut document: Value = serde_saphyr::from_str(SOUND).unwrap();
        let pointer = path.split('.').filter(|name| !name.is_empty());
        *pointer.fold(&mut document, |at, name| &mut at[name]) = value;
        let errors = errors(&document.to_string());
        assert!(!errors.join("\n").contains(secret), "{errors:#?}");
        told += usize::from(!errors.is_empty());
    }
    assert!(told > 2 * KEYS.len(), "most of these are wrong: {told}");
    let broken = [
        "forge: {credential_env: glpat-secret, credential_env: glpat-secret}",
        "glpat-secret: [",
        "*glpat-secret",
        "forge: !!int glpat-secret",
        "glpat-secret: 1\nglpat-secret: 2",
        "forge: {url: 'https://glpat-secret/a//b'}",
        "forge: {url: 'https://glpat-secret_x:80/'}",
    ];
    for text in broken {
        let errors = errors(text);
        assert!(!errors.is_empty() && !errors.join("\n").contains(secret), "{errors:#?}");
    }
}

#[test]
fn a_redis_needs_a_secret_and_one_way_to_find_it() {
    let with = |store: &str| read(&SOUND.replace("kind: memory", store));
    assert!(with("kind: redis, url: 'redis://r:6379', key_env: KEY").is_ok());
    assert!(with("kind: redis, sentinels: ['s:26379'], master: m, key_env: KEY").is_ok());
    for wrong in [
        "kind: redis, url: 'redis://r:6379'",
        "kind: redis, key_env: KEY",
        "kind: redis, sentinels: ['s:26379'], key_env: KEY",
        "kind: redis, url: 'redis://r:6379', master: m, key_env: KEY",
        "kind: redis, url: 'redis://r:6379', key_env: KEY, name: 'a}b'",
    ] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_table_is_sound() {
    let paths: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(paths.len(), KEYS.len());
    for key in KEYS {
        assert!(key.doc.ends_with('.'), "{}", key.path);
        assert!(!paths.iter().any(|other| other.strip_prefix(key.path).is_some_and(|rest| rest.starts_with('.'))));
    }
}

/// The table of keys as `docs/lookup-service.md` has it.
fn documented() -> String {
    let row = |key: &super::keys::Key| {
        let default = match key.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional => String::new(),
            Presence::Default(default) => format!("`{default}`"),
        };
        format!("| `{}` | {} | {default} | {} |\n", key.path, expected(key.kind), key.doc)
    };
    KEYS.iter().map(row).collect()
}

#[test]
fn the_documentation_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lookup-service.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- keys: made by `make docs` -->\n", "<!-- end of keys -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (_, tail) = rest.split_once(end).unwrap();
    let table = format!("| key | value | default | meaning |\n|---|---|---|---|\n{}", documented());
    let whole = format!("{head}{begin}{table}{end}{tail}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, whole).unwrap();
        return;
    }
    assert!(text == whole, "the table of keys in docs/lookup-service.md is another: `make docs` writes it");
}
