//! Secrets, and the hashes under which they are remembered.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

/// A job token or another credential. Never printed: its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes as they stood in the request.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes, for the one who has to send them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The key under which this secret is remembered.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&[&self.0])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A SHA-256, 32 bytes. Keys of bindings and facts are hashes, so that the store never holds a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of several fields. A field's length stands before it, so that no two lists of fields share a hash; a
    /// single field is hashed as it is, so that a binding's key is the plain SHA-256 of its token.
    #[must_use]
    pub fn of(fields: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for field in fields {
            if fields.len() > 1 {
                hasher.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            }
            hasher.update(field);
        }
        Self(hasher.finalize().into())
    }

    /// Its first letters, as part of a name.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_into_each_other() {
        assert_ne!(Hash::of(&[b"ab", b"c"]), Hash::of(&[b"a", b"bc"]));
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(std::format!("{:?}", Secret::new(b"glcbt-x")), "Secret(redacted)");
    }
}
