//! A token in a body, and what a body is read as beside a token of the head.

use core::slice;

use super::*;

const TRIGGER: &str = "/api/v4/projects/5/trigger/pipeline";
const RELEASES: &str = "/api/v4/projects/5/releases";

fn waits(method: &str, path: &str, head: &[(String, String)]) -> Pending {
    pending(reading(method, path, head, Body::Follows))
}

fn passing(method: &str, path: &str, head: &[(String, String)]) -> Scan {
    let reading = reading(method, path, head, Body::Follows);
    let Reading::Passing(scan) = reading else { panic!("{method} {path}: {reading:?}") };
    scan
}

/// Why a body is broken off that was going on.
fn broken_off(mut scan: Scan, body: &str) -> Option<Malformed> {
    let (first, rest) = body.split_at(body.len() / 2);
    let fed = scan.feed(first.as_bytes()).and_then(|()| scan.feed(rest.as_bytes())).and_then(|()| scan.finish());
    fed.err().map(|refused| refused.malformed)
}

fn streams(method: &str, path: &str, head: &[(String, String)]) -> Option<Scan> {
    job(reading(method, path, head, Body::Follows)).scan
}

#[test]
fn a_token_in_a_body_is_found() {
    for (media, body) in [
        ("application/x-www-form-urlencoded", format!("token={TOKEN}&ref=main")),
        ("application/json", format!("{{\"token\":\"{TOKEN}\"}}")),
        (
            "multipart/form-data; boundary=b",
            format!("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{TOKEN}\r\n--b--\r\n"),
        ),
    ] {
        let pending = waits("POST", TRIGGER, &[field("content-type", media)]);
        assert_eq!(
            asked(pending.finish(body.as_bytes())),
            (Protocol::Trigger, Action::TriggerPipeline, TargetRef::Id(crate::facts::ProjectId(5)))
        );
    }
}

#[test]
fn a_path_that_cannot_be_read_does_not_hide_a_token_in_a_body() {
    let pending = waits("POST", "//api/v4/projects/5/trigger/pipeline", &[]);
    assert_eq!(pending.clone().finish(b"token=glptt-person&ref=main"), Reading::NotAJob);
    let refused = pending.finish(format!("token={TOKEN}").as_bytes());
    assert_eq!(said(refused), (Malformed::EmptySegment, Protocol::Api));
}

#[test]
fn whoever_else_is_named_the_trigger_reads_its_form() {
    let form = || field("content-type", "application/x-www-form-urlencoded");
    for other in
        [field("private-token", "glpat-1"), field("authorization", "Bearer glpat-1"), field("deploy-token", "x")]
    {
        let pending = waits("POST", TRIGGER, &[form(), other]);
        assert_eq!(asked(pending.finish(format!("token={TOKEN}").as_bytes())).1, Action::TriggerPipeline);
    }
    // Elsewhere a person's token decides, unless it is none.
    let person = [form(), field("private-token", "glpat-1")];
    assert_eq!(broken_off(passing("POST", RELEASES, &person), &format!("job_token={TOKEN}")), None);
    for none in
        [field("private-token", ""), field("authorization", "Bearer"), field("authorization", "Basic anVuazpqdW5r")]
    {
        assert!(matches!(reading("POST", RELEASES, &[form(), none], Body::Follows), Reading::Body(_)));
    }
}

