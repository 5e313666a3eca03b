//! TLS, and callers with certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::caller::Caller;
use super::forge::StandIn;
use super::service;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `localhost` and its key, in PEM.
fn issued(by: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn client(trusts: &CertifiedIssuer<'static, KeyPair>, shows: Option<&(String, String)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusts.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    match shows {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    }
}

#[tokio::test]
async fn callers_come_in_tls_and_with_a_certificate_where_one_is_asked_for() {
    let forge = StandIn::start().await;
    let (ours, others) = (authority(), authority());
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = issued(&ours);
    let lines = [
        format!("api.tls.certificate: {}", file("certificate.pem", &certificate)),
        format!("api.tls.key: {}", file("key.pem", &key)),
        format!("api.tls.client_ca: {}", file("ca.pem", &ours.pem())),
    ];
    let plain: Vec<&str> = lines[..2].iter().map(String::as_str).collect();
    let mutual: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (one, _) = service(&forge, None, &plain).await;
    let (two, _) = service(&forge, None, &mutual).await;
    let (mine, foreign) = (issued(&ours), issued(&others));
    for (service, shows, is_let_in) in
        [(&one, None, true), (&two, None, false), (&two, Some(&mine), true), (&two, Some(&foreign), false)]
    {
        let caller = Caller::in_tls(service.address, client(&ours, shows));
        let request = caller.request("GET", "/jobscope/v1/forge").body(axum::body::Body::empty()).unwrap();
        let said = caller.send(request).await;
        assert_eq!(said.as_ref().is_ok_and(|reply| reply.status == 200), is_let_in, "{said:?}");
    }
    let without = Caller::of(one.address);
    let request = without.request("GET", "/jobscope/v1/forge").body(axum::body::Body::empty()).unwrap();
    assert!(without.send(request).await.is_err(), "nothing is answered without TLS");
}
