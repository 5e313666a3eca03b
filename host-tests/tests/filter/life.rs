//! The life of a binding: confirmed, grown old, ended.

use std::cell::Cell;
use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Outcome, Request, RequestHead};

use crate::forge::{
    DANA, NORA, allowlist, api, clone, finish, gitlab, host, host_with, host_with_limits, nobody, patient_exchange,
    status,
};

/// The runner goes on with the job's log.
fn trace(token: &str) -> Request {
    let head = RequestHead::new("PATCH", "gitlab.example.com", "/api/v4/jobs/1001/trace");
    head.header("job-token", token).body("log")
}

/// The runner uploads an artifact.
fn upload(token: &str) -> Request {
    let head = RequestHead::new("POST", "gitlab.example.com", "/api/v4/jobs/1001/artifacts");
    head.header("job-token", token).header("content-type", "application/octet-stream").body("PK")
}

/// Whether anybody looks a job up for this clone, and what comes of it.
fn looked_up(host: &mut Host, worker: usize, forge: impl Fn(&Callout) -> Answer) -> (bool, u32) {
    let mut asked = false;
    let outcome = host.exchange(worker, clone("libs/common", DANA), |call: &Callout| {
        asked |= call.path() == "/api/v4/job";
        forge(call)
    });
    (asked, status(&outcome))
}

/// Has the runner report success, which the forge answers so.
fn report(host: &mut Host, answer: u16, fields: &[(&str, &str)]) {
    let stream = host.send(0, finish(DANA), gitlab);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { ended: true, .. }), "{:?}", host.outcome(stream));
    host.respond(stream, answer, fields, "");
}

#[test]
fn from_the_end_on_no_worker_serves_the_token() {
    let mut host = host();
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), gitlab)), 200);
    report(&mut host, 200, &[("job-status", "success")]);
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 401);
        assert_eq!(status(&host.exchange(worker, api("/job", DANA), nobody)), 401);
        assert_eq!(status(&host.exchange(worker, upload(DANA), nobody)), 403);
    }
    assert_eq!(status(&host.exchange(1, clone("apps/web", NORA), gitlab)), 200, "another job goes on");
}

#[test]
fn an_end_that_the_forge_did_not_confirm_ends_nothing() {
    let mut host = host();
    for (answer, fields) in [(401, &[][..]), (500, &[]), (202, &[("job-status", "running")])] {
        report(&mut host, answer, fields);
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200, "{answer}");
    }
}

#[test]
fn a_request_that_waits_while_its_job_ends_is_refused() {
    let mut host = host();
    let runner = host.send(0, finish(DANA), gitlab);
    // Who it is is known; what it asks for is being looked up.
    let waiting = host.open(1, clone("libs/common", DANA));
    assert_eq!(host.outcome(waiting), Outcome::Paused);
    host.respond(runner, 200, &[], "");
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(waiting)), 401);
}

#[test]
fn any_taking_of_a_final_state_ends_the_job_but_one_that_has_it_repeated() {
    for (answer, served) in [(200, 401), (201, 401), (204, 401), (202, 200)] {
        let mut host = host();
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        report(&mut host, answer, &[]);
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), served, "{answer}");
    }
}

#[test]
fn no_job_ends_unseen_by_a_state_in_the_query() {
    let token = |path: &str| RequestHead::new("PUT", "gitlab.example.com", path).header("job-token", DANA);
    let json = |head: RequestHead, body: &str| head.header("content-type", "application/json").body(body);
    for query in ["state=success", "state=success&state=running", "State[]=failed", "a=b&+st%61te=canceled"] {
        let path = format!("/api/v4/jobs/1001?{query}");
        let in_body = RequestHead::new("PUT", "gitlab.example.com", &path);
        for report in [
            token(&path).into(),
            json(token(&path), "{}"),
            json(token(&path), r#"{"state": "running"}"#),
            json(in_body, &format!(r#"{{"token": "{DANA}", "state": "success"}}"#)),
        ] {
            let mut host = host();
            let stream = host.send(0, report, gitlab);
            let reply = host.outcome(stream).reply().map(|reply| reply.status);
            assert_eq!(reply, Some(400), "the forge never gets it: {query}");
            assert_eq!(host.properties(stream)["jobscope_reason"], b"query.not-empty");
            assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), gitlab)), 200, "and so the job goes on");
        }
    }
    let mut host = host();
    let report = json(token("/api/v4/jobs/1001?debug_trace=false"), r#"{"state": "success"}"#);
    let stream = host.send(0, report, gitlab);
    host.respond(stream, 200, &[], "");
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401, "one in the body ends it");
}

