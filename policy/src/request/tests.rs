use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use base64::Engine;
use proptest::prelude::*;

use super::*;
use crate::facts::{JobId, ProjectPath};

mod properties;

const TOKEN: &str = "glcbt-64_abc";

fn config() -> Config {
    Config::parse(
        br#"{"forge": {"hosts": ["gitlab.example.com"], "registry_hosts": ["registry.example.com"]},
             "lookup": {"cluster": "c", "authority": "gitlab.example.com", "credential_env": "E"}}"#,
    )
    .unwrap()
}

fn basic() -> (String, String) {
    (
        "authorization".into(),
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("gitlab-ci-token:{TOKEN}"))),
    )
}

fn reading(method: &str, path: &str, more: &[(String, String)], body: Body) -> Reading {
    let mut fields: Vec<(String, String)> = vec![(":method".into(), method.into()), (":path".into(), path.into())];
    if !more.iter().any(|(name, _)| name == ":authority") {
        fields.push((":authority".into(), "gitlab.example.com".into()));
    }
    fields.extend(more.iter().cloned());
    let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    read(&config(), &Head::new(&fields, body))
}

/// A configuration with more keys in `forge`.
fn config_with(forge: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"hosts": ["gitlab.example.com"], {forge}}},
             "lookup": {{"cluster": "c", "authority": "gitlab.example.com", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn reading_with(forge: &str, method: &str, path: &str, more: &[(String, String)], body: Body) -> Reading {
    let mut fields: Vec<(String, String)> = vec![field(":method", method), field(":path", path)];
    fields.push(field(":authority", "gitlab.example.com"));
    fields.extend(more.iter().cloned());
    let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    read(&config_with(forge), &Head::new(&fields, body))
}

const GENERIC: &str = r#""kind": "generic""#;
const UNMARKED: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request to a forge that is not GitLab.
fn elsewhere(method: &str, path: &str, more: &[(String, String)], body: Body) -> Reading {
    let mut fields = vec![field("authorization", &format!("token {UNMARKED}"))];
    fields.extend(more.iter().cloned());
    reading_with(GENERIC, method, path, &fields, body)
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

fn asked(reading: Reading) -> (Protocol, Action, TargetRef) {
    let Reading::Job(job) = reading else { panic!("{reading:?}") };
    (job.protocol, job.accesses[0].action, job.accesses[0].target.clone())
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
        (Protocol::Registry, Action::PullImage, TargetRef::Image(vec![ProjectPath::parse("g/p").unwrap()]))
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
fn a_token_in_a_body_is_found() {
    for (path, media, body) in [
        ("/api/v4/projects/5/trigger/pipeline", "application/x-www-form-urlencoded", format!("token={TOKEN}&ref=main")),
        ("/api/v4/projects/5/trigger/pipeline", "application/json", format!("{{\"token\":\"{TOKEN}\"}}")),
        (
            "/api/v4/projects/5/trigger/pipeline",
            "multipart/form-data; boundary=b",
            format!("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{TOKEN}\r\n--b--\r\n"),
        ),
    ] {
        let Reading::Body(pending) = reading("POST", path, &[field("content-type", media)], Body::Follows) else {
            panic!("{media}")
        };
        assert_eq!(
            asked(pending.finish(body.as_bytes())),
            (Protocol::Trigger, Action::TriggerPipeline, TargetRef::Id(crate::facts::ProjectId(5)))
        );
    }
}

#[test]
fn a_path_that_cannot_be_read_does_not_hide_a_token_in_a_body() {
    let Reading::Body(pending) = reading("POST", "//api/v4/projects/5/trigger/pipeline", &[], Body::Follows) else {
        panic!()
    };
    assert_eq!(pending.clone().finish(b"token=glptt-person&ref=main"), Reading::NotAJob);
    let refused = pending.finish(format!("token={TOKEN}").as_bytes());
    assert_eq!(refused, Reading::Refused(Refused { protocol: Protocol::Api, malformed: Malformed::EmptySegment }));
}

#[test]
fn whoever_else_is_named_the_trigger_reads_its_form() {
    let form = || field("content-type", "application/x-www-form-urlencoded");
    let trigger = "/api/v4/projects/5/trigger/pipeline";
    for other in
        [field("private-token", "glpat-1"), field("authorization", "Bearer glpat-1"), field("deploy-token", "x")]
    {
        let Reading::Body(pending) = reading("POST", trigger, &[form(), other], Body::Follows) else { panic!() };
        assert_eq!(asked(pending.finish(format!("token={TOKEN}").as_bytes())).1, Action::TriggerPipeline);
    }
    // Elsewhere a person's token decides, unless it is none.
    let releases = "/api/v4/projects/5/releases";
    let person = [form(), field("private-token", "glpat-1")];
    assert_eq!(reading("POST", releases, &person, Body::Follows), Reading::NotAJob);
    for none in
        [field("private-token", ""), field("authorization", "Bearer"), field("authorization", "Basic anVuazpqdW5r")]
    {
        assert!(matches!(reading("POST", releases, &[form(), none], Body::Follows), Reading::Body(_)));
    }
}

#[test]
fn a_body_that_cannot_be_told_is_refused_where_a_token_could_stand_in_it() {
    let trigger = "/api/v4/projects/5/trigger/pipeline";
    for media in [
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=\"b\"",
        "application/x-www-form-urlencoded,application/json",
        "text/x-json",
        "application/vnd.api+json",
    ] {
        assert!(
            matches!(reading("POST", trigger, &[field("content-type", media)], Body::Follows), Reading::Refused(_)),
            "{media}"
        );
    }
    let twice = [field("content-type", "text/plain"), field("content-type", "application/json")];
    assert!(matches!(reading("POST", trigger, &twice, Body::Follows), Reading::Refused(_)));
    let packed = [field("content-type", "application/json"), field("content-encoding", "gzip")];
    assert!(matches!(reading("POST", trigger, &packed, Body::Follows), Reading::Refused(_)));
    assert_eq!(
        reading("POST", trigger, &[field("content-type", "application/octet-stream")], Body::Follows),
        Reading::NotAJob
    );
}

#[test]
fn a_path_that_looks_like_another_protocol_does_not_hide_a_token_in_a_body() {
    for path in [
        "/api/v4/projects/5/ref/x.git/trigger/pipeline",
        "/api/v4/projects/5/ref/info/refs/trigger/pipeline",
        "/api/v4/projects/5/trigger/pipeline.json",
        "/ap%69/v4/projects/5/trigger/pipeline",
        "/api/v4/projects/05/trigger/pipeline",
    ] {
        let Reading::Body(pending) = reading("POST", path, &[], Body::Follows) else { panic!("{path}") };
        assert!(!matches!(pending.finish(format!("token={TOKEN}").as_bytes()), Reading::NotAJob), "{path}");
    }
    let Reading::Body(pending) = reading("GET", "/api/v4/projects/5/releases", &[], Body::Follows) else { panic!() };
    assert!(matches!(pending.finish(format!("job_token={TOKEN}").as_bytes()), Reading::Refused(_)));
}

#[test]
fn an_audit_by_npm_is_no_form() {
    let path = "/api/v4/projects/5/packages/npm/-/npm/v1/security/advisories/bulk";
    let bearer = field("authorization", &format!("Bearer {TOKEN}"));
    let packed = [field("content-type", "application/json"), field("content-encoding", "gzip")];
    let audit = reading("POST", path, &[vec![bearer.clone()], packed.to_vec()].concat(), Body::Follows);
    assert_eq!(asked(audit).1, Action::ReadNpm);
    // A form may change the method, and another carrier gives way to a parameter.
    let form = [bearer, field("content-type", "application/x-www-form-urlencoded")];
    assert!(matches!(reading("POST", path, &form, Body::Follows), Reading::Body(_)));
    let header = [vec![field("job-token", TOKEN)], packed.to_vec()].concat();
    assert!(matches!(reading("POST", path, &header, Body::Follows), Reading::Refused(_)));
}

#[test]
fn a_second_credential_in_the_query_is_seen() {
    for query in ["private_token=glpat-1", "access_token=x", "token=legacy", "sudo=root", "x=glcbt-other"] {
        let path = format!("/api/v4/projects/5/releases?{query}");
        assert!(
            matches!(reading("GET", &path, &[field("job-token", TOKEN)], Body::None), Reading::Refused(_)),
            "{query}"
        );
    }
}

#[test]
fn a_token_in_the_head_and_another_in_the_body_are_two() {
    let head = [field("job-token", TOKEN), field("content-type", "application/x-www-form-urlencoded")];
    let Reading::Body(pending) = reading("POST", "/api/v4/projects/5/trigger/pipeline", &head, Body::Follows) else {
        panic!()
    };
    assert_eq!(
        pending.finish(b"token=glcbt-other"),
        Reading::Refused(Refused { protocol: Protocol::Trigger, malformed: Malformed::Multiple })
    );
}

/// A request with a job token in its head that waits for its body.
fn waits(method: &str, path: &str, head: &[(String, String)]) -> Pending {
    let Reading::Body(pending) = reading(method, path, head, Body::Follows) else { panic!("{method} {path} {head:?}") };
    pending
}

fn refusal(reading: Reading) -> Malformed {
    let Reading::Refused(refused) = reading else { panic!("{reading:?}") };
    refused.malformed
}

fn streams(method: &str, path: &str, head: &[(String, String)]) -> Option<Scan> {
    let Reading::Job(job) = reading(method, path, head, Body::Follows) else { panic!("{method} {path} {head:?}") };
    job.scan
}

#[test]
fn a_body_without_a_type_is_read_two_ways() {
    let releases = "/api/v4/projects/5/releases";
    for empty in [vec![], vec![field("content-type", "")]] {
        let head = [vec![field("job-token", TOKEN)], empty.clone()].concat();
        assert_eq!(asked(waits("POST", releases, &head).finish(b"")).1, Action::WriteReleases);
        for body in [&b"tag_name=v1"[..], br#"{"job_token":"glcbt-b"}"#, b" "] {
            assert_eq!(refusal(waits("POST", releases, &head).finish(body)), Malformed::BodyType);
        }
        for body in [&b"job_token=glcbt-b"[..], br#"{"job_token":"glcbt-b"}"#, br#"{"a":"&job_token=glcbt-b&"}"#] {
            assert_eq!(refusal(waits("POST", releases, &empty).finish(body)), Malformed::BodyType);
        }
        for body in [&b""[..], b"token=glptt-person", br#"{"tag_name":"v1"}"#, b"\xff", b"<xml>"] {
            assert_eq!(waits("POST", releases, &empty).finish(body), Reading::NotAJob);
        }
    }
    // A package has none often, and is no form.
    let package = "/api/v4/projects/5/packages/generic/n/1.0/f";
    assert_eq!(streams("PUT", package, &[field("job-token", TOKEN)]), None);
    assert_eq!(streams("PATCH", "/api/v4/jobs/7/trace", &[field("job-token", TOKEN)]), None);
}

#[test]
fn an_upload_is_looked_through_where_it_may_hold_parameters() {
    let typed = |media: &str| [basic(), field("content-type", media)];
    let pypi = "/api/v4/projects/5/packages/pypi";
    let package = "/api/v4/projects/5/packages/generic/n/1.0/f";
    for (method, path) in [("POST", pypi), ("PUT", package), ("POST", "/api/v4/jobs/7/artifacts")] {
        for media in ["multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=\"b\""] {
            let mut scan = streams(method, path, &typed(media)).unwrap();
            assert_eq!(scan.feed(b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n"), Ok(()));
            assert!(scan.finish().is_err());
        }
        for media in ["multipart/mixed; boundary=b", "multipart/related; boundary=b", "x/y,application/json"] {
            assert_eq!(refusal(reading(method, path, &typed(media), Body::Follows)), Malformed::BodyType, "{media}");
        }
        for media in ["multipart/form-data", "multipart/form-data; boundary=a; boundary=b"] {
            assert_eq!(refusal(reading(method, path, &typed(media), Body::Follows)), Malformed::MultipartSyntax);
        }
        assert_eq!(streams(method, path, &typed("application/octet-stream")), None);
        let form = waits(method, path, &typed("application/x-www-form-urlencoded"));
        assert_eq!(refusal(form.clone().finish(b"_method=DELETE")), Malformed::Override);
        assert_eq!(refusal(form.finish(b"a=1&job_token=glcbt-b")), Malformed::Multiple);
    }
    let packed = [basic(), field("content-type", "multipart/form-data; boundary=b"), field("content-encoding", "gzip")];
    assert_eq!(refusal(reading("POST", pypi, &packed, Body::Follows)), Malformed::BodyEncoding);
}

#[test]
fn json_beside_a_token_is_read_where_the_forge_may_prefer_what_it_says() {
    let json = || field("content-type", "application/json");
    let tags = "/api/v4/projects/5/packages/npm/-/package/p/dist-tags/latest";
    let bearer = field("authorization", &format!("Bearer {TOKEN}"));
    assert_eq!(streams("PUT", tags, &[bearer.clone(), json()]), None);
    let pending = waits("PUT", tags, &[field("job-token", TOKEN), json()]);
    assert_eq!(refusal(pending.finish(br#"{"job_token":"glcbt-b"}"#)), Malformed::Multiple);
    // A parameter of that name comes before a Bearer token.
    let pending = waits("POST", "/api/v4/projects/5/releases", &[bearer, json()]);
    assert_eq!(refusal(pending.finish(br#"{"access_token":"glpat-b"}"#)), Malformed::Multiple);
}

#[test]
fn one_type_one_charset_one_kind_of_value() {
    let releases = "/api/v4/projects/5/releases";
    let typed = |media: &str| [field("job-token", TOKEN), field("content-type", media)];
    for media in ["application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF-8\"", "application/json;"] {
        let pending = waits("POST", releases, &typed(media));
        assert_eq!(asked(pending.clone().finish(br#"{"job_token":null,"x":[1]}"#)).1, Action::WriteReleases);
        for (body, expected) in [
            (&br#"{"job_token":["glcbt-b"]}"#[..], Malformed::JsonToken),
            (br#"{"job_token[]":{"a":"glcbt-b"}}"#, Malformed::JsonToken),
            (br#"{"token":["glcbt-b"]}"#, Malformed::JsonToken),
            (br#"{"job_token":7}"#, Malformed::JsonToken),
            (br#"["glcbt-b"]"#, Malformed::JsonSyntax),
            (b"\xef\xbb\xbf{}", Malformed::JsonSyntax),
            (b"\xff\xfe{\0}\0", Malformed::JsonSyntax),
            (b"", Malformed::JsonSyntax),
        ] {
            assert_eq!(refusal(pending.clone().finish(body)), expected, "{}", String::from_utf8_lossy(body));
        }
    }
    for media in [
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/x-www-form-urlencoded; charset=utf-7",
        "application/x-www-form-urlencoded; _charset_=x",
        "multipart/form-data, application/json",
    ] {
        assert_eq!(refusal(reading("POST", releases, &typed(media), Body::Follows)), Malformed::BodyType, "{media}");
    }
    for method in ["PUT", "DELETE"] {
        let pending = waits(method, "/api/v4/projects/5/releases/v1", &typed("application/json"));
        assert_eq!(refusal(pending.finish(br#"{"job_token":"glcbt-b"}"#)), Malformed::Multiple, "{method}");
    }
    for form in
        ["%6aob_token=glcbt-b", "+job_token=glcbt-b", "job_token%00=glcbt-b", "a;job_token=b", "a=%zz", "\u{e9}=%ff"]
    {
        let pending = waits("POST", releases, &typed("application/x-www-form-urlencoded"));
        assert!(matches!(pending.finish(form.as_bytes()), Reading::Refused(_)), "{form}");
    }
}

#[test]
fn who_asks_for_a_registry_token_by_post_is_told_to_get_it() {
    let form = |login: &str| {
        let pending =
            waits("POST", "/jwt/auth", &[field("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
        pending.finish(format!("client_id=containerd-client&grant_type=password&{login}&scope=repository%3Ag%2Fp%3Apull&service=container_registry").as_bytes())
    };
    for login in [
        format!("username=gitlab-ci-token&password={TOKEN}"),
        "password=legacy20chars0000000&username=gitlab-ci-token".into(),
        format!("refresh_token={TOKEN}"),
    ] {
        assert_eq!(refusal(form(&login)), Malformed::TokenPost, "{login}");
    }
    assert_eq!(form("username=dana&password=x"), Reading::NotAJob);
    assert_eq!(refusal(reading("POST", "/jwt/auth", &[basic()], Body::Follows)), Malformed::TokenPost);
}

#[test]
fn a_path_that_is_no_endpoint_is_answered_by_what_is_wrong_with_it() {
    for (path, expected) in [
        ("/g/p.git?x=y/info/refs&service=git-upload-pack", Malformed::Unclassifiable),
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
fn a_runner_says_its_token_twice() {
    let head = [field("job-token", TOKEN), field("content-type", "application/json")];
    let Reading::Body(pending) = reading("PUT", "/api/v4/jobs/7", &head, Body::Follows) else { panic!() };
    let Reading::Job(job) = pending.finish(format!("{{\"token\":\"{TOKEN}\",\"state\":\"success\"}}").as_bytes())
    else {
        panic!()
    };
    assert_eq!((job.protocol, job.progress), (Protocol::Runner, Progress::Final));
}

#[test]
fn an_old_forges_runner_says_a_token_without_a_mark() {
    let json = || field("content-type", "application/json");
    let Reading::Body(pending) = reading("PUT", "/api/v4/jobs/7", &[json()], Body::Follows) else { panic!() };
    let Reading::Job(job) = pending.finish(br#"{"token":"legacy20chars0000000","state":"failed"}"#) else { panic!() };
    assert_eq!((job.token, job.progress), (Secret::new(b"legacy20chars0000000"), Progress::Final));
    let Reading::Body(pending) = reading("POST", "/api/v4/projects/5/trigger/pipeline", &[json()], Body::Follows)
    else {
        panic!()
    };
    assert_eq!(
        pending.finish(br#"{"token":"legacy20chars0000000"}"#),
        Reading::NotAJob,
        "a trigger token looks the same"
    );
}

#[test]
fn a_job_token_off_its_routes_is_refused() {
    let refused = |malformed, protocol| Reading::Refused(Refused { protocol, malformed });
    let token = || field("job-token", TOKEN);
    assert_eq!(reading("GET", "/dashboard", &[token()], Body::None), refused(Malformed::WebRoute, Protocol::Web));
    assert_eq!(
        reading("GET", "/g/p.git/info/refs?service=git-upload-pack", &[token()], Body::None),
        refused(Malformed::Carrier, Protocol::Git)
    );
    assert_eq!(
        reading("GET", "/api/v4/job", &[token(), field(":authority", "other.example.com")], Body::None),
        refused(Malformed::UnknownHost, Protocol::Api)
    );
    assert_eq!(
        reading("OPTIONS", "/api/v4/job", &[token()], Body::None),
        refused(Malformed::MethodUnknown, Protocol::Api)
    );
    assert_eq!(reading("GET", "/api/v4/job", &[token()], Body::Follows), refused(Malformed::BodyOnGet, Protocol::Api));
}

#[test]
fn a_registrys_own_carrier_is_read_on_its_routes_alone() {
    let refused = |malformed, protocol| Reading::Refused(Refused { protocol, malformed });
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
        assert_eq!(api(method, path, key()), refused(Malformed::Carrier, Protocol::Api), "{path}");
    }
    for (method, path) in [("PUT", "projects/5/packages/nuget"), ("GET", "projects/5/releases"), ("GET", "users")] {
        assert_eq!(api(method, path, raw()), refused(Malformed::Authorization, Protocol::Api), "{path}");
    }
    let clone = |carrier| reading("GET", "/g/p.git/info/refs?service=git-upload-pack", &[carrier], Body::None);
    assert_eq!(clone(key()), refused(Malformed::Carrier, Protocol::Git));
    assert_eq!(clone(raw()), refused(Malformed::Authorization, Protocol::Git));
}

#[test]
fn a_token_inside_a_jwt_is_judged_where_it_is_used() {
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"token\":\"{TOKEN}\"}}"));
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{claims}.sig");
    let recipe = "/api/v4/packages/conan/v1/conans/n/1.0/g+p/stable";
    for carrier in [field("authorization", &format!("Bearer {jwt}")), basic()] {
        let Reading::Job(job) = reading("GET", recipe, &[carrier], Body::None) else { panic!() };
        assert_eq!((job.token, job.accesses[0].target.clone()), (Secret::new(TOKEN.as_bytes()), project("g/p")));
    }
    let module = format!("/api/v4/packages/terraform/modules/v1/g/mod/aws/1.0.0/file?token={jwt}&archive=tgz");
    let Reading::Job(job) = reading("GET", &module, &[], Body::None) else { panic!() };
    assert_eq!((job.token, job.accesses[0].action), (Secret::new(TOKEN.as_bytes()), Action::ReadTerraform));
    let twice = format!("{module}&job_token={TOKEN}");
    assert!(matches!(reading("GET", &twice, &[], Body::None), Reading::Refused(_)));
}

#[test]
fn a_persons_upload_streams_with_the_registrys_own_carrier() {
    for (method, path, who) in [
        ("PUT", "projects/5/packages/nuget/", field("x-nuget-apikey", "glpat-1")),
        ("POST", "projects/5/packages/rubygems/api/v1/gems", field("authorization", "glpat-1")),
        ("PUT", "projects/5/packages/terraform/modules/m/aws/1.0.0/file", field("deploy-token", "gldt-1")),
    ] {
        let path = format!("/api/v4/{path}");
        assert_eq!(reading(method, &path, core::slice::from_ref(&who), Body::Follows), Reading::NotAJob, "{path}");
        // Where the forge passes over it, a form may still hold a job token.
        let releases = "/api/v4/projects/5/releases";
        assert!(matches!(reading("POST", releases, &[who], Body::Follows), Reading::Body(_)), "{path}");
    }
}

#[test]
fn a_head_without_path_or_method_is_refused() {
    let method: (&[u8], &[u8]) = (b":method", b"CONNECT");
    let reading = read(&config(), &Head::new(&[method], Body::None));
    assert_eq!(reading, Reading::Refused(Refused { protocol: Protocol::Web, malformed: Malformed::NoPath }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(fields in proptest::collection::vec((proptest::sample::select(vec![":path", ":method", ":authority", "authorization", "job-token", "content-type", "connection"]), proptest::collection::vec(any::<u8>(), 0..60)), 0..8), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())).collect();
        match read(&config(), &Head::new(&fields, Body::Follows)) {
            Reading::Body(pending) => drop(pending.finish(&body)),
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
fn another_forges_paths_are_read_as_it_reads_them() {
    let code = |action, path| (Protocol::Git, action, project(path));
    let upload = field("content-type", "application/x-git-upload-pack-request");
    let archive = field("content-type", "application/x-git-upload-archive-request");
    for (method, path, more, expected) in [
        ("GET", "/o/r/info/refs?service=git-receive-pack", None, code(Action::WriteCode, "o/r")),
        ("GET", "/o/r.git/info/refs?service=git-upload-pack", None, code(Action::ReadCode, "o/r")),
        ("GET", "/o/r/info/refs?service=git-upload-archive", None, code(Action::ReadCode, "o/r")),
        ("POST", "/o/r/git-upload-pack", Some(upload), code(Action::ReadCode, "o/r")),
        ("POST", "/o/r/git-upload-archive", Some(archive), code(Action::ReadCode, "o/r")),
        ("GET", "/o/r.wiki.git/info/refs?service=git-upload-pack", None, code(Action::ReadWiki, "o/r")),
        // What GitLab has for itself is anybody's name here.
        (
            "GET",
            "/explore/r.design/info/refs?service=git-upload-pack",
            None,
            code(Action::ReadCode, "explore/r.design"),
        ),
        ("GET", "/snippets/5.git/info/refs?service=git-upload-pack", None, code(Action::ReadCode, "snippets/5")),
        ("GET", "/v2/token", None, (Protocol::RegistryToken, Action::RegistryToken, TargetRef::None)),
        ("GET", "/api/v1/repos/o/r", None, (Protocol::Api, Action::Unlisted, TargetRef::None)),
        ("GET", "/api/v4/projects/5/releases", None, (Protocol::Api, Action::Unlisted, TargetRef::None)),
    ] {
        let body = if method == "POST" { Body::Follows } else { Body::None };
        let more: Vec<_> = more.into_iter().collect();
        assert_eq!(asked(elsewhere(method, path, &more, body)), expected, "{method} {path}");
    }
    let digest = "a".repeat(64);
    let mount = std::format!("/v2/o/r/blobs/uploads/?mount=sha256:{digest}&from=other/secret");
    let Reading::Job(mount) = elsewhere("POST", &mount, &[], Body::None) else { panic!() };
    assert_eq!(mount.accesses.iter().map(|one| one.action).collect::<Vec<_>>(), [Action::PushImage, Action::PullImage]);
    for path in ["/a/b/org/repo.git/info/lfs/objects/batch", "/a/b/org/repo/objects/batch"] {
        let batch = elsewhere("POST", path, &[field("content-type", "application/vnd.git-lfs+json")], Body::Follows);
        let Reading::Body(batch) = batch else { panic!("{batch:?}") };
        let read = batch.finish(br#"{"operation":"download","objects":[]}"#);
        assert_eq!(asked(read), (Protocol::Lfs, Action::DownloadLfs, project("a/b/org/repo")), "{path}");
    }
}

#[test]
fn another_forges_credential_is_a_jobs_until_somebody_says_otherwise() {
    let claim = |reading| {
        let Reading::Job(job) = reading else { panic!("{reading:?}") };
        assert_eq!(job.token, Secret::new(UNMARKED.as_bytes()));
        job.claim
    };
    assert_eq!(
        claim(elsewhere("GET", "/o/r/info/refs?service=git-upload-pack", &[], Body::None)),
        Claim::Unmarked(None)
    );
    for (path, more, malformed) in [
        ("/o//r/info/refs?service=git-upload-pack", vec![], Malformed::EmptySegment),
        ("/o/r/settings", vec![], Malformed::WebRoute),
        ("/o/r/HEAD", vec![], Malformed::WebRoute),
        ("/o/r/info/lfs/locks", vec![], Malformed::WebRoute),
        ("/o/r.GIT/info/refs?service=git-upload-pack", vec![], Malformed::ProjectPath),
        ("/-/r/info/refs?service=git-upload-pack", vec![], Malformed::ReservedWord),
        ("/info/info/refs/git-upload-pack", vec![], Malformed::MethodUnknown),
        ("/o/r/info/refs?service=git-upload-pack", vec![field("sudo", "root")], Malformed::Sudo),
        ("/v2/o/R/manifests/x", vec![], Malformed::RegistryName),
    ] {
        assert_eq!(claim(elsewhere("GET", path, &more, Body::None)), Claim::Unmarked(Some(malformed)), "{path}");
    }
    let media = [field("content-type", "application/vnd.git-lfs+json")];
    let Reading::Body(batch) = elsewhere("POST", "/o/r.git/info/lfs/objects/batch", &media, Body::Follows) else {
        panic!()
    };
    assert_eq!(claim(batch.refuse(Malformed::BodyTooLarge)), Claim::Unmarked(Some(Malformed::BodyTooLarge)));
    assert_eq!(claim(batch.clone().finish(b"{}")), Claim::Unmarked(Some(Malformed::LfsOperation)));
    assert_eq!(claim(batch.finish(br#"{"operation":"upload"}"#)), Claim::Unmarked(None));

    // What has a mark needs nobody to say so.
    let marked = reading_with(GENERIC, "GET", "/o//r", &[basic()], Body::None);
    assert!(matches!(marked, Reading::Refused(_)), "{marked:?}");
    let gitlab = [field("authorization", &format!("Bearer {UNMARKED}"))];
    assert_eq!(reading("GET", "/o/r.git/info/refs?service=git-upload-pack", &gitlab, Body::None), Reading::NotAJob);
}

const STRIP: &str = r#""unlisted_endpoints": "strip""#;

#[test]
fn a_request_without_its_token_is_at_hand_where_it_may_go_on() {
    let token = [field("job-token", TOKEN), field("cookie", "session=x")];
    let bare = |reading| {
        let Reading::Job(job) = reading else { panic!("{reading:?}") };
        job.bare
    };
    let get = |forge| bare(reading_with(forge, "GET", "/api/v4/users?page=2", &token, Body::None));
    assert_eq!(get(r#""unlisted_endpoints": "deny""#), None);
    assert_eq!(get(STRIP), Some(Bare { headers: vec!["job-token".into(), "cookie".into()], path: None }));
    let query = format!("/api/v4/users?job_token={TOKEN}&page=2");
    let in_query = bare(reading_with(STRIP, "GET", &query, &[], Body::None));
    assert_eq!(in_query.unwrap().path.unwrap(), b"/api/v4/users?page=2");
}

#[test]
fn a_body_that_may_hold_a_token_is_read_before_the_head_loses_its_own() {
    let post = |media: &str, token: (String, String)| {
        reading_with(STRIP, "POST", "/api/v4/users", &[token, field("content-type", media)], Body::Follows)
    };
    let bearer = || field("authorization", &format!("Bearer {TOKEN}"));
    let finished = |body: &str| {
        let Reading::Body(pending) = post("application/json", bearer()) else { panic!() };
        pending.finish(body.as_bytes())
    };
    let Reading::Job(plain) = finished(r#"{"name":"x"}"#) else { panic!() };
    assert_eq!(plain.bare, Some(Bare { headers: vec!["authorization".into()], path: None }));
    let Reading::Job(hidden) = finished(&format!(r#"{{"deep":{{"x":"{TOKEN}"}}}}"#)) else { panic!() };
    assert_eq!(hidden.bare, None);
    assert!(matches!(finished(r#"{"job_token":"glcbt-64_other"}"#), Reading::Refused(_)));
    // What no forge reads parameters from streams.
    let Reading::Job(stream) = post("application/octet-stream", field("job-token", TOKEN)) else { panic!() };
    assert!(stream.bare.is_some());
    // A token that stands in the body alone.
    let media = [field("content-type", "application/json")];
    let Reading::Body(pending) = reading_with(STRIP, "POST", "/api/v4/users", &media, Body::Follows) else { panic!() };
    let Reading::Job(in_body) = pending.finish(format!(r#"{{"job_token":"{TOKEN}"}}"#).as_bytes()) else { panic!() };
    assert_eq!(in_body.bare, None);
}

proptest! {
    #[test]
    fn no_bytes_to_another_forge_make_it_panic(fields in proptest::collection::vec((proptest::sample::select(vec![":path", ":method", ":authority", "authorization", "cookie", "content-type"]), proptest::collection::vec(any::<u8>(), 0..60)), 0..8), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())).collect();
        let config = config_with(&format!("{GENERIC}, {STRIP}"));
        if let Reading::Body(pending) = read(&config, &Head::new(&fields, Body::Follows)) {
            let _ = pending.finish(&body);
        }
    }

    #[test]
    fn no_path_of_another_forge_makes_it_panic(path in "/[a-zA-Z0-9%./?&=;:@_-]{0,80}", method in "(GET|POST|PUT|DELETE|PATCH|HEAD)") {
        let reading = elsewhere(&method, &path, &[], Body::None);
        prop_assert!(matches!(reading, Reading::Job(_)), "{reading:?}");
    }
}

#[test]
fn a_form_to_another_forges_api_may_hold_the_token() {
    let form = |path: &str, authorization: Option<&str>, body: &str| {
        let media = field("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let fields: Vec<_> =
            authorization.map(|value| field("authorization", value)).into_iter().chain([media]).collect();
        let reading = reading_with(GENERIC, "POST", path, &fields, Body::Follows);
        let Reading::Body(pending) = reading else { panic!("{reading:?}") };
        pending.finish(body.as_bytes())
    };
    let token = format!("a=1&token={UNMARKED}");
    for path in ["/api/v1/user/repos", "/api/v4/projects/5/trigger/pipeline", "//api/v1/user", "/%61pi/v1/user"] {
        for body in [token.clone(), format!("x;token={UNMARKED}"), format!("%74oken={UNMARKED}&b=%zz")] {
            let Reading::Job(job) = form(path, None, &body) else { panic!("{path} {body}") };
            assert_eq!(
                (job.token, job.claim),
                (Secret::new(UNMARKED.as_bytes()), Claim::Unmarked(Some(Malformed::Carrier)))
            );
        }
        assert_eq!(form(path, None, "name=x&token="), Reading::NotAJob, "{path}");
        // Whoever the head names, the forge takes what stands in the form.
        let two = form(path, Some("Bearer somebodys"), &token);
        assert!(matches!(two, Reading::Refused(Refused { malformed: Malformed::Multiple, .. })), "{two:?}");
    }
    let Reading::Job(head) = form("/api/v1/user/repos", Some("Bearer somebodys"), "name=x") else { panic!() };
    assert_eq!((head.token, head.claim), (Secret::new(b"somebodys"), Claim::Unmarked(None)));
    let media = [field("content-type", "application/x-www-form-urlencoded")];
    let web = reading_with(GENERIC, "POST", "/user/login", &media, Body::Follows);
    assert_eq!(web, Reading::NotAJob, "a person's login is nobody's business");
}

#[test]
fn an_upload_that_may_be_a_persons_is_not_looked_through_and_not_stripped() {
    let upload = [field("content-type", "multipart/form-data; boundary=b")];
    let both = std::format!("{GENERIC}, {STRIP}");
    for keys in [GENERIC, &both] {
        let mut fields = vec![field("authorization", &format!("token {UNMARKED}"))];
        fields.extend(upload.iter().cloned());
        let Reading::Job(job) =
            reading_with(keys, "POST", "/api/v1/repos/o/r/releases/1/assets", &fields, Body::Follows)
        else {
            panic!("{keys}")
        };
        assert!(matches!(job.claim, Claim::Unmarked(None)) && job.scan.is_none() && job.bare.is_none(), "{keys}");
    }
}
