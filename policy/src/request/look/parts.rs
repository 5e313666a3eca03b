//! A `multipart/form-data` body as it passes. From where it is not written as clients write it, words count wherever they
//! stand.

use super::super::malformed::Malformed;
use super::super::multipart::{Part, Reader, Visit};
use super::text::Text;
use super::words::{Counts, Meaning, Name, Words};

#[allow(clippy::large_enum_variant, reason = "a stream has one, and it is not worth an allocation of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    Plain(Reader, Watch),
    Odd(Text),
}

impl Parts {
    pub(super) fn new(boundary: &[u8], counts: Counts) -> Self {
        let watch = Watch { counts, meaning: Meaning::Nothing, words: Words::new(), found: false };
        Self::Plain(Reader::new(boundary), watch)
    }

    /// Whether a job's token stands in this piece, or ends in it.
    pub(super) fn finds(&mut self, piece: &[u8]) -> bool {
        match self {
            Self::Odd(text) => text.finds(piece),
            Self::Plain(reader, watch) => {
                if reader.feed(piece, watch).is_ok() || watch.found {
                    return watch.found;
                }
                // In a part that matters some of the token may have been read already.
                let mut text = Text::new(watch.counts);
                let found = watch.meaning != Meaning::Nothing || text.finds(reader.unread());
                *self = Self::Odd(text);
                found
            }
        }
    }
}

/// What the parts may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watch {
    counts: Counts,
    /// What the part means that is being read.
    meaning: Meaning,
    words: Words,
    found: bool,
}

impl Visit for Watch {
    fn part(&mut self, part: &Part<'_>) -> Result<(), Malformed> {
        let mut name = Name::new();
        part.name.bytes().for_each(|byte| name.push(byte));
        self.meaning = name.meaning(self.counts);
        self.words = Words::new();
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let Self { meaning, words, found, .. } = self;
        *found |= *meaning != Meaning::Nothing && !bytes.is_empty() && meaning.is_met(words.run(bytes));
        if *found { Err(Malformed::Multiple) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), Malformed> {
        self.meaning = Meaning::Nothing;
        Ok(())
    }
}
