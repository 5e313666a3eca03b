//! What all workers of the simulated proxy share: its rows, its calls, what it shows, and the time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash};

use jobscope::{Headers, HostError, Map, Metric, Result, Stream};
use policy::bindings::{BUCKET_ROWS, Binding, Table};
use policy::facts::Secret;

use crate::fault::Fault;
use crate::judge::Time;
use crate::service::Question;
use crate::world::{Leads, PATHS, first_paths};

/// The field that names a credential for the proxy to add.
pub(crate) const SLOT: &str = "x-jobscope-credential";

/// What the keys of versions have in common.
pub(crate) const VERSION: &str = ".version.";

/// What the keys of what credentials were made from have in common.
pub(crate) const MINTED: &str = ".minted.";

/// What the keys of bindings have in common.
pub(crate) const BINDING: &str = ".binding.";

/// What the keys have at their ends of a filter that lays rows out in another way.
pub(crate) const OTHER: &str = ".other";

/// The clock begins here.
const BEGIN: u64 = 1_800_000_000_000;

/// A call that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) root: usize,
    /// What it asks, where the service knows that.
    pub(crate) question: Option<Question>,
    /// Which fact was wanted by the request that led to it: whose, and of which target.
    pub(crate) fact: Option<String>,
    /// How old what is answered may be, in seconds.
    pub(crate) max_age: u64,
    /// In how many pieces the answer is asked for.
    pub(crate) pieces: String,
    pub(crate) asked: Time,
    /// Where paths led then.
    pub(crate) paths: [Leads; PATHS],
    /// By how much time has passed.
    pub(crate) deadline: u64,
    /// The head of its answer has come, and not the rest.
    pub(crate) is_begun: bool,
    /// The clock was set since, or just before, or the host refused something, and who asked may have given it up.
    pub(crate) is_given_up: bool,
    /// The lookup that it belongs to may be over.
    pub(crate) is_over: bool,
}

/// How the filter has a request answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Headers,
    pub(crate) body: Vec<u8>,
    /// What it is answered for, as the response code details have it.
    pub(crate) details: String,
}

/// What the filter had done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Resume(Stream),
    Reply(Stream, Reply),
    HoldBody(Stream),
    /// So much of what was shown of its body makes place for this.
    ReplaceBody(Stream, usize, Vec<u8>),
    ResumeAnswer(Stream),
}

/// What the host shows of a request.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) head: Option<Headers>,
    /// Until the request goes on.
    pub(crate) is_head_open: bool,
    pub(crate) is_answered: bool,
    /// By which slot its route was chosen last.
    pub(crate) route: Option<Vec<u8>>,
    pub(crate) answer: Option<Headers>,
    pub(crate) is_answer_open: bool,
    pub(crate) body: Vec<u8>,
    /// While a piece of it is shown.
    pub(crate) is_body_open: bool,
    /// How many bytes of it came, shown or not.
    pub(crate) came: usize,
    pub(crate) answer_body: Vec<u8>,
    /// What the filter has written for the access log.
    pub(crate) logged: BTreeMap<String, Vec<u8>>,
}

impl Shown {
    /// Whether the access log gives this reason, in whichever form.
    pub(crate) fn gives_reason(&self, reason: &str) -> bool {
        let message = self.logged.get("jobscope").map(Vec::as_slice).unwrap_or_default();
        let is_in = message.windows(reason.len()).any(|bytes| bytes == reason.as_bytes());
        is_in || self.logged.get("jobscope_reason").is_some_and(|given| given == reason.as_bytes())
    }

    /// The slot that the head of the request names.
    pub(crate) fn slot(&self) -> Option<Vec<u8>> {
        let fields = self.head.as_ref().and_then(|head| head.fields().ok()).unwrap_or_default();
        fields.iter().find(|(name, _)| *name == SLOT.as_bytes()).map(|(_, value)| value.to_vec())
    }

    /// Whether the head of the answer has this field.
    pub(crate) fn answers(&self, name: &str) -> bool {
        let fields = self.answer.as_ref().and_then(|head| head.fields().ok()).unwrap_or_default();
        fields.iter().any(|(known, _)| *known == name.as_bytes())
    }

    /// Whether the head of the request has this field.
    pub(crate) fn has(&self, name: &str) -> bool {
        let fields = self.head.as_ref().and_then(|head| head.fields().ok()).unwrap_or_default();
        fields.iter().any(|(known, _)| *known == name.as_bytes())
    }
}

/// When a root is told that time has passed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ticks {
    pub(crate) period: u64,
    pub(crate) at: Option<u64>,
}

