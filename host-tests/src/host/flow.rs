//! How a stream moves: Envoy's filter manager around one filter.

use super::Host;
use super::calling::Verdict;
use super::maps::HeaderMap;
use super::stream::{Iteration, Reply, Side, StreamId};
use super::vm::Export;

const STOP_ITERATION: u32 = 1;
const STOP_ALL: u32 = 4;

/// A body callback's results.
const BUFFER: u32 = 1;
const WATERMARK: u32 = 2;
const NO_BUFFER: u32 = 3;

impl Host {
    /// Headers arrive on one side.
    pub(super) fn headers(&mut self, id: StreamId, side: Side, headers: HeaderMap, end: bool) {
        let count = headers.len() as u32;
        self.with(id, |stream| {
            if side == Side::Request {
                stream.routed_by = Some(headers.clone());
            }
            let way = stream.way_mut(side);
            way.headers = Some(headers);
            way.map_open = true;
            way.complete = end;
        });
        let export = match side {
            Side::Request => Export::RequestHeaders,
            Side::Response => Export::ResponseHeaders,
        };
        let Some(said) = self.consult(id, side, export, &[count, u32::from(end)]) else { return };
        let result = match said {
            (_, true) => STOP_ALL,
            (STOP_ITERATION, _) if !self.world.borrow().options.allow_on_headers_stop_iteration => STOP_ALL,
            (result, _) => result.min(STOP_ALL),
        };
        if result == 0 {
            self.with(id, |stream| stream.way_mut(side).map_open = false);
        }
        let replying = self.with(id, |stream| stream.prepared.is_some());
        match result {
            // A reply of another's making cannot come between, so this continues.
            0 if !replying => {
                self.with(id, |stream| stream.way_mut(side).headers_continued = true);
                self.emit_headers(id, side, end);
            }
            0 | STOP_ITERATION => self.with(id, |stream| stream.way_mut(side).iteration = Iteration::StopSingle),
            _ => self.with(id, |stream| stream.way_mut(side).iteration = Iteration::StopAll),
        }
        self.send_prepared(id);
    }

    /// A piece of a body arrives on one side.
    pub(super) fn body(&mut self, id: StreamId, side: Side, chunk: Vec<u8>, end: bool) {
        let limit = self.world.borrow().options.buffer_limit;
        let size = self.with(id, |stream| {
            if stream.finished || (side == Side::Request && stream.aborted) {
                return None;
            }
            let way = stream.way_mut(side);
            way.complete |= end;
            if way.iteration == Iteration::StopAll {
                way.held.push_back((chunk, end));
                return None;
            }
            if way.buffering {
                way.buffered.get_or_insert_default().extend(chunk);
                way.chunk = Some(Vec::new());
            } else {
                way.chunk = Some(chunk);
            }
            Some((way.body().len(), way.buffering))
        });
        let Some((size, buffering)) = size else { return };
        if buffering && size > limit {
            self.too_large(id, side);
            return;
        }
        let export = match side {
            Side::Request => Export::RequestBody,
            Side::Response => Export::ResponseBody,
        };
        let Some(said) = self.consult(id, side, export, &[size as u32, u32::from(end)]) else { return };
        let result = if said.1 { NO_BUFFER } else { said.0.min(NO_BUFFER) };
        let chunk = self.with(id, |stream| {
            let way = stream.way_mut(side);
            way.buffering = result == BUFFER;
            way.chunk.take().unwrap_or_default()
        });
        self.body_decided(id, side, result, chunk, end);
        self.send_prepared(id);
    }

    /// What the filter says of what came: what it returned, and whether it stopped besides. One that failed for this stream
    /// is no longer asked. Nothing where the stream is over.
    fn consult(&mut self, id: StreamId, side: Side, export: Export, arguments: &[u32]) -> Option<(u32, bool)> {
        let is_asked = !self.with(id, |stream| stream.failed);
        let verdict = if is_asked { self.stream_callback(id, side, export, arguments) } else { Verdict::Missing };
        if self.with(id, |stream| stream.finished) {
            return None;
        }
        match verdict {
            Verdict::Failed => {
                self.fail_stream(id);
                None
            }
            Verdict::Missing => Some((0, false)),
            Verdict::Returned { result, stopped } => Some((result, stopped)),
        }
    }

    fn body_decided(&mut self, id: StreamId, side: Side, result: u32, chunk: Vec<u8>, end: bool) {
        let limit = self.world.borrow().options.buffer_limit;
        let stopped = self.with(id, |stream| stream.way(side).iteration != Iteration::Continue);
        match result {
            0 if self.with(id, |stream| stream.prepared.is_some()) => {}
            0 if stopped => {
                self.with(id, |stream| stream.way_mut(side).buffered.get_or_insert_default().extend(chunk));
                self.resume(id, side);
            }
            0 => self.emit_body(id, side, chunk, end),
            BUFFER | WATERMARK => {
                let size = self.with(id, |stream| {
                    let way = stream.way_mut(side);
                    way.iteration = Iteration::StopSingle;
                    let buffered = way.buffered.get_or_insert_default();
                    buffered.extend(chunk);
                    buffered.len()
                });
                if result == BUFFER && size > limit {
                    self.too_large(id, side);
                }
            }
            _ => self.with(id, |stream| {
                // The chunk is lost. An empty one remembers that the body ended.
                let way = stream.way_mut(side);
                way.iteration = Iteration::StopSingle;
                if way.complete {
                    way.buffered.get_or_insert_default();
                }
            }),
        }
    }

