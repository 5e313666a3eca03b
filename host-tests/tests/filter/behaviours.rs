//! What hosts do: the same table on the test host and on the simulated one. `envoy::behaviours` plays it in a real Envoy.

use std::collections::BTreeMap;
use std::time::Duration;

use host_tests::behaviours::{self, ANSWERED, APART, LEAVES, PIECES, ROUTES, Row, Seen, VARIABLE};
use host_tests::host::{Answer, Callout, Filter, Host, Options, Otherwise, Outcome, RequestHead, StreamId};
use simulation::{Fate, Stage};

const STEP: Duration = Duration::from_millis(10);

/// After so long every row is over.
const END: Duration = Duration::from_secs(2);

/// What the upstream answers with, and it or the service that is called for each piece.
const BODY: &[u8] = b"seen";
const FIELD: (&str, &str) = ("content-type", "application/json");
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
    /// The head of the answer to a call comes.
    fn begin(&mut self, call: u32);
    /// A call is answered; without a body, the answer breaks off.
    fn answer(&mut self, call: u32, body: Option<Vec<u8>>);
    /// Whether the upstream has all of a request, and nothing of an answer is there.
    fn is_asked(&self, stream: u32) -> bool;
    /// The head of its answer comes.
    fn respond(&mut self, stream: u32);
    /// More of its body.
    fn respond_more(&mut self, stream: u32, piece: &[u8], end: bool);
    /// What the client has of an answer.
    fn client(&self, stream: u32) -> Client;
    fn upstream(&self, stream: u32) -> Option<(String, usize, BTreeMap<String, String>)>;
    fn log(&self) -> Vec<String>;
}

/// What a client has of an answer.
#[derive(Default)]
struct Client {
    status: Option<u16>,
    gets: (Vec<u8>, BTreeMap<String, String>),
    /// Whether that is all.
    is_over: bool,
}

/// Plays a row, with the clock of a client.
fn play(host: &mut impl Virtual, row: &Row) -> Seen {
    let mut seen = Seen::default();
    for turn in 0..row.sends.times {
        let stream = host.open(turn % 2, row);
        let (mut passed, mut sent, mut asked) = (Duration::ZERO, 0, BTreeMap::new());
        let pieces = row.sends.body.len();
        let (mut client, mut answers) = (Client::default(), None);
        while passed < END && !client.is_over {
            seen.upstream = host.upstream(stream).or(seen.upstream.take());
            if host.is_asked(stream) {
                host.respond(stream);
                let wanted = row.sends.fields.iter().find(|(name, _)| name == PIECES);
                answers = wanted.and_then(|(_, pieces)| Some((passed, pieces.parse::<u32>().ok()?)));
                if answers.is_none() {
                    host.respond_more(stream, BODY, true);
                }
            }
            if let Some((next, left)) = answers.filter(|(next, _)| passed >= *next + ANSWERED) {
                host.respond_more(stream, &[b'x'; PIECE], false);
                answers = Some((next + ANSWERED, left - 1)).filter(|(_, left)| *left > 0);
                if answers.is_none() {
                    host.respond_more(stream, &[], true);
                }
            }
            for (call, wanted) in host.calls() {
                let since = *asked.entry(call).or_insert(passed);
                match wanted.parse::<u32>() {
                    Ok(pieces) if passed >= since + ANSWERED * pieces => {
                        host.answer(call, Some(vec![b'x'; PIECE * pieces as usize]));
                    }
                    Ok(_) if passed == since => host.begin(call),
                    Err(_) if wanted == "cut" => host.answer(call, None),
                    Ok(_) | Err(_) => {}
                }
            }
            if !row.sends.leaves || passed < LEAVES {
                client = host.client(stream);
            }
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
        // Who leaves may have had its head.
        (seen.client, seen.gets) = (client.status, client.gets);
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
    /// Those that the upstream has begun to answer.
    answered: Vec<StreamId>,
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

    fn begin(&mut self, call: u32) {
        self.host.begin_answer(call);
    }

    fn answer(&mut self, call: u32, body: Option<Vec<u8>>) {
        self.host.answer(call, body.map_or(Answer::Dropped, |body| Answer::response(200, &[], body)));
    }

    fn is_asked(&self, stream: u32) -> bool {
        let stream = self.stream(stream);
        let trailers = !self.host.forwarded_trailers(stream).is_empty();
        let is_whole = matches!(self.host.outcome(stream), Outcome::Forwarded { ended, .. } if ended || trailers);
        is_whole && !self.host.is_closed(stream) && !self.answered.contains(&stream)
    }

    fn respond(&mut self, stream: u32) {
        let stream = self.stream(stream);
        self.answered.push(stream);
        let head = [(":status", "200"), FIELD].map(|(name, value)| (name.into(), value.into()));
        self.host.upstream_response(stream, &head, false);
    }

    fn respond_more(&mut self, stream: u32, piece: &[u8], end: bool) {
        let stream = self.stream(stream);
        if !self.host.is_closed(stream) {
            self.host.upstream_body(stream, piece, end);
        }
    }

    fn client(&self, stream: u32) -> Client {
        let stream = self.stream(stream);
        let has = self.host.downstream(stream);
        let status = has.status().and_then(|status| status.try_into().ok());
        Client { status, gets: (has.body, texts(&has.headers)), is_over: self.host.is_closed(stream) }
    }

    fn upstream(&self, stream: u32) -> Option<(String, usize, BTreeMap<String, String>)> {
        let Outcome::Forwarded { headers, body, .. } = self.host.outcome(self.stream(stream)) else { return None };
        let route = self.host.routed_by(self.stream(stream), ROUTES.0);
        Some(forwarded(headers.iter().map(|(name, value)| (&**name, &**value)), body.len(), route))
    }

    fn log(&self) -> Vec<String> {
        self.host.logs().into_iter().map(|(_, text)| text).collect()
    }
}

fn forwarded<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    length: usize,
    route: Option<String>,
) -> (String, usize, BTreeMap<String, String>) {
    let mut fields = texts(fields);
    fields.extend(route.map(|route| (ROUTES.1.to_owned(), route)));
    (fields.get(":path").cloned().unwrap_or_default(), length, fields)
}

fn texts<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    fields: impl IntoIterator<Item = impl std::borrow::Borrow<(N, V)>>,
) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pair = |field: &(N, V)| (text(field.0.as_ref()), text(field.1.as_ref()));
    fields.into_iter().map(|field| pair(field.borrow())).collect()
}

