//! What a runner gets of its job, as the text that it is: single members are read out of it, and the rest is passed over
//! without being built up. However deep it nests, that takes no stack.

use alloc::string::String;
use core::fmt;
use core::ops::Range;

use serde_core::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What stands in an object under some names; `None` when the text is no object, or when one of them stands twice.
///
/// Who gets the payload reads names without regard to case (Go's `encoding/json`), so two that differ in case alone are
/// one that stands twice.
pub(super) fn members<'a, const N: usize>(object: &'a str, names: [&str; N]) -> Option<[Option<&'a RawValue>; N]> {
    let mut reader = serde_json::Deserializer::from_str(object);
    let found = Members(names).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(found)
}

/// A value of one kind; `None` when it is of another.
pub(super) fn value<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Where a part that was read out of a text stands in it.
pub(super) fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    (text.get(place.clone()) == Some(part)).then_some(place)
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = map.next_key::<String>()? {
            match found.iter_mut().zip(self.0).find(|(_, wanted)| is_read_as(&name, wanted)) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some((place, _)) => {
                    if place.replace(map.next_value()?).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Whether a name is `wanted` to a reader that folds case, with the two letters beyond ASCII that fold into it.
fn is_read_as(name: &str, wanted: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(wanted.chars())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn texts(object: &str) -> Option<[Option<&str>; 2]> {
        members(object, ["token", "id"]).map(|found| found.map(|value| value.map(RawValue::get)))
    }

    #[test]
    fn a_member_is_read_as_it_stands() {
        assert_eq!(texts(r#" {"a": {"id": 2}, "id" : 1e0 , "to\u006ben":"x"} "#), Some([Some(r#""x""#), Some("1e0")]));
        assert_eq!(texts("{}"), Some([None, None]));
        assert_eq!(texts(r#"{"ID": 7}"#), Some([None, Some("7")]), "as its reader reads it");
    }

    #[test]
    fn what_is_read_in_two_ways_is_not_read() {
        for bad in [
            r#"{"id": 1, "id": 1}"#,
            r#"{"id": 1, "Id": 2}"#,
            "{\"token\": 1, \"to\u{212a}en\": 2}",
            r#"{"id": 1"#,
            r#"{"id": 1} 2"#,
            r#"{"id": 01}"#,
            "[1]",
            "",
        ] {
            assert_eq!(texts(bad), None, "{bad}");
        }
    }

    #[test]
    fn depth_takes_no_stack() {
        let deep = |open: &str, close: &str| {
            std::format!(r#"{{"a": {}1{}, "id": 1}}"#, open.repeat(200_000), close.repeat(200_000))
        };
        let found: [String; 2] = [deep("[", "]"), deep(r#"{"a":"#, "}")];
        assert!(found.iter().all(|object| texts(object) == Some([None, Some("1")])));
    }
}
