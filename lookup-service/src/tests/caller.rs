//! Who asks a service, as an Envoy does.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "caller-secret-of-now";
pub(crate) const NEXT_TOKEN: &str = "caller-secret-of-next";

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) tls: Option<ClientConfig>,
}

impl Caller {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { address, token: TOKEN.into(), tls: None }
    }

    pub(crate) fn in_tls(address: SocketAddr, tls: ClientConfig) -> Self {
        Self { tls: Some(tls), ..Self::of(address) }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = if self.tls.is_some() { "localhost".into() } else { self.address.ip().to_string() };
        Request::builder()
            .method(method)
            .uri(format!("{scheme}://{host}:{}{path}", self.address.port()))
            .header("authorization", format!("Bearer {}", self.token))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Reply, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let plain = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let plain = plain.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let tls = self.tls.clone().unwrap_or(plain);
        let https =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let response = Client::builder(TokioExecutor::new()).build(https).request(request).await;
        let response = response.map_err(|error| format!("{error:?}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply { status, headers, body: serde_json::from_slice(&body).unwrap_or_default(), text })
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request("POST", path).body(Body::from(body.to_string())).unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Asks whose token it is, by memory that is no older than `max_age`.
    pub(crate) async fn token(&self, token: &str, max_age: Option<u64>) -> Reply {
        let question = json!({"version": 1, "ask": "token", "token": token, "max_age": max_age});
        self.post("/jobscope/v1/lookup", &question).await
    }

    /// Asks what libs/common is to the job of apps/web.
    pub(crate) async fn target(&self, max_age: Option<u64>) -> Reply {
        let question = json!({"version": 1, "ask": "target", "job": {"id": 1001},
            "origin": {"id": 101, "path": "apps/web"}, "user": {"id": 11, "name": "dana"},
            "target": {"path": "libs/common"}, "max_age": max_age});
        self.post("/jobscope/v1/lookup", &question).await
    }

    pub(crate) async fn end(&self, jobs: &[u64]) -> Reply {
        self.post("/jobscope/v1/ended", &json!({"version": 1, "jobs": jobs})).await
    }

    pub(crate) async fn changes(&self, wait: u64, after: Option<&str>) -> Reply {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        self.get(&format!("/jobscope/v1/changes?wait={wait}{after}")).await
    }

    pub(crate) async fn cursor(&self) -> String {
        self.changes(1, None).await.body["cursor"].as_str().unwrap().to_owned()
    }
}
