//! Requests: how they come, go on, are answered by the filter, and leave.

use std::collections::HashMap;

use jobscope::{Flow, Stream};
use policy::bindings::{BUCKET_ROWS, Binding, Table};
use policy::facts::Secret;

use super::promises::DENIES;
use super::time::{AWAY, TRUE};
use super::{AT_ONCE, BODY_PATIENCE, FEWEST, Open, Proxy, SLACK, Stands, WORKERS, pick};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::judge::Ask;
use crate::request::{Client, Request, What};
use crate::service::Api;
use crate::shared::{Effect, Reply, Shown};
use crate::world::{Job, Minted, Mints, Role};

impl<F: Filter> Proxy<F> {
    /// Carries out what the filter had the host do.
    pub(super) fn settle(&mut self, by: Option<Stream>) {
        let effects = std::mem::take(&mut self.shared.borrow_mut().effects);
        let others = effects.iter().filter(|effect| match effect {
            Effect::Resume(stream) | Effect::Reply(stream, ..) => Some(*stream) != by,
            Effect::HoldBody(_) | Effect::ReplaceBody(..) | Effect::ResumeAnswer(_) => false,
        });
        let others = others.count();
        if others > if by.is_some() { 0 } else { AT_ONCE } {
            self.shared
                .borrow_mut()
                .accuse(|| format!("one call of the host lets {others} requests go or answers them"));
        }
        for effect in effects {
            match effect {
                Effect::Resume(stream) => self.go_on(stream, true),
                Effect::Reply(stream, reply) => self.answer(stream, &reply),
                Effect::HoldBody(stream) => {
                    if let Some(open) = self.open.get_mut(&stream) {
                        open.is_held = true;
                    }
                }
                Effect::ReplaceBody(stream, place, new) => {
                    if let Some(open) = self.open.get_mut(&stream) {
                        open.came = open.came - place + new.len();
                        open.request.body.splice(open.shown..open.shown + place, new);
                    }
                }
                Effect::ResumeAnswer(stream) => self.pass_on(stream, Flow::Continue),
            }
        }
    }

    pub(super) fn answer(&mut self, stream: Stream, reply: &Reply) {
        let Some(open) = self.open.get_mut(&stream) else { return };
        let status = reply.status;
        let was_answered = std::mem::replace(&mut open.stands, Stands::Answered(status));
        let was_answered = matches!(was_answered, Stands::Answered(_));
        let (ask, what) = (open.request.ask, open.request.what);
        let has_failed = self.shared.borrow().has_failed;
        if was_answered {
            self.shared.borrow_mut().accuse(|| format!("request {stream} is answered twice"));
        }
        if ask == Ask::Person && what != What::Webhook && !has_failed {
            self.shared.borrow_mut().accuse(|| format!("request {stream} is no job's, and is answered {status}"));
        }
        match status {
            403 | 404 => self.check_denial(stream),
            500.. => self.check_failure(stream, &reply.details),
            _ => {}
        }
        self.tally.answered += 1;
        self.tell(|_| format!("    request {stream} is answered {status}"));
        // Its answer too comes by the filter, but for one that takes the place of another.
        let shows = self.shared.borrow().shown.get(&stream).is_none_or(|shown| shown.answer.is_none());
        if shows {
            self.show_answer(stream, &reply.head, &reply.body);
        }
    }

