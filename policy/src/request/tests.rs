use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use base64::Engine;
use proptest::prelude::*;

use super::*;
use crate::Config;
use crate::facts::{JobId, ProjectPath};

mod bodies;
mod by_head;
mod elsewhere;
mod jwts;
mod properties;
mod whose;

const TOKEN: &str = "glcbt-64_abc";

/// The keys of `forge` that most tests need besides its host.
const GITLAB: &str = r#""registry_hosts": ["registry.example.com"]"#;
const STRIP: &str = r#""unlisted_endpoints": "strip""#;

fn config() -> Config {
    config_with(GITLAB)
}

/// A configuration with these keys in `forge`.
fn config_with(forge: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"hosts": ["gitlab.example.com"], {forge}}},
             "lookup": {{"cluster": "c", "authority": "gitlab.example.com", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn basic() -> (String, String) {
    (
        "authorization".into(),
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("gitlab-ci-token:{TOKEN}"))),
    )
}

fn reading(method: &str, path: &str, more: &[(String, String)], body: Body) -> Reading {
    reading_with(GITLAB, method, path, more, body)
}

fn reading_with(forge: &str, method: &str, path: &str, more: &[(String, String)], body: Body) -> Reading {
    let mut fields = vec![field(":method", method), field(":path", path)];
    if !more.iter().any(|(name, _)| name == ":authority") {
        fields.push(field(":authority", "gitlab.example.com"));
    }
    fields.extend(more.iter().cloned());
    let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    read(&config_with(forge).forge, &Head::new(&fields, body))
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

fn job(reading: Reading) -> JobRequest {
    let Reading::Job(job) = reading else { panic!("{reading:?}") };
    job
}

fn asked(reading: Reading) -> (Protocol, Action, TargetRef) {
    let job = job(reading);
    (job.protocol, job.accesses[0].action, job.accesses[0].target.clone())
}

fn pending(reading: Reading) -> Pending {
    let Reading::Body(pending) = reading else { panic!("{reading:?}") };
    pending
}

fn refusal(reading: Reading) -> Malformed {
    refused(reading).malformed
}

fn refused(reading: Reading) -> Refused {
    let Reading::Refused(refused) = reading else { panic!("{reading:?}") };
    refused
}

/// Why a reading is refused, and in whose words.
fn said(reading: Reading) -> (Malformed, Protocol) {
    let Refused { malformed, protocol, .. } = refused(reading);
    (malformed, protocol)
}

fn project(path: &str) -> TargetRef {
    TargetRef::Path(ProjectPath::parse(path).unwrap())
}

#[test]
fn each_protocol_is_read() {
    let clone = reading("GET", "/g/p.git/info/refs?service=git-upload-pack", &[basic()], Body::None);
    assert_eq!(asked(clone), (Protocol::Git, Action::ReadCode, project("g/p")));
    let api = reading("GET", "/api/v4/projects/g%2Fp/releases", &[field("job-token", TOKEN)], Body::None);
    assert_eq!(asked(api), (Protocol::Api, Action::ReadReleases, project("g/p")));
    let query = reading("GET", &format!("/api/v4/projects/5/jobs/7/artifacts?job_token={TOKEN}"), &[], Body::None);
    assert_eq!(asked(query).1, Action::ReadArtifacts);
    let trace = reading("PATCH", "/api/v4/jobs/7/trace", &[field("job-token", TOKEN)], Body::Follows);
    assert_eq!(asked(trace), (Protocol::Runner, Action::TraceJob, TargetRef::Job(JobId(7))));
    let login = reading("GET", "/jwt/auth?service=container_registry", &[basic()], Body::None);
    assert_eq!(asked(login), (Protocol::RegistryToken, Action::RegistryLogin, TargetRef::None));
    let pull =
        reading("GET", "/v2/g/p/manifests/v1", &[basic(), field(":authority", "registry.example.com")], Body::None);
    assert_eq!(
        asked(pull),
        (Protocol::Registry, Action::PullImage, TargetRef::Image([ProjectPath::parse("g/p").unwrap()].into()))
    );
}

#[test]
fn without_a_job_token_nothing_is_refused() {
    for (method, path) in [
        ("GET", "/g/p.git/info/refs"),
        ("GET", "//x/../y;z"),
        ("OPTIONS", "*"),
        ("POST", "/users/sign_in"),
        ("GET", "/%zz"),
    ] {
        assert_eq!(reading(method, path, &[], Body::None), Reading::NotAJob, "{path}");
        assert_eq!(reading(method, path, &[field("private-token", "glpat-1")], Body::None), Reading::NotAJob, "{path}");
    }
    assert_eq!(reading("POST", "/users/sign_in", &[], Body::Follows), Reading::NotAJob);
}

#[test]
fn the_mark_of_a_token_is_a_word_where_nobody_reads_a_credential() {
    let leak = "glcbt-64_0123456789abcdef";
    for (text, is_token) in [
        ("glcbt-", false),
        ("glcbt-rotation", false),
        ("%22glcbt-%22+leak", false),
        (leak, true),
        ("%67lcbt-64_0123456789abcdef", true),
    ] {
        for path in
            [format!("/search?search={text}"), format!("/g/p/-/blob/main/a.yml?ref={text}"), format!("/x?{text}")]
        {
            let read = reading("GET", &path, &[field("cookie", "session=x")], Body::None);
            assert_eq!(read != Reading::NotAJob, is_token, "{path}");
        }
    }
    for name in ["referer", "cookie", "x-any"] {
        let page = |ref_: &str| {
            reading("GET", "/g/p", &[field(name, &format!("https://gitlab.example.com/g/p/-/tree/{ref_}"))], Body::None)
        };
        assert_eq!(page("glcbt-rotation"), Reading::NotAJob, "{name}");
        assert_eq!(refusal(page(leak)), Malformed::Carrier, "{name}");
    }
    // Where a credential stands, the shortest may be a token.
    for (path, more) in [
        ("/x?token=glcbt-1", vec![]),
        ("/x?private_token[]=glcbt-1", vec![]),
        ("/x", vec![field("private-token", "glcbt-1")]),
        ("/x", vec![field("x-api-key", "glcbt-1")]),
        ("/x", vec![field("proxy-authorization", "Bearer glcbt-1")]),
    ] {
        assert!(matches!(reading("GET", path, &more, Body::None), Reading::Refused(_)), "{path} {more:?}");
    }
}

#[test]
fn a_second_credential_in_the_query_is_seen() {
    for query in ["private_token=glpat-1", "access_token=x", "token=legacy", "sudo=root", "x=glcbt-64_0123456789abc"] {
        let path = format!("/api/v4/projects/5/releases?{query}");
        assert!(
            matches!(reading("GET", &path, &[field("job-token", TOKEN)], Body::None), Reading::Refused(_)),
            "{query}"
        );
    }
}

#[test]
fn a_path_that_is_no_endpoint_is_answered_by_what_is_wrong_with_it() {
    for (path, expected) in [
        ("/api/v4/x.git/info/refs?service=git-upload-pack", Malformed::ReservedWord),
        ("/api/v4/projects/5/packages/generic/n/1/x.git/info/refs", Malformed::ReservedWord),
        ("/API/v4/projects/5/releases", Malformed::ReservedWord),
        ("/Jwt/auth", Malformed::ReservedWord),
        ("/V2/g/p/manifests/x", Malformed::ReservedWord),
        ("/api%2Fv4/projects/5", Malformed::EncodedSlash),
        ("/jwt%2fauth", Malformed::EncodedSlash),
        ("/g/p%2Fq", Malformed::EncodedSlash),
        ("/o/default/g/p.git/info/refs?service=git-upload-pack", Malformed::InternalRoute),
        ("/o/default/api/v4/projects/5/releases", Malformed::InternalRoute),
        ("/-/push_from_secondary/1/g/p.git/info/refs?service=git-upload-pack", Malformed::InternalRoute),
        ("/-/x/p.git/info/refs?service=git-upload-pack", Malformed::ReservedWord),
        ("/dashboard", Malformed::WebRoute),
        ("/g/p", Malformed::WebRoute),
    ] {
        assert_eq!(refusal(reading("GET", path, &[basic()], Body::None)), expected, "{path}");
    }
}

#[test]
fn a_job_token_off_its_routes_is_refused() {
    let token = || field("job-token", TOKEN);
    assert_eq!(said(reading("GET", "/dashboard", &[token()], Body::None)), (Malformed::WebRoute, Protocol::Web));
    assert_eq!(
        said(reading("GET", "/g/p.git/info/refs?service=git-upload-pack", &[token()], Body::None)),
        (Malformed::Carrier, Protocol::Git)
    );
    assert_eq!(
        said(reading("GET", "/api/v4/job", &[token(), field(":authority", "other.example.com")], Body::None)),
        (Malformed::UnknownHost, Protocol::Api)
    );
    assert_eq!(
        said(reading("OPTIONS", "/api/v4/job", &[token()], Body::None)),
        (Malformed::MethodUnknown, Protocol::Api)
    );
    assert_eq!(said(reading("GET", "/api/v4/job", &[token()], Body::Follows)), (Malformed::BodyOnGet, Protocol::Api));
}

#[test]
fn a_registrys_own_carrier_is_read_on_its_routes_alone() {
    let key = || field("x-nuget-apikey", TOKEN);
    let raw = || field("authorization", TOKEN);
    let api = |method, path: &str, carrier| reading(method, &format!("/api/v4/{path}"), &[carrier], Body::None);
    let five = TargetRef::Id(crate::facts::ProjectId(5));
    for (method, path, carrier, action) in [
        ("PUT", "projects/5/packages/nuget/", key(), Action::PublishNuget),
        ("PUT", "projects/5/packages/nuget/symbolpackage", key(), Action::PublishNuget),
        ("DELETE", "projects/5/packages/nuget/name/1.0.0", key(), Action::DeletePackages),
        ("GET", "projects/5/packages/rubygems/gems/a-1.0.gem", raw(), Action::ReadGem),
        ("POST", "projects/5/packages/rubygems/api/v1/gems", raw(), Action::PublishGem),
    ] {
        assert_eq!(asked(api(method, path, carrier)), (Protocol::Api, action, five.clone()), "{path}");
    }
    for (method, path) in [
        ("GET", "projects/5/packages/nuget/index.json"),
        ("GET", "projects/5/packages/rubygems/gems/a-1.0.gem"),
        ("GET", "projects/5/releases"),
        ("GET", "users"),
    ] {
        assert_eq!(said(api(method, path, key())), (Malformed::Carrier, Protocol::Api), "{path}");
    }
    for (method, path) in [("PUT", "projects/5/packages/nuget"), ("GET", "projects/5/releases"), ("GET", "users")] {
        assert_eq!(said(api(method, path, raw())), (Malformed::Authorization, Protocol::Api), "{path}");
    }
    let clone = |carrier| reading("GET", "/g/p.git/info/refs?service=git-upload-pack", &[carrier], Body::None);
    assert_eq!(said(clone(key())), (Malformed::Carrier, Protocol::Git));
    assert_eq!(said(clone(raw())), (Malformed::Authorization, Protocol::Git));
}

#[test]
fn the_project_of_a_conan_recipe_is_not_taken_from_a_parameter() {
    const RECIPE: &str = "/api/v4/packages/conan/v1/conans/n/1.0/g+a/stable";
    let (download, upload) = (format!("{RECIPE}/download_urls"), format!("{RECIPE}/upload_urls"));
    assert_eq!(asked(reading("GET", &download, &[basic()], Body::None)).2, project("g/a"));
    for query in ["id=7", "id=g%2Fb", "id[]=7", "[id]=7", "i%64=7", "x=1&ID=7"] {
        let other = format!("{download}?{query}");
        assert_eq!(refusal(reading("GET", &other, &[basic()], Body::None)), Malformed::QueryNotEmpty, "{query}");
    }
    // Where the path names a project by its number or path, that counts.
    let in_project = "/api/v4/projects/5/packages/conan/v1/conans/n/1.0/g+a/stable/download_urls?id=7";
    assert_eq!(asked(reading("GET", in_project, &[basic()], Body::None)).1, Action::ReadConan);
    for npm in ["/api/v4/packages/npm/@g%2fn?id=7", "/api/v4/packages/npm/-/package/@g%2fn/dist-tags?id=7"] {
        assert_eq!(refusal(reading("GET", npm, &[basic()], Body::None)), Malformed::QueryNotEmpty, "{npm}");
    }
    let search = "/api/v4/packages/conan/v1/conans/search?q=n";
    assert_eq!(asked(reading("GET", search, &[basic()], Body::None)).1, Action::FindConan);
    assert_eq!(refusal(reading("GET", &format!("{search}&id=7"), &[basic()], Body::None)), Malformed::QueryNotEmpty);
    let tag = "/api/v4/packages/npm/-/package/@g%2fn/dist-tags/next";
    let head = [field("authorization", &format!("Bearer {TOKEN}")), field("content-type", "application/json")];
    let untagged = pending(reading("DELETE", tag, &head, Body::Follows)).finish(b"{\"id\":7}");
    assert_eq!(refusal(untagged), Malformed::FormDuplicate);
    for (method, path) in [("DELETE", RECIPE), ("POST", &upload)] {
        for (media, other, plain) in [
            ("application/json", "{\"id\":7}", "{\"conanfile.py\":7}"),
            ("application/x-www-form-urlencoded", "id=7", "a=7"),
        ] {
            let head = [basic(), field("content-type", media)];
            let finished = |body: &str| pending(reading(method, path, &head, Body::Follows)).finish(body.as_bytes());
            assert_eq!(refusal(finished(other)), Malformed::FormDuplicate, "{method} {media}");
            assert_eq!(asked(finished(plain)).2, project("g/a"), "{method} {media}");
        }
    }
}

#[test]
fn a_token_inside_a_jwt_is_judged_where_it_is_used() {
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"token\":\"{TOKEN}\"}}"));
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{claims}.sig");
    let recipe = "/api/v4/packages/conan/v1/conans/n/1.0/g+p/stable";
    for carrier in [field("authorization", &format!("Bearer {jwt}")), basic()] {
        let job = job(reading("GET", recipe, &[carrier], Body::None));
        assert_eq!((job.token, job.accesses[0].target.clone()), (Secret::new(TOKEN.as_bytes()), project("g/p")));
    }
    let module = format!("/api/v4/packages/terraform/modules/v1/g/mod/aws/1.0.0/file?token={jwt}&archive=tgz");
    let job = job(reading("GET", &module, &[], Body::None));
    assert_eq!((job.token, job.accesses[0].action), (Secret::new(TOKEN.as_bytes()), Action::ReadTerraform));
    let other = format!("{module}&job_token=glcbt-other");
    assert!(matches!(reading("GET", &other, &[], Body::None), Reading::Refused(_)));
}

