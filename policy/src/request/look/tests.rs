use std::format;
use std::string::String;

use proptest::prelude::*;

use super::super::head::{Body, Head};
use super::super::malformed::Malformed;
use super::super::params::{self, Media};
use super::super::runner;
use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PARTS: &str = "multipart/form-data; boundary=b";

fn look(method: &str, media: Option<&str>, counts: Counts) -> Option<Look> {
    let mut fields: Vec<(&[u8], &[u8])> = Vec::from([(&b":method"[..], method.as_bytes())]);
    fields.extend(media.map(|media| (&b"content-type"[..], media.as_bytes())));
    Look::of(&Head::new(&fields, Body::Follows), counts)
}

/// Whether something is found when the body comes in pieces of this size.
fn finds_by(size: usize, media: Option<&str>, counts: Counts, body: &[u8]) -> bool {
    let Some(mut look) = look("POST", media, counts) else { return false };
    body.chunks(size).for_each(|piece| look.feed(piece));
    look.has_found()
}

fn finds(media: &str, body: &str) -> bool {
    let whole = finds_by(usize::MAX, Some(media), Counts::Usual, body.as_bytes());
    for size in [1, 2, 7] {
        assert_eq!(finds_by(size, Some(media), Counts::Usual, body.as_bytes()), whole, "{body} by {size}");
    }
    whole
}

