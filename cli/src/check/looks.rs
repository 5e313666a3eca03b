//! The checks behind the rows: each looks at a filter and what stands around it, and says what is wrong.

use std::time::Duration;

use policy::choices::{Bodies, LogForm};
use policy::config::ServiceToken;

use super::Weight;
use super::envoy::{Site, domains};
use super::rows::Seen;
use super::secrets::adds_secret;
use crate::marked::{Kind, Node};

/// What stands under a key, as a text.
fn shown(node: Option<&Node>) -> String {
    match node.map(|node| &node.kind) {
        None => "nothing".into(),
        Some(Kind::Text(text)) => format!("`{text}`"),
        Some(Kind::Bool(is_on)) => format!("`{is_on}`"),
        Some(Kind::Number(number)) => format!("`{number}`"),
        Some(Kind::Null) => "`null`".into(),
        Some(Kind::List(_)) => "a list".into(),
        Some(Kind::Map(_)) => "an object".into(),
    }
}

/// That a key has another value than it should.
fn wrong(parent: &Node, keys: &[&str], expected: &str) -> Seen {
    let found = parent.at(keys);
    let name = keys.join(".");
    let line = found.map_or(parent.line, |node| node.line);
    (Weight::Error, line, format!("expected `{name}: {expected}`, found {}", shown(found)))
}

fn word_is(parent: &Node, keys: &[&str], expected: &str) -> Vec<Seen> {
    let is_so = parent.at(keys).and_then(Node::text) == Some(expected);
    if is_so { Vec::new() } else { vec![wrong(parent, keys, expected)] }
}

fn switch_is(parent: &Node, keys: &[&str], expected: bool) -> Vec<Seen> {
    let is_so = parent.at(keys).is_some_and(|node| node.is(expected));
    if is_so { Vec::new() } else { vec![wrong(parent, keys, &expected.to_string())] }
}

pub(super) fn failure_policy(site: &Site<'_>) -> Vec<Seen> {
    let mut seen = word_is(site.plugin, &["failure_policy"], "FAIL_RELOAD");
    if let Some(open) = site.plugin.get("fail_open").filter(|open| open.is(true)) {
        seen.push((Weight::Error, open.line, "`fail_open` lets requests pass without the filter".into()));
    }
    seen
}

pub(super) fn disabled(site: &Site<'_>) -> Vec<Seen> {
    let filters = site.manager.get("http_filters").into_iter().flat_map(Node::items);
    let own = filters.clone().nth(site.place);
    let name = own.and_then(|filter| filter.get("name")).and_then(Node::text).unwrap_or_default();
    let of_routes = site.all().filter_map(|node| node.at(&["typed_per_filter_config", name]));
    let is_off = |node: &&Node| node.get("disabled").is_some_and(|value| value.is(true));
    let off = of_routes.chain(own).filter(is_off);
    off.map(|node| (Weight::Error, node.line, format!("the filter `{name}` is disabled here"))).collect()
}

pub(super) fn first(site: &Site<'_>) -> Vec<Seen> {
    let before: Vec<String> = site
        .manager
        .get("http_filters")
        .into_iter()
        .flat_map(Node::items)
        .take(site.place)
        .filter(|one| !adds_secret(one))
        .map(|one| shown(one.get("name")))
        .collect();
    let seen =
        (Weight::Error, site.plugin.line, format!("expected the filter first, found {} before it", before.join(", ")));
    if before.is_empty() { Vec::new() } else { vec![seen] }
}

const REWRITES: [&str; 9] = [
    "prefix_rewrite",
    "regex_rewrite",
    "path_rewrite",
    "path_rewrite_policy",
    "host_rewrite_literal",
    "host_rewrite_header",
    "host_rewrite_path_regex",
    "auto_host_rewrite",
    "internal_redirect_policy",
];

pub(super) fn rewrites(site: &Site<'_>) -> Vec<Seen> {
    found(site.forge_hosts().into_iter(), &REWRITES, "a request would be forwarded otherwise than it was decided on")
}

