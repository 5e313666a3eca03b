//! Secrets that Envoy adds, and the day on which the service account's token expires.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Filter, Host, Level, Outcome, Request};

use crate::forge::{DANA, EXPIRY, api, clone, configuration, gitlab, host_of, nobody, options, post, status};

const SECOND: Duration = Duration::from_secs(1);
/// A call waits for its answer longer than that.
const STEP: Duration = Duration::from_secs(30);
const SERVICE: &str = "token-lookup-service";
const PATH: &str = "/-/jobscope/webhook";

/// A host where Envoy has the service account's token, and the filter has none.
fn served(more: &str) -> Host {
    let document = configuration(more)
        .replace(r#""credential_env": "LOOKUP_TOKEN""#, &format!(r#""service_cluster": "{SERVICE}""#));
    let mut options = options(&document).cluster(SERVICE);
    options.environment.clear();
    let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
    host.clear_logs();
    host
}

/// What Envoy's second cluster and the forge make of a call. A job's token never goes where the service account's is added.
fn added(call: &Callout) -> Answer {
    assert_eq!(call.header("private-token"), None, "the filter has no such token");
    let is_jobs = call.header("job-token").is_some();
    assert_eq!(call.cluster, if is_jobs { "token-lookup" } else { SERVICE }, "{}", call.path());
    let mut call = call.clone();
    if !is_jobs {
        call.headers.push((b"private-token".to_vec(), b"glpat-service".to_vec()));
    }
    gitlab(&call)
}

#[test]
fn envoy_adds_the_token_on_a_cluster_that_no_job_s_call_goes_to() {
    let curious =
        r#", "access": {"deny": [{"id": "r", "when": {"protected": true, "environment": ["live"], "fork": true}}]}"#;
    for more in ["", curious] {
        let mut host = served(more);
        let mut clusters = Vec::new();
        for project in ["libs/common", "infra/secrets"] {
            let expected = if project == "libs/common" { 200 } else { 403 };
            let outcome = host.exchange(0, clone(project, DANA), |call| {
                clusters.push(call.cluster.clone());
                match call.path().contains("/merge_requests/") || call.path().contains("/branches/") {
                    true => {
                        assert_eq!((call.cluster.as_str(), call.header("job-token")), (SERVICE, None));
                        Answer::json(200, r#"{"protected": false, "source_project_id": 101}"#)
                    }
                    false => added(call),
                }
            });
            assert_eq!(status(&outcome), expected, "{project}{more}");
        }
        clusters.sort();
        clusters.dedup();
        assert_eq!(clusters, ["token-lookup", SERVICE]);
    }
}

#[test]
fn where_envoy_has_no_token_to_add_nobody_gets_an_answer_and_nothing_is_remembered() {
    let mut host = served("");
    // Envoy's own words, when the secret is not there yet.
    let missing = |call: &Callout| match call.cluster == SERVICE {
        true => Answer::response(401, &[("content-type", "text/plain")], "Failed to inject credential."),
        false => added(call),
    };
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), missing)), 503);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), added)), 200);
}

/// Lets time pass, and answers what is asked about the token itself. How often that was.
fn pass(host: &mut Host, seconds: u64, answer: &Answer) -> u32 {
    let mut asked = 0;
    for _ in 0..seconds / STEP.as_secs() {
        host.advance(STEP);
        host.settle(|call| {
            assert_eq!(call.path(), EXPIRY);
            assert_eq!(call.header("private-token").as_deref(), Some("glpat-service"));
            asked += 1;
            answer.clone()
        });
    }
    asked
}

