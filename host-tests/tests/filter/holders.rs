//! Packages that a group is asked for: who holds them, and what each of those is to the job.

use std::time::Duration;

use host_tests::host::{Answer, Callout, Host, Outcome, RequestHead};
use serde_json::json;

use crate::forge::{DANA, NORA, api, gitlab, host, host_with, rounds};

const TOOL: &str = "/groups/libs/-/packages/npm/@libs%2ftool";

/// The forge, in which these projects hold every package that is asked for.
fn held_by(projects: &[u64]) -> impl Fn(&Callout) -> Answer {
    held_as("@libs/tool", projects)
}

/// The same, where the package has this name.
fn held_as(name: &'static str, projects: &[u64]) -> impl Fn(&Callout) -> Answer {
    let projects = projects.to_vec();
    move |call| {
        let path = call.path();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        if path == "/api/v4/user" {
            return Answer::json(200, r#"{"id": 1, "is_admin": true}"#);
        }
        if !path.starts_with("/api/v4/groups/") {
            return gitlab(call);
        }
        let said = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let entry = |id| json!({"id": id, "project_id": id, "name": name, "package_type": said("package_type")});
        let is_hidden = said("status") == Some("hidden");
        let listed: Vec<_> = projects.iter().filter(|_| !is_hidden).map(entry).collect();
        Answer::json(200, json!(listed).to_string())
    }
}

/// What is asked, and what the client gets.
fn asked(host: &mut Host, request: RequestHead, holders: &[u64]) -> (Vec<Vec<String>>, u32, String) {
    let stream = host.open(0, request);
    let asked = rounds(host, held_by(holders));
    let (status, body) = match host.outcome(stream) {
        Outcome::Forwarded { .. } => (200, String::new()),
        Outcome::Replied(reply) => (reply.status, String::from_utf8(reply.body).unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(host.hazards(), Vec::<String>::new());
    host.close(stream);
    (asked, status, body)
}

fn status(host: &mut Host, request: RequestHead, holders: &[u64]) -> u32 {
    asked(host, request, holders).1
}

const LIST: &str =
    "/groups/libs/packages?package_type=npm&package_name=%40libs%2Ftool&include_versionless=true&per_page=100&page=1";
const HIDDEN: &str = "/groups/libs/packages?package_type=npm&package_name=%40libs%2Ftool&status=hidden&include_versionless=true&per_page=100&page=1";

#[test]
fn who_holds_a_package_is_one_round_more_and_the_same_for_every_job() {
    let mut host = host();
    let (cold, status, _) = asked(&mut host, api(TOOL, DANA), &[102]);
    assert_eq!(status, 200);
    assert_eq!(cold[..2], [vec!["/job"], vec![LIST, HIDDEN, "/user"]]);
    let of_project = ["/application/settings", "/projects/102", "/projects/102/members/all/11", "/users/11"];
    assert!(cold.len() == 3 && of_project.iter().all(|call| cold[2].contains(&(*call).to_owned())), "{cold:?}");
    assert_eq!(asked(&mut host, api(TOOL, DANA), &[102]), (vec![], 200, String::new()), "all of it is remembered");
    // The project by its number is the one that is named so elsewhere.
    assert!(asked(&mut host, api("/projects/102/packages/npm/@libs%2ftool", DANA), &[]).0.is_empty());
    let (of_nora, status, _) = asked(&mut host, api(TOOL, NORA), &[]);
    assert!(status == 404 && !of_nora.iter().flatten().any(|call| call == LIST), "{of_nora:?}");
}

#[test]
fn however_old_what_is_remembered_is_a_holder_is_decided_on() {
    for pause in [300, 700, 1100, 1300, 1700, 1900, 2100, 2900] {
        let mut host = host();
        for (at, holders) in
            [&[103][..], &[102, 103], &[999], &[102, 999], &[103, 999]].iter().cycle().take(25).enumerate()
        {
            host.advance(Duration::from_millis(pause));
            let by_path = status(&mut host, api("/projects/infra%2Fsecrets/packages/npm/@libs%2ftool", DANA), &[]);
            host.advance(Duration::from_millis(if at % 2 == 0 { pause } else { 1 }));
            let (asked, by_group, body) = asked(&mut host, api(TOOL, DANA), holders);
            assert!(by_path == 403 && matches!(by_group, 403 | 404), "{pause} {at} {by_group} {asked:?} {body}");
        }
    }
}

#[test]
fn every_project_that_holds_it_must_let_the_job_in_and_is_named_to_who_may_know_it() {
    for holders in [&[103][..], &[102, 103], &[103, 101], &[101, 102, 103]] {
        let (_, status, body) = asked(&mut host(), api(TOOL, DANA), holders);
        assert!(status == 403 && body.contains("allowlist of infra/secrets"), "{holders:?} {status} {body}");
        let (_, status, body) = asked(&mut host(), api(TOOL, NORA), holders);
        assert!(status == 404 && !body.contains("infra"), "{holders:?} {status} {body}");
    }
    for holders in [&[101][..], &[102], &[101, 102]] {
        assert_eq!(status(&mut host(), api(TOOL, DANA), holders), 200, "{holders:?}");
    }
    // A project that is listed and not to be had.
    assert_eq!(status(&mut host(), api(TOOL, DANA), &[102, 999]), 404);
}

#[test]
fn of_each_kind_of_registry_what_names_a_package_is_asked_of_its_holders() {
    for (path, name) in [
        (TOOL, "@libs/tool"),
        ("/packages/npm/@libs%2ftool", "@libs/tool"),
        ("/groups/7/-/packages/npm/-/package/@libs%2ftool/dist-tags", "@libs/tool"),
        ("/groups/libs%2Fteam/-/packages/maven/com/example/app/1.0/app-1.0.jar", "com/example/app"),
        ("/groups/libs/-/packages/pypi/simple/my-tool/", "My_Tool"),
        ("/groups/libs/-/packages/pypi/files/abc/my_tool-1.0-py3-none-any.whl", "My_Tool"),
        ("/groups/libs/-/packages/nuget/metadata/tool/index.json", "Tool"),
        ("/group/libs/-/packages/composer/p2/vendor/tool.json", "vendor/tool"),
        ("/packages/terraform/modules/v1/libs/tool/aws/versions", "tool/aws"),
    ] {
        let of = |holders: &[u64]| {
            let mut host = host();
            let stream = host.open(0, api(path, DANA));
            rounds(&mut host, held_as(name, holders));
            match host.outcome(stream) {
                Outcome::Forwarded { .. } => 200,
                Outcome::Replied(reply) => reply.status,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((of(&[102]), of(&[102, 103])), (200, 403), "{path}");
        // What nobody holds the forge answers, but for a file, whose name alone says whose it is.
        assert_eq!(of(&[]), if path.contains("/files/") { 404 } else { 200 }, "{path}");
    }
}

#[test]
fn a_package_that_comes_to_another_project_counts_as_soon_as_a_target_does() {
    let mut host = host();
    assert_eq!(status(&mut host, api(TOOL, DANA), &[102]), 200);
    host.advance(Duration::from_secs(29));
    assert!(asked(&mut host, api(TOOL, DANA), &[102, 103]).0.is_empty());
    host.advance(Duration::from_secs(2));
    // It has grown old: it serves once more, and is looked up beside that.
    assert_eq!(status(&mut host, api(TOOL, DANA), &[102, 103]), 200);
    assert_eq!(status(&mut host, api(TOOL, DANA), &[102, 103]), 403);
    // What is granted counts at once, and so does a package that is gone.
    host.advance(Duration::from_secs(3));
    assert_eq!(status(&mut host, api(TOOL, DANA), &[102]), 200);
}

#[test]
fn those_who_ask_at_once_wait_for_one_lookup() {
    let mut host = host();
    let streams = [DANA, DANA, DANA].map(|token| host.open(0, api(TOOL, token)));
    let asked = rounds(&mut host, held_by(&[102]));
    assert_eq!(asked.iter().flatten().filter(|call| *call == LIST).count(), 1, "{asked:?}");
    assert!(streams.iter().all(|stream| matches!(host.outcome(*stream), Outcome::Forwarded { .. })));
}

#[test]
fn whatever_becomes_of_the_lists_nothing_is_let_through() {
    let mut host = host();
    for (part, answer, expected) in [
        ("/user", Answer::json(200, r#"{"id": 1}"#), 503),
        ("packages?", Answer::json(401, r#"{"message": "401 Unauthorized"}"#), 503),
        ("packages?", Answer::json(200, "{}"), 503),
        ("packages?", Answer::json(200, r#"[{"id": 1}]"#), 503),
        ("packages?", Answer::json(404, r#"{"message": "404 Group Not Found"}"#), 404),
        ("status=hidden", Answer::json(502, ""), 503),
    ] {
        let stream = host.open(0, api(TOOL, DANA));
        let forge = held_by(&[102]);
        for _ in 0..30 {
            rounds(&mut host, |call| if call.path().contains(part) { answer.clone() } else { forge(call) });
            host.advance(Duration::from_millis(100));
        }
        let Outcome::Replied(reply) = host.outcome(stream) else { panic!("{part}") };
        assert_eq!(reply.status, expected, "{part}");
        host.advance(Duration::from_secs(20));
    }
    assert_eq!(status(&mut host, api(TOOL, DANA), &[102]), 200, "and nothing of it is remembered");
}

#[test]
fn an_index_asks_nobody_unless_jobs_may_ask_for_one() {
    let index = || api("/groups/libs/-/packages/pypi/simple/", DANA);
    let (asked_off, status_off, body) = asked(&mut host(), index(), &[102]);
    assert!(asked_off == [["/job"]] && status_off == 403 && body.contains("`packages.index`"), "{asked_off:?} {body}");
    let on = r#", "packages": {"index": "all-admitted"}"#;
    let (asked_on, status_on, _) = asked(&mut host_with(on), index(), &[102]);
    let projects = "/groups/libs/projects?include_subgroups=true&with_shared=false&simple=true&per_page=100&page=1";
    assert!(status_on == 200 && asked_on[1] == [projects, "/user"], "{asked_on:?}");
    assert_eq!(status(&mut host_with(on), index(), &[102, 103]), 403);
    let many: Vec<u64> = (1000..1033).collect();
    assert_eq!(status(&mut host_with(on), index(), &many), 404);
}
