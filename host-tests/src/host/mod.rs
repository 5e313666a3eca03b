//! A proxy-wasm host for tests: Envoy's, as far as a filter can tell, but with a
//! clock, workers and clusters that do what the test says.
//!
//! ```no_run
//! use host_tests::host::{Answer, Filter, Host, Options, Outcome, RequestHead};
//!
//! let filter = Filter::under_test()?;
//! let options = Options { workers: 2, configuration: b"{}".to_vec(), ..Options::default() }.cluster("forge");
//! let mut host = Host::start(&filter, options)?;
//! let head = RequestHead::new("GET", "forge.example", "/a/b.git/info/refs?service=git-upload-pack");
//! let stream = host.open(0, head.header("job-token", "secret"));
//! assert_eq!(host.outcome(stream), Outcome::Paused);
//! for callout in host.callouts() {
//!     host.answer(callout.id, Answer::json(200, "{}"));
//! }
//! assert!(matches!(host.outcome(stream), Outcome::Forwarded { .. }));
//! host.respond(stream, 200, &[("content-type", "text/plain")], "refs");
//! assert_eq!(host.downstream(stream).status(), Some(200));
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! Everything runs on one thread, in the order that the test asks for, and each
//! method returns when the VMs are at rest. What a filter must never do but Envoy
//! does not refuse (to wake a stream that is gone, say) is listed in
//! [`Host::hazards`], which a test does well to find empty.
//!
//! Not modelled: reading the trailers of responses, gRPC, 1xx responses, TCP, `FAIL_OPEN`, idle and route
//! timeouts, the route cache.

mod calling;
mod callout;
mod drive;
mod endings;
mod faults;
mod filter;
mod flow;
mod hostcall;
mod imports;
mod lifecycle;
mod maps;
mod metrics;
mod options;
mod shared_data;
mod stream;
#[cfg(test)]
mod tests;
mod view;
mod vm;
mod wasi;
mod world;

use std::cell::RefCell;
use std::rc::Rc;

pub use callout::{Answer, Callout, CalloutId, Endpoints};
pub use drive::Request;
pub use faults::{Fault, Faults};
pub use filter::Filter;
pub use hostcall::{Hostcall, Status};
pub use lifecycle::StartError;
pub use maps::Header;
pub use options::{Options, Otherwise};
pub use shared_data::SharedData;
pub use stream::{Downstream, Outcome, Reply, RequestHead, StreamId};
pub use world::{Level, LogLine};

use maps::HeaderMap;
use stream::{Side, Stream};
use vm::{Export, Vm};
use world::{Context, World};

/// The number of the main thread, which only ticks.
pub const MAIN: usize = usize::MAX;

/// The number of the VM that tries a configuration out and is thrown away.
pub const CANARY: usize = usize::MAX - 1;

/// A running host. See the [module](self).
pub struct Host {
    filter: Filter,
    world: Rc<RefCell<World>>,
    /// By the numbers of the world's records; never removed, as streams of a
    /// dead VM still refer to it.
    vms: Vec<Vm>,
    /// Each worker's VM.
    workers: Vec<usize>,
    main: Option<usize>,
    /// Contexts to forget when all is at rest.
    gone: Vec<(usize, u32)>,
}

impl Host {
    /// A client opens a stream. If the worker's VM has trapped, it fails at once.
    pub fn open(&mut self, worker: usize, head: RequestHead) -> StreamId {
        let id = self.new_stream(worker);
        if let Some(address) = &head.source {
            self.set_source_address(id, address);
        }
        let keeps_case = self.world.borrow().is(Otherwise::KeepsCase);
        let headers = if keeps_case { HeaderMap::as_sent(&head.headers) } else { HeaderMap::new(&head.headers) };
        if self.create_context(id) {
            let end = head.end_of_stream || self.world.borrow().is(Otherwise::EndsEarly);
            self.headers(id, Side::Request, headers, end);
        } else {
            self.with(id, |stream| stream.request.headers = Some(headers));
            self.fail_stream(id);
        }
        self.rest();
        id
    }

    /// A client's request that an earlier filter answers: ours only sees
    /// `on_log`, with the headers and that status.
    pub fn open_answered(&mut self, worker: usize, head: RequestHead, status: u16) -> StreamId {
        let id = self.new_stream(worker);
        self.with(id, |stream| {
            let response = HeaderMap::new(&[(b":status".to_vec(), status.to_string().into_bytes())]);
            stream.response.out.headers = response.pairs().to_vec();
            stream.response.out.ended = true;
            stream.response.headers = Some(response);
            stream.request.headers = Some(HeaderMap::new(&head.headers));
        });
        self.create_context(id);
        self.finish(id);
        self.rest();
        id
    }

