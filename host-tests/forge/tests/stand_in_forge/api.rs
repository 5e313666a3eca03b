//! Look-ups, faults, registry tokens and what clients use of the API.

use serde_json::json;

use crate::harness::{Forge, JOB};

const SERVICE: (&str, &str) = ("PRIVATE-TOKEN", "glpat-jobscope-lookup");

#[test]
fn a_job_looks_itself_up() {
    let forge = Forge::start();
    let job = forge.get("api/v4/job", &[("JOB-TOKEN", JOB)]).json();
    assert_eq!(job["id"], 1001);
    assert_eq!(job["status"], "running");
    assert_eq!(job["user"]["username"], "dana");
    assert_eq!(job["pipeline"]["project_id"], 101);
    assert_eq!(job["project"], json!({ "ci_job_token_scope_enabled": false }));
    let nobody = forge.get("api/v4/job", &[("JOB-TOKEN", "glcbt-64_triggerBuildsWeb006")]).json();
    assert!(nobody["user"].is_null());
    let person = forge.get("api/v4/job", &[SERVICE]);
    assert_eq!((person.status, person.json()), (404, json!({ "message": "404 Job Not Found" })));
    assert_eq!(forge.get("api/v4/job", &[]).status, 401);
    assert_eq!(forge.status_of("glcbt-unknown"), 401);
    // The pending job's token does not count yet.
    assert_eq!(forge.status_of("glcbt-64_danaTestsWeb00000007"), 401);
}

#[test]
fn every_carrier_of_a_job_token_counts() {
    let forge = Forge::start();
    let basic = "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTY0X2RhbmFCdWlsZHNXZWIwMDAwMDE=";
    let bearer = format!("Bearer {JOB}");
    let file = "api/v4/projects/infra%2Fsecrets/packages/generic/keys/1.0/key.txt";
    for headers in [[("JOB-TOKEN", JOB)], [("Authorization", basic)], [("Authorization", &bearer)]] {
        assert_eq!(forge.get(file, &headers).body, "a key\n");
    }
    for parameter in ["job_token", "token"] {
        assert_eq!(forge.get(&format!("{file}?{parameter}={JOB}"), &[]).body, "a key\n");
    }
    let json = json!({ "job_token": JOB, "tag_name": "v1" }).to_string();
    let form = format!("job_token={JOB}&tag_name=v2");
    let multipart = format!(
        "--x\r\nContent-Disposition: form-data; name=\"job_token\"\r\n\r\n{JOB}\r\n--x\r\n\
         Content-Disposition: form-data; name=\"tag_name\"\r\n\r\nv3\r\n--x--\r\n"
    );
    for (kind, body) in [
        ("application/json", json),
        ("application/x-www-form-urlencoded", form),
        ("multipart/form-data; boundary=x", multipart),
    ] {
        let answer = forge.call("POST", "api/v4/projects/106/releases", &[("Content-Type", kind)], &body);
        assert_eq!(answer.status, 201, "{kind}: {}", answer.body);
    }
}

#[test]
fn the_service_account_sees_what_decides() {
    let forge = Forge::start();
    let get = |path: &str| forge.get(&format!("api/v4/{path}"), &[SERVICE]);
    let project = get("projects/libs%2Fcommon").json();
    assert_eq!(project["id"], 102);
    assert_eq!(project["visibility"], "private");
    assert_eq!((&project["public_jobs"], &project["archived"]), (&true.into(), &false.into()));
    assert_eq!(project["infrastructure_access_level"], "enabled");
    assert_eq!(project["namespace"]["full_path"], "libs");
    assert_eq!(project["repository_access_level"], "enabled");
    assert_eq!(project["ci_push_repository_for_job_token_allowed"], false);
    let scope = json!({ "inbound_enabled": true, "outbound_enabled": false });
    assert_eq!(get("projects/102/job_token_scope").json(), scope);
    let first = get("projects/102/job_token_scope/allowlist?per_page=1");
    assert_eq!(first.header("x-next-page"), Some("2"));
    assert_eq!(first.json()[0]["id"], 102);
    let second = get("projects/102/job_token_scope/allowlist?per_page=1&page=2");
    assert_eq!(second.header("x-next-page"), Some(""));
    assert_eq!(second.json()[0]["path_with_namespace"], "apps/web");
    let groups = get("projects/104/job_token_scope/groups_allowlist").json();
    assert_eq!(groups, json!([{ "id": 1, "name": "apps", "web_url": forge.url("groups/apps") }]));
    assert_eq!(get("projects/102/members/all/11").json()["access_level"], 20);
    let none = get("projects/102/members/all/12");
    assert_eq!((none.status, none.json()), (404, json!({ "message": "404 Not found" })));
    assert_eq!(get("users/14").json()["external"], true);
    assert_eq!(get("application/settings").json()["enforce_ci_inbound_job_token_scope_enabled"], false);
    let gone = get("projects/999");
    assert_eq!((gone.status, gone.json()), (404, json!({ "message": "404 Project Not Found" })));
}