fn patient() -> Host {
    host_of(&configuration("").replace(r#""cluster""#, r#""timeout": "1m", "cluster""#))
}

fn expires(day: &str) -> Answer {
    Answer::json(200, format!(r#"{{"id": 5, "name": "jobscope", "active": true, "expires_at": {day}}}"#))
}

fn warnings(host: &mut Host) -> Vec<String> {
    let said = host.logs().into_iter().filter(|log| log.0 == Level::Warn && log.1.contains("expires"));
    let said = said.map(|log| log.1.clone()).collect();
    host.clear_logs();
    said
}

fn gauge(host: &Host) -> Option<i64> {
    host.metric("jobscope.service_token_expires_seconds")
}

#[test]
fn one_worker_asks_when_the_token_expires_and_tells_of_it_every_day_of_the_last_thirty() {
    let mut host = patient();
    // The host begins on 2027-01-15.
    let soon = "\"2027-02-14\"";
    assert_eq!(pass(&mut host, 59, &expires(soon)), 0, "an Envoy that was just started has other things to ask");
    assert_eq!(pass(&mut host, 90, &expires(soon)), 1, "one for all workers");
    assert_eq!(gauge(&host), Some(1_802_563_200));
    assert_eq!(
        warnings(&mut host),
        [
            "jobscope: the service account's token expires soon: 30 days are left. Exchange it as docs/operations.md says"
        ]
    );
    let asked = pass(&mut host, 24 * 3600, &expires(soon));
    assert!((22..=25).contains(&asked), "once an hour: {asked}");
    assert_eq!(
        warnings(&mut host),
        [
            "jobscope: the service account's token expires soon: 29 days are left. Exchange it as docs/operations.md says"
        ]
    );

    let later = "\"2028-01-15\"";
    assert_eq!(pass(&mut host, 3600, &expires(later)), 1, "another one is noticed within the hour");
    assert_eq!((gauge(&host), warnings(&mut host)), (Some(1_831_507_200), Vec::new()));
    pass(&mut host, 24 * 3600, &expires("null"));
    assert_eq!((gauge(&host), warnings(&mut host)), (Some(0), Vec::new()), "one that does not expire");
}

#[test]
fn a_token_that_is_not_taken_is_told_and_what_the_forge_cannot_say_is_not_asked_again_at_once() {
    let mut host = patient();
    assert_eq!(pass(&mut host, 120, &expires("null")), 1);
    host.clear_logs();
    let refused = Answer::json(401, r#"{"message": "401 Unauthorized"}"#);
    assert!(pass(&mut host, 3660, &refused) > 0);
    let (level, text) = host.logs().first().cloned().unwrap();
    assert_eq!(level, Level::Error);
    assert!(text.contains("the service account's token is not taken: the forge answers 401"), "{text}");
    let missing = Answer::json(404, r#"{"message": "404 Not Found"}"#);
    pass(&mut host, 60, &missing);
    assert_eq!(pass(&mut host, 1800, &missing), 0, "a forge that has no such endpoint");
}

#[test]
fn nobody_is_asked_where_no_fact_needs_the_service_account() {
    let alone = r#"{"forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "gitlab.example.com"},
        "facts": {"membership": "forge", "external": "forge", "visibility": "forge", "allowlists": "forge"}}"#;
    let v1 = r#"{"forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "l", "credential_env": "LOOKUP_TOKEN", "api": "v1"}}"#;
    for document in [alone, v1] {
        let mut host = host_of(document);
        for _ in 0..180 {
            host.advance(SECOND);
            host.settle(|call| panic!("{} is asked", call.path()));
        }
    }
}

fn hooked() -> Host {
    host_of(&configuration(&format!(r#", "webhook": {{"path": "{PATH}", "secret_from": "envoy"}}"#)))
}

fn report(added: Option<&str>, sent: &str) -> Request {
    let head = post(PATH).header("content-type", "application/json").header("x-gitlab-token", sent);
    let head = match added {
        Some(secret) => head.header(":jobscope-webhook-secret", secret),
        None => head,
    };
    head.body(r#"{"object_kind": "build", "build_id": 1001, "build_status": "failed", "project_id": 101}"#)
}

#[test]
fn a_report_counts_with_the_secret_that_envoy_adds_and_while_it_is_exchanged_with_either() {
    for (added, sent) in [("old", "old"), ("old new", "old"), ("old new", "new"), ("new", "new")] {
        let mut host = hooked();
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        for (added, sent) in [(None, "old"), (None, ""), (Some("new"), "old new"), (Some(""), "")] {
            assert_eq!(status(&host.exchange(1, report(added, sent), nobody)), 401, "{added:?} {sent}");
        }
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
        assert_eq!(status(&host.exchange(1, report(Some(added), sent), nobody)), 204, "{added} {sent}");
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
    }
}

#[test]
fn what_envoy_adds_goes_no_further() {
    let mut host = hooked();
    let request = api("/projects/101/releases", DANA).header(":jobscope-webhook-secret", "opensesame");
    let Outcome::Forwarded { headers, .. } = host.exchange(0, request, gitlab) else { panic!("it is allowed") };
    assert!(headers.iter().all(|(name, _)| !name.starts_with(b":jobscope")), "{headers:?}");
}