impl Ticks {
    pub(crate) fn again(&mut self, passed: u64) {
        self.at = (self.period > 0).then_some(passed + self.period);
    }
}

/// The cluster that there is.
pub(crate) const CLUSTER: &str = "token-lookup";

/// What all workers of a proxy share, and the time.
#[derive(Debug)]
pub(crate) struct Shared {
    /// How much time has passed, in milliseconds, and what the clock shows beyond that.
    pub(crate) passed: u64,
    pub(crate) clock: u64,
    /// Where paths lead.
    pub(crate) paths: [Leads; PATHS],
    pub(crate) rows: HashMap<String, (Vec<u8>, u32)>,
    /// What rows held before they were last written, for a fault.
    pub(crate) before: HashMap<String, Vec<u8>>,
    /// What versions were first, and whether what was written last is from whose tokens credentials were made, for faults.
    pub(crate) first_versions: HashMap<String, u32>,
    pub(crate) wrote_minted: bool,
    /// Whether what was written last pushed a binding out, for a fault.
    pub(crate) pushed_out: bool,
    pub(crate) calls: BTreeMap<u32, Call>,
    pub(crate) last_call: u32,
    /// What the filter told the service since this was last looked at: by which root, and which jobs ended.
    pub(crate) told: Vec<(usize, Vec<usize>)>,
    /// Until then a lookup may be over whose other calls are not: one failed or was paused, or a project moved.
    pub(crate) doubtful_until: u64,
    /// Until then a worker may not have ticked since it could give up what it asks.
    pub(crate) gives_up_until: u64,
    pub(crate) call_answer: Option<(Headers, Vec<u8>)>,
    pub(crate) shown: BTreeMap<Stream, Shown>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) acting: Option<Stream>,
    pub(crate) last_acting: Option<Stream>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) ticks: Vec<Ticks>,
    pub(crate) log: Option<Vec<String>>,
    pub(crate) last_row: u32,
    pub(crate) metrics: Vec<(Metric, String)>,
    /// How many rows were pushed out, as the filter counts it.
    pub(crate) evictions: u64,
    /// What each root added to a gauge, by its number.
    pub(crate) gauges: BTreeMap<(usize, u32), i64>,
    /// Properties that roots have declared.
    pub(crate) declared: BTreeSet<(usize, String)>,
    /// In how many calls of the host one fails; and whether one has failed.
    pub(crate) fails_in: Option<u32>,
    pub(crate) has_failed: bool,
    /// When the last one did.
    pub(crate) refused_at: Option<u64>,
    /// In how many writes of rows one comes too late.
    pub(crate) raced_in: Option<u32>,
    /// Whether a version could not be written.
    pub(crate) owes_version: bool,
    /// What no filter may do.
    pub(crate) wrong: Option<String>,
    pub(crate) fault: Option<Fault>,
    /// Whether a route stays, whatever becomes of the head, until the filter has it chosen anew. Envoy's is chosen with each change.
    pub(crate) keeps_routes: bool,
    /// Whether there are routes of slots.
    pub(crate) has_routes: bool,
    /// Whether another proxy is to do the same, though it reads more.
    pub(crate) is_compared: bool,
    /// What was done so far, in its order: all that the filter had the host do but to read.
    pub(crate) did: DefaultHasher,
    /// How often rows were read.
    pub(crate) reads: u64,
    /// What rows held before an event that is not over yet for who reads so many rows now.
    pub(crate) undo: Option<HashMap<String, (Vec<u8>, u32)>>,
    pub(crate) early: u32,
    pub(crate) numbers: u64,
}

