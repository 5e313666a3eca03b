//! A job's life: a runner asks for it, writes its trace and ends it.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::harness::Forge;

const TOKEN: &str = "glcbt-64_danaTestsWeb00000007";
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn the_token_lives_from_the_request_to_the_end() {
    let forge = Forge::start();
    let ask = |token: &str| {
        let body = json!({ "token": token }).to_string();
        forge.call("POST", "api/v4/jobs/request", &[JSON], &body)
    };
    assert_eq!(ask("no runner").status, 403);
    let job = ask("glrt-demo-runner");
    assert_eq!(job.status, 201);
    let job = job.json();
    assert_eq!((&job["id"], &job["token"]), (&json!(1007), &json!(TOKEN)));
    assert_eq!(job["git_info"]["repo_url"], forge.url("apps/web.git"));
    let needed = &job["dependencies"][0];
    assert_eq!((&needed["id"], &needed["token"]), (&json!(501), &json!(TOKEN)));
    assert_eq!(forge.call("GET", "api/v4/jobs/501/artifacts", &[("JOB-TOKEN", TOKEN)], "").status, 200);
    assert_eq!(ask("glrt-demo-runner").status, 204);
    assert_eq!(forge.status_of(TOKEN), 200);

    let trace = |headers: &[(&str, &str)]| forge.call("PATCH", "api/v4/jobs/1007/trace", headers, "hello");
    assert_eq!(trace(&[("JOB-TOKEN", TOKEN)]).status, 400);
    let written = trace(&[("JOB-TOKEN", TOKEN), ("Content-Range", "0-4")]);
    assert_eq!((written.status, written.header("range")), (202, Some("0-5")));
    assert_eq!(written.header("job-status"), Some("running"));
    assert_eq!(trace(&[("JOB-TOKEN", TOKEN), ("Content-Range", "0-4")]).status, 416);
    assert_eq!(trace(&[("JOB-TOKEN", "glcbt-other"), ("Content-Range", "5-9")]).status, 403);

    let end = |state: &str| {
        let body = json!({ "token": TOKEN, "state": state }).to_string();
        forge.call("PUT", "api/v4/jobs/1007", &[JSON], &body)
    };
    assert_eq!(end("running").header("job-status"), Some("running"));
    assert_eq!(end("no state").status, 400);
    assert_eq!(end("success").header("job-status"), Some("success"));
    assert_eq!(forge.status_of(TOKEN), 401);
    let late = end("success");
    assert_eq!((late.status, late.header("job-status")), (403, Some("success")));
    let git =
        forge.git_fails(forge.folder.path(), &["ls-remote", &forge.as_user("gitlab-ci-token", TOKEN, "apps/web.git")]);
    assert!(git.contains("Access denied"), "{git}");
}

#[test]
fn a_canceling_job_still_counts() {
    let forge = Forge::start();
    let move_to = |status: &str| {
        let body = json!({ "status": status }).to_string();
        assert_eq!(forge.call("PUT", "-/stand-in/jobs/1007", &[], &body).status, 200);
        forge.status_of(TOKEN)
    };
    assert_eq!(move_to("canceling"), 200);
    assert_eq!(move_to("canceled"), 401);
    assert_eq!(move_to("running"), 200);
}

#[test]
fn an_id_token_is_signed_with_the_key_that_is_shown() {
    let forge = Forge::start();
    let signed = |job: u64| {
        let body = json!({ "job": job, "claims": { "aud": "somebody" } }).to_string();
        forge.call("POST", "-/stand-in/id-tokens", &[JSON], &body)
    };
    assert_eq!(signed(9).status, 404);
    let token = signed(1001).json()["token"].as_str().expect("a token").to_owned();
    let shown = forge.get("oauth/discovery/keys", &[]).json();
    let key: Jwk = serde_json::from_value(shown["keys"][0].clone()).expect("a key");
    let mut wanted = Validation::new(Algorithm::RS256);
    wanted.set_audience(&["somebody"]);
    let read = |token: &str| {
        let key = DecodingKey::from_jwk(&key).expect("an RSA key");
        jsonwebtoken::decode::<Value>(token, &key, &wanted)
    };
    let claims = read(&token).expect("signed with that key").claims;
    assert_eq!((&claims["job_id"], &claims["project_id"]), (&json!("1001"), &json!("101")));
    assert_eq!(claims["iss"], forge.url("").trim_end_matches('/'));
    let (signed, _) = token.rsplit_once('.').expect("a signature");
    assert!(read(&format!("{signed}.AAAA")).is_err());
}
