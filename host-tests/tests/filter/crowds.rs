//! Many requests that wait for one thing: each gets an answer of its own, and nobody else notices.

use std::time::Duration;

use host_tests::host::{Answer, Endpoints, Filter, Host, Options, Outcome, RequestHead, StreamId};

use crate::forge::{DANA, basic, clone, configuration, gitlab, host_with_limits, options, post, status};

const CROWD: usize = 1_000;

/// As many as one call of the host answers.
const AT_ONCE: usize = 64;

/// Within this all of a crowd are answered: it is far from the next tick but one.
const SOON: Duration = Duration::from_millis(120);

fn crowd(host: &mut Host, head: impl Fn(usize) -> RequestHead) -> Vec<StreamId> {
    (0..CROWD).map(|number| host.open(0, head(number))).collect()
}

/// Each has an answer with this status and a body, the worker lives, and a job's clone is served as ever.
fn check(host: &mut Host, streams: &[StreamId], expected: u32) {
    assert_eq!(host.trap(0), None);
    for stream in streams {
        let downstream = host.downstream(*stream);
        assert_eq!((downstream.status(), downstream.ended), (Some(expected), true), "{downstream:?}");
        assert!(!downstream.body.is_empty(), "{downstream:?}");
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
}

/// A host whose route answers what goes on.
fn host_that_answers_directly() -> Host {
    let options = Options { direct_response: Some(200), ..options(&configuration("")) };
    Host::start(&Filter::under_test().unwrap(), options).unwrap()
}

fn generous() -> Host {
    host_with_limits(100_000, 100_000, "")
}

fn slow(_: usize) -> RequestHead {
    post("/libs/common.git/info/lfs/objects/batch")
        .header("authorization", basic(DANA))
        .header("content-type", "application/vnd.git-lfs+json")
        .with_body()
}

fn waiting(host: &Host, streams: &[StreamId]) -> Vec<bool> {
    streams.iter().map(|stream| host.outcome(*stream) == Outcome::Paused).collect()
}

#[test]
fn a_crowd_with_one_token_that_is_none_is_answered() {
    let mut host = generous();
    let streams = crowd(&mut host, |_| clone("libs/common", "glcbt-64_junk"));
    host.settle(gitlab);
    host.advance(SOON);
    check(&mut host, &streams, 401);
}

#[test]
fn a_crowd_in_an_outage_is_answered_in_time() {
    for token in [|_| "glcbt-64_one".to_owned(), |number| format!("glcbt-64_{number}")] {
        let mut host = generous();
        let streams = crowd(&mut host, |number| clone("libs/common", &token(number)));
        // Nobody answers.
        host.advance(Duration::from_secs(2));
        check(&mut host, &streams, 503);
        let streams = crowd(&mut host, |number| clone("libs/common", &token(number)));
        host.settle(|_| Answer::json(500, "{}"));
        host.advance(SOON);
        check(&mut host, &streams, 503);
    }
}

#[test]
fn a_crowd_whose_calls_cannot_be_sent_is_answered() {
    let mut host = generous();
    host.set_cluster("token-lookup", None);
    let streams = crowd(&mut host, |number| clone("libs/common", &format!("glcbt-64_{number}")));
    host.advance(Duration::from_secs(2));
    host.set_cluster("token-lookup", Some(Endpoints::Healthy));
    check(&mut host, &streams, 503);
}

#[test]
fn a_crowd_whose_bodies_never_come_is_answered() {
    let mut host = generous();
    let streams = crowd(&mut host, slow);
    for stream in &streams {
        host.request_body(*stream, b"{", false);
    }
    host.advance(Duration::from_secs(11));
    check(&mut host, &streams, 408);
}

#[test]
fn a_crowd_that_is_let_go_may_be_answered_by_the_route() {
    let mut host = host_that_answers_directly();
    let streams = crowd(&mut host, |_| clone("libs/common", DANA));
    for _ in 0..CROWD / AT_ONCE {
        host.settle(gitlab);
        host.advance(Duration::from_millis(1));
    }
    host.settle(gitlab);
    host.advance(SOON);
    assert_eq!(host.trap(0), None);
    for stream in streams {
        assert_eq!(host.downstream(stream).body, b"from the route");
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_crowd_is_answered_in_the_order_in_which_it_came_and_a_few_at_a_time() {
    let mut host = generous();
    let mut streams = crowd(&mut host, |_| clone("libs/common", "glcbt-64_junk"));
    host.settle(gitlab);
    for answered in (AT_ONCE..CROWD / 2).step_by(AT_ONCE) {
        let waits = waiting(&host, &streams);
        assert_eq!(waits.iter().position(|waits| *waits), Some(answered));
        assert!(!waits[answered..].contains(&false));
        host.tick(0);
    }
    // Of those who wait every second leaves.
    let leaves: Vec<StreamId> = streams.split_off(CROWD / 2);
    for (number, stream) in leaves.into_iter().enumerate() {
        if number % 2 == 0 { host.close(stream) } else { streams.push(stream) }
    }
    host.advance(SOON);
    check(&mut host, &streams, 401);
}

#[test]
fn a_stream_of_another_is_served_while_a_crowd_is_answered() {
    let mut host = generous();
    let streams = crowd(&mut host, |_| clone("libs/common", "glcbt-64_junk"));
    host.settle(gitlab);
    assert!(waiting(&host, &streams).contains(&true));
    let other = host.open(0, clone("libs/common", DANA));
    // Each answer of the forge has some of the crowd answered too, and this one waits behind them.
    for _ in 0..CROWD / AT_ONCE {
        host.settle(gitlab);
        host.tick(0);
    }
    host.settle(gitlab);
    host.tick(0);
    assert_eq!(status(&host.outcome(other)), 200);
}
