//! Shared data, metrics.

use wasmtime::Linker;

use super::{Caller, give, read, run, world, write};
use crate::host::hostcall::{Hostcall, Status};
use crate::host::options::Otherwise;
use crate::host::vm::VmData;

pub(super) fn link(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    link_shared_data(linker)?;
    link_metrics(linker)
}

fn link_shared_data(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    import!(linker, GetSharedData, |c, at: u32, len: u32, data_out: u32, size_out: u32, cas_out: u32| {
        let key = read(c, at, len)?;
        let found = {
            let world = world(c);
            let found = world.shared_data.get(&key).filter(|_| !world.is(Otherwise::ForgetsRows));
            found.map(|(value, cas)| (value.to_vec(), cas))
        };
        let (value, cas) = found.ok_or(Status::NotFound)?;
        give(c, &value, data_out, size_out)?;
        Ok(write(c, cas_out, &cas.to_le_bytes())?)
    });
    import!(linker, SetSharedData, |c, at: u32, len: u32, value_at: u32, value_len: u32, cas: u32| {
        let (key, value) = (read(c, at, len)?, read(c, value_at, value_len)?);
        let mut world = world(c);
        let cas = if world.is(Otherwise::Overwrites) { 0 } else { cas };
        Ok(world.shared_data.set(&key, &value, cas)?)
    });
    Ok(())
}

fn link_metrics(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    import!(linker, DefineMetric, |c, kind: u32, at: u32, len: u32, out: u32| {
        let name = String::from_utf8_lossy(&read(c, at, len)?).into_owned();
        let vm = c.data().vm;
        let id = {
            let world = &mut *world(c);
            world.metrics.define(&mut world.vms[vm].metric_ids, kind, &name)?
        };
        Ok(write(c, out, &id.to_le_bytes())?)
    });
    import!(linker, IncrementMetric, |c, id: u32, offset: i64| {
        let world = &mut *world(c);
        Ok(world.metrics.increment(&world.vms[c.data().vm].metric_ids, id, offset)?)
    });
    import!(linker, RecordMetric, |c, id: u32, value: u64| {
        let world = &mut *world(c);
        Ok(world.metrics.record(&world.vms[c.data().vm].metric_ids, id, value)?)
    });
    Ok(())
}
