//! Secrets that Envoy adds, as `envoy/secrets.yaml` has it do, exchanged while jobs that nobody knows are looked up.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_tests::stack::{Answer, Options, Registry, Stack, checkout};
use serde_json::{Value, json};

/// Two administrators' tokens: of the service account, and the one that comes after it.
const OLD: &str = "glpat-jobscope-lookup";
const NEW: &str = "glpat-ada";
const SERVICE: &str = "service-token.yaml";
const WEBHOOK: &str = "webhook-secret.yaml";
const PATH: &str = "/-/jobscope/webhook";
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a secret as `docs/operations.md` says: a document beside the one that is there, then moved into its place.
fn exchange(dir: &Path, file: &str, secret: &str) {
    let name = file.strip_suffix(".yaml").unwrap();
    let document = format!(
        "resources:\n- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {name}\n  generic_secret: {{secret: {{inline_string: \"{secret}\"}}}}\n"
    );
    let new = dir.join(format!(".{file}"));
    fs::write(&new, document).unwrap();
    fs::rename(new, dir.join(file)).unwrap();
}

/// Adds `envoy/secrets.yaml` to what is deployed.
fn add_secrets(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let log = envoy.pointer(&format!("{manager}/access_log/0/typed_config/path")).unwrap();
    let dir = secrets_of(Path::new(log.as_str().unwrap()).parent().unwrap());
    fs::create_dir_all(&dir).unwrap();
    exchange(&dir, SERVICE, OLD);
    exchange(&dir, WEBHOOK, "opensesame");

    let text = fs::read_to_string(checkout().join("envoy/secrets.yaml")).unwrap();
    let text = text.replace("/etc/envoy-secrets", dir.to_str().unwrap());
    let mut added: Value = serde_saphyr::from_str(&text).unwrap();
    envoy["node"] = added["node"].take();
    let clusters = envoy.pointer_mut("/static_resources/clusters").unwrap().as_array_mut().unwrap();
    let lookup = clusters.iter().find(|cluster| cluster["name"] == "token-lookup").unwrap();
    let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    let lookup_address = lookup.pointer(address).unwrap().clone();
    *added.pointer_mut(&format!("/clusters/0{address}")).unwrap() = lookup_address;
    clusters.push(added["clusters"][0].take());
    let mut put_first = |list: &str, value: Value| {
        let list = envoy.pointer_mut(&format!("{manager}{list}")).unwrap();
        list.as_array_mut().unwrap().insert(0, value);
    };
    put_first("/http_filters", added["http_filters"][0].take());
    put_first("/route_config/virtual_hosts/0/routes", added["routes"][0].take());
    let plugin = envoy.pointer_mut(&format!("{manager}/http_filters/1/typed_config/config")).unwrap();
    plugin["vm_config"]["environment_variables"] = json!({});
    let filter = &added["filter"];
    for key in ["lookup", "webhook"] {
        let there = plugin["configuration"]["value"][key].as_object_mut().unwrap();
        there.extend(filter[key].as_object().unwrap().clone());
        there.retain(|key, _| !key.ends_with("_env"));
    }
}

fn secrets_of(dir: &Path) -> PathBuf {
    dir.join("secrets")
}

/// A stack in which each new job takes a call in the service account's name, beside the one with its own token.
fn start() -> Stack {
    let rule = json!({"deny": [{"id": "r", "targets": ["infra/**"], "when": {"protected": true}}]});
    let filter = vec![
        ("/access", rule),
        ("/lookup/max_unknown_per_source", json!(100_000)),
        ("/lookup/max_unknown_per_second", json!(100_000)),
    ];
    let options = Options { registry: Registry::LeftOut, filter, change: add_secrets, ..Options::picked() };
    let stack = Stack::start(&options).unwrap();
    // On Envoy 1.36 the listener is there a moment before a cluster that waits for its secret.
    let begin = Instant::now();
    while get(&stack, "glcbt-64_danaBuildsWeb000001").status != Some(200) {
        assert!(begin.elapsed() < PATIENCE, "no lookup succeeds");
        thread::sleep(Duration::from_millis(50));
    }
    stack
}

