//! A request on its way through the routes.

use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;

use crate::caller::{Caller, Dead};
use crate::forge::Forge;
use crate::params::{File, Params};
use crate::reply;
use crate::target::{self, Target};

/// The largest body that is taken into memory. Repositories, LFS objects and packages stream.
const IN_MEMORY: usize = 64 * 1024 * 1024;

/// A request whose target was taken apart.
pub struct Received {
    pub parts: Parts,
    pub target: Target,
    /// A body is not `Sync`, and routes lend the request out across waits.
    body: Mutex<Body>,
    sequence: Option<u64>,
}

impl Received {
    /// A request; `sequence` is its number in the record, if it has one.
    pub fn new(parts: Parts, target: Target, body: Body, sequence: Option<u64>) -> Self {
        Self { parts, target, body: Mutex::new(body), sequence }
    }

    /// Who asks, by headers and query.
    ///
    /// # Errors
    /// When the credential is dead.
    pub fn caller(&self, forge: &Forge) -> Result<Caller, Dead> {
        self.caller_with(forge, &Params::of_query(self.target.pairs()))
    }

    /// Who asks, by headers alone: git and its relatives know no other place.
    ///
    /// # Errors
    /// When the credential is dead.
    pub fn caller_by_headers(&self, forge: &Forge) -> Result<Caller, Dead> {
        self.caller_with(forge, &Params::default())
    }

    /// Who asks, by headers and these parameters.
    ///
    /// # Errors
    /// When the credential is dead.
    pub fn caller_with(&self, forge: &Forge, params: &Params) -> Result<Caller, Dead> {
        let found = Caller::find(forge, &self.parts.headers, params);
        let who = found.as_ref().map_or_else(|Dead| "dead credential".to_owned(), Caller::describe);
        self.identify(forge, who);
        found
    }

    /// Notes in the record whom the caller was taken for.
    pub fn identify(&self, forge: &Forge, who: String) {
        if let Some(sequence) = self.sequence {
            forge.record().identify(sequence, who);
        }
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The body, to stream it. A second call gives nothing.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// The whole body.
    ///
    /// # Errors
    /// An answer for the client when the body ends early or is too large.
    pub async fn bytes(&mut self) -> Result<Bytes, Response> {
        to_bytes(self.take_body(), IN_MEMORY)
            .await
            .map_err(|_| reply::message(StatusCode::BAD_REQUEST, "400 Bad Request"))
    }

    /// The parameters of query and body.
    ///
    /// # Errors
    /// An answer for the client when the body is not what its type says.
    pub async fn params(&mut self) -> Result<Params, Response> {
        let mut params = Params::of_query(self.target.pairs());
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind {
            "application/x-www-form-urlencoded" => {
                let body = self.bytes().await?;
                for (name, value) in target::pairs(&String::from_utf8_lossy(&body)) {
                    params.push(name, value);
                }
            }
            "application/json" => {
                let body = self.bytes().await?;
                if !body.is_empty() {
                    params.push_json(serde_json::from_slice(&body).map_err(|_| bad_body())?);
                }
            }
            "multipart/form-data" => self.multipart(&mut params).await?,
            _ => {}
        }
        Ok(params)
    }

    async fn multipart(&mut self, params: &mut Params) -> Result<(), Response> {
        let request = Request::from_parts(self.parts.clone(), self.take_body());
        let mut form = Multipart::from_request(request, &()).await.map_err(|_| bad_body())?;
        while let Some(field) = form.next_field().await.map_err(|_| bad_body())? {
            let name = field.name().unwrap_or_default().to_owned();
            let is_file = field.file_name().is_some();
            let content = field.bytes().await.map_err(|_| bad_body())?;
            if is_file {
                params.files.push(File { field: name, content });
            } else {
                params.push(name, String::from_utf8_lossy(&content).into_owned());
            }
        }
        Ok(())
    }
}

fn bad_body() -> Response {
    reply::message(StatusCode::BAD_REQUEST, "400 Bad Request")
}
