//! Envoy, with the configuration that teams deploy: `envoy/envoy.yaml`, with this machine's names put in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::child::{Child, Output};
use super::{Delivery, places, status_of, wait_until_ready};

/// What the filter looks facts up with: the variable, and the token of the world's user `jobscope`.
pub const LOOKUP_TOKEN: (&str, &str) = ("JOBSCOPE_LOOKUP_TOKEN", "glpat-jobscope-lookup");

/// The forge's name as deployed: Go takes no address with a port for a part of a module's path.
const FORGE_NAME: &str = "forge.example.com";

/// What the demo changes in the configuration.
pub(super) struct Running<'a> {
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) forge_port: u16,
    pub(super) registry_port: u16,
    pub(super) token_lookup_port: u16,
    /// The filter's configuration, where it is not the deployed one.
    pub(super) settings: Option<&'a Value>,
    pub(super) filter: &'a [(&'static str, Value)],
    /// Another filter than the one that was built.
    pub(super) wasm: Option<&'a Path>,
    pub(super) delivery: Delivery,
    pub(super) workers: u32,
    /// What else is not as deployed.
    pub(super) change: &'a dyn Fn(&mut Value) -> Result<()>,
}

pub(super) fn access_log(dir: &Path) -> PathBuf {
    dir.join("access.log")
}

pub(super) fn delivered(dir: &Path) -> PathBuf {
    dir.join("delivered.json")
}

pub(super) fn start(dir: &Path, running: &Running<'_>) -> Result<Child> {
    let mut configuration = adapted(dir, running)?;
    deliver(dir, running.delivery, &mut configuration)?;
    let file = dir.join("envoy.json");
    fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;

    let child = Child::spawn(
        "envoy",
        dir,
        Output::Logged,
        command()?
            .arg("-c")
            .arg(&file)
            .args(["--disable-hot-restart", "--concurrency", &running.workers.to_string()])
            .args(["--file-flush-interval-msec", "20"])
            .args(["--log-level", "warning", "--component-log-level", "wasm:info"]),
    )?;
    let ready = format!("http://127.0.0.1:{}/ready", running.admin_port);
    wait_until_ready(&child, || status_of(&ready) == Some(200))?;
    Ok(child)
}

/// The deployed configuration with this machine's names in it.
pub(super) fn adapted(dir: &Path, running: &Running<'_>) -> Result<Value> {
    let mut configuration = deployed(&places::configuration())?;
    let built = places::filter()?;
    adapt(&mut configuration, running, dir, running.wasm.unwrap_or(&built))?;
    (running.change)(&mut configuration)?;
    Ok(configuration)
}

/// Moves what is delivered while Envoy runs into the file that it watches, in one step, as it wants it, and has it watch.
pub(super) fn deliver(dir: &Path, delivery: Delivery, configuration: &mut Value) -> Result<()> {
    let file = delivered(dir);
    let source = json!({"path_config_source": {"path": file}, "resource_api_version": "V3"});
    let resources = match delivery {
        Delivery::Fixed => return Ok(()),
        Delivery::Listener => {
            let mut listeners = at(configuration, "/static_resources/listeners")?.take();
            for listener in listeners.as_array_mut().into_iter().flatten() {
                listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
            }
            configuration["dynamic_resources"] = json!({"lds_config": source});
            listeners
        }
        Delivery::Filter => {
            let filter = named(at(connection_manager(configuration)?, "/http_filters")?, "jobscope")?;
            let typed = at(filter, "/typed_config")?.take();
            *filter = json!({"name": "jobscope", "config_discovery": {"config_source": source, "type_urls": [typed["@type"]]}});
            let kind = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
            json!([{"@type": kind, "name": "jobscope", "typed_config": typed}])
        }
    };
    configuration["node"] = json!({"id": "jobscope", "cluster": "jobscope"});
    let new = dir.join("delivered.new");
    fs::write(&new, serde_json::to_vec_pretty(&json!({"resources": resources}))?)?;
    Ok(fs::rename(new, file)?)
}