/// Every one of these keys below some values.
fn found<'a>(places: impl Iterator<Item = &'a Node>, keys: &[&str], why: &str) -> Vec<Seen> {
    let entries = places.flat_map(Node::all).flat_map(Node::entries);
    let wrong = entries.filter(|(key, _, value)| keys.contains(&key.as_str()) && !is_empty(value));
    wrong.map(|(key, line, _)| (Weight::Error, *line, format!("expected no `{key}`: {why}"))).collect()
}

fn is_empty(node: &Node) -> bool {
    match &node.kind {
        Kind::Null | Kind::Bool(false) => true,
        Kind::List(items) => items.is_empty(),
        Kind::Map(_) | Kind::Bool(true) | Kind::Number(_) | Kind::Text(_) => false,
    }
}

pub(super) fn hosts(site: &Site<'_>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for host in site.forge_hosts() {
        let line = host.get("domains").map_or(host.line, |list| list.line);
        for domain in domains(host).filter(|domain| site.setup.is_some() && !site.lists(domain)) {
            let text = if domain.contains('*') {
                format!("the domain `{domain}` leads names to the forge that the filter does not know")
            } else {
                format!(
                    "the host `{domain}` leads to the forge, and is neither in `forge.hosts` nor in `forge.registry_hosts`"
                )
            };
            seen.push((Weight::Error, line, text));
        }
    }
    seen
}

pub(super) fn paths(site: &Site<'_>) -> Vec<Seen> {
    let mut seen = switch_is(site.manager, &["normalize_path"], false);
    // Envoy's own default is `false`.
    if site.manager.get("merge_slashes").is_some() {
        seen.extend(switch_is(site.manager, &["merge_slashes"], false));
    }
    seen.extend(word_is(site.manager, &["path_with_escaped_slashes_action"], "KEEP_UNCHANGED"));
    seen
}

pub(super) fn underscores(site: &Site<'_>) -> Vec<Seen> {
    word_is(site.manager, &["common_http_protocol_options", "headers_with_underscores_action"], "REJECT_REQUEST")
}

pub(super) fn addresses(site: &Site<'_>) -> Vec<Seen> {
    let mut seen = switch_is(site.manager, &["use_remote_address"], true);
    let ranges = site.manager.at(&["internal_address_config", "cidr_ranges"]);
    match site.manager.get("internal_address_config") {
        None => seen.push((
            Weight::Error,
            site.manager.line,
            "expected an empty `internal_address_config`, found nothing".into(),
        )),
        Some(_) if ranges.is_some_and(|ranges| !is_empty(ranges)) => {
            seen.push(wrong(site.manager, &["internal_address_config", "cidr_ranges"], "[]"));
        }
        Some(_) => {}
    }
    seen
}

pub(super) fn in_front(site: &Site<'_>) -> Vec<Seen> {
    let has_hops = site.manager.get("xff_num_trusted_hops").and_then(Node::number).is_some_and(|hops| hops > 0);
    let has_proxy = site.listener.and_then(|listener| listener.get("listener_filters")).into_iter().flat_map(Node::all);
    let has_proxy = has_proxy.filter_map(Node::text).any(|text| text.contains("proxy_protocol"));
    let text =
        "neither `xff_num_trusted_hops` nor the PROXY protocol: right where clients connect to this Envoy itself";
    if has_hops || has_proxy || ends_tls(site) {
        Vec::new()
    } else {
        vec![(Weight::Unseen, site.manager.line, text.into())]
    }
}

/// Whether clients speak TLS to the listener.
fn ends_tls(site: &Site<'_>) -> bool {
    let chains = site.listener.and_then(|listener| listener.get("filter_chains")).into_iter().flat_map(Node::items);
    chains.clone().count() > 0 && chains.into_iter().all(|chain| chain.get("transport_socket").is_some())
}

pub(super) fn trailers(site: &Site<'_>) -> Vec<Seen> {
    let clusters = || site.forge_clusters().into_iter();
    let mut seen = found(clusters(), &["enable_trailers"], "the trailers of a request are not read");
    seen.extend(found(
        clusters(),
        &["http2_protocol_options", "http3_protocol_options", "auto_config"],
        "over HTTP/2 trailers reach the forge, and are not read",
    ));
    seen
}

