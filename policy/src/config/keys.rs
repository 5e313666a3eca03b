//! The table of configuration keys: what may be written, what it means, what holds when nothing is written.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::choices;

/// Whether a key must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There is no sensible default.
    Required,
    /// This JSON value holds when the key is not written. It is read like a written one.
    Default(&'static str),
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of one or more of these words.
    Choices(&'static [&'static str]),
    /// A list of host names, of at least this many.
    Hosts(usize),
    /// A list of projects.
    Projects,
    /// A list of rules by their ids.
    Rules,
    /// A list of access rules.
    AccessRules,
    /// A path below which the forge is installed.
    UrlRoot,
    /// A path of our own on the forge's hosts, or nothing.
    OwnPath,
    /// A version of the forge.
    Version,
    /// A list of endpoints of the forge's API.
    Endpoints,
    /// A text that is not empty.
    Text,
    /// A host name, with or without port.
    Authority,
    /// The name of an environment variable, or nothing.
    Variable,
    /// A name of the proxy's, or nothing.
    Name,
    /// A list of users' roles.
    Members,
    /// A list of users' names.
    Users,
    /// A list of projects' visibilities.
    Visibilities,
    /// A time between these, both included.
    Time(Duration, Duration),
    /// A whole number between these, both included.
    Count(u32, u32),
}

impl ValueKind {
    /// What a value must be, as an error says it after "expected".
    #[must_use]
    pub fn expects(self) -> String {
        match self {
            Self::Choice(words) => format!("one of `{}`", words.join("`, `")),
            Self::Choices(words) => format!("a list of one or more of `{}`", words.join("`, `")),
            Self::Hosts(0) => "a list of host names without port".into(),
            Self::Hosts(_) => "a list of one or more host names without port".into(),
            Self::Projects => "a list of projects such as `apps/web`, `apps/**` or `**`, and behind a `!` what of them is not meant".into(),
            Self::Rules => {
                "a list of rules by their ids, see rules.md; not those without which nothing can be judged".into()
            }
            Self::AccessRules => "a list of rules, see Access rules".into(),
            Self::UrlRoot => "an empty text or a path such as `/gitlab`".into(),
            Self::OwnPath => "an empty text or a path such as `/-/jobscope/webhook`, of two or more names, not below `/api`, `/v2` or `/jwt` and without `.git`".into(),
            Self::Endpoints => format!("a list of at most {} endpoints, see Endpoints of your own", super::endpoints::MOST),
            Self::Version => "`newest`, `lookup`, or a version such as `18.8`, in quotes where 18.1 could be 18.10".into(),
            Self::Text => "a text that is not empty".into(),
            Self::Authority => "a host name, with or without port".into(),
            Self::Variable => "the name of an environment variable".into(),
            Self::Name => "a name, or an empty text".into(),
            Self::Members => {
                "a list of `{user, targets, role}`, such as `{user: dana, targets: [libs/**], role: reporter}`".into()
            }
            Self::Users => "a list of users' names".into(),
            Self::Visibilities => {
                "a list of `{targets, visibility}`, such as `{targets: [libs/**], visibility: internal}`".into()
            }
            Self::Time(least, most) => {
                format!("a time from {} to {}, written as `500ms`, `2s`, `5m` or `24h`", written(least), written(most))
            }
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
        }
    }
}

