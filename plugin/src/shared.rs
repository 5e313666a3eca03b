//! What the contexts of one plugin configuration on one worker share: configuration, store, flights, and the requests
//! that wait.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::rc::Rc;

use policy::Config;
use policy::bindings::Moment;
use policy::decision::{Facts, Grant};
use policy::facts::{Hash, Secret};
use policy::lifecycle::{self, Sign, Watch};
use policy::request::{JobRequest, Protocol};

use crate::flights::Flights;
use crate::host::{self, Level};
use crate::store::Store;

/// A configuration and what was opened for it.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// The service account's token, where a fact needs it.
    pub(crate) credential: Option<Secret>,
    pub(crate) store: Store,
}

/// A request that waits for facts.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) request: JobRequest,
    pub(crate) facts: Facts,
    /// The facts that are under way for it.
    pub(crate) missing: Vec<Hash>,
    pub(crate) deadline: Moment,
}

/// Shared by the root and its streams. Borrows are short: none is held across a call that may call back.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) root: u32,
    setup: RefCell<Option<Rc<Setup>>>,
    pub(crate) flights: RefCell<Flights>,
    pub(crate) parked: RefCell<HashMap<u32, Parked>>,
    /// Requests whose body is awaited, and until when.
    pub(crate) bodies: RefCell<HashMap<u32, (Protocol, Moment)>>,
    /// Requests that waited and were let go.
    pub(crate) released: RefCell<HashSet<u32>>,
    /// Requests that went on and whose answers tell of a job's life.
    pub(crate) watched: RefCell<HashMap<u32, (Watch, Hash)>>,
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

    /// What the answer to this request may tell.
    pub(crate) fn watched(&self, stream: u32) -> Option<(Watch, Hash)> {
        self.watched.borrow_mut().remove(&stream)
    }

    /// Reads the head of the forge's answer to a runner.
    pub(crate) fn read_answer(&self, watch: Watch, token: Hash, status: u16, job_status: Option<&[u8]>) {
        let Some(setup) = self.setup() else { return };
        if lifecycle::sign(watch, status, job_status) == Sign::Ended
            && let Err(error) = host::now().and_then(|now| setup.store.end(token, now))
        {
            host::log(Level::Critical, &format!("jobscope: the end of a job cannot be remembered: {error:?}"));
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