    /// A request goes on: may it?
    pub(super) fn go_on(&mut self, stream: Stream, is_resumed: bool) {
        let Some(open) = self.open.get_mut(&stream) else { return };
        if matches!(open.stands, Stands::Answered(_)) {
            self.shared.borrow_mut().accuse(|| format!("request {stream} was answered, and goes on"));
            return;
        }
        open.stands = Stands::Goes;
        // Of a body that nobody may wait for any longer the token goes nowhere, and so its end.
        // Who asks while the end of his job is being told may be served.
        let is_racing = self.shared.borrow().undo.is_some();
        if !is_racing && !open.is_judged && (open.request.what != What::Untold || open.is_over()) {
            open.is_judged = true;
            let (request, times) = (&open.request, self.roots[open.root].times);
            let now = self.shared.borrow().now();
            // What was made from a token may go on without itself: then the registry tells how to get another.
            let is_bare = |shown: &Shown| matches!(request.what, What::Use(_)) && !shown.has("authorization");
            let is_bare = self.shared.borrow().shown.get(&stream).is_some_and(is_bare);
            // And where another version handed it out, what LFS takes looks like a person's.
            let version = self.roots[open.root].version;
            let text = open.asked.as_ref().and_then(|(_, client)| client.minted.as_ref());
            let is_strange = request.what == What::Use(Mints::Lfs)
                && self.world.minted.iter().any(|minted| Some(&minted.text) == text && minted.version != version);
            let token = request.token.as_deref().filter(|_| !is_bare && !is_strange);
            let is_webhook = request.what == What::Webhook;
            let job = token.and_then(|token| self.world.job_of(token)).map(|number| &self.world.jobs[number]);
            let may_swap = self.scene.has_slots && job.is_some_and(Job::is_foreign);
            let wrong_slot = self.shared.borrow().shown.get(&stream).and_then(|shown| wrong_slot(shown, may_swap));
            // What served when it came serves it, for as long as it may wait for the rest.
            self.tally.forwarded += u64::from(token.is_some());
            self.tally.minted += u64::from(token.is_some() && matches!(request.what, What::Use(_)));
            let (judge, stale) = (&self.judges[version], times.stale + times.timeout);
            let has_no_room = |token: &str| self.shared.borrow().has_no_room(token, self.scene.capacity);
            if let Some(why) = judge.forbids(&self.world.jobs, token, request.ask, (now, stale), has_no_room) {
                self.shared.borrow_mut().accuse(|| format!("request {stream} goes on, and {why}"));
            }
            self.tally.slots +=
                u64::from(self.shared.borrow().shown.get(&stream).is_some_and(|shown| shown.slot().is_some()));
            if let Some(why) = wrong_slot {
                self.shared.borrow_mut().accuse(|| format!("request {stream} goes on, and {why}"));
            }
            if let (Ask::Of(..) | Ask::Below(_), Some((target, client))) = (request.ask, &open.asked) {
                self.admitted = Some((self.roots[open.root].worker, request.what, *target, client.clone()));
            }
            if is_webhook {
                self.shared.borrow_mut().accuse(|| "a report to the webhook goes on".to_owned());
            }
            self.tell(|_| format!("    request {stream} goes on"));
        }
        let Some(open) = self.open.get_mut(&stream) else { return };
        let (is_held, has_ended) = (is_resumed && std::mem::take(&mut open.is_held), open.is_whole);
        if let Some(shown) = self.shared.borrow_mut().shown.get_mut(&stream) {
            shown.is_head_open = false;
        }
        if is_held {
            self.show(stream);
            if has_ended {
                self.show_trailers(stream);
            }
        } else if let Some(open) = self.open.get_mut(&stream) {
            open.shown = open.came;
        }
    }

    /// Shows what came of a body to the filter.
    pub(super) fn show(&mut self, stream: Stream) {
        let Some(open) = self.open.get_mut(&stream) else { return };
        let end = open.is_whole && !open.has_trailers;
        let (size, root) = (open.came - open.shown, open.root);
        let body = open.request.body[open.shown..open.came].to_vec();
        if size == 0 && !end {
            return;
        }
        let goes = open.stands == Stands::Goes;
        if let Some(shown) = self.shared.borrow_mut().shown.get_mut(&stream) {
            (shown.body, shown.is_body_open) = (body, true);
        }
        let flow = self.event(root, Some(stream), |filter| filter.request_body(stream, size, end));
        self.flow(stream, flow, goes);
    }

    /// Shows the trailers that a request ends with.
    fn show_trailers(&mut self, stream: Stream) {
        let Some(open) = self.open.get_mut(&stream).filter(|open| open.is_whole) else { return };
        if matches!(open.stands, Stands::Answered(_)) || !std::mem::take(&mut open.has_trailers) {
            return;
        }
        let (root, goes) = (open.root, open.stands == Stands::Goes);
        let flow = self.event(root, Some(stream), |filter| filter.request_trailers(stream));
        self.flow(stream, flow, goes);
    }

