//! A proxy with several workers: what happens to requests, calls and time, and what must hold after each step.

mod answers;
mod promises;
mod requests;
mod time;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::rc::Rc;

use jobscope::{Load, Stream};
use policy::bindings::{self, BUCKET_ROWS};
use serde_json::json;

use crate::fault::Fault;
use crate::filter::Filter;
use crate::host::SimulatedHost;
use crate::judge::Judge;
use crate::memory::Memory;
use crate::moves::{Kind, Move};
use crate::request::{Client, Request, What};
use crate::service::Api;
use crate::shared::{BINDING, CLUSTER, Shared};
use crate::tally::Tally;
use crate::world::{PATHS, PROJECTS, World, path_name};
use answers::Coming;
use promises::{DENIES, Owed};

const WORKERS: usize = 3;

/// So few running jobs are remembered at the least.
const FEWEST: u32 = 64;

/// How many requests one call of the host lets go or answers.
const AT_ONCE: usize = 64;

/// How many facts a worker looks up at a time.
const FLIGHTS: usize = 1024;

/// What the filter reckons of a request beside its bytes.
const OF_EACH: usize = 1 << 10;

/// How long a body may be awaited, in milliseconds.
const BODY_PATIENCE: u64 = 10_000;

/// In which time each worker ticks, and how exactly deadlines are kept.
const LONGEST_TICK: u64 = 100;
const SLACK: u64 = 400;

/// A configuration: `lookup.timeout`, `bindings.revalidate_after` and `bindings.max_stale`, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    timeout: u64,
    fresh: u64,
    stale: u64,
}

const CONFIGURATIONS: [Times; 3] = [
    Times { timeout: 1_000, fresh: 2_000, stale: 6_000 },
    Times { timeout: 500, fresh: 1_000, stale: 3_000 },
    Times { timeout: 2_000, fresh: 5_000, stale: 20_000 },
];

/// What is the same for all of a seed's moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    api: Api,
    /// What becomes of the credentials in an answer to an LFS batch.
    lfs_credentials: &'static str,
    /// Whether half of the jobs have tokens that the forge does not know, so that what is granted to them has a slot.
    has_slots: bool,
    /// Whether a route stays until the filter has it chosen anew.
    keeps_routes: bool,
    /// How many running jobs are remembered: so many that rows push others out, or more.
    capacity: u32,
    /// How many run at first.
    jobs: u32,
    /// Whether the instance limits access everywhere at first.
    is_enforced: bool,
    /// How decisions are logged.
    log_form: &'static str,
}

impl Scene {
    /// Each of what there is in half of the seeds.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let has = |bit: u32| seed >> bit & 1 == 1;
        Self {
            api: if has(0) { Api::Gitlab } else { Api::V1 },
            lfs_credentials: if has(1) { "forge" } else { "own" },
            has_slots: !has(0) && has(3),
            keeps_routes: has(6),
            capacity: if has(2) { FEWEST } else { 1024 },
            jobs: if has(2) { 96 } else { 4 },
            is_enforced: has(5),
            log_form: if has(4) { "struct" } else { "fields" },
        }
    }
}

/// A plugin configuration on a worker.
struct Root<F> {
    filter: Option<F>,
    worker: usize,
    version: usize,
    times: Times,
    streams: usize,
    departs: Rc<Cell<bool>>,
    /// When a lookup failed last, and when one did because it was too much, by how much time had passed.
    failed_at: u64,
    throttled_at: u64,
    /// Until when a fact may wait for a call that was lost.
    lost_until: u64,
    /// Whether the service said that it takes no reports.
    is_deaf: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Stays,
    Goes,
    Answered(u16),
}

pub(crate) struct Open {
    pub(crate) request: Request,
    root: usize,
    pub(crate) stands: Stands,
    /// Pieces of the body come to no callback.
    is_held: bool,
    /// It ends with trailers.
    has_trailers: bool,
    /// What it asks of, and who.
    asked: Option<(usize, Client)>,
    /// How much of the body has come, how much of that went on or was shown, and how much is to come.
    came: usize,
    pub(crate) shown: usize,
    pub(crate) is_whole: bool,
    is_judged: bool,
    /// What the forge answers, where that has begun.
    pub(crate) answer: Option<Coming>,
    came_at: u64,
    due: u64,
}

