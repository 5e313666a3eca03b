//! The access log, as `docs/log.md` describes it: one JSON object a line.

pub mod answer;
pub mod explain;
pub mod replay;
pub mod suggest;
pub mod unused;

use std::io::{BufRead, Read, Result};

use serde::Deserialize;
use serde_json::Value;

/// What is longer is no line of this log: its account has at most 32 KiB, which are escaped once more.
const LONGEST: u64 = 1 << 20;

/// A line: what is said of one request. `-` stands for what there is none of; all are empty for what is not a job's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Line {
    #[serde(deserialize_with = "text")]
    start_time: String,
    #[serde(deserialize_with = "text")]
    job: String,
    #[serde(deserialize_with = "text")]
    user: String,
    #[serde(deserialize_with = "text")]
    origin: String,
    #[serde(deserialize_with = "text")]
    target: String,
    #[serde(deserialize_with = "text")]
    action: String,
    #[serde(deserialize_with = "text")]
    verdict: String,
    #[serde(deserialize_with = "text")]
    reason: String,
    #[serde(deserialize_with = "text")]
    rule: String,
    #[serde(deserialize_with = "text")]
    decision: String,
    #[serde(deserialize_with = "text")]
    why: String,
}

/// What a line has where all of a decision is one property.
#[derive(Deserialize)]
struct Held {
    #[serde(default)]
    jobscope: Option<Property>,
}

/// The property as Envoy's `TYPED` writes it, with its type beside it, or by itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Property {
    Typed { value: Line },
    Plain(Line),
}

/// A text, empty for null.
fn text<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Line {
    /// Reads a line, whose fields stand in it or, with `log.form: struct`, in its `jobscope`; `None` for a damaged one.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        // An array would be read as the fields in their order.
        let read: Self = line.trim_ascii().starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()?;
        if read.is_decision() {
            return Some(read);
        }
        let Held { jobscope } = serde_json::from_slice(line).ok()?;
        Some(match jobscope {
            None => read,
            Some(Property::Typed { value } | Property::Plain(value)) => Self { start_time: read.start_time, ..value },
        })
    }

    /// Whether it tells of a decision on a job's request.
    #[must_use]
    pub fn is_decision(&self) -> bool {
        ["allow", "deny", "observe-deny"].contains(&&*self.verdict)
    }

    /// The number of the decision.
    #[must_use]
    pub fn decision(&self) -> &str {
        &self.decision
    }

    /// The account of the decision; null where there is none, or what is there cannot be read.
    #[must_use]
    pub fn account(&self) -> Value {
        serde_json::from_str(&self.why).unwrap_or_default()
    }
}

/// How many lines were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that tell of a decision.
    pub decisions: u64,
    /// Those that are no lines of this log: cut off, binary, too long.
    pub damaged: u64,
}

/// Reads a log line by line, as long as `go_on` says so, in the memory of one line. Whether it said so to the end.
///
/// # Errors
/// It cannot be read.
pub fn read(mut from: impl BufRead, counts: &mut Counts, mut go_on: impl FnMut(&Line) -> bool) -> Result<bool> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        from.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(true);
        }
        let is_whole = bytes.ends_with(b"\n") || from.fill_buf()?.is_empty();
        if !is_whole {
            from.skip_until(b'\n')?;
        }
        if bytes.trim_ascii().is_empty() && is_whole {
            continue;
        }
        match Line::parse(&bytes).filter(|_| is_whole) {
            None => counts.damaged = counts.damaged.saturating_add(1),
            Some(line) if line.is_decision() => {
                counts.decisions = counts.decisions.saturating_add(1);
                if !go_on(&line) {
                    return Ok(false);
                }
            }
            Some(_) => {}
        }
    }
}

/// A text of an object, empty where there is none.
fn member<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The objects of a list of an object.
fn members<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(log: &[u8]) -> Counts {
        let mut counts = Counts::default();
        read(log, &mut counts, |_| true).unwrap();
        counts
    }

    #[test]
    fn damaged_lines_are_counted_and_skipped() {
        let good = br#"{"verdict":"deny","why":null,"more":1}"#;
        let long = vec![b'x'; 3 << 20];
        let before: &[&[u8]] = &[b"\0\xff\x80", b"{\"verdict\":\"de", b"[1]", b"null", b"{\"verdict\":7}", &long];
        for damaged in before {
            let log = [good, *damaged, good].join(&b"\n"[..]);
            assert_eq!(counted(&log), Counts { decisions: 2, damaged: 1 }, "{}", damaged.len());
        }
        assert_eq!(counted(b"\n \n{\"verdict\":null}\r\n{\"verdict\":\"ended\"}"), Counts::default());
        assert_eq!(counted(b""), Counts::default());
    }

    #[test]
    fn a_line_is_the_same_in_each_form() {
        let fields = r#""job":"1001","user":"dana","verdict":"deny","reason":"role","why":"{\"version\":1}""#;
        let line = |text: String| Line::parse(text.as_bytes()).unwrap();
        let expected = line(format!(r#"{{"start_time":"T",{fields},"method":"GET"}}"#));
        assert!(expected.is_decision() && expected.account()["version"] == 1);
        for property in [
            format!("{{{fields}}}"),
            format!(r#"{{"@type":"type.googleapis.com/google.protobuf.Struct","value":{{{fields}}}}}"#),
        ] {
            assert_eq!(line(format!(r#"{{"start_time":"T","jobscope":{property},"job":null}}"#)), expected);
        }
        assert!(!line(r#"{"start_time":"T","jobscope":null}"#.to_owned()).is_decision());
        for damaged in
            [r#"{"jobscope":7}"#, r#"{"jobscope":"deny"}"#, r#"{"jobscope":{"verdict":7}}"#, r#"{"jobscope":[1]}"#]
        {
            assert_eq!(Line::parse(damaged.as_bytes()), None, "{damaged}");
        }
    }

    #[test]
    fn reading_ends_where_no_more_is_wanted() {
        let log = b"{\"verdict\":\"deny\"}\n".repeat(3);
        let mut counts = Counts::default();
        assert!(!read(&log[..], &mut counts, |_| false).unwrap());
        assert_eq!(counts.decisions, 1);
        assert!(read(&log[..], &mut counts, |_| true).unwrap());
    }
}
