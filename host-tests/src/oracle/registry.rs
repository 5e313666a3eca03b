//! The reference registry, with images under names that are easily taken for one another.
//!
//! Every image has a manifest and a blob of its own, so that an answer's digest tells where it was read. What was written
//! or deleted is seen on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use policy::request::{Access, Action, JobRequest, Reading, TargetRef};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::ask::Ask;
use super::directory;
use super::mutation::Words;
use crate::stack::{Answer, Child, exchange, pick_port, start_open_registry};

/// Longer than the registry takes for anything here.
const PATIENCE: Duration = Duration::from_secs(10);
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Names that hold each other, and the words of the registry's own routes.
const NAMES: [&str; 20] = [
    "g/p",
    "g/p/img",
    "g/p/img/x",
    "g/pp",
    "g/p-p",
    "g/p.p",
    "g/p__p",
    "g/s/p",
    "h/p",
    "v2/g/p",
    "manifests/v1",
    "g/p/manifests",
    "g/p/manifests/v1",
    "g/p/blobs",
    "g/p/blobs/uploads",
    "g/p/tags",
    "g/p/tags/list",
    "g/p/referrers",
    "g/manifests/blobs",
    "g/blobs/uploads",
];

/// What a request of the registry is changed with.
pub const WORDS: Words = Words {
    segments: &[
        "g",
        "h",
        "p",
        "s",
        "pp",
        "img",
        "v1",
        "v2",
        "g/p",
        "g/s/p",
        "h/p",
        "manifests",
        "blobs",
        "uploads",
        "tags",
        "list",
        "referrers",
        "tags/list",
        "blobs/uploads",
        "manifests/v1",
        "_catalog",
        "_layers",
        "_manifests",
        "P",
        "p_",
        "p..p",
        "x",
        "new",
        "g/new",
        "latest",
        "sha256:0",
        "sha512",
    ],
    swaps: &[
        ("p", "pp"),
        ("p", "P"),
        ("g/", "h/"),
        ("g/", "g/s/"),
        ("/p", ""),
        ("manifests", "blobs"),
        ("blobs", "manifests"),
        ("manifests", "referrers"),
        ("uploads", "tags"),
        ("uploads/", "uploads"),
        ("v1", "v2"),
        ("sha256:", "sha256%3A"),
        ("sha256:", "sha512:"),
        ("sha256:", "v1@sha256:"),
        ("sha256:", ""),
        ("00000000-0000-4000-8000-0000000000", "00000000-0000-4000-8000-1000000000"),
    ],
    pairs: &[
        "from=h/p",
        "from=g/p",
        "from=g/p/img",
        "from=g%2Fp",
        "from=",
        "mount=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "mount=",
        "n=1",
        "last=v0",
        "digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "_state=state-03-",
        "ns=docker.io",
        "From=h/p",
        "",
    ],
    methods: &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "get", "OPTIONS"],
    media: &[
        MANIFEST,
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ],
};

/// What the registry did, by the names of its repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Whose contents an answer tells.
    pub read: BTreeSet<String>,
    /// Where something was stored, or is about to be.
    pub written: BTreeSet<String>,
    /// Where something is no more.
    pub deleted: BTreeSet<String>,
    /// Whether all names were told.
    pub catalog: bool,
}

impl Touched {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What the filter says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It refuses it.
    Refused,
    /// It asks for these.
    Accesses(Vec<Access>),
}

