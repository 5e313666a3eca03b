//! The configuration document, read into a validated [`Config`].
//!
//! Every key stands in one table, [`keys::KEYS`]: its default, its kind and its sentence of documentation. Reading
//! collects all errors, each with its path in the document; a document with one error configures nothing.

mod access;
mod added;
mod choices;
mod endpoints;
mod enforcement;
mod json;
mod keys;
mod nearest;
mod projects;
mod pull_policy;
mod reader;
mod secrets;
mod sources;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use access::{AccessRules, RULE_KEYS, RuleKey, RuleKind, RuleValue, Use};
pub use added::Added;
pub use enforcement::{Concern, Enforce};
pub use keys::{KEYS, Key, Presence, ValueKind};
pub use projects::{Projects, Selection};
pub use pull_policy::{Check, PullPolicies, PullPolicy, Runners};
pub use reader::{ConfigError, ConfigErrors, Warning};
pub use secrets::{SECRET_FIELD, ServiceToken, WebhookSecret};
pub use sources::{ExternalUsers, Members, Source, Sources, Visibilities};

use crate::choices::{
    Answers, Api, Bodies, Changes, CredentialSlots, DependencyProxy, Detail, Kind, KubernetesAgent, LfsCredentials,
    LogForm, Mode, PackageIndexes, UnlistedEndpoints,
};
use crate::facts::{Hash, Host, Version};
use crate::rules::Entries;

/// A configuration that passed every check. Made by [`Config::parse`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// What is carried out where decisions are.
    pub enforce: Enforce,
    /// What is only observed there all the same.
    pub observe: Observe,
    /// The rules of the configuration.
    pub access: AccessRules,
    /// How far an entry that grants single permissions reaches.
    pub entries: Entries,
    /// The forge behind the ingress.
    pub forge: Forge,
    /// Where facts are looked up.
    pub lookup: Lookup,
    /// Which facts are.
    pub facts: Arc<Sources>,
    /// How long facts about targets are believed.
    pub lifetimes: Lifetimes,
    /// Which pull policies the images of a job may have.
    pub pull_policies: PullPolicies,
    /// How long bindings are believed.
    pub bindings: Bindings,
    /// Where the forge tells of ended jobs.
    pub webhook: Option<Webhook>,
    /// Whether jobs ask for whatever packages a group has.
    pub package_indexes: PackageIndexes,
    /// What is logged.
    pub log: Log,
    /// Which configuration it is, for logs: the beginning of the SHA-256 of its document.
    pub revision: String,
    /// What is legal, and probably not meant.
    pub warnings: Vec<Warning>,
}

/// What is logged of decisions, beside who asked what and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Log {
    /// Of those that allow.
    pub allows: Detail,
    /// How the access log gets it.
    pub form: LogForm,
}

/// What is only observed: recorded as a denial, and forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observe {
    /// Denials of these targets.
    pub targets: Selection,
    /// Denials by these rules, by their place in [`crate::rules::RULES`]. The rules behind them still deny.
    pub rules: Vec<usize>,
}

/// Who says which version the forge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSource {
    /// The configuration.
    Configuration,
    /// The forge itself, which is asked.
    Lookup,
}

/// The forge behind the ingress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forge {
    /// Which forge it is.
    pub kind: Kind,
    /// Which of the forge's versions denials are worded after.
    pub answers: Answers,
    /// Which version of it. Where it is looked up, the newest until it is known.
    pub version: Version,
    /// Who says which version it is.
    pub version_source: VersionSource,
    /// Endpoints of its API that stand before those of the table.
    pub endpoints: Vec<Added>,
    /// Hosts of Git, LFS and the API.
    pub hosts: Vec<Host>,
    /// Hosts of the container registry.
    pub registry_hosts: Vec<Host>,
    /// `""`, or `/gitlab` without a slash at its end.
    pub relative_url_root: String,
    /// What becomes of a job's request to an endpoint that the table does not know.
    pub unlisted_endpoints: UnlistedEndpoints,
    /// Whose credentials a job finds in the answer to an LFS batch.
    pub lfs_credentials: LfsCredentials,
    /// Whether jobs use the dependency proxy.
    pub dependency_proxy: DependencyProxy,
    /// Whether jobs use the Kubernetes agent.
    pub kubernetes_agent: KubernetesAgent,
    /// Whether the proxy adds the forge's own credentials.
    pub credential_slots: CredentialSlots,
    /// What becomes of requests that only their bodies can decide.
    pub bodies: Bodies,
}

