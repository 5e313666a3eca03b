//! Fixed-size rows, and the little writing and reading that their bytes need.

use alloc::vec::Vec;

use super::{Moment, Stripes};
use crate::config::Bindings;
use crate::facts::Hash;

/// Something that is remembered in a fixed number of bytes, its key first.
pub trait Row: Sized {
    /// What the table of these rows is called.
    const TABLE: &'static str;

    /// Bytes in a row, the 32 of the key among them.
    const SIZE: usize;

    /// How many of them are to be remembered where so many running jobs are: as many, where nothing else is said.
    #[must_use]
    fn rows(capacity: u32) -> u32 {
        capacity
    }

    /// Under which key it is found.
    fn key(&self) -> Hash;

    /// Writes what stands behind the key; `None` when a part does not fit, and then the row is not remembered.
    fn write(&self, writer: &mut Writer) -> Option<()>;

    /// Reads what stands behind this key; `None` for bytes that no version of ours wrote.
    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self>;

    /// All of its bytes.
    fn bytes(&self) -> Option<Vec<u8>> {
        let mut writer = Writer::new(Self::SIZE, self.key());
        self.write(&mut writer)?;
        writer.finish()
    }

    /// The row of these bytes.
    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let key = reader.key()?;
        Self::read(key, &mut reader)
    }

    /// How much it is worth to keep now, least first.
    fn rank(&self, config: &Bindings, now: Moment) -> (u8, u64);

    /// The row as it counts now. A moment at which something was noted and that lies ahead is from before the clock was set
    /// back: it serves nothing, and nothing is older.
    #[must_use]
    fn seen(self, now: Moment) -> Self;

    /// Whose it is, where a bucket keeps only some of each: who makes very many pushes out none but his own.
    fn owner(&self) -> Option<Hash> {
        None
    }

    /// Of which kind it is, where a bucket keeps room for each.
    fn kind(&self) -> u8 {
        0
    }

    /// Whether it is never pushed out. Then one that comes is not taken instead.
    fn is_held(&self, now: Moment) -> bool {
        let _ = now;
        false
    }

    /// The versions of the decisions that are kept and may rest on it now, as it stands.
    fn decides(&self, config: &Bindings, now: Moment) -> Stripes {
        let _ = (config, now);
        Stripes::NONE
    }

    /// Whether what was decided from `old` holds for as long where this stands in its place.
    fn bears_out(&self, old: &Self) -> bool {
        let _ = old;
        false
    }

    /// What stands afterwards when this row comes and `old` stands under the same key.
    #[must_use]
    fn over(self, old: Self) -> Self {
        let _ = old;
        self
    }
}

/// Writes a row.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    size: usize,
}

impl Writer {
    pub(super) fn new(size: usize, key: Hash) -> Self {
        let mut bytes = Vec::with_capacity(size);
        bytes.extend(key.0);
        Self { bytes, size }
    }

    pub(super) fn key(&mut self, key: Hash) {
        self.bytes.extend(key.0);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes.extend(number.to_le_bytes());
    }

    /// At most 255 bytes, behind their length.
    pub(super) fn text(&mut self, text: &str) -> Option<()> {
        self.byte(u8::try_from(text.len()).ok()?);
        self.bytes.extend(text.as_bytes());
        Some(())
    }

    /// A yes, a no, or nothing known.
    pub(super) fn flag(&mut self, flag: Option<bool>) {
        self.byte(flag.map_or(0, |flag| if flag { 2 } else { 1 }));
    }

    /// A text, or nothing known. A text of more than `most` bytes is not kept: it is then not known.
    pub(super) fn known_text(&mut self, text: Option<&str>, most: usize) -> Option<()> {
        let text = text.filter(|text| text.len() <= most);
        self.byte(u8::from(text.is_some()));
        text.map_or(Some(()), |text| self.text(text))
    }

    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        if self.bytes.len() > self.size {
            return None;
        }
        self.bytes.resize(self.size, 0);
        Some(self.bytes)
    }
}

/// Reads a row.
#[derive(Debug)]
pub struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn key(&mut self) -> Option<Hash> {
        let (key, rest) = self.0.split_first_chunk::<32>()?;
        self.0 = rest;
        Some(Hash(*key))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    pub(super) fn flag(&mut self) -> Option<Option<bool>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(false)),
            2 => Some(Some(true)),
            _ => None,
        }
    }

    pub(super) fn known_text(&mut self) -> Option<Option<&'a str>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.text().map(Some),
            _ => None,
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(text).ok()
    }
}

/// The place of a value in a list of all of its kind, as a byte.
pub(super) fn place<T: PartialEq>(all: impl Iterator<Item = T>, value: &T) -> Option<u8> {
    u8::try_from(all.into_iter().position(|one| one == *value)?).ok()
}
