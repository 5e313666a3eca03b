//! GitLab's Job Router: runners that find it get their jobs from the agent server, past this ingress.
//!
//! They ask where it is, once an hour. Where they are told that there is none they ask for jobs here, as others do.

use alloc::format;
use alloc::vec;

use super::Runner;
use super::start::{Remark, check, record};
use crate::Config;
use crate::config::Check;
use crate::decision::Record;
use crate::reply::{DECISION, Reply};
use crate::request::{self, Head, Reading};

/// What is recorded of a request for the router's address, and the answer where the runner is kept from it. `None` where
/// nobody minds.
#[must_use]
pub fn discovery(config: &Config, head: &Head<'_>, reading: &Reading) -> Option<(Record, Option<Reply>)> {
    let is_runners = || match reading {
        Reading::NotAJob | Reading::Passing(_) => is_asked_for(config, head),
        Reading::Job(_) | Reading::Body(_) | Reading::Refused(_) => false,
    };
    // What costs least is looked at first: this is asked of every request.
    if config.pull_policies.check == Check::Ignore || !is_runners() {
        return None;
    }
    let (verdict, reply) = match check(config, Runner::of_head(head)) {
        Check::Ignore => return None,
        Check::Observe => ("observe-deny", None),
        Check::Rewrite | Check::Refuse => ("deny", Some(reply())),
    };
    Some((Record { action: "job-router.discover", ..record(None, verdict, Remark::JobRouter) }, reply))
}

fn is_asked_for(config: &Config, head: &Head<'_>) -> bool {
    head.method() == Some(b"GET") && request::is_for(&config.forge, head, "/api/v4/runners/router/discovery")
}

/// As the forge itself answers where it has no router.
fn reply() -> Reply {
    let why = "Jobs are handed out through this ingress alone, where their pull policies are looked at";
    Reply {
        status: 501,
        headers: vec![("cache-control", "no-store"), ("content-type", "application/json")],
        retry_after: None,
        body: format!(r#"{{"message":"501 Not Implemented","error":"{why}. Decision {DECISION}."}}"#),
    }
}
