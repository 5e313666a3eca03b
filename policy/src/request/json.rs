//! A JSON object, read strictly: UTF-8, no comments, no trailing bytes, no key twice at the top and not too many there.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::malformed::Malformed;
use super::token;
use crate::tree::Tree;

const TWICE: &str = "key stands twice";

/// More members than this are nobody's request.
const MEMBERS_LIMIT: usize = 1024;

/// The names of an object's members.
#[derive(Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// One more. Some servers read keys without regard to case, so two that differ in case alone are two readings.
    pub(crate) fn add<E: Error>(&mut self, name: &str) -> Result<(), E> {
        if !self.0.insert(name.to_ascii_lowercase()) {
            return Err(E::custom(TWICE));
        }
        if self.0.len() > MEMBERS_LIMIT {
            return Err(E::custom("too many members"));
        }
        Ok(())
    }
}

/// The members of an object, in their order.
pub(crate) struct Object<V>(pub(crate) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Object<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Object<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<V>, A::Error> {
                let mut members: Vec<(String, V)> = Vec::new();
                let mut names = Names::default();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    names.add(&name)?;
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A value as far as it is a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Said(String),
    Null,
    /// A list, an object, a number, true or false, of which nothing but the syntax was looked at.
    Other,
}

/// The longest text that is undone, as it is written.
const TEXT_LIMIT: usize = 6 * token::LIMIT;

/// The members of a body in their order, and of each what is a parameter. Of what is deeper nothing
/// is kept, and however deep it is takes no stack.
pub(crate) fn texts(body: &[u8]) -> Result<Vec<(String, Text)>, Malformed> {
    let text = |value: &RawValue| match value.get().as_bytes().first() {
        // Longer than any that matters, with all of its letters escaped.
        Some(b'"') if value.get().len() > TEXT_LIMIT => Ok(Text::Other),
        Some(b'"') => serde_json::from_str(value.get()).map(Text::Said).map_err(|_| Malformed::JsonSyntax),
        Some(b'n') => Ok(Text::Null),
        _ => Ok(Text::Other),
    };
    written(body)?.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect()
}

/// The members of a JSON object in their order, whole: of what is as short as a field of a head.
pub(crate) fn object(body: &[u8]) -> Result<Vec<(String, Tree<'_>)>, Malformed> {
    members(body)
}

/// The same, each value as it is written.
pub(crate) fn written(body: &[u8]) -> Result<Vec<(String, &RawValue)>, Malformed> {
    members(body)
}

fn members<'de, V: Deserialize<'de>>(body: &'de [u8]) -> Result<Vec<(String, V)>, Malformed> {
    match serde_json::from_slice::<Object<V>>(body) {
        Ok(object) => Ok(object.0),
        Err(error) if alloc::string::ToString::to_string(&error).starts_with(TWICE) => Err(Malformed::JsonDuplicateKey),
        Err(_) => Err(Malformed::JsonSyntax),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_strictly_as_all_of_it() {
        for body in [
            &br#"{"a":"x\u0041","b":null,"c":[1,{"d":-1.5e3}],"e":true}"#[..],
            br#"{"a":1,"\u0061":2}"#,
            br#"{"a":"\ud800"}"#,
            br#"{"a":{"b":"\x"}}"#,
            br#"{"a":{"b":1,"b":2}}"#,
            br#"{"a":{1:2}}"#,
            br#"{"a":[01]}"#,
            b"{\"a\":[\"\xff\"]}",
            b"{\"a\":[\"\n\"]}",
            b"{\"a\":[}",
            b"[]",
            b"{}x",
        ] {
            let whole = object(body).map(|members| {
                let text = |value| match value {
                    Tree::Text(text) => Text::Said(text.into_owned()),
                    Tree::Null => Text::Null,
                    Tree::Flag(_) | Tree::Number(_) | Tree::List(_) | Tree::Object(_) => Text::Other,
                };
                members.into_iter().map(|(name, value)| (name, text(value))).collect()
            });
            assert_eq!(texts(body), whole, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn what_is_deep_takes_no_stack_and_what_is_long_is_no_token() {
        let other = || Ok(std::vec![("a".into(), Text::Other)]);
        let deep = std::format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert_eq!(texts(deep.as_bytes()), other());
        let long = std::format!("{{\"a\":\"{}\"}}", "\\u0061".repeat(token::LIMIT + 1));
        assert_eq!(texts(long.as_bytes()), other());
    }

    #[test]
    fn one_reading_or_none() {
        assert_eq!(object(br#"{"a": 1, "b": "x"}"#).unwrap().len(), 2);
        assert_eq!(object(br#"{"a": 1, "A": 2}"#).map(drop), Err(Malformed::JsonDuplicateKey));
        assert_eq!(object(br#"{"a": 1, "\u0061": 2}"#).map(drop), Err(Malformed::JsonDuplicateKey));
        let of = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| std::format!("\"{n}\":0")).collect();
            object(std::format!("{{{}}}", members.join(",")).as_bytes()).map(|members| members.len())
        };
        assert_eq!((of(MEMBERS_LIMIT), of(MEMBERS_LIMIT + 1)), (Ok(MEMBERS_LIMIT), Err(Malformed::JsonSyntax)));
        for bad in [&b""[..], b"[]", b"{} x", b"{/**/}", b"{\"a\":1,}", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}"] {
            assert_eq!(object(bad).map(drop), Err(Malformed::JsonSyntax), "{bad:?}");
        }
    }
}
