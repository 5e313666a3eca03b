//! What real clients sent, read by the core and by the compiled filter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use host_tests::clients::{Exceptions, Expected, parse, run};
use host_tests::host::Filter;
use host_tests::rows::{Verbosity, load};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases").join(name)
}

#[test]
fn what_a_client_sends_goes_on_where_it_is_allowed_and_is_refused_for_a_fitting_reason_where_not() {
    let rows = load(&case("client-requests.jsonl"), parse).unwrap();
    let exceptions = load(&case("client-exceptions.yaml"), Exceptions::parse).unwrap();
    let run = run(&rows, &exceptions, &Filter::under_test().unwrap()).unwrap();
    assert_eq!(run.counts().1, 0, "\n{}", run.text(Verbosity::Terse));
}

#[test]
fn an_exception_belongs_to_a_row() {
    let rows = load(&case("client-requests.jsonl"), parse).unwrap();
    let exceptions = load(&case("client-exceptions.yaml"), Exceptions::parse).unwrap();
    let refused: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| match &row.expected {
            Expected::Refused(reason) => Some(reason.as_str()),
            Expected::Untouched | Expected::Asks(_) => None,
        })
        .collect();
    assert_eq!(exceptions.kinds.keys().map(String::as_str).collect::<BTreeSet<_>>(), refused);
}
