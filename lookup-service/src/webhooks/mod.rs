//! What forges and CIs report by themselves, with a secret that both sides know: a file for each sender.
//!
//! An end is taken at its word, without asking: what is final at the forge is final for good, since a job that is run again has
//! another number, and a wrong end lets nothing through. Asking would cost the call that the report spares. Reports come late, twice, in
//! any order or not at all; none of them makes a job run, and none makes a fact hold: what is said to have changed is forgotten,
//! and looked up. So how old one is needs no look, and one that is sent again says what is still true.

pub mod buildkite;
pub mod github;
pub mod gitlab;

use axum::http::HeaderMap;

use crate::place::Malformed;
use crate::subject::Subject;

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// The query of its address.
    pub query: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// What a report tells, where `J` names a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<J> {
    /// A job is over.
    Ended(J),
    /// These changed.
    Changed(Vec<Subject>),
    /// Nothing that matters.
    Nothing,
}

impl<J> Event<J> {
    /// The same, where a job is named otherwise.
    pub fn named<K>(self, name: impl FnOnce(J) -> K) -> Event<K> {
        match self {
            Self::Ended(job) => Event::Ended(name(job)),
            Self::Changed(subjects) => Event::Changed(subjects),
            Self::Nothing => Event::Nothing,
        }
    }
}

/// Why something is no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It has none of the secrets, or there are none.
    Unauthorized,
    /// It is none that its sender makes.
    Malformed(Malformed),
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl<'a> Delivery<'a> {
    /// A header field that is there once.
    fn field(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.headers.get_all(name).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return None };
        field.to_str().ok()
    }
}

/// The bytes of hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = hex.as_bytes().iter().map(digit).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    use super::*;

    pub(crate) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        fields.iter().map(field).for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    pub(crate) fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }

    pub(crate) fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digits_in_pairs_are_bytes_and_nothing_else_is() {
        assert_eq!(bytes("00fF"), Some(vec![0, 255]));
        for bad in ["7", "75710", "zz", "7é"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
