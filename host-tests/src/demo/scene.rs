//! What `make run` sets up before anybody tries anything, and what it offers to try: the story's world, or somebody's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use policy::Config;
use world::World;

use super::client::Clients;
use super::image::{self, TAG};
use super::offers::{Addresses, offers};
use super::own::Own;
use super::play::prepare;
use super::story::{Offer, Step, Story};
use crate::stack::{LOOKUP_TOKEN, Stack, checkout};

/// Where the reference registry keeps the repositories that it stores in files.
const REPOSITORIES: &str = "registry/docker/registry/v2/repositories";

/// Prepares the story's world, and says what to try.
pub(super) fn of_story(story: Story, stack: &Stack) -> Result<Vec<Offer>> {
    let clients = Clients::new(story.credentials(&checkout())?, story.programs, stack)?;
    prepare(&story.before, &clients)?;
    let expanded = |offer: Offer| Offer { run: clients.expand(&offer.run), ..offer };
    Ok(story.offers.into_iter().map(expanded).collect())
}

/// Prepares somebody's own world, and says what to try.
pub(super) fn of_own(own: &Own, config: &Config, stack: &Stack) -> Result<Vec<Offer>> {
    let world = World::parse(&own.world.to_string()).context("the world that the demo made of the one it was given")?;
    let repositories: Vec<String> =
        world.projects.iter().filter_map(|project| image::repository(&project.path)).collect();
    if let Some((first, others)) = repositories.split_first() {
        push(first, stack)?;
        let stored = stack.dir().join(REPOSITORIES);
        // What a repository holds are links to what is stored once.
        others.iter().try_for_each(|other| copy(&stored.join(first), &stored.join(other)))?;
    }
    let addresses = Addresses { forge: stack.forge_host(), registry: stack.registry_host() };
    offers(config, &world, &addresses)
}

/// Pushes the image as the account that looks facts up, an administrator.
fn push(repository: &str, stack: &Stack) -> Result<()> {
    let clients = Clients::new(BTreeMap::new(), BTreeMap::new(), stack)?;
    let step = Step {
        say: "the image is pushed".to_owned(),
        run: format!(
            "skopeo copy --dest-creds demo:{} \"oci:$WORK/image:v1\" \"docker://$REGISTRY/{repository}:{TAG}\"",
            LOOKUP_TOKEN.1
        ),
        ..Step::default()
    };
    prepare(&[step], &clients)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
