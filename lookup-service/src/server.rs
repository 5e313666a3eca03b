//! Connections: how many there are, how long a caller may take to begin, TLS, and their end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may be without a request, or a request without its whole head.
const HEAD: Duration = Duration::from_secs(60);

/// How requests are served.
pub struct Serving {
    /// In TLS, with this.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How many connections are open at a time.
    pub max_connections: usize,
    /// How long requests under way have at the end.
    pub drain: Duration,
}

/// Serves until `drains` says that it is over, and then until what is under way is answered.
pub async fn serve(listener: TcpListener, router: Router, serving: Serving, mut drains: watch::Receiver<bool>) {
    let tls = serving.tls.map(TlsAcceptor::from);
    let (graceful, slots) = (GracefulShutdown::new(), Arc::new(Semaphore::new(serving.max_connections)));
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            _ = drains.wait_for(|drains| *drains) => break,
            accepted = accepted => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Too many files are open, for example: others close some.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _slot = slot;
            match tls {
                None => converse(stream, router, watcher).await,
                Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, router, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                    Err(_) => tracing::debug!("a handshake took too long"),
                },
            }
        });
    }
    drop(listener);
    if timeout(serving.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("not all that was under way was answered in time");
    }
}

async fn converse<S>(stream: S, router: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD).max_concurrent_streams(1024);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}
