//! JSON as it is written: straight into the text, without a tree of values before it. Members come in the order in which
//! they are put.

use alloc::string::{String, ToString};

use serde_json::Value;

/// What stands in JSON for itself.
pub(crate) trait Json {
    /// Writes it behind what is there.
    fn write(self, text: &mut String);
}

/// A text of our own that needs no escape: most of what is written is such, and is not looked through.
#[derive(Clone, Copy)]
pub(crate) struct Word(pub(crate) &'static str);

/// The members of an object, as they are written.
pub(crate) struct Members<'a>(&'a mut String);

impl Members<'_> {
    /// One member more.
    pub(crate) fn put(&mut self, name: &'static str, value: impl Json) {
        begin(name, self.0);
        value.write(self.0);
    }

    /// One more where there is something to say.
    pub(crate) fn put_known(&mut self, name: &'static str, value: Option<impl Json>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

/// A comma, but before the first of an object or a list.
fn separate(text: &mut String) {
    if !matches!(text.as_bytes().last(), Some(b'{' | b'[')) {
        text.push(',');
    }
}

/// What stands before a member's value.
#[inline(never)]
fn begin(name: &'static str, text: &mut String) {
    debug_assert!(is_plain(name), "{name}");
    separate(text);
    text.push('"');
    text.push_str(name);
    text.push_str("\":");
}

/// The text of an object.
pub(crate) fn object(members: impl FnOnce(&mut Members<'_>)) -> String {
    let mut text = String::new();
    Object(members).write(&mut text);
    text
}

/// An object of members.
pub(crate) struct Object<F>(pub(crate) F);

impl<F: FnOnce(&mut Members<'_>)> Json for Object<F> {
    fn write(self, text: &mut String) {
        text.push('{');
        (self.0)(&mut Members(text));
        text.push('}');
    }
}

/// An object of one member.
pub(crate) fn only(name: &'static str, value: impl Json) -> impl Json {
    Object(move |it: &mut Members<'_>| it.put(name, value))
}

/// A list of what comes.
pub(crate) struct List<I>(pub(crate) I);

impl<I: IntoIterator<Item: Json>> Json for List<I> {
    fn write(self, text: &mut String) {
        text.push('[');
        for item in self.0 {
            separate(text);
            item.write(text);
        }
        text.push(']');
    }
}

impl Json for Word {
    fn write(self, text: &mut String) {
        debug_assert!(is_plain(self.0), "{}", self.0);
        quote(self.0, text);
    }
}

impl Json for &str {
    fn write(self, text: &mut String) {
        if is_plain(self) {
            quote(self, text);
        } else {
            text.push_str(&Value::from(self).to_string());
        }
    }
}

/// Whether nothing in a text is written in another way: eight bytes are looked at in one.
fn is_plain(text: &str) -> bool {
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    // Not zero where a byte is below a bound of at most 128.
    let below = |eight: u64, bound: u8| eight.wrapping_sub(each(bound)) & !eight & each(0x80);
    let is_odd = |eight: &[u8; 8]| {
        let eight = u64::from_ne_bytes(*eight);
        below(eight, b' ') | below(eight ^ each(b'"'), 1) | below(eight ^ each(b'\\'), 1) != 0
    };
    !eights.iter().any(is_odd) && rest.iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\')
}

fn quote(plain: &str, text: &mut String) {
    text.push('"');
    text.push_str(plain);
    text.push('"');
}

impl Json for u64 {
    fn write(self, text: &mut String) {
        text.push_str(&self.to_string());
    }
}

/// `null` where there is none.
impl<T: Json> Json for Option<T> {
    fn write(self, text: &mut String) {
        match self {
            Some(value) => value.write(text),
            None => text.push_str("null"),
        }
    }
}

impl Json for bool {
    fn write(self, text: &mut String) {
        text.push_str(if self { "true" } else { "false" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn objects_and_lists_are_separated_however_they_stand_in_each_other() {
        let mut text = String::new();
        let inner = || Object(|one: &mut Members<'_>| one.put("b", "}{"));
        Object(|all: &mut Members<'_>| {
            all.put("a", List([inner(), inner()]));
            all.put_known("c", None::<bool>);
            all.put("d", Object(|_: &mut Members<'_>| {}));
            all.put("e", List([List([1_u64]), List([2])]));
            all.put_known("f", Some(false));
        })
        .write(&mut text);
        assert_eq!(text, r#"{"a":[{"b":"}{"},{"b":"}{"}],"d":{},"e":[[1],[2]],"f":false}"#);
    }

    proptest! {
        /// Whatever stands in one of the bytes that are looked at together, and beside it.
        #[test]
        fn what_is_plain_is_what_serde_json_leaves_as_it_is(text in "[ -~\u{0}-\u{21}\\\\\u{7e}-\u{82}]{0,40}") {
            prop_assert_eq!(is_plain(&text), serde_json::to_string(&text).unwrap() == std::format!("\"{text}\""));
        }

        #[test]
        fn texts_and_numbers_are_written_as_serde_json_writes_them(texts in any::<Vec<String>>(), number: u64) {
            let mut text = String::new();
            List(texts.iter().map(String::as_str)).write(&mut text);
            number.write(&mut text);
            prop_assert_eq!(text, serde_json::to_string(&texts).unwrap() + &number.to_string());
        }
    }
}
