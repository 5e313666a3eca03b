//! The ways in which a credential is almost written as it should be: each is near the edge of some reader.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::oracle::Random;

/// Bytes that one reader of Base64 passes over, another takes for a letter, and a third for the end.
const PASSED_OVER: [&[u8]; 26] = [
    b"-",
    b"_",
    b"=",
    b"==",
    b".",
    b"!",
    b",",
    b"\"",
    b"'",
    b";",
    b":",
    b"%",
    b"~",
    b"@",
    b"*",
    b"\t",
    b" ",
    b"\r",
    b"\n",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xa0",
    b"\xc2\xa0",
    b"\xe2\x80\x83",
];
/// What stands around a credential.
const AROUND: [&[u8]; 22] = [
    b" ",
    b"  ",
    b"\t",
    b"\"",
    b"'",
    b",",
    b";",
    b"=",
    b"\\",
    b".",
    b"!!!!",
    b"====",
    b"\x80",
    b"\xa0",
    b"\xc2\xa0",
    b"\xc2\x85",
    b"\xe2\x80\x83",
    b"\xe3\x80\x80",
    b"\xef\xbb\xbf",
    b", x",
    b"; x=y",
    b" x",
];
/// A credential behind its scheme; `{}` is it.
const PARAMETERS: [&str; 15] = [
    "token={}",
    "token=\"{}\"",
    "\"{}\"",
    "token=\"{}\", nonce=\"x\"",
    "nonce=\"x\", token=\"{}\"",
    "{};x",
    "{}\tx",
    "{} , x",
    "token=x;token={}",
    "token={};token=x",
    "\"{}",
    "token={}\"",
    "token=token={}",
    "token =\"{}\"",
    "access_token={}",
];
const SCHEMES: [&str; 14] = [
    "Bearer",
    "bearer",
    "BEARER",
    "Token",
    "token",
    "Basic",
    "Digest",
    "JWT",
    "Bearer:",
    "OAuth",
    "PRIVATE-TOKEN",
    "",
    "Bearer Bearer",
    "x Bearer",
];
const BASIC: [&str; 8] = ["basic", "BASIC", "bAsIc", "Bearer", "Token", "Negotiate", "Basic Basic", "Basic,"];
const BLANKS: [&[u8]; 9] = [b"  ", b"\t", b" \t", b"   ", b"\x0b", b"\x0c", b"\xc2\xa0", b"\xe2\x80\x83", b""];
const USERS: [&str; 9] = [
    "GitLab-CI-Token",
    "gitlab-ci-token ",
    " gitlab-ci-token",
    "gitlab-ci-token\0",
    "dana",
    "",
    "_jwt",
    "oauth2",
    "gitlab-ci-token-",
];
/// Names under which some forge reads a credential.
const NAMES: [&str; 9] = [
    "token",
    "access_token",
    "bearer_token",
    "private_token",
    "password",
    "refresh_token",
    "jwt",
    "JOB_TOKEN",
    "job-token",
];
/// A name, as Rack reads brackets, blanks and what is nested; `{}` is it.
const BRACKETS: [&str; 22] = [
    "{}[]", "[{}]", "{}[x]", "{}]", "]{}", "[]{}", "+{}", "{}+", "%20{}", "{}%00", "%00{}", "{}%5B%5D", "%5B{}%5D",
    "{}%0a", "x[{}]", "x[][{}]", "{}.", "{}[", "{}[[]]", "x&{}", "x;{}", "{}%c2%a0",
];
const VALUES: [&str; 14] = [
    "+{}",
    "{}+",
    "%20{}",
    "{}%20",
    "{}%0a",
    "%00{}",
    "{}%00",
    "\"{}\"",
    "{};x",
    "{},x",
    "{}%c2%a0",
    "{}%e3%80%80",
    "{}%ff",
    "{}=",
];
const JSON: [&str; 26] = [
    r#"{"N":["T"]}"#,
    r#"{"N":{"x":"T"}}"#,
    r#"{"N":"T","N":"x"}"#,
    r#"{"N":"x","N":"T"}"#,
    r#"[{"N":"T"}]"#,
    "\u{feff}{\"N\":\"T\"}",
    r#"{"N":"T"}x"#,
    r#"/*x*/{"N":"T"}"#,
    r#"{'N':'T'}"#,
    r#"{"a":NaN,"N":"T"}"#,
    r#"{"N":"T",}"#,
    "\n\t {\"N\":\"T\"}\n",
    r#"{"N":" T"}"#,
    r#"{"N":"T\u0000"}"#,
    r#"{"N":"T\n"}"#,
    r#"{"x":{"N":"T"}}"#,
    r#"{"a":[[[[{}]]]],"N":"T"}"#,
    r#"{"N[]":"T"}"#,
    r#"{"[N]":"T"}"#,
    r#"{"N":T}"#,
    r#"{N:"T"}"#,
    r#"{"a":"\ud800","N":"T"}"#,
    "{\"a\":\"\u{1}\",\"N\":\"T\"}",
    r#"{"a":1e999,"N":"T"}"#,
    r#"{"N":null,"N":"T"}"#,
    r#"{"a":0123,"N":"T"}"#,
];
/// The head of a part; `{}` is a name.
const PARTS: [&str; 25] = [
    "Content-Disposition: form-data; name={}",
    "Content-Disposition: form-data; name='{}'",
    "content-disposition:form-data;name=\"{}\"",
    "Content-Disposition: form-data; NAME=\"{}\"",
    "Content-Disposition: form-data; name*=UTF-8''{}",
    "Content-Disposition: form-data; name=\"x\"; name=\"{}\"",
    "Content-Disposition: form-data; name=\"{}\"; name=\"x\"",
    "Content-Disposition: form-data; name=\"x\"; filename*=x; name=\"{}\"; y''z",
    "Content-Disposition: form-data; name=\"{}\"; filename=\"x\"",
    "Content-Disposition: form-data; name=\"{}\"; filename=\"\"",
    "Content-Disposition: form-data; x=\"; name=\\\"{}\\\"\"",
    "Content-Disposition: form-data; name=\"\\{}\"",
    "Content-Disposition: form-data;\r\n name=\"{}\"",
    "Content-Disposition: attachment; name=\"{}\"",
    "Content-Disposition: file; name=\"{}\"",
    "Content-Disposition: name=\"{}\"",
    "Content-Id: {}",
    "Content-Id: {}\r\nContent-Disposition: form-data",
    "Content-Disposition: form-data; name=\"{}\"\r\nContent-Type: text/plain; charset=utf-16",
    "Content-Disposition: form-data; name=\"{}\"\r\nContent-Transfer-Encoding: base64",
    "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"{}\"",
    "X: y\nContent-Disposition: form-data; name=\"{}\"",
    "Content-Disposition : form-data; name=\"{}\"",
    "Content-Disposition: form-data; name=\"{}\"\r\nContent-Length: 7",
    "Content-Length: 0\r\nContent-Disposition: form-data; name=\"{}\"",
];
/// A body of several parts; `P` is the part and `--B` the delimiter.
const FRAMES: [&str; 9] = [
    "--B\nP\n--B--\n",
    "\r\n--B\r\nP\r\n--B--\r\n",
    "x\r\n--B\r\nP\r\n--B--\r\n",
    "--B\r\nP\r\n--B",
    "--B\r\nP\r\n",
    "--B  \r\nP\r\n--B--",
    "--B\r\nP\r\n--B--x",
    "--B\r\n\r\nx\r\n--B\r\nP\r\n--B--\r\n",
    "--B--\r\n--B\r\nP\r\n--B--\r\n",
];

