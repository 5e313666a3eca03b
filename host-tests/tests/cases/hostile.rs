//! Our copy of the hostile rows, read by the core and by the compiled filter.

use std::collections::BTreeSet;

use host_tests::cases::hostile::Hostile;
use host_tests::cases::load;

use super::{all_pass, case, loaded};

#[test]
fn every_row_is_read_as_expected_and_an_exception_belongs_to_a_row() {
    let file = loaded::<Hostile>("hostile-requests.yaml", "hostile-exceptions.yaml");
    all_pass(&file);
    let ids: BTreeSet<&str> = file.1.iter().map(|(id, _)| id.as_str()).collect();
    let strangers: Vec<&str> = file.0.excepted().filter(|id| !ids.contains(id)).collect();
    assert_eq!(strangers, Vec::<&str>::new());
}

#[test]
fn every_row_of_gitea_is_read_as_expected() {
    all_pass(&load::<Hostile>(&case("gitea-requests.yaml"), None).unwrap());
}
