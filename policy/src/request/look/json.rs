//! JSON as it passes: the names at its top, and what stands under them.
//!
//! It is followed as far as it is plain. From the first byte that some reader takes in a way of its own (a comment, another
//! quote, a name without any), words count wherever they stand.

use memchr::memchr2;

use super::decoded::Escape;
use super::text::Text;
use super::until;
use super::words::{Counts, Meaning, Name, Words};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Json {
    /// How many brackets are open.
    depth: usize,
    place: Place,
    /// What the member means whose value comes or has begun.
    meaning: Meaning,
    escape: Escape,
    name: Name,
    value: Words,
    /// What reads it where it is not plain.
    odd: Text,
    counts: Counts,
}

/// Where in it a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the top of the object: a name comes.
    BeforeName,
    /// Behind a name: the colon comes, and then the value.
    BeforeValue,
    /// Between texts, anywhere else.
    Between,
    Name,
    /// In a text that is a value that matters, or a part of one.
    Value,
    /// In another text.
    Text,
    /// Behind what is not plain.
    Odd,
    /// In a list, which holds no parameters.
    List,
}

impl Json {
    pub(super) fn new(counts: Counts) -> Self {
        Self {
            depth: 0,
            place: Place::Between,
            meaning: Meaning::Nothing,
            escape: Escape::None,
            name: Name::new(),
            value: Words::new(),
            odd: Text::new(counts),
            counts,
        }
    }

    /// Whether nothing of it is a parameter to anybody.
    pub(super) fn is_list(&self) -> bool {
        self.place == Place::List
    }

    /// Whether a job's token stands in this piece, or ends in it.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        loop {
            match self.place {
                // What does not matter is passed over.
                Place::Text if self.escape == Escape::None => rest = until(rest, memchr2(b'"', b'\\', rest)).1,
                Place::List => return false,
                Place::Odd => return self.odd.finds(rest),
                Place::BeforeName | Place::BeforeValue | Place::Between | Place::Name | Place::Value | Place::Text => {}
            }
            let Some((byte, after)) = rest.split_first() else { return false };
            if self.push(*byte) {
                return true;
            }
            rest = after;
        }
    }

    fn push(&mut self, byte: u8) -> bool {
        match self.place {
            Place::Text if self.escape == Escape::None && !matches!(byte, b'"' | b'\\') => false,
            Place::Text if self.escape != Escape::None => {
                // Whatever it is, it does not end the text.
                self.escape = Escape::None;
                false
            }
            Place::Name | Place::Value | Place::Text if byte == b'"' && self.escape != Escape::Begun => {
                self.end_text();
                false
            }
            Place::Name | Place::Value | Place::Text => match self.escape.next(byte) {
                Some(byte) if self.place == Place::Name => {
                    self.name.push(byte);
                    false
                }
                Some(byte) => self.meaning.is_met(self.value.push(byte)),
                None => false,
            },
            Place::BeforeName | Place::BeforeValue | Place::Between => self.between(byte),
            Place::Odd => self.odd.push(byte),
            Place::List => false,
        }
    }

    fn begin_text(&mut self) -> bool {
        self.escape = Escape::None;
        self.place = match (self.place, self.meaning) {
            (Place::BeforeName, _) => {
                self.name.clear();
                Place::Name
            }
            (_, Meaning::Nothing) => Place::Text,
            _ => {
                self.value.clear();
                Place::Value
            }
        };
        false
    }

    fn end_text(&mut self) {
        self.place = if self.place == Place::Name {
            self.meaning = self.name.meaning(self.counts);
            Place::BeforeValue
        } else {
            Place::Between
        };
    }

    /// Reads on between texts. Whether something else than a text stands for a token: what is made of that is for whoever
    /// reads it.
    fn between(&mut self, byte: u8) -> bool {
        let is_token = self.place == Place::BeforeValue && self.meaning == Meaning::Token;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => false,
            b'"' => self.begin_text(),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.go_on()
            }
            b'{' | b'[' if self.depth == 0 => {
                self.depth = 1;
                self.place = if byte == b'{' { Place::BeforeName } else { Place::List };
                false
            }
            _ if self.place == Place::BeforeName || self.depth == 0 => self.is_odd(byte),
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.go_on() || is_token
            }
            b',' if self.depth == 1 => {
                (self.place, self.meaning) = (Place::BeforeName, Meaning::Nothing);
                false
            }
            // The value is still to come.
            b':' => false,
            // Of these `null` alone is nothing.
            b',' | b'n' => self.go_on(),
            b'0'..=b'9' | b'-' | b'+' | b'.' | b'a'..=b'z' | b'A'..=b'Z' => self.go_on() || is_token,
            _ => self.is_odd(byte),
        }
    }

    /// The value has begun, or is over.
    fn go_on(&mut self) -> bool {
        self.place = Place::Between;
        false
    }

    /// From this byte on it is not plain.
    fn is_odd(&mut self, byte: u8) -> bool {
        self.place = Place::Odd;
        self.odd.push(byte)
    }
}
