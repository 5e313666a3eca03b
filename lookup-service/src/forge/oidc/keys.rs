//! Public keys of an issuer (RFC 7517), and what is signed with them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

/// The most keys of one issuer that are looked at.
const MOST: usize = 64;

/// How tokens are signed. There is no other way: neither without a key nor with one that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5, SHA-256; keys of 2,048 bits or more.
    Rs256,
    /// ECDSA over P-256, SHA-256.
    Es256,
}

impl Algorithm {
    /// All of them, with their names (RFC 7518) and the `kty` of their keys.
    pub const ALL: [(Self, &'static str, &'static str); 2] =
        [(Self::Rs256, "RS256", "RSA"), (Self::Es256, "ES256", "EC")];

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(algorithm, ..)| *algorithm)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed.
    P256(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    kid: String,
    algorithm: Algorithm,
    public: Public,
}

/// The keys of an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads a set of keys; `None` where it is none. A key that is of no use here is passed over.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(json).ok()?;
        let list = document.get("keys")?.as_array()?;
        Some(Self(list.iter().take(MOST).filter_map(key).collect()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a key of this name for this algorithm.
    #[must_use]
    pub fn has(&self, kid: &str, algorithm: Algorithm) -> bool {
        self.of(kid, algorithm).next().is_some()
    }

    /// Whether something was signed with the key of this name.
    #[must_use]
    pub fn verify(&self, kid: &str, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.of(kid, algorithm).any(|key| match &key.public {
            Public::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
            Public::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
            }
        })
    }

    fn of(&self, kid: &str, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| key.kid == kid && key.algorithm == algorithm)
    }
}

fn key(key: &Value) -> Option<Key> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let (algorithm, name, _) = Algorithm::ALL.iter().find(|(.., kty)| text("kty") == Some(*kty))?;
    if text("use").is_some_and(|purpose| purpose != "sig") || text("alg").is_some_and(|alg| alg != *name) {
        return None;
    }
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let public = match algorithm {
        Algorithm::Rs256 => {
            let number = |name: &str| {
                let bytes = bytes(name)?;
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                bytes.get(zeros..).map(<[u8]>::to_vec)
            };
            Public::Rsa { n: number("n")?, e: number("e")? }
        }
        Algorithm::Es256 if text("crv") == Some("P-256") => {
            let half = |name: &str| bytes(name).filter(|half| half.len() == 32);
            Public::P256([vec![4], half("x")?, half("y")?].concat())
        }
        Algorithm::Es256 => return None,
    };
    Some(Key { kid: text("kid")?.to_owned(), algorithm: *algorithm, public })
}
