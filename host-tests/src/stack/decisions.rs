//! Envoy's access log, and the decisions in it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// An access log, read as it grows.
pub struct AccessLog {
    file: File,
    // What came after the last line's end.
    rest: Vec<u8>,
}

impl AccessLog {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("no access log at `{}`", path.display()))?;
        Ok(Self { file, rest: Vec::new() })
    }

    /// The whole lines that were written since the last call.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn new_lines(&mut self) -> Result<Vec<String>> {
        self.file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }
}

/// A line of the access log. What jobscope says is there when it decided, and absent for ordinary traffic.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// When the request began, in RFC 3339.
    pub start_time: String,
    /// The job's id.
    pub job: Option<String>,
    /// Who triggered it.
    pub user: Option<String>,
    /// The job's project.
    pub origin: Option<String>,
    /// The project asked for.
    pub target: Option<String>,
    /// What was asked.
    pub action: Option<String>,
    /// `allow`, `deny` or `observe-deny`.
    pub verdict: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The decision's id.
    pub decision: Option<String>,
    /// The request's path, without its query.
    pub path: Option<String>,
    /// The status that the client got.
    pub response_code: Option<u16>,
}

impl Entry {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// When it is not what `envoy/envoy.yaml` configures.
    pub fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line).with_context(|| format!("a line of the access log is not as configured: {line}"))
    }

    /// Did jobscope decide on this request?
    #[must_use]
    pub fn is_decision(&self) -> bool {
        self.verdict.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_is_read_when_it_is_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut log = AccessLog::open(file.path()).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["one"]);
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["two", "three"]);
        assert!(log.new_lines().unwrap().is_empty());
    }

    #[test]
    fn ordinary_traffic_is_no_decision() {
        let line = r#"{"start_time":"2026-01-01T00:00:00.000Z","verdict":null,"response_code":200}"#;
        assert!(!Entry::parse(line).unwrap().is_decision());
    }
}