impl Named {
    /// What a reading says of the registry.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        match reading {
            Reading::Job(JobRequest { accesses, .. }) => Self::Accesses(accesses.clone()),
            _ => Self::Refused,
        }
    }

    /// Whether everything that the registry touched is named, with what was done to it.
    #[must_use]
    pub fn agrees(&self, touched: &Touched) -> bool {
        let Self::Accesses(accesses) = self else { return true };
        let is_named = |action: Action, name: &String| {
            let candidates = candidates(name);
            accesses.iter().any(|access| {
                let TargetRef::Image(named) = &access.target else { return false };
                access.action == action && named.iter().map(|path| path.as_str()).eq(candidates.iter().copied())
            })
        };
        touched.read.iter().all(|name| is_named(Action::PullImage, name))
            && touched.written.iter().all(|name| is_named(Action::PushImage, name))
            && touched.deleted.iter().all(|name| is_named(Action::DeleteImage, name))
            && (!touched.catalog || accesses.iter().any(|access| access.action == Action::Catalog))
    }

    /// The same without the access at this place, which cannot be enough.
    #[must_use]
    pub fn without(&self, at: usize) -> Option<Self> {
        let Self::Accesses(accesses) = self else { return None };
        let mut fewer = accesses.clone();
        (at < fewer.len()).then(|| {
            fewer.remove(at);
            Self::Accesses(fewer)
        })
    }

    /// The same with each image below the one that is named.
    #[must_use]
    pub fn mistaken(&self) -> Self {
        let Self::Accesses(accesses) = self else { return self.clone() };
        let below = |target: &TargetRef| match target {
            TargetRef::Image(paths) => TargetRef::Image(paths.iter().skip(1).cloned().collect()),
            other => other.clone(),
        };
        Self::Accesses(accesses.iter().map(|access| Access::new(access.action, below(&access.target))).collect())
    }
}

/// The projects that an image's name can mean, longest first: the name, and without one or two parts. A project's path
/// has two parts at least.
fn candidates(name: &str) -> Vec<&str> {
    let shorter = |name: &&str| name.rsplit_once('/').map(|(parent, _)| parent.len());
    let names = std::iter::successors(Some(name), |longer| name.get(..shorter(longer)?));
    names.take(3).filter(|name| name.contains('/')).collect()
}

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
        self.expect(201, &Self::put(number, "v1"))?;
        let started = self.send(&Ask::new("POST", format!("/v2/{name}/blobs/uploads/")))?;
        let location = started.header("location").context("no address to upload to")?;
        let (path, state) = relative(location).split_once("?_state=").context("no state of an upload")?;
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        self.uploads.push(Upload { id, state: state.to_owned() });
        self.owners.insert(digest(&blob(number)), number);
        self.owners.insert(digest(&manifest(number)), number);
        Ok(())
    }

    fn put(number: usize, reference: &str) -> Ask {
        Ask::new("PUT", format!("/v2/{}/manifests/{reference}", NAMES[number]))
            .field("content-type", MANIFEST)
            .body(manifest(number))
    }

    fn expect(&self, status: u16, ask: &Ask) -> Result<()> {
        let answer = self.send(ask)?;
        if answer.status != Some(status) {
            bail!("{ask}: expected {status}, found {answer:?}");
        }
        Ok(())
    }

    /// Every request that a client sends to every image, with what it touches there.
    #[must_use]
    pub fn seeds() -> Vec<(Touched, Ask)> {
        let mut seeds: Vec<(Touched, Ask)> = (0..NAMES.len()).flat_map(seeds_of).collect();
        let catalog = Touched { catalog: true, ..Touched::default() };
        seeds.push((catalog.clone(), Ask::new("GET", "/v2/_catalog")));
        seeds.push((catalog, Ask::new("GET", "/v2/_catalog?n=2&last=g/p")));
        seeds.push((Touched::default(), Ask::new("GET", "/v2/")));
        seeds
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

fn seeds_of(number: usize) -> Vec<(Touched, Ask)> {
    let name = NAMES[number];
    let at = |rest: String| format!("/v2/{name}/{rest}");
    let here = || BTreeSet::from([name.to_owned()]);
    let read = || Touched { read: here(), ..Touched::default() };
    let written = || Touched { written: here(), ..Touched::default() };
    let deleted = || Touched { deleted: here(), ..Touched::default() };
    let (blob_digest, manifest_digest) = (digest(&blob(number)), digest(&manifest(number)));
    let upload = at(format!("blobs/uploads/{}?_state={}", upload_id(number), upload_state(number)));
    let octets = |ask: Ask| ask.field("content-type", "application/octet-stream").body(blob(number));
    let mut seeds = vec![
        (read(), Ask::new("GET", at("tags/list".into()))),
        (read(), Ask::new("GET", at("tags/list?n=1&last=a".into()))),
        (written(), Images::put(number, "v2")),
        (written(), Images::put(number, &manifest_digest)),
        (deleted(), Ask::new("DELETE", at(format!("manifests/{manifest_digest}")))),
        // This registry deletes no tags, and knows no referrers.
        (Touched::default(), Ask::new("DELETE", at("manifests/v1".into()))),
        (Touched::default(), Ask::new("GET", at(format!("referrers/{manifest_digest}")))),
        (deleted(), Ask::new("DELETE", at(format!("blobs/{blob_digest}")))),
        (written(), Ask::new("POST", at("blobs/uploads/".into()))),
        (written(), octets(Ask::new("POST", at(format!("blobs/uploads/?digest={blob_digest}"))))),
        (written(), Ask::new("POST", at(format!("blobs/uploads/?mount={blob_digest}")))),
        (read(), Ask::new("GET", upload.as_str())),
        (read(), Ask::new("HEAD", upload.as_str())),
        (written(), octets(Ask::new("PATCH", upload.as_str()))),
        (written(), octets(Ask::new("PUT", format!("{upload}&digest={blob_digest}")))),
        (deleted(), Ask::new("DELETE", upload)),
    ];
    for method in ["GET", "HEAD"] {
        for rest in ["manifests/v1".into(), format!("manifests/{manifest_digest}"), format!("blobs/{blob_digest}")] {
            seeds.push((read(), Ask::new(method, at(rest)).field("accept", MANIFEST)));
        }
    }
    for step in [1, 7] {
        let other = (number + step) % NAMES.len();
        let mount = format!("mount={}&from={}", digest(&blob(other)), NAMES[other]);
        let mounted = Touched { read: BTreeSet::from([NAMES[other].to_owned()]), ..written() };
        seeds.push((mounted.clone(), Ask::new("POST", at(format!("blobs/uploads/?{mount}")))));
    }
    seeds
}

/// Requests that no client sends, with what they touch: a mount in a form.
#[must_use]
pub fn strange() -> Vec<Ask> {
    (0..NAMES.len())
        .map(|number| {
            let other = (number + 1) % NAMES.len();
            Ask::new("POST", format!("/v2/{}/blobs/uploads/", NAMES[number]))
                .field("content-type", "application/x-www-form-urlencoded")
                .body(format!("mount={}&from={}", digest(&blob(other)), NAMES[other]))
        })
        .collect()
}

fn upload_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02}")
}

