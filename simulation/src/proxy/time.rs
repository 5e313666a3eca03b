//! Time, and the answers to calls that come in it.

use jobscope::{Headers, Worker};

use super::{Proxy, Stands, pick};
use crate::fault::Fault;
use crate::request::What;
use crate::shared::Call;
use crate::world::{Question, Said};

impl Proxy {
    /// The lookup service answers, in whatever way.
    pub(super) fn answer_call(&mut self, which: u32, how: u32) {
        let count = self.shared.borrow().calls.len();
        if count == 0 {
            return;
        }
        let number = self.shared.borrow().calls.keys().nth(pick(which, count)).copied().unwrap_or_default();
        self.deliver(number, how % 40);
    }

    pub(super) fn deliver(&mut self, number: u32, way: u32) {
        let Some(Call { root, path, body, asked, is_given_up, .. }) = self.shared.borrow().calls.get(&number).cloned()
        else {
            return;
        };
        let question = Question::read(&path, &body);
        let said = question.as_ref().map(|question| self.world.say(question));
        let came = "x-envoy-upstream-service-time";
        let fields = |status: &str| Headers::pack(&[(":status", status), (came, "1")]);
        let (headers, text, is_true) = match way {
            0 => (fields("500"), "{}".to_owned(), false),
            1 => (fields("404"), "{}".to_owned(), false),
            2 => (Headers::pack(&[(":status", "503")]), "no healthy upstream".to_owned(), false),
            3 => (Headers::pack(&[(":status", "504")]), "upstream request timeout".to_owned(), false),
            4 => (fields("200"), "<html>".to_owned(), false),
            5 => (fields("200"), r#"{"version": 2}"#.to_owned(), false),
            6 => (Headers::pack(&[(":status", "429"), (came, "1"), ("retry-after", "1")]), "{}".to_owned(), false),
            7 => (fields("401"), "{}".to_owned(), false),
            8 => (Headers::packed(Vec::new()), String::new(), false),
            _ => match (&question, &said) {
                (Some(question), Some(said)) => (fields("200"), self.world.write(question, said).to_string(), true),
                _ => (fields("404"), "{}".to_owned(), false),
            },
        };
        self.tell(|_| {
            format!(
                "call {number} of root {root}, {question:?}: {}",
                if is_true { format!("{said:?}") } else { format!("fails ({way})") }
            )
        });
        let told = if self.fault(Fault::SwappedAnswers) {
            self.shared.borrow().calls.range(..number).next_back().map_or(number, |(before, _)| *before)
        } else {
            number
        };
        let root = if told == number { root } else { self.shared.borrow().calls[&told].root };
        let has_headers = headers.size() > 0;
        let size = text.len();
        {
            let mut shared = self.shared.borrow_mut();
            shared.calls.remove(&told);
            shared.call_answer = Some((headers, text.into_bytes()));
            self.tally.lookups += 1;
        }
        // The filter may act on it at once.
        let mut ended = Vec::new();
        match (&question, said) {
            (Some(question), Some(said @ (Said::Runs(_) | Said::Standing(_)))) if is_true => {
                self.judge.hear(question, &said, asked)
            }
            (_, Some(Said::Ended(job))) if is_true => ended.push(job),
            (_, Some(Said::List(jobs, _))) if is_true => ended = jobs,
            _ => {}
        }
        let before = std::mem::take(&mut self.shared.borrow_mut().has_failed);
        // Now and then an answer comes twice.
        for _ in 0..if way == 9 { 2 } else { 1 } {
            self.event(root, None, |filter| filter.answered(told, has_headers, size));
            self.settle(None);
        }
        if is_given_up {
            ended.clear();
        }
        self.see_ends(&ended, before);
        self.shared.borrow_mut().call_answer = None;
    }

    /// Time passes: calls time out, and filters tick.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        let until = self.shared.borrow().passed + milliseconds;
        loop {
            let (calls, periods) = {
                let shared = self.shared.borrow();
                let next = shared.calls.iter().map(|(number, call)| (call.deadline, *number)).min();
                (next, shared.periods.clone())
            };
            let ticks = self.roots.iter().enumerate().filter(|(_, root)| root.filter.is_some());
            let tick = ticks.map(|(number, root)| (root.ticks_at + periods[number], number)).min();
            let tick = tick.filter(|_| !self.fault(Fault::NoTicks));
            let (at, call, root) = match (calls, tick) {
                (Some((at, call)), tick) if tick.is_none_or(|(ticks_at, _)| at <= ticks_at) => (at, Some(call), 0),
                (_, Some((at, root))) => (at, None, root),
                (_, None) => break,
            };
            if at > until {
                break;
            }
            let passed = self.shared.borrow().passed;
            self.shared.borrow_mut().passed = passed.max(at);
            match call {
                Some(call) => self.deliver(call, 3),
                None => {
                    self.roots[root].ticks_at = passed.max(at);
                    self.event(root, None, Worker::tick);
                    self.settle(None);
                }
            }
            self.check_deadlines();
        }
        self.shared.borrow_mut().passed = until;
        let now = self.shared.borrow().now();
        self.judge.forget(now);
    }

    pub(super) fn check_deadlines(&mut self) {
        let passed = self.shared.borrow().passed;
        if let Some((stream, _)) = self
            .open
            .iter()
            .find(|(_, open)| open.stands == Stands::Stays && open.due < passed && open.request.what != What::Webhook)
        {
            self.shared
                .borrow_mut()
                .accuse(|| format!("request {stream} is neither answered nor goes on, and its time is up"));
        }
    }

    /// Who waits gets all of its time anew: the clock was set, or the host refused a call.
    pub(super) fn grant_time(&mut self) {
        let passed = self.shared.borrow().passed;
        let more: Vec<_> = self
            .open
            .iter()
            .map(|(stream, open)| (*stream, passed + self.patience(open.root, open.request.is_read_first)))
            .collect();
        for (stream, due) in more {
            if let Some(open) = self.open.get_mut(&stream) {
                open.due = due;
            }
        }
    }
}
