//! Credentials of the forge's own: on the clusters to which the routes of their slots lead, and on no other. No slot goes on.

use policy::choices::CredentialSlots;
use policy::decision::{SLOT_FIELD, Slot};

use super::Weight;
use super::envoy::{Site, clusters_of};
use super::rows::Seen;
use super::secrets::{adds, injectors, leads};
use crate::finding::written;
use crate::marked::Node;

/// The slot that a route asks for.
fn slot_of(route: &Node) -> Option<&'static str> {
    let fields = route.at(&["match", "headers"]).into_iter().flat_map(Node::items);
    let is_slot = |field: &&Node| {
        let name = field.get("name").and_then(Node::text).unwrap_or_default();
        name.eq_ignore_ascii_case(SLOT_FIELD) && !field.get("invert_match").is_some_and(|inverts| inverts.is(true))
    };
    let value = fields.filter(is_slot).find_map(|field| field.at(&["string_match", "exact"])).and_then(Node::text)?;
    Slot::ALL.into_iter().map(Slot::name).find(|name| *name == value)
}

fn routes(host: &Node) -> impl Iterator<Item = &Node> {
    host.get("routes").into_iter().flat_map(Node::items)
}

fn is_on(site: &Site<'_>) -> bool {
    site.setup.as_ref().is_some_and(|setup| setup.config.forge.credential_slots == CredentialSlots::On)
}

/// Whether a cluster may have a credential: whatever leads to it, on each listener, asks for a slot, and a filter of ours is
/// there to take one off that nobody granted.
pub(super) fn is_behind_slots(site: &Site<'_>, cluster: &Node) -> bool {
    let Some(name) = cluster.get("name").and_then(Node::text).filter(|_| is_on(site)) else { return false };
    let leads_beside = |node: &Node, key: &str| {
        node.entries().filter(|(known, ..)| known != key).any(|(_, _, part)| leads(part, name))
    };
    let asks = |host: &Node| {
        let mut routes = routes(host).filter(|route| leads(route, name));
        !leads_beside(host, "routes") && routes.all(|route| slot_of(route).is_some())
    };
    let ours: Vec<&Node> = written(site.documents).into_iter().filter_map(|one| one.plugin).collect();
    let is_ours = |manager: &Node| manager.all().any(|node| ours.iter().any(|plugin| std::ptr::eq(*plugin, node)));
    let all = |key: &'static str| site.all().filter(move |node| node.get(key).is_some());
    all("domains").all(asks)
        && !all("virtual_hosts").any(|table| leads_beside(table, "virtual_hosts"))
        && all("http_filters").filter(|manager| leads(manager, name)).all(is_ours)
}

pub(super) fn slots(site: &Site<'_>) -> Vec<Seen> {
    if !is_on(site) {
        return Vec::new();
    }
    let mut seen = Vec::new();
    for host in site.forge_hosts() {
        seen.extend(missing(host));
        seen.extend(forwarded(site, host));
        for route in routes(host).filter(|route| slot_of(route).is_some()) {
            seen.extend(clusters_of(route).flat_map(|name| of_cluster(site, route, name)));
        }
    }
    seen
}

/// Each slot has a route, before any that asks for none and takes everything.
fn missing(host: &Node) -> Vec<Seen> {
    let takes_all =
        |route: &Node| slot_of(route).is_none() && route.at(&["match", "prefix"]).and_then(Node::text) == Some("/");
    let before = || routes(host).take_while(|route| !takes_all(route)).filter_map(slot_of);
    let missing = Slot::ALL.into_iter().map(Slot::name).filter(|slot| !before().any(|known| known == *slot));
    let seen = |slot| {
        let text = format!(
            "expected a route that matches `{SLOT_FIELD}: {slot}` before the one for everything: what is granted reaches the forge without a credential"
        );
        (Weight::Error, host.line, text)
    };
    missing.map(seen).collect()
}

/// The field is removed on whatever route a request takes.
fn forwarded(site: &Site<'_>, host: &Node) -> Vec<Seen> {
    let removes = |node: &Node| {
        let names = node.get("request_headers_to_remove").into_iter().flat_map(Node::items).filter_map(Node::text);
        names.into_iter().any(|name| name.eq_ignore_ascii_case(SLOT_FIELD))
    };
    if removes(host) || site.manager.get("route_config").is_some_and(removes) {
        return Vec::new();
    }
    let text = format!("expected `request_headers_to_remove: [{SLOT_FIELD}]`: the slot goes on to the forge");
    routes(host).filter(|route| !removes(route)).map(|route| (Weight::Error, route.line, text.clone())).collect()
}

/// The cluster of a slot adds a credential, in place of any other, and lets nothing pass without.
fn of_cluster(site: &Site<'_>, route: &Node, name: &str) -> Vec<Seen> {
    let Some(cluster) = site.cluster(name) else {
        return vec![(Weight::Unseen, route.line, format!("the cluster `{name}` is not in this file"))];
    };
    let Some(injector) = injectors(cluster).find(|injector| adds(injector, "authorization")) else {
        let text = format!(
            "expected a `credential_injector` for `authorization` on the cluster `{name}`: what is granted reaches the forge without a credential"
        );
        return vec![(Weight::Error, cluster.line, text)];
    };
    let mut seen = Vec::new();
    if !injector.get("overwrite").is_some_and(|overwrites| overwrites.is(true)) {
        let text = "expected `overwrite: true`: a credential that a request still has is not the forge's";
        seen.push((Weight::Error, injector.line, text.into()));
    }
    let open = injector.get("allow_request_without_credential").filter(|open| open.is(true));
    let text = "expected no `allow_request_without_credential`: without the secret the request is anybody's";
    seen.extend(open.map(|open| (Weight::Error, open.line, text.into())));
    seen
}
