//! What a configuration may say, and what is said to one that is wrong.

use super::*;
use crate::facts::{Affiliation, ProjectPath, Role, User, UserId, Visibility};
use std::string::ToString;

const SMALLEST: &str = r#"{
        "forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "gitlab.example.com", "credential_env": "JOBSCOPE_LOOKUP_TOKEN"}
    }"#;

#[test]
fn what_is_left_out_has_its_default() {
    let config = Config::parse(SMALLEST.as_bytes()).unwrap();
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.forge.kind, Kind::Gitlab);
    assert_eq!(config.lookup.timeout, Duration::from_secs(2));
    assert_eq!(config.bindings.capacity, 32_768);
}

#[test]
fn all_errors_at_once_each_with_its_path() {
    let errors = Config::parse(
            br#"{"mode": "enforced", "forge": {"hosts": ["gitlab example"], "kindd": "x"}, "lookup": {"timeout": "2"}, "bindings": {"capacity": 1.5}, "extra": 1}"#,
        )
        .unwrap_err();
    let expected = [
        "9 errors in the configuration",
        "extra: unknown key",
        "forge.kindd: unknown key, did you mean `forge.kind`",
        "mode: expected one of `enforce`, `observe`, found `\"enforced\"`",
        "forge.hosts[0]: expected a host name without port, found `\"gitlab example\"`",
        "lookup.cluster: missing, expected a text that is not empty",
        "lookup.authority: missing, expected a host name, with or without port",
        "lookup.timeout: expected a time from 10ms to 1m, written as `500ms`, `2s`, `5m` or `24h`, found `\"2\"`",
        "bindings.capacity: expected a whole number from 64 to 1048576, found `1.5`",
        "lookup.credential_env: missing, expected the name of an environment variable with the service account's token, which `facts.membership` needs; or `lookup.service_cluster`",
    ];
    assert_eq!(errors.to_string(), expected.join("\n"));
}