#[test]
fn our_own_refusal_of_a_report_ends_nothing() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let other = |path: &str| {
        host_tests::host::RequestHead::new("PUT", "gitlab.example.com", path)
            .header("content-type", "application/json")
            .body(format!(r#"{{"token": "{DANA}", "state": "success"}}"#))
    };
    assert_eq!(status(&host.exchange(0, other("/api/v4/jobs/1002"), gitlab)), 403, "it is not the token's job");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
}

#[test]
fn a_report_that_was_only_observed_ends_nothing() {
    let mut host = host_with(r#", "mode": "observe""#);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let other = host_tests::host::RequestHead::new("PATCH", "gitlab.example.com", "/api/v4/jobs/1002/trace")
        .header("job-token", DANA)
        .body("log");
    let stream = host.send(0, other, gitlab);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }));
    host.respond(stream, 403, &[], "");
    let stream = host.send(0, clone("libs/common", DANA), nobody);
    assert_eq!(host.properties(stream)["jobscope_verdict"], b"allow");
}

/// GitLab, to which DANA's token is known in these spellings too.
fn lenient(call: &host_tests::host::Callout) -> Answer {
    let mut call = call.clone();
    for (name, value) in &mut call.headers {
        if name == b"job-token" && value.starts_with(b"glcbt-64_dana") {
            *value = DANA.into();
        }
    }
    gitlab(&call)
}

#[test]
fn no_spelling_of_a_token_outlives_its_job() {
    let mut host = host_with_limits(100_000, 100_000, "");
    let spellings: Vec<String> = (0..12).map(|number| format!("{DANA}-{number}")).chain([DANA.into()]).collect();
    for _ in 0..2 {
        for spelling in &spellings {
            assert_eq!(status(&host.exchange(0, clone("libs/common", spelling), lenient)), 200);
        }
    }
    report(&mut host, 200, &[]);
    for spelling in &spellings {
        // The forge has yet to hear of it everywhere.
        assert_eq!(status(&host.exchange(1, clone("libs/common", spelling), lenient)), 401, "{spelling}");
    }
}

/// A forge that no longer knows any token.
fn forgetful(call: &host_tests::host::Callout) -> Answer {
    if call.path() == "/api/v4/job" { Answer::json(401, r#"{"message": "401 Unauthorized"}"#) } else { gitlab(call) }
}

#[test]
fn an_end_that_a_confirmation_tells_ends_every_spelling() {
    let mut host = host();
    let other = format!("{DANA}-1");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), lenient)), 200);
    host.advance(Duration::from_secs(29));
    assert_eq!(status(&host.exchange(0, clone("libs/common", &other), lenient)), 200);
    host.advance(Duration::from_secs(2));
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), forgetful)), 200, "who notices does not wait");
    for token in [DANA, &other] {
        assert_eq!(status(&host.exchange(1, clone("libs/common", token), nobody)), 401, "{token}");
    }
}

#[test]
fn a_no_that_was_asked_for_before_a_yes_ends_nothing() {
    let mut host = host();
    let early = host.open(0, clone("libs/common", DANA));
    let [asked] = &host.callouts()[..] else { panic!("{:?}", host.callouts()) };
    host.advance(Duration::from_millis(5));
    let late = host.open(1, clone("libs/common", DANA));
    // The later question is answered first, by a database that is up to date.
    let first = asked.id;
    for call in host.callouts().into_iter().filter(|call| call.id != first) {
        host.answer(call.id, gitlab(&call));
    }
    host.answer(first, forgetful(asked));
    host.settle(gitlab);
    assert_eq!([early, late].map(|stream| status(&host.outcome(stream))), [200, 200]);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
}

