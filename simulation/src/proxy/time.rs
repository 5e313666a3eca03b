//! Time, and the answers to calls that come in it.

use jobscope::Headers;

use super::promises::PAUSE;
use super::{Open, Proxy, SLACK, Stands, pick};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::judge::Time;
use crate::request::What;
use crate::service::{Api, Question, Said, Written};
use crate::shared::Call;
use crate::world::{Leads, Role, first_paths};

/// The answers for which the service's forge is away.
pub(super) const AWAY: std::ops::Range<u32> = 10..13;

/// The way in which it tells the truth.
pub(super) const TRUE: u32 = 13;

impl<F: Filter> Proxy<F> {
    /// The lookup service answers, in whatever way.
    pub(super) fn answer_call(&mut self, which: u32, how: u32) {
        // GitLab tells in several answers what `v1` tells in one, and as seldom fails to.
        let (calls, ways) = if self.scene.api == Api::Gitlab { (1 + how / 160 % 8, 160) } else { (1, 40) };
        for _ in 0..calls {
            let count = self.shared.borrow().calls.len();
            let Some(at) = (count > 0).then(|| pick(which, count)) else { return };
            let number = self.shared.borrow().calls.keys().nth(at).copied().unwrap_or_default();
            self.deliver(number, how % ways);
        }
    }

