//! Names and values of a query, a form or a JSON object, and the job token among them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::carriers::PARAMETERS;
use super::json::{self, Text};
use super::malformed::Malformed;
use super::token;
use super::{multipart, path};
use crate::facts::Secret;

/// More pairs than this no query of a client has.
const QUERY_LIMIT: usize = 64;

/// More pairs than this no form of a client has: a trigger takes hundreds of variables.
const FORM_LIMIT: usize = 1000;

/// How long a pair is at least that holds a job token: `job_token=x`.
const SHORTEST: usize = 11;

/// The user name that goes with a job token.
const JOBS_USER: &str = "gitlab-ci-token";

/// Decoded names and values, in order.
pub(crate) type Pairs = Vec<(String, String)>;

/// How the parameters of a body are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
    /// `multipart/form-data` with this boundary.
    Multipart(Vec<u8>),
}

/// Reads a query strictly: pairs joined by `&`, percent-encoding that is sound, UTF-8, no control bytes.
pub(crate) fn query(text: &str) -> Result<Pairs, Malformed> {
    if text.contains(';') {
        return Err(Malformed::QuerySemicolon);
    }
    pairs(text.as_bytes(), QUERY_LIMIT, Malformed::QueryPercent, Malformed::QueryControl, Malformed::QueryTooMany)
}

/// Reads the parameters of a body strictly.
pub(crate) fn body(media: &Media, body: &[u8]) -> Result<Pairs, Malformed> {
    match media {
        Media::Form if body.contains(&b';') => Err(Malformed::FormSemicolon),
        Media::Form => pairs(body, FORM_LIMIT, Malformed::FormSyntax, Malformed::FormSyntax, Malformed::FormTooMany),
        Media::Multipart(boundary) => multipart::fields(boundary, body),
        Media::Json => json::texts(body)?.into_iter().map(|(name, value)| member(name, value)).collect(),
    }
}

/// A member of a JSON object as a parameter. A credential is a text: what a forge makes of a list of one, or of a number,
/// is its own affair.
fn member(name: String, value: Text) -> Result<(String, String), Malformed> {
    match value {
        Text::Said(text) => Ok((name, text)),
        // Absent, as an empty text is.
        Text::Null => Ok((name, String::new())),
        Text::Other if is_credential(&name) => Err(Malformed::JsonToken),
        Text::Other => Ok((name, String::new())),
    }
}

fn pairs(
    text: &[u8],
    most: usize,
    percent: Malformed,
    control: Malformed,
    many: Malformed,
) -> Result<Pairs, Malformed> {
    if text.is_empty() {
        return Ok(Pairs::new());
    }
    if text.split(|b| *b == b'&').count() > most {
        return Err(many);
    }
    text.split(|b| *b == b'&')
        .map(|pair| {
            let (name, value) = parts(pair);
            Ok((word(name, percent, control)?, word(value, percent, control)?))
        })
        .collect()
}

fn word(text: &[u8], percent: Malformed, control: Malformed) -> Result<String, Malformed> {
    if text.iter().all(|b| matches!(b, 0x21..0x7f) && !matches!(b, b'%' | b'+')) {
        return String::from_utf8(text.to_vec()).map_err(|_| percent);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            0..=0x20 | 0x7f => return Err(control),
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().copied().and_then(path::hex);
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(percent) };
                high << 4 | low
            }
            byte => *byte,
        };
        if matches!(byte, 0..0x20 | 0x7f) && !matches!(byte, b'\n' | b'\r' | b'\t') {
            return Err(control);
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| percent)
}

/// The value of a name that may stand once.
pub(crate) fn one<'a>(pairs: &'a Pairs, name: &str) -> Result<Option<&'a str>, Malformed> {
    if pairs.iter().any(|(n, _)| n != name && is_spelling_of(n, name)) {
        return Err(Malformed::QueryBracket);
    }
    let mut values = pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Malformed::QueryDuplicate),
    }
}

/// What stands in parameters by way of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The job token and the name it stands under.
    pub job: Option<(&'static str, Secret)>,
    /// Whether another credential stands there.
    pub foreign: bool,
}

/// The job token in a query. There, a job-shaped value under another name, or as a name, is a token in a log.
pub(crate) fn credential_of_query(pairs: &Pairs) -> Result<Found, Malformed> {
    for (name, value) in pairs {
        if is_spelling_of(name, "sudo") {
            return Err(Malformed::Sudo);
        }
        if !is_credential(name) && (mentions(name) || mentions(value)) {
            return Err(Malformed::Carrier);
        }
    }
    credential(pairs)
}

/// Whether a value that stands for a credential may be a job token.
fn holds(text: &str) -> bool {
    text.contains("glcbt-") || token::wraps_job_token(text.as_bytes())
}