#[test]
fn a_body_that_cannot_be_told_goes_on_unless_a_token_could_stand_in_it() {
    for (media, malformed) in [
        ("multipart/mixed; boundary=b", Malformed::BodyType),
        ("multipart/form-data; boundary=a;b", Malformed::MultipartSyntax),
        ("application/x-www-form-urlencoded,application/json", Malformed::BodyType),
        ("application/x-www-form-urlencoded; charset=utf-7", Malformed::BodyType),
        ("text/x-json", Malformed::BodyType),
        ("application/vnd.api+json", Malformed::BodyType),
    ] {
        let scan = passing("POST", TRIGGER, &[field("content-type", media)]);
        assert_eq!(broken_off(scan.clone(), "{\"a\": \"token=glptt-1 $CI_JOB_TOKEN\"}"), None, "{media}");
        let token = format!("&token={TOKEN}&{{\"token\":\"{TOKEN}\"}}");
        assert_eq!(broken_off(scan, &token), Some(malformed), "{media}");
    }
    let twice = [field("content-type", "text/plain"), field("content-type", "application/json")];
    assert_eq!(broken_off(passing("POST", TRIGGER, &twice), "{\"job_token\":1}"), Some(Malformed::DuplicateHeader));
    let packed = [field("content-type", "application/json"), field("content-encoding", "gzip")];
    assert_eq!(refusal(reading("POST", TRIGGER, &packed, Body::Follows)), Malformed::BodyEncoding);
    let session = [&packed[..], &[field("cookie", "_gitlab_session=1")]].concat();
    assert_eq!(broken_off(passing("POST", TRIGGER, &session), "\u{1f}\u{8b}"), None, "no forge inflates it");
    assert_eq!(broken_off(passing("POST", TRIGGER, &session), "{\"job_token\":1}"), Some(Malformed::BodyEncoding));
    // But for npm's audits, of which a person's says its token before.
    let audit = "/api/v4/projects/5/packages/npm/-/npm/v1/security/audits/quick";
    assert_eq!(refusal(reading("POST", audit, &packed, Body::Follows)), Malformed::BodyEncoding);
    let person = [&packed[..], &[field("authorization", "Bearer glpat-1")]].concat();
    assert_eq!(broken_off(passing("POST", audit, &person), "\u{1f}\u{8b}"), None);
    assert_eq!(
        reading("POST", TRIGGER, &[field("content-type", "application/octet-stream")], Body::Follows),
        Reading::NotAJob
    );
}

#[test]
fn a_persons_body_is_not_held_back_whatever_it_is_for() {
    let people = [
        field("private-token", "glpat-1"),
        field("authorization", "Bearer glpat-1"),
        field("authorization", "Basic ZGFuYTpnbHBhdC0x"),
        field("deploy-token", "gldt-1"),
        field("cookie", "_gitlab_session=1"),
    ];
    let types = [
        "",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/octet-stream",
    ];
    for (person, media) in people.iter().flat_map(|person| types.iter().map(move |media| (person, media))) {
        let head = [person.clone(), field("content-type", media)];
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            for path in [
                "/api/v4/projects/5/repository/files/a%2Eb",
                "/api/v4/projects/5/issues",
                "/api/v4/projects/5/jobs",
                "/api/v4/internal/allowed",
                "/api/v4/projects/5/trigger/pipeline.json",
                "//api/v4/projects/5/releases",
            ] {
                let read = reading(method, path, &head, Body::Follows);
                assert!(matches!(read, Reading::NotAJob | Reading::Passing(_)), "{method} {path} {head:?}: {read:?}");
            }
            for path in [
                "packages/generic/n/1.0/f",
                "packages/maven/a/b.jar",
                "packages/npm/p",
                "packages/pypi",
                "terraform/state/s",
            ] {
                let path = format!("/api/v4/projects/5/{path}");
                let read = reading(method, &path, &head, Body::Follows);
                let is_session = person.0 == "cookie";
                assert!(
                    matches!(read, Reading::NotAJob | Reading::Passing(_)) || is_session,
                    "{method} {path} {head:?}: {read:?}"
                );
            }
        }
    }
}

