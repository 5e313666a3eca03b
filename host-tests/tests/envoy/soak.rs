//! A short soak, so that `make soak` can be trusted when it is long.

use host_tests::soak::{self, Plan};

#[test]
fn jobs_that_lived_and_tokens_that_never_did_leave_a_real_envoy_as_large_as_it_is() {
    let plan = Plan { jobs: 600, junk: 1200, connections: 2, capacity: 64 };
    let report = soak::run(plan, |_| ()).unwrap();
    assert_eq!(report.lookups, plan.jobs + plan.junk, "each token was looked up once");
    assert!(report.growth() < 4 << 20, "{:#}", report.json());
}
