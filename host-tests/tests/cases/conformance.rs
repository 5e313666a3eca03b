//! Our copy of the forge's decisions, decided by the core, by the compiled filter, and by the command from a document of the world.

use std::fs;
use std::process::Command;

use host_tests::cases::conformance::{Conformance, told};
use host_tests::cases::{Kind, Outcome, read, run};
use host_tests::host::Filter;
use host_tests::stack::checkout;

use super::{all_pass, loaded};

#[test]
fn every_row_is_decided_as_expected() {
    all_pass(&loaded::<Conformance>("gitlab-cases.yaml", "conformance-exceptions.yaml"));
}

#[test]
fn the_command_decides_the_rows_from_a_world_as_the_core_does_from_lookups() {
    let cases = |name: &str| read(&checkout().join("cases").join(name)).unwrap();
    let all = told(&cases("gitlab-cases.yaml"), &cases("conformance-exceptions.yaml")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name);
    let here = std::env::current_exe().unwrap();
    let command = here.ancestors().nth(2).map(|dir| dir.join("jobscope")).unwrap();
    let mut verdicts = Vec::new();
    for one in &all {
        let written = [("c", one.config.to_string()), ("w", one.world.to_string()), ("r", one.request.clone())];
        written.iter().for_each(|(name, text)| fs::write(file(name), text).unwrap());
        let mut asked = Command::new(&command);
        asked.arg("decide").arg(file("c")).arg("--world").arg(file("w")).arg("--request").arg(file("r"));
        let told = asked.args(["--job", &one.job, "--json"]).output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&told.stdout)
            .unwrap_or_else(|_| panic!("{}: {}", one.id, String::from_utf8_lossy(&told.stderr)));
        assert_eq!(answer["verdict"], one.verdict, "{}: {answer:#}", one.id);
        verdicts.push(one.verdict);
    }
    for verdict in ["allow", "deny"] {
        assert!(verdicts.iter().filter(|found| **found == verdict).count() > 100, "{verdicts:?}");
    }
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