#[test]
fn a_lookup_that_names_another_job_changes_nothing() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let mixed_up = |call: &host_tests::host::Callout| match call.path() {
        path if path == "/api/v4/job" => {
            let mut call = call.clone();
            for (name, value) in &mut call.headers {
                if name == b"job-token" {
                    *value = NORA.into();
                }
            }
            gitlab(&call)
        }
        _ => gitlab(call),
    };
    host.advance(Duration::from_secs(31));
    let stream = host.send(0, clone("libs/common", DANA), mixed_up);
    assert_eq!(host.properties(stream)["jobscope_user"], b"dana");
    host.advance(Duration::from_secs(270));
    // Nobody has confirmed it for `max_stale`, so it is looked up, and the wrong answer counts as none.
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), mixed_up)), 503);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    // Nor does the job that was named take this one along.
    let other = host_tests::host::RequestHead::new("PUT", "gitlab.example.com", "/api/v4/jobs/1002")
        .header("content-type", "application/json")
        .body(format!(r#"{{"token": "{NORA}", "state": "success"}}"#));
    let stream = host.send(0, other, gitlab);
    host.respond(stream, 200, &[], "");
    assert_eq!(status(&host.exchange(0, clone("apps/web", NORA), nobody)), 401);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
}

#[test]
fn the_end_of_a_token_that_was_never_seen_is_remembered() {
    let mut host = host();
    report(&mut host, 200, &[]);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_lookup_that_was_under_way_does_not_bring_an_ended_job_back() {
    let mut host = host();
    let runner = host.send(0, finish(DANA), gitlab);
    // On the other worker the same token is being looked up when the job ends.
    host.advance(Duration::from_secs(301));
    let late = host.open(1, clone("libs/common", DANA));
    host.respond(runner, 200, &[], "");
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(late)), 401);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_trace_that_the_forge_answers_with_an_end_ends_the_job() {
    let mut host = host();
    let stream = host.send(0, trace(DANA), gitlab);
    host.respond(stream, 202, &[("job-status", "running")], "");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let stream = host.send(0, trace(DANA), gitlab);
    host.respond(stream, 202, &[("job-status", "canceled")], "");
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_fact_that_grew_old_is_confirmed_in_the_background() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    host.advance(Duration::from_secs(31));
    let stream = host.open(0, clone("libs/common", DANA));
    assert_eq!(status(&host.outcome(stream)), 200, "it does not wait");
    assert!(host.callouts().iter().any(|call| call.path() == "/api/v4/job"));
    host.settle(|call| {
        if call.path() == "/api/v4/job" {
            Answer::json(401, r#"{"message": "401 Unauthorized"}"#)
        } else {
            gitlab(call)
        }
    });
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401, "the forge no longer knows it");
}

#[test]
fn what_was_granted_is_not_refused_from_an_old_fact() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), gitlab)), 403);
    // A maintainer adds the entry.
    let granted = |call: &host_tests::host::Callout| match call.path().as_str() {
        "/api/graphql" => Answer::json(200, allowlist(&serde_json::from_slice(&call.body).unwrap(), &[101])),
        _ => gitlab(call),
    };
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), granted)), 403, "fresh facts serve");
    host.advance(Duration::from_secs(3));
    assert_eq!(
        status(&host.exchange(0, clone("infra/secrets", DANA), granted)),
        200,
        "old ones allow, and do not deny"
    );
}

#[test]
fn who_is_denied_again_and_again_costs_a_lookup_in_two_seconds() {
    let mut host = host_with(r#", "facts": {"projects_revalidate_after": "4m", "members_revalidate_after": "4m"}"#);
    let mut looked_up = 0;
    for _ in 0..100 {
        let mut asked = false;
        let denied = host.exchange(0, clone("infra/secrets", DANA), |call: &Callout| {
            asked = true;
            gitlab(call)
        });
        assert_eq!(status(&denied), 403);
        looked_up += u32::from(asked);
        host.advance(Duration::from_millis(100));
    }
    assert_eq!(looked_up, 5, "in ten seconds");
}

#[test]
fn a_denial_of_which_the_facts_cannot_be_looked_up_once_more_stands_until_they_are_due() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), gitlab)), 403);
    host.advance(Duration::from_secs(3));
    let broken = |_: &Callout| Answer::json(500, "{}");
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), broken)), 403);
    host.advance(Duration::from_secs(30));
    assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), broken)), 503, "what is due denies nothing");
}

#[test]
fn of_several_targets_none_is_denied_by_an_old_fact_while_another_is_looked_up() {
    let mut host = host();
    let ask = |scopes: &[&str]| {
        let scopes: String = scopes.iter().map(|scope| format!("&scope=repository:{scope}:pull")).collect();
        crate::forge::get(&format!("/jwt/auth?service=container_registry{scopes}"))
            .header("authorization", crate::forge::basic(DANA))
    };
    assert_eq!(status(&host.exchange(0, ask(&["infra/secrets"]), gitlab)), 401);
    let granted = |call: &Callout| match call.path().as_str() {
        "/api/graphql" => Answer::json(200, allowlist(&serde_json::from_slice(&call.body).unwrap(), &[101])),
        _ => gitlab(call),
    };
    host.advance(Duration::from_secs(31));
    assert_eq!(status(&host.exchange(0, ask(&["infra/secrets", "libs/common"]), granted)), 200);
}

