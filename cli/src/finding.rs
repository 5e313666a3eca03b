//! Where the filter's configuration stands in a file: the file itself, or somewhere in what is written for Envoy or for
//! what configures Envoy.

use policy::Config;
use policy::config::{ConfigErrors, KEYS};
use serde_json::Value;

use crate::marked::{Kind, Node, Unreadable};
use crate::setup::Setup;

/// A configuration of the filter, as it was found.
#[derive(Debug, Clone)]
pub struct Written<'a> {
    /// Where it stands, so that an error in it can be placed.
    node: Node,
    /// How many lines stand before it.
    above: u64,
    /// The text that Envoy hands to the filter.
    text: String,
    /// The filter that it is for, where it was found in one: Envoy's `PluginConfig`.
    pub plugin: Option<&'a Node>,
}

/// Why no configuration was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// The file cannot be read.
    #[error("{}", .0.text)]
    Unreadable(Unreadable),
    /// It is Envoy's, or of something like it, and has none.
    #[error("there is no filter of jobscope in it, or one without a configuration")]
    Nowhere,
    /// It is another document of jobscope's: which, and what it is for.
    #[error("this is {0}")]
    Another(&'static str),
    /// There are several, and they differ.
    #[error("there are {0} configurations of jobscope in it that differ; write one to a file of its own")]
    Several(usize),
}

/// The documents of a file.
///
/// # Errors
/// It is no YAML and no JSON.
pub fn documents(text: &str) -> Result<Vec<Node>, NotFound> {
    // A file with a byte of 0 is no text, whatever else it is.
    let is_binary = text.contains('\0');
    let refuse =
        || NotFound::Unreadable(Unreadable { line: None, text: "expected YAML or JSON, found binary data".to_owned() });
    if is_binary { Err(refuse()) } else { Node::documents(text).map_err(NotFound::Unreadable) }
}

/// Every configuration in the documents of a file.
#[must_use]
pub fn written(documents: &[Node]) -> Vec<Written<'_>> {
    let found: Vec<_> = documents.iter().flat_map(Node::all).filter_map(in_plugin).collect();
    // A document without a filter is one itself, if it is nobody else's.
    let own = |document: &&Node| found.is_empty() && is_own(document);
    documents.iter().filter(own).map(|document| inline(document, None)).chain(found.clone()).collect()
}

/// What documents are in which no configuration was found.
#[must_use]
pub fn nowhere(documents: &[Node]) -> NotFound {
    let has = |keys: [&str; 2]| documents.iter().any(|document| keys.iter().all(|key| document.get(key).is_some()));
    if has(SERVICE) {
        NotFound::Another(
            "the configuration of the lookup service and not of the filter; `jobscope-lookup --check --config FILE` checks it",
        )
    } else if has(WORLD) {
        NotFound::Another("a world and not a configuration of the filter; it is named by `--world`")
    } else {
        NotFound::Nowhere
    }
}

/// Keys of the lookup service's configuration, which the filter's has not.
const SERVICE: [&str; 2] = ["api", "store"];

/// Keys of a world.
const WORLD: [&str; 2] = ["users", "projects"];

/// The one configuration of a file.
///
/// # Errors
/// There is none, or there are several that differ.
pub fn only(documents: &[Node]) -> Result<Written<'_>, NotFound> {
    let mut found = written(documents);
    let first = found.first().cloned().ok_or_else(|| nowhere(documents))?;
    found.retain(|one| one.text != first.text);
    if found.is_empty() { Ok(first) } else { Err(NotFound::Several(found.len().saturating_add(1))) }
}

/// The cluster of this name in what is written for Envoy.
#[must_use]
pub fn cluster<'a>(documents: &'a [Node], name: &str) -> Option<&'a Node> {
    // A name stands elsewhere, too: where something leads to the cluster.
    const OF_CLUSTERS: [&str; 4] = ["load_assignment", "connect_timeout", "circuit_breakers", "lb_policy"];
    let is_named = |node: &Node| node.get("name").and_then(Node::text) == Some(name);
    let is_one = |node: &Node| OF_CLUSTERS.iter().any(|key| node.get(key).is_some());
    documents.iter().flat_map(Node::all).find(|node| is_named(node) && is_one(node))
}

impl Written<'_> {
    /// What it means.
    ///
    /// # Errors
    /// Every error of it.
    pub fn setup(&self) -> Result<Setup, ConfigErrors> {
        let config = Config::parse(self.text.as_bytes())?;
        let document = serde_json::from_str(&self.text).unwrap_or(Value::Null);
        Ok(Setup { document, config })
    }

    /// The line of a path in it, in its file.
    #[must_use]
    pub fn line_of(&self, path: &str) -> u64 {
        self.above.saturating_add(self.node.line_of(path))
    }

    /// The document, with its places.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }
}

/// Whether a document is a configuration, and not something that should have one in it.
fn is_own(document: &Node) -> bool {
    let is_ours = |key: &str| KEYS.iter().any(|known| known.path.split('.').next() == Some(key));
    let mut keys = document.entries().map(|(key, ..)| key.as_str()).peekable();
    let is_service = SERVICE.iter().all(|key| document.get(key).is_some());
    keys.peek().is_none() || (!is_service && keys.any(is_ours))
}

