//! Real readers beside the filter: what goes on unjudged holds no job token in the eyes of any of them.

use host_tests::oracle::readers::{ELSEWHERE, Family, GITEA, GITLAB, Reader, compare_compiled};
use host_tests::oracle::runs;

const SEED: u64 = 3;
const COUNT: usize = 6000;

fn compare(family: &Family) {
    let readers = Reader::start_all().unwrap();
    let report = family.compare(&readers, SEED, runs(COUNT)).unwrap();
    println!("{:?}: {report}", family.kind);
    let wrong = report.disagreements();
    assert!(wrong.is_empty(), "{report}\n{} kinds of disagreement:\n{}", wrong.len(), wrong.join("\n"));
    // Requests that show nothing would prove nothing.
    assert!(report.judged > 100 && report.dangerous > 100 && report.passed > 100, "{report}");
}

#[test]
fn what_passes_unjudged_holds_no_job_token_for_any_reader() {
    let _alone = crate::alone();
    compare(&GITLAB);
}

#[test]
fn what_passes_unasked_holds_no_token_of_another_forge_for_any_reader() {
    let _alone = crate::alone();
    compare(&ELSEWHERE);
}

#[test]
fn what_passes_unasked_holds_no_token_of_gitea_for_its_reader() {
    let _alone = crate::alone();
    compare(&GITEA);
}

#[test]
fn the_compiled_filter_lets_the_same_pass() {
    let _alone = crate::alone();
    for family in [GITLAB, ELSEWHERE, GITEA] {
        let requests = (0..COUNT).step_by(8).map(|number| family.request(SEED, number));
        compare_compiled(family.configuration, requests.filter(|planted| planted.bytes().is_ok())).unwrap();
    }
}
