//! One configuration on one worker: what it owns, and what it is told. What is about a request is in [`crate::exchange`],
//! what is asked of the forge in [`crate::lookups`].

use std::rc::Rc;

use policy::Config;
use policy::memo::Memo;

use crate::access_log::AccessLog;
use crate::counters::Counted;
use crate::exchange::{Crowd, Ids, Shows};
use crate::host::{Host, Level};
use crate::journal::Journal;
use crate::lookups::{Ends, Errands, Expiries, Flights, Following, Versions};
use crate::promises::{self, Promise};
use crate::setup::Setup;
use crate::ticks::Ticks;

/// The filter on one worker of a proxy.
///
/// Each method is an event, and does a bounded amount. What is about a request is told while the host acts for it; the
/// others while it acts for none. Behind each event [`Worker::depart`] is due where [`Worker::has_departures`] says so.
#[derive(Debug)]
pub struct Worker<H: Host> {
    pub(crate) host: H,
    pub(crate) journal: Rc<Journal<H>>,
    pub(crate) setup: Option<Rc<Setup<H>>>,
    /// What the host was found to break: from then on no request is judged.
    pub(crate) broken: Option<Promise>,
    pub(crate) crowd: Crowd,
    pub(crate) flights: Flights,
    pub(crate) errands: Errands,
    pub(crate) ends: Ends,
    pub(crate) following: Following,
    pub(crate) versions: Versions,
    pub(crate) expiries: Expiries,
    pub(crate) ticks: Ticks,
    pub(crate) ids: Ids,
    pub(crate) log: AccessLog,
    pub(crate) shows_bodies: Shows,
    pub(crate) memo: Memo,
    /// What was counted of the load, which all workers add up; nothing before the first tick, which a worker that only
    /// tries a configuration out never sees.
    counted: Option<Load>,
}

/// What a worker has to do at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Facts that are being looked up.
    pub flights: usize,
    /// Requests that wait for facts.
    pub waiting: usize,
    /// Bytes that their heads are reckoned to have.
    pub heads: usize,
    /// Bytes of requests that are held back while a body is awaited.
    pub held: usize,
}

impl<H: Host> Worker<H> {
    /// One that has no configuration yet.
    #[must_use]
    pub fn new(host: H) -> Self {
        let (chance, memo) = (host.random(), Memo::new((host.random(), host.random())));
        Self {
            journal: Rc::new(Journal::new(host.clone())),
            host,
            setup: None,
            broken: None,
            crowd: Crowd::default(),
            flights: Flights::new(chance),
            errands: Errands::default(),
            ends: Ends::new(chance),
            following: Following::new(chance),
            versions: Versions::default(),
            expiries: Expiries::default(),
            ticks: Ticks::default(),
            ids: Ids::new(chance),
            log: AccessLog::default(),
            shows_bodies: Shows::Unknown,
            memo,
            counted: None,
        }
    }

    /// One that keeps no decision. Nobody can tell it from another but by what a request costs.
    #[must_use]
    pub fn without_memo(host: H) -> Self {
        Self { memo: Memo::none(), ..Self::new(host) }
    }

    /// Takes the configuration that the host has. `false` where it is none, or the host is none for this filter.
    pub fn configure(&mut self) -> bool {
        if let Some(promise) = promises::broken_at_start(&self.host) {
            self.distrust(promise);
            return false;
        }
        let begun = Setup::read(&self.host, &self.journal).and_then(|setup| {
            let begun = self.ticks.begin(&self.host, setup.config.lookup.timeout);
            begun.map(|()| setup).map_err(|error| format!("no clock, so no deadlines: {error}"))
        });
        match begun {
            Ok(setup) => {
                self.host.log(Level::Info, &begins(&setup.config));
                self.log.begin(&self.host, setup.config.log.form);
                self.setup = Some(Rc::new(setup));
                self.memo.forget();
            }
            Err(why) => {
                self.host.log(Level::Critical, &format!("jobscope: {why}"));
                return false;
            }
        }
        true
    }

