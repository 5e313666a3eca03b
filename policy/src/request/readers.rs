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
//!
//! Who refuses reads nothing, and who ends early reads the beginning of what others read who go on. So two readers are
//! enough that go on to the end, with `-` and `_` and without: what either of them finds is found.

use alloc::vec::Vec;
use core::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a reader of base64 makes of the two letters of the alphabet of URLs. All else that is no letter it passes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Url {
    Skipped,
    Read,
}

impl Url {
    #[inline]
    fn letter(self, byte: u8) -> Option<u8> {
        match byte {
            b'A'..=b'Z' => byte.checked_sub(b'A'),
            b'a'..=b'z' => byte.checked_sub(b'a' - 26),
            b'0'..=b'9' => byte.checked_add(52 - b'0'),
            b'+' => Some(62),
            b'/' => Some(63),
            b'-' if self == Self::Read => Some(62),
            b'_' if self == Self::Read => Some(63),
            _ => None,
        }
    }
}

/// Decodes as one reader does. A last letter alone says nothing, and stray bits in the last group are dropped.
struct Decoder<'a> {
    text: slice::Iter<'a, u8>,
    url: Url,
    bits: u16,
    held: u8,
}

impl<'a> Decoder<'a> {
    fn new(text: &'a [u8], url: Url) -> Self {
        Self { text: text.iter(), url, bits: 0, held: 0 }
    }

    /// All of it.
    fn read(self) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(self.text.len());
        decoded.extend(self);
        decoded
    }
}

impl Iterator for Decoder<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        for byte in self.text.by_ref() {
            let Some(letter) = self.url.letter(*byte) else { continue };
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

/// Adds what some reader may decode from base64; in its plain spelling that is one text.
fn decode(text: &[u8], found: &mut Vec<Vec<u8>>) {
    if let Ok(plain) = STANDARD.decode(text) {
        return found.push(plain);
    }
    found.push(Decoder::new(text, Url::Skipped).read());
    if text.iter().any(|b| matches!(b, b'-' | b'_')) {
        found.push(Decoder::new(text, Url::Read).read());
    }
}

/// More logins than this in one field are nobody's.
const LOGINS_LIMIT: usize = 16;

/// Every login that some reader may find under Basic in an `authorization` field.
pub(super) fn logins(value: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for part in core::iter::once(value).chain(joined(value)) {
        if let Some(text) = behind_scheme(part, "basic") {
            decode(text, &mut found);
        }
    }
    found
}

/// Whether so many logins stand in a field that not all of them are worth a look.
pub(super) fn is_list(value: &[u8]) -> bool {
    joined(value).filter(|part| behind_scheme(part, "basic").is_some()).nth(LOGINS_LIMIT).is_some()
}

/// Two fields arrive joined by a comma, and who passes over foreign bytes passes over that one too.
fn joined(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').filter(|part| part.len() < value.len())
}

/// Those under any other scheme: ActionPack decodes what follows the first blank, and never looks at the word before it.
pub(super) fn logins_of_other_schemes(value: &[u8]) -> Vec<Vec<u8>> {
    let from_scheme = value.trim_ascii_start();
    let blank = from_scheme.iter().position(|b| *b <= b' ');
    let credential = blank.and_then(|at| from_scheme.get(at..)).unwrap_or_default();
    let credential = credential.trim_ascii();
    let mut found = Vec::new();
    if behind_scheme(value, "basic") != Some(credential) {
        decode(credential, &mut found);
    }
    found
}

/// Whether a Basic credential goes on behind its padding: some readers end there, and read another login.
pub(super) fn is_cut_short(credential: &[u8]) -> bool {
    let text = behind_scheme(credential, "basic").unwrap_or_default();
    let pads = text.iter().rev().take_while(|b| **b == b'=').count();
    text.iter().filter(|b| **b == b'=').count() > pads
}

/// Whether a byte is a letter of some alphabet of base64.
pub(super) fn is_letter(byte: u8) -> bool {
    Url::Read.letter(byte).is_some()
}

/// The JSON of one part of a JWT as a generous reader decodes it: in the alphabet of URLs, passing over what is no letter.
pub(super) fn decoded_part(part: &[u8]) -> impl Iterator<Item = u8> {
    Decoder::new(part, Url::Read)
}

/// A value without the blanks around it, be they Unicode's, and without the controls.
pub(super) fn without_blanks(value: &[u8]) -> &[u8] {
    match core::str::from_utf8(value) {
        Ok(text) => text.trim_matches(|c: char| c.is_whitespace() || c.is_control()).as_bytes(),
        Err(_) => value.trim_ascii(),
    }
}

/// What stands behind a scheme. Which bytes are blanks there is not one thing: to Gitea they are those of Unicode.
pub(super) fn behind_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let value = value.get(value.iter().position(u8::is_ascii_alphanumeric)?..)?;
    let end = value.iter().position(|b| !b.is_ascii_alphanumeric())?;
    let (found, rest) = value.split_at_checked(end)?;
    found.eq_ignore_ascii_case(scheme.as_bytes()).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests;