    fn new_stream(&mut self, worker: usize) -> StreamId {
        let vm = self.workers[worker];
        let mut world = self.world.borrow_mut();
        let id = StreamId(world.streams.len() as u32 + 1);
        let root = world.vms[vm].root;
        world.streams.insert(id, Stream::new(vm, 0, root));
        id
    }

    /// False if the VM is dead.
    fn create_context(&mut self, id: StreamId) -> bool {
        let (vm, root) = self.with(id, |stream| (stream.vm, stream.root));
        let context = {
            let record = &mut self.world.borrow_mut().vms[vm];
            if record.failed.is_some() {
                return false;
            }
            if let Some(root) = record.roots.get_mut(&root) {
                root.streams += 1;
            }
            record.new_context(Context::Stream(id))
        };
        self.with(id, |stream| stream.context = context);
        self.call(vm, context, Export::ContextCreate, &[context, root]);
        true
    }

    /// More of the request's body.
    pub fn request_body(&mut self, stream: StreamId, chunk: impl Into<Vec<u8>>, end_of_stream: bool) {
        let chunk = chunk.into();
        self.with(stream, |stream| stream.request.came += chunk.len());
        self.body(stream, Side::Request, chunk, end_of_stream);
        self.rest();
    }

    /// The request's trailers, which end it: no body callback sees an end.
    pub fn request_trailers(&mut self, stream: StreamId, trailers: &[Header]) {
        self.trailers(stream, Side::Request, HeaderMap::new(trailers));
        self.rest();
    }

    /// The upstream begins to answer a request that was forwarded.
    ///
    /// # Panics
    /// If it was not: there is no upstream to answer then.
    pub fn upstream_response(&mut self, stream: StreamId, headers: &[Header], end_of_stream: bool) {
        let (forwarded, over) =
            self.with(stream, |stream| (stream.request.headers_continued, stream.finished || stream.aborted));
        assert!(forwarded, "stream {} was never forwarded", stream.0);
        if !over {
            self.headers(stream, Side::Response, HeaderMap::new(headers), end_of_stream);
        }
        self.rest();
    }

    /// More of the upstream's body.
    pub fn upstream_body(&mut self, stream: StreamId, chunk: impl Into<Vec<u8>>, end_of_stream: bool) {
        self.body(stream, Side::Response, chunk.into(), end_of_stream);
        self.rest();
    }

    /// The upstream's trailers, which end its answer: no body callback sees an end.
    pub fn upstream_trailers(&mut self, stream: StreamId, trailers: &[Header]) {
        self.trailers(stream, Side::Response, HeaderMap::new(trailers));
        self.rest();
    }

    /// The client leaves. A stream whose response is complete is closed already.
    pub fn close(&mut self, stream: StreamId) {
        self.finish(stream);
        self.rest();
    }

    /// HTTP calls that wait for an answer, the oldest first.
    pub fn callouts(&self) -> Vec<Callout> {
        self.world.borrow().callouts.values().cloned().collect()
    }

    /// Answers a call. If its VM has trapped meanwhile, nobody hears of it.
    ///
    /// # Panics
    /// If there is no such call.
    pub fn answer(&mut self, id: CalloutId, answer: Answer) {
        self.deliver(id, answer);
        self.rest();
    }

    /// The head of the answer to a call comes, and the rest may not come in time.
    ///
    /// # Panics
    /// If there is no such call.
    pub fn begin_answer(&mut self, id: CalloutId) {
        self.world.borrow_mut().callouts.get_mut(&id).unwrap_or_else(|| panic!("no callout {id} is waiting")).begun =
            true;
    }

    fn deliver(&mut self, id: CalloutId, answer: Answer) {
        let removed = self.world.borrow_mut().callouts.remove(&id);
        let Callout { vm, root, .. } = removed.unwrap_or_else(|| panic!("no callout {id} is waiting"));
        let sizes = match answer {
            Answer::Dropped => [0, 0],
            Answer::Response { headers, body } => {
                let headers = HeaderMap::new(&headers);
                let sizes = [headers.len() as u32, body.len() as u32];
                self.world.borrow_mut().vms[vm].call_response = Some((root, headers, body));
                sizes
            }
        };
        self.call(vm, root, Export::HttpCallResponse, &[root, id, sizes[0], sizes[1], 0]);
    }

    /// Forgets contexts: the VMs are at rest.
    fn rest(&mut self) {
        let mut world = self.world.borrow_mut();
        for (vm, context) in self.gone.drain(..) {
            world.vms[vm].contexts.remove(&context);
        }
    }
}