/// Where facts are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup {
    /// Which API answers.
    pub api: Api,
    /// Envoy's name for the token-lookup cluster.
    pub cluster: String,
    /// The `:authority` that the lookups carry.
    pub authority: String,
    /// How long a request may wait for facts, all lookups together.
    pub timeout: Duration,
    /// How often a call that did not reach the service is sent again.
    pub retries: u32,
    /// Where the service account's token comes from; `None` where no lookup needs it.
    pub service_token: Option<ServiceToken>,
    /// How many tokens of which nothing is remembered are looked up in a second.
    pub max_unknown_per_second: u32,
    /// How many of them from one address.
    pub max_unknown_per_source: u32,
    /// Whether the list of ended jobs is followed.
    pub changes: Changes,
}

/// How long facts about targets are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetimes {
    /// After this time facts about projects are looked up again, while they still serve.
    pub projects: Duration,
    /// The same for facts about users and members.
    pub members: Duration,
    /// The same for facts about who is let in, and out.
    pub allowlists: Duration,
    /// After this time without a confirmation none of them serves.
    pub max_stale: Duration,
}

/// How long bindings are believed, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bindings {
    /// How many running jobs are remembered at the same time.
    pub capacity: u32,
    /// After this time a binding is confirmed again, while it still serves.
    pub revalidate_after: Duration,
    /// After this time without a confirmation a binding no longer serves.
    pub max_stale: Duration,
    /// After this time a binding ends, whatever the forge says.
    pub max_lifetime: Duration,
}

/// Where the forge tells of ended jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Webhook {
    /// The path on the forge's hosts.
    pub path: String,
    /// Where its secret comes from.
    pub secret: WebhookSecret,
}

