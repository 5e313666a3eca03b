//! What is asked of the forge: facts, the list of ended jobs, and what it is told of itself. Nothing here knows a request.

mod departures;
mod errands;
mod flights;
mod following;
mod landing;
mod throttle;
mod versions;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use policy::Config;
use policy::lookup::Call;
use policy::request::TraceContext;

pub(crate) use errands::Errands;
pub(crate) use flights::{Flights, Urgency};
pub(crate) use following::Following;
pub(crate) use landing::Found;
pub(crate) use versions::Versions;

use crate::host::{Host, Level};
use crate::journal;

/// Sends one call, and with it what ties it to the request that led to it; `None` when the host would not.
fn send(host: &impl Host, config: &Config, call: &Call, context: &TraceContext, timeout: Duration) -> Option<u32> {
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
    match host.call(&config.lookup.cluster, headers, &call.body, timeout) {
        Ok(number) => Some(number),
        Err(error) => {
            let detail = format_args!("`{}`, {error}", config.lookup.cluster);
            journal::note(host, Level::Error, "the lookup cluster cannot be called", detail);
            None
        }
    }
}

/// A number that nobody foresees who does not know the seed.
pub(crate) fn chance(seed: u64, of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, of).hash(&mut hasher);
    hasher.finish()
}
