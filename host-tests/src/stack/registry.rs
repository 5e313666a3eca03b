//! The container registry: the reference implementation, which takes its tokens from the forge behind Envoy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::child::{Child, Output};
use super::{places, status_of, wait_until_ready};

pub(super) fn start(dir: &Path, port: u16, ingress_port: u16, certificate: &Path) -> Result<Child> {
    let storage = dir.join("registry");
    fs::create_dir_all(&storage)?;
    // JSON is YAML.
    let configuration = json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": storage},
            "delete": {"enabled": true},
        },
        "http": {"addr": format!("127.0.0.1:{port}")},
        "auth": {"token": {
            "realm": format!("http://127.0.0.1:{ingress_port}/jwt/auth"),
            "service": "container_registry",
            "issuer": "jobscope-forge",
            "rootcertbundle": certificate,
        }},
    });
    let file = dir.join("registry.json");
    fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;

    let mut command = Command::new(places::registry()?);
    command.arg("serve").arg(&file);
    let child = Child::spawn("docker-registry", dir, Output::Logged, &mut command)?;
    let url = format!("http://127.0.0.1:{port}/v2/");
    wait_until_ready(&child, || status_of(&url) == Some(401))?;
    Ok(child)
}
