//! The forge while it runs: the world, what changed in it, and where its state is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::airs::Airs;
use crate::git::Git;
use crate::id_tokens::IdTokens;
use crate::jobs::Jobs;
use crate::record::Record;
use crate::signer::Signer;
use world::{Project, User, World};

/// What the command line says about the forge.
pub struct Settings {
    /// What clients see, without a slash at the end and with the relative root.
    pub base: String,
    /// The relative root: empty, or a slash and a path.
    pub root: String,
    pub registry_service: String,
    pub issuer: String,
    pub state: PathBuf,
}

/// Everything a request may need.
pub struct Forge {
    pub settings: Settings,
    pub git: Git,
    pub signer: Signer,
    pub id_tokens: IdTokens,
    /// Main commits as the world has them, by project.
    pub heads: BTreeMap<u64, String>,
    world: RwLock<World>,
    jobs: Mutex<Jobs>,
    record: Mutex<Record>,
    fault: Mutex<Fault>,
    airs: Mutex<Airs>,
    releases: Mutex<BTreeMap<u64, Vec<Value>>>,
    pipelines: Mutex<Vec<Value>>,
    traces: Mutex<BTreeMap<u64, Vec<u8>>>,
    lfs_credentials: Mutex<BTreeMap<String, u64>>,
}

/// How the look-up routes misbehave, and the LFS batch.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub lookup: Misbehaviour,
    #[serde(default)]
    pub delay_ms: u64,
    /// Whether the answer to an LFS batch is cut off in the middle of its JSON.
    #[serde(default)]
    pub cut_batch: bool,
}

impl Fault {
    /// How long a slow answer takes.
    pub fn delay(self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// The ways to misbehave.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Misbehaviour {
    #[default]
    None,
    Slow,
    Nonsense,
    Unavailable,
    Hang,
    /// The connection ends half-way.
    Torn,
    /// What is right, and 4 MiB of white space.
    Long,
    /// What is right, and 32 MiB of white space.
    Enormous,
    /// Somebody between answers 401, in words that are not GitLab's.
    Intercepted,
    /// Each job is said to be another.
    Mistaken,
}

impl Forge {
    /// A forge that begins with this world.
    pub fn new(settings: Settings, world: World, heads: BTreeMap<u64, String>, git: Git, signer: Signer) -> Self {
        Self {
            settings,
            git,
            signer,
            id_tokens: IdTokens::default(),
            heads,
            jobs: Mutex::new(Jobs::of(&world)),
            world: RwLock::new(world),
            record: Mutex::default(),
            fault: Mutex::default(),
            airs: Mutex::default(),
            releases: Mutex::default(),
            pipelines: Mutex::default(),
            traces: Mutex::default(),
            lfs_credentials: Mutex::default(),
        }
    }

    /// The world.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, to change it.
    pub fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs.
    pub fn jobs(&self) -> MutexGuard<'_, Jobs> {
        locked(&self.jobs)
    }

    /// What was received.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        locked(&self.record)
    }

    /// How the look-up routes misbehave.
    pub fn fault(&self) -> MutexGuard<'_, Fault> {
        locked(&self.fault)
    }

    /// What it says of itself.
    pub fn airs(&self) -> MutexGuard<'_, Airs> {
        locked(&self.airs)
    }

    /// Releases, by project.
    pub fn releases(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<Value>>> {
        locked(&self.releases)
    }

    /// Pipelines that were triggered, oldest first.
    pub fn pipelines(&self) -> MutexGuard<'_, Vec<Value>> {
        locked(&self.pipelines)
    }

    /// What runners wrote, by job.
    pub fn traces(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<u8>>> {
        locked(&self.traces)
    }

    /// Passwords that were handed out for LFS, and the users that they stand for.
    pub fn lfs_credentials(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        locked(&self.lfs_credentials)
    }

    /// The project an API path means: an id, or a decoded full path.
    pub fn project(&self, id_or_path: &str) -> Option<Arc<Project>> {
        let world = self.world();
        let by_id = id_or_path.parse().ok().and_then(|id| world.project(id));
        by_id.or_else(|| world.project_at(id_or_path)).cloned()
    }

    /// The user with this id.
    pub fn user(&self, id: u64) -> Option<Arc<User>> {
        self.world().user(id).cloned()
    }

    /// An address as clients see it; `path` has no slash in front.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.base)
    }
}

// A request that panicked must not take the others with it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
