//! Forms that stream beside a token in the head: each piece is looked through before it goes on.

use host_tests::host::{Host, Hostcall, Outcome, RequestHead, Status, StreamId};

use crate::forge::{DANA, NORA, gitlab, host, host_with, post};

fn artifacts() -> RequestHead {
    post("/api/v4/jobs/1001/artifacts")
        .header("job-token", DANA)
        .header("content-type", "multipart/form-data; boundary=b")
        .with_body()
}

fn field(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file() -> String {
    "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        .into()
}

/// Opens the upload and sends these pieces, the last of which ends it.
fn upload(host: &mut Host, head: RequestHead, pieces: &[&str]) -> StreamId {
    let stream = host.open(0, head);
    for (at, piece) in pieces.iter().enumerate() {
        host.request_body(stream, *piece, at + 1 == pieces.len());
        host.settle(gitlab);
    }
    stream
}

fn refusal(host: &Host, stream: StreamId) -> (u32, String) {
    let outcome = host.outcome(stream);
    let reply = outcome.reply().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!(reply.header("content-type").as_deref(), Some("application/json"));
    (reply.status, reply.details.clone())
}

#[test]
fn the_token_of_the_head_is_said_again_and_no_other() {
    let mut host = host();
    // Cold, then warm.
    for _ in 0..2 {
        let body = [field("token", DANA), file(), "content\r\n--b--\r\n".into()].concat();
        let (first, rest) = body.split_at(body.find("_dana").unwrap());
        let stream = upload(&mut host, artifacts(), &[first, rest]);
        let Outcome::Forwarded { body: forwarded, ended, .. } = host.outcome(stream) else { panic!() };
        assert_eq!((String::from_utf8(forwarded).unwrap(), ended), (body, true));
        for (name, other, code) in [
            ("token", NORA, "jobscope:carrier.head-and-body"),
            ("job_token", NORA, "jobscope:carrier.head-and-body"),
            ("_method", "PUT", "jobscope:method.override"),
        ] {
            let body = [file(), "content\r\n".into(), field(name, other), "--b--\r\n".into()].concat();
            let (first, rest) = body.split_at(body.find("content").unwrap());
            let stream = upload(&mut host, artifacts(), &[first, rest]);
            assert_eq!(refusal(&host, stream), (400, code.into()), "{name}");
            assert!(host.is_closed(stream));
        }
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn an_upload_that_went_on_is_broken_off_before_another_token_of_it_does() {
    let mut host = host();
    let stream = host.open(0, artifacts());
    host.settle(gitlab);
    let first = [file(), "content\r\n".into()].concat();
    host.request_body(stream, first.as_str(), false);
    let Outcome::Forwarded { body, ended, .. } = host.outcome(stream) else { panic!() };
    assert_eq!((body, ended), (first.into_bytes(), false));
    host.request_body(stream, field("token", NORA), false);
    assert_eq!(refusal(&host, stream).0, 400);
    // The job goes on: the answer was ours and says nothing of its life.
    let body = [field("token", DANA), "--b--\r\n".into()].concat();
    let stream = upload(&mut host, artifacts(), &[&body]);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { ended: true, .. }));
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn what_ends_too_early_or_in_trailers_is_refused() {
    let mut host = host();
    let stream = upload(&mut host, artifacts(), &[&file(), "content"]);
    assert_eq!(refusal(&host, stream), (400, "jobscope:multipart.syntax".into()));
    let stream = host.open(0, artifacts());
    host.settle(gitlab);
    host.request_body(stream, format!("{}x\r\n--b--\r\n", file()), false);
    host.request_trailers(stream, &[(b"x-checksum".to_vec(), b"1".to_vec())]);
    assert_eq!(refusal(&host, stream), (400, "jobscope:http.trailer".into()));
    assert_eq!(host.forwarded_trailers(stream), vec![]);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn where_it_only_observes_the_upload_goes_on() {
    let mut host = host_with(r#", "mode": "observe""#);
    let body = [field("token", NORA), "--b--\r\n".into()].concat();
    let stream = upload(&mut host, artifacts(), &[&body, "and more"]);
    let Outcome::Forwarded { body: forwarded, ended, .. } = host.outcome(stream) else { panic!() };
    assert_eq!((String::from_utf8(forwarded).unwrap(), ended), (format!("{body}and more"), true));
    assert_eq!(host.properties(stream).get("jobscope_reason").unwrap(), b"carrier.head-and-body");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn what_a_host_buffers_meanwhile_is_looked_at_too() {
    for (last, goes_on) in [(field("expire_in", "1 day"), true), (field("token", NORA), false)] {
        let mut host = host();
        // It cannot be held back, so it is buffered.
        host.fail_next(Hostcall::SendLocalResponse, Status::InternalFailure);
        let stream = host.open(0, artifacts());
        let body = [file(), "content\r\n".into(), last].concat();
        let (first, second) = body.split_at(20);
        host.request_body(stream, first, false);
        host.request_body(stream, second, false);
        if !goes_on {
            assert_eq!(refusal(&host, stream), (400, "jobscope:carrier.head-and-body".into()));
            continue;
        }
        assert_eq!(host.outcome(stream), Outcome::Paused);
        host.settle(gitlab);
        host.request_body(stream, "--b--\r\n", true);
        let Outcome::Forwarded { body: forwarded, ended, .. } = host.outcome(stream) else { panic!() };
        assert_eq!((String::from_utf8(forwarded).unwrap(), ended), (format!("{body}--b--\r\n"), true));
    }
}

#[test]
fn a_large_upload_takes_no_memory() {
    let mut host = host();
    let piece = vec![b'-'; 64 << 10];
    let mut memory = 0;
    let stream = host.open(0, artifacts());
    host.settle(gitlab);
    host.request_body(stream, file(), false);
    for at in 0..256 {
        host.request_body(stream, piece.clone(), false);
        // Once the pages that one piece takes are there.
        if at == 1 {
            memory = host.memory_bytes(0);
        }
    }
    assert_eq!(host.memory_bytes(0), memory);
    host.request_body(stream, "\r\n--b--\r\n", true);
    let Outcome::Forwarded { body, ended, .. } = host.outcome(stream) else { panic!() };
    assert!(body.len() > 256 * piece.len() && ended);
    assert_eq!(host.hazards(), Vec::<String>::new());
}
