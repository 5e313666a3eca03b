//! What a request costs that nobody has decided on, whatever it is made of: so much for each byte, and so much for being a
//! request. A worker does nothing else meanwhile.

use std::slice::from_ref;

use host_tests::host::{Answer, Host, Outcome, Request, RequestHead};
use serde_json::{Value, json};

use crate::forge::{DANA, api, basic, clone, configuration, get, gitlab, host, host_of, post};

const MIB: usize = 1 << 20;

/// How many instructions hold a worker for 20 ms. In Envoy's VM on two cores of a server a body that took 174 million took 6 ms
/// on top of what the upload itself takes: 0.035 ns each, and here 0.05 are counted.
const TWENTY_MS: u64 = 400_000_000;

/// How many instructions of the VM a request takes, of which nobody knows anything yet.
fn cost(host: &mut Host, request: Request) -> u64 {
    let before = host.instructions(0);
    host.exchange(0, request, gitlab);
    host.instructions(0) - before
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PARTS: &str = "multipart/form-data; boundary=b";
const RELEASES: &str = "/api/v4/projects/103/releases";
const UNLISTED: &str = "/api/v4/projects/103/statuses/abc";

/// As often as it takes to make a body of 1 MiB, between what stands around it.
fn filled(before: &str, one: &str, after: &str) -> String {
    let room = MIB - before.len() - after.len();
    format!("{before}{}{after}", one.repeat(room / one.len()))
}

fn numbered(before: &str, one: impl Fn(usize) -> String, after: &str) -> String {
    let mut text = String::from(before);
    for number in 0.. {
        let next = one(number);
        if text.len() + next.len() + after.len() > MIB {
            break;
        }
        text.push_str(&next);
    }
    text + after
}

/// A body of 1 MiB.
struct Made {
    what: &'static str,
    media: &'static str,
    body: String,
    /// How many instructions a byte of it takes where it is only looked through, which is done as its pieces come.
    looked: u64,
    /// And where a job's token stands in it, so that it is read strictly too, and at once.
    read: u64,
}

fn made(what: &'static str, media: &'static str, body: String, looked: u64, read: u64) -> Made {
    Made { what, media, body, looked, read }
}

fn bodies() -> Vec<Made> {
    vec![
        made("objects in a list", JSON, filled("{\"a\":[0", ",{\"\":0}", "]}"), 66, 71),
        made("lists", JSON, filled("{\"a\":[0", ",[]", "]}"), 67, 60),
        made("brackets that nobody closes", JSON, filled("{\"a\":", "[", ""), 79, 113),
        made("numbers", JSON, filled("{\"a\":[0", ",1.5e3", "]}"), 75, 60),
        made("empty texts", JSON, filled("{\"a\":[0", ",\"\"", "]}"), 63, 60),
        made("escapes", JSON, filled("{\"a\":\"", "\\u0041", "\"}"), 37, 41),
        made("quotes", JSON, filled("{\"a\":\"", "\\\"", "\"}"), 68, 60),
        made("a long text", JSON, filled("{\"a\":\"", "a", "\"}"), 8, 20),
        made("a credential of escapes", JSON, filled("{\"token\":\"", "\\u0041", "\"}"), 101, 41),
        made("a name of escapes", JSON, filled("{\"", "\\u0041", "\":1}"), 96, 60),
        made("names", JSON, numbered("{\"a\":0", |n| format!(",\"{n:x}\":0"), "}"), 67, 4),
        made("comments", JSON, filled("{/*", "job_toke", "*/}"), 47, 4),
        made("pairs", FORM, filled("", "job_tokem=x&", ""), 91, 24),
        made("short pairs", FORM, filled("", "a&", ""), 68, 25),
        made("empty pairs", FORM, filled("", "&", ""), 40, 32),
        made("names of escapes", FORM, filled("", "%6aob_toke=x&", ""), 87, 24),
        made("credentials", FORM, filled("", "token=x&", ""), 90, 20),
        made("a value of escapes", FORM, filled("token=", "%67lcbt", ""), 92, 80),
        made(
            "parts",
            PARTS,
            filled("", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n", "--b--\r\n"),
            70,
            96,
        ),
        made(
            "a part",
            PARTS,
            filled("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n", "-", "\r\n--b--\r\n"),
            95,
            144,
        ),
        made(
            "a file",
            PARTS,
            numbered(
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n",
                |n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                "\r\n--b--\r\n",
            ),
            5,
            13,
        ),
        made("no parts", PARTS, filled("", "--", ""), 49, 236),
        made("pairs or objects", "", filled("{\"a\":[0", ",{\"&\":0}", "]}"), 129, 4),
        made("any parts", "multipart/mixed", filled("", "\\%6aob_toke", ""), 76, 4),
    ]
}

#[test]
fn a_byte_of_a_body_costs_no_more_than_so_much_however_it_is_made() {
    let mut wrong = Vec::new();
    for Made { what, media, body, looked, read } in bodies() {
        assert!(looked.max(read) * (MIB as u64) < TWENTY_MS, "{what}");
        let with_token = match media {
            JSON => body.replacen('{', "{\"job_token\":\"legacy\",", 1),
            PARTS => format!("--b\r\nContent-Disposition: form-data; name=\"job_token\"\r\n\r\nx\r\n{body}"),
            _ => format!("job_token=legacy&{body}"),
        };
        for (path, body, expected) in
            [(RELEASES, &body, looked), (UNLISTED, &body, looked), (RELEASES, &with_token, read)]
        {
            let body = &body[..body.len().min(MIB)];
            let cost = cost(&mut host(), post(path).header("content-type", media).body(body)) / MIB as u64;
            if !is_about(cost, expected) {
                wrong.push(format!("{what}, {path}: {cost} instructions a byte, and not {expected}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Files of 1 MiB that are put somewhere without a type, whosever they are.
#[test]
fn a_file_that_begins_as_no_json_is_not_looked_through() {
    for who in [("private-token", "glpat-dana"), ("job-token", DANA)] {
        for first in ["\0\0\0\x18ftypmp42", "\0\0\0\0", "PK\x03\x04", "%PDF-1.7"] {
            let put = RequestHead::new("PUT", "gitlab.example.com", "/api/v4/projects/101/packages/generic/a/1/b");
            let body = filled(first, "\0", "");
            let mut host = host();
            let before = host.instructions(0);
            let outcome = host.exchange(0, put.header(who.0, who.1).body(body.as_str()), gitlab);
            let cost = host.instructions(0) - before;
            assert!(matches!(outcome, Outcome::Forwarded { ended: true, .. }), "{who:?} {first:?}: {outcome:?}");
            assert!(cost < MIB as u64, "{who:?} {first:?}: {cost} instructions");
        }
    }
}

#[test]
fn a_batch_costs_no_more_than_so_much_however_it_is_made() {
    let mut wrong = Vec::new();
    for Made { what, body, read, .. } in bodies().into_iter().filter(|made| made.media == JSON) {
        let batch = post("/libs/common.git/info/lfs/objects/batch")
            .header("authorization", basic(DANA))
            .header("content-type", "application/vnd.git-lfs+json");
        let cost = cost(&mut host(), batch.body(body.as_str())) / MIB as u64;
        if cost > read.max(70) + 10 {
            wrong.push(format!("{what}: {cost} instructions a byte"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Whether a cost is what is written here, and the table is to be written anew where it is much less.
fn is_about(cost: u64, written: u64) -> bool {
    cost <= written + written / 8 + 2 && cost + cost / 2 + 10 >= written
}

#[test]
fn a_head_costs_no_more_than_so_much() {
    let junk = "x".repeat(30_000);
    let of = |name: &str, value: String| get("/api/v4/users").header(name, value);
    let query = |pairs: String| get(&format!("/x?{pairs}"));
    let login = get("/jwt/auth?service=container_registry&scope=repository:g/p:pull");
    // What is denied is accounted for, too, and what cannot be read is given its name.
    let rows: Vec<(&str, RequestHead, u64)> = vec![
        ("an ordinary page", get("/g/p"), 6_000),
        ("a clone", clone("libs/common", DANA), 390_000),
        ("an endpoint", api("/projects/103/releases", DANA), 612_000),
        ("an endpoint that is not listed", api("/projects/103/statuses/abc", DANA), 133_000),
        ("a format", api("/projects/103/trigger/pipeline.json", DANA), 199_000),
        ("a deep path", api(&format!("/projects/103/packages/npm{}", "/-".repeat(55)), DANA), 668_000),
        ("a deep path of nothing", api(&"/-".repeat(60), DANA), 117_000),
        ("two tokens", api("/job", DANA).header("private-token", "x"), 83_000),
        ("another host", RequestHead::new("GET", "x.example.com", "/api/v4/job").header("job-token", DANA), 87_000),
        ("a page with a token", get("/dashboard").header("job-token", DANA), 97_000),
        ("an image", get("/v2/g/p/manifests/v1").header("authorization", basic(DANA)), 386_000),
        ("a login", login.header("authorization", basic(DANA)), 417_000),
        ("a field", of("x-a", junk.clone()), 620_000),
        ("a field of marks", of("x-a", "glcbt-".repeat(5_000)), 4_100_000),
        ("a token of marks", of("job-token", "glcbt-".repeat(5_000)), 35_000),
        ("JWTs", of("authorization", format!("Bearer {}", "eyJ.".repeat(7_500))), 5_100_000),
        (
            "a JWT of marks half said",
            of("authorization", format!("Bearer eyJh.{}.x", "YnQY2J".repeat(5_000))),
            2_400_000,
        ),
        ("logins", of("authorization", format!("Basic {}", ",Basic ".repeat(4_000))), 403_000),
        ("a login of junk", of("authorization", format!("Basic {}", "Z2xj".repeat(7_500))), 1_450_000),
        ("a query", query("job_tokem=x&".repeat(2_500)), 7_500_000),
        ("a query of escapes", query("%6aob_toke=x&".repeat(2_300)), 8_500_000),
        ("a query of nothing", query("&".repeat(30_000)), 1_250_000),
    ];
    let mut wrong = Vec::new();
    for (what, head, expected) in rows {
        let mut warm = host();
        warm.exchange(0, api("/job", DANA), gitlab);
        let cost = cost(&mut warm, head.into());
        if !is_about(cost, expected) {
            wrong.push(format!("{what}: {cost} instructions, and not {expected}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The most instructions of the VM that a byte of a request may take: a MiB of them is within 20 ms.
const EACH_BYTE: u64 = 350;

/// The same in `Authorization`, which several readers are followed through. It is no longer than Envoy's limit, 60 KiB.
const EACH_BYTE_OF_A_CREDENTIAL: u64 = 600;

/// How many instructions a byte of this request takes.
fn each_byte(request: Request) -> u64 {
    let stripping = configuration("").replacen(r#""hosts""#, r#""unlisted_endpoints": "strip", "hosts""#, 1);
    let mut host = host_of(&stripping);
    host.exchange(0, api("/job", DANA), gitlab);
    let fields: usize = request.head.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = request.body.iter().map(Vec::len).sum::<usize>() + fields;
    let before = host.instructions(0);
    host.exchange(0, request, gitlab);
    (host.instructions(0) - before) / bytes as u64
}

#[test]
fn a_token_or_a_boundary_that_almost_stands_everywhere_costs_no_more_than_others() {
    let token = format!("{}b", "a".repeat(8191));
    let (json, boundary) = ("application/json", format!("{}x", "-".repeat(69)));
    let multipart = format!("multipart/form-data; boundary={boundary}");
    let dashes = |bytes| {
        let part = "Content-Disposition: form-data; name=\"file\"; filename=\"f\"";
        format!("--{boundary}\r\n{part}\r\n\r\n{}\r\n--{boundary}--\r\n", "-".repeat(bytes))
    };
    let star = || post("/api/v4/projects/1/star");
    for (what, request) in [
        (
            "a body of one letter",
            star()
                .header("job-token", &token)
                .header("content-type", json)
                .body(format!(r#"{{"x": "{}"}}"#, "a".repeat(MIB - 20))),
        ),
        (
            "a field of one letter",
            get("/api/v4/users").header("job-token", &token).header("x-a", "a".repeat(40_000)).into(),
        ),
        ("a form of dashes", star().header("content-type", &multipart).body(dashes(MIB - 1024))),
        (
            "an upload of dashes",
            post("/api/v4/jobs/1001/artifacts")
                .header("job-token", DANA)
                .header("content-type", &multipart)
                .body(dashes(4 * MIB)),
        ),
    ] {
        let cost = each_byte(request);
        assert!(cost <= EACH_BYTE, "{what}: {cost} instructions a byte");
    }
}

#[test]
fn a_credential_that_readers_read_in_many_ways_costs_no_more_than_others() {
    for (what, value) in [
        ("bytes that some readers pass over", format!("Basic {}", "ab-=".repeat(10_000))),
        ("logins joined by commas", "Basic Z-=,".repeat(4_000)),
        ("parts joined by commas", format!("Basic {}", "Z-=,".repeat(10_000))),
        ("beginnings of a JWT", format!("Bearer {}", "eyJ,".repeat(10_000))),
        ("beginnings of a JWT that is one", format!("Bearer {}.e30.c2ln", "eyJ,".repeat(10_000))),
        ("a letter and what is passed over", format!("Bearer {}.e30.c2ln", "e!!!".repeat(10_000))),
        ("parts of a JWT", format!("Bearer eyJh{}", ".aaaaaaaaa".repeat(4_000))),
        ("dots", format!("Bearer eyJh{}", ".".repeat(40_000))),
    ] {
        let cost = each_byte(get("/g/p.git/info/refs?service=git-upload-pack").header("authorization", value).into());
        assert!(cost <= EACH_BYTE_OF_A_CREDENTIAL, "{what}: {cost} instructions a byte");
    }
}

/// The most instructions of the VM that a byte of an answer to a lookup may take, however it is made.
const EACH_BYTE_OF_AN_ANSWER: u64 = 300;

/// How many instructions a byte takes of an answer to lookups with this in their path. Everything else is answered as usual.
fn each_byte_of_an_answer(mut host: Host, request: RequestHead, about: &str, answer: &str) -> u64 {
    let (before, mut bytes) = (host.instructions(0), 0);
    host.exchange(0, request, |call| {
        let question: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let is_asked = call.path().contains(about) && question["ask"] != "token";
        if is_asked {
            bytes += answer.len() as u64;
        }
        match (is_asked, question["ask"].as_str(), &*call.path()) {
            (true, ..) => Answer::json(200, answer),
            (false, Some(_), _) => Answer::json(
                200,
                r#"{"version": 1, "token": "running",
                    "job": {"id": 1001, "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}"#,
            ),
            (false, None, "/api/v4/user") => Answer::json(200, r#"{"id": 1, "is_admin": true}"#),
            (false, None, _) => gitlab(call),
        }
    });
    assert!(bytes > 0 && !host.trapped(0));
    (host.instructions(0) - before) / bytes
}

/// An allowlist that goes on, of which the end may have begun.
fn long_allowlist(head: &[Value], tail: &[Value]) -> String {
    let page = |nodes, info| json!({"nodes": nodes, "pageInfo": info});
    let head = page(head, json!({"hasNextPage": true, "endCursor": "x"}));
    let tail = page(tail, json!({"hasPreviousPage": true}));
    let lists = json!({"projectsAllowlist": head, "lastProjects": tail, "groupsAllowlist": head, "lastGroups": tail});
    json!({"data": {"project": {"id": "gid://gitlab/Project/102", "ciCdSettings": null, "ciJobTokenScopeAllowlist": lists}}})
        .to_string()
}

#[test]
fn an_answer_to_a_lookup_costs_no_more_than_so_much_however_it_is_made() {
    let v1 = r#"{"forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"api": "v1", "cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN"}}"#;
    let names = |count: usize| (0..count).map(|number| (format!("{number}"), json!(0))).collect::<Value>();
    let entry = |more: Value| json!({"direction": "inbound", "defaultPermissions": true, "target": {"id": "x", "fullPath": "x"}, "more": more});
    let deep = entry((0..24).fold(json!(0), |inner, _| json!({"a": inner})));
    let (wide, small) = (entry(names(8_000)), entry(json!(0)));
    let levels = [r#""wiki":"enabled","#.repeat(5_000), r#""pages":"enabled","#.repeat(5_000)].concat();
    let target = format!(
        r#"{{"version": 1, "role": "reporter", "external": false, "admission": "project", "target": {{"id": 102,
            "path": "libs/common", "visibility": "private", "push_by_job_token": false, "features": {{{levels}"pages":"enabled"}}}}}}"#
    );
    let held = |project: usize| json!({"name": "@libs/tool", "package_type": "npm", "project_id": project});
    let holders = json!((0..5_000).map(held).collect::<Vec<_>>()).to_string();
    let package = api("/groups/libs/-/packages/npm/@libs%2ftool", DANA);
    let clone = || clone("libs/common", DANA);
    let padded = |answer: String| answer + &" ".repeat(50_000);
    for (what, cost) in [
        (
            "entries that are deep",
            each_byte_of_an_answer(
                host(),
                clone(),
                "/graphql",
                &padded(long_allowlist(from_ref(&deep), from_ref(&deep))),
            ),
        ),
        (
            "entries that are wide",
            each_byte_of_an_answer(host(), clone(), "/graphql", &long_allowlist(from_ref(&wide), from_ref(&wide))),
        ),
        (
            "many entries beside a wide one",
            each_byte_of_an_answer(host(), clone(), "/graphql", &long_allowlist(&vec![small; 2_000], from_ref(&wide))),
        ),
        ("levels", each_byte_of_an_answer(host_of(v1), clone(), "/lookup", &target)),
        ("holders", each_byte_of_an_answer(host(), package, "/groups/", &holders)),
    ] {
        assert!(cost <= EACH_BYTE_OF_AN_ANSWER, "{what}: {cost} instructions a byte");
    }
}