pub(super) fn upgrades(site: &Site<'_>) -> Vec<Seen> {
    let places = site.forge_hosts().into_iter();
    let why = "nobody reads an upgraded connection";
    let of_manager = site.manager.entries().filter(|(key, _, value)| key == "upgrade_configs" && !is_empty(value));
    let of_manager = of_manager.map(|(key, line, _)| (Weight::Error, *line, format!("expected no `{key}`: {why}")));
    of_manager.chain(found(places, &["upgrade_configs"], why)).collect()
}

/// What Envoy keeps of a connection where nothing is said.
const CONNECTION_BUFFER: u64 = 1 << 20;
/// How much of a body the filter may hold back.
const HELD_BACK: u64 = 1 << 20;

pub(super) fn buffers(site: &Site<'_>) -> Vec<Seen> {
    // With `bodies: leave` nothing is held back.
    let leaves = site.setup.as_ref().is_some_and(|setup| setup.config.forge.bodies == Bodies::Leave);
    let mut seen = if leaves { Vec::new() } else { switch_is(site.plugin, &["allow_on_headers_stop_iteration"], true) };
    let listener = site.listener.and_then(|listener| listener.get("per_connection_buffer_limit_bytes"));
    let least = listener.and_then(Node::number).unwrap_or(CONNECTION_BUFFER).saturating_add(HELD_BACK);
    for host in site.forge_hosts().into_iter().filter(|host| domains(host).any(|domain| is_forge(site, domain))) {
        let limit =
            ["request_body_buffer_limit", "per_request_buffer_limit_bytes"].iter().find_map(|key| host.get(key));
        if limit.and_then(Node::number).is_none_or(|limit| limit < least) {
            let text = format!("expected a `request_body_buffer_limit` of {least} or more, found {}", shown(limit));
            seen.push((Weight::Error, limit.map_or(host.line, |node| node.line), text));
        }
    }
    seen
}

/// Whether a host is one of the forge itself, and not of its registry.
pub(super) fn is_forge(site: &Site<'_>, domain: &str) -> bool {
    let host = policy::facts::Host::of_authority(domain.as_bytes());
    site.setup.as_ref().zip(host).is_some_and(|(setup, host)| setup.config.forge.hosts.contains(&host))
}

pub(super) fn breakers(site: &Site<'_>) -> Vec<Seen> {
    let most = site.all().find_map(|node| node.get("max_active_downstream_connections")).and_then(Node::number);
    // Envoy's own limit is 1,024 of each.
    let least = most.unwrap_or(1025);
    let of_cluster = |cluster: &Node| {
        let thresholds = cluster.at(&["circuit_breakers", "thresholds"]);
        let first = thresholds.and_then(|list| list.items().next());
        let narrow = ["max_connections", "max_pending_requests", "max_requests"]
            .into_iter()
            .filter(|key| first.and_then(|one| one.get(key)).and_then(Node::number).unwrap_or(1024) < least);
        let narrow: Vec<&str> = narrow.collect();
        let text = format!("expected circuit breakers of {least} or more, found less in `{}`", narrow.join("`, `"));
        (!narrow.is_empty()).then_some((Weight::Error, thresholds.unwrap_or(cluster).line, text))
    };
    site.forge_clusters().into_iter().filter_map(of_cluster).collect()
}

pub(super) fn vm_id(site: &Site<'_>) -> Vec<Seen> {
    let id = |plugin: &Node| plugin.at(&["vm_config", "vm_id"]).and_then(Node::text).unwrap_or_default().to_owned();
    let root = |plugin: &Node| plugin.get("root_id").and_then(Node::text).unwrap_or_default().to_owned();
    let own = id(site.plugin);
    if own.is_empty() {
        return vec![wrong(site.plugin, &["vm_config", "vm_id"], "jobscope")];
    }
    let others = site.all().filter(|node| node.get("vm_config").is_some() && !std::ptr::eq(*node, site.plugin));
    let same = others.filter(|other| id(other) == own && root(other) != root(site.plugin));
    same.map(|other| (Weight::Error, other.line, format!("another plugin has the `vm_id` `{own}` too"))).collect()
}