fn upload_state(number: usize) -> String {
    format!("state-{number:02}-")
}

fn blob(number: usize) -> String {
    format!("{{\"number\":{number}}}")
}

fn manifest(number: usize) -> String {
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest(&blob(number)),
        "size": blob(number).len(),
    });
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).to_string()
}

fn digest(content: &str) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
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
    use policy::facts::ProjectPath;

    fn named(action: Action, paths: &[&str]) -> Access {
        Access::new(action, TargetRef::Image(paths.iter().map(|path| ProjectPath::parse(path).unwrap()).collect()))
    }

    fn read(name: &str) -> Touched {
        Touched { read: BTreeSet::from([name.into()]), ..Touched::default() }
    }

    #[test]
    fn another_name_or_action_is_noticed() {
        let right = Named::Accesses(vec![named(Action::PullImage, &["g/p/img", "g/p"])]);
        assert!(right.agrees(&read("g/p/img")) && right.agrees(&Touched::default()));
        assert!(!right.agrees(&read("g/p")) && !right.agrees(&read("h/p/img")));
        assert!(!right.agrees(&Touched { written: BTreeSet::from(["g/p/img".into()]), ..Touched::default() }));
        assert!(!right.agrees(&Touched { deleted: BTreeSet::from(["g/p/img".into()]), ..read("g/p/img") }));
        assert!(!right.agrees(&Touched { catalog: true, ..Touched::default() }));
        assert!(!right.mistaken().agrees(&read("g/p/img")));
        assert!(!right.without(0).unwrap().agrees(&read("g/p/img")) && right.without(1).is_none());
    }

    #[test]
    fn an_address_tells_the_name() {
        let located = |location| located(location).unwrap();
        assert_eq!(located("http://h/v2/g/blobs/uploads/blobs/uploads/0-0?_state=x/y"), "g/blobs/uploads");
        assert_eq!(located("http://h/v2/g/p/manifests/manifests/sha256:0"), "g/p/manifests");
        assert_eq!(located("/v2/g/p/blobs/sha256:0"), "g/p");
    }
}
