//! An upstream whose answer is what reached it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::net::TcpSocket;

/// The field by which a client orders a download: how many pieces of 16 KiB, one every 50 ms; `never` an answer, or one
/// that is `cut`.
const DOWNLOAD: &str = "x-download";
const PIECE: usize = 16 << 10;

/// How many connections of a crowd may wait to be taken.
const BACKLOG: u32 = 4096;

/// The upstream. It ends with the runtime that it was started in.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    port: u16,
}

/// What the upstream saw of a request.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Seen {
    /// `GET` and so on.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The fields, in Envoy's order; those of one name joined.
    pub fields: BTreeMap<String, String>,
    /// The bytes of the body.
    pub length: usize,
    /// Their SHA-256 in hexadecimal.
    pub sha256: String,
    /// How many milliseconds after the head the body's end came.
    pub body_ms: u64,
}

impl Echo {
    /// Starts it at a free port, in the runtime of the caller.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Ok(Self { port })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(self) -> u16 {
        self.port
    }

    /// The field that orders a download, and what comes then.
    #[must_use]
    pub fn download(pieces: usize) -> ((&'static str, String), Vec<u8>) {
        ((DOWNLOAD, pieces.to_string()), (0..pieces).flat_map(piece).collect())
    }
}

/// The SHA-256 of `bytes`, as in [`Seen::sha256`].
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn answer(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let begin = Instant::now();
    let (mut length, mut hash) = (0, Sha256::new());
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        // A body that is broken off has no answer that anybody waits for.
        let Ok(piece) = piece else { break };
        length += piece.len();
        hash.update(&piece);
    }
    match head.headers.get(DOWNLOAD).and_then(|pieces| pieces.to_str().ok()) {
        Some("never") => std::future::pending().await,
        Some("cut") => return cut(),
        Some(pieces) => {
            if let Ok(pieces) = pieces.parse() {
                return download(pieces);
            }
        }
        None => {}
    }
    let mut fields = BTreeMap::<String, String>::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let joined = fields.entry(name.as_str().to_owned()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&value);
    }
    axum::Json(Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        fields,
        length,
        sha256: hexadecimal(&hash.finalize()),
        body_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
    .into_response()
}

fn download(pieces: usize) -> Response {
    let content = stream::unfold(0, move |number| async move {
        if number == pieces {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece(number))), number + 1))
    });
    Body::from_stream(content).into_response()
}

/// A piece, and then the connection breaks.
fn cut() -> Response {
    let broken = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("cut"))
    };
    Body::from_stream(stream::iter([Ok(Bytes::from(piece(0)))]).chain(stream::once(broken))).into_response()
}

/// No two of the first 256 are equal.
fn piece(number: usize) -> Vec<u8> {
    (0..PIECE).map(|at| u8::try_from((number + at * 7) % 256).unwrap_or_default()).collect()
}
