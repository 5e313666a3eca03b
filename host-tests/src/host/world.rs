//! What all VMs share, and what the host knows of each VM.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::callout::Callout;
use super::faults::Faults;
use super::hostcall::{Hostcall, Status};
use super::maps::HeaderMap;
use super::metrics::{MetricIds, Metrics};
use super::shared_data::SharedData;
use super::stream::{Reply, Side, Stream, StreamId};
use super::{Options, Otherwise};

/// The level of a log line, with the ABI's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the ABI's own names")]
pub enum Level {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

impl Level {
    pub(super) fn from_abi(level: u32) -> Option<Level> {
        use Level::{Critical, Debug, Error, Info, Trace, Warn};
        [Trace, Debug, Info, Warn, Error, Critical].get(level as usize).copied()
    }
}

/// Something the filter logged, or the host about a VM that trapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How bad it is.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// Whose VM said it: a worker's number, [`MAIN`](super::MAIN) or
    /// [`CANARY`](super::CANARY).
    pub worker: usize,
}

/// What a call from the filter has put off until its callback returns.
#[derive(Debug)]
pub(super) enum Action {
    Resume(StreamId, Side),
    Reply(StreamId, Reply),
    Reset(StreamId),
    DeleteRoot(u32),
}

/// A context of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Root,
    Stream(StreamId),
}

/// A plugin configuration in a VM.
#[derive(Debug, Default)]
pub(super) struct Root {
    /// Nanoseconds between ticks, 0 for none.
    pub(super) period: u64,
    pub(super) due: Option<u64>,
    pub(super) streams: usize,
    /// A newer root has taken over; this one goes with its last stream.
    pub(super) retired: bool,
    /// It said in `on_done` that it is not done yet.
    pub(super) pending: bool,
}

/// What the host knows of one VM.
#[derive(Debug, Default)]
pub(super) struct VmRecord {
    pub(super) worker: usize,
    pub(super) contexts: BTreeMap<u32, Context>,
    pub(super) roots: BTreeMap<u32, Root>,
    pub(super) root: u32,
    /// The types of properties that contexts have declared.
    pub(super) declared: BTreeMap<(u32, String), String>,
    pub(super) last_context: u32,
    pub(super) current: u32,
    /// 0 for the current one.
    pub(super) effective: u32,
    /// A local reply was sent, for whomever: the running callback's result does
    /// not count.
    pub(super) next_iteration_stopped: bool,
    pub(super) actions: VecDeque<Action>,
    /// How many callbacks, and what they put off, run inside one another now.
    pub(super) depth: usize,
    pub(super) initializing: bool,
    /// Why it is dead.
    pub(super) failed: Option<String>,
    pub(super) call_response: Option<(u32, HeaderMap, Vec<u8>)>,
    pub(super) configuration: Option<Vec<u8>>,
    pub(super) logging: Option<StreamId>,
    pub(super) metric_ids: MetricIds,
    pub(super) instructions: u64,
    pub(super) time: Duration,
}

impl VmRecord {
    pub(super) fn new_context(&mut self, context: Context) -> u32 {
        self.last_context += 1;
        self.contexts.insert(self.last_context, context);
        self.last_context
    }

    /// The context that calls count for: the effective one while it exists.
    pub(super) fn acting(&self) -> u32 {
        if self.effective != 0 && self.contexts.contains_key(&self.effective) { self.effective } else { self.current }
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    /// Nanoseconds since 1970.
    pub(super) now: u64,
    pub(super) random: u64,
    pub(super) shared_data: SharedData,
    pub(super) metrics: Metrics,
    pub(super) callouts: BTreeMap<u32, Callout>,
    pub(super) last_callout: u32,
    pub(super) streams: BTreeMap<StreamId, Stream>,
    pub(super) vms: Vec<VmRecord>,
    pub(super) logs: Vec<LogLine>,
    pub(super) hazards: Vec<String>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) faults: Faults,
}

impl World {
    pub(super) fn new(options: Options) -> Self {
        World {
            now: options.now,
            random: options.seed,
            faults: options.faults.clone(),
            options,
            shared_data: SharedData::default(),
            metrics: Metrics::default(),
            callouts: BTreeMap::new(),
            last_callout: 0,
            streams: BTreeMap::new(),
            vms: Vec::new(),
            logs: Vec::new(),
            hazards: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, call: Hostcall) {
        *self.counts.entry(call.name()).or_default() += 1;
    }

    pub(super) fn log(&mut self, vm: usize, level: Level, text: String) {
        let worker = self.vms[vm].worker;
        self.logs.push(LogLine { level, text, worker });
    }

    /// Splitmix64: the same numbers in every run.
    pub(super) fn random_byte(&mut self) -> u8 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u8
    }

    pub(super) fn is(&self, otherwise: Otherwise) -> bool {
        self.options.otherwise.contains(&otherwise)
    }

    /// Envoy's clock has microseconds.
    pub(super) fn clock(&self) -> u64 {
        let now = if self.is(Otherwise::StandsStill) { self.options.now } else { self.now };
        now / 1000 * 1000
    }

    /// The stream of the acting context, none for a root.
    pub(super) fn acting_stream(&self, vm: usize) -> Option<StreamId> {
        let record = &self.vms[vm];
        match record.contexts.get(&record.acting())? {
            Context::Root => None,
            Context::Stream(stream) => Some(*stream),
        }
    }

    /// The acting context if it is a root, else its root.
    pub(super) fn acting_root(&self, vm: usize) -> u32 {
        match self.acting_stream(vm) {
            Some(stream) => self.streams[&stream].root,
            None => self.vms[vm].acting(),
        }
    }

    /// A header map by the ABI's number, where the filter may read it.
    pub(super) fn map(&self, vm: usize, kind: u32) -> Option<&HeaderMap> {
        let record = &self.vms[vm];
        if kind == CALL_RESPONSE {
            let root = self.acting_root(vm);
            return record.call_response.as_ref().filter(|call| call.0 == root).map(|call| &call.1);
        }
        if kind == REQUEST_TRAILERS {
            let stream = self.acting_stream(vm)?;
            return self.streams[&stream].request.trailers.as_ref();
        }
        let side = map_side(kind)?;
        let stream = self.acting_stream(vm)?;
        let way = self.streams[&stream].way(side);
        // In the access log's phase both maps are back, where they ever were.
        let open = way.map_open || record.logging == Some(stream);
        way.headers.as_ref().filter(|_| open)
    }

    /// A header map by the ABI's number, where the filter may change it.
    pub(super) fn map_mut(&mut self, vm: usize, kind: u32) -> Result<&mut HeaderMap, Status> {
        let stream = self.acting_stream(vm).ok_or(Status::BadArgument)?;
        let stream = self.streams.get_mut(&stream).ok_or(Status::BadArgument)?;
        if kind == REQUEST_TRAILERS {
            return stream.request.trailers.as_mut().ok_or(Status::BadArgument);
        }
        let side = map_side(kind).ok_or(Status::BadArgument)?;
        let way = stream.way_mut(side);
        let open = way.map_open;
        way.headers.as_mut().filter(|_| open).ok_or(Status::BadArgument)
    }
}

const REQUEST_TRAILERS: u32 = 1;
const CALL_RESPONSE: u32 = 6;
/// The highest map the ABI knows; some of them this host never has.
pub(super) const LAST_MAP: u32 = 7;

fn map_side(kind: u32) -> Option<Side> {
    match kind {
        0 => Some(Side::Request),
        2 => Some(Side::Response),
        _ => None,
    }
}
