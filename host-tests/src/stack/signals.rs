//! Nothing that this process started outlives it: an interrupt ends every child, and removes what was temporary.
//!
//! Children are in process groups of their own, so that a Ctrl-C reaches this process alone and the order of ending is
//! ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit code of a program that was interrupted.
pub const INTERRUPTED: i32 = 130;

/// How long a child may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(3);

struct Live {
    groups: Vec<Pid>,
    dirs: Vec<PathBuf>,
    last: Option<Box<dyn FnOnce() + Send>>,
}

static LIVE: Mutex<Live> = Mutex::new(Live { groups: Vec::new(), dirs: Vec::new(), last: None });

/// From now on SIGINT, SIGTERM and SIGHUP end all children and then this process, with `exit_code`. The first call
/// counts.
///
/// # Errors
///
/// When the system takes no handler.
pub fn end_children_on_signal(exit_code: i32) -> Result<()> {
    static INSTALLED: Once = Once::new();
    let mut result = Ok(());
    INSTALLED.call_once(|| {
        result = Signals::new([SIGINT, SIGTERM, SIGHUP]).map(|mut signals| {
            thread::spawn(move || {
                if signals.forever().next().is_some() {
                    let mut live = end_all();
                    if let Some(last) = live.last.take() {
                        last();
                    }
                    process::exit(exit_code);
                }
            });
        });
    });
    Ok(result?)
}

/// Has a signal do this last, when all children have ended. It must not start or end one.
pub fn before_exit(last: impl FnOnce() + Send + 'static) {
    live().last = Some(Box::new(last));
}

/// Who holds this, nobody starts or ends a child meanwhile.
fn live() -> MutexGuard<'static, Live> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child through `spawn`, and remembers its group.
pub(crate) fn spawn(command: &mut process::Command) -> std::io::Result<process::Child> {
    // Locked over the spawn: a signal in between would miss the child.
    let mut live = live();
    let child = std::os::unix::process::CommandExt::process_group(command, 0).spawn()?;
    live.groups.push(Pid::from_child(&child));
    Ok(child)
}

/// Ends a child and whatever it started.
pub(crate) fn end(child: &mut process::Child) {
    let pid = Pid::from_child(child);
    let _ = kill_process(pid, Signal::TERM);
    await_exit(pid, Instant::now() + PATIENCE);
    let _ = reap(child);
}

/// Waits for a child that ends by itself, and ends whatever it left behind.
pub(crate) fn wait(child: &mut process::Child) -> std::io::Result<process::ExitStatus> {
    waitid(WaitId::Pid(Pid::from_child(child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    reap(child)
}

/// Takes leave of a child that has ended, or ends it now, with whatever it left behind.
pub(crate) fn reap(child: &mut process::Child) -> std::io::Result<process::ExitStatus> {
    let pid = Pid::from_child(child);
    let mut live = live();
    if live.groups.contains(&pid) {
        // Not yet waited for, so the id is still this child's: the group cannot be somebody else's.
        let _ = kill_process_group(pid, Signal::KILL);
        live.groups.retain(|group| *group != pid);
    }
    child.wait()
}

fn await_exit(pid: Pid, deadline: Instant) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while let Ok(None) = waitid(WaitId::Pid(pid), options) {
        if Instant::now() > deadline {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Has this child ended? It stays unreaped, so that its id stays its own.
pub(crate) fn has_ended(child: &process::Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

/// Removes `dir` when a signal ends this process.
pub(super) fn remove_at_end(dir: &Path) {
    live().dirs.push(dir.to_owned());
}

/// Leaves `dir` alone after all.
pub(super) fn keep(dir: &Path) {
    live().dirs.retain(|known| known != dir);
}

/// Stays locked: who notices that a child has ended, and takes leave of the others, waits until this process ends too.
fn end_all() -> MutexGuard<'static, Live> {
    let live = live();
    // The last that was started asks those before it.
    for group in live.groups.iter().rev() {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    let deadline = Instant::now() + PATIENCE;
    for group in live.groups.iter().rev() {
        await_exit(*group, deadline);
        let _ = kill_process_group(*group, Signal::KILL);
    }
    for dir in &live.dirs {
        let _ = fs::remove_dir_all(dir);
    }
    live
}
