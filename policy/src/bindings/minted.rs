//! A credential that the forge made from a job's token, under its own hash; and one that it made for somebody else, where
//! nothing but this tells the two apart.

use super::row::{Reader, Writer};
use super::{Moment, Row, SKEW, Stripes};
use crate::config::Bindings;
use crate::facts::Hash;

/// What becomes of a credential that is not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// Its service is asked for another one.
    Challenged,
    /// It is taken for a person's. So no job may have it forgotten while the forge takes it.
    Persons,
}

/// What is remembered of a credential that the forge made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The hash of what is signed of it.
    pub key: Hash,
    /// The hash of the job's token that it was made from; `None` where it is no job's.
    pub parent: Option<Hash>,
    /// When the forge itself no longer takes it.
    pub until: Moment,
    /// What becomes of it where it is not remembered.
    pub forgotten: Forgotten,
}

impl Row for Minted {
    const TABLE: &'static str = "minted";
    const SIZE: usize = 74;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.until.0);
        writer.byte(u8::from(self.forgotten == Forgotten::Persons));
        writer.byte(u8::from(self.parent.is_some()));
        if let Some(parent) = self.parent {
            writer.key(parent);
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let until = Moment(reader.number()?);
        let forgotten = match reader.byte()? {
            0 => Forgotten::Challenged,
            1 => Forgotten::Persons,
            _ => return None,
        };
        let parent = match reader.byte()? {
            0 => None,
            1 => Some(reader.key()?),
            _ => return None,
        };
        Some(Self { key, parent, until, forgotten })
    }

    /// What the forge no longer takes goes first, then what it soon will not.
    fn rank(&self, _: &Bindings, now: Moment) -> (u8, u64) {
        (u8::from(self.until > now), self.until.0)
    }

    /// It says when it is over, and not when it was noted.
    fn seen(self, _: Moment) -> Self {
        self
    }

    fn owner(&self) -> Option<Hash> {
        self.parent
    }

    /// Jobs' and other people's: neither pushes the others out.
    fn kind(&self) -> u8 {
        u8::from(self.parent.is_some())
    }

    fn is_held(&self, now: Moment) -> bool {
        self.parent.is_some() && self.forgotten == Forgotten::Persons && self.until > now
    }

    /// Those of its token, until the forge no longer takes it: none is kept for longer.
    fn decides(&self, config: &Bindings, now: Moment) -> Stripes {
        let parent = self.parent.filter(|_| self.until.after(SKEW) > now);
        parent.map_or(Stripes::NONE, |parent| Stripes::of(&parent, config.capacity))
    }

    /// To be good for longer is all that may happen to it.
    fn bears_out(&self, old: &Self) -> bool {
        self.parent == old.parent && self.until >= old.until
    }

    /// What was made from a job's token stays that.
    fn over(self, old: Self) -> Self {
        let forgotten = if old.forgotten == Forgotten::Persons { old.forgotten } else { self.forgotten };
        Self { parent: self.parent.or(old.parent), forgotten, ..self }
    }
}
