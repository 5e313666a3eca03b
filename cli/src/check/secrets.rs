//! Secrets that Envoy adds: the service account's token where its calls go and nowhere else, the webhook's before the filter.

use policy::choices::Api;
use policy::config::{SECRET_FIELD, ServiceToken, WebhookSecret};

use super::Weight;
use super::envoy::Site;
use super::rows::Seen;
use crate::marked::Node;

/// The field that carries the service account's token to a service of this kind.
fn field(api: Api) -> &'static str {
    match api {
        Api::Gitlab => "private-token",
        Api::V1 => "authorization",
    }
}

/// The injectors of credentials below a value: Envoy's `CredentialInjector`.
fn injectors(node: &Node) -> impl Iterator<Item = &Node> {
    node.all().filter(|inner| {
        inner.get("@type").and_then(Node::text).is_some_and(|kind| kind.ends_with(".CredentialInjector"))
    })
}

/// Whether an injector adds this field. Where it names none, it is `Authorization`.
fn adds(injector: &Node, field: &str) -> bool {
    let named = injector.at(&["credential", "typed_config", "header"]).and_then(Node::text);
    named.unwrap_or("authorization").eq_ignore_ascii_case(field)
}

/// Whether an HTTP filter does no more than add the webhook's secret.
pub(super) fn adds_secret(filter: &Node) -> bool {
    injectors(filter).next().is_some_and(|injector| adds(injector, SECRET_FIELD))
}

pub(super) fn secrets(site: &Site<'_>) -> Vec<Seen> {
    let Some(setup) = &site.setup else { return Vec::new() };
    let (lookup, mut seen) = (&setup.config.lookup, Vec::new());
    let service = match &lookup.service_token {
        Some(ServiceToken::Cluster(name)) => Some(name.as_str()),
        Some(ServiceToken::Environment(_)) | None => None,
    };
    if let Some((name, cluster)) = service.and_then(|name| Some((name, site.cluster(name)?))) {
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
    let forge = site.forge_clusters().into_iter().filter(|cluster| name(cluster) != service);
    let mut others: Vec<&Node> = jobs.into_iter().chain(forge).collect();
    others.dedup_by(|one, other| std::ptr::eq(*one, *other));
    for injector in others.into_iter().flat_map(injectors) {
        let text = "expected no `credential_injector` on a cluster that requests with jobs' tokens go to: they would carry an administrator's too";
        seen.push((Weight::Error, injector.line, text.into()));
    }
    let by_envoy = setup.config.webhook.as_ref().is_some_and(|webhook| webhook.secret == WebhookSecret::Envoy);
    let mut before = site.manager.get("http_filters").into_iter().flat_map(Node::items).take(site.place);
    if by_envoy && !before.any(adds_secret) {
        let text = format!(
            "expected a `credential_injector` for `{SECRET_FIELD}` before the filter: without it each report gets 401"
        );
        seen.push((Weight::Error, site.plugin.line, text));
    }
    seen
}

fn name(cluster: &Node) -> Option<&str> {
    cluster.get("name").and_then(Node::text)
}
