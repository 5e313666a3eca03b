//! What a job token looks like.
//!
//! Three formats are in use: `glcbt-` and random text, `glcbt-` and a JWT (an instance may put its own prefix in
//! front of either), and the old ones without any prefix, which only their carrier tells apart.

use alloc::vec::Vec;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use memchr::memchr_iter;

use super::malformed::Malformed;
use super::{json, readers};
use crate::facts::Secret;
use crate::tree::Tree;

/// The longest token the forge reads.
pub(crate) const LIMIT: usize = 8192;

/// The longest JWT that can wrap one, in base64.
const LONGEST_JWT: usize = 12 << 10;

const MARK: &[u8] = b"glcbt-";

/// How much stands behind the mark at least: the forge puts 20 random letters there, or a JWT.
const LEAST_RANDOM: usize = 16;

/// A JWT begins with `{"`; one that does not is none that the forge has signed.
pub(crate) const JWT: &[u8] = b"eyJ";

/// Base64 of URLs, read generously: with or without padding, stray bits allowed.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a value is worth a closer look: one pass, which most values end.
#[inline]
pub(crate) fn may_hold(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'g' | b'e')) {
        let Some(found) = rest.get(at..) else { return false };
        if found.starts_with(MARK) || found.starts_with(JWT) {
            return true;
        }
        rest = found.get(1..).unwrap_or_default();
    }
    false
}

/// Where the mark stands first. Its dash is the rarest of its letters.
fn mark(value: &[u8]) -> Option<usize> {
    let mut begins = memchr_iter(b'-', value).filter_map(|dash| dash.checked_sub(MARK.len().saturating_sub(1)));
    begins.find(|at| value.get(*at..).is_some_and(|from| from.starts_with(MARK)))
}

/// Whether a value can only be a job token, wherever it stands.
pub(crate) fn is_job_shaped(value: &[u8]) -> bool {
    mark(value).and_then(|at| value.get(..at)).is_some_and(|prefix| prefix.iter().all(|b| is_token_byte(*b)))
}

/// Whether a job token stands in a text that nobody reads for a credential. The mark alone is a word there, that somebody
/// looks for or calls a branch by.
pub(crate) fn is_mentioned(text: &[u8]) -> bool {
    text.windows(MARK.len().saturating_add(LEAST_RANDOM))
        .any(|window| window.strip_prefix(MARK).is_some_and(|random| random.iter().all(|b| is_token_byte(*b))))
}

/// Whether a value is a job token and nothing else.
pub(crate) fn is_job_token(value: &[u8]) -> bool {
    is_job_shaped(value) && value.iter().all(|b| is_token_byte(*b))
}

/// Whether the mark of a job token stands somewhere.
pub(crate) fn is_marked(value: &[u8]) -> bool {
    mark(value).is_some()
}

/// Whether some reader may find a JWT of the forge's own with a job token inside: what Conan, Terraform and the
/// dependency proxy exchange the token for. Readers pass over foreign bytes, so all that counts is what a text between
/// two dots decodes to.
pub(crate) fn wraps_job_token(value: &[u8]) -> bool {
    /// As many bits as the mark has.
    const WIDTH: u64 = (1 << 48) - 1;
    // Nearly every value ends here.
    if !readers::may_spell_mark(value) {
        return false;
    }
    let mut parts = value.split(|b| *b == b'.').skip(1).peekable();
    core::iter::from_fn(|| parts.next().filter(|_| parts.peek().is_some())).any(|payload| {
        let mut last: u64 = 0;
        readers::decoded_part(payload).any(|byte| {
            last = (last << 8 | u64::from(byte)) & WIDTH;
            last == u64::from_be_bytes(*b"\0\0glcbt-")
        })
    })
}

/// Whether a value is one JWT and nothing else, its claims in the one spelling that its maker gave them.
pub(crate) fn is_one_jwt(value: &[u8]) -> bool {
    let mut parts = value.split(|b| *b == b'.');
    let claims = parts.nth(1).unwrap_or_default();
    value.starts_with(JWT)
        && value.iter().all(|b| is_token_byte(*b))
        && parts.count() == 1
        && URL_SAFE_NO_PAD.decode(claims).is_ok()
}