/// A time in the largest unit that it is a whole number of.
fn written(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let whole = units.into_iter().find_map(|(size, unit)| {
        let count = milliseconds.checked_div(size)?;
        (count > 0 && count.checked_mul(size) == Some(milliseconds)).then(|| format!("{count}{unit}"))
    });
    whole.unwrap_or_else(|| "0s".into())
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Where it stands in the document.
    pub path: &'static str,
    /// What a value must be.
    pub kind: ValueKind,
    /// Whether it must be written.
    pub presence: Presence,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

/// What a key does is told in the documentation, which no filter and no page writes: there the text takes no room.
pub(super) const fn doc(text: &'static str) -> &'static str {
    if cfg!(target_family = "wasm") { "" } else { text }
}

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    Key {
        path: "mode",
        kind: ValueKind::Choice(choices::MODE.words),
        presence: Presence::Default(r#""enforce""#),
        doc: doc(
            "`enforce` answers a denied request; `observe` records the decision and forwards the request all the same.",
        ),
    },
    Key {
        path: "enforce.targets",
        kind: ValueKind::Projects,
        presence: Presence::Default(r#"["**"]"#),
        doc: doc(
            "Targets whose denials are carried out with `mode: enforce`; those of all others are only recorded. See [Project by project](#project-by-project).",
        ),
    },
    Key {
        path: "enforce.unreadable",
        kind: ValueKind::Choice(choices::MODE.words),
        presence: Presence::Default(r#""enforce""#),
        doc: doc(
            "The same for requests that cannot be read in one way alone, whatever project they name. `observe` lets them reach also what is enforced.",
        ),
    },
    Key {
        path: "enforce.unlisted",
        kind: ValueKind::Choice(choices::MODE.words),
        presence: Presence::Default(r#""enforce""#),
        doc: doc(
            "The same for what no job may do anywhere: endpoints that no job token is for, and whatever else the rule `never-for-jobs` denies.",
        ),
    },
    Key {
        path: "enforce.many",
        kind: ValueKind::Choice(choices::MODE.words),
        presence: Presence::Default(r#""enforce""#),
        doc: doc(
            "The same for what is asked of no single project that is known: of a group, of a project or a job by a number under which none was found.",
        ),
    },
    Key {
        path: "observe.targets",
        kind: ValueKind::Projects,
        presence: Presence::Default("[]"),
        doc: doc("Targets whose denials are only recorded all the same, also where `enforce.targets` names them."),
    },
    Key {
        path: "observe.rules",
        kind: ValueKind::Rules,
        presence: Presence::Default("[]"),
        doc: doc(
            "Rules whose denials are only recorded. The rules behind them still deny. Not `login`, `own-job`, `never-for-jobs`, `one-target`, `target-exists`, `left-to-forge` and `nothing-matched`.",
        ),
    },
    Key {
        path: "access.allow",
        kind: ValueKind::AccessRules,
        presence: Presence::Default("[]"),
        doc: doc("Who is let in where, beside those whom the forge's allowlists let in."),
    },
    Key {
        path: "access.deny",
        kind: ValueKind::AccessRules,
        presence: Presence::Default("[]"),
        doc: doc("What is denied, whatever else would allow it."),
    },
    Key {
        path: "access.limit",
        kind: ValueKind::AccessRules,
        presence: Presence::Default("[]"),
        doc: doc("Ceilings: the most that may be asked. What lies above one is denied, whatever else would allow it."),
    },
    Key {
        path: "access.outbound",
        kind: ValueKind::AccessRules,
        presence: Presence::Default("[]"),
        doc: doc("To which targets jobs may go, beside their own project."),
    },
    Key {
        path: "rules.permissions",
        kind: ValueKind::Choice(choices::PERMISSIONS.words),
        presence: Presence::Default(r#""as-the-forge""#),
        doc: doc(
            "How far an allowlist entry that grants single permissions reaches: `as-the-forge` limits the API by it; `strict` limits Git and LFS (`read_repositories`), images (`read_containers`) and triggers (`admin_pipelines`) too.",
        ),
    },
    Key {
        path: "forge.kind",
        kind: ValueKind::Choice(choices::KIND.words),
        presence: Presence::Default(r#""gitlab""#),
        doc: doc(
            "How requests are read: `gitlab` as GitLab does; `gitea` as Gitea and Forgejo do, and `generic` as other forges do, see [Other forges](#other-forges).",
        ),
    },
    Key {
        path: "forge.answers",
        kind: ValueKind::Choice(choices::ANSWERS.words),
        presence: Presence::Default(r#""gitlab-17""#),
        doc: doc(
            "Which GitLab denials are worded after: from 17 on Git and the API answer 403 and name the two projects, before they answered 404.",
        ),
    },
    Key {
        path: "forge.version",
        kind: ValueKind::Version,
        presence: Presence::Default(r#""newest""#),
        doc: doc(
            "Which GitLab it is: endpoints that a later one has are refused, and before 18.3 the API serves visitors' reads of public projects to every job. `lookup` asks the forge, see [Endpoints of your own](#endpoints-of-your-own).",
        ),
    },
    Key {
        path: "forge.endpoints",
        kind: ValueKind::Endpoints,
        presence: Presence::Default("[]"),
        doc: doc(
            "Endpoints of the API that the table does not have, or has otherwise. They are tried before it. See [Endpoints of your own](#endpoints-of-your-own).",
        ),
    },
    Key {
        path: "forge.hosts",
        kind: ValueKind::Hosts(1),
        presence: Presence::Required,
        doc: doc(
            "Hosts that serve Git, LFS, the API and `/jwt/auth`. Compared without port, case and final dot. A job token on a host that is in no list is refused; in a body, with `kind: gitlab` below `/api/v4/`.",
        ),
    },
    Key {
        path: "forge.registry_hosts",
        kind: ValueKind::Hosts(0),
        presence: Presence::Default("[]"),
        doc: doc("Hosts that serve the container registry."),
    },
    Key {
        path: "forge.relative_url_root",
        kind: ValueKind::UrlRoot,
        presence: Presence::Default(r#""""#),
        doc: doc("The path below which the forge is installed."),
    },
    Key {
        path: "forge.unlisted_endpoints",
        kind: ValueKind::Choice(choices::UNLISTED_ENDPOINTS.words),
        presence: Presence::Default(r#""deny""#),
        doc: doc(
            "What becomes of a job's request to an endpoint of the API that no job token is for: `deny` answers it; `strip` forwards it without the token, so that the forge sees an anonymous visitor.",
        ),
    },
    Key {
        path: "forge.lfs_credentials",
        kind: ValueKind::Choice(choices::LFS_CREDENTIALS.words),
        presence: Presence::Default(r#""own""#),
        doc: doc(
            "Which credential a job finds in GitLab's answer to an LFS batch. `own`: its own token, in place of the one that GitLab made for the job's user and that also uploads. `forge`: the forge's, which is remembered and judged like the job's token; where there is no room for that, the batch gets 503.",
        ),
    },
    Key {
        path: "forge.dependency_proxy",
        kind: ValueKind::Choice(choices::DEPENDENCY_PROXY.words),
        presence: Presence::Default(r#""off""#),
        doc: doc(
            "Whether jobs use GitLab's dependency proxy. `off`: no job does, and people's requests to it are left alone. `on`: a job pulls through the groups above its own project while it runs. That has a cost for people, which is why it is off: see [Dependency proxy](#dependency-proxy).",
        ),
    },
    Key {
        path: "forge.kubernetes_agent",
        kind: ValueKind::Choice(choices::KUBERNETES_AGENT.words),
        presence: Presence::Default(r#""off""#),
        doc: doc(
            "Whether jobs work on clusters through the Kubernetes agent (`kubectl` with `ci:<agent>:<token>`). Which agents a job's project may use, the agent's server checks. Not `kubectl exec` and its like, which change the protocol of a connection.",
        ),
    },
    Key {
        path: "forge.credential_slots",
        kind: ValueKind::Choice(choices::CREDENTIAL_SLOTS.words),
        presence: Presence::Default(r#""off""#),
        doc: doc(
            "Whether jobs are served whose tokens the forge does not know, those that the lookup service calls `credential: service`. `on`: a request that is granted goes on without any credential, and says in `x-jobscope-credential` which one Envoy is to add: `read` or `write`. `off`: they are refused. See [credentials.md](credentials.md).",
        ),
    },
    Key {
        path: "bodies",
        kind: ValueKind::Choice(choices::BODIES.words),
        presence: Presence::Default(r#""judge""#),
        doc: doc(
            "What becomes of a request that only its body can decide. `judge`: its head waits for the body, which takes `allow_on_headers_stop_iteration: true` in Envoy. `leave`: its head decides, for hosts where that cannot be set: see [Bodies](#bodies).",
        ),
    },
    Key {
        path: "packages.index",
        kind: ValueKind::Choice(choices::PACKAGE_INDEX.words),
        presence: Presence::Default(r#""deny""#),
        doc: doc(
            "Whether jobs ask for whatever packages a group has: an index, where the path names no package (Composer's `packages.json`, PyPI's `simple/`, the index and the search of NuGet, `dists` of Debian). `deny`: none does. `all-admitted`: a job does where every project of the group, and of its subgroups, lets it read packages; at most 32. Composer and NuGet work on a group in this way alone. What names a package is judged by the projects that hold it, whatever stands here: see [rules.md](rules.md).",
        ),
    },
    Key {
        path: "lookup.api",
        kind: ValueKind::Choice(choices::API.words),
        presence: Presence::Default(r#""auto""#),
        doc: doc(
            "Which API answers lookups. `auto`: GitLab's own where `forge.kind` is `gitlab`, and a service of yours elsewhere. `v1`: a service of yours, for GitLab too. See token-lookup.md.",
        ),
    },
    Key {
        path: "lookup.cluster",
        kind: ValueKind::Text,
        presence: Presence::Required,
        doc: doc("Envoy's name for the cluster that answers lookups."),
    },
    Key {
        path: "lookup.authority",
        kind: ValueKind::Authority,
        presence: Presence::Required,
        doc: doc("The `:authority` (Host) that lookups carry."),
    },
    Key {
        path: "lookup.timeout",
        kind: ValueKind::Time(Duration::from_millis(10), MINUTE),
        presence: Presence::Default(r#""2s""#),
        doc: doc("How long a request waits for facts, all its lookups together. Then it gets 503 with Retry-After."),
    },
    Key {
        path: "lookup.retries",
        kind: ValueKind::Count(0, 3),
        presence: Presence::Default("1"),
        doc: doc(
            "How often a lookup that did not reach the service is sent again, within `lookup.timeout`. What the service answered is never asked again.",
        ),
    },
    Key {
        path: "lookup.credential_env",
        kind: ValueKind::Variable,
        presence: Presence::Default(r#""""#),
        doc: doc(
            "Which environment variable of the VM holds the service account's token. Envoy passes it on where `vm_config.environment_variables` names it. Required unless no fact needs it, see below; or `lookup.service_cluster`.",
        ),
    },
    Key {
        path: "lookup.service_cluster",
        kind: ValueKind::Name,
        presence: Presence::Default(r#""""#),
        doc: doc(
            "In place of `lookup.credential_env`: Envoy's name for a second cluster, where Envoy adds the service account's token to each call. Calls in its name go there, and none that has a job's token for a credential. See [Secrets that rotate](operations.md#secrets-that-rotate).",
        ),
    },
    Key {
        path: "lookup.max_unknown_per_second",
        kind: ValueKind::Count(1, 100_000),
        presence: Presence::Default("100"),
        doc: doc(
            "How many tokens of which nothing is remembered one Envoy looks up in a second. A client whose token would be one too many gets 503 with Retry-After. With `forge.kind: gitea` or `generic` also every person's credential counts, once in a minute of use.",
        ),
    },
    Key {
        path: "lookup.max_unknown_per_source",
        kind: ValueKind::Count(1, 100_000),
        presence: Presence::Default("20"),
        doc: doc(
            "The same for one client address (for IPv6 a /64), with 429. Runners behind one NAT have one address together: set it to the new jobs that the largest site starts in a second, and more for an Envoy that was just started.",
        ),
    },
    Key {
        path: "lookup.changes",
        kind: ValueKind::Choice(choices::CHANGES.words),
        presence: Presence::Default(r#""off""#),
        doc: doc(
            "Whether a service of yours is asked which jobs ended (`GET /jobscope/v1/changes`), by one worker of each Envoy. Not with GitLab's own API, which has no such list. See token-lookup.md.",
        ),
    },
    Key {
        path: "facts.membership",
        kind: ValueKind::Choice(choices::SOURCE.words),
        presence: Presence::Default(r#""lookup""#),
        doc: doc(
            "Where the role of a job's user in a target comes from: `lookup`, `configuration` (`facts.members`), or `forge`, which leaves it to the forge to check.",
        ),
    },
    Key {
        path: "facts.members",
        kind: ValueKind::Members,
        presence: Presence::Default("[]"),
        doc: doc(
            "The roles of users. Of several for one user and target the highest counts; who has none is no member.",
        ),
    },
    Key {
        path: "facts.external",
        kind: ValueKind::Choice(choices::SOURCE.words),
        presence: Presence::Default(r#""lookup""#),
        doc: doc(
            "Where it comes from whether a user is external: `lookup`, `configuration` (`facts.external_users`), or `forge`.",
        ),
    },
    Key {
        path: "facts.external_users",
        kind: ValueKind::Users,
        presence: Presence::Default("[]"),
        doc: doc("The users who are external."),
    },
    Key {
        path: "facts.visibility",
        kind: ValueKind::Choice(choices::SOURCE.words),
        presence: Presence::Default(r#""lookup""#),
        doc: doc(
            "Where it comes from who may see a target: `lookup`, `configuration` (`facts.visibilities`), or `forge`.",
        ),
    },
    Key {
        path: "facts.visibilities",
        kind: ValueKind::Visibilities,
        presence: Presence::Default("[]"),
        doc: doc(
            "Who may see targets: `private`, `internal` or `public`. Of several for one target the narrowest counts; a target that is not named is private.",
        ),
    },
    Key {
        path: "facts.allowlists",
        kind: ValueKind::Choice(choices::SOURCE.words),
        presence: Presence::Default(r#""lookup""#),
        doc: doc(
            "Where it comes from whether a target admits an origin: `lookup`, `configuration` (its access rules alone), or `forge`.",
        ),
    },
    Key {
        path: "facts.outbound",
        kind: ValueKind::Choice(choices::OUTBOUND.words),
        presence: Presence::Default(r#""forge""#),
        doc: doc("Whether the outbound list of the origin is looked up, or left to the forge, where it still has one."),
    },
    Key {
        path: "facts.projects_revalidate_after",
        kind: ValueKind::Time(Duration::from_secs(1), DAY),
        presence: Presence::Default(r#""30s""#),
        doc: doc(
            "The age at which a project's path, visibility, features and push settings are looked up again. The request that notices does not wait, unless it would be denied: no fact denies that is older than two seconds and was not looked up once more. At most `bindings.max_stale`, which it is where nothing is written and that is shorter.",
        ),
    },
    Key {
        path: "facts.members_revalidate_after",
        kind: ValueKind::Time(Duration::from_secs(1), DAY),
        presence: Presence::Default(r#""30s""#),
        doc: doc("The same for a user's role in a target, and for whether a user is external."),
    },
    Key {
        path: "facts.allowlists_revalidate_after",
        kind: ValueKind::Time(Duration::from_secs(1), DAY),
        presence: Presence::Default(r#""30s""#),
        doc: doc("The same for allowlists, their entries, what the instance enforces, and outbound lists."),
    },
    Key {
        path: "runner.pull_policy.mode",
        kind: ValueKind::Choice(choices::CHECK.words),
        presence: Presence::Default(r#""ignore""#),
        doc: doc(
            "Whether the pull policies of a job's images are looked at when a runner gets the job: `ignore` does not; `observe` records those that are not allowed; `enforce` does what `otherwise` says. See [Pull policy](#pull-policy).",
        ),
    },
    Key {
        path: "runner.pull_policy.allowed",
        kind: ValueKind::Choices(choices::PULL_POLICY.words),
        presence: Presence::Default(r#"["always"]"#),
        doc: doc(
            "The pull policies that an image may have. An image without any has the runner's own, which may be another.",
        ),
    },
    Key {
        path: "runner.pull_policy.otherwise",
        kind: ValueKind::Choice(choices::OTHERWISE.words),
        presence: Presence::Default(r#""rewrite""#),
        doc: doc(
            "What becomes of a job whose images have others: `rewrite` gives its runner the job with those that are allowed, or the first allowed one; `refuse` keeps the job from its runner and tells the forge that it failed.",
        ),
    },
    Key {
        path: "runner.pull_policy.runners",
        kind: ValueKind::Choice(choices::RUNNERS.words),
        presence: Presence::Default(r#""shared""#),
        doc: doc(
            "To which runners this applies: `shared` is every runner whose token does not say that it is a project's own.",
        ),
    },
    Key {
        path: "bindings.capacity",
        kind: ValueKind::Count(64, 1 << 20),
        presence: Presence::Default("32768"),
        doc: doc(
            "How many running jobs are remembered at the same time. It fixes the number of keys in shared data and bounds the memory. Another value begins with empty tables, and ends that were seen are forgotten; they outlive every other change of the configuration.",
        ),
    },
    Key {
        path: "bindings.revalidate_after",
        kind: ValueKind::Time(Duration::from_secs(1), DAY),
        presence: Presence::Default(r#""30s""#),
        doc: doc(
            "The age at which a binding is confirmed again. The request that notices does not wait. Facts about targets have ages of their own: `facts.projects_revalidate_after` and its neighbours.",
        ),
    },
    Key {
        path: "bindings.max_stale",
        kind: ValueKind::Time(Duration::from_secs(1), DAY),
        presence: Presence::Default(r#""5m""#),
        doc: doc(
            "The age at which a fact no longer serves: how long decisions go on while the lookup cluster is away.",
        ),
    },
    Key {
        path: "bindings.max_lifetime",
        kind: ValueKind::Time(MINUTE, Duration::from_secs(720 * 3600)),
        presence: Presence::Default(r#""24h""#),
        doc: doc(
            "The age at which a binding ends, whatever the forge says. It is counted from when this Envoy first knew the \
              token, and anew where the binding was pushed out by others, or Envoy was restarted.",
        ),
    },
    Key {
        path: "webhook.path",
        kind: ValueKind::OwnPath,
        presence: Presence::Default(r#""""#),
        doc: doc(
            "The path on `forge.hosts` at which the forge's webhook tells of jobs that ended. What comes there is never forwarded. Empty: there is none. See [Webhook](#webhook).",
        ),
    },
    Key {
        path: "webhook.secret_env",
        kind: ValueKind::Variable,
        presence: Presence::Default(r#""""#),
        doc: doc(
            "Which environment variable of the VM holds the webhook's secret, which GitLab sends as `X-Gitlab-Token`. Required with `webhook.path`, unless Envoy adds the secret.",
        ),
    },
    Key {
        path: "webhook.secret_from",
        kind: ValueKind::Choice(choices::SECRET.words),
        presence: Presence::Default(r#""environment""#),
        doc: doc(
            "Where that secret comes from: `environment` is `webhook.secret_env`; with `envoy` Envoy adds it to each report, in the field `:jobscope-webhook-secret`, which no client can send. See [Secrets that rotate](operations.md#secrets-that-rotate).",
        ),
    },
    Key {
        path: "log.allows",
        kind: ValueKind::Choice(choices::DETAIL.words),
        presence: Presence::Default(r#""brief""#),
        doc: doc(
            "Whether `jobscope_why` is there for decisions that allow too: `full` accounts for each as for a denial, see log.md. That costs about as much again as the decision, and 4 KB of log.",
        ),
    },
    Key {
        path: "log.form",
        kind: ValueKind::Choice(choices::LOG_FORM.words),
        presence: Presence::Default(r#""fields""#),
        doc: doc(
            "How a decision gets into Envoy's access log: `fields` as a property for each field, `wasm.jobscope_job` and so on; `struct` as one property `wasm.jobscope`, which `access_log` must then name: see [log.md](log.md#as-one-property).",
        ),
    },
];
