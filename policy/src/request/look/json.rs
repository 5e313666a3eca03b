//! JSON as it passes: the names at its top, and what stands under them.
//!
//! It is followed as far as it is plain. From the first byte that some reader takes in a way of its own (a comment, another
//! quote, a name without any), words count wherever they stand.

use memchr::memchr2;

use super::decoded::Escape;
use super::text::Text;
use super::words::{Counts, Meaning, Name, Words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Json {
    counts: Counts,
    /// How many brackets are open.
    depth: usize,
    /// Whether the outermost is an object's, whose members are parameters.
    is_object: bool,
    place: Place,
    escape: Escape,
    /// What the member means whose value comes or has begun.
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Between texts.
    Between(Next),
    /// In a name that matters, or may.
    Name(Name),
    /// In another text.
    Text(Words),
    /// It is not plain JSON.
    Odd(Text),
}

/// What may come between texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// At the top of the object: a name.
    Name,
    /// Behind the name: the colon, and then the value.
    Value,
    Anything,
}

impl Json {
    pub(super) fn new(counts: Counts) -> Self {
        let place = Place::Between(Next::Anything);
        Self { counts, depth: 0, is_object: false, place, escape: Escape::None, meaning: Meaning::Nothing }
    }

    /// Whether nothing of it is a parameter to anybody: it is plain, and no object.
    pub(super) fn is_no_object(&self) -> bool {
        self.depth > 0 && !self.is_object
    }

    /// Whether a job's token stands in this piece, or ends in it.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while let (Some((byte, after)), false) = (rest.split_first(), self.is_no_object()) {
            let is_in_text = match &mut self.place {
                Place::Odd(text) => return text.finds(rest),
                Place::Between(next) => {
                    let next = *next;
                    match self.between(next, *byte) {
                        Step::To(place) => self.place = place,
                        Step::Found => return true,
                        // This byte and all behind it.
                        Step::Odd => {
                            self.place = Place::Odd(Text::new(self.counts));
                            continue;
                        }
                    }
                    false
                }
                Place::Name(_) | Place::Text(_) => true,
            };
            rest = after;
            if is_in_text {
                if *byte == b'"' && self.escape != Escape::Begun {
                    self.end_text();
                } else if self.in_text(*byte) {
                    return true;
                } else if matches!(self.place, Place::Text(_))
                    && self.meaning == Meaning::Nothing
                    && self.escape == Escape::None
                {
                    rest = memchr2(b'"', b'\\', rest).and_then(|end| rest.get(end..)).unwrap_or_default();
                }
            }
        }
        false
    }

    /// Reads on in a text. Whether a token is found in it.
    fn in_text(&mut self, byte: u8) -> bool {
        let Some(byte) = self.escape.next(byte) else { return false };
        match &mut self.place {
            Place::Name(name) => {
                name.push(byte);
                false
            }
            Place::Text(words) if self.meaning != Meaning::Nothing => self.meaning.is_met(words.push(byte)),
            Place::Text(_) | Place::Between(_) | Place::Odd(_) => false,
        }
    }

    fn end_text(&mut self) {
        self.escape = Escape::None;
        let next = match &self.place {
            Place::Name(name) => {
                self.meaning = name.meaning(self.counts);
                Next::Value
            }
            Place::Text(_) | Place::Between(_) | Place::Odd(_) => Next::Anything,
        };
        self.place = Place::Between(next);
    }

    /// Reads on between texts.
    fn between(&mut self, next: Next, byte: u8) -> Step {
        let is_top = self.depth == 1 && self.is_object;
        let to = |next| Step::To(Place::Between(next));
        match (byte, next) {
            (b' ' | b'\t' | b'\r' | b'\n', next) => to(next),
            (b'"', Next::Name) => Step::To(Place::Name(Name::new())),
            (b'"', _) => Step::To(Place::Text(Words::new())),
            (b':', Next::Value) => to(Next::Value),
            (b'}' | b']', _) => {
                self.depth = self.depth.saturating_sub(1);
                to(Next::Anything)
            }
            (_, Next::Name) => Step::Odd,
            // Whatever is made of a list of tokens, or of a number.
            (b'{' | b'[', Next::Value) if self.meaning == Meaning::Token => Step::Found,
            (b'0'..=b'9' | b'-' | b't' | b'f', Next::Value) if self.meaning == Meaning::Token => Step::Found,
            (b'{' | b'[', _) => {
                if self.depth == 0 {
                    self.is_object = byte == b'{';
                }
                self.depth = self.depth.saturating_add(1);
                to(if self.depth == 1 && self.is_object { Next::Name } else { Next::Anything })
            }
            (b',', _) if is_top => to(Next::Name),
            (b',' | b':' | b'0'..=b'9' | b'-' | b'+' | b'.' | b'a'..=b'z' | b'A'..=b'Z', _) if self.depth > 0 => {
                to(Next::Anything)
            }
            _ => Step::Odd,
        }
    }
}

enum Step {
    To(Place),
    Found,
    Odd,
}
