//! Header maps and buffers.

use wasmtime::Linker;

use super::{Caller, Stop, give, read, run, world};
use crate::host::hostcall::{Hostcall, Status};
use crate::host::maps::{self, HeaderMap};
use crate::host::stream::Side;
use crate::host::vm::VmData;
use crate::host::world::{LAST_MAP, World};

/// The highest buffer the ABI knows.
const LAST_BUFFER: u32 = 8;

pub(super) fn link(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    link_maps(linker)?;
    link_buffers(linker)
}

fn known_map(kind: u32) -> Result<(), Stop> {
    if kind > LAST_MAP { Err(Status::BadArgument.into()) } else { Ok(()) }
}

fn link_maps(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    import!(linker, GetMap, |c, kind: u32, data_out: u32, size_out: u32| {
        known_map(kind)?;
        // A map that is not there now looks empty, here and only here.
        let pairs = world(c).map(c.data().vm, kind).map(|map| maps::encode(map.pairs()));
        give(c, &pairs.unwrap_or_default(), data_out, size_out)
    });
    import!(linker, SetMap, |c, kind: u32, at: u32, len: u32| {
        known_map(kind)?;
        let pairs = maps::decode(&read(c, at, len)?);
        *world(c).map_mut(c.data().vm, kind)? = HeaderMap::new(&pairs);
        Ok(())
    });
    import!(linker, GetMapValue, |c, kind: u32, at: u32, len: u32, data_out: u32, size_out: u32| {
        known_map(kind)?;
        let name = read(c, at, len)?;
        let vm = c.data().vm;
        let value = value_of(&world(c), vm, kind, &name)?;
        give(c, &value, data_out, size_out)
    });
    import!(linker, AddMapValue, |c, kind: u32, at: u32, len: u32, value_at: u32, value_len: u32| {
        known_map(kind)?;
        let (name, value) = (read(c, at, len)?, read(c, value_at, value_len)?);
        world(c).map_mut(c.data().vm, kind)?.add(&name, &value);
        Ok(())
    });
    import!(linker, ReplaceMapValue, |c, kind: u32, at: u32, len: u32, value_at: u32, value_len: u32| {
        known_map(kind)?;
        let (name, value) = (read(c, at, len)?, read(c, value_at, value_len)?);
        world(c).map_mut(c.data().vm, kind)?.set(&name, &value);
        Ok(())
    });
    import!(linker, RemoveMapValue, |c, kind: u32, at: u32, len: u32| {
        known_map(kind)?;
        let name = read(c, at, len)?;
        world(c).map_mut(c.data().vm, kind)?.remove(&name);
        Ok(())
    });
    Ok(())
}

fn value_of(world: &World, vm: usize, kind: u32, name: &[u8]) -> Result<Vec<u8>, Status> {
    let Some(map) = world.map(vm, kind) else {
        // While the access log is written, a map may well be missing.
        let logging = world.vms[vm].logging.is_some();
        return Err(if logging { Status::NotFound } else { Status::BadArgument });
    };
    map.first(name).map(<[u8]>::to_vec).ok_or(Status::NotFound)
}

fn link_buffers(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    import!(linker, GetBuffer, |c, kind: u32, start: u32, max: u32, data_out: u32, size_out: u32| {
        let vm = c.data().vm;
        let buffer = buffer(&world(c), vm, kind)?;
        let (start, max) = (start as usize, max as usize);
        let end = buffer.len().min(start.saturating_add(max));
        // Nothing to give leaves the filter's own zeros in place.
        if start >= end { Ok(()) } else { give(c, &buffer[start..end], data_out, size_out) }
    });
    import!(linker, SetBuffer, |c, kind: u32, start: u32, len: u32, at: u32, size: u32| {
        let data = read(c, at, size)?;
        let vm = c.data().vm;
        set_buffer(&mut world(c), vm, kind, start as usize, len as usize, data)?;
        Ok(())
    });
    Ok(())
}

fn body_side(kind: u32) -> Option<Side> {
    match kind {
        0 => Some(Side::Request),
        1 => Some(Side::Response),
        _ => None,
    }
}

/// A buffer's bytes. A body is empty where there is none now, but never missing.
fn buffer(world: &World, vm: usize, kind: u32) -> Result<Vec<u8>, Status> {
    let record = &world.vms[vm];
    if kind > LAST_BUFFER {
        return Err(Status::BadArgument);
    }
    match kind {
        0 | 1 => {
            let body = world.acting_stream(vm).zip(body_side(kind));
            Ok(body.map(|(stream, side)| world.streams[&stream].way(side).body().to_vec()).unwrap_or_default())
        }
        4 => {
            let root = world.acting_root(vm);
            let call = record.call_response.as_ref().filter(|call| call.0 == root);
            call.map(|call| call.2.clone()).ok_or(Status::NotFound)
        }
        6 => Ok(world.options.vm_configuration.clone()),
        7 => record.configuration.clone().ok_or(Status::NotFound),
        _ => Err(Status::NotFound),
    }
}

/// Envoy can put something in the place of a body's first bytes, or behind it.
fn set_buffer(world: &mut World, vm: usize, kind: u32, start: usize, len: usize, data: Vec<u8>) -> Result<(), Status> {
    if kind > LAST_BUFFER {
        return Err(Status::BadArgument);
    }
    let side = body_side(kind).ok_or(Status::BadArgument)?;
    let stream = world.acting_stream(vm).ok_or(Status::BadArgument)?;
    let way = world.streams.get_mut(&stream).ok_or(Status::BadArgument)?.way_mut(side);
    let body = way.body_mut().ok_or(Status::BadArgument)?;
    if start == 0 {
        body.splice(..len.min(body.len()), data);
    } else if start >= body.len() {
        body.extend_from_slice(&data);
    } else {
        return Err(Status::BadArgument);
    }
    Ok(())
}
