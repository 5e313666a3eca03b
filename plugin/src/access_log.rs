//! What is said of a request for the proxy's access log: each field as a property, or all of them as one.

use policy::choices::LogForm;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::host::{Host, Level};
use crate::message;

/// The one property. A field has this in front of its name where it is a property of its own.
const PROPERTY: &str = "jobscope";

/// In which form it is written.
#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    form: LogForm,
    /// The host knows what the one property holds. It is told once, however often there is another configuration.
    is_declared: bool,
}

impl AccessLog {
    /// Takes the form of a configuration. A host that takes no message gets fields, so that nothing is lost.
    pub(crate) fn begin(&mut self, host: &impl Host, form: LogForm) {
        self.form = form;
        if form == LogForm::Fields || self.is_declared {
            return;
        }
        match host.declare(PROPERTY, "google.protobuf.Struct") {
            Ok(()) => self.is_declared = true,
            Err(error) => {
                self.form = LogForm::Fields;
                host.log(Level::Warn, &format!(
                    "jobscope: `log.form: struct` cannot be had on this host, so the access log gets `fields`: {error} (where \
                     Envoy's `capability_restriction_config` lists capabilities, add `proxy_call_foreign_function`)"
                ));
            }
        }
    }

    /// Writes what is said of the request that the host acts for. What cannot be logged is carried out all the same: it is
    /// the narrower of the two.
    pub(crate) fn write<'a>(&self, host: &impl Host, fields: impl Iterator<Item = (&'static str, &'a str)>) {
        match self.form {
            LogForm::Fields => write_each(host, fields),
            LogForm::Struct => {
                let mut message = Vec::with_capacity(512);
                fields.for_each(|(name, text)| message::put_member(&mut message, member(name), text));
                let _ = host.log_property(PROPERTY, &message);
            }
        }
    }

    /// Writes more of it. What was said before stays, but for fields that are said anew.
    pub(crate) fn write_more<'a>(&self, host: &impl Host, fields: impl Iterator<Item = (&'static str, &'a str)>) {
        match self.form {
            LogForm::Fields => write_each(host, fields),
            LogForm::Struct => {
                let written = host.logged(PROPERTY).unwrap_or_default();
                let mut message = Struct::decode(&*written).unwrap_or_default();
                let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
                message.fields.extend(fields.map(|(name, said)| (member(name).to_owned(), text(said))));
                let _ = host.log_property(PROPERTY, &message.encode_to_vec());
            }
        }
    }
}

fn write_each<'a>(host: &impl Host, fields: impl Iterator<Item = (&'static str, &'a str)>) {
    for (name, text) in fields {
        let _ = host.log_property(name, text.as_bytes());
    }
}

/// The name of a field among those of the one property.
fn member(name: &str) -> &str {
    // It is not compared: each begins so.
    name.get(PROPERTY.len().saturating_add(1)..).unwrap_or(name)
}