/// The claims of one JWT.
fn claims(jwt: &[u8]) -> Result<Vec<u8>, Malformed> {
    let claims = jwt.split(|b| *b == b'.').nth(1).and_then(decoded);
    claims.filter(|_| is_one_jwt(jwt)).ok_or(Malformed::Format)
}

/// The one job token inside a JWT. Its signature is the forge's to check; what it says is what the forge will read.
pub(crate) fn unwrap(value: &[u8]) -> Result<Secret, Malformed> {
    let claims = claims(value)?;
    let members = json::object(&claims)?;
    let mut texts = Vec::new();
    members.iter().for_each(|(_, claim)| collect(claim, &mut texts));
    let mut tokens = texts.iter().filter(|text| is_job_shaped(text.as_bytes()));
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => parse(token.as_bytes()),
        (Some(_), Some(_)) => Err(Malformed::Multiple),
        (None, _) => Err(Malformed::Format),
    }
}

/// What the claims of a job's JWT say of the user for whom its user works; nothing where the token is no JWT. The forge
/// checked them, once it calls the token a running job's.
///
/// # Errors
/// They cannot be read.
pub(crate) fn scoped_user(token: &Secret) -> Result<Option<u64>, Malformed> {
    let token = token.expose();
    let behind = mark(token).and_then(|at| token.get(at.saturating_add(MARK.len())..)).unwrap_or(token);
    if !behind.starts_with(JWT) {
        return Ok(None);
    }
    let claims = claims(behind)?;
    let said = json::object(&claims)?.into_iter().find(|(name, _)| name == "scoped_user_id");
    match said.map(|(_, value)| value) {
        None | Some(Tree::Null) => Ok(None),
        Some(Tree::Text(number)) => number.parse().map(Some).map_err(|_| Malformed::Format),
        Some(value) => value.as_u64().map(Some).ok_or(Malformed::Format),
    }
}

/// Whether some reader may take a value for a JWT: parts between dots, and the first decodes to the beginning of an object.
pub(crate) fn resembles_jwt(value: &[u8]) -> bool {
    let mut parts = value.split(|b| *b == b'.');
    let header = parts.next().unwrap_or_default();
    let mut json = readers::decoded_part(header).filter(|b| !b.is_ascii_whitespace());
    parts.nth(1).is_some() && json.next() == Some(b'{') && json.next() == Some(b'"')
}

/// Whether a value is one JWT, signed (three parts) or encrypted (five), in the one spelling that its maker gave it.
pub(crate) fn is_plain_jwt(value: &[u8]) -> bool {
    let parts = value.split(|b| *b == b'.');
    matches!(parts.clone().count(), 3 | 5) && parts.into_iter().all(|part| URL_SAFE_NO_PAD.decode(part).is_ok())
}

/// One part of a JWT.
pub(crate) fn decoded(part: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE.decode(part).ok()
}

/// The first job token with its mark that stands in a text.
pub(crate) fn marked(text: &[u8]) -> Option<Secret> {
    let is_other = |b: &u8| !is_token_byte(*b);
    let at = mark(text)?;
    let before = text.get(..at)?.iter().rposition(is_other);
    let begins = text.get(before.map_or(0, |before| before.saturating_add(1))..)?;
    let longest = begins.get(..=LIMIT).unwrap_or(begins);
    parse(longest.split(is_other).next()?).ok()
}

/// The same, or the one that a JWT at its end wraps.
pub(crate) fn first(text: &[u8]) -> Option<Secret> {
    let in_jwt = || {
        let short = Some(text).filter(|text| text.len() <= LONGEST_JWT)?;
        let last = short.rsplit(|b| *b <= b' ').next().filter(|word| is_one_jwt(word));
        unwrap(last?).ok()
    };
    marked(text).or_else(in_jwt)
}

/// Every text in a claim. The depth is bounded by the parser.
fn collect<'a>(claim: &'a Tree<'_>, texts: &mut Vec<&'a str>) {
    match claim {
        Tree::Text(text) => texts.push(text),
        Tree::List(claims) => claims.iter().for_each(|claim| collect(claim, texts)),
        Tree::Object(claims) => claims.each().for_each(|(_, claim)| collect(claim, texts)),
        Tree::Null | Tree::Flag(_) | Tree::Number(_) => {}
    }
}

