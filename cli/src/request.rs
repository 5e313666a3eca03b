//! A request, as its client sends it.

use policy::Config;
use policy::request::{Body, Head, Reading, read};

/// A request: what stands in its head, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The host, with its port where one is named.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Header fields, names in lower case, without `host`.
    pub headers: Vec<(String, String)>,
    /// The body, where there is one.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without header fields and body.
    #[must_use]
    pub fn new(method: &str, authority: &str, path: &str) -> Self {
        let (method, authority, path) = (method.to_owned(), authority.to_owned(), path.to_owned());
        Self { method, authority, path, headers: Vec::new(), body: None }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(self, body: &[u8]) -> Self {
        Self { body: Some(body.to_vec()), ..self }
    }

    /// What it says, its body included.
    #[must_use]
    pub fn read(&self, config: &Config) -> Reading {
        let pseudo = [(":authority", &self.authority), (":method", &self.method), (":path", &self.path)];
        let pseudo = pseudo.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let fields = self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let fields: Vec<(&[u8], &[u8])> = pseudo.into_iter().chain(fields).collect();
        let body = if self.body.is_some() { Body::Follows } else { Body::None };
        read(&config.forge, &Head::new(&fields, body)).finish(self.body.as_deref().unwrap_or_default())
    }

    /// Method and address in one line, without what could be a secret.
    #[must_use]
    pub fn line(&self) -> String {
        crate::setup::masked(&format!("{} {}{}", self.method, self.authority, self.path))
    }
}
