//! A request, before anybody read it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::Config;
use policy::request::{Body, Head, Reading, read};

use crate::host::{self, RequestHead};

const TOKEN: &str = "glcbt-64_danaBuildsWeb000001";

/// A request of a job, as its client wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header fields, names in lower case; the job's token and the host are not among them.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Ask {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), fields: Vec::new(), body: Vec::new() }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The first value of a header field; `""` when there is none.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Path and query apart.
    #[must_use]
    pub fn split(&self) -> (&str, Option<&str>) {
        self.target.split_once('?').map_or((&self.target, None), |(path, query)| (path, Some(query)))
    }

    /// How the core reads it.
    #[must_use]
    pub fn reading(&self, config: &Config, host: &str) -> Reading {
        let fields = self.head(host).as_stored();
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        read(&config.forge, &Head::new(&fields, if self.body.is_empty() { Body::None } else { Body::Follows }))
    }

    /// As the compiled filter meets it in the test host.
    #[must_use]
    pub fn request(&self, host: &str) -> host::Request {
        let body = if self.body.is_empty() { Vec::new() } else { vec![self.body.clone()] };
        host::Request { head: self.head(host), body }
    }

    fn head(&self, host: &str) -> RequestHead {
        let credential = format!("Basic {}", STANDARD.encode(format!("gitlab-ci-token:{TOKEN}")));
        let mut head = RequestHead::new(&self.method, host, &self.target).header("authorization", credential);
        for (name, value) in &self.fields {
            head = head.header(name, value.as_str());
        }
        head.end_of_stream = self.body.is_empty();
        head
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}, {} bytes", self.method, self.target, self.fields, self.body.len())
    }
}
