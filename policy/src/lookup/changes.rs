//! The jobs that ended, as a service of the platform team tells them: `GET /jobscope/v1/changes`. Described in
//! `docs/token-lookup.md`.
//!
//! A question waits for news at the service; its answer names the jobs that ended after a cursor, and the cursor to go on
//! from. Without a cursor nothing is known of what ended before, so the answer only says where to begin.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use super::answer::{Answer, Fields};
use super::{Account, Call, v1};
use crate::bindings::Cursor;
use crate::facts::JobId;
use crate::failure::Failure;
use crate::tree::Tree;

const PATH: &str = "/jobscope/v1/changes";

/// How long the service may wait for news, in seconds.
const WAIT: u32 = 25;

/// How long an answer is awaited.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// More jobs than this one answer does not name.
const ENDED_LIMIT: usize = 10_000;

/// The shortest pause after a failure.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after failures.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These jobs ended, and the list goes on from here.
    Ended(Vec<JobId>, Cursor),
    /// The list begins here: what ended before is not told, so what was confirmed before is to be looked up again.
    Begins(Cursor),
    /// The service no longer knows the cursor.
    Lost,
}

/// Asks for what ended after a cursor.
#[must_use]
pub fn ask(account: &Account, after: Option<&Cursor>) -> Call {
    let after = after.map(|cursor| format!("&after={}", cursor.as_str())).unwrap_or_default();
    let path = format!("{PATH}?wait={WAIT}{after}");
    v1::call("GET", path, account, Vec::new())
}

/// Reads the answer to that question.
///
/// # Errors
/// A failure, where the service did not speak or is not understood.
pub fn read(after: Option<&Cursor>, answer: &Answer<'_>) -> Result<News, Failure> {
    if answer.status == Some(410) && after.is_some() {
        return Ok(News::Lost);
    }
    let body = v1::body(answer)?;
    let said = Fields::of(&body)?;
    let cursor = Cursor::parse(said.text("cursor")?).ok_or(Failure::LookupAnswer)?;
    let ended = said.0.get("ended").and_then(Tree::as_array).filter(|ended| ended.len() <= ENDED_LIMIT);
    let ended: Option<Vec<JobId>> = ended.and_then(|ended| ended.iter().map(|id| id.as_u64().map(JobId)).collect());
    let ended = ended.ok_or(Failure::LookupAnswer)?;
    Ok(if after.is_some() { News::Ended(ended, cursor) } else { News::Begins(cursor) })
}

/// How long to wait after so many failures in a row: twice as long each time, and by chance up to half of it less, so that
/// many proxies do not come back together.
#[must_use]
pub fn pause(failures: u32, chance: u64) -> Duration {
    let doubled = SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let whole = u64::try_from(doubled.min(LONGEST_PAUSE).as_millis()).unwrap_or(u64::MAX);
    let half = whole.checked_div(2).unwrap_or_default();
    let less = chance.checked_rem(half.saturating_add(1)).unwrap_or_default();
    Duration::from_millis(whole.saturating_sub(less))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(after: Option<&str>, status: u16, body: &str) -> Result<News, Failure> {
        let answer = Answer { status: Some(status), next_page: None, location: None, body: body.as_bytes() };
        super::read(after.and_then(Cursor::parse).as_ref(), &answer)
    }

    fn cursor(text: &str) -> Cursor {
        Cursor::parse(text).unwrap()
    }

    #[test]
    fn an_answer_names_the_jobs_that_ended_and_where_to_go_on() {
        let body = r#"{"version": 1, "cursor": "b-2", "ended": [7, 8]}"#;
        assert_eq!(read(Some("a"), 200, body), Ok(News::Ended([JobId(7), JobId(8)].into(), cursor("b-2"))));
        let nothing = r#"{"version": 1, "cursor": "b", "ended": []}"#;
        assert_eq!(read(Some("a"), 200, nothing), Ok(News::Ended(Vec::new(), cursor("b"))));
        assert_eq!(read(None, 200, nothing), Ok(News::Begins(cursor("b"))));
        assert_eq!(read(Some("a"), 410, ""), Ok(News::Lost));
    }

    #[test]
    fn what_cannot_be_read_is_a_failure() {
        let long = std::format!(r#"{{"version": 1, "cursor": "{}", "ended": []}}"#, "x".repeat(129));
        let many = std::format!(r#"{{"version": 1, "cursor": "b", "ended": [{}7]}}"#, "7,".repeat(10_000));
        for (status, body, failure) in [
            (200, "<html>", Failure::LookupAnswer),
            (200, r#"{"cursor": "b", "ended": []}"#, Failure::LookupAnswer),
            (200, r#"{"version": 2, "cursor": "b", "ended": []}"#, Failure::LookupAnswer),
            (200, r#"{"version": 1, "ended": []}"#, Failure::LookupAnswer),
            (200, r#"{"version": 1, "cursor": "b"}"#, Failure::LookupAnswer),
            (200, r#"{"version": 1, "cursor": "b", "ended": ["7"]}"#, Failure::LookupAnswer),
            (200, r#"{"version": 1, "cursor": "b&after=c", "ended": []}"#, Failure::LookupAnswer),
            (200, r#"{"version": 1, "cursor": "", "ended": []}"#, Failure::LookupAnswer),
            (200, &long, Failure::LookupAnswer),
            (200, &many, Failure::LookupAnswer),
            (401, "", Failure::LookupRights),
            (404, "", Failure::LookupAnswer),
            (503, "", Failure::LookupUnreachable),
            (504, "", Failure::LookupTimeout),
        ] {
            assert_eq!(read(Some("a"), status, body), Err(failure), "{status} {body}");
        }
        assert_eq!(read(None, 410, ""), Err(Failure::LookupAnswer), "nothing was lost");
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let seconds = |failures, chance| pause(failures, chance).as_millis();
        assert_eq!([1, 2, 3, 7, 40].map(|failures| seconds(failures, 0)), [1000, 2000, 4000, 60_000, 60_000]);
        for chance in [0, 1, 499, 500, 501, u64::MAX] {
            assert!((500..=1000).contains(&seconds(1, chance)), "{chance}");
        }
    }
}