fn part(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

#[test]
fn a_token_is_found_in_every_spelling_that_a_forge_undoes() {
    for form in [
        "job_token=x",
        "a=1&job_token=x",
        "a=1;job_token=x",
        "%6aob%5Ftoken=x",
        "+[job_token][a]=x",
        "JOB.token=x",
        "a=%&job_token=x",
        "%%6aob_token=x",
        "token=%67lcbt-1",
        "password=a%20glcbt-1",
        "username=gitlab-ci-token&password=x",
    ] {
        assert!(finds(FORM, form), "{form}");
    }
    for json in [
        r#"{"job_token":"x"}"#,
        r#"{"a":{"b":[1,{"c":"d\"e"}]},"\u006aob_\u0074oken":"x"}"#,
        r#"{"job_token":7}"#,
        r#"{"job_token":["x"]}"#,
        r#"{"job_token" : null, "Job.Token":"x"}"#,
        r#"{"token":{"a":["\u0067lcbt-1"]}}"#,
        r#"{"token":"x\\\"glcbt-1"}"#,
        r#"{/*"*/"job_token":"x"}"#,
        r#"{'a':'"','job_token':'x'}"#,
        r#"{job_token:"x"}"#,
        "\u{feff}{\"job_token\":\"x\"}",
        "{\"a\":1}{\"job_token\":\"x\"}",
        "{\"a\":\"\\q\",\"job_token\":\"x\"}",
        "{\0\"\0j\0o\0b\0_\0t\0o\0k\0e\0n\0\"\0:\0",
    ] {
        assert!(finds(JSON, json) && finds("text/x-json; charset=utf-16", json), "{json}");
    }
    for body in [
        format!("{}--b--", part("job_token", "x")),
        format!("{}{}{}", part("a", "b"), part("token", "glcbt-1"), part("c", "d")),
        format!("{}--b--", part("token", "glcbt-1").replace('"', "")),
        format!("{}--b--\r\n", part("token", "a\r\nglcbt-1")),
        "--b\r\ncontent-disposition: form-data;\r\n name=job_token\r\n\r\nx".into(),
        format!("before\r\n{}", part("job_token", "x")),
    ] {
        assert!(finds(PARTS, &body), "{body}");
    }
    for (media, body) in [
        ("multipart/mixed; boundary=b", "Content-ID: job_token\r\n\r\nx"),
        ("application/x-www-form-urlencoded,text/plain", "a=b&job%5ftoken=x"),
        ("multipart/form-data", "name=\"job_token\""),
    ] {
        assert!(finds(media, body), "{media}");
    }
}

#[test]
fn what_people_write_is_no_token() {
    let file = "script: curl --header \\\"JOB-TOKEN: $CI_JOB_TOKEN\\\" glcbt-64_0123456789abcdef job_token";
    for json in [
        format!(r#"{{"content":"{file}","job_token":null,"a":{{"job_token":"x","token":"glcbt-1"}}}}"#),
        format!(r#"[{{"job_token":"{file}"}}]"#),
        r#"{"token":"glptt-1","username":"dana","password":"x","job_token":""}"#.into(),
        r#"{"actions":[{"a":-1.5e3,"b":true,"job_token":"x"}],"tokens":"glcbt-1"}"#.into(),
    ] {
        assert!(!finds(JSON, &json), "{json}");
    }
    for form in
        ["job_token=", "token=glptt-1", "a=glcbt-64_0123456789abcdef", "a=job_token", "job_token", "x[job_token]=1"]
    {
        assert!(!finds(FORM, form), "{form}");
    }
    for body in [part("file", file), part("job_token", ""), part("token", "glptt-1")] {
        assert!(!finds(PARTS, &body), "{body}");
    }
    assert!(look("POST", Some("application/octet-stream"), Counts::Usual).is_none());
}

#[test]
fn a_body_without_a_type_is_looked_at_as_long_as_it_may_be_one_with_parameters() {
    let after = |method, body: &[u8]| {
        let mut look = look(method, None, Counts::Usual).unwrap();
        look.feed(body);
        (look.has_found(), look.is_over())
    };
    for method in ["POST", "PUT"] {
        assert!(after(method, b" {\"job_token\":\"x\"}").0);
        assert!(after(method, b"a=1&job_token=x").0);
    }
    assert_eq!(after("PUT", b"PK\x03\x04 job_token=x"), (false, true));
    assert_eq!(after("POST", b"PK\x03\x04&job_token=x"), (true, false));
    assert_eq!(after("PUT", b"<xml>"), (false, false));
    // A film, a picture, what was not written yet, a memory chip: of each the first bytes tell.
    for file in [&b"\0\0\0\x18ftyp"[..], b"\xff\xd8\xff\xe0", &[0; 8], &[0xff; 8]] {
        assert_eq!(after("PUT", file), (false, true), "{file:?}");
    }
    let json = " {\"job_token\":\"x\"}";
    let wide = |zeros: usize| json.bytes().flat_map(move |byte| core::iter::repeat_n(0, zeros).chain([byte])).collect();
    let narrow = |mark: &[u8], wide: Vec<u8>| [mark, &wide].concat();
    let swapped =
        |zeros: usize| json.bytes().flat_map(move |byte| [byte].into_iter().chain(core::iter::repeat_n(0, zeros)));
    for body in [
        narrow(b"\xef\xbb\xbf", json.into()),
        wide(1),
        wide(3),
        narrow(b"\xfe\xff", wide(1)),
        narrow(b"\0\0\xfe\xff", wide(3)),
        swapped(1).collect(),
        narrow(b"\xff\xfe", swapped(1).collect()),
        narrow(b"\xff\xfe\0\0", swapped(3).collect()),
    ] {
        assert!(after("PUT", &body).0, "{body:?}");
        assert!(finds_by(1, None, Counts::Usual, &body) && finds_by(1, Some(""), Counts::Usual, &body), "{body:?}");
    }
}

#[test]
fn what_no_client_writes_is_found_however_it_is_read() {
    // Go takes lines that end in LF, and passes over what stands before the first delimiter.
    for frame in ["--b\nP\n--b--\n", "\r\n--b\r\nP\r\n--b--\r\n", "x\r\n--b\r\nP\r\n--b--\r\n"] {
        for name in [
            r#"name="access_token""#,
            r#"name="token""#,
            "name=access_token",
            // It puts pieces of a name together.
            r#"name*0="access_to"; name*1="ken""#,
            "name*0*=utf-8''access%5Fto; name*1=ken",
        ] {
            let body = frame.replace('P', &format!("Content-Disposition: form-data; {name}\r\n\r\n0123abcd"));
            for size in [1, 3, 99] {
                assert!(finds_by(size, Some(PARTS), Counts::AnyCredential, body.as_bytes()), "{body} by {size}");
            }
        }
    }
    // Rack takes a letter behind a backslash for itself, and JSON these for controls.
    for name in [r"job_\token", r"\job_token", r"job_tok\en", r"\tjob_token", r"j\ob_\toke\n"] {
        let body = part(name, "x");
        assert!(finds(PARTS, &body), "{name}");
    }
    assert!(!finds(PARTS, &part(r"job_\Token\s", "x").replace("job", "bob")));
}

#[test]
fn what_counts_depends_on_who_reads() {
    let finds = |counts, body: &[u8]| finds_by(3, Some(FORM), counts, body);
    assert!(finds(Counts::Runners, b"token=x") && finds(Counts::AnyCredential, b"access_token=x"));
    assert!(!finds(Counts::Usual, b"token=x") && !finds(Counts::Usual, b"access_token=x"));
}

fn body() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(Vec::from([
        "job_token",
        "token",
        "glcbt-64_abc",
        "=",
        "&",
        ";",
        "\"",
        "{",
        "}",
        ":",
        ",",
        "[",
        "]",
        "\\",
        "\\u006a",
        "%6a",
        "%",
        " ",
        "+",
        "null",
        "1",
        "username",
        "gitlab-ci-token",
        "password",
        "x",
        "\r\n",
        "--b",
        "eyJ9.eyJhIjoiZ2xjYnQtMSJ9.c",
    ]));
    proptest::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

/// Names and values of a few parameters, of which some are a job's.
fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = ["job_token", "token", "[job_token]", "Job.Token ", "password", "username", "a", "private_token"];
    let values = ["x", "", "glcbt-64_abc", "gitlab-ci-token", "a glcbt-1", "eyJ9.eyJhIjoiZ2xjYnQtMSJ9.c"];
    let one = (proptest::sample::select(names.to_vec()), proptest::sample::select(values.to_vec()));
    proptest::collection::vec(one.prop_map(|(name, value)| (name.into(), value.into())), 0..4)
}

fn encoded(text: &str, escape: impl Fn(u8) -> String) -> String {
    text.bytes()
        .enumerate()
        .map(|(at, b)| if at % 3 == 1 || !b.is_ascii_alphanumeric() { escape(b) } else { char::from(b).into() })
        .collect()
}

proptest! {
    /// What a strict reader takes for a job's, or cannot take for one thing, was found.
    #[test]
    fn whatever_is_read_was_found(body in body(), pairs in pairs()) {
        let form: Vec<String> = pairs.iter().map(|(n, v)| format!("{}={}", encoded(n, |b| format!("%{b:02x}")), encoded(v, |b| format!("%{b:02X}")))).collect();
        let json: Vec<String> = pairs.iter().map(|(n, v)| format!("\"{}\":\"{}\"", encoded(n, |b| format!("\\u00{b:02x}")), encoded(v, |b| format!("\\u{b:04X}")))).collect();
        let parts: Vec<String> = pairs.iter().map(|(name, value)| part(name, value)).collect();
        let parts = format!("{}--b--\r\n", parts.concat());
        for body in [&body, &form.join("&"), &format!("{{{}}}", json.join(",")), &parts] {
            for (media, typed) in [(FORM, Media::Form), (JSON, Media::Json), (PARTS, Media::Multipart(b"b".to_vec()))] {
                let Ok(mut read) = params::body(&typed, body.as_bytes()) else { continue };
                // Empty is absent.
                read.retain(|(_, value)| !value.is_empty());
                for (counts, found) in [(Counts::Usual, params::credential(&read)), (Counts::Runners, runner::credential(&read))] {
                    let is_jobs = match found {
                        Ok(found) => found.job.is_some(),
                        // Of a name, whatever stands there.
                        Err(malformed) => !matches!(malformed, Malformed::QueryBracket | Malformed::QueryDuplicate),
                    };
                    if is_jobs {
                        for size in [1, 5, 1000] {
                            prop_assert!(finds_by(size, Some(media), counts, body.as_bytes()), "{media} {body:?}");
                            prop_assert!(media == PARTS || finds_by(size, None, counts, body.as_bytes()), "{body:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic_and_pieces_change_nothing(body in proptest::collection::vec(any::<u8>(), 0..200), words in body(), size in 1_usize..9) {
        for body in [&body[..], words.as_bytes()] {
            for media in [Some(FORM), Some(JSON), Some("multipart/mixed"), None] {
                let whole = finds_by(usize::MAX, media, Counts::Usual, body);
                prop_assert_eq!(finds_by(size, media, Counts::Usual, body), whole);
            }
        }
    }
}
