//! Continuing and answering streams, calling clusters.

use std::time::Duration;

use wasmtime::{Extern, Linker};

use super::{Caller, Stop, read, run, world, write};
use crate::host::callout::{Callout, Endpoints};
use crate::host::hostcall::{Hostcall, Status};
use crate::host::maps::{self, HeaderMap};
use crate::host::options::Otherwise;
use crate::host::stream::{Reply, Side};
use crate::host::vm::{Export, VmData};
use crate::host::world::{Action, World};

pub(super) fn link(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    import!(linker, ContinueStream, |c, kind: u32| {
        continue_stream(&mut world(c), c.data().vm, kind)?;
        call_back_at_once(c, Export::RequestBody)
    });
    import!(linker, CloseStream, |c, kind: u32| {
        let vm = c.data().vm;
        let mut world = world(c);
        if kind > 3 {
            return Err(Status::BadArgument.into());
        }
        if let (0 | 1, Some(stream)) = (kind, world.acting_stream(vm)) {
            world.vms[vm].actions.push_back(Action::Reset(stream));
        }
        Ok(())
    });
    import!(linker, SendLocalResponse, |c,
                                        status: u32,
                                        details_at: u32,
                                        details_len: u32,
                                        body_at: u32,
                                        body_len: u32,
                                        headers_at: u32,
                                        headers_len: u32,
                                        _grpc_status: i32| {
        let details = String::from_utf8_lossy(&read(c, details_at, details_len)?).into_owned();
        let body = read(c, body_at, body_len)?;
        let headers = maps::decode(&read(c, headers_at, headers_len)?);
        let details = details.split_whitespace().collect::<Vec<_>>().join("_");
        let reply = Reply { status, headers, body, details };
        send_local_response(&mut world(c), c.data().vm, reply)?;
        call_back_at_once(c, Export::ResponseHeaders)
    });
    import!(linker, HttpCall, |c,
                               cluster_at: u32,
                               cluster_len: u32,
                               headers_at: u32,
                               headers_len: u32,
                               body_at: u32,
                               body_len: u32,
                               trailers_at: u32,
                               trailers_len: u32,
                               timeout: i32,
                               out: u32| {
        let cluster = String::from_utf8_lossy(&read(c, cluster_at, cluster_len)?).into_owned();
        let headers = HeaderMap::new(&maps::decode(&read(c, headers_at, headers_len)?));
        let body = read(c, body_at, body_len)?;
        read(c, trailers_at, trailers_len)?;
        let vm = c.data().vm;
        let token = http_call(&mut world(c), vm, cluster, headers, body, timeout)?;
        Ok(write(c, out, &token.to_le_bytes())?)
    });
    link_unused(linker)
}

/// What the SDK imports and the filter never calls.
fn link_unused(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    macro_rules! unimplemented_call {
        ($call:ident, $($argument:ident)*) => {
            linker.func_wrap("env", Hostcall::$call.name(), |mut c: Caller<'_>, $($argument: u32),*| {
                $(let _ = $argument;)*
                run(&mut c, Hostcall::$call, |_| Err(Status::Unimplemented.into()))
            })?;
        };
    }
    unimplemented_call!(GrpcCall, a b c1 d e f g h i j k l);
    unimplemented_call!(GrpcStream, a b c1 d e f g h i);
    unimplemented_call!(GrpcSend, a b c1 d);
    unimplemented_call!(GrpcCancel, a);
    unimplemented_call!(GrpcClose, a);
    unimplemented_call!(RegisterSharedQueue, a b c1);
    unimplemented_call!(ResolveSharedQueue, a b c1 d e);
    unimplemented_call!(DequeueSharedQueue, a b c1);
    unimplemented_call!(EnqueueSharedQueue, a b c1);
    unimplemented_call!(GetStatus, a b c1);
    Ok(())
}

/// Calls the filter back from within its own call, where the host does so: with the end of what this leads to.
fn call_back_at_once(c: &mut Caller<'_>, export: Export) -> Result<(), Stop> {
    let (nests, acting) = {
        let (world, vm) = (world(c), c.data().vm);
        (world.is(Otherwise::Nests), world.vms[vm].acting())
    };
    let called = c.get_export(export.name()).and_then(Extern::into_func).filter(|_| nests);
    let Some(called) = called else { return Ok(()) };
    let called = called.typed::<(u32, u32, u32), u32>(&*c).map_err(Stop::Trap)?;
    called.call(c, (acting, 0, 1)).map(drop).map_err(Stop::Trap)
}

fn continue_stream(world: &mut World, vm: usize, kind: u32) -> Result<(), Status> {
    let side = match kind {
        0 => Side::Request,
        1 => Side::Response,
        _ => return Err(Status::BadArgument),
    };
    // A root has nothing to continue, and is told that all is well.
    let Some(id) = world.acting_stream(vm) else {
        return Ok(());
    };
    world.vms[vm].actions.push_back(Action::Resume(id, side));
    if let Some(stream) = world.streams.get_mut(&id) {
        // At once, and whichever side continues: Envoy forgets the request here.
        stream.request.map_open = false;
        stream.request.chunk = None;
    }
    Ok(())
}

fn send_local_response(world: &mut World, vm: usize, reply: Reply) -> Result<(), Status> {
    // Even where there is nobody to answer.
    world.vms[vm].next_iteration_stopped = true;
    let Some(id) = world.acting_stream(vm) else {
        return Ok(());
    };
    let stream = world.streams.get_mut(&id).ok_or(Status::BadArgument)?;
    // It is answered once; nobody is told that another came too late.
    if !std::mem::replace(&mut stream.reply_sent, true) {
        world.vms[vm].actions.push_back(Action::Reply(id, reply));
    }
    Ok(())
}

fn http_call(
    world: &mut World,
    vm: usize,
    cluster: String,
    mut headers: HeaderMap,
    body: Vec<u8>,
    timeout: i32,
) -> Result<u32, Status> {
    let millis = u64::try_from(timeout).map_err(|_| Status::BadArgument)?;
    let endpoints = *world.options.clusters.get(&cluster).ok_or(Status::BadArgument)?;
    if [":method", ":path", ":authority"].iter().any(|name| headers.first(name.as_bytes()).is_none()) {
        return Err(Status::BadArgument);
    }
    if endpoints == Endpoints::None {
        return Err(Status::InternalFailure);
    }
    if !body.is_empty() {
        headers.set(b"content-length", body.len().to_string().as_bytes());
    }
    let timeout = (millis > 0).then(|| Duration::from_millis(millis));
    world.last_callout += 1;
    let callout = Callout {
        id: world.last_callout,
        worker: world.vms[vm].worker,
        cluster,
        headers: headers.pairs().to_vec(),
        body,
        timeout,
        vm,
        root: world.acting_root(vm),
        deadline: timeout.map(|timeout| world.now + timeout.as_nanos() as u64),
        begun: false,
    };
    world.callouts.insert(callout.id, callout);
    Ok(world.last_callout)
}