#[test]
fn a_head_without_path_or_method_is_refused() {
    let method: (&[u8], &[u8]) = (b":method", b"CONNECT");
    let reading = read(&config().forge, &Head::new(&[method], Body::None));
    assert_eq!(said(reading), (Malformed::NoPath, Protocol::Web));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(fields in proptest::collection::vec((proptest::sample::select(vec![":path", ":method", ":authority", "authorization", "job-token", "content-type", "connection"]), proptest::collection::vec(any::<u8>(), 0..60)), 0..8), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())).collect();
        match read(&config().forge, &Head::new(&fields, Body::Follows)) {
            reading @ (Reading::Body(_) | Reading::Passing(_)) => drop(reading.finish(&body)),
            Reading::Job(JobRequest { scan: Some(mut scan), .. }) => drop((scan.feed(&body), scan.finish())),
            Reading::NotAJob | Reading::Job(_) | Reading::Refused(_) => {}
        }
    }

    #[test]
    fn no_path_with_a_token_makes_it_panic(path in "/[a-zA-Z0-9%./?&=;:@_-]{0,80}", method in "(GET|POST|PUT|DELETE|PATCH|HEAD)") {
        let _ = reading(&method, &path, &[basic()], Body::None);
        let _ = reading(&method, &path, &[field("job-token", TOKEN)], Body::None);
    }
}

#[test]
fn a_request_without_its_token_is_at_hand_where_it_may_go_on() {
    let token = [field("job-token", TOKEN), field("cookie", "session=x")];
    let bare = |reading| job(reading).bare;
    let get = |forge| bare(reading_with(forge, "GET", "/api/v4/users?page=2", &token, Body::None));
    assert_eq!(get(r#""unlisted_endpoints": "deny""#), None);
    assert_eq!(get(STRIP), Some(Bare { headers: vec!["job-token".into(), "cookie".into()], path: None }));
    let query = format!("/api/v4/users?job_token={TOKEN}&page=2");
    let in_query = bare(reading_with(STRIP, "GET", &query, &[], Body::None));
    assert_eq!(in_query.unwrap().path.unwrap(), b"/api/v4/users?page=2");
}
