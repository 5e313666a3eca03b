//! The key that signs registry tokens, and the certificate a registry trusts it by.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

/// How long a registry token lasts, in seconds: GitLab's default.
const LIFETIME: i64 = 300;

/// Signs registry tokens with one key, made at the first start and kept in the state directory.
pub struct Signer {
    key: EncodingKey,
    /// Base64 of the certificate's DER, as the `x5c` header wants it.
    chain: String,
    certificate: PathBuf,
    lifetime: AtomicI64,
}

impl Signer {
    /// The signer of a state directory.
    ///
    /// # Errors
    /// When key or certificate cannot be made, written or read.
    pub fn open(state: &Path, issuer: &str) -> Result<Self> {
        let certificate = state.join("registry.crt");
        let key = state.join("registry.key.der");
        if !(certificate.is_file() && key.is_file()) {
            make(&certificate, &key, issuer)?;
        }
        let pem = std::fs::read_to_string(&certificate)
            .with_context(|| format!("cannot read `{}`", certificate.display()))?;
        let chain = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = std::fs::read(&key).with_context(|| format!("cannot read `{}`", key.display()))?;
        Ok(Self { key: EncodingKey::from_ec_der(&der), chain, certificate, lifetime: AtomicI64::new(LIFETIME) })
    }

    /// Where the certificate is, for a registry's `rootcertbundle`.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// How many seconds from now on a token is good that is signed now. A registry takes it for a minute more, for clocks
    /// that differ, so tests that cannot wait make this a negative number.
    pub fn lifetime(&self) -> i64 {
        self.lifetime.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_lifetime(&self, seconds: i64) {
        self.lifetime.store(seconds, Ordering::Relaxed);
    }

    /// A registry token with these claims and the usual times.
    ///
    /// # Errors
    /// When the claims are no object, or the key does not sign.
    pub fn sign(&self, mut claims: Value, now: SystemTime) -> Result<String> {
        let now = now.duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let seconds = now.as_secs();
        let object = claims.as_object_mut().context("claims must be an object")?;
        object.insert("iat".into(), json!(seconds));
        // A registry whose clock is a little behind must not refuse a new token.
        object.insert("nbf".into(), json!(seconds.saturating_sub(5)));
        object.insert("exp".into(), json!(seconds.saturating_add_signed(self.lifetime())));
        object.insert("jti".into(), json!(format!("{:032x}", now.as_nanos())));
        let mut header = Header::new(Algorithm::ES256);
        header.x5c = Some(vec![self.chain.clone()]);
        jsonwebtoken::encode(&header, &claims, &self.key).context("cannot sign a registry token")
    }
}

fn make(certificate: &Path, key: &Path, issuer: &str) -> Result<()> {
    let pair = KeyPair::generate().context("cannot make a signing key")?;
    let mut parameters = CertificateParams::new(Vec::new()).context("cannot describe a certificate")?;
    parameters.distinguished_name.push(DnType::CommonName, issuer);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = parameters.self_signed(&pair).context("cannot make a certificate")?;
    std::fs::write(key, pair.serialize_der()).with_context(|| format!("cannot write `{}`", key.display()))?;
    std::fs::write(certificate, signed.pem()).with_context(|| format!("cannot write `{}`", certificate.display()))
}
