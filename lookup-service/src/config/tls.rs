//! Certificates: of the service, of its callers' authorities, and of the forge's.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{Reader, Surroundings, unread};

/// How callers are spoken to; `None` without `api.tls`, or where that is wrong.
pub(super) fn server(reader: &mut Reader, around: &Surroundings<'_>) -> Option<Arc<ServerConfig>> {
    let certificate = reader.text("api.tls.certificate");
    let key = reader.text("api.tls.key");
    let client_ca = reader.text("api.tls.client_ca");
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => {
            if client_ca.is_some() {
                reader.error("api.tls.client_ca", "expected `api.tls.certificate` and `api.tls.key` beside it");
            }
            return None;
        }
        (Some(_), None) => {
            reader.error("api.tls.key", "missing beside `api.tls.certificate`");
            return None;
        }
        (None, Some(_)) => {
            reader.error("api.tls.certificate", "missing beside `api.tls.key`");
            return None;
        }
    };
    let chain = certificates(reader, around, "api.tls.certificate", &certificate);
    let key = private_key(reader, around, &key);
    let authorities = client_ca.map(|path| roots(reader, around, "api.tls.client_ca", &path));
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().ok()?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots?), provider).build();
            let verifier = verifier.map_err(|error| reader.error("api.tls.client_ca", &error.to_string())).ok()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain?, key?)
        .map_err(|error| reader.error("api.tls.certificate", &format!("does not go with `api.tls.key`: {error}")))
        .ok()?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

/// How the forge is spoken to. Where it is spoken to without TLS, no authority is needed.
pub(super) fn client(reader: &mut Reader, around: &Surroundings<'_>, is_plain: bool) -> Option<ClientConfig> {
    let path = reader.text("forge.ca")?;
    let roots = if is_plain { RootCertStore::empty() } else { roots(reader, around, "forge.ca", &path)? };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Some(builder.with_safe_default_protocol_versions().ok()?.with_root_certificates(roots).with_no_client_auth())
}

/// What an error calls a file. One that the document names is not repeated: the key itself may stand in its place.
fn named(reader: &Reader, key: &str, path: &str) -> String {
    if reader.is_given(key) { "the file that it names".into() } else { format!("`{path}`, its default,") }
}

fn file(reader: &mut Reader, around: &Surroundings<'_>, key: &'static str, path: &str) -> Option<Vec<u8>> {
    let which = named(reader, key, path);
    (around.file)(path).map_err(|error| reader.error(key, &unread(&which, &error))).ok()
}

fn certificates(
    reader: &mut Reader,
    around: &Surroundings<'_>,
    key: &'static str,
    path: &str,
) -> Option<Vec<CertificateDer<'static>>> {
    let pem = file(reader, around, key, path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        Ok(_) | Err(_) => {
            reader.error(key, &format!("expected certificates in PEM in {}", named(reader, key, path)));
            None
        }
    }
}

fn private_key(reader: &mut Reader, around: &Surroundings<'_>, path: &str) -> Option<PrivateKeyDer<'static>> {
    let pem = file(reader, around, "api.tls.key", path)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    key.map_err(|_| reader.error("api.tls.key", "expected a private key in PEM in the file that it names")).ok()
}

fn roots(reader: &mut Reader, around: &Surroundings<'_>, key: &'static str, path: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(reader, around, key, path)?);
    if added == 0 {
        reader.error(key, &format!("expected certificates of authorities in {}", named(reader, key, path)));
        return None;
    }
    Some(roots)
}
