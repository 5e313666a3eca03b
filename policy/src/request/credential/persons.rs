//! Credentials that are no job's, as far as any reader goes: each field is looked at once.

use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;

use super::super::bearer::Bearer;
use super::super::head::{Head, Times};
use super::super::{readers, token};
use super::{AGENT, Credential, Foreign, USER, spelled};

/// What stands before a token of that scheme in its plain spelling.
const BEARER: &[u8] = b"bearer ";

/// What stands in a head by way of credentials that are no job's.
#[derive(Default)]
pub(crate) struct Persons<'a> {
    private_token: Times<'a>,
    authorization: Times<'a>,
    /// The last of those, where it is a JWT that is no job's to any reader.
    jwt: Option<Bearer<'a>>,
    /// Whether one of them says something.
    is_said: bool,
    /// The logins of the `authorization` fields.
    pub(in super::super) logins: Vec<Vec<u8>>,
}

impl<'a> Persons<'a> {
    /// Looks at one more field. Whether it may be read as a job's credential by any forge, and then it is not a person's.
    /// `bearer` is [`Bearer::of`], or knows what that tells.
    pub(super) fn see(
        &mut self,
        name: &[u8],
        value: &'a [u8],
        bearer: impl FnOnce(&'a [u8]) -> Option<Bearer<'a>>,
    ) -> bool {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"job-token") || is(b"job_token") {
            return !value.is_empty();
        }
        // The path has its own look, for which percent-encoding matters; the rest of the pseudo-headers carry no secret.
        if name.starts_with(b":") {
            return false;
        }
        // Where a credential stands its readers pass over bytes: nothing in it need be plain.
        let mut logins = Vec::new();
        let is_read = is_read_for_credentials(name);
        let jwt = if is_read { bearer(value) } else { None };
        if is_read && jwt.is_none() {
            if is_jobs_login(value) {
                return true;
            }
            match plain_login(value) {
                Some(login) if names_job(&login) => return true,
                Some(login) => logins.push(login),
                None if readers::is_list(value) || is_agents(value) => return true,
                None => {
                    logins = readers::logins(value);
                    if is_read_as_jobs(value, &logins) {
                        return true;
                    }
                }
            }
        }
        // Of a field that is read for credentials all of this was seen: no mark is in it, and no JWT that wraps one.
        let in_words = || {
            holds_job_shape(value)
                && (is_credentials(name)
                    || holds(value, |word| token::is_job_shaped(word) && token::is_mentioned(word)))
        };
        if !is_read && in_words() {
            return true;
        }
        match () {
            () if is(AUTHORIZATION) => {
                self.authorization.count(value);
                self.jwt = jwt;
                self.logins.extend(logins);
            }
            () if is(b"private-token") => self.private_token.count(value),
            () if is(b"deploy-token") || is(b"x-nuget-apikey") => {}
            () => return false,
        }
        self.is_said |= !value.trim_ascii().is_empty();
        false
    }

    /// Looks at several `authorization` fields as at one. Whether a job is named in that.
    pub(super) fn see_joined(&mut self, head: &Head<'_>) -> bool {
        let Some(joined) = self.joined(head) else { return false };
        let logins = readers::logins(&joined);
        let is_jobs = is_read_as_jobs(&joined, &logins);
        self.logins.extend(logins);
        is_jobs
    }

    /// What Puma makes of several `authorization` fields, and others with the comma alone. Who passes over foreign bytes
    /// finds a login there that begins in one of them and ends in another.
    pub(super) fn joined(&self, head: &Head<'_>) -> Option<Vec<u8>> {
        let fields = || head.all("authorization").collect::<Vec<_>>();
        matches!(self.authorization, Times::More).then(|| fields().join(&b", "[..]))
    }

    /// The JWT in the one `authorization` field, where it is plain and no job's to any reader.
    pub(in super::super) fn jwt(&self) -> Option<Bearer<'a>> {
        self.jwt.filter(|_| matches!(self.authorization, Times::Once(_)))
    }

    /// What they are together.
    pub(super) fn credential(&self) -> Credential {
        // In another spelling the forge may pass over it, and look into the body.
        let is_plain =
            |times: &Times<'_>, is_sound: fn(&[u8]) -> bool| matches!(times, Times::Once(value) if is_sound(value));
        let is_bearer = |value: &[u8]| {
            value.get(..BEARER.len()).is_some_and(|start| start.eq_ignore_ascii_case(BEARER)) && spelled(value).is_ok()
        };
        let is_word = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
        match () {
            () if is_plain(&self.private_token, is_word) => Credential::Foreign(Foreign::Decisive),
            () if self.jwt().is_some() => Credential::Foreign(Foreign::Decisive),
            () if is_plain(&self.authorization, is_bearer) => Credential::Foreign(Foreign::Decisive),
            () if self.is_said => Credential::Foreign(Foreign::ByRoute),
            () => Credential::None,
        }
    }
}

/// Whether a field may be read as a job's credential by any forge.
pub(crate) fn may_hold_job_token(name: &[u8], value: &[u8]) -> bool {
    Persons::default().see(name, value, Bearer::of)
}

/// Whether a field may be somebody's credential, by its name.
fn is_credentials(name: &[u8]) -> bool {
    [&b"auth"[..], b"token", b"key"].iter().any(|part| name.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part)))
}

