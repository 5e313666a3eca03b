//! Bodies that the filter holds back: who waits for them, and what Envoy keeps of them.

use std::time::Duration;

use axum::body::Bytes;
use host_tests::traffic::{Answer, Body, Lookups, Request, Seen, sha256};
use serde_json::Value;

use super::scene::{Bystanders, Due, KNOWN, Protocol, Scene, basic};
use super::{BODY_PATIENCE, MARGIN, STREAMS, TIMEOUT};

/// A batch of a job's, whose body the filter must read.
fn batch(scene: &Scene, body: Body) -> Request {
    let json = "application/vnd.git-lfs+json".to_owned();
    let fields = vec![basic("gitlab-ci-token", &Lookups::running(KNOWN)), ("content-type", json)];
    scene.request("POST", "/libs/common.git/info/lfs/objects/batch", fields, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_bodies_that_never_come_are_given_up_one_by_one() {
    const SIZE: usize = 2_000;
    let scene = Scene::new(TIMEOUT).await;
    let bystanders = Bystanders::begin(&scene, BODY_PATIENCE + Duration::from_secs(2));
    let crowd = scene.send(Protocol::Http2, (0..SIZE).map(|_| batch(&scene, Body::never())).collect());
    let given_up = |_, answer: &Answer| {
        matches!(answer.status, 408 | 503) && serde_json::from_slice::<Value>(&answer.body).is_ok()
    };
    let statuses = scene.end(crowd, bystanders, Due { within: BODY_PATIENCE + MARGIN, is_right: given_up }).await;
    assert!(statuses.contains_key(&408), "{statuses:?}");
}

/// What a worker keeps of bodies that must be read.
const HELD: u64 = 64 << 20;
/// What Envoy has of a connection beside them: an HTTP/2 window of bytes that it let come, and what it reads at a time.
const OF_A_CONNECTION: u64 = (8 << 20) + (2 << 20);
/// And what it has anyway, for the bystanders and the answers.
const BESIDE: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_bodies_of_a_megabyte_take_the_memory_that_there_is_for_them_and_are_all_answered() {
    const SIZE: usize = 300;
    const LATE: Duration = Duration::from_secs(3);
    let scene = Scene::new(TIMEOUT).await;
    let before = scene.ingress.peak_resident_bytes().unwrap();
    let bystanders = Bystanders::begin(&scene, LATE);
    let padding = "x".repeat(1_000_000);
    let json = Bytes::from(format!(r#"{{"operation": "download", "objects": [], "padding": "{padding}"}}"#));
    let sent = sha256(&json);
    // All of it but the end, which comes when all the others are there too.
    let mut body = Body::whole(json);
    let end = body.pieces[0].1.split_off(1_000_000);
    body.pieces.push((LATE, end));
    let crowd = scene.send(Protocol::Http2, (0..SIZE).map(|_| batch(&scene, body.clone())).collect());
    let is_right = |_, answer: &Answer| match answer.status {
        200 => serde_json::from_slice::<Seen>(&answer.body).is_ok_and(|seen| seen.sha256 == sent),
        status => status == 503 && serde_json::from_slice::<Value>(&answer.body).is_ok(),
    };
    let statuses = scene.end(crowd, bystanders, Due { within: LATE + MARGIN, is_right }).await;
    let connections = SIZE.div_ceil(STREAMS) as u64;
    let grown = scene.ingress.peak_resident_bytes().unwrap() - before;
    assert!(grown <= HELD + connections * OF_A_CONNECTION + BESIDE, "{} MiB, {statuses:?}", grown >> 20);
    assert!(statuses.contains_key(&200) && statuses.contains_key(&503), "{statuses:?}");
}
