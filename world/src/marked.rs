//! A YAML or JSON document that knows where each value stands.

use std::{fmt, slice};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter, Spanned};

/// A value, and where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys, each with its line, and their values.
    Map(Vec<(String, u64, Node)>),
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unreadable {
    /// The line, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong.
    pub text: String,
}

impl Unreadable {
    /// What a reader of YAML says.
    #[must_use]
    pub fn of(error: &serde_saphyr::Error) -> Self {
        // The message alone: the place is told beside it, and nothing draws the text around it.
        let said = DefaultMessageFormatter.format_message(error.without_snippet()).into_owned();
        let text = said.lines().next().unwrap_or_default().split(" at line ").next().unwrap_or_default().to_owned();
        Self { line: error.location().map(|place| place.line()), text }
    }
}

impl Node {
    /// The documents of a text.
    ///
    /// # Errors
    /// It is no YAML and no JSON.
    pub fn documents(text: &str) -> Result<Vec<Self>, Unreadable> {
        serde_saphyr::from_multiple(text).map_err(|error| Unreadable::of(&error))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().find(|(known, ..)| known == key).map(|(.., value)| value)
    }

    /// The value at the end of these keys.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The keys with their lines and values; none where it is no map.
    pub fn entries(&self) -> slice::Iter<'_, (String, u64, Self)> {
        let entries = if let Kind::Map(entries) = &self.kind { entries.as_slice() } else { &[] };
        entries.iter()
    }

    /// The items; none where it is no list.
    pub fn items(&self) -> slice::Iter<'_, Self> {
        let items = if let Kind::List(items) = &self.kind { items.as_slice() } else { &[] };
        items.iter()
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }

    /// Whether it is this switch.
    #[must_use]
    pub fn is(&self, wanted: bool) -> bool {
        matches!(&self.kind, Kind::Bool(is_on) if *is_on == wanted)
    }

    /// Its number, where that is a whole one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match &self.kind {
            Kind::Number(number) => number.as_u64(),
            Kind::Text(text) => text.parse().ok(),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The same without its places.
    #[must_use]
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(is_on) => Value::Bool(*is_on),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => object(&mut entries.iter().map(|(key, _, value)| (key.clone(), value.value()))),
        }
    }

    /// The line of a path such as `access.allow[2].targets`, or of what is nearest above it. An item may be named by its
    /// place or by its `id`.
    #[must_use]
    pub fn line_of(&self, path: &str) -> u64 {
        let (mut node, mut line) = (self, self.line);
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')).filter(|step| !step.is_empty()) {
            let by_key = node.entries().find(|(key, ..)| key == step).map(|(_, line, value)| (*line, value));
            let by_place = || step.parse().ok().and_then(|at| node.items().nth(at)).map(|item| (item.line, item));
            let is_named = |item: &&Self| item.get("id").and_then(Self::text) == Some(step);
            let by_name = || node.items().find(is_named).map(|item| (item.line, item));
            let Some((there, next)) = by_key.or_else(by_place).or_else(by_name) else { break };
            (node, line) = (next, there);
        }
        line
    }

    /// Every value in it and itself, outer ones first.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(
                node.entries().map(|(.., value)| value).chain(node.items()).collect::<Vec<_>>().into_iter().rev(),
            );
            Some(node)
        })
    }
}

/// The object of some members. Each kind of iterator would have it compiled once more.
pub fn object(members: &mut dyn Iterator<Item = (String, Value)>) -> Value {
    Value::Object(members.collect::<Map<_, _>>())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { line: referenced.line(), column: referenced.column(), kind: value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Number::from_f64(value).map_or(Kind::Null, Kind::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Kind::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
            all.push((key.value, key.referenced.line(), value));
        }
        Ok(Kind::Map(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a: &x\n  b: [1, -2, 1.5, yes, null, \"q\"]\n  list:\n    - id: one\n      on: true\n    - {id: two}\nc: *x\ntext: |\n  first\n  second\n";

    fn document() -> Node {
        Node::documents(TEXT).unwrap().remove(0)
    }

    #[test]
    fn each_value_knows_its_line() {
        let node = document();
        for (path, line) in [
            ("a", 1),
            ("a.b", 2),
            ("a.list[1]", 6),
            ("a.list[two].id", 6),
            ("a.list[0].on", 5),
            ("a.list[9].x", 3),
            ("", 1),
            ("text", 8),
        ] {
            assert_eq!(node.line_of(path), line, "{path}");
        }
        assert_eq!(node.at(&["c", "list"]).map(|list| list.items().count()), Some(2), "an alias is what it stands for");
        assert_eq!(node.get("text").map(|text| (text.line, text.text())), Some((9, Some("first\nsecond\n"))));
    }

    #[test]
    fn without_its_places_it_is_the_json() {
        let value =
            serde_json::json!({"b": [1, -2, 1.5, true, null, "q"], "list": [{"id": "one", "on": true}, {"id": "two"}]});
        assert_eq!(document().get("a").map(Node::value), Some(value));
        let json = r#"{"a": [1, {"b": "c"}], "d": "\u00e9"}"#;
        let read = Node::documents(json).unwrap().remove(0).value();
        assert_eq!(read, serde_json::from_str::<Value>(json).unwrap());
    }

    #[test]
    fn what_is_no_document_is_one_line() {
        for text in ["a: [", "a: b: c", "{\"a\": ", "\u{1}\u{2}"] {
            let error = Node::documents(text).unwrap_err();
            assert!(!error.text.is_empty() && !error.text.contains('\n'), "{error:?}");
        }
        assert!(Node::documents("").unwrap().is_empty());
    }
}