/// Whether a job token stands in some other text.
fn mentions(text: &str) -> bool {
    token::is_mentioned(text.as_bytes()) || token::wraps_job_token(text.as_bytes())
}

/// Whether a generous server takes one name for another: Rack makes `job_token` of `[job_token]`, of `]job_token`, of
/// `job_token[0]` and of ` job_token`, PHP of `job.token`, others do not tell case.
pub(crate) fn is_spelling_of(name: &str, meant: &str) -> bool {
    begins_as(name.trim_start_matches(is_around), meant)
}

/// The credential that a generous server takes a name for.
fn credential_name(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches(is_around);
    PARAMETERS.iter().map(|(known, _)| *known).find(|known| begins_as(name, known))
}

/// Whether a name is another up to its first bracket.
fn begins_as(name: &str, meant: &str) -> bool {
    let plain = |c: char| if matches!(c, '.' | ' ' | '-') { '_' } else { c.to_ascii_lowercase() };
    // Nearly every name ends here.
    if name.chars().next().map(plain) != meant.chars().next() {
        return false;
    }
    let mut rest = name.chars().take_while(|c| !matches!(c, '[' | ']'));
    meant.chars().all(|expected| rest.next().is_some_and(|c| plain(c) == expected)) && rest.all(is_around)
}

fn is_around(c: char) -> bool {
    c.is_whitespace() || matches!(c, '[' | ']' | '\0')
}

/// Whether a generous server takes a name for a credential's.
pub(crate) fn is_credential(name: &str) -> bool {
    credential_name(name).is_some()
}

/// Whether a name stands in parameters, in whatever spelling.
pub(crate) fn has(pairs: &Pairs, name: &str) -> bool {
    pairs.iter().any(|(known, _)| is_spelling_of(known, name))
}

/// Whether a person's credential stands in parameters, in its plain spelling.
pub(crate) fn names_person(pairs: &Pairs) -> bool {
    pairs.iter().any(|(name, value)| matches!(name.as_str(), "private_token" | "access_token") && !value.is_empty())
}

/// Whether a query asks the way of Go's tool, in whatever spelling.
pub(crate) fn is_go_get(query: &str) -> bool {
    split(query.as_bytes()).any(|pair| is_spelling_of(&generous(parts(pair).0), "go_get"))
}

/// Finds the job token among parameters. A name that the forge would read as a token's but that is spelled in another
/// way (brackets, spaces) is refused, and so are two.
pub(crate) fn credential(pairs: &Pairs) -> Result<Found, Malformed> {
    let mut found = Found { job: None, foreign: false };
    // A token of an old forge has no mark of its own: the user's name says whose it is.
    let is_jobs_login = pairs.iter().any(|(name, value)| is_spelling_of(name, "username") && value == JOBS_USER);
    for (name, value) in pairs {
        let Some(known) = credential_name(name) else { continue };
        let wraps = token::wraps_job_token(value.as_bytes());
        let is_login = known == "password" && is_jobs_login;
        let is_job = known == "job_token" || is_login || wraps || token::is_job_shaped(value.as_bytes());
        match (is_job, known) {
            // Empty is absent.
            _ if value.is_empty() && name == known => {}
            (false, _) => found.foreign |= !value.is_empty(),
            (true, _) if name != known => return Err(Malformed::QueryKey),
            // The forge ignores a job token in this place: what it would decide then is not what we would.
            (true, "private_token") => return Err(Malformed::PrivateToken),
            (true, _) => {
                let token = if wraps { token::unwrap(value.as_bytes())? } else { token::parse(value.as_bytes())? };
                match &found.job {
                    // Under another name it says the same again.
                    Some((name, same)) if *name != known && *same == token => {}
                    Some(_) => return Err(Malformed::Multiple),
                    None => found.job = Some((known, token)),
                }
            }
        }
    }
    if found.job.is_some() && found.foreign { Err(Malformed::Multiple) } else { Ok(found) }
}

/// Whether a query may hold a job token, read as generously as any forge might. Used to decide that a request is a
/// job's; what it says is then read strictly.
pub(crate) fn may_hold_job_token(query: &[u8]) -> bool {
    split(query).filter(|pair| pair.len() >= SHORTEST).any(|pair| {
        let (name, value) = parts(pair);
        let (name, value) = (generous(name), generous(value));
        let is_token = match credential_name(&name) {
            Some("job_token") => !value.is_empty(),
            Some(_) => holds(&value),
            None => mentions(&value),
        };
        is_token || mentions(&name)
    })
}

/// The first job token in a query that can be made out.
pub(crate) fn readable(query: &[u8]) -> Option<Secret> {
    split(query).filter(|pair| pair.len() >= SHORTEST).find_map(|pair| {
        let (name, value) = parts(pair);
        let (name, value) = (generous(name), generous(value));
        match credential_name(&name) {
            Some("job_token") => token::parse(value.as_bytes()).ok(),
            Some(_) | None => token::first(value.as_bytes()).or_else(|| token::first(name.as_bytes())),
        }
    })
}

