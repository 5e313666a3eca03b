//! A look for a job's token in a body, as generous as any forge, while the body passes. It keeps no more of a body than a
//! name or the header of a part, whatever comes, and costs so much for each byte at most.
//!
//! What is found may be a job's; only a strict reading tells. What is not found no forge reads as one.

mod decoded;
mod form;
mod json;
mod parts;
mod text;
mod words;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use memchr::memmem;

use form::Form;
use json::Json;
use parts::Parts;
use text::Text;
pub(super) use words::Counts;

use super::head::{Head, Times};
use super::multipart;

/// Looks through one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// The ways in which it may be read; none is left when nothing can be found any more.
    readers: Vec<Reader>,
    has_found: bool,
}

#[allow(clippy::large_enum_variant, reason = "a stream has one, and it is not worth an allocation of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reader {
    Form(Form),
    /// A form to somebody, as long as it is text.
    Pairs(Form),
    Json(Json),
    /// JSON, if it begins as such.
    Untyped(Json, Begin),
    Parts(Parts),
    Text(Text),
    /// It cannot be read in this way, or nobody reads it so.
    Over,
}

impl Look {
    /// In every way in which the body of this request may be read. `None` when no forge looks for parameters in it.
    pub(super) fn of(head: &Head<'_>, counts: Counts) -> Option<Self> {
        let readers = match head.times("content-type") {
            Times::Never => untyped(head, counts),
            Times::More => Vec::from([Reader::Text(Text::new(counts))]),
            Times::Once(value) if value.trim_ascii().is_empty() => untyped(head, counts),
            Times::Once(value) => Vec::from([typed(value, counts)?]),
        };
        Some(Self { readers, has_found: false })
    }

    /// As JSON, if the body begins as such.
    pub(super) fn of_json(counts: Counts) -> Self {
        Self { readers: Vec::from([Reader::Untyped(Json::new(counts), Begin::default())]), has_found: false }
    }

    /// Looks at the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.has_found |= self.readers.iter_mut().any(|reader| reader.finds(piece));
        self.readers.retain(|reader| *reader != Reader::Over);
    }

    /// Whether a job's token may stand in what came.
    pub(super) fn has_found(&self) -> bool {
        self.has_found
    }

    /// Whether nothing that still comes can matter.
    pub(super) fn is_over(&self) -> bool {
        self.readers.is_empty()
    }
}

impl Reader {
    fn finds(&mut self, piece: &[u8]) -> bool {
        match self {
            Self::Form(form) => form.finds(piece),
            Self::Parts(parts) => parts.finds(piece),
            Self::Text(text) => text.finds(piece),
            Self::Over => false,
            Self::Pairs(form) => {
                let is_binary = |b: &u8| !b.is_ascii() || b.is_ascii_control() && !b.is_ascii_whitespace();
                let (text, binary) = until(piece, piece.iter().position(is_binary));
                let found = form.finds(text);
                if !binary.is_empty() {
                    *self = Self::Over;
                }
                found
            }
            Self::Json(json) => {
                let found = json.finds(piece);
                if json.is_list() {
                    *self = Self::Over;
                }
                found
            }
            Self::Untyped(json, begin) => {
                let (_, behind) = until(piece, piece.iter().position(|byte| !begin.has(*byte)));
                match behind.first() {
                    None => return false,
                    // An object, or a comment before it.
                    Some(b'{' | b'/') => {
                        let is_encoded = begin.is_encoded;
                        *self = Self::Json(json.clone());
                        // From a mark on it is not plain.
                        return is_encoded && self.finds(b"\0") || self.finds(behind);
                    }
                    Some(_) => *self = Self::Over,
                }
                false
            }
        }
    }
}

/// What may stand before an object: blanks, and what other encodings than UTF-8 have there. Most files that are no JSON show that
/// by their first bytes, also where those are zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Begin {
    /// Zeros in a row, of which a letter has three at most.
    zeros: u8,
    /// Bytes of a mark of the order, of which there are three at most.
    orders: u8,
    /// Whether there was one of either.
    is_encoded: bool,
}

impl Begin {
    fn has(&mut self, byte: u8) -> bool {
        let is_order = matches!(byte, 0xef | 0xbb | 0xbf | 0xfe | 0xff);
        self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        self.orders = self.orders.saturating_add(u8::from(is_order));
        self.is_encoded |= is_order || byte == 0;
        byte.is_ascii_whitespace() || (byte == 0 && self.zeros <= 3) || (is_order && self.orders <= 3)
    }
}

/// How a body of this type may be read; every multipart type is a form to Rack, and so is the first of two types that a
/// comma joins; every type with `json` in its name is JSON to Rails. To Go a capital I with a dot is an i in another case.
fn typed(content_type: &[u8], counts: Counts) -> Option<Reader> {
    let media = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let has = |part: &[u8]| memmem::find(&media, part).is_some();
    let reader = match media.as_slice() {
        b"application/x-www-form-urlencoded" => Reader::Form(Form::new(counts)),
        b"multipart/form-data" => match multipart::boundary(content_type) {
            Ok((boundary, _)) => Reader::Parts(Parts::new(&boundary, counts)),
            Err(_) => Reader::Text(Text::new(counts)),
        },
        _ if has(b"multipart") || has(b"x-www-form") || has(b",") || !media.is_ascii() => {
            Reader::Text(Text::new(counts))
        }
        _ if has(b"json") => Reader::Json(Json::new(counts)),
        _ => return None,
    };
    Some(reader)
}

/// Without a type a form is in a POST alone (Rack), and JSON where an endpoint says so (Grape).
fn untyped(head: &Head<'_>, counts: Counts) -> Vec<Reader> {
    let form = Form::new(counts);
    let form = if head.method() == Some(b"POST") { Reader::Form(form) } else { Reader::Pairs(form) };
    Vec::from([form, Reader::Untyped(Json::new(counts), Begin::default())])
}

/// What stands before the place where something was found, and what stands from there on.
fn until(bytes: &[u8], found: Option<usize>) -> (&[u8], &[u8]) {
    found.and_then(|at| bytes.split_at_checked(at)).unwrap_or((bytes, b""))
}
