//! What Rust's standard library imports from `wasi_snapshot_preview1`.

use wasmtime::Linker;

use super::hostcall::Hostcall;
use super::imports::{Caller, enter, read, world, write};
use super::vm::VmData;
use super::world::Level;

const MODULE: &str = "wasi_snapshot_preview1";
const OK: u32 = 0;
const EBADF: u32 = 8;
const EFAULT: u32 = 21;
const ENOENT: u32 = 44;
const ENOSYS: u32 = 52;
const ENOTSUP: u32 = 58;

pub(super) fn link(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        Hostcall::FdWrite.name(),
        |mut c: Caller<'_>, fd: u32, vectors: u32, count: u32, out: u32| {
            enter(&c, Hostcall::FdWrite)?;
            Ok(fd_write(&mut c, fd, vectors, count, out).unwrap_or(EFAULT))
        },
    )?;
    linker.func_wrap(MODULE, Hostcall::FdFdstatGet.name(), |mut c: Caller<'_>, fd: u32, out: u32| {
        enter(&c, Hostcall::FdFdstatGet)?;
        if !matches!(fd, 1 | 2) {
            return Ok(EBADF);
        }
        let mut stat = [0; 24];
        stat[8] = 64; // the right to write
        Ok(code(write(&mut c, out, &stat)))
    })?;
    linker.func_wrap(
        MODULE,
        Hostcall::ClockTimeGet.name(),
        |mut c: Caller<'_>, clock: u32, _precision: u64, out: u32| {
            enter(&c, Hostcall::ClockTimeGet)?;
            if clock > 1 {
                return Ok(ENOTSUP);
            }
            let now = world(&c).clock();
            Ok(code(write(&mut c, out, &now.to_le_bytes())))
        },
    )?;
    linker.func_wrap(MODULE, Hostcall::RandomGet.name(), |mut c: Caller<'_>, at: u32, len: u32| {
        enter(&c, Hostcall::RandomGet)?;
        let bytes: Vec<u8> = {
            let mut world = world(&c);
            (0..len).map(|_| world.random_byte()).collect()
        };
        Ok(code(write(&mut c, at, &bytes)))
    })?;
    linker.func_wrap(MODULE, Hostcall::ProcExit.name(), |c: Caller<'_>, status: u32| -> wasmtime::Result<()> {
        enter(&c, Hostcall::ProcExit)?;
        Err(wasmtime::Error::msg(format!("the filter exited with {status}")))
    })?;
    link_environment(linker)?;
    link_rest(linker)
}

fn code<E>(result: Result<(), E>) -> u32 {
    if result.is_ok() { OK } else { EFAULT }
}

fn fd_write(c: &mut Caller<'_>, fd: u32, vectors: u32, count: u32, out: u32) -> Option<u32> {
    let level = match fd {
        1 => Level::Info,
        2 => Level::Error,
        _ => return Some(EBADF),
    };
    let mut text = Vec::new();
    for index in 0..count {
        let vector = read(c, vectors.checked_add(index.checked_mul(8)?)?, 8).ok()?;
        let (at, len) = vector.split_at(4);
        let [at, len] = [at, len].map(|word| u32::from_le_bytes(word.try_into().unwrap_or_default()));
        text.extend(read(c, at, len).ok()?);
    }
    let written = text.len() as u32;
    if written > 0 {
        let line = String::from_utf8_lossy(&text).into_owned();
        let vm = c.data().vm;
        world(c).log(vm, level, line.strip_suffix('\n').unwrap_or(&line).to_owned());
    }
    write(c, out, &written.to_le_bytes()).ok()?;
    Some(OK)
}

/// The variables as C strings.
fn environment(c: &Caller<'_>) -> Vec<Vec<u8>> {
    let world = world(c);
    world.options.environment.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn link_environment(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        Hostcall::EnvironSizesGet.name(),
        |mut c: Caller<'_>, count_out: u32, size_out: u32| {
            enter(&c, Hostcall::EnvironSizesGet)?;
            let variables = environment(&c);
            let size: usize = variables.iter().map(Vec::len).sum();
            let done = write(&mut c, count_out, &(variables.len() as u32).to_le_bytes())
                .and_then(|()| write(&mut c, size_out, &(size as u32).to_le_bytes()));
            Ok(code(done))
        },
    )?;
    linker.func_wrap(MODULE, Hostcall::EnvironGet.name(), |mut c: Caller<'_>, mut list: u32, mut at: u32| {
        enter(&c, Hostcall::EnvironGet)?;
        for variable in environment(&c) {
            let done = write(&mut c, list, &at.to_le_bytes()).and_then(|()| write(&mut c, at, &variable));
            if done.is_err() {
                return Ok(EFAULT);
            }
            list += 4;
            at += variable.len() as u32;
        }
        Ok(OK)
    })?;
    linker.func_wrap(MODULE, Hostcall::ArgsSizesGet.name(), |mut c: Caller<'_>, count_out: u32, size_out: u32| {
        enter(&c, Hostcall::ArgsSizesGet)?;
        Ok(code(write(&mut c, count_out, &[0; 4]).and_then(|()| write(&mut c, size_out, &[0; 4]))))
    })?;
    Ok(())
}

/// Calls with one fixed answer.
fn link_rest(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    macro_rules! fixed {
        ($call:ident($($argument:ident: $kind:ty),*) = $code:expr) => {
            linker.func_wrap(MODULE, Hostcall::$call.name(), |c: Caller<'_>, $($argument: $kind),*| {
                $(let _ = $argument;)*
                enter(&c, Hostcall::$call)?;
                Ok($code)
            })?;
        };
    }
    fixed!(ArgsGet(a: u32, b: u32) = OK);
    fixed!(SchedYield() = OK);
    fixed!(FdRead(a: u32, b: u32, d: u32, e: u32) = ENOSYS);
    fixed!(FdSeek(a: u32, b: i64, d: u32, e: u32) = OK);
    fixed!(FdClose(a: u32) = OK);
    fixed!(FdPrestatGet(a: u32, b: u32) = EBADF);
    fixed!(FdPrestatDirName(a: u32, b: u32, d: u32) = ENOTSUP);
    fixed!(PathOpen(a: u32, b: u32, d: u32, e: u32, f: u32, g: u64, h: u64, i: u32, j: u32) = ENOENT);
    fixed!(PathFilestatGet(a: u32, b: u32, d: u32, e: u32, f: u32) = ENOTSUP);
    fixed!(PollOneoff(a: u32, b: u32, d: u32, e: u32) = ENOSYS);
    Ok(())
}