struct Simulated {
    stage: Stage,
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

    fn begin(&mut self, call: u32) {
        self.stage.begin(call);
    }

    fn answer(&mut self, call: u32, body: Option<Vec<u8>>) {
        self.stage.answer(call, body);
    }

    fn is_asked(&self, stream: u32) -> bool {
        matches!(self.stage.fate(stream), Fate::Goes { is_whole: true, answer: None, .. })
    }

    fn respond(&mut self, stream: u32) {
        self.stage.respond(stream, &[(":status", "200"), FIELD]);
    }

    fn respond_more(&mut self, stream: u32, piece: &[u8], end: bool) {
        self.stage.respond_more(stream, piece, end);
    }

    fn client(&self, stream: u32) -> Client {
        match self.stage.fate(stream) {
            Fate::Answered(status) => Client { status: Some(status), is_over: true, ..Client::default() },
            Fate::Goes { answer: Some(answer), .. } => {
                let fields = answer.head.as_ref().map(|head| texts(head.fields().unwrap())).unwrap_or_default();
                let status = fields.get(":status").and_then(|status| status.parse().ok());
                Client { status, gets: (answer.body, fields), is_over: answer.is_over }
            }
            Fate::Waits | Fate::Goes { .. } | Fate::Over => Client::default(),
        }
    }

    fn upstream(&self, stream: u32) -> Option<(String, usize, BTreeMap<String, String>)> {
        let Fate::Goes { head, length, route, .. } = self.stage.fate(stream) else { return None };
        let route = route.map(|route| String::from_utf8_lossy(&route).into_owned());
        Some(forwarded(head.fields().unwrap().into_iter(), length, route))
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
        environment: vec![(VARIABLE.0.to_owned(), VARIABLE.1.to_owned())],
        otherwise,
        ..Options::default()
    };
    let host = Host::start(&Filter::load(behaviours::probe()).unwrap(), options.cluster("token-lookup")).unwrap();
    TestHost { host, streams: Vec::new(), answered: Vec::new() }
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
    let wrong = wrong(Simulated { stage });
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
        (Otherwise::KeepsRoutes, "route-of-a-change"),
    ] {
        let wrong = wrong(test_host(vec![otherwise]));
        assert!(wrong.iter().any(|found| found.starts_with(&format!("{row}: "))), "{otherwise:?}: {wrong:#?}");
    }
}
