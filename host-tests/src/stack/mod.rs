//! The demo's stack: a stand-in forge, a container registry and Envoy with the filter, on the loopback of this machine.
//!
//! [`Stack::start`] returns when all three answer. Dropping it ends them; so does a signal (see [`signals`]). It knows
//! how programs are started and ended, and nothing about what they are asked.

mod child;
pub(crate) mod cpu;
mod credentials;
mod envoy;
mod forge;
mod git_server;
mod identities;
mod ingress;
mod lookup_service;
mod places;
mod ports;
mod raw;
mod redis;
mod registry;
mod run_dir;
pub mod signals;

pub mod decisions;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

pub use credentials::{Account, HTPASSWD, READER, WRITER, add_credentials, exchange_secret, login};
pub use envoy::{LOOKUP_TOKEN, settings_here, validate};
pub use forge::{Forge, LookupFault};
pub use git_server::{GitServer, Seen};
pub use identities::Identities;
pub use ingress::{Ingress, Setup};
pub use lookup_service::LookupService;
pub use places::{checkout, filter, world};
pub use raw::Answer;
pub use redis::Redis;
pub use registry::Accounts;

pub(crate) use child::{Child, Output};
pub(crate) use envoy::{at, connection_manager, named, version as envoy_version};
pub(crate) use places::{built, engine, guest};
pub(crate) use ports::pick as pick_port;
pub(crate) use raw::{End, exchange, unchunked};
pub(crate) use registry::start_open as start_open_registry;

use run_dir::RunDir;

/// How long a program may take until it answers.
const START: Duration = Duration::from_secs(60);

/// How many workers Envoy has, where a test asks for no other number.
pub const WORKERS: u32 = 2;

/// Which port Envoy listens on.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// This one; an error when somebody has it already.
    Fixed(u16),
    /// One that is free.
    Picked,
}

/// Where the programs keep their configurations, data and logs.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory of its own, removed at the end.
    Temporary,
    /// This directory, emptied at the start and kept at the end.
    At(PathBuf),
}

/// Where the filter's own questions go.
#[derive(Clone, Copy, Debug)]
pub enum TokenLookup {
    /// To the forge.
    Forge,
    /// To a port where nobody listens.
    Nobody,
    /// To a service at this port.
    At(u16),
}

/// What stands behind Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// The forge, which knows its jobs.
    Forge,
    /// A Git server and a registry that know accounts and no jobs; the forge is the CI whose jobs come with ID tokens, and the
    /// lookup service tells whose they are.
    Accounts,
}

/// Whether the container registry is there.
#[derive(Clone, Copy, Debug)]
pub enum Registry {
    /// It is.
    Started,
    /// It is not, which saves half a second; its requests get 503.
    LeftOut,
}

/// How Envoy gets the filter. From a file that it watches: see [`Stack::deliver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At the start, for good.
    Fixed,
    /// With its listener, from a file (LDS).
    Listener,
    /// Alone, from a file (ECDS).
    Filter,
}

impl Delivery {
    /// The statistics of what was delivered.
    fn statistics(self) -> &'static str {
        match self {
            Self::Fixed => "nothing is delivered",
            Self::Listener => "listener_manager.lds.",
            Self::Filter => "extension_config_discovery.http_filter.jobscope.",
        }
    }
}

/// What a stack is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Envoy's port.
    pub port: Port,
    /// Where its files are.
    pub place: Place,
    /// What stands behind Envoy. Where it is the forge, `token_lookup` and `registry` count.
    pub behind: Behind,
    /// Where the filter's questions go.
    pub token_lookup: TokenLookup,
    /// Whether there is a registry.
    pub registry: Registry,
    /// The document of the world that the forge serves, where it is not the demo's.
    pub world: Option<Value>,
    /// The filter's configuration, where it is not the deployed one.
    pub settings: Option<Value>,
    /// Changes to the filter's configuration: where (a JSON pointer such as `/lookup/timeout`) and the new value.
    pub filter: Vec<(&'static str, Value)>,
    /// Changes to the rest of Envoy's configuration.
    pub change: fn(&mut Value),
    /// Whether the filter can be exchanged while Envoy runs.
    pub delivery: Delivery,
}

impl Options {
    /// The whole stack at a free port, in a temporary directory.
    #[must_use]
    pub fn picked() -> Self {
        Self {
            port: Port::Picked,
            place: Place::Temporary,
            behind: Behind::Forge,
            token_lookup: TokenLookup::Forge,
            registry: Registry::Started,
            world: None,
            settings: None,
            filter: Vec::new(),
            change: |_| (),
            delivery: Delivery::Fixed,
        }
    }
}

