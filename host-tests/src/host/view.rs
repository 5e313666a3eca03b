//! What a test can see and set.

use std::cell::Ref;
use std::collections::BTreeMap;
use std::time::Duration;

use super::callout::Endpoints;
use super::faults::{Fault, Faults};
use super::hostcall::{Hostcall, Status};
use super::maps::Header;
use super::options::Otherwise;
use super::shared_data::SharedData;
use super::stream::{Downstream, Outcome, Stream, StreamId};
use super::world::{Level, LogLine};
use super::{Host, MAIN};

impl Host {
    /// What became of a request so far.
    pub fn outcome(&self, stream: StreamId) -> Outcome {
        self.with(stream, |stream| stream.outcome())
    }

    /// A header of the request's head by which its route was chosen last: with each change of the head.
    pub fn routed_by(&self, stream: StreamId, name: &str) -> Option<String> {
        let keeps = self.world.borrow().is(Otherwise::KeepsRoutes);
        let value = |stream: &mut Stream| {
            let head = if keeps { &stream.routed_by } else { &stream.request.headers };
            let head = head.as_ref()?;
            head.pairs().iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.clone())
        };
        self.with(stream, value).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// The request's trailers that the upstream received.
    pub fn forwarded_trailers(&self, stream: StreamId) -> Vec<Header> {
        self.with(stream, |stream| stream.request.out_trailers.clone())
    }

    /// The response as the client saw it so far.
    pub fn downstream(&self, stream: StreamId) -> Downstream {
        self.with(stream, |stream| stream.response.out.clone())
    }

    /// Whether the stream is over.
    pub fn is_closed(&self, stream: StreamId) -> bool {
        self.with(stream, |stream| stream.finished)
    }

    /// What the filter set with `set_property`: filter state, in Envoy under
    /// `wasm.` and this name.
    pub fn properties(&self, stream: StreamId) -> BTreeMap<String, Vec<u8>> {
        self.with(stream, |stream| stream.properties.clone())
    }

    /// The type of the messages that a property holds on a worker, where its filter has declared that.
    pub fn declared(&self, worker: usize, name: &str) -> Option<String> {
        let record = &self.world.borrow().vms[self.vm_of(worker)];
        record.declared.get(&(record.root, name.to_owned())).cloned()
    }

    /// Sets what the filter gets from `get_property` for a path with dots,
    /// `source.address` for one. What follows from the messages is there already.
    pub fn set_readable(&mut self, stream: StreamId, path: &str, value: impl Into<Vec<u8>>) {
        self.with(stream, |stream| stream.readable.insert(path.to_owned(), value.into()));
    }

    /// Sets the client's address, as `ip:port`, for `source.address`.
    pub fn set_source_address(&mut self, stream: StreamId, address: &str) {
        self.set_readable(stream, "source.address", address);
    }

    /// Sets what a cluster has to send calls to; none for no such cluster.
    pub fn set_cluster(&mut self, name: &str, endpoints: Option<Endpoints>) {
        let clusters = &mut self.world.borrow_mut().options.clusters;
        match endpoints {
            Some(endpoints) => clusters.insert(name.to_owned(), endpoints),
            None => clusters.remove(name),
        };
    }

    /// The clock, in nanoseconds since 1970.
    pub fn now(&self) -> u64 {
        self.world.borrow().now
    }

    /// Sets the clock without anything becoming due, back in time even.
    pub fn set_clock(&mut self, now: u64) {
        self.world.borrow_mut().now = now;
    }

