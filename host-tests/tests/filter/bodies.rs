//! Requests whose body says whose they are or what they ask: read whole and bounded, or not read at all.

use std::time::Duration;

use host_tests::host::{Outcome, Request, RequestHead};

use crate::forge::{DANA, basic, gitlab, host, nobody, post};

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
