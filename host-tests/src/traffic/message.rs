//! A request as it is to be sent, and what came of it.

use std::time::Duration;

use axum::body::Bytes;

/// A request, whatever carries it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` and so on.
    pub method: &'static str,
    /// The name in `Host` or `:authority`.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The other fields but the body's length, with names in lower case.
    pub fields: Vec<(&'static str, String)>,
    /// What follows.
    pub body: Body,
}

/// A body, piece by piece.
#[derive(Clone, Debug)]
pub struct Body {
    /// What is said of its length.
    pub framing: Framing,
    /// How long to wait before each piece, and the piece.
    pub pieces: Vec<(Duration, Bytes)>,
    /// Whether it ends after the last piece, or the client just says nothing more.
    pub ends: bool,
}

/// What the head says of the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: there is no body.
    None,
    /// This many bytes.
    Length(usize),
    /// That it ends when it ends.
    Chunked,
}

impl Body {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self { framing: Framing::None, pieces: Vec::new(), ends: true }
    }

    /// All of it at once, with its length.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self { framing: Framing::Length(bytes.len()), pieces: vec![(Duration::ZERO, bytes)], ends: true }
    }

    /// With its length, and evenly over a time: the first piece at once, the last at the end.
    #[must_use]
    pub fn slow(bytes: &Bytes, pieces: usize, time: Duration) -> Self {
        let size = bytes.len().div_ceil(pieces).max(1);
        let cut: Vec<Bytes> =
            (0..bytes.len()).step_by(size).map(|at| bytes.slice(at..bytes.len().min(at + size))).collect();
        let pause = time / u32::try_from(cut.len().saturating_sub(1).max(1)).unwrap_or(u32::MAX);
        let pieces = cut.into_iter().enumerate();
        let pieces = pieces.map(|(i, piece)| (if i == 0 { Duration::ZERO } else { pause }, piece)).collect();
        Self { framing: Framing::Length(bytes.len()), pieces, ends: true }
    }

    /// The same without saying how long it is.
    #[must_use]
    pub fn chunked(self) -> Self {
        Self { framing: Framing::Chunked, ..self }
    }

    /// One byte of a hundred, and nothing more.
    #[must_use]
    pub fn never() -> Self {
        Self { framing: Framing::Length(100), pieces: vec![(Duration::ZERO, Bytes::from_static(b"{"))], ends: false }
    }
}

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields, with names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// From the first byte sent to the last one received.
    pub took: Duration,
}

impl Answer {
    /// The first value of a header field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// An answer whose body is as long as it says.
    pub(super) fn whole(self) -> Result<Self, Fault> {
        match self.field("content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) if length != self.body.len() => {
                Err(Fault(format!("{} with {} bytes of {length}", self.status, self.body.len())))
            }
            Some(_) | None => Ok(self),
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let beginning: String = self.text().chars().take(300).collect();
        write!(f, "{} after {:?}: {beginning}", self.status, self.took)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault(pub(super) String);

impl Fault {
    pub(super) fn of(what: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
