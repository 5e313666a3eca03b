//! The host that the filter runs on: what it asks of a proxy, over one state that all workers share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use jobscope::{Buffer, Headers, Host, HostError, Level, Map, Metric, Result, Stream, Written};
use policy::bindings::Moment;

use crate::fault::Fault;
use crate::judge::Time;

/// The clock begins here.
const BEGIN: u64 = 1_800_000_000_000;

/// A call that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) root: usize,
    pub(crate) path: String,
    /// In how many pieces the answer is asked for.
    pub(crate) pieces: String,
    pub(crate) body: Vec<u8>,
    pub(crate) asked: Time,
    /// By how much time has passed.
    pub(crate) deadline: u64,
    /// The clock was set since, and who asked may have given it up.
    pub(crate) is_given_up: bool,
}

/// How the filter has a request answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Headers,
    pub(crate) body: Vec<u8>,
}

/// What the filter had done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Resume(Stream),
    Reply(Stream, Reply),
    HoldBody(Stream),
}

/// What the host shows of a request.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) head: Option<Headers>,
    /// Until the request goes on.
    pub(crate) is_head_open: bool,
    pub(crate) is_answered: bool,
    pub(crate) answer: Option<Headers>,
    pub(crate) is_answer_open: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) answer_body: Vec<u8>,
}

/// When a root is told that time has passed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ticks {
    period: u64,
    pub(crate) at: Option<u64>,
}

impl Ticks {
    pub(crate) fn again(&mut self, passed: u64) {
        self.at = (self.period > 0).then_some(passed + self.period);
    }
}

/// The row by which the filter tries a host out.
const TRIED: &str = "jobscope.host";

/// The cluster that there is.
pub(crate) const CLUSTER: &str = "token-lookup";

/// What all workers of a proxy share, and the time.
#[derive(Debug)]
pub(crate) struct Shared {
    /// How much time has passed, in milliseconds, and what the clock shows beyond that.
    pub(crate) passed: u64,
    pub(crate) clock: u64,
    pub(crate) rows: HashMap<String, (Vec<u8>, u32)>,
    /// What rows held before they were last written, for a fault.
    before: HashMap<String, Vec<u8>>,
    pub(crate) calls: BTreeMap<u32, Call>,
    last_call: u32,
    pub(crate) call_answer: Option<(Headers, Vec<u8>)>,
    pub(crate) shown: BTreeMap<Stream, Shown>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) acting: Option<Stream>,
    last_acting: Option<Stream>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) ticks: Vec<Ticks>,
    pub(crate) log: Option<Vec<String>>,
    last_row: u32,
    metrics: Vec<(Metric, String)>,
    /// In how many calls of the host one fails; and whether one has failed.
    pub(crate) fails_in: Option<u32>,
    pub(crate) has_failed: bool,
    /// What no filter may do.
    pub(crate) wrong: Option<String>,
    pub(crate) fault: Option<Fault>,
    numbers: u64,
}

