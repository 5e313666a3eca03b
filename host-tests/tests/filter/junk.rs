//! Unknown tokens: how many are looked up, and what the others are told.

use std::time::Duration;

use host_tests::host::{Host, Hostcall, Request, RequestHead, Status};

use crate::forge::{DANA, NORA, api, basic, clone, get, gitlab, host_with_limits, nobody, post, status};

/// Another client's address.
const ELSEWHERE: &str = "198.51.100.7:40000";

fn junk(number: u32) -> RequestHead {
    clone("libs/common", &format!("glcbt-64_junk{number}"))
}

/// Sends junk until some is not looked up, and tells how much was.
fn use_up(host: &mut Host, worker: usize, from: &str, first: u32) -> u32 {
    let mut asked = 0;
    while status(&host.exchange(worker, junk(first + asked).sent_from(from), gitlab)) == 401 {
        asked += 1;
        assert!(asked < 1000, "there is no limit");
    }
    asked
}

#[test]
fn unknown_tokens_are_looked_up_so_many_a_second_for_each_address() {
    let mut host = host_with_limits(10, 1000, "");
    let near = "192.0.2.1:40000";
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    assert_eq!(use_up(&mut host, 0, near, 0), 9, "the job's own was the first");
    assert_eq!(
        status(&host.exchange(1, junk(100).sent_from("192.0.2.1:5"), nobody)),
        429,
        "on every worker, from every port"
    );
    assert_eq!(status(&host.exchange(1, junk(0), nobody)), 401, "what was just said of a token is remembered");
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200, "a known job is served");
    assert_eq!(use_up(&mut host, 0, ELSEWHERE, 200), 10, "another address has its own");
    host.advance(Duration::from_millis(200));
    assert_eq!(use_up(&mut host, 1, near, 300), 2, "a fifth of a second later there is room for two");
}

#[test]
fn unknown_tokens_are_looked_up_so_many_a_second_in_all() {
    let mut host = host_with_limits(10, 25, "");
    let asked: u32 = (1..9).map(|number| use_up(&mut host, 0, &format!("192.0.2.{number}:1"), number * 100)).sum();
    assert_eq!(asked, 25);
    let outcome = host.exchange(1, junk(9000).sent_from(ELSEWHERE), nobody);
    assert_eq!(status(&outcome), 503, "whoever asks");
    host.advance(Duration::from_secs(1));
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA).sent_from(ELSEWHERE), gitlab)), 200);
}

#[test]
fn a_token_that_is_known_is_never_counted_and_one_that_many_ask_for_only_once() {
    let mut host = host_with_limits(1, 1, r#", "bindings": {"revalidate_after": "1s", "max_stale": "2s"}"#);
    let together: Vec<_> = (0..5).map(|_| host.open(0, clone("libs/common", DANA))).collect();
    host.settle(gitlab);
    assert!(together.iter().all(|stream| status(&host.outcome(*stream)) == 200), "one lookup serves them all");
    for wait in [1, 2, 60] {
        host.advance(Duration::from_secs(wait));
        assert_eq!(use_up(&mut host, 0, "192.0.2.1:1", 1000 * u32::try_from(wait).unwrap()), 1);
        let outcome = host.exchange(1, clone("libs/common", DANA), gitlab);
        assert_eq!(status(&outcome), 200, "also when its fact no longer serves, {wait} s on");
    }
}

#[test]
fn each_protocol_says_in_its_own_words_to_come_back() {
    let mut host = host_with_limits(1, 1000, "");
    assert_eq!(use_up(&mut host, 0, "192.0.2.1:1", 0), 1);
    let registry =
        |path: &str| RequestHead::new("GET", "registry.example.com", path).header("authorization", basic(NORA));
    let batch = post("/libs/common.git/info/lfs/objects/batch")
        .header("content-type", "application/vnd.git-lfs+json")
        .header("authorization", basic(NORA))
        .body(r#"{"operation": "download", "objects": []}"#);
    let artifact = post("/api/v4/jobs/1002/artifacts")
        .header("job-token", NORA)
        .header("content-type", "application/octet-stream");
    let requests: [(Request, &str); 6] = [
        (clone("libs/common", NORA).into(), "429 Too Many Requests\nToo many unknown tokens"),
        (batch, r#"{"message":"Too many unknown tokens"#),
        (registry("/v2/libs/common/manifests/1").into(), r#""code":"TOOMANYREQUESTS""#),
        (
            get("/jwt/auth?service=container_registry").header("authorization", basic(NORA)).into(),
            r#""code":"TOOMANYREQUESTS""#,
        ),
        (api("/projects/102/releases", NORA).into(), r#""reason":"lookup.source-limit""#),
        (artifact.body("PK"), r#""reason":"lookup.source-limit""#),
    ];
    for (request, says) in requests {
        let outcome = host.exchange(0, request, nobody);
        let reply = outcome.reply().unwrap_or_else(|| panic!("{outcome:?}"));
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2".into())), "{reply:?}");
        assert!(reply.text().contains(says), "{says}: {reply:?}");
    }
}

#[test]
fn what_cannot_be_a_token_is_refused_without_a_lookup() {
    let mut host = host_with_limits(1, 1, "");
    for token in ["glcbt-", "glcbt-64_a.b", "glcbt-a.b.c"] {
        assert_eq!(status(&host.exchange(0, clone("libs/common", token), nobody)), 401, "{token}");
    }
    let long = format!("glcbt-{}", "a".repeat(8192));
    assert_eq!(status(&host.exchange(0, clone("libs/common", &long), nobody)), 400);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200, "and is not counted");
}

#[test]
fn without_an_address_all_are_counted_together_and_without_a_count_nothing_is_asked() {
    let mut host = host_with_limits(2, 1000, "");
    host.fail_always(Hostcall::GetProperty, Status::NotFound);
    assert_eq!(use_up(&mut host, 0, ELSEWHERE, 0), 2);
    assert_eq!(status(&host.exchange(1, junk(10), nobody)), 429);
    for call in [Hostcall::GetProperty, Hostcall::GetSharedData, Hostcall::SetSharedData] {
        let mut host = host_with_limits(2, 1000, "");
        host.fail_always(call, Status::InternalFailure);
        assert_eq!(status(&host.exchange(0, junk(20), nobody)), 503, "{call:?}");
        assert!(!host.trapped(0));
    }
}
