//! Secrets that Envoy adds: the service account's token where its calls go and nowhere else, the webhook's before the filter.

use policy::choices::Api;
use policy::config::{Lookup, SECRET_FIELD, ServiceToken, Webhook, WebhookSecret};

use super::Weight;
use super::envoy::{Site, clusters_of, domains};
use super::looks::is_forge;
use super::rows::Seen;
use super::slots::is_behind_slots;
use crate::marked::Node;

/// The field that carries the service account's token to a service of this kind.
fn field(api: Api) -> &'static str {
    match api {
        Api::Gitlab => "private-token",
        Api::V1 => "authorization",
    }
}

/// The injectors of credentials below a value: Envoy's `CredentialInjector`.
pub(super) fn injectors(node: &Node) -> impl Iterator<Item = &Node> {
    node.all().filter(|inner| {
        inner.get("@type").and_then(Node::text).is_some_and(|kind| kind.ends_with(".CredentialInjector"))
    })
}

/// Whether an injector adds this field. Where it names none, it is `Authorization`.
pub(super) fn adds(injector: &Node, field: &str) -> bool {
    let named = injector.at(&["credential", "typed_config", "header"]).and_then(Node::text);
    named.unwrap_or("authorization").eq_ignore_ascii_case(field)
}

/// Whether an HTTP filter does no more than add the webhook's secret.
pub(super) fn adds_secret(filter: &Node) -> bool {
    injectors(filter).next().is_some() && injectors(filter).all(|injector| adds(injector, SECRET_FIELD))
}

pub(super) fn secrets(site: &Site<'_>) -> Vec<Seen> {
    let Some(setup) = &site.setup else { return Vec::new() };
    let webhook = setup.config.webhook.as_ref().filter(|webhook| webhook.secret == WebhookSecret::Envoy);
    let mut seen = of_clusters(site, &setup.config.lookup);
    seen.extend(of_filters(site, webhook));
    seen
}

/// The service account's token: on the cluster of its calls, and on none that other requests go to.
fn of_clusters(site: &Site<'_>, lookup: &Lookup) -> Vec<Seen> {
    let mut seen = Vec::new();
    let service = match &lookup.service_token {
        Some(ServiceToken::Cluster(name)) => site.cluster(name).map(|cluster| (name.as_str(), cluster)),
        Some(ServiceToken::Environment(_)) | None => None,
    };
    if let Some((name, cluster)) = service {
        let field = field(lookup.api);
        match injectors(cluster).find(|injector| adds(injector, field)) {
            None => seen.push((
                Weight::Error,
                cluster.line,
                format!("expected a `credential_injector` for `{field}` on the cluster `{name}`: without it nobody asks in the service account's name"),
            )),
            Some(injector) => {
                let open = injector.get("allow_request_without_credential").filter(|open| open.is(true));
                let text = "expected no `allow_request_without_credential`: without the token the forge answers as it answers anybody";
                seen.extend(open.map(|open| (Weight::Error, open.line, text.into())));
            }
        }
    }
    // A service of the team's own gets no call in a job's name.
    let jobs = (lookup.api == Api::Gitlab).then(|| site.cluster(&lookup.cluster)).flatten();
    // Another listener's routes give the service account's token to anybody, too.
    let led = service.filter(|(name, _)| site.all().any(|node| node.get("domains").is_some() && leads(node, name)));
    let routed = site.virtual_hosts().into_iter().flat_map(clusters_of).filter_map(|name| site.cluster(name));
    let mut others: Vec<&Node> = Vec::new();
    for cluster in jobs.into_iter().chain(led.map(|(_, cluster)| cluster)).chain(routed) {
        if !others.iter().any(|other| std::ptr::eq(*other, cluster)) {
            others.push(cluster);
        }
    }
    others.retain(|cluster| !is_behind_slots(site, cluster));
    for injector in others.into_iter().flat_map(injectors) {
        let text = "expected no `credential_injector` on a cluster that a route leads to, or that lookups with jobs' tokens go to: they would carry an administrator's too";
        seen.push((Weight::Error, injector.line, text.into()));
    }
    seen
}

