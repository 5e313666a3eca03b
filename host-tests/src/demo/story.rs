//! The stories and `world.yaml` of `envoy/demo`: what was written, read strictly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::stack::Stack;

/// The story of the demo.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Names of variables, and the jobs whose tokens they hold.
    pub jobs: BTreeMap<String, u64>,
    /// Prefixes of variables (`DANA`), and the people whose `_TOKEN` and `_PASSWORD` they begin.
    pub people: BTreeMap<String, String>,
    /// Names of variables, and the ID tokens that they hold.
    #[serde(default)]
    pub id_tokens: BTreeMap<String, IdToken>,
    /// For a program that `needs` may name: a script that succeeds where it runs. Of any other the name is looked for.
    pub programs: BTreeMap<String, String>,
    /// What people do before any job runs.
    pub before: Vec<Step>,
    /// The story itself.
    pub parts: Vec<Part>,
    /// What `make run` offers to try.
    #[serde(default)]
    pub offers: Vec<Offer>,
}

/// An ID token that the CI signs for a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdToken {
    /// The job's id.
    pub job: u64,
    /// For whom it is made, where not for the service.
    pub aud: Option<String>,
    /// How many seconds it is good, where not as long as usual.
    pub lasts: Option<u64>,
}

/// A part of the story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its heading.
    pub title: String,
    /// Its steps, one after the other.
    pub steps: Vec<Step>,
}

/// One sentence, what is done, and what must come of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The sentence.
    pub say: String,
    /// A script for bash with `-euo pipefail`.
    pub run: String,
    /// A program without which the step is left out.
    pub needs: Option<String>,
    /// How the script must end.
    #[serde(default)]
    pub exit: Exit,
    /// What must be in its output.
    #[serde(default)]
    pub shows: Vec<String>,
    /// What must not be in its output.
    #[serde(default)]
    pub hides: Vec<String>,
    /// The decisions that jobscope must log for it, and no others; none expected when the list is empty, nothing said
    /// when it is absent.
    pub decisions: Option<Vec<Expected>>,
}

/// How a script must end.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// With 0.
    #[default]
    Zero,
    /// With anything else.
    Nonzero,
}

/// Fields of a decision. What is absent may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The action, such as `git.read`.
    pub action: Option<String>,
    /// The project asked for.
    pub target: Option<String>,
    /// `allow` or `deny`.
    pub verdict: Option<String>,
    /// The reason's code.
    pub reason: Option<String>,
}

/// A command to try.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// What to expect of it.
    pub say: String,
    /// The command, with `$NAME`s that are put in.
    pub run: String,
}

/// The part of the world that the story needs. The forge reads the rest, and refuses what it does not know.
#[derive(Deserialize)]
struct World {
    users: Vec<User>,
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct User {
    username: String,
    password: String,
    token: String,
}

#[derive(Deserialize)]
struct Job {
    id: u64,
    token: String,
}

impl Story {
    /// Reads a story of this checkout, by its name.
    ///
    /// # Errors
    ///
    /// When the file is missing or not as described.
    pub fn read(checkout: &Path, name: &str) -> Result<Self> {
        read(&checkout.join("envoy/demo").join(format!("{name}.yaml")))
    }

    /// The variables with the ID tokens that the story names, which the CI of this stack signs now.
    ///
    /// # Errors
    ///
    /// When the stack has no CI, or that no such job.
    pub fn id_tokens(&self, stack: &Stack) -> Result<BTreeMap<String, String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut variables = BTreeMap::new();
        for (name, IdToken { job, aud, lasts }) in &self.id_tokens {
            let aud = aud.as_ref().map(|aud| ("aud".to_owned(), json!(aud)));
            let exp = lasts.map(|lasts| ("exp".to_owned(), json!(now + lasts)));
            let other = Value::Object(aud.into_iter().chain(exp).collect());
            let identities = stack.identities().context("a story with ID tokens needs a stack that takes them")?;
            variables.insert(name.clone(), identities.token(stack.forge(), *job, &other)?);
        }
        Ok(variables)
    }

    /// The variables with the tokens and passwords that the story names.
    ///
    /// # Errors
    ///
    /// When the world has no such job or user.
    pub fn credentials(&self, checkout: &Path) -> Result<BTreeMap<String, String>> {
        let world: World = read(&checkout.join("envoy/demo/world.yaml"))?;
        let mut variables = BTreeMap::new();
        for (name, id) in &self.jobs {
            let Some(job) = world.jobs.iter().find(|job| job.id == *id) else {
                bail!("a story's `jobs.{name}`: the world has no job `{id}`");
            };
            variables.insert(name.clone(), job.token.clone());
        }
        for (prefix, username) in &self.people {
            let Some(user) = world.users.iter().find(|user| user.username == *username) else {
                bail!("a story's `people.{prefix}`: the world has no user `{username}`");
            };
            variables.insert(format!("{prefix}_TOKEN"), user.token.clone());
            variables.insert(format!("{prefix}_PASSWORD"), user.password.clone());
        }
        Ok(variables)
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("in `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::checkout;

    #[test]
    fn the_story_and_its_credentials_are_read() {
        let story = Story::read(&checkout(), "story").unwrap();
        let credentials = story.credentials(&checkout()).unwrap();
        assert!(credentials["WEB_JOB"].starts_with("glcbt-"));
        assert_eq!(credentials["DANA_PASSWORD"], "dana-password");
    }

    #[test]
    fn every_step_says_what_must_come_of_it() {
        for chapter in crate::demo::chapters() {
            let story = Story::read(&checkout(), chapter.story).unwrap();
            for step in story.parts.iter().flat_map(|part| &part.steps) {
                assert!(!step.shows.is_empty() || !step.hides.is_empty(), "`{}` would accept any output", step.say);
            }
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let step = "{say: a, run: b, exits: nonzero}";
        assert!(serde_saphyr::from_str::<Step>(step).is_err());
    }
}