/// One in so many is written in another way.
pub(super) fn is_odd(random: &mut Random) -> bool {
    random.below(2) == 0
}

fn filled(template: &str, text: &[u8]) -> Vec<u8> {
    let (before, after) = template.split_once("{}").unwrap_or((template, ""));
    [before.as_bytes(), text, after.as_bytes()].concat()
}

fn insert(text: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    text.splice(at..at, bytes.iter().copied());
}

/// A credential with something at one of its ends.
fn around(mut text: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let at = if random.below(3) == 0 { 0 } else { text.len() };
    insert(&mut text, at, random.pick(&AROUND));
    text
}

/// What stands between a scheme and the first blank: for one reader the scheme goes on, for another the login begins.
fn end_of_scheme(random: &mut Random) -> Vec<u8> {
    [random.pick(&PASSED_OVER), random.pick(&[b"", b"x", b"Basic"])].concat()
}

/// `Basic` and a login.
pub(super) fn basic(token: &str, user: &str, random: &mut Random) -> Vec<u8> {
    let user = if random.below(6) == 0 { random.pick(&USERS) } else { user };
    let login = match random.below(12) {
        0 => format!("{token}:"),
        1 => format!("{token}:x-oauth-basic"),
        2 => format!("{user}:{token}\n"),
        _ => format!("{user}:{token}"),
    };
    let mut letters = STANDARD.encode(login).into_bytes();
    if is_odd(random) {
        for _ in 0..=random.pick(&[0, 0, 0, 1, 3]) {
            let at = random.below(letters.len() + 1);
            insert(&mut letters, at, random.pick(&PASSED_OVER));
        }
    }
    if random.below(6) == 0 {
        letters = around(letters, random);
    }
    if random.below(6) == 0 {
        letters.retain(|letter| *letter != b'=');
    }
    let scheme = if random.below(5) == 0 { random.pick(&BASIC) } else { "Basic" };
    let end = if random.below(8) == 0 { end_of_scheme(random) } else { Vec::new() };
    let blank = if random.below(8) == 0 { random.pick(&BLANKS) } else { b" " };
    [scheme.as_bytes(), &end, blank, &letters].concat()
}

