//! The forge's webhook: a job's end, told at a path of our own.

use host_tests::host::{Host, Hostcall, Outcome, Request, RequestHead, Status};

use crate::forge::{DANA, NORA, basic, clone, configuration, gitlab, nobody, options, post, property, status};

const PATH: &str = "/-/jobscope/webhook";

fn host_of(mode: &str) -> Host {
    let configuration =
        configuration(&format!(r#", "mode": "{mode}", "webhook": {{"path": "{PATH}", "secret_env": "HOOK"}}"#));
    let mut options = options(&configuration);
    options.environment.push(("HOOK".into(), "opensesame".into()));
    Host::start(&host_tests::host::Filter::under_test().unwrap(), options).unwrap()
}

fn host() -> Host {
    host_of("enforce")
}

fn head(secret: &str) -> RequestHead {
    post(PATH).header("content-type", "application/json").header("x-gitlab-token", secret)
}

fn report(job: u64, state: &str) -> Request {
    head("opensesame")
        .body(format!(r#"{{"object_kind": "build", "build_id": {job}, "build_status": "{state}", "project_id": 101}}"#))
}

#[test]
fn from_the_webhook_on_no_worker_serves_the_job() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    assert_eq!(status(&host.exchange(0, clone("apps/web", NORA), gitlab)), 200);
    let stream = host.send(1, report(1001, "failed"), nobody);
    assert_eq!(status(&host.outcome(stream)), 204);
    let said = |name: &str| String::from_utf8(host.properties(stream)[name].clone()).unwrap();
    assert_eq!(["jobscope_action", "jobscope_reason", "jobscope_job"].map(said), ["webhook", "webhook.ended", "1001"]);
    for worker in [0, 1] {
        assert_eq!(status(&host.exchange(worker, clone("libs/common", DANA), nobody)), 401);
        assert_eq!(status(&host.exchange(worker, clone("apps/web", NORA), nobody)), 200, "another job goes on");
    }
}

#[test]
fn without_the_secret_nothing_is_read() {
    let mut host = host();
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    let Request { body, .. } = report(1001, "failed");
    for wrong in [head("opensesam"), head(""), head("x").header("x-gitlab-token", "opensesame"), post(PATH)] {
        let outcome = host.exchange(0, Request { head: wrong, body: body.clone() }, nobody);
        assert_eq!(status(&outcome), 401, "{outcome:?}");
    }
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), nobody)), 200);
}

#[test]
fn what_comes_to_the_path_is_never_forwarded() {
    for mode in ["enforce", "observe"] {
        let mut host = host_of(mode);
        for (request, answer) in [
            (RequestHead::new("GET", "gitlab.example.com", PATH).into(), 405),
            (RequestHead::new("GET", "gitlab.example.com", PATH).header("job-token", DANA).into(), 405),
            (head("opensesame").into(), 400),
            (head("opensesame").body("{"), 400),
            (head("opensesame").body(r#"{"object_kind": "pipeline"}"#), 204),
            (report(1001, "running"), 204),
            (post(PATH).header("x-gitlab-token", "opensesame").header("content-type", "text/xml").body("<"), 415),
            (head("opensesame").body(vec![b' '; (1 << 20) + 1]), 413),
            (RequestHead::new("POST", "gitlab.example.com:", PATH).header("x-gitlab-token", "x").body("{}"), 401),
            (RequestHead::new("GET", "gitlab.example.com:x", PATH).into(), 405),
            (RequestHead::new("GET", "", PATH).into(), 405),
        ] {
            assert_eq!(status(&host.exchange(0, request, nobody)), answer, "{mode}");
        }
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
    }
}

#[test]
fn a_report_may_come_in_pieces() {
    let mut host = host();
    let mut request = report(1001, "success");
    let whole = request.body.remove(0);
    request.body = whole.chunks(7).map(<[u8]>::to_vec).collect();
    assert_eq!(status(&host.exchange(0, request, nobody)), 204);
    assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 401);
}

#[test]
fn reports_that_come_in_pieces_share_the_place_that_held_bodies_have() {
    let mut host = host();
    let slow = |host: &mut Host, head: RequestHead| {
        let stream = host.open(0, head.with_body());
        host.request_body(stream, vec![b' '; 1 << 20], false);
        stream
    };
    let streams: Vec<_> = (0..63).map(|_| slow(&mut host, head("opensesame"))).collect();
    assert!(streams.iter().all(|stream| host.outcome(*stream) == Outcome::Paused));
    let batch = post("/libs/common.git/info/lfs/objects/batch")
        .header("authorization", basic(DANA))
        .header("content-type", "application/vnd.git-lfs+json");
    for (head, reason) in [(head("opensesame"), "webhook.busy"), (batch, "host.busy")] {
        let more = slow(&mut host, head);
        assert_eq!((status(&host.outcome(more)), &*property(&host, more, "jobscope_reason")), (503, reason));
        host.close(more);
    }
    assert_eq!(host.metric("jobscope.limits.reason.webhook_busy"), Some(1));
    host.tick(0);
    assert!(streams.iter().all(|stream| host.outcome(*stream) == Outcome::Paused), "the forge may take its time");
    assert_eq!(status(&host.exchange(0, report(1001, "failed"), nobody)), 204, "what is there at once needs no place");
    streams.into_iter().for_each(|stream| host.close(stream));
    let next = slow(&mut host, head("opensesame"));
    assert_eq!(host.outcome(next), Outcome::Paused, "what left is not counted");
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_lookup_that_was_under_way_when_the_webhook_came_brings_nothing_back() {
    let mut host = host();
    // The forge said that the job runs, and then that it is over; the later word came first.
    let early = host.open(0, clone("libs/common", DANA));
    let Request { head, mut body } = report(1001, "canceled");
    let report = host.open(1, head.with_body());
    host.request_body(report, body.remove(0), true);
    assert_eq!(status(&host.outcome(report)), 204, "it waits for nothing");
    host.settle(gitlab);
    assert_eq!(status(&host.outcome(early)), 401);
    assert_eq!(status(&host.exchange(1, clone("libs/common", DANA), nobody)), 401);
}

#[test]
fn an_end_that_cannot_be_remembered_is_not_confirmed() {
    let mut host = host();
    host.fail_always(Hostcall::SetSharedData, Status::InternalFailure);
    assert_eq!(status(&host.exchange(0, report(1001, "failed"), nobody)), 503);
    assert!(!host.trapped(0));
}

#[test]
fn without_a_path_there_is_no_webhook() {
    let mut host = crate::forge::host();
    assert_eq!(status(&host.exchange(0, report(1001, "failed"), nobody)), 200, "the forge answers");
}
