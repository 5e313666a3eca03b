//! What the filter counts stands in a real Envoy's statistics, for all of its workers together.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use host_tests::stack::{Delivery, Options, Registry, Stack};

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

#[test]
fn prometheus_reads_labels_as_labels_names_as_documented_and_all_that_alerts_ask_for() {
    let options = Options { registry: Registry::LeftOut, delivery: Delivery::Listener, ..Options::picked() };
    let stack = Stack::start(&options).unwrap();
    assert_eq!(status(&stack, WEB_JOB), Some(200));
    let text = stack.prometheus().unwrap();
    for line in [
        "jobscope_decisions{verdict=\"allow\",family=\"rule\",protocol=\"api\"} 1",
        "jobscope_lookups{kind=\"token\",outcome=\"answered\"} 1",
        "jobscope_failures{reason=\"lookup_timeout\"} 0",
        "jobscope_rows{table=\"binding\"} 1",
        "jobscope_ends{way=\"webhook\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    let known: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();

    let page = include_str!("../../../docs/operations.md");
    let (_, table) = page.split_once("<!-- counters: made by `make docs` -->").unwrap();
    let (table, _) = table.split_once("<!-- end of counters -->").unwrap();
    let documented: BTreeSet<_> = table.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
    let counted: BTreeSet<_> = known.iter().filter_map(|name| name.strip_prefix("jobscope_")).collect();
    assert_eq!(counted, documented);

    let words = include_str!("../../../envoy/watching/alerts.yaml")
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let asked_for: BTreeSet<_> = words.filter(|word| word.starts_with("envoy_")).collect();
    assert!(!asked_for.is_empty());
    assert_eq!(asked_for.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
}
