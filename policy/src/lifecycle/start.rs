//! What becomes of a job that is handed to a runner.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::birth::{self, Birth};
use super::pull_policy::{Unread, narrowed};
use super::runner::Runner;
use super::{AnswerHead, Body, Event, Fate, Told, refusal};
use crate::Config;
use crate::coded::coded;
use crate::config::Check;
use crate::decision::Record;

coded! {
    /// What is said of a job when a runner gets it.
    Remark {
        PullPolicy "pull-policy" "an image of the job has a pull policy that is not allowed"
        Unread "payload.unread" "what a runner gets of its job cannot be read, so that its pull policies are not known"
        JobRouter "pull-policy.job-router" "a runner asks for GitLab's Job Router, from which it would get jobs whose pull policies nobody looks at"
    }
}

/// What is done with a payload for this runner.
pub(super) fn check(config: &Config, runner: Runner) -> Check {
    if runner.is_concerned(&config.pull_policies) { config.pull_policies.check } else { Check::Ignore }
}

/// Reads the head of the answer.
pub(super) fn head(config: &Config, runner: Runner, answer: &AnswerHead<'_>) -> (Option<Event>, Body) {
    match (birth::is_handed_out(answer), answer.is_json(), check(config, runner)) {
        (false, _, _) | (true, false, Check::Ignore) => (None, Body::Unseen),
        (true, false, Check::Observe | Check::Rewrite | Check::Refuse) => (Some(unread(None)), Body::Unseen),
        (true, true, Check::Ignore | Check::Observe) => (None, Body::Copied),
        (true, true, Check::Rewrite | Check::Refuse) => (None, Body::Held),
    }
}

/// Reads the body of the answer.
pub(super) fn body(config: &Config, runner: Runner, body: Option<&[u8]>) -> Told {
    let payload = body.and_then(|body| core::str::from_utf8(body).ok());
    let birth = payload.and_then(birth::read);
    let told = |event: Option<Event>, birth: Option<Birth>, fate| {
        let events = event.into_iter().chain(birth.map(Event::Born)).collect();
        Told { events, fate }
    };
    let check = check(config, runner);
    let narrowed = match (check, payload) {
        (Check::Ignore, _) => Ok(None),
        (Check::Observe | Check::Rewrite | Check::Refuse, None) => Err(Unread),
        (Check::Observe | Check::Rewrite | Check::Refuse, Some(payload)) => {
            narrowed(payload, &config.pull_policies.allowed)
        }
    };
    match (narrowed, check, birth) {
        (Ok(None), _, birth) | (Ok(Some(_)), Check::Ignore, birth) => told(None, birth, Fate::Kept),
        // Whose job it is must be known to fail it.
        (Err(Unread), _, birth) | (Ok(Some(_)), Check::Refuse, birth @ None) => {
            told(Some(unread(birth.as_ref())), birth, Fate::Kept)
        }
        (Ok(Some(_)), Check::Observe, birth) => told(Some(judged(birth.as_ref(), "observe-deny")), birth, Fate::Kept),
        (Ok(Some(new)), Check::Rewrite, birth) => {
            told(Some(judged(birth.as_ref(), "allow")), birth, Fate::Replaced(new.into_bytes()))
        }
        (Ok(Some(_)), Check::Refuse, Some(birth)) => {
            let failed = Event::Failed(refusal::calls(config, &birth));
            Told { events: vec![judged(Some(&birth), "deny"), failed], fate: Fate::Refused(refusal::reply()) }
        }
    }
}

fn judged(birth: Option<&Birth>, verdict: &'static str) -> Event {
    Event::Judged(record(birth, verdict, Remark::PullPolicy))
}

fn unread(birth: Option<&Birth>) -> Event {
    Event::Unread(record(birth, "allow", Remark::Unread))
}

pub(super) fn record(birth: Option<&Birth>, verdict: &'static str, remark: Remark) -> Record {
    let none = || String::from("-");
    Record {
        job: birth.map_or_else(none, |birth| birth.job.0.to_string()),
        user: none(),
        origin: birth.map_or_else(none, |birth| format!("#{}", birth.origin.0)),
        target: none(),
        action: "job.request",
        verdict,
        reason: remark.code(),
        rule: "-".into(),
    }
}

#[cfg(test)]
mod tests;
