//! What stands where something else was expected, told without a word of it: it may be a secret in the wrong place.

use serde_json::Value;

/// What an error says that it found.
#[must_use]
pub(crate) fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_u64() => "another number",
        Value::Number(_) => "another kind of number",
        Value::String(_) => "another text",
        Value::Array(_) => "another list",
        Value::Object(_) => "another object",
    }
}
