//! What all requests of a worker share is shared fairly: lookups, the place for bodies that must be read, and log lines.

use std::collections::BTreeMap;
use std::time::Duration;

use host_tests::host::{Callout, Endpoints, Host, Outcome, RequestHead, StreamId};

use crate::forge::{
    DANA, NORA, basic, clone, configuration, get, gitlab, host, host_of, host_with_limits, nobody, post, property,
    status,
};

/// A batch of which some has come, and no end.
fn slow_batch(host: &mut Host, size: usize) -> StreamId {
    let head = post("/libs/common.git/info/lfs/objects/batch")
        .header("authorization", basic(DANA))
        .header("content-type", "application/vnd.git-lfs+json")
        .with_body();
    let stream = host.open(0, head);
    host.request_body(stream, vec![b' '; size], false);
    stream
}

fn quick_batch(host: &mut Host) -> Outcome {
    let stream = slow_batch(host, 100);
    host.request_body(stream, br#"{"operation": "download", "objects": []}"#, true);
    host.settle(gitlab);
    let outcome = host.outcome(stream);
    host.close(stream);
    outcome
}

fn reason(host: &Host, stream: StreamId) -> String {
    property(host, stream, "jobscope_reason")
}

/// Sixteen images of which none exists.
fn sixteen_scopes(request: usize) -> RequestHead {
    let scopes: String = (0..16).map(|scope| format!("&scope=repository:none/r{request}/s{scope}:pull")).collect();
    get(&format!("/jwt/auth?service=container_registry{scopes}")).header("authorization", basic(DANA))
}

#[test]
fn one_job_leaves_others_their_lookups_whatever_it_asks() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    // Two hundred requests a second, and each call of the forge takes 50 ms.
    let mut served = 0;
    for round in 0..20 {
        let greedy: Vec<StreamId> = (0..10).map(|number| host.open(0, sixteen_scopes(round * 10 + number))).collect();
        let others = [
            host.open(0, clone("infra/secrets", NORA)),
            host.open(0, clone("libs/common", DANA)),
            host.open(0, clone("libs/open", &format!("glcbt-64_new{round}"))),
        ];
        assert!(host.callouts().len() <= 40, "{} calls under way", host.callouts().len());
        for _ in 0..4 {
            for call in host.callouts() {
                host.answer(call.id, gitlab(&call));
            }
        }
        for (stream, expected) in others.into_iter().zip([404, 200, 401]) {
            assert_eq!(status(&host.outcome(stream)), expected, "{round}");
            host.close(stream);
        }
        served += greedy.iter().filter(|stream| host.outcome(**stream) != Outcome::Paused).count();
        greedy.into_iter().for_each(|stream| host.close(stream));
        host.advance(Duration::from_millis(50));
    }
    assert!(served > 0);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_call_is_its_jobs_until_it_is_answered_also_where_nobody_waits_for_it_any_longer() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let is_of_project =
        |call: &Callout| call.path().starts_with("/api/v4/projects/") && !call.path().contains("/members/");
    for round in 0..20 {
        let stream = host.open(0, sixteen_scopes(round));
        // That a project is not there ends its lookup, while a slow forge is still busy with what else was asked.
        for call in host.callouts().iter().filter(|call| is_of_project(call)) {
            host.answer(call.id, gitlab(call));
        }
        assert!(host.callouts().len() <= 16, "{} calls under way", host.callouts().len());
        host.close(stream);
    }
    host.settle(gitlab);
    host.advance(Duration::from_secs(2));
    assert_eq!(status(&host.exchange(0, clone("infra/none", DANA), gitlab)), 404, "it has its share again");
}

#[test]
fn what_images_of_one_project_need_is_asked_once() {
    let mut host = host();
    let scopes: String = (0..16).map(|image| format!("&scope=repository:libs/common/i{image}:pull")).collect();
    let head = get(&format!("/jwt/auth?service=container_registry{scopes}")).header("authorization", basic(DANA));
    let mut asked = BTreeMap::new();
    let outcome = host.exchange(0, head, |call| {
        *asked.entry((call.path(), call.body.clone())).or_insert(0) += 1;
        gitlab(call)
    });
    assert_eq!(status(&outcome), 200);
    asked.retain(|_, count| *count > 1);
    assert!(asked.is_empty(), "{asked:?}");
}

#[test]
fn a_request_for_more_targets_than_one_job_may_have_looked_up_at_a_time_is_told_to_come_back() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let streams: Vec<StreamId> = (0..5).map(|number| host.open(0, sixteen_scopes(number))).collect();
    for stream in &streams[..4] {
        assert_eq!(host.outcome(*stream), Outcome::Paused);
    }
    let busy = host.outcome(streams[4]);
    let reply = busy.reply().expect("an answer");
    assert_eq!(
        (reply.status, reply.header("retry-after"), &*reason(&host, streams[4])),
        (503, Some("2".into()), "lookup.busy")
    );
    host.settle(gitlab);
    for stream in &streams[..4] {
        assert_eq!(status(&host.outcome(*stream)), 401);
    }
}

