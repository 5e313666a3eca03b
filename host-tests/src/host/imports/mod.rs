//! The functions that the filter imports from `env`.

/// Defines one: what it is called, its arguments, and what it does.
macro_rules! import {
    ($linker:ident, $call:ident, |$caller:ident $(, $argument:ident: $kind:ty)*| $does:block) => {
        $linker.func_wrap("env", Hostcall::$call.name(), |mut caller: Caller<'_> $(, $argument: $kind)*| {
            run(&mut caller, Hostcall::$call, |$caller| $does)
        })?;
    };
}

mod calls;
mod general;
mod messages;
mod stores;

use std::cell::RefMut;

use wasmtime::Linker;

use super::faults::Fault;
use super::hostcall::{Hostcall, Status};
use super::vm::VmData;
use super::world::World;

pub(super) type Caller<'a> = wasmtime::Caller<'a, VmData>;

/// Why an import ends early.
pub(super) enum Stop {
    /// With this status.
    Status(Status),
    /// By trapping the VM.
    Trap(wasmtime::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Stop {
        Stop::Status(status)
    }
}

pub(super) fn link(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    general::link(linker)?;
    messages::link(linker)?;
    stores::link(linker)?;
    calls::link(linker)
}

/// Runs an import: counts it, lets a planned fault strike, traps where the call
/// is not allowed yet.
fn run(
    caller: &mut Caller<'_>,
    call: Hostcall,
    body: impl FnOnce(&mut Caller<'_>) -> Result<(), Stop>,
) -> wasmtime::Result<u32> {
    let result = match enter(caller, call)? {
        Some(status) => Err(Stop::Status(status)),
        None => body(caller),
    };
    match result {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Stop::Status(status)) => Ok(status as u32),
        Err(Stop::Trap(error)) => Err(error),
    }
}

/// What every import does first.
pub(super) fn enter(caller: &Caller<'_>, call: Hostcall) -> wasmtime::Result<Option<Status>> {
    let mut world = world(caller);
    world.count(call);
    if world.vms[caller.data().vm].initializing && !call.allowed_while_initializing() {
        return Err(wasmtime::Error::msg(format!("restricted_callback: {call} during _initialize")));
    }
    match world.faults.strike(call) {
        None => Ok(None),
        Some(Fault::Status(status)) => Ok(Some(status)),
        Some(Fault::Trap) => Err(wasmtime::Error::msg(format!("planned trap in {call}"))),
    }
}

/// The world, for a moment: never across a call into the VM.
pub(super) fn world<'a>(caller: &'a Caller<'_>) -> RefMut<'a, World> {
    caller.data().world.borrow_mut()
}

pub(super) fn read(caller: &Caller<'_>, at: u32, len: u32) -> Result<Vec<u8>, Status> {
    let memory = caller.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    let (at, len) = (at as usize, len as usize);
    let bytes = at.checked_add(len).and_then(|end| memory.data(caller).get(at..end));
    Ok(bytes.ok_or(Status::InvalidMemoryAccess)?.to_vec())
}

pub(super) fn write(caller: &mut Caller<'_>, at: u32, bytes: &[u8]) -> Result<(), Status> {
    let memory = caller.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    memory.write(caller, at as usize, bytes).map_err(|_| Status::InvalidMemoryAccess)
}

/// Returns bytes into memory that the filter allocates for them; nothing is
/// allocated for no bytes.
fn give(caller: &mut Caller<'_>, bytes: &[u8], data_out: u32, size_out: u32) -> Result<(), Stop> {
    let mut at = 0;
    if !bytes.is_empty() {
        let refused = enter(caller, Hostcall::MemoryAllocate).map_err(Stop::Trap)?;
        let allocate = caller.data().allocate.clone();
        let (None, Some(allocate)) = (refused, allocate) else {
            return Err(Status::InvalidMemoryAccess.into());
        };
        at = allocate.call(&mut *caller, bytes.len() as u32).map_err(Stop::Trap)?;
        if at == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        write(caller, at, bytes)?;
    }
    write(caller, data_out, &at.to_le_bytes())?;
    write(caller, size_out, &(bytes.len() as u32).to_le_bytes())?;
    Ok(())
}
