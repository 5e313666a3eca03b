//! Secrets that others show, or sign with: compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use policy::facts::Secret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Whether what is shown is one of these secrets. Hashes are compared, so that time tells no length either.
pub(crate) fn is_one_of(secrets: &[Secret], shown: &[u8]) -> bool {
    let shown = Sha256::digest(shown);
    let is_one = |found: Choice, secret: &Secret| found | Sha256::digest(secret.expose()).ct_eq(&shown);
    secrets.iter().fold(Choice::from(0), is_one).into()
}

/// Whether one of these signatures is the HMAC-SHA256 of these parts, one behind the other. However many there are, the parts are
/// gone through once: whoever reaches the port may show as many as a head has room for.
pub(crate) fn is_signed(key: &[u8], parts: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    let made = mac.finalize();
    signatures.iter().any(|signature| made.as_bytes().ct_eq(signature).into())
}