pub(super) fn lookup_cluster(site: &Site<'_>) -> Vec<Seen> {
    let Some(setup) = &site.setup else { return Vec::new() };
    let lookup = &setup.config.lookup;
    let service = match &lookup.service_token {
        Some(ServiceToken::Cluster(name)) => Some(name).filter(|name| **name != lookup.cluster),
        Some(ServiceToken::Environment(_)) | None => None,
    };
    [&lookup.cluster]
        .into_iter()
        .chain(service)
        .flat_map(|name| cluster_of_lookups(site, name, lookup.timeout))
        .collect()
}

fn cluster_of_lookups(site: &Site<'_>, name: &str, patience: Duration) -> Vec<Seen> {
    let Some(cluster) = site.cluster(name) else {
        return vec![(Weight::Unseen, site.plugin.line, format!("the cluster `{name}` is not in this file"))];
    };
    let mut seen = Vec::new();
    if cluster.at(&["circuit_breakers", "thresholds"]).is_none_or(is_empty) {
        seen.push((
            Weight::Error,
            cluster.line,
            format!("expected circuit breakers on the cluster `{name}`, found none"),
        ));
    }
    let timeout = cluster.get("connect_timeout");
    // Envoy's own is 5 s.
    let seconds = timeout.and_then(Node::text).and_then(seconds).unwrap_or(5.0);
    if seconds >= patience.as_secs_f64() {
        let text = format!("expected a `connect_timeout` below `lookup.timeout`, found {}", shown(timeout));
        seen.push((Weight::Error, timeout.unwrap_or(cluster).line, text));
    }
    if cluster.get("transport_socket").is_none() {
        let text = format!("no TLS on the cluster `{name}`: a living token is sent there in the clear");
        seen.push((Weight::Warning, cluster.line, text));
    }
    seen
}

/// A time as protobuf writes it in JSON: `1.5s`.
fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse().ok()
}

/// Whether nobody on another machine reaches an address.
fn is_near(place: &Node) -> bool {
    let address = place.at(&["address", "socket_address", "address"]).and_then(Node::text);
    place.at(&["address", "pipe"]).is_some() || address.is_some_and(|one| one.starts_with("127.") || one == "::1")
}

pub(super) fn tls(site: &Site<'_>) -> Vec<Seen> {
    let Some(listener) = site.listener.filter(|listener| !ends_tls(site) && !is_near(listener)) else {
        return Vec::new();
    };
    let line = listener.get("address").map_or(listener.line, |address| address.line);
    vec![(Weight::Warning, line, "no TLS on this listener: right where a TLS terminator is all that reaches it".into())]
}

pub(super) fn proxy_status(site: &Site<'_>) -> Vec<Seen> {
    let status = site.manager.get("proxy_status_config");
    let tells = status.filter(|status| !status.get("remove_details").is_some_and(|removed| removed.is(true)));
    let text =
        "expected no `proxy_status_config` without `remove_details: true`: the details name the reason of a denial";
    tells.map(|status| (Weight::Error, status.line, text.to_owned())).into_iter().collect()
}

pub(super) fn service_account(site: &Site<'_>) -> Vec<Seen> {
    let Some(setup) = &site.setup else { return Vec::new() };
    let variable = match &setup.config.lookup.service_token {
        None => return Vec::new(),
        Some(ServiceToken::Cluster(cluster)) => {
            let text = format!("what the service account of the cluster `{cluster}` may read, the forge knows");
            return vec![(Weight::Unseen, site.plugin.line, text)];
        }
        Some(ServiceToken::Environment(variable)) => variable,
    };
    let environment = site.plugin.at(&["vm_config", "environment_variables"]);
    let is_passed = environment
        .into_iter()
        .flat_map(Node::all)
        .any(|node| node.text() == Some(variable.as_str()) || node.get(variable).is_some());
    if is_passed {
        let text = format!("what the service account of `{variable}` may read, the forge knows");
        return vec![(Weight::Unseen, environment.map_or(site.plugin.line, |node| node.line), text)];
    }
    let text =
        format!("expected `{variable}` in `vm_config.environment_variables`, without which the filter does not start");
    vec![(Weight::Error, site.plugin.get("vm_config").map_or(site.plugin.line, |node| node.line), text)]
}

