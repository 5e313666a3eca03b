//! A form as it passes. Any bytes are one to somebody: pairs between `&` and `;`, percent-encoded.

use memchr::memchr2;

use super::decoded::Percent;
use super::until;
use super::words::{Counts, Meaning, Name, Words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    counts: Counts,
    /// What the pair's value means; `None` while its name is read.
    meaning: Option<Meaning>,
    name: Name,
    value: Words,
    percent: Percent,
}

impl Form {
    pub(super) fn new(counts: Counts) -> Self {
        Self { counts, meaning: None, name: Name::new(), value: Words::new(), percent: Percent::None }
    }

    /// Whether a job's token stands in this piece, or ends in it.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        loop {
            if self.meaning == Some(Meaning::Nothing) {
                rest = until(rest, memchr2(b'&', b';', rest)).1;
            }
            let Some((byte, after)) = rest.split_first() else { return false };
            if self.push(*byte) {
                return true;
            }
            rest = after;
        }
    }

    fn push(&mut self, byte: u8) -> bool {
        match (byte, self.meaning) {
            (b'&' | b';', _) => {
                (self.meaning, self.percent) = (None, Percent::None);
                self.name.clear();
                false
            }
            (_, Some(Meaning::Nothing)) => false,
            (b'=', None) => {
                (self.meaning, self.percent) = (Some(self.name.meaning(self.counts)), Percent::None);
                self.value.clear();
                false
            }
            (_, meaning) => {
                let byte = if byte == b'+' { b' ' } else { byte };
                match (self.percent.next(byte), meaning) {
                    (None, _) => false,
                    (Some(byte), None) => {
                        self.name.push(byte);
                        false
                    }
                    (Some(byte), Some(meaning)) => meaning.is_met(self.value.push(byte)),
                }
            }
        }
    }
}
