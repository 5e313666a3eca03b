//! What the most costly bodies and fields cost: so much for each byte, however they are made.

use host_tests::host::Request;

use crate::forge::{DANA, api, configuration, get, gitlab, host_of, post};

const MIB: usize = 1 << 20;

/// The most instructions of the VM that a byte of a request may take. A billion of them are about a second.
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
        ("nobody's keys", star().header("content-type", json).body(keys())),
        ("keys without a type", star().body(keys())),
        (
            "nobody's pairs",
            star().header("content-type", "application/x-www-form-urlencoded").body("job_tokem=x&".repeat(MIB / 12)),
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

fn keys() -> String {
    let keys: Vec<String> = (0..90_000).map(|n| format!("\"{n:x}\":0")).collect();
    format!("{{{}}}", keys.join(","))
}