#[test]
fn who_comes_when_too_many_wait_is_told_to_come_back() {
    const MOST_OF_ONE: usize = 12_288;
    const MOST: usize = 16_384;
    let mut host = host_with_limits(100_000, 100_000, "");
    for number in 0..MOST {
        let token = if number < MOST_OF_ONE { "glcbt-64_one" } else { "glcbt-64_two" };
        let stream = host.open(0, clone("libs/common", token));
        assert_eq!(host.outcome(stream), Outcome::Paused);
        if number == MOST_OF_ONE {
            let more = host.open(0, clone("libs/common", "glcbt-64_one"));
            assert_eq!(reason(&host, more), "lookup.busy");
        }
    }
    let more = host.open(0, clone("libs/common", "glcbt-64_three"));
    assert_eq!((status(&host.outcome(more)), &*reason(&host, more)), (503, "lookup.busy"));
    assert!(host.memory_bytes(0) < 128 << 20, "{} bytes", host.memory_bytes(0));
    host.settle(gitlab);
    host.advance(Duration::from_secs(2));
    assert_eq!(host.trap(0), None);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
}

#[test]
fn bodies_that_are_held_back_are_bounded_for_all_streams_together() {
    let mut host = host();
    let streams: Vec<StreamId> = (0..63).map(|_| slow_batch(&mut host, 1 << 20)).collect();
    assert!(streams.iter().all(|stream| host.outcome(*stream) == Outcome::Paused));
    let more = slow_batch(&mut host, 1 << 20);
    assert_eq!((status(&host.outcome(more)), &*reason(&host, more)), (503, "host.busy"));
    host.close(more);
    // What comes next finds room: those that have been awaited longest make place.
    host.tick(0);
    for (number, stream) in streams.iter().enumerate() {
        let outcome = host.outcome(*stream);
        if number < 32 {
            assert_eq!((status(&outcome), &*reason(&host, *stream)), (503, "host.busy"), "{number}");
        } else {
            assert_eq!(outcome, Outcome::Paused, "{number}");
        }
    }
    assert_eq!(status(&quick_batch(&mut host)), 200);
    streams.into_iter().for_each(|stream| host.close(stream));
    for _ in 0..100 {
        assert_eq!(status(&quick_batch(&mut host)), 200, "what was let go or left is not counted");
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn no_more_slow_bodies_are_given_up_than_make_room() {
    let mut host = host();
    let streams: Vec<StreamId> = (0..400).map(|_| slow_batch(&mut host, 100 << 10)).collect();
    host.advance(Duration::from_millis(500));
    let given_up = streams.iter().filter(|stream| host.outcome(**stream) != Outcome::Paused).count();
    // 400 of some 101 KiB are half as much again as may stay.
    assert!((70..90).contains(&given_up), "{given_up}");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_cause_is_logged_once_a_second_with_how_often_it_came() {
    let mut host = host_of(&configuration("").replace("\"cluster\"", "\"retries\": 0, \"cluster\""));
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    host.set_cluster("token-lookup", Some(Endpoints::None));
    host.clear_logs();
    for number in 0..20 {
        host.open(0, sixteen_scopes(number));
    }
    host.advance(Duration::from_millis(900));
    let lines = |host: &Host| host.logs().into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(lines(&host).len(), 3, "{:?}", lines(&host));
    host.advance(Duration::from_millis(200));
    let lines = lines(&host);
    assert_eq!(lines.len(), 6, "{lines:?}");
    for more in ["lookup.unreachable: 63 times more", "lookup.busy: 15 times more"] {
        assert!(lines.contains(&format!("jobscope: {more}")), "{lines:?}");
    }
}

#[test]
fn targets_that_are_not_there_are_remembered_for_a_while_and_push_no_others_out() {
    let mut host = host_with_limits(1000, 1000, r#", "bindings": {"capacity": 64}"#);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    assert_eq!(status(&host.exchange(0, clone("infra/none", DANA), gitlab)), 404);
    assert_eq!(status(&host.exchange(1, clone("infra/none", DANA), nobody)), 404);
    for number in 0..500 {
        assert_eq!(status(&host.exchange(0, clone(&format!("infra/none{number}"), DANA), gitlab)), 404);
    }
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200);
    host.advance(Duration::from_secs(6));
    let mut asked = 0;
    let outcome = host.exchange(0, clone("infra/none", DANA), |call| {
        asked += 1;
        gitlab(call)
    });
    assert_eq!((status(&outcome), asked > 0), (404, true), "it may have been created");
}

#[test]
fn however_large_their_heads_are_those_who_wait_leave_the_filter_its_memory() {
    let mut host = host_with_limits(100_000, 100_000, "");
    let name = |scope: usize| format!("{0}/{0}/{0}/{0}{scope}", "a".repeat(60));
    let scopes: String = (0..16).map(|scope| format!("&scope=repository:{}:pull,push", name(scope))).collect();
    let more = format!("&more={}", "m".repeat(26 << 10));
    for (more, least) in [("", 5_000), (&*more, 1_000)] {
        let head = get(&format!("/jwt/auth?service=container_registry{scopes}{more}"))
            .header("authorization", basic("glcbt-64_x"));
        let streams: Vec<StreamId> = (0..8_000).map(|_| host.open(0, head.clone())).collect();
        let waiting = streams.iter().filter(|stream| host.outcome(**stream) == Outcome::Paused).count();
        assert!((least..8_000).contains(&waiting), "{waiting}");
        assert_eq!(reason(&host, streams[7_999]), "lookup.busy");
        let bytes = host.memory_bytes(0);
        assert!(bytes < 320 << 20, "{bytes} bytes for {waiting} of {} bytes", head.headers.len());
        streams.into_iter().for_each(|stream| host.close(stream));
    }
    host.settle(gitlab);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
}
