//! A client that sends bytes as they are given, also those that no real client would send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The first answer on a connection.
pub struct Answer {
    /// The status line's number; none when what came back is no HTTP.
    pub status: Option<u16>,
    /// The status line and the headers.
    pub head: String,
    /// The body, without its chunks' frames.
    pub body: Vec<u8>,
    /// From the first byte sent to the last one received.
    pub took: Duration,
}

impl Answer {
    /// What came in this time: an answer, or so much of it.
    #[must_use]
    pub fn read(mut bytes: Vec<u8>, took: Duration) -> Self {
        let end = End::read(&bytes);
        let body_at = head_length(&bytes).unwrap_or(bytes.len());
        let body = bytes.split_off(body_at);
        let head = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Self {
            status: head.split(' ').nth(1).and_then(|code| code.parse().ok()),
            body: match end {
                Some(End::LastChunk) => unchunked(&body),
                Some(End::At(_) | End::Close) | None => body,
            },
            head,
            took,
        }
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let beginning: String = self.text().chars().take(500).collect();
        write!(f, "after {:?}:\n{}\n\n{beginning}\n", self.took, self.head)
    }
}

/// Sends `request` and reads one answer: its whole body, or what came until the server closed or `patience` ended.
pub(crate) fn exchange(port: u16, request: &[u8], patience: Duration) -> Result<Answer> {
    let begin = Instant::now();
    let mut stream =
        TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("nobody listens on port {port}"))?;
    stream.set_read_timeout(Some(patience))?;
    // An answer may come, and the connection be closed, before everything was sent.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    let mut end = None;
    while !end.as_ref().is_some_and(|end: &End| end.is_in(&bytes)) {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(n) => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
        end = end.or_else(|| End::read(&bytes));
    }
    Ok(Answer::read(bytes, begin.elapsed()))
}

/// Where an answer ends.
pub(crate) enum End {
    At(usize),
    LastChunk,
    Close,
}

impl End {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let body_at = head_length(bytes)?;
        let head = String::from_utf8_lossy(bytes.get(..body_at)?).to_lowercase();
        if head.contains("\r\ntransfer-encoding: chunked\r\n") {
            return Some(Self::LastChunk);
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse::<usize>().ok());
        Some(length.map_or(Self::Close, |length| Self::At(body_at + length)))
    }

    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::At(end) => bytes.len() >= *end,
            Self::LastChunk => bytes.ends_with(b"\r\n0\r\n\r\n"),
            Self::Close => false,
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

pub(crate) fn unchunked(mut framed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = framed.windows(2).position(|two| two == b"\r\n") {
        let (size, rest) = framed.split_at(end);
        let size = usize::from_str_radix(&String::from_utf8_lossy(size), 16).unwrap_or(0);
        let (Some(chunk), Some(next)) = (rest.get(2..2 + size), rest.get(4 + size..)) else {
            break;
        };
        if size == 0 {
            break;
        }
        body.extend_from_slice(chunk);
        framed = next;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_lose_their_frames() {
        assert_eq!(unchunked(b"3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n"), b"abc0123456789");
        assert_eq!(unchunked(b"0\r\n\r\n"), b"");
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        assert!(End::read(sized).unwrap().is_in(sized));
        assert!(!End::read(sized).unwrap().is_in(&sized[..sized.len() - 1]));
        assert!(End::read(&sized[..20]).is_none());
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(End::read(chunked).unwrap().is_in(chunked));
    }
}