    /// The host breaks a promise.
    pub(crate) fn distrust(&mut self, promise: Promise) {
        if self.broken.is_none() {
            self.broken = Some(promise);
            self.host.log(Level::Critical, &format!("jobscope: {}", promise.complaint(&self.host.name())));
        }
    }

    /// Time has passed: answers those who have waited too long, and lands flights that nobody will answer.
    pub fn tick(&mut self) {
        // Without the time there are no deadlines; every request that asks for it is refused meanwhile.
        let Ok(now) = self.host.now() else { return };
        // It ticks after all: the clock was set at the start.
        self.broken.take_if(|promise| *promise == Promise::Ticks);
        if !self.ticks.came(now) {
            self.distrust(Promise::Clock);
        }
        self.memo.pass(now);
        // Here nobody else holds the configuration.
        if let Some(setup) = self.setup.as_mut().and_then(Rc::get_mut)
            && let Some(version) = self.versions.tick(&self.host, setup, now)
        {
            setup.config.forge.version = version;
            self.memo.forget();
        }
        let Some(setup) = self.setup.clone() else { return };
        self.journal.sum_up(now);
        setup.store.make_up();
        self.depart();
        self.following.tick(&self.host, &setup, now);
        self.errands.tick(&self.host, &setup, now);
        self.ends.tick(&self.host, &setup, now);
        self.expiries.tick(&self.host, &setup, now);
        for landing in self.flights.overdue(&setup.config, now) {
            self.land(&setup, landing, Ok(now));
        }
        self.look_for_bodies(now);
        self.crowd.expire(setup.config.lookup.timeout, now);
        self.wake(&setup);
        self.count_load(&setup, Some(self.load()));
    }

    /// No more requests come: another configuration has taken this one's place.
    pub fn retire(&mut self) {
        if let Some(setup) = self.setup.clone() {
            self.count_load(&setup, None);
        }
    }

    /// What there is to do.
    #[must_use]
    pub fn load(&self) -> Load {
        Load { flights: self.flights.count(), ..self.crowd.load() }
    }

    fn count_load(&mut self, setup: &Setup<H>, load: Option<Load>) {
        let before = std::mem::replace(&mut self.counted, load);
        setup.counters.run(i64::from(load.is_some()).saturating_sub(i64::from(before.is_some())));
        let (load, before) = (load.unwrap_or_default(), before.unwrap_or_default());
        let difference = |now: usize, before: usize| {
            let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
            number(now).saturating_sub(number(before))
        };
        setup.counters.add(Counted::Flights, &[], difference(load.flights, before.flights));
        setup.counters.add(Counted::Waiting, &[], difference(load.waiting, before.waiting));
        setup.counters.add(Counted::Held, &[], difference(load.held, before.held));
    }

    /// Whether calls are to be sent.
    #[must_use]
    pub fn has_departures(&self) -> bool {
        self.flights.has_departures() || self.errands.has_departures()
    }

    /// Sends calls that are to be sent.
    pub fn depart(&mut self) {
        // Without the time nothing has a deadline; what is to be sent waits for it.
        let (Some(setup), Ok(now)) = (self.setup.clone(), self.host.now()) else { return };
        if !self.ticks.come(now) {
            self.distrust(Promise::Ticks);
        }
        self.flights.depart(&self.host, &setup, now);
        self.errands.depart(&self.host, &setup, now);
    }
}

/// Which filter begins, and by what: a line for who reads the log of a start.
fn begins(config: &Config) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (revision, mode, rules) = (&config.revision, config.mode.name(), config.access.count());
    let hosts = [("forge", &config.forge.hosts), ("registry", &config.forge.registry_hosts)].map(|(which, hosts)| {
        // The first of many tell enough.
        let first = hosts.iter().take(4).map(policy::facts::Host::as_str).collect::<Vec<_>>().join(" ");
        format!("{which} hosts {}: {first}", hosts.len())
    });
    format!(
        "jobscope: version {version}, configuration {revision}, mode {mode}, {}, access rules {rules}",
        hosts.join(", ")
    )
}
