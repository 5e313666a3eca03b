//! What the table may have the probe do: a word, and what it is done with.

use std::time::Duration;

use crate::host::{Buffer, Headers, Host, HostError, Level, Map, Metric, Result, Stream, Written};
use crate::worker::Worker;

/// A text that is longer is told by its length.
const LONG: usize = 40;

/// How loud a line may be.
const LEVELS: [(&str, Level); 4] =
    [("info", Level::Info), ("warn", Level::Warn), ("error", Level::Error), ("critical", Level::Critical)];

/// No host has had so many requests.
const NOBODY: Stream = Stream::MAX;

fn told<T>(result: Result<T>, tell: impl FnOnce(T) -> String) -> String {
    result.map_or_else(|HostError { status, .. }| format!("status {status}"), tell)
}

fn done(result: Result<()>) -> String {
    told(result, |()| "done".to_owned())
}

fn text(bytes: &[u8]) -> String {
    match bytes {
        [] => "empty".to_owned(),
        short if short.len() <= LONG => String::from_utf8_lossy(short).into_owned(),
        long => format!("{} bytes", long.len()),
    }
}

/// A value as the table writes it: `-` is none, `9*x` nine of them.
fn value(written: &str) -> Vec<u8> {
    match written.split_once('*') {
        Some((times, what)) => what.repeat(times.parse().unwrap_or_default()).into_bytes(),
        None if written == "-" => Vec::new(),
        None => written.as_bytes().to_vec(),
    }
}

fn number<T: std::str::FromStr + Default>(written: &str) -> T {
    written.parse().unwrap_or_default()
}

fn field(headers: &Headers, name: &str) -> String {
    let fields = headers.fields().unwrap_or_default();
    let values: Vec<String> =
        fields.iter().filter(|(found, _)| *found == name.as_bytes()).map(|(_, value)| text(value)).collect();
    match values.len() {
        _ if fields.is_empty() => "no map".to_owned(),
        0 => "none".to_owned(),
        _ => values.join(" | "),
    }
}

impl<H: Host> Worker<H> {
    pub(crate) fn run(&mut self, stream: Stream, name: &str, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        let host = self.host.clone();
        match *words.as_slice() {
            ["row", key] => self.row(&format!("probe.{name}.{key}")),
            ["write", key, new, under] => self.write(&format!("probe.{name}.{key}"), &value(new), under),
            ["grow", key] => self.grow(&format!("probe.{name}.{key}")),
            ["request", field_name] => told(host.headers(Map::Request), |map| field(&map, field_name)),
            ["answer", field_name] => told(host.headers(Map::Response), |map| field(&map, field_name)),
            ["called", field_name] => told(host.headers(Map::CallResponse), |map| field(&map, field_name)),
            ["remove", field_name] => done(host.remove_header(Map::Request, field_name)),
            ["remove-answer", field_name] => done(host.remove_header(Map::Response, field_name)),
            ["set", field_name, new] => done(host.replace_request_header(field_name, &value(new))),
            ["body", start, length] => {
                told(host.buffer(Buffer::RequestBody, number(start), number(length)), |bytes| text(&bytes))
            }
            ["answer-body", start, length] => {
                told(host.buffer(Buffer::ResponseBody, number(start), number(length)), |bytes| text(&bytes))
            }
            ["called-body", start, length] => {
                told(host.buffer(Buffer::CallResponseBody, number(start), number(length)), |bytes| text(&bytes))
            }
            ["replace-body", length, new] => {
                done(host.replace_buffer(Buffer::RequestBody, number(length), &value(new)))
            }
            ["replace-answer-body", length, new] => {
                done(host.replace_buffer(Buffer::ResponseBody, number(length), &value(new)))
            }
            ["body-size"] => told(host.body_size(), |size| size.to_string()),
            ["answer-pieces"] => self.pieces.get(&stream).map_or("none".to_owned(), |(pieces, bytes)| {
                format!("{} {bytes} bytes", if *pieces > 1 { "many," } else { "one," })
            }),
            ["choose-route"] => done(host.choose_route()),
            ["source"] => {
                told(host.source_address(), |bytes| if bytes.is_empty() { "none" } else { "an address" }.to_owned())
            }
            ["variable", name] => host.variable(name).unwrap_or_else(|| "none".to_owned()),
            ["say", level, said] => {
                let level = LEVELS.iter().find(|(name, _)| *name == level).map_or(Level::Warn, |(_, level)| *level);
                host.log(level, &format!("probe {name}| {said}"));
                "done".to_owned()
            }
            ["name"] => if host.name().is_empty() { "none" } else { "a name" }.to_owned(),
            ["log", property, new] => done(host.log_property(property, &value(new))),
            ["logged", property] => told(host.logged(property), |bytes| text(&bytes)),
            ["declare", property, message] => done(host.declare(property, message)),
            ["reply", status] => done(host.reply(number(status), &[("x-probe", "1")], "", "probe")),
            ["reply", status, body] => done(host.reply(number(status), &[("x-probe", "1")], body, "probe")),
            ["resume"] => done(host.resume()),
            ["resume-answer"] => done(host.resume_answer()),
            ["hold"] => done(host.hold_body(stream)),
            ["for", "it"] => done(host.act_for(Some(stream))),
            ["for", "nobody"] => done(host.act_for(Some(NOBODY))),
            ["for", "none"] => done(host.act_for(None)),
            ["call", ..] => {
                self.departures.push_back((stream, command.to_owned()));
                "later".to_owned()
            }
            ["ticks", milliseconds] => {
                self.awaits_tick.push_back(stream);
                let _ = host.act_for(None);
                let told = done(host.tick_every(Duration::from_millis(number(milliseconds))));
                let _ = host.act_for(Some(stream));
                told
            }
            ["clock"] => told(host.now(), |now| {
                let moves = self.clock.replace(now).is_some_and(|before| before < now);
                if moves { "has moved" } else { "is there" }.to_owned()
            }),
            ["random"] => if host.random() == host.random() { "alike" } else { "another" }.to_owned(),
            ["count", kind, name, by] => {
                let kind = if kind == "counter" { Metric::Counter } else { Metric::Gauge };
                told(host.define(kind, name).and_then(|metric| host.count(metric, number(by))), |()| "done".to_owned())
            }
            ["record", name, by] => {
                let defined = host.define(Metric::Histogram, name);
                told(defined.and_then(|metric| host.record(metric, number(by))), |()| "done".to_owned())
            }
            _ => "no such command".to_owned(),
        }
    }

