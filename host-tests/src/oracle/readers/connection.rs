//! A connection that is kept alive from one request to the next.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longer than a reader takes for anything here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a reader, made anew when the reader has closed it.
pub(super) struct Connection {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

/// What a reader answers.
struct Answer {
    status: u16,
    closes: bool,
    body: Vec<u8>,
}

impl Connection {
    pub(super) fn to(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// Sends a request as it is. `None` when the reader takes it for none.
    pub(super) fn ask(&mut self, request: &[u8]) -> Result<Option<Vec<u8>>> {
        let kept = self.stream.take().and_then(|stream| exchange(stream, request).ok());
        let (stream, answer) = match kept {
            Some(answered) => answered,
            None => exchange(self.open()?, request).with_context(|| request.escape_ascii().to_string())?,
        };
        self.stream = (!answer.closes).then_some(stream);
        Ok((answer.status == 200).then_some(answer.body))
    }

    fn open(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

fn exchange(mut stream: BufReader<TcpStream>, request: &[u8]) -> Result<(BufReader<TcpStream>, Answer)> {
    // A reader may answer, and close, before it has read everything.
    let _ = stream.get_mut().write_all(request);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head)? == 0 {
            bail!("the reader closed the connection");
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let length: usize = value("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let closes = status != 200 || value("connection") == Some("close") || head.starts_with("http/1.0");
    Ok((stream, Answer { status, closes, body }))
}