/// Whether a virtual host, or a part of one, leads to this cluster, be it with copies of requests, or wherever a client says.
pub(super) fn leads(host: &Node, name: &str) -> bool {
    let mirrors = host.all().filter_map(|node| node.get("cluster")).filter_map(Node::text);
    clusters_of(host).chain(mirrors).any(|cluster| cluster == name)
        || host.all().any(|node| node.get("cluster_header").is_some())
}

/// The webhook's secret: added before the filter, to reports alone, and no other credential to any request.
fn of_filters(site: &Site<'_>, webhook: Option<&Webhook>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let filters = || site.manager.get("http_filters").into_iter().flat_map(Node::items);
    let own = |filter: &&Node| webhook.is_some() && adds_secret(filter);
    let others = filters().take(site.place).filter(|filter| !own(filter)).chain(filters().skip(site.place));
    for injector in others.flat_map(injectors) {
        let text = format!(
            "expected no `credential_injector` among the HTTP filters but the one for `{SECRET_FIELD}`, before the filter and with `webhook.secret_from: envoy`: any other gives its credential to every request"
        );
        seen.push((Weight::Error, injector.line, text));
    }
    let Some(webhook) = webhook else { return seen };
    let mut before = filters().take(site.place).filter(own).peekable();
    if before.peek().is_none() {
        let text = format!(
            "expected a `credential_injector` for `{SECRET_FIELD}` before the filter: without it each report gets 401"
        );
        seen.push((Weight::Error, site.plugin.line, text));
    }
    seen.extend(before.flat_map(|filter| of_reports(site, filter, &webhook.path)));
    seen
}

/// That the webhook's injector is off, and on for the route of reports alone.
fn of_reports(site: &Site<'_>, filter: &Node, path: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    if !filter.get("disabled").is_some_and(|off| off.is(true)) {
        let text = "expected `disabled: true` for the injector of the webhook's secret: without it every request carries the secret, and gets 401 until the secret is there";
        seen.push((Weight::Error, filter.line, text.into()));
    }
    let name = filter.get("name").and_then(Node::text).unwrap_or_default();
    let on = |node: &Node| {
        let here = node.at(&["typed_per_filter_config", name])?;
        (!here.get("disabled").is_some_and(|off| off.is(true))).then_some(here.line)
    };
    let is_path = |route: &Node| route.at(&["match", "path"]).and_then(Node::text) == Some(path);
    for line in site.all().filter(|node| !is_path(node)).filter_map(on) {
        let text = format!(
            "expected `{name}` to be enabled by the route `match: {{path: {path}}}` alone: other requests carry the webhook's secret, and get 401 until it is there"
        );
        seen.push((Weight::Error, line, text));
    }
    // The first route that matches is the one that is taken.
    let takes = |route: &Node| {
        let prefix = route.at(&["match", "prefix"]).and_then(Node::text);
        is_path(route) || prefix.is_some_and(|prefix| path.starts_with(prefix))
    };
    let taken =
        |host: &Node| host.get("routes").and_then(|routes| routes.items().find(|route| takes(route)).and_then(on));
    let mut hosts = site.virtual_hosts();
    hosts.retain(|host| domains(host).any(|domain| is_forge(site, domain)));
    if hosts.is_empty() {
        let text = format!(
            "the route `match: {{path: {path}}}` that enables `{name}` is not in this file: without it each report gets 401"
        );
        seen.push((Weight::Unseen, filter.line, text));
    } else if !hosts.into_iter().any(|host| taken(host).is_some()) {
        let text = format!(
            "expected a route `match: {{path: {path}}}`, before others that match it, with `typed_per_filter_config` that enables `{name}`: without it each report gets 401"
        );
        seen.push((Weight::Error, filter.line, text));
    }
    seen
}
