//! Small models of real decoders, as their sources have them, against what we find.

use super::super::credential::may_hold_job_token;
use super::super::minted::signed;
use super::*;
use crate::facts::Secret;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::format;
use std::string::String;

/// A decoder of base64: what it reads, or `None` where it refuses.
type Model = fn(&[u8]) -> Option<Vec<u8>>;

const MODELS: [(&str, Model); 7] = [
    ("Ruby, unpack(\"m\")", ruby),
    ("Python 3.11, b64decode", python),
    ("Python 3.15, b64decode", python_3_15),
    ("Python 3.11, urlsafe_b64decode", |text| python(&urlsafe(text))),
    ("Ruby, decode64 of tr('-_', '+/')", |text| ruby(&urlsafe(text))),
    ("Go, StdEncoding", go),
    ("nginx, ngx_decode_base64", nginx),
];

fn value(byte: u8) -> Option<u32> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    alphabet.iter().position(|letter| *letter == byte).map(|at| at as u32)
}

/// What letters alone say.
fn bytes(letters: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    for group in letters.chunks(4) {
        let bits = group.iter().fold(0, |bits, b| bits << 6 | value(*b).unwrap()) << (6 * (4 - group.len()));
        decoded.extend_from_slice(&bits.to_be_bytes()[1..group.len().max(1)]);
    }
    decoded
}

fn urlsafe(text: &[u8]) -> Vec<u8> {
    let mapped = text.iter().map(|b| match b {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    });
    mapped.collect()
}

/// pack.c: in the second half of a group `=` ends the text, everywhere else what is no letter is skipped.
fn ruby(text: &[u8]) -> Option<Vec<u8>> {
    let mut letters = Vec::new();
    for byte in text {
        match value(*byte) {
            Some(_) => letters.push(*byte),
            None if *byte == b'=' && letters.len() % 4 >= 2 => break,
            None => {}
        }
    }
    Some(bytes(&letters))
}

/// binascii.c, `a2b_base64` without `strict_mode`: as many `=` as the group lacks end the text, and a group that stays
/// incomplete is an error.
fn python(text: &[u8]) -> Option<Vec<u8>> {
    let (mut letters, mut pads) = (Vec::new(), 0);
    for byte in text {
        if *byte >= 0x80 {
            return None;
        }
        let at = letters.len() % 4;
        if *byte == b'=' {
            if at >= 2 {
                pads += 1;
            }
            if at >= 2 && at + pads >= 4 {
                return Some(bytes(&letters));
            }
        } else if value(*byte).is_some() {
            pads = 0;
            letters.push(*byte);
        }
    }
    letters.len().is_multiple_of(4).then(|| bytes(&letters))
}

fn python_3_15(text: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.iter().copied().filter(|b| value(*b).is_some()).collect();
    (letters.len() % 4 != 1).then(|| bytes(&letters))
}

/// encoding/base64: line breaks are skipped, all else is strict; what was decoded before an error is dropped.
fn go(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let pads = text.iter().rev().take_while(|b| **b == b'=').count();
    let letters = &text[..text.len() - pads];
    let is_sound = text.len().is_multiple_of(4) && pads <= 2 && letters.iter().all(|b| value(*b).is_some());
    is_sound.then(|| bytes(letters))
}

/// ngx_string.c: up to the first `=`, and nothing where another byte is before it.
fn nginx(text: &[u8]) -> Option<Vec<u8>> {
    let letters = text.split(|b| *b == b'=').next()?;
    (letters.len() % 4 != 1 && letters.iter().all(|b| value(*b).is_some())).then(|| bytes(letters))
}

