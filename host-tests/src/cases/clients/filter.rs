//! Rows, read by the compiled filter in the test host. Rows of one world meet one filter, one after the other.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};

use super::message::{TOKEN, basic, registry_jwt, shows_registry_jwt};
use super::run::Seen;
use super::world::{HOST, Name, World};
use crate::cases::message::Message;
use crate::host::{Answer, Callout, Filter, Host, Options, Outcome, RequestHead};

/// The filter in every world that was asked about so far.
pub(super) struct Filters<'a> {
    filter: &'a Filter,
    hosts: BTreeMap<Name, Host>,
}

impl<'a> Filters<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        Self { filter, hosts: BTreeMap::new() }
    }

    /// What becomes of a message.
    ///
    /// # Errors
    /// The filter does not start.
    pub(super) fn seen(&mut self, world: &World, message: &Message) -> Result<Seen> {
        let lookups = |call: &Callout| {
            let (status, body) = world.answer(&call.path(), &call.body);
            Answer::json(status, body)
        };
        if !self.hosts.contains_key(&world.name()) {
            self.hosts.insert(world.name(), start(self.filter, world)?);
        }
        let Some(host) = self.hosts.get_mut(&world.name()) else { return Err(anyhow!("no filter")) };
        if shows_registry_jwt(message) {
            // Where it comes from: only one that was seen being made is a job's.
            let login = RequestHead::new("GET", HOST, "/jwt/auth?service=container_registry");
            let stream = host.send(0, login.header("authorization", basic(TOKEN)), lookups);
            let token = format!(r#"{{"token": "{}"}}"#, registry_jwt());
            host.respond(stream, 200, &[("content-type", "application/json")], token);
            host.close(stream);
        }
        let stream = host.send(0, message.request(), lookups);
        let properties = host.properties(stream);
        let property = |name: &str| properties.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let action = property("jobscope_action").unwrap_or_default();
        let seen = match host.outcome(stream) {
            Outcome::Forwarded { headers, .. } if properties.is_empty() && headers == message.fields() => {
                Seen::Untouched
            }
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
        host.close(stream);
        let hazards = host.hazards();
        Ok(if hazards.is_empty() { seen } else { Seen::Broken(hazards.join("; ")) })
    }
}

fn start(filter: &Filter, world: &World) -> Result<Host> {
    let options = Options {
        configuration: world.configuration().into_bytes(),
        environment: vec![("LOOKUP_TOKEN".into(), "glpat-service".into())],
        buffer_limit: 2 << 20,
        ..Options::default()
    };
    Host::start(filter, options.cluster("lookup"))
        .map_err(|error| anyhow!("the filter does not start: {:?}", error.logs()))
}
