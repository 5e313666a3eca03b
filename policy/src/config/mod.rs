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
mod tests;
