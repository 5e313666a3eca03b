use super::*;

const ENDS: &str = r#"
    (func (export "proxy_on_log") (param i32) (call $say (i32.const 1)))
    (func (export "proxy_on_done") (param i32) (result i32) (call $say (i32.const 2)) (i32.const 1))
    (func (export "proxy_on_delete") (param i32) (call $say (i32.const 3)))"#;

/// Refuses an empty configuration.
const CONFIGURE: &str = r#"
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 99) (i32.const 2000) (i32.const 2004)))
        (if (local.get 1) (then (call $show)))
        (local.get 1))"#;

#[test]
fn a_stream_ends_with_log_done_delete() {
    let mut host = start(ENDS, Options::default());
    let stream = host.open(0, get());
    host.close(stream);
    host.close(stream);
    assert_eq!(said(&host), "1 2 3");
}

#[test]
fn a_stream_that_another_filter_answered_is_only_logged() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $say (i32.const 0)) (i32.const 0))
        (func (export "proxy_on_log") (param i32)
            (drop (call $value (i32.const 2) (i32.const 160) (i32.const 7) (i32.const 2000) (i32.const 2004)))
            (call $show))"#;
    let mut host = start(exports, Options::default());
    host.open_answered(0, get(), 429);
    assert_eq!(said(&host), "429");
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let compiled = filter(&format!("{CONFIGURE}{ENDS}"));
    let error = Host::start(&compiled, Options::default()).err().unwrap();
    assert!(matches!(error, StartError::Refused(_)), "{error}");
    let options = Options { configuration: b"old".to_vec(), ..Options::default() };
    let mut host = Host::start(&compiled, options).unwrap();
    // The VM that tries it out, then the worker's.
    assert_eq!(said(&host), "old old");
    let workers: Vec<usize> = host.log_lines().iter().map(|line| line.worker).collect();
    assert_eq!(workers, [CANARY, 0]);
    host.clear_logs();
    assert!(host.reconfigure("").is_err());
    assert_eq!(said(&host), "");
}

#[test]
fn an_old_root_goes_with_its_last_stream() {
    let options = Options { configuration: b"old".to_vec(), ..Options::default() };
    let mut host = start(&format!("{CONFIGURE}{ENDS}"), options);
    let stream = host.open(0, get());
    host.reconfigure("new").unwrap();
    assert_eq!(said(&host), "new new");
    host.clear_logs();
    host.close(stream);
    // The stream's end, then the root's.
    assert_eq!(said(&host), "1 2 3 2 3");
    host.clear_logs();
    host.reconfigure("newer").unwrap();
    assert_eq!(said(&host), "newer newer 2 3");
}

#[test]
fn hardly_any_call_is_allowed_while_initializing() {
    let exports = r#"
        (func (export "_initialize")
            (drop (call $random (i32.const 1000) (i32.const 4)))
            (drop (call $period (i32.const 1000))))"#;
    let error = Host::start(&filter(exports), Options::default()).err().unwrap();
    assert!(error.to_string().contains("restricted_callback"), "{error}");
}

#[test]
fn ticks_come_when_due_on_the_main_thread_too() {
    let exports = r#"
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $period (i32.const 1000))) (i32.const 1))
        (func (export "proxy_on_tick") (param i32) (call $say (i32.const 5)))"#;
    let mut host = start(exports, Options { main_thread: true, ..Options::default() });
    host.advance(std::time::Duration::from_millis(2500));
    let said: Vec<usize> = host.log_lines().into_iter().map(|line| line.worker).collect();
    assert_eq!(said, [MAIN, 0, MAIN, 0]);
    host.tick(MAIN);
    assert_eq!(host.log_lines().len(), 5);
}

#[test]
fn two_runs_are_the_same_to_the_instruction() {
    let exports = r#"
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $random (i32.const 1000) (i32.const 8)))
            (drop (call $log (i32.const 2) (i32.const 1000) (i32.const 8)))
            (i32.const 0))"#;
    let compiled = filter(exports);
    let run = || {
        let mut host = Host::start(&compiled, Options::default()).unwrap();
        host.open(0, get());
        (host.instructions(0), host.logs(), host.hostcalls())
    };
    let (instructions, logs, calls) = run();
    assert!(instructions > 0);
    assert_eq!(calls, [("proxy_log", 1), ("random_get", 1)].into());
    assert_eq!(run(), (instructions, logs, calls));
}

#[test]
fn replies_that_one_callback_asks_for_are_sent_inside_one_another_and_a_stack_holds_only_so_many() {
    let exports = r#"
        (global $last (mut i32) (i32.const 0))
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $period (i32.const 1000))) (i32.const 1))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (global.set $last (local.get 0)) (i32.const 1))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
        (func (export "proxy_on_tick") (param i32)
            (loop $next
                (if (i32.gt_u (global.get $last) (local.get 0)) (then
                    (drop (call $effective (global.get $last)))
                    (drop (call $reply (i32.const 401)))
                    (global.set $last (i32.sub (global.get $last) (i32.const 1)))
                    (br $next)))))"#;
    for (streams, survives) in [(200, true), (300, false)] {
        let mut host = start(exports, Options::default());
        let streams: Vec<StreamId> = (0..streams).map(|_| host.open(0, get())).collect();
        host.tick(0);
        assert_eq!(host.trap(0), (!survives).then(|| "Maximum call stack size exceeded".to_owned()));
        let answered = streams.iter().filter(|stream| host.downstream(**stream).status() == Some(401)).count();
        assert_eq!(answered == streams.len(), survives, "{answered}");
    }
}
