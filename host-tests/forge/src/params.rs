//! The parameters of a request, wherever they are: query, urlencoded form, multipart form, JSON.

use axum::body::Bytes;
use serde_json::Value;

/// A file in a multipart form.
pub struct File {
    pub field: String,
    pub content: Bytes,
}

/// All parameters, the query's first.
#[derive(Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    pub files: Vec<File>,
    /// The body, where it is a JSON document.
    pub json: Option<Value>,
}

impl Params {
    /// The parameters of a query alone.
    pub fn of_query(pairs: Vec<(String, String)>) -> Self {
        Self { pairs, ..Self::default() }
    }

    /// The last value with this name, as Rails takes it.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rfind(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// The value as a number.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.value(name)?.parse().ok()
    }

    /// Adds one parameter.
    pub fn push(&mut self, name: String, value: String) {
        self.pairs.push((name, value));
    }

    /// Adds a JSON document: the plain values of its top level are parameters.
    pub fn push_json(&mut self, document: Value) {
        for (name, value) in document.as_object().into_iter().flatten() {
            match value {
                Value::String(text) => self.push(name.clone(), text.clone()),
                Value::Number(_) | Value::Bool(_) => self.push(name.clone(), value.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        self.json = Some(document);
    }
}