/// Lets Envoy check a configuration with the filter that was built, and returns what it said.
///
/// # Errors
///
/// What Envoy says against it.
pub fn validate(file: &Path) -> Result<()> {
    let mut configuration = deployed(file)?;
    *filename(&mut configuration)? = json!(places::filter()?);
    let dir = tempfile::tempdir()?;
    let adapted = dir.path().join("envoy.json");
    fs::write(&adapted, serde_json::to_vec_pretty(&configuration)?)?;
    let output = command()?
        .args(["--mode", "validate", "--log-level", "warning", "-c"])
        .arg(&adapted)
        .output()
        .context("cannot start Envoy")?;
    if !output.status.success() {
        bail!("Envoy refuses `{}`:\n{}", file.display(), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// Envoy with as many file descriptors as it may have (with too few it spins in accept), and the lookup's token.
/// Which Envoy it is: what stands between its build and how it was made.
pub(crate) fn version() -> Result<String> {
    let output = command()?.arg("--version").output().context("cannot start Envoy")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split('/').rev().nth(3).unwrap_or("unknown").to_owned())
}

fn command() -> Result<Command> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"ulimit -n "$(ulimit -Hn)"; exec "$0" "$@""#])
        .arg(places::envoy()?)
        .env(LOOKUP_TOKEN.0, LOOKUP_TOKEN.1);
    Ok(command)
}

fn deployed(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("`{}` is no YAML", file.display()))
}

/// Puts the names of this machine into a deployed configuration. Whatever is changed is found by its name in Envoy's
/// schema, and must be there.
fn adapt(configuration: &mut Value, running: &Running<'_>, dir: &Path, wasm: &Path) -> Result<()> {
    let admin = at(configuration, "/admin/address/socket_address")?;
    *admin = socket_address(running.admin_port);

    let listeners = at(configuration, "/static_resources/listeners")?;
    let listener = named(listeners, "ingress")?;
    *at(listener, "/address/socket_address")? = socket_address(running.port);

    let manager = connection_manager(configuration)?;
    *at(named(at(manager, "/access_log")?, "envoy.access_loggers.file")?, "/typed_config/path")? =
        json!(access_log(dir));
    let hosts = at(manager, "/route_config/virtual_hosts")?;
    *at(named(hosts, "forge")?, "/domains")? = json!(["127.0.0.1", FORGE_NAME]);
    *at(named(hosts, "registry")?, "/domains")? = json!(["localhost"]);

    *filename(configuration)? = json!(wasm);
    let configured = at(filter(configuration)?, "/configuration")?;
    let mut settings = running.settings.cloned().map_or_else(|| local(configured), Ok)?;
    for (pointer, value) in running.filter {
        let (parent, key) = pointer.rsplit_once('/').context("a pointer begins with `/`")?;
        at(&mut settings, parent)?[key] = value.clone();
    }
    let value = at(configured, "/value")?;
    *value = if value.is_string() { json!(settings.to_string()) } else { settings };

    let clusters = at(configuration, "/static_resources/clusters")?;
    for (cluster, port) in [
        ("forge", running.forge_port),
        ("registry", running.registry_port),
        ("token-lookup", running.token_lookup_port),
    ] {
        *at(
            named(clusters, cluster)?,
            "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address",
        )? = socket_address(port);
    }
    Ok(())
}

/// The deployed configuration of the filter, with this machine's names in it.
///
/// # Errors
///
/// When there is none.
pub fn settings_here() -> Result<Value> {
    local(at(filter(&mut deployed(&places::configuration())?)?, "/configuration")?)
}

/// The configuration of the filter that an Envoy was started with for good.
pub(super) fn started_with(dir: &Path) -> Result<Value> {
    let mut configuration = deployed(&dir.join("envoy.json"))?;
    settings(at(filter(&mut configuration)?, "/configuration")?)
}

fn local(configured: &mut Value) -> Result<Value> {
    here(settings(configured)?)
}

