//! The proxy-wasm ABI: every hostcall, and the only unsafe code. Nothing here unwraps: a status that is not expected is an
//! error.
//!
//! The SDK's own calls panic on such a status, and its string getters on a header byte above 0x7F; a panic traps the
//! VM, and Envoy then leaves every other paused request of this worker hanging. So the imports are declared once more.
//! The one exception is the HTTP call, which the SDK must know of to deliver the answer.
#![expect(unsafe_code, reason = "the host's calls take and give raw memory, and this is the one place that makes them")]

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use policy::bindings::Moment;
use proxy_wasm::types::Status;

use crate::host::{Buffer, Headers, Host, HostError, Level, Map, Metric, Result, Stream, Written};
use crate::message::declaration;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

/// The sides of a stream.
const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

/// The proxy, as one root context sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proxy {
    pub(crate) root: u32,
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
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, number: *mut u32) -> u32;
    fn proxy_increment_metric(number: u32, by: i64) -> u32;
    fn proxy_record_metric(number: u32, value: u64) -> u32;
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

/// The bytes that a call of the host hands over, which it wrote into memory that it had us allocate; none where it wrote none.
fn handed(call: &'static str, ask: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    check(call, ask(&raw mut data, &raw mut size))?;
    if data.is_null() || size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host allocates through the SDK's `proxy_on_memory_allocate`, which makes a Vec of this capacity and
    // forgets it.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// What was handed over, and nothing where the host has none of it.
fn found<T: Default>(handed: Result<T>) -> Result<T> {
    handed.or_else(|error| if error.status == NOT_FOUND { Ok(T::default()) } else { Err(error) })
}

/// Calls a function of Envoy's own, beside the ABI, whose answer says nothing.
fn call_envoy(name: &'static str, arguments: &[u8]) -> Result<()> {
    let (at, length) = (arguments.as_ptr(), arguments.len());
    // SAFETY: pointers and lengths of a living str and slice, and what `handed` has for the answer.
    let ask = |data, size| unsafe { proxy_call_foreign_function(name.as_ptr(), name.len(), at, length, data, size) };
    handed(name, ask).map(drop)
}

/// A property of the host; empty where it has none of this name.
fn property(path: &str) -> Result<Vec<u8>> {
    // SAFETY: pointer and length of a living str, and what `handed` has for the answer.
    found(handed("get_property", |data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }))
}