/// As doc/api/rest has it: a link to what lies behind the last number, until an empty page has none.
#[test]
fn projects_are_listed_by_their_numbers() {
    let forge = Forge::start();
    let get = |query: &str| forge.get(&format!("api/v4/projects?{query}"), &[SERVICE]);
    let ids = |query: &str| -> Vec<u64> {
        let listed = get(query).json();
        listed.as_array().unwrap().iter().map(|project| project["id"].as_u64().unwrap()).collect()
    };
    let keyset = "pagination=keyset&order_by=id&per_page=3";
    let first = get(&format!("{keyset}&sort=asc"));
    let next = format!("<{}?{keyset}&sort=asc&id_after=103>; rel=\"next\"", forge.url("api/v4/projects"));
    assert_eq!((first.header("link"), first.header("x-next-page")), (Some(next.as_str()), None));
    assert_eq!(ids(&format!("{keyset}&sort=asc&id_after=103")), [104, 105, 106]);
    let last = get(&format!("{keyset}&sort=asc&id_after=900"));
    assert_eq!((last.json(), last.header("link")), (json!([]), None));
    assert_eq!(ids(&format!("{keyset}&id_before=104")), [103, 102, 101], "newest first");
    assert_eq!(ids("order_by=id&sort=asc&id_after=103&per_page=2"), [104, 105]);
    assert_eq!(ids("archived=true"), [0; 0]);
    let other = get("pagination=keyset&order_by=name");
    assert_eq!(other.status, 405, "{}", other.body);
    // Who is nobody sees what is public.
    assert_eq!(forge.get("api/v4/projects", &[]).json()[0]["id"], 105);
}