impl Config {
    /// Reads a configuration document: the JSON of the plugin's configuration.
    ///
    /// # Errors
    /// Every error of the document, each with its path.
    pub fn parse(document: &[u8]) -> Result<Self, ConfigErrors> {
        let revision = revision(document);
        let document = reader::document(document)?;
        let mut reader = reader::Reader::new(&document);
        reader.refuse_unknown_keys();
        let mode = reader.choice("mode", &choices::MODE);
        let enforce = Enforce::read(&mut reader, mode);
        let observed_targets = reader.selection("observe.targets");
        let observed_rules = reader.rules("observe.rules");
        let (access, mut warnings) = AccessRules::read(&mut reader);
        let entries = reader.choice("rules.permissions", &choices::PERMISSIONS);
        let kind = reader.choice("forge.kind", &choices::KIND);
        let answers = reader.choice("forge.answers", &choices::ANSWERS);
        let (version, version_source) = reader.version("forge.version").unzip();
        let is_elsewhere = kind.is_some_and(|kind| kind != Kind::Gitlab);
        if is_elsewhere && version_source == Some(VersionSource::Lookup) {
            reader.refuse("forge.version", "`newest`, since only GitLab's endpoints have versions", "lookup");
        }
        let endpoints = endpoints::read(&mut reader);
        if is_elsewhere && endpoints.as_ref().is_some_and(|endpoints| !endpoints.is_empty()) {
            reader.refuse("forge.endpoints", "no endpoints, since the table is GitLab's", "some");
        }
        let hosts = reader.hosts("forge.hosts");
        let registry_hosts = reader.hosts("forge.registry_hosts");
        let relative_url_root = reader.url_root("forge.relative_url_root");
        let unlisted_endpoints = reader.choice("forge.unlisted_endpoints", &choices::UNLISTED_ENDPOINTS);
        let lfs_credentials = reader.choice("forge.lfs_credentials", &choices::LFS_CREDENTIALS);
        let dependency_proxy = reader.choice("forge.dependency_proxy", &choices::DEPENDENCY_PROXY);
        if is_elsewhere && dependency_proxy == Some(DependencyProxy::On) {
            reader.refuse("forge.dependency_proxy", "`off`, since only GitLab has one", "on");
        }
        let kubernetes_agent = reader.choice("forge.kubernetes_agent", &choices::KUBERNETES_AGENT);
        if is_elsewhere && kubernetes_agent == Some(KubernetesAgent::On) {
            reader.refuse("forge.kubernetes_agent", "`off`, since only GitLab has one", "on");
        }
        let credential_slots = reader.choice("forge.credential_slots", &choices::CREDENTIAL_SLOTS);
        if (kind, credential_slots) == (Some(Kind::Gitlab), Some(CredentialSlots::On)) {
            reader.refuse("forge.credential_slots", "`off`, since GitLab knows its jobs' tokens", "on");
        }
        if (kind, credential_slots) == (Some(Kind::Gitea), Some(CredentialSlots::On)) {
            reader.refuse("forge.credential_slots", "`off`, since Gitea knows its jobs' tokens", "on");
        }
        let bodies = reader.choice("bodies", &choices::BODIES);
        let package_indexes = reader.choice("packages.index", &choices::PACKAGE_INDEX);
        if (kind, package_indexes) == (Some(Kind::Generic), Some(PackageIndexes::AllAdmitted)) {
            reader.refuse(
                "packages.index",
                "`deny`, since only the package registries of GitLab and Gitea are known",
                "all-admitted",
            );
        }
        let named = reader.choice("lookup.api", &choices::API);
        let api = kind.and_then(|kind| named.map(|named| named.unwrap_or(Api::of(kind))));
        let cluster = reader.text("lookup.cluster");
        let authority = reader.authority("lookup.authority");
        let timeout = reader.duration("lookup.timeout");
        let retries = reader.count("lookup.retries");
        let service_token = ServiceToken::read(&mut reader, api, cluster.as_deref());
        let max_unknown_per_second = reader.count("lookup.max_unknown_per_second");
        let max_unknown_per_source = reader.count("lookup.max_unknown_per_source");
        let changes = reader.choice("lookup.changes", &choices::CHANGES);
        if (api, changes) == (Some(Api::Gitlab), Some(Changes::Followed)) {
            reader.refuse("lookup.changes", "`off`, since GitLab's own API has no list of ended jobs", "on");
        }
        let facts = Sources::read(&mut reader);
        if let (Some(CredentialSlots::On), Some(facts)) = (credential_slots, &facts) {
            // The forge sees an account that may all of it.
            for key in facts.left_to_forge() {
                reader.refuse(
                    key,
                    "`lookup` or `configuration`, since `forge.credential_slots` is `on` and the forge cannot check it",
                    "forge",
                );
            }
        }
        let pull_policies = PullPolicies::read(&mut reader, mode, api);
        let capacity = reader.count("bindings.capacity");
        let revalidate_after = reader.duration("bindings.revalidate_after");
        let max_stale = reader.duration("bindings.max_stale");
        let projects = read_lifetime(&mut reader, "facts.projects_revalidate_after", max_stale);
        let members = read_lifetime(&mut reader, "facts.members_revalidate_after", max_stale);
        let allowlists = read_lifetime(&mut reader, "facts.allowlists_revalidate_after", max_stale);
        let max_lifetime = reader.duration("bindings.max_lifetime");
        let webhook = read_webhook(&mut reader);
        if let (Some(Bodies::Leave), Some(Some(_))) = (bodies, &webhook) {
            reader.refuse("bodies", "`judge`, since a webhook's report stands in its body", "leave");
        }
        let allows = reader.choice("log.allows", &choices::DETAIL);
        let form = reader.choice("log.form", &choices::LOG_FORM);
        if let (Some(here), Some(registry)) = (&hosts, &registry_hosts)
            && let Some(both) = registry.iter().find(|host| here.contains(host))
        {
            reader.refuse(
                "forge.registry_hosts",
                "hosts that are not in `forge.hosts` (the host decides how a request is read)",
                both.as_str(),
            );
        }
        if let (Some(fresh), Some(stale)) = (revalidate_after, max_stale)
            && stale < fresh
        {
            reader.refuse("bindings.max_stale", "a time no shorter than `bindings.revalidate_after`", "a shorter one");
        }
        if let (Some(Entries::Strict), Some(facts)) = (entries, &facts)
            && !facts.allowlists.is_lookup()
        {
            let expected = "`as-the-forge`, since no entry is known where `facts.allowlists` is not `lookup`";
            reader.refuse("rules.permissions", expected, "strict");
        }
        if let (Some(api), Some(facts), Some(None)) = (api, &facts, &service_token)
            && let Some(need) = needs_service_account(api, &access, facts, version_source)
        {
            reader.miss(
                "lookup.credential_env",
                format!("the name of an environment variable with the service account's token, which {need} needs; or `lookup.service_cluster`"),
            );
        }
        let read = (|| {
            let (enforce, suspicious) = enforce?;
            warnings.extend(suspicious);
            warnings.extend(enforce.unjudged(mode?, bodies?));
            Some(Self {
                mode: mode?,
                enforce,
                observe: Observe { targets: observed_targets?, rules: observed_rules? },
                access,
                entries: entries?,
                forge: Forge {
                    kind: kind?,
                    answers: answers?,
                    version: version?,
                    version_source: version_source?,
                    endpoints: endpoints?,
                    hosts: hosts?,
                    registry_hosts: registry_hosts?,
                    relative_url_root: relative_url_root?,
                    unlisted_endpoints: unlisted_endpoints?,
                    lfs_credentials: lfs_credentials?,
                    dependency_proxy: dependency_proxy?,
                    kubernetes_agent: kubernetes_agent?,
                    credential_slots: credential_slots?,
                    bodies: bodies?,
                },
                lookup: Lookup {
                    api: api?,
                    cluster: cluster?,
                    authority: authority?,
                    timeout: timeout?,
                    retries: retries?,
                    service_token: service_token?,
                    max_unknown_per_second: max_unknown_per_second?,
                    max_unknown_per_source: max_unknown_per_source?,
                    changes: changes?,
                },
                facts: Arc::new(facts?),
                lifetimes: Lifetimes {
                    projects: projects?,
                    members: members?,
                    allowlists: allowlists?,
                    max_stale: max_stale?,
                },
                pull_policies: pull_policies?,
                bindings: Bindings {
                    capacity: capacity?,
                    revalidate_after: revalidate_after?,
                    max_stale: max_stale?,
                    max_lifetime: max_lifetime?,
                },
                webhook: webhook?,
                package_indexes: package_indexes?,
                log: Log { allows: allows?, form: form? },
                revision,
                warnings,
            })
        })();
        reader.finish(read)
    }
}

