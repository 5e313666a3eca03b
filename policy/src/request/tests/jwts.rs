//! A plain JWT is looked at in one way, and what that spares tells the same.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::sample::{Index, select};

use super::*;

/// What may stand in a header, in claims, in a signature, and in a login that is written like them.
const TEXTS: [&str; 16] = [
    r#"{"alg":"RS256","typ":"JWT"}"#,
    r#"{"sub":"dana","auth_type":"gitlab_or_ldap","iss":"gitlab.example.com"}"#,
    r#"{"auth_type":"build","user_id":7}"#,
    r#"{"token":"glcbt-64_abc"}"#,
    r#"{"deep":{"access":["acme-glcbt-1"]}}"#,
    r#"{"a":"eyJ9.eyJ0b2tlbiI6ImdsY2J0LTEifQ.sig"}"#,
    r#"{"x":"dana:eyJ9.eyJ0b2tlbiI6ImdsY2J0LTEifQ.sig"}"#,
    r#"{"x":"dana:eyJ9.eyJhIjoieGdsY2J0LTEifQ.sig"}"#,
    r#"{"x":"dana:eyJ9.eyJhYiI6InhnbGNidC0xIn0.sig"}"#,
    r#"{"UserID":-2}"#,
    "{\"x\":\"dana:glcbt-1",
    "gitlab-ci-token:glcbt-1",
    "gitlab-ci-token",
    "{}",
    "\u{ff}\u{fe}??>>~~",
    "a signature, as long as most signatures are of whatever letters Y2J0 NidC YnQt",
];

/// What is put among the letters.
const ODD: [&str; 34] = [
    "",
    ".",
    "..",
    "=",
    "==",
    "+",
    "/",
    "-",
    "_",
    "!",
    " ",
    "\t",
    ",",
    ", ",
    "A",
    "AA",
    "e",
    "eyJ",
    "Y",
    "N",
    "YnQt",
    "Y2J0",
    "NidC",
    "glcbt-",
    "glcbt-1",
    "ci:",
    ":",
    "\u{a0}",
    "\0",
    "\"",
    "Bearer ",
    "Basic ",
    "eyJh.e30.",
    "Z2xjYnQt",
];

/// What stands before them.
const SCHEMES: [&str; 12] = [
    "Bearer ", "Bearer ", "Bearer ", "Bearer ", "bearer ", "Bearer", "Bearer  ", " Bearer ", "Basic ", "token ",
    "Foo ", "",
];

/// One change: what, where, and for how many letters it stands.
type Change = (&'static str, Index, usize);

fn value() -> impl Strategy<Value = Vec<u8>> {
    let raw = proptest::collection::vec(any::<u8>(), 0..40);
    let text = prop_oneof![4 => select(&TEXTS[..]).prop_map(|text| text.as_bytes().to_vec()), 1 => raw];
    let part = (text, 0..12_u8).prop_map(|(text, how)| match how {
        0 => String::from_utf8_lossy(&text).into_owned(),
        1 => STANDARD.encode(text),
        2 => format!("{}=", URL_SAFE_NO_PAD.encode(text)),
        _ => URL_SAFE_NO_PAD.encode(text),
    });
    let plain = proptest::collection::vec(part, 1..4).prop_map(|parts| {
        let header = URL_SAFE_NO_PAD.encode(TEXTS[0]);
        format!("{header}.{}", parts.join("."))
    });
    // A login, cut where a JWT has its dots.
    let dotted =
        (select(&TEXTS[..]), select(&TEXTS[..]), 1..30_usize, 1..30_usize).prop_map(|(a, b, first, second)| {
            let mut text = URL_SAFE_NO_PAD.encode(format!("{{\"a\":\"{a}:{b}"));
            [first.saturating_add(second), first].iter().for_each(|at| text.insert((*at).min(text.len()), '.'));
            text
        });
    let changes = proptest::collection::vec((select(&ODD[..]), any::<Index>(), 0..3_usize), 0..3);
    (select(&SCHEMES[..]), prop_oneof![3 => plain, 1 => dotted], changes).prop_map(|(scheme, jwt, changes)| {
        let mut value = format!("{scheme}{jwt}").into_bytes();
        for (odd, at, gone) in changes as Vec<Change> {
            let at = at.index(value.len().saturating_add(1));
            value.splice(at..at.saturating_add(gone).min(value.len()), odd.bytes());
        }
        value
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// To every forge, wherever it goes and whatever stands beside it.
    #[test]
    fn what_is_told_at_once_of_a_plain_jwt_is_what_all_readers_tell(
        values in proptest::collection::vec(value(), 1..3),
        more in select(&[("accept", "*/*"), ("private-token", "glpat-1"), ("job-token", "glcbt-1"), ("x-authorization", "Bearer eyJh.e30.c2ln")][..]),
        forge in select(&[GITLAB, r#""kind": "gitea""#, r#""kind": "generic""#][..]),
        path in select(&["/v2/g/p/manifests/x", "/api/v4/projects/1/releases", "/g/p.git/info/refs?service=git-upload-pack"][..]),
        host in select(&["gitlab.example.com", "registry.example.com"][..]),
    ) {
        let config = config_with(forge);
        let mut fields: Vec<(&[u8], &[u8])> =
            vec![(b":method", b"GET"), (b":path", path.as_bytes()), (b":authority", host.as_bytes())];
        fields.push((more.0.as_bytes(), more.1.as_bytes()));
        fields.extend(values.iter().map(|value| (&b"authorization"[..], &value[..])));
        let head = Head::new(&fields, Body::None);
        let reading = read(&config.forge, &head);
        for value in &values {
            let long = read(&config.forge, &head.knowing(value, None));
            let known = read(&config.forge, &head.knowing(value, Extent::of(value)));
            prop_assert_eq!(&reading, &long, "the long way");
            prop_assert_eq!(&reading, &known, "what was told before");
        }
    }
}
