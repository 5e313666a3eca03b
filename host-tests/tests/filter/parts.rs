//! Parts of facts about targets: shared between jobs and users, each for its own time.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Outcome, RequestHead};

use crate::forge::{DANA, NORA, api, clone, gitlab, host, host_with, nobody, rounds};

/// Another job of apps/web, started by dana.
const DANA_TOO: &str = "glcbt-64_danaToo";
/// A job of apps/other, started by dana.
const ELSEWHERE: &str = "glcbt-64_elsewhere";

fn forge(call: &Callout) -> Answer {
    let job = |id: u64, project: u64, path: &str| {
        Answer::json(
            200,
            format!(
                r#"{{"id": {id}, "status": "running", "user": {{"id": 11, "username": "dana", "state": "active"}},
                    "pipeline": {{"id": 1, "project_id": {project}}}, "web_url": "http://gitlab.example.com/{path}/-/jobs/{id}"}}"#
            ),
        )
    };
    match call.header("job-token").as_deref() {
        Some(DANA_TOO) => job(1002, 101, "apps/web"),
        Some(ELSEWHERE) => job(1003, 109, "apps/other"),
        _ => gitlab(call),
    }
}

/// What is asked after the token, and the status that the client gets.
fn asked(host: &mut Host, worker: usize, request: RequestHead) -> (Vec<String>, u32) {
    let stream = host.open(worker, request);
    let asked = rounds(host, forge).into_iter().flatten().filter(|call| call != "/job").collect();
    let status = match host.outcome(stream) {
        Outcome::Forwarded { .. } => 200,
        Outcome::Replied(reply) => reply.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(host.hazards(), Vec::<String>::new());
    host.close(stream);
    (asked, status)
}

#[test]
fn a_job_asks_only_what_no_other_asked() {
    let mut host = host();
    assert_eq!(asked(&mut host, 0, clone("libs/common", DANA)).0.len(), 5);
    // Another job of the same user in the same project: nothing but whose token it is.
    assert_eq!(asked(&mut host, 1, clone("libs/common", DANA_TOO)), (vec![], 200));
    // Another user in the same project: what is said of the user.
    let (of_nora, status) = asked(&mut host, 1, clone("libs/common", NORA));
    assert_eq!((of_nora, status), (vec!["/projects/102/members/all/12".into(), "/users/12".into()], 404));
    // Another project: what the allowlist says of it.
    let (of_other, status) = asked(&mut host, 0, clone("libs/common", ELSEWHERE));
    assert_eq!((of_other, status), (vec!["jobscopeAllowlist libs/common".into()], 403));
    // Another target: what is said of it.
    let (of_target, _) = asked(&mut host, 0, clone("infra/secrets", DANA));
    let of =
        ["/projects/infra%2Fsecrets", "/projects/infra%2Fsecrets/members/all/11", "jobscopeAllowlist infra/secrets"];
    assert_eq!(of_target, of);
}

#[test]
fn what_is_composed_of_parts_needs_no_lookup_at_all() {
    let mut host = host();
    asked(&mut host, 0, clone("libs/common", DANA));
    asked(&mut host, 0, clone("libs/common", NORA));
    // A job of another project, whose targets' parts are all known but for its own allowlist entry.
    asked(&mut host, 0, clone("infra/secrets", ELSEWHERE));
    assert_eq!(asked(&mut host, 1, clone("libs/common", ELSEWHERE)).0, ["jobscopeAllowlist libs/common"]);
    // Its second job finds everything; also where nothing at all has to be asked the request is answered at once.
    let stream = host.open(0, clone("libs/common", ELSEWHERE));
    assert!(matches!(host.outcome(stream), Outcome::Replied(_)), "{:?}", host.outcome(stream));
}

#[test]
fn each_part_is_looked_up_again_after_its_own_time() {
    let mut host = host_with(
        r#", "bindings": {"revalidate_after": "4m"}, "facts": {"projects_revalidate_after": "2m",
            "members_revalidate_after": "1m", "allowlists_revalidate_after": "30s"}"#,
    );
    asked(&mut host, 0, clone("libs/common", DANA));
    let allowlists = ["/application/settings", "jobscopeAllowlist libs/common"];
    let members = ["/projects/102/members/all/11", "/users/11"];
    let mut passed = 0;
    for (seconds, expected) in [
        (29, vec![]),
        (31, allowlists.to_vec()),
        (59, vec![]),
        (62, [&allowlists[..1], &members[..], &allowlists[1..]].concat()),
    ] {
        host.advance(Duration::from_secs(seconds - passed));
        passed = seconds;
        // It is served from what is remembered, and what has grown old is asked behind its back.
        let stream = host.open(0, clone("libs/common", DANA));
        assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }));
        let asked: Vec<String> = rounds(&mut host, forge).concat();
        assert_eq!(asked, expected, "after {seconds} s");
        assert!(matches!(host.exchange(1, clone("libs/common", DANA), nobody), Outcome::Forwarded { .. }));
    }
}