const AUTHORIZATION: &[u8] = b"authorization";

/// Whether a field is the one that every reader looks at, or one that stands for it.
pub(super) fn is_read_for_credentials(name: &[u8]) -> bool {
    name.len()
        .checked_sub(AUTHORIZATION.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(AUTHORIZATION))
}

/// What a login of a job begins with in its plain spelling: its user in base64, and six bits of the colon.
const LOGIN: &[u8] = b"Basic Z2l0bGFiLWNpLXRva2VuO";

/// Whether a value begins as most jobs' logins do: whoever reads it finds a job's user in it, and nothing else need be tried.
fn is_jobs_login(value: &[u8]) -> bool {
    // The other two bits of the colon, and whatever comes behind it.
    matches!(value.strip_prefix(LOGIN), Some([b'g'..=b'v', ..]))
}

/// The login of a field in its plain spelling. Whoever reads that finds this and nothing else.
fn plain_login(value: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(value.strip_prefix(b"Basic ")?).ok()
}

/// Whether a value is a job's for the Kubernetes agent's server, whatever token stands in it.
fn is_agents(value: &[u8]) -> bool {
    let credential = readers::behind_scheme(value, "bearer").map(readers::without_blanks);
    credential.is_some_and(|credential| credential.starts_with(AGENT.as_bytes()))
}

/// Whether some reader of an `authorization` field may find a job named in it, or in one of its logins.
pub(super) fn is_read_as_jobs(value: &[u8], logins: &[Vec<u8>]) -> bool {
    let name_job = |logins: &[Vec<u8>]| logins.iter().any(|login| names_job(login));
    names_job(value) || name_job(logins) || name_job(&readers::logins_of_other_schemes(value))
}

/// Whether a job is named in a credential: by its user, in whatever letters and with or without a password, by its
/// token, or by a JWT that wraps one.
pub(super) fn names_job(credential: &[u8]) -> bool {
    let user = memchr(b':', credential).and_then(|end| credential.get(..end)).unwrap_or(credential);
    readers::without_blanks(user).eq_ignore_ascii_case(USER)
        || token::is_marked(credential)
        || token::wraps_job_token(credential)
}

fn holds_job_shape(value: &[u8]) -> bool {
    holds(value, token::is_job_shaped)
}

fn holds(value: &[u8], is_token: impl Fn(&[u8]) -> bool) -> bool {
    // Nearly every value ends here: it holds neither a token's mark nor the beginning of a JWT.
    if !token::may_hold(value) {
        return false;
    }
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=');
    value.split(|b| !is_word(b)).any(is_token) || token::wraps_job_token(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn basic(login: &str) -> String {
        format!("Basic {}", STANDARD.encode(login))
    }

    /// What is looked at first, and what it spares, tell the same as all that is looked at where nothing is plain.
    #[test]
    fn a_plain_login_is_read_as_any_other_value_would_be() {
        let jwt =
            |claims: &str| format!("eyJ9.{}.sig", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
        let wrapped = jwt(r#"{"token":"glcbt-1"}"#);
        let mut logins: Vec<String> =
            ["", ":", "dana:x", "gitlab-ci-token", "gitlab-ci-token-bot:x", "x:glcbt-64_a", "glcbt-1:"]
                .into_iter()
                .chain([
                    "GitLab-CI-Token:x",
                    " gitlab-ci-token:x",
                    "gitlab-ci-token\0:x",
                    "gitlab-ci-tokeo:x",
                    "{\"a\":1}",
                    &wrapped,
                ])
                .map(String::from)
                .collect();
        // Each byte that may stand where a job's login has its colon, and whatever follows.
        for behind in ["x", "0"] {
            logins.extend((b' '..0x7f).map(|byte| format!("gitlab-ci-token{}{behind}", char::from(byte))));
        }
        logins.extend((0..9).map(|length| format!("gitlab-ci-token:{}", "\u{7f}".repeat(length))));
        for login in logins {
            for value in [basic(&login), basic(&login).replace("Basic", "basic"), format!("{} ", basic(&login))] {
                let (value, read) = (value.as_bytes(), readers::logins(value.as_bytes()));
                let is_jobs = readers::is_list(value) || is_agents(value) || is_read_as_jobs(value, &read);
                let mut persons = Persons::default();
                assert_eq!(persons.see(AUTHORIZATION, value, Bearer::of), is_jobs, "{login}");
                assert!(!is_jobs_login(value) || is_jobs, "{login}");
                assert!(is_jobs || persons.logins == read, "{login}");
            }
        }
    }

    #[test]
    fn what_stands_among_the_words_of_a_field_is_seen_where_it_is_read_for_credentials() {
        let wrapped = "eyJ9.eyJ0b2tlbiI6ImdsY2J0LTEifQ.sig";
        for token in ["glcbt-1", "acme-glcbt-1", wrapped, "eyJ9 glcbt-1", "x.eyJ0b2tlbiI6Imds=Y2J0LTEifQ.eyJ"] {
            for value in
                [token.into(), format!("Bearer {token}"), format!("Digest a=\"{token}\""), format!("Basic {token}")]
            {
                assert!(!holds_job_shape(value.as_bytes()) || may_hold_job_token(b"authorization", value.as_bytes()));
                assert!(may_hold_job_token(b"authorization", value.as_bytes()), "{value}");
            }
        }
    }
}
