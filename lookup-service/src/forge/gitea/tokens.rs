//! Tokens as the forge makes them: how they are spelled, and how they are stored.

use std::num::NonZeroU32;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use policy::facts::Secret;
use policy::failure::Failure;
use ring::pbkdf2;
use sha2::Sha256;
use tokio::sync::Semaphore;

/// How long a stored hash is, in bytes, and how often it was hashed.
const LENGTH: usize = 50;
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// What stands before a hash that is one HMAC under the salt, as newer sources of Forgejo have it.
const HMAC: &str = "$hmac-sha256$";

/// The last characters of a token, by which its row is found; `None` where it is not spelled as the forge spells tokens.
pub(super) fn last_eight(token: &Secret) -> Option<&str> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let text = std::str::from_utf8(token.expose()).ok()?;
    text.get(32..).filter(|last| last.len() == 8 && text.bytes().all(|byte| is_digit(&byte)))
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// In hexadecimal digits.
    pub(super) hash: String,
    /// As it is hashed.
    pub(super) salt: String,
}

impl Stored {
    /// Whether it is this token; `None` where it is stored in a way that is not known. No time tells how much of it is.
    fn is(&self, token: &Secret) -> Option<bool> {
        if let Some(mac) = self.hash.strip_prefix(HMAC) {
            let known = Hmac::<Sha256>::new_from_slice(self.salt.as_bytes()).ok()?.chain_update(token.expose());
            return Some(known.verify_slice(&hexadecimal(mac)?).is_ok());
        }
        // Of a shorter one only that much would be compared.
        let hash = hexadecimal(&self.hash).filter(|hash| hash.len() == LENGTH)?;
        Some(pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, self.salt.as_bytes(), token.expose(), &hash).is_ok())
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Who hashes tokens: some milliseconds each, so away from what answers questions, and so many at a time.
pub(super) struct Hasher(Arc<Semaphore>);

impl Hasher {
    /// As many at a time as leave half of the machine to others.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores.div_ceil(2))))
    }

    /// Which of these a token is.
    ///
    /// # Errors
    /// A failure, where there is no telling.
    pub(super) async fn find(&self, token: &Secret, stored: Vec<Stored>) -> Result<Option<usize>, Failure> {
        if stored.is_empty() {
            return Ok(None);
        }
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| Failure::Doubt)?;
        let token = token.clone();
        let find = move || {
            // Held until it is done, also where nobody waits for it any more.
            let _permit = permit;
            let is: Vec<Option<bool>> = stored.iter().map(|stored| stored.is(&token)).collect();
            match is.iter().position(|is| *is == Some(true)) {
                None if is.contains(&None) => Err(Failure::LookupAnswer),
                found => Ok(found),
            }
        };
        tokio::task::spawn_blocking(find).await.map_err(|_| Failure::Doubt)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `hashlib.pbkdf2_hmac("sha256", token, salt, 10000, 50).hex()`.
    const TOKEN: &str = "d2c6c1ba3890b309189a8e618c72a162e4efbf36";
    const SALT: &str = "jackson41u";
    const HASH: &str =
        "f31b4371999aa5be2f0e0d26a616afd2a56079067ab9cfcf9efef3af8402b12915828331f0fae048cdd27db1d539e86e47d6";

    #[test]
    fn forty_digits_in_small_letters_are_a_token() {
        let last = |token: &str| last_eight(&Secret::new(token.as_bytes())).map(str::to_owned);
        assert_eq!(last(TOKEN).as_deref(), Some("e4efbf36"));
        let upper = TOKEN.to_uppercase();
        for other in [
            TOKEN.split_at(1).1,
            &format!("{TOKEN}0"),
            &upper,
            &TOKEN.replace('d', "g"),
            "",
            "é234567890123456789012345678901234567890",
        ] {
            assert_eq!(last(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_whole_hash_under_its_salt() {
        let stored = |hash: &str, salt: &str| Stored { hash: hash.into(), salt: salt.into() };
        let find = async |stored: Vec<Stored>| Hasher::new().find(&Secret::new(TOKEN.as_bytes()), stored).await;
        let (right, other) = (stored(HASH, SALT), stored(HASH, "jackson42u"));
        assert_eq!(find(vec![other.clone(), right.clone()]).await, Ok(Some(1)));
        assert_eq!(find(vec![other.clone(), other.clone()]).await, Ok(None));
        // `hmac.new(salt, token, "sha256").hexdigest()`
        let mac = stored("$hmac-sha256$0d0b2651152e92cafe66355c3e82dcb2e398f48624e166a1b14813db96872310", SALT);
        assert_eq!(find(vec![other.clone(), mac.clone()]).await, Ok(Some(1)));
        assert_eq!(find(vec![Stored { salt: "jackson42u".into(), ..mac }]).await, Ok(None));
        // A part of a hash, one with more behind it, and one of another kind: whose they are nobody knows.
        for hash in [
            HASH.split_at(2).0,
            HASH.split_at(98).0,
            &format!("{HASH}00"),
            "",
            "zz",
            HASH.split_at(99).0,
            "$hmac-sha512$00",
        ] {
            assert_eq!(find(vec![stored(hash, SALT), other.clone()]).await, Err(Failure::LookupAnswer), "{hash}");
            assert_eq!(find(vec![stored(hash, SALT), right.clone()]).await, Ok(Some(1)), "{hash}");
        }
    }
}