/// A running stack.
pub struct Stack {
    // Fields are dropped in this order: who asks goes before who answers, and the files last.
    envoy: Child,
    identities: Option<Identities>,
    registry: Option<Child>,
    forge: Forge,
    dir: RunDir,
    ports: Ports,
    delivery: Delivery,
}

/// Who listens where.
#[derive(Clone, Copy)]
struct Ports {
    ingress: u16,
    admin: u16,
    forge: u16,
    registry: u16,
    token_lookup: u16,
}

impl Stack {
    /// Starts the stack and waits until it answers.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing, which port is taken, or what the program that ended said last.
    pub fn start(options: &Options) -> Result<Self> {
        signals::end_children_on_signal(signals::INTERRUPTED)?;
        let port = match options.port {
            Port::Fixed(port) => ports::require_free(port)?,
            Port::Picked => ports::pick()?,
        };
        let dir = RunDir::new(&options.place)?;

        let world = match &options.world {
            None => places::world(),
            Some(document) => {
                let file = dir.path().join("world.json");
                // JSON is YAML.
                std::fs::write(&file, serde_json::to_vec_pretty(document)?)?;
                file
            }
        };
        let forge = Forge::start(dir.path(), port, &world)?;
        let registry_port = ports::pick()?;
        let identities = match options.behind {
            Behind::Forge => None,
            Behind::Accounts => Some(Identities::start(dir.path(), &forge)?),
        };
        let registry = match (&identities, options.registry) {
            (Some(identities), _) => Some(identities.registry(dir.path(), registry_port)?),
            (None, Registry::Started) => {
                Some(registry::start(dir.path(), registry_port, port, forge.registry_certificate())?)
            }
            (None, Registry::LeftOut) => None,
        };

        let token_lookup = match (&identities, options.token_lookup) {
            (Some(identities), _) => identities.service().port(),
            (None, TokenLookup::Forge) => forge.port(),
            (None, TokenLookup::Nobody) => ports::pick()?,
            (None, TokenLookup::At(port)) => port,
        };
        let behind = identities.as_ref().map_or(forge.port(), |identities| identities.git().port());
        let ports =
            Ports { ingress: port, admin: ports::pick()?, forge: behind, registry: registry_port, token_lookup };
        let change = |envoy: &mut Value| {
            (options.change)(envoy);
            identities.iter().try_for_each(|identities| identities.add(envoy, registry_port))
        };
        let settings = match &identities {
            Some(_) => Some(Identities::settings()?),
            None => options.settings.clone(),
        };
        let deployed = running(ports, &options.filter, None, options.delivery);
        let running = envoy::Running { change: &change, settings: settings.as_ref(), ..deployed };
        let envoy = envoy::start(dir.path(), &running)?;
        Ok(Self { envoy, identities, registry, forge, dir, ports, delivery: options.delivery })
    }