    /// Trailers arrive on one side.
    pub(super) fn trailers(&mut self, id: StreamId, side: Side, trailers: HeaderMap) {
        let count = trailers.len() as u32;
        let comes = self.with(id, |stream| {
            if stream.finished || (side == Side::Request && stream.aborted) {
                return false;
            }
            let way = stream.way_mut(side);
            if way.iteration == Iteration::StopAll {
                way.held_trailers = Some(trailers);
                return false;
            }
            (way.complete, way.trailers) = (true, Some(trailers));
            true
        });
        if !comes {
            return;
        }
        let export = match side {
            Side::Request => Export::RequestTrailers,
            Side::Response => Export::ResponseTrailers,
        };
        let Some(said) = self.consult(id, side, export, &[count]) else { return };
        let goes_on = said == (0, false);
        let (stopped, replying) =
            self.with(id, |stream| (stream.way(side).iteration != Iteration::Continue, stream.prepared.is_some()));
        match (goes_on && !replying, stopped) {
            (true, true) => self.resume(id, side),
            (true, false) => self.emit_trailers(id, side),
            (false, _) => self.with(id, |stream| stream.way_mut(side).iteration = Iteration::StopSingle),
        }
        self.send_prepared(id);
    }

    /// The filter's `continue`, or a body or trailers callback's. Within the very callback
    /// that then pauses it has the head go on all the same, as in Envoy: a hazard.
    pub(super) fn resume(&mut self, id: StreamId, side: Side) {
        let resumed = self.with(id, |stream| {
            if side == Side::Request && stream.aborted {
                return None;
            }
            let deciding = stream.deciding;
            let way = stream.way_mut(side);
            if way.iteration == Iteration::Continue && (!deciding || way.headers_continued) {
                return None;
            }
            let iteration = std::mem::take(&mut way.iteration);
            let end = way.complete && way.held.is_empty() && way.buffered.is_none() && way.trailers.is_none();
            let headers = !std::mem::replace(&mut way.headers_continued, true);
            Some((iteration, headers, end))
        });
        let Some((iteration, headers, end)) = resumed else { return };
        if self.with(id, |stream| stream.deciding) {
            self.hazard(format!("stream {} is resumed within its own callback, and goes on though that pauses", id.0));
        }
        if headers {
            self.emit_headers(id, side, end);
        }
        if iteration == Iteration::StopAll {
            for (chunk, end) in self.take_held(id, side) {
                self.body(id, side, chunk, end);
            }
            if let Some(trailers) = self.with(id, |stream| stream.way_mut(side).held_trailers.take()) {
                self.trailers(id, side, trailers);
            }
            return;
        }
        if let Some(buffered) = self.with(id, |stream| stream.way_mut(side).buffered.take()) {
            let end = self.with(id, |stream| {
                let way = stream.way_mut(side);
                way.buffering = false;
                way.complete && way.trailers.is_none()
            });
            self.emit_body(id, side, buffered, end);
        }
        self.emit_trailers(id, side);
    }

    /// What was held back, as Envoy would have it: in one piece up to the limit
    /// where it stops reading, then as it arrives.
    fn take_held(&mut self, id: StreamId, side: Side) -> Vec<(Vec<u8>, bool)> {
        let limit = self.world.borrow().options.buffer_limit;
        let held = self.with(id, |stream| std::mem::take(&mut stream.way_mut(side).held));
        let mut merged: Vec<(Vec<u8>, bool)> = Vec::new();
        let mut full = false;
        for (chunk, end) in held {
            match merged.first_mut() {
                Some(first) if !full => {
                    first.0.extend(chunk);
                    first.1 = end;
                }
                _ => merged.push((chunk, end)),
            }
            full = merged[0].0.len() > limit;
        }
        merged
    }

    fn emit_headers(&mut self, id: StreamId, side: Side, end: bool) {
        self.with(id, |stream| {
            let way = stream.way_mut(side);
            way.headers_continued = true;
            way.out.headers = way.headers.as_ref().map(|map| map.pairs().to_vec()).unwrap_or_default();
            way.out.ended = end;
        });
        match side {
            Side::Request => self.answer_directly(id),
            Side::Response if end => self.finish(id),
            Side::Response => {}
        }
    }

    /// The route answers what came to it, without an upstream.
    fn answer_directly(&mut self, id: StreamId) {
        let Some(status) = self.world.borrow().options.direct_response else { return };
        let details = "direct_response".to_owned();
        let reply = Reply { status: status.into(), headers: Vec::new(), body: b"from the route".to_vec(), details };
        self.local_reply(id, reply, true);
    }

    /// Sends on the trailers that the filter has seen, if there are any.
    fn emit_trailers(&mut self, id: StreamId, side: Side) {
        let ended = self.with(id, |stream| {
            let way = stream.way_mut(side);
            let trailers = way.trailers.take()?;
            way.out_trailers = trailers.pairs().to_vec();
            way.out.ended = true;
            Some(())
        });
        if ended.is_some() && side == Side::Response {
            self.finish(id);
        }
    }

    fn emit_body(&mut self, id: StreamId, side: Side, chunk: Vec<u8>, end: bool) {
        let done = self.with(id, |stream| {
            let way = stream.way_mut(side);
            way.out.body.extend(chunk);
            way.out.ended |= end;
            stream.finished
        });
        if end && side == Side::Response && !done {
            self.finish(id);
        }
    }
}
