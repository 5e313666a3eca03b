//! Our copy of the forge's decisions, decided by the core and by the compiled filter.

use host_tests::cases::conformance::Conformance;
use host_tests::cases::{Kind, Outcome, run};
use host_tests::host::Filter;

use super::{all_pass, loaded};

#[test]
fn every_row_is_decided_as_expected() {
    all_pass(&loaded::<Conformance>("gitlab-cases.yaml", "conformance-exceptions.yaml"));
}

/// A runner that passes whatever it is given would pass these too.
#[test]
fn what_is_decided_otherwise_or_not_understood_fails() {
    let row = |given: &str, request: &str, expect: &str| {
        let row = format!("{{id: X-1, source: s, basis: spec, given: {given}, request: {request}, expect: {expect}}}");
        let (kind, rows) = Conformance::parse(&format!("version: 1\ncases: [{row}]"), None).unwrap();
        let mut report = run(&kind, &rows, &Filter::under_test().unwrap()).unwrap();
        match report.findings.remove(0).outcome {
            Outcome::Failed(what) => what,
            other => format!("{other:?}"),
        }
    };
    let fetch = "{protocol: git, action: fetch}";
    let broken = row("{relation: self}", fetch, "{decision: allow}, colour: red");
    assert!(broken.starts_with("expected a row, found something else: unknown field `colour`"), "{broken}");
    assert_eq!(row("{relation: self}", fetch, "{decision: allow}"), "Passed");
    assert_eq!(row("{relation: self}", fetch, "{decision: deny}"), "decided otherwise");
    assert_eq!(row("{allowlisted: false}", fetch, "{decision: allow}"), "decided otherwise");
    assert_eq!(row("{allowlisted: false}", fetch, "{decision: deny, status: 404}"), "decided otherwise");
    assert_eq!(row("{allowlisted: false}", fetch, "{decision: deny, message: No.}"), "decided otherwise");
    for (given, request, expect, mark) in [
        ("{moon: full}", fetch, "{decision: allow}", "given.moon"),
        ("{target_visibility: secret}", fetch, "{decision: allow}", "given.target_visibility"),
        ("{user: {role_on_target: chief}}", fetch, "{decision: allow}", "given.user.role_on_target"),
        ("{token: stolen}", fetch, "{decision: allow}", "given.token"),
        ("{}", "{protocol: git, action: rebase}", "{decision: allow}", "request.action"),
        ("{}", "{protocol: git, action: fetch, by: night}", "{decision: allow}", "request.by"),
        ("{}", "{protocol: telnet}", "{decision: allow}", "request.protocol"),
        ("{}", fetch, "{decision: perhaps}", "expect.decision"),
        ("{allowlisted: false}", fetch, "{decision: deny, message: a <name>}", "expect.message"),
    ] {
        let failed = row(given, request, expect);
        assert!(failed.starts_with(mark), "{mark}: {failed}");
    }
}
