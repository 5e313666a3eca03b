//! The directory of one run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Place, signals};

/// A directory that is removed at the end, unless it is to be kept.
pub(super) struct RunDir {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl RunDir {
    pub(super) fn new(place: &Place) -> Result<Self> {
        match place {
            Place::Temporary => {
                let dir = tempfile::Builder::new().prefix("jobscope-").tempdir()?;
                signals::remove_at_end(dir.path());
                Ok(Self { path: dir.path().to_owned(), temporary: Some(dir) })
            }
            Place::At(path) => {
                if path.exists() {
                    fs::remove_dir_all(path).with_context(|| format!("cannot empty `{}`", path.display()))?;
                }
                fs::create_dir_all(path).with_context(|| format!("cannot make `{}`", path.display()))?;
                Ok(Self { path: path.clone(), temporary: None })
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn keep(&mut self) -> PathBuf {
        signals::keep(&self.path);
        if let Some(dir) = self.temporary.take() {
            return dir.keep();
        }
        self.path.clone()
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        signals::keep(&self.path);
    }
}
