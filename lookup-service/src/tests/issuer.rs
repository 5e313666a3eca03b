//! A stand-in for a CI: it signs ID tokens with keys of its own, serves their public halves, and says which jobs run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::signature::KeyPair;
use serde_json::{Value, json};

pub(crate) const AUDIENCE: &str = "https://forge.example.com/jobscope";
pub(crate) const CREDENTIAL: &str = "ci-api-secret";

/// A key pair, and its public half as a JSON Web Key without a name.
pub(crate) struct Pair {
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
    pub(crate) public: Value,
}

fn rsa(bits: &str) -> Pair {
    let made = format!("openssl genrsa {bits} 2>/dev/null | openssl rsa -traditional -outform DER 2>/dev/null");
    let der = Command::new("sh").args(["-c", &made]).output().unwrap().stdout;
    let private = EncodingKey::from_rsa_der(&der);
    // ring takes no key of so few bits as one of them has.
    let modulus = Command::new("sh")
        .args(["-c", &format!("printf %s '{}' | base64 -d | openssl rsa -inform DER -noout -modulus", standard(&der))])
        .output()
        .unwrap();
    let hex = String::from_utf8(modulus.stdout).unwrap();
    let hex = hex.trim().strip_prefix("Modulus=").unwrap();
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let n: Vec<u8> = hex.as_bytes().chunks(2).map(byte).collect();
    Pair { algorithm: Algorithm::RS256, private, public: json!({"kty": "RSA", "n": text(&n), "e": "AQAB"}) }
}

fn ec() -> Pair {
    let (random, algorithm) = (ring::rand::SystemRandom::new(), &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    let der = ring::signature::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let public = json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])});
    Pair { algorithm: Algorithm::ES256, private: EncodingKey::from_ec_der(der.as_ref()), public }
}

pub(crate) static RSA: LazyLock<Pair> = LazyLock::new(|| rsa("2048"));
pub(crate) static OTHER_RSA: LazyLock<Pair> = LazyLock::new(|| rsa("2048"));
pub(crate) static WEAK_RSA: LazyLock<Pair> = LazyLock::new(|| rsa("1024"));
pub(crate) static EC: LazyLock<Pair> = LazyLock::new(ec);

fn standard(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Pair {
    /// Its public half under a name.
    pub(crate) fn named(&self, kid: &str) -> Value {
        let mut key = self.public.clone();
        key["kid"] = json!(kid);
        key
    }

    /// A token of these claims, under the name of a key.
    pub(crate) fn sign(&self, kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.into()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }

    /// A token whose header and payload are just these bytes.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", text(header.as_bytes()), text(payload.as_bytes()));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub(crate) struct Ci {
    /// What its set of keys is.
    pub(crate) keys: Value,
    /// What its API answers, by the path.
    pub(crate) answers: BTreeMap<String, Value>,
    /// With which status everything is answered instead.
    pub(crate) fault: Option<u16>,
    pub(crate) asked: Vec<String>,
}

/// A CI that is spoken to.
#[derive(Clone)]
pub(crate) struct StandInCi {
    pub(crate) address: SocketAddr,
    ci: Arc<Mutex<Ci>>,
}

impl StandInCi {
    pub(crate) async fn start() -> Self {
        let keys = json!({"keys": [RSA.named("rsa-1"), EC.named("ec-1"), WEAK_RSA.named("weak"), {"kty": "OKP", "kid": "rsa-1"}]});
        let ci = Ci { keys, answers: BTreeMap::new(), fault: None, asked: Vec::new() };
        let ci = Arc::new(Mutex::new(ci));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&ci));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, ci }
    }

    /// One at which nobody answers.
    pub(crate) fn nowhere() -> Self {
        let ci = Ci { keys: Value::Null, answers: BTreeMap::new(), fault: None, asked: Vec::new() };
        Self { address: ([127, 0, 0, 1], 9).into(), ci: Arc::new(Mutex::new(ci)) }
    }

    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut Ci) -> T) -> T {
        what(&mut self.ci.lock().unwrap())
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.with(|ci| ci.asked.iter().filter(|asked| asked.starts_with(path)).count())
    }

    /// Says of a job of GitLab what its status is.
    pub(crate) fn says(&self, job: u64, status: &str) {
        let path = format!("/ci/api/v4/projects/4711/jobs/{job}");
        self.with(|ci| ci.answers.insert(path, json!({"id": job, "status": status})));
    }
}

async fn answer(State(ci): State<Arc<Mutex<Ci>>>, uri: Uri, headers: HeaderMap) -> Response {
    let mut ci = ci.lock().unwrap();
    let path = uri.path().to_owned();
    ci.asked.push(path.clone());
    if let Some(fault) = ci.fault {
        let status = StatusCode::from_u16(fault).unwrap();
        // With such a status not even keys are any.
        let body = if path == "/keys" { ci.keys.to_string() } else { "<p>Sign in".into() };
        return match status.is_redirection() {
            true => (status, [(header::LOCATION, "/elsewhere")], body).into_response(),
            false => (status, body).into_response(),
        };
    }
    if path == "/keys" || path == "/elsewhere" {
        return ci.keys.to_string().into_response();
    }
    let is_ours = headers.values().any(|value| value.as_bytes().ends_with(CREDENTIAL.as_bytes()));
    match ci.answers.get(&path).filter(|_| is_ours) {
        Some(answer) => answer.to_string().into_response(),
        None => (StatusCode::NOT_FOUND, json!({"message": "404"}).to_string()).into_response(),
    }
}