    /// Everything logged so far, by all VMs.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.world.borrow().logs.clone()
    }

    /// Everything logged so far, without whose it was.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.world.borrow().logs.iter().map(|line| (line.level, line.text.clone())).collect()
    }

    /// Forgets what was logged.
    pub fn clear_logs(&mut self) {
        self.world.borrow_mut().logs.clear();
    }

    /// What the filter did that would be undefined behaviour, or a lost
    /// request, in Envoy.
    pub fn hazards(&self) -> Vec<String> {
        self.world.borrow().hazards.clone()
    }

    /// A counter's or gauge's value; none if it was never defined.
    pub fn metric(&self, name: &str) -> Option<i64> {
        self.world.borrow().metrics.value(name)
    }

    /// A histogram's samples; none if it was never defined.
    pub fn samples(&self, name: &str) -> Option<Vec<u64>> {
        self.world.borrow().metrics.samples(name).map(<[u64]>::to_vec)
    }

    /// The names of all metrics.
    pub fn metric_names(&self) -> Vec<String> {
        self.world.borrow().metrics.names().map(str::to_owned).collect()
    }

    /// How often each import was called since the last reset, by name. Memory
    /// that the host asked for counts as `proxy_on_memory_allocate`.
    pub fn hostcalls(&self) -> BTreeMap<&'static str, u64> {
        self.world.borrow().counts.clone()
    }

    /// How often one import was called since the last reset.
    pub fn calls(&self, call: Hostcall) -> u64 {
        self.world.borrow().counts.get(call.name()).copied().unwrap_or_default()
    }

    /// Sets the counts of hostcalls and of instructions to zero.
    pub fn reset_counts(&mut self) {
        let mut world = self.world.borrow_mut();
        world.counts.clear();
        world.vms.iter_mut().for_each(|vm| (vm.instructions, vm.time) = (0, Duration::ZERO));
    }

    /// How many instructions the worker's VM ran in callbacks since the last
    /// reset, in wasmtime's fuel: the same in every run.
    pub fn instructions(&self, worker: usize) -> u64 {
        self.world.borrow().vms[self.vm_of(worker)].instructions
    }

    /// How long the worker's VM was in callbacks since the last reset, calls of the host included.
    pub fn vm_time(&self, worker: usize) -> Duration {
        self.world.borrow().vms[self.vm_of(worker)].time
    }

    /// The size of the worker's memory in bytes.
    pub fn memory_bytes(&self, worker: usize) -> usize {
        self.vms[self.vm_of(worker)].memory_bytes()
    }

    /// Shared data. To be let go before the host goes on.
    pub fn shared_data(&self) -> Ref<'_, SharedData> {
        Ref::map(self.world.borrow(), |world| &world.shared_data)
    }

    /// Sets shared data behind the filter's back.
    pub fn set_shared_data(&mut self, key: &str, value: &[u8]) {
        // Without a number to compare nothing can mismatch.
        let _ = self.world.borrow_mut().shared_data.set(key, value, 0);
    }

    /// Whether the worker's VM has trapped.
    pub fn trapped(&self, worker: usize) -> bool {
        self.trap(worker).is_some()
    }

    /// Why the worker's VM has trapped.
    pub fn trap(&self, worker: usize) -> Option<String> {
        self.world.borrow().vms[self.vm_of(worker)].failed.clone()
    }

    /// Makes the next call of that kind return a status.
    pub fn fail_next(&mut self, call: Hostcall, status: Status) {
        self.faults(|faults| faults.next(call, Fault::Status(status)));
    }

    /// Makes every call of that kind return a status.
    pub fn fail_always(&mut self, call: Hostcall, status: Status) {
        self.faults(|faults| faults.always(call, Fault::Status(status)));
    }

    /// Makes the next call of that kind trap.
    pub fn trap_next(&mut self, call: Hostcall) {
        self.faults(|faults| faults.next(call, Fault::Trap));
    }

    /// Plans faults, or forgets them.
    pub fn faults(&mut self, plan: impl FnOnce(&mut Faults)) {
        plan(&mut self.world.borrow_mut().faults);
    }

    pub(super) fn vm_of(&self, worker: usize) -> usize {
        if worker == MAIN { self.main.expect("the main thread has a VM") } else { self.workers[worker] }
    }
}
