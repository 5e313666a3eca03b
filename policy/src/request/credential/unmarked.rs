//! Credentials of forges whose job tokens have no mark: whatever could be a token may be a job's.

use alloc::vec::Vec;

use super::super::head::Head;
use super::super::malformed::Malformed;
use super::super::{params, readers, token};
use super::{Carrier, Credential, Persons, Spelled, carrier, spelled};
use crate::facts::Secret;

/// A credential that one reader may take for one token and another for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// The one credential that may be a job's on a forge whose job tokens have no mark.
pub(super) fn unmarked(head: &Head<'_>, query: Option<&[u8]>, persons: &Persons<'_>) -> Result<Credential, Malformed> {
    let mut found: Vec<(Secret, Result<Carrier, Malformed>)> = Vec::new();
    for value in query.map(params::credentials).unwrap_or_default() {
        let token = in_query(&value).map_err(|Ambiguous| Malformed::Carrier)?;
        found.extend(token.map(|token| (token, Ok(Carrier::Query))));
    }
    let joined = persons.joined(head);
    for value in head.all("authorization").chain(joined.as_deref()) {
        let read = spelled(value).and_then(|Spelled { scheme, credential, .. }| Ok((carrier(scheme)?, credential)));
        for token in candidates(value)? {
            let is_all = |carrier, credential: &str| {
                if carrier == Carrier::Basic {
                    readers::logins(value).iter().all(|login| secret_of(login) == token.expose())
                } else {
                    credential.as_bytes() == token.expose()
                }
            };
            let carrier =
                read.and_then(
                    |(carrier, credential)| {
                        if is_all(carrier, credential) { Ok(carrier) } else { Err(Malformed::Authorization) }
                    },
                );
            found.push((token, carrier));
        }
    }
    match found.as_slice() {
        [] => Ok(persons.credential()),
        [(token, carrier)] => Ok(Credential::Unmarked(token.clone(), *carrier)),
        // Which of them the forge takes is not to be told, and each may be a job's.
        _ => Err(Malformed::Multiple),
    }
}

/// The token in a value of the query. What some reader takes off its ends is not taken off by all.
fn in_query(value: &[u8]) -> Result<Option<Secret>, Ambiguous> {
    let is_blank =
        |c: char| !c.is_ascii() && c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{fffd}');
    let text = core::str::from_utf8(value).map_err(|_| Ambiguous)?;
    let trimmed = text.trim_matches(is_blank);
    match candidate(trimmed.as_bytes())? {
        Some(_) if trimmed.len() < text.len() => Err(Ambiguous),
        token => Ok(token),
    }
}

/// Every token that some forge might read in an `authorization` field, each once.
fn candidates(value: &[u8]) -> Result<Vec<Secret>, Malformed> {
    let parts = || core::iter::once(value).chain(value.split(|b| *b == b','));
    if parts().any(|part| is_read(part) && has_odd_bytes(part)) {
        return Err(Malformed::HeaderControl);
    }
    if parts().any(readers::is_cut_short) {
        return Err(Malformed::Authorization);
    }
    let logins = readers::logins(value).into_iter().map(|login| secret_of(&login).to_vec());
    let words = parts().flat_map(words).map(<[u8]>::to_vec);
    let mut found: Vec<Secret> = Vec::new();
    for word in logins.chain(words) {
        let Some(token) = candidate(&word).map_err(|Ambiguous| Malformed::Authorization)? else { continue };
        if !found.contains(&token) {
            found.push(token);
        }
        // Two are as many as a thousand.
        if found.len() > 1 {
            break;
        }
    }
    Ok(found)
}

/// Whether some forge reads a token from a credential of this scheme, or where there is none.
fn is_read(credential: &[u8]) -> bool {
    let is_scheme = |name| readers::behind_scheme(credential, name).is_some();
    is_scheme("basic")
        || is_scheme("bearer")
        || is_scheme("token")
        || split_scheme(credential.trim_ascii()).1.is_empty()
}

/// Blanks of Unicode part words for some readers (Go's `strings.Fields`), controls for others.
fn has_odd_bytes(value: &[u8]) -> bool {
    value.trim_ascii().iter().any(|b| !matches!(b, b'\t' | b' '..=b'~'))
}

/// The words of a credential that may be tokens, as they are and as a parameter of ActionPack's `Token token="..."`.
fn words(credential: &[u8]) -> Vec<&[u8]> {
    let (scheme, rest) = split_scheme(credential.trim_ascii());
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    match () {
        () if is(b"bearer") || is(b"token") => {
            let words = rest.split(|b| *b <= b' ' || matches!(b, b',' | b';'));
            words.map(|word| unquoted(word.strip_prefix(b"token=").unwrap_or(word))).collect()
        }
        // No scheme, and the token alone.
        () if rest.is_empty() && !is(b"basic") => Vec::from([scheme]),
        // Gitea's registries take a JWT behind the first blank, and never look at the word before it.
        () => credential.split(|b| *b <= b' ').filter(|word| token::resembles_jwt(word)).collect(),
    }
}