    /// What the filter says of what it was shown of a request.
    pub(super) fn flow(&mut self, stream: Stream, flow: Flow, went: bool) {
        self.shared.borrow_mut().note(("flow", stream, flow == Flow::Continue));
        self.settle(Some(stream));
        let deaf = self.fault(Fault::DeafToPause) && stream.is_multiple_of(16);
        let Some(open) = self.open.get_mut(&stream) else { return };
        let is_answered = matches!(open.stands, Stands::Answered(_));
        if flow == Flow::Continue || (deaf && !is_answered) {
            self.go_on(stream, false);
        } else if went && !is_answered {
            self.shared.borrow_mut().accuse(|| format!("request {stream} went on, and is stopped without an answer"));
        } else if open.request.ask == Ask::Person && !open.request.is_read_first && !is_answered {
            self.shared.borrow_mut().accuse(|| format!("request {stream} is a person's, and has to wait"));
        }
    }

    pub(super) fn come(&mut self, which: u32, how: u32) {
        let (what, target, client) = Request::draw(which, how, &self.world);
        let what = if self.scene.has_slots { what.elsewhere() } else { what };
        // Most bodies come at once, and some end with trailers.
        let (is_all_there, has_trailers) = (!(how / 32).is_multiple_of(4), (how / 128).is_multiple_of(4));
        self.enter_with((which as usize / 4096) % WORKERS, what, target, client, is_all_there, has_trailers);
    }

    /// What went on last comes a few times more, now and then by another worker.
    pub(super) fn come_again(&mut self, which: u32, how: u32) {
        let Some((worker, what, target, client)) = self.admitted.clone() else { return };
        let worker = if which.is_multiple_of(8) { how as usize % WORKERS } else { worker };
        for _ in 0..1 + how / 4 % 4 {
            self.enter_with(worker, what, target, client.clone(), true, false);
        }
    }

    /// A job has more and more credentials made, and what is remembered of the one that it came with makes room for them.
    pub(super) fn have_made(&mut self, which: u32, how: u32) {
        let of_image = self.world.minted.iter().rev().find(|minted| minted.mints != Mints::Lfs);
        let Some(Minted { text, mints, job, path, .. }) = of_image.cloned() else { return };
        let client = |minted| Client { token: self.world.jobs[job].token.clone(), job, minted };
        let (own, first) = (client(None), client(Some(text)));
        let (worker, maker) = (which as usize % WORKERS, which as usize / WORKERS % WORKERS);
        for _ in 0..3 {
            self.enter_with(worker, What::Use(mints), path, first.clone(), true, false);
        }
        for _ in 0..how / 8 % 16 {
            let stream = self.enter_with(maker, What::Login(mints), path, own.clone(), true, false);
            if self.open.get(&stream).is_some_and(|open| open.stands == Stands::Goes) {
                self.respond_to(stream, how);
            }
        }
        self.enter_with(worker, What::Use(mints), path, first, true, false);
    }

    /// A job asks twice. To one worker it seems that what it reads first was read before another was told that the job ended;
    /// the second time it is behind that in any case.
    pub(super) fn race(&mut self, which: u32, how: u32) {
        let Some((worker, what, target, client)) = self.admitted.clone() else { return };
        let worker = (worker + which as usize % WORKERS) % WORKERS;
        self.shared.borrow_mut().undo = Some(HashMap::new());
        self.enter_with((worker + 1) % WORKERS, What::Webhook, 0, client.clone(), true, false);
        self.close_answered();
        self.make_up();
        // Which of its reads come before depends on what is read, so there is nothing to compare.
        let early = if self.shared.borrow().is_compared { 0 } else { how % 4 };
        self.shared.borrow_mut().early = early;
        let stream = self.enter_with(worker, what, target, client.clone(), true, false);
        let mut shared = self.shared.borrow_mut();
        (shared.undo, shared.early) = (None, 0);
        drop(shared);
        if let Some(open) = self.open.get_mut(&stream) {
            open.is_judged = true;
        }
        self.enter_with(worker, what, target, client, true, false);
    }

