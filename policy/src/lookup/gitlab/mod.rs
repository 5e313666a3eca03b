//! Facts from GitLab's own API: about the job with the job's token, everything else with the service account's.
//!
//! Source: GitLab's REST documentation of jobs, projects, members, users, settings and the CI/CD job token scope, and its
//! GraphQL reference of the same scope, which alone tells what an allowlist entry grants.

mod draft;
mod graphql;
mod holders;
mod target;
mod token;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

use holders::HoldersFlight;
use target::TargetFlight;
use token::TokenFlight;

use super::answer::{Answer, Fields, Said};
use super::source::{Course, Source, begun, grounded};
use super::{Account, Call, Fact, Principal, Progress, Recall};
use crate::Config;
use crate::access::TargetRef;
use crate::facts::{Day, Secret, Version};
use crate::failure::Failure;
use crate::tree::Tree;

/// More pages than this nobody's allowlist has (GitLab allows 200 entries a direction).
const PAGES: usize = 10;

/// Whose token a call carries, by the header field that carries it.
const JOB: &str = "job-token";
const SERVICE_ACCOUNT: &str = "private-token";

/// GitLab itself.
#[derive(Debug)]
pub(super) struct Gitlab;

impl Source for Gitlab {
    /// GitLab says what is so now.
    fn start(
        &self,
        _max_age: Duration,
        config: &Config,
        account: Option<&Account>,
        fact: Fact,
        recall: Recall<'_>,
    ) -> (Box<dyn Course>, Progress) {
        match (fact, account) {
            (Fact::Token(token), _) => begun(TokenFlight::start(config, account, &token)),
            (Fact::Target(..), None) => grounded(),
            (Fact::Target(_, TargetRef::Held(holding)), Some(account)) => {
                begun(HoldersFlight::start(config, account, holding))
            }
            (Fact::Target(job, target), Some(account)) => {
                begun(TargetFlight::start(config, account, job, target, recall))
            }
        }
    }

    fn ask_version(&self, config: &Config, account: &Account) -> Call {
        get(&config.forge.relative_url_root, "/version", account)
    }

    fn read_version(&self, answer: &Answer<'_>) -> Result<Version, Failure> {
        match answer.said()? {
            Said::Yes(body) => Fields::of(&body)?.version("version"),
            Said::Unauthorized | Said::Forbidden => Err(Failure::LookupRights),
            Said::NotFound | Said::Moved(_) => Err(Failure::LookupAnswer),
        }
    }

    fn ask_expiry(&self, config: &Config, account: &Account) -> Option<Call> {
        Some(get(&config.forge.relative_url_root, "/personal_access_tokens/self", account))
    }

    fn read_expiry(&self, answer: &Answer<'_>) -> Result<Option<Day>, Failure> {
        let body = match answer.said()? {
            Said::Yes(body) => body,
            Said::Unauthorized => return Err(Failure::LookupRights),
            // A forge before 15.5, or a token of another kind.
            Said::Forbidden | Said::NotFound => return Ok(None),
            Said::Moved(_) => return Err(Failure::LookupAnswer),
        };
        match body.get("expires_at") {
            Some(Tree::Null) => Ok(None),
            Some(Tree::Text(day)) => Day::parse(day).map(Some).ok_or(Failure::LookupAnswer),
            _ => Err(Failure::LookupAnswer),
        }
    }
}

/// A question in the service account's name.
fn get(root: &str, path: &str, account: &Account) -> Call {
    question(root, path, Principal::ServiceAccount, account.field(SERVICE_ACCOUNT, b""))
}

/// A question in a job's name, with its own token and no other.
fn get_as_job(root: &str, path: &str, token: &Secret) -> Call {
    question(root, path, Principal::Job, Some((JOB, token.expose().to_vec())))
}

fn question(root: &str, path: &str, principal: Principal, credential: Option<(&'static str, Vec<u8>)>) -> Call {
    let headers = [("accept", b"application/json".to_vec())].into_iter().chain(credential).collect();
    Call { principal, method: "GET", path: [root, "/api/v4", path].concat(), headers, body: Vec::new() }
}

/// The path of an address below the forge's root, without its first slash.
fn path_of<'a>(address: &'a str, root: &str) -> Option<&'a str> {
    let (_, rest) = address.split_once("://")?;
    let at = rest.find('/')?;
    rest.get(at..)?.strip_prefix(root)?.strip_prefix('/')
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}