/// A configuration of the filter with this machine's names in it.
pub(super) fn here(mut settings: Value) -> Result<Value> {
    *at(&mut settings, "/forge/hosts")? = json!(["127.0.0.1", FORGE_NAME]);
    *at(&mut settings, "/forge/registry_hosts")? = json!(["localhost"]);
    *at(&mut settings, "/lookup/authority")? = json!("127.0.0.1");
    Ok(settings)
}

/// The filter's configuration, written as a `Struct` or as JSON in a `StringValue`.
fn settings(configured: &mut Value) -> Result<Value> {
    match at(configured, "/value")? {
        Value::String(text) => serde_json::from_str(text).context("the filter's configuration is no JSON"),
        value => Ok(value.clone()),
    }
}

fn filename(configuration: &mut Value) -> Result<&mut Value> {
    at(filter(configuration)?, "/vm_config/code/local/filename")
}

fn filter(configuration: &mut Value) -> Result<&mut Value> {
    let filters = at(connection_manager(configuration)?, "/http_filters")?;
    at(named(filters, "jobscope")?, "/typed_config/config")
}

pub(crate) fn connection_manager(configuration: &mut Value) -> Result<&mut Value> {
    let listeners = at(configuration, "/static_resources/listeners")?;
    let filters = at(named(listeners, "ingress")?, "/filter_chains/0/filters")?;
    at(named(filters, "envoy.filters.network.http_connection_manager")?, "/typed_config")
}

fn socket_address(port: u16) -> Value {
    json!({"address": "127.0.0.1", "port_value": port})
}

pub(crate) fn at<'a>(value: &'a mut Value, pointer: &str) -> Result<&'a mut Value> {
    value
        .pointer_mut(pointer)
        .with_context(|| format!("the Envoy configuration has no `{pointer}` where it is expected"))
}

pub(crate) fn named<'a>(list: &'a mut Value, name: &str) -> Result<&'a mut Value> {
    list.as_array_mut()
        .into_iter()
        .flatten()
        .find(|item| item.get("name").is_some_and(|found| found == name))
        .with_context(|| format!("the Envoy configuration has nothing named `{name}` where it is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted_here() -> Value {
        let mut configuration = deployed(&places::checkout().join("envoy/envoy.yaml")).unwrap();
        let running = Running {
            port: 1,
            admin_port: 2,
            forge_port: 3,
            registry_port: 4,
            token_lookup_port: 5,
            settings: None,
            filter: &[("/lookup/timeout", json!("1s"))],
            wasm: None,
            delivery: Delivery::Fixed,
            workers: 2,
            change: &|_| Ok(()),
        };
        adapt(&mut configuration, &running, Path::new("/run"), Path::new("/the.wasm")).unwrap();
        configuration
    }

    #[test]
    fn every_name_of_the_deployed_configuration_is_replaced() {
        let mut configuration = adapted_here();
        // That one stays, beside an address.
        let text = configuration.to_string().replace(&format!(r#""{FORGE_NAME}""#), "");
        for name in ["example.com", ".internal", "/dev/stdout", "/etc/envoy"] {
            assert!(!text.contains(name), "`{name}` is left in {text}");
        }
        assert!(text.contains(r#""filename":"/the.wasm""#));
        let settings = settings(at(filter(&mut configuration).unwrap(), "/configuration").unwrap()).unwrap();
        assert_eq!(settings["forge"]["registry_hosts"], json!(["localhost"]));
        assert_eq!(settings["lookup"]["timeout"], "1s");
    }

    #[test]
    fn the_deployed_configuration_fails_closed() {
        let text = fs::read_to_string(places::checkout().join("envoy/envoy.yaml")).unwrap();
        assert!(!text.to_lowercase().contains("fail_open"));
        let mut configuration = deployed(&places::checkout().join("envoy/envoy.yaml")).unwrap();
        let filter = filter(&mut configuration).unwrap();
        assert_eq!(filter["failure_policy"], "FAIL_RELOAD");
        assert_eq!(filter["allow_on_headers_stop_iteration"], true);
    }

    #[test]
    fn a_missing_name_is_said() {
        let error = named(&mut json!([{"name": "a"}]), "b").unwrap_err();
        assert!(error.to_string().contains("nothing named `b`"));
    }
}
