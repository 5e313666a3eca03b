//! What a cold decision asks, and in how many rounds: the token, then everything else side by side.

use host_tests::host::{Answer, Callout, Host, Outcome, RequestHead};
use serde_json::{Value, json};

use crate::forge::{DANA, allowlist, api, basic, clone, get, gitlab, host, host_with, rounds};

/// The rounds of a request that is let go.
fn cold(host: &mut Host, request: RequestHead, answer: impl FnMut(&Callout) -> Answer) -> Vec<Vec<String>> {
    let stream = host.open(0, request);
    let asked = rounds(host, answer);
    assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }), "{:?}", host.outcome(stream));
    assert_eq!(host.hazards(), Vec::<String>::new());
    asked
}

const CURIOUS: &str = r#", "access": {"deny": [{"id": "r", "targets": ["infra/**"],
    "when": {"protected": false, "environment": ["live"], "fork": true}}]}"#;

#[test]
fn a_cold_decision_takes_two_rounds() {
    let pull = get("/jwt/auth?service=container_registry&scope=repository:libs/common/a/b:pull")
        .header("authorization", basic(DANA));
    let token = ["/job"];
    let of = |path: &str, by: &str| {
        let (project, members) = (format!("/projects/{path}"), format!("/projects/{path}/members/all/11"));
        vec![
            "/application/settings".to_string(),
            project,
            members,
            "/users/11".into(),
            format!("jobscopeAllowlist {by}"),
        ]
    };
    let image = vec![
        "/application/settings",
        "/projects/libs%2Fcommon",
        "/projects/libs%2Fcommon%2Fa",
        "/projects/libs%2Fcommon%2Fa%2Fb",
        "/projects/libs%2Fcommon%2Fa%2Fb/members/all/11",
        "/projects/libs%2Fcommon%2Fa/members/all/11",
        "/projects/libs%2Fcommon/members/all/11",
        "/users/11",
        "jobscopeAllowlist libs/common",
        "jobscopeAllowlist libs/common/a",
        "jobscopeAllowlist libs/common/a/b",
    ];
    let own = ["/projects/apps%2Fweb", "/projects/apps%2Fweb/members/all/11", "/users/11"];
    let strings = |calls: &[&str]| calls.iter().map(ToString::to_string).collect::<Vec<String>>();
    for (request, second) in [
        (clone("libs/common", DANA), of("libs%2Fcommon", "libs/common")),
        (api("/projects/102/releases", DANA), of("102", "gid://gitlab/Project/102")),
        (pull, strings(&image)),
        (clone("apps/web", DANA), strings(&own)),
    ] {
        let asked = cold(&mut host(), request, gitlab);
        assert_eq!(asked, [strings(&token), second]);
    }
    let asked = cold(&mut host(), api("/job", DANA), gitlab);
    assert_eq!(asked, [token], "what needs no target asks for none");
}

#[test]
fn what_rules_look_at_adds_no_round() {
    let asked = cold(&mut host_with(CURIOUS), clone("libs/common", DANA), |call| match call.path().as_str() {
        "/api/v4/job" => Answer::json(
            200,
            r#"{"id": 1001, "status": "running", "user": {"id": 11, "username": "dana", "state": "active"}, "tag": false,
                "ref": "refs/merge-requests/5/head", "pipeline": {"id": 1, "project_id": 101, "source": "merge_request_event"},
                "web_url": "http://gitlab.example.com/apps/web/-/jobs/1001"}"#,
        ),
        "/api/v4/projects/101/merge_requests/5" => Answer::json(200, r#"{"source_project_id": 101}"#),
        _ => gitlab(call),
    });
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0], ["/job", "/job/allowed_agents"]);
    assert!(asked[1].contains(&"/projects/101/merge_requests/5".to_string()), "{asked:?}");
    assert_eq!(asked[1].len(), 6, "{asked:?}");
    let asked = cold(&mut host_with(CURIOUS), clone("libs/common", DANA), gitlab);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].contains(&"/projects/101/repository/branches/main".to_string()), "{asked:?}");
    let asked = cold(&mut host_with(CURIOUS), api("/job", DANA), gitlab);
    assert!(
        asked.iter().flatten().all(|call| call.starts_with("/job") || call.starts_with("/projects/101/")),
        "{asked:?}"
    );
}

