//! What happens to the probe: the same events as the filter's, each told in the log, and what the table has done at it.

use std::collections::{BTreeMap, VecDeque};

use policy::bindings::Moment;
use serde_json::Value;

use crate::host::{Buffer, Flow, Host, Level, Map, Stream};
use crate::promises::Promise;

/// The largest table.
const TABLE: usize = 1 << 20;

/// The probe on one worker. It has the name of what the filter's contexts tell.
#[derive(Debug)]
pub struct Worker<H> {
    pub(crate) host: H,
    table: Value,
    /// The rows of the table that are played.
    played: BTreeMap<Stream, String>,
    /// Who waits for a tick, or for a call.
    pub(crate) awaits_tick: VecDeque<Stream>,
    pub(crate) calls: BTreeMap<u32, Stream>,
    pub(crate) departures: VecDeque<(Stream, String)>,
    /// The numbers under which shared rows were seen.
    pub(crate) numbers: BTreeMap<String, Vec<u32>>,
    pub(crate) clock: Option<Moment>,
    /// How many pieces of an answer were shown, and how many bytes in all of them.
    pub(crate) pieces: BTreeMap<Stream, (usize, usize)>,
}

impl<H: Host> Worker<H> {
    /// One without a table.
    #[must_use]
    pub fn new(host: H) -> Self {
        Self {
            host,
            table: Value::Null,
            played: BTreeMap::new(),
            awaits_tick: VecDeque::new(),
            calls: BTreeMap::new(),
            departures: VecDeque::new(),
            numbers: BTreeMap::new(),
            clock: None,
            pieces: BTreeMap::new(),
        }
    }

    /// Reads the table, which is the configuration.
    pub fn configure(&mut self) -> bool {
        let table = self.host.buffer(Buffer::Configuration, 0, TABLE);
        self.table = table.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        self.table.is_object()
    }

    /// The head of a request came: its path names the row.
    pub fn request_head(&mut self, stream: Stream, end: bool) -> Flow {
        let head = self.host.headers(Map::Request);
        let fields = head.as_ref().ok().and_then(|head| head.fields().ok()).unwrap_or_default();
        let path = fields.iter().find(|(name, _)| *name == b":path").map(|(_, path)| *path).unwrap_or_default();
        let name =
            String::from_utf8_lossy(path).trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
        self.played.insert(stream, name);
        self.event(stream, "head", &ended("", end))
    }

    /// A piece of its body came.
    pub fn request_body(&mut self, stream: Stream, size: usize, end: bool) -> Flow {
        self.event(stream, "body", &ended(&format!(" {size}"), end))
    }

    /// Its trailers came.
    pub fn request_trailers(&mut self, stream: Stream) -> Flow {
        self.event(stream, "trailers", "")
    }

    /// The head of the answer came.
    pub fn answer_head(&mut self, stream: Stream, end: bool) -> Flow {
        self.event(stream, "answer", &ended("", end))
    }

    /// A piece of its body came. How it was cut is the network's affair, so only the last is told.
    pub fn answer_body(&mut self, stream: Stream, size: usize, end: bool) -> Flow {
        let (pieces, bytes) = self.pieces.entry(stream).or_default();
        (*pieces, *bytes) = (pieces.saturating_add(1), bytes.saturating_add(size));
        if end { self.event(stream, "answer body", &ended("", end)) } else { self.act(stream, "answer piece") }
    }

    /// Its trailers came.
    pub fn answer_trailers(&mut self, stream: Stream) -> Flow {
        self.event(stream, "answer trailers", "")
    }

    /// The stream is gone.
    pub fn gone(&mut self, stream: Stream) {
        self.event(stream, "gone", "");
    }

    /// A call was answered.
    pub fn answered(&mut self, call: u32, has_headers: bool, size: usize) {
        if let Some(stream) = self.calls.remove(&call) {
            let with = match (has_headers, size) {
                (true, 0) => " with a head",
                (true, _) => " with a head and a body",
                (false, _) => " with nothing",
            };
            self.event(stream, "called", with);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        if let Some(stream) = self.awaits_tick.pop_front() {
            self.event(stream, "tick", "");
        }
    }

    /// No more requests come.
    pub fn retire(&mut self) {}

    /// The host calls back from within a call.
    pub fn distrust(&mut self, promise: Promise) {
        self.host.log(Level::Warn, &format!("probe: {promise:?} is broken"));
    }

    /// Whether calls are to be sent.
    #[must_use]
    pub fn has_departures(&self) -> bool {
        !self.departures.is_empty()
    }

    /// Sends them.
    pub fn depart(&mut self) {
        while let Some((stream, call)) = self.departures.pop_front() {
            let told = self.send(stream, &call);
            self.tell(stream, "departs", &told);
        }
    }

    /// Tells an event, and does what the table has done at it.
    fn event(&mut self, stream: Stream, event: &'static str, how: &str) -> Flow {
        if self.played.contains_key(&stream) {
            self.tell(stream, event, how.trim());
        }
        self.act(stream, event)
    }

    /// Does what the table has done at an event.
    fn act(&mut self, stream: Stream, event: &'static str) -> Flow {
        let Some(name) = self.played.get(&stream).cloned() else { return Flow::Continue };
        let commands = self.table.get("rows").and_then(|rows| rows.get(&name)).and_then(|row| row.get(event));
        let commands: Vec<String> = commands
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|c| Some(c.as_str()?.to_owned()))
            .collect();
        let mut flow = Flow::Continue;
        for command in commands {
            if command == "pause" {
                flow = Flow::Pause;
            } else {
                let told = self.run(stream, &name, &command);
                self.tell(stream, &command, &told);
            }
        }
        flow
    }

    /// Writes a line of the row that this stream plays.
    pub(crate) fn tell(&self, stream: Stream, what: &str, how: &str) {
        let name = self.played.get(&stream).map_or("", |name| name);
        let how = if how.is_empty() { String::new() } else { format!(": {how}") };
        self.host.log(Level::Warn, &format!("probe {name}| {what}{how}"));
    }
}

fn ended(what: &str, end: bool) -> String {
    let how = if end { format!("{what}, end") } else { what.to_owned() };
    how.trim_start_matches(", ").to_owned()
}