/// The header fields that may be logged.
const LOGGED: [&str; 3] = [":METHOD", ":AUTHORITY", "X-REQUEST-ID"];

pub(super) fn access_log(site: &Site<'_>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for log in site.manager.get("access_log").into_iter().flat_map(Node::items) {
        let config = log.get("typed_config").unwrap_or(log);
        if config.get("log_format").is_none() && config.get("format").is_none() && config.get("json_format").is_none() {
            seen.push((Weight::Error, log.line, "expected a `log_format`: Envoy's own has the query".into()));
        }
        for node in config.all() {
            let Some(text) = node.text() else { continue };
            let told = commands(text).filter_map(|(name, argument)| told(name, argument));
            seen.extend(told.map(|what| {
                (Weight::Error, node.line, format!("expected no {what} in the access log: tokens live there"))
            }));
        }
        seen.extend(site.setup.as_ref().and_then(|setup| unwritten(log, setup.config.log.form)));
    }
    seen
}

/// Where a log reads what the filter does not write: it is empty there. Right for who is about to change the form.
fn unwritten(log: &Node, form: LogForm) -> Option<Seen> {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c == '_' || c.is_alphanumeric());
    let (is_fields, text) = match form {
        LogForm::Fields => {
            (false, "`wasm.jobscope` is empty with `log.form: fields`, which writes `wasm.jobscope_job` and so on")
        }
        LogForm::Struct => {
            (true, "`wasm.jobscope_...` is empty with `log.form: struct`, which writes `wasm.jobscope` alone")
        }
    };
    let reads = |text: &str| {
        text.split("wasm.jobscope").skip(1).any(|rest| if is_fields { rest.starts_with('_') } else { !goes_on(rest) })
    };
    let node = log.all().find(|node| node.text().is_some_and(reads))?;
    Some((Weight::Warning, node.line, text.to_owned()))
}

/// What a command of a format tells that should not be told.
fn told(name: &str, argument: &str) -> Option<String> {
    match name {
        "PATH" if !argument.starts_with("NQ") => Some("query".to_owned()),
        "REQ" | "REQUEST_HEADER" => {
            let field =
                argument.split('?').find(|field| !LOGGED.iter().any(|known| known.eq_ignore_ascii_case(field)))?;
            let is_path = field.eq_ignore_ascii_case(":PATH") || field.eq_ignore_ascii_case("X-ENVOY-ORIGINAL-PATH");
            Some(if is_path { "query".to_owned() } else { format!("header field `{field}`") })
        }
        // `request.url_path` is the path without its query.
        "CEL" | "TYPED_CEL" => {
            let secrets = ["request.headers", "request.path", "request.query", "request.referer", "request.useragent"];
            secrets.into_iter().find(|secret| argument.contains(secret)).map(|secret| format!("`{secret}`"))
        }
        _ => None,
    }
}

/// The commands of a format that have an argument: `%NAME(ARGUMENT)%`.
fn commands(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('%').filter_map(|piece| {
        let (name, rest) = piece.split_once('(')?;
        let (argument, _) = rest.rsplit_once(')')?;
        Some((name, argument))
    })
}

pub(super) fn admin(site: &Site<'_>) -> Vec<Seen> {
    let admin = site.all().find_map(|node| node.get("admin"));
    let open = admin.filter(|admin| admin.get("address").is_some() && !is_near(admin));
    let text = "expected the admin interface on the loopback: it stops Envoy and dumps its configuration";
    open.map(|admin| (Weight::Error, admin.line, text.to_owned())).into_iter().collect()
}
