//! VMs and configurations: how they come and go, and how time passes for them.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::callout::Answer;
use super::vm::{Export, Vm};
use super::world::{Context, Level, LogLine, Root, VmRecord, World};
use super::{CANARY, Filter, Host, MAIN, Options};

/// Why a host did not start, or a configuration was not taken.
#[derive(Debug)]
pub enum StartError {
    /// The filter cannot be instantiated: it wants an import that Envoy has
    /// not, say.
    Broken(String),
    /// `on_vm_start` or `on_configure` said no, and logged this.
    Refused(Vec<LogLine>),
    /// It trapped, for this reason, and logged this before.
    Trapped(String, Vec<LogLine>),
}

impl StartError {
    /// What the filter logged before it was turned down.
    pub fn logs(&self) -> &[LogLine] {
        match self {
            StartError::Broken(_) => &[],
            StartError::Refused(logs) | StartError::Trapped(_, logs) => logs,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Broken(why) => write!(f, "{why}")?,
            StartError::Refused(_) => write!(f, "the filter refused its configuration")?,
            StartError::Trapped(why, _) => write!(f, "the filter trapped while it started: {why}")?,
        }
        self.logs().iter().try_for_each(|line| write!(f, "\n  {:?}: {}", line.level, line.text))
    }
}

impl std::error::Error for StartError {}

impl Host {
    /// Starts the workers' VMs, and before them one that tries the configuration
    /// out, as Envoy does.
    ///
    /// # Errors
    /// The filter cannot run, or does not want this configuration.
    pub fn start(filter: &Filter, options: Options) -> Result<Host, StartError> {
        let (workers, main, configuration) = (options.workers, options.main_thread, options.configuration.clone());
        let mut host = Host {
            filter: filter.clone(),
            world: Rc::new(RefCell::new(World::new(options))),
            vms: Vec::new(),
            workers: Vec::new(),
            main: None,
            gone: Vec::new(),
        };
        host.try_out(&configuration)?;
        if main {
            host.main = Some(host.boot(MAIN, &configuration)?);
        }
        for worker in 0..workers {
            let vm = host.boot(worker, &configuration)?;
            host.workers.push(vm);
        }
        host.rest();
        Ok(host)
    }

    /// Gives the worker a fresh VM, as Envoy does under `FAIL_RELOAD` after a
    /// trap. Shared data and metrics stay; streams of the old VM stay with it.
    ///
    /// # Errors
    /// As for [`Host::start`].
    pub fn reload(&mut self, worker: usize) -> Result<(), StartError> {
        let configuration = self.world.borrow().options.configuration.clone();
        let vm = self.boot(worker, &configuration)?;
        self.workers[worker] = vm;
        self.rest();
        Ok(())
    }

    /// Brings a new configuration to the same VMs: new root contexts take new
    /// streams, the old ones go with their last. If the filter refuses it in a VM
    /// of its own, nothing changes.
    ///
    /// # Errors
    /// As for [`Host::start`].
    pub fn reconfigure(&mut self, configuration: impl Into<Vec<u8>>) -> Result<(), StartError> {
        let configuration = configuration.into();
        self.try_out(&configuration)?;
        self.world.borrow_mut().options.configuration.clone_from(&configuration);
        for vm in self.main.into_iter().chain(self.workers.clone()) {
            let old = self.world.borrow().vms[vm].root;
            if self.world.borrow().vms[vm].failed.is_some() {
                continue;
            }
            self.start_root(vm, &configuration)?;
            let idle = {
                let mut world = self.world.borrow_mut();
                world.vms[vm].roots.get_mut(&old).is_some_and(|root| {
                    root.retired = true;
                    root.streams == 0
                })
            };
            if idle {
                self.retire(vm, old);
            }
        }
        self.rest();
        Ok(())
    }

    fn try_out(&mut self, configuration: &[u8]) -> Result<(), StartError> {
        let vm = self.boot(CANARY, configuration)?;
        // It never runs again: no ticks, no answers.
        let mut world = self.world.borrow_mut();
        world.vms[vm].roots.clear();
        world.vms[vm].contexts.clear();
        world.callouts.retain(|_, callout| callout.vm != vm);
        Ok(())
    }

    fn boot(&mut self, worker: usize, configuration: &[u8]) -> Result<usize, StartError> {
        let vm = self.vms.len();
        self.world.borrow_mut().vms.push(VmRecord { worker, initializing: true, ..VmRecord::default() });
        let instance = match Vm::instantiate(&self.filter, &self.world, vm) {
            Ok(instance) => instance,
            Err(error) => {
                self.world.borrow_mut().vms.pop();
                return Err(StartError::Broken(format!("{error:#}")));
            }
        };
        self.vms.push(instance);
        let first = self.world.borrow().logs.len();
        let begin: &[&str] = if self.vms[vm].has("_initialize") { &["_initialize", "main"] } else { &["_start"] };
        for name in begin {
            if !self.vms[vm].has(name) {
                continue;
            }
            let args: &[u32] = if *name == "main" { &[0, 0] } else { &[] };
            if let (Err(trap), _) = self.vms[vm].call(name, args) {
                let mut world = self.world.borrow_mut();
                world.log(vm, Level::Critical, format!("{name} trapped: {trap}"));
                world.vms[vm].failed = Some(trap.clone());
                return Err(StartError::Trapped(trap, world.logs[first..].to_vec()));
            }
        }
        self.world.borrow_mut().vms[vm].initializing = false;
        self.start_root(vm, configuration)?;
        Ok(vm)
    }

