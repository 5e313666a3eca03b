//! Whose a request is that cannot be read.

use super::*;

type Field = (String, String);

const OTHER: &str = "glcbt-64_other";
const API: &str = "/api/v4/projects/g%2Fp/releases";
const CLONE: &str = "/g/p.git/info/refs?service=git-upload-pack";

fn bearer(token: &str) -> (String, String) {
    field("authorization", &format!("Bearer {token}"))
}

fn login(login: &str) -> (String, String) {
    field("authorization", &format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)))
}

fn whose(refused: &Refused) -> Option<&str> {
    refused.token.as_ref().map(|token| core::str::from_utf8(token.expose()).unwrap())
}

#[test]
fn the_token_of_a_head_that_cannot_be_read_is_made_out_wherever_it_stands() {
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"token\":\"{TOKEN}\"}}"));
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{claims}.sig");
    let token = || field("job-token", TOKEN);
    let in_query = format!("{API}?job_token={TOKEN}&page=1;2");
    let twice = format!("{API}?job_token={TOKEN}&job_token={TOKEN}");
    let rows: [(&str, &str, Vec<Field>); 18] = [
        ("two of them", API, vec![token(), field("private-token", OTHER)]),
        ("and a person's", API, vec![token(), field("private-token", "glpat-1")]),
        ("the same field twice", API, vec![token(), token()]),
        ("in the query", &in_query, vec![]),
        ("twice in the query", &twice, vec![]),
        ("an ambiguous path", "/api/v4//projects/5/releases", vec![token()]),
        ("a dot segment", "/g/../p.git/info/refs", vec![basic()]),
        ("another host", API, vec![token(), field(":authority", "other.example.com")]),
        ("no host", API, vec![token(), field(":authority", "a b")]),
        ("sudo", API, vec![token(), field("sudo", "root")]),
        ("a doubled method", API, vec![token(), field(":method", "GET")]),
        (
            "an odd scheme",
            CLONE,
            vec![field("authorization", &format!("Basic!x {}", basic().1.split_once(' ').unwrap().1))],
        ),
        ("blanks", CLONE, vec![bearer(&format!(" {TOKEN}"))]),
        ("as a parameter", CLONE, vec![field("authorization", &format!("Token token=\"{TOKEN}\""))]),
        ("another user", CLONE, vec![login(&format!("GITLAB-ci-token:{TOKEN}"))]),
        ("in a JWT", CLONE, vec![bearer(&jwt)]),
        ("on a page", "/dashboard", vec![token()]),
        ("in a field that nothing reads", API, vec![field("x-api-key", TOKEN)]),
    ];
    for (what, path, fields) in rows {
        assert_eq!(whose(&refused(reading("GET", path, &fields, Body::None))), Some(TOKEN), "{what}");
    }
    // Of an old forge, without a mark.
    for fields in [
        vec![login("gitlab-ci-token:legacy"), field("sudo", "x")],
        vec![field("job-token", "legacy"), field("sudo", "x")],
    ] {
        assert_eq!(whose(&refused(reading("GET", API, &fields, Body::None))), Some("legacy"));
    }
    // A person's is nobody's to look up as a job's.
    let person = [field("job-token", "a b"), field("private-token", "glpat-1")];
    assert_eq!(whose(&refused(reading("GET", API, &person, Body::None))), None);
}

