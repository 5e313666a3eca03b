//! What a release says of a file: its line in a list of sums, and a signature in Sigstore's bundle, which cosign writes too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;

/// A SHA-256, in hexadecimal as lists of sums have it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A list of sums, as `sha256sum` writes it.
pub(crate) struct Sums(Vec<(String, String)>);

impl Sums {
    /// Reads a list.
    ///
    /// # Errors
    /// A line that is none of such a list.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let line = |(at, line): (usize, &str)| {
            let (sum, name) = line.split_once(' ').unwrap_or((line, ""));
            // A blank stands for text and a star for bytes, which are the same.
            let name = name.strip_prefix([' ', '*']).unwrap_or_default();
            let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_line = is_sum && !name.is_empty();
            is_line.then(|| (sum.to_ascii_lowercase(), name.to_owned())).ok_or_else(|| {
                format!(
                    "line {}: expected a SHA-256, two blanks and a name, as `sha256sum` writes them",
                    at.saturating_add(1)
                )
            })
        };
        text.lines().enumerate().map(line).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a file of this name has this sum: under which name it is listed, or what is wrong. Who deploys a file may give
    /// it another name, and then its sum says which it is.
    ///
    /// # Errors
    /// It is listed with another sum, or not at all.
    pub(crate) fn check(&self, name: &str, sum: &str) -> Result<String, String> {
        if let Some((other, _)) = self.0.iter().find(|(other, listed)| listed == name && other != sum) {
            return Err(format!("expected {other}, which is the sum of `{name}` there"));
        }
        let is_it = |(other, listed): &&(String, String)| other == sum && (listed == name || listed.ends_with(".wasm"));
        let found = self.0.iter().filter(is_it).max_by_key(|(_, listed)| listed == name);
        found.map(|(_, listed)| listed.clone()).ok_or_else(|| format!("neither `{name}` nor its sum is listed there"))
    }
}

/// What comes before the point of a P-256 key in `SubjectPublicKeyInfo`: RFC 5480.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// How long the point is: a byte that says that it is whole, and its two halves.
const POINT: usize = 65;

/// Who signs: the public half of a P-256 key.
pub(crate) struct Key {
    point: Vec<u8>,
    /// What a bundle calls it.
    hint: String,
}

impl Key {
    /// Reads a key in PEM.
    ///
    /// # Errors
    /// It is none, or of another kind.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected a public P-256 key in PEM, as `openssl pkey -pubout` writes it";
        let (_, rest) = text.split_once("-----BEGIN ").ok_or(expected)?;
        let (kind, rest) = rest.split_once("-----").ok_or(expected)?;
        if kind != "PUBLIC KEY" {
            return Err(format!("{expected}, found `{}`", kind.escape_debug()));
        }
        let (body, _) = rest.split_once("-----END PUBLIC KEY-----").ok_or(expected)?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| expected)?;
        let point = der.strip_prefix(&P256).filter(|point| point.len() == POINT);
        let point = point.ok_or_else(|| format!("{expected}, found a key of another kind"))?.to_vec();
        Ok(Self { point, hint: STANDARD.encode(digest(&SHA256, &der)) })
    }
}

/// A bundle as far as it is read: <https://docs.sigstore.dev/about/bundle/>. Who signed stands in the key, not in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bundle {
    media_type: String,
    #[serde(default)]
    verification_material: Material,
    message_signature: Option<Signature>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<PublicKey>,
}

#[derive(Deserialize)]
struct PublicKey {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    message_digest: Option<Digest>,
    signature: String,
}

#[derive(Deserialize)]
struct Digest {
    digest: String,
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bundle: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("expected a Sigstore bundle in JSON: {error}"))?;
        if bundle.media_type.starts_with("application/vnd.dev.sigstore.bundle") {
            Ok(bundle)
        } else {
            let expected = "mediaType: expected `application/vnd.dev.sigstore.bundle` and a version";
            Err(format!("{expected}, found `{}`", bundle.media_type.escape_debug()))
        }
    }

    /// Whether this key signed these bytes.
    ///
    /// # Errors
    /// It did not, and what the bundle says of why.
    pub(crate) fn check(&self, key: &Key, bytes: &[u8]) -> Result<(), String> {
        let Some(signed) = &self.message_signature else {
            return Err("signs a statement, and not a file".into());
        };
        // The signature alone decides. What stands beside it anybody can write, and only tells a person more.
        let signature = STANDARD.decode(&signed.signature).unwrap_or_default();
        if UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.point).verify(bytes, &signature).is_ok() {
            return Ok(());
        }
        let is_others = |named: &str, ours: &str| !named.is_empty() && named != ours;
        let of = signed.message_digest.as_ref().map_or("", |of| &of.digest);
        let by = self.verification_material.public_key.as_ref().map_or("", |key| &key.hint);
        Err(match () {
            () if is_others(of, &STANDARD.encode(digest(&SHA256, bytes))) => {
                "is of another file, or of this one before it was changed"
            }
            () if is_others(by, &key.hint) => "is by another key",
            () => "is not by this key, or was changed",
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_another_sum_is_wrong_also_where_the_sum_stands_elsewhere() {
        let (one, two) = (sha256(b"1"), sha256(b"2"));
        let sums = Sums::parse(&format!("{one}  a.wasm\n{two} *b.wasm\n{two}  c.json\n")).unwrap();
        assert_eq!(sums.check("a.wasm", &one).unwrap(), "a.wasm");
        assert_eq!(sums.check("c.json", &two).unwrap(), "c.json");
        assert_eq!(sums.check("plugin.wasm", &two).unwrap(), "b.wasm");
        for (name, sum) in [("a.wasm", &two), ("b.wasm", &one), ("plugin.wasm", &sha256(b"3"))] {
            assert!(sums.check(name, sum).is_err(), "{name}");
        }
        let twice = Sums::parse(&format!("{one}  a.wasm\n{two}  a.wasm\n")).unwrap();
        assert!(twice.check("a.wasm", &one).is_err() && twice.check("a.wasm", &two).is_err());
    }

    #[test]
    fn what_is_no_list_of_sums_is_refused_with_its_line() {
        let sum = sha256(b"1");
        for (text, line) in [
            (format!("{sum}  a\n{sum}"), 2),
            (format!("{sum}  a\n\n"), 2),
            (format!("{}  a", sum.trim_end_matches(char::is_alphanumeric)), 1),
            (format!("{sum} a"), 1),
            ("g".repeat(64) + "  a", 1),
        ] {
            assert!(Sums::parse(&text).err().unwrap().starts_with(&format!("line {line}: ")), "{text}");
        }
        assert!(Sums::parse("").unwrap().check("a", &sum).is_err());
    }
}