#[test]
fn no_part_that_has_grown_old_denies() {
    let mut host = host_with(r#", "facts": {"projects_revalidate_after": "4m", "members_revalidate_after": "4m"}"#);
    assert_eq!(asked(&mut host, 0, clone("infra/secrets", DANA)).1, 403);
    host.advance(Duration::from_secs(31));
    let (again, status) = asked(&mut host, 0, clone("infra/secrets", DANA));
    assert_eq!((again.len(), status), (5, 403), "nor one that could be newer: all of it is asked again");
    assert_eq!(asked(&mut host, 0, clone("infra/secrets", DANA)), (vec![], 403));
}

/// The old path of a project that is now this one, or nowhere.
fn renamed(now: Option<u64>) -> impl Fn(&Callout) -> Answer {
    move |call| {
        let is_by_path = call.path().contains("/projects/libs%2Fcommon");
        let asks_by_path = call.path() == "/api/graphql" && {
            let asked: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
            asked["variables"]["path"] == "libs/common"
        };
        match (is_by_path, asks_by_path, now) {
            (true, _, Some(now)) => {
                let at = call.path().replace("libs%2Fcommon", &now.to_string());
                let location = format!("https://gitlab.example.com{at}");
                let fields = [("location", location.as_str()), ("x-envoy-upstream-service-time", "1")];
                Answer::response(301, &fields, "")
            }
            (true, _, None) => Answer::json(404, r#"{"message": "404 Project Not Found"}"#),
            (_, true, _) => Answer::json(200, r#"{"data": {"project": null}}"#),
            _ => forge(call),
        }
    }
}

#[test]
fn a_project_that_moved_or_is_gone_while_it_is_remembered_is_asked_for_once_more() {
    for (now, expected) in [(Some(102), 200), (None, 404)] {
        let mut host = host_with(r#", "facts": {"projects_revalidate_after": "4m"}"#);
        asked(&mut host, 0, clone("libs/common", DANA));
        // Another project's job: the project is remembered, and its allowlist is asked for by the old path.
        let other = host.exchange(0, clone("libs/common", ELSEWHERE), |call: &Callout| match call.path().as_str() {
            "/api/graphql" if renamed(now)(call) == forge(call) => {
                Answer::json(200, crate::forge::allowlist(&serde_json::from_slice(&call.body).unwrap(), &[109]))
            }
            _ => renamed(now)(call),
        });
        assert_eq!(crate::forge::status(&other), expected, "{now:?}");
        assert_eq!(host.hazards(), Vec::<String>::new());
    }
}

#[test]
fn a_path_that_is_another_projects_now_is_read_as_that_one() {
    let mut host = host_with(r#", "facts": {"projects_revalidate_after": "4m"}"#);
    asked(&mut host, 0, clone("libs/common", DANA));
    // What was infra/secrets has the path now, and admits the other origin.
    let swapped = |call: &Callout| match call.path().as_str() {
        "/api/v4/projects/libs%2Fcommon" => {
            Answer::json(200, r#"{"id": 103, "path_with_namespace": "libs/common", "visibility": "private"}"#)
        }
        "/api/graphql" => {
            let said = crate::forge::allowlist(&serde_json::from_slice(&call.body).unwrap(), &[109]);
            Answer::json(200, said.replace("Project/102", "Project/103"))
        }
        _ => forge(call),
    };
    assert_eq!(crate::forge::status(&host.exchange(0, clone("libs/common", ELSEWHERE), swapped)), 200);
    let mut calls = 0;
    let broken = host.exchange(0, clone("infra/secrets", ELSEWHERE), |call: &Callout| {
        calls += 1;
        if call.path() == "/api/graphql" { Answer::json(200, r#"{"data": {"project": null}}"#) } else { forge(call) }
    });
    assert_eq!(crate::forge::status(&broken), 503, "a contradiction that stays is none of what is remembered");
    assert!(calls < 12, "{calls}");
}

#[test]
fn an_image_goes_on_from_what_is_known_of_its_paths() {
    let mut host = host();
    let pull = |token: &str| {
        crate::forge::get("/jwt/auth?service=container_registry&scope=repository:libs/common/a/b:pull")
            .header("authorization", crate::forge::basic(token))
    };
    assert_eq!(asked(&mut host, 0, pull(DANA)).0.len(), 11);
    let (of_nora, _) = asked(&mut host, 0, pull(NORA));
    assert_eq!(of_nora, ["/projects/102/members/all/12", "/users/12"], "two of three paths are nothing");
    assert_eq!(asked(&mut host, 0, clone("libs/common", DANA)), (vec![], 200), "and the third serves Git as well");
}

#[test]
fn whom_a_number_means_is_asked_and_what_is_known_of_that_project_is_not() {
    let mut host = host();
    asked(&mut host, 0, clone("libs/common", DANA));
    let by_number = asked(&mut host, 0, api("/projects/102/releases", DANA));
    assert_eq!(by_number, (vec!["/projects/102".into()], 200));
}
