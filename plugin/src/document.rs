//! The configuration document as the host hands it over.
//!
//! Envoy passes a `google.protobuf.StringValue` on as its text, and a `google.protobuf.Struct` as the bytes of the
//! message (tried with 1.40; its API comment says JSON). Both are accepted, and both become JSON.

use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

/// The document as JSON. What is neither JSON nor a `Struct` is handed on as it is, for the error that it deserves.
pub(crate) fn json(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() || serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
        return bytes;
    }
    match Struct::decode(bytes.as_slice()) {
        Ok(message) => serde_json::Value::Object(members(message)).to_string().into_bytes(),
        Err(_) => bytes,
    }
}

fn members(message: Struct) -> serde_json::Map<String, serde_json::Value> {
    message.fields.into_iter().map(|(name, value)| (name, plain(value))).collect()
}

/// The message's depth is bounded: decoding stops at a hundred levels.
fn plain(value: Value) -> serde_json::Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        // Every number of a `Struct` is a double; what JSON cannot write is no number.
        Some(Kind::NumberValue(number)) => {
            serde_json::Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number)
        }
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::StructValue(message)) => members(message).into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(plain).collect::<Vec<_>>().into(),
    }
}
