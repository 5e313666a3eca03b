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
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use holders::HoldersFlight;
use target::TargetFlight;
use token::TokenFlight;

use super::answer::{Answer, Fields, Said};
use super::source::{Course, Source, begun, grounded};
use super::{Call, Fact, Progress, Recall};
use crate::Config;
use crate::access::TargetRef;
use crate::facts::{Secret, Version};
use crate::failure::Failure;

/// More pages than this nobody's allowlist has (GitLab allows 200 entries a direction).
const PAGES: usize = 10;

/// Whose token a call carries, by the header field that carries it.
pub(super) const JOB: &str = "job-token";
const SERVICE_ACCOUNT: &str = "private-token";

/// GitLab itself.
#[derive(Debug)]
pub(super) struct Gitlab;

impl Source for Gitlab {
    fn start(
        &self,
        config: &Config,
        credential: Option<&Secret>,
        fact: Fact,
        recall: Recall<'_>,
    ) -> (Box<dyn Course>, Progress) {
        match (fact, credential) {
            (Fact::Token(token), _) => begun(TokenFlight::start(config, credential, &token)),
            (Fact::Target(..), None) => grounded(),
            (Fact::Target(_, TargetRef::Held(holding)), Some(credential)) => {
                begun(HoldersFlight::start(config, credential, holding))
            }
            (Fact::Target(job, target), Some(credential)) => {
                begun(TargetFlight::start(config, credential, job, target, recall))
            }
        }
    }

    fn ask_version(&self, config: &Config, credential: &Secret) -> Call {
        get(&config.forge.relative_url_root, "/version", SERVICE_ACCOUNT, credential)
    }

    fn read_version(&self, answer: &Answer<'_>) -> Result<Version, Failure> {
        match answer.said()? {
            Said::Yes(body) => Fields::of(&body)?.version("version"),
            Said::Unauthorized | Said::Forbidden => Err(Failure::LookupRights),
            Said::NotFound | Said::Moved(_) => Err(Failure::LookupAnswer),
        }
    }
}

fn get(root: &str, path: &str, field: &'static str, credential: &Secret) -> Call {
    let headers = vec![("accept", b"application/json".to_vec()), (field, credential.expose().to_vec())];
    Call { method: "GET", path: format!("{root}/api/v4{path}"), headers, body: Vec::new() }
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
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}
