//! What goes wrong around a real Envoy: each request gets an answer, in time, and the next one is served.

use std::thread;
use std::time::{Duration, Instant};

use host_tests::stack::decisions::Entry;
use host_tests::stack::{Answer, LookupFault, Options, Registry, Stack, TokenLookup};
use serde_json::json;

/// The filter's `lookup.timeout` here.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a client may wait at most: the timeout, and what a busy machine takes besides.
const PATIENCE: Duration = Duration::from_secs(3);

const WEB_JOB: &str = "glcbt-64_danaBuildsWeb000001";
const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";
const REFS: &str = "/libs/common.git/info/refs?service=git-upload-pack";

fn options() -> Options {
    Options {
        registry: Registry::LeftOut,
        filter: vec![("/lookup/timeout", json!(format!("{}s", TIMEOUT.as_secs())))],
        ..Options::picked()
    }
}

/// Sends a head (its first line and its headers) and a body, byte for byte.
fn send(stack: &Stack, head: &[&[u8]], body: &[u8]) -> Answer {
    let mut request = head.join(&b"\r\n"[..]);
    request.extend_from_slice(format!("\r\nHost: {}\r\n", stack.forge_host()).as_bytes());
    if !body.is_empty() {
        request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    read(stack, &request)
}

fn read(stack: &Stack, request: &[u8]) -> Answer {
    let answer = stack.raw(request, Duration::from_secs(20)).unwrap();
    let first = String::from_utf8_lossy(&request[..request.len().min(300)]);
    assert!(answer.status.is_some(), "no answer to {first:?}: {answer:?}");
    answer
}

fn get(stack: &Stack, path: &str, headers: &[&str]) -> Answer {
    let first = format!("GET {path} HTTP/1.1");
    let head: Vec<&[u8]> =
        std::iter::once(first.as_bytes()).chain(headers.iter().map(|header| header.as_bytes())).collect();
    send(stack, &head, b"")
}

fn get_package(stack: &Stack, token: &str) -> Answer {
    get(stack, PACKAGE, &[&format!("JOB-TOKEN: {token}")])
}

/// `Authorization: Basic` with a job's token, in base64 made here.
fn basic(token: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let credential = format!("gitlab-ci-token:{token}");
    let mut encoded = String::from("Authorization: Basic ");
    for chunk in credential.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i) & 63) as usize;
            encoded.push(if i > chunk.len() { '=' } else { char::from(ALPHABET[sextet]) });
        }
    }
    encoded
}

fn assert_try_later(answer: &Answer) {
    assert_eq!(answer.status, Some(503), "{answer:?}");
    let retry_after: u32 =
        answer.header("retry-after").unwrap_or_else(|| panic!("no Retry-After in {answer:?}")).parse().unwrap();
    assert!(retry_after > 0);
    assert!(answer.took < PATIENCE, "{answer:?}");
}

/// No request so far has trapped the filter's VM.
fn assert_no_trap(stack: &Stack) {
    let statistics = stack.statistics("vm_reload").unwrap();
    for line in statistics.lines() {
        assert!(line.ends_with(": 0"), "{line}");
    }
}

fn assert_served(stack: &Stack) {
    let answer = get_package(stack, WEB_JOB);
    assert_eq!((answer.status, answer.text().trim()), (Some(200), "a tool"), "{answer:?}");
    let answer = get(stack, "/api/v4/projects/libs%2Fopen", &[]);
    assert_eq!(answer.status, Some(200), "{answer:?}");
    assert_no_trap(stack);
}

