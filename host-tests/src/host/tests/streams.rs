use super::*;

/// Says the size of every piece of a request's body and continues.
const SAY_BODY: &str = r#"
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $say (local.get 1)) (i32.const 0))"#;

const PAUSE_HEADERS: &str = r#"
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))"#;

/// On each tick wakes the first stream.
const WAKE_ON_TICK: &str = r#"
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $period (i32.const 1000))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32) (call $wake (i32.const 2)))"#;

#[test]
fn without_callbacks_everything_passes() {
    let mut host = start("", Options::default());
    let stream = host.open(0, get().header("X-Many", "1").header("x-many", "\u{ff}").with_body());
    host.request_body(stream, "one", false);
    host.request_body(stream, "two", true);
    assert_eq!(forwarded(&host, stream), (7, "onetwo".into(), true));
    host.respond(stream, 200, &[("x", "y")], "body");
    let seen = host.downstream(stream);
    assert_eq!((seen.status(), seen.body, seen.ended), (Some(200), b"body".to_vec(), true));
    assert!(host.is_closed(stream));
}

#[test]
fn request_headers_are_there_in_their_phase_only() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $authorization)) (call $show) (i32.const 0))
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (call $say (call $authorization))
            (call $say (call $map (i32.const 0) (i32.const 2000) (i32.const 2004)))
            (call $say (i32.load (i32.const 2004)))
            (i32.const 0))
        (func (export "proxy_on_log") (param i32) (call $say (call $authorization)))"#;
    let mut host = start(exports, Options::default());
    let stream = host.open(0, get().header("authorization", "Basic y").with_body());
    host.request_body(stream, "", true);
    assert_eq!(said(&host), "0 Bearer x,Basic y 2 0 0");
    host.close(stream);
    assert_eq!(said(&host), "0 Bearer x,Basic y 2 0 0 0");
}

#[test]
fn a_pause_holds_the_body_back_until_the_resume() {
    let options = Options { allow_on_headers_stop_iteration: false, ..Options::default() };
    let mut host = start(&format!("{PAUSE_HEADERS}{SAY_BODY}{WAKE_ON_TICK}"), options);
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "ab", false);
    host.request_body(stream, "cde", true);
    assert_eq!((host.outcome(stream), said(&host).as_str()), (Outcome::Paused, ""));
    host.tick(0);
    // In one piece, through the body callback.
    assert_eq!(said(&host), "5");
    assert_eq!(forwarded(&host, stream), (5, "abcde".into(), true));
}

#[test]
fn held_bodies_come_in_pieces_past_the_limit() {
    let options = Options { allow_on_headers_stop_iteration: false, buffer_limit: 3, ..Options::default() };
    let mut host = start(&format!("{PAUSE_HEADERS}{SAY_BODY}{WAKE_ON_TICK}"), options);
    let stream = host.open(0, get().with_body());
    for chunk in ["ab", "cd", "e"] {
        host.request_body(stream, chunk, chunk == "e");
    }
    host.tick(0);
    assert_eq!(said(&host), "4 1");
    assert_eq!(forwarded(&host, stream), (5, "abcde".into(), true));
}

#[test]
fn with_stop_iteration_the_body_comes_and_its_continue_continues_all() {
    let exports = r#"
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (call $say (local.get 1))
            (drop (call $buffer (i32.const 0) (i32.const 0) (i32.const 99) (i32.const 2000) (i32.const 2004)))
            (call $show)
            (i32.eqz (local.get 2)))"#;
    let mut host = start(&format!("{PAUSE_HEADERS}{exports}"), Options::default());
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "ab", false);
    host.request_body(stream, "cde", false);
    assert_eq!((host.outcome(stream), said(&host).as_str()), (Outcome::Paused, "2 ab 5 abcde"));
    host.request_body(stream, "f", true);
    assert_eq!(said(&host), "2 ab 5 abcde 6 abcdef");
    assert_eq!(forwarded(&host, stream), (5, "abcdef".into(), true));
}

#[test]
fn too_much_kept_for_the_filter_is_413() {
    let exports = r#"
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 1))"#;
    let options = Options { buffer_limit: 4, ..Options::default() };
    let mut host = start(&format!("{PAUSE_HEADERS}{exports}"), options);
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "abcd", false);
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.request_body(stream, "e", false);
    let outcome = host.outcome(stream);
    let reply = outcome.reply().unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (413, "request_payload_too_large"));
}

