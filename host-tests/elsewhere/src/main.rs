//! The filter on a host that is not Envoy's. It tells what becomes of a few requests; docs/hosts.md has what came out.
//!
//! `cargo +1.96 run --locked --manifest-path host-tests/elsewhere/Cargo.toml -- target/wasm32-wasip1/release/jobscope.wasm`

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proxy_wasm_host::abi::v0_2_1::types::{Action, LogLevel, MapType, Status, StreamType};
use proxy_wasm_host::abi::v0_2_1::{
    Access, CalloutId, Callouts, ContextId, Guest, GuestError, Host, HttpCall, HttpCallRefusal, HttpCallResponse,
    InMemoryStore, Invocation, LocalResponse, LogContext, LogSink, PluginConfig, SharedServices, Started, StreamKind,
    StreamState, VmServices,
};
use proxy_wasm_host::{Engine, HeaderMap, Limits, Module, VecHeaderMap};

const JOB: &str = "glcbt-64_running-job";

/// Token and project of each request. The job may read 102, and not 103.
const REQUESTS: [(&str, u32); 5] = [("", 102), (JOB, 102), (JOB, 102), (JOB, 103), ("glcbt-64_junk", 102)];

fn configuration(more: &str) -> String {
    format!(
        r#"{{"forge": {{"hosts": ["forge.example"]}}, "lookup": {{"cluster": "lookup", "authority": "lookup.example",
            "credential_env": "CREDENTIAL", "api": "v1"}}{more}}}"#
    )
}

struct Printed;

impl LogSink for Printed {
    fn log(&self, _: LogContext<'_>, _: LogLevel, message: &[u8]) {
        println!("  {}", String::from_utf8_lossy(message));
    }
}

/// The library's own defaults.
struct NothingShared;

impl SharedServices for NothingShared {}

/// The requests of the guest. Whose turn it is says the effective context.
#[derive(Default)]
struct Requests {
    heads: BTreeMap<u32, VecHeaderMap>,
    fates: Arc<Mutex<BTreeMap<u32, String>>>,
}

impl Requests {
    fn ends(&self, call: Invocation, fate: String) -> Result<(), Status> {
        self.fates.lock().unwrap().insert(call.context.get(), fate);
        Ok(())
    }
}

impl StreamState for Requests {
    fn header_map(&mut self, call: Invocation, _: Access, map: MapType) -> Result<&mut dyn HeaderMap, Status> {
        let head = self.heads.get_mut(&call.context.get()).filter(|_| map == MapType::HttpRequestHeaders);
        head.map(|head| head as &mut dyn HeaderMap).ok_or(Status::BadArgument)
    }

    fn continue_stream(&mut self, call: Invocation, _: StreamType) -> Result<(), Status> {
        self.ends(call, "goes on".to_owned())
    }

    fn send_local_response(&mut self, call: Invocation, reply: LocalResponse<'_>) -> Result<(), Status> {
        self.ends(call, format!("{} {}", reply.status_code, String::from_utf8_lossy(&reply.status_code_details)))
    }

    fn set_property(&mut self, _: Invocation, _: &[&[u8]], _: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

/// Calls that wait for an answer.
#[derive(Default)]
struct Calls(Mutex<Vec<(ContextId, CalloutId, Vec<u8>)>>);

impl Callouts for Calls {
    fn http_call(&self, call: Invocation, id: CalloutId, asked: HttpCall<'_>) -> Result<(), HttpCallRefusal> {
        self.0.lock().unwrap().push((call.context, id, asked.body.to_vec()));
        Ok(())
    }
}

/// What a lookup service says, in `v1`.
fn answer(asked: &str) -> String {
    let (admission, project) = if asked.contains("103") { ("unlisted", 103) } else { ("project", 102) };
    if asked.contains(JOB) {
        r#"{"version": 1, "token": "running",
            "job": {"id": 1, "user": {"id": 1, "name": "u"}, "origin": {"id": 101, "path": "g/p1"}}}"#
            .to_owned()
    } else if asked.contains("\"token\"") {
        r#"{"version": 1, "token": "unknown"}"#.to_owned()
    } else {
        format!(
            r#"{{"version": 1, "role": "developer", "external": false, "admission": "{admission}", "target": {{"id": {project},
                "path": "g/p", "visibility": "private", "push_by_job_token": false}}}}"#
        )
    }
}

fn ask(guest: &mut Guest, root: ContextId, calls: &Calls, token: &str, project: u32) -> Result<String, GuestError> {
    let path = format!("/api/v4/projects/{project}/packages/generic/tool/1.0/tool.txt");
    let mut fields = vec![(":method", "GET"), (":path", &*path), (":authority", "forge.example")];
    fields.extend((!token.is_empty()).then_some(("job-token", token)));
    let head = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let mut requests = Requests::default();
    let fates = Arc::clone(&requests.fates);
    let mut scope = guest.enter_root();
    let stream = scope.on_context_create(Some(root))?;
    scope.expect_stream_kind(stream, StreamKind::Http)?;
    drop(scope);
    requests.heads.insert(stream.get(), head);
    let (action, _) = guest.with(requests, |scope| {
        let action = scope.on_request_headers(stream, u32::try_from(fields.len()).unwrap_or_default(), true)?;
        loop {
            let waiting = std::mem::take(&mut *calls.0.lock().unwrap());
            if waiting.is_empty() {
                return Ok::<_, GuestError>(action);
            }
            for (context, id, asked) in waiting {
                let status = (b":status"[..].into(), b"200"[..].into());
                let came = (b"x-envoy-upstream-service-time"[..].into(), b"1"[..].into());
                let body = answer(&String::from_utf8_lossy(&asked)).into_bytes();
                scope.on_http_call_response(
                    context,
                    id,
                    HttpCallResponse::received(vec![status, came]).with_body(body),
                )?;
            }
        }
    });
    let at_once = if action? == Action::Continue { "goes on at once" } else { "waits" };
    Ok(fates.lock().unwrap().remove(&stream.get()).unwrap_or_else(|| at_once.to_owned()))
}

fn main() -> Result<(), GuestError> {
    let filter = std::env::args().nth(1).expect("the filter's file");
    let engine = Engine::new()?;
    let (host, module) = (Host::new(&engine)?, Module::new(&engine, &std::fs::read(filter).expect("the filter"))?);
    let store = || Arc::new(InMemoryStore::new());
    let hosts: [(&str, &str, Arc<dyn SharedServices>); 3] = [
        ("nothing is shared", "", Arc::new(NothingShared)),
        ("shared in memory, 4096 keys at most", "", store()),
        ("the same, and small tables", r#", "bindings": {"capacity": 64}"#, store()),
    ];
    for (what, more, shared) in hosts {
        println!("{what}:");
        let calls = Arc::new(Calls::default());
        let services = VmServices::new(Arc::new(Printed))
            .with_environment(vec![(b"CREDENTIAL".to_vec(), b"secret".to_vec())])
            .with_shared(shared)
            .with_callouts(Arc::<Calls>::clone(&calls));
        let mut guest = Guest::new(&host, &module, services, &Limits::default())?;
        let plugin = PluginConfig::new().with_root_id("jobscope").with_configuration(configuration(more));
        match guest.start(plugin)? {
            Started::Serving(root) => {
                for (token, project) in REQUESTS {
                    println!("  {token:?} of {project}: {}", ask(&mut guest, root, &calls, token, project)?);
                }
            }
            _ => println!("  the configuration is refused"),
        }
    }
    Ok(())
}
