//! Logs, time, properties, contexts.

use std::collections::btree_map::Entry;
use std::time::Duration;

use prost::encoding::decode_varint;
use wasmtime::Linker;

use super::{Caller, give, read, run, world, write};
use crate::host::hostcall::{Hostcall, Status};
use crate::host::maps::HeaderMap;
use crate::host::options::Otherwise;
use crate::host::stream::StreamId;
use crate::host::vm::VmData;
use crate::host::world::{Action, Level, World};

pub(super) fn link(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    import!(linker, Log, |c, level: u32, at: u32, len: u32| {
        let level = Level::from_abi(level).ok_or(Status::BadArgument)?;
        let text = String::from_utf8_lossy(&read(c, at, len)?).into_owned();
        let vm = c.data().vm;
        world(c).log(vm, level, text);
        Ok(())
    });
    import!(linker, GetCurrentTime, |c, out: u32| {
        let now = world(c).clock();
        Ok(write(c, out, &now.to_le_bytes())?)
    });
    import!(linker, SetTickPeriod, |c, millis: u32| {
        let vm = c.data().vm;
        let mut world = world(c);
        let (now, id) = (world.now, world.acting_root(vm));
        let never = world.is(Otherwise::NeverTicks);
        if let Some(root) = world.vms[vm].roots.get_mut(&id) {
            root.period = Duration::from_millis(if never { 0 } else { millis.into() }).as_nanos() as u64;
            root.due = (root.period > 0).then_some(now + root.period);
        }
        Ok(())
    });
    import!(linker, GetProperty, |c, at: u32, len: u32, data_out: u32, size_out: u32| {
        let path = read(c, at, len)?;
        let vm = c.data().vm;
        let value = property(&world(c), vm, &path).ok_or(Status::NotFound)?;
        give(c, &value, data_out, size_out)
    });
    import!(linker, SetProperty, |c, at: u32, len: u32, value_at: u32, value_len: u32| {
        let path = String::from_utf8_lossy(&read(c, at, len)?).into_owned();
        let value = read(c, value_at, value_len)?;
        let vm = c.data().vm;
        let mut world = world(c);
        let stream = world.acting_stream(vm).ok_or(Status::NotFound)?;
        let stream = world.streams.get_mut(&stream).ok_or(Status::NotFound)?;
        stream.properties.insert(path, value);
        Ok(())
    });
    import!(linker, CallForeignFunction, |c,
                                          name_at: u32,
                                          name_len: u32,
                                          arguments_at: u32,
                                          arguments_len: u32,
                                          _data_out: u32,
                                          _size_out: u32| {
        let vm = c.data().vm;
        match &*read(c, name_at, name_len)? {
            b"declare_property" => {
                let (name, schema) = declaration(&read(c, arguments_at, arguments_len)?).ok_or(Status::BadArgument)?;
                let record = &mut world(c).vms[vm];
                // In a request's callback it is this request's own affair, and nothing comes of it.
                match record.declared.entry((record.current, name)) {
                    Entry::Occupied(_) => Err(Status::BadArgument.into()),
                    Entry::Vacant(place) => {
                        place.insert(schema);
                        Ok(())
                    }
                }
            }
            b"clear_route_cache" => {
                choose_route(&mut world(c), vm);
                Ok(())
            }
            _ => Err(Status::NotFound.into()),
        }
    });
    import!(linker, SetEffectiveContext, |c, id: u32| {
        let vm = c.data().vm;
        let mut world = world(c);
        if world.is(Otherwise::ActsForAny) {
            return Ok(());
        }
        let record = &mut world.vms[vm];
        // 0 is the VM's own context, and always there.
        if id != 0 && !record.contexts.contains_key(&id) {
            return Err(Status::BadArgument.into());
        }
        record.effective = id;
        Ok(())
    });
    import!(linker, Done, |c| {
        let vm = c.data().vm;
        let record = &mut world(c).vms[vm];
        let id = record.acting();
        let root = record.roots.get_mut(&id).filter(|root| root.pending).ok_or(Status::NotFound)?;
        root.pending = false;
        record.actions.push_back(Action::DeleteRoot(id));
        Ok(())
    });
    Ok(())
}

/// The name and the type of a property that holds messages, of a `DeclarePropertyArguments`.
fn declaration(mut bytes: &[u8]) -> Option<(String, String)> {
    let (mut name, mut schema, mut kind) = (Vec::new(), Vec::new(), 0);
    while !bytes.is_empty() {
        let (field, number) = (decode_varint(&mut bytes).ok()?, decode_varint(&mut bytes).ok()?);
        match field {
            0x0a => name.extend(bytes.split_off(..usize::try_from(number).ok()?)?),
            0x22 => schema.extend(bytes.split_off(..usize::try_from(number).ok()?)?),
            0x18 => kind = number,
            _ => return None,
        }
    }
    (kind == 3).then_some((String::from_utf8(name).ok()?, String::from_utf8(schema).ok()?))
}

/// A property that the acting context can read. The path's parts are divided by
/// zeros in the ABI; here by dots.
fn property(world: &World, vm: usize, path: &[u8]) -> Option<Vec<u8>> {
    let path = String::from_utf8_lossy(path).trim_end_matches('\0').replace('\0', ".");
    match path.as_str() {
        "plugin_name" | "plugin_root_id" | "plugin_vm_id" => return Some(b"jobscope".to_vec()),
        "xds.node.user_agent_name" => return Some(b"test-host".to_vec()),
        _ => {}
    }
    let id = world.acting_stream(vm)?;
    let stream = &world.streams[&id];
    let own = path.strip_prefix("filter_state.wasm.").unwrap_or(&path);
    stream.readable.get(&path).or_else(|| stream.properties.get(own)).cloned().or_else(|| derived(world, vm, id, &path))
}

/// Properties that follow from the messages; the request's are there as long as
/// its headers are.
fn derived(world: &World, vm: usize, id: StreamId, path: &str) -> Option<Vec<u8>> {
    let stream = &world.streams[&id];
    if path == "response.code" {
        let status = stream.response.headers.as_ref()?.first(b":status")?;
        let status: i64 = std::str::from_utf8(status).ok()?.parse().ok()?;
        return Some(status.to_le_bytes().to_vec());
    }
    let open = stream.request.map_open || world.vms[vm].logging == Some(id);
    let headers = stream.request.headers.as_ref().filter(|_| open);
    if path == "request.total_size" {
        let size = headers.map_or(0, HeaderMap::byte_size) + stream.request.came;
        return Some((size as u64).to_le_bytes().to_vec());
    }
    let headers = headers?;
    let first = |name: &str| headers.first(name.as_bytes()).map(<[u8]>::to_vec);
    match path {
        "request.path" => first(":path"),
        "request.url_path" => {
            let path = first(":path")?;
            let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
            Some(path[..end].to_vec())
        }
        "request.host" => first(":authority"),
        "request.method" => first(":method"),
        "request.scheme" => first(":scheme"),
        "request.id" => first("x-request-id"),
        "request.protocol" => Some(b"HTTP/1.1".to_vec()),
        _ => first(path.strip_prefix("request.headers.")?),
    }
}

/// The route was chosen before the filter saw the request, by the head that the client sent. Where there is none, none is
/// chosen.
fn choose_route(world: &mut World, vm: usize) {
    if let Some(stream) = world.acting_stream(vm).and_then(|stream| world.streams.get_mut(&stream)) {
        stream.routed_by.clone_from(&stream.request.headers);
    }
}
