//! Bytes as a server decodes them, one at a time. What is no sound encoding is passed over: whoever looks for a word takes
//! one too many, and none too few.

use super::super::path;

/// Percent-encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Percent {
    None,
    Begun,
    High(u8),
}

impl Percent {
    /// The byte that ends here, if one does.
    pub(super) fn next(&mut self, byte: u8) -> Option<u8> {
        let (next, decoded) = match (*self, byte, path::hex(byte)) {
            (_, b'%', _) => (Self::Begun, None),
            (Self::Begun, _, Some(high)) => (Self::High(high), None),
            (Self::High(high), _, Some(low)) => (Self::None, Some(high << 4 | low)),
            (Self::None | Self::Begun | Self::High(_), byte, _) => (Self::None, Some(byte)),
        };
        *self = next;
        decoded
    }
}

/// The escapes of a text in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Begun,
    Code(u8, u16),
}

impl Escape {
    /// The byte that ends here, if one does; of a letter that is not ASCII some byte that is not either.
    pub(super) fn next(&mut self, byte: u8) -> Option<u8> {
        let (next, decoded) = match (*self, byte, path::hex(byte)) {
            (Self::None, b'\\', _) => (Self::Begun, None),
            (Self::Begun, b'u', _) => (Self::Code(0, 0), None),
            (Self::Begun, b'b' | b'f' | b'n' | b'r' | b't', _) => (Self::None, Some(b'\n')),
            (Self::Code(3, code), _, Some(digit)) => {
                (Self::None, Some(u8::try_from(code << 4 | u16::from(digit)).unwrap_or(0x80)))
            }
            (Self::Code(digits, code), _, Some(digit)) => {
                (Self::Code(digits.saturating_add(1), code << 4 | u16::from(digit)), None)
            }
            (Self::Code(..), b'\\', _) => (Self::Begun, None),
            (Self::None | Self::Begun | Self::Code(..), byte, _) => (Self::None, Some(byte)),
        };
        *self = next;
        decoded
    }
}
