//! What ties a request to others for who watches them: the fields that the calls carry on which it leads to.

use alloc::string::String;
use alloc::vec::Vec;

use super::bare::holds;
use super::head::{Head, Times};
use super::token;
use crate::facts::Secret;

/// The longest `x-request-id`: several times what proxies make.
const LONGEST_ID: usize = 128;

/// The longest `tracestate`: what W3C Trace Context has everybody carry on.
const LONGEST_STATE: usize = 512;

/// Fields of a request's head that calls carry on. Whoever sends the request writes them, so they are taken only in the form
/// that they must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext(Vec<(&'static str, String)>);

impl TraceContext {
    /// That of what no request leads to.
    pub const NONE: Self = Self(Vec::new());

    /// What a head has of it. A field that stands twice, has another form, or holds a job's token or this one is left out.
    #[must_use]
    pub fn of(head: &Head<'_>, token: &Secret) -> Self {
        let field = |name: &'static str, is_well_formed: fn(&[u8]) -> bool| match head.times(name) {
            Times::Once(value) if is_well_formed(value) && !token::may_hold(value) && !holds(value, token) => {
                core::str::from_utf8(value).ok().map(|value| (name, String::from(value)))
            }
            Times::Once(_) | Times::Never | Times::More => None,
        };
        let parent = field("traceparent", is_parent);
        // Without its parent the state says nothing.
        let state = parent.as_ref().and_then(|_| field("tracestate", is_state));
        Self([field("x-request-id", is_id), parent, state].into_iter().flatten().collect())
    }

    /// Names and values.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// `version-trace-parent-flags` in lower-case hexadecimal: W3C Trace Context, section 3.2.2.
fn is_parent(value: &[u8]) -> bool {
    let mut parts = value.split(|b| *b == b'-');
    let mut part = |length: usize, never: u8| {
        parts.next().is_some_and(|part| {
            part.len() == length
                && part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && part.iter().any(|b| *b != never)
        })
    };
    // No version is `ff`, and a trace or a parent of zeros is none. Flags may be any.
    let is_whole = part(2, b'f') && part(32, b'0') && part(16, b'0') && part(2, 0);
    is_whole && parts.next().is_none()
}

fn is_state(value: &[u8]) -> bool {
    (1..=LONGEST_STATE).contains(&value.len()) && value.iter().all(|b| matches!(b, b' '..=b'~'))
}

fn is_id(value: &[u8]) -> bool {
    // With commas a proxy joins what came twice.
    (1..=LONGEST_ID).contains(&value.len()) && value.iter().all(|b| b.is_ascii_graphic() && *b != b',')
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::super::head::Body;
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const TOKEN: &str = "plain-old-token";

    /// What is carried on of these fields, as `name=value`.
    fn carried(fields: &[(&str, &str)]) -> Vec<String> {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        let context = TraceContext::of(&Head::new(&fields, Body::None), &Secret::new(TOKEN.as_bytes()));
        context.fields().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn is_carried(name: &str, value: &str) -> bool {
        let found = carried(&[("traceparent", PARENT), (name, value)]);
        let alone = carried(&[(name, value)]);
        found.contains(&format!("{name}={value}")) || alone.contains(&format!("{name}={value}"))
    }

    #[test]
    fn what_is_well_formed_is_carried_on_as_it_is() {
        let fields = [("TraceParent", PARENT), ("x-request-id", "a-1"), ("tracestate", "a=1,b=2"), ("baggage", "k=v")];
        assert_eq!(carried(&fields), ["x-request-id=a-1", &format!("traceparent={PARENT}"), "tracestate=a=1,b=2"]);
        assert!(carried(&[]).is_empty());
        assert!(is_carried("x-request-id", &"a".repeat(LONGEST_ID)));
        assert!(is_carried("tracestate", &"a".repeat(LONGEST_STATE)));
        // A version that nobody knows yet, in the form of this one.
        assert!(is_carried("traceparent", &PARENT.replacen("00", "cc", 1)));
    }

    #[test]
    fn what_has_another_form_is_left_out() {
        for value in [
            "",
            "1",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replace('-', "_"),
            &format!("{PARENT}-x"),
            &format!("{PARENT} "),
            &PARENT[..54],
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert!(carried(&[("traceparent", value), ("tracestate", "a=1")]).is_empty(), "{value}");
        }
        for value in ["", "a b", "a,b", "a\r\nprivate-token: x", "\u{e4}", "a\0", &"a".repeat(LONGEST_ID + 1)] {
            assert!(!is_carried("x-request-id", value), "{value:?}");
        }
        for value in ["", "a=1\r\nsudo: root", "a=\u{e4}", "a=\t", &"a".repeat(LONGEST_STATE + 1)] {
            assert!(!is_carried("tracestate", value), "{value:?}");
        }
    }

    #[test]
    fn of_what_stands_twice_nothing_is_carried_on() {
        assert!(carried(&[("x-request-id", "a"), ("X-Request-Id", "a")]).is_empty());
        assert!(carried(&[("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1")]).is_empty());
        assert_eq!(carried(&[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=1")]).len(), 1);
    }

    #[test]
    fn no_jobs_token_is_carried_on() {
        for secret in ["glcbt-64_0123456789abcdefghij", "eyJhbGciOiJSUzI1NiJ9.eyJqb2IiOjF9.c2ln", TOKEN] {
            assert!(!is_carried("x-request-id", secret), "{secret}");
            assert!(!is_carried("x-request-id", &format!("request-{secret}-1")), "{secret}");
            assert!(!is_carried("tracestate", &format!("a={secret}")), "{secret}");
        }
        // A token of another forge may look like anything.
        let fields: [(&[u8], &[u8]); 1] = [(b"traceparent", PARENT.as_bytes())];
        let token = Secret::new(&PARENT.as_bytes()[3..35]);
        assert_eq!(TraceContext::of(&Head::new(&fields, Body::None), &token), TraceContext::NONE);
    }
}
