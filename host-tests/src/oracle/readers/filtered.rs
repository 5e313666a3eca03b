//! What the filter makes of a request: the core, and the compiled filter beside it.

use std::fmt;

use anyhow::{Result, anyhow, ensure};
use policy::Config;
use policy::facts::Secret;
use policy::request::{Claim, Reading};

use super::request::Planted;
use crate::cases::core::reading;
use crate::host::{Filter, Host, Options, Outcome};
use crate::oracle::compiled::lookup;

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Filtered {
    /// It goes on unjudged.
    Passed,
    /// It goes on unless the filter has seen this credential being made for a job.
    Remembered,
    /// It is refused, with this reason.
    Refused(&'static str),
    /// It is judged by this token. Whether it is a job's, the forge is asked where it is not marked as one.
    Judged(Secret),
}

impl Filtered {
    /// As the core reads it.
    #[must_use]
    pub fn of(config: &Config, planted: &Planted) -> Self {
        let message = &planted.message;
        match reading(config, message) {
            Reading::NotAJob | Reading::Passing(_) => Self::Passed,
            Reading::Refused(refused) => Self::Refused(refused.malformed.code()),
            // The whole body was read.
            Reading::Body(_) => Self::Refused("internal"),
            Reading::Job(job) => {
                let looked = job.scan.map_or(Ok(()), |mut scan| scan.feed(&message.body).and_then(|()| scan.finish()));
                match (looked, job.claim) {
                    (Err(refused), _) => Self::Refused(refused.malformed.code()),
                    (Ok(()), Claim::Minted(_)) => Self::Remembered,
                    (Ok(()), Claim::Unread(malformed)) => Self::Refused(malformed.code()),
                    (Ok(()), Claim::Unmarked(_) | Claim::Marked) => Self::Judged(job.token),
                }
            }
        }
    }
}

impl fmt::Display for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed on unjudged"),
            Self::Remembered => f.write_str("passed on unless it was made for a job"),
            Self::Refused(code) => write!(f, "refused ({code})"),
            Self::Judged(token) => write!(f, "judged by `{}`", token.expose().escape_ascii()),
        }
    }
}

/// Sends requests through the compiled filter, which must let through what the core lets through and nothing else.
///
/// # Errors
/// The filter is not built, does not start, or makes something else of a request.
pub fn compare_compiled(configuration: &str, requests: impl IntoIterator<Item = Planted>) -> Result<()> {
    let config = Config::parse(configuration.as_bytes()).map_err(|errors| anyhow!("{errors}"))?;
    let options = Options {
        configuration: configuration.into(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
        ..Options::default()
    };
    let mut filter = Host::start(&Filter::under_test()?, options.cluster("lookup"))
        .map_err(|error| anyhow!("the filter does not start: {:?}", error.logs()))?;
    for planted in requests {
        let core = Filtered::of(&config, &planted);
        let stream = filter.send(0, planted.message.request(), lookup);
        let is_unjudged = filter.properties(stream).is_empty();
        let is_passed = match filter.outcome(stream) {
            Outcome::Forwarded { headers, .. } => is_unjudged && headers == planted.message.fields(),
            Outcome::Replied(_) => false,
            other @ (Outcome::Paused | Outcome::Reset | Outcome::Failed) => {
                return Err(anyhow!("{planted}\n{other:?}"));
            }
        };
        filter.close(stream);
        let is_expected = match &core {
            Filtered::Passed => is_passed,
            Filtered::Refused(_) | Filtered::Judged(_) => !is_passed,
            Filtered::Remembered => true,
        };
        ensure!(is_expected, "{planted}\nthe core: {core}; the compiled filter passed it on: {is_passed}");
    }
    Ok(())
}
