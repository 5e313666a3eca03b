//! Every call of the host, and the only unsafe code. Nothing here unwraps: a status that is not expected is an error.
//!
//! The SDK's own calls panic on such a status, and its string getters on a header byte above 0x7F; a panic traps the
//! VM, and Envoy then leaves every other paused request of this worker hanging. So the imports are declared once more.
//! The one exception is the HTTP call, which the SDK must know of to deliver the answer.
#![expect(unsafe_code, reason = "the host's calls take and give raw memory, and this is the one place that makes them")]

use std::fmt::{Display, Formatter};
use std::time::Duration;

use policy::bindings::Moment;
use proxy_wasm::types::Status;

/// The host refused a call: which one, and with what status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostError {
    pub(crate) call: &'static str,
    pub(crate) status: u32,
}

impl Display for HostError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` gave status {}", self.call, self.status)
    }
}

type Result<T> = std::result::Result<T, HostError>;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

/// Which header map of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Map {
    Request,
    Response,
    CallResponse,
}

/// Which buffer of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Buffer {
    RequestBody,
    ResponseBody,
    CallResponseBody,
    PluginConfiguration,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Warn,
    Error,
    Critical,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, length: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

// The SDK's own entry points, linked into this module.
unsafe extern "C" {
    fn proxy_on_queue_ready(context: u32, queue: u32);
}

fn check(call: &'static str, status: u32) -> Result<()> {
    if status == OK { Ok(()) } else { Err(HostError { call, status }) }
}

/// Bytes that the host wrote into memory it had us allocate. `None` when it wrote none.
///
/// # Safety
/// `data` and `size` must come from a call of the host that returned Ok.
unsafe fn taken(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: the host allocates through the SDK's `proxy_on_memory_allocate`, which makes a Vec of this capacity and
    // forgets it.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

/// Writes a line into the proxy's log. Never a token, never a request's own bytes.
pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: pointer and length of a living str. A log line that is refused cannot be reported anywhere.
    let _ = unsafe { proxy_log(level_number(level), message.as_ptr(), message.len()) };
}

const fn level_number(level: Level) -> u32 {
    match level {
        Level::Warn => 3,
        Level::Error => 4,
        Level::Critical => 5,
    }
}

const fn map_number(map: Map) -> u32 {
    match map {
        Map::Request => 0,
        Map::Response => 2,
        Map::CallResponse => 6,
    }
}

const fn buffer_number(buffer: Buffer) -> u32 {
    match buffer {
        Buffer::RequestBody => 0,
        Buffer::ResponseBody => 1,
        Buffer::CallResponseBody => 4,
        Buffer::PluginConfiguration => 7,
    }
}

/// The clock.
pub(crate) fn now() -> Result<Moment> {
    let mut nanoseconds: u64 = 0;
    // SAFETY: a pointer to a living u64.
    check("get_current_time", unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    Ok(Moment(nanoseconds / 1_000_000))
}

/// Has the root called every so often.
pub(crate) fn tick_every(period: Duration) -> Result<()> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no memory is handed over.
    check("set_tick_period", unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// A header map as the host packs it; one call, one copy.
pub(crate) fn headers(map: Map) -> Result<Headers> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: pointers to living variables; on Ok they hold memory that is ours.
    unsafe {
        check("get_header_map_pairs", proxy_get_header_map_pairs(map_number(map), &raw mut data, &raw mut size))?;
        Ok(Headers(taken(data, size)))
    }
}

/// A packed header map: the number of fields, the sizes of names and values, then the bytes, each followed by a zero.
pub(crate) struct Headers(Vec<u8>);

impl Headers {
    /// How many bytes they have.
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }

    /// The fields; `None` when the packing is not what it must be.
    pub(crate) fn fields(&self) -> Option<Vec<(&[u8], &[u8])>> {
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

fn pack(fields: &[(&str, &str)]) -> Vec<u8> {
    let size = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = u32::try_from(fields.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    for (name, value) in fields {
        bytes.extend(size(name));
        bytes.extend(size(value));
    }
    for text in fields.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Up to `length` bytes of a buffer, from its beginning.
pub(crate) fn buffer(buffer: Buffer, length: usize) -> Result<Vec<u8>> {
    buffer_from(buffer, 0, length)
}

/// `length` bytes of a buffer from `start`, and not one less.
pub(crate) fn piece(buffer: Buffer, start: usize, length: usize) -> Result<Vec<u8>> {
    let bytes = buffer_from(buffer, start, length)?;
    if bytes.len() == length { Ok(bytes) } else { Err(HostError { call: "get_buffer", status: NOT_FOUND }) }
}

fn buffer_from(buffer: Buffer, start: usize, length: usize) -> Result<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: pointers to living variables; on Ok they hold memory that is ours.
    unsafe {
        match proxy_get_buffer_bytes(buffer_number(buffer), start, length, &raw mut data, &raw mut size) {
            OK => Ok(taken(data, size)),
            NOT_FOUND => Ok(Vec::new()),
            status => Err(HostError { call: "get_buffer", status }),
        }
    }
}

/// Puts `new` in the place of a buffer's `length` bytes, which are all that it has.
pub(crate) fn replace_body(buffer: Buffer, length: usize, new: &[u8]) -> Result<()> {
    // SAFETY: pointer and length of a living slice.
    let status = unsafe { proxy_set_buffer_bytes(buffer_number(buffer), 0, length, new.as_ptr(), new.len()) };
    check("set_buffer", status)
}

/// Removes a field from the request.
pub(crate) fn remove_request_header(name: &str) -> Result<()> {
    remove_header(Map::Request, name)
}

/// Removes a field from the response.
pub(crate) fn remove_response_header(name: &str) -> Result<()> {
    remove_header(Map::Response, name)
}

fn remove_header(map: Map, name: &str) -> Result<()> {
    // SAFETY: pointer and length of a living str.
    check("remove_header", unsafe { proxy_remove_header_map_value(map_number(map), name.as_ptr(), name.len()) })
}

/// Sets a field of the request, in place of all of its name.
pub(crate) fn replace_request_header(name: &str, value: &[u8]) -> Result<()> {
    // SAFETY: pointers and lengths of living slices.
    let status = unsafe {
        proxy_replace_header_map_value(map_number(Map::Request), name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    check("replace_header", status)
}

/// An attribute of the effective context's stream, such as `source` `address`. Empty when it has none.
pub(crate) fn property(path: [&str; 2]) -> Result<Vec<u8>> {
    let path = path.join("\0");
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: pointer and length of a living str; pointers to living variables, which on Ok hold memory that is ours.
    unsafe {
        match proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) {
            OK => Ok(taken(data, size)),
            NOT_FOUND => Ok(Vec::new()),
            status => Err(HostError { call: "get_property", status }),
        }
    }
}

/// Sets a key of the stream's filter state, which access logs read.
pub(crate) fn set_property(name: &str, value: &str) -> Result<()> {
    // SAFETY: pointers and lengths of living slices.
    check("set_property", unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// A value of shared data and the number that a write must name. `None` when the key was never written.
pub(crate) fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>> {
    let (mut data, mut size, mut cas) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: pointers to living variables; on Ok they hold memory that is ours.
    unsafe {
        match proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut cas) {
            OK => Ok(Some((taken(data, size), cas))),
            NOT_FOUND => Ok(None),
            status => Err(HostError { call: "get_shared_data", status }),
        }
    }
}

/// Whether a write of shared data came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Done,
    /// Another worker wrote in between.
    Raced,
}

/// Writes shared data, if `cas` is still its number.
pub(crate) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<Written> {
    // SAFETY: pointers and lengths of living slices.
    match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) } {
        OK => Ok(Written::Done),
        CAS_MISMATCH => Ok(Written::Raced),
        status => Err(HostError { call: "set_shared_data", status }),
    }
}

/// Lets the effective context's request go on.
pub(crate) fn resume_request() -> Result<()> {
    // SAFETY: no memory is handed over.
    check("continue_stream", unsafe { proxy_continue_stream(0) })
}

/// Makes the calls that follow act on another context. An error when that context is gone.
pub(crate) fn act_as(context: u32) -> Result<()> {
    // SAFETY: no memory is handed over.
    check("set_effective_context", unsafe { proxy_set_effective_context(context) })
}

/// Answers the effective context's request. `details` goes into the access log's response code details.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str, details: &str) -> Result<()> {
    let headers = pack(headers);
    // SAFETY: pointers and lengths of living slices. -1 is "no gRPC status".
    let status = unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    };
    check("send_local_response", status)
}

/// Answers the effective context's request where nothing can be decided: it may come again.
pub(crate) fn unavailable(reason: &str) -> Result<()> {
    reply(503, &[("retry-after", "2"), ("cache-control", "no-store")], "", &format!("jobscope:{reason}"))
}

/// Has the host hold the current request's body back, without buffering it, until the request is resumed.
///
/// Where `allow_on_headers_stop_iteration` is set, pausing in the headers callback alone lets the body through to the
/// body callback, where pausing again means buffering up to a limit. That is what a small body needs that must be read,
/// and what a large upload must not meet while its token is looked up. The host stops everything instead, with
/// back-pressure, when a local reply was asked for during the callback; on the root context, which has no stream, the
/// reply itself does nothing (proxy-wasm-cpp-host, `send_local_response` and `convertVmCallResultToFilterHeadersStatus`).
/// On a host that does neither, the body is buffered, and one that is too large is refused: it fails closed.
pub(crate) fn hold_body(root: u32, stream: u32) -> Result<()> {
    act_as(root)?;
    let held = reply(503, &[], "", "");
    act_as(stream)?;
    held
}

/// Enters the root context from a stream's callback, so that calls made there are the root's: their answers come
/// although the stream may be gone by then.
pub(crate) fn enter_root(root: u32) {
    // SAFETY: the SDK's own export, called with a root that it knows: it looks it up and calls `on_queue_ready`. During
    // a stream's callback the SDK has no borrow on its roots.
    unsafe { proxy_on_queue_ready(root, 0) };
}

/// Sends an HTTP call to a cluster. Only on the root context.
pub(crate) fn call(cluster: &str, headers: Vec<(&str, &str)>, body: &[u8], timeout: Duration) -> Result<u32> {
    let body = (!body.is_empty()).then_some(body);
    let failed =
        |status: Status| HostError { call: "http_call", status: if status == Status::BadArgument { 2 } else { 10 } };
    // The SDK returns the two statuses that hosts give here and panics on any other.
    proxy_wasm::hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).map_err(failed)
}
