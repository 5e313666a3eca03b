//! Ports of the loopback.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Below the range that Linux takes the near end of outgoing connections from: nobody gets a picked port by accident
/// between picking and listening.
const FIRST: u32 = 20_000;
const COUNT: u32 = 10_000;

/// A port where nobody listens. Never the same twice in this process.
pub(crate) fn pick() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different places.
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + offset.wrapping_add(step) % COUNT)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port between {FIRST} and {} is free", FIRST + COUNT)
}

/// The port itself, when it is free. Asked before Envoy starts: two Envoys would share a port without a word.
pub(super) fn require_free(port: u16) -> Result<u16> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(port),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use: end what listens there, or take another with `make run PORT=...`")
        }
        Err(error) => bail!("port {port} cannot be listened on: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picked_port_is_free_and_not_picked_again() {
        let (one, other) = (pick().unwrap(), pick().unwrap());
        assert_ne!(one, other);
        assert_eq!(require_free(one).unwrap(), one);
    }

    #[test]
    fn a_port_in_use_is_said_in_a_sentence() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = require_free(port).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("port {port} is in use: end what listens there, or take another with `make run PORT=...`")
        );
    }
}
