//! The service account, in whose name facts about targets are asked for, and when its token expires.

use alloc::vec::Vec;

use super::{Answer, Call};
use crate::Config;
use crate::facts::{Day, Secret};
use crate::failure::Failure;

/// In whose name a call goes. The proxy may add the service account's token to the one kind, and never to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// A job's: the call carries its token as a credential.
    Job,
    /// The service account's.
    ServiceAccount,
}

/// The service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// Its calls carry this token.
    Token(Secret),
    /// Its calls carry none: the proxy adds one.
    ByProxy,
}

impl Account {
    /// The field of a call that carries its token behind `scheme`; none where the proxy adds it.
    pub(super) fn field(&self, name: &'static str, scheme: &[u8]) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Self::Token(token) => Some((name, [scheme, token.expose()].concat())),
            Self::ByProxy => None,
        }
    }
}

/// From how many days on before its end it is told every day that a token expires.
pub const NOTICE: u64 = 30;

/// Asks when the service account's token expires; `None` where nobody could say.
#[must_use]
pub fn ask(config: &Config, account: &Account) -> Option<Call> {
    config.lookup.api.source().ask_expiry(config, account)
}

/// Reads the answer to that question; in it `None` where the token does not expire, or the forge does not say.
///
/// # Errors
/// A failure, where nobody spoke, the token is not taken, or what was said cannot be read.
pub fn read(config: &Config, answer: &Answer<'_>) -> Result<Option<Day>, Failure> {
    config.lookup.api.source().read_expiry(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(api: &str) -> Config {
        let document = std::format!(
            r#"{{"forge": {{"hosts": ["h"], "relative_url_root": "/gitlab"}},
                "lookup": {{"cluster": "c", "authority": "h", "service_cluster": "s", "api": "{api}"}}}}"#
        );
        Config::parse(document.as_bytes()).unwrap()
    }

    #[test]
    fn the_token_is_asked_about_itself() {
        let call = ask(&config("auto"), &Account::Token(Secret::new(b"s"))).unwrap();
        assert_eq!((call.method, call.path.as_str()), ("GET", "/gitlab/api/v4/personal_access_tokens/self"));
        assert_eq!(call.principal, Principal::ServiceAccount);
        assert!(call.headers.contains(&("private-token", b"s".to_vec())), "{call:?}");
        let added = ask(&config("auto"), &Account::ByProxy).unwrap();
        assert!(added.headers.iter().all(|(name, _)| *name == "accept"), "{added:?}");
        assert_eq!(ask(&config("v1"), &Account::ByProxy), None, "of its own tokens a service of ours tells nothing");
    }

    #[test]
    fn what_says_no_day_is_no_expiry_and_what_is_no_answer_a_failure() {
        let config = config("auto");
        let read = |status, body: &str| {
            read(&config, &Answer { status, next_page: None, location: None, body: body.as_bytes() })
        };
        let day = Day::parse("2027-01-31");
        assert!(day.is_some());
        let refused = |text: &str| std::format!(r#"{{"message": "{text}"}}"#);
        for (status, body, expected) in [
            (Some(200), r#"{"id": 1, "expires_at": "2027-01-31"}"#, Ok(day)),
            (Some(200), r#"{"id": 1, "expires_at": null}"#, Ok(None)),
            (Some(200), r#"{"id": 1}"#, Err(Failure::LookupAnswer)),
            (Some(200), r#"{"expires_at": "soon"}"#, Err(Failure::LookupAnswer)),
            (Some(200), r#"{"expires_at": 1}"#, Err(Failure::LookupAnswer)),
            (Some(200), "<html>", Err(Failure::LookupAnswer)),
            (Some(401), &refused("401 Unauthorized"), Err(Failure::LookupRights)),
            // A forge before 15.5, or a token of another kind.
            (Some(403), &refused("403 Forbidden"), Ok(None)),
            (Some(404), &refused("404 Not Found"), Ok(None)),
            (Some(404), "", Err(Failure::LookupAnswer)),
            (None, "", Err(Failure::LookupUnreachable)),
        ] {
            assert_eq!(read(status, body), expected, "{status:?} {body}");
        }
    }
}