    /// A user gets a role in a project after a while, and writes there while what was due of it is being looked up, which the
    /// service may tell from its memory.
    pub(super) fn promote(&mut self, which: u32, how: u32) {
        if self.scene.api != Api::V1 || self.scene.has_slots {
            return;
        }
        let (job, worker) = (pick(which, self.world.jobs.len()), how as usize % WORKERS);
        let Job { token, user, origin, .. } = self.world.jobs[job].clone();
        let client = Client { token, job, minted: None };
        let begun = self.shared.borrow().passed;
        self.world.promote(user, origin, Role::Reporter, begun);
        self.tell(|_| format!("user {user} is a reporter of project {origin}"));
        let last = self.shared.borrow().last_call;
        self.enter_with(worker, What::Read, origin, client.clone(), true, false);
        self.answer_behind(last, TRUE);
        let passed = self.shared.borrow().passed;
        self.world.promote(user, origin, Role::Developer, passed);
        self.tell(|_| format!("user {user} is a developer of project {origin}"));
        self.pass(self.times.fresh.max(DENIES) + 1 + u64::from(how % 900));
        let last = self.shared.borrow().last_call;
        self.enter_with(worker, What::Read, origin, client.clone(), true, false);
        self.enter_with(worker, What::Write, origin, client, true, false);
        let calls: Vec<u32> = self.shared.borrow().calls.range(last + 1..).map(|(number, _)| *number).collect();
        calls.into_iter().for_each(|number| self.deliver(number, AWAY.start));
    }

    /// What is known of the job that was admitted last makes room for others, where few have room, and the job comes again.
    pub(super) fn push_out(&mut self, how: u32) {
        let has_few = self.scene.capacity == FEWEST && !self.scene.has_slots;
        let Some((worker, what, target, client)) = self.admitted.clone().filter(|_| has_few) else { return };
        let table = Table::of::<Binding>(self.scene.capacity);
        let bucket = |token: &str| table.bucket(&Secret::new(token.as_bytes()).hash());
        let (own, other) = (bucket(&client.token), (worker + 1) % WORKERS);
        for _ in 0..2 {
            let last = self.shared.borrow().last_call;
            self.enter_with(worker, what, target, client.clone(), true, false);
            self.answer_behind(last, TRUE);
        }
        // The others are confirmed later.
        self.pass(1);
        for number in 0..=BUCKET_ROWS as u32 {
            let job = self.world.begin_with(how / 4 + number, |token| bucket(token) == own);
            let token = self.world.jobs[job].token.clone();
            let last = self.shared.borrow().last_call;
            let client = Client { token, job, minted: None };
            let stream = self.enter_with(other, What::Login(Mints::DependencyProxy), target, client, true, false);
            self.answer_behind(last, TRUE);
            self.leave(stream);
            self.world.end(job);
        }
        self.enter_with(worker, what, target, client, true, false);
    }

    /// A request comes to a worker, and its body with it where it is all there.
    fn enter_with(
        &mut self,
        worker: usize,
        what: What,
        target: usize,
        client: Client,
        is_all_there: bool,
        has_trailers: bool,
    ) -> Stream {
        let mut request = Request::new(what, target, client.clone());
        let is_whole = request.body.is_empty();
        request.has_trailers = has_trailers && !is_whole;
        let stream = self.enter_as(request, Some((target, client)), worker, is_whole);
        if !is_whole && is_all_there {
            self.piece(stream, usize::MAX, true);
        }
        stream
    }

    /// A request comes to a worker.
    pub(crate) fn enter(&mut self, request: Request, worker: usize, is_whole: bool) -> Stream {
        self.enter_as(request, None, worker, is_whole)
    }

    fn enter_as(&mut self, request: Request, asked: Option<(usize, Client)>, worker: usize, is_whole: bool) -> Stream {
        let root = self.workers[worker];
        self.last_stream += 1;
        let stream = self.last_stream;
        let passed = self.shared.borrow().passed;
        self.tell(|_| {
            format!("worker {worker}: request {stream}, {:?} {:?} {:?}", request.what, request.ask, request.token)
        });
        let head = request.head.clone();
        self.roots[root].streams += 1;
        let due = passed + self.patience(root, request.is_read_first);
        let has_trailers = request.has_trailers;
        let open = Open {
            request,
            asked,
            root,
            stands: Stands::Stays,
            is_held: false,
            has_trailers,
            came: 0,
            shown: 0,
            is_whole,
            is_judged: false,
            answer: None,
            came_at: passed,
            due,
        };
        self.open.insert(stream, open);
        self.soonest = self.soonest.min(due);
        // Where there are routes of slots, the one that the client names is taken before the filter sees it.
        let mut shown = Shown { head: Some(head), is_head_open: true, ..Shown::default() };
        shown.route = shown.slot().filter(|_| self.scene.has_slots);
        self.shared.borrow_mut().shown.insert(stream, shown);
        let flow = self.event(root, Some(stream), |filter| filter.request_head(stream, is_whole));
        self.flow(stream, flow, false);
        stream
    }