impl Shared {
    pub(crate) fn new(fault: Option<Fault>, is_compared: bool) -> Self {
        Self {
            passed: 0,
            clock: BEGIN,
            paths: first_paths(),
            rows: HashMap::new(),
            before: HashMap::new(),
            first_versions: HashMap::new(),
            wrote_minted: false,
            pushed_out: false,
            calls: BTreeMap::new(),
            last_call: 0,
            told: Vec::new(),
            doubtful_until: 0,
            gives_up_until: 0,
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
            evictions: 0,
            gauges: BTreeMap::new(),
            declared: BTreeSet::new(),
            fails_in: None,
            has_failed: false,
            refused_at: None,
            raced_in: None,
            owes_version: false,
            wrong: None,
            fault,
            keeps_routes: false,
            has_routes: false,
            is_compared,
            did: DefaultHasher::new(),
            reads: 0,
            undo: None,
            early: 0,
            numbers: 0,
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time { clock: self.clock + self.passed, passed: self.passed }
    }

    /// Whether nothing is remembered of a token because its bucket is full of others.
    pub(crate) fn has_no_room(&self, token: &str, capacity: u32) -> bool {
        let (table, hash) = (Table::of::<Binding>(capacity), Secret::new(token.as_bytes()).hash());
        let bucket = format!("{BINDING}{}", table.bucket(&hash));
        let mut full = self.rows.iter().filter(|(key, (bytes, _))| {
            key.trim_end_matches(OTHER).ends_with(&bucket) && table.rows(bytes) == BUCKET_ROWS
        });
        full.any(|(_, (bytes, _))| !bytes.chunks_exact(table.row()).any(|row| row.starts_with(&hash.0)))
    }

    /// A lookup may be over, and be begun again, before its calls are answered: of this fact, or of any.
    pub(crate) fn end_lookups(&mut self, root: usize, fact: Option<&String>) {
        let is_of = |call: &&mut Call| call.root == root && fact.is_none_or(|fact| call.fact.as_ref() == Some(fact));
        self.calls.values_mut().filter(is_of).for_each(|call| call.is_over = true);
    }

    /// Whoever asked something may give it up, at the latest with its next tick.
    pub(crate) fn give_calls_up(&mut self, longest_tick: u64) {
        self.calls.values_mut().for_each(|call| call.is_given_up = true);
        self.gives_up_until = self.passed + longest_tick + 1;
    }

    /// Something happened that never may.
    pub(crate) fn accuse(&mut self, what: impl FnOnce() -> String) {
        self.wrong.get_or_insert_with(what);
    }

    /// The filter had this done.
    pub(crate) fn note(&mut self, what: impl Hash) {
        what.hash(&mut self.did);
    }

    /// A row as it was before the event that is not over yet.
    pub(crate) fn row_before(&mut self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.early = self.early.checked_sub(1)?;
        let is_late = self.fault == Some(Fault::LateVersions) && key.contains(VERSION);
        self.undo.as_ref().filter(|_| !is_late)?.get(key).cloned()
    }

    /// Whether who asks comes with a JWT.
    pub(crate) fn is_with_minted(&mut self) -> bool {
        let head = self.acting().and_then(|shown| shown.head.as_ref()).and_then(|head| head.fields().ok());
        head.is_some_and(|fields| fields.iter().any(|(_, value)| value.starts_with(b"Bearer eyJ")))
    }

    /// A row is about to change.
    pub(crate) fn keep_for_undo(&mut self, key: &str) {
        if let (Some(undo), Some(row)) = (&mut self.undo, self.rows.get(key)) {
            undo.entry(key.to_owned()).or_insert_with(|| row.clone());
        }
    }

    /// The same of a read, unless another proxy reads more.
    pub(crate) fn read_may_fail(&mut self, call: &'static str) -> Result<()> {
        if self.is_compared { Ok(()) } else { self.may_fail(call) }
    }

    pub(crate) fn may_fail(&mut self, call: &'static str) -> Result<()> {
        self.fails_in = self.fails_in.and_then(|left| left.checked_sub(1));
        if self.fails_in == Some(0) {
            (self.fails_in, self.has_failed, self.refused_at) = (None, true, Some(self.passed));
            return Err(HostError { call, status: 10 });
        }
        Ok(())
    }

    /// Whether somebody has written before this write.
    pub(crate) fn is_raced(&mut self) -> bool {
        self.raced_in = self.raced_in.and_then(|left| left.checked_sub(1));
        self.raced_in.take_if(|left| *left == 0).is_some()
    }

    pub(crate) fn acting(&mut self) -> Option<&mut Shown> {
        self.shown.get_mut(&self.acting?)
    }

    /// A header map that may be changed now.
    pub(crate) fn map(&mut self, map: Map) -> Option<&mut Headers> {
        let shown = self.acting()?;
        match map {
            Map::Request => shown.head.as_mut().filter(|_| shown.is_head_open),
            Map::Response => shown.answer.as_mut().filter(|_| shown.is_answer_open),
            Map::CallResponse => None,
        }
    }

    /// The route of the request that is acted for is that of its head as it is now.
    pub(crate) fn choose_route(&mut self) {
        if let Some(shown) = self.acting() {
            shown.route = shown.slot();
        }
    }

    /// Changes a header map.
    pub(crate) fn change(&mut self, map: Map, name: &str, value: Option<&[u8]>) -> Result<()> {
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
        if map == Map::Request && !self.keeps_routes && self.has_routes {
            self.choose_route();
        }
        Ok(())
    }
}

pub(crate) const NOT_THERE: HostError = HostError { call: "get", status: 2 };
