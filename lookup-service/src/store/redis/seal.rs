//! What stands in the Redis is under a secret of the service: names of tokens are hashed with it, so that a stolen dump is not
//! guessed, and values are sealed with it, so that who may write there can withhold, and make nothing.

use hmac::{Hmac, KeyInit, Mac};
use policy::facts::{Hash, Secret};
use sha2::Sha256;

/// The secret, ready to be used.
#[derive(Clone)]
pub(super) struct Seal(Hmac<Sha256>);

impl Seal {
    pub(super) fn new(key: &Secret) -> Option<Self> {
        Hmac::new_from_slice(key.expose()).ok().map(Self)
    }

    /// The name of something.
    pub(super) fn name(&self, hash: &Hash) -> [u8; 32] {
        self.over(&[b"name", &hash.0]).finalize().into_bytes().into()
    }

    /// The seal of a value, over where it stands and all that is said of it.
    pub(super) fn seal(&self, fields: &[&[u8]]) -> [u8; 32] {
        self.over(fields).finalize().into_bytes().into()
    }

    /// Whether a seal is ours.
    pub(super) fn holds(&self, fields: &[&[u8]], seal: &[u8]) -> bool {
        self.over(fields).verify_slice(seal).is_ok()
    }

    /// Each field behind its length, so that none runs into the next.
    fn over(&self, fields: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for field in fields {
            mac.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(field);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_its_fields_and_its_secret_alone() {
        let seal = Seal::new(&Secret::new(&[7; 32])).unwrap();
        let made = seal.seal(&[b"a", b"bc"]);
        assert!(seal.holds(&[b"a", b"bc"], &made));
        assert!(!seal.holds(&[b"ab", b"c"], &made));
        assert!(!seal.holds(&[b"a", b"bc"], &made[..31]));
        assert!(!seal.holds(&[b"a", b"bc"], b""));
        let other = Seal::new(&Secret::new(&[8; 32])).unwrap();
        assert!(!other.holds(&[b"a", b"bc"], &made));
        assert_ne!(seal.name(&Hash([1; 32])), other.name(&Hash([1; 32])));
        assert_ne!(seal.name(&Hash([1; 32])), seal.seal(&[&[1; 32]]));
    }
}
