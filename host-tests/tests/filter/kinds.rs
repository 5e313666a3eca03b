//! What each kind of request costs that CI makes: instructions of the VM, and calls of the host. The table is that of
//! `docs/performance.md`, which `UPDATE_DOCS=1` writes anew.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use host_tests::host::{Answer, Callout, Filter, Host, Request, RequestHead};
use serde_json::{Value, json};

use crate::forge::{DANA, api, basic, clone, configuration, get, gitlab, host_of, options, post};

const BEGIN: &str = "<!-- costs: made by `make docs` -->\n";
/// The kinds that come behind another: the job logged in, and is known.
const JWT: [&str; 2] = ["a manifest, JWT", BLOB];
/// Of an image each is asked for once.
const BLOB: &str = "a blob, JWT";
/// What comes when the tables hold as much as they ever do.
const FULL: &str = "`info/refs`, `lookup.api: v1`, full tables";
/// What stands in the path for a number that is another each time.
const NEW: &str = "{new}";
const END: &str = "<!-- end of costs -->";

/// How long a kept request may take a VM at most, in requests whose head is copied: about twice what was measured, 1.0 to 1.1
/// for people's, 2.5 for a job's, 7.3 where it is denied.
const BOUNDS: [(&str, f64); 7] = [
    ("a page, nobody's", 2.0),
    ("the API, `PRIVATE-TOKEN`", 2.0),
    ("`info/refs`, a person's Basic", 3.0),
    ("`info/refs`", 5.0),
    ("a package, `JOB-TOKEN`", 5.0),
    ("the API by number", 5.0),
    ("the API, denied", 15.0),
];

