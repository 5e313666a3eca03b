//! What a host is started with.

use std::collections::BTreeMap;

use super::callout::Endpoints;
use super::faults::Faults;

/// What a host may do that Envoy does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Shared data is written, and never there.
    ForgetsRows,
    /// A write of shared data does not look at its number.
    Overwrites,
    /// Who is acted for is always who it was.
    ActsForAny,
    /// The clock stands still.
    StandsStill,
    /// Nobody is told that time passes.
    NeverTicks,
    /// A request ends with its head, and then comes its body.
    EndsEarly,
    /// What follows from a call of the filter is shown to it before that call returns.
    Nests,
    /// The names of fields are as the client wrote them.
    KeepsCase,
    /// A route stays, whatever becomes of the head, until the filter has it chosen anew.
    KeepsRoutes,
}

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many workers there are, each with a VM of its own.
    pub workers: usize,
    /// Whether the main thread has a VM too, as it does in Envoy.
    pub main_thread: bool,
    /// The plugin's configuration.
    pub configuration: Vec<u8>,
    /// The VM's configuration.
    pub vm_configuration: Vec<u8>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// The clusters that calls can go to.
    pub clusters: BTreeMap<String, Endpoints>,
    /// The clock at the start, in nanoseconds since 1970.
    pub now: u64,
    /// Whether a pause in the request's or response's headers still lets the
    /// body through to the filter. Without it, the body is held back.
    pub allow_on_headers_stop_iteration: bool,
    /// The status with which the route itself answers what goes on, if there is no
    /// upstream behind it (`direct_response`).
    pub direct_response: Option<u16>,
    /// How much of a body the host keeps for a filter that pauses in its
    /// callback.
    pub buffer_limit: usize,
    /// Where random numbers start.
    pub seed: u64,
    /// Faults that strike from the very start.
    pub faults: Faults,
    /// What it does otherwise than Envoy.
    pub otherwise: Vec<Otherwise>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            workers: 1,
            main_thread: false,
            configuration: Vec::new(),
            vm_configuration: Vec::new(),
            environment: Vec::new(),
            clusters: BTreeMap::new(),
            now: 1_800_000_000_000_000_000,
            allow_on_headers_stop_iteration: true,
            direct_response: None,
            buffer_limit: 1 << 20,
            seed: 0,
            faults: Faults::default(),
            otherwise: Vec::new(),
        }
    }
}

impl Options {
    /// Adds a cluster with a healthy endpoint.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.clusters.insert(name.to_owned(), Endpoints::Healthy);
        self
    }
}
