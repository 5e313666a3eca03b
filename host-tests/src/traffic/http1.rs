//! A client of HTTP/1.1.

use std::fmt::Write as _;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::message::{Answer, Body, Fault, Framing, Request};
use crate::stack::{End, unchunked};

/// A connection, for one request after another.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Opens one to this port of the loopback.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub async fn open(port: u16) -> Result<Self, Fault> {
        let stream =
            TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| Fault::of("no connection", error))?;
        stream.set_nodelay(true).map_err(|error| Fault::of("no connection", error))?;
        Ok(Self { stream })
    }

    /// Sends a request and reads its answer. After a fault, or an answer that came before the whole request was sent, the
    /// connection is of no more use.
    ///
    /// # Errors
    ///
    /// When no whole answer comes within `patience`.
    pub async fn send(&mut self, request: &Request, patience: Duration) -> Result<Answer, Fault> {
        let begin = Instant::now();
        let (reader, writer) = self.stream.split();
        let mut receiving = pin!(receive(reader, begin));
        let exchange = async {
            tokio::select! {
                answer = &mut receiving => return answer,
                // Whatever becomes of the writing: an answer may come all the same.
                _ = write(writer, request) => {}
            }
            receiving.await
        };
        timeout(patience, exchange).await.unwrap_or_else(|_| Err(Fault(format!("no answer within {patience:?}"))))
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, request: &Request) -> std::io::Result<()> {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.path, request.host);
    for (name, value) in &request.fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    match request.body.framing {
        Framing::None => {}
        Framing::Length(length) => {
            let _ = write!(head, "content-length: {length}\r\n");
        }
        Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
    }
    head.push_str("\r\n");
    writer.write_all(head.as_bytes()).await?;
    let Body { framing, pieces, ends } = &request.body;
    for (pause, piece) in pieces {
        if !pause.is_zero() {
            sleep(*pause).await;
        }
        write_piece(&mut writer, *framing, piece).await?;
    }
    if *framing == Framing::Chunked && *ends {
        writer.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}

async fn write_piece(writer: &mut (impl AsyncWrite + Unpin), framing: Framing, piece: &Bytes) -> std::io::Result<()> {
    if framing != Framing::Chunked {
        return writer.write_all(piece).await;
    }
    writer.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    writer.write_all(piece).await?;
    writer.write_all(b"\r\n").await
}

async fn receive(mut reader: impl AsyncRead + Unpin, begin: Instant) -> Result<Answer, Fault> {
    let mut bytes = Vec::new();
    let mut end = None;
    while !end.as_ref().is_some_and(|end: &End| end.is_in(&bytes)) {
        match reader.read_buf(&mut bytes).await {
            Ok(0) => return Err(Fault(format!("closed after {} bytes", bytes.len()))),
            Ok(_) => {}
            Err(error) => return Err(Fault::of("broken off", error)),
        }
        end = end.or_else(|| End::read(&bytes));
    }
    let took = begin.elapsed();
    let head_length = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let body = bytes.split_off(head_length);
    let head = String::from_utf8_lossy(&bytes);
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let answer = Answer {
        status: status.ok_or_else(|| Fault(format!("no status in `{}`", head.escape_debug())))?,
        fields: fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect(),
        body: if matches!(end, Some(End::LastChunk)) { unchunked(&body) } else { body },
        took,
    };
    answer.whole()
}
