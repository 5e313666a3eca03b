//! The SDK's two contexts, which tell the worker what happens.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use crate::abi::Proxy;
use crate::host::{Flow, Stream};
use crate::promises::Promise;
use crate::worker::Worker;

proxy_wasm::main! {{
    // Installs the panic hook, which writes what went wrong into Envoy's log.
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|context| -> Box<dyn RootContext> { Box::new(Root::new(context)) });
}}

/// One plugin configuration on one worker.
struct Root(Shared);

/// One request.
struct Request(Stream, Shared);

/// What the contexts of one plugin configuration on one worker share.
#[derive(Clone)]
struct Shared {
    host: Proxy,
    worker: Rc<RefCell<Worker<Proxy>>>,
    /// The host called the filter from within a call of the filter.
    nests: Rc<Cell<bool>>,
}

impl Shared {
    /// Tells the worker what happens. `None` where the host calls the filter from within a call of the filter, which none
    /// does that the filter was tried on: nothing goes on then, and the worker hears of it next.
    fn tell<T>(&self, event: impl FnOnce(&mut Worker<Proxy>) -> T) -> Option<T> {
        let Ok(mut worker) = self.worker.try_borrow_mut() else {
            self.nests.set(true);
            return None;
        };
        if self.nests.take() {
            worker.distrust(Promise::Nesting);
        }
        Some(event(&mut worker))
    }
}

impl Root {
    fn new(context: u32) -> Self {
        let host = Proxy { root: context };
        Self(Shared { host, worker: Rc::new(RefCell::new(Worker::new(host))), nests: Rc::default() })
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, num_headers: usize, body_size: usize, _: usize) {
        self.0.tell(|worker| worker.answered(call, num_headers > 0, body_size));
    }

    fn on_done(&mut self) -> bool {
        self.0.tell(Worker::retire);
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.0.tell(Worker::configure).unwrap_or(false)
    }

    fn on_tick(&mut self) {
        self.0.tell(Worker::tick);
    }

    /// A stream entered the root context to have its calls sent: see [`Proxy::enter_root`].
    fn on_queue_ready(&mut self, _: u32) {
        self.0.tell(Worker::depart);
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request(context, self.0.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Request {
    /// Tells the worker what happens to this request. Calls that this leads to are the root context's.
    fn tell(&self, event: impl FnOnce(&mut Worker<Proxy>, Stream) -> Flow) -> Action {
        let flow = self.1.tell(|worker| (event(worker, self.0), worker.has_departures()));
        if let Some((_, true)) = flow {
            self.1.host.enter_root();
        }
        match flow {
            Some((Flow::Continue, _)) => Action::Continue,
            Some((Flow::Pause, _)) | None => Action::Pause,
        }
    }
}

impl Context for Request {
    fn on_done(&mut self) -> bool {
        self.1.tell(|worker| worker.gone(self.0));
        true
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.tell(|worker, stream| worker.request_head(stream, end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.tell(|worker, stream| worker.request_body(stream, size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.tell(Worker::request_trailers)
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.tell(|worker, stream| worker.answer_head(stream, end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.tell(|worker, stream| worker.answer_body(stream, size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.tell(Worker::answer_trailers)
    }
}
