//! What is asked of the forge: facts, the list of ended jobs, and what it is told of itself. Nothing here knows a request.

mod departures;
mod ends;
mod errands;
mod expiry;
mod flights;
mod following;
mod landing;
mod question;
mod throttle;
mod versions;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use policy::Config;
use policy::config::ServiceToken;
use policy::lookup::{Call, Principal};
use policy::request::TraceContext;

pub(crate) use ends::Ends;
pub(crate) use errands::Errands;
pub(crate) use expiry::Expiries;
pub(crate) use flights::{Flights, Urgency};
pub(crate) use following::Following;
pub(crate) use landing::Found;
pub(crate) use versions::Versions;

use crate::host::{Host, Level};
use crate::setup::Setup;

/// Sends one call, and with it what ties it to the request that led to it; `None` when the host would not.
fn send<H: Host>(host: &H, setup: &Setup<H>, call: &Call, context: &TraceContext, timeout: Duration) -> Option<u32> {
    let config = &setup.config;
    let mut headers = vec![
        (":method", call.method),
        (":path", call.path.as_str()),
        (":authority", config.lookup.authority.as_str()),
        ("user-agent", "jobscope"),
    ];
    for (name, value) in &call.headers {
        headers.push((name, std::str::from_utf8(value).ok()?));
    }
    headers.extend(context.fields());
    let cluster = cluster(config, call.principal);
    match host.call(cluster, headers, &call.body, timeout) {
        Ok(number) => Some(number),
        Err(error) => {
            let detail = format_args!("`{cluster}`, {error}");
            setup.journal.note(Level::Error, "the lookup cluster cannot be called", detail);
            None
        }
    }
}

/// Where a call goes. Where Envoy adds the service account's token, it does on a cluster that no other call comes to.
fn cluster(config: &Config, principal: Principal) -> &str {
    match (principal, &config.lookup.service_token) {
        (Principal::ServiceAccount, Some(ServiceToken::Cluster(cluster))) => cluster,
        (Principal::ServiceAccount, Some(ServiceToken::Environment(_)) | None) | (Principal::Job, _) => {
            &config.lookup.cluster
        }
    }
}

/// A number that nobody foresees who does not know the seed.
pub(crate) fn chance(seed: u64, of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, of).hash(&mut hasher);
    hasher.finish()
}
