//! The credential of a request: whether a job's token is among them, where, and whether it stands alone.
//!
//! Finding is generous, reading is strict: whatever some forge might take for a job token makes the request a job's,
//! and then only the plain spelling of exactly one credential passes.
//!
//! GitLab's job tokens have a mark: their own beginning, their user name or their field. Another forge's have none, so
//! there whatever could be a token may be a job's, and only the lookup can tell.

mod persons;
mod unmarked;

use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::carriers::{FIELDS, SCHEMES};
use super::head::Head;
use super::malformed::Malformed;
use super::{params, readers, token};
use crate::choices::Kind;
use crate::facts::Secret;
pub(crate) use persons::{Persons, may_hold_job_token};
use persons::{is_read_as_jobs, is_read_for_credentials, names_job};
use unmarked::unmarked;
pub(crate) use unmarked::{Ambiguous, candidate};

/// Where a token stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// `Authorization: Basic`, user `gitlab-ci-token`.
    Basic,
    /// `Authorization: Basic`, another user, which some routes pass over.
    AnyUser,
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Bearer`, behind the number of a Kubernetes agent.
    Agent,
    /// `Authorization: token`, which forges other than GitLab read.
    Token,
    /// `JOB-TOKEN`.
    JobToken,
    /// `PRIVATE-TOKEN`, which runners use for a job token too.
    PrivateToken,
    /// A parameter of the query.
    Query,
    /// `Authorization: Bearer`, inside a JWT of the forge's own.
    Jwt,
    /// `Authorization` and nothing but the token.
    Raw,
    /// `X-NuGet-ApiKey`.
    NugetKey,
    /// `Authorization`, and in place of the token one that the forge made from it.
    Minted,
}

impl Carrier {
    /// Why a request is refused that has its token here, where no token is read from.
    pub(crate) fn misplaced(self) -> Malformed {
        match self {
            Self::Raw => Malformed::Authorization,
            Self::AnyUser => Malformed::AuthorizationUser,
            Self::PrivateToken => Malformed::PrivateToken,
            Self::Agent
            | Self::Basic
            | Self::Bearer
            | Self::Token
            | Self::JobToken
            | Self::Query
            | Self::Jwt
            | Self::NugetKey
            | Self::Minted => Malformed::Carrier,
        }
    }
}

/// The credentials of a request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// None at all.
    None,
    /// Somebody's, but no job's; which of them a forge may prefer to a job token in the body.
    Foreign(Foreign),
    /// A job's, alone.
    Job(Carrier, Secret),
    /// A job's, and the same in several places.
    Same(Vec<Carrier>, Secret),
    /// Somebody's, and only the lookup knows whether a job's; and where it stood, if that can be read.
    Unmarked(Secret, Result<Carrier, Malformed>),
    /// A job's, or several of which one may be, but not in a way that can be read.
    Refused(Malformed),
}

/// A credential that is not a job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The forge takes it before most parameters of the body, and refuses the request when it is not valid.
    Decisive,
    /// HTTP Basic, a deploy token or a package registry's own field: routes that do not read it pass over it.
    ByRoute,
}

/// The user name that goes with a job token.
const USER: &[u8] = b"gitlab-ci-token";

/// Finds the credentials of a head; and where none is a job's, whose they are.
pub(crate) fn find<'a>(kind: Kind, head: &Head<'a>) -> (Credential, Persons<'a>) {
    let query =
        head.path().and_then(|path| path.iter().position(|b| *b == b'?').and_then(|at| path.get(at.checked_add(1)?..)));
    let in_query = query.is_some_and(params::may_hold_job_token);
    let mut persons = Persons::default();
    let is_jobs = in_query
        || head.fields().iter().any(|(name, value)| persons.see(name, value, |value| head.bearer(value)))
        || persons.see_joined(head);
    let found = match kind {
        _ if is_jobs => strictly(kind, head, query, in_query),
        Kind::Gitlab => Ok(persons.credential()),
        Kind::Gitea | Kind::Generic => unmarked(head, query, &persons),
    };
    (found.unwrap_or_else(Credential::Refused), persons)
}

/// The credentials of a head that has a job's.
fn strictly(kind: Kind, head: &Head<'_>, query: Option<&[u8]>, in_query: bool) -> Result<Credential, Malformed> {
    let mut jobs: Vec<(Carrier, Secret)> = Vec::new();
    let mut others: usize = 0;
    let mut query_speaks = false;
    if let Some(query) = query {
        let text = core::str::from_utf8(query).map_err(|_| Malformed::QueryPercent)?;
        let found = params::credential_of_query(&params::query(text)?)?;
        jobs.extend(found.job.map(|(_, token)| (Carrier::Query, token)));
        others = others.saturating_add(usize::from(found.foreign));
        query_speaks = found.foreign || !jobs.is_empty();
    }
    for (name, value) in head.fields() {
        let is_it = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        match FIELDS.iter().map(|(known, _)| *known).chain(["job_token"]).find(is_it).unwrap_or_default() {
            "authorization" if token::is_job_token(value) => jobs.push((Carrier::Raw, token::parse(value)?)),
            "authorization" => match authorization(kind, value)? {
                Some(job) => jobs.push(job),
                None => others = others.saturating_add(1),
            },
            // Empty is absent.
            "job-token" if value.is_empty() => {}
            "job-token" => jobs.push((Carrier::JobToken, token::parse(value)?)),
            "private-token" if token::is_job_shaped(value) => jobs.push((Carrier::PrivateToken, token::parse(value)?)),
            "x-nuget-apikey" if token::is_job_token(value) => jobs.push((Carrier::NugetKey, token::parse(value)?)),
            "x-nuget-apikey" if may_hold_job_token(name, value) => return Err(Malformed::Carrier),
            "x-nuget-apikey" if value.is_empty() => {}
            "private-token" | "deploy-token" | "x-nuget-apikey" => others = others.saturating_add(1),
            "job_token" => return Err(Malformed::Underscore),
            // A job token in a field that nothing here reads: some forge may.
            _ if may_hold_job_token(name, value) => return Err(Malformed::Carrier),
            _ => {}
        }
    }
    match (jobs.as_slice(), others) {
        ([(carrier, token)], 0) => Ok(Credential::Job(*carrier, token.clone())),
        // One field that stands twice is joined to another value by some readers.
        ([(_, token), more @ ..], 0) if more.iter().all(|(_, same)| same == token) && are_distinct(&jobs) => {
            Ok(Credential::Same(jobs.iter().map(|(carrier, _)| *carrier).collect(), token.clone()))
        }
        // It was read as a job's, and strictly read it is none.
        ([], _) => Err(if in_query { Malformed::QueryKey } else { Malformed::Authorization }),
        _ => Err(if query_speaks { Malformed::HeaderAndQuery } else { Malformed::TwoHeaders }),
    }
}

/// The longest field with a login: the longest token and its user in base64, and room for how it is spelled.
const LONGEST_LOGIN: usize = 12 << 10;

/// The first job token of a head that can be made out, wherever it stands and however it is spelled. Nothing is decided by
/// it.
pub(super) fn readable(head: &Head<'_>) -> Option<Secret> {
    let in_login = |login: Vec<u8>| {
        let mut parts = login.splitn(2, |b| *b == b':');
        let (user, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_jobs = readers::without_blanks(user).eq_ignore_ascii_case(USER);
        token::first(&login).or_else(|| is_jobs.then(|| token::parse(password).ok()).flatten())
    };
    let in_field = |(name, value): &(&[u8], &[u8])| match () {
        () if name.starts_with(b":") => None,
        () if name.eq_ignore_ascii_case(b"job-token") => token::parse(value).ok(),
        () if is_read_for_credentials(name) && value.len() <= LONGEST_LOGIN => {
            let logins = || readers::logins(value).into_iter().chain(readers::logins_of_other_schemes(value));
            token::first(value).or_else(|| logins().take(2).find_map(in_login))
        }
        () => token::first(value),
    };
    let query = head.path().and_then(|path| path.splitn(2, |b| *b == b'?').nth(1));
    head.fields().iter().find_map(in_field).or_else(|| params::readable(query?))
}

fn are_distinct(jobs: &[(Carrier, Secret)]) -> bool {
    let is_first =
        |(at, (carrier, _)): (usize, &(Carrier, Secret))| !jobs.iter().take(at).any(|(one, _)| one == carrier);
    jobs.iter().enumerate().all(is_first)
}

/// What begins a job's credential for the Kubernetes agent's server, where a person's begins with `pat:`.
const AGENT: &str = "ci:";

/// The token behind an agent's number: `3:glcbt-...`.
fn behind_agent(credential: &str) -> Result<(Carrier, Secret), Malformed> {
    let (agent, token) = credential.split_once(':').ok_or(Malformed::Authorization)?;
    let is_number = !agent.is_empty() && agent.bytes().all(|b| b.is_ascii_digit());
    if is_number { Ok((Carrier::Agent, token::parse(token.as_bytes())?)) } else { Err(Malformed::Authorization) }
}

/// Reads one `authorization` field strictly: `Basic` and canonical base64 of one login, or `Bearer` and one token.
/// `None` is somebody else's credential in that form.
fn authorization(kind: Kind, value: &[u8]) -> Result<Option<(Carrier, Secret)>, Malformed> {
    let Spelled { scheme, credential, login } = spelled(value)?;
    let carrier = carrier(scheme)?;
    if carrier == Carrier::Token && kind == Kind::Gitlab {
        return Err(Malformed::Authorization);
    }
    if carrier == Carrier::Basic {
        let login = login.ok_or(Malformed::Authorization)?;
        let at = login.iter().position(|b| *b == b':').ok_or(Malformed::Authorization)?;
        let (user, password) = login.split_at_checked(at).ok_or(Malformed::Authorization)?;
        let password = password.strip_prefix(b":").unwrap_or(password);
        return match (user == USER, token::is_job_shaped(password)) {
            (true, _) => Ok(Some((Carrier::Basic, token::parse(password)?))),
            (false, true) if !names_job(user) => Ok(Some((Carrier::AnyUser, token::parse(password)?))),
            (false, true) => Err(Malformed::AuthorizationUser),
            (false, false) if names_job(&login) => Err(Malformed::AuthorizationUser),
            (false, false) => Ok(None),
        };
    }
    if let (Carrier::Bearer, Some(agents)) = (carrier, credential.strip_prefix(AGENT)) {
        return behind_agent(agents).map(Some);
    }
    let credential = credential.as_bytes();
    match () {
        () if token::wraps_job_token(credential) && token::is_one_jwt(credential) => {
            Ok(Some((Carrier::Jwt, token::unwrap(credential)?)))
        }
        () if token::is_job_shaped(credential) => Ok(Some((carrier, token::parse(credential)?))),
        // Somebody reads it as a parameter or as a login, or passes over what stands around it.
        () if is_read_as_jobs(value, &readers::logins(value)) => Err(Malformed::Authorization),
        () => Ok(None),
    }
}

/// An `authorization` field in its plain spelling.
pub(super) struct Spelled<'a> {
    pub(super) scheme: &'a str,
    pub(super) credential: &'a str,
    /// What that is where it is Basic, decoded.
    login: Option<Vec<u8>>,
}

/// Scheme and credential of an `authorization` field in its plain spelling: one blank, one word, and base64 that is
/// canonical and holds a colon where it is Basic.
pub(super) fn spelled(value: &[u8]) -> Result<Spelled<'_>, Malformed> {
    let text = core::str::from_utf8(value).map_err(|_| Malformed::HeaderControl)?;
    let (scheme, credential) = text.split_once(' ').ok_or(Malformed::Authorization)?;
    let is_plain = !credential.is_empty() && credential.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b',');
    if !is_plain {
        return Err(Malformed::Authorization);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(Spelled { scheme, credential, login: None });
    }
    let login = STANDARD.decode(credential).ok().filter(|login| login.contains(&b':'));
    Ok(Spelled { scheme, credential, login: Some(login.ok_or(Malformed::Authorization)?) })
}

/// Which scheme of `authorization` it is, in letters of either case.
fn carrier(scheme: &str) -> Result<Carrier, Malformed> {
    SCHEMES
        .iter()
        .find(|(name, ..)| scheme.eq_ignore_ascii_case(name))
        .map(|(_, carrier, _)| *carrier)
        .ok_or(Malformed::Authorization)
}

#[cfg(test)]
mod tests {
    use super::super::head::Body;
    use super::*;
    use std::format;
    use std::string::String;

    fn basic(login: &str) -> String {
        format!("Basic {}", STANDARD.encode(login))
    }

    fn found(fields: &[(&str, &str)]) -> Credential {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        find(Kind::Gitlab, &Head::new(&fields, Body::None)).0
    }

    fn found_elsewhere(fields: &[(&str, &str)]) -> Credential {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        find(Kind::Generic, &Head::new(&fields, Body::None)).0
    }

    #[test]
    fn on_another_forge_whatever_could_be_a_token_may_be_a_jobs() {
        let unmarked = |carrier| Credential::Unmarked(Secret::new(b"0123abcd"), carrier);
        for (value, carrier) in [
            ("token 0123abcd".into(), Carrier::Token),
            ("Token 0123abcd".into(), Carrier::Token),
            ("Bearer 0123abcd".into(), Carrier::Bearer),
            (basic("x-access-token:0123abcd"), Carrier::Basic),
            (basic("oauth2:0123abcd"), Carrier::Basic),
            (basic("dana:0123abcd"), Carrier::Basic),
            (basic("0123abcd:"), Carrier::Basic),
            (basic("0123abcd:x-oauth-basic"), Carrier::Basic),
        ] {
            assert_eq!(found_elsewhere(&[("authorization", &value)]), unmarked(Ok(carrier)), "{value}");
        }
        assert_eq!(found_elsewhere(&[(":path", "/x?access_token=0123abcd")]), unmarked(Ok(Carrier::Query)));
        let login = basic("gitlab-ci-token:0123abcd");
        assert_eq!(found_elsewhere(&[("authorization", &login)]), job(Carrier::Basic, "0123abcd"));
        assert_eq!(found_elsewhere(&[("authorization", "token glcbt-1")]), job(Carrier::Token, "glcbt-1"));
        assert_eq!(
            found(&[("authorization", "token glcbt-1")]),
            Credential::Refused(Malformed::Authorization),
            "GitLab knows no such scheme"
        );
    }

    #[test]
    fn on_another_forge_a_spelling_of_its_own_does_not_hide_a_token() {
        let refused = Credential::Unmarked(Secret::new(b"0123abcd"), Err(Malformed::Authorization));
        let plain = STANDARD.encode("x:0123abcd");
        for value in [
            "Bearer  0123abcd".into(),
            "Bearer\t0123abcd".into(),
            " token 0123abcd".into(),
            "token 0123abcd,".into(),
            "0123abcd".into(),
            format!("Basic {}", plain.trim_end_matches('=')),
            format!("basic {}.{}", &plain[..4], &plain[4..]),
        ] {
            assert_eq!(found_elsewhere(&[("authorization", &value)]), refused, "{value}");
        }
        let two = Credential::Refused(Malformed::Multiple);
        let joined = format!("Basic {},{}", &plain[..4], &plain[4..]);
        for value in ["Bearer a,Bearer b", "Bearer a b", "token a, Basic eDpi", &joined] {
            assert_eq!(found_elsewhere(&[("authorization", value)]), two, "{value}");
        }
        assert_eq!(found_elsewhere(&[("authorization", "token a"), (":path", "/x?token=b")]), two);
    }

    #[test]
    fn what_cannot_be_a_token_is_a_persons_on_every_forge() {
        let pass = Credential::Foreign(Foreign::ByRoute);
        assert_eq!(found_elsewhere(&[("authorization", &basic("dana:correct horse"))]), pass);
        assert_eq!(found_elsewhere(&[("authorization", &basic("dana:p!ss"))]), pass);
        assert_eq!(found_elsewhere(&[("authorization", "Negotiate YIIabc==")]), pass);
        assert_eq!(found_elsewhere(&[(":path", "/x?token=&page=2"), ("cookie", "session=abc")]), Credential::None);
        let long = format!("Bearer {}", "a".repeat(8193));
        assert_eq!(found_elsewhere(&[("authorization", &long)]), Credential::Foreign(Foreign::Decisive));
    }

    fn job(carrier: Carrier, token: &str) -> Credential {
        Credential::Job(carrier, Secret::new(token.as_bytes()))
    }

    #[test]
    fn every_carrier_is_found() {
        assert_eq!(found(&[("authorization", &basic("gitlab-ci-token:glcbt-1"))]), job(Carrier::Basic, "glcbt-1"));
        assert_eq!(
            found(&[("authorization", &basic("gitlab-ci-token:legacy20chars0000000"))]),
            job(Carrier::Basic, "legacy20chars0000000")
        );
        assert_eq!(found(&[("authorization", "Bearer glcbt-1")]), job(Carrier::Bearer, "glcbt-1"));
        assert_eq!(found(&[("job-token", "glcbt-1")]), job(Carrier::JobToken, "glcbt-1"));
        assert_eq!(found(&[(":path", "/x?job_token=glcbt-1")]), job(Carrier::Query, "glcbt-1"));
        assert_eq!(found(&[("authorization", &basic("ci_user:glcbt-1"))]), job(Carrier::AnyUser, "glcbt-1"));
        for token in ["glcbt-1", "legacy20chars0000000"] {
            let value = format!("Bearer ci:3:{token}");
            assert_eq!(found(&[("authorization", &value)]), job(Carrier::Agent, token));
        }
        for odd in ["Bearer ci:x:legacy", "Bearer ci:legacy", "bearer  ci:3:legacy", "Bearer ci:3:", "Bearer x:glcbt-1"]
        {
            assert!(matches!(found(&[("authorization", odd)]), Credential::Refused(_)), "{odd}");
        }
        assert_eq!(found(&[("x-nuget-apikey", "glcbt-1")]), job(Carrier::NugetKey, "glcbt-1"));
        assert_eq!(found(&[("authorization", "glcbt-1")]), job(Carrier::Raw, "glcbt-1"));
        assert_eq!(
            found(&[("job-token", "glcbt-1"), ("private-token", "glcbt-1")]),
            Credential::Same(Vec::from([Carrier::JobToken, Carrier::PrivateToken]), Secret::new(b"glcbt-1"))
        );
    }

    #[test]
    fn several_fields_are_read_as_the_one_that_they_are_joined_to() {
        let login = basic("gitlab-ci-token:glcbt-64_0123456789abcdefghij");
        let split = |login: &str, cut| {
            let (first, second) = login.split_at(cut);
            let fields = [("authorization", first), ("private-token", "glpat-1"), ("authorization", second)];
            (found(&fields), found_elsewhere(&fields))
        };
        for cut in "Basic Z".len()..login.len() {
            let (gitlab, elsewhere) = split(&login, cut);
            assert!(matches!(gitlab, Credential::Refused(_)), "{cut}: {gitlab:?}");
            assert!(matches!(elsewhere, Credential::Refused(_)), "{cut}: {elsewhere:?}");
        }
        // What is no letter of base64 is passed over before a login, too.
        let junk = basic("x:0123abcd").replacen(' ', " !", 1);
        assert_eq!(split(&junk, "Basic !".len()).1, Credential::Refused(Malformed::Multiple));
        let persons = format!("{}Digest dana", basic("dana:correct horse"));
        let is_persons = |found| matches!(found, Credential::Foreign(_));
        let (gitlab, elsewhere) = split(&persons, basic("dana:correct horse").len());
        assert!(is_persons(gitlab) && is_persons(elsewhere));
    }

    #[test]
    fn a_persons_credential_is_not_a_jobs() {
        assert_eq!(found(&[("authorization", &basic("dana:password"))]), Credential::Foreign(Foreign::ByRoute));
        assert_eq!(found(&[("authorization", "Bearer glpat-1")]), Credential::Foreign(Foreign::Decisive));
        assert_eq!(found(&[("private-token", "glpat-1")]), Credential::Foreign(Foreign::Decisive));
        for odd in [("authorization", "Bearer\tx"), ("authorization", "Bearer  x"), ("private-token", "a b")] {
            assert_eq!(found(&[odd]), Credential::Foreign(Foreign::ByRoute), "{odd:?}: the forge may look further");
        }
        assert_eq!(found(&[("authorization", &basic("gitlab-ci-token-bot:x"))]), Credential::Foreign(Foreign::ByRoute));
        for (field, value) in [("authorization", "rubygems_key"), ("x-nuget-apikey", "key"), ("deploy-token", "gldt-1")]
        {
            assert_eq!(found(&[(field, value)]), Credential::Foreign(Foreign::ByRoute), "{field}");
            assert_eq!(found(&[(field, "")]), Credential::None, "{field}");
        }
        assert_eq!(found(&[(":path", "/x?a=b"), ("accept", "*/*")]), Credential::None);
    }

    #[test]
    fn equal_tokens_in_different_places_are_one_and_different_ones_are_refused_by_their_places() {
        let login = basic("gitlab-ci-token:glcbt-1");
        let token = || Secret::new(b"glcbt-1");
        for (fields, carriers) in [
            ([("job-token", "glcbt-1"), (":path", "/x?job_token=glcbt-1")], [Carrier::Query, Carrier::JobToken]),
            ([("authorization", &*login), ("job-token", "glcbt-1")], [Carrier::Basic, Carrier::JobToken]),
            ([("authorization", "glcbt-1"), ("job-token", "glcbt-1")], [Carrier::Raw, Carrier::JobToken]),
            (
                [("authorization", "Bearer glcbt-1"), ("private-token", "glcbt-1")],
                [Carrier::Bearer, Carrier::PrivateToken],
            ),
        ] {
            assert_eq!(found(&fields), Credential::Same(carriers.into(), token()), "{fields:?}");
        }
        let in_query = Credential::Refused(Malformed::HeaderAndQuery);
        assert_eq!(found(&[("job-token", "glcbt-1"), (":path", "/x?job_token=glcbt-2")]), in_query);
        assert_eq!(found(&[("private-token", "glpat-1"), (":path", "/x?job_token=glcbt-2")]), in_query);
        let multiple = Credential::Refused(Malformed::TwoHeaders);
        assert_eq!(found(&[("job-token", "glcbt-1"), ("job-token", "glcbt-1")]), multiple);
        assert_eq!(found(&[("job-token", "glcbt-1"), ("private-token", "glpat-1")]), multiple);
        assert_eq!(found(&[("job-token", "glcbt-1"), ("private-token", "glcbt-2")]), multiple);
        assert_eq!(found(&[("job-token", "glcbt-1"), ("authorization", &basic("dana:x"))]), multiple);
        assert_eq!(found(&[("x-nuget-apikey", "glcbt-1"), ("x-nuget-apikey", "glcbt-1")]), multiple);
        assert_eq!(found(&[("x-nuget-apikey", "az"), ("authorization", &basic("gitlab-ci-token:glcbt-1"))]), multiple);
        let many = std::vec![basic("dana:x"); 18].join(",");
        assert_eq!(found(&[("authorization", &many)]), Credential::Refused(Malformed::Authorization));
        let joined = format!("{},{}", basic("gitlab-ci-token:glcbt-1"), basic("dana:x"));
        assert_eq!(found(&[("authorization", &joined)]), Credential::Refused(Malformed::Authorization));
    }

    #[test]
    fn a_spelling_of_its_own_does_not_hide_a_token() {
        let plain = STANDARD.encode("gitlab-ci-token:legacy");
        for value in [
            format!("Basic  {plain}"),
            format!("Basic\t{plain}"),
            format!("Token {plain}"),
            format!("Bearer {plain}"),
            format!("Basic!x {plain}"),
            format!("Negotiate\t{}-{}", &plain[..5], &plain[5..]),
            format!(" Basic {plain}"),
            format!("Basic {}", plain.trim_end_matches('=')),
            format!("Basic {plain} x"),
            format!("Basic {}.{}", &plain[..4], &plain[4..]),
            format!("Basic ={plain}"),
            format!("Basic {}={}", &plain[..5], &plain[5..]),
            format!("Basic {},{}", &plain[..6], &plain[6..]),
            format!("Basic\x0b{plain}"),
            format!("Basic\u{a0}{plain}"),
            format!("Basic {}-{}", &plain[..6], &plain[6..]),
            format!("Basic {}_{}", &plain[..7], &plain[7..]),
            "glcbt-1,glcbt-1".into(),
            "glcbt-1 ".into(),
            "Token glcbt-1".into(),
            "Bearer  glcbt-1".into(),
            "Bearer token=glcbt-1".into(),
            "Token token=\"glcbt-1\"".into(),
            format!("Basic {}", STANDARD.encode(" gitlab-ci-token:legacy")),
            format!("Basic {}", STANDARD.encode("gitlab-ci-token\0:legacy")),
        ] {
            assert!(matches!(found(&[("authorization", &value)]), Credential::Refused(_)), "{value}");
        }
        assert_eq!(
            found(&[("authorization", &basic("GITLAB-ci-token:glcbt-1"))]),
            Credential::Refused(Malformed::AuthorizationUser)
        );
        assert_eq!(
            found(&[("authorization", &basic("GitLab-CI-Token:legacy"))]),
            Credential::Refused(Malformed::AuthorizationUser)
        );
        assert_eq!(found(&[("x-api-key", "glcbt-1")]), Credential::Refused(Malformed::Carrier));
        assert_eq!(found(&[("x-nuget-apikey", "Bearer glcbt-1")]), Credential::Refused(Malformed::Carrier));
        assert_eq!(found(&[("job_token", "legacy")]), Credential::Refused(Malformed::Underscore));
    }
}