#[test]
fn the_graphql_api_tells_what_entries_grant() {
    let forge = Forge::start();
    let ask = |headers: &[(&str, &str)], operation: &str, variables: serde_json::Value| {
        let body = json!({ "operationName": operation, "query": "", "variables": variables }).to_string();
        forge.call("POST", "api/graphql", headers, &body)
    };
    let entries = |path: &str| {
        ask(&[SERVICE], "jobscopeAllowlist", json!({ "path": path, "projects": null, "groups": null })).json()
    };
    let list = |path: &str, list: &str| entries(path)["data"]["project"]["ciJobTokenScopeAllowlist"][list].clone();
    let listed = list("libs/common", "projectsAllowlist");
    let node = json!({ "direction": "inbound", "defaultPermissions": true, "jobTokenPolicies": [],
        "target": { "id": "gid://gitlab/Project/101" } });
    assert_eq!(listed["nodes"], json!([node]));
    assert_eq!(listed["pageInfo"], json!({ "hasNextPage": false, "endCursor": "1" }));
    let narrow = r#"{"project": "libs/common", "projects": ["apps/web"], "groups": ["apps"],
        "permissions": {"apps/web": ["read_jobs"], "apps": ["admin_packages"]}}"#;
    assert_eq!(forge.call("POST", "-/stand-in/world/allowlist", &[], narrow).status, 200);
    let node = list("libs/common", "projectsAllowlist")["nodes"][0].clone();
    assert_eq!((&node["defaultPermissions"], &node["jobTokenPolicies"]), (&json!(false), &json!(["READ_JOBS"])));
    let node = list("libs/common", "groupsAllowlist")["nodes"][0].clone();
    assert_eq!(
        (&node["target"], &node["jobTokenPolicies"]),
        (&json!({ "fullPath": "apps" }), &json!(["ADMIN_PACKAGES"]))
    );
    let common = entries("libs/common")["data"]["project"].clone();
    assert_eq!(
        (&common["id"], &common["ciCdSettings"]["inboundJobTokenScopeEnabled"]),
        (&json!("gid://gitlab/Project/102"), &json!(true))
    );
    let by_number = ask(&[SERVICE], "jobscopeAllowlist", json!({ "id": "gid://gitlab/Project/102" })).json();
    assert_eq!(by_number["data"]["projects"]["nodes"], json!([common]));
    assert_eq!(common["ciJobTokenScopeAllowlist"]["lastGroups"]["pageInfo"], json!({ "hasPreviousPage": false }));
    assert_eq!(entries("libs/none"), json!({ "data": { "project": null } }));
    let outbound = ask(&[SERVICE], "jobscopeOutbound", json!({ "path": "apps/web", "after": null })).json();
    assert_eq!(outbound["data"]["project"]["ciJobTokenScope"]["projects"]["nodes"], json!([]));
    assert!(ask(&[SERVICE], "other", json!({ "path": "apps/web" })).json()["errors"].is_array());
    for nobody in [&[][..], &[("JOB-TOKEN", JOB)], &[("PRIVATE-TOKEN", "glpat-unknown")]] {
        assert_eq!(ask(nobody, "jobscopeAllowlist", json!({ "path": "libs/common" })).status, 401);
    }
}

#[test]
fn a_jobs_environment_and_its_ref_are_told() {
    let forge = Forge::start();
    let new =
        r#"{"project": "apps/web", "user": "dana", "token": "glcbt-env", "status": "running", "environment": "live"}"#;
    assert_eq!(forge.call("POST", "-/stand-in/jobs", &[], new).status, 201);
    let agents = forge.get("api/v4/job/allowed_agents", &[("JOB-TOKEN", "glcbt-env")]).json();
    assert_eq!((&agents["environment"]["slug"], &agents["project"]["groups"]), (&json!("live"), &json!([{ "id": 1 }])));
    assert!(forge.get("api/v4/job/allowed_agents", &[("JOB-TOKEN", JOB)]).json()["environment"].is_null());
    assert_eq!(forge.get("api/v4/job/allowed_agents", &[SERVICE]).status, 401);
    let branch = |name: &str| forge.get(&format!("api/v4/projects/101/repository/branches/{name}"), &[SERVICE]);
    assert_eq!(branch("main").json(), json!({ "name": "main", "protected": false }));
    assert_eq!(branch("mai").status, 404);
}

#[test]
fn a_job_token_is_nobody_where_gitlab_takes_none() {
    let forge = Forge::start();
    assert_eq!(forge.get("api/v4/projects/101", &[("JOB-TOKEN", JOB)]).status, 404);
    assert_eq!(forge.get("api/v4/user", &[("JOB-TOKEN", JOB)]).status, 401);
}

#[test]
fn artifacts_packages_and_files_are_served() {
    let forge = Forge::start();
    let get = |path: &str| forge.get(&format!("api/v4/projects/102/{path}"), &[("JOB-TOKEN", JOB)]);
    assert_eq!(get("jobs/501/artifacts/report.txt").body, "all good\n");
    assert_eq!(get("jobs/artifacts/main/raw/report.txt?job=build").body, "all good\n");
    assert!(get("jobs/501/artifacts").body.starts_with("PK\u{3}\u{4}"));
    assert_eq!(get("repository/files/lib%2Fcommon.sh/raw?ref=main").body, "echo common\n");
    assert_eq!(get("packages").json()[0]["name"], "tool");
    let file = "api/v4/projects/102/packages/generic/new/1.0/a.txt";
    assert_eq!(forge.call("PUT", file, &[("JOB-TOKEN", JOB)], "content").status, 201);
    assert_eq!(get("packages/generic/new/1.0/a.txt").body, "content");
    assert_eq!(get("packages/generic/new/1.0/%2e%2e%2f%2e%2e%2fx").status, 400);
}