    fn row(&mut self, key: &str) -> String {
        told(self.host.row(key), |row| {
            let Some((bytes, number)) = row else { return "none".to_owned() };
            let known = self.numbers.entry(key.to_owned()).or_default();
            let which = match known.last() {
                None => "a number",
                Some(last) if *last == number => "the same number",
                Some(_) if known.contains(&number) => "an old number",
                Some(_) => "a new number",
            };
            known.push(number);
            format!("{}, {which}", text(&bytes))
        })
    }

    /// Writes under the newest number that was seen, the one before, or a given one.
    fn write(&self, key: &str, new: &[u8], under: &str) -> String {
        let known = self.numbers.get(key).map(Vec::as_slice).unwrap_or_default();
        let number = match (under, known) {
            ("last", [.., last]) | ("old", [.., last, _]) => *last,
            _ => number(under),
        };
        told(self.host.set_row(key, new, number), |written| {
            match written {
                Written::Done => "done",
                Written::Raced => "raced",
            }
            .to_owned()
        })
    }

    /// Adds to a row, as workers do that write side by side.
    fn grow(&self, key: &str) -> String {
        told(self.host.row(key), |row| {
            let (mut bytes, number) = row.unwrap_or_default();
            bytes.push(b'x');
            told(self.host.set_row(key, &bytes, number), |_| text(&bytes))
        })
    }

    /// `call CLUSTER PIECES TIMEOUT`: the answer comes in so many pieces, one every 50 ms.
    pub(crate) fn send(&mut self, stream: Stream, call: &str) -> String {
        let mut words = call.split(' ').skip(1);
        let mut next = || words.next().unwrap_or_default();
        let (cluster, pieces, timeout) = (next(), next(), Duration::from_millis(number(next())));
        let mut headers = vec![(":method", "GET"), (":authority", "probe.example"), ("x-download", pieces)];
        headers.extend((pieces != "pathless").then_some((":path", "/called")));
        told(self.host.call(cluster, headers, &[], timeout), |number| {
            self.calls.insert(number, stream);
            "sent".to_owned()
        })
    }
}
