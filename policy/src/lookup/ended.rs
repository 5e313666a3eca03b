//! Jobs that ended, told to a service of the platform team: `POST /jobscope/v1/ended`. Described in `docs/token-lookup.md`.

use super::answer::Answer;
use super::{Account, Call, v1};
use crate::facts::JobId;
use crate::failure::Failure;
use crate::json::{List, object};

const PATH: &str = "/jobscope/v1/ended";

/// The most jobs of one report.
pub const MOST: usize = 1000;

/// What the service says to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It will not forget them.
    Noted,
    /// It takes no reports.
    Unknown,
}

/// Tells that these jobs ended, at most [`MOST`].
#[must_use]
pub fn tell(account: &Account, jobs: impl Iterator<Item = JobId>) -> Call {
    let report = object(|report| {
        report.put("jobs", List(jobs.take(MOST).map(|job| job.0)));
        report.put("version", v1::VERSION);
    });
    v1::post(PATH, account, report)
}

/// Reads the answer to that.
///
/// # Errors
/// A failure, where the service did not speak, or may forget them: they are to be told again.
pub fn read(answer: &Answer<'_>) -> Result<Heard, Failure> {
    if answer.status == Some(404) {
        return Ok(Heard::Unknown);
    }
    v1::body(answer).map(|_| Heard::Noted)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::facts::Secret;

    #[test]
    fn a_report_names_the_jobs_and_no_more_than_a_thousand() {
        let account = Account::Token(Secret::new(b"s"));
        let call = tell(&account, [JobId(1001), JobId(1002)].into_iter());
        assert_eq!((call.method, call.path.as_str()), ("POST", "/jobscope/v1/ended"));
        assert_eq!(call.body, br#"{"jobs":[1001,1002],"version":1}"#);
        assert!(call.headers.contains(&("authorization", b"Bearer s".to_vec())), "{call:?}");
        let many = tell(&account, (0..5000).map(JobId));
        let body: serde_json::Value = serde_json::from_slice(&many.body).unwrap();
        assert_eq!(body["jobs"].as_array().map(Vec::len), Some(MOST));
    }

    #[test]
    fn ends_are_noted_by_the_services_word_alone() {
        for (status, body, heard) in [
            (Some(200), r#"{"version": 1}"#, Ok(Heard::Noted)),
            (Some(404), "", Ok(Heard::Unknown)),
            (Some(200), "<html>", Err(Failure::LookupAnswer)),
            (Some(200), "{}", Err(Failure::LookupAnswer)),
            (Some(204), "", Err(Failure::LookupAnswer)),
            (Some(401), "", Err(Failure::LookupRights)),
            (Some(429), "", Err(Failure::LookupThrottled)),
            (Some(503), r#"{"version": 1}"#, Err(Failure::LookupUnreachable)),
            (None, "", Err(Failure::LookupUnreachable)),
        ] {
            let answer = Answer { status, next_page: None, location: None, body: body.as_bytes() };
            assert_eq!(read(&answer), heard, "{status:?} {body}");
        }
    }
}