#[test]
fn packages_of_a_group_are_found_in_all_of_its_projects() {
    let forge = Forge::start();
    let get = |path: &str| forge.get(&format!("api/v4/{path}"), &[("JOB-TOKEN", JOB)]);
    let listed = get("groups/libs/packages?package_type=pypi&package_name=tool").json();
    let of = |name: &str| listed.as_array().unwrap().iter().filter(|one| one["name"] == name).count();
    assert_eq!((of("shared-tool"), of("common-tool")), (2, 1));
    assert_eq!(get("groups/libs/packages?package_type=pypi&status=hidden").json().as_array().unwrap().len(), 0);
    assert_eq!(get("groups/nowhere/packages").status, 404);
    let simple = get("groups/libs/-/packages/pypi/simple/Shared_Tool").body;
    assert!(simple.contains("shared_tool-1.0-py3-none-any.whl") && simple.contains("shared_tool-2.0-"), "{simple}");
    let metadata = get("packages/npm/@libs%2ftool").json();
    let address = metadata["versions"]["1.0.0"]["dist"]["tarball"].as_str().unwrap();
    assert!(address.ends_with("/api/v4/projects/102/packages/npm/@libs/tool/-/1.0.0.tgz"), "{address}");
    assert_eq!(get("projects/102/packages/npm/@libs/tool/-/1.0.0.tgz").status, 200);
    let greeter = get("group/php/-/packages/composer/p2/php/greeter.json").json();
    let archive = greeter["packages"]["php/greeter"]["1.0.0"]["dist"]["url"].as_str().unwrap();
    let (_, archive) = archive.split_once("/api/v4/").unwrap();
    assert!(get(archive).body.starts_with("PK\u{3}\u{4}"), "{archive}");
}

#[test]
fn where_a_terraform_module_is_says_whose_token_asked() {
    let forge = Forge::start();
    let module = "api/v4/packages/terraform/modules/v1/libs/tool/local";
    assert_eq!(
        forge.get(&format!("{module}/versions"), &[("JOB-TOKEN", JOB)]).json()["modules"][0]["source"],
        "tool/local"
    );
    let place = forge.get(&format!("{module}/1.0.0/download"), &[("Authorization", &format!("Bearer {JOB}"))]);
    let place = place.header("x-terraform-get").unwrap().trim_start_matches('/').to_owned();
    assert_eq!(forge.get(&place, &[]).status, 200, "{place}");
    assert_eq!(forge.get(place.split('?').next().unwrap(), &[]).status, 401, "{place}");
}

#[test]
fn a_pipeline_is_triggered_by_a_parameter_alone() {
    let forge = Forge::start();
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("JOB-TOKEN", JOB)];
    let trigger = |body: &str| forge.call("POST", "api/v4/projects/106/trigger/pipeline", &form, body);
    assert_eq!(trigger("ref=main").json(), json!({ "error": "token is missing" }));
    let made = trigger(&format!("ref=main&token={JOB}"));
    assert_eq!((made.status, &made.json()["source"]), (201, &json!("pipeline")));
    assert_eq!(trigger("ref=main&token=glcbt-unknown").status, 404);
    let pending = trigger("ref=main&token=glcbt-64_danaTestsWeb00000007");
    assert_eq!((pending.status, pending.json()), (401, json!({ "message": "Job is not running" })));
}