/// Parses a value that its carrier says is a job token. What the forge cannot have given out is refused here, so that
/// nobody is asked about it.
pub(crate) fn parse(value: &[u8]) -> Result<Secret, Malformed> {
    match value.len() {
        0 => Err(Malformed::Format),
        len if len > LIMIT => Err(Malformed::TooLong),
        _ if value.iter().any(u8::is_ascii_control) => Err(Malformed::HeaderControl),
        _ if value.iter().all(|b| is_token_byte(*b)) && may_be_given_out(value) => Ok(Secret::new(value)),
        _ => Err(Malformed::Format),
    }
}

/// Whether the forge may have made it, as far as that is certain: behind the mark stands something, and where it has
/// dots it is a JWT. A token without the mark may be anything.
fn may_be_given_out(token: &[u8]) -> bool {
    let Some(random) = mark(token).and_then(|at| token.get(at.saturating_add(MARK.len())..)) else { return true };
    if random.contains(&b'.') { is_jwt(random) } else { !random.is_empty() }
}

/// A header that is a JSON object, claims and a signature.
fn is_jwt(value: &[u8]) -> bool {
    let mut parts = value.split(|b| *b == b'.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let header = URL_SAFE.decode(header).unwrap_or_default();
    !signature.is_empty() && URL_SAFE.decode(claims).is_ok() && json::object(&header).is_ok()
}

#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for job in ["glcbt-64_x", "acme-glcbt-x", "glcbt-eyJ0eXAiOiJKV1QifQ.e30.c2ln"] {
            assert!(is_job_shaped(job.as_bytes()) && parse(job.as_bytes()).is_ok(), "{job}");
        }
        for other in ["glpat-x", "x glcbt-", "", "password"] {
            assert!(!is_job_shaped(other.as_bytes()), "{other}");
        }
        assert_eq!(parse(&[b'a'; 8193]), Err(Malformed::TooLong));
        assert_eq!(parse(b"a,b"), Err(Malformed::Format));
    }

    #[test]
    fn the_mark_alone_is_a_word_in_a_text() {
        for text in ["glcbt-", "see glcbt-rotation", "\"glcbt-\" leaked in a log", "glcbt-64_0123456789a!"] {
            assert!(!is_mentioned(text.as_bytes()), "{text}");
        }
        for text in
            ["glcbt-64_0123456789abc", "glcbt-a glcbt-64_0123456789abc", "x=acme-glcbt-eyJhbGciOiJSUzI1NiJ9.e30"]
        {
            assert!(is_mentioned(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_the_forge_cannot_have_given_out_is_no_token() {
        let header = "eyJ0eXAiOiJKV1QifQ";
        for junk in [
            "glcbt-".into(),
            "acme-glcbt-".into(),
            "glcbt-64_a.b".into(),
            "glcbt-a.b.c".into(),
            std::format!("glcbt-{header}.e30"),
            std::format!("glcbt-{header}.e30."),
            std::format!("glcbt-{header}.e30.c2ln.c2ln"),
            std::format!("glcbt-{header}.!.c2ln").replace('!', "a"),
            std::format!("glcbt-{}.e30.c2ln", URL_SAFE.encode("[]")),
        ] {
            assert_eq!(parse(junk.as_bytes()), Err(Malformed::Format), "{junk}");
        }
        for token in ["anything.of-an.older_forge", "64_x", "glcbt-1"] {
            assert!(parse(token.as_bytes()).is_ok(), "{token}");
        }
    }

    #[test]
    fn a_token_inside_a_jwt_is_found() {
        let jwt = |claims: &str| std::format!("eyJ9.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        for claims in [r#"{"token":"glcbt-1"}"#, r#"{"user":7,"deep":{"access":["glcbt-1"]}}"#] {
            assert!(wraps_job_token(jwt(claims).as_bytes()));
            assert_eq!(unwrap(jwt(claims).as_bytes()), Ok(Secret::new(b"glcbt-1")), "{claims}");
        }
        assert!(!wraps_job_token(jwt(r#"{"sub":"dana"}"#).as_bytes()));
        assert_eq!(unwrap(jwt(r#"{"a":"glcbt-1","b":"glcbt-2"}"#).as_bytes()), Err(Malformed::Multiple));
        assert_eq!(
            unwrap(jwt(r#"{"token":"glcbt-1","token":"glcbt-2"}"#).as_bytes()),
            Err(Malformed::JsonDuplicateKey)
        );
    }
}