#[test]
fn without_a_lookup_every_protocol_says_try_later() {
    let stack = Stack::start(&Options { token_lookup: TokenLookup::Nobody, ..options() }).unwrap();

    let answer = get_package(&stack, WEB_JOB);
    assert_try_later(&answer);
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let answer = get(&stack, REFS, &[&basic(WEB_JOB)]);
    assert_try_later(&answer);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));

    let answer = send(
        &stack,
        &[
            b"POST /libs/common.git/info/lfs/objects/batch HTTP/1.1",
            b"Content-Type: application/vnd.git-lfs+json",
            b"Accept: application/vnd.git-lfs+json",
            basic(WEB_JOB).as_bytes(),
        ],
        br#"{"operation":"download","objects":[]}"#,
    );
    assert_try_later(&answer);
    assert_eq!(answer.header("content-type"), Some("application/vnd.git-lfs+json"));

    let answer =
        get(&stack, "/jwt/auth?service=container_registry&scope=repository:apps/web/app:pull", &[&basic(WEB_JOB)]);
    assert_try_later(&answer);
    assert!(answer.text().contains(r#""errors""#), "{answer:?}");

    let answer = get(&stack, "/api/v4/projects/libs%2Fopen", &[]);
    assert_eq!(answer.status, Some(200), "without a token nothing is looked up: {answer:?}");
    assert_no_trap(&stack);
}

#[test]
fn a_lookup_that_is_slow_or_nonsense_ends_in_time() {
    let stack = Stack::start(&options()).unwrap();
    let faults = [LookupFault::Slow(10_000), LookupFault::Nonsense, LookupFault::Unavailable, LookupFault::Hang];
    for (i, fault) in faults.into_iter().enumerate() {
        let token = format!("glcbt-64_neverSeenBefore00{i}");
        stack.forge().add_job("apps/web", "dana", &token).unwrap();
        stack.forge().fault(fault).unwrap();
        let answer = get_package(&stack, &token);
        assert_try_later(&answer);
        // It was the lookup that failed, not the token.
        stack.forge().fault(LookupFault::None).unwrap();
        let answer = get_package(&stack, &token);
        assert_eq!(answer.status, Some(200), "after {fault:?}: {answer:?}");
    }
    assert_served(&stack);
}

#[test]
fn from_the_forges_webhook_on_no_worker_serves_the_job() {
    let path = "/-/jobscope/webhook";
    // Any variable that Envoy hands on may hold the secret; here it is the one that there is.
    let webhook = json!({"path": path, "secret_env": "JOBSCOPE_LOOKUP_TOKEN"});
    let stack = Stack::start(&Options { filter: vec![("/webhook", webhook)], ..options() }).unwrap();
    let first = format!("POST {path} HTTP/1.1");
    let report = |secret: &str, body: &[u8]| {
        let secret = format!("X-Gitlab-Token: {secret}");
        send(&stack, &[first.as_bytes(), b"Content-Type: application/json", secret.as_bytes()], body).status
    };
    let over = br#"{"object_kind": "build", "build_id": 1001, "build_status": "failed", "project_id": 101}"#;
    assert_served(&stack);
    assert_eq!(report("glpat-guessed", over), Some(401));
    assert_eq!(get(&stack, path, &[]).status, Some(405));
    assert_served(&stack);
    // The job still runs for the forge: the report alone ends it, on each worker.
    assert_eq!(report("glpat-jobscope-lookup", over), Some(204));
    for _ in 0..10 {
        assert_eq!(get_package(&stack, WEB_JOB).status, Some(401));
    }
    assert_no_trap(&stack);
}

#[test]
fn bytes_that_are_no_text_get_an_answer() {
    let stack = Stack::start(&options()).unwrap();
    let package = format!("GET {PACKAGE} HTTP/1.1");
    let with = |header: &[u8]| send(&stack, &[package.as_bytes(), header], b"").status.unwrap_or(0);
    for header in [
        &b"JOB-TOKEN: glcbt-64_\xff\xfe"[..],
        b"JOB-TOKEN: \x80",
        b"Authorization: Bearer glcbt-64_\xc3\x28",
        b"Authorization: Basic \xff\xff\xff",
        b"Authorization: \xf0\x9f\x92\xa9",
        b"PRIVATE-TOKEN: \xff",
        b"Cookie: _gitlab_session=\xff",
        b"X-Note: \xff",
        b"Content-Type: \xff",
    ] {
        let status = with(header);
        assert!((400..500).contains(&status), "{status} to {:?}", String::from_utf8_lossy(header));
    }
    let answer =
        send(&stack, &[package.as_bytes(), format!("JOB-TOKEN: {WEB_JOB}").as_bytes(), b"X-Note: caf\xe9"], b"");
    assert_eq!(answer.status, Some(200), "{answer:?}");
    let answer = read(&stack, b"GET /caf\xe9 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(answer.status, Some(400), "{answer:?}");
    assert_served(&stack);
}

#[test]
fn a_request_without_a_path_gets_an_answer() {
    let stack = Stack::start(&options()).unwrap();
    let token = format!("JOB-TOKEN: {WEB_JOB}\r\n");
    let lines = [
        "CONNECT libs.example:443 HTTP/1.1\r\nHost: libs.example:443\r\n",
        "CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET  HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET libs/common HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET http:// HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET http://127.0.0.1 HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET /api/v4/projects HTTP/1.1\r\n",
        "GET /api/v4/projects HTTP/1.1\r\nHost:\r\n",
        "GET /api/v4/projects HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: localhost\r\n",
    ];
    for line in lines {
        let answer = read(&stack, format!("{line}{token}\r\n").as_bytes());
        assert!((400..500).contains(&answer.status.unwrap_or(0)), "{line:?}: {answer:?}");
    }
    assert_served(&stack);
}

#[test]
fn ordinary_traffic_passes_as_it_came() {
    let stack = Stack::start(&options()).unwrap();
    stack.forge().forget_requests().unwrap();
    let secrets = "/infra/secrets.git/info/refs?service=git-upload-pack";
    let nobody = get(&stack, secrets, &[]);
    assert_eq!(nobody.status, Some(401));
    assert!(nobody.header("www-authenticate").unwrap().starts_with("Basic"));
    // dana:glpat-dana, dana:dana-password
    for credential in ["ZGFuYTpnbHBhdC1kYW5h", "ZGFuYTpkYW5hLXBhc3N3b3Jk"] {
        let answer = get(&stack, secrets, &[&format!("Authorization: Basic {credential}")]);
        assert_eq!(answer.status, Some(200), "{answer:?}");
        assert_eq!(answer.header("x-jobscope-decision"), None);
    }
    let answer = get(&stack, "/api/v4/projects/infra%2Fsecrets", &["PRIVATE-TOKEN: glpat-dana"]);
    assert_eq!(answer.status, Some(200), "{answer:?}");

    // The forge saw these four, and no question of jobscope's.
    let requests = stack.forge().requests().unwrap();
    assert_eq!(requests.len(), 4, "{requests:#?}");
    assert!(requests[1].to_string().contains("Basic ZGFuYTpnbHBhdC1kYW5h"));
    assert!(requests[3].to_string().contains("infra%2Fsecrets"));
    for line in stack.access_log().unwrap().new_lines().unwrap() {
        assert!(!Entry::parse(&line).unwrap().is_decision(), "{line}");
    }
}

#[test]
fn a_large_upload_streams_while_its_token_is_looked_up() {
    let stack = Stack::start(&options()).unwrap();
    let token = "glcbt-64_uploadsSomethingLarge";
    stack.forge().add_job("apps/web", "dana", token).unwrap();
    let content: Vec<u8> = (0..10 << 20).map(|i: u32| b'a' + (i % 26) as u8).collect();
    let path = "/api/v4/projects/apps%2Fweb/packages/generic/large/1.0/large.txt";
    let answer =
        send(&stack, &[format!("PUT {path} HTTP/1.1").as_bytes(), format!("JOB-TOKEN: {token}").as_bytes()], &content);
    assert_eq!(answer.status, Some(201), "{answer:?}");
    let answer = get(&stack, path, &["PRIVATE-TOKEN: glpat-dana"]);
    assert_eq!(answer.status, Some(200));
    assert!(answer.body == content, "{} bytes came back", answer.body.len());
}

#[test]
fn an_upload_is_broken_off_before_another_token_goes_on() {
    let stack = Stack::start(&options()).unwrap();
    let upload = |token: &str| {
        let content = "-".repeat(3 << 20);
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\n{content}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{token}\r\n--b--\r\n"
        );
        send(
            &stack,
            &[
                b"PUT /api/v4/projects/apps%2Fweb/packages/generic/large/1.0/form.txt HTTP/1.1",
                basic(WEB_JOB).as_bytes(),
                b"Content-Type: multipart/form-data; boundary=b",
            ],
            body.as_bytes(),
        )
    };
    // Cold, then warm.
    for _ in 0..2 {
        let answer = upload("glcbt-64_somebodyElses");
        assert_eq!(answer.status, Some(400), "{answer:?}");
        assert!(answer.text().contains("carrier.head-and-body"), "{answer:?}");
    }
    assert_served(&stack);
}

#[test]
fn many_requests_with_a_fresh_token_are_one_lookup_per_worker() {
    const WORKERS: usize = 2;
    let stack = Stack::start(&options()).unwrap();
    let token = "glcbt-64_askedForByMany00000";
    stack.forge().add_job("apps/web", "dana", token).unwrap();
    // Slow enough for all of them to arrive meanwhile.
    stack.forge().fault(LookupFault::Slow(300)).unwrap();
    stack.forge().forget_requests().unwrap();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..40).map(|_| scope.spawn(|| get_package(&stack, token))).collect();
        for client in clients {
            let answer = client.join().unwrap();
            assert_eq!(answer.status, Some(200), "{answer:?}");
        }
    });
    let requests = stack.forge().requests().unwrap();
    let asked = requests.iter().filter(|request| request["target"] == "/api/v4/job").count();
    assert!((1..=WORKERS).contains(&asked), "{asked} lookups: {requests:#?}");
}

#[test]
fn unknown_tokens_of_one_address_are_told_to_come_back() {
    let mut options = options();
    options.filter.push(("/lookup/max_unknown_per_source", json!(1)));
    let stack = Stack::start(&options).unwrap();
    let begin = Instant::now();
    let statuses: Vec<Option<u16>> = thread::scope(|scope| {
        let stack = &stack;
        let clients: Vec<_> = (0..20)
            .map(|i| scope.spawn(move || get_package(stack, &format!("glcbt-64_neverGivenOut{i:05}"))))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap().status).collect()
    });
    let most = usize::try_from(begin.elapsed().as_secs()).unwrap() + 2;
    let asked = statuses.iter().filter(|status| **status == Some(401)).count();
    assert!((1..=most).contains(&asked), "{asked} were looked up, of at most {most}: {statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, Some(401 | 429))), "{statuses:?}");
}
