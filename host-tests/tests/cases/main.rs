//! The files of cases: what the core and the compiled filter make of each row.

mod clients;
mod conformance;
mod hostile;

use std::path::{Path, PathBuf};

use host_tests::cases::{Kind, Rows, Verbosity, load, run};
use host_tests::host::Filter;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases").join(name)
}

/// A file of `cases/`, with what differs on purpose.
fn loaded<K: Kind>(rows: &str, exceptions: &str) -> (K, Rows<K::Row>) {
    load(&case(rows), Some(&case(exceptions))).unwrap()
}

/// Fails where a row comes out otherwise.
#[track_caller]
fn all_pass<K: Kind>((kind, rows): &(K, Rows<K::Row>)) {
    let report = run(kind, rows, &Filter::under_test().unwrap()).unwrap();
    assert_eq!(report.counts().1, 0, "\n{}", report.text(Verbosity::Terse));
}
