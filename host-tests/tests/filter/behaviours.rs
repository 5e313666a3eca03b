//! What hosts do: the same table on the test host and on the simulated one. `envoy::behaviours` plays it in a real Envoy.

use std::collections::BTreeMap;
use std::time::Duration;

use host_tests::behaviours::{self, ANSWERED, APART, LEAVES, Row, Seen};
use host_tests::host::{Answer, Callout, Filter, Host, Options, Otherwise, Outcome, RequestHead, StreamId};
use simulation::{Fate, Stage};

const STEP: Duration = Duration::from_millis(10);

/// After so long every row is over.
const END: Duration = Duration::from_secs(2);

/// What the upstream answers, and the service that is called for each piece.
const BODY: &[u8] = b"seen";
const PIECE: usize = 16 << 10;

/// A proxy whose time the test has in its hands.
trait Virtual {
    fn open(&mut self, worker: usize, row: &Row) -> u32;
    fn piece(&mut self, stream: u32, piece: &str, end: bool);
    fn trailers(&mut self, stream: u32);
    fn leave(&mut self, stream: u32);
    fn pass(&mut self, time: Duration);
    /// The calls that wait, and in how many pieces the answer is asked for.
    fn calls(&self) -> Vec<(u32, String)>;
    /// A call is answered; without a body, the answer breaks off.
    fn answer(&mut self, call: u32, body: Option<Vec<u8>>);
    /// The upstream answers a request of which all has come to it.
    fn respond(&mut self, stream: u32);
    /// The status that the client got, once it has one.
    fn status(&self, stream: u32) -> Option<u16>;
    fn upstream(&self, stream: u32) -> Option<(String, usize, BTreeMap<String, String>)>;
    fn log(&self) -> Vec<String>;
}

/// Plays a row, with the clock of a client.
fn play(host: &mut impl Virtual, row: &Row) -> Seen {
    let mut seen = Seen::default();
    for turn in 0..row.sends.times {
        let stream = host.open(turn % 2, row);
        let (mut passed, mut sent, mut asked) = (Duration::ZERO, 0, BTreeMap::new());
        let pieces = row.sends.body.len();
        while passed < END && seen.client.is_none() {
            seen.upstream = host.upstream(stream).or(seen.upstream.take());
            host.respond(stream);
            for (call, wanted) in host.calls() {
                let since = *asked.entry(call).or_insert(passed);
                match wanted.parse::<u32>() {
                    Ok(pieces) if passed >= since + ANSWERED * pieces => {
                        host.answer(call, Some(vec![b'x'; PIECE * pieces as usize]));
                    }
                    Err(_) if wanted == "cut" => host.answer(call, None),
                    Ok(_) | Err(_) => {}
                }
            }
            seen.client = host.status(stream);
            host.pass(STEP);
            passed += STEP;
            if row.sends.leaves && passed == LEAVES {
                host.leave(stream);
            }
            if sent < pieces && passed >= APART * (sent as u32 + 1) {
                sent += 1;
                host.piece(stream, &row.sends.body[sent - 1], false);
                match (sent == pieces, row.sends.trailers) {
                    (true, true) => host.trailers(stream),
                    (true, false) => host.piece(stream, "", true),
                    (false, _) => {}
                }
            }
        }
        if !row.sends.leaves {
            host.leave(stream);
        }
        if turn + 1 < row.sends.times {
            seen.client = None;
        }
    }
    let log = host.log();
    seen.lines = behaviours::lines(log.iter().map(String::as_str), &row.name);
    seen
}

/// What a host does otherwise than the table says.
fn wrong(mut host: impl Virtual) -> Vec<String> {
    behaviours::table().unwrap().iter().filter_map(|row| row.wrong(&play(&mut host, row))).collect()
}

fn head(row: &Row) -> RequestHead {
    let head = RequestHead::new(&row.sends.method, "127.0.0.1", &row.path());
    row.sends.fields.iter().fold(head, |head, (name, value)| head.header(name, value))
}

struct TestHost {
    host: Host,
    streams: Vec<StreamId>,
}

impl TestHost {
    fn stream(&self, stream: u32) -> StreamId {
        self.streams[stream as usize]
    }
}

impl Virtual for TestHost {
    fn open(&mut self, worker: usize, row: &Row) -> u32 {
        let head = RequestHead { end_of_stream: row.ends_with_head(), ..head(row) };
        self.streams.push(self.host.open(worker, head));
        self.streams.len() as u32 - 1
    }

    fn piece(&mut self, stream: u32, piece: &str, end: bool) {
        self.host.request_body(self.stream(stream), piece, end);
    }

    fn trailers(&mut self, stream: u32) {
        self.host.request_trailers(self.stream(stream), &[(b"x-trailer".to_vec(), b"1".to_vec())]);
    }

    fn leave(&mut self, stream: u32) {
        self.host.close(self.stream(stream));
    }

    fn pass(&mut self, time: Duration) {
        self.host.advance(time);
    }

    fn calls(&self) -> Vec<(u32, String)> {
        let pieces = |call: &Callout| call.header("x-download").unwrap_or_default();
        self.host.callouts().iter().map(|call| (call.id, pieces(call))).collect()
    }

