//! Protobuf messages for the host, written straight into bytes.

/// A field of bytes, text or a message: its number, and that its length comes first.
const FIELD_1: u8 = 0x0a;
const FIELD_2: u8 = 0x12;
const FIELD_3: u8 = 0x1a;

/// Adds a member to a `google.protobuf.Struct`: an entry of its map `fields`, whose value is a `Value` of the kind text.
pub(crate) fn put_member(message: &mut Vec<u8>, name: &str, text: &str) {
    let value = field_size(text.len());
    put_head(message, FIELD_1, field_size(name.len()).saturating_add(field_size(value)));
    put_text(message, FIELD_1, name);
    put_head(message, FIELD_2, value);
    put_text(message, FIELD_3, text);
}

/// Envoy's `DeclarePropertyArguments`: a property of this name holds messages of this type. It may be written again, and
/// lasts as long as one that was not declared.
#[cfg(any(target_family = "wasm", test))]
pub(crate) fn declaration(name: &str, message_type: &str) -> Vec<u8> {
    const IS_A_MESSAGE: [u8; 2] = [0x18, 3];
    const FIELD_4: u8 = 0x22;
    let mut message = Vec::new();
    put_text(&mut message, FIELD_1, name);
    message.extend(IS_A_MESSAGE);
    put_text(&mut message, FIELD_4, &format!("type.googleapis.com/{message_type}"));
    message
}

fn put_text(message: &mut Vec<u8>, field: u8, text: &str) {
    put_head(message, field, text.len());
    message.extend_from_slice(text.as_bytes());
}

/// Begins a field: which one it is, and how many bytes it has. Of that seven bits are in a byte, the lowest first, and the
/// eighth says that more follow.
fn put_head(message: &mut Vec<u8>, field: u8, size: usize) {
    let (mut last, mut rest) = (field, size);
    while rest >= 0x80 {
        message.push(last);
        last = u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80;
        rest >>= 7;
    }
    message.extend_from_slice(&[last, u8::try_from(rest).unwrap_or_default()]);
}

/// How many bytes a field takes whose content has so many.
fn field_size(content: usize) -> usize {
    let size = match content {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    };
    content.saturating_add(size).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::value::Kind;
    use prost_types::{Struct, Value};

    use super::*;

    #[test]
    fn what_is_written_is_what_others_read() {
        for length in [0, 1, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x3ff8, 0x3fff, 0x4000, 0x1f_fff8, 1 << 21] {
            let long = "a".repeat(length);
            let members = [("job", &*long), ("", "-"), ("why", "{\"ü\": 1}")];
            let mut message = Vec::new();
            members.iter().for_each(|(name, text)| put_member(&mut message, name, text));
            let expected = members.iter().map(|(name, text)| {
                (String::from(*name), Value { kind: Some(Kind::StringValue(String::from(*text))) })
            });
            assert_eq!(Struct::decode(&*message), Ok(Struct { fields: expected.collect() }), "{length}");
        }
    }

    #[test]
    fn a_declaration_is_what_envoy_reads() {
        // Field 1 and 4 have a length, field 3 is a number.
        assert_eq!(declaration("p", "a.B"), b"\x0a\x01p\x18\x03\x22\x17type.googleapis.com/a.B");
    }
}
