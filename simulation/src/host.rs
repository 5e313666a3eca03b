//! The host that the filter runs on: what it asks of a proxy, over one state that all workers share.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use jobscope::{Buffer, Headers, Host, HostError, Level, Map, Metric, Result, Stream, Written};
use policy::bindings::{Binding, Moment, Row};

use crate::fault::Fault;
use crate::judge::Time;
use crate::service::Question;
use crate::shared::{BINDING, CLUSTER, Call, Effect, MINTED, NOT_THERE, OTHER, Reply, Shared, Ticks, VERSION};

/// The row by which the filter tries a host out.
const TRIED: &str = "jobscope.host";

const NO_STREAM: HostError = HostError { call: "set_property", status: 1 };

/// One root context of the simulated proxy.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedHost {
    pub(crate) shared: Rc<RefCell<Shared>>,
    pub(crate) root: usize,
    /// Which of the filter's versions runs there: each lays rows out in its own way, and so has rows of its own.
    pub(crate) version: usize,
    pub(crate) departs: Rc<Cell<bool>>,
}

impl SimulatedHost {
    /// The key that this version means: the layout is part of it.
    fn key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        let is_shared = self.version == 0 || self.shared.borrow().fault == Some(Fault::SharedLayouts);
        if is_shared || key == TRIED { Cow::Borrowed(key) } else { Cow::Owned([key, OTHER].concat()) }
    }
}

impl Host for SimulatedHost {
    fn log(&self, _: Level, message: &str) {
        let mut shared = self.shared.borrow_mut();
        shared.note(("log", message));
        if let Some(log) = &mut shared.log {
            log.push(message.to_owned());
        }
    }

    fn name(&self) -> String {
        "simulation".to_owned()
    }

    fn now(&self) -> Result<Moment> {
        let mut shared = self.shared.borrow_mut();
        shared.read_may_fail("get_current_time")?;
        let Time { clock, passed } = shared.now();
        Ok(Moment(if shared.fault == Some(Fault::SlowClock) { clock - passed / 2 } else { clock }))
    }

    fn random(&self) -> u64 {
        let mut shared = self.shared.borrow_mut();
        shared.numbers += 1;
        shared.numbers
    }

    fn variable(&self, name: &str) -> Option<String> {
        ["CREDENTIAL", "HOOK"].contains(&name).then(|| "secret".to_owned())
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
        let mut shared = self.shared.borrow_mut();
        shared.note(("remove_header", name));
        shared.change(map, name, None)
    }

