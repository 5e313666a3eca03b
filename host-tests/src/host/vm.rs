//! One instance of the filter: its memory, its exports, calling it.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::anyhow;
use wasmtime::{Instance, Linker, Memory, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, Val};

use super::filter::Filter;
use super::world::World;
use super::{imports, wasi};

/// Instructions that one callback may take before it counts as endless and
/// traps. Envoy on V8 has no such limit: there the worker would hang.
const BUDGET: u64 = 5_000_000_000;

/// Envoy's limit for a VM's memory.
const MEMORY_LIMIT: usize = 1 << 30;

/// What the imports find in their store.
pub(super) struct VmData {
    pub(super) world: Rc<RefCell<World>>,
    pub(super) vm: usize,
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    limits: StoreLimits,
}

/// A callback of the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Export {
    ContextCreate,
    VmStart,
    Configure,
    Tick,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    HttpCallResponse,
    Log,
    Done,
    Delete,
}

impl Export {
    pub(super) fn name(self) -> &'static str {
        match self {
            Export::ContextCreate => "proxy_on_context_create",
            Export::VmStart => "proxy_on_vm_start",
            Export::Configure => "proxy_on_configure",
            Export::Tick => "proxy_on_tick",
            Export::RequestHeaders => "proxy_on_request_headers",
            Export::RequestBody => "proxy_on_request_body",
            Export::RequestTrailers => "proxy_on_request_trailers",
            Export::ResponseHeaders => "proxy_on_response_headers",
            Export::ResponseBody => "proxy_on_response_body",
            Export::ResponseTrailers => "proxy_on_response_trailers",
            Export::HttpCallResponse => "proxy_on_http_call_response",
            Export::Log => "proxy_on_log",
            Export::Done => "proxy_on_done",
            Export::Delete => "proxy_on_delete",
        }
    }
}

pub(super) struct Vm {
    store: Store<VmData>,
    instance: Instance,
}

impl Vm {
    /// Instantiates the filter without running any of it.
    pub(super) fn instantiate(filter: &Filter, world: &Rc<RefCell<World>>, vm: usize) -> anyhow::Result<Vm> {
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY_LIMIT).build();
        let data = VmData { world: Rc::clone(world), vm, memory: None, allocate: None, limits };
        let mut store = Store::new(&filter.engine, data);
        store.limiter(|data| &mut data.limits);
        let fault = |error: wasmtime::Error| anyhow!("cannot instantiate the filter: {error:?}");
        store.set_fuel(BUDGET).map_err(fault)?;
        let mut linker = Linker::new(&filter.engine);
        imports::link(&mut linker).map_err(fault)?;
        wasi::link(&mut linker).map_err(fault)?;
        let instance = linker.instantiate(&mut store, &filter.module).map_err(fault)?;
        let memory = instance.get_memory(&mut store, "memory");
        let allocate = ["malloc", "proxy_on_memory_allocate"]
            .iter()
            .find_map(|name| instance.get_typed_func::<u32, u32>(&mut store, name).ok());
        if memory.is_none() || allocate.is_none() {
            return Err(anyhow!("the filter exports no memory, or no way to allocate it"));
        }
        (store.data_mut().memory, store.data_mut().allocate) = (memory, allocate);
        Ok(Vm { store, instance })
    }

    pub(super) fn has(&mut self, name: &str) -> bool {
        self.instance.get_func(&mut self.store, name).is_some()
    }

    /// Calls an export, and says what it returned (0 if nothing) and how many
    /// instructions it took. An error is a trap.
    pub(super) fn call(&mut self, name: &str, args: &[u32]) -> (Result<u32, String>, u64) {
        let result = self.try_call(name, args).map_err(|error| format!("{error:?}"));
        let left = self.store.get_fuel().unwrap_or_default();
        (result, BUDGET.saturating_sub(left))
    }

    fn try_call(&mut self, name: &str, args: &[u32]) -> wasmtime::Result<u32> {
        self.store.set_fuel(BUDGET)?;
        let Some(func) = self.instance.get_func(&mut self.store, name) else {
            return Ok(0);
        };
        let args: Vec<Val> = args.iter().map(|arg| Val::I32(arg.cast_signed())).collect();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        func.call(&mut self.store, &args, &mut results)?;
        Ok(results.first().and_then(Val::i32).unwrap_or_default().cast_unsigned())
    }

    /// The size of its memory, which never shrinks.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory.map_or(0, |memory| memory.data_size(&self.store))
    }
}