impl Shared {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            passed: 0,
            clock: BEGIN,
            rows: HashMap::new(),
            before: HashMap::new(),
            calls: BTreeMap::new(),
            last_call: 0,
            call_answer: None,
            shown: BTreeMap::new(),
            effects: Vec::new(),
            acting: None,
            last_acting: None,
            configuration: Vec::new(),
            ticks: Vec::new(),
            log: None,
            last_row: 0,
            metrics: Vec::new(),
            fails_in: None,
            has_failed: false,
            wrong: None,
            fault,
            numbers: 0,
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time { clock: self.clock + self.passed, passed: self.passed }
    }

    /// Something happened that never may.
    pub(crate) fn accuse(&mut self, what: impl FnOnce() -> String) {
        self.wrong.get_or_insert_with(what);
    }

    fn may_fail(&mut self, call: &'static str) -> Result<()> {
        self.fails_in = self.fails_in.and_then(|left| left.checked_sub(1));
        if self.fails_in == Some(0) {
            (self.fails_in, self.has_failed) = (None, true);
            return Err(HostError { call, status: 10 });
        }
        Ok(())
    }

    fn acting(&mut self) -> Option<&mut Shown> {
        self.shown.get_mut(&self.acting?)
    }

    /// A header map that may be changed now.
    fn map(&mut self, map: Map) -> Option<&mut Headers> {
        let shown = self.acting()?;
        match map {
            Map::Request => shown.head.as_mut().filter(|_| shown.is_head_open),
            Map::Response => shown.answer.as_mut().filter(|_| shown.is_answer_open),
            Map::CallResponse => None,
        }
    }

    /// Changes a header map.
    fn change(&mut self, map: Map, name: &str, value: Option<&[u8]>) -> Result<()> {
        let headers = self.map(map).ok_or(NOT_THERE)?;
        let fields = headers.fields()?;
        let mut new: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut value = value;
        for (found, old) in fields {
            if found != name.as_bytes() {
                new.push((found.to_vec(), old.to_vec()));
            } else if let Some(value) = value.take() {
                new.push((found.to_vec(), value.to_vec()));
            }
        }
        new.extend(value.map(|value| (name.as_bytes().to_vec(), value.to_vec())));
        *headers = Headers::pack(&new);
        Ok(())
    }
}

/// One root context of the simulated proxy.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedHost {
    pub(crate) shared: Rc<RefCell<Shared>>,
    pub(crate) root: usize,
    pub(crate) departs: Rc<Cell<bool>>,
}

const NOT_THERE: HostError = HostError { call: "get", status: 2 };
const NO_STREAM: HostError = HostError { call: "set_property", status: 1 };

impl Host for SimulatedHost {
    fn log(&self, _: Level, message: &str) {
        if let Some(log) = &mut self.shared.borrow_mut().log {
            log.push(message.to_owned());
        }
    }

    fn name(&self) -> String {
        "simulation".to_owned()
    }

