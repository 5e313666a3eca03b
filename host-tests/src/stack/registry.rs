//! The container registry: the reference implementation. In the stack it takes its tokens from the forge behind Envoy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::{places, status_of, wait_until_ready};

/// Starts the registry behind Envoy.
pub(super) fn start(dir: &Path, port: u16, ingress_port: u16, certificate: &Path) -> Result<Child> {
    let auth = json!({"token": {
        "realm": format!("http://127.0.0.1:{ingress_port}/jwt/auth"),
        "service": "container_registry",
        "issuer": "jobscope-forge",
        "rootcertbundle": certificate,
    }});
    serve(dir, port, &json!({"auth": auth}), 401)
}

/// Starts a registry that lets everybody do everything. What it stores lies below `<dir>/registry`.
pub(crate) fn start_open(dir: &Path, port: u16) -> Result<Child> {
    serve(dir, port, &json!({}), 200)
}

fn serve(dir: &Path, port: u16, more: &Value, ready: u16) -> Result<Child> {
    let storage = dir.join("registry");
    fs::create_dir_all(&storage)?;
    // JSON is YAML.
    let mut configuration = json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": storage},
            "delete": {"enabled": true},
        },
        "http": {"addr": format!("127.0.0.1:{port}")},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        configuration[key] = value.clone();
    }
    let file = dir.join("registry.json");
    fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;

    let mut command = Command::new(places::registry()?);
    command.arg("serve").arg(&file);
    let child = Child::spawn("docker-registry", dir, Output::Logged, &mut command)?;
    let url = format!("http://127.0.0.1:{port}/v2/");
    wait_until_ready(&child, || status_of(&url) == Some(ready))?;
    Ok(child)
}
