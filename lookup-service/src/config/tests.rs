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
        "JWT" => Some("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc".to_owned()),
        "SIGNING" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg==".to_owned()),
        "MISSPELLED" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg".to_owned()),
        "SHORT" => Some("short".to_owned()),
        "SPACED" => Some("0123456789 abcdef".to_owned()),
        _ => None,
    };
    let file = |path: &str| match path {
        "/junk.pem" => Ok(b"junk".to_vec()),
        "/none.json" => Ok(br#"{"keys": [{"kty": "OKP", "kid": "1"}]}"#.to_vec()),
        "/keys.json" => Ok(br#"{"keys": [{"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"}]}"#.to_vec()),
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
    let ForgeKind::Gitlab(gitlab) = config.forge else { panic!("a GitLab, where no kind is named") };
    assert_eq!(gitlab.address.1.as_str(), "gitlab.example.com");
    assert_eq!(gitlab.config.forge.relative_url_root, "/gitlab");
    assert_eq!((config.max_questions, config.timeout, config.callers.len()), (1024, Duration::from_millis(1500), 1));
    assert_eq!(config.limits.lease, Duration::from_secs(2));
}

#[test]
fn circumstances_are_looked_up_where_they_are_named() {
    let with = |names: &str| {
        let text = SOUND.replace("credential_env: FORGE", &format!("credential_env: FORGE, circumstances: {names}"));
        let config = read(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let ForgeKind::Gitlab(gitlab) = config.forge else { panic!("a GitLab") };
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
            "credential_env: FORGE, webhook_secrets_env: [SIGNING, MISSPELLED]",
            "forge.webhook_secrets_env: expected base64 behind `whsec_`, as GitLab makes signing tokens, found others",
        ),
        (
            "credential_env: FORGE",
            "credential_env: FORGE, webhook_secrets_env: [SIGNING, KEY, SHORT]",
            "forge.webhook_secrets_env[2]: expected the name of an environment variable with at least 16 bytes of printable ASCII without spaces, found fewer",
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
             `forge.max_per_second`, `forge.max_unknown_per_second`, `forge.retries`, `forge.circumstances`, `forge.outbound`, \
             `forge.webhook_secrets_env`, `forge.audience`, `forge.credential`, `forge.issuers`, `forge.foreign_issuers`, \
             `forge.projects`, \
             `forge.database`, `forge.password_env`, `forge.jwt_secret_env`",
        ),
        (
            "forge: {",
            "forge: {kind: gerrit, ",
            "forge.kind: expected `gitlab` or `oidc` or `gitea`, found another text",
        ),
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
    // Nor in an entry of a list.
    let (issuer, project) = ("/forge/issuers/0", "/forge/projects/1");
    let tables = [(issuer, keys::ISSUER), (project, keys::PROJECT), ("/forge/projects/1/admits/0", keys::ADMITS)];
    for (place, key) in tables.iter().flat_map(|(place, table)| table.iter().map(move |key| (*place, key.path))) {
        for value in [json!(secret), json!([secret]), json!({"x": secret})] {
            let mut document: Value = serde_saphyr::from_str(OIDC).unwrap();
            document.pointer_mut(place).unwrap()[key] = value;
            let errors = errors(&document.to_string());
            assert!(!errors.join("\n").contains(secret), "{place} {key}: {errors:#?}");
        }
    }
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

const OIDC: &str = r"
api: {listen: '127.0.0.1:8443', callers_env: [CALLER]}
store: {kind: memory}
forge:
  kind: oidc
  audience: https://forge.example.com/jobscope
  issuers:
    - {name: ci, vendor: gitlab, issuer: 'https://gitlab.example.com', jwks_file: /keys.json, api: 'http://127.0.0.1:9/', credential_env: FORGE}
  projects:
    - {id: 1, path: apps/web, identities: ['ci:7']}
    - {id: 2, path: libs/common, admits: [{group: apps}]}
";

#[test]
fn identities_are_of_one_kind_of_forge_and_no_other() {
    let config = read(OIDC).unwrap_or_else(|errors| panic!("{errors}"));
    let ForgeKind::Oidc(oidc) = config.forge else { panic!("job identities") };
    assert_eq!((oidc.issuers.len(), oidc.issuers[0].max_lifetime), (1, Duration::from_secs(3600)));
    assert_eq!(oidc.projects.of_identity("ci", "7").map(|origin| origin.path.as_str()), Some("apps/web"));
    let other = |text: &str| {
        let ForgeKind::Oidc(oidc) = read(text).unwrap_or_else(|errors| panic!("{errors}")).forge else { panic!() };
        oidc.inquiry
    };
    assert_eq!(other(OIDC), oidc.inquiry);
    assert_ne!(other(&OIDC.replace("ci:7", "ci:8")), oidc.inquiry, "what was stored by other identities is not found");
    let both = errors(&OIDC.replace("kind: oidc", "kind: oidc\n  url: https://gitlab.example.com"));
    assert_eq!(both, ["forge.url: expected nothing, because it is of `forge.kind: gitlab` alone"]);
    let none = errors(&SOUND.replace("forge: {", "forge: {audience: us, "));
    assert_eq!(none, ["forge.audience: expected nothing, because it is of `forge.kind: oidc` alone"]);
}

#[test]
fn all_errors_of_identities_come_at_once_each_with_its_place() {
    let text = r"
api: {listen: '127.0.0.1:8443', callers_env: [CALLER]}
store: {kind: memory}
forge:
  kind: oidc
  issuers:
    - {name: 'A b', vendor: jenkins, issuer: '', algorithms: [], jwks_uri: 'http://ci.example.com/keys', api: 'ftp://x', credential_env: NOWHERE}
    - {name: hub, vendor: github, issuer: 'https://token.actions.githubusercontent.com', jwks_file: /none.json, api: 'https://u@x', credential_env: FORGE, key: x}
    - {name: ci, vendor: gitlab, issuer: 'https://gitlab.com', jwks_file: /keys.json, jwks_uri: 'https://x', pins: ['user_login=dana', namespace_id], api: 'https://x/?y', credential_env: FORGE}
    - {name: kite, vendor: buildkite, issuer: 'https://agent.buildkite.com', api: 'https://x', credential_env: FORGE, algorithms: [HS256]}
  projects:
    - {id: 1, path: web, identities: ['nobody', 'ci:']}
    - {id: 2, path: libs/common, admits: [{group: 'a//b'}, {project: x, group: y}, {project: a/b, role: king, permissions: [fly]}]}
";
    let errors = errors(text);
    let paths: Vec<&str> = errors.iter().filter_map(|error| error.split_once(": ")).map(|(path, _)| path).collect();
    for path in [
        "forge.audience",
        "forge.issuers[0].name",
        "forge.issuers[0].vendor",
        "forge.issuers[0].issuer",
        "forge.issuers[0].algorithms",
        "forge.issuers[0].jwks_uri",
        "forge.issuers[0].api",
        "forge.issuers[0].credential_env",
        "forge.issuers[1].pins",
        "forge.issuers[1].jwks_file",
        "forge.issuers[1].api",
        "forge.issuers[1].key",
        "forge.issuers[2].jwks_uri",
        "forge.issuers[2].pins[0]",
        "forge.issuers[2].pins[1]",
        "forge.issuers[2].pins",
        "forge.issuers[2].api",
        "forge.issuers[3].pins",
        "forge.issuers[3].algorithms",
        "forge.issuers[3].jwks_uri",
        "forge.projects[0].path",
        "forge.projects[0].identities[1]",
        "forge.projects[1].admits[0].group",
        "forge.projects[1].admits[1].project",
        "forge.projects[1].admits[2].role",
        "forge.projects[1].admits[2].permissions",
    ] {
        assert!(paths.contains(&path), "{path} is not in {errors:#?}");
    }
}

#[test]
fn identities_are_told_apart_and_an_issuer_of_everybody_is_pinned() {
    for (old, new, error) in [
        (
            "'https://gitlab.example.com'",
            "'https://gitlab.com'",
            "forge.issuers[0].pins: missing; expected `namespace_id=...` or `project_id=...`, because everybody has tokens made there",
        ),
        ("    - {id: 2,", "    - {id: 1,", "forge.projects[1].id: expected what no other project has"),
        ("path: libs/common,", "path: Apps/Web,", "forge.projects[1].path: expected what no other project has"),
        (
            "path: libs/common,",
            "path: libs/common, identities: ['ci:7'],",
            "forge.projects[1].identities: expected what no other project has",
        ),
        (
            "['ci:7']",
            "['CI:7']",
            "forge.projects[0].identities[0]: expected the `name` of an issuer, a colon and an id",
        ),
        (
            "  projects:",
            "    - {name: ci, vendor: forgejo, issuer: 'https://gitlab.example.com', jwks_file: /keys.json, api: 'http://[::1]:9', credential_env: FORGE}\n  projects:",
            "forge.issuers: expected an `issuer` of its own for each, found one twice",
        ),
        (
            "api: 'http://127.0.0.1:9/'",
            "api: 'http://ci.example.com/'",
            "forge.issuers[0].api: expected an `https://` address without a user and without a query, or `http://` at a loopback address",
        ),
        (
            "vendor: gitlab, ",
            "vendor: kubernetes, webhook_secrets_env: [CALLER], ",
            "forge.issuers[0].webhook_secrets_env: expected nothing: no webhook of this vendor is understood",
        ),
        (
            "vendor: gitlab, ",
            "vendor: gitlab, webhook_secrets_env: [MISSPELLED], ",
            "forge.issuers[0].webhook_secrets_env: expected base64 behind `whsec_`, as GitLab makes signing tokens, found others",
        ),
        ("jwks_file: /keys.json, ", "", "forge.issuers[0].jwks_uri: expected either `jwks_uri` or `jwks_file`"),
        (
            "jwks_file: /keys.json, ",
            "jwks_file: /keys.json, max_lifetime: 48h, ",
            "forge.issuers[0].max_lifetime: expected a time from 1m to 24h, found another text",
        ),
    ] {
        let errors = errors(&OIDC.replace(old, new));
        assert!(errors.contains(&error.to_owned()), "{new}: {errors:#?}");
    }
}

const GITEA: &str = r"
api: {listen: '127.0.0.1:8443', callers_env: [CALLER]}
forge: {kind: gitea, database: 'host=/run/postgresql dbname=gitea user=jobscope', jwt_secret_env: JWT}
store: {kind: memory}
";

#[cfg(feature = "gitea")]
#[test]
fn a_database_is_asked_every_second_and_in_tls_where_it_is_elsewhere() {
    use tokio_postgres::config::SslMode;
    let mode = |host: &str| {
        let text = GITEA.replace("host=/run/postgresql", host).replace("kind: gitea", "kind: gitea, ca: /junk.pem");
        errors(&text).iter().any(|error| error.starts_with("forge.ca")).then_some(SslMode::Require)
    };
    for here in
        ["host=/run/postgresql", "host=127.0.0.1", "host=localhost", "host=::1", "host=localhost hostaddr=127.0.0.2"]
    {
        assert_eq!(mode(here), None, "{here}");
    }
    for elsewhere in [
        "host=db.example.com",
        "host=10.0.0.1",
        "host=localhost hostaddr=10.0.0.1",
        "host=db.example.com sslmode=disable",
        "host=db hostaddr=127.0.0.1",
    ] {
        assert_eq!(mode(elsewhere), Some(SslMode::Require), "{elsewhere}");
    }
    let every = |text: &str| read(text).unwrap_or_else(|errors| panic!("{errors}")).sweep.every;
    assert_eq!(every(GITEA), Duration::from_secs(1));
    assert_eq!(every(&format!("{GITEA}sweep: {{every: 5s}}")), Duration::from_secs(5));
    assert_eq!(every(SOUND), Duration::from_secs(15));
}

#[cfg(feature = "gitea")]
#[test]
fn what_is_wrong_with_a_database_is_told_without_its_words() {
    for bad in
        ["hidden-word", "host=a,b user=u", "host=a password=hidden-word", "host=a options='-c hidden-word=1'", "user=u"]
    {
        let text = GITEA.replace("'host=/run/postgresql dbname=gitea user=jobscope'", &format!("{bad:?}"));
        let errors = errors(&text);
        assert!(errors.len() == 1 && errors[0].starts_with("forge.database: expected one `host`"), "{bad}: {errors:?}");
        assert!(!errors[0].contains("hidden-word"), "{errors:?}");
    }
    let wrong = errors(&GITEA.replace("env: JWT", "env: SHORT, password_env: NONE, audience: x"));
    let places: Vec<&str> = wrong.iter().filter_map(|error| error.split(':').next()).collect();
    assert_eq!(
        places.iter().copied().collect::<BTreeSet<_>>(),
        BTreeSet::from(["forge.audience", "forge.jwt_secret_env", "forge.password_env"])
    );
    let of_gitlab = errors(&SOUND.replace("credential_env: FORGE", "credential_env: FORGE, database: 'host=a'"));
    assert_eq!(of_gitlab, ["forge.database: expected nothing, because it is of `forge.kind: gitea` alone"]);
}

#[cfg(not(feature = "gitea"))]
#[test]
fn a_build_without_it_says_so() {
    assert_eq!(
        errors(GITEA),
        ["forge.kind: this jobscope-lookup was built without it: build it with `--features gitea`"]
    );
}

#[test]
fn the_table_is_sound() {
    for table in [KEYS, keys::ISSUER, keys::PROJECT, keys::ADMITS] {
        let paths: BTreeSet<&str> = table.iter().map(|key| key.path).collect();
        assert_eq!(paths.len(), table.len());
        for key in table {
            assert!(key.doc.ends_with('.'), "{}", key.path);
            assert!(!paths.iter().any(|other| other.strip_prefix(key.path).is_some_and(|rest| rest.starts_with('.'))));
        }
    }
}

/// A table of keys as the documentation has it.
fn documented(table: &[keys::Key]) -> String {
    let row = |key: &super::keys::Key| {
        let default = match key.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional => String::new(),
            Presence::Default(default) => format!("`{default}`"),
        };
        format!("| `{}` | {} | {default} | {} |\n", key.path, expected(key.kind), key.doc)
    };
    let rows: String = table.iter().map(row).collect();
    format!("| key | value | default | meaning |\n|---|---|---|---|\n{rows}")
}

#[test]
fn the_documentation_has_the_tables() {
    for (page, name, table) in [
        ("lookup-service", "keys", KEYS),
        ("job-identities", "keys of an issuer", keys::ISSUER),
        ("job-identities", "keys of a project", keys::PROJECT),
        ("job-identities", "keys of an entry", keys::ADMITS),
    ] {
        let path = format!("{}/../docs/{page}.md", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = (format!("<!-- {name}: made by `make docs` -->\n"), format!("<!-- end of {name} -->"));
        let (head, rest) = text.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        let whole = format!("{head}{begin}{}{end}{tail}", documented(table));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, whole).unwrap();
        } else {
            assert!(text == whole, "the {name} in docs/{page}.md are others: `make docs` writes them");
        }
    }
}