    /// Gives the running Envoy another filter: with these changes to the deployed configuration, and from another file.
    /// Returns when it was taken.
    ///
    /// # Errors
    ///
    /// When Envoy refuses it, and then keeps what it has; or was started with [`Delivery::Fixed`].
    pub fn deliver(&self, filter: &[(&'static str, Value)], wasm: Option<&Path>) -> Result<()> {
        let before = self.updates()?;
        let running = running(self.ports, filter, wasm, self.delivery);
        envoy::deliver(self.dir.path(), self.delivery, &mut envoy::adapted(self.dir.path(), &running)?)?;
        let taken = || self.updates().is_ok_and(|now| now != before);
        wait_until_ready(&self.envoy, taken)?;
        let (_, refused) = self.updates()?;
        if refused > before.1 {
            bail!("Envoy refuses what was delivered");
        }
        Ok(())
    }

    /// How many deliveries Envoy took, and how many it refused.
    fn updates(&self) -> Result<(u64, u64)> {
        let prefix = self.delivery.statistics();
        let statistics = self.statistics(prefix)?;
        let count = |name: &str| {
            let line = statistics.lines().find_map(|line| line.strip_prefix(&format!("{prefix}{name}: ")));
            line.and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        Ok((count("update_success"), count("update_rejected")))
    }

    /// An error with its last words when one of the programs has ended.
    ///
    /// # Errors
    ///
    /// That one.
    pub fn require_alive(&self) -> Result<()> {
        self.forge.child().require_alive()?;
        self.registry.iter().try_for_each(Child::require_alive)?;
        self.envoy.require_alive()
    }

    /// The forge's host and port at the ingress: `127.0.0.1:8080`.
    #[must_use]
    pub fn forge_host(&self) -> String {
        format!("127.0.0.1:{}", self.ports.ingress)
    }

    /// The registry's host and port at the ingress: `localhost:8080`.
    #[must_use]
    pub fn registry_host(&self) -> String {
        format!("localhost:{}", self.ports.ingress)
    }

    /// The registry itself, behind Envoy.
    #[must_use]
    pub fn registry_behind(&self) -> String {
        format!("127.0.0.1:{}", self.ports.registry)
    }

    /// What the registry has logged so far.
    ///
    /// # Errors
    ///
    /// When its log cannot be read.
    pub fn registry_log(&self) -> Result<String> {
        self.registry.as_ref().map_or_else(|| Ok(String::new()), Child::log)
    }

    /// The configuration that the filter was started with.
    ///
    /// # Errors
    ///
    /// When it was not started with one for good ([`Delivery::Fixed`]).
    pub fn settings(&self) -> Result<Value> {
        envoy::started_with(self.dir.path())
    }

    /// The forge itself, to ask what it saw and to make it fail.
    #[must_use]
    pub fn forge(&self) -> &Forge {
        &self.forge
    }

    /// What is there besides for jobs with ID tokens ([`Behind::Accounts`]).
    #[must_use]
    pub fn identities(&self) -> Option<&Identities> {
        self.identities.as_ref()
    }

    /// The directory with the stack's files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Envoy's statistics whose names contain `name`, one per line.
    ///
    /// # Errors
    ///
    /// When Envoy does not answer.
    pub fn statistics(&self, name: &str) -> Result<String> {
        statistics(self.ports.admin, &format!("filter={name}"))
    }

    /// All of Envoy's statistics, as Prometheus reads them.
    ///
    /// # Errors
    ///
    /// When Envoy does not answer.
    pub fn prometheus(&self) -> Result<String> {
        statistics(self.ports.admin, "format=prometheus")
    }

    /// How many bytes of memory Envoy has now.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.envoy.resident_bytes()
    }

    /// The access log, read from its beginning.
    ///
    /// # Errors
    ///
    /// When Envoy has not made it.
    pub fn access_log(&self) -> Result<decisions::AccessLog> {
        decisions::AccessLog::open(&self.access_log_file())
    }

    /// Where Envoy writes its access log.
    pub(crate) fn access_log_file(&self) -> PathBuf {
        envoy::access_log(self.dir.path())
    }

    /// The file that Envoy watches for what is delivered.
    pub(crate) fn delivered_file(&self) -> PathBuf {
        envoy::delivered(self.dir.path())
    }

    /// Leaves the directory where it is when the stack ends, and says where.
    pub fn keep_dir(&mut self) -> PathBuf {
        self.dir.keep()
    }

    /// Sends `request` as it is, and reads one answer for as long as `patience` lasts.
    ///
    /// # Errors
    ///
    /// When Envoy takes no connection.
    pub fn raw(&self, request: &[u8], patience: Duration) -> Result<Answer> {
        raw::exchange(self.ports.ingress, request, patience)
    }
}

fn running<'a>(
    ports: Ports,
    filter: &'a [(&'static str, Value)],
    wasm: Option<&'a Path>,
    delivery: Delivery,
) -> envoy::Running<'a> {
    envoy::Running {
        port: ports.ingress,
        admin_port: ports.admin,
        forge_port: ports.forge,
        registry_port: ports.registry,
        token_lookup_port: ports.token_lookup,
        settings: None,
        filter,
        wasm,
        delivery,
        workers: WORKERS,
        change: &|_| Ok(()),
    }
}

fn statistics(admin_port: u16, query: &str) -> Result<String> {
    let url = format!("http://127.0.0.1:{admin_port}/stats?{query}");
    Ok(ureq::get(url).call()?.body_mut().read_to_string()?)
}

/// Asks `ready` until it says yes, for as long as `child` lives.
fn wait_until_ready(child: &Child, mut ready: impl FnMut() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !ready() {
        child.require_alive()?;
        if begin.elapsed() > START {
            bail!("{}", child.complaint("did not answer in time"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The status of `GET url`, without following or judging it; none when nobody answers.
fn status_of(url: &str) -> Option<u16> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(2)))
        .build()
        .into();
    agent.get(url).call().ok().map(|answer| answer.status().as_u16())
}
