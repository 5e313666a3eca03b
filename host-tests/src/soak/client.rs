//! A client that keeps its connection.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::factory::Message;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    connection: BufReader<TcpStream>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { connection: BufReader::new(stream) })
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
        for (name, value) in fields {
            write!(request, "{name}: {value}\r\n")?;
        }
        if !body.is_empty() {
            write!(request, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())?;
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.connection.get_mut().write_all(request.as_bytes())?;
        let message = Message::read(&mut self.connection)?.context("Envoy closed the connection")?;
        let status = message.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(Answer { status, body: message.body })
    }
}