/// The values in a query that stand under the name of a credential, read generously.
pub(crate) fn credentials(query: &[u8]) -> Vec<Vec<u8>> {
    split(query)
        .filter(|pair| names_credential(pair))
        .map(|pair| generous(parts(pair).1).into_owned().into_bytes())
        .collect()
}

/// A query without the pairs that stand under the name of a credential; the others as they came. `None` when nothing
/// is left.
pub(crate) fn without_credentials(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| !names_credential(pair.as_bytes())).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn names_credential(pair: &[u8]) -> bool {
    let name = parts(pair).0;
    // The shortest is `jwt`.
    name.len() >= 3 && is_credential(&generous(name))
}

fn split(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|b| matches!(b, b'&' | b';'))
}

/// Name and value of a pair, as they are written.
fn parts(pair: &[u8]) -> (&[u8], &[u8]) {
    let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(at).unwrap_or((pair, b""));
    (name, value.strip_prefix(b"=").unwrap_or(value))
}

/// Undoes percent-encoding where it is sound and leaves the rest.
pub(crate) fn generous(text: &[u8]) -> Cow<'_, str> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return core::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        let pair = if *byte == b'%' { tail.split_first_chunk::<2>() } else { None };
        match pair.and_then(|([high, low], after)| Some((path::hex(*high)? << 4 | path::hex(*low)?, after))) {
            Some((value, after)) => {
                decoded.push(value);
                rest = after;
            }
            None => {
                decoded.push(if *byte == b'+' { b' ' } else { *byte });
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "glcbt-64_abc";

    #[test]
    fn a_token_is_found_under_its_names() {
        for name in ["job_token", "token", "access_token"] {
            let pairs = query(&std::format!("a=1&{name}={TOKEN}")).unwrap();
            assert_eq!(credential(&pairs).unwrap().job.unwrap().1, Secret::new(TOKEN.as_bytes()), "{name}");
        }
        let person = credential(&query("token=glptt-x").unwrap()).unwrap();
        assert!(person.job.is_none() && person.foreign);
    }

    #[test]
    fn a_plain_word_is_decoded_as_any_other() {
        for byte in 0..=u8::MAX {
            let decoded = |text: &[u8]| word(text, Malformed::QueryPercent, Malformed::QueryControl);
            let plain = decoded(&[b'a', byte]);
            // With an encoded letter before it, each byte is looked at.
            assert_eq!(plain, decoded(&[b"%61"[..].to_vec(), Vec::from([byte])].concat()), "{byte}");
        }
    }

    #[test]
    fn a_name_in_whatever_spelling_is_one_name() {
        for name in ["job_token", " [Job.Token ][x]", "]JOB-TOKEN\0 ", "job token]x", "\u{a0}job_token[a][b]"] {
            assert!(is_spelling_of(name, "job_token"), "{name}");
        }
        for name in
            ["", "job_toke", "job_tokens", "job_token x", "x[job_token]", "job[token]", "_job_token", "job__token"]
        {
            assert!(!is_spelling_of(name, "job_token"), "{name}");
        }
    }

    #[test]
    fn two_tokens_or_a_spelling_of_its_own_are_refused() {
        let error = |text: &str| query(text).and_then(|pairs| credential(&pairs)).unwrap_err();
        assert_eq!(error("job_token=glcbt-a&job_token=glcbt-a"), Malformed::Multiple);
        assert_eq!(error("job_token=glcbt-a&private_token=glpat-b"), Malformed::Multiple);
        for spelled in [
            "[job_token]",
            "]job_token",
            "[]job_token",
            "][job_token",
            "job_token]",
            "job_token[]",
            "JOB_TOKEN",
            "job.token",
            "job-token",
            "+job_token",
        ] {
            assert_eq!(error(&std::format!("{spelled}=glcbt-a")), Malformed::QueryKey, "{spelled}");
        }
        assert_eq!(error("a=1;job_token=glcbt-a"), Malformed::QuerySemicolon);
        assert_eq!(error("job_token=glcbt-%zz"), Malformed::QueryPercent);
    }

    #[test]
    fn a_generous_look_finds_what_a_forge_might() {
        for text in [
            "]job_token=y",
            "[]%6aob_token=y",
            "x;job_token=y",
            "%6Aob_token=y",
            "[job_token]=y",
            "+job_token=y",
            "token=%67lcbt-x",
            "job_token[]=y",
        ] {
            assert!(may_hold_job_token(text.as_bytes()), "{text}");
        }
        for text in ["", "job_token=", "token=glptt-x", "ref=main"] {
            assert!(!may_hold_job_token(text.as_bytes()), "{text}");
        }
    }
}