/// The forge's answer to the request that has this number: its media type and its body.
type Upstream = fn(u8) -> (&'static str, String);

/// A kind of request.
struct Kind {
    what: &'static str,
    /// What is in the configuration besides.
    more: String,
    lookups: Lookups,
    request: Request,
    /// What the forge answers, where that is read.
    answer: Option<Upstream>,
}

/// Who is asked for facts.
#[derive(Clone, Copy)]
struct Lookups {
    /// What is said of it in the configuration.
    settings: &'static str,
    answer: fn(&Callout) -> Answer,
}

const GITLAB: Lookups = Lookups { settings: "", answer: gitlab };
const SERVICE: Lookups = Lookups {
    settings: r#""api": "v1", "max_unknown_per_source": 100000, "max_unknown_per_second": 100000,"#,
    answer: service,
};

fn kinds() -> Vec<Kind> {
    let media = "application/vnd.git-lfs+json";
    let objects = format!(r#"{{"operation": "download", "objects": [{{"oid": "{}", "size": 1}}]}}"#, "a".repeat(64));
    let login = get("/jwt/auth?service=container_registry&scope=repository:apps/web/app:pull");
    let package = "/projects/102/packages/generic/tool/1.0/tool.txt";
    let pack = post("/libs/common.git/git-upload-pack").header("content-type", "application/x-git-upload-pack-request");
    let refs = get("/libs/common.git/info/refs?service=git-upload-pack");
    let manifest = RequestHead::new("GET", "registry.example.com", "/v2/apps/web/app/manifests/v1");
    let pull = manifest.clone();
    let blob = RequestHead::new("GET", "registry.example.com", &format!("/v2/apps/web/app/blobs/sha256:{NEW}"));
    let batch = post("/libs/common.git/info/lfs/objects/batch").header("content-type", media);
    let issue = post("/api/v4/projects/102/issues").header("content-type", "application/json");
    let told = json!({"title": "It does not build", "labels": ["bug", "ci"], "description": "so it is ".repeat(100)})
        .to_string();
    let plain = vec![
        ("a page, nobody's", get("/apps/web").into()),
        ("the API, `PRIVATE-TOKEN`", get("/api/v4/projects/102").header("private-token", "glpat-dana").into()),
        ("an issue of 1 KB, `PRIVATE-TOKEN`", issue.header("private-token", "glpat-dana").body(told)),
        ("`info/refs`, a person's Basic", refs.header("authorization", "Basic ZGFuYTpwYXNzd29yZA==").into()),
        ("`info/refs`", clone("libs/common", DANA).into()),
        ("`git-upload-pack`", pack.header("authorization", basic(DANA)).body("0000")),
        ("a package, `JOB-TOKEN`", api(package, DANA).into()),
        ("a package, `?job_token=`", get(&format!("/api/v4{package}?job_token={DANA}")).into()),
        ("the API by number", api("/projects/102/releases", DANA).into()),
        ("a manifest, Basic", manifest.header("authorization", basic(DANA)).into()),
        (JWT[0], pull.clone().header("authorization", format!("Bearer {}", jwt("build", 0))).into()),
        (BLOB, blob.header("authorization", format!("Bearer {}", jwt("build", 0))).into()),
        (
            "a manifest, a person's JWT",
            pull.header("authorization", format!("Bearer {}", jwt("gitlab_or_ldap", 0))).into(),
        ),
        ("`/jwt/auth`", login.clone().header("authorization", basic(DANA)).into()),
        ("an LFS batch", batch.clone().header("authorization", basic(DANA)).body(objects.clone())),
        ("the API, denied", api("/projects/103/releases", DANA).into()),
        ("`info/refs`, denied", clone("infra/secrets", DANA).into()),
    ];
    let read = [
        Kind {
            what: "`/jwt/auth`, and its answer",
            more: String::new(),
            lookups: GITLAB,
            request: login.header("authorization", basic(DANA)).into(),
            answer: Some(|time| ("application/json", format!(r#"{{"token": "{}"}}"#, jwt("build", time)))),
        },
        Kind {
            what: "an LFS batch, and its answer",
            more: String::new(),
            lookups: GITLAB,
            request: batch.header("authorization", basic(DANA)).body(objects),
            answer: Some(|time| ("application/vnd.git-lfs+json", located(time))),
        },
    ];
    let one_property = r#", "log": {"form": "struct"}"#;
    let configured = [
        ("a package, `mode: observe`", r#", "mode": "observe""#.to_owned(), api(package, DANA).into()),
        ("a package, 10,000 targets x 20 origins", rules(), api(package, DANA).into()),
        ("`info/refs`, `log.form: struct`", one_property.to_owned(), clone("libs/common", DANA).into()),
        ("`info/refs`, denied, `log.form: struct`", one_property.to_owned(), clone("infra/secrets", DANA).into()),
    ];
    let unread = |what, more, request| Kind { what, more, lookups: GITLAB, request, answer: None };
    let plain = plain.into_iter().map(|(what, request)| unread(what, String::new(), request));
    let configured = configured.map(|(what, more, request)| unread(what, more, request));
    // Small, so that the tables are soon full.
    let small = || r#", "bindings": {"capacity": 64}"#.to_owned();
    let by_v1 = ["`info/refs`, `lookup.api: v1`", FULL]
        .map(|what| Kind { lookups: SERVICE, ..unread(what, small(), clone("libs/common", DANA).into()) });
    plain.chain(read).chain(configured).chain(by_v1).collect()
}

/// Many jobs that clone many projects.
fn fill(host: &mut Host) {
    for number in 1..=1000 {
        host.exchange(0, clone(&format!("libs/{number}"), &format!("glcbt-64_{number}")), service);
    }
}

/// A lookup service that says the same as GitLab does.
fn service(call: &Callout) -> Answer {
    let question: Value = serde_json::from_slice(&call.body).unwrap();
    let said = match question["token"].as_str() {
        None => json!({"version": 1, "role": "developer", "external": false, "admission": "project",
            "target": {"id": 102, "path": question["target"]["path"], "visibility": "private", "push_by_job_token": false}}),
        Some(token) => {
            let job = token.trim_start_matches("glcbt-64_").parse().unwrap_or(1001);
            json!({"version": 1, "token": "running", "job": {"id": job, "user": {"id": 11, "name": "dana"},
                "origin": {"id": 101, "path": "apps/web"}, "ref": "main", "source": "push"}})
        }
    };
    Answer::json(200, said.to_string())
}

/// A rule for each of so many targets, among them that of the requests.
fn rules() -> String {
    let rule = |number: u32| {
        let target =
            if number == 5_000 { "libs/common".to_owned() } else { format!("team-{}/target-{number}", number % 100) };
        let origins: String = (0..19).map(|n| format!(r#""team-{n}/origin-{number}", "#)).collect();
        format!(r#"{{"id": "t-{number}", "targets": ["{target}"], "origins": [{origins}"apps/web"]}}"#)
    };
    format!(r#", "access": {{"allow": [{}]}}"#, (0..10_000).map(rule).collect::<Vec<_>>().join(","))
}

/// What the forge answers to a batch of one object.
fn located(time: u8) -> String {
    let oid = "a".repeat(64);
    let login = base64::engine::general_purpose::STANDARD.encode(format!("dana:{}", jwt("lfs", time)));
    format!(
        r#"{{"transfer":"basic","objects":[{{"oid":"{oid}","size":1,"authenticated":true,"actions":{{"download":{{"href":"https://gitlab.example.com/libs/common.git/gitlab-lfs/objects/{oid}","header":{{"Authorization":"Basic {login}"}}}}}}}}]}}"#
    )
}

/// A JWT as GitLab makes it for the registry, of the usual size.
fn jwt(auth_type: &str, number: u8) -> String {
    let claims = format!(
        r#"{{"access":[{{"type":"repository","name":"apps/web/app","actions":["pull"],"meta":{{"project_path":"apps/web","project_id":101,"root_namespace_id":7}}}}],"jti":"{number:036}","aud":"container_registry","sub":"dana","iss":"gitlab.example.com","iat":1785000000,"nbf":1784999995,"exp":1785000300,"auth_type":"{auth_type}","user":"{}"}}"#,
        "a".repeat(36)
    );
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{}"}}"#, "ABCD:".repeat(12));
    let signature: Vec<u8> = (0..=u8::MAX).map(|at| at.wrapping_mul(at).wrapping_mul(73) ^ at).collect();
    [header.into_bytes(), claims.into_bytes(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// The job gets it.
fn log_in(host: &mut Host) {
    let login = get("/jwt/auth?service=container_registry&scope=repository:apps/web/app:pull");
    let stream = host.send(0, login.header("authorization", basic(DANA)), gitlab);
    host.respond(
        stream,
        200,
        &[("content-type", "application/json")],
        format!(r#"{{"token": "{}"}}"#, jwt("build", 0)),
    );
    host.close(stream);
}

/// The request, with a digest of its own where it has one.
fn numbered(request: &Request, time: u8) -> Request {
    let mut request = request.clone();
    for (_, value) in &mut request.head.headers {
        *value = String::from_utf8_lossy(value).replace(NEW, &format!("{time:064}")).into_bytes();
    }
    request
}

/// How long a VM takes for one request, in that of a filter that does nothing but copy the head: at most so much for each kind. Of
/// some rounds the shortest counts, since whatever else a machine does only adds to it.
#[test]
fn a_kept_request_takes_a_vm_no_longer_than_so_many_that_copy_the_head() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/wasm32-wasip1/release/guest.wasm");
    let mut copying = Host::start(&Filter::load(path).unwrap(), options("copy")).unwrap();
    let shortest = |host: &mut Host, request: &Request, answer: fn(&Callout) -> Answer| {
        let mut round = || {
            host.reset_counts();
            (0..20).for_each(|_| drop(host.exchange(0, request.clone(), answer)));
            host.vm_time(0)
        };
        (0..15).map(|_| round()).min().unwrap()
    };
    let (kinds, mut found) = (kinds(), Vec::new());
    for (what, bound) in BOUNDS {
        let kind = kinds.iter().find(|kind| kind.what == what).unwrap();
        let mut host = host_of(&configuration(&kind.more));
        let ratio = shortest(&mut host, &kind.request, gitlab).as_secs_f64()
            / shortest(&mut copying, &kind.request, gitlab).as_secs_f64();
        assert!(!host.trapped(0) && !copying.trapped(0), "{what}");
        if ratio > bound {
            found.push(format!("{what}: {ratio:.1}, and not {bound} at most"));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// What one request of a kind costs: instructions, calls of the host, and those that read shared data.
fn cost(host: &mut Host, kind: &Kind, time: u8) -> [u64; 3] {
    host.reset_counts();
    let before = host.instructions(0);
    let stream = host.send(0, numbered(&kind.request, time), kind.lookups.answer);
    if let Some(answer) = kind.answer {
        let (media, body) = answer(time);
        host.respond(stream, 200, &[("content-type", media)], body);
    }
    host.close(stream);
    // Memory is allocated for the host by the filter itself.
    let calls = host.hostcalls().into_iter().filter(|(name, _)| *name != "proxy_on_memory_allocate");
    let calls: Vec<_> = calls.collect();
    let all = calls.iter().map(|(_, count)| count).sum();
    let reads = calls.iter().filter(|(name, _)| *name == "proxy_get_shared_data").map(|(_, count)| count).sum();
    [host.instructions(0) - before, all, reads]
}

/// The costs of the first request of its kind, of the second, and of each that follows.
fn costs() -> Vec<(&'static str, [[u64; 3]; 3])> {
    let of = |kind: &Kind| {
        let lookup = [r#""lookup": {"#, kind.lookups.settings].concat();
        let mut host = host_of(&configuration(&kind.more).replace(r#""lookup": {"#, &lookup));
        if kind.what == FULL {
            fill(&mut host);
        }
        if JWT.contains(&kind.what) {
            log_in(&mut host);
        }
        let [first, second, _, kept] = [1, 2, 3, 4].map(|time| cost(&mut host, kind, time));
        [first, second, kept]
    };
    kinds().iter().map(|kind| (kind.what, of(kind))).collect()
}

fn table(costs: &[(&'static str, [[u64; 3]; 3])]) -> String {
    let mut table = String::from(
        "| request | cold: instructions | calls of the host, reads of shared data | warm | | kept | |\n|---|---|---|---|---|---|---|\n",
    );
    for (what, costs) in costs {
        let cells = costs.map(|[instructions, calls, reads]| format!("{instructions} | {calls}, {reads}"));
        let _ = writeln!(table, "| {what} | {} |", cells.join(" | "));
    }
    table
}

/// Numbers of a table, row by row.
fn numbers(table: &str) -> Vec<(String, Vec<u64>)> {
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let what = cells.next().unwrap_or_default().to_owned();
        (what, cells.flat_map(|cell| cell.split(", ")).filter_map(|number| number.parse().ok()).collect())
    };
    table.lines().skip(2).map(row).collect()
}

/// Calls are the same; instructions are what they are in the table but for what a compiler and hashes make of them.
fn is_like(found: &[u64], written: &[u64]) -> bool {
    let is_close = |(at, (found, written)): (usize, (&u64, &u64))| match at % 3 {
        0 => found.abs_diff(*written) * 25 <= *written,
        _ => found == written,
    };
    found.len() == 9 && found.len() == written.len() && found.iter().zip(written).enumerate().all(is_close)
}

#[test]
fn each_kind_of_request_costs_what_is_written() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let table = table(&costs());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    let (found, written) = (numbers(&table), numbers(written));
    assert_eq!(found.len(), written.len());
    let wrong: Vec<_> =
        found.iter().zip(&written).filter(|((a, found), (b, written))| a != b || !is_like(found, written)).collect();
    assert!(wrong.is_empty(), "found and written; if that is right, `make docs` writes it down: {wrong:#?}");
}