/// A scheme and a token.
pub(super) fn authorization(token: &str, random: &mut Random) -> Vec<u8> {
    let mut text = token.as_bytes().to_vec();
    if is_odd(random) {
        text = filled(random.pick(&PARAMETERS), &text);
    }
    if random.below(3) == 0 {
        text = around(text, random);
    }
    let scheme = if is_odd(random) { random.pick(&SCHEMES) } else { "Bearer" };
    let blank = if random.below(6) == 0 { random.pick(&BLANKS) } else { b" " };
    let before = if scheme.is_empty() { b"" } else { blank };
    [scheme.as_bytes(), before, &text].concat()
}

/// The value of a field that holds a token and nothing else.
pub(super) fn value(token: &str, random: &mut Random) -> Vec<u8> {
    let text = token.as_bytes().to_vec();
    if random.below(3) == 0 { around(text, random) } else { text }
}

/// A name for a credential.
pub(super) fn name(random: &mut Random) -> &'static str {
    if is_odd(random) { random.pick(&NAMES) } else { "job_token" }
}

/// A pair of a query or a form, with what comes before and behind it.
pub(super) fn pair(name: &str, token: &str, random: &mut Random) -> Vec<u8> {
    let mut name_text = escaped(name, random);
    if random.below(3) == 0 {
        name_text = filled(random.pick(&BRACKETS), &name_text);
    }
    let mut value = escaped(token, random);
    if random.below(4) == 0 {
        value = filled(random.pick(&VALUES), &value);
    }
    let pair = [&name_text[..], b"=", &value].concat();
    let other = format!("{name}=x");
    let template = match random.below(12) {
        0 => format!("{other}&{{}}"),
        1 => format!("{{}}&{other}"),
        2 => format!("{{}}&{name}="),
        3 => format!("{{}}&{name}[x]=y"),
        4 => "a=1;{}".into(),
        5 => "a=%zz&{}".into(),
        6 => "a=%ff&{}".into(),
        7 => "&&{}&".into(),
        8 => "=&{}".into(),
        9 => "username=gitlab-ci-token&{}".into(),
        _ => "{}".into(),
    };
    filled(&template, &pair)
}

/// Percent-encoding where there need be none.
fn escaped(text: &str, random: &mut Random) -> Vec<u8> {
    let every = random.pick(&[0, 0, 0, 1, 4]);
    let escape = |byte: u8| format!("%{byte:02x}").into_bytes();
    let mut at = 0;
    text.bytes()
        .flat_map(|byte| {
            at += 1;
            if every != 0 && at % every == 0 { escape(byte) } else { vec![byte] }
        })
        .collect()
}

/// A JSON document.
pub(super) fn json(name: &str, token: &str, random: &mut Random) -> Vec<u8> {
    let escape = |text: &str, random: &mut Random| {
        let at = random.below(text.len() * 3);
        let letter = |(place, letter): (usize, char)| {
            if place == at { format!("\\u{:04x}", u32::from(letter)) } else { letter.into() }
        };
        text.chars().enumerate().map(letter).collect::<String>()
    };
    let template = if is_odd(random) { random.pick(&JSON) } else { r#"{"N":"T"}"# };
    let text = template.replace('T', &escape(token, random)).replace('N', &escape(name, random));
    match random.below(16) {
        0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => text.into_bytes(),
    }
}

/// A body of several parts, with the delimiter `--B`.
pub(super) fn multipart(name: &str, token: &str, random: &mut Random) -> Vec<u8> {
    let usual = "Content-Disposition: form-data; name=\"{}\"";
    let head = if is_odd(random) { random.pick(&PARTS) } else { usual };
    let at = random.below(name.len() + 1);
    let (head, name) = match random.below(8) {
        0 | 1 => (head, filled(random.pick(&BRACKETS), name.as_bytes())),
        2 => (head, [&name[..at], "\\", &name[at..]].concat().into_bytes()),
        // In pieces, as RFC 2231 has it.
        3 => (
            "Content-Disposition: form-data; name*0=\"{}\"",
            [&name[..at], "\"; name*1=\"", &name[at..]].concat().into_bytes(),
        ),
        _ => (head, name.into()),
    };
    let value = value(token, random);
    let part = [&filled(head, &name)[..], b"\r\n\r\n", &value].concat();
    let frame = if random.below(3) == 0 { random.pick(&FRAMES) } else { "--B\r\nP\r\n--B--\r\n" };
    filled(&frame.replace('P', "{}"), &part)
}
