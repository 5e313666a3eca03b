//! Crowds before a real Envoy with one worker: whoever waits gets an answer of its own, whole and in time, and whoever does
//! something else does not notice.

mod bodies;
mod scene;
mod shares;

use std::time::Duration;

use host_tests::traffic::{Answer, Body, Lookups, Request, Seen};
use scene::{Bystanders, Due, Protocol, Scene, Statuses};
use serde_json::Value;

/// `lookup.timeout` where the lookup never answers.
const TIMEOUT: Duration = Duration::from_secs(2);
/// After how long a held body that does not come is given up.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// What a crowd takes besides on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);
/// And what each of a crowd takes.
const EACH: Duration = Duration::from_millis(1);
/// When a client gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many streams of a connection are used; Envoy may allow no more.
const STREAMS: usize = 100;

const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";
const DIRECT: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/direct.txt";
const SAID_BY_THE_ROUTE: &str = "said by the route";

/// The refusal of request `i` of [`Scene::of_job`], in its protocol's form.
fn is_refusal(i: usize, answer: &Answer) -> bool {
    let json = serde_json::from_slice::<Value>(&answer.body).ok();
    match i % 3 {
        0 => json.is_some_and(|json| json["message"].is_string() || json["error"].is_string()),
        1 => json.is_none() && answer.text().ends_with('\n'),
        _ => json.is_some_and(|json| json["errors"].is_array()),
    }
}

/// A crowd whose lookup never answers: half of it with one token, half with many.
async fn outage(protocol: Protocol, size: usize) {
    let scene = Scene::new(TIMEOUT).await;
    scene.lookups.fall_silent();
    let bystanders = Bystanders::begin(&scene, TIMEOUT * 2);
    let token = |i: usize| Lookups::running(if i < size / 2 { 1 } else { i as u64 });
    let requests = (0..size).map(|i| scene.of_job(i, &token(i))).collect();
    let crowd = scene.send(protocol, requests);
    let is_right = |i, answer: &Answer| answer.status == 503 && is_refusal(i, answer);
    let statuses = scene.end(crowd, bystanders, Due { within: TIMEOUT + MARGIN + EACH * size as u32, is_right }).await;
    assert_eq!(statuses, Statuses::from([(503, size)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_in_an_outage_each_get_their_answer() {
    outage(Protocol::Http2, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_connections_in_an_outage_each_get_their_answer() {
    outage(Protocol::Http1, 2_000).await;
}

/// A crowd that waits for one token, until the lookup does what `then` says.
async fn one_token(
    protocol: Protocol,
    requests: impl Fn(&Scene) -> Vec<Request>,
    then: impl Fn(&Lookups),
    is_right: impl Fn(usize, &Answer) -> bool,
) -> Statuses {
    let scene = Scene::new(Duration::from_secs(20)).await;
    scene.lookups.fall_silent();
    let bystanders = Bystanders::begin(&scene, Duration::from_secs(4));
    let asked = scene.lookups.tokens_asked();
    let requests = requests(&scene);
    // Those before them: two at the beginning, and the bystanders.
    let count = requests.len() + 2 + bystanders.0.len();
    let crowd = scene.send(protocol, requests);
    scene.arrived(count as u64).await;
    then(&scene.lookups);
    let lookups = scene.lookups.clone();
    let statuses = scene.end(crowd, bystanders, Due { within: Duration::from_secs(20), is_right }).await;
    assert_eq!(lookups.tokens_asked() - asked, 1, "it is one token");
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_of_one_junk_token_are_one_lookup_and_as_many_answers() {
    let junk = |scene: &Scene| (0..1_000).map(|i| scene.of_job(i, "glcbt-64_neverGivenOut0000")).collect();
    let refused = |i, answer: &Answer| matches!(answer.status, 401 | 503) && is_refusal(i, answer);
    let statuses = one_token(Protocol::Http2, junk, Lookups::answer, refused).await;
    assert!(statuses.contains_key(&401), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_that_fails_for_a_thousand_connections_fails_for_each() {
    let many = |scene: &Scene| (0..1_000).map(|i| scene.of_job(i, &Lookups::running(1))).collect();
    let failed = |i, answer: &Answer| answer.status == 503 && is_refusal(i, answer);
    one_token(Protocol::Http1, many, Lookups::break_down, failed).await;
}

/// Packages that a job asks for, each with a number that the upstream repeats.
fn packages(scene: &Scene, path: &str, count: usize) -> Vec<Request> {
    let fields = |i: usize| vec![("job-token", Lookups::running(1)), ("x-number", i.to_string())];
    (0..count).map(|i| scene.request("GET", path, fields(i), Body::none())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_wait_for_one_good_token_are_all_served() {
    for protocol in [Protocol::Http2, Protocol::Http1] {
        let served = |i: usize, answer: &Answer| {
            let seen = serde_json::from_slice::<Seen>(&answer.body);
            seen.is_ok_and(|seen| seen.fields["x-number"] == i.to_string())
        };
        let statuses = one_token(protocol, |scene| packages(scene, PACKAGE, 1_000), Lookups::answer, served).await;
        assert_eq!(statuses, Statuses::from([(200, 1_000)]), "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_whose_route_answers_by_itself_are_all_answered() {
    for protocol in [Protocol::Http2, Protocol::Http1] {
        let said = |_, answer: &Answer| answer.text() == SAID_BY_THE_ROUTE;
        let statuses = one_token(protocol, |scene| packages(scene, DIRECT, 1_000), Lookups::answer, said).await;
        assert_eq!(statuses, Statuses::from([(200, 1_000)]), "{protocol:?}");
    }
}
