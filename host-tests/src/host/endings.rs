//! How a stream ends: local replies, resets, and the last callbacks.

use super::Host;
use super::maps::HeaderMap;
use super::stream::{Downstream, Reply, Side, StreamId};
use super::vm::Export;

/// The response code details of a stream whose VM is dead.
const FAILED: &str = "wasm_fail_stream";

/// How a local reply reaches the client.
enum Path {
    /// When the callback that is running has returned.
    Later,
    /// Not at all: the response has begun.
    Reset,
    /// Past the filter's response callbacks.
    Direct,
    /// Through them.
    Through,
}

impl Host {
    /// Sends the reply that a request callback made, now that it has returned.
    pub(super) fn send_prepared(&mut self, id: StreamId) {
        if let Some(reply) = self.with(id, |stream| stream.prepared.take()) {
            self.local_reply(id, reply, true);
        }
    }

    /// Answers for the upstream: through the filter's own response callbacks if
    /// the response has not begun, past them if it is under way in them, and by a
    /// reset if the client has its head already.
    pub(super) fn local_reply(&mut self, id: StreamId, reply: Reply, through_filter: bool) {
        let path = self.with(id, |stream| {
            if stream.deciding && through_filter {
                stream.prepared = Some(reply.clone());
                return Path::Later;
            }
            stream.aborted = true;
            if stream.response.headers_continued {
                Path::Reset
            } else if stream.response.headers.is_some() || !through_filter {
                Path::Direct
            } else {
                Path::Through
            }
        });
        match path {
            Path::Later => return,
            Path::Reset => return self.reset_stream(id),
            Path::Direct | Path::Through => {}
        }
        let head = self.with(id, |stream| {
            stream.replied = Some(reply.clone());
            stream.request.headers.as_ref().and_then(|headers| headers.first(b":method")) == Some(b"HEAD")
        });
        let headers = reply_headers(&reply);
        let body = if head { Vec::new() } else { reply.body };
        if matches!(path, Path::Direct) {
            self.with(id, |stream| {
                let pairs = headers.pairs().to_vec();
                let way = &mut stream.response;
                (way.headers, way.headers_continued, way.complete) = (Some(headers), true, true);
                way.out = Downstream { headers: pairs, body, ended: true };
            });
            self.finish(id);
            return;
        }
        let empty = body.is_empty();
        self.headers(id, Side::Response, headers, empty);
        if !empty {
            self.body(id, Side::Response, body, true);
        }
    }

    /// What Envoy does for a stream whose VM is dead.
    pub(super) fn fail_stream(&mut self, id: StreamId) {
        self.with(id, |stream| stream.failed = true);
        let reply = Reply { status: 503, headers: Vec::new(), body: Vec::new(), details: FAILED.to_owned() };
        self.local_reply(id, reply, false);
    }

    pub(super) fn too_large(&mut self, id: StreamId, side: Side) {
        match side {
            Side::Request => {
                let body = b"Payload Too Large".to_vec();
                let details = "request_payload_too_large".to_owned();
                self.local_reply(id, Reply { status: 413, headers: Vec::new(), body, details }, true);
            }
            Side::Response => self.reset_stream(id),
        }
    }

    pub(super) fn reset_stream(&mut self, id: StreamId) {
        self.with(id, |stream| stream.reset = true);
        self.finish(id);
    }

    /// The stream is over: `on_log`, `on_done`, `on_delete`, in that order. Its
    /// context is known until what the test asked for is done.
    pub(super) fn finish(&mut self, id: StreamId) {
        let first = self.with(id, |stream| !std::mem::replace(&mut stream.finished, true));
        if !first {
            return;
        }
        let (vm, context, root) = self.with(id, |stream| (stream.vm, stream.context, stream.root));
        if context == 0 {
            return;
        }
        self.world.borrow_mut().vms[vm].logging = Some(id);
        self.call(vm, context, Export::Log, &[context]);
        self.world.borrow_mut().vms[vm].logging = None;
        self.call(vm, context, Export::Done, &[context]);
        self.call(vm, context, Export::Delete, &[context]);
        self.gone.push((vm, context));
        let retired = {
            let mut world = self.world.borrow_mut();
            world.vms[vm].roots.get_mut(&root).is_some_and(|root| {
                root.streams -= 1;
                root.retired && root.streams == 0
            })
        };
        if retired {
            self.retire(vm, root);
        }
    }
}

/// A local reply's headers as Envoy makes them.
fn reply_headers(reply: &Reply) -> HeaderMap {
    let mut headers = HeaderMap::default();
    headers.add(b":status", reply.status.to_string().as_bytes());
    for (name, value) in &reply.headers {
        headers.add(name, value);
    }
    if reply.body.is_empty() {
        headers.remove(b"content-length");
        headers.remove(b"content-type");
    } else {
        headers.set(b"content-length", reply.body.len().to_string().as_bytes());
        if headers.first(b"content-type").is_none() {
            headers.add(b"content-type", b"text/plain");
        }
    }
    headers
}
