//! A short measurement, so that `make bench` can be trusted when it is long.

use std::time::Duration;

use host_tests::bench::{self, Measure, Peer, Plan};

#[test]
fn a_measurement_of_each_peer_ends_with_its_cost_in_a_report_and_a_picture() {
    let only = ["git info/refs", "cold: a token never seen"].map(String::from).to_vec();
    let slice = Duration::from_millis(20);
    let report = bench::run(Plan { rounds: 1, slice, dead_jobs: 0, tokens: 100, only }, &|_| ()).unwrap();
    let of = |measure: Measure| report.figures.0.iter().filter(move |figure| figure.measure == measure);
    let peers: Vec<Peer> = of(Measure::Cpu).map(|figure| figure.peer).collect();
    assert!(peers.contains(&Peer::None) && peers.contains(&Peer::ExtProc) && peers.contains(&Peer::Full), "{peers:?}");
    for figure in of(Measure::Cpu).chain(of(Measure::Service)) {
        assert!(figure.least() > 0.0, "{figure:?}");
    }
    assert!(report.budgets.iter().any(|verdict| verdict.what == "cold, to ext_authz"), "{:?}", report.budgets);

    let folder = tempfile::tempdir().unwrap();
    report.write(folder.path()).unwrap();
    let written = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["figures"].as_array().unwrap().len(), report.figures.0.len());
    let picture = std::fs::read_to_string(folder.path().join("performance.svg")).unwrap();
    assert!(picture.contains(Peer::AuthzHttp.title()), "{picture}");
}
