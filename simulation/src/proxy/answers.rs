//! The forge's answers to requests that went on, as they pass the filter: at once, or piece by piece.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jobscope::{Flow, Headers, Stream};
use policy::bindings::{Minted as Row, Table, layout};
use policy::facts::Secret;
use serde_json::json;

use super::{Open, Proxy, Stands, pick};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::request::What;
use crate::shared::{MINTED, OTHER};
use crate::world::{FIRST_PROJECT, Minted, Mints, path_name};

/// A bucket has room for more rows than this.
const FEW: usize = 4;

/// An answer of which more is to come.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    rest: Vec<u8>,
    /// What the client has, and whether that is all.
    pub(crate) head: Option<Headers>,
    pub(crate) got: Vec<u8>,
    pub(crate) is_over: bool,
    /// The credential that it hands out.
    made: Option<Minted>,
}

impl<F: Filter> Proxy<F> {
    /// The forge answers a request that went on, or more of its answer comes. With the last of it the exchange is over.
    pub(super) fn respond(&mut self, which: u32, how: u32) {
        let goes = |open: &Open| open.stands == Stands::Goes && open.is_whole;
        let going: Vec<Stream> = self.open.iter().filter(|(_, open)| goes(open)).map(|(stream, _)| *stream).collect();
        if going.is_empty() {
            return;
        }
        let stream = going[pick(which, going.len())];
        if self.open[&stream].answer.is_none() {
            self.begin_answer(stream, how);
        }
        // Most come at once, and some end with trailers.
        let size = if (how / 64).is_multiple_of(4) { which as usize / 64 % 100 } else { usize::MAX };
        self.answer_more(stream, size, (how / 256).is_multiple_of(4));
    }

    /// The forge answers one of them at once.
    pub(super) fn respond_to(&mut self, stream: Stream, how: u32) {
        self.begin_answer(stream, how);
        self.answer_more(stream, usize::MAX, false);
    }

