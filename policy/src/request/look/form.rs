//! A form as it passes. Any bytes are one to somebody: pairs between `&` and `;`, percent-encoded.

use memchr::memchr2;

use super::decoded::Percent;
use super::words::{Counts, Meaning, Name, Words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    counts: Counts,
    place: Place,
    percent: Percent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Name(Name),
    Value(Meaning, Words),
}

impl Form {
    pub(super) fn new(counts: Counts) -> Self {
        Self { counts, place: Place::Name(Name::new()), percent: Percent::None }
    }

    /// Whether a job's token stands in this piece, or ends in it.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            if matches!(byte, b'&' | b';') {
                *self = Self::new(self.counts);
                continue;
            }
            match &mut self.place {
                Place::Name(name) if *byte == b'=' => {
                    let meaning = name.meaning(self.counts);
                    self.percent = Percent::None;
                    self.place = Place::Value(meaning, Words::new());
                }
                Place::Name(name) => {
                    if let Some(byte) = decoded(&mut self.percent, *byte) {
                        name.push(byte);
                    }
                }
                Place::Value(Meaning::Nothing, _) => {
                    rest = memchr2(b'&', b';', rest).and_then(|end| rest.get(end..)).unwrap_or_default();
                }
                Place::Value(meaning, words) => {
                    if let Some(byte) = decoded(&mut self.percent, *byte)
                        && meaning.is_met(words.push(byte))
                    {
                        return true;
                    }
                }
            }
        }
        false
    }
}

fn decoded(percent: &mut Percent, byte: u8) -> Option<u8> {
    percent.next(if byte == b'+' { b' ' } else { byte })
}
