//! Facts from GitLab's own API: about the job with the job's token, everything else with the service account's.
//!
//! Source: GitLab's REST documentation of jobs, projects, members, users, settings and the CI/CD job token scope, and its
//! GraphQL reference of the same scope, which alone tells what an allowlist entry grants.

mod draft;
mod graphql;
mod holders;
mod target;
mod token;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

pub(super) use holders::HoldersFlight;
pub(super) use target::TargetFlight;
pub(super) use token::TokenFlight;

use super::Call;
use crate::facts::Secret;

/// More pages than this nobody's allowlist has (GitLab allows 200 entries a direction).
const PAGES: usize = 10;

/// Whose token a call carries, by the header field that carries it.
pub(super) const JOB: &str = "job-token";
pub(super) const SERVICE_ACCOUNT: &str = "private-token";

pub(super) fn get(root: &str, path: &str, field: &'static str, credential: &Secret) -> Call {
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
