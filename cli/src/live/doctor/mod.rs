//! Whether the lookups of a configuration will do: each is made once, as the filter makes it, and what does not work is told
//! with what to do.

mod account;
mod facts;
mod forge;
mod gitlab;
mod service;
mod webhook;
mod words;

use std::time::Duration;

use policy::choices::Api;
use policy::facts::{Invalid, ProjectPath, Secret, Token};
use policy::lookup::{Account, Call, Fact, Value};
use serde_json::{Value as Json, json};

pub(super) use facts::{cause, nowhere};

use super::{Live, Sent, Service};
use crate::setup::{Setup, masked};

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It works.
    Good,
    /// It cannot be told from here.
    Unseen,
    /// It works, and perhaps not for long, or not for everybody.
    Warning,
    /// It does not work.
    Error,
}

impl Mark {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unseen => "unseen",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How well it is.
    pub mark: Mark,
    /// What: a fact's key in the configuration, or a name of ours.
    pub about: &'static str,
    /// What was found, and what to do.
    pub text: String,
}

impl Finding {
    fn new(mark: Mark, about: &'static str, text: impl Into<String>) -> Self {
        Self { mark, about, text: text.into() }
    }
}

/// Everything that was found, and every call that was made for it.
#[derive(Debug)]
pub struct Report {
    /// What was looked at.
    pub findings: Vec<Finding>,
    /// What was asked.
    pub calls: Vec<(Call, Sent)>,
}

/// About what it is asked. What is not named the forge is asked for.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// A project that jobs may ask for.
    pub target: Option<ProjectPath>,
    /// Another one, from which a job may come.
    pub origin: Option<ProjectPath>,
}

/// A token that no job has, in the form of those that jobs have.
const NOBODYS: &[u8] = b"glcbt-64_jobscopeDoctorAsksAsNobody1";

/// Makes each lookup of a configuration once.
pub fn examine(setup: &Setup, account: Option<&Account>, subject: &Subject, service: &mut dyn Service) -> Report {
    let mut live = Live::new(&setup.config, account, service);
    let mut findings = vec![lookup(&mut live)];
    if findings.iter().all(|one| one.mark != Mark::Error) {
        findings.extend(match setup.config.lookup.api {
            Api::Gitlab => gitlab::examine(&mut live, setup, subject),
            Api::V1 => service::examine(&mut live, setup, subject),
        });
    }
    findings.extend(clock(&live, setup));
    findings.extend(time(&live, setup));
    Report { findings, calls: live.asked }
}

/// Asks whose a token is that nobody has.
fn lookup(live: &mut Live<'_>) -> Finding {
    const ABOUT: &str = "lookup";
    let flown = live.fly(None, Fact::Token(Secret::new(NOBODYS)));
    let first = flown.calls.first().and_then(|at| live.asked.get(*at));
    let wrong = first.and_then(|(_, sent)| words::wrong(live, sent));
    match (flown.landed, wrong) {
        (Ok(Value::Token(Token::Invalid(Invalid::Unknown))), _) => {
            Finding::new(Mark::Good, ABOUT, "a token that no job has is called unknown, as it should be")
        }
        // Under a mark of job tokens it counts as unknown.
        (Ok(Value::Token(Token::Invalid(Invalid::Foreign))), _) => Finding::new(
            Mark::Warning,
            ABOUT,
            "a job token that no job has is called foreign: answer `unknown` where in doubt, since what is foreign goes on",
        ),
        (Ok(other), _) => {
            let said = if let Value::Token(token) = other { token_word(&token) } else { "something else" };
            Finding::new(Mark::Error, ABOUT, format!("a token that no job has is called {said}; it must be unknown"))
        }
        (Err(_), Some(wrong)) => Finding::new(Mark::Error, ABOUT, wrong),
        (Err(failure), None) => Finding::new(
            Mark::Error,
            ABOUT,
            format!(
                "asked about a token that no job has, {}, which the filter cannot take for an answer ({})",
                first.map_or_else(|| "nothing is answered".to_owned(), |(call, sent)| words::said(live, call, sent)),
                failure.code()
            ),
        ),
    }
}

pub(super) fn token_word(token: &Token) -> &'static str {
    match token {
        Token::Running(_) => "a running job's",
        Token::Ended(_) => "an ended job's",
        Token::Forgotten => "forgotten",
        Token::Invalid(invalid) => {
            Invalid::ALL.iter().find(|(known, _)| known == invalid).map_or("invalid", |(_, word)| word)
        }
    }
}

