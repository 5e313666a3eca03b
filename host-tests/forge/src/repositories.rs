//! The real bare repositories of a world, made with `git fast-import`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::git::{self, IDENTITY};
use world::{Project, Repository, World};

/// What git reads from every repository of the forge.
const CONFIGURATION: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[http]
\treceivepack = true
[uploadpack]
\tallowReachableSHA1InWant = true
[receive]
\tautogc = false
[gc]
\tauto = 0
";

/// Where a project's repository is.
pub fn folder(state: &Path, project: &Project) -> PathBuf {
    state.join("repositories").join(format!("{}.git", project.path))
}

/// Where an LFS object of a project is.
pub fn lfs_object(state: &Path, project: u64, oid: &str) -> PathBuf {
    state.join("lfs").join(project.to_string()).join(oid)
}

/// Makes all repositories and LFS objects of the world; gives the main commit of each
/// project, by project id.
///
/// # Errors
/// When submodules go round in a circle, or git or the disk fails.
pub async fn build(world: &World, state: &Path) -> Result<BTreeMap<u64, String>> {
    let mut heads = BTreeMap::new();
    let mut waiting: Vec<&Project> = world.projects.iter().map(AsRef::as_ref).collect();
    while !waiting.is_empty() {
        // A gitlink names a commit: the projects it points at come first.
        let (ready, later): (Vec<&Project>, Vec<&Project>) =
            waiting.into_iter().partition(|project| submodules_exist(project, &heads));
        if ready.is_empty() {
            let circle: Vec<&str> = later.iter().map(|project| project.path.as_str()).collect();
            bail!("expected submodules that end somewhere, found a circle among {circle:?}");
        }
        let made = ready.iter().map(|project| create(project, state, &heads));
        let made = futures_util::future::try_join_all(made).await?;
        heads.extend(ready.iter().map(|project| project.id).zip(made));
        waiting = later;
    }
    Ok(heads)
}

fn submodules_exist(project: &Project, heads: &BTreeMap<u64, String>) -> bool {
    project.repository.submodules.values().all(|submodule| heads.contains_key(&submodule.project))
}

async fn create(project: &Project, state: &Path, heads: &BTreeMap<u64, String>) -> Result<String> {
    let folder = folder(state, project);
    // What `git init --bare` makes, without starting git for it.
    for below in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        std::fs::create_dir_all(folder.join(below))
            .with_context(|| format!("cannot make `{}`", folder.join(below).display()))?;
    }
    std::fs::write(folder.join("HEAD"), "ref: refs/heads/main\n")?;
    std::fs::write(folder.join("config"), CONFIGURATION)?;
    for content in project.repository.lfs.values() {
        let object = lfs_object(state, project.id, &oid(content));
        if let Some(parent) = object.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&object, content)?;
    }
    let stream = stream(&project.repository, heads)?;
    git::run(&folder, &["fast-import", "--quiet"], stream)
        .await
        .with_context(|| format!("cannot fill the repository of `{}`", project.path))?;
    git::run(&folder, &["rev-parse", "refs/heads/main"], Vec::new()).await
}

/// The one commit of a repository, in fast-import's language.
fn stream(repository: &Repository, heads: &BTreeMap<u64, String>) -> Result<Vec<u8>> {
    let mut out = format!("commit refs/heads/main\nauthor {IDENTITY}\ncommitter {IDENTITY}\ndata 8\nthe main\n");
    for (path, content) in files(repository) {
        let mode = if path.ends_with(".sh") { "100755" } else { "100644" };
        out.push_str(&format!("M {mode} inline {path}\ndata {}\n{content}\n", content.len()));
    }
    for (path, submodule) in &repository.submodules {
        let head = heads.get(&submodule.project).context("a submodule was not made yet")?;
        out.push_str(&format!("M 160000 {head} {path}\n"));
    }
    out.push_str("done\n");
    Ok(out.into_bytes())
}

/// The world's files and those that submodules and LFS need.
fn files(repository: &Repository) -> BTreeMap<&str, String> {
    let mut files: BTreeMap<&str, String> =
        repository.files.iter().map(|(path, content)| (path.as_str(), content.clone())).collect();
    for (path, submodule) in &repository.submodules {
        let url = &submodule.url;
        let entry = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
        files.entry(".gitmodules").or_default().push_str(&entry);
    }
    for (path, content) in &repository.lfs {
        let attribute = format!("{path} filter=lfs diff=lfs merge=lfs -text\n");
        files.entry(".gitattributes").or_default().push_str(&attribute);
        files.insert(path, pointer(content));
    }
    files
}

/// The text git keeps in the place of an LFS object.
fn pointer(content: &str) -> String {
    let (oid, size) = (oid(content), content.len());
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
}

/// The name of an LFS object: its SHA-256 in hexadecimal.
fn oid(content: &str) -> String {
    hexadecimal(&Sha256::digest(content.as_bytes()))
}

/// Bytes as lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
