//! Our copy of the hostile rows, read by the core and by the compiled filter.

use std::collections::BTreeSet;
use std::path::Path;

use host_tests::host::Filter;
use host_tests::hostile::{Document, Exceptions, run};
use host_tests::rows::{Verbosity, load};

fn case(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases").join(name)
}

#[test]
fn every_row_is_read_as_expected() {
    let document = load(&case("hostile-requests.yaml"), Document::parse).unwrap();
    let exceptions = load(&case("hostile-exceptions.yaml"), Exceptions::parse).unwrap();
    let run = run(&document, &exceptions, &Filter::under_test().unwrap()).unwrap();
    assert_eq!(run.counts().1, 0, "\n{}", run.text(Verbosity::Terse));
}

#[test]
fn an_exception_belongs_to_a_row() {
    let document = load(&case("hostile-requests.yaml"), Document::parse).unwrap();
    let exceptions = load(&case("hostile-exceptions.yaml"), Exceptions::parse).unwrap();
    let ids: BTreeSet<&str> = document.rows.iter().map(|row| row.id.as_str()).collect();
    let strangers: Vec<&str> = exceptions.ids().filter(|id| !ids.contains(id)).collect();
    assert_eq!(strangers, Vec::<&str>::new());
}