    fn replace_request_header(&self, name: &str, value: &[u8]) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.note(("replace_header", name, value));
        shared.change(Map::Request, name, Some(value))
    }

    fn choose_route(&self) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.note("choose_route");
        shared.may_fail("clear_route_cache")?;
        shared.choose_route();
        Ok(())
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

    fn replace_buffer(&self, buffer: Buffer, length: usize, new: &[u8]) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.note(("replace_buffer", new));
        let is_kept = shared.fault == Some(Fault::KeptBodies);
        let stream = shared.acting.ok_or(NOT_THERE)?;
        let shown = shared.acting().ok_or(NOT_THERE)?;
        let place = |body: &Vec<u8>| length.min(body.len());
        match buffer {
            Buffer::RequestBody if shown.is_body_open => {
                let place = place(&shown.body);
                shown.body.splice(..place, new.iter().copied());
                shared.effects.push(Effect::ReplaceBody(stream, place, new.to_vec()));
            }
            Buffer::ResponseBody if is_kept => {}
            Buffer::ResponseBody => {
                let place = place(&shown.answer_body);
                shown.answer_body.splice(..place, new.iter().copied());
            }
            Buffer::RequestBody | Buffer::CallResponseBody | Buffer::Configuration => return Err(NOT_THERE),
        }
        Ok(())
    }

    fn source_address(&self) -> Result<Vec<u8>> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("get_property")?;
        Ok(shared.acting.map(|_| b"192.0.2.1:1000".to_vec()).unwrap_or_default())
    }

    fn body_size(&self) -> Result<u64> {
        Ok(self.shared.borrow_mut().acting().map_or(0, |shown| shown.came as u64))
    }

    fn log_property(&self, name: &str, value: &[u8]) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.note(("log_property", name, value));
        shared.may_fail("set_property")?;
        let stream = shared.acting.ok_or(NO_STREAM)?;
        if let Some(shown) = shared.shown.get_mut(&stream) {
            shown.logged.insert(name.to_owned(), value.to_vec());
        }
        Ok(())
    }

    fn logged(&self, name: &str) -> Result<Vec<u8>> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("get_property")?;
        Ok(shared.acting().and_then(|shown| shown.logged.get(name).cloned()).unwrap_or_default())
    }

    fn declare(&self, name: &str, _: &str) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.may_fail("declare_property")?;
        let is_new = shared.declared.insert((self.root, name.to_owned()));
        is_new.then_some(()).ok_or(HostError { call: "declare_property", status: 2 })
    }

    fn row(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>> {
        let key = &*self.key(key);
        let mut shared = self.shared.borrow_mut();
        shared.read_may_fail("get_shared_data")?;
        shared.reads += 1;
        if let Some(before) = shared.row_before(key) {
            return Ok(Some(before));
        }
        let row = shared.rows.get(key).cloned();
        if shared.fault == Some(Fault::OldVersions) && shared.is_with_minted() {
            let first = shared.first_versions.get(key).map(|number| (Vec::new(), *number));
            return Ok(first.or(row));
        }
        if shared.fault == Some(Fault::OldRows) && self.root.is_multiple_of(2) {
            let before = shared.before.get(key).cloned();
            return Ok(row.map(|(bytes, number)| (before.unwrap_or(bytes), number)));
        }
        Ok(row)
    }

    fn set_row(&self, key: &str, value: &[u8], number: u32) -> Result<Written> {
        let key = &*self.key(key);
        let mut shared = self.shared.borrow_mut();
        shared.note(("set_row", key, value));
        let written = shared.may_fail("set_shared_data");
        shared.owes_version |= written.is_err() && key.contains(VERSION);
        written?;
        let known = shared.rows.get(key).map(|(bytes, number)| (bytes.clone(), *number));
        if number != 0 && known.as_ref().is_some_and(|(_, known)| *known != number) {
            return Ok(Written::Raced);
        }
        // Who follows the list of ended jobs writes that down alone.
        if number != 0 && !key.contains(".follower.") && shared.is_raced() {
            shared.keep_for_undo(key);
            shared.last_row += 1;
            let new = shared.last_row;
            shared.rows.entry(key.to_owned()).and_modify(|row| row.1 = new);
            return Ok(Written::Raced);
        }
        // Where a host is tried out it does well.
        match shared.fault.filter(|_| key != TRIED) {
            Some(Fault::LostVersions) if key.contains(VERSION) && known.is_some() => return Ok(Written::Done),
            Some(Fault::UntoldMinted) if key.contains(VERSION) && shared.wrote_minted => return Ok(Written::Done),
            Some(Fault::SilentEvictions) if key.contains(VERSION) && shared.pushed_out => return Ok(Written::Done),
            Some(Fault::LostMinted) if key.contains(MINTED) && known.is_some() => return Ok(Written::Done),
            Some(Fault::LostWrites) if number % 3 == 2 => return Ok(Written::Done),
            Some(Fault::GrowingRows) => {
                let mut grown = known.map(|(bytes, _)| bytes).unwrap_or_default();
                grown.splice(0..0, value.iter().copied());
                shared.rows.insert(key.to_owned(), (grown, number + 1));
                return Ok(Written::Done);
            }
            _ => {}
        }
        if shared.fault == Some(Fault::SilentEvictions) {
            let before = known.as_ref().filter(|_| key.contains(BINDING)).map(|(bytes, _)| bytes.as_slice());
            let is_gone = |row: &[u8]| !value.chunks_exact(Binding::SIZE).any(|new| new[..32] == row[..32]);
            shared.pushed_out = before.is_some_and(|before| before.chunks_exact(Binding::SIZE).any(is_gone));
        }
        if let Some((bytes, _)) = known.filter(|_| shared.fault == Some(Fault::OldRows)) {
            shared.before.insert(key.to_owned(), bytes);
        }
        shared.keep_for_undo(key);
        // Numbers are counted for all rows together.
        shared.last_row += 1;
        let new = shared.last_row;
        shared.wrote_minted = key.contains(MINTED);
        if key.contains(VERSION) {
            shared.first_versions.entry(key.to_owned()).or_insert(new);
        }
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
        let acting = shared.acting;
        shared.note(("resume", acting));
        match shared.acting {
            Some(stream) => {
                shared.effects.push(Effect::Resume(stream));
                // At once: it is forgotten here, whatever comes of it.
                if let Some(shown) = shared.acting() {
                    (shown.is_head_open, shown.is_body_open, shown.body) = (false, false, Vec::new());
                }
            }
            None => shared.accuse(|| "nobody was resumed".to_owned()),
        }
        Ok(())
    }

    fn resume_answer(&self) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        let acting = shared.acting;
        shared.note(("resume_answer", acting));
        shared.effects.extend(acting.map(Effect::ResumeAnswer));
        Ok(())
    }

    fn reply(&self, status: u16, headers: &[(&str, &str)], body: &str, details: &str) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        let acting = shared.acting;
        shared.note(("reply", acting, status, headers, body, details));
        let Some(stream) = acting else {
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
            let reply = Reply {
                status,
                head: Headers::pack(&head),
                body: body.as_bytes().to_vec(),
                details: details.to_owned(),
            };
            shared.effects.push(Effect::Reply(stream, reply));
        }
        Ok(())
    }

    fn hold_body(&self, stream: Stream) -> Result<()> {
        self.shared.borrow_mut().note(("hold_body", stream));
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
        let mut shared = self.shared.borrow_mut();
        shared.note(("count", number, by));
        match shared.metrics.get(number as usize) {
            Some((Metric::Gauge, _)) => {
                *shared.gauges.entry((self.root, number)).or_default() += by;
                Ok(())
            }
            Some((Metric::Counter, name)) if by > 0 => {
                shared.evictions += if name.starts_with("jobscope.evictions.") { by.unsigned_abs() } else { 0 };
                Ok(())
            }
            Some(_) | None => Err(NOT_THERE),
        }
    }

    fn record(&self, number: u32, value: u64) -> Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.note(("record", number, value));
        let is_known = (number as usize) < shared.metrics.len();
        is_known.then_some(()).ok_or(HostError { call: "record_metric", status: 1 })
    }

    fn call(&self, cluster: &str, headers: Vec<(&str, &str)>, body: &[u8], timeout: Duration) -> Result<u32> {
        let mut shared = self.shared.borrow_mut();
        if shared.acting.is_some() && !self.departs.get() {
            shared.accuse(|| "a call was sent for a request, and would be lost with it".to_owned());
        }
        shared.note(("call", &headers, body));
        shared.may_fail("http_call")?;
        let has = |name| headers.iter().any(|(found, _)| *found == name);
        if cluster != CLUSTER || ![":method", ":path", ":authority"].into_iter().all(has) {
            return Err(HostError { call: "http_call", status: 2 });
        }
        shared.last_call += 1;
        let number = shared.last_call;
        let field = |name| headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let question = Question::read(field(":path").unwrap_or_default(), field("job-token"), body);
        let is_same = |call: &Call| !call.is_given_up && call.root == self.root && call.question == question;
        if question.as_ref().is_some_and(Question::is_of_one_fact) && shared.calls.values().any(is_same) {
            shared.accuse(|| format!("a fact is looked up twice at once: {question:?}"));
        }
        let fact = field("x-request-id").map(str::to_owned);
        let is_part = fact.is_some() && question.as_ref().is_some_and(Question::is_of_target);
        let is_over = shared.passed < shared.doubtful_until;
        let is_same = |call: &Call| is_same(call) && !call.is_over && call.fact == fact;
        if is_part && !is_over && shared.calls.values().any(is_same) {
            shared.accuse(|| format!("a part is looked up twice at once for {fact:?}: {question:?}"));
        }
        let (asked, paths, deadline) = (shared.now(), shared.paths, shared.passed + timeout.as_millis() as u64);
        let pieces = field("x-download").unwrap_or_default().to_owned();
        let is_given_up = shared.passed < shared.gives_up_until;
        if let Some(Question::Told(jobs)) = &question {
            let told = (self.root, jobs.clone());
            shared.told.push(told);
        }
        let max_age = Question::max_age(body);
        let (root, is_begun) = (self.root, false);
        let call =
            Call { root, question, fact, max_age, pieces, asked, paths, deadline, is_begun, is_given_up, is_over };
        shared.calls.insert(number, call);
        let is_doubtful = match shared.fault {
            Some(Fault::DoubtfulCalls) => true,
            Some(Fault::DoubtfulParts) => is_part,
            _ => false,
        };
        if is_doubtful && number.is_multiple_of(5) {
            return Err(HostError { call: "http_call", status: 10 });
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_declared_is_not_declared_again_whatever_configurations_come() {
        let shared = Rc::new(RefCell::new(Shared::new(None, false)));
        shared.borrow_mut().log = Some(Vec::new());
        let host = SimulatedHost { shared: Rc::clone(&shared), root: 0, version: 0, departs: Rc::default() };
        let mut worker = jobscope::Worker::new(host);
        for form in ["struct", "fields", "struct"] {
            let configuration = format!(
                r#"{{"forge": {{"hosts": ["forge.example"]}}, "log": {{"form": "{form}"}},
                    "lookup": {{"cluster": "{CLUSTER}", "authority": "forge.example", "credential_env": "CREDENTIAL"}}}}"#
            );
            shared.borrow_mut().configuration = configuration.into_bytes();
            assert!(worker.configure());
        }
        let log = shared.borrow().log.clone().unwrap_or_default();
        assert!(log.len() == 3 && !log.iter().any(|line| line.contains("log.form")), "{log:?}");
    }
}
