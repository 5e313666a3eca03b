//! The parts of Envoy's configuration that stand around a filter of ours.

use crate::finding::{Written, cluster};
use crate::marked::Node;
use crate::setup::Setup;

/// A filter, and what stands around it. What is not in the file is not there.
pub(super) struct Site<'a> {
    /// All documents of the file.
    pub documents: &'a [Node],
    /// The filter: Envoy's `PluginConfig`.
    pub plugin: &'a Node,
    /// The connection manager that it is in.
    pub manager: &'a Node,
    /// Its place among the filters there.
    pub place: usize,
    /// The listener of that.
    pub listener: Option<&'a Node>,
    /// Its configuration, if that is one.
    pub setup: Option<Setup>,
}

impl<'a> Site<'a> {
    /// Where a filter stands; `None` where it is written for something that writes for Envoy.
    pub(super) fn of(written: &Written<'a>, documents: &'a [Node], setup: Option<Setup>) -> Option<Self> {
        let plugin = written.plugin?;
        let holds = |node: &&'a Node| node.all().any(|inner| std::ptr::eq(inner, plugin));
        let all = || documents.iter().flat_map(Node::all);
        let manager = all().filter(|node| node.get("http_filters").is_some()).find(holds)?;
        let place = manager.get("http_filters")?.items().position(|filter| holds(&filter))?;
        let listener = all().filter(|node| node.get("filter_chains").is_some()).filter(holds).last();
        Some(Self { documents, plugin, manager, place, listener, setup })
    }

    /// Every value of the file.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.documents.iter().flat_map(Node::all)
    }

    /// The virtual hosts of the connection manager, or of all routes where it gets them from elsewhere.
    pub(super) fn virtual_hosts(&self) -> Vec<&'a Node> {
        let is_one = |node: &&Node| node.get("domains").is_some() && node.get("name").is_some();
        let own: Vec<_> = self.manager.get("route_config").into_iter().flat_map(Node::all).filter(is_one).collect();
        if own.is_empty() { self.all().filter(is_one).collect() } else { own }
    }

    /// The virtual hosts that lead to the forge: those of its hosts, and those that lead to the same clusters.
    pub(super) fn forge_hosts(&self) -> Vec<&'a Node> {
        let hosts = self.virtual_hosts();
        let is_named = |host: &&&Node| domains(host).any(|domain| self.lists(domain));
        let clusters: Vec<&str> = hosts.iter().filter(is_named).flat_map(|host| clusters_of(host)).collect();
        let leads = |host: &&Node| clusters_of(host).any(|cluster| clusters.contains(&cluster));
        hosts.into_iter().filter(|host| is_named(&host) || leads(host)).collect()
    }

    /// The clusters of forge and registry.
    pub(super) fn forge_clusters(&self) -> Vec<&'a Node> {
        let mut names: Vec<&str> = self.forge_hosts().into_iter().flat_map(clusters_of).collect();
        names.dedup();
        names.into_iter().filter_map(|name| self.cluster(name)).collect()
    }

    /// The cluster of this name.
    pub(super) fn cluster(&self, name: &str) -> Option<&'a Node> {
        cluster(self.documents, name)
    }

    /// Whether the filter's configuration lists a host.
    pub(super) fn lists(&self, domain: &str) -> bool {
        let Some(Setup { config, .. }) = &self.setup else { return false };
        let host = policy::facts::Host::of_authority(domain.as_bytes());
        let lists = [&config.forge.hosts, &config.forge.registry_hosts];
        host.is_some_and(|host| lists.iter().any(|list| list.contains(&host)))
    }
}

/// The names that lead to a virtual host.
pub(super) fn domains(host: &Node) -> impl Iterator<Item = &str> {
    host.get("domains").into_iter().flat_map(Node::items).filter_map(Node::text)
}

/// The clusters that a virtual host leads to.
pub(super) fn clusters_of<'a>(host: &'a Node) -> impl Iterator<Item = &'a str> + use<'a> {
    let routes = host.all().filter_map(|node| node.get("route"));
    routes.flat_map(|route| {
        let one = route.get("cluster").and_then(Node::text);
        let weighted = route.at(&["weighted_clusters", "clusters"]).into_iter().flat_map(Node::items);
        one.into_iter().chain(weighted.filter_map(|cluster| cluster.get("name").and_then(Node::text)))
    })
}