#[test]
fn a_403_ends_no_job_and_has_it_looked_up_before_it_is_served_again() {
    for report in [finish, trace, upload] {
        let mut host = host();
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        let other = format!("{DANA}-1");
        assert_eq!(status(&host.exchange(0, clone("libs/common", &other), lenient)), 200);
        let stream = host.send(0, report(DANA), gitlab);
        host.respond(stream, 403, &[("content-type", "text/html")], "<h1>Blocked</h1>");
        assert_eq!(looked_up(&mut host, 1, gitlab), (true, 200), "a firewall said it");
        let mut asked = false;
        let under_another_name = host.exchange(1, clone("libs/common", &other), |call: &Callout| {
            asked |= call.path() == "/api/v4/job";
            lenient(call)
        });
        assert_eq!((asked, status(&under_another_name)), (true, 200), "so is each of its tokens");
        let stream = host.send(0, report(DANA), gitlab);
        host.respond(stream, 403, &[], "");
        assert_eq!(looked_up(&mut host, 1, forgetful).1, 401, "the forge said it");
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 401);
    }
}

#[test]
fn a_403_beside_which_the_job_runs_changes_nothing() {
    for state in ["running", "canceling"] {
        for report in [finish, trace, upload] {
            let mut host = host();
            assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
            let stream = host.send(0, report(DANA), gitlab);
            host.respond(stream, 403, &[("job-status", state)], "");
            assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200, "{state}");
        }
    }
}

#[test]
fn a_final_state_that_the_forge_names_ends_the_job_unless_it_refuses_a_file() {
    for (report, served) in
        [(finish as fn(&str) -> Request, (false, 401)), (trace, (false, 401)), (upload, (true, 200))]
    {
        let mut host = host();
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        let stream = host.send(0, report(DANA), gitlab);
        host.respond(stream, 403, &[("job-status", "failed")], "");
        assert_eq!(looked_up(&mut host, 1, gitlab), served);
    }
}

#[test]
fn a_runners_word_on_a_job_that_does_not_run_is_left_to_the_forge() {
    let states = |state: &'static str| {
        move |call: &Callout| match call.path().as_str() {
            "/api/v4/job" => Answer::json(200, format!(r#"{{"id": 1001, "status": "{state}"}}"#)),
            _ => gitlab(call),
        }
    };
    let refused = |call: &Callout| match call.path().as_str() {
        "/api/v4/job" => Answer::json(403, r#"{"message": "403 Forbidden - Your account has been deactivated"}"#),
        _ => gitlab(call),
    };
    type Forge = Box<dyn Fn(&Callout) -> Answer>;
    let forges: [Forge; 5] = [
        Box::new(forgetful),
        Box::new(states("pending")),
        Box::new(states("success")),
        Box::new(refused),
        Box::new(|_| Answer::refused()),
    ];
    for forge in forges {
        let mut host = host();
        for _ in 0..2 {
            for report in [finish, trace] {
                let stream = host.send(0, report(DANA), nobody);
                assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }), "{:?}", host.outcome(stream));
                assert_eq!(host.properties(stream)["jobscope_reason"], b"runner.report");
                host.respond(stream, 403, &[], "");
                assert!(host.callouts().is_empty(), "a report that is nobody's asks nobody");
            }
            let uploads = patient_exchange(&mut host, 0, upload(DANA), &forge);
            assert!(matches!(status(&uploads), 403 | 503), "a file is judged: {uploads:?}");
        }
    }
}

#[test]
fn a_stranger_who_reports_on_a_job_changes_nothing_of_it() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    for report in [finish, trace] {
        let stream = host.send(0, report("glcbt-64_junk"), nobody);
        assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }));
        host.respond(stream, 403, &[], "");
    }
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200);
}

/// Sets the clock back by an hour.
fn set_back(host: &mut Host) {
    host.set_clock(host.now() - 3_600_000_000_000);
}

#[test]
fn where_the_clock_is_set_back_nothing_serves_that_was_not_looked_up_since() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let junk = || clone("libs/common", "glcbt-64_later");
    assert_eq!(status(&host.exchange(0, junk(), gitlab)), 401);
    set_back(&mut host);
    assert_eq!(looked_up(&mut host, 1, gitlab), (true, 200));
    assert_eq!(looked_up(&mut host, 0, nobody), (false, 200), "and then it is known again");
    let began = |call: &Callout| {
        let mut call = call.clone();
        call.headers.iter_mut().filter(|(name, _)| name == b"job-token").for_each(|(_, value)| *value = NORA.into());
        gitlab(&call)
    };
    assert_eq!(status(&host.exchange(1, clone("apps/web", "glcbt-64_later"), began)), 200, "a no is over too");
    set_back(&mut host);
    assert_eq!(looked_up(&mut host, 0, forgetful), (true, 401), "the forge's no counts");
    set_back(&mut host);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401, "an end stays an end");
}

