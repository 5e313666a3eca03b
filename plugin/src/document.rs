//! The configuration document as the host hands it over.
//!
//! Envoy passes a `google.protobuf.StringValue` on as its text, and a `google.protobuf.Struct` as the bytes of the
//! message (tried with 1.40; its API comment says JSON). Both are accepted, and both become JSON.

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_core::de::IgnoredAny;
use serde_core::ser::{Serialize, Serializer};

/// The document as JSON. What is neither JSON nor a `Struct` is handed on as it is, for the error that it deserves.
pub(crate) fn json(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() || serde_json::from_slice::<IgnoredAny>(&bytes).is_ok() {
        return bytes;
    }
    // Access rules are many: what was written anew is as large as what came, and both are large.
    let mut text = Vec::with_capacity(bytes.len());
    match Struct::decode(bytes.as_slice()).map(|message| serde_json::to_writer(&mut text, &Members(&message))) {
        Ok(Ok(())) => text,
        Ok(Err(_)) | Err(_) => bytes,
    }
}

struct Members<'a>(&'a Struct);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.fields.iter().map(|(name, value)| (name, Plain(value))))
    }
}

/// The message's depth is bounded: decoding stops at a hundred levels.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            // Every number of a `Struct` is a double; what JSON cannot write becomes null.
            Some(Kind::NumberValue(number)) => serializer.serialize_f64(*number),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::BoolValue(flag)) => serializer.serialize_bool(*flag),
            Some(Kind::StructValue(message)) => Members(message).serialize(serializer),
            Some(Kind::ListValue(list)) => serializer.collect_seq(list.values.iter().map(Plain)),
        }
    }
}
