//! The state directory: what a start makes there, and when a start may use what it finds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::repositories::{self, hexadecimal};
use world::World;

/// Changes whenever this program lays its state out differently.
const LAYOUT: &str = "1";

/// Says which world a state directory was made for. It is written last, so a start that
/// was interrupted is done again from nothing.
#[derive(Serialize, Deserialize)]
struct Manifest {
    world: String,
    heads: BTreeMap<u64, String>,
}

/// Makes the state of a world in `state`, or reuses it when it is of the same world.
/// Gives the main commit of each project as the world has it.
///
/// # Errors
/// When the directory cannot be written or git fails.
pub async fn prepare(world: &World, text: &str, state: &Path) -> Result<BTreeMap<u64, String>> {
    std::fs::create_dir_all(state).with_context(|| format!("cannot make the state directory `{}`", state.display()))?;
    let wanted = hexadecimal(&Sha256::digest(format!("{LAYOUT}\n{text}")));
    let manifest = state.join("manifest.json");
    if let Some(heads) = usable(&manifest, &wanted) {
        return Ok(heads);
    }
    let _ = std::fs::remove_file(&manifest);
    for old in ["repositories", "lfs", "packages", "artifacts"] {
        let old = state.join(old);
        if old.exists() {
            std::fs::remove_dir_all(&old).with_context(|| format!("cannot empty `{}`", old.display()))?;
        }
    }
    let heads = repositories::build(world, state).await?;
    packages(world, state)?;
    let written = serde_json::to_vec_pretty(&Manifest { world: wanted, heads: heads.clone() })?;
    std::fs::write(&manifest, written).with_context(|| format!("cannot write `{}`", manifest.display()))?;
    Ok(heads)
}

fn usable(manifest: &Path, wanted: &str) -> Option<BTreeMap<u64, String>> {
    let found: Manifest = serde_json::from_slice(&std::fs::read(manifest).ok()?).ok()?;
    (found.world == wanted).then_some(found.heads)
}

fn packages(world: &World, state: &Path) -> Result<()> {
    for project in &world.projects {
        for (file, content) in &project.generic_packages {
            let file = state.join("packages").join(project.id.to_string()).join(file);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&file, content).with_context(|| format!("cannot write `{}`", file.display()))?;
        }
    }
    Ok(())
}