#[test]
fn what_it_seems_to_ask_is_told_where_the_path_says_it() {
    let seems = |method, path: &str, more: &[(String, String)]| {
        let refused = refused(reading(method, path, more, Body::None));
        refused.seems.first().map(|access| (access.action, access.target.clone()))
    };
    let two = [field("job-token", TOKEN), field("private-token", OTHER)];
    let both = |action, target| Some((action, target));
    assert_eq!(seems("GET", API, &two), both(Action::ReadReleases, project("g/p")));
    assert_eq!(seems("GET", "/api/v4/statuses", &two), both(Action::Unlisted, TargetRef::None));
    assert_eq!(seems("GET", CLONE, &[basic(), two[1].clone()]), both(Action::ReadCode, project("g/p")));
    assert_eq!(seems("GET", &format!("{API}?a;b"), &two), both(Action::ReadReleases, project("g/p")));
    assert_eq!(seems("GET", "/api/v4//projects/5", &two), None, "nobody knows");
    let elsewhere = [two.to_vec(), vec![field(":authority", "other.example.com")]].concat();
    assert_eq!(seems("GET", API, &elsewhere), None, "nobody knows what another host would make of it");
}

#[test]
fn a_repositorys_own_address_is_called_that_and_its_project_is_told() {
    let asked = |forge: &str, method: &str, path: &str| {
        let refused = refused(reading_with(forge, method, path, &[basic()], Body::None));
        (refused.malformed, refused.seems.into_iter().map(|access| (access.action, access.target)).collect::<Vec<_>>())
    };
    let of = |malformed, action| (malformed, vec![(action, project("g/p"))]);
    for forge in [GITLAB, r#""kind": "generic""#] {
        for (path, action) in [
            ("/g/p.git", Action::ReadCode),
            ("/g/p.git/", Action::ReadCode),
            ("/g/p.git?x=y/info/refs&service=git-upload-pack", Action::ReadCode),
            ("/g/p.wiki.git", Action::ReadWiki),
        ] {
            assert_eq!(asked(forge, "GET", path), of(Malformed::GitAddress, action), "{forge} {path}");
        }
        assert_eq!(asked(forge, "GET", "/g/p.git/index.html"), of(Malformed::Unclassifiable, Action::ReadCode));
        // What it would do is not known, or no project can have that path.
        assert_eq!(asked(forge, "POST", "/g/p.git"), (Malformed::GitAddress, vec![]));
        assert_eq!(asked(forge, "GET", "/-/p.git"), (Malformed::GitAddress, vec![]));
    }
}

#[test]
fn a_body_that_cannot_be_read_is_its_heads_or_its_own_tokens() {
    let json = || field("content-type", "application/json");
    let releases = TargetRef::Path(ProjectPath::parse("g/p").unwrap());
    let both = |reading| {
        let refused = refused(reading);
        (whose(&refused).map(String::from), refused.seems.first().map(|access| access.target.clone()))
    };
    let known = || (Some(TOKEN.into()), Some(releases.clone()));
    let with_head = pending(reading("POST", API, &[field("job-token", TOKEN), json()], Body::Follows));
    for body in ["[", r#"{"a": 1, "a": 2}"#, r#"{"job_token": "glcbt-64_other"}"#] {
        assert_eq!(both(with_head.clone().finish(body.as_bytes())), known(), "{body}");
    }
    assert_eq!(both(with_head.let_go(Malformed::BodyTooLarge)), known());
    let without = pending(reading("POST", API, &[json()], Body::Follows));
    let twice = format!(r#"{{"job_token": "{TOKEN}", "job_token": "{OTHER}"}}"#);
    assert_eq!(both(without.finish(twice.as_bytes())), known());
    let elsewhere = pending(reading("POST", "/api/v4//projects/g%2Fp/releases", &[], Body::Follows));
    assert_eq!(both(elsewhere.finish(format!("job_token={TOKEN}").as_bytes())), (Some(TOKEN.into()), None));
    // What streams is looked through, and the token is in the piece.
    let head = [field("content-type", "application/json"), field("cookie", "session=1")];
    let other = reading("POST", "/api/v4/projects/g%2Fp/nothing", &head, Body::Follows);
    let Reading::Passing(mut scan) = other else { panic!("{other:?}") };
    let found = scan.feed(format!(r#"{{"job_token": "{TOKEN}"}}"#).as_bytes()).unwrap_err();
    assert_eq!(whose(&found), Some(TOKEN));
}
