//! Lookups under way: what is sent again, how often, and what many requests at once cost.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Endpoints, Host, Outcome};

use crate::forge::{
    DANA, NORA, clone, configuration, gitlab, host, host_of, host_with_limits, nobody, property, status,
};

/// A host that sends a lost call again so often.
fn host_with_retries(retries: u32) -> Host {
    host_of(&configuration("").replace("\"cluster\"", &format!("\"retries\": {retries}, \"cluster\"")))
}

/// Answers what is outstanding, and counts it.
fn answer_all(host: &mut Host, answer: impl Fn() -> Answer) -> usize {
    let calls = host.callouts();
    for call in &calls {
        host.answer(call.id, answer());
    }
    calls.len()
}

#[test]
fn a_call_that_did_not_reach_the_service_is_sent_again_as_often_as_configured() {
    for (retries, sent) in [(0, 1), (1, 2), (3, 4)] {
        for lost in [Answer::refused, || Answer::Dropped] {
            let mut host = host_with_retries(retries);
            let stream = host.open(0, clone("libs/common", DANA));
            let mut calls = answer_all(&mut host, lost);
            for _ in 0..12 {
                host.advance(Duration::from_millis(100));
                calls += answer_all(&mut host, lost);
            }
            assert_eq!((calls, status(&host.outcome(stream))), (sent, 503), "{retries}");
        }
    }
}

#[test]
fn the_second_attempt_serves() {
    let mut host = host();
    let stream = host.open(0, clone("libs/common", DANA));
    answer_all(&mut host, Answer::refused);
    assert_eq!((host.callouts().len(), host.outcome(stream)), (0, Outcome::Paused), "it is not sent at once");
    host.advance(Duration::from_millis(300));
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(stream)), 200);
    host.set_cluster("token-lookup", Some(Endpoints::None));
    let stream = host.open(0, clone("infra/secrets", DANA));
    host.set_cluster("token-lookup", Some(Endpoints::Healthy));
    host.advance(Duration::from_millis(300));
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(stream)), 403, "also where nothing could be sent");
}

#[test]
fn what_the_service_said_is_not_asked_again() {
    for said in [
        || Answer::response(503, &[("x-envoy-upstream-service-time", "1")], "down for maintenance"),
        || Answer::json(200, "{}"),
        || Answer::json(500, r#"{"message": "500"}"#),
        Answer::timed_out,
    ] {
        let mut host = host();
        let stream = host.open(0, clone("libs/common", DANA));
        assert_eq!(answer_all(&mut host, said), 1);
        assert_eq!(status(&host.outcome(stream)), 503);
        host.advance(Duration::from_secs(1));
        assert_eq!(host.callouts().len(), 0);
    }
}

#[test]
fn a_failed_lookup_answers_all_who_wait() {
    let mut host = host_with_retries(0);
    let streams: Vec<_> = (0..4).map(|_| host.open(0, clone("libs/common", DANA))).collect();
    host.close(streams[0]);
    assert_eq!(answer_all(&mut host, Answer::refused), 1);
    for stream in &streams[1..] {
        assert_eq!(status(&host.outcome(*stream)), 503);
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_call_that_waits_to_be_sent_again_belongs_to_no_later_lookup() {
    let mut host = host();
    host.exchange(0, clone("libs/common", DANA), gitlab);
    let stream = host.open(0, clone("infra/secrets", DANA));
    let calls = host.callouts();
    // One call is lost and waits; another fails the lookup.
    host.answer(calls[0].id, Answer::refused());
    host.answer(calls[1].id, Answer::json(200, "{}"));
    assert_eq!(status(&host.outcome(stream)), 503);
    let stream = host.open(0, clone("infra/secrets", DANA));
    let begun = host.callouts().len();
    host.advance(Duration::from_millis(300));
    assert_eq!(host.callouts().len(), begun);
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(stream)), 403);
}

#[test]
fn an_outage_costs_few_lookups_however_many_requests_come() {
    let mut host = host_with_retries(0);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    host.advance(Duration::from_secs(31));
    let mut calls = 0;
    let mut outage = |host: &mut Host| {
        for _ in 0..20 {
            let refused = |_: &_| {
                calls += 1;
                Answer::refused()
            };
            assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), refused)), 200);
        }
        calls
    };
    // Whose token it is, and the five calls about its target.
    assert_eq!(outage(&mut host), 6);
    host.advance(Duration::from_secs(4));
    assert_eq!(outage(&mut host), 6, "it rests");
    host.advance(Duration::from_secs(7));
    assert_eq!(outage(&mut host), 12, "and not for long");
    host.advance(Duration::from_secs(11));
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), crate::forge::nobody)), 200, "it is back");
}

