//! A body of which nobody knows how it is read: words count wherever they stand.

use memchr::memchr3;

use super::decoded::{Escape, Percent};
use super::until;
use super::words::{Counts, Words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    counts: Counts,
    escape: Escape,
    percent: Percent,
    words: Words,
}

impl Text {
    pub(super) fn new(counts: Counts) -> Self {
        Self { counts, escape: Escape::None, percent: Percent::None, words: Words::new() }
    }

    /// Whether a word of a job's token stands in this piece, or ends in it.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            let found = self.push(*byte);
            let is_plain = self.escape == Escape::None && self.percent == Percent::None;
            let (run, behind) = if is_plain { until(after, memchr3(b'\\', b'%', 0, after)) } else { (&b""[..], after) };
            if found || self.words.run(run) & self.counts.words() != 0 {
                return true;
            }
            rest = behind;
        }
        false
    }

    /// Whether one ends with this byte.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.escape == Escape::Begun && matches!(byte, b'b' | b'f' | b'n' | b'r' | b't') {
            // JSON's escape of a control, and within a quoted word of MIME the letter itself.
            (self.escape, self.percent) = (Escape::None, Percent::None);
            return self.words.push_either(b'\n', byte) & self.counts.words() != 0;
        }
        match self.escape.next(byte).and_then(|byte| self.percent.next(byte)) {
            // Every other byte of UTF-16 is zero.
            None | Some(0) => false,
            Some(byte) => self.words.push(byte) & self.counts.words() != 0,
        }
    }
}
