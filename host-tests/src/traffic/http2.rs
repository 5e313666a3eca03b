//! A client of HTTP/2.

use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::message::{Answer, Fault, Framing, Request};

/// A connection, for as many requests at once as the server allows.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Bytes>,
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
        let mut builder = Builder::new();
        builder.enable_push(false).initial_window_size(1 << 20).initial_connection_window_size(16 << 20);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| Fault::of("no connection", error))?;
        // It ends with the last sender; what goes wrong in it, each stream is told.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender })
    }

    /// Sends a request in a stream of its own and reads its answer. Its time begins when the server allows the stream.
    ///
    /// # Errors
    ///
    /// When no whole answer comes within `patience`.
    pub async fn send(&self, request: &Request, patience: Duration) -> Result<Answer, Fault> {
        let mut sender = self.sender.clone().ready().await.map_err(|error| Fault::of("no stream", error))?;
        let head = head(request).map_err(|error| Fault::of("no request", error))?;
        let has_body = request.body.framing != Framing::None;
        let begin = Instant::now();
        let (response, stream) = sender.send_request(head, !has_body).map_err(|error| Fault::of("no stream", error))?;
        let mut receiving = pin!(receive(response, begin));
        let exchange = async {
            let stream = tokio::select! {
                answer = &mut receiving => return answer,
                stream = write(stream, request) => stream,
            };
            let answer = receiving.await;
            // Dropped before its end it would be reset.
            drop(stream);
            answer
        };
        timeout(patience, exchange).await.unwrap_or_else(|_| Err(Fault(format!("no answer within {patience:?}"))))
    }
}

fn head(request: &Request) -> Result<http::Request<()>, http::Error> {
    let mut head =
        http::Request::builder().method(request.method).uri(format!("http://{}{}", request.host, request.path));
    for (name, value) in &request.fields {
        head = head.header(*name, value);
    }
    if let Framing::Length(length) = request.body.framing {
        head = head.header("content-length", length);
    }
    head.body(())
}

/// Gives back the stream, also when the server did not want all of it.
async fn write(mut stream: SendStream<Bytes>, request: &Request) -> SendStream<Bytes> {
    if request.body.framing == Framing::None {
        return stream;
    }
    for (pause, piece) in &request.body.pieces {
        if !pause.is_zero() {
            sleep(*pause).await;
        }
        if write_piece(&mut stream, piece.clone()).await.is_none() {
            return stream;
        }
    }
    if request.body.ends {
        let _ = stream.send_data(Bytes::new(), true);
    }
    stream
}

async fn write_piece(stream: &mut SendStream<Bytes>, mut piece: Bytes) -> Option<()> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
        stream.send_data(piece.split_to(room.min(piece.len())), false).ok()?;
    }
    Some(())
}

async fn receive(response: ResponseFuture, begin: Instant) -> Result<Answer, Fault> {
    let (head, mut stream) = response.await.map_err(|error| Fault::of("reset", error))?.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        match piece {
            Ok(piece) => {
                let _ = stream.flow_control().release_capacity(piece.len());
                body.extend_from_slice(&piece);
            }
            // The answer is whole, and the rest of the request not wanted.
            Err(error) if error.reason() == Some(Reason::NO_ERROR) => break,
            Err(error) => return Err(Fault(format!("{} and reset: {error}", head.status.as_u16()))),
        }
    }
    let fields = head.headers.iter();
    let answer = Answer {
        status: head.status.as_u16(),
        fields: fields
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body,
        took: begin.elapsed(),
    };
    answer.whole()
}