    fn begin_answer(&mut self, stream: Stream, how: u32) {
        let open = &self.open[&stream];
        let (what, job, root, path) = (open.request.what, open.request.job, open.root, open.request.path);
        let version = self.roots[root].version;
        let is_jobs = job.is_some_and(|job| open.request.token.as_ref() == Some(&self.world.jobs[job].token));
        let (mut fields, mut body) =
            (vec![(":status", "200".to_owned()), ("content-type", "application/json".to_owned())], "{}".to_owned());
        let (mut ends, mut made) = (None, None);
        match (what, how % 8) {
            (_, 0) => fields[0].1 = "500".into(),
            (What::Finish | What::Trace, 1) => fields[0].1 = "403".into(),
            (What::Finish, _) if is_jobs => ends = job,
            (What::Trace, 2 | 3) if is_jobs => {
                fields[0].1 = "202".into();
                fields.push(("job-status", "canceled".to_owned()));
                ends = job;
            }
            (What::Login(mints), _) if is_jobs => {
                let jwt = self.world.mint(mints);
                body = format!(r#"{{"token":"{jwt}","expires_in":{}}}"#, 1 + how / 8 % 300);
                made = Some((mints, jwt));
            }
            (What::Batch, _) if is_jobs => {
                let jwt = self.world.mint(Mints::Lfs);
                fields[1].1 = "application/vnd.git-lfs+json".into();
                body = write_batch(path, &jwt);
                made = Some((Mints::Lfs, jwt));
            }
            (What::AskForJob, 1..=4) => {
                let number = self.world.begin(how / 8);
                let job = &self.world.jobs[number];
                fields[0].1 = "201".into();
                body = json!({"id": number + 1, "token": job.token, "job_info": {"project_id": FIRST_PROJECT + job.origin as u64},
                    "runner_info": {"timeout": 3600}}).to_string();
            }
            _ => {}
        }
        // Whose credential the proxy added gets a session.
        let has_slot = self.shared.borrow().shown.get(&stream).is_some_and(|shown| shown.slot().is_some());
        fields.extend(has_slot.then(|| ("set-cookie", "_session=1".to_owned())));
        if let Some(job) = ends {
            self.world.end(job);
        }
        self.tell(|_| format!("the forge answers request {stream}: {} {ends:?}", fields[0].1));
        let made = made.zip(job).map(|((mints, text), job)| Minted { text, mints, job, path, version });
        let coming = Coming { rest: body.into_bytes(), made, ..Coming::default() };
        if let Some(open) = self.open.get_mut(&stream) {
            open.answer = Some(coming);
        }
        let before = std::mem::take(&mut self.shared.borrow_mut().has_failed);
        let is_told = !(ends.is_some() && self.fault(Fault::UntoldEnds));
        let flow = if is_told { self.show_answer_head(stream, &Headers::pack(&fields), false) } else { Flow::Pause };
        let has_failed = self.shared.borrow().has_failed;
        if let Some(job) = ends.filter(|_| is_told && !has_failed) {
            self.owe(root, job);
        }
        self.see_ends(root, &Vec::from_iter(ends), before);
        if flow == Flow::Continue && has_slot && self.shared.borrow().shown[&stream].answers("set-cookie") {
            self.shared.borrow_mut().accuse(|| format!("the client of request {stream} gets the account's session"));
        }
        if !is_told || self.open[&stream].stands != Stands::Goes {
            self.leave(stream);
        }
    }

    /// So much more of an answer comes, or all of it.
    fn answer_more(&mut self, stream: Stream, size: usize, has_trailers: bool) {
        let Some(coming) = self.open.get_mut(&stream).and_then(|open| open.answer.as_mut()) else { return };
        let size = size.min(coming.rest.len());
        let more: Vec<u8> = coming.rest.drain(..size).collect();
        let is_all = coming.rest.is_empty();
        let is_end = is_all && !has_trailers;
        let mut flow = Flow::Pause;
        let is_lost = self.fault(Fault::LastPieces);
        if (size > 0 || is_end) && (is_all || !is_lost) {
            flow = self.show_answer_body(stream, &more, is_end);
            self.pass_on(stream, flow);
        }
        let stands = |proxy: &Self| proxy.open.get(&stream).is_some_and(|open| open.stands == Stands::Goes);
        if is_all && has_trailers && stands(self) {
            let root = self.open[&stream].root;
            flow = self.event(root, Some(stream), |filter| filter.answer_trailers(stream));
            self.settle(Some(stream));
            self.pass_on(stream, flow);
        }
        if is_all && stands(self) {
            let shared = self.shared.borrow();
            let is_told = shared.shown.get(&stream).is_some_and(|shown| shown.gives_reason("answer.unreadable"));
            let has_failed = shared.has_failed || shared.gives_up_until > self.open[&stream].came_at;
            let is_unread = !has_failed && is_told;
            drop(shared);
            if is_unread {
                self.shared
                    .borrow_mut()
                    .accuse(|| format!("the answer to request {stream} is whole, and was not read"));
            }
            if flow == Flow::Continue {
                self.hand_out(stream, has_failed);
            }
            self.leave(stream);
        }
    }

    /// What was shown of an answer goes on, where the filter lets it.
    pub(super) fn pass_on(&mut self, stream: Stream, flow: Flow) {
        let open = self.open.get_mut(&stream).filter(|open| flow == Flow::Continue && open.stands == Stands::Goes);
        let Some(coming) = open.and_then(|open| open.answer.as_mut()) else { return };
        if let Some(shown) = self.shared.borrow_mut().shown.get_mut(&stream) {
            coming.got.append(&mut shown.answer_body);
            coming.head = coming.head.take().or_else(|| shown.answer.clone());
        }
    }

    /// The client has an answer, perhaps with a credential that was made from its token. Where nothing has failed, that is
    /// remembered.
    fn hand_out(&mut self, stream: Stream, has_failed: bool) {
        let Some(Coming { got, made: Some(minted), .. }) =
            self.open.get_mut(&stream).and_then(|open| open.answer.take())
        else {
            return;
        };
        let login = login_of(&minted.text);
        if minted.mints == Mints::Lfs && !got.windows(login.len()).any(|bytes| bytes == login.as_bytes()) {
            return;
        }
        if minted.mints == Mints::Lfs && self.scene.lfs_credentials == "own" {
            self.shared
                .borrow_mut()
                .accuse(|| format!("the answer to request {stream} hands the forge's own credential out"));
        }
        if !has_failed && self.forgets(&minted) {
            self.shared.borrow_mut().accuse(|| format!("the answer to request {stream} is whole, and was not read"));
        }
        self.world.minted.push(minted);
    }

    /// Whether it is not remembered of a credential from whose token it was made, though there is room.
    fn forgets(&self, minted: &Minted) -> bool {
        let (shared, capacity) = (self.shared.borrow(), self.scene.capacity);
        let signed = minted.text.rsplit_once('.').map_or("", |(signed, _)| signed);
        let (table, hash) = (Table::of::<Row>(capacity), Secret::new(signed.as_bytes()).hash());
        let bucket = format!("jobscope.{}{MINTED}{}", layout(capacity).short(), table.bucket(&hash));
        let rows = shared.rows.get(&if minted.version == 0 { bucket } else { bucket + OTHER });
        let rows = rows.map(|(bytes, _)| bytes.as_slice()).unwrap_or_default();
        table.rows(rows) < FEW && !rows.chunks_exact(table.row()).any(|row| row.starts_with(&hash.0))
    }

    /// The head of the upstream's answer comes, to who looks at it piece by piece.
    pub(crate) fn come_answer(&mut self, stream: Stream, fields: &[(&str, &str)]) {
        let Some(open) = self.open.get_mut(&stream) else { return };
        open.answer = Some(Coming::default());
        let flow = self.show_answer_head(stream, &Headers::pack(fields), false);
        self.pass_on(stream, flow);
    }

    /// More of its body comes.
    pub(crate) fn come_more(&mut self, stream: Stream, piece: &[u8], end: bool) {
        if self.open.get(&stream).is_none_or(|open| open.stands != Stands::Goes) {
            return;
        }
        let flow = self.show_answer_body(stream, piece, end);
        self.pass_on(stream, flow);
        if let Some(coming) = self.open.get_mut(&stream).and_then(|open| open.answer.as_mut()) {
            coming.is_over = end && flow == Flow::Continue;
        }
    }

    /// Shows a whole answer to the filter.
    pub(super) fn show_answer(&mut self, stream: Stream, head: &Headers, body: &[u8]) {
        let stands = |proxy: &Self| proxy.open.get(&stream).map(|open| open.stands);
        let stood = stands(self);
        self.show_answer_head(stream, head, body.is_empty());
        if !body.is_empty() && stands(self) == stood {
            self.show_answer_body(stream, body, true);
        }
    }

    fn show_answer_head(&mut self, stream: Stream, head: &Headers, ends: bool) -> Flow {
        if let Some(shown) = self.shared.borrow_mut().shown.get_mut(&stream) {
            (shown.answer, shown.is_answer_open) = (Some(head.clone()), true);
        }
        let root = self.open[&stream].root;
        let flow = self.event(root, Some(stream), |filter| filter.answer_head(stream, ends));
        self.settle(Some(stream));
        if let Some(shown) = self.shared.borrow_mut().shown.get_mut(&stream) {
            shown.is_answer_open &= flow == Flow::Pause;
        }
        flow
    }

    /// Shows what came, behind what stays of what came before.
    fn show_answer_body(&mut self, stream: Stream, more: &[u8], end: bool) -> Flow {
        let root = self.open[&stream].root;
        let size = self.shared.borrow_mut().shown.get_mut(&stream).map_or(0, |shown| {
            shown.answer_body.extend(more);
            shown.answer_body.len()
        });
        let flow = self.event(root, Some(stream), |filter| filter.answer_body(stream, size, end));
        self.settle(Some(stream));
        flow
    }
}

/// The login that an answer to an LFS batch gives.
fn login_of(jwt: &str) -> String {
    STANDARD.encode(format!("user1:{jwt}"))
}

/// The forge's answer to an LFS batch.
fn write_batch(path: usize, jwt: &str) -> String {
    let (name, login) = (path_name(path), login_of(jwt));
    format!(
        r#"{{"objects":[{{"oid":"a","size":1,"actions":{{"download":{{"href":"https://forge.example/{name}.git/gitlab-lfs/objects/a","header":{{"Authorization":"Basic {login}"}}}}}}}}]}}"#
    )
}
