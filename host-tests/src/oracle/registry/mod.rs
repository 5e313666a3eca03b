//! The reference registry, with images under names that are easily taken for one another.
//!
//! Every image has a manifest and a blob of its own, so that an answer's digest tells where it was read. What was written
//! or deleted is seen on the disk.

mod named;
mod requests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::ask::Ask;
use super::directory;
use crate::stack::{Answer, Child, exchange, pick_port, start_open_registry};
use requests::{NAMES, blob, digest, manifest, put, upload_id, upload_state};

pub use named::{Named, Touched};
pub use requests::{seeds, strange};
pub use words::WORDS;

/// Longer than the registry takes for anything here.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running registry with its images.
pub struct Images {
    // Dropped in this order: the program before its files.
    _registry: Child,
    dir: TempDir,
    port: u16,
    /// Whose a digest is.
    owners: BTreeMap<String, usize>,
    /// The address of an upload that is under way for each name, in the place of its number.
    uploads: Vec<Upload>,
    /// The files of all names.
    files: Files,
}

/// An upload that is under way, as the registry calls it.
struct Upload {
    id: String,
    state: String,
}

/// A file's length and time.
type Files = BTreeMap<String, (u64, SystemTime)>;

impl Images {
    /// Starts a registry and fills it.
    ///
    /// # Errors
    /// It is not installed, does not start, or does not take an image.
    pub fn start() -> Result<Self> {
        let dir = directory("registry")?;
        let port = pick_port()?;
        let registry = start_open_registry(dir.path(), port)?;
        let mut images =
            Self { _registry: registry, dir, port, owners: BTreeMap::new(), uploads: Vec::new(), files: Files::new() };
        for number in 0..NAMES.len() {
            images.fill(number)?;
        }
        copy(&images.repositories(), &images.pristine())?;
        images.files = images.walk()?;
        Ok(images)
    }

    fn fill(&mut self, number: usize) -> Result<()> {
        let name = NAMES[number];
        let started = self.send(&Ask::new("POST", format!("/v2/{name}/blobs/uploads/")))?;
        let location = started.header("location").context("no address to upload to")?;
        let whole = format!("{}&digest={}", relative(location), digest(&blob(number)));
        self.expect(201, &Ask::new("PUT", whole).field("content-type", "application/octet-stream").body(blob(number)))?;
        self.expect(201, &put(number, "v1"))?;
        let started = self.send(&Ask::new("POST", format!("/v2/{name}/blobs/uploads/")))?;
        let location = started.header("location").context("no address to upload to")?;
        let (path, state) = relative(location).split_once("?_state=").context("no state of an upload")?;
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        self.uploads.push(Upload { id, state: state.to_owned() });
        self.owners.insert(digest(&blob(number)), number);
        self.owners.insert(digest(&manifest(number)), number);
        Ok(())
    }

    fn expect(&self, status: u16, ask: &Ask) -> Result<()> {
        let answer = self.send(ask)?;
        if answer.status != Some(status) {
            bail!("{ask}: expected {status}, found {answer:?}");
        }
        Ok(())
    }

    /// The request with the addresses of this registry's uploads. A seed has names for them that are the same in every
    /// run.
    #[must_use]
    pub fn address(&self, ask: &Ask) -> Ask {
        let mut ask = ask.clone();
        for (number, upload) in self.uploads.iter().enumerate() {
            ask.target =
                ask.target.replace(&upload_id(number), &upload.id).replace(&upload_state(number), &upload.state);
        }
        ask
    }

