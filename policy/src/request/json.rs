//! A JSON object, read strictly: UTF-8, no comments, no trailing bytes, no key twice at the top and not too many there.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::malformed::Malformed;

const TWICE: &str = "key stands twice";

/// More members than this are nobody's request.
const MEMBERS_LIMIT: usize = 1024;

struct Object<V>(Vec<(String, V)>);

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
                let mut known: BTreeSet<String> = BTreeSet::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    // Some servers read keys without regard to case, so two that differ in case alone are two readings.
                    if !known.insert(name.to_ascii_lowercase()) {
                        return Err(A::Error::custom(TWICE));
                    }
                    if members.len() >= MEMBERS_LIMIT {
                        return Err(A::Error::custom("too many members"));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A value as far as it is a parameter: of what is no text nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Said(String),
    Null,
    /// A list, an object, a number, true or false.
    Other,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

/// Numbers and truths.
macro_rules! visit_other {
    ($($visit:ident $kind:ty)*) => {
        $(fn $visit<E: Error>(self, _: $kind) -> Result<Self::Value, E> { Ok(Self::Value::OTHER) })*
    };
}

impl Text {
    const OTHER: Self = Self::Other;
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    visit_other! { visit_bool bool visit_i64 i64 visit_u64 u64 visit_f64 f64 }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::Said(text.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Text, A::Error> {
        SkipVisitor.visit_seq(seq).map(|Skip| Text::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        SkipVisitor.visit_map(map).map(|Skip| Text::Other)
    }
}

/// A value of which nothing is kept, read no less strictly than one that is. The parser bounds its depth.
struct Skip;

impl Skip {
    const OTHER: Self = Self;
}

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SkipVisitor)
    }
}

struct SkipVisitor;

impl<'de> Visitor<'de> for SkipVisitor {
    type Value = Skip;

    visit_other! { visit_bool bool visit_i64 i64 visit_u64 u64 visit_f64 f64 visit_str &str }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Skip, E> {
        Ok(Skip)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Skip, A::Error> {
        while seq.next_element::<Skip>()?.is_some() {}
        Ok(Skip)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skip, A::Error> {
        while map.next_entry::<Skip, Skip>()?.is_some() {}
        Ok(Skip)
    }
}

/// The members of a body in their order, and of each what is a parameter. No tree is built of it.
pub(crate) fn texts(body: &[u8]) -> Result<Vec<(String, Text)>, Malformed> {
    members(body)
}

/// The members of a JSON object in their order, whole: of what is as short as a field of a head.
pub(crate) fn object(body: &[u8]) -> Result<Vec<(String, Value)>, Malformed> {
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
        let deep = |depth: usize| std::format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let (deepest, too_deep) = (deep(126), deep(127));
        for body in [
            &br#"{"a":"x\u0041","b":null,"c":[1,{"d":-1.5e3}],"e":true}"#[..],
            br#"{"a":1,"\u0061":2}"#,
            br#"{"a":[1e999]}"#,
            br#"{"a":["\ud800"]}"#,
            br#"{"a":{"b":"\x"}}"#,
            br#"{"a":{"b":1,"b":2}}"#,
            br#"{"a":{1:2}}"#,
            b"{\"a\":[\"\xff\"]}",
            b"{\"a\":[\"\n\"]}",
            b"[]",
            b"{}x",
            deepest.as_bytes(),
            too_deep.as_bytes(),
        ] {
            let whole = object(body).map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| match value {
                        Value::String(text) => (name, Text::Said(text)),
                        Value::Null => (name, Text::Null),
                        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => (name, Text::Other),
                    })
                    .collect()
            });
            assert_eq!(texts(body), whole, "{}", body.escape_ascii());
        }
        assert_eq!((texts(deepest.as_bytes()).is_ok(), texts(too_deep.as_bytes())), (true, Err(Malformed::JsonSyntax)));
    }

    #[test]
    fn one_reading_or_none() {
        assert_eq!(object(br#"{"a": 1, "b": "x"}"#).unwrap().len(), 2);
        assert_eq!(object(br#"{"a": 1, "A": 2}"#), Err(Malformed::JsonDuplicateKey));
        assert_eq!(object(br#"{"a": 1, "\u0061": 2}"#), Err(Malformed::JsonDuplicateKey));
        let of = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| std::format!("\"{n}\":0")).collect();
            object(std::format!("{{{}}}", members.join(",")).as_bytes()).map(|members| members.len())
        };
        assert_eq!((of(MEMBERS_LIMIT), of(MEMBERS_LIMIT + 1)), (Ok(MEMBERS_LIMIT), Err(Malformed::JsonSyntax)));
        for bad in [&b""[..], b"[]", b"{} x", b"{/**/}", b"{\"a\":1,}", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}"] {
            assert_eq!(object(bad), Err(Malformed::JsonSyntax), "{bad:?}");
        }
    }
}