    pub(super) fn patience(&self, root: usize, is_read_first: bool) -> u64 {
        // What is read first may have to be looked up too.
        self.roots[root].times.timeout + SLACK + if is_read_first { BODY_PATIENCE } else { 0 }
    }

    pub(crate) fn piece(&mut self, stream: Stream, size: usize, end: bool) {
        let Some(open) = self.open.get_mut(&stream) else { return };
        if open.is_whole || matches!(open.stands, Stands::Answered(_)) {
            return;
        }
        open.came = open.came.saturating_add(size).min(open.request.body.len());
        open.is_whole = end;
        if open.is_whole {
            open.came = open.request.body.len();
        }
        if let Some(shown) = self.shared.borrow_mut().shown.get_mut(&stream) {
            shown.came = open.came;
        }
        if !open.is_held {
            self.show(stream);
            self.show_trailers(stream);
        }
    }

    /// The request ends with trailers.
    pub(crate) fn trailers(&mut self, stream: Stream) {
        let Some(open) = self.open.get_mut(&stream) else { return };
        (open.has_trailers, open.is_whole) = (true, true);
        if !open.is_held {
            self.show_trailers(stream);
        }
    }

    pub(crate) fn leave(&mut self, stream: Stream) {
        let Some(open) = self.open.remove(&stream) else { return };
        if !self.fault(Fault::SilentLeaving) {
            self.event(open.root, Some(stream), |filter| filter.gone(stream));
        }
        self.settle(Some(stream));
        self.shared.borrow_mut().shown.remove(&stream);
        self.roots[open.root].streams -= 1;
        self.retire(open.root);
    }

    /// A root that has a successor goes with its last request, and nothing is counted of it any longer.
    pub(super) fn retire(&mut self, root: usize) {
        if self.roots[root].streams > 0 || self.workers[self.roots[root].worker] == root {
            return;
        }
        self.event(root, None, F::retire);
        let mut shared = self.shared.borrow_mut();
        let own = |name: &str| !name.starts_with("jobscope.rows");
        let left = shared
            .gauges
            .range((root, 0)..(root + 1, 0))
            .find(|((_, number), count)| **count != 0 && own(&shared.metrics[*number as usize].1));
        if let Some(((_, number), count)) = left.map(|(of, count)| (*of, *count)) {
            let name = shared.metrics[number as usize].1.clone();
            shared.accuse(|| format!("a configuration is gone, and {count} of it are still counted as {name}"));
        }
        drop(shared);
        self.drop_root(root);
    }

    /// A root forgets who waits in it.
    pub(super) fn forget(&mut self, root: usize) {
        let mut shared = self.shared.borrow_mut();
        shared.calls.retain(|_, call| call.root != root);
        shared.ticks[root].at = None;
    }

    pub(super) fn drop_root(&mut self, root: usize) {
        self.roots[root].filter = None;
        self.shared.borrow_mut().calls.retain(|_, call| call.root != root);
    }

    /// The filter was told that jobs ended. Where the host refused to remember it, it is not to blame.
    pub(super) fn see_ends(&mut self, root: usize, jobs: &[usize], has_failed_before: bool) {
        let mut shared = self.shared.borrow_mut();
        if !shared.has_failed {
            let judge = &mut self.judges[self.roots[root].version];
            jobs.iter().for_each(|job| judge.see_end(*job));
            self.tally.ends += jobs.len() as u64;
        }
        shared.has_failed |= has_failed_before;
    }
}

/// What is wrong with the slot of a request that goes on, or with what it goes on by.
fn wrong_slot(shown: &Shown, may: bool) -> Option<String> {
    let slot = shown.slot();
    let has_login = ["authorization", "cookie", "private-token", "job-token"].iter().any(|name| shown.has(name));
    match () {
        () if slot.is_some() && !may => Some("its slot is nobody's".to_owned()),
        () if slot.is_some() && has_login => Some("it has a slot and a credential".to_owned()),
        () if slot != shown.route => Some(format!("its route is that of {:?} and not of {slot:?}", shown.route)),
        () => None,
    }
}