pub(crate) struct Proxy<F> {
    pub(crate) shared: Rc<RefCell<Shared>>,
    roots: Vec<Root<F>>,
    /// The newest root of each worker.
    workers: [usize; WORKERS],
    pub(crate) open: BTreeMap<Stream, Open>,
    /// No request's time is up before then.
    soonest: u64,
    last_stream: Stream,
    /// The last request of a job that went on, and by which worker.
    admitted: Option<(usize, What, usize, Client)>,
    world: World,
    memory: Memory,
    owed: Vec<Owed>,
    clock_set_at: u64,
    /// When what is owed got more time last.
    credit_at: u64,
    /// Until when something may look younger than it is, since it was set back.
    young_until: u64,
    /// When a project moved last.
    moved_at: Option<u64>,
    /// What filters of each version were told.
    judges: [Judge; 2],
    scene: Scene,
    times: Times,
    /// Which version of the filter is loaded.
    version: usize,
    /// The configuration, where it is another than the filter's of the day.
    document: Option<String>,
    keys: usize,
    row_limits: Vec<(String, usize)>,
    is_forgetful: bool,
    tally: Tally,
    pub(crate) story: Option<Vec<String>>,
}

impl Open {
    /// Whether all of it was shown.
    fn is_over(&self) -> bool {
        self.is_whole && !self.has_trailers
    }
}

/// What a proxy is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// To be judged by itself.
    Alone,
    /// To be compared with one whose filters keep no decision.
    Compared,
    /// To be that one.
    Forgetful,
}

/// One of so many, counted from the newest or from the oldest: leaving others out of a story rarely makes it another one.
fn pick(which: u32, count: usize) -> usize {
    let far = ((which >> 1).trailing_zeros() as usize).min(count.saturating_sub(1));
    if which.is_multiple_of(2) { far } else { count.saturating_sub(far + 1) }
}

impl<F: Filter> Proxy<F> {
    pub(crate) fn new(scene: Scene, fault: Option<Fault>, part: Part, tells: bool) -> Self {
        Self::configured(None, scene, fault, part, tells)
    }

    /// One whose filter has this configuration.
    pub(crate) fn configured(
        document: Option<String>,
        scene: Scene,
        fault: Option<Fault>,
        part: Part,
        tells: bool,
    ) -> Self {
        let times = CONFIGURATIONS[0];
        let mut proxy = Self {
            shared: Rc::new(RefCell::new(Shared::new(fault, part != Part::Alone))),
            roots: Vec::new(),
            workers: [0; WORKERS],
            open: BTreeMap::new(),
            soonest: u64::MAX,
            last_stream: 0,
            admitted: None,
            world: World::new(scene.jobs, scene.is_enforced),
            memory: Memory::default(),
            owed: Vec::new(),
            clock_set_at: 0,
            credit_at: 0,
            young_until: 0,
            moved_at: None,
            judges: Default::default(),
            version: 0,
            scene,
            times,
            document,
            keys: 0,
            row_limits: bindings::tables(scene.capacity)
                .iter()
                .map(|table| (format!(".{}.", table.name()), table.row() * BUCKET_ROWS))
                .collect(),
            is_forgetful: part == Part::Forgetful,
            tally: Tally::default(),
            story: tells.then(Vec::new),
        };
        for worker in 0..WORKERS {
            proxy.load(worker);
        }
        let mut shared = proxy.shared.borrow_mut();
        (shared.keeps_routes, shared.has_routes) = (scene.keeps_routes, scene.has_slots);
        drop(shared);
        proxy.keys = proxy.shared.borrow().rows.len();
        proxy
    }

    fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let (line, passed) = (line(self), self.shared.borrow().passed);
            if let Some(story) = &mut self.story {
                story.push(format!("{passed:>7} ms  {line}"));
            }
        }
    }

    fn fault(&self, fault: Fault) -> bool {
        self.shared.borrow().fault == Some(fault)
    }

    /// The filter's configuration of the day.
    fn configuration(&self) -> String {
        let Times { timeout, fresh, stale } = self.times;
        let Scene { api, lfs_credentials, has_slots, capacity, log_form, .. } = self.scene;
        let (kind, slots, dependency_proxy) =
            if has_slots { ("generic", "on", "off") } else { ("gitlab", "off", "on") };
        // GitLab itself has no list of ended jobs.
        let (api, changes) = match api {
            Api::V1 => ("v1", "on"),
            Api::Gitlab => ("auto", "off"),
        };
        let facts = ["projects", "members", "allowlists"]
            .map(|what| (format!("{what}_revalidate_after"), json!(format!("{fresh}ms"))));
        let configuration = json!({
            "forge": {"hosts": ["forge.example"], "registry_hosts": ["registry.example"], "dependency_proxy": dependency_proxy,
                "kind": kind, "credential_slots": slots, "lfs_credentials": lfs_credentials},
            "lookup": {"cluster": CLUSTER, "authority": "lookup.example", "credential_env": "CREDENTIAL", "api": api,
                "changes": changes, "timeout": format!("{timeout}ms"), "max_unknown_per_source": 50, "max_unknown_per_second": 100},
            "facts": serde_json::Map::from_iter(facts),
            "bindings": {"capacity": capacity, "revalidate_after": format!("{fresh}ms"), "max_stale": format!("{stale}ms")},
            "webhook": {"path": "/-/jobscope/webhook", "secret_env": "HOOK"},
            "log": {"form": log_form},
        });
        configuration.to_string()
    }

    /// A worker gets a filter.
    fn load(&mut self, worker: usize) {
        let configuration = self.document.clone().unwrap_or_else(|| self.configuration());
        let (number, departs) = (self.roots.len(), Rc::new(Cell::new(false)));
        self.shared.borrow_mut().fails_in = None;
        self.shared.borrow_mut().raced_in = None;
        self.shared.borrow_mut().configuration = configuration.into_bytes();
        let (shared, version) = (Rc::clone(&self.shared), self.version);
        let host = SimulatedHost { shared, root: number, version, departs: Rc::clone(&departs) };
        let mut filter = if self.is_forgetful { F::forgetful(host) } else { F::new(host) };
        assert!(filter.configure(), "the configuration is taken");
        let (failed_at, throttled_at) = (0, 0);
        let root = Root {
            filter: Some(filter),
            worker,
            version,
            times: self.times,
            streams: 0,
            departs,
            failed_at,
            throttled_at,
            lost_until: 0,
            is_deaf: false,
        };
        self.roots.push(root);
        self.workers[worker] = number;
    }

    /// Something happens to a root's filter, while the host acts for this request or for none.
    fn event<T>(&mut self, root: usize, acting: Option<Stream>, event: impl FnOnce(&mut F) -> T) -> T {
        let Some(mut filter) = self.roots[root].filter.take() else { panic!("root {root} is gone") };
        self.shared.borrow_mut().acting = acting;
        let result = event(&mut filter);
        if acting.is_some() && filter.has_departures() {
            self.roots[root].departs.set(true);
            filter.depart();
            self.roots[root].departs.set(false);
        }
        self.shared.borrow_mut().acting = None;
        self.roots[root].filter = Some(filter);
        result
    }

    /// One step, and what must hold after it.
    pub(crate) fn step(&mut self, Move { kind, which, how }: Move) -> Option<String> {
        let some = |proxy: &Self| {
            (!proxy.open.is_empty()).then(|| *proxy.open.keys().nth(pick(which, proxy.open.len())).unwrap_or(&0))
        };
        match kind {
            Kind::Open => self.come(which, how),
            Kind::Again => self.come_again(which, how),
            Kind::Mint => self.have_made(which, how),
            Kind::Crowd => {
                for number in 0..80 + how % 140 {
                    // Of one worker, with one token or with many, or with one and whatever may be asked.
                    match how / 8 % 3 {
                        0 => self.come(which, how),
                        1 => self.come((which & !0x3f) | (number & 0x3f), how),
                        _ => self.come(
                            (which & 0x3f) | (which & !0xfff) | ((number % 64) << 6),
                            how.wrapping_add(number * 7),
                        ),
                    }
                }
            }
            Kind::Piece => {
                let unfinished: Vec<Stream> =
                    self.open.iter().filter(|(_, open)| !open.is_whole).map(|(stream, _)| *stream).collect();
                if let Some(stream) = unfinished.get(pick(which, unfinished.len())) {
                    let size = how as usize % 300;
                    // Behind the last piece the end may come alone.
                    let left = self.open[stream].request.body.len() - self.open[stream].came;
                    self.piece(*stream, size, how.is_multiple_of(3) || size > left);
                }
            }
            Kind::Leave => {
                if let Some(stream) = some(self) {
                    self.tell(|_| format!("the client of request {stream} leaves"));
                    self.tally.left += 1;
                    self.leave(stream);
                }
            }
            Kind::Answer => self.answer_call(which, how),
            Kind::Lose => self.lose(which),
            Kind::Respond => self.respond(which, how),
            Kind::End => {
                let job = pick(which, self.world.jobs.len());
                self.tell(|_| format!("job {job} ends"));
                self.world.end(job);
                if self.world.jobs.iter().filter(|job| job.runs).count() < 4 {
                    self.world.begin(how);
                }
            }
            Kind::Change => {
                self.tell(|_| format!("roles or allowlists change ({which}, {how})"));
                let passed = self.shared.borrow().passed;
                self.world.change(which, how, passed);
            }
            Kind::Relocate => {
                let project = which as usize % PROJECTS;
                self.tally.moves += 1;
                let passed = self.shared.borrow().passed;
                self.moved_at = Some(passed);
                let path = self.world.relocate(project, how as usize % PATHS, passed);
                let mut shared = self.shared.borrow_mut();
                shared.paths = self.world.paths;
                (0..self.roots.len()).for_each(|root| shared.end_lookups(root, None));
                drop(shared);
                self.doubt_moved();
                self.tell(|_| format!("project {project} moves to {}", path_name(path)));
            }
            Kind::Pass => self.pass(u64::from(if how.is_multiple_of(8) { which % 4_000 } else { which % 120 })),
            Kind::SetClock => {
                let by = u64::from(which % 20_000);
                let mut shared = self.shared.borrow_mut();
                shared.clock = if how.is_multiple_of(2) { shared.clock + by } else { shared.clock - by };
                shared.give_calls_up(LONGEST_TICK);
                let is_compared = shared.is_compared;
                drop(shared);
                self.tell(|_| format!("the clock is set by {by} ms"));
                self.clock_set_at = self.shared.borrow().passed;
                if !how.is_multiple_of(2) {
                    self.young_until = self.young_until.max(self.clock_set_at + DENIES) + by;
                }
                self.give_credit();
                self.grant_time();
                // Until they tick, workers cannot know that it was ever another time.
                if is_compared {
                    self.pass(LONGEST_TICK);
                }
            }
            Kind::Fail => {
                self.shared.borrow_mut().fails_in = Some(how % 12 + 2);
                self.tell(|_| format!("the host refuses the call after {}", how % 12));
            }
            Kind::Interfere => {
                self.shared.borrow_mut().raced_in = Some(how % 4 + 1);
                self.tell(|_| format!("the write after {} comes too late", how % 4));
            }
            Kind::Reload => {
                let worker = which as usize % WORKERS;
                self.tell(|_| format!("worker {worker} is loaded anew"));
                let gone: Vec<usize> =
                    (0..self.roots.len()).filter(|root| self.roots[*root].worker == worker).collect();
                let streams: Vec<Stream> =
                    self.open.iter().filter(|(_, open)| gone.contains(&open.root)).map(|(stream, _)| *stream).collect();
                for stream in streams {
                    self.open.remove(&stream);
                    self.shared.borrow_mut().shown.remove(&stream);
                }
                gone.into_iter().for_each(|root| self.drop_root(root));
                if self.fault(Fault::ForgottenEnds) {
                    let is_ended = |key: &str| key.contains(BINDING) || key.contains(".job.");
                    let mut shared = self.shared.borrow_mut();
                    shared.rows.iter_mut().filter(|(key, _)| is_ended(key)).for_each(|(_, row)| row.0.clear());
                }
                self.load(worker);
            }
            Kind::Configure => {
                self.times = CONFIGURATIONS[which as usize % CONFIGURATIONS.len()];
                self.doubt_moved();
                // With another version come its rows, once.
                let is_other = how.is_multiple_of(4);
                self.version ^= usize::from(is_other);
                self.tell(|proxy| format!("another configuration: {:?}, version {}", proxy.times, proxy.version));
                for worker in 0..WORKERS {
                    let old = self.workers[worker];
                    self.load(worker);
                    if self.fault(Fault::DroppedExchanges) {
                        self.forget(old);
                    }
                    self.retire(old);
                }
                self.keys = if is_other { self.shared.borrow().rows.len() } else { self.keys };
            }
            Kind::Race => self.race(which, how),
            Kind::Promote => self.promote(which, how),
            Kind::PushOut => self.push_out(how),
        }
        self.close_answered();
        if std::mem::take(&mut self.shared.borrow_mut().has_failed) {
            // Whoever was refused a call may ask anew, and heed no answer to what was asked before.
            self.shared.borrow_mut().give_calls_up(LONGEST_TICK);
            self.grant_time();
            self.give_credit();
        }
        self.make_up();
        self.check_deadlines();
        self.check_bounds();
        self.check_reports();
        self.shared.borrow_mut().wrong.take()
    }

    /// What is remembered of a project before it moved serves as long as it is not stale, and does not fit to what is told since.
    fn doubt_moved(&mut self) {
        if let Some(moved) = self.moved_at {
            let until = &mut self.shared.borrow_mut().doubtful_until;
            *until = (*until).max(moved + self.times.stale + self.times.timeout);
        }
    }

    /// A version that could not be written is with the next tick. Until then who keeps decisions may serve what nobody else
    /// does, and there is nothing to compare.
    pub(super) fn make_up(&mut self) {
        let mut shared = self.shared.borrow_mut();
        let is_due = std::mem::take(&mut shared.owes_version) && shared.is_compared;
        drop(shared);
        if is_due {
            self.pass(LONGEST_TICK);
        }
    }

    /// What it came to.
    pub(crate) fn tally(&self) -> Tally {
        Tally { evictions: self.shared.borrow().evictions, ..self.tally }
    }

    /// What was done so far, and how often rows were read since this was last asked.
    pub(crate) fn did(&self) -> (u64, u64) {
        let mut shared = self.shared.borrow_mut();
        (shared.did.finish(), std::mem::take(&mut shared.reads))
    }

    /// Who was answered leaves.
    pub(super) fn close_answered(&mut self) {
        let answered: Vec<Stream> = self
            .open
            .iter()
            .filter(|(_, open)| matches!(open.stands, Stands::Answered(_)))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in answered {
            let open = &self.open[&stream];
            if let (What::Webhook, Some(job), Stands::Answered(200..300)) =
                (open.request.what, open.request.job, open.stands)
            {
                let (before, open_root) = (self.shared.borrow().has_failed, open.root);
                // The forge tells the truth.
                self.world.end(job);
                self.see_ends(open_root, &[job], before);
            }
            self.leave(stream);
        }
    }

    fn check_bounds(&mut self) {
        // All that stay may wait, and be held back as far as they came.
        let mut most: BTreeMap<usize, Load> = BTreeMap::new();
        for open in self.open.values().filter(|open| open.stands == Stands::Stays) {
            let most = most.entry(open.root).or_default();
            let head = open.request.head.size() + OF_EACH;
            most.waiting += 1;
            most.heads += head;
            most.held += head + open.came;
        }
        let mut shared = self.shared.borrow_mut();
        let keys = shared.rows.len();
        if keys != self.keys {
            shared.accuse(|| format!("there were {} rows, and are {keys}", self.keys));
        }
        for (number, root) in self.roots.iter().enumerate() {
            let Some(load) = root.filter.as_ref().map(F::load) else { continue };
            let most = most.get(&number).copied().unwrap_or_default();
            if load.waiting > most.waiting || load.heads > most.heads || load.held > most.held || load.flights > FLIGHTS
            {
                shared.accuse(|| {
                    format!("the requests of root {number} are {most:?} at most, and the filter has {load:?}")
                });
            }
        }
    }

    /// What must hold at the end, and is too dear to be looked at in each step.
    pub(crate) fn check_rows(&self) -> Option<String> {
        let shared = self.shared.borrow();
        shared.rows.iter().find_map(|(key, (bytes, _))| {
            let limit = self.row_limits.iter().find(|(table, _)| key.contains(table)).map_or(256, |(_, limit)| *limit);
            (bytes.len() > limit).then(|| format!("{key} has {} bytes", bytes.len()))
        })
    }
}
