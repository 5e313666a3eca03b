//! What real clients sent, read by the core and by the compiled filter.

use std::collections::BTreeSet;

use host_tests::cases::clients::{Clients, Expected};

use super::{all_pass, loaded};

#[test]
fn what_a_client_sends_goes_on_where_it_is_allowed_and_is_refused_for_a_fitting_reason_where_not() {
    let file = loaded::<Clients>("client-requests.jsonl", "client-exceptions.yaml");
    all_pass(&file);
    let rows = file.1.iter().filter_map(|(_, row)| row.as_ref().ok());
    let refused: BTreeSet<&str> = rows
        .filter_map(|row| match &row.expected {
            Expected::Refused(reason) => Some(reason.as_str()),
            Expected::Untouched | Expected::Asks(_) => None,
        })
        .collect();
    assert_eq!(file.0.exceptions.kinds.keys().map(String::as_str).collect::<BTreeSet<_>>(), refused);
}
