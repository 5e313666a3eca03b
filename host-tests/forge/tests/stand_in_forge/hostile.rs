//! Requests no good client sends. None may leave a process behind or take the forge down.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::Forge;

const BASIC: &str = "Authorization: Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTY0X2RhbmFCdWlsZHNXZWIwMDAwMDE=";

#[test]
fn an_aborted_upload_leaves_no_process() {
    let forge = Forge::start();
    // The start of a command that never comes whole, so that git waits for the rest.
    for framing in ["Content-Length: 1000000\r\n\r\n00a0", "Transfer-Encoding: chunked\r\n\r\n4\r\n00a0\r\n"] {
        let head = "POST /apps/web.git/git-receive-pack HTTP/1.1\r\nHost: forge\r\n\
            Content-Type: application/x-git-receive-pack-request\r\n";
        let connection = forge.raw(format!("{head}{BASIC}\r\n{framing}").as_bytes());
        forge.wait_for_children(1);
        drop(connection);
        forge.wait_for_children(0);
    }
}

#[test]
fn the_end_of_the_forge_is_the_end_of_its_children() {
    let forge = Forge::start();
    let head = "POST /apps/web.git/git-receive-pack HTTP/1.1\r\nHost: forge\r\n\
        Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000000\r\n";
    let _connection = forge.raw(format!("{head}{BASIC}\r\n\r\n00a0").as_bytes());
    forge.wait_for_children(1);
    let children = forge.children();
    forge.stop();
    let deadline = Instant::now() + Duration::from_secs(5);
    for child in children {
        while Path::new(&format!("/proc/{child}")).exists() {
            assert!(Instant::now() < deadline, "process {child} is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn strange_targets_get_an_answer() {
    let forge = Forge::start();
    for target in [
        &b"*"[..],
        b"/",
        b"//",
        b"/%",
        b"/%ff%fe.git/info/refs?service=git-upload-pack",
        b"/\xff\xfe.git/info/refs?service=git-upload-pack",
        b"/apps%2Fweb.git/info/refs?service=git-upload-pack",
        b"/../../etc/passwd.git/info/refs?service=git-upload-pack",
        b"/.git/info/refs?service=git-upload-pack",
        b"/info/refs?service=git-upload-pack",
        b"/apps/web.git",
        b"/api/v4/projects/%ff",
        b"/api/v4/projects/%00",
        b"/api/v4/projects/101/jobs/99999999999999999999999/artifacts",
        b"/api/v4/projects/101/repository/files/--help/raw?ref=--help",
        b"/api/v4/projects/102/job_token_scope/allowlist?page=18446744073709551615&per_page=0",
        b"http://elsewhere/apps/web.git/info/refs",
        b"/jwt/auth?scope=::::&scope=&service=container_registry&scope=repository::&scope=repository:a:",
    ] {
        let lines =
            [b"GET ", target, b" HTTP/1.1\r\nHost: forge\r\nX-Odd: \xff\xe9\r\n", BASIC.as_bytes(), b"\r\n\r\n"];
        let status = forge.raw_status(&lines.concat());
        assert!(status.starts_with("HTTP/1.1 "), "{}: {status}", String::from_utf8_lossy(target));
        assert!(!status.contains(" 500"), "{}: {status}", String::from_utf8_lossy(target));
    }
    assert!(forge.raw_status(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 4"));
    assert_eq!(forge.get("-/stand-in/requests", &[]).status, 200);
}

#[test]
fn the_record_loses_no_byte() {
    let forge = Forge::start();
    forge.raw_status(b"GET /x?a=%2F HTTP/1.1\r\nHost: forge\r\nX-Odd: \xff\xe9\r\nX-Odd: 2\r\n\r\n");
    let received = forge.received();
    let last = received.last().expect("a request");
    assert_eq!(last["target"], "/x?a=%2F");
    let headers = serde_json::json!([["host", "forge"], ["x-odd", "\u{ff}\u{e9}"], ["x-odd", "2"]]);
    assert_eq!(last["headers"], headers);
    forge.call("DELETE", "-/stand-in/requests", &[], "");
    assert!(forge.received().is_empty());
}
