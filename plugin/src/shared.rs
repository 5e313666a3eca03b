//! What the contexts of one plugin configuration on one worker share: configuration, store, flights, and the requests
//! that wait.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::rc::Rc;

use policy::Config;
use policy::bindings::{Freshness, Moment};
use policy::decision::{Facts, Grant};
use policy::facts::{Hash, Secret};
use policy::lifecycle::Watch;
use policy::request::{JobRequest, Protocol};

use crate::errands::Errands;
use crate::flights::Flights;
use crate::following::Following;
use crate::host::{self, Level};
use crate::judging::Denial;
use crate::store::Store;

/// A configuration and what was opened for it.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// The service account's token, where a fact needs it.
    pub(crate) credential: Option<Secret>,
    /// The webhook's secret, where there is a webhook.
    pub(crate) webhook_secret: Option<Secret>,
    pub(crate) store: Store,
}

/// A request that waits for facts.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) request: JobRequest,
    pub(crate) facts: Facts,
    /// How old the oldest of them is.
    pub(crate) oldest: Freshness,
    /// The facts that are under way for it.
    pub(crate) missing: Vec<Hash>,
    pub(crate) deadline: Moment,
    /// What it would be denied, while facts are looked up once more.
    pub(crate) denial: Denial,
}

/// Shared by the root and its streams. Borrows are short: none is held across a call that may call back.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) root: u32,
    setup: RefCell<Option<Rc<Setup>>>,
    pub(crate) flights: RefCell<Flights>,
    pub(crate) errands: RefCell<Errands>,
    pub(crate) following: RefCell<Following>,
    pub(crate) parked: RefCell<HashMap<u32, Parked>>,
    /// Requests whose body is awaited, and until when.
    pub(crate) bodies: RefCell<HashMap<u32, (Protocol, Moment)>>,
    /// Requests that waited and were let go.
    pub(crate) released: RefCell<HashSet<u32>>,
    /// Requests whose answers tell something, once they go on.
    pub(crate) watched: RefCell<HashMap<u32, Watch>>,
    pub(crate) ids: RandomState,
    pub(crate) count: Cell<u64>,
}

/// What becomes of a request now.
#[derive(Debug)]
pub(crate) enum Now {
    /// It goes on.
    Forward(Grant),
    /// It is no job's, and goes on untouched.
    NotAJob,
    /// It was answered.
    Answered,
    /// It waits.
    Waits,
}

impl Shared {
    pub(crate) fn new(root: u32) -> Self {
        Self {
            root,
            setup: RefCell::new(None),
            flights: RefCell::default(),
            errands: RefCell::default(),
            following: RefCell::new(Following::new()),
            parked: RefCell::default(),
            bodies: RefCell::default(),
            released: RefCell::default(),
            watched: RefCell::default(),
            ids: RandomState::new(),
            count: Cell::new(0),
        }
    }

    pub(crate) fn configure(&self, setup: Setup) {
        *self.setup.borrow_mut() = Some(Rc::new(setup));
    }

    pub(crate) fn setup(&self) -> Option<Rc<Setup>> {
        self.setup.borrow().clone()
    }

    /// Whether lookups are to be sent, which the root context does.
    pub(crate) fn has_departures(&self) -> bool {
        self.flights.borrow().has_departures()
    }

    /// Notes that a body is awaited.
    pub(crate) fn await_body(&self, stream: u32, protocol: Protocol, deadline: Moment) {
        self.bodies.borrow_mut().insert(stream, (protocol, deadline));
    }

    /// The awaited body is there. `false` when it came too late and the request has been answered.
    pub(crate) fn body_arrived(&self, stream: u32) -> bool {
        self.bodies.borrow_mut().remove(&stream).is_some()
    }

    /// Whether a request that waited was let go.
    pub(crate) fn was_released(&self, stream: u32) -> bool {
        self.released.borrow().contains(&stream)
    }

    /// Whether a request waits for facts.
    pub(crate) fn waits(&self, stream: u32) -> bool {
        self.parked.borrow().contains_key(&stream)
    }

    /// Notes what to look for in the answer to a request that goes on. Its head is still here.
    pub(crate) fn watch(&self, stream: u32, watch: Watch) {
        if watch.reads_body()
            && let Err(error) = host::remove_request_header("accept-encoding")
        {
            // Compressed, the answer tells nothing.
            host::log(Level::Warn, &format!("jobscope: an answer may come compressed: {error:?}"));
        }
        self.watched.borrow_mut().insert(stream, watch);
    }

    /// Notes what the body of a request says of what to look for.
    pub(crate) fn read_request(&self, stream: u32, body: &[u8]) {
        if let Some(watch) = self.watched.borrow_mut().get_mut(&stream) {
            watch.read_request(body);
        }
    }

    /// The stream is going: nothing may wake it from here on.
    pub(crate) fn leave(&self, stream: u32) {
        let was_parked = self.parked.borrow_mut().remove(&stream).is_some();
        if was_parked {
            self.flights.borrow_mut().leave(stream);
        }
        self.bodies.borrow_mut().remove(&stream);
        self.released.borrow_mut().remove(&stream);
        self.watched.borrow_mut().remove(&stream);
    }
}
