//! The readers that can stand behind us, and what each makes of bytes that do not belong in a credential.
//!
//! | reader | bytes outside the standard alphabet | `-` and `_` | `=` |
//! |---|---|---|---|
//! | Ruby's `decode64` (ActionPack, Rack, Doorkeeper) | skips | skips | ends the text in the second half of a group, else skips |
//! | Python's `b64decode` (werkzeug, giftless) | skips | skips | ends the text where it fills a group, else skips |
//! | the same from 3.15 on, PHP's `base64_decode` | skips | skips | skips |
//! | Python's `urlsafe_b64decode` (PyJWT), Ruby's jwt, Node's `Buffer` | skips | reads as `+` and `/` | as its neighbours |
//! | Go's `encoding/base64` (Gitea, Forgejo, registry) | skips line breaks, else refuses | refuses | refuses within |
//! | nginx's `ngx_decode_base64` | refuses | refuses | ends the text |
//! | decoders of joined texts (OpenSSL, coreutils) | skip or refuse | refuse | begins a new group |
//!
//! Who refuses reads nothing, and who ends early reads the beginning of what others read who go on. So those who go on
//! are enough: each way of theirs is tried, and what any of them finds is found.

use alloc::vec::Vec;
use core::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How a reader of base64 goes on where a byte is no letter of the standard alphabet.
#[derive(Debug, Clone, Copy)]
struct Way {
    url: Url,
    padding: Padding,
}

/// The two letters of the alphabet of URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Url {
    Skipped,
    Read,
}

/// A `=` before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    Skipped,
    EndsGroup,
}

const WAYS: [Way; 4] = [
    Way { url: Url::Skipped, padding: Padding::Skipped },
    Way { url: Url::Read, padding: Padding::Skipped },
    Way { url: Url::Skipped, padding: Padding::EndsGroup },
    Way { url: Url::Read, padding: Padding::EndsGroup },
];

impl Way {
    /// Whether a text can be another to this reader than to the first one.
    fn is_its_own(self, text: &[u8]) -> bool {
        (self.url == Url::Skipped || text.iter().any(|b| matches!(b, b'-' | b'_')))
            && (self.padding == Padding::Skipped || text.contains(&b'='))
    }

    fn letter(self, byte: u8) -> Option<u8> {
        match byte {
            b'A'..=b'Z' => byte.checked_sub(b'A'),
            b'a'..=b'z' => byte.checked_sub(b'a' - 26),
            b'0'..=b'9' => byte.checked_add(52 - b'0'),
            b'+' => Some(62),
            b'/' => Some(63),
            b'-' if self.url == Url::Read => Some(62),
            b'_' if self.url == Url::Read => Some(63),
            _ => None,
        }
    }
}

/// Decodes in one way. A last letter alone says nothing, and stray bits in the last group are dropped.
struct Decoder<'a> {
    text: slice::Iter<'a, u8>,
    way: Way,
    bits: u16,
    held: u8,
}

impl<'a> Decoder<'a> {
    fn new(text: &'a [u8], way: Way) -> Self {
        Self { text: text.iter(), way, bits: 0, held: 0 }
    }
}

impl Iterator for Decoder<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        for byte in self.text.by_ref() {
            let Some(letter) = self.way.letter(*byte) else {
                if *byte == b'=' && self.way.padding == Padding::EndsGroup {
                    self.held = 0;
                }
                continue;
            };
            self.bits = self.bits << 6 | u16::from(letter);
            match self.held.checked_sub(2) {
                Some(left) => {
                    self.held = left;
                    let [_, decoded] = (self.bits >> left).to_be_bytes();
                    return Some(decoded);
                }
                None => self.held = 6,
            }
        }
        None
    }
}

/// What some reader may decode from base64, in every way; in its plain spelling that is one text.
fn decoded(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let plain = STANDARD.decode(text).ok();
    let ways = if plain.is_some() { &[][..] } else { &WAYS };
    let ways = ways.iter().filter(|way| way.is_its_own(text));
    plain.into_iter().chain(ways.map(|way| Decoder::new(text, *way).collect()))
}

/// Every login that some reader may find in an `authorization` field.
pub(super) fn logins(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    // Two fields arrive joined by a comma, and who skips foreign bytes skips that one too.
    let parts = value.split(|b| *b == b',').filter(|part| part.len() < value.len());
    let credentials = core::iter::once(value).chain(parts).filter_map(|part| behind_scheme(part, "basic"));
    credentials.flat_map(decoded)
}

/// What stands behind a scheme. Which bytes are blanks there is not one thing: to Gitea they are those of Unicode.
fn behind_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let value = value.get(value.iter().position(u8::is_ascii_alphanumeric)?..)?;
    let end = value.iter().position(|b| !b.is_ascii_alphanumeric())?;
    let (found, rest) = value.split_at_checked(end)?;
    found.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests;
