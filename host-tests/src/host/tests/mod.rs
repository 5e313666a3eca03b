//! The host's own tests, with filters of a few lines of WebAssembly text.

mod callouts;
mod lifecycle;
mod streams;

use super::maps;
use super::*;

/// A filter around some exports. `$say` logs one digit for a number, `$show` the
/// bytes that a call returned to 2000 and 2004, `$call` makes an HTTP call.
fn filter(exports: &str) -> Filter {
    let head = [(":method", "GET"), (":path", "/lookup"), (":authority", "forge.example")];
    let head: Vec<Header> =
        head.iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into())).collect();
    let pairs = maps::encode(&head);
    let escaped: String = pairs.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_header_map_pairs" (func $map (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
            (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
            (import "env" "proxy_send_local_response"
                (func $send (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_http_call"
                (func $http (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_shared_data" (func $set (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_get_shared_data" (func $get (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_property" (func $property (param i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 4)
            (global $heap (mut i32) (i32.const 65536))
            (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
                (global.get $heap)
                (global.set $heap (i32.add (global.get $heap) (local.get $size))))
            (data (i32.const 100) "not today")
            (data (i32.const 120) "forge")
            (data (i32.const 140) "authorization")
            (data (i32.const 160) ":status")
            (data (i32.const 200) "{escaped}")
            (func $say (param $number i32)
                (i32.store8 (i32.const 1000)
                    (i32.add (local.get $number) (select (i32.const 48) (i32.const 55)
                        (i32.lt_u (local.get $number) (i32.const 10)))))
                (drop (call $log (i32.const 2) (i32.const 1000) (i32.const 1))))
            (func $show
                (drop (call $log (i32.const 2) (i32.load (i32.const 2000)) (i32.load (i32.const 2004)))))
            (func $reply (param $status i32) (result i32)
                (call $send (local.get $status) (i32.const 100) (i32.const 9) (i32.const 100) (i32.const 3)
                    (i32.const 0) (i32.const 0) (i32.const -1)))
            (func $call (result i32)
                (call $http (i32.const 120) (i32.const 5) (i32.const 200) (i32.const {len})
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 500) (i32.const 3000)))
            (func $authorization (result i32)
                (call $value (i32.const 0) (i32.const 140) (i32.const 13) (i32.const 2000) (i32.const 2004)))
            (func $wake (param $context i32)
                (drop (call $effective (local.get $context)))
                (drop (call $continue (i32.const 0))))
            {exports})"#,
        len = pairs.len(),
    );
    Filter::compile(&wat::parse_str(text).unwrap()).unwrap()
}

fn start(exports: &str, options: Options) -> Host {
    let mut host = Host::start(&filter(exports), options).unwrap();
    host.clear_logs();
    host.reset_counts();
    host
}

fn get() -> RequestHead {
    RequestHead::new("GET", "forge.example", "/").header("Authorization", "Bearer x")
}

/// What was logged, as one word per line.
fn said(host: &Host) -> String {
    host.logs().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

fn forwarded(host: &Host, stream: StreamId) -> (usize, String, bool) {
    match host.outcome(stream) {
        Outcome::Forwarded { headers, body, ended } => (headers.len(), String::from_utf8(body).unwrap(), ended),
        other => panic!("not forwarded: {other:?}"),
    }
}
