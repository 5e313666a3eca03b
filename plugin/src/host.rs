//! What a proxy gives. The filter is written against this trait alone: compiled to wasm it is hostcalls (`abi`), in the
//! simulation a scheduler with a clock of its own. Whose request a call is about is what [`Host::act_for`] said last.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use policy::bindings::Moment;

/// The host refused a call: which one, and with what status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError {
    /// The call's name.
    pub call: &'static str,
    /// What it returned.
    pub status: u32,
}

impl Display for HostError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` gave status {}", self.call, self.status)
    }
}

/// What a call of the host gives.
pub type Result<T> = std::result::Result<T, HostError>;

/// The number of a request.
pub type Stream = u32;

/// Which header map of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// The request's.
    Request,
    /// That of the forge's answer.
    Response,
    /// That of the answer to a call of our own.
    CallResponse,
}

/// Which buffer of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffer {
    /// What is held back of the request's body, and the piece that came last.
    RequestBody,
    /// The same of the forge's answer.
    ResponseBody,
    /// The body of the answer to a call of our own.
    CallResponseBody,
    /// The configuration.
    Configuration,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For who looks.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
    /// Promises are not kept.
    Critical,
}

/// What the host is to do with what it has just shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It stays where it is.
    Pause,
}

/// How something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// It only rises.
    Counter,
    /// It rises and falls; what workers count of it is added up.
    Gauge,
    /// How large values are.
    Histogram,
}

/// Whether a row was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Done,
    /// Another worker wrote in between.
    Raced,
}

/// A proxy, as one configuration on one worker sees it. Nothing here waits, and nothing calls the filter back before the
/// filter has returned.
pub trait Host: Clone {
    /// Writes a line into the proxy's log. Never a token, never a request's own bytes.
    fn log(&self, level: Level, message: &str);

    /// What the proxy calls itself; empty where it does not say.
    fn name(&self) -> String;

    /// The clock.
    fn now(&self) -> Result<Moment>;

    /// A number that no other worker is likely to get.
    fn random(&self) -> u64;

    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// Has [`Worker::tick`](crate::Worker::tick) called every so often.
    fn tick_every(&self, period: Duration) -> Result<()>;

    /// A header map.
    fn headers(&self, map: Map) -> Result<Headers>;

    /// Removes all fields of this name.
    fn remove_header(&self, map: Map, name: &str) -> Result<()>;

    /// Sets a field of the request, in place of all of its name.
    fn replace_request_header(&self, name: &str, value: &[u8]) -> Result<()>;

    /// Has the route of the request chosen anew, by its head as it is now.
    fn choose_route(&self) -> Result<()>;

    /// Up to `length` bytes of a buffer from `start`.
    fn buffer(&self, buffer: Buffer, start: usize, length: usize) -> Result<Vec<u8>>;

    /// Puts `new` in the place of a buffer's first `length` bytes.
    fn replace_buffer(&self, buffer: Buffer, length: usize, new: &[u8]) -> Result<()>;

    /// Whence the request comes. Empty where that is not known.
    fn source_address(&self) -> Result<Vec<u8>>;

    /// How many bytes of the request's body came, whether they were shown or not.
    fn body_size(&self) -> Result<u64>;

    /// Writes a property for the access log of the request, in place of what it was.
    fn log_property(&self, name: &str, value: &[u8]) -> Result<()>;

    /// Such a property as it was written. Empty where it was not.
    fn logged(&self, name: &str) -> Result<Vec<u8>>;

    /// Has the property of this name hold protobuf messages of this type, where it would hold bytes. Once, and only from what
    /// is about no request.
    fn declare(&self, name: &str, message: &str) -> Result<()>;

    /// A row that all workers share, and its number, which a write must name. `None` when it was never written.
    fn row(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>>;

    /// Writes a row, if this is still its number.
    fn set_row(&self, key: &str, value: &[u8], number: u32) -> Result<Written>;

    /// What follows is about this request; an error when it is gone. None is about none.
    fn act_for(&self, stream: Option<Stream>) -> Result<()>;

    /// Lets the request go on.
    fn resume(&self) -> Result<()>;

    /// Lets the answer go on.
    fn resume_answer(&self) -> Result<()>;

    /// Answers the request. `details` goes into the access log's response code details.
    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &str, details: &str) -> Result<()>;

    /// Has the request's body held back, from its head on and without a limit, until the request goes on.
    fn hold_body(&self, stream: Stream) -> Result<()>;

    /// Sends an HTTP call to a cluster, and gives the number under which it is answered. Only from
    /// [`Worker::depart`](crate::Worker::depart) and what is about no request.
    fn call(&self, cluster: &str, headers: Vec<(&str, &str)>, body: &[u8], timeout: Duration) -> Result<u32>;

    /// Defines something that is counted, and gives its number.
    fn define(&self, metric: Metric, name: &str) -> Result<u32>;

    /// Counts: a counter up, a gauge up or down.
    fn count(&self, number: u32, by: i64) -> Result<()>;

    /// Records a value in a histogram, or sets a gauge to it.
    fn record(&self, number: u32, value: u64) -> Result<()>;

    /// `length` bytes of a buffer from `start`, and not one less.
    fn piece(&self, buffer: Buffer, start: usize, length: usize) -> Result<Vec<u8>> {
        let bytes = self.buffer(buffer, start, length)?;
        if bytes.len() == length { Ok(bytes) } else { Err(HostError { call: "get_buffer", status: 1 }) }
    }

    /// Answers the request where nothing can be decided: it may come again.
    fn unavailable(&self, reason: &str) -> Result<()> {
        self.reply(503, &[("retry-after", "2"), ("cache-control", "no-store")], "", &format!("jobscope:{reason}"))
    }
}

/// A header map as proxy-wasm packs it, in one piece: the number of fields, the sizes of names and values, then the bytes,
/// each followed by a zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers(Vec<u8>);

impl Headers {
    /// What the host packed. Whether it is what it must be is not looked at here.
    #[must_use]
    pub fn packed(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// These fields.
    #[must_use]
    pub fn pack<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Self {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = u32::try_from(fields.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        for (name, value) in fields {
            bytes.extend(size(name.as_ref()));
            bytes.extend(size(value.as_ref()));
        }
        for text in fields.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]) {
            bytes.extend(text);
            bytes.push(0);
        }
        Self(bytes)
    }

    /// The packed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes they have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The fields.
    ///
    /// # Errors
    /// The packing is not what it must be.
    pub fn fields(&self) -> Result<Vec<(&[u8], &[u8])>> {
        self.unpack().ok_or(HostError { call: "get_header_map_pairs", status: 4 })
    }

    fn unpack(&self) -> Option<Vec<(&[u8], &[u8])>> {
        if self.0.is_empty() {
            return Some(Vec::new());
        }
        let (count, rest) = number(&self.0)?;
        let (sizes, mut bytes) = rest.split_at_checked(count.checked_mul(8)?)?;
        let mut fields = Vec::with_capacity(count);
        for size in sizes.chunks_exact(8) {
            let (name_size, value_size) = number(size)?;
            let (value_size, _) = number(value_size)?;
            let (name, after_name) = bytes.split_at_checked(name_size)?;
            let (value, after_value) = after_name.get(1..)?.split_at_checked(value_size)?;
            bytes = after_value.get(1..)?;
            fields.push((name, value));
        }
        Some(fields)
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn what_was_packed_is_read_and_nothing_else_is() {
        let packed = Headers::pack(&[("a", "bc"), ("", "x")]);
        let fields: [(&[u8], &[u8]); 2] = [(b"a", b"bc"), (b"", b"x")];
        assert_eq!(packed.fields().unwrap(), fields);
        assert_eq!(Headers::packed(Vec::new()).fields().unwrap(), []);
        for end in 1..packed.size() {
            assert!(Headers::packed(packed.bytes()[..end].to_vec()).fields().is_err(), "{end}");
        }
    }
}