/// GitLab with another allowlist of libs/common.
fn with_allowlist(change: impl Fn(&mut Value)) -> impl FnMut(&Callout) -> Answer {
    move |call| {
        if call.path() != "/api/graphql" {
            return gitlab(call);
        }
        let asked: Value = serde_json::from_slice(&call.body).unwrap();
        let mut said: Value = serde_json::from_str(&allowlist(&asked, &[101])).unwrap();
        change(&mut said["data"]["project"]);
        Answer::json(200, said.to_string())
    }
}

#[test]
fn entries_enforcement_and_long_lists_add_no_round() {
    let narrow = |project: &mut Value| {
        let list = &mut project["ciJobTokenScopeAllowlist"];
        for name in ["projectsAllowlist", "lastProjects"] {
            list[name]["nodes"][0]["defaultPermissions"] = json!(false);
            list[name]["nodes"][0]["jobTokenPolicies"] = json!(["READ_RELEASES"]);
        }
    };
    let fetch = || api("/projects/libs%2Fcommon/releases", DANA);
    assert_eq!(cold(&mut host(), fetch(), with_allowlist(narrow)).len(), 2);
    let open = |project: &mut Value| project["ciCdSettings"]["inboundJobTokenScopeEnabled"] = json!(false);
    assert_eq!(cold(&mut host(), clone("libs/common", DANA), with_allowlist(open)).len(), 2);
    // The origin is the last of 199.
    let long = |project: &mut Value| {
        let list = &mut project["ciJobTokenScopeAllowlist"];
        let own = list["projectsAllowlist"]["nodes"][0].clone();
        let other = |id: u64| {
            let mut node = own.clone();
            node["target"]["id"] = json!(format!("gid://gitlab/Project/{id}"));
            node
        };
        list["projectsAllowlist"]["nodes"] = (1000..1100).map(other).collect();
        list["projectsAllowlist"]["pageInfo"] = json!({"hasNextPage": true, "endCursor": "100"});
        list["lastProjects"]["nodes"] = (1099..1198).map(other).chain([own.clone()]).collect();
        list["lastProjects"]["pageInfo"] = json!({"hasPreviousPage": true});
    };
    assert_eq!(cold(&mut host(), clone("libs/common", DANA), with_allowlist(long)).len(), 2);
}

#[test]
fn an_outbound_list_adds_no_round() {
    let mut host = host_with(r#", "facts": {"outbound": "lookup"}"#);
    let asked = cold(&mut host, clone("libs/common", DANA), |call| {
        let list = r#"{"nodes": [{"id": "gid://gitlab/Project/102"}], "pageInfo": {"hasNextPage": false, "hasPreviousPage": false}}"#;
        let body = String::from_utf8_lossy(&call.body).into_owned();
        match call.path().as_str() {
            "/api/v4/projects/101/job_token_scope" => {
                Answer::json(200, r#"{"inbound_enabled": true, "outbound_enabled": true}"#)
            }
            "/api/graphql" if body.contains("jobscopeOutbound") => Answer::json(
                200,
                format!(r#"{{"data": {{"project": {{"ciJobTokenScope": {{"projects": {list}, "last": {list}}}}}}}}}"#),
            ),
            _ => gitlab(call),
        }
    });
    assert_eq!((asked.len(), asked[1].len()), (2, 7), "{asked:?}");
}

#[test]
fn a_forge_before_17_10_takes_one_round_more() {
    let asked = cold(&mut host(), clone("libs/common", DANA), |call| match call.path().as_str() {
        "/api/graphql" => Answer::json(
            200,
            r#"{"errors": [{"message": "Field 'ciJobTokenScopeAllowlist' doesn't exist on type 'Project'"}]}"#,
        ),
        path if path.contains("/groups_allowlist?") => Answer::json(200, "[]"),
        path if path.contains("/allowlist?") => Answer::json(200, r#"[{"id": 101}]"#),
        _ => gitlab(call),
    });
    assert_eq!(
        asked[2],
        [
            "/projects/102/job_token_scope",
            "/projects/102/job_token_scope/allowlist?per_page=100&page=1",
            "/projects/102/job_token_scope/groups_allowlist?per_page=100&page=1",
        ]
    );
    assert_eq!(asked.len(), 3);
}