    /// Has the registry answer a request, tells what it did, and undoes it.
    ///
    /// After a redirect, and when nothing was found, the disk is not looked at, which takes most of the time of a run: a
    /// change would be told of a later request. A refused upload is looked at, for it may have stored its bytes.
    ///
    /// # Errors
    /// The registry is gone.
    pub fn ask(&mut self, ask: &Ask) -> Result<(Answer, Touched)> {
        let answer = self.send(ask)?;
        let mut touched = self.told(ask, &answer);
        let only_reads = matches!(ask.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if answer.status.is_some_and(|status| (300..400).contains(&status) || status >= 400 && only_reads) {
            return Ok((answer, touched));
        }
        let files = self.walk()?;
        let mut changed = BTreeSet::new();
        for path in files.keys().chain(self.files.keys()) {
            let (before, after) = (self.files.get(path), files.get(path));
            if before == after {
                continue;
            }
            // No part of a name begins like this.
            let (name, rest) = path.split_once("/_").context("a file of no repository")?;
            changed.insert(name.to_owned());
            // The registry keeps notes of its own on an upload, whatever is done with it.
            let is_upload = rest.starts_with("uploads/");
            let touched = match ask.method.as_str() {
                "GET" | "HEAD" if is_upload => &mut touched.read,
                "DELETE" if is_upload => &mut touched.deleted,
                _ if after.is_none() && !is_upload => &mut touched.deleted,
                _ => &mut touched.written,
            };
            touched.insert(name.to_owned());
        }
        for name in &changed {
            for part in ["_layers", "_manifests", "_uploads"] {
                let (here, pristine) =
                    (self.repositories().join(name).join(part), self.pristine().join(name).join(part));
                if here.exists() {
                    fs::remove_dir_all(&here)?;
                }
                if pristine.exists() {
                    copy(&pristine, &here)?;
                }
            }
        }
        if !changed.is_empty() {
            self.files = self.walk()?;
        }
        Ok((answer, touched))
    }

    /// What an answer tells.
    fn told(&self, ask: &Ask, answer: &Answer) -> Touched {
        let mut touched = Touched::default();
        if !answer.status.is_some_and(|status| (200..300).contains(&status)) {
            return touched;
        }
        if let Some(location) = answer.header("location") {
            let is_read = matches!(ask.method.as_str(), "GET" | "HEAD");
            if is_read { &mut touched.read } else { &mut touched.written }.extend(located(location));
        }
        let owner = answer.header("docker-content-digest").and_then(|digest| self.owners.get(digest));
        // What is not sent along, and yet is there afterwards, was read elsewhere: a mount.
        if ask.body.is_empty() {
            touched.read.extend(owner.map(|number| NAMES[*number].to_owned()));
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        touched.read.extend(body["name"].as_str().map(str::to_owned));
        touched.catalog = body["repositories"].is_array();
        touched
    }

    fn send(&self, ask: &Ask) -> Result<Answer> {
        let mut request =
            format!("{} {} HTTP/1.1\r\nhost: registry.example.com\r\nconnection: close\r\n", ask.method, ask.target);
        for (name, value) in &ask.fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", ask.body.len()));
        exchange(self.port, &[request.as_bytes(), &ask.body].concat(), PATIENCE)
    }

    fn repositories(&self) -> PathBuf {
        self.dir.path().join("registry/docker/registry/v2/repositories")
    }

    fn pristine(&self) -> PathBuf {
        self.dir.path().join("pristine")
    }

    fn walk(&self) -> Result<Files> {
        let mut files = Files::new();
        walk(&self.repositories(), "", &mut files)?;
        Ok(files)
    }
}

/// An address without scheme and host.
fn relative(location: &str) -> &str {
    location.find("/v2/").and_then(|at| location.get(at..)).unwrap_or(location)
}

/// The name in the address of something that was stored, or of an upload.
fn located(location: &str) -> Option<String> {
    let path = relative(location).split('?').next()?.strip_prefix("/v2/")?;
    let (path, last) = path.rsplit_once('/')?;
    let kinds: &[&str] = if last.contains(':') { &["/manifests", "/blobs"] } else { &["/blobs/uploads"] };
    kinds.iter().find_map(|kind| path.strip_suffix(kind)).map(str::to_owned)
}

fn walk(dir: &Path, name: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = format!("{name}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else {
            let metadata = entry.metadata()?;
            files.insert(path, (metadata.len(), metadata.modified()?));
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_the_name() {
        let located = |location| located(location).unwrap();
        assert_eq!(located("http://h/v2/g/blobs/uploads/blobs/uploads/0-0?_state=x/y"), "g/blobs/uploads");
        assert_eq!(located("http://h/v2/g/p/manifests/manifests/sha256:0"), "g/p/manifests");
        assert_eq!(located("/v2/g/p/blobs/sha256:0"), "g/p");
    }
}
