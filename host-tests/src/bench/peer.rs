//! What stands in Envoy in jobscope's place. Everything else is as deployed, the access log too.

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::stage::Services;
use crate::stack::{at, connection_manager, named};

/// A way to put a filter, or none, into the deployed configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// No filter.
    None,
    /// A wasm filter that does nothing.
    Noop,
    /// A wasm filter that takes the head of each request, and does nothing with it.
    Copy,
    /// A Lua script that reads one field.
    Lua,
    /// RBAC with one rule that names a field.
    Rbac,
    /// A service that lets everything pass, asked over HTTP.
    AuthzHttp,
    /// The same over gRPC.
    AuthzGrpc,
    /// The same, asked by `ext_proc` with the head of each request.
    ExtProc,
    /// A service over HTTP that asks a policy engine, which has all facts at hand.
    Engine,
    /// The filter as deployed.
    Jobscope,
    /// With `mode: observe`.
    Observe,
    /// With `log.form: struct`, and a log that has each decision as an object.
    Object,
    /// With a rule for each of 10,000 targets, which names 20 origins.
    Targets,
    /// With tables that hold all that they can.
    Full,
}

/// The field of a request that jobscope refuses and that the others have a route refuse.
pub(super) const REFUSED: &str = "x-refused";

const GUEST: &str = "wasm.v3.Wasm";
const LUA: &str = "lua.v3.Lua";
const RBAC: &str = "rbac.v3.RBAC";
const AUTHZ: &str = "ext_authz.v3.ExtAuthz";
const PROC: &str = "ext_proc.v3.ExternalProcessor";

const SCRIPT: &str = "function envoy_on_request(handle)\n  handle:headers():get('job-token')\nend";

impl Peer {
    /// What it is called in tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::Noop => "no-op wasm",
            Self::Copy => "no-op wasm, head copied",
            Self::Lua => "Lua, one field read",
            Self::Rbac => "RBAC, one rule",
            Self::AuthzHttp => "ext_authz, HTTP",
            Self::AuthzGrpc => "ext_authz, gRPC",
            Self::ExtProc => "ext_proc, gRPC",
            Self::Engine => "ext_authz, HTTP, Rego",
            Self::Jobscope => "jobscope",
            Self::Observe => "jobscope, observe",
            Self::Object => "jobscope, logged as an object",
            Self::Targets => "jobscope, 10,000 targets",
            Self::Full => "jobscope, full tables",
        }
    }

    /// What the filter's configuration has that the deployed one does not.
    pub(super) fn settings(self) -> Vec<(&'static str, Value)> {
        let mut settings = vec![("/lookup/api", json!("v1"))];
        match self {
            Self::Observe => settings.push(("/mode", json!("observe"))),
            Self::Object => settings.push(("/log/form", json!("struct"))),
            Self::Targets => settings.push(("/access", json!({"allow": rules()}))),
            Self::Full => settings.extend([
                // To be filled in seconds.
                ("/lookup/max_unknown_per_second", json!(100_000)),
                ("/lookup/max_unknown_per_source", json!(100_000)),
                ("/lookup/timeout", json!("30s")),
            ]),
            _ => {}
        }
        settings
    }

    /// Puts it in the filter's place.
    pub(super) fn replace(self, configuration: &mut Value, services: &Services) -> Result<()> {
        refuse_by_a_route(configuration)?;
        let (kind, settings) = match self {
            Self::Jobscope | Self::Observe | Self::Targets | Self::Full => return Ok(()),
            Self::Object => return log_an_object(configuration),
            Self::None => return remove(configuration),
            Self::Noop => (GUEST, services.guest("")),
            Self::Copy => (GUEST, services.guest("copy")),
            Self::Lua => (LUA, json!({"default_source_code": {"inline_string": SCRIPT}})),
            Self::Rbac => (RBAC, denied_by_a_field()),
            Self::AuthzHttp => (AUTHZ, by_http("answerer")),
            Self::Engine => (AUTHZ, by_http("engine")),
            Self::AuthzGrpc => (AUTHZ, json!({"transport_api_version": "V3", "grpc_service": by_grpc()})),
            Self::ExtProc => {
                (PROC, json!({"grpc_service": by_grpc(), "processing_mode": {"response_header_mode": "SKIP"}}))
            }
        };
        let mut typed = settings;
        typed["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{kind}"));
        let filter = named(at(connection_manager(configuration)?, "/http_filters")?, "jobscope")?;
        *filter = json!({"name": "peer", "typed_config": typed});
        let clusters =
            at(configuration, "/static_resources/clusters")?.as_array_mut().context("clusters are a list")?;
        clusters.push(cluster("answerer", services.answerer.port(), "http_protocol_options"));
        clusters.push(cluster("grpc-answerer", services.grpc_answerer.port(), "http2_protocol_options"));
        let engine = services.engine.iter().map(|engine| cluster("engine", engine.port(), "http_protocol_options"));
        clusters.extend(engine);
        Ok(())
    }
}