#[test]
fn who_waits_while_the_clock_is_set_back_is_answered() {
    let mut host = host();
    let waits = host.open(0, clone("libs/common", DANA));
    let batch = crate::forge::post("/libs/common.git/info/lfs/objects/batch")
        .header("content-type", "application/vnd.git-lfs+json")
        .header("authorization", crate::forge::basic(DANA));
    let uploads = host.open(0, batch.with_body());
    set_back(&mut host);
    host.tick(0);
    assert_eq!([waits, uploads].map(|stream| status(&host.outcome(stream))), [503, 408]);
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn what_was_known_when_a_request_came_is_looked_up_where_the_clock_was_set_while_it_waited() {
    for forward in [true, false] {
        let mut host = host();
        assert_eq!(status(&host.exchange(0, clone("apps/web", DANA), gitlab)), 200);
        let waits = host.open(0, clone("libs/common", DANA));
        let (now, hour) = (host.now(), 3_600_000_000_000);
        host.set_clock(if forward { now + hour } else { now - hour });
        host.settle(forgetful);
        assert_eq!(status(&host.outcome(waits)), 401, "forward: {forward}");
    }
}

#[test]
fn a_confirmed_binding_serves_while_the_lookup_is_away_and_not_for_ever() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    for _ in 0..4 {
        host.advance(Duration::from_secs(60));
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), |_| Answer::refused())), 200);
    }
    host.advance(Duration::from_secs(61));
    assert_eq!(status(&patient_exchange(&mut host, 0, clone("libs/common", DANA), |_| Answer::refused())), 503);
}

#[test]
fn a_binding_ends_at_its_greatest_age_whatever_the_forge_says() {
    let mut host = host_with(r#", "bindings": {"max_lifetime": "1h"}"#);
    for _ in 0..15 {
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        host.advance(Duration::from_secs(240));
    }
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 401);
}

/// The runner says in which state its job is.
fn say(state: &str) -> Request {
    let head = RequestHead::new("PUT", "gitlab.example.com", "/api/v4/jobs/1001");
    let body = format!(r#"{{"token": "{DANA}", "state": "{state}"}}"#);
    head.header("content-type", "application/json").body(body)
}

#[test]
fn a_job_that_is_committed_in_two_phases_begins_when_its_runner_says_so() {
    let mut host = host();
    let state = Cell::new("pending");
    let forge = |call: &Callout| match gitlab(call) {
        Answer::Response { headers, body } if call.path() == "/api/v4/job" => {
            let body = String::from_utf8(body).unwrap().replace("running", state.get());
            Answer::Response { headers, body: body.into_bytes() }
        }
        answer => answer,
    };
    let payload = format!(r#"{{"id": 1001, "token": "{DANA}", "job_info": {{"project_id": 101}}}}"#);
    let ask = RequestHead::new("POST", "gitlab.example.com", "/api/v4/jobs/request");
    let ask = ask.header("content-type", "application/json").body(r#"{"token": "glrt-runner"}"#);
    let stream = host.send(0, ask, forge);
    host.respond(stream, 201, &[("content-type", "application/json")], payload.as_str());
    host.settle(forge);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), forge)), 401, "it has not begun");
    for (said, word) in [("pending", "pending"), ("running", "running")] {
        let stream = host.send(0, say(said), forge);
        assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }), "{said}");
        state.set(word);
        host.respond(stream, 200, &[("job-status", word)], "");
    }
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), forge)), 200);
    }
    report(&mut host, 200, &[("job-status", "success")]);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn a_job_that_is_canceled_gracefully_runs_until_its_runner_says_the_end() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    for (word, answer) in [(trace(DANA), 202), (say("running"), 200)] {
        let stream = host.send(0, word, gitlab);
        host.respond(stream, answer, &[("job-status", "canceling")], "");
    }
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 200, "`after_script` still needs it");
    let canceling = |call: &Callout| match gitlab(call) {
        Answer::Response { headers, body } if call.path() == "/api/v4/job" => {
            let body = String::from_utf8(body).unwrap().replace("running", "canceling");
            Answer::Response { headers, body: body.into_bytes() }
        }
        answer => answer,
    };
    host.advance(Duration::from_secs(45));
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), canceling)), 200, "also when it is looked up");
    let stream = host.send(0, say("canceled"), canceling);
    host.respond(stream, 200, &[("job-status", "canceled")], "");
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401);
}