#[test]
fn a_registry_token_holds_what_was_granted() {
    let forge = Forge::start();
    let job = "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTY0X2RhbmFCdWlsZHNXZWIwMDAwMDE=";
    // dana:dana-password, reporter in containers/poetry
    let dana = "Basic ZGFuYTpkYW5hLXBhc3N3b3Jk";
    let all = "repository:containers/poetry/image:pull,push,delete,*";
    assert_eq!(granted(&forge, &[("Authorization", job)], all), json!([["pull", "push", "delete"]]));
    assert_eq!(granted(&forge, &[("Authorization", dana)], all), json!([["pull"]]));
    assert_eq!(granted(&forge, &[], all), json!([]));
    assert_eq!(granted(&forge, &[], "repository:libs/open:pull,push"), json!([["pull"]]));
    let two = "repository:apps/web:pull&scope=repository:libs/common:pull+registry:catalog:*";
    assert_eq!(granted(&forge, &[("Authorization", job)], two), json!([["pull"], ["pull"]]));
    let dead = forge.get("jwt/auth?service=container_registry", &[("Authorization", "Basic YTpi")]);
    assert_eq!((dead.status, &dead.json()["errors"][0]["code"]), (401, &json!("UNAUTHORIZED")));
    assert_eq!(forge.call("POST", "jwt/auth?service=container_registry", &[], "").status, 404);
    assert_eq!(forge.get("jwt/auth?service=dependency_proxy", &[]).status, 404);
}

/// The actions of each entry of a token.
fn granted(forge: &Forge, headers: &[(&str, &str)], scope: &str) -> serde_json::Value {
    use base64::Engine;
    let answer = forge.get(&format!("jwt/auth?service=container_registry&scope={scope}"), headers).json();
    let token = answer["token"].as_str().expect("a token");
    let claims = token.split('.').nth(1).expect("claims");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    let access = claims["access"].as_array().expect("a list");
    access.iter().map(|entry| entry["actions"].clone()).collect()
}

#[test]
fn look_ups_misbehave_when_asked_to_and_nothing_else_does() {
    let forge = Forge::start();
    let fault = |body: &str| assert_eq!(forge.call("PUT", "-/stand-in/fault", &[], body).status, 200);
    let look = || forge.get("api/v4/job", &[("JOB-TOKEN", JOB)]);
    fault(r#"{"lookup": "nonsense"}"#);
    let answer = look();
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("<!DOCTYPE html>"));
    fault(r#"{"lookup": "unavailable"}"#);
    assert_eq!(look().status, 503);
    assert_eq!(forge.get("api/v4/projects/101", &[SERVICE]).status, 503);
    assert_eq!(forge.get("api/v4/projects/102/packages", &[("JOB-TOKEN", JOB)]).status, 200);
    fault(r#"{"lookup": "slow", "delay_ms": 200}"#);
    let begin = std::time::Instant::now();
    assert_eq!(look().status, 200);
    assert!(begin.elapsed().as_millis() >= 200);
    fault(r#"{"lookup": "none"}"#);
    assert_eq!(look().status, 200);
}

#[test]
fn the_world_changes_while_it_runs() {
    let forge = Forge::start();
    let post = |path: &str, body: &str| forge.call("POST", &format!("-/stand-in/{path}"), &[], body);
    let get = |path: &str| forge.get(&format!("api/v4/{path}"), &[SERVICE]);
    assert_eq!(post("world/allowlist", r#"{"project": "infra/secrets", "projects": ["apps/web"]}"#).status, 200);
    assert_eq!(get("projects/103/job_token_scope/allowlist").json()[1]["id"], 101);
    assert_eq!(post("world/member", r#"{"project": "infra/secrets", "user": "dana", "role": null}"#).status, 200);
    assert_eq!(get("projects/103/members/all/11").status, 404);
    assert_eq!(post("world/visibility", r#"{"project": "infra/secrets", "visibility": "public"}"#).status, 200);
    assert_eq!(get("projects/103").json()["visibility"], "public");
    let unknown = post("world/member", r#"{"project": "infra/secrets", "user": "zed", "role": null}"#);
    assert_eq!(unknown.json(), json!({ "message": "expected a user of the world, found `zed`" }));
    let job = post("jobs", r#"{"project": "libs/common", "user": "dana", "token": "glcbt-new", "status": "running"}"#);
    let id = job.json()["id"].as_u64().expect("an id");
    assert_eq!(forge.status_of("glcbt-new"), 200);
    let end = forge.call("PUT", &format!("-/stand-in/jobs/{id}"), &[], r#"{"status": "canceled"}"#);
    assert_eq!(end.status, 200);
    assert_eq!(forge.status_of("glcbt-new"), 401);
}
