//! The forge's version: `GET /version` of GitLab's API, or `GET /jobscope/v1/forge` of a service of the platform team, which
//! `docs/token-lookup.md` describes.

use super::{Account, Answer, Call};
use crate::Config;
use crate::facts::Version;
use crate::failure::Failure;

/// Asks for it.
#[must_use]
pub fn ask(config: &Config, account: &Account) -> Call {
    config.lookup.api.source().ask_version(config, account)
}

/// Reads the answer to that question.
///
/// # Errors
/// A failure, where nobody spoke or no version was said.
pub fn read(config: &Config, answer: &Answer<'_>) -> Result<Version, Failure> {
    config.lookup.api.source().read_version(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Secret;

    fn config(api: &str) -> Config {
        let document = std::format!(
            r#"{{"forge": {{"hosts": ["h"], "version": "lookup", "relative_url_root": "/gitlab"}},
                "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E", "api": "{api}"}}}}"#
        );
        Config::parse(document.as_bytes()).unwrap()
    }

    #[test]
    fn it_is_asked_with_the_service_accounts_token() {
        for (api, path, field) in [
            ("auto", "/gitlab/api/v4/version", ("private-token", b"s".to_vec())),
            ("v1", "/jobscope/v1/forge", ("authorization", b"Bearer s".to_vec())),
        ] {
            let call = ask(&config(api), &Account::Token(Secret::new(b"s")));
            assert_eq!((call.method, call.path.as_str()), ("GET", path));
            assert!(call.headers.contains(&field), "{call:?}");
        }
    }

    #[test]
    fn what_says_no_version_is_a_failure() {
        let read = |api, status, body: &str| {
            let answer = Answer { status, next_page: None, location: None, body: body.as_bytes() };
            read(&config(api), &answer)
        };
        assert_eq!(read("auto", Some(200), r#"{"version": "18.11.2-ee", "revision": "x"}"#), Ok(Version(18, 11)));
        assert_eq!(read("v1", Some(200), r#"{"version": 1, "forge_version": "18.8"}"#), Ok(Version(18, 8)));
        for (api, status, body, failure) in [
            ("auto", None, "", Failure::LookupUnreachable),
            ("auto", Some(200), "<html>", Failure::LookupAnswer),
            ("auto", Some(200), r#"{"version": "newest"}"#, Failure::LookupAnswer),
            ("auto", Some(200), r#"{"version": 18.8}"#, Failure::LookupAnswer),
            ("auto", Some(200), "[]", Failure::LookupAnswer),
            ("auto", Some(401), r#"{"message": "401 Unauthorized"}"#, Failure::LookupRights),
            ("auto", Some(404), r#"{"message": "404 Not Found"}"#, Failure::LookupAnswer),
            ("auto", Some(429), "", Failure::LookupThrottled),
            ("v1", Some(200), r#"{"version": 1}"#, Failure::LookupAnswer),
            ("v1", Some(200), r#"{"forge_version": "18.8"}"#, Failure::LookupAnswer),
            ("v1", Some(404), "", Failure::LookupAnswer),
        ] {
            assert_eq!(read(api, status, body), Err(failure), "{api} {status:?} {body}");
        }
    }
}