/// How far the forge's clock is from this machine's. It writes whole seconds, and something passes on the way.
fn clock(live: &Live<'_>, setup: &Setup) -> Option<Finding> {
    const ABOUT: &str = "clock";
    /// Less than this nobody sees in a log.
    const ENOUGH: Duration = Duration::from_secs(2);
    let read = |sent: &Sent| {
        let half = sent.took.checked_div(2).unwrap_or_default();
        let theirs = sent.reply.as_ref().ok()?.date?.saturating_add(Duration::from_millis(500));
        let ours = sent.began.saturating_add(half);
        Some((theirs.abs_diff(ours).saturating_sub(half), theirs > ours))
    };
    let (apart, is_ahead) = live.asked.iter().filter_map(|(_, sent)| read(sent)).min()?;
    if apart < ENOUGH {
        return Some(Finding::new(Mark::Good, ABOUT, "this machine's clock and the forge's are less than 2 s apart"));
    }
    let side = if is_ahead { "behind" } else { "ahead of" };
    let config = &setup.config;
    let bounds = [
        ("bindings.revalidate_after", config.bindings.revalidate_after),
        ("bindings.max_stale", config.bindings.max_stale),
        ("bindings.max_lifetime", config.bindings.max_lifetime),
    ];
    let broken: Vec<String> = bounds
        .iter()
        .filter(|(_, bound)| *bound <= apart)
        .map(|(key, bound)| format!("`{key}` ({})", words::time(*bound)))
        .collect();
    let mark = if broken.is_empty() { Mark::Warning } else { Mark::Error };
    let more = if broken.is_empty() {
        "in the logs of both the same moment has two times".to_owned()
    } else {
        format!(
            "that is more than {}, so that by the logs a job seems to be served after its end for longer than that allows",
            broken.join(" and ")
        )
    };
    let text = format!(
        "this machine's clock is {} {side} the forge's: {more}. The filter counts by its own machine's clock alone; have both set by NTP",
        words::time(Duration::from_secs(apart.as_secs()))
    );
    Some(Finding::new(mark, ABOUT, text))
}

/// Whether requests will get their facts in time.
fn time(live: &Live<'_>, setup: &Setup) -> Option<Finding> {
    const ABOUT: &str = "lookup.timeout";
    let answered = live.asked.iter().filter(|(_, sent)| sent.reply.is_ok());
    let (call, slowest) = answered.max_by_key(|(_, sent)| sent.took)?;
    let timeout = setup.config.lookup.timeout;
    let text = format!("the slowest answer, to `{}`, took {}", call.outline(), words::time(slowest.took));
    let limit = words::time(timeout);
    // Two rounds of calls go one after the other, in nine tenths of the time.
    let half = timeout.mul_f64(0.45);
    Some(match slowest.took {
        took if took >= timeout => {
            let text = format!("{text}, more than the {limit} that a request waits: it would get 503");
            Finding::new(Mark::Error, ABOUT, text)
        }
        took if took >= half => {
            let text = format!(
                "{text}: a request waits {limit} for all of its facts, two rounds of such calls, and would get 503 on a busy day"
            );
            Finding::new(Mark::Warning, ABOUT, text)
        }
        _ => Finding::new(Mark::Good, ABOUT, format!("{text}; a request waits {limit} for its facts")),
    })
}

/// What is wrong with the answer to a call, or else what it was.
pub(super) fn complaint(live: &Live<'_>, call: &Call, sent: &Sent) -> String {
    words::wrong(live, sent).unwrap_or_else(|| words::said(live, call, sent))
}

impl Report {
    /// How well it is with what is worst.
    #[must_use]
    pub fn worst(&self) -> Mark {
        self.findings.iter().map(|one| one.mark).max().unwrap_or(Mark::Unseen)
    }

    /// The same as a value. Nothing in it is a secret.
    #[must_use]
    pub fn json(&self, address: &str, authority: &str) -> Json {
        let finding = |one: &Finding| json!({"mark": one.mark.word(), "about": one.about, "text": masked(&one.text)});
        json!({
            "address": address,
            "authority": authority,
            "worst": self.worst().word(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "calls": calls(&self.calls),
        })
    }
}

/// Calls that were made, as values.
#[must_use]
pub fn calls(made: &[(Call, Sent)]) -> Vec<Json> {
    let call = |(call, sent): &(Call, Sent)| {
        json!({
            "call": call.outline(),
            "status": sent.reply.as_ref().ok().map(|reply| reply.status),
            "trouble": sent.reply.as_ref().err().map(ToString::to_string),
            "milliseconds": u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
        })
    };
    made.iter().map(call).collect()
}