#[test]
fn a_request_may_wait_for_what_is_looked_up_behind_another() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), gitlab)), 403);
    host.advance(Duration::from_secs(31));
    let first = host.open(0, clone("libs/common", DANA));
    assert_eq!(status(&host.outcome(first)), 200);
    let denied = host.open(0, clone("infra/secrets", DANA));
    assert_eq!(host.outcome(denied), Outcome::Paused, "an old fact does not deny");
    host.close(first);
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(denied)), 403);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn lookups_under_way_are_bounded() {
    let mut host = host_with_limits(100_000, 100_000, "");
    let token = |number: usize| format!("glcbt-64_flood{number:06}");
    let waiting: Vec<_> = (0..1024).map(|number| host.open(0, clone("libs/common", &token(number)))).collect();
    assert_eq!(host.callouts().len(), 1024);
    let stream = host.open(0, clone("libs/common", &token(1024)));
    let outcome = host.outcome(stream);
    let reply = outcome.reply().expect("an answer at once");
    assert_eq!((reply.status, reply.details.as_str()), (503, "jobscope:lookup.busy"));
    assert_eq!((reply.header("retry-after"), host.callouts().len()), (Some("2".into()), 1024));
    // Whoever asks for what is under way waits for it.
    let joins = host.open(0, clone("libs/common", &token(0)));
    assert_eq!(host.outcome(joins), Outcome::Paused);
    host.settle(gitlab);
    for stream in waiting.into_iter().chain([joins]) {
        assert_eq!(status(&host.outcome(stream)), 401);
    }
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
}

#[test]
fn what_nobody_waits_for_is_left_out_and_counted_where_too_much_is_looked_up() {
    let mut host = host_with_limits(100_000, 100_000, "");
    let served = |host: &mut Host| {
        let stream = host.open(0, clone("libs/common", DANA));
        status(&host.outcome(stream))
    };
    let counted = |host: &Host| {
        ["lookup_busy", "lookup_throttled"].map(|why| host.metric(&format!("jobscope.limits.reason.{why}")).unwrap())
    };
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    host.advance(Duration::from_secs(31));
    let flood: Vec<_> =
        (0..1024).map(|number| host.open(0, clone("libs/common", &format!("glcbt-64_flood{number:06}")))).collect();
    assert_eq!((served(&mut host), counted(&host)), (200, [2, 0]), "the token and the target are due");
    flood.into_iter().for_each(|stream| host.close(stream));
    host.settle(gitlab);
    host.send(0, clone("infra/secrets", DANA), too_much("17"));
    assert_eq!((served(&mut host), counted(&host)), (200, [2, 1]), "of the target the forge has had too much");
}

/// A forge that has had too much, for so many seconds.
fn too_much(seconds: &'static str) -> impl Fn(&Callout) -> Answer {
    move |_| Answer::response(429, &[("retry-after", seconds), ("x-envoy-upstream-service-time", "1")], "Retry later\n")
}

#[test]
fn a_forge_that_has_had_too_much_is_asked_nothing_for_as_long_as_it_says() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let target = |name: &str| clone(name, DANA);
    let stream = host.send(0, target("infra/secrets"), too_much("17"));
    assert_eq!(property(&host, stream, "jobscope_reason"), "lookup.throttled");
    let outcome = host.outcome(stream);
    let reply = outcome.reply().unwrap();
    assert_eq!((reply.status, reply.header("retry-after").as_deref()), (503, Some("17")));
    for second in 0..17 {
        let refused = host.exchange(0, target("infra/secrets"), nobody);
        assert_eq!(status(&refused), 503);
        let left = (17 - second).to_string();
        assert_eq!(refused.reply().unwrap().header("retry-after").as_deref(), Some(&*left));
        assert_eq!(status(&host.exchange(0, target("libs/common"), nobody)), 200, "who is known is served");
        host.advance(Duration::from_secs(1));
    }
    assert_eq!(status(&host.exchange(0, target("infra/secrets"), gitlab)), 403, "then it is asked again");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_job_of_whom_the_forge_has_had_too_much_keeps_others_waiting_for_two_seconds_at_most() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), too_much("30"))), 503);
    assert_eq!(status(&host.exchange(0, clone("apps/web", NORA), nobody)), 503);
    host.advance(Duration::from_secs(2));
    assert_eq!(status(&host.exchange(0, clone("apps/web", NORA), gitlab)), 200);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 503);
    host.advance(Duration::from_secs(28));
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
}
