//! What the contexts of one plugin configuration on one worker share: configuration, store, flights, and the requests
//! that wait.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::RandomState;
use std::rc::Rc;

use policy::Config;
use policy::decision::Grant;
use policy::facts::{Secret, Version};
use policy::lifecycle::Watch;

use crate::crowd::Crowd;
use crate::errands::Errands;
use crate::flights::Flights;
use crate::following::Following;
use crate::host::{self, Level};
use crate::journal;
use crate::store::Store;
use crate::ticks::Ticks;
use crate::versions::Versions;

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

/// Shared by the root and its streams. Borrows are short: none is held across a call that may call back.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) root: u32,
    setup: RefCell<Option<Rc<Setup>>>,
    pub(crate) flights: RefCell<Flights>,
    pub(crate) errands: RefCell<Errands>,
    pub(crate) following: RefCell<Following>,
    pub(crate) versions: RefCell<Versions>,
    pub(crate) crowd: RefCell<Crowd>,
    pub(crate) ticks: Ticks,
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
            versions: RefCell::default(),
            crowd: RefCell::default(),
            ticks: Ticks::default(),
            watched: RefCell::default(),
            ids: RandomState::new(),
            count: Cell::new(0),
        }
    }

    pub(crate) fn configure(&self, setup: Setup) {
        *self.setup.borrow_mut() = Some(Rc::new(setup));
    }

    /// From now on the forge is of this version. On a tick alone, where nobody else holds the configuration.
    pub(crate) fn adopt(&self, version: Version) {
        if let Some(setup) = self.setup.borrow_mut().as_mut().and_then(Rc::get_mut) {
            setup.config.forge.version = version;
        }
    }

    pub(crate) fn setup(&self) -> Option<Rc<Setup>> {
        self.setup.borrow().clone()
    }

    /// Whether lookups are to be sent, which the root context does.
    pub(crate) fn has_departures(&self) -> bool {
        self.flights.borrow().has_departures()
    }

    /// Notes what to look for in the answer to a request that goes on. Its head is still here.
    pub(crate) fn watch(&self, stream: u32, watch: Watch) {
        if watch.reads_body()
            && let Err(error) = host::remove_request_header("accept-encoding")
        {
            // Compressed, the answer tells nothing.
            journal::note(Level::Warn, "an answer may come compressed", &format!("{error:?}"));
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
        let missing = self.crowd.borrow_mut().leave(stream);
        self.flights.borrow_mut().leave(&missing, stream);
        self.watched.borrow_mut().remove(&stream);
    }
}
