//! Traffic in crowds: clients of HTTP/1.1 and HTTP/2 by the thousand, an upstream that says what reached it, and a lookup
//! service that answers when it is told to.
//!
//! An [`Answer`] is whole, or it is none: what was cut off, reset or never came is a [`Fault`].

mod echo;
mod http1;
mod http2;
mod lookups;
mod message;

pub use echo::{Echo, Seen, sha256};
pub use http1::Connection as Http1;
pub use http2::Connection as Http2;
pub use lookups::Lookups;
pub use message::{Answer, Body, Fault, Framing, Request};

/// Lets this process have as many connections as it may.
///
/// # Errors
///
/// When the system refuses.
pub fn raise_descriptors() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?)
}
