//! HTTP calls that the filter made and a test answers.

use std::time::Duration;

use super::maps::Header;

/// Names a call for [`Host::answer`](super::Host::answer); also the token that
/// the filter got.
pub type CalloutId = u32;

/// A call waiting for its answer.
#[derive(Clone, Debug)]
pub struct Callout {
    /// What to answer it by.
    pub id: CalloutId,
    /// The worker whose VM made it, [`MAIN`](super::MAIN) for the main thread's.
    pub worker: usize,
    /// The cluster it goes to.
    pub cluster: String,
    /// Its headers, pseudo-headers included, lower case.
    pub headers: Vec<Header>,
    /// Its body.
    pub body: Vec<u8>,
    /// How long the filter would wait; none is for ever.
    pub timeout: Option<Duration>,
    pub(super) vm: usize,
    pub(super) root: u32,
    pub(super) deadline: Option<u64>,
    /// The head of its answer has come.
    pub(super) begun: bool,
}

impl Callout {
    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// The `:path`, which every call has.
    pub fn path(&self) -> String {
        self.header(":path").unwrap_or_default()
    }
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A response, from the cluster or from Envoy on its behalf.
    Response {
        /// With `:status`.
        headers: Vec<Header>,
        /// The whole body.
        body: Vec<u8>,
    },
    /// The connection broke or the time was up after the headers, or the body was too large: the
    /// filter is called with no headers and no body.
    Dropped,
}

impl Answer {
    /// A response with these headers besides `:status`.
    pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let status = (b":status".to_vec(), status.to_string().into_bytes());
        let rest = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        Answer::Response { headers: std::iter::once(status).chain(rest).collect(), body: body.into() }
    }

    /// A JSON response.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer::response(status, &[("content-type", "application/json"), ("x-envoy-upstream-service-time", "1")], body)
    }

    /// What Envoy answers when the cluster refused the connection, or reset it
    /// before the headers.
    pub fn refused() -> Answer {
        let body = "upstream connect error or disconnect/reset before headers. reset reason: connection failure";
        Answer::response(503, &[("content-length", &body.len().to_string()), ("content-type", "text/plain")], body)
    }

    /// What Envoy answers when the call's time is up.
    pub fn timed_out() -> Answer {
        Answer::response(504, &[("content-length", "24"), ("content-type", "text/plain")], "upstream request timeout")
    }
}

/// What a cluster has to send calls to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// A healthy endpoint: calls go out and wait for an answer.
    Healthy,
    /// None, or its circuit breaker is open: calls fail with `InternalFailure`.
    None,
}