#[test]
fn beside_whoever_is_named_a_token_in_a_body_does_not_go_on() {
    let json = format!("{{\"job_token\":\"{TOKEN}\"}}");
    let form = format!("a=1&job_token={TOKEN}");
    let parts = format!("--b\r\nContent-Disposition: form-data; name=\"job_token\"\r\n\r\n{TOKEN}\r\n--b--\r\n");
    for decoy in
        [field("deploy-token", "x"), field("authorization", "Basic eDp5"), field("cookie", "x=y"), field("x-a", "b")]
    {
        for (media, body) in [
            ("application/json", &json),
            ("application/x-www-form-urlencoded", &form),
            ("multipart/form-data; boundary=b", &parts),
            ("", &json),
            ("", &form),
        ] {
            let head = [decoy.clone(), field("content-type", media)];
            for (method, path) in [
                ("POST", "/api/v4/projects/103/statuses/abc"),
                ("POST", "/api/v4/internal/dast/site_validations/1/transition"),
                ("PATCH", "/api/v4/projects/5/releases"),
                ("PUT", "/api/v4/projects/5/packages/maven/a/b.jar"),
                ("POST", "/api/v4/projects/5/packages/composer"),
                ("DELETE", "/api/v4/projects/5/secure_files/1"),
                ("POST", "//api/v4/projects/5/releases"),
            ] {
                let read = reading(method, path, &head, Body::Follows);
                let small = read.clone().finish(body.as_bytes());
                assert!(matches!(small, Reading::Refused(_) | Reading::Job(_)), "{method} {path} {head:?}: {small:?}");
                let mut large = match read {
                    Reading::Body(pending) => pending.let_go(Malformed::BodyTooLarge),
                    read @ (Reading::NotAJob | Reading::Passing(_) | Reading::Job(_) | Reading::Refused(_)) => read,
                };
                let Reading::Passing(scan) = &mut large else { panic!("{large:?}") };
                assert!(scan.feed(body.as_bytes()).is_err(), "{method} {path} {head:?}");
            }
        }
    }
    // Terraform's state is JSON without a type to the forge.
    let state =
        passing("PUT", "/api/v4/projects/5/packages/terraform/modules/m/aws/1.0.0/file", &[field("deploy-token", "x")]);
    assert_eq!(broken_off(state, &json), Some(Malformed::Multiple));
    let query = passing("DELETE", "/api/v4/projects/5/secure_files/1?private_token=x", &[]);
    assert_eq!(broken_off(query, &json), Some(Malformed::Multiple));
}

#[test]
fn what_is_held_back_is_let_go_once_it_is_too_large_or_too_slow_unless_a_token_stands_in_it() {
    for (media, mine, jobs) in [
        ("application/json", "{\"a\":\"b\",", format!("\"job_token\":\"{TOKEN}\"}}")),
        ("application/x-www-form-urlencoded", "a=b&", format!("job_token={TOKEN}")),
    ] {
        for malformed in [Malformed::BodyTooLarge, Malformed::BodyTimeout, Malformed::Trailers] {
            let mut held = waits("POST", RELEASES, &[field("content-type", media)]);
            held.feed(mine.as_bytes());
            let Reading::Passing(mut scan) = held.clone().let_go(malformed) else { panic!() };
            assert_eq!(scan.feed(jobs.as_bytes()).unwrap_err().malformed, malformed);
            held.feed(jobs.as_bytes());
            assert_eq!(refusal(held.let_go(malformed)), malformed);
        }
    }
    let mut package = waits("PUT", "/api/v4/projects/5/packages/generic/n/1.0/f", &[]);
    assert!(!package.is_settled());
    package.feed(b"PK\x03\x04");
    assert!(package.is_settled() && package.let_go(Malformed::BodyTooLarge) == Reading::NotAJob);
    // Of a job's nothing goes on unread.
    let job = waits("POST", RELEASES, &[field("job-token", TOKEN), field("content-type", "application/json")]);
    assert_eq!(refusal(job.let_go(Malformed::BodyTooLarge)), Malformed::BodyTooLarge);
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
        let pending = waits("POST", path, &[]);
        assert!(!matches!(pending.finish(format!("token={TOKEN}").as_bytes()), Reading::NotAJob), "{path}");
    }
    let pending = waits("GET", RELEASES, &[]);
    assert!(matches!(pending.finish(format!("job_token={TOKEN}").as_bytes()), Reading::Refused(_)));
}

