//! The head of a request as bytes.

use super::bearer::{Bearer, Extent};
use super::malformed::Malformed;

/// The largest body that is ever read.
pub const BODY_LIMIT: usize = 1 << 20;

/// What the names of fields begin with that are ours to set, and those that Envoy sets for us.
const OURS: [&[u8]; 2] = [b"x-jobscope-", b":jobscope-"];

/// The head of a request: fields as the host gives them, pseudo-headers among them. Names are compared without
/// case: not every host folds them.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    fields: &'a [(&'a [u8], &'a [u8])],
    body: Body,
    known: Known<'a>,
}

/// One value of a head, and what was told of it before.
type Known<'a> = Option<(&'a [u8], Option<Extent>)>;

/// Whether a body follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// The request ends with its head.
    None,
    /// Bytes follow, whatever `content-length` says.
    Follows,
}

/// How often a field stands in a head.
#[derive(Default)]
pub(crate) enum Times<'a> {
    #[default]
    Never,
    Once(&'a [u8]),
    More,
}

impl<'a> Times<'a> {
    /// It stands there once more, with this value.
    pub(crate) fn count(&mut self, value: &'a [u8]) {
        *self = if matches!(self, Self::Never) { Self::Once(value) } else { Self::More };
    }
}

impl<'a> Head<'a> {
    /// A head of these fields.
    #[must_use]
    pub fn new(fields: &'a [(&'a [u8], &'a [u8])], body: Body) -> Self {
        Self { fields, body, known: None }
    }

    /// The same, where it is known what [`Extent::of`] tells of one of its values.
    pub(crate) fn knowing(self, value: &'a [u8], extent: Option<Extent>) -> Self {
        Self { known: Some((value, extent)), ..self }
    }

    /// What [`Bearer::of`] tells of one of its values.
    pub(super) fn bearer(&self, value: &'a [u8]) -> Option<Bearer<'a>> {
        match self.known {
            Some((known, extent)) if core::ptr::eq(known, value) => extent?.bearer(value),
            _ => Bearer::of(value),
        }
    }

    /// Whether a body follows.
    #[must_use]
    pub fn body(&self) -> Body {
        self.body
    }

    /// Every value of one field.
    #[inline]
    pub(crate) fn all(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| *value)
    }

    /// Every field.
    pub(crate) fn fields(&self) -> &'a [(&'a [u8], &'a [u8])] {
        self.fields
    }

    /// The names of fields that are ours to set: whatever a client sends under them is removed.
    pub fn ours(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let begins =
            |name: &[u8], with: &[u8]| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        let is_ours = move |name: &[u8]| OURS.iter().any(|with| begins(name, with));
        let names = self.fields.iter().map(|(name, _)| *name).filter(move |name| is_ours(name));
        names.filter_map(|name| core::str::from_utf8(name).ok())
    }

    #[inline]
    pub(crate) fn times(&self, name: &'a str) -> Times<'a> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Times::Never,
            (Some(value), None) => Times::Once(value),
            (Some(_), Some(_)) => Times::More,
        }
    }

    /// The value of a field that may stand once.
    pub(crate) fn one(&self, name: &'a str) -> Result<Option<&'a [u8]>, Malformed> {
        match self.times(name) {
            Times::Never => Ok(None),
            Times::Once(value) => Ok(Some(value)),
            Times::More => Err(Malformed::DuplicateHeader),
        }
    }

    /// The request target, as it came.
    #[inline]
    #[must_use]
    pub fn path(&self) -> Option<&'a [u8]> {
        self.all(":path").next()
    }

    /// The method, as it came.
    #[must_use]
    pub fn method(&self) -> Option<&'a [u8]> {
        self.all(":method").next()
    }

    /// The authority, as it came.
    #[must_use]
    pub fn authority(&self) -> Option<&'a [u8]> {
        self.all(":authority").next()
    }

    /// The content type without its parameters, in lower case at most 64 bytes; `""` when there is none.
    pub(crate) fn media_type(&self) -> Result<&'a [u8], Malformed> {
        let value = self.one("content-type")?.unwrap_or(b"");
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        Ok(value.get(..end).unwrap_or(value).trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_field_is_ours_in_whatever_case_its_name_comes() {
        let names = [
            "x-jobscope-decision",
            "X-Jobscope-Decision",
            "X-JOBSCOPE-",
            ":jobscope-webhook-secret",
            "x-jobscope",
            ":path",
            "ax-jobscope-",
            "",
        ];
        let fields: Vec<(&[u8], &[u8])> = names.iter().map(|name| (name.as_bytes(), &b"1"[..])).collect();
        assert_eq!(Head::new(&fields, Body::None).ours().collect::<Vec<_>>(), names[..4]);
    }
}
