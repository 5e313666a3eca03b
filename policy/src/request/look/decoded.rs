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
        // Nearly every byte is itself.
        if *self == Self::None && byte != b'%' { Some(byte) } else { self.within(byte) }
    }

    fn within(&mut self, byte: u8) -> Option<u8> {
        let digit = if byte == b'%' { None } else { path::hex(byte) };
        let (next, decoded) = match (*self, digit) {
            (Self::Begun, Some(high)) => (Self::High(high), None),
            (Self::High(high), Some(low)) => (Self::None, Some(high << 4 | low)),
            _ if byte == b'%' => (Self::Begun, None),
            (Self::None | Self::Begun | Self::High(_), _) => (Self::None, Some(byte)),
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
        if *self == Self::None && byte != b'\\' { Some(byte) } else { self.within(byte) }
    }

    fn within(&mut self, byte: u8) -> Option<u8> {
        let (next, decoded) = match (*self, byte) {
            (Self::Begun, b'u') => (Self::Code(0, 0), None),
            (Self::Begun, b'b' | b'f' | b'n' | b'r' | b't') => (Self::None, Some(b'\n')),
            (Self::Begun, byte) => (Self::None, Some(byte)),
            (Self::None | Self::Code(..), b'\\') => (Self::Begun, None),
            (Self::None, byte) => (Self::None, Some(byte)),
            (Self::Code(digits, code), byte) => {
                match (path::hex(byte).map(|digit| code << 4 | u16::from(digit)), digits) {
                    (None, _) => (Self::None, Some(byte)),
                    (Some(code), 3) => (Self::None, Some(u8::try_from(code).unwrap_or(0x80))),
                    (Some(code), _) => (Self::Code(digits.saturating_add(1), code), None),
                }
            }
        };
        *self = next;
        decoded
    }
}