/// The scheme of a credential and what follows the first blank.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(|b| *b <= b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).unwrap_or((value, b""));
    (scheme, readers::without_blanks(rest))
}

fn unquoted(word: &[u8]) -> &[u8] {
    let word = word.strip_prefix(b"\"").unwrap_or(word);
    word.strip_suffix(b"\"").unwrap_or(word)
}

/// What of a login is the token: the password, or the user name where clients put it there.
fn secret_of(login: &[u8]) -> &[u8] {
    let at = login.iter().position(|b| *b == b':').unwrap_or(login.len());
    let (user, password) = login.split_at_checked(at).unwrap_or((login, b""));
    match password.strip_prefix(b":").unwrap_or_default() {
        b"" | b"x-oauth-basic" => user,
        password => password,
    }
}

/// A value that is spelled as RFC 6750 has it for tokens, with or without blanks around it. Anything else, most
/// passwords among them, is none.
///
/// # Errors
/// Some reader takes it for a JWT, and it is not one JWT in its plain spelling: readers pass over bytes in its parts that
/// an exact comparison does not.
pub(crate) fn candidate(value: &[u8]) -> Result<Option<Secret>, Ambiguous> {
    if token::resembles_jwt(value) && !token::is_plain_jwt(value) {
        return Err(Ambiguous);
    }
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    let value = readers::without_blanks(value);
    Ok(((1..=token::LIMIT).contains(&value.len()) && value.iter().all(is_letter)).then(|| Secret::new(value)))
}

#[cfg(test)]
mod tests {
    use super::super::super::head::Body;
    use super::super::Foreign;
    use super::*;
    use crate::choices::Kind;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use std::format;
    use std::string::String;

    fn found(name: &str, value: &[u8]) -> Credential {
        let fields = [(name.as_bytes(), value)];
        super::super::find(Kind::Generic, &Head::new(&fields, Body::None)).0
    }

    fn basic(login: &str) -> String {
        format!("Basic {}", STANDARD.encode(login))
    }