#[test]
fn a_reply_is_put_off_passes_the_response_callback_and_is_the_only_one() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $reply (i32.const 403)))
            (call $say (call $reply (i32.const 404)))
            (i32.const 0))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (drop (call $value (i32.const 2) (i32.const 160) (i32.const 7) (i32.const 2000) (i32.const 2004)))
            (call $show) (i32.const 0))
        (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
            (call $say (local.get 1)) (i32.const 0))"#;
    let mut host = start(exports, Options::default());
    let stream = host.open(0, get());
    assert_eq!(said(&host), "0 0 403 3", "the second is taken, and nobody gets it");
    let outcome = host.outcome(stream);
    let reply = outcome.reply().unwrap();
    assert_eq!((reply.status, reply.text().as_str(), reply.details.as_str()), (403, "not", "not_today"));
    let seen = host.downstream(stream);
    assert_eq!(seen.header("content-type").as_deref(), Some("text/plain"));
    assert_eq!(seen.header("content-length").as_deref(), Some("3"));
    assert!(host.is_closed(stream));
}

#[test]
fn a_reply_for_a_root_answers_nobody_but_stops_the_callback() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (i32.eq (local.get 0) (i32.const 2)) (then
                (drop (call $effective (i32.const 1)))
                (call $say (call $reply (i32.const 403)))))
            (i32.const 0))"#;
    let mut host = start(&format!("{exports}{SAY_BODY}"), Options::default());
    let stream = host.open(0, get().with_body());
    // StopAllIterationAndWatermark, whatever the filter returned.
    host.request_body(stream, "ab", true);
    assert_eq!((host.outcome(stream), said(&host).as_str()), (Outcome::Paused, "0"));
    // The flag went with the callback.
    let other = host.open(0, get());
    assert!(matches!(host.outcome(other), Outcome::Forwarded { .. }));
}

#[test]
fn a_body_callback_stopped_by_anothers_reply_loses_its_chunk() {
    let exports = r#"
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (if (i32.eqz (local.get 2)) (then
                (drop (call $effective (i32.const 1)))
                (drop (call $reply (i32.const 403)))))
            (i32.const 0))"#;
    let mut host = start(exports, Options::default());
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "lost", false);
    host.request_body(stream, "kept", true);
    assert_eq!(forwarded(&host, stream), (5, "kept".into(), true));
}

#[test]
fn a_reply_replaces_a_response_and_goes_past_the_callbacks() {
    let exports = r#"
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (call $say (i32.const 1))
            (drop (call $reply (i32.const 451))) (i32.const 0))"#;
    let mut host = start(exports, Options::default());
    let stream = host.open(0, get());
    host.respond(stream, 200, &[], "secret");
    assert_eq!((said(&host).as_str(), host.downstream(stream).status()), ("1", Some(451)));
    assert_eq!(host.downstream(stream).body, b"not");
}

#[test]
fn a_resume_within_a_callback_that_pauses_goes_on_and_is_a_hazard() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $continue (i32.const 0))) (i32.const 1))"#;
    let mut host = start(exports, Options::default());
    let stream = host.open(0, get());
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { ended: true, .. }));
    assert_eq!(host.hazards().len(), 1);
}

#[test]
fn a_stream_that_is_gone_cannot_be_woken() {
    let exports = r#"
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $period (i32.const 1000))) (i32.const 1))
        (func (export "proxy_on_tick") (param i32) (call $say (call $effective (i32.const 2))))
        (func (export "proxy_on_done") (param i32) (result i32)
            (call $wake (local.get 0)) (i32.const 1))"#;
    let mut host = start(&format!("{exports}{PAUSE_HEADERS}"), Options::default());
    let stream = host.open(0, get());
    host.tick(0);
    host.close(stream);
    host.tick(0);
    assert_eq!(said(&host), "0 2");
    assert_eq!(host.hazards(), ["resume of stream 1 after on_done"]);
}

