//! The simulated proxy for who wants to see what it does: requests of their own, no dice, no judge.

use jobscope::{Headers, Stream};

use crate::host::SimulatedHost;
use crate::judge::Ask;
use crate::proxy::{Part, Proxy, Scene, Stands};
use crate::request::{Request, What};

/// A simulated proxy with the probe in it.
pub struct Stage(Proxy<probe::Worker<SimulatedHost>>);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It waits.
    Waits,
    /// It goes on.
    Goes {
        /// Its head as the filter has left it.
        head: Headers,
        /// How much of its body went on.
        length: usize,
        /// Whether that is all.
        is_whole: bool,
        /// Which slot its route is of.
        route: Option<Vec<u8>>,
        /// What its client has of the answer, once that has begun to come.
        answer: Option<Got>,
    },
    /// It was answered so.
    Answered(u16),
    /// It is over.
    Over,
}

/// What a client has of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// Its head, once that went on.
    pub head: Option<Headers>,
    /// So much of its body.
    pub body: Vec<u8>,
    /// Whether that is all.
    pub is_over: bool,
}

/// Fields that the host keeps once, joined with commas.
const ONCE: [&str; 4] = ["authorization", "content-type", ":authority", "user-agent"];

impl Stage {
    /// A proxy whose probe has this table.
    #[must_use]
    pub fn new(table: String) -> Self {
        // There are routes of slots.
        let stage = Self(Proxy::configured(Some(table), Scene::of_seed(8), None, Part::Alone, false));
        stage.0.shared.borrow_mut().log = Some(Vec::new());
        stage
    }

    /// A request comes to a worker; its body is to come in pieces.
    pub fn open(&mut self, worker: usize, head: &[(String, String)], body: Vec<u8>, ends: bool) -> Stream {
        let mut kept: Vec<(String, String)> = Vec::new();
        for (name, value) in head {
            let name = name.to_ascii_lowercase();
            match kept.iter_mut().find(|(known, _)| *known == name && ONCE.contains(&&*name)) {
                Some((_, joined)) => *joined = format!("{joined},{value}"),
                None => kept.push((name, value.clone())),
            }
        }
        let request = Request {
            what: What::Upload,
            ask: Ask::Person,
            token: None,
            job: None,
            path: 0,
            head: Headers::pack(&kept),
            body,
            is_read_first: true,
            has_trailers: false,
        };
        self.0.enter(request, worker, ends)
    }

    /// More of its body comes.
    pub fn piece(&mut self, stream: Stream, size: usize, end: bool) {
        self.0.piece(stream, size, end);
    }

    /// It ends with trailers.
    pub fn trailers(&mut self, stream: Stream) {
        self.0.trailers(stream);
    }

    /// Its client leaves.
    pub fn leave(&mut self, stream: Stream) {
        self.0.leave(stream);
    }

    /// Time passes.
    pub fn pass(&mut self, milliseconds: u64) {
        self.0.pass(milliseconds);
    }

    /// The calls that wait, and in how many pieces their answer is asked for.
    #[must_use]
    pub fn calls(&self) -> Vec<(u32, String)> {
        self.0.shared.borrow().calls.iter().map(|(number, call)| (*number, call.pieces.clone())).collect()
    }

    /// A call is answered; without a body, its answer breaks off.
    pub fn answer(&mut self, call: u32, body: Option<Vec<u8>>) {
        let head = if body.is_some() { Headers::pack(&[(":status", "200")]) } else { Headers::packed(Vec::new()) };
        self.0.deliver_answer(call, head, body.unwrap_or_default());
    }

    /// The head of the answer to a call comes, and the rest may not come in time.
    pub fn begin(&mut self, call: u32) {
        if let Some(call) = self.0.shared.borrow_mut().calls.get_mut(&call) {
            call.is_begun = true;
        }
    }

    /// The head of the upstream's answer comes.
    pub fn respond(&mut self, stream: Stream, fields: &[(&str, &str)]) {
        self.0.come_answer(stream, fields);
    }

    /// More of its body comes.
    pub fn respond_more(&mut self, stream: Stream, piece: &[u8], end: bool) {
        self.0.come_more(stream, piece, end);
    }

    /// What became of a request.
    #[must_use]
    pub fn fate(&self, stream: Stream) -> Fate {
        let Some(open) = self.0.open.get(&stream) else { return Fate::Over };
        match open.stands {
            Stands::Stays => Fate::Waits,
            Stands::Answered(status) => Fate::Answered(status),
            Stands::Goes => {
                let shared = self.0.shared.borrow();
                let shown = shared.shown.get(&stream);
                let head = shown.and_then(|shown| shown.head.clone()).unwrap_or_else(|| Headers::packed(Vec::new()));
                let route = shown.and_then(|shown| shown.route.clone());
                let answer = open.answer.as_ref().map(|coming| Got {
                    head: coming.head.clone(),
                    body: coming.got.clone(),
                    is_over: coming.is_over,
                });
                Fate::Goes { head, length: open.shown, is_whole: open.is_whole, route, answer }
            }
        }
    }

    /// What the probe told.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.0.shared.borrow().log.clone().unwrap_or_default()
    }
}