const fn level_number(level: Level) -> u32 {
    match level {
        Level::Info => 2,
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

const fn metric_number(metric: Metric) -> u32 {
    match metric {
        Metric::Counter => 0,
        Metric::Gauge => 1,
        Metric::Histogram => 2,
    }
}

const fn buffer_number(buffer: Buffer) -> u32 {
    match buffer {
        Buffer::RequestBody => 0,
        Buffer::ResponseBody => 1,
        Buffer::CallResponseBody => 4,
        Buffer::Configuration => 7,
    }
}

impl Host for Proxy {
    fn log(&self, level: Level, message: &str) {
        // SAFETY: pointer and length of a living str. A log line that is refused cannot be reported anywhere.
        let _ = unsafe { proxy_log(level_number(level), message.as_ptr(), message.len()) };
    }

    fn name(&self) -> String {
        property("xds\0node\0user_agent_name")
            .map(|name| String::from_utf8_lossy(&name).into_owned())
            .unwrap_or_default()
    }

    fn now(&self) -> Result<Moment> {
        let mut nanoseconds: u64 = 0;
        // SAFETY: a pointer to a living u64.
        check("get_current_time", unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
        Ok(Moment(nanoseconds / 1_000_000))
    }

    fn random(&self) -> u64 {
        RandomState::new().hash_one(self.root)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn tick_every(&self, period: Duration) -> Result<()> {
        let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: no memory is handed over.
        check("set_tick_period", unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
    }

    fn headers(&self, map: Map) -> Result<Headers> {
        // SAFETY: what `handed` has for the answer.
        let ask = |data, size| unsafe { proxy_get_header_map_pairs(map_number(map), data, size) };
        handed("get_header_map_pairs", ask).map(Headers::packed)
    }

    fn remove_header(&self, map: Map, name: &str) -> Result<()> {
        // SAFETY: pointer and length of a living str.
        check("remove_header", unsafe { proxy_remove_header_map_value(map_number(map), name.as_ptr(), name.len()) })
    }

    fn replace_request_header(&self, name: &str, value: &[u8]) -> Result<()> {
        let (map, at, length) = (map_number(Map::Request), value.as_ptr(), value.len());
        // SAFETY: pointers and lengths of living slices.
        check("replace_header", unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), at, length) })
    }

    fn choose_route(&self) -> Result<()> {
        call_envoy("clear_route_cache", &[])
    }

    fn buffer(&self, buffer: Buffer, start: usize, length: usize) -> Result<Vec<u8>> {
        let number = buffer_number(buffer);
        // SAFETY: what `handed` has for the answer.
        found(handed("get_buffer", |data, size| unsafe { proxy_get_buffer_bytes(number, start, length, data, size) }))
    }

    fn replace_buffer(&self, buffer: Buffer, length: usize, new: &[u8]) -> Result<()> {
        // SAFETY: pointer and length of a living slice.
        let status = unsafe { proxy_set_buffer_bytes(buffer_number(buffer), 0, length, new.as_ptr(), new.len()) };
        check("set_buffer", status)
    }

    fn source_address(&self) -> Result<Vec<u8>> {
        property("source\0address")
    }

    /// The host counts head and body together.
    fn body_size(&self) -> Result<u64> {
        let whole = property("request\0total_size")?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let headers = self.headers(Map::Request)?;
        let head: usize = headers.fields()?.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
        Ok(whole.unwrap_or_default().saturating_sub(u64::try_from(head).unwrap_or(u64::MAX)))
    }

    /// A key of the stream's filter state, which access logs read.
    fn log_property(&self, name: &str, value: &[u8]) -> Result<()> {
        // SAFETY: pointers and lengths of living slices.
        check("set_property", unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
    }

    fn logged(&self, name: &str) -> Result<Vec<u8>> {
        property(name)
    }

    fn declare(&self, name: &str, message: &str) -> Result<()> {
        call_envoy("declare_property", &declaration(name, message))
    }

    fn row(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>> {
        let mut cas = 0;
        // SAFETY: pointer and length of a living str, a living variable, and what `handed` has for the answer.
        let ask = |data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) };
        let handed = handed("get_shared_data", ask);
        found(handed.map(|bytes| Some((bytes, cas))))
    }

    fn set_row(&self, key: &str, value: &[u8], number: u32) -> Result<Written> {
        // SAFETY: pointers and lengths of living slices.
        match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), number) } {
            OK => Ok(Written::Done),
            CAS_MISMATCH => Ok(Written::Raced),
            status => Err(HostError { call: "set_shared_data", status }),
        }
    }

    fn act_for(&self, stream: Option<Stream>) -> Result<()> {
        // SAFETY: no memory is handed over.
        check("set_effective_context", unsafe { proxy_set_effective_context(stream.unwrap_or(self.root)) })
    }

    fn resume(&self) -> Result<()> {
        // SAFETY: no memory is handed over.
        check("continue_stream", unsafe { proxy_continue_stream(REQUEST) })
    }

    fn resume_answer(&self) -> Result<()> {
        // SAFETY: no memory is handed over.
        check("continue_stream", unsafe { proxy_continue_stream(RESPONSE) })
    }

    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &str, details: &str) -> Result<()> {
        let headers = Headers::pack(headers);
        let headers = headers.bytes();
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

    /// Where `allow_on_headers_stop_iteration` is set, pausing in the headers callback alone lets the body through to the
    /// body callback, where pausing again means buffering up to a limit. That is what a small body needs that must be read,
    /// and what a large upload must not meet while its token is looked up. The host stops everything instead, with
    /// back-pressure, when a local reply was asked for during the callback; on the root context, which has no stream, the
    /// reply itself does nothing (proxy-wasm-cpp-host, `send_local_response` and
    /// `convertVmCallResultToFilterHeadersStatus`). On a host that does neither, the body is buffered, and one that is too
    /// large is refused: it fails closed.
    fn hold_body(&self, stream: Stream) -> Result<()> {
        self.act_for(None)?;
        let held = self.reply(503, &[], "", "");
        self.act_for(Some(stream))?;
        held
    }

    fn call(&self, cluster: &str, headers: Vec<(&str, &str)>, body: &[u8], timeout: Duration) -> Result<u32> {
        let body = (!body.is_empty()).then_some(body);
        // The SDK returns the two statuses that hosts give here and panics on any other.
        proxy_wasm::hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).map_err(|status| {
            HostError { call: "http_call", status: if status == Status::BadArgument { 2 } else { 10 } }
        })
    }

    fn define(&self, metric: Metric, name: &str) -> Result<u32> {
        let mut number = 0;
        // SAFETY: pointer and length of a living str, and a pointer to a living u32.
        let status = unsafe { proxy_define_metric(metric_number(metric), name.as_ptr(), name.len(), &raw mut number) };
        check("define_metric", status).map(|()| number)
    }

    fn count(&self, number: u32, by: i64) -> Result<()> {
        // SAFETY: no memory is handed over.
        check("increment_metric", unsafe { proxy_increment_metric(number, by) })
    }

    fn record(&self, number: u32, value: u64) -> Result<()> {
        // SAFETY: no memory is handed over.
        check("record_metric", unsafe { proxy_record_metric(number, value) })
    }
}

impl Proxy {
    /// Enters the root context from a stream's callback, so that calls made there are the root's: their answers come
    /// although the stream may be gone by then.
    pub(crate) fn enter_root(self) {
        // SAFETY: the SDK's own export, called with a root that it knows: it looks it up and calls `on_queue_ready`. During
        // a stream's callback the SDK has no borrow on its roots.
        unsafe { proxy_on_queue_ready(self.root, 0) };
    }
}