    fn now(&self) -> Result<Moment> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("get_current_time")?;
        let Time { clock, passed } = shared.now();
        Ok(Moment(if shared.fault == Some(Fault::SlowClock) { clock - passed / 2 } else { clock }))
    }

    fn random(&self) -> u64 {
        let mut shared = self.shared.borrow_mut();
        shared.numbers += 1;
        shared.numbers
    }

    fn variable(&self, _: &str) -> Option<String> {
        Some("secret".to_owned())
    }

    fn tick_every(&self, period: Duration) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        let roots = shared.ticks.len().max(self.root + 1);
        shared.ticks.resize(roots, Ticks::default());
        let passed = shared.passed;
        let ticks = &mut shared.ticks[self.root];
        ticks.period = period.as_millis() as u64;
        ticks.again(passed);
        Ok(())
    }

    fn headers(&self, map: Map) -> Result<Headers> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("get_header_map_pairs")?;
        let headers = match map {
            Map::CallResponse => shared.call_answer.as_ref().map(|(headers, _)| headers.clone()),
            Map::Request | Map::Response => shared.map(map).cloned(),
        };
        // A map that is not there looks empty.
        Ok(headers.unwrap_or_else(|| Headers::packed(Vec::new())))
    }

    fn remove_header(&self, map: Map, name: &str) -> Result<()> {
        self.shared.borrow_mut().change(map, name, None)
    }

    fn replace_request_header(&self, name: &str, value: &[u8]) -> Result<()> {
        self.shared.borrow_mut().change(Map::Request, name, Some(value))
    }

    fn buffer(&self, buffer: Buffer, start: usize, length: usize) -> Result<Vec<u8>> {
        let mut shared = self.shared.borrow_mut();
        if buffer == Buffer::Configuration {
            return Ok(shared.configuration.clone());
        }
        shared.may_fail("get_buffer")?;
        let bytes = match buffer {
            Buffer::CallResponseBody => shared.call_answer.as_ref().map(|(_, body)| body),
            Buffer::RequestBody => shared.acting().map(|shown| &shown.body),
            Buffer::ResponseBody => shared.acting().map(|shown| &shown.answer_body),
            Buffer::Configuration => None,
        };
        let bytes = bytes.map(Vec::as_slice).unwrap_or_default();
        let end = bytes.len().min(start.saturating_add(length));
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    fn replace_buffer(&self, buffer: Buffer, _: usize, new: &[u8]) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        let shown = shared.acting().ok_or(NOT_THERE)?;
        match buffer {
            Buffer::RequestBody => shown.body = new.to_vec(),
            Buffer::ResponseBody => shown.answer_body = new.to_vec(),
            Buffer::CallResponseBody | Buffer::Configuration => return Err(NOT_THERE),
        }
        Ok(())
    }

    fn source_address(&self) -> Result<Vec<u8>> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("get_property")?;
        Ok(shared.acting.map(|_| b"192.0.2.1:1000".to_vec()).unwrap_or_default())
    }

    fn log_field(&self, _: &str, _: &str) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("set_property")?;
        shared.acting.map(|_| ()).ok_or(NO_STREAM)
    }

    fn row(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("get_shared_data")?;
        let row = shared.rows.get(key).cloned();
        if shared.fault == Some(Fault::OldRows) && self.root.is_multiple_of(2) {
            let before = shared.before.get(key).cloned();
            return Ok(row.map(|(bytes, number)| (before.unwrap_or(bytes), number)));
        }
        Ok(row)
    }

    fn set_row(&self, key: &str, value: &[u8], number: u32) -> Result<Written> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("set_shared_data")?;
        let known = shared.rows.get(key).map(|(bytes, number)| (bytes.clone(), *number));
        if number != 0 && known.as_ref().is_some_and(|(_, known)| *known != number) {
            return Ok(Written::Raced);
        }
        // Where a host is tried out it does well.
        match shared.fault.filter(|_| key != TRIED) {
            Some(Fault::LostWrites) if number % 3 == 2 => return Ok(Written::Done),
            Some(Fault::GrowingRows) => {
                let mut grown = known.map(|(bytes, _)| bytes).unwrap_or_default();
                grown.splice(0..0, value.iter().copied());
                shared.rows.insert(key.to_owned(), (grown, number + 1));
                return Ok(Written::Done);
            }
            _ => {}
        }
        if let Some((bytes, _)) = known.filter(|_| shared.fault == Some(Fault::OldRows)) {
            shared.before.insert(key.to_owned(), bytes);
        }
        // Numbers are counted for all rows together.
        shared.last_row += 1;
        let new = shared.last_row;
        match shared.rows.get_mut(key) {
            Some(row) => {
                row.0.clear();
                row.0.extend(value);
                row.1 = new;
            }
            None => {
                shared.rows.insert(key.to_owned(), (value.to_vec(), new));
            }
        }
        Ok(Written::Done)
    }

    fn act_for(&self, stream: Option<Stream>) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        let Some(wanted) = stream else {
            shared.acting = None;
            return Ok(());
        };
        if wanted == Stream::MAX {
            return Err(NOT_THERE);
        }
        if !shared.shown.contains_key(&wanted) {
            shared.accuse(|| format!("request {wanted} is gone, and was to be woken"));
            return Err(NOT_THERE);
        }
        let last = shared.last_acting.replace(wanted).filter(|last| shared.shown.contains_key(last));
        shared.acting = Some(if shared.fault == Some(Fault::WrongStream) { last.unwrap_or(wanted) } else { wanted });
        Ok(())
    }

    fn resume(&self) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        match shared.acting {
            Some(stream) => {
                shared.effects.push(Effect::Resume(stream));
                // At once: it is forgotten here, whatever comes of it.
                if let Some(shown) = shared.acting() {
                    (shown.is_head_open, shown.body) = (false, Vec::new());
                }
            }
            None => shared.accuse(|| "nobody was resumed".to_owned()),
        }
        Ok(())
    }

    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &str, _: &str) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        let Some(stream) = shared.acting else {
            shared.accuse(|| "nobody was answered".to_owned());
            return Ok(());
        };
        if shared.acting().is_some_and(|shown| std::mem::replace(&mut shown.is_answered, true)) {
            shared.accuse(|| format!("request {stream} is answered twice"));
            return Ok(());
        }
        if shared.fault != Some(Fault::LostReplies) || !stream.is_multiple_of(8) {
            let status_text = status.to_string();
            let head: Vec<_> = std::iter::once((":status", &*status_text)).chain(headers.iter().copied()).collect();
            let reply = Reply { status, head: Headers::pack(&head), body: body.as_bytes().to_vec() };
            shared.effects.push(Effect::Reply(stream, reply));
        }
        Ok(())
    }

    fn hold_body(&self, stream: Stream) -> Result<()> {
        self.shared.borrow_mut().effects.push(Effect::HoldBody(stream));
        Ok(())
    }

    fn define(&self, metric: Metric, name: &str) -> Result<u32> {
        let mut shared = self.shared.borrow_mut();
        let known = shared.metrics.iter().position(|(_, known)| known == name);
        let number = known.unwrap_or_else(|| {
            shared.metrics.push((metric, name.to_owned()));
            shared.metrics.len() - 1
        });
        Ok(number as u32)
    }

    fn count(&self, number: u32, by: i64) -> Result<()> {
        match self.shared.borrow().metrics.get(number as usize) {
            Some((Metric::Gauge, _)) => Ok(()),
            Some((Metric::Counter, _)) if by > 0 => Ok(()),
            Some(_) | None => Err(NOT_THERE),
        }
    }

    fn record(&self, number: u32, _: u64) -> Result<()> {
        let is_known = (number as usize) < self.shared.borrow().metrics.len();
        is_known.then_some(()).ok_or(HostError { call: "record_metric", status: 1 })
    }

    fn call(&self, cluster: &str, headers: Vec<(&str, &str)>, body: &[u8], timeout: Duration) -> Result<u32> {
        let mut shared = self.shared.borrow_mut();
        if shared.acting.is_some() && !self.departs.get() {
            shared.accuse(|| "a call was sent for a request, and would be lost with it".to_owned());
        }
        shared.may_fail("http_call")?;
        let has = |name| headers.iter().any(|(found, _)| *found == name);
        if cluster != CLUSTER || ![":method", ":path", ":authority"].into_iter().all(has) {
            return Err(HostError { call: "http_call", status: 2 });
        }
        shared.last_call += 1;
        let number = shared.last_call;
        let path = headers.iter().find(|(name, _)| *name == ":path").map_or("", |(_, path)| path).to_owned();
        let is_same =
            |call: &Call| !call.is_given_up && call.root == self.root && call.path == path && call.body == body;
        // What the list of ended jobs is asked belongs to no fact.
        if !body.is_empty() && shared.calls.values().any(is_same) {
            shared.accuse(|| format!("a fact is looked up twice at once: {}", String::from_utf8_lossy(body)));
        }
        let (asked, deadline) = (shared.now(), shared.passed + timeout.as_millis() as u64);
        let pieces = headers.iter().find(|(name, _)| *name == "x-download").map_or("", |(_, pieces)| pieces).to_owned();
        let call = Call { root: self.root, path, pieces, body: body.to_vec(), asked, deadline, is_given_up: false };
        shared.calls.insert(number, call);
        if shared.fault == Some(Fault::DoubtfulCalls) && number.is_multiple_of(5) {
            return Err(HostError { call: "http_call", status: 10 });
        }
        Ok(number)
    }
}
