//! Credentials of forges whose job tokens have no mark: whatever could be a token may be a job's.

use alloc::vec::Vec;

use super::super::head::Head;
use super::super::malformed::Malformed;
use super::super::{params, readers, token};
use super::{Carrier, Credential, carrier, foreign, spelled, split_scheme};
use crate::facts::Secret;

/// The one credential that may be a job's on a forge whose job tokens have no mark.
pub(super) fn unmarked(head: &Head<'_>, query: Option<&[u8]>) -> Result<Credential, Malformed> {
    let in_query = query.map(params::credentials).unwrap_or_default();
    let mut found: Vec<(Secret, Result<Carrier, Malformed>)> =
        in_query.iter().filter_map(|value| Some((candidate(value)?, Ok(Carrier::Query)))).collect();
    for value in head.all("authorization") {
        let carrier = spelled(value).and_then(|(scheme, _)| carrier(scheme));
        found.extend(candidates(value).into_iter().map(|token| (token, carrier)));
    }
    match found.as_slice() {
        [] => Ok(foreign(head)),
        [(token, carrier)] => Ok(Credential::Unmarked(token.clone(), *carrier)),
        // Which of them the forge takes is not to be told, and each may be a job's.
        _ => Err(Malformed::Multiple),
    }
}

/// Every token that some forge might read in an `authorization` field, each once.
fn candidates(value: &[u8]) -> Vec<Secret> {
    let logins = readers::logins(value).map(|login| secret_of(&login).to_vec());
    let parts = core::iter::once(value).chain(value.split(|b| *b == b','));
    let words = parts.flat_map(words).map(<[u8]>::to_vec);
    let mut found: Vec<Secret> = Vec::new();
    for token in logins.chain(words).filter_map(|word| candidate(&word)) {
        if !found.contains(&token) {
            found.push(token);
        }
        // Two are as many as a thousand.
        if found.len() > 1 {
            break;
        }
    }
    found
}

/// The words of a credential that may be tokens.
fn words(credential: &[u8]) -> Vec<&[u8]> {
    let (scheme, rest) = split_scheme(credential.trim_ascii());
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    match () {
        () if is(b"bearer") || is(b"token") => rest.split(|b| *b <= b' ' || *b == b',').collect(),
        // No scheme, and the token alone.
        () if rest.is_empty() && !is(b"basic") => Vec::from([scheme]),
        () => Vec::new(),
    }
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

/// A value that is spelled as RFC 6750 has it for tokens. Anything else, most passwords among them, is none.
pub(crate) fn candidate(value: &[u8]) -> Option<Secret> {
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    ((1..=token::LIMIT).contains(&value.len()) && value.iter().all(is_letter)).then(|| Secret::new(value))
}