    fn start_root(&mut self, vm: usize, configuration: &[u8]) -> Result<(), StartError> {
        let (root, first, vm_size) = {
            let mut world = self.world.borrow_mut();
            let (first, vm_size) = (world.logs.len(), world.options.vm_configuration.len() as u32);
            let record = &mut world.vms[vm];
            let root = record.new_context(Context::Root);
            record.roots.insert(root, Root::default());
            record.configuration = Some(configuration.to_vec());
            (root, first, vm_size)
        };
        self.call(vm, root, Export::ContextCreate, &[root, 0]);
        self.world.borrow_mut().vms[vm].configuration = None;
        // A callback that is not there agrees.
        let started = self.call(vm, root, Export::VmStart, &[root, vm_size]).unwrap_or(1) != 0;
        let mut taken = false;
        if started {
            self.world.borrow_mut().vms[vm].configuration = Some(configuration.to_vec());
            let size = configuration.len() as u32;
            taken = self.call(vm, root, Export::Configure, &[root, size]).unwrap_or(1) != 0;
        }
        let mut world = self.world.borrow_mut();
        world.vms[vm].configuration = None;
        let logs = || world.logs[first..].to_vec();
        match &world.vms[vm].failed {
            Some(trap) => Err(StartError::Trapped(trap.clone(), logs())),
            None if !taken => Err(StartError::Refused(logs())),
            None => {
                world.vms[vm].root = root;
                Ok(())
            }
        }
    }

    /// The root has no streams left and a successor.
    pub(super) fn retire(&mut self, vm: usize, root: u32) {
        let done = self.call(vm, root, Export::Done, &[root]).unwrap_or(1) != 0;
        if done {
            self.delete_root(vm, root);
        } else if let Some(root) = self.world.borrow_mut().vms[vm].roots.get_mut(&root) {
            root.pending = true;
        }
    }

    pub(super) fn delete_root(&mut self, vm: usize, root: u32) {
        self.call(vm, root, Export::Delete, &[root]);
        let mut world = self.world.borrow_mut();
        world.vms[vm].roots.remove(&root);
        // Its calls are cancelled with it.
        world.callouts.retain(|_, callout| (callout.vm, callout.root) != (vm, root));
        self.gone.push((vm, root));
    }

    /// Ticks now, whatever the time: every root of the worker that asked for
    /// ticks. [`MAIN`] is the main thread.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn tick(&mut self, worker: usize) {
        let vm = self.vm_of(worker);
        let roots: Vec<u32> = {
            let world = self.world.borrow();
            world.vms[vm].roots.iter().filter(|(_, root)| root.period > 0).map(|(id, _)| *id).collect()
        };
        for root in roots {
            self.tick_root(vm, root);
        }
        self.rest();
    }

    fn tick_root(&mut self, vm: usize, id: u32) {
        self.call(vm, id, Export::Tick, &[id]);
        let mut world = self.world.borrow_mut();
        let now = world.now;
        if let Some(root) = world.vms[vm].roots.get_mut(&id) {
            root.due = (root.period > 0).then_some(now + root.period);
        }
    }

    /// Lets time pass. Ticks come when they are due, and calls whose time is up
    /// are answered as Envoy does then.
    pub fn advance(&mut self, time: Duration) {
        let target = self.world.borrow().now + time.as_nanos() as u64;
        loop {
            let next = {
                let world = self.world.borrow();
                let calls =
                    world.callouts.values().filter_map(|call| Some((call.deadline?, Due::Call(call.id, call.begun))));
                let ticks = self.main.iter().chain(&self.workers).flat_map(|vm| {
                    let roots = world.vms[*vm].roots.iter();
                    roots.filter_map(|(id, root)| Some((root.due?, Due::Tick(*vm, *id))))
                });
                calls.chain(ticks).min_by_key(|(due, _)| *due).filter(|(due, _)| *due <= target)
            };
            let Some((due, what)) = next else { break };
            {
                let mut world = self.world.borrow_mut();
                world.now = world.now.max(due);
            }
            match what {
                Due::Call(id, begun) => self.deliver(id, if begun { Answer::Dropped } else { Answer::timed_out() }),
                Due::Tick(vm, root) => self.tick_root(vm, root),
            }
            self.rest();
        }
        self.world.borrow_mut().now = target;
    }
}

enum Due {
    /// A call, and whether its answer has begun.
    Call(u32, bool),
    Tick(usize, u32),
}
