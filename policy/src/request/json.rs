//! A JSON object, read strictly: UTF-8, no comments, no trailing bytes, no key twice at the top.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::malformed::Malformed;

const TWICE: &str = "key stands twice";

struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                let mut known: BTreeSet<String> = BTreeSet::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    // Some servers read keys without regard to case, so two that differ in case alone are two readings.
                    if !known.insert(name.to_ascii_lowercase()) {
                        return Err(A::Error::custom(TWICE));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The members of a JSON object in their order.
pub(crate) fn object(body: &[u8]) -> Result<Vec<(String, Value)>, Malformed> {
    match serde_json::from_slice::<Object>(body) {
        Ok(object) => Ok(object.0),
        Err(error) if alloc::string::ToString::to_string(&error).starts_with(TWICE) => Err(Malformed::JsonDuplicateKey),
        Err(_) => Err(Malformed::JsonSyntax),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_or_none() {
        assert_eq!(object(br#"{"a": 1, "b": "x"}"#).unwrap().len(), 2);
        assert_eq!(object(br#"{"a": 1, "A": 2}"#), Err(Malformed::JsonDuplicateKey));
        assert_eq!(object(br#"{"a": 1, "\u0061": 2}"#), Err(Malformed::JsonDuplicateKey));
        for bad in [&b""[..], b"[]", b"{} x", b"{/**/}", b"{\"a\":1,}", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}"] {
            assert_eq!(object(bad), Err(Malformed::JsonSyntax), "{bad:?}");
        }
    }
}