#[test]
fn an_error_says_what_stands_where_and_what_was_meant() {
    let error = |document: &str| Config::parse(document.as_bytes()).unwrap_err().to_string();
    for empty in ["", " \n"] {
        let said = error(empty);
        assert!(said.contains("\nthere is no configuration, or an empty one: it stands under"), "{said}");
        assert!(said.contains("\nforge.hosts: missing"), "{said}");
    }
    let with = |more: &str| error(&SMALLEST.replacen('{', &format!("{{{more},"), 1));
    for (more, line) in [
        (
            r#""observe": {"rules": ["inbound", "inbund", "login"]}"#,
            "observe.rules[1]: expected the id of a rule (nearest is `inbound`), found `\"inbund\"`",
        ),
        (
            r#""observe": {"rules": ["inbound", "login"]}"#,
            "observe.rules[1]: expected a rule that can be observed, since without this one nothing is judged, found `\"login\"`",
        ),
        (
            r#""observe": {"targets": ["a/b", "web"]}"#,
            "observe.targets[1]: expected a project such as `apps/web`, `apps/**`, `**` or `!apps/legacy/**`, found `\"web\"`",
        ),
        (r#""mode": "überwachen""#, "mode: expected one of `enforce`, `observe`, found `\"überwachen\"`"),
        (r#""lokup": {}"#, "lokup: unknown key, did you mean `lookup`"),
        (r#""timeout": "2s""#, "timeout: unknown key, did you mean `lookup.timeout`"),
    ] {
        let said = with(more);
        assert!(said.lines().any(|found| found == line), "{line}\nis not in\n{said}");
    }
    let said = error(&SMALLEST.replace("\"cluster\"", "\"time_out\": \"2s\", \"cluster\""));
    assert!(said.contains("lookup.time_out: unknown key, did you mean `lookup.timeout`"), "{said}");
}

#[test]
fn on_and_off_may_be_written_as_yaml_reads_them() {
    let with = |proxy: &str| {
        let document = SMALLEST.replace("\"hosts\"", &format!("\"dependency_proxy\": {proxy}, \"hosts\""));
        Config::parse(document.as_bytes()).map(|config| config.forge.dependency_proxy)
    };
    assert_eq!(with("true"), Ok(DependencyProxy::On));
    assert_eq!(with("false"), Ok(DependencyProxy::Off));
    let mode = SMALLEST.replacen('{', "{\"mode\": true,", 1);
    assert!(Config::parse(mode.as_bytes()).is_err(), "no switch");
}

#[test]
fn a_number_from_a_protobuf_struct_is_a_number() {
    let document = SMALLEST.replace("\"forge\"", "\"bindings\": {\"capacity\": 4096.0}, \"forge\"");
    assert_eq!(Config::parse(document.as_bytes()).unwrap().bindings.capacity, 4096);
}

#[test]
fn a_fact_is_looked_up_again_before_it_no_longer_serves() {
    for of in ["projects", "members", "allowlists"] {
        let read = |fresh: &str, stale: &str| {
            let more = format!(
                r#""facts": {{"{of}_revalidate_after": "{fresh}"}}, "bindings": {{"revalidate_after": "1s", "max_stale": "{stale}"}}, "forge""#
            );
            Config::parse(SMALLEST.replace("\"forge\"", &more).as_bytes()).map_err(|errors| errors.to_string())
        };
        assert!(read("5m", "5m").is_ok());
        let error = read("6m", "5m").unwrap_err();
        let expected = "1 error in the configuration\nfacts.{}_revalidate_after: expected a time no longer than `bindings.max_stale`, found `a longer one`";
        assert_eq!(error, expected.replace("{}", of));
        // What is not written follows.
        let lifetimes = read("2s", "3s").unwrap().lifetimes;
        let all = [lifetimes.projects, lifetimes.members, lifetimes.allowlists].map(|time| time.as_secs());
        assert_eq!(all.iter().sum::<u64>(), 2 + 3 + 3, "{lifetimes:?}");
    }
    let shorter = SMALLEST.replace("\"forge\"", r#""bindings": {"max_stale": "20s"}, "forge""#);
    let error = Config::parse(shorter.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("bindings.max_stale: expected a time no shorter than `bindings.revalidate_after`"),
        "{error}"
    );
}

#[test]
fn each_word_of_a_choice_is_read() {
    for key in KEYS {
        let (ValueKind::Choice(words), Some((section, name))) = (key.kind, key.path.rsplit_once('.')) else {
            continue;
        };
        for word in words {
            let mut value = format!(r#"{{"{name}": "{word}"}}"#);
            for outer in section.rsplit('.') {
                value = format!(r#"{{"{outer}": {value}}}"#);
            }
            let errors = Config::parse(value.as_bytes()).unwrap_err().to_string();
            assert!(!errors.contains(&format!("{}: expected one of", key.path)), "{errors}");
        }
    }
}

#[test]
fn what_is_probably_not_meant_of_what_is_enforced_is_said() {
    let with = |keys: &str| {
        let document = SMALLEST.replacen('{', &format!("{{{keys}, "), 1);
        Config::parse(document.as_bytes()).map(|config| config.warnings.iter().map(ToString::to_string).collect())
    };
    let warned = |keys: &str, expected: &[&str]| {
        let warnings: Vec<String> = with(keys).unwrap();
        assert!(warnings.len() == expected.len(), "{keys}: {warnings:?}");
        assert!(warnings.iter().zip(expected).all(|(warning, expected)| warning.starts_with(expected)), "{warnings:?}");
    };
    let families = ["enforce.unreadable: is", "enforce.unlisted: is", "enforce.many: is"];
    warned(r#""enforce": {"targets": ["**", "!apps/legacy/**"]}"#, &[]);
    warned(r#""enforce": {"targets": ["apps/web"]}"#, &families);
    let one = r#""enforce": {"targets": ["apps/web"], "unlisted": "observe", "many": "observe""#;
    warned(&format!("{one}}}"), &families[..1]);
    warned(&format!(r#"{one}, "unreadable": "observe"}}"#), &["enforce.unreadable: lets what can be read in two ways"]);
    warned(r#""enforce": {"many": "observe"}"#, &[]);
    warned(
        r#""enforce": {"targets": ["**", "!libs/x"], "many": "observe"}, "mode": "observe""#,
        &["enforce.targets: changes nothing"],
    );
    warned(r#""enforce": {"many": "enforce"}, "mode": "observe""#, &["enforce.many: changes nothing"]);
    let none = r#""enforce": {"targets": [], "unlisted": "observe", "many": "observe", "unreadable": "observe"}"#;
    warned(none, &["enforce.targets: names no project"]);
    let idle = one.replace(r#""apps/web""#, r#""apps/web", "!libs/**""#) + r#", "unreadable": "observe"}"#;
    warned(&idle, &["enforce.unreadable: lets", "enforce.targets: `!libs/**` takes nothing out"]);
    let unread = r#""enforce": {"unreadable": "observe"}"#;
    warned(unread, &["enforce.unreadable: lets"]);
    warned(&format!(r#"{unread}, "bodies": "leave""#), &["enforce.unreadable: lets", "bodies: `leave` beside"]);
    warned(r#""bodies": "leave""#, &[]);
    warned(&format!(r#"{unread}, "bodies": "leave", "mode": "observe""#), &["enforce.unreadable: changes nothing"]);
    warned(&format!(r#"{none}, "bodies": "leave""#), &["enforce.targets: names no project"]);
    let error = |keys: &str| with(keys).unwrap_err().to_string();
    assert!(
        error(r#""enforce": {"targets": ["!apps/**"]}"#).contains("enforce.targets: expected a name without a `!`")
    );
    let bad = error(r#""observe": {"targets": ["**", "!apps"]}"#);
    assert!(bad.contains("observe.targets[1]: expected a project such as `apps/web`"), "{bad}");
}

#[test]
fn a_document_that_is_no_object_is_refused() {
    for bad in ["", "[]", "null", "{", "\"x\"", "{} {}"] {
        assert!(Config::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

const ALONE: &str = r#"{
        "forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "gitlab.example.com"},
        "facts": {"membership": "configuration", "external": "configuration", "visibility": "forge", "allowlists": "configuration",
            "members": [{"user": "Dana", "targets": ["libs/**"], "role": "reporter"}, {"user": "dana", "targets": ["libs/common"], "role": "owner"}],
            "external_users": ["erin"]}
    }"#;

#[test]
fn a_service_account_is_needed_exactly_where_a_fact_needs_it() {
    assert_eq!(Config::parse(ALONE.as_bytes()).unwrap().lookup.service_token, None);
    let need = |from: &str, to: &str| Config::parse(ALONE.replace(from, to).as_bytes()).unwrap_err().to_string();
    for (from, to, what) in [
        (r#""allowlists": "configuration""#, r#""allowlists": "lookup""#, "`facts.allowlists`"),
        (r#""visibility": "forge""#, r#""visibility": "lookup""#, "`facts.visibility`"),
        (r#""visibility": "forge""#, r#""visibility": "forge", "outbound": "lookup""#, "`facts.outbound`"),
        (r#""hosts""#, r#""version": "lookup", "hosts""#, "`forge.version`"),
        (r#""hosts""#, r#""kind": "generic", "hosts""#, "a service of your own"),
        (r#""cluster""#, r#""api": "v1", "cluster""#, "a service of your own"),
    ] {
        let error = need(from, to);
        assert!(error.contains(&format!("lookup.credential_env: missing, expected the name of an environment variable with the service account's token, which {what} needs; or `lookup.service_cluster`")), "{error}");
    }
}

#[test]
fn what_the_configuration_says_of_a_fact_is_read_only_where_it_is_asked() {
    let facts = Config::parse(ALONE.as_bytes()).unwrap().facts;
    let user = |name: &str| User { id: UserId(1), name: name.to_string() };
    let path = |path: &str| ProjectPath::parse(path).unwrap();
    let role = |name: &str, target: &str| facts.membership.role(Some(&user(name)), Some(&path(target)));
    assert_eq!(role("dana", "libs/x"), Some(Some(Role::Reporter)));
    assert_eq!(role("DANA", "libs/common"), Some(Some(Role::Owner)));
    assert_eq!(role("dana", "apps/web"), Some(Some(Role::None)));
    assert_eq!(role("erin", "libs/x"), Some(Some(Role::None)));
    assert_eq!(facts.membership.role(Some(&user("dana")), None), Some(Some(Role::None)));
    assert_eq!(facts.external.affiliation(Some(&user("Erin"))), Some(Affiliation::External));
    assert_eq!(facts.external.affiliation(Some(&user("dana"))), Some(Affiliation::Internal));
    assert_eq!(facts.visibility.visibility(Some(&path("libs/x"))), Some(None));
    let seen = ALONE.replace(
            r#""visibility": "forge""#,
            r#""visibility": "configuration", "visibilities": [{"targets": ["**"], "visibility": "public"}, {"targets": ["apps/**"], "visibility": "internal"}]"#,
        );
    let seen = Config::parse(seen.as_bytes()).unwrap().facts;
    assert_eq!(seen.visibility.visibility(Some(&path("libs/x"))), Some(Some(Visibility::Public)));
    assert_eq!(seen.visibility.visibility(Some(&path("apps/x"))), Some(Some(Visibility::Internal)));
    assert_eq!(seen.visibility.visibility(None), Some(Some(Visibility::Private)));
    for (from, to, expected) in [
        (r#""role": "owner""#, r#""role": "none""#, "facts.members: expected a list of `{user, targets, role}`"),
        (r#""role": "owner""#, r#""role": "owner", "until": 1"#, "facts.members: expected a list"),
        (r#""erin""#, r#""e rin""#, "facts.external_users: expected a list of users' names"),
        (
            r#""external": "configuration""#,
            r#""external": "forge""#,
            "facts.external_users: expected no such key unless `facts.external` is `configuration`",
        ),
        (
            r#""membership": "configuration""#,
            r#""membership": "config""#,
            "facts.membership: expected one of `lookup`, `configuration`, `forge`",
        ),
    ] {
        let error = Config::parse(ALONE.replace(from, to).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn pull_policies_are_left_alone_unless_it_is_said_what_becomes_of_them() {
    let read = |before: &str, runner: &str| {
        let document = SMALLEST.replacen('{', &format!(r#"{{{before}"runner": {{"pull_policy": {runner}}},"#), 1);
        Config::parse(document.as_bytes()).map(|config| config.pull_policies)
    };
    let left = read("", "{}").unwrap();
    assert_eq!(
        (left.check, left.allowed.as_slice(), left.runners),
        (Check::Ignore, &[PullPolicy::Always][..], Runners::Shared)
    );
    assert_eq!(read("", r#"{"mode": "enforce"}"#).unwrap().check, Check::Rewrite);
    let refusing = r#"{"mode": "enforce", "otherwise": "refuse"}"#;
    assert_eq!(read("", refusing).unwrap().check, Check::Refuse);
    assert_eq!(read(r#""mode": "observe","#, refusing).unwrap().check, Check::Observe, "nothing is changed then");
    for (bad, path) in [
        (r#"{"allowed": []}"#, "runner.pull_policy.allowed: expected a list of one or more of `always`"),
        (r#"{"allowed": "always"}"#, "runner.pull_policy.allowed: expected"),
        (r#"{"allowed": ["Always"]}"#, "runner.pull_policy.allowed[0]: expected one of `always`"),
        (r#"{"mod": "ignore"}"#, "runner.pull_policy.mod: unknown key, did you mean `runner.pull_policy.mode`"),
        (r#""enforce""#, "runner.pull_policy: unknown key"),
    ] {
        let error = read("", bad).unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    }
    let of_yours = SMALLEST
        .replacen('{', &format!(r#"{{"runner": {{"pull_policy": {refusing}}},"#), 1)
        .replace(r#""cluster""#, r#""api": "v1", "cluster""#);
    let error = Config::parse(of_yours.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("runner.pull_policy.otherwise: expected `rewrite`, since only GitLab's own"), "{error}");
}

#[test]
fn changes_are_followed_where_there_is_a_service_that_tells_them() {
    let with = |api: &str| {
        let keys = format!(r#""api": "{api}", "changes": "on", "cluster""#);
        Config::parse(SMALLEST.replace("\"cluster\"", &keys).as_bytes()).map(|config| config.lookup.changes)
    };
    assert_eq!(with("v1"), Ok(Changes::Followed));
    let error = with("auto").unwrap_err().to_string();
    assert!(
        error.contains("lookup.changes: expected `off`, since GitLab's own API has no list of ended jobs, found `on`"),
        "{error}"
    );
    assert_eq!(Config::parse(SMALLEST.as_bytes()).unwrap().lookup.changes, Changes::Off);
}

#[test]
fn a_webhook_has_a_path_of_its_own_and_a_secret() {
    let with = |webhook: &str| {
        let document = SMALLEST.replace("\"lookup\"", &format!("\"webhook\": {webhook}, \"lookup\""));
        Config::parse(document.as_bytes()).map(|config| config.webhook)
    };
    let webhook = with(r#"{"path": "/jobscope/v1/webhook", "secret_env": "S"}"#).unwrap().unwrap();
    assert_eq!(
        (webhook.path.as_str(), webhook.secret),
        ("/jobscope/v1/webhook", WebhookSecret::Environment("S".into()))
    );
    assert_eq!(with("{}"), Ok(None));
    for path in [
        "/api/v4/x",
        "/v2/x",
        "/jwt/auth",
        "/x",
        "x/y",
        "/x/y/",
        "/x//y",
        "/x/../y",
        "/x/y.git/z",
        "/x/%2f",
        "/x/y?z",
        "/",
    ] {
        let error = with(&format!(r#"{{"path": "{path}", "secret_env": "S"}}"#)).unwrap_err().to_string();
        assert!(error.contains("webhook.path: expected an empty text or a path such as"), "{path}: {error}");
    }
    let error = with(r#"{"path": "/x/y"}"#).unwrap_err().to_string();
    assert!(error.contains("webhook.secret_env: missing, expected the name of an environment variable"), "{error}");
    let error = with(r#"{"secret_env": "S"}"#).unwrap_err().to_string();
    assert!(error.contains("webhook.secret_env: expected no such key without `webhook.path`"), "{error}");
}

#[test]
fn only_gitlab_has_a_dependency_proxy() {
    let with = |keys: &str| {
        let document = SMALLEST.replace("\"hosts\"", &format!("{keys} \"hosts\""));
        Config::parse(document.as_bytes()).map(|config| config.forge.dependency_proxy)
    };
    assert_eq!(with(""), Ok(DependencyProxy::Off));
    assert_eq!(with(r#""dependency_proxy": "on","#), Ok(DependencyProxy::On));
    let error = with(r#""kind": "generic", "dependency_proxy": "on","#).unwrap_err().to_string();
    assert!(error.contains("forge.dependency_proxy: expected `off`, since only GitLab has one, found `on`"), "{error}");
}

#[test]
fn gitea_is_asked_through_a_service_and_has_packages_of_its_own() {
    let with = |keys: &str, index: &str| {
        let document = SMALLEST.replace("\"hosts\"", &format!(r#""kind": "gitea", {keys} "hosts""#));
        let document = document.replacen('{', &format!(r#"{{"packages": {{"index": "{index}"}}, "#), 1);
        Config::parse(document.as_bytes()).map_err(|error| error.to_string())
    };
    let config = with("", "all-admitted").unwrap();
    assert_eq!((config.forge.kind, config.lookup.api), (Kind::Gitea, Api::V1));
    for (keys, expected) in [
        (r#""dependency_proxy": "on","#, "forge.dependency_proxy: expected `off`"),
        (r#""kubernetes_agent": "on","#, "forge.kubernetes_agent: expected `off`"),
        (r#""credential_slots": "on","#, "forge.credential_slots: expected `off`"),
        (r#""version": "lookup","#, "forge.version: expected `newest`"),
        (
            r#""endpoints": [{"method": "GET", "path": "/projects/:project/y", "action": "repository.read"}],"#,
            "forge.endpoints: expected no endpoints",
        ),
    ] {
        let error = with(keys, "deny").unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn one_host_cannot_be_forge_and_registry() {
    let document = SMALLEST.replace("\"hosts\"", "\"registry_hosts\": [\"GitLab.example.com\"], \"hosts\"");
    let errors = Config::parse(document.as_bytes()).unwrap_err().to_string();
    assert!(errors.contains("forge.registry_hosts: expected hosts that are not in `forge.hosts`"), "{errors}");
}
