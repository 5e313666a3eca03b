//! What the filter relies on in a host, and how it finds out. Envoy keeps all of it. On a host that does not, nothing would
//! hold that the rules say: the filter says so once, and judges nothing.

use crate::host::{Host, HostError, Result, Stream, Written};

/// Something that a host must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Data that all workers share.
    SharedData,
    /// A write with an old number changes nothing.
    CompareAndSwap,
    /// The request that is acted for is the one that was named.
    ActingFor,
    /// Time passes.
    Clock,
    /// Ticks come.
    Ticks,
    /// Behind the end of a request nothing more of it comes.
    EndOfStream,
    /// The filter is called back when it has returned, and not before.
    Nesting,
}

/// When it is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Before the first request: the configuration is refused.
    AtStart,
    /// When the host does it.
    AtWork,
}

impl Promise {
    /// All of them: when it is found out that it is broken, and what the log says then.
    pub const ALL: [(Self, Found, &'static str); 7] = [
        (Self::SharedData, Found::AtStart, "keeps no data that its workers share"),
        (Self::CompareAndSwap, Found::AtStart, "writes shared data over what another worker has written meanwhile"),
        (Self::ActingFor, Found::AtStart, "answers and resumes another request than the one that is named"),
        (Self::Clock, Found::AtWork, "has a clock that stands still"),
        (Self::Ticks, Found::AtWork, "has not let the filter know in its first minute that time passes"),
        (Self::EndOfStream, Found::AtWork, "shows more of a request behind its end"),
        (Self::Nesting, Found::AtWork, "calls the filter back from within the filter's own calls"),
    ];

    /// What the log says of a host with this name that breaks it.
    pub(crate) fn complaint(self, host: &str) -> String {
        let does = Self::ALL.iter().find(|(promise, ..)| *promise == self).map_or("", |(.., does)| does);
        let host = if host.is_empty() { "a proxy without a name" } else { host };
        format!("the filter judges nothing on this host: {host} {does}")
    }
}

/// What tries shared data out. One key, however often.
const KEY: &str = "jobscope.host";

/// How often a write may lose a race against other workers that start too.
const ATTEMPTS: usize = 64;

/// No host has had so many requests.
const NOBODY: Stream = Stream::MAX;

/// What this host breaks, as far as it can be found out before a request comes.
pub(crate) fn broken_at_start(host: &impl Host) -> Option<Promise> {
    if host.act_for(Some(NOBODY)).is_ok() {
        let _ = host.act_for(None);
        return Some(Promise::ActingFor);
    }
    match swaps(host) {
        Ok(true) => None,
        Ok(false) => Some(Promise::CompareAndSwap),
        Err(_) => Some(Promise::SharedData),
    }
}

/// Whether a write with an old number is refused, and one with the newest is not.
fn swaps(host: &impl Host) -> Result<bool> {
    let lost = HostError { call: "get_shared_data", status: 1 };
    let mine = host.random().to_le_bytes();
    if host.row(KEY)?.is_none() {
        host.set_row(KEY, &mine, 0)?;
    }
    for _ in 0..ATTEMPTS {
        let (_, old) = host.row(KEY)?.ok_or(lost)?;
        if host.set_row(KEY, &mine, old)? == Written::Done {
            let (bytes, _) = host.row(KEY)?.ok_or(lost)?;
            // Whoever has written since, this number is old.
            return Ok(bytes.len() == mine.len() && host.set_row(KEY, &mine, old)? == Written::Raced);
        }
    }
    Ok(false)
}
