//! Calling the filter, and what a callback put off.
//!
//! The order matters and is Envoy's: what a callback put off (resumes, replies)
//! is done when it has returned, but before its own result is looked at; each of
//! those actions may call the filter again, and what that puts off is done first.
//! So of a hundred replies that one callback asks for, each is sent inside the one
//! before, and a VM's stack holds only so many.

use std::time::Instant;

use super::Host;
use super::stream::{Side, Stream, StreamId};
use super::vm::Export;
use super::world::{Action, Level};

/// How many callbacks, each inside what the one before put off, a VM's stack holds.
/// Envoy 1.40 with V8 fails at some 300 of them over HTTP/1.1.
const DEEPEST: usize = 250;

/// What a callback of a stream said.
pub(super) enum Verdict {
    /// The filter has no such callback.
    Missing,
    /// The VM is dead, or died of it.
    Failed,
    Returned {
        result: u32,
        /// A local reply was sent meanwhile.
        stopped: bool,
    },
}

impl Host {
    /// Calls the filter from outside: sets the scene, notes a trap, and does
    /// what was put off.
    pub(super) fn call(&mut self, vm: usize, context: u32, export: Export, args: &[u32]) -> Option<u32> {
        match self.callback(vm, context, export, args) {
            Verdict::Returned { result, .. } => Some(result),
            Verdict::Missing | Verdict::Failed => None,
        }
    }

    fn callback(&mut self, vm: usize, context: u32, export: Export, args: &[u32]) -> Verdict {
        {
            let record = &mut self.world.borrow_mut().vms[vm];
            if record.failed.is_some() {
                return Verdict::Failed;
            }
            (record.current, record.effective) = (context, 0);
        }
        if !self.vms[vm].has(export.name()) {
            return Verdict::Missing;
        }
        let begun = Instant::now();
        let (result, instructions) = if self.world.borrow().vms[vm].depth < DEEPEST {
            self.vms[vm].call(export.name(), args)
        } else {
            (Err("Maximum call stack size exceeded".to_owned()), 0)
        };
        let stopped = {
            let mut world = self.world.borrow_mut();
            if let Err(trap) = &result {
                world.vms[vm].failed = Some(trap.clone());
                world.log(vm, Level::Critical, format!("{} trapped: {trap}", export.name()));
            }
            let record = &mut world.vms[vm];
            record.instructions += instructions;
            record.time += begun.elapsed();
            (record.current, record.effective) = (0, 0);
            if export == Export::HttpCallResponse {
                record.call_response = None;
            }
            std::mem::take(&mut record.next_iteration_stopped)
        };
        self.world.borrow_mut().vms[vm].depth += 1;
        self.do_what_was_put_off(vm);
        self.world.borrow_mut().vms[vm].depth -= 1;
        match result {
            Ok(result) => Verdict::Returned { result, stopped },
            Err(_) => Verdict::Failed,
        }
    }

    fn do_what_was_put_off(&mut self, vm: usize) {
        loop {
            let Some(action) = self.world.borrow_mut().vms[vm].actions.pop_front() else {
                return;
            };
            match action {
                Action::Resume(stream, side) => {
                    if self.still_there(stream, "resume") {
                        self.resume(stream, side);
                    }
                }
                Action::Reply(stream, reply) => {
                    if self.still_there(stream, "local reply") {
                        self.local_reply(stream, reply, true);
                    }
                }
                Action::Reset(stream) => {
                    if self.still_there(stream, "reset") {
                        self.reset_stream(stream);
                    }
                }
                Action::DeleteRoot(root) => self.delete_root(vm, root),
            }
        }
    }

    /// Envoy keeps the context of a finished stream for a moment but not what
    /// the action would use: a use after free there, a line in `hazards` here.
    fn still_there(&mut self, stream: StreamId, what: &str) -> bool {
        let finished = self.with(stream, |stream| stream.finished);
        if finished {
            self.hazard(format!("{what} of stream {} after on_done", stream.0));
        }
        !finished
    }

    pub(super) fn hazard(&mut self, text: String) {
        self.world.borrow_mut().hazards.push(text);
    }

    pub(super) fn with<T>(&self, stream: StreamId, f: impl FnOnce(&mut Stream) -> T) -> T {
        let mut world = self.world.borrow_mut();
        f(world.streams.get_mut(&stream).expect("a stream of this host"))
    }

    /// Calls a callback of a stream.
    pub(super) fn stream_callback(&mut self, id: StreamId, side: Side, export: Export, args: &[u32]) -> Verdict {
        let (vm, context) = self.with(id, |stream| {
            stream.deciding = side == Side::Request;
            (stream.vm, stream.context)
        });
        let all: Vec<u32> = std::iter::once(context).chain(args.iter().copied()).collect();
        let verdict = self.callback(vm, context, export, &all);
        self.with(id, |stream| stream.deciding = false);
        verdict
    }
}
