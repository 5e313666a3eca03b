//! What the filter counts stands in a real Envoy's statistics, for all of its workers together.

use std::thread;
use std::time::{Duration, Instant};

use host_tests::stack::{Options, Registry, Stack};

const WEB_JOB: &str = "glcbt-64_danaBuildsWeb000001";
const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";

fn status(stack: &Stack, token: &str) -> Option<u16> {
    let host = stack.forge_host();
    let request = format!("GET {PACKAGE} HTTP/1.1\r\nHost: {host}\r\nJOB-TOKEN: {token}\r\n\r\n");
    stack.raw(request.as_bytes(), Duration::from_secs(30)).unwrap().status
}

#[test]
fn decisions_lookups_rows_and_configurations_are_counted() {
    let stack = Stack::start(&Options { registry: Registry::LeftOut, ..Options::picked() }).unwrap();
    assert_eq!(
        ["glcbt-64_junk", WEB_JOB, WEB_JOB].map(|token| status(&stack, token)),
        [Some(401), Some(200), Some(200)]
    );
    let expected = [
        "wasmcustom.jobscope.decisions.verdict.allow.family.rule.protocol.api: 2",
        "wasmcustom.jobscope.decisions.verdict.deny.family.rule.protocol.api: 1",
        "wasmcustom.jobscope.rows.table.binding: 1",
        "wasmcustom.jobscope.waiting: 0",
        "wasmcustom.jobscope.info.version.",
        "wasmcustom.jobscope.lookup_ms.kind.token: P0(",
    ];
    let begin = Instant::now();
    // Workers hand histograms over now and then.
    loop {
        let statistics = stack.statistics("wasmcustom.jobscope").unwrap();
        let missing: Vec<_> = expected.iter().filter(|line| !statistics.contains(*line)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{missing:?} in\n{statistics}");
        thread::sleep(Duration::from_millis(200));
    }
}
