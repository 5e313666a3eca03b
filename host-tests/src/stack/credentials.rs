//! Credentials of the forge's own, which Envoy adds: `envoy/credentials.yaml`, with this machine's names put in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{at, checkout, connection_manager};

/// An account of a forge that knows no jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: &'static str,
    /// Its secret.
    pub secret: &'static str,
}

/// The one that reads.
pub const READER: Account = Account { name: "reader", secret: "read-secret" };
/// The one that writes, too.
pub const WRITER: Account = Account { name: "writer", secret: "write-secret" };

/// Both as `htpasswd -B` writes them.
pub const HTPASSWD: &str = "reader:$2b$05$abcdefghijklmnopqrstuuhOlwctcvJTlLeniMc1QpTzLNkJQvY9K\nwriter:$2b$05$abcdefghijklmnopqrstuuLBTyASLKcsoHHGR0QBLrIPQ4Uj7DqWq\n";

impl Account {
    /// What it sends in `Authorization`.
    #[must_use]
    pub fn login(&self) -> String {
        login(self.name, self.secret)
    }
}

/// What a user sends in `Authorization`.
#[must_use]
pub fn login(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

/// Puts a secret where Envoy watches: a document beside the one that is there, then moved into its place.
///
/// # Errors
///
/// When it cannot be written.
pub fn exchange_secret(dir: &Path, name: &str, secret: &str) -> Result<()> {
    let document = format!(
        "resources:\n- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {name}\n  generic_secret: {{secret: {{inline_string: \"{secret}\"}}}}\n"
    );
    let new = dir.join(".new");
    fs::write(&new, document)?;
    Ok(fs::rename(new, dir.join(format!("{name}.yaml")))?)
}

/// Adds clusters and routes of `envoy/credentials.yaml` to what is deployed, with the secrets of both accounts in `secrets`, a
/// directory. `ports` are those of the forge and of the registry.
///
/// # Errors
///
/// When one of the files is not as expected, or a secret cannot be written.
pub fn add_credentials(envoy: &mut Value, secrets: &Path, ports: [u16; 2]) -> Result<()> {
    let text = fs::read_to_string(checkout().join("envoy/credentials.yaml"))?;
    let path = secrets.to_str().context("a directory with a name in UTF-8")?;
    let mut added: Value = serde_saphyr::from_str(&text.replace("/etc/envoy-secrets", path))?;
    envoy["node"] = added["node"].take();
    for mut cluster in list(&mut added["clusters"]) {
        let name = cluster["name"].as_str().context("a cluster without a name")?.to_owned();
        let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        let port = ports[usize::from(name.starts_with("registry"))];
        *at(&mut cluster, address)? = json!({"address": "127.0.0.1", "port_value": port});
        let account = if name.ends_with("write") { WRITER } else { READER };
        exchange_secret(secrets, &name, &account.login())?;
        at(envoy, "/static_resources/clusters")?.as_array_mut().context("a list of clusters")?.push(cluster);
    }
    let config = at(connection_manager(envoy)?, "/route_config")?;
    for (key, value) in added["route_config"].as_object().context("what is added to the routes")? {
        config[key] = value.clone();
    }
    for host in config["virtual_hosts"].as_array_mut().into_iter().flatten() {
        let name = host["name"].as_str().context("a virtual host without a name")?;
        let routes = list(&mut added["routes"][name]);
        host["routes"].as_array_mut().context("a list of routes")?.splice(0..0, routes);
    }
    Ok(())
}

fn list(value: &mut Value) -> Vec<Value> {
    value.as_array_mut().map(std::mem::take).unwrap_or_default()
}