/// Numbers that look random and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 33) as usize % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A text with a few bytes in it that do not belong there.
    fn altered(&mut self, text: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let odd = self.one(&[
                "-", "_", "=", "==", "===", "-_", " ", "\t", "\r\n", ".", "!", "\"", ",", "\u{85}", "\u{a0}",
                "\u{2003}", "A", "=A", "QQ==", "%", "\0", "~",
            ]);
            match self.below(8) {
                0 => text.extend_from_slice(odd.as_bytes()),
                1 => drop(text.pop()),
                2 => text = text.iter().map(|b| if *b == b'+' { b'-' } else { *b }).collect(),
                3 => text = text.iter().map(|b| if *b == b'/' { b'_' } else { *b }).collect(),
                _ => {
                    let at = self.below(text.len().max(1)).min(text.len());
                    text.splice(at..at, odd.bytes());
                }
            }
        }
        text
    }
}

fn is_jobs(login: &[u8]) -> bool {
    let login = String::from_utf8_lossy(login);
    let user = login.split(':').next().unwrap_or_default();
    user.eq_ignore_ascii_case("gitlab-ci-token") && login.contains(':') || login.contains("glcbt-")
}

#[test]
fn what_any_decoder_reads_as_a_jobs_login_is_a_jobs() {
    let mut dice = Dice(1);
    let mut read = [0; MODELS.len()];
    for _ in 0..100_000 {
        let user = dice.one(&["gitlab-ci-token", "GitLab-CI-Token", "dana", "", "a?>"]);
        let password = dice.one(&["glcbt-64_0123456789abcdefghij", "legacy20chars0000000", "??>>", "~~glcbt-1"]);
        let text = dice.altered(&STANDARD.encode(format!("{user}:{password}")));
        let value = [dice.one(&["Basic ", "basic  ", "BASIC\t", " Basic ", "Basic\u{a0}"]).as_bytes(), &text].concat();
        for ((name, model), read) in MODELS.iter().zip(&mut read) {
            if model(&text).is_some_and(|login| is_jobs(&login)) {
                *read += 1;
                assert!(may_hold_job_token(b"authorization", &value), "{name}: {}", value.escape_ascii());
            }
        }
    }
    assert!(read.iter().all(|read| *read > 1000), "each of them reads some: {read:?}");
}

#[test]
fn what_is_plain_is_read_in_one_way() {
    let login = |value: &[u8]| logins(value);
    for plain in ["dana:??>>", "dana:p", "dana:pw", "dana:pwd", ""] {
        assert_eq!(login(format!("Basic {}", STANDARD.encode(plain)).as_bytes()), [plain.as_bytes()], "{plain}");
    }
    assert!(login(b"Bearer ZGFuYTpw").is_empty() && login(b"Basic").is_empty() && login(b"").is_empty());
}

/// What a reader of JWTs decodes: header and claims, or `None` where it refuses.
type JwtModel = fn(&[u8]) -> Option<(Vec<u8>, Vec<u8>)>;

const JWT_MODELS: [(&str, JwtModel); 4] = [
    ("PyJWT", |text| jwt(text, |part| python(&padded(&urlsafe(part))))),
    ("ruby-jwt before 2.8", |text| jwt(text, |part| ruby(&urlsafe(part)))),
    ("golang-jwt", |text| jwt(text, |part| raw_url(part, |b| matches!(b, b'\r' | b'\n')))),
    ("go-jose", |text| jwt(text, |part| raw_url(part, |b| b.is_ascii_whitespace()))),
];

fn jwt(text: &[u8], decode: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<(Vec<u8>, Vec<u8>)> {
    let parts: Vec<&[u8]> = text.split(|b| *b == b'.').collect();
    let [header, claims, signature] = parts[..] else { return None };
    decode(signature)?;
    Some((decode(header)?, decode(claims)?))
}

fn padded(text: &[u8]) -> Vec<u8> {
    [text, &b"===="[..(4 - text.len() % 4) % 4]].concat()
}

fn raw_url(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|b| !is_skipped(*b)).collect();
    let is_sound = text.len() % 4 != 1 && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_sound.then(|| bytes(&urlsafe(&text)))
}

