//! What may change in an accepted request without changing its reading, and what may not.

use proptest::sample::select;

use super::*;

/// A request that is accepted, and one for each protocol, carrier and kind of body.
#[derive(Debug, Clone)]
struct Accepted {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    fields: Vec<(String, String)>,
    body: Option<&'static str>,
}

const FORGE: &str = "gitlab.example.com";
const REGISTRY: &str = "registry.example.com";
const GIT_PUSH: &str = "application/x-git-receive-pack-request";
const LFS: &str = "application/vnd.git-lfs+json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nglcbt-64_abc\r\n--b--\r\n";

fn accepted() -> Vec<Accepted> {
    let header = || vec![field("job-token", TOKEN)];
    let bearer = || vec![field("authorization", &format!("Bearer {TOKEN}"))];
    let of = |fields: Vec<(String, String)>, media: &str| [fields, vec![field("content-type", media)]].concat();
    let head = |method, host, path, fields| Accepted { method, host, path, fields, body: None };
    let full = |method, path, fields, body| Accepted { method, host: FORGE, path, fields, body: Some(body) };
    vec![
        head("GET", FORGE, "/g/p.git/info/refs?service=git-upload-pack", vec![basic()]),
        head("GET", FORGE, "/g/s/p.wiki.git/info/refs?service=git-receive-pack", vec![basic()]),
        head("GET", FORGE, "/g/p.git/HEAD", vec![basic()]),
        full("POST", "/g/p.git/git-receive-pack", of(vec![basic()], GIT_PUSH), "0000"),
        full("POST", "/g/p.git/info/lfs/objects/batch", of(vec![basic()], LFS), r#"{"operation":"upload"}"#),
        full("POST", "/g/p.git/info/lfs/locks", of(vec![basic()], LFS), r#"{"path":"a"}"#),
        head("GET", REGISTRY, "/v2/", vec![basic()]),
        head("HEAD", REGISTRY, "/v2/g/p/i/manifests/v1", vec![basic()]),
        head(
            "POST",
            REGISTRY,
            "/v2/g/p/blobs/uploads/?mount=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef&from=h/q",
            vec![basic()],
        ),
        head("GET", FORGE, "/jwt/auth?service=container_registry&scope=repository:g/p:push,pull", vec![basic()]),
        head("GET", FORGE, "/api/v4/projects/g%2Fp/releases", header()),
        head("GET", FORGE, "/api/v4/projects/g%2fs%2Fp/packages/npm/@s%2Fn", bearer()),
        head("GET", FORGE, "/api/v4/projects/5/jobs/7/artifacts", bearer()),
        head("GET", FORGE, "/api/v4/projects/5/releases?job_token=glcbt-64_abc", vec![]),
        full("PUT", "/api/v4/projects/5/packages/generic/n/1.0/f.txt", of(header(), "application/octet-stream"), "x"),
        full("POST", "/api/v4/projects/g%2Fp/releases", of(header(), "application/json"), r#"{"tag_name":"v1"}"#),
        full("POST", "/api/v4/projects/5/trigger/pipeline", of(vec![], FORM), "token=glcbt-64_abc&ref=main"),
        full("POST", "/api/v4/projects/5/trigger/pipeline", of(vec![], "multipart/form-data; boundary=b"), MULTIPART),
        full(
            "POST",
            "/api/v4/projects/5/ref/main/trigger/pipeline",
            of(vec![], "application/json"),
            r#"{"token":"glcbt-64_abc"}"#,
        ),
        head("GET", FORGE, "/api/v4/job", header()),
        full("PATCH", "/api/v4/jobs/7/trace", [header(), vec![field("private-token", TOKEN)]].concat(), "x"),
        full("PUT", "/api/v4/jobs/7", of(header(), "application/json"), r#"{"token":"glcbt-64_abc","state":"failed"}"#),
    ]
}

impl Accepted {
    fn read(&self) -> Reading {
        self.at(self.path)
    }

    fn with(&self, more: (String, String)) -> Reading {
        Self { fields: [self.fields.clone(), vec![more]].concat(), ..self.clone() }.read()
    }

    fn at(&self, path: &str) -> Reading {
        self.read_with(path, &[vec![field(":authority", self.host)], self.fields.clone()].concat())
    }

    fn read_with(&self, path: &str, fields: &[(String, String)]) -> Reading {
        let follows = if self.body.is_some() { Body::Follows } else { Body::None };
        reading(self.method, path, fields, follows).finish(self.body.unwrap_or_default().as_bytes())
    }

    /// Whether the token stands in the body alone.
    fn is_by_body(&self) -> bool {
        let names = ["authorization", "job-token"];
        !self.path.contains("job_token=") && !self.fields.iter().any(|(name, _)| names.contains(&name.as_str()))
    }

    fn with_query(&self, more: &str) -> Reading {
        self.at(&format!("{}{}{more}", self.path, if self.path.contains('?') { '&' } else { '?' }))
    }
}

fn one() -> impl Strategy<Value = Accepted> {
    select(accepted())
}

fn is_refused(reading: &Reading) -> bool {
    matches!(reading, Reading::Refused(_))
}

#[test]
fn every_one_of_them_is_a_jobs() {
    for request in accepted() {
        let reading = request.read();
        assert!(matches!(&reading, Reading::Job(job) if job.token == Secret::new(TOKEN.as_bytes())), "{request:?}");
    }
}

proptest! {
    #[test]
    fn the_order_of_fields_changes_nothing(
        (request, fields) in one().prop_flat_map(|request| {
            let fields = [vec![field(":authority", request.host)], request.fields.clone()].concat();
            (Just(request), Just(fields).prop_shuffle())
        })
    ) {
        prop_assert_eq!(request.read_with(request.path, &fields), request.read());
    }

    #[test]
    fn case_port_and_final_dot_of_the_host_change_nothing(
        request in one(),
        capitals in any::<u32>(),
        rest in "\\.?(:[0-9]{1,5})?",
    ) {
        let letters = request.host.chars().enumerate();
        let host: String =
            letters.map(|(at, c)| if capitals >> (at % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect();
        let fields = [vec![field(":authority", &format!("{host}{rest}"))], request.fields.clone()].concat();
        prop_assert_eq!(request.read_with(request.path, &fields), request.read());
    }

    #[test]
    fn a_field_that_nobody_knows_changes_nothing(
        request in one(),
        name in "x-[a-z]{1,8}-[a-z0-9]{1,8}",
        value in "[ -~]{0,20}",
    ) {
        prop_assert_eq!(request.with(field(&name, &value)), request.read());
    }
}

/// Each way to make another request of an accepted one, for all of them.
fn each(changed: impl Fn(&Accepted)) {
    accepted().iter().for_each(changed);
}

#[test]
fn an_unreserved_byte_in_percent_encoding_refuses_what_was_accepted() {
    each(|request| {
        let path = request.path.split('?').next().unwrap();
        for (at, byte) in path.bytes().enumerate() {
            let is_digit = path.as_bytes()[at.saturating_sub(2)..at].contains(&b'%');
            if is_digit || !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
                continue;
            }
            for encoded in [format!("%{byte:02X}"), format!("%{byte:02x}")] {
                let other = format!("{}{encoded}{}", &request.path[..at], &request.path[at + 1..]);
                assert!(is_refused(&request.at(&other)), "{other}");
            }
        }
    });
}

#[test]
fn a_detour_at_any_slash_refuses_what_was_accepted() {
    each(|request| {
        let path = request.path.split('?').next().unwrap();
        for (at, _) in path.match_indices('/') {
            for detour in ["/", "/.", "/x/..", "/%2e", "/%2E%2e", "\\", ";a=b", "%5c"] {
                let other = format!("{}{detour}{}", &request.path[..at], &request.path[at..]);
                assert!(is_refused(&request.at(&other)), "{other}");
            }
        }
    });
}

#[test]
fn an_encoded_slash_has_digits_of_either_case() {
    let encoded: Vec<_> = accepted().into_iter().filter(|request| request.path.contains('%')).collect();
    assert!(encoded.len() > 2);
    for request in encoded {
        for digits in ["%2f", "%2F"] {
            let other = request.path.replace("%2f", digits).replace("%2F", digits);
            assert_eq!(request.at(&other), request.read(), "{other}");
        }
    }
}

#[test]
fn letters_of_a_projects_path_are_of_either_case() {
    // An image's name has small letters alone.
    let groups = ["/g/", "/g%2F", "/g%2f", ":g/"];
    let accepted = accepted();
    let named =
        accepted.iter().filter(|request| request.host == FORGE && groups.iter().any(|g| request.path.contains(g)));
    assert!(named.clone().count() > 5);
    for request in named {
        let other = groups.iter().fold(String::from(request.path), |path, g| path.replacen(g, &g.replace('g', "G"), 1));
        assert_eq!(job(request.at(&other)).accesses, job(request.read()).accesses, "{other}");
    }
}

#[test]
fn a_second_job_token_is_refused_wherever_it_stands() {
    let other = "glcbt-64_0123456789other";
    let login = base64::engine::general_purpose::STANDARD.encode(format!("gitlab-ci-token:{other}"));
    each(|request| {
        for second in [
            field("job-token", other),
            field("private-token", other),
            field("deploy-token", other),
            field("authorization", other),
            field("authorization", &format!("Bearer {other}")),
            field("authorization", &format!("Token {other}")),
            field("authorization", &format!("Basic {login}")),
            field("x-nuget-apikey", other),
            field("x-whatever", other),
            field("job_token", other),
        ] {
            assert!(is_refused(&request.with(second.clone())), "{second:?} beside {request:?}");
        }
        for name in ["job_token", "token", "access_token", "bearer_token", "private_token", "whatever"] {
            assert!(is_refused(&request.with_query(&format!("{name}={other}"))), "{name} beside {request:?}");
        }
    });
}

#[test]
fn a_persons_credential_beside_a_job_token_of_the_head_is_refused() {
    let others = [
        field("private-token", "glpat-1"),
        field("deploy-token", "gldt-1"),
        field("authorization", "Bearer glpat-1"),
        field("authorization", "Basic ZGFuYTpwYXNzd29yZA=="),
    ];
    each(|request| {
        for other in others.iter().filter(|_| !request.is_by_body()) {
            assert!(is_refused(&request.with(other.clone())), "{other:?} beside {request:?}");
        }
    });
}

#[test]
fn a_name_that_matters_in_the_query_is_refused_beside_a_job_token() {
    for name in ["job_token", "token", "access_token", "bearer_token", "private_token", "sudo"] {
        let spellings = [
            String::from(name),
            name.to_ascii_uppercase(),
            format!("[{name}]"),
            format!("{name}[]"),
            format!("%{:02X}{}", name.as_bytes()[0], &name[1..]),
        ];
        each(|request| {
            for spelled in &spellings {
                assert!(is_refused(&request.with_query(&format!("{spelled}=x"))), "{spelled} beside {request:?}");
            }
        });
    }
}

#[test]
fn a_name_of_the_query_that_matters_stands_once() {
    each(|request| {
        for pair in
            request.path.split_once('?').map_or("", |(_, query)| query).split('&').filter(|pair| !pair.is_empty())
        {
            // Several scopes are several questions, and each is judged.
            if !pair.starts_with("scope=") {
                assert!(is_refused(&request.with_query(pair)), "{pair} twice in {request:?}");
            }
        }
    });
}

#[test]
fn a_field_that_speaks_of_another_request_is_refused_beside_a_job_token() {
    each(|request| {
        for (name, value) in [
            ("x-http-method-override", "GET"),
            ("x-http-method", "GET"),
            ("x-method-override", "GET"),
            ("x-http_method_override", "GET"),
            ("sudo", "root"),
            ("x-original-url", "/"),
            ("x-rewrite-url", "/"),
            ("x-forwarded-prefix", "/"),
            ("x-forwarded-uri", "/"),
            ("x-envoy-original-path", "/"),
            ("x-gitlab-organization-id", "1"),
            ("x-gitlab-static-object-token", "x"),
            ("x-sendfile-type", "x"),
            ("x-webauth-user", "root"),
            ("gitlab-workhorse-api-request", "x"),
            ("gitlab-shell-api-request", "x"),
            ("gitlab-workhorse-multipart-fields", "x"),
            ("connection", "close, job-token"),
            ("connection", "authorization"),
        ] {
            assert!(is_refused(&request.with(field(name, value))), "{name} beside {request:?}");
        }
    });
}