/// Has the access log read the one property in place of the fields.
fn log_an_object(configuration: &mut Value) -> Result<()> {
    let format = at(connection_manager(configuration)?, "/access_log/0/typed_config/log_format/json_format")?;
    let format = format.as_object_mut().context("the access log is no object")?;
    format.retain(|_, value| !value.as_str().is_some_and(|value| value.contains("wasm.jobscope_")));
    format.insert("jobscope".to_owned(), json!("%TYPED_CEL(filter_state['wasm.jobscope'])%"));
    Ok(())
}

fn remove(configuration: &mut Value) -> Result<()> {
    let filters =
        at(connection_manager(configuration)?, "/http_filters")?.as_array_mut().context("filters are a list")?;
    let before = filters.len();
    filters.retain(|filter| filter["name"] != "jobscope");
    ensure!(filters.len() + 1 == before, "the Envoy configuration has no filter named `jobscope`");
    Ok(())
}

/// So many rules that a fleet may have: each target's own, for twenty origins. The target of the requests is among them.
fn rules() -> Vec<Value> {
    let rule = |number: u32| {
        let target =
            if number == 5_000 { "libs/common".to_owned() } else { format!("team-{}/target-{number}", number % 100) };
        let origins = (0..19).map(|n| format!("team-{n}/origin-{number}")).chain(["apps/web".to_owned()]);
        json!({"id": format!("t-{number}"), "targets": [target], "origins": origins.collect::<Vec<_>>()})
    };
    (0..10_000).map(rule).collect()
}

/// What jobscope denies never reaches the upstream, which is most of what a request costs. So that its cost is not taken for
/// less than nothing, the others have Envoy itself refuse it behind them.
fn refuse_by_a_route(configuration: &mut Value) -> Result<()> {
    let hosts = at(connection_manager(configuration)?, "/route_config/virtual_hosts")?;
    let routes = at(named(hosts, "forge")?, "/routes")?.as_array_mut().context("routes are a list")?;
    let is_refused = json!({"prefix": "/", "headers": [{"name": REFUSED, "present_match": true}]});
    routes.insert(0, json!({"match": is_refused, "direct_response": {"status": 403}}));
    Ok(())
}

fn denied_by_a_field() -> Value {
    let field = json!({"header": {"name": "x-denied", "string_match": {"exact": "yes"}}});
    json!({"rules": {"action": "DENY", "policies": {"field": {"permissions": [{"any": true}], "principals": [field]}}}})
}

fn by_http(cluster: &str) -> Value {
    json!({"http_service": {"server_uri": {"uri": "http://service", "cluster": cluster, "timeout": "2s"},
        "authorization_request": {"allowed_headers": {"patterns": [{"exact": "job-token"}]}}}})
}

fn by_grpc() -> Value {
    json!({"envoy_grpc": {"cluster_name": "grpc-answerer"}, "timeout": "2s"})
}

fn cluster(name: &str, port: u16, protocol: &str) -> Value {
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    json!({"name": name, "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {protocol: {}}}},
        "load_assignment": {"cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}})
}
