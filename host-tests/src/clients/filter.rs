//! A row, read by the compiled filter in the test host.

use anyhow::{Result, anyhow};

use super::message::{TOKEN, basic, registry_jwt, shows_registry_jwt};
use super::run::Seen;
use super::world::{HOST, World};
use crate::host::{Answer, Callout, Filter, Host, Options, Outcome, RequestHead};
use crate::hostile::message::Message;

/// What becomes of a message.
///
/// # Errors
/// The filter does not start.
pub(super) fn seen(filter: &Filter, world: &World, message: &Message) -> Result<Seen> {
    let options = Options {
        configuration: world.configuration().into_bytes(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
        buffer_limit: 2 << 20,
        ..Options::default()
    };
    let mut host = Host::start(filter, options.cluster("lookup"))
        .map_err(|error| anyhow!("the filter does not start: {:?}", error.logs()))?;
    let lookups = |call: &Callout| {
        let (status, body) = world.answer(&call.path(), &call.body);
        Answer::json(status, body)
    };
    if shows_registry_jwt(message) {
        // Where it comes from: only one that was seen being made is a job's.
        let login =
            RequestHead::new("GET", HOST, "/jwt/auth?service=container_registry").header("authorization", basic(TOKEN));
        let stream = host.send(0, login, lookups);
        let token = format!(r#"{{"token": "{}"}}"#, registry_jwt());
        host.respond(stream, 200, &[("content-type", "application/json")], token);
        host.close(stream);
    }
    let stream = host.send(0, message.request(), lookups);
    let properties = host.properties(stream);
    let property = |name: &str| properties.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let action = property("jobscope_action").unwrap_or_default();
    let seen = match host.outcome(stream) {
        Outcome::Forwarded { headers, .. } if properties.is_empty() && headers == message.fields() => Seen::Untouched,
        Outcome::Forwarded { headers, .. } => {
            let has_token = headers.iter().any(|(name, _)| name == b"authorization");
            match property("jobscope_verdict").as_deref() {
                Some("allow") => Seen::Forwarded(action),
                Some("deny") if !has_token => Seen::Stripped(property("jobscope_reason").unwrap_or_default()),
                other => Seen::Broken(format!("forwarded as {other:?} with {headers:?}")),
            }
        }
        Outcome::Replied(reply) => {
            let status = u16::try_from(reply.status).unwrap_or_default();
            Seen::Refused { status, reason: property("jobscope_reason").unwrap_or(reply.details) }
        }
        other => Seen::Broken(format!("{other:?}")),
    };
    let hazards = host.hazards();
    Ok(if hazards.is_empty() { seen } else { Seen::Broken(hazards.join("; ")) })
}