/// The configuration of a filter of ours: in Envoy's own form, in Istio's, in Envoy Gateway's.
fn in_plugin(node: &Node) -> Option<Written<'_>> {
    if node.get("vm_config").is_some() {
        let written = match node.at(&["configuration", "value"]) {
            // What is not configured is handed nothing.
            None => Written { node: node.clone(), above: 0, text: String::new(), plugin: Some(node) },
            Some(value) => match value.text() {
                Some(text) => quoted(value, text, Some(node)),
                None => inline(value, Some(node)),
            },
        };
        let is_ours = is_ours(node, &written.node);
        return is_ours.then_some(written);
    }
    let value = match node.get("kind").and_then(Node::text) {
        Some("WasmPlugin") => node.at(&["spec", "pluginConfig"])?,
        _ if node.get("code").is_some() => node.get("config")?,
        _ => return None,
    };
    is_ours(node, value).then(|| inline(value, None))
}

/// Whether a filter calls itself by our name, or is configured like ours.
fn is_ours(plugin: &Node, configuration: &Node) -> bool {
    let named = |node: &Node| node.text().is_some_and(|text| text.contains("jobscope"));
    plugin.all().any(named) || configuration.get("forge").is_some() || named(configuration)
}

fn inline<'a>(node: &Node, plugin: Option<&'a Node>) -> Written<'a> {
    // A filter that is configured with nothing is handed nothing.
    let text = if matches!(node.kind, Kind::Null) { String::new() } else { node.value().to_string() };
    Written { node: node.clone(), above: 0, text, plugin }
}

/// A configuration as a text within a text.
fn quoted<'a>(value: &Node, text: &str, plugin: Option<&'a Node>) -> Written<'a> {
    let inner = Node::documents(text).ok().and_then(|documents| documents.into_iter().next());
    let above = value.line.saturating_sub(1);
    Written { node: inner.unwrap_or_else(|| value.clone()), above, text: text.to_owned(), plugin }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"{"forge": {"hosts": ["f.invalid"]}, "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}"#;

    fn hosts(text: &str) -> Vec<String> {
        let documents = documents(text).unwrap();
        let found = written(&documents);
        found.iter().map(|one| one.setup().unwrap().config.forge.hosts[0].as_str().to_owned()).collect()
    }

    fn indented(text: &str, by: usize) -> String {
        text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
    }

    #[test]
    fn it_is_found_wherever_it_stands() {
        let envoy = |configuration: &str| {
            format!(
                "http_filters:\n- typed_config:\n    config:\n      root_id: jobscope\n      vm_config: {{runtime: v8}}\n      configuration:\n{}",
                indented(configuration, 8)
            )
        };
        assert_eq!(hosts(OWN), ["f.invalid"]);
        assert_eq!(
            hosts("forge: {hosts: [f.invalid]}\nlookup: {cluster: c, authority: a.b, credential_env: E}"),
            ["f.invalid"]
        );
        assert_eq!(hosts(&envoy(&format!("'@type': x/google.protobuf.Struct\nvalue: {OWN}"))), ["f.invalid"]);
        assert_eq!(hosts(&envoy(&format!("'@type': x/google.protobuf.StringValue\nvalue: |\n  {OWN}"))), ["f.invalid"]);
        assert_eq!(hosts(&format!("kind: WasmPlugin\nspec:\n  url: oci://x\n  pluginConfig: {OWN}\n")), ["f.invalid"]);
        assert_eq!(
            hosts(&format!(
                "kind: A\n---\nkind: EnvoyExtensionPolicy\nspec:\n  wasm:\n  - code: {{}}\n    config: {OWN}\n"
            )),
            ["f.invalid"]
        );
    }

    #[test]
    fn what_is_somebody_elses_is_not_found() {
        let nobody = |text: &str| {
            let documents = documents(text).unwrap();
            only(&documents).map(|_| ()).unwrap_err()
        };
        assert_eq!(nobody("static_resources: {}"), NotFound::Nowhere);
        assert_eq!(
            nobody("a:\n  vm_config: {}\n  root_id: other\n  configuration: {value: {x: 1}}"),
            NotFound::Nowhere
        );
        let told = |text: &str| nobody(text).to_string();
        let service = "api: {listen: a}\nstore: {kind: memory}\nforge: {url: u}";
        assert!(told(service).contains("`jobscope-lookup --check --config FILE`"), "{}", told(service));
        assert!(told("users: []\nprojects: []").contains("`--world`"));
        let two = format!("{OWN}\n---\n{}", OWN.replace("f.invalid", "g.invalid"));
        assert_eq!(nobody(&two), NotFound::Several(2));
        assert!(documents("a\0b").unwrap_err().to_string().contains("binary"));
    }

    #[test]
    fn a_filter_without_a_configuration_is_one_that_lacks_everything() {
        let documents = documents("a: {vm_config: {}, root_id: jobscope}").unwrap();
        let errors = only(&documents).unwrap().setup().unwrap_err().to_string();
        assert!(errors.contains("there is no configuration"), "{errors}");
    }

    #[test]
    fn an_error_in_a_quoted_text_has_the_line_of_the_file() {
        let text = "a:\n  vm_config: {}\n  configuration:\n    value: |\n      {\n        \"forge\": {\n          \"hosts\": 1}}\n";
        let documents = documents(text).unwrap();
        let found = only(&documents).unwrap();
        assert_eq!(found.line_of("forge.hosts"), 7);
        assert_eq!(found.line_of("lookup.cluster"), 5);
    }
}
