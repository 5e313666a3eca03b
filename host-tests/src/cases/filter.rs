//! A message, sent through the compiled filter in the test host.

use std::time::Duration;

use anyhow::{Result, anyhow};

use super::core::Lookups;
use super::message::Message;
use crate::host::{Answer, Callout, Filter, Host, Options, Outcome, Request, StreamId};

/// Longer than a filter may keep a request waiting.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends a message through a filter of its own, whose lookups are answered. The inner error says how it broke.
///
/// # Errors
/// The filter does not start.
pub(crate) fn sent(
    filter: &Filter,
    configuration: &str,
    lookups: Lookups<'_>,
    message: &Message,
) -> Result<Result<(Host, StreamId), String>> {
    sent_after(None, filter, configuration, lookups, message)
}

/// The same after a runner asked so, and got this as its job.
///
/// # Errors
/// The filter does not start.
pub(crate) fn sent_after(
    birth: Option<(Request, String)>,
    filter: &Filter,
    configuration: &str,
    lookups: Lookups<'_>,
    message: &Message,
) -> Result<Result<(Host, StreamId), String>> {
    let options = Options {
        configuration: configuration.as_bytes().to_vec(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
        ..Options::default()
    };
    let mut host = Host::start(filter, options.cluster("lookup"))
        .map_err(|error| anyhow!("the filter does not start: {:?}", error.logs()))?;
    let answer = |call: &Callout| {
        let (status, body) = lookups(&call.path(), &call.body);
        Answer::json(status, body)
    };
    if let Some((request, payload)) = birth {
        let stream = host.send(0, request, answer);
        host.respond(stream, 201, &[("content-type", "application/json")], payload);
        host.settle(answer);
    }
    let stream = host.send(0, message.request(), answer);
    if host.outcome(stream) == Outcome::Paused {
        host.advance(PATIENCE);
        let then = host.outcome(stream);
        return Ok(Err(format!("it waits, and nobody is asked; after {PATIENCE:?}: {then:?}")));
    }
    let hazards = host.hazards();
    Ok(if hazards.is_empty() { Ok((host, stream)) } else { Err(hazards.join("; ")) })
}
