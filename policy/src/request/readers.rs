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

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memchr2};

/// What a reader of base64 makes of the two letters of the alphabet of URLs. All else that is no letter it passes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Url {
    Skipped,
    Read,
}

/// What stands in a table for a byte that is no letter.
const NONE: u8 = 0xff;

/// The value of the last letter.
const LAST: u32 = 63;

static SKIPPED: [u8; 256] = Url::Skipped.letters();
static READ: [u8; 256] = Url::Read.letters();

impl Url {
    /// The value of each byte that is a letter.
    #[allow(
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "the compiler does it, and widens alone"
    )]
    const fn letters(self) -> [u8; 256] {
        let mut values = [NONE; 256];
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut at: u8 = 0;
        while at < 64 {
            values[letters[at as usize] as usize] = at;
            at += 1;
        }
        if matches!(self, Self::Read) {
            values[b'-' as usize] = 62;
            values[b'_' as usize] = 63;
        }
        values
    }

    #[inline]
    fn values(self) -> &'static [u8; 256] {
        match self {
            Self::Skipped => &SKIPPED,
            Self::Read => &READ,
        }
    }
}

/// The value of a byte.
#[inline]
fn value(values: &[u8; 256], byte: u8) -> u8 {
    values.get(usize::from(byte)).copied().unwrap_or(NONE)
}

/// Decodes as one reader does. A last letter alone says nothing, and stray bits in the last group are dropped.
#[derive(Clone)]
struct Decoder<'a> {
    text: &'a [u8],
    values: &'static [u8; 256],
    bits: u16,
    held: u8,
}

impl<'a> Decoder<'a> {
    fn new(text: &'a [u8], url: Url) -> Self {
        Self { text, values: url.values(), bits: 0, held: 0 }
    }

    /// The rest of a text behind what was decoded.
    fn go_on(self, text: &'a [u8], url: Url) -> Self {
        Self { text, values: url.values(), ..self }
    }

    /// All of it, group by group: nearly all letters stand in a row.
    fn read(&mut self, decoded: &mut Vec<u8>) {
        let mut written = decoded.len();
        decoded.resize(written.saturating_add(self.text.len()), 0);
        loop {
            if self.held == 0 {
                let (values, room) = (self.values, decoded.get_mut(written..).unwrap_or_default());
                let groups = self.text.as_chunks::<4>().0.iter().zip(room.as_chunks_mut::<3>().0);
                let decode = |(letters, bytes): (&[u8; 4], &mut [u8; 3])| {
                    let [a, b, c, d] = letters.map(|letter| u32::from(value(values, letter)));
                    let [_, group @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
                    *bytes = group;
                    (a | b | c | d <= LAST).then_some(())
                };
                let count = groups.map_while(decode).count();
                self.text = self.text.get(count.saturating_mul(4)..).unwrap_or_default();
                written = written.saturating_add(count.saturating_mul(3));
            }
            let Some(byte) = self.next() else { break };
            if let Some(place) = decoded.get_mut(written) {
                *place = byte;
            }
            written = written.saturating_add(1);
        }
        decoded.truncate(written);
    }
}

impl Iterator for Decoder<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        while let Some((byte, rest)) = self.text.split_first() {
            self.text = rest;
            let value = value(self.values, *byte);
            if value == NONE {
                continue;
            }
            self.bits = self.bits << 6 | u16::from(value);
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

/// Looks for the mark of a job token in base64, whatever stands between its letters: for a part of what the mark is written as,
/// `YnQt`, `Y2J0` or `NidC`, for each place in a group where it may begin. No letter of these is one of the two that readers
/// differ in.
#[derive(Clone, Copy, Default)]
struct Spelling(u8);

/// What follows one of these letters behind what was read, and what is read then. Two of them begin anew wherever they stand.
const SPELLED: [(u8, u8, u8); 9] = [
    (1, b'n', 3),
    (3, b'Q', 4),
    (4, b't', Spelling::FOUND),
    (1, b'2', 5),
    (5, b'J', 6),
    (6, b'0', Spelling::FOUND),
    (2, b'i', 7),
    (7, b'd', 8),
    (8, b'C', Spelling::FOUND),
];

static SPELLINGS: [[u8; 256]; 16] = Spelling::steps();

impl Spelling {
    const FOUND: u8 = 9;

