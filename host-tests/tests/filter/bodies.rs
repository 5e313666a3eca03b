//! Requests whose body says whose they are or what they ask: read whole and bounded, or not read at all.

use std::time::Duration;

use host_tests::host::{Header, Host, Hostcall, Outcome, Request, RequestHead, Status, StreamId};

use crate::forge::{DANA, basic, gitlab, host, host_with, nobody, post};

fn batch(body: &str) -> Request {
    let head = post("/libs/common.git/info/lfs/objects/batch")
        .header("authorization", basic(DANA))
        .header("content-type", "application/vnd.git-lfs+json");
    let mut request = head.body(body);
    // In two chunks, as it may come.
    let at = body.len() / 2;
    request.body = vec![body.as_bytes()[..at].to_vec(), body.as_bytes()[at..].to_vec()];
    request
}

fn status(outcome: &Outcome) -> u32 {
    outcome.reply().unwrap_or_else(|| panic!("{outcome:?}")).status
}

#[test]
fn a_batch_downloads_and_does_not_upload() {
    let mut host = host();
    let body = r#"{"operation": "download", "objects": []}"#;
    let Outcome::Forwarded { body: forwarded, ended, .. } = host.exchange(0, batch(body), gitlab) else { panic!() };
    assert_eq!((String::from_utf8(forwarded).unwrap().as_str(), ended), (body, true));
    let outcome = host.exchange(0, batch(r#"{"operation": "upload", "objects": []}"#), gitlab);
    let reply = outcome.reply().unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (403, Some("application/vnd.git-lfs+json".into())));
    assert_eq!(status(&host.exchange(0, batch(r#"{"operation": "download", "operation": "upload"}"#), gitlab)), 400);
}

#[test]
fn nothing_of_a_request_goes_on_before_its_body_was_read() {
    let mut host = host();
    let stream = host.open(0, batch("").head.with_body());
    host.request_body(stream, br#"{"operation": "#, false);
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.request_body(stream, br#""download"}"#, true);
    host.settle(gitlab);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }));
}

#[test]
fn a_body_that_never_ends_or_is_too_large_is_refused() {
    let mut host = host();
    let stream = host.open(0, batch("").head.with_body());
    host.request_body(stream, b"{", false);
    host.advance(Duration::from_secs(11));
    assert_eq!(status(&host.outcome(stream)), 408);
    let large = format!(r#"{{"operation": "download", "x": "{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(status(&host.exchange(0, batch(&large), nobody)), 413);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

/// What of a body went on so far.
fn gone_on(host: &Host, stream: StreamId) -> Vec<u8> {
    let Outcome::Forwarded { body, .. } = host.outcome(stream) else { panic!("{:?}", host.outcome(stream)) };
    body
}

fn json(path: &str) -> RequestHead {
    post(path).header("content-type", "application/json").with_body()
}

const RELEASES: &str = "/api/v4/projects/103/releases";

#[test]
fn a_persons_body_goes_on_as_it_comes() {
    let mut host = host();
    let who = [
        ("private-token", "glpat-1"),
        ("authorization", "Bearer glpat-1"),
        ("authorization", "Basic ZGFuYTpnbHBhdC0x"),
        ("deploy-token", "gldt-1"),
        ("cookie", "_gitlab_session=1"),
    ];
    let package =
        RequestHead::new("PUT", "gitlab.example.com", "/api/v4/projects/101/packages/maven/a/b.jar").with_body();
    let unlisted =
        ["/api/v4/projects/102/repository/files/a%2Eb", "/api/v4/projects/102/issues", "/api/v4/internal/allowed"];
    for (name, value) in who {
        let mut heads: Vec<RequestHead> = unlisted.iter().map(|path| json(path)).collect();
        if name != "cookie" {
            heads.push(package.clone());
        }
        for head in heads {
            let stream = host.open(0, head.header(name, value));
            for piece in 1..=12_usize {
                host.request_body(stream, vec![b'{'; 256 << 10], piece == 12);
                assert_eq!(gone_on(&host, stream).len(), piece * (256 << 10), "{name}");
            }
        }
    }
    assert_eq!((host.callouts().len(), host.hazards()), (0, vec![]));
}

#[test]
fn a_body_that_may_be_a_jobs_waits_no_longer_than_it_can_be_held() {
    let mut host = host();
    // Slow: what came goes on when its time is over, and the rest as it comes.
    let stream = host.open(0, json(RELEASES));
    host.request_body(stream, b"{\"tag_name\": ", false);
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.advance(Duration::from_secs(11));
    assert_eq!(gone_on(&host, stream), b"{\"tag_name\": ");
    host.request_body(stream, b"\"v1\"}", true);
    assert_eq!(gone_on(&host, stream), b"{\"tag_name\": \"v1\"}");
    // Large.
    let stream = host.open(0, json(RELEASES));
    let piece = format!("{{\"description\": \"{}", "x".repeat(600 << 10));
    host.request_body(stream, piece.as_str(), false);
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.request_body(stream, "x".repeat(600 << 10), false);
    host.request_body(stream, b"\"}", true);
    assert_eq!(gone_on(&host, stream).len(), piece.len() + (600 << 10) + 2);
    // What is seen to be no form and no JSON is not held at all.
    let stream = host.open(
        0,
        RequestHead::new("PUT", "gitlab.example.com", "/api/v4/projects/101/packages/maven/a/b.jar").with_body(),
    );
    host.request_body(stream, b"PK\x03\x04", false);
    assert_eq!(gone_on(&host, stream), b"PK\x03\x04");
    host.request_body(stream, b"{\"job_token\": \"x\"}", true);
    assert_eq!((host.callouts().len(), host.hazards()), (0, vec![]));
}

#[test]
fn a_jobs_token_does_not_go_on_in_whatever_was_let_go() {
    let mut host = host();
    let (first, rest) = ("{\"a\": \"", format!("\", \"job_\\u0074oken\": \"{DANA}\"}}"));
    let broken_off = |host: &mut Host, head: RequestHead, wait: Duration, code: &str| {
        let stream = host.open(0, head);
        host.request_body(stream, first, false);
        host.advance(wait);
        if wait.is_zero() && host.outcome(stream) == Outcome::Paused {
            host.request_body(stream, "x".repeat((1 << 20) + 1), false);
        }
        assert!(gone_on(host, stream).starts_with(first.as_bytes()));
        let (one, other) = rest.split_at(10);
        host.request_body(stream, one, false);
        host.request_body(stream, other, true);
        let outcome = host.outcome(stream);
        assert_eq!(outcome.reply().unwrap_or_else(|| panic!("{outcome:?}")).details, format!("jobscope:{code}"));
        assert!(host.is_closed(stream));
    };
    broken_off(&mut host, json(RELEASES), Duration::ZERO, "body.too-large");
    broken_off(&mut host, json(RELEASES), Duration::from_secs(11), "body.timeout");
    let statuses = json("/api/v4/projects/103/statuses/abc");
    broken_off(&mut host, statuses.clone().header("deploy-token", "x"), Duration::ZERO, "carrier.multiple");
    broken_off(&mut host, statuses.header("cookie", "a=b"), Duration::ZERO, "carrier.unsupported");
    let elsewhere = RequestHead::new("POST", "other.example.com", "/api/v4/projects/103/releases")
        .header("content-type", "application/json")
        .with_body();
    broken_off(&mut host, elsewhere, Duration::ZERO, "host.unknown");
    assert_eq!((host.callouts().len(), host.hazards()), (0, vec![]));
}

#[test]
fn a_token_in_a_form_is_found() {
    let mut host = host();
    let trigger = |project: u64, media: &str, body: String| {
        post(&format!("/api/v4/projects/{project}/trigger/pipeline")).header("content-type", media).body(body)
    };
    let form = "application/x-www-form-urlencoded";
    let multipart = format!(
        "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{DANA}\r\n--b\r\nContent-Disposition: form-data; name=\"ref\"\r\n\r\nmain\r\n--b--\r\n"
    );
    for (media, body) in [(form, format!("token={DANA}&ref=main")), ("multipart/form-data; boundary=b", multipart)] {
        assert!(
            matches!(host.exchange(0, trigger(102, media, body.clone()), gitlab), Outcome::Forwarded { .. }),
            "{media}"
        );
        // What may not be triggered is not found: the forge's own word.
        assert_eq!(status(&host.exchange(0, trigger(103, media, body), gitlab)), 404, "{media}");
    }
    // A trigger token of a person's is not ours to judge.
    assert!(matches!(
        host.exchange(0, trigger(103, form, "token=glptt-x&ref=main".into()), nobody),
        Outcome::Forwarded { .. }
    ));
    // A path of its own does not hide the token.
    let odd = post("//api/v4/projects/103/trigger/pipeline").header("content-type", form).body(format!("token={DANA}"));
    assert_eq!(status(&host.exchange(0, odd, nobody)), 400);
}

#[test]
fn a_large_upload_is_held_back_while_its_token_is_looked_up() {
    let mut host = host();
    let head = RequestHead::new("PUT", "gitlab.example.com", "/api/v4/projects/101/packages/generic/n/1.0/big.bin")
        .header("job-token", DANA)
        .with_body();
    let stream = host.open(0, head);
    let chunk = vec![7_u8; 256 << 10];
    for _ in 0..20 {
        host.request_body(stream, chunk.clone(), false);
    }
    assert_eq!(host.outcome(stream), Outcome::Paused, "not buffered, so not too large for a buffer");
    host.settle(gitlab);
    host.request_body(stream, chunk.clone(), true);
    let Outcome::Forwarded { body, ended, .. } = host.outcome(stream) else { panic!() };
    assert_eq!((body.len(), ended), (21 * (256 << 10), true));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

fn trailers() -> Vec<Header> {
    vec![(b"x-checksum".to_vec(), b"1".to_vec())]
}

/// Opens a request, sends its body in two chunks and ends it by trailers.
fn open_with_trailers(host: &mut Host, head: RequestHead, body: &str) -> StreamId {
    let stream = host.open(0, head.with_body());
    let (first, rest) = body.as_bytes().split_at(body.len() / 2);
    host.request_body(stream, first, false);
    host.request_body(stream, rest, false);
    host.request_trailers(stream, &trailers());
    stream
}

fn upload(project: u64) -> RequestHead {
    let path = format!("/api/v4/projects/{project}/packages/generic/n/1.0/a.bin");
    RequestHead::new("PUT", "gitlab.example.com", &path).header("job-token", DANA)
}

/// The body that went on, and that all of the request did, the trailers included.
fn whole(host: &Host, stream: StreamId) -> String {
    let Outcome::Forwarded { body, ended, .. } = host.outcome(stream) else { panic!("{:?}", host.outcome(stream)) };
    assert_eq!((ended, host.forwarded_trailers(stream)), (true, trailers()));
    String::from_utf8(body).unwrap()
}

/// Nobody is asked, nothing goes on.
fn is_refused_for_its_trailers(host: &mut Host, head: RequestHead, body: &str) {
    let stream = open_with_trailers(host, head, body);
    assert!(host.callouts().is_empty(), "{body}");
    let outcome = host.outcome(stream);
    let reply = outcome.reply().unwrap_or_else(|| panic!("{body}: {outcome:?}"));
    assert_eq!((reply.status, reply.details.as_str()), (400, "jobscope:http.trailer"), "{body}");
    assert_eq!(host.forwarded_trailers(stream), vec![]);
    assert!(host.is_closed(stream));
}

#[test]
fn trailers_are_no_way_around_the_body_that_must_be_read() {
    let mut host = host();
    for token in [DANA, "glcbt-64_junk"] {
        let head = post("/libs/common.git/info/lfs/objects/batch")
            .header("authorization", basic(token))
            .header("content-type", "application/vnd.git-lfs+json");
        for operation in ["upload", "download"] {
            let body = format!(r#"{{"operation": "{operation}", "objects": []}}"#);
            is_refused_for_its_trailers(&mut host, head.clone(), &body);
        }
        is_refused_for_its_trailers(&mut host, head, "");
        for project in [102, 103] {
            let form = post(&format!("/api/v4/projects/{project}/trigger/pipeline"))
                .header("content-type", "application/x-www-form-urlencoded");
            is_refused_for_its_trailers(&mut host, form, &format!("token={token}&ref=main"));
        }
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn where_it_only_observes_trailers_let_the_whole_request_go() {
    let mut host = host_with(r#", "mode": "observe""#);
    let body = r#"{"operation": "upload", "objects": []}"#;
    let stream = open_with_trailers(&mut host, batch("").head, body);
    assert_eq!(whole(&host, stream), body);
    assert_eq!(host.properties(stream).get("jobscope_reason").unwrap(), b"http.trailer");
}

#[test]
fn trailers_of_a_body_that_nobody_reads_pass() {
    let mut host = host();
    let stream = open_with_trailers(&mut host, post("/users/sign_in"), "user=dana&password=x");
    assert!(host.callouts().is_empty());
    assert_eq!(whole(&host, stream), "user=dana&password=x");
    let stream = open_with_trailers(&mut host, json(RELEASES), r#"{"tag_name": "v1"}"#);
    assert_eq!(whole(&host, stream), r#"{"tag_name": "v1"}"#);
    // A job's: the first waits until its token and its target are known, the second is warm.
    let stream = open_with_trailers(&mut host, upload(101), "package");
    assert_eq!((host.outcome(stream), host.callouts().is_empty()), (Outcome::Paused, false));
    host.settle(gitlab);
    assert_eq!(whole(&host, stream), "package");
    let stream = open_with_trailers(&mut host, upload(101), "package");
    assert!(host.callouts().is_empty());
    assert_eq!(whole(&host, stream), "package");
    // What is let go streams: nobody waits for its end.
    let stream = host.open(0, upload(101).with_body());
    host.request_body(stream, "pack", false);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { ended: false, .. }));
    host.request_trailers(stream, &trailers());
    assert_eq!(whole(&host, stream), "pack");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn after_a_denial_nothing_of_a_request_goes_on() {
    let mut host = host();
    // Cold: denied between two chunks. Warm: before the first. At last the host would not even answer, and the filter
    // alone keeps the request back.
    for refuses in [false, false, true] {
        if refuses {
            host.fail_always(Hostcall::SendLocalResponse, Status::InternalFailure);
        }
        let stream = host.open(0, upload(103).with_body());
        host.request_body(stream, "first", false);
        host.settle(gitlab);
        for _ in 0..3 {
            host.request_body(stream, "more", false);
        }
        host.request_trailers(stream, &trailers());
        let outcome = host.outcome(stream);
        if refuses {
            assert_eq!(outcome, Outcome::Paused);
        } else {
            assert_eq!(status(&outcome), 403);
        }
        assert_eq!(host.forwarded_trailers(stream), vec![]);
        host.close(stream);
    }
    assert!(!host.trapped(0));
    assert_eq!(host.hazards(), Vec::<String>::new());
}
