//! The HTTP client of a forge: no redirects, no cookies, no proxy, and nothing of a call in any log.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, Uri, header, uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use policy::lookup::{Answer, Call};
use rustls::ClientConfig;

/// The largest answer that is read, as in the filter.
const ANSWER_LIMIT: usize = 4 << 20;

/// A client of one forge.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
    scheme: uri::Scheme,
    authority: uri::Authority,
    user_agent: HeaderValue,
}

/// What came of a call; no status where nothing did.
#[derive(Default)]
pub(super) struct Response {
    pub(super) status: Option<u16>,
    pub(super) next_page: Option<Vec<u8>>,
    pub(super) location: Option<Vec<u8>>,
    pub(super) retry_after: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// A client of the forge at an address of which scheme and authority count.
    pub(super) fn new(scheme: uri::Scheme, authority: uri::Authority, tls: ClientConfig, connect: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(connect));
        http.set_nodelay(true);
        let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let pool = Pool::builder(TokioExecutor::new()).pool_max_idle_per_host(32).build(https.wrap_connector(http));
        Self { pool, scheme, authority, user_agent: HeaderValue::from_static("jobscope-lookup") }
    }

    /// Sends a call, and waits for all of its answer.
    pub(super) async fn send(&self, call: &Call) -> Response {
        let Some(request) = self.request(call) else { return Response::default() };
        let Ok(response) = self.pool.request(request).await else { return Response::default() };
        let field = |name: &str| response.headers().get(name).map(|value| value.as_bytes().to_vec());
        let (next_page, location, retry_after) = (field("x-next-page"), field("location"), field("retry-after"));
        let status = response.status().as_u16();
        // Of a longer one, or one that does not come whole, no part is an answer.
        match to_bytes(Body::new(response.into_body()), ANSWER_LIMIT).await {
            Ok(body) => Response { status: Some(status), next_page, location, retry_after, body: body.to_vec() },
            Err(_) => Response { status: Some(502), ..Response::default() },
        }
    }

    fn request(&self, call: &Call) -> Option<Request<Body>> {
        let uri =
            Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(&*call.path);
        let mut request = Request::builder().method(call.method).uri(uri.build().ok()?);
        request = request.header(header::USER_AGENT, &self.user_agent);
        for (name, value) in &call.headers {
            let mut value = HeaderValue::from_bytes(value).ok()?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        request.body(Body::from(call.body.clone())).ok()
    }
}

impl Response {
    /// As `policy` reads it.
    pub(super) fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            next_page: self.next_page.as_deref(),
            location: self.location.as_deref(),
            body: &self.body,
        }
    }

    /// What a forge that is left alone would say.
    pub(super) fn throttled() -> Self {
        Self { status: Some(429), ..Self::default() }
    }
}
