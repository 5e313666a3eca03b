//! What becomes of requests.

use policy::Config;
use policy::access::TargetRef;
use policy::decision::{self, Ages, Decision, Facts, Outcome, Step, decide, failed, refused};
use policy::facts::{Found, Invalid, Job, Token};
use policy::failure::Failure;
use policy::request::{Claim, JobRequest, Reading, Refused};
use serde_json::Value;
use world::World;

use crate::job::Caller;
use crate::lines::LineError;
use crate::request::Request;

/// How a request, or all of a command's, end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// They carry no job's token and go on as they came.
    Untouched,
    /// They go on.
    Allow,
    /// They go on, and would not if what is observed were enforced.
    ObserveDeny,
    /// They are answered here.
    Deny,
}

impl Verdict {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Allow => "allow",
            Self::ObserveDeny => "observe-deny",
            Self::Deny => "deny",
        }
    }

    /// How a decision ends.
    #[must_use]
    pub fn of(decision: &Decision) -> Self {
        match (decision.denies(), &decision.outcome, decision.record.verdict) {
            (false, ..) => Self::Allow,
            // What goes on without its token was denied all the same.
            (true, Outcome::Forward(_), "observe-deny") => Self::ObserveDeny,
            (true, ..) => Self::Deny,
        }
    }

    /// Whether nothing is denied, not even what is only observed.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Self::Untouched | Self::Allow)
    }
}

/// One request, decided.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request.
    pub request: Request,
    /// What was decided; `None` where the request is not a job's.
    pub decision: Option<Decision>,
    /// The account of that, as the log has it: `docs/log.md`.
    pub account: Value,
}

impl Answer {
    /// How it ends.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.decision.as_ref().map_or(Verdict::Untouched, Verdict::of)
    }
}

/// Every request of a command, decided. A client stops at the first that is denied.
#[derive(Debug, Clone)]
pub struct Answers(pub Vec<Answer>);

impl Answers {
    /// The request that says how the command ends: the first that weighs most.
    #[must_use]
    pub fn speaks(&self) -> Option<&Answer> {
        let worst = self.0.iter().map(Answer::verdict).max()?;
        self.0.iter().find(|answer| answer.verdict() == worst)
    }

    /// How the command ends.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.speaks().map_or(Verdict::Untouched, Answer::verdict)
    }
}

/// Who knows what a target is to a job.
pub trait Knows {
    /// What it is, as far as the configuration has it looked up.
    ///
    /// # Errors
    /// It cannot be found out.
    fn found(&self, config: &Config, job: &Job, target: &TargetRef) -> Result<Found, Failure>;
}

impl Knows for World {
    fn found(&self, config: &Config, job: &Job, target: &TargetRef) -> Result<Found, Failure> {
        Ok(Self::found(self, &config.facts, job, target))
    }
}

/// Decides on the requests of a command.
#[must_use]
pub fn answers(config: &Config, world: &dyn Knows, caller: &Caller, requests: &[Request]) -> Answers {
    let answer = |request: &Request| {
        let (decision, case) = one(config, world, caller, request).unzip();
        let case = case.flatten();
        let case = case.as_ref().map(|(request, facts)| (request, facts));
        let account = serde_json::from_str(&decision::why(config, case, &Ages::default())).unwrap_or_default();
        Answer { request: request.clone(), decision, account }
    };
    Answers(requests.iter().map(answer).collect())
}

/// A decision, and what it was made from where the request could be read.
type Case = (Decision, Option<(JobRequest, Facts)>);

fn one(config: &Config, world: &dyn Knows, caller: &Caller, request: &Request) -> Option<Case> {
    match request.read(config) {
        Reading::NotAJob | Reading::Passing(_) => None,
        Reading::Refused(why) => refuse(config, world, caller, why),
        // It was finished with its body.
        Reading::Body(pending) => Some((failed(config, pending.protocol(), Failure::Doubt), None)),
        Reading::Job(mut asked) => {
            if let Some(mut scan) = asked.scan.take() {
                let looked = scan.feed(request.body.as_deref().unwrap_or_default()).and_then(|()| scan.finish());
                if let Err(why) = looked {
                    return refuse(config, world, caller, why);
                }
            }
            job_request(config, world, &whose(caller, &asked), asked)
        }
    }
}

/// Refuses what cannot be read, in the name of whose token can be made out in it.
fn refuse(config: &Config, world: &dyn Knows, caller: &Caller, why: Refused) -> Option<Case> {
    match why.into_request() {
        Ok(asked) => job_request(config, world, &whose(caller, &asked), asked),
        Err(why) => Some((refused(config, &why), None)),
    }
}

/// What is known of the token of a request: it is the caller's, or another person's.
fn whose(caller: &Caller, asked: &JobRequest) -> Token {
    let made = crate::lines::made();
    let is_callers = match asked.claim {
        Claim::Marked | Claim::Unread(_) => true,
        Claim::Unmarked(_) => asked.token.expose() == caller.secret.as_bytes(),
        Claim::Minted(_) => made.as_bytes().starts_with(asked.token.expose()),
    };
    if is_callers { caller.token.clone() } else { Token::Invalid(Invalid::Foreign) }
}

/// Decides on what a job asks, with the facts that somebody knows.
fn job_request(config: &Config, world: &dyn Knows, token: &Token, asked: JobRequest) -> Option<Case> {
    let mut facts = Facts { token: Some(token.clone()), ..Facts::default() };
    loop {
        match decide(config, &asked, &facts) {
            Step::Decided(decision) => return Some((decision, Some((asked, facts)))),
            Step::NotAJob => return None,
            Step::NeedsTargets(job, targets) => {
                let found = |target: TargetRef| world.found(config, &job, &target).map(|found| (target, found));
                match targets.into_iter().map(found).collect::<Result<Vec<_>, _>>() {
                    Ok(found) => facts.targets.extend(found),
                    Err(failure) => return Some((failed(config, asked.protocol, failure), None)),
                }
            }
            Step::NeedsToken => return Some((failed(config, asked.protocol, Failure::Doubt), None)),
        }
    }
}

/// What a client sees of an answer: status, header fields, body. The decision's number, which is given when it is
/// logged, stays a mark.
#[must_use]
pub fn bytes(answer: &Answer) -> Option<String> {
    let Outcome::Reply(reply) = &answer.decision.as_ref()?.outcome else { return None };
    let retry = reply.retry_after.map(|seconds| ("retry-after", seconds.to_string()));
    let headers = reply.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(retry);
    let head: String = headers.map(|(name, value)| format!("{name}: {value}\n")).collect();
    // Whoever asks for the head alone gets no body.
    let body = if answer.request.method == "HEAD" { "" } else { &reply.body };
    Some(format!("HTTP/1.1 {}\n{head}\n{body}", reply.status))
}

/// The requests of a command line, and what becomes of them.
///
/// # Errors
/// The line cannot be read.
pub fn line(
    config: &Config,
    world: &dyn Knows,
    caller: &Caller,
    text: &str,
    file: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Answers, LineError> {
    let setting = crate::lines::Setting { config, job: &caller.job, token: &caller.secret, file };
    Ok(answers(config, world, caller, &crate::lines::line(text, &setting)?))
}