    /// What is read then, by what was read and a byte.
    #[allow(
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "the compiler does it, and widens or stays below 256"
    )]
    const fn steps() -> [[u8; 256]; 16] {
        let letters = Url::Skipped.letters();
        let mut steps = [[0; 256]; 16];
        let mut read = 0;
        while read < steps.len() {
            let mut byte = 0;
            while byte < 256 {
                let is_kept = letters[byte] == NONE || read == Self::FOUND as usize;
                steps[read][byte] = if is_kept { read as u8 } else { 0 };
                byte += 1;
            }
            if read != Self::FOUND as usize {
                (steps[read][b'Y' as usize], steps[read][b'N' as usize]) = (1, 2);
            }
            read += 1;
        }
        let mut row = 0;
        while row < SPELLED.len() {
            let (read, letter, then) = SPELLED[row];
            steps[read as usize][letter as usize] = then;
            row += 1;
        }
        steps
    }

    fn fed(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            // The last rows are never come to; with them no step need look whether there is one.
            let steps = SPELLINGS.get(usize::from(self.0 & 15));
            self.0 = steps.and_then(|steps| steps.get(usize::from(*byte))).copied().unwrap_or(Self::FOUND);
        }
        self
    }

    fn has_found(self) -> bool {
        self.0 == Self::FOUND
    }
}

/// Whether a text may say the mark of a job token in base64.
pub(super) fn may_spell_mark(text: &[u8]) -> bool {
    // Most have no letter of those that begin it.
    let begin = memchr2(b'Y', b'N', text).and_then(|at| text.get(at..));
    begin.is_some_and(|text| Spelling::default().fed(text).has_found())
}

/// Adds what some reader may decode from base64; in its plain spelling that is one text.
fn decode(text: &[u8], found: &mut Vec<Vec<u8>>) {
    if let Ok(plain) = STANDARD.decode(text) {
        return found.push(plain);
    }
    decode_generously(text, |_, decoded| found.push(decoded.to_vec()));
}

/// Shows what each reader decodes who passes over what is no letter, and up to where it is what the one before decoded. They
/// differ from the first letter of URLs on.
fn decode_generously(text: &[u8], mut show: impl FnMut(usize, &[u8])) {
    let at = memchr2(b'-', b'_', text).unwrap_or(text.len());
    let (alike, rest) = text.split_at_checked(at).unwrap_or((text, b""));
    let mut decoder = Decoder::new(alike, Url::Skipped);
    let mut decoded = Vec::with_capacity(text.len());
    decoder.read(&mut decoded);
    let length = decoded.len();
    let urls: &[Url] = if rest.is_empty() { &[Url::Skipped] } else { &[Url::Skipped, Url::Read] };
    for url in urls {
        decoded.truncate(length);
        decoder.clone().go_on(rest, *url).read(&mut decoded);
        show(length, &decoded);
    }
}

/// Whether what some reader decodes may hold a JWT that wraps a job token.
pub(super) fn may_hide_mark(text: &[u8]) -> bool {
    let (mut alike, mut has_found) = (None, may_spell_mark(text));
    decode_generously(text, |length, decoded| {
        let (begin, rest) = decoded.split_at_checked(length).unwrap_or((decoded, b""));
        let spelling = *alike.get_or_insert_with(|| Spelling::default().fed(begin));
        has_found |= spelling.fed(rest).has_found();
    });
    has_found
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
    memchr(b',', value).into_iter().flat_map(|_| value.split(|b| *b == b','))
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
    value(&READ, byte) != NONE
}

/// Whether all bytes are letters of the alphabet of URLs, or their like in the standard one.
pub(super) fn are_letters(text: &[u8]) -> bool {
    let (rows, rest) = text.as_chunks::<8>();
    let or = |all: u8, letter: &u8| all | value(&READ, *letter);
    rows.iter().all(|row| row.iter().fold(0, or) != NONE) && rest.iter().fold(0, or) != NONE
}

/// Whether letters leave no stray bits in the last.
pub(super) fn is_even(letters: &[u8]) -> bool {
    let stray = match letters.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    letters.last().is_none_or(|last| value(&READ, *last) & stray == 0)
}

/// The JSON of one part of a JWT as a generous reader decodes it: in the alphabet of URLs, passing over what is no letter.
pub(super) fn decoded_part(part: &[u8]) -> impl Iterator<Item = u8> {
    Decoder::new(part, Url::Read)
}

/// All of it.
pub(super) fn decoded(part: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    Decoder::new(part, Url::Read).read(&mut decoded);
    decoded
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