fn revision(document: &[u8]) -> String {
    let Hash(hash) = Hash::of(&[document]);
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// After which time a fact is looked up again: before it no longer serves.
fn read_lifetime(reader: &mut reader::Reader<'_>, key: &'static str, max_stale: Option<Duration>) -> Option<Duration> {
    let (after, stale) = (reader.duration(key)?, max_stale?);
    if after > stale && reader.written(key).is_some() {
        reader.refuse(key, "a time no longer than `bindings.max_stale`", "a longer one");
    }
    Some(after.min(stale))
}

/// In it `None` where there is no webhook.
fn read_webhook(reader: &mut reader::Reader<'_>) -> Option<Option<Webhook>> {
    let path = reader.own_path("webhook.path");
    let secret = WebhookSecret::read(reader, matches!(path, Some(Some(_))));
    Some(path?.zip(secret?).map(|(path, secret)| Webhook { path, secret }))
}

/// What the service account's token is needed for: `GET /job` of GitLab does without, and so do facts that nobody looks
/// up.
fn needs_service_account(
    api: Api,
    access: &AccessRules,
    facts: &Sources,
    version: Option<VersionSource>,
) -> Option<String> {
    let protected = access.needs().protected.then_some("a rule that looks at `protected`");
    let fork = access.needs().fork.then_some("a rule that looks at `fork`");
    let version = (version == Some(VersionSource::Lookup)).then_some("`forge.version`");
    match api {
        Api::V1 => Some("a service of your own".into()),
        Api::Gitlab => {
            let fact = facts.looked_up().next().map(|key| format!("`{key}`"));
            fact.or_else(|| protected.or(fork).or(version).map(String::from))
        }
    }
}

#[cfg(test)]
mod tests {
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
                "observe.rules[1]: expected a rule without which something can be judged, found `\"login\"`",
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
            assert!(
                warnings.iter().zip(expected).all(|(warning, expected)| warning.starts_with(expected)),
                "{warnings:?}"
            );
        };
        let families = ["enforce.unreadable: is", "enforce.unlisted: is", "enforce.many: is"];
        warned(r#""enforce": {"targets": ["**", "!apps/legacy/**"]}"#, &[]);
        warned(r#""enforce": {"targets": ["apps/web"]}"#, &families);
        let one = r#""enforce": {"targets": ["apps/web"], "unlisted": "observe", "many": "observe""#;
        warned(&format!("{one}}}"), &families[..1]);
        warned(
            &format!(r#"{one}, "unreadable": "observe"}}"#),
            &["enforce.unreadable: lets what can be read in two ways"],
        );
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
            error.contains(
                "lookup.changes: expected `off`, since GitLab's own API has no list of ended jobs, found `on`"
            ),
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
        assert!(
            error.contains("forge.dependency_proxy: expected `off`, since only GitLab has one, found `on`"),
            "{error}"
        );
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
}