    pub(super) fn deliver(&mut self, number: u32, way: u32) {
        let Some(Call { root, question, fact, max_age, asked, mut paths, is_given_up, .. }) =
            self.shared.borrow().calls.get(&number).cloned()
        else {
            return;
        };
        let say = |paths| question.as_ref().map(|question| self.world.say(question, paths));
        let mut said = say(&self.world.paths);
        let (mut asked, mut way) = (asked, way);
        let mut age = None;
        let mut recalled = None;
        if let Some(fact) = question.as_ref().filter(|question| question.is_of_one_fact() && self.scene.api == Api::V1)
            && way >= 9
        {
            let is_away = AWAY.contains(&way) || (max_age > 0 && self.fault(Fault::UntoldAges));
            let is_unwanted = max_age == 0 && self.fault(Fault::UnwantedMemory);
            let stale = self.roots[root].times.stale;
            let serves = |old: u64| old <= max_age * 1_000 || (is_away && max_age > 0) || (is_unwanted && old < stale);
            match self.memory.recall(fact, asked.passed).filter(|(_, _, old)| serves(*old)) {
                Some((known, led, old)) => {
                    (said, paths) = (Some(known), led);
                    recalled = Some(led);
                    asked = Time { clock: asked.clock - old, passed: asked.passed - old };
                    let denies = matches!(said, Some(Said::Standing(_, role, _)) if role < Role::Developer);
                    let is_untold = self.fault(Fault::UntoldAges) || (denies && self.fault(Fault::OldDenials));
                    age = (max_age > 0 && !is_untold).then(|| old.div_ceil(1_000));
                }
                None if AWAY.contains(&way) => way = 0,
                None => {
                    if let Some(said) = &said {
                        self.memory.put(fact, said, paths, asked.passed);
                    }
                }
            }
        }
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
                (Some(question), Some(said)) => {
                    let old = match (self.shared.borrow().fault, said) {
                        (Some(Fault::OldPaths), _) => say(&first_paths()),
                        (Some(Fault::OldSettings), Said::Settings(_)) => Some(Said::Settings(false)),
                        _ => None,
                    };
                    // Who remembers tells where a project was, too.
                    let now = self.world.paths;
                    self.world.paths = recalled.unwrap_or(now);
                    let written =
                        self.world.write(self.scene.api, self.scene.has_slots, question, old.as_ref().unwrap_or(said));
                    self.world.paths = now;
                    let Written { status, location, mut body } = written;
                    if let Some(age) = age {
                        body.insert_str(1, &format!(r#""age":{age},"#));
                    }
                    let mut fields = vec![(":status", status), (came, "1")];
                    fields.extend(location.as_deref().map(|location| ("location", location)));
                    (Headers::pack(&fields), body, true)
                }
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
        let is_plain = match &said {
            Some(Said::Project(leads) | Said::Role(leads, _) | Said::Allowlist(leads, _)) => {
                matches!(leads, Leads::To(_))
            }
            _ => true,
        };
        if !is_true || !is_plain {
            self.shared.borrow_mut().end_lookups(root, fact.as_ref().filter(|_| way != 6));
        }
        if !is_true {
            let passed = self.shared.borrow().passed;
            self.roots[root].failed_at = passed;
            if way == 6 {
                self.roots[root].throttled_at = passed;
                let until = &mut self.shared.borrow_mut().doubtful_until;
                *until = (*until).max(passed + PAUSE);
            }
        }
        {
            let mut shared = self.shared.borrow_mut();
            shared.calls.remove(&told);
            shared.call_answer = Some((headers, text.into_bytes()));
            self.tally.lookups += 1;
        }
        // The filter may act on it at once.
        let mut ended = Vec::new();
        match (&question, said) {
            (_, Some(Said::Ended(job))) if is_true => {
                self.memory.end([job]);
                ended.push(job);
            }
            (_, Some(Said::List(jobs, _))) if is_true => {
                self.memory.end(self.world.ended_after(Some(0)).0);
                ended = jobs;
            }
            (Some(Question::Told(jobs)), _) if is_true => self.memory.end(jobs.iter().copied()),
            (Some(Question::Told(jobs)), _) => self.owe_again(root, jobs, way == 1),
            (Some(question), Some(said)) if is_true => {
                self.judges[self.roots[root].version].hear(question, &said, asked, &paths);
            }
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
        self.see_ends(root, &ended, before);
        self.shared.borrow_mut().call_answer = None;
    }

    /// The service tells the truth of all that was asked behind this call, and of what that leads to; in this way.
    pub(super) fn answer_behind(&mut self, call: u32, way: u32) {
        for _ in 0..4 {
            let numbers: Vec<u32> = self.shared.borrow().calls.range(call + 1..).map(|(number, _)| *number).collect();
            numbers.into_iter().for_each(|number| self.deliver(number, way));
        }
    }

    /// A call is lost, and the host tells nobody.
    pub(super) fn lose(&mut self, which: u32) {
        let count = self.shared.borrow().calls.len();
        let number = self.shared.borrow().calls.keys().nth(pick(which, count)).copied();
        let lost = number.and_then(|number| self.shared.borrow_mut().calls.remove(&number));
        let Some(Call { root, question, .. }) = lost else { return };
        self.tell(|_| format!("a call of root {root} is lost, {question:?}"));
        let lasts = 4 * self.roots[root].times.timeout + SLACK;
        self.roots[root].lost_until = self.shared.borrow().passed + lasts;
        if let Some(Question::Told(jobs)) = question {
            self.owe_lost(root, &jobs, lasts);
        }
    }

    /// A call is answered so.
    pub(crate) fn deliver_answer(&mut self, number: u32, headers: Headers, body: Vec<u8>) {
        let Some(call) = self.shared.borrow_mut().calls.remove(&number) else { return };
        let (has_headers, size) = (headers.size() > 0, body.len());
        self.shared.borrow_mut().call_answer = Some((headers, body));
        self.event(call.root, None, |filter| filter.answered(number, has_headers, size));
        self.settle(None);
        self.shared.borrow_mut().call_answer = None;
    }

    /// Time passes: calls time out, and filters tick.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        let until = self.shared.borrow().passed + milliseconds;
        loop {
            let (calls, ticks) = {
                let shared = self.shared.borrow();
                let next = shared.calls.iter().map(|(number, call)| (call.deadline, *number)).min();
                (next, shared.ticks.clone())
            };
            let ticks = ticks.iter().enumerate().filter(|(number, _)| self.roots[*number].filter.is_some());
            let tick = ticks.filter_map(|(number, ticks)| Some((ticks.at?, number))).min();
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
                Some(call) => {
                    let is_begun = self.shared.borrow().calls.get(&call).is_some_and(|call| call.is_begun);
                    self.deliver(call, if is_begun { 8 } else { 3 });
                }
                None => {
                    self.shared.borrow_mut().ticks[root].again(passed.max(at));
                    self.event(root, None, F::tick);
                    self.settle(None);
                }
            }
            self.check_deadlines();
        }
        self.shared.borrow_mut().passed = until;
        let now = self.shared.borrow().now();
        self.judges.iter_mut().for_each(|judge| judge.forget(now));
    }

    pub(super) fn check_deadlines(&mut self) {
        let passed = self.shared.borrow().passed;
        if passed <= self.soonest {
            return;
        }
        let waits = |open: &Open| open.stands == Stands::Stays && open.request.what != What::Webhook;
        let waiting = self.open.iter().filter(|(_, open)| waits(open));
        let first = waiting.map(|(stream, open)| (open.due, *stream)).min();
        self.soonest = first.map_or(u64::MAX, |(due, _)| due);
        if let Some((_, stream)) = first.filter(|(due, _)| *due < passed) {
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
