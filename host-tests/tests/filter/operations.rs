//! What many jobs ask of the forge: the table in docs/operations.md is worked out from what the filter really asks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use host_tests::host::{Answer, Callout, Outcome};
use policy::config::{KEYS, Presence};

use crate::forge::{DANA, clone, gitlab, host_with};

const ENVOYS: u64 = 20;
const JOBS: u64 = 10_000;
/// How long a job runs, and how often it asks for something, in seconds.
const LIFE: u64 = 300;
const EVERY: u64 = 10;
/// Targets of a job, each asked for that often.
const TARGETS: u64 = 3;
/// Jobs that have user, project and targets in common.
const ALIKE: u64 = 10;

/// A second job of the same user and project.
const SECOND: &str = "glcbt-64_danasSecond";

/// The defaults, in small tables.
const DEFAULT: &str = r#", "bindings": {"capacity": 64}"#;

/// Keys that make facts last longer.
const LONGER: &str = r#", "bindings": {"capacity": 64, "revalidate_after": "2m"}, "facts": {"projects_revalidate_after": "2m",
    "members_revalidate_after": "2m", "allowlists_revalidate_after": "2m"}"#;

/// The default of a key that is a number.
fn default(path: &str) -> u64 {
    let key = KEYS.iter().find(|key| key.path == path).expect("a key");
    let Presence::Default(value) = key.presence else { panic!("{path} has no default") };
    value.parse().unwrap()
}

fn two_jobs(call: &Callout) -> Answer {
    if call.header("job-token").as_deref() != Some(SECOND) {
        return gitlab(call);
    }
    let mut first = call.clone();
    for (_, value) in first.headers.iter_mut().filter(|(name, _)| name == b"job-token") {
        *value = DANA.into();
    }
    match gitlab(&first) {
        Answer::Response { headers, body } => {
            Answer::Response { headers, body: String::from_utf8(body).unwrap().replace("1001", "1002").into() }
        }
        Answer::Dropped => Answer::Dropped,
    }
}

/// How many calls these jobs cost one Envoy in their lives, when each asks for one target so often.
fn calls(more: &str, jobs: &[&str], every: u64) -> u64 {
    let mut host = host_with(more);
    let mut calls = 0;
    for _ in 0..LIFE.div_ceil(every) {
        for job in jobs {
            let outcome = host.exchange(0, clone("libs/common", job), |call| {
                calls += 1;
                two_jobs(call)
            });
            assert!(matches!(outcome, Outcome::Forwarded { .. }), "{outcome:?}");
        }
        host.advance(Duration::from_secs(every));
    }
    calls
}

/// What a life costs one Envoy: a job's token, and one target's facts.
fn costs(more: &str, every: u64) -> (u64, u64) {
    let one = calls(more, &[DANA], every);
    let token = calls(more, &[DANA, SECOND], every) - one;
    (token, one - token)
}

/// Calls per second on the forge, for all jobs: the tokens', and the facts' of as many targets for each job.
fn load(more: &str, every: u64, envoys: u64, alike: u64) -> u64 {
    let (token, _) = costs(more, every);
    // Jobs that are alike ask one behind the other.
    let (_, target) = costs(more, (every / alike).max(1));
    JOBS * envoys * (token + TARGETS * target / alike) / LIFE
}

#[test]
fn what_twenty_envoys_ask_of_the_forge() {
    let row = |what: &str, every, envoys, alike| {
        format!("| {what} | {} | {} |\n", load(DEFAULT, every, envoys, alike), load(LONGER, every, envoys, alike))
    };
    let mut table = String::from("| where a job's requests go | by default | with longer ages |\n|---|---|---|\n");
    table += &row("all to one Envoy, and jobs that are alike to the same one", EVERY, 1, ALIKE);
    table += &row("all to one Envoy, jobs that are alike to different ones", EVERY, 1, 1);
    table += &row("each to another Envoy, in turn", EVERY * ENVOYS, ENVOYS, ALIKE);
    compare("forge load", &table);
    // As one line, wherever it is broken.
    let text = fs::read_to_string(page()).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let (cold_token, cold_target) = costs(DEFAULT, LIFE);
    let (all, source) = (default("lookup.max_unknown_per_second"), default("lookup.max_unknown_per_source"));
    for assumed in [
        format!("{ENVOYS} Envoys and 10,000 jobs at a time"),
        format!("A job runs for {} minutes", LIFE / 60),
        format!("asks every {EVERY} s for something in one of {TARGETS} targets"),
        format!("{ALIKE} jobs at a time have their user, their project and their targets in common"),
        format!("{} in all with {ENVOYS} of them", with_comma(ENVOYS * all)),
        format!("it takes {} s until all are known, and {} s where", JOBS / ENVOYS / all, JOBS / ENVOYS / source),
        format!("costs {cold_token} call for its token and {cold_target} for each target"),
    ] {
        assert!(text.contains(&assumed), "docs/operations.md does not say: {assumed}");
    }
}

fn with_comma(number: u64) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}

fn page() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md")
}

/// Puts `table` between the marks of `name`, or fails when something else stands there.
fn compare(name: &str, table: &str) {
    let text = fs::read_to_string(page()).unwrap();
    let (begin, end) = (format!("<!-- {name}: made by `make docs` -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no mark `{begin}`"));
    let (stands, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no mark `{end}`"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(), format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert!(
            stands == table,
            "docs/operations.md: `{name}` is not what the code says; write it anew with `make docs`"
        );
    }
}
