//! JSON that somebody else wrote, as a tree. Its texts stay where they came, but for those that were escaped; so do the names of
//! members, of which a forge gives many more than are looked at.
//!
//! `serde_json::Value` is not for such: with the feature `raw_value` it takes an object with a member of a name of its own for
//! the JSON in that member's text, which nobody else does, and reads that by a parser with a depth of its own.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value. What is no JSON, or nested too deeply, is none.
#[derive(Debug, Clone)]
pub(crate) enum Tree<'a> {
    Null,
    Flag(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Tree<'a>>),
    Object(Members<'a>),
}

/// The members of an object as they came. Of two with one name the last counts.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Tree<'a>)>);

impl<'a> Tree<'a> {
    /// Reads one, and nothing behind it.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_str(core::str::from_utf8(body).ok()?).ok()
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        if let Self::Number(number) = self { number.as_u64() } else { None }
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    pub(crate) fn as_object(&self) -> Option<&Members<'a>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// A member; none of what is no object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }
}

impl<'a> Members<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&Tree<'a>> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, as they came: to look each up by its name takes longer the more there are.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, &Tree<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Tree<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Tree<'de>, E> {
                Ok(Tree::Flag(flag))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Tree<'de>, E> {
                Ok(Tree::Number(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Tree<'de>, E> {
                Ok(Tree::Number(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Tree<'de>, E> {
                Ok(Number::from_f64(number).map_or(Tree::Null, Tree::Number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(Cow::Owned(String::from(text))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    let Tree::Text(name) = name else { return Err(A::Error::custom("a name that is no text")) };
                    members.push((name, value));
                }
                Ok(Tree::Object(Members(members)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use std::vec;

    use super::*;

    /// The same as serde_json's own tree has it.
    fn value(tree: &Tree<'_>) -> Value {
        match tree {
            Tree::Null => Value::Null,
            Tree::Flag(flag) => Value::Bool(*flag),
            Tree::Number(number) => Value::Number(number.clone()),
            Tree::Text(text) => Value::String(text.clone().into_owned()),
            Tree::List(list) => list.iter().map(value).collect(),
            Tree::Object(members) => {
                members.each().map(|(name, _)| (String::from(name), value(members.get(name).unwrap()))).collect()
            }
        }
    }

    fn is_read_alike(body: &[u8]) {
        let (tree, expected) = (Tree::read(body), serde_json::from_slice(body).ok());
        assert_eq!(tree.as_ref().map(value), expected, "{:?}", String::from_utf8_lossy(body));
    }

    #[test]
    fn what_is_json_is_the_same_and_what_is_none_is_none() {
        let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        for body in [
            "",
            " ",
            "null",
            "nul",
            "[1, -1, 1.0, 1e3, 1e999, -0, 18446744073709551615, 18446744073709551616]",
            "[1e999]",
            "[01]",
            r#"{"a": 1, "b": {"a": []}, "a": "two\n\u00e9\ud83d\ude00"}"#,
            r#"{"\u0061": 1, "a": 2}"#,
            r#"["\ud800"]"#,
            r#"{"a": "\x"}"#,
            "[1,]",
            "{\"a\"}",
            "{1: 2}",
            "[\"\u{1}\"]",
            "{} {}",
            " {} \n",
            "<html>",
            &deep(127),
            &deep(128),
            &deep(200),
        ] {
            is_read_alike(body.as_bytes());
        }
        is_read_alike(b"[\"\xff\"]");
        is_read_alike(b"[]\xff");
    }

    #[test]
    fn no_name_stands_for_what_its_text_holds() {
        let name = "$serde_json::private::RawValue";
        let inner = r#"{"a":1}"#;
        let body = serde_json::to_vec(&serde_json::json!({ name: inner })).unwrap();
        assert_eq!(Tree::read(&body).unwrap().get(name).unwrap().as_str(), Some(inner));
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            serde_json::json!({"a": 1}),
            "so this would have it"
        );
    }

    proptest! {
        #[test]
        fn texts_are_read_as_serde_json_reads_them(texts in any::<Vec<String>>(), bytes in any::<Vec<u8>>()) {
            is_read_alike(serde_json::to_string(&texts).unwrap().as_bytes());
            is_read_alike(&[b"[\"", bytes.as_slice(), b"\"]"].concat());
            is_read_alike(&[vec![b'{'], bytes, vec![b'}']].concat());
        }
    }
}
