//! Header maps as Envoy keeps them, and their encoding in the ABI.

/// A header's name and value.
pub type Header = (Vec<u8>, Vec<u8>);

/// Headers that Envoy stores once: a second value is joined to the first with a
/// comma. Every other name may stand several times. `authorization` and
/// `:authority` were tried against Envoy 1.40, the rest is its table of inline
/// headers.
const INLINE: &[&[u8]] = &[
    b":authority",
    b":method",
    b":path",
    b":scheme",
    b":status",
    b"authorization",
    b"connection",
    b"content-length",
    b"content-type",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-request-id",
];

/// More pairs, or more bytes of pairs, than this in one message from a filter
/// and Envoy silently takes none of them.
const MAX_PAIRS: usize = 1024;
const MAX_PAIRS_BYTES: usize = 1 << 20;

/// An ordered multimap with lower-case names, pseudo-headers first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeaderMap(Vec<Header>);

/// Lower case, and `host` under its HTTP/2 name.
fn canonical(name: &[u8]) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    if name == b"host" { b":authority".to_vec() } else { name }
}

impl HeaderMap {
    pub(super) fn new<'a>(headers: impl IntoIterator<Item = &'a Header>) -> Self {
        let mut map = HeaderMap::default();
        for (name, value) in headers {
            map.add(name, value);
        }
        map
    }

    /// What no Envoy keeps: names as they were sent.
    pub(super) fn as_sent(headers: &[Header]) -> Self {
        HeaderMap(headers.to_vec())
    }

    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = canonical(name);
        if INLINE.contains(&name.as_slice())
            && let Some((_, old)) = self.0.iter_mut().find(|(known, _)| *known == name)
        {
            if !old.is_empty() {
                old.push(b',');
            }
            old.extend_from_slice(value);
            return;
        }
        let at = if name.starts_with(b":") {
            self.0.iter().take_while(|(known, _)| known.starts_with(b":")).count()
        } else {
            self.0.len()
        };
        self.0.insert(at, (name, value.to_vec()));
    }

    /// Replaces every value of a name by one, where the first stood.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        let name = canonical(name);
        match self.0.iter().position(|(known, _)| *known == name) {
            Some(first) => {
                self.0[first].1 = value.to_vec();
                let mut index = 0;
                self.0.retain(|(known, _)| {
                    index += 1;
                    *known != name || index == first + 1
                });
            }
            None => self.add(&name, value),
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        let name = canonical(name);
        self.0.retain(|(known, _)| canonical(known) != name);
    }

    /// The first value only, as the host's own lookup returns it.
    pub(super) fn first(&self, name: &[u8]) -> Option<&[u8]> {
        let name = canonical(name);
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn byte_size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    pub(super) fn pairs(&self) -> &[Header] {
        &self.0
    }
}

/// Pairs as the ABI carries them: a count, the lengths, then the bytes, each
/// closed by a zero.
pub(super) fn encode(pairs: &[Header]) -> Vec<u8> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let mut out = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

/// The pairs in a message from a filter; none at all when it is malformed or
/// over Envoy's limits, as there.
pub(super) fn decode(bytes: &[u8]) -> Vec<Header> {
    try_decode(bytes).unwrap_or_default()
}

fn try_decode(bytes: &[u8]) -> Option<Vec<Header>> {
    let word = |at: usize| -> Option<usize> {
        let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(four) as usize)
    };
    let count = word(0)?;
    if count > MAX_PAIRS || bytes.len() > MAX_PAIRS_BYTES {
        return None;
    }
    let mut at = 4 + count * 8;
    let mut take = |len: usize| -> Option<Vec<u8>> {
        let end = at.checked_add(len)?;
        let taken = bytes.get(at..end)?.to_vec();
        at = end + 1;
        Some(taken)
    };
    let mut pairs = Vec::with_capacity(count);
    for index in 0..count {
        let name = take(word(4 + index * 8)?)?;
        let value = take(word(8 + index * 8)?)?;
        pairs.push((name, value));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> Header {
        (name.into(), value.into())
    }

    #[test]
    fn inline_headers_are_joined_and_others_repeat() {
        let map = HeaderMap::new(&[
            header("Authorization", "one"),
            header("private-token", "a"),
            header("authorization", "two"),
            header("Host", "a"),
            header("private-token", "b"),
            header("host", "b"),
        ]);
        let expected = [
            header(":authority", "a,b"),
            header("authorization", "one,two"),
            header("private-token", "a"),
            header("private-token", "b"),
        ];
        assert_eq!(map.pairs(), expected);
    }

    #[test]
    fn set_collapses_duplicates_in_place() {
        let mut map = HeaderMap::new(&[header("x", "1"), header("y", "2"), header("x", "3")]);
        map.set(b"X", b"4");
        assert_eq!(map.pairs(), [header("x", "4"), header("y", "2")]);
    }

    #[test]
    fn pairs_survive_the_encoding() {
        let pairs = vec![header("a", ""), header("", "b"), (vec![0xff, 0], vec![0x80])];
        assert_eq!(decode(&encode(&pairs)), pairs);
        assert_eq!(decode(b""), []);
        assert_eq!(decode(b"\xff\xff\xff\xff"), []);
    }

    #[test]
    fn too_many_pairs_are_none() {
        assert_eq!(decode(&encode(&vec![header("a", "b"); 1024])).len(), 1024);
        assert_eq!(decode(&encode(&vec![header("a", "b"); 1025])), []);
    }
}
