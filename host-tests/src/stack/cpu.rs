//! How long the system let something run, in its own count of nanoseconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// Of a process: of the threads that it has now.
pub(super) fn of_process(id: u32) -> Result<Duration> {
    let counted = |task: std::io::Result<fs::DirEntry>| match task.map(|task| task.path()) {
        // One may end while the others are counted.
        Ok(task) => of_task(&task).map(Some).or_else(|error| if task.exists() { Err(error) } else { Ok(None) }),
        Err(error) => Err(error.into()),
    };
    fs::read_dir(format!("/proc/{id}/task"))?.filter_map(|task| counted(task).transpose()).sum()
}

/// Of one thread, by [`this_thread`].
pub(crate) fn of_task(task: &Path) -> Result<Duration> {
    let file = task.join("schedstat");
    let text = fs::read_to_string(&file).with_context(|| format!("this kernel has no `{}`", file.display()))?;
    let nanoseconds = text.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanoseconds.parse().with_context(|| format!("no time in `{}`", file.display()))?))
}

/// Where the system keeps the count of the thread that asks.
pub(crate) fn this_thread() -> Result<PathBuf> {
    Ok(Path::new("/proc").join(fs::read_link("/proc/thread-self")?))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn who_works_has_run_for_longer() {
        let task = this_thread().unwrap();
        let before = (of_task(&task).unwrap(), of_process(std::process::id()).unwrap());
        let begin = Instant::now();
        while of_task(&task).unwrap() < before.0 + Duration::from_millis(10) {
            assert!(begin.elapsed() < Duration::from_secs(60), "no time is counted");
        }
        // Other threads of the test program may end meanwhile, and take their time with them; this one's is in it.
        let ending: Vec<_> = (0..200).map(|_| std::thread::spawn(|| ())).collect();
        assert!(of_process(std::process::id()).unwrap() >= Duration::from_millis(10), "{before:?}");
        ending.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
