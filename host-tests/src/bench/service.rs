//! A server in a thread of its own, so that what it costs can be told from what Envoy costs.

use std::future::Future;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

use crate::stack::cpu;

/// It ends with the process.
pub(super) struct Service {
    port: u16,
    thread: PathBuf,
}

impl Service {
    /// Listens at a free port, and has each connection served.
    pub(super) fn start<F: Future + Send + 'static>(serve: fn(TcpStream) -> F) -> Result<Self>
    where
        F::Output: Send,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || -> Result<()> {
            sender.send(cpu::this_thread()?)?;
            runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve(stream));
                }
            })
        });
        Ok(Self { port, thread: receiver.recv()? })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu::of_task(&self.thread)
    }
}
