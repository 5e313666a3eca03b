//! A job's token is exchanged for others: `/jwt/auth` answers with JWTs for the registry or the dependency proxy, and Gitea's
//! `/v2/token` with one for its registry.
//!
//! The dependency proxy's do not say whose they are. So where jobs use it, people's are remembered as well.

use alloc::string::String;
use core::time::Duration;

use super::{AnswerHead, Event};
use crate::Config;
use crate::bindings::Forgotten;
use crate::choices::DependencyProxy;
use crate::facts::Hash;
use crate::request::{self, Head, json};

/// How long a JWT is good where neither its answer says it nor it itself.
const USUAL: Duration = Duration::from_secs(300);

/// Whether who is no job asks for a JWT that could be a job's.
pub(super) fn is_asked_for(config: &Config, head: &Head<'_>) -> bool {
    config.forge.dependency_proxy == DependencyProxy::On && request::asks_for_proxy_token(&config.forge, head)
}

/// Whether an answer hands JWTs out.
pub(super) fn is_granted(answer: &AnswerHead<'_>) -> bool {
    answer.status() == Some(200) && answer.is_json()
}

/// Reads what the client gets. What cannot be read tells nothing: its JWT is not known then, and gets no further than
/// the next challenge.
pub(super) fn read(parent: Option<Hash>, answer: &[u8]) -> impl Iterator<Item = Event> {
    let members = json::written(answer).unwrap_or_default();
    let said = move |asked: &str| members.iter().find(|(name, _)| name == asked).map(|(_, value)| value.get());
    let lifetime = said("expires_in").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    ["token", "access_token"].into_iter().filter_map(move |name| {
        let token: String = serde_json::from_str(said(name)?).ok()?;
        let signed = request::signed(token.as_bytes())?;
        let lifetime = lifetime.or_else(|| request::lifetime(&signed)).unwrap_or(USUAL);
        Some(Event::Minted { signed, parent, lifetime, forgotten: Forgotten::Challenged })
    })
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::*;
    use crate::access::{Access, Action, Protocol, TargetRef};
    use crate::decision::{Facts, Step, decide};
    use crate::facts::{Context, Job, JobId, Origin, ProjectId, ProjectPath, Secret, Token};
    use crate::request::{JobRequest, Mints};
    use std::vec;
    use std::vec::Vec;

    fn parent() -> Option<Hash> {
        Some(Hash::of(&[b"glcbt-1"]))
    }

    #[test]
    fn each_token_of_an_answer_is_one() {
        let minted = |signed: &[u8], seconds| Event::Minted {
            signed: Secret::new(signed),
            parent: parent(),
            lifetime: Duration::from_secs(seconds),
            forgotten: Forgotten::Challenged,
        };
        let answer = br#"{"token": "eyJh.eyJw.sig", "access_token": "eyJh.eyJq.sig", "expires_in": 60}"#;
        let events: Vec<Event> = read(parent(), answer).collect();
        assert_eq!(events, [minted(b"eyJh.eyJw", 60), minted(b"eyJh.eyJq", 60)]);
        let events: Vec<Event> = read(parent(), br#"{"token": "eyJh.eyJw.sig"}"#).collect();
        assert_eq!(events, [minted(b"eyJh.eyJw", 300)]);
        // `{"exp":90,"nbf":60}`
        let events: Vec<Event> = read(parent(), br#"{"token": "eyJh.eyJleHAiOjkwLCJuYmYiOjYwfQ.sig"}"#).collect();
        assert_eq!(events, [minted(b"eyJh.eyJleHAiOjkwLCJuYmYiOjYwfQ", 30)]);
    }

    #[test]
    fn what_a_forge_makes_is_watched_where_it_is_told_from_what_it_makes_for_people() {
        let origin = Origin { id: ProjectId(1), path: ProjectPath::parse("o/r").unwrap() };
        let job = Job { id: JobId(7), user: None, origin, context: Context::default() };
        let watch = |kind: &str, mints| {
            let document = std::format!(
                r#"{{"forge": {{"kind": "{kind}", "hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
            );
            let config = Config::parse(document.as_bytes()).unwrap();
            let login = vec![Access::new(Action::RegistryLogin, TargetRef::None)];
            let request = JobRequest::new(Secret::new(b"glcbt-1"), Protocol::RegistryToken, login);
            let request = JobRequest { mints: Some(mints), ..request };
            let facts = Facts { token: Some(Token::Running(job.clone())), ..Facts::default() };
            let Step::Decided(decision) = decide(&config, &request, &facts) else { panic!("{kind}") };
            let watch = Watch::of_job(&config, &request, &decision, Secret::hash);
            assert_eq!(Watch::is_of_job(&config, &request, &decision), watch.is_some(), "{kind}");
            watch
        };
        let made = Some(Watch::Exchange(Some(Secret::new(b"glcbt-1").hash())));
        for (kind, registry, has_batch) in
            [("gitlab", made.clone(), true), ("gitea", made, false), ("generic", None, false)]
        {
            assert_eq!(watch(kind, Mints::RegistryToken), registry, "{kind}");
            assert_eq!(watch(kind, Mints::LfsCredentials).is_some(), has_batch, "{kind}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_tells_nothing() {
        for answer in [&b""[..], b"[]", br#"{"token": 1}"#, br#"{"token": "opaque"}"#, br#"{"token": "eyJh.eyJw.sig""#]
        {
            assert_eq!(read(parent(), answer).count(), 0, "{}", answer.escape_ascii());
        }
    }
}