fn get(stack: &Stack, token: &str) -> Answer {
    let request = format!(
        "GET /api/v4/projects/libs%2Fcommon/releases HTTP/1.1\r\nHost: {}\r\nJOB-TOKEN: {token}\r\nConnection: close\r\n\r\n",
        stack.forge_host()
    );
    stack.raw(request.as_bytes(), PATIENCE).unwrap()
}

fn header<'a>(request: &'a Value, name: &str) -> Vec<&'a str> {
    let all = request["headers"].as_array().unwrap().iter();
    all.filter(|field| field[0] == name).map(|field| field[1].as_str().unwrap()).collect()
}

/// The service account's tokens in what the forge received, in its order. A request that has a job's has no other.
fn service_tokens(requests: &[Value]) -> Vec<&str> {
    let tokens = requests.iter().flat_map(|request| {
        let (job, service) = (header(request, "job-token"), header(request, "private-token"));
        assert_eq!(job.len() + service.len(), 1, "each carries its own credential and no other: {request}");
        service
    });
    tokens.collect()
}

#[test]
fn the_service_accounts_token_is_exchanged_under_load_and_no_request_fails() {
    const CLIENTS: usize = 2;
    const EACH: usize = 60;
    let stack = start();
    let secrets = secrets_of(stack.dir());
    let first = stack.forge().requests().unwrap().last().unwrap()["sequence"].as_u64().unwrap() + 1;
    stack.forge().forget_requests().unwrap();

    let asked = AtomicUsize::new(0);
    let wait_for = |count: usize| {
        let begin = Instant::now();
        while asked.load(Ordering::Relaxed) < count {
            assert!(begin.elapsed() < PATIENCE, "the clients do not come along");
            thread::sleep(Duration::from_millis(5));
        }
    };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (stack, asked) = (&stack, &asked);
            scope.spawn(move || {
                for number in 0..EACH {
                    let token = format!("glcbt-64_rotates{client}{number:012}");
                    stack.forge().add_job("apps/web", "dana", &token).unwrap();
                    let answer = get(stack, &token);
                    asked.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(answer.status, Some(200), "{client} {number}: {answer:?}");
                }
            });
        }
        wait_for(20);
        exchange(&secrets, SERVICE, NEW);
        let begin = Instant::now();
        while !service_tokens(&stack.forge().requests().unwrap()).contains(&NEW) {
            assert!(begin.elapsed() < PATIENCE, "Envoy does not take the new token");
            thread::sleep(Duration::from_millis(5));
        }
        // What had been sent before is answered by then.
        wait_for((asked.load(Ordering::Relaxed) + 20).min(CLIENTS * EACH - 20));
        stack.forge().give_token("jobscope", None).unwrap();
    });
    let requests = stack.forge().requests().unwrap();
    let numbers: Vec<u64> = requests.iter().map(|request| request["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "the record has all of them");
    let tokens = service_tokens(&requests);
    let count = |token| tokens.iter().filter(|one| **one == token).count();
    assert!(count(OLD) >= 20 && count(NEW) >= 20, "{tokens:?}");
    assert_eq!(count(OLD) + count(NEW), tokens.len(), "{tokens:?}");
    assert_eq!(tokens.last(), Some(&NEW));
    assert!(tokens.len() >= CLIENTS * EACH, "each new job took a call in the service account's name");

    // One that is wrong is noticed, and put right without a restart.
    for (secret, expected) in [("glpat-wrong", 503), (NEW, 200)] {
        exchange(&secrets, SERVICE, secret);
        let begin = Instant::now();
        for number in 0.. {
            assert!(begin.elapsed() < PATIENCE, "Envoy does not take `{secret}`");
            let token = format!("glcbt-64_{expected}{number:014}");
            stack.forge().add_job("apps/web", "dana", &token).unwrap();
            if get(&stack, &token).status == Some(expected) {
                break;
            }
        }
    }
}

/// Reports an end to the webhook's path, with more fields.
fn report(stack: &Stack, job: u32, secret: &str, more: &str) -> Option<u16> {
    let body = format!(r#"{{"object_kind":"build","build_id":{job},"build_status":"failed","project_id":101}}"#);
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nX-Gitlab-Token: {secret}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        stack.forge_host(),
        body.len()
    );
    stack.raw(request.as_bytes(), PATIENCE).unwrap().status
}

/// The same over HTTP/2, with one more field. Whether Envoy answers it; of what is malformed it ends the
/// stream or the connection (RFC 9113, 8.1.1).
fn report_over_http2(stack: &Stack, job: u32, secret: &str, more: Option<(&str, &str)>) -> bool {
    let body = format!(r#"{{"object_kind":"build","build_id":{job},"build_status":"failed","project_id":101}}"#);
    let host = stack.forge_host();
    let fields =
        [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", &host)].into_iter().chain(more);
    let fields = fields.chain([("content-type", "application/json"), ("x-gitlab-token", secret)]);
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // Literal fields that no table gets (RFC 7541, 6.2.2).
    let head = fields.flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect::<Vec<u8>>();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let sent = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, 4, 1, &head),
        frame(0, 1, 1, body.as_bytes()),
    ];
    let mut connection = TcpStream::connect(&host).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(&sent.concat()).unwrap();
    loop {
        let mut head = [0; 9];
        if connection.read_exact(&mut head).is_err() {
            return false;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        connection.read_exact(&mut vec![0; length as usize]).unwrap();
        if [HEADERS, RST_STREAM, GOAWAY].contains(&head[3]) {
            return head[3] == HEADERS;
        }
    }
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

#[test]
fn the_webhooks_secret_is_exchanged_while_reports_come_and_no_client_adds_one() {
    const NOBODY: u32 = 999_999;
    let stack = start();
    let secrets = secrets_of(stack.dir());
    let wait_until = |secret, status| {
        let begin = Instant::now();
        while report(&stack, NOBODY, secret, "") != Some(status) {
            assert!(begin.elapsed() < PATIENCE, "`{secret}` does not get {status}");
            thread::sleep(Duration::from_millis(5));
        }
    };
    assert_eq!(report(&stack, NOBODY, "opensesame", ""), Some(204));
    assert_eq!(report(&stack, NOBODY, "other", ""), Some(401));
    // Both count, then GitLab is told the new one, then the old one is over.
    exchange(&secrets, WEBHOOK, "opensesame other");
    wait_until("other", 204);
    assert_eq!(report(&stack, NOBODY, "opensesame", ""), Some(204));
    exchange(&secrets, WEBHOOK, "other");
    wait_until("opensesame", 401);
    assert_eq!(report(&stack, NOBODY, "other", ""), Some(204));

    for forged in
        [":jobscope-webhook-secret: x\r\n", " :jobscope-webhook-secret: x\r\n", "\\:jobscope-webhook-secret: x\r\n"]
    {
        let status = report(&stack, 1001, "x", forged);
        assert!(matches!(status, Some(400 | 401)), "{forged:?} gets {status:?}");
    }
    let is_answered = report_over_http2(&stack, 1001, "x", Some((":jobscope-webhook-secret", "x")));
    assert!(!is_answered, "over HTTP/2 it is malformed too");
    assert_eq!(get(&stack, "glcbt-64_danaBuildsWeb000001").status, Some(200), "its job goes on");
    assert!(report_over_http2(&stack, 1001, "other", None));
    assert_eq!(get(&stack, "glcbt-64_danaBuildsWeb000001").status, Some(401));
    let requests = stack.forge().requests().unwrap();
    assert!(requests.iter().all(|request| request["target"] != PATH), "no report reaches the forge");
}