    fn answer(&mut self, call: u32, body: Option<Vec<u8>>) {
        self.host.answer(call, body.map_or(Answer::Dropped, |body| Answer::response(200, &[], body)));
    }

    fn respond(&mut self, stream: u32) {
        let stream = self.stream(stream);
        let trailers = !self.host.forwarded_trailers(stream).is_empty();
        let is_whole = matches!(self.host.outcome(stream), Outcome::Forwarded { ended, .. } if ended || trailers);
        if is_whole && !self.host.is_closed(stream) {
            self.host.respond(stream, 200, &[("x-upstream", "1")], BODY);
        }
    }

    fn status(&self, stream: u32) -> Option<u16> {
        let stream = self.stream(stream);
        if !self.host.is_closed(stream) {
            return None;
        }
        self.host.downstream(stream).status()?.try_into().ok()
    }

    fn upstream(&self, stream: u32) -> Option<(String, usize, BTreeMap<String, String>)> {
        let Outcome::Forwarded { headers, body, .. } = self.host.outcome(self.stream(stream)) else { return None };
        Some(forwarded(headers.iter().map(|(name, value)| (&**name, &**value)), body.len()))
    }

    fn log(&self) -> Vec<String> {
        self.host.logs().into_iter().map(|(_, text)| text).collect()
    }
}

fn forwarded<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    length: usize,
) -> (String, usize, BTreeMap<String, String>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields: BTreeMap<String, String> = fields.map(|(name, value)| (text(name), text(value))).collect();
    (fields.get(":path").cloned().unwrap_or_default(), length, fields)
}

struct Simulated {
    stage: Stage,
    answered: BTreeMap<u32, u16>,
}

impl Virtual for Simulated {
    fn open(&mut self, worker: usize, row: &Row) -> u32 {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let head: Vec<_> = head(row).headers.iter().map(|(name, value)| (text(name), text(value))).collect();
        self.stage.open(worker, &head, row.sends.body.concat().into_bytes(), row.ends_with_head())
    }

    fn piece(&mut self, stream: u32, piece: &str, end: bool) {
        self.stage.piece(stream, piece.len(), end);
    }

    fn trailers(&mut self, stream: u32) {
        self.stage.trailers(stream);
    }

    fn leave(&mut self, stream: u32) {
        self.stage.leave(stream);
    }

    fn pass(&mut self, time: Duration) {
        self.stage.pass(time.as_millis() as u64);
    }

    fn calls(&self) -> Vec<(u32, String)> {
        self.stage.calls()
    }

    fn answer(&mut self, call: u32, body: Option<Vec<u8>>) {
        self.stage.answer(call, body);
    }

    fn respond(&mut self, stream: u32) {
        if matches!(self.stage.fate(stream), Fate::Goes { is_whole: true, .. }) {
            let status = self.stage.respond(stream, BODY);
            self.answered.insert(stream, status);
        }
    }

    fn status(&self, stream: u32) -> Option<u16> {
        match self.stage.fate(stream) {
            Fate::Answered(status) => Some(status),
            Fate::Waits | Fate::Goes { .. } => None,
            Fate::Over => self.answered.get(&stream).copied(),
        }
    }

    fn upstream(&self, stream: u32) -> Option<(String, usize, BTreeMap<String, String>)> {
        let Fate::Goes { head, length, .. } = self.stage.fate(stream) else { return None };
        Some(forwarded(head.fields().unwrap().into_iter(), length))
    }

    fn log(&self) -> Vec<String> {
        self.stage.log()
    }
}

fn test_host(otherwise: Vec<Otherwise>) -> TestHost {
    let rows = behaviours::table().unwrap();
    let options = Options {
        workers: 2,
        configuration: behaviours::configuration(&rows).to_string().into_bytes(),
        otherwise,
        ..Options::default()
    };
    let host = Host::start(&Filter::load(behaviours::probe()).unwrap(), options.cluster("token-lookup")).unwrap();
    TestHost { host, streams: Vec::new() }
}

#[test]
fn the_test_host_does_what_the_table_says() {
    let wrong = wrong(test_host(Vec::new()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_simulated_host_does_what_the_table_says() {
    let rows = behaviours::table().unwrap();
    let stage = Stage::new(behaviours::configuration(&rows).to_string());
    let wrong = wrong(Simulated { stage, answered: BTreeMap::new() });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_host_that_does_otherwise_is_told_from_one_that_does_not() {
    for (otherwise, row) in [
        (Otherwise::ForgetsRows, "empty-row"),
        (Otherwise::Overwrites, "stale-number"),
        (Otherwise::ActsForAny, "nobody"),
        (Otherwise::StandsStill, "time"),
        (Otherwise::NeverTicks, "time"),
        (Otherwise::EndsEarly, "end-in-body"),
        (Otherwise::KeepsCase, "names"),
    ] {
        let wrong = wrong(test_host(vec![otherwise]));
        assert!(wrong.iter().any(|found| found.starts_with(&format!("{row}: "))), "{otherwise:?}: {wrong:#?}");
    }
}