#[test]
fn properties_belong_to_streams() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $say (call $property (i32.const 120) (i32.const 5) (i32.const 100) (i32.const 3)))
            (drop (call $effective (i32.const 1)))
            (call $say (call $property (i32.const 120) (i32.const 5) (i32.const 100) (i32.const 3)))
            (i32.const 0))"#;
    let mut host = start(exports, Options::default());
    let stream = host.open(0, get());
    assert_eq!(said(&host), "0 1");
    assert_eq!(host.properties(stream).get("forge").unwrap(), b"not");
}

/// Keeps a body, says the size of every piece and of the trailers, and answers them as `$result` says.
fn trailers(result: &str) -> String {
    format!(
        r#"
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (call $say (local.get 1)) (call $say (local.get 2)) (i32.const 1))
        (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
            (call $say (local.get 1))
            (call $say (call $map (i32.const 1) (i32.const 2000) (i32.const 2004)))
            (drop (call $buffer (i32.const 0) (i32.const 0) (i32.const 99) (i32.const 2000) (i32.const 2004)))
            (call $show)
            {result})"#
    )
}

fn two() -> [Header; 2] {
    [(b"x-a".to_vec(), b"1".to_vec()), (b"x-b".to_vec(), b"2".to_vec())]
}

#[test]
fn trailers_end_a_request_and_their_continue_continues_all() {
    let mut host = start(&format!("{PAUSE_HEADERS}{}", trailers("(i32.const 0)")), Options::default());
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "ab", false);
    assert_eq!(host.outcome(stream), Outcome::Paused);
    host.request_trailers(stream, &two());
    // No piece of the body was the last.
    assert_eq!(said(&host), "2 0 2 0 ab");
    assert_eq!(forwarded(&host, stream), (5, "ab".into(), true));
    assert_eq!(host.forwarded_trailers(stream), two());
    // Without a callback they pass, and end the request as well.
    let mut host = start("", Options::default());
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "ab", false);
    assert_eq!(forwarded(&host, stream), (5, "ab".into(), false));
    host.request_trailers(stream, &two());
    assert_eq!((forwarded(&host, stream), host.forwarded_trailers(stream).len()), ((5, "ab".into(), true), 2));
}

#[test]
fn paused_trailers_hold_all_until_the_resume() {
    let exports = format!("{PAUSE_HEADERS}{}{WAKE_ON_TICK}", trailers("(i32.const 1)"));
    let mut host = start(&exports, Options::default());
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "ab", false);
    host.request_trailers(stream, &two());
    assert_eq!((host.outcome(stream), said(&host).as_str()), (Outcome::Paused, "2 0 2 0 ab"));
    host.tick(0);
    // The callback has had them.
    assert_eq!((forwarded(&host, stream), said(&host).as_str()), ((5, "ab".into(), true), "2 0 2 0 ab"));
    assert_eq!(host.forwarded_trailers(stream), two());
}

#[test]
fn trailers_of_stopped_headers_come_after_the_body_and_the_resume() {
    let options = Options { allow_on_headers_stop_iteration: false, ..Options::default() };
    let trailers = r#"
        (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
            (call $say (local.get 1)) (i32.const 0))"#;
    let mut host = start(&format!("{PAUSE_HEADERS}{SAY_BODY}{trailers}{WAKE_ON_TICK}"), options);
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "abc", false);
    host.request_trailers(stream, &two());
    assert_eq!((host.outcome(stream), said(&host).as_str()), (Outcome::Paused, ""));
    host.tick(0);
    assert_eq!((forwarded(&host, stream), said(&host).as_str()), ((5, "abc".into(), true), "3 2"));
    assert_eq!(host.forwarded_trailers(stream), two());
}

#[test]
fn a_reply_to_trailers_is_all_that_happens() {
    let exports = trailers("(drop (call $reply (i32.const 403))) (i32.const 0)");
    let mut host = start(&format!("{PAUSE_HEADERS}{exports}"), Options::default());
    let stream = host.open(0, get().with_body());
    host.request_body(stream, "ab", false);
    host.request_trailers(stream, &two());
    assert_eq!(host.outcome(stream).reply().unwrap().status, 403);
    assert_eq!((host.forwarded_trailers(stream), host.is_closed(stream)), (vec![], true));
}