    fn jwt() -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"alg":"HS256"}"#), part(r#"{"sub":"7"}"#), part("signatures"))
    }

    #[test]
    fn one_plain_jwt_is_looked_up_wherever_it_stands() {
        let jwt = jwt();
        let token = |carrier| Credential::Unmarked(Secret::new(jwt.as_bytes()), Ok(carrier));
        assert_eq!(found("authorization", format!("Bearer {jwt}").as_bytes()), token(Carrier::Bearer));
        assert_eq!(found("authorization", basic(&format!("_jwt:{jwt}")).as_bytes()), token(Carrier::Basic));
        assert_eq!(found(":path", format!("/x?access_token={jwt}").as_bytes()), token(Carrier::Query));
    }

    #[test]
    fn what_some_reader_takes_for_a_jwt_and_is_no_plain_one_is_refused() {
        let jwt = jwt();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let (last, rest) = signature.as_bytes().split_last().unwrap();
        let stray = format!("{signed}.{}{}", String::from_utf8_lossy(rest), char::from(last + 1));
        for odd in [
            format!("{signed}.!!!!{signature}"),
            format!("{signed}.{signature}===="),
            format!("{signed}.{signature}="),
            format!("{signed}.{signature}=x"),
            format!("{signed}.{}\r\n{}", &signature[..4], &signature[4..]),
            format!("{signed}.{}\u{a0}{}", &signature[..4], &signature[4..]),
            format!("!{jwt}"),
            format!("{}!{}", &jwt[..1], &jwt[1..]),
            format!("{jwt}.x"),
            format!("{signed}."),
            stray,
            jwt.replacen('.', "..", 1),
        ] {
            let in_query: String = odd.bytes().map(|b| format!("%{b:02x}")).collect();
            for (name, value) in [
                ("authorization", format!("Bearer {odd}")),
                ("authorization", format!("token {odd}")),
                ("authorization", format!("Token token=\"{odd}\"")),
                ("authorization", basic(&format!("_jwt:{odd}"))),
                ("authorization", basic(&format!("{odd}:x-oauth-basic"))),
                (":path", format!("/x?token={in_query}")),
            ] {
                // An empty signature is in the plain spelling, and nobody has signed it.
                let is_looked_up =
                    odd.ends_with('.') && matches!(found(name, value.as_bytes()), Credential::Unmarked(..));
                let is_refused = matches!(found(name, value.as_bytes()), Credential::Refused(_));
                assert!(is_refused || is_looked_up, "{name}: {value:?}");
            }
        }
    }

    #[test]
    fn a_jwt_is_not_hidden_by_the_word_before_it() {
        let jwt = jwt();
        let refused = Credential::Unmarked(Secret::new(jwt.as_bytes()), Err(Malformed::Authorization));
        for word in ["Foo", "Digest", "Basic", "a\tb", "\u{a0}", "\"Bearer"] {
            assert_eq!(found("authorization", format!("{word} {jwt}").as_bytes()), refused, "{word:?}");
        }
        let odd = format!("Foo {jwt}=");
        assert_eq!(found("authorization", odd.as_bytes()), Credential::Refused(Malformed::Authorization));
    }

    #[test]
    fn a_blank_of_whatever_reader_does_not_hide_a_token() {
        for blank in ["\u{85}", "\u{a0}", "\u{1680}", "\u{2003}", "\u{2028}", "\u{3000}", "\x0b", "\x1f", "\u{feff}"] {
            for value in [
                format!("Bearer{blank}0123abcd"),
                format!("token{blank}0123abcd"),
                format!("{blank}Bearer 0123abcd"),
                format!("Bearer 0123abcd{blank}"),
                format!("Basic{blank}{}", STANDARD.encode("dana:0123abcd")),
                format!("0123abcd{blank}"),
                format!("Digest x, Bearer{blank}0123abcd"),
            ] {
                assert!(!matches!(found("authorization", value.as_bytes()), Credential::Foreign(_)), "{value:?}");
            }
            let refused = Credential::Unmarked(Secret::new(b"0123abcd"), Err(Malformed::Authorization));
            if blank != "\u{feff}" {
                let login = basic(&format!("dana:0123abcd{blank}"));
                assert_eq!(found("authorization", login.as_bytes()), refused, "{blank:?} in the login");
            }
        }
        assert_eq!(found("authorization", b"Bearer\xa00123abcd"), Credential::Refused(Malformed::HeaderControl));
        let odd = "/x?token=%c2%a00123abcd";
        assert_eq!(found(":path", odd.as_bytes()), Credential::Refused(Malformed::Carrier));
    }

    #[test]
    fn where_a_reader_ends_early_its_token_is_not_hidden_by_what_follows() {
        let plain = STANDARD.encode("dana:0123abcd");
        for cut in [format!("{plain}AAAA"), format!("{plain}=AA=="), format!("{}={}", &plain[..8], &plain[8..])] {
            let value = format!("Basic {cut}");
            assert_eq!(
                found("authorization", value.as_bytes()),
                Credential::Refused(Malformed::Authorization),
                "{value}"
            );
        }
    }

    #[test]
    fn a_token_is_read_as_a_parameter_too() {
        let refused = Credential::Unmarked(Secret::new(b"0123abcd"), Err(Malformed::Authorization));
        for value in
            ["Token token=\"0123abcd\"", "Token token=0123abcd", "Bearer token=\"0123abcd\";", "token \"0123abcd\","]
        {
            assert_eq!(found("authorization", value.as_bytes()), refused, "{value}");
        }
    }

    #[test]
    fn what_no_reader_takes_for_a_token_in_a_query_is_a_persons() {
        for text in ["gr%c3%bc%c3%9fe", "%c3%a9", "abc%c3%a9", "two%20words", "a%0ab"] {
            for name in ["token", "password", "access_token"] {
                let query = format!("/x?{name}={text}");
                assert_eq!(found(":path", query.as_bytes()), Credential::None, "{query}");
            }
        }
        for blank in ["%c2%a0", "%a0", "%e2%80%a8", "%ef%bb%bf", "%0b", "%1f"] {
            for query in [format!("/x?token={blank}0123abcd"), format!("/x?token=0123abcd{blank}")] {
                assert_eq!(found(":path", query.as_bytes()), Credential::Refused(Malformed::Carrier), "{query}");
            }
        }
    }

    #[test]
    fn a_persons_password_is_any_text() {
        for password in
            ["correct horse", "p!ss", "gr\u{fc}\u{df}e", "a.b.c!", "eyes.of.tiger!", "1.2.3 4", "\u{fc}.\u{fc}.\u{fc}"]
        {
            let login = basic(&format!("dana:{password}"));
            assert_eq!(found("authorization", login.as_bytes()), Credential::Foreign(Foreign::ByRoute), "{password}");
        }
        let latin1 = format!("Basic {}", STANDARD.encode(b"dana:gr\xfc\xdfe"));
        assert_eq!(found("authorization", latin1.as_bytes()), Credential::Foreign(Foreign::ByRoute));
        let digest = "Digest username=\"j\u{fc}rgen\", realm=\"a\"";
        assert_eq!(found("authorization", digest.as_bytes()), Credential::Foreign(Foreign::ByRoute));
    }
}
