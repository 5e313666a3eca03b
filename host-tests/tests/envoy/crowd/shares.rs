//! One job's lookups beside everybody else's.

use std::time::Duration;

use host_tests::traffic::{Answer, Body, Lookups, Request, Seen};

use super::scene::{Bystanders, Due, KNOWN, Scene, Statuses, basic};
use super::{TIMEOUT, is_refusal};

/// How many lookups the forge answers at a time, and how long each takes.
const AT_ONCE: usize = 24;
const LOOKUP: Duration = Duration::from_millis(400);
/// What a request takes beside its lookups on a busy machine.
const BESIDE: Duration = Duration::from_millis(1_000);

/// How long the greedy job goes on, and how often it comes.
const TIME: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(5);
/// How often a known job comes, and how often a new one.
const OFTEN: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(250);

/// Sixteen images that nobody has asked for yet, and of which none exists.
fn sixteen_scopes(scene: &Scene, request: usize) -> Request {
    let scopes: String = (0..16).map(|scope| format!("&scope=repository:none/r{request}/s{scope}:pull")).collect();
    let path = format!("/jwt/auth?service=container_registry{scopes}");
    scene.request("GET", &path, vec![basic("gitlab-ci-token", &Lookups::running(1))], Body::none())
}

/// A package of a project, with a number that the upstream repeats.
fn package(scene: &Scene, project: &str, job: u64, number: usize) -> Request {
    let path = format!("/api/v4/projects/libs%2F{project}/packages/generic/tool/1.0/tool.txt");
    let fields = vec![("job-token", Lookups::running(job)), ("x-number", number.to_string())];
    scene.request("GET", &path, fields, Body::none())
}

fn is_its_own(number: usize, answer: &Answer) -> bool {
    let seen = serde_json::from_slice::<Seen>(&answer.body);
    answer.status == 200 && seen.is_ok_and(|seen| seen.fields["x-number"] == number.to_string())
}

/// How many come within [`TIME`].
fn times(pause: Duration) -> usize {
    (TIME.as_millis() / pause.as_millis()) as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_job_leaves_others_their_lookups_whatever_it_asks() {
    let scene = Scene::new(TIMEOUT).await;
    scene.lookups.slow_down(AT_ONCE, LOOKUP);
    let bystanders = Bystanders::begin(&scene, TIME);
    let greedy = (0..times(PAUSE)).map(|number| sixteen_scopes(&scene, number)).collect();
    let known = (0..times(OFTEN)).map(|number| package(&scene, "common", KNOWN, number)).collect();
    // Whose each is must be looked up, and then what its project is to it.
    let new = (0..times(SELDOM)).map(|number| package(&scene, &format!("new{number}"), 100 + number as u64, number));
    let new = new.collect();
    let [greedy, known, new] =
        [(PAUSE, greedy), (OFTEN, known), (SELDOM, new)].map(|(pause, requests)| scene.send_every(pause, requests));
    for (others, pause, within) in [(known, OFTEN, BESIDE), (new, SELDOM, LOOKUP * 2 + BESIDE)] {
        let (statuses, wrong) = others.answered(Due { within, is_right: is_its_own }).await;
        assert_eq!((statuses, wrong), (Statuses::from([(200, times(pause))]), [].into()));
    }
    let is_right = |_, answer: &Answer| matches!(answer.status, 401 | 503) && is_refusal(2, answer);
    let statuses = scene.end(greedy, bystanders, Due { within: TIMEOUT + BESIDE, is_right }).await;
    assert!(statuses.contains_key(&401), "{statuses:?}");
}