#[test]
fn what_any_reader_of_jwts_takes_is_found_and_is_one_jwt_in_whatever_spelling() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let (header, claims) = (r#"{"alg":"ES256"}"#, r#"{"user":"??>>","token":"glcbt-64_0123"}"#);
    let plain = format!("{}.{}.{}", part(header), part(claims), part("a signature ?>?"));
    let identity = Some(Secret::new(plain.rsplit_once('.').unwrap().0.as_bytes()));
    let mut dice = Dice(2);
    let mut read = [0; JWT_MODELS.len()];
    for _ in 0..30_000 {
        let jwt = dice.altered(&plain);
        let values = [
            [b"Bearer ", &*jwt].concat(),
            [b"Token token=", &*jwt].concat(),
            [b"Bearer token=\"", &*jwt, b"\";"].concat(),
            format!("Basic {}", STANDARD.encode([b"dana:", &*jwt].concat())).into_bytes(),
        ];
        for ((name, model), read) in JWT_MODELS.iter().zip(&mut read) {
            let Some((its_header, its_claims)) = model(&jwt) else { continue };
            *read += 1;
            for value in &values {
                if its_claims.windows(6).any(|window| window == b"glcbt-") {
                    assert!(may_hold_job_token(b"authorization", value), "{name}: {}", value.escape_ascii());
                }
                if (&*its_header, &*its_claims) == (header.as_bytes(), claims.as_bytes()) {
                    assert_eq!(signed(value), identity, "{name}: {}", value.escape_ascii());
                }
            }
        }
    }
    assert!(read.iter().all(|read| *read > 500), "each of them reads some: {read:?}");
}

fn decoded(text: &[u8], url: Url) -> Vec<u8> {
    let mut decoded = Vec::new();
    Decoder::new(text, url).read(&mut decoded);
    decoded
}

#[test]
fn letters_in_a_row_are_decoded_as_letters_that_stand_alone() {
    let mut dice = Dice(3);
    for _ in 0..30_000 {
        let plain: String = (0..dice.below(60)).map(|_| char::from(b' ' + dice.below(95) as u8)).collect();
        let plain = if dice.below(4) == 0 { plain } else { STANDARD.encode(plain) };
        let text = dice.altered(&plain);
        let letters = |text: &[u8]| text.iter().copied().filter(|b| value(*b).is_some()).collect::<Vec<u8>>();
        for (url, expected) in [(Url::Skipped, bytes(&letters(&text))), (Url::Read, bytes(&letters(&urlsafe(&text))))] {
            assert_eq!(decoded(&text, url), expected, "{url:?}: {}", text.escape_ascii());
            assert_eq!(Decoder::new(&text, url).collect::<Vec<u8>>(), expected, "{url:?}: {}", text.escape_ascii());
        }
        let is_plain = are_letters(&text) && is_even(&text) && !text.iter().any(|b| matches!(b, b'+' | b'/'));
        assert_eq!(is_plain, URL_SAFE_NO_PAD.decode(&text).is_ok(), "{}", text.escape_ascii());
    }
}

#[test]
fn whoever_decodes_the_mark_has_read_what_it_is_written_as() {
    let is_marked = |text: &[u8]| text.windows(6).any(|window| window == b"glcbt-");
    let mut dice = Dice(4);
    let mut read = 0;
    for _ in 0..100_000 {
        let around = |dice: &mut Dice| (0..dice.below(5)).map(|_| dice.below(256) as u8).collect::<Vec<u8>>();
        let text = [around(&mut dice), b"glcbt-".to_vec(), around(&mut dice)].concat();
        let mut text = dice.altered(&URL_SAFE_NO_PAD.encode(text));
        for _ in 0..dice.below(9) {
            let at = dice.below(text.len().max(1)).min(text.len());
            let odd = dice.one(&["!", ".", "=", "\0", "-", " ", "\u{a0}"]);
            text.splice(at..at, odd.bytes());
        }
        if [Url::Skipped, Url::Read].into_iter().any(|url| is_marked(&decoded(&text, url))) {
            read += 1;
            assert!(may_spell_mark(&text), "{}", text.escape_ascii());
        }
    }
    assert!(read > 10_000, "{read}");
    assert!(!may_spell_mark(b"YNYn2J0YnNidYnJ0") && !may_spell_mark(STANDARD.encode("glcb glxbt gitlab").as_bytes()));
}
