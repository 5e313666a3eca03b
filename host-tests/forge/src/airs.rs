//! What the forge says of itself, and of the tokens of persons: what only administrators look at.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::iso;
use crate::reply;

/// What is told. A test puts another one in its place.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Airs {
    /// Its version.
    pub version: String,
    /// What personal access tokens may do.
    pub scopes: Vec<String>,
    /// The day on which they are over.
    pub expires_at: Option<String>,
    /// By how many seconds its clock is ahead.
    pub clock_ahead: i64,
    /// The webhooks of projects and groups, by their paths.
    pub hooks: BTreeMap<String, Vec<Value>>,
}

impl Default for Airs {
    fn default() -> Self {
        Self {
            version: "18.11.2".to_owned(),
            scopes: vec!["read_api".to_owned(), "admin_mode".to_owned()],
            expires_at: None,
            clock_ahead: 0,
            hooks: BTreeMap::new(),
        }
    }
}

impl Airs {
    /// GitLab's words where tokens are over.
    pub fn refusal(&self) -> Option<Response> {
        // Dates in this form are in order as texts are.
        let is_over = self.expires_at.as_ref().is_some_and(|day| *day <= iso(self.now()));
        is_over.then(|| {
            let body = json!({
                "error": "invalid_token",
                "error_description": "Token is expired. You can either do re-authorization or token refresh.",
            });
            reply::json(StatusCode::UNAUTHORIZED, &body)
        })
    }

    /// What time it is here.
    pub fn now(&self) -> SystemTime {
        let by = Duration::from_secs(self.clock_ahead.unsigned_abs());
        if self.clock_ahead < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
    }
}
