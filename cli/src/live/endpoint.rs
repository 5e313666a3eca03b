//! Where the lookup service is: what Envoy's cluster says, or an address.

use crate::finding::cluster;
use crate::marked::Node;

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The machine: a name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS, and how that is checked.
    pub tls: Option<Tls>,
}

/// TLS to a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name that is asked for, and that must be the certificate's, where it is not the machine's.
    pub name: Option<String>,
    /// A file with the certificates that are trusted instead of the system's.
    pub trusted: Option<String>,
}

/// Why it is not known where the service is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The cluster is elsewhere.
    #[error("the cluster `{0}` is not in this file: say where it leads, with `--address https://gitlab.example.com`")]
    Nowhere(String),
    /// The cluster has no machine and port.
    #[error(
        "the cluster `{0}` has no endpoint with an address and a port here: say where it leads, with \
         `--address https://gitlab.example.com`"
    )]
    NoSocket(String),
    /// It is no address.
    #[error(
        "expected an address such as `https://gitlab.example.com` or `http://10.0.0.7:8080`, without a path, found `{0}`"
    )]
    Address(String),
}

impl Endpoint {
    /// The first endpoint of a cluster in Envoy's configuration.
    ///
    /// # Errors
    /// There is none.
    pub fn of_cluster(documents: &[Node], name: &str) -> Result<Self, Unknown> {
        let cluster = cluster(documents, name).ok_or_else(|| Unknown::Nowhere(name.to_owned()))?;
        let mut sockets = cluster.get("load_assignment").into_iter().flat_map(Node::all);
        let socket = sockets.find_map(|node| node.get("socket_address"));
        let of_socket = socket.and_then(|socket| {
            let host = socket.get("address").and_then(Node::text)?;
            Some((host.to_owned(), u16::try_from(socket.get("port_value").and_then(Node::number)?).ok()?))
        });
        let (host, port) = of_socket.ok_or_else(|| Unknown::NoSocket(name.to_owned()))?;
        let tls = cluster.get("transport_socket").map(|socket| Tls {
            name: socket.at(&["typed_config", "sni"]).and_then(Node::text).map(str::to_owned),
            trusted: socket
                .all()
                .find_map(|node| node.at(&["trusted_ca", "filename"]))
                .and_then(Node::text)
                .map(str::to_owned),
        });
        Ok(Self { host, port, tls })
    }

    /// An address that somebody wrote.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, Unknown> {
        let refuse = || Unknown::Address(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(refuse)?;
        let (tls, usual) = match scheme {
            "https" => (Some(Tls::default()), 443),
            "http" => (None, 80),
            _ => return Err(refuse()),
        };
        let site = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match site.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(refuse)?)),
            None => site.split_once(':').map_or((site, None), |(host, port)| (host, Some(port))),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(refuse());
        }
        let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| refuse()))?;
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_machine_and_a_port() {
        for (text, shown) in [
            ("https://gitlab.example.com", "https://gitlab.example.com:443"),
            ("http://10.0.0.7:8080/", "http://10.0.0.7:8080"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("http://[::1]", "http://[::1]:80"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for bad in [
            "gitlab.example.com",
            "ftp://a",
            "https://",
            "http://a:b",
            "https://a/gitlab",
            "https://u:p@a",
            "http://[::1]8",
        ] {
            assert_eq!(Endpoint::parse(bad), Err(Unknown::Address(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn a_cluster_tells_machine_port_and_tls() {
        let of = |text: &str| Endpoint::of_cluster(&crate::finding::documents(text).unwrap(), "lookup");
        let deployed = include_str!("../../../envoy/envoy.yaml").replace("name: token-lookup", "name: lookup");
        assert_eq!(of(&deployed).unwrap().to_string(), "http://forge.internal:80");
        let endpoint = "load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: f, port_value: 443}}}}]}]}";
        let tls = "transport_socket: {name: tls, typed_config: {sni: g.invalid, common_tls_context: {validation_context: {trusted_ca: {filename: /ca.pem}}}}}";
        let found = of(&format!("clusters:\n- name: lookup\n  {endpoint}\n  {tls}\n")).unwrap();
        let tls = Tls { name: Some("g.invalid".into()), trusted: Some("/ca.pem".into()) };
        assert_eq!(found, Endpoint { host: "f".into(), port: 443, tls: Some(tls) });
        assert_eq!(of("clusters: []"), Err(Unknown::Nowhere("lookup".into())));
        let pipe = "clusters: [{name: lookup, load_assignment: {endpoints: [{address: {pipe: {path: /s}}}]}}]";
        assert_eq!(of(pipe), Err(Unknown::NoSocket("lookup".into())));
    }
}