#[test]
fn a_persons_form_that_no_strict_reader_reads_passes_unless_a_job_token_may_stand_in_it() {
    let form = || field("content-type", "application/x-www-form-urlencoded");
    let many: String = (0..1100).map(|n| format!("&variables[V{n}]=x")).collect();
    let empty = "&".repeat(1 << 19);
    for rest in ["&variables[MSG]=hello world", "&a=100%", "&a=b;c", &many, &empty, "&a=\u{1}", "&a=glcbt- rotation"] {
        for head in [vec![form()], vec![]] {
            let finish = |body: String| waits("POST", TRIGGER, &head).finish(body.as_bytes());
            assert_eq!(finish(format!("token=glptt-x&ref=main{rest}")), Reading::NotAJob, "{rest:?}");
            assert_eq!(finish(format!("a={TOKEN}0123456789abcdef{rest}")), Reading::NotAJob, "nobody reads it there");
            for token in [format!("token={TOKEN}"), "[job_token]=y".into(), "%6aob_token=y".into()] {
                let read = finish(format!("{token}{rest}"));
                assert!(matches!(read, Reading::Refused(_)), "{token}{rest:?}");
            }
        }
        let login = |user: &str| {
            let pending = waits("POST", "/jwt/auth", &[form()]);
            pending.finish(format!("username={user}&password=legacy20chars0000000{rest}").as_bytes())
        };
        assert_eq!(login("dana"), Reading::NotAJob);
        assert!(matches!(login("gitlab-ci-token"), Reading::Refused(_)), "{rest:?}");
        // A runner's token may be any text.
        let runner = waits("PUT", "/api/v4/jobs/7", &[form()]);
        assert!(matches!(runner.finish(format!("token=legacy{rest}").as_bytes()), Reading::Refused(_)), "{rest:?}");
    }
}

