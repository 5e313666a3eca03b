//! A message, read by the compiled filter in the test host.

use std::time::Duration;

use anyhow::{Result, anyhow};

use super::core::Lookups;
use super::expected::Asked;
use super::forge::Forge;
use super::message::Message;
use super::seen::{End, Seen};
use crate::host::{Answer, Callout, Filter, Host, Options, Outcome, Request, StreamId};

/// Longer than a filter may keep a request waiting.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends a message through the filter, in the world of `forge`.
///
/// # Errors
/// The filter does not start.
pub fn seen(filter: &Filter, forge: &Forge, message: &Message) -> Result<Seen> {
    let sent = sent(filter, &forge.configuration, &|path, body| forge.answer(path, body), message)?;
    let (host, stream) = match sent {
        Ok(sent) => sent,
        Err(why) => return Ok(Seen::Broken(why)),
    };
    let properties = host.properties(stream);
    let property =
        |name: &str| properties.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let asked = || Asked::from([(notation(&property("jobscope_target")), property("jobscope_action"))]);
    Ok(match host.outcome(stream) {
        Outcome::Forwarded { headers, .. } if properties.is_empty() => {
            if headers == message.fields() {
                Seen::Passed
            } else {
                Seen::Broken("passed on, but changed".into())
            }
        }
        Outcome::Forwarded { .. } => Seen::Judged { protocol: None, asked: asked(), end: End::Forwarded },
        Outcome::Replied(reply) => {
            let status = u16::try_from(reply.status).unwrap_or_default();
            // The host answers 413 on its own when a body is larger than its buffer.
            let code = reply.details.strip_prefix("jobscope:").unwrap_or(&reply.details).to_owned();
            match property("jobscope_rule").as_str() {
                "" | "-" => Seen::Refused { status, code },
                _ => Seen::Judged { protocol: None, asked: asked(), end: End::Denied { status, code } },
            }
        }
        other => Seen::Broken(format!("{other:?}")),
    })
}

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

/// The target of a log line in the notation of the rows.
fn notation(target: &str) -> String {
    const MARKS: [(&str, &str); 6] = [
        ("by-number/", "id"),
        ("#", "id"),
        ("job #", "job"),
        ("group #", "group"),
        ("group ", "group"),
        ("namespace ", "namespace"),
    ];
    let marked = MARKS.iter().find_map(|(prefix, mark)| Some(format!("{mark}:{}", target.strip_prefix(prefix)?)));
    match target {
        "-" => "null".into(),
        _ => marked.unwrap_or_else(|| target.into()),
    }
}
