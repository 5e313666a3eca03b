//! ID tokens: whose they are, and how many ways there are for one to be nobody's.

mod ends;
mod hostile;

use serde_json::{Value, json};

use super::KEY;
use super::caller::{Caller, TOKEN};
use super::issuer::{AUDIENCE, CREDENTIAL, RSA, StandInCi};
use crate::clock;
use crate::config::{self, Config, ForgeKind, Surroundings};
use crate::service::Service;

const ISSUER: &str = "https://gitlab.example.com";

/// A configuration before this CI; `more` changes the document.
fn configuration(ci: &StandInCi, more: impl FnOnce(&mut Value)) -> Config {
    let at = |path: &str| format!("http://{}{path}", ci.address);
    let entry = |name: &str, vendor: &str, issuer: &str, pins: &[&str]| {
        json!({"name": name, "vendor": vendor, "issuer": issuer, "jwks_uri": at("/keys"), "pins": pins,
            "api": at("/ci/"), "credential_env": "CI"})
    };
    let project = |id: u64, path: &str, identities: &[&str]| json!({"id": id, "path": path, "identities": identities});
    let mut document = json!({
        "api": {"listen": "127.0.0.1:0", "callers_env": ["CALLER"]},
        "operations": {"listen": "127.0.0.1:0"},
        "store": {"kind": "memory"},
        "forge": {
            "kind": "oidc",
            "audience": AUDIENCE,
            "issuers": [
                entry("gitlab", "gitlab", ISSUER, &["namespace_id=42"]),
                entry("github", "github", "https://token.actions.githubusercontent.com", &["repository_owner_id=9"]),
                entry("forgejo", "forgejo", "https://code.example.com/api/actions", &[]),
                entry("buildkite", "buildkite", "https://agent.buildkite.com", &["organization_id=o-9"]),
                entry("cluster", "kubernetes", "https://kubernetes.default.svc", &[]),
            ],
            "foreign_issuers": ["https://sso.example.com"],
            "projects": [
                project(101, "apps/web", &["gitlab:4711", "github:4711", "forgejo:4711", "buildkite:4711", "cluster:4711"]),
                {"id": 102, "path": "libs/common", "admits": [{"project": "apps/web", "permissions": ["read_repositories"]}]},
            ],
        },
    });
    document["forge"]["issuers"][0]["algorithms"] = json!(["RS256", "ES256"]);
    more(&mut document);
    let env = |name: &str| {
        [("CALLER", TOKEN), ("CI", CREDENTIAL), ("KEY", KEY)]
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let around = Surroundings { env: &env, file: &|path| std::fs::read(path) };
    config::read(&document.to_string(), &around).unwrap_or_else(|errors| panic!("{errors}"))
}

async fn service(ci: &StandInCi) -> (Service, Caller) {
    let service = Service::start(configuration(ci, |_| {})).await.unwrap();
    let caller = Caller::of(service.address);
    (service, caller)
}

/// What GitLab says of a job that runs.
fn claims() -> Value {
    let now = clock::unix();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now - 5, "exp": now + 300, "jti": "x", "sub": "whatever",
        "namespace_id": "42", "project_id": "4711", "project_path": "apps/web", "job_id": "7", "user_id": "11",
        "user_login": "dana", "ref": "main", "ref_type": "branch", "ref_protected": "true",
        "pipeline_source": "push", "environment": "production",
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn a_running_job_of_each_kind_is_told_with_what_its_token_says() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let now = clock::unix();
    let common = |iss: &str, more: Value| {
        let mut claims = json!({"iss": iss, "aud": AUDIENCE, "iat": now, "exp": now + 300});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let cases = [
        (
            claims(),
            "/ci/api/v4/projects/4711/jobs/7",
            json!({"id": 7, "status": "running"}),
            "gitlab:11",
            json!({"ref": "main", "protected": true, "environment": "production", "source": "push", "fork": false}),
        ),
        (
            common(
                "https://token.actions.githubusercontent.com",
                json!({"repository": "acme/web", "repository_id": "4711", "repository_owner_id": "9", "actor_id": "11",
                    "actor": "dana", "run_id": "5", "run_attempt": "2", "check_run_id": "7",
                    "event_name": "pull_request_target", "ref": "refs/heads/main", "ref_protected": "true"}),
            ),
            "/ci/repos/acme/web/actions/jobs/7",
            json!({"id": 7, "run_id": 5, "run_attempt": 2, "status": "in_progress"}),
            "github:11",
            json!({"source": "pull_request_target", "fork": true}),
        ),
        (
            common(
                "https://code.example.com/api/actions",
                json!({"repository": "acme/web", "repository_id": "4711", "repository_owner_id": "9", "actor_id": "11",
                    "run_id": "5", "run_attempt": "1", "event_name": "push", "ref": "refs/tags/v1", "ref_protected": "false"}),
            ),
            "/ci/api/v1/repos/acme/web/actions/runs/5",
            json!({"id": 5, "repository": {"id": 4711}, "status": "running"}),
            "forgejo:11",
            json!({"ref": "v1", "protected": false, "source": "push", "fork": false}),
        ),
        (
            common(
                "https://agent.buildkite.com",
                json!({"organization_id": "o-9", "organization_slug": "acme", "pipeline_id": "4711", "pipeline_slug": "web",
                    "build_number": 3, "build_branch": "main", "build_source": "webhook", "job_id": "7"}),
            ),
            "/ci/v2/organizations/acme/pipelines/web/builds/3",
            json!({"pipeline": {"id": "4711"}, "jobs": [{"id": "7", "state": "running"}]}),
            "buildkite:4711",
            json!({"source": "webhook"}),
        ),
        (
            common(
                "https://kubernetes.default.svc",
                json!({"aud": [AUDIENCE], "kubernetes.io": {"namespace": "ci", "pod": {"name": "p", "uid": "u-7"},
                    "serviceaccount": {"name": "builder", "uid": "4711"}}}),
            ),
            "/ci/apis/authentication.k8s.io/v1/tokenreviews",
            json!({"status": {"authenticated": true, "audiences": [AUDIENCE], "user": {"uid": "4711"}}}),
            "cluster:4711",
            json!({}),
        ),
    ];
    let mut jobs = std::collections::BTreeSet::new();
    for (claims, path, answer, user, context) in cases {
        let token = RSA.sign("rsa-1", &claims);
        // Who does not say that it runs says nothing.
        assert_eq!(caller.token(&token, None).await.status, 503, "{path}");
        ci.with(|ci| ci.answers.insert(path.into(), answer));
        let told = caller.token(&token, None).await.body;
        assert_eq!((&told["token"], &told["credential"]), (&json!("running"), &json!("service")), "{told}");
        assert_eq!((&told["until"], &told["age"]), (&claims["exp"], &json!(0)));
        let job = told["job"].as_object().unwrap();
        assert_eq!(job["origin"], json!({"id": 101, "path": "apps/web"}));
        assert_eq!(job["user"]["name"], user);
        let told: Value = job
            .iter()
            .filter(|(name, _)| !["id", "user", "origin"].contains(&&***name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        assert_eq!(told, context, "{user}");
        for id in [&job["id"], &job["user"]["id"]] {
            assert!(jobs.insert(id.as_u64().unwrap()), "two issuers never have a job or a user in common");
        }
    }
}

#[tokio::test]
async fn what_is_no_id_token_of_any_job_is_left_to_the_forge() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let of_the_forge = RSA.sign("rsa-1", &without("iss"));
    let of_people = RSA.sign("rsa-1", &with(json!({"iss": "https://sso.example.com"})));
    for token in ["0123456789abcdef0123456789abcdef01234567", "a-password", "glpat-x.01.y", &of_the_forge, &of_people] {
        assert_eq!(caller.token(token, None).await.body["token"], "foreign", "{token}");
    }
    assert_eq!(ci.count("/"), 0);
}

#[tokio::test]
async fn a_fork_has_its_own_projects_rights_and_is_known_for_one() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    // A merge request's job runs in 4712, with the code of 4711.
    let answer = json!({"id": 7, "status": "running"});
    ci.with(|ci| ci.answers.insert("/ci/api/v4/projects/4712/jobs/7".into(), answer));
    let of = |source: &str, runs_in: &str| {
        RSA.sign("rsa-1", &with(json!({"pipeline_source": source, "job_project_id": runs_in})))
    };
    let told = caller.token(&of("push", "4712"), None).await.body;
    assert_eq!((&told["job"]["fork"], told["job"].get("ref")), (&json!(true), None), "{told}");
    ci.says(7, "running");
    for (source, fork) in [("merge_request_event", None), ("parent_pipeline", None), ("push", Some(&json!(false)))] {
        let told = caller.token(&of(source, "4711"), None).await.body;
        assert_eq!(told["job"].get("fork"), fork, "{source}");
        assert_eq!(told["job"].get("ref").is_some(), fork.is_some(), "{source}: a fork names its branches as it likes");
    }
    let unmapped = RSA.sign("rsa-1", &with(json!({"project_id": "4712", "job_project_id": "4711"})));
    assert_eq!(caller.token(&unmapped, None).await.body["token"], "unknown", "the fork's own project is in no line");
}

#[tokio::test]
async fn which_credential_goes_on_says_the_configuration() {
    let ci = StandInCi::start().await;
    ci.says(7, "running");
    for (credential, told) in [("own", None), ("service", Some(&json!("service")))] {
        let config = configuration(&ci, |document| document["forge"]["credential"] = json!(credential));
        let service = Service::start(config).await.unwrap();
        let said = Caller::of(service.address).token(&RSA.sign("rsa-1", &claims()), None).await.body;
        assert_eq!((&said["token"], said.get("credential")), (&json!("running"), told), "{said}");
    }
}

#[tokio::test]
async fn what_projects_are_to_jobs_says_the_configuration() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    let target = caller.target(None).await.body;
    assert_eq!((&target["role"], &target["admission"]), (&json!("reporter"), &json!("project")));
    assert_eq!((&target["permissions"], &target["target"]["id"]), (&json!(["read_repositories"]), &json!(102)));
    assert_eq!(ci.count("/"), 0);
    assert_eq!(caller.get("/jobscope/v1/forge").await.status, 503);
}

/// The examples of the documentation are configurations.
#[test]
fn the_examples_of_the_documentation_are_sound() {
    let page = include_str!("../../../../docs/job-identities.md");
    let blocks: Vec<&str> =
        page.split("\n```yaml\n").skip(1).map(|block| block.split_once("\n```").unwrap().0).collect();
    let [whole, filter, more] = blocks[..] else { panic!("three examples") };
    // They are what the demo's story of ID tokens is played with.
    for (block, file) in [
        (whole, include_str!("../../../../envoy/identities/lookup.yaml")),
        (filter, include_str!("../../../../envoy/identities/filter.yaml")),
    ] {
        assert!(file.trim_end().ends_with(block), "the page does not show the file: {file}");
    }
    let filter: Value = serde_saphyr::from_str(filter).unwrap();
    policy::Config::parse(filter.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    let with_more = whole.replacen("  projects:", &format!("{more}\n  projects:"), 1);
    let keys = json!({"keys": [RSA.named("1")]}).to_string();
    let env = |name: &str| Some(format!("a-secret-of-{name}"));
    let authority = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let file = |path: &str| match path {
        "/etc/ssl/certs/ca-certificates.crt" => Ok(authority.clone().into_bytes()),
        "/etc/jobscope/cluster-keys.json" => Ok(keys.clone().into_bytes()),
        path => std::fs::read(path),
    };
    for (text, issuers) in [(whole, 1), (&*with_more, 6)] {
        let config = config::read(text, &Surroundings { env: &env, file: &file });
        let ForgeKind::Oidc(oidc) = config.unwrap_or_else(|errors| panic!("{errors}")).forge else {
            panic!("of ID tokens")
        };
        assert_eq!(oidc.issuers.len(), issuers);
    }
}