#[test]
fn what_is_for_a_neighbour_or_for_the_forges_own_components_goes_on_at_once() {
    let json = |more: &[(String, String)]| [&[field("content-type", "application/json")], more].concat();
    let job = format!(r#"{{"job_token":"{TOKEN}"}}"#);
    let neighbour = json(&[field(":authority", "chat.example.com:8443")]);
    for path in ["/api/v4/posts", "/chat/%61pi/v4/posts", "//api//%2f/v4//posts"] {
        let scan = passing("POST", path, &neighbour);
        assert_eq!(broken_off(scan.clone(), r#"{"token":"x","message":"glcbt-64_0123456789abcdef"}"#), None);
        assert_eq!(broken_off(scan, &job), Some(Malformed::UnknownHost), "the forge under a name that nobody listed");
    }
    assert_eq!(reading("POST", "/api/users", &neighbour, Body::Follows), Reading::NotAJob);
    let upload = [field("content-type", "application/octet-stream"), neighbour[1].clone()];
    assert_eq!(reading("POST", "/api/v4/files", &upload, Body::Follows), Reading::NotAJob);
    for unsound in ["", "gitlab.example.com,chat.example.com", "u@chat.example.com"] {
        let head = json(&[field(":authority", unsound)]);
        assert!(matches!(reading("POST", TRIGGER, &head, Body::Follows), Reading::Body(_)), "{unsound}");
    }
    let token = field("job-token", TOKEN);
    let marked = [&neighbour[..], core::slice::from_ref(&token)].concat();
    assert_eq!(refusal(reading("POST", "/api/v4/posts", &marked, Body::Follows)), Malformed::UnknownHost);
    for path in ["/api/v4/internal/allowed", "/api/v4/geo/proxy_git_ssh/receive_pack"] {
        let scan = passing("POST", path, &json(&[field("gitlab-shell-api-request", "x")]));
        assert_eq!(broken_off(scan.clone(), r#"{"changes":"x"}"#), None);
        assert_eq!(broken_off(scan, &job), Some(Malformed::InternalHeader));
        assert!(matches!(reading("POST", path, &json(slice::from_ref(&token)), Body::Follows), Reading::Refused(_)));
    }
}

#[test]
fn a_persons_token_in_the_query_lets_a_body_go_on() {
    let package = "/api/v4/projects/5/packages/generic/n/1.0/f";
    for name in ["private_token", "access_token"] {
        for (method, path) in [("PUT", package), ("POST", RELEASES), ("POST", "/api/v4/projects/5/repository/commits")]
        {
            let path = format!("{path}?{name}=glpat-1");
            for media in ["", "application/json", "application/x-www-form-urlencoded"] {
                let scan = passing(method, &path, &[field("content-type", media)]);
                assert_eq!(broken_off(scan.clone(), "tag_name=v1"), None);
                // The forge would take the body's empty one for the query's, and then a job token.
                let body = format!("{name}=&job_token={TOKEN}");
                let json = format!(r#"{{"{name}":"","job_token":"{TOKEN}"}}"#);
                assert_eq!(
                    broken_off(scan, if media.ends_with("json") { &json } else { &body }),
                    Some(Malformed::Multiple)
                );
            }
        }
        assert!(matches!(reading("PUT", &format!("{package}?{name}="), &[], Body::Follows), Reading::Body(_)));
    }
    let read = reading("PUT", &format!("{package}?token=legacy"), &[], Body::Follows);
    assert!(matches!(read, Reading::Body(_)), "it may be a job's of an old forge");
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
fn the_token_of_the_head_may_stand_in_the_body_again_and_another_is_refused() {
    let head = [field("job-token", TOKEN), field("content-type", "application/x-www-form-urlencoded")];
    let pending = waits("POST", TRIGGER, &head);
    assert_eq!(said(pending.finish(b"token=glcbt-other")), (Malformed::HeadAndBody, Protocol::Trigger));
    assert_eq!(
        asked(waits("POST", TRIGGER, &head).finish(format!("token={TOKEN}").as_bytes())).1,
        Action::TriggerPipeline
    );
}

#[test]
fn what_the_forge_takes_before_a_persons_token_does_not_go_on() {
    for person in [field("private-token", "glpat-1"), field("authorization", "Bearer glpat-1")] {
        for name in ["access_token", "bearer_token", "private_token"] {
            for (media, body) in [
                ("application/x-www-form-urlencoded", format!("job_token=x&{name}={TOKEN}")),
                ("application/json", format!(r#"{{"job_token":"x","{name}":"{TOKEN}"}}"#)),
                (
                    "multipart/form-data; boundary=b",
                    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{TOKEN}\r\n--b--\r\n"),
                ),
            ] {
                let head = [person.clone(), field("content-type", media)];
                for (method, path) in [
                    ("POST", RELEASES),
                    ("PUT", "/api/v4/projects/5/packages/npm/p"),
                    ("POST", "/api/v4/projects/5/issues"),
                    ("POST", "/api/v4/token_exchange"),
                ] {
                    let scan = || passing(method, path, &head);
                    assert_eq!(broken_off(scan(), &body), Some(Malformed::Multiple), "{head:?} {body}");
                    assert_eq!(broken_off(scan(), &body.replace(TOKEN, "glpat-2")), None, "{head:?} {body}");
                }
            }
        }
    }
}

#[test]
fn a_body_without_a_type_is_read_two_ways() {
    for empty in [vec![], vec![field("content-type", "")]] {
        let head = [vec![field("job-token", TOKEN)], empty.clone()].concat();
        assert_eq!(asked(waits("POST", RELEASES, &head).finish(b"")).1, Action::WriteReleases);
        for body in [&b"tag_name=v1"[..], br#"{"job_token":"glcbt-b"}"#, b" "] {
            assert_eq!(refusal(waits("POST", RELEASES, &head).finish(body)), Malformed::BodyType);
        }
        for body in [&b"job_token=glcbt-b"[..], br#"{"job_token":"glcbt-b"}"#, br#"{"a":"&job_token=glcbt-b&"}"#] {
            assert_eq!(refusal(waits("POST", RELEASES, &empty).finish(body)), Malformed::BodyType);
        }
        for body in [&b""[..], b"token=glptt-person", br#"{"tag_name":"v1"}"#, b"\xff", b"<xml>"] {
            assert_eq!(waits("POST", RELEASES, &empty).finish(body), Reading::NotAJob);
        }
    }
    // A package has none often, and is no form. JSON it may be.
    let streamed = |body: &str| {
        let scan = streams("PUT", "/api/v4/projects/5/packages/npm/p", &[field("job-token", TOKEN)]);
        broken_off(scan.unwrap(), body)
    };
    assert_eq!(streamed("curl \"$URL?ref=main&job_token=$CI_JOB_TOKEN\""), None);
    for name in ["job_token", "access_token"] {
        assert_eq!(streamed(&format!(r#"{{"{name}":"glcbt-b"}}"#)), Some(Malformed::HeadAndBody), "{name}");
    }
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
        assert_eq!(refusal(form.finish(b"a=1&job_token=glcbt-b")), Malformed::HeadAndBody);
    }
    let packed = [basic(), field("content-type", "multipart/form-data; boundary=b"), field("content-encoding", "gzip")];
    assert_eq!(refusal(reading("POST", pypi, &packed, Body::Follows)), Malformed::BodyEncoding);
}

#[test]
fn json_beside_a_token_is_read_where_the_forge_may_prefer_what_it_says() {
    let json = || field("content-type", "application/json");
    let tags = "/api/v4/projects/5/packages/npm/-/package/p/dist-tags/latest";
    let bearer = field("authorization", &format!("Bearer {TOKEN}"));
    for (body, broken) in
        [(r#"{"job_token":"glcbt-b"}"#, None), (r#"{"access_token":"glcbt-b"}"#, Some(Malformed::HeadAndBody))]
    {
        assert_eq!(broken_off(streams("PUT", tags, &[bearer.clone(), json()]).unwrap(), body), broken);
        let state = [basic(), json()];
        let scan = streams("POST", "/api/v4/projects/5/terraform/state/s", &state).unwrap();
        assert_eq!(broken_off(scan, body), broken);
    }
    let pending = waits("PUT", tags, &[field("job-token", TOKEN), json()]);
    assert_eq!(refusal(pending.finish(br#"{"job_token":"glcbt-b"}"#)), Malformed::HeadAndBody);
    // A parameter of that name comes before a Bearer token.
    let pending = waits("POST", RELEASES, &[bearer, json()]);
    assert_eq!(refusal(pending.finish(br#"{"access_token":"glpat-b"}"#)), Malformed::HeadAndBody);
}

#[test]
fn one_type_one_charset_one_kind_of_value() {
    let typed = |media: &str| [field("job-token", TOKEN), field("content-type", media)];
    for media in ["application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF-8\"", "application/json;"] {
        let pending = waits("POST", RELEASES, &typed(media));
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
        assert_eq!(refusal(reading("POST", RELEASES, &typed(media), Body::Follows)), Malformed::BodyType, "{media}");
    }
    for method in ["PUT", "DELETE"] {
        let pending = waits(method, "/api/v4/projects/5/releases/v1", &typed("application/json"));
        assert_eq!(refusal(pending.finish(br#"{"job_token":"glcbt-b"}"#)), Malformed::HeadAndBody, "{method}");
    }
    for form in
        ["%6aob_token=glcbt-b", "+job_token=glcbt-b", "job_token%00=glcbt-b", "a;job_token=b", "a=%zz", "\u{e9}=%ff"]
    {
        let pending = waits("POST", RELEASES, &typed("application/x-www-form-urlencoded"));
        assert!(matches!(pending.finish(form.as_bytes()), Reading::Refused(_)), "{form}");
    }
}

#[test]
fn a_registry_token_is_asked_for_by_post_as_by_get() {
    let media = || field("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let form = |login: &str| {
        let pending = waits("POST", "/jwt/auth", &[media()]);
        pending.finish(format!("client_id=containerd-client&grant_type=password&{login}&scope=repository%3Ag%2Fp%3Apull&service=container_registry").as_bytes())
    };
    for login in [
        format!("username=gitlab-ci-token&password={TOKEN}"),
        "password=legacy20chars0000000&username=gitlab-ci-token".into(),
        format!("refresh_token={TOKEN}"),
    ] {
        let job = job(form(&login));
        assert_eq!((job.protocol, job.mints), (Protocol::RegistryToken, Some(Mints::RegistryToken)), "{login}");
        assert_eq!(job.accesses.iter().map(|access| access.action).collect::<Vec<_>>(), [Action::PullImage], "{login}");
        assert_eq!(job.scopes, None, "a form is not narrowed");
    }
    assert_eq!(form("username=dana&password=x"), Reading::NotAJob);
    assert_eq!(form("username=dana&password=x;y"), Reading::NotAJob);
    assert_eq!(
        refusal(form(&format!("username=gitlab-ci-token&password={TOKEN}&service=x"))),
        Malformed::QueryDuplicate
    );
    let login = waits("POST", "/jwt/auth", &[basic(), media()]);
    assert_eq!(asked(login.clone().finish(b"service=container_registry")).1, Action::RegistryLogin);
    assert_eq!(refusal(login.finish(b"service=container_registry&password=glcbt-other")), Malformed::HeadAndBody);
    assert_eq!(refusal(reading("POST", "/jwt/auth", &[basic()], Body::Follows)), Malformed::TokenPost);
    assert_eq!(
        refusal(reading("POST", "/jwt/auth?service=x", &[basic(), media()], Body::Follows)),
        Malformed::QueryNotEmpty
    );
}

#[test]
fn a_runner_says_its_token_twice() {
    let head = [field("job-token", TOKEN), field("content-type", "application/json")];
    let pending = waits("PUT", "/api/v4/jobs/7", &head);
    let job = job(pending.finish(format!("{{\"token\":\"{TOKEN}\",\"state\":\"success\"}}").as_bytes()));
    assert_eq!((job.protocol, job.progress), (Protocol::Runner, Progress::Final));
}

#[test]
fn an_old_forges_runner_says_a_token_without_a_mark() {
    let json = || field("content-type", "application/json");
    let pending = waits("PUT", "/api/v4/jobs/7", &[json()]);
    let job = job(pending.finish(br#"{"token":"legacy20chars0000000","state":"failed"}"#));
    assert_eq!((job.token, job.progress), (Secret::new(b"legacy20chars0000000"), Progress::Final));
    let pending = waits("POST", TRIGGER, &[json()]);
    assert_eq!(
        pending.finish(br#"{"token":"legacy20chars0000000"}"#),
        Reading::NotAJob,
        "a trigger token looks the same"
    );
}

#[test]
fn a_persons_upload_streams_with_the_registrys_own_carrier() {
    for (method, path, who) in [
        ("PUT", "projects/5/packages/nuget/", field("x-nuget-apikey", "glpat-1")),
        ("POST", "projects/5/packages/rubygems/api/v1/gems", field("authorization", "glpat-1")),
        ("PUT", "projects/5/packages/terraform/modules/m/aws/1.0.0/file", field("deploy-token", "gldt-1")),
    ] {
        let path = format!("/api/v4/{path}");
        let head = [who.clone(), field("content-type", "multipart/form-data; boundary=b")];
        let file = "--b\r\nContent-Disposition: form-data; name=\"job_token\"\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(broken_off(passing(method, &path, &head), file), None, "{path}");
        assert_eq!(broken_off(passing(method, &path, core::slice::from_ref(&who)), "PK\u{3}\u{4}"), None, "{path}");
        // Where the forge passes over it, a form may still hold a job token.
        assert!(matches!(reading("POST", RELEASES, &[who], Body::Follows), Reading::Body(_)), "{path}");
    }
}

#[test]
fn a_body_that_may_hold_a_token_is_read_before_the_head_loses_its_own() {
    let post = |media: &str, token: (String, String)| {
        reading_with(STRIP, "POST", "/api/v4/users", &[token, field("content-type", media)], Body::Follows)
    };
    let bearer = || field("authorization", &format!("Bearer {TOKEN}"));
    let finished = |body: &str| pending(post("application/json", bearer())).finish(body.as_bytes());
    assert_eq!(job(finished(r#"{"name":"x"}"#)).bare, Some(Bare { headers: vec!["authorization".into()], path: None }));
    assert_eq!(job(finished(&format!(r#"{{"deep":{{"x":"{TOKEN}"}}}}"#))).bare, None);
    assert!(matches!(finished(r#"{"job_token":"glcbt-64_other"}"#), Reading::Refused(_)));
    // What no forge reads parameters from streams.
    assert!(job(post("application/octet-stream", field("job-token", TOKEN))).bare.is_some());
    // A token that stands in the body alone.
    let media = [field("content-type", "application/json")];
    let pending = pending(reading_with(STRIP, "POST", "/api/v4/users", &media, Body::Follows));
    let in_body = job(pending.finish(format!(r#"{{"job_token":"{TOKEN}"}}"#).as_bytes()));
    assert_eq!(in_body.bare, None);
}
